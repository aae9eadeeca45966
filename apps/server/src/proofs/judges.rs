//! Threads that judge what was opened: plain ones, as many as there are cores, so that answering goes on beside them.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use anyhow::Context;
use proofs::Reason;
use proofs::session::Work;
use tokio::sync::oneshot;

use crate::limits::PROOF_JUDGE_QUEUE_MAX;
use crate::metrics::Metrics;

struct Job {
    work: Work,
    answer: oneshot::Sender<Option<Reason>>,
}

/// How openings get to whoever judges them.
#[derive(Debug)]
pub(super) struct Judges {
    jobs: SyncSender<Job>,
}

impl Judges {
    /// Starts the threads. They end with the last handle.
    pub(super) fn start(metrics: &Metrics) -> anyhow::Result<Self> {
        let (jobs, queue) = sync_channel(PROOF_JUDGE_QUEUE_MAX);
        let queue = Arc::new(Mutex::new(queue));
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        for number in 0..cores {
            let (queue, metrics) = (Arc::clone(&queue), metrics.clone());
            std::thread::Builder::new()
                .name(format!("judge-{number}"))
                .spawn(move || judge(&queue, &metrics))
                .context("start a thread that judges proofs")?;
        }
        Ok(Self { jobs })
    }

    /// Has something judged; nothing if too much waits already.
    pub(super) fn begin(&self, work: Work) -> Option<oneshot::Receiver<Option<Reason>>> {
        let (answer, judged) = oneshot::channel();
        self.jobs.try_send(Job { work, answer }).ok().map(|()| judged)
    }
}

fn judge(queue: &Mutex<Receiver<Job>>, metrics: &Metrics) {
    loop {
        let job = queue.lock().expect("nobody panics with the queue in hand").recv();
        let Ok(Job { work, answer }) = job else { return };
        let begun = Instant::now();
        let wrong = work.run();
        metrics.proof_judged(begun.elapsed());
        // Who no longer waits for the answer does not need it.
        let _ = answer.send(wrong);
    }
}
