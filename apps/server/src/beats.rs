//! The task that owns the roll of machines: beats come in, silences go to the writer.

use std::time::Duration;

use control::{Actor, Beat, Command, Control, Refusal, Roll};
use tokio::sync::{mpsc, oneshot};
use units::{Timestamp, WorkerId};

use crate::clock::now;
use crate::metrics::Metrics;
use crate::writer::{Failure, Writer, own};

/// Beats waiting to be looked at.
const QUEUE_MAX: usize = 16_384;
/// How long the roll waits when nobody is due.
const IDLE: Duration = Duration::from_secs(1);

enum Ask {
    Beat { worker: WorkerId, number: u64, said: u64, answer: oneshot::Sender<Beat> },
    Told { worker: WorkerId, said: u64 },
    Silent { worker: WorkerId, heard: Timestamp },
    Gone { worker: WorkerId },
    Up { answer: oneshot::Sender<usize> },
}

/// How the API reaches the roll.
#[derive(Clone, Debug)]
pub(crate) struct Beats {
    asks: mpsc::Sender<Ask>,
}

impl Beats {
    /// Starts the roll with what the brain holds of each machine.
    pub(crate) fn start(state: &Control, writer: Writer, metrics: Metrics) -> Self {
        let (asks, queue) = mpsc::channel(QUEUE_MAX);
        let mut roll = Roll::default();
        let at = now();
        let heard = state.head().at;
        state.workers().for_each(|(id, worker)| roll.know(id, worker.up, heard, at));
        let beats = Self { asks };
        tokio::spawn(run(roll, queue, writer, beats.clone(), metrics));
        beats
    }

    /// A machine spoke.
    pub(crate) async fn on_beat(
        &self,
        worker: WorkerId,
        number: u64,
        said: u64,
    ) -> Result<Beat, Failure> {
        let (answer, heard) = oneshot::channel();
        self.ask(Ask::Beat { worker, number, said, answer })?;
        heard.await.map_err(|_| Failure::Stopping)
    }

    /// The brain knows what it said.
    pub(crate) fn on_told(&self, worker: WorkerId, said: u64) -> Result<(), Failure> {
        self.ask(Ask::Told { worker, said })
    }

    /// A machine has left.
    pub(crate) fn forget(&self, worker: WorkerId) -> Result<(), Failure> {
        self.ask(Ask::Gone { worker })
    }

    /// How many machines were heard lately.
    pub(crate) async fn up(&self) -> Result<usize, Failure> {
        let (answer, counted) = oneshot::channel();
        self.ask(Ask::Up { answer })?;
        counted.await.map_err(|_| Failure::Stopping)
    }

    fn ask(&self, ask: Ask) -> Result<(), Failure> {
        self.asks.try_send(ask).map_err(|_| Failure::Busy)
    }
}

async fn run(
    mut roll: Roll,
    mut queue: mpsc::Receiver<Ask>,
    writer: Writer,
    beats: Beats,
    metrics: Metrics,
) {
    loop {
        let patience = roll
            .wake_at()
            .map_or(IDLE, |at| at.since(now()).clamp(Duration::from_millis(50), IDLE));
        match tokio::time::timeout(patience, queue.recv()).await {
            Ok(None) => return,
            Ok(Some(Ask::Beat { worker, number, said, answer })) => {
                metrics.beat();
                // Who no longer waits for the answer does not need it.
                let _ = answer.send(roll.on_beat(worker, number, said, now()));
            }
            Ok(Some(Ask::Told { worker, said })) => roll.on_told(worker, said),
            // Who spoke meanwhile is not silent any more.
            Ok(Some(Ask::Silent { worker, heard })) if roll.heard(worker) == Some(heard) => {
                tell_silent(&writer, &beats, worker, heard);
            }
            Ok(Some(Ask::Silent { .. })) => {}
            Ok(Some(Ask::Gone { worker })) => roll.forget(worker),
            Ok(Some(Ask::Up { answer })) => drop(answer.send(roll.up())),
            Err(_) => {}
        }
        for (worker, heard) in roll.on_wake(now()) {
            tell_silent(&writer, &beats, worker, heard);
        }
        metrics.workers_up(roll.up());
    }
}

/// Tells the brain of a silence, until it has heard or the machine speaks. It takes its place in the writer's queue
/// before the next beat is looked at, so that a machine that is back is told up after it was told silent.
fn tell_silent(writer: &Writer, beats: &Beats, worker: WorkerId, heard: Timestamp) {
    let command = Command::WorkerSilent { worker, heard_millis: heard.millis() };
    let begun = writer.begin_to_tell(own(Actor::Clock, command));
    let beats = beats.clone();
    tokio::spawn(async move {
        let told = match begun {
            Ok(told) => told.await.unwrap_or(Err(Failure::Stopping)),
            Err(why) => Err(why),
        };
        match told {
            // It has left in the meantime.
            Ok(_) | Err(Failure::Refused(Refusal::NotFound(_)) | Failure::Stopping) => {}
            Err(why) => {
                tracing::warn!(%worker, error = %why, "a silence could not be told; trying again");
                tokio::time::sleep(IDLE).await;
                let _ = beats.ask(Ask::Silent { worker, heard });
            }
        }
    });
}
