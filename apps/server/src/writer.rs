//! The one writer: a thread that owns the brain and the journal.
//!
//! Commands queue up while a commit is under way and share the next one. A reply leaves only after the commit that
//! made it durable; questions are answered between commits, so they never see what could still be lost.
//!
//! # Invariants
//! - When a commit fails, nobody was answered, and the brain is made anew from what the journal holds.
//! - Read tables are written in the commit of the entries they follow from, or ahead of it where that is too large.
//! - Whatever comes together, each commit is one that the journal takes.

mod fit;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::time::Duration;

use anyhow::{Context, bail};
use control::{Actor, Body, Command, Control, Effect, Refusal, Reply, SNAPSHOT_FORMAT, Subject};
use tokio::sync::oneshot;
use units::{BlobId, CommandId, Timestamp};

use crate::clock::{fresh_bits, now};
use crate::journal::{Batch, Entry, Event, Journal, JournalError, Row};
use crate::limits::{BATCH_COMMANDS_MAX, SNAPSHOT_EVERY, WRITER_QUEUE_MAX};
use crate::news::News;
use crate::views::{self, Change};
use fit::{COMMIT_BYTES, EFFECT_BYTES, bytes_of, rows_ahead, shorten, together};

/// How long the writer waits when nothing is due.
const IDLE: Duration = Duration::from_secs(1);
/// How long it waits before it tries a store again that failed.
const STORE_RETRY: Duration = Duration::from_millis(300);
/// Entries read at once in a replay.
const REPLAY_PAGE: usize = 10_000;

/// Why a command was not carried out.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The brain said no.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// Too much waits already.
    #[error("the server is busy")]
    Busy,
    /// The store does not take it now.
    #[error("could not {0}")]
    Store(#[from] JournalError),
    /// The server is stopping.
    #[error("the server is stopping")]
    Stopping,
}

/// What came of a command.
pub(crate) type Answer = Result<Reply, Failure>;

/// A command, and who waits for its answer.
type Tell = (Body, oneshot::Sender<Answer>);

type Question = Box<dyn FnOnce(&Control) + Send>;

enum Ask {
    Tell(Box<Body>, oneshot::Sender<Answer>),
    Look(Question),
    Stop,
}

/// How everyone else reaches the writer.
#[derive(Clone, Debug)]
pub(crate) struct Writer {
    asks: SyncSender<Ask>,
}

impl Writer {
    /// Tells the brain a command; answered when it is durable.
    pub(crate) async fn tell(&self, body: Body) -> Result<Reply, Failure> {
        self.begin_to_tell(body)?.await.unwrap_or(Err(Failure::Stopping))
    }

    /// Takes a command's place in the queue now; what is told after this is carried out after it.
    pub(crate) fn begin_to_tell(&self, body: Body) -> Result<oneshot::Receiver<Answer>, Failure> {
        let (reply, told) = oneshot::channel();
        self.send(Ask::Tell(Box::new(body), reply))?;
        Ok(told)
    }

    /// Tells the brain something that only the server itself knows.
    pub(crate) async fn tell_as(&self, by: Actor, command: Command) -> Result<Reply, Failure> {
        self.tell(own(by, command)).await
    }

    /// Asks the brain something.
    pub(crate) async fn look<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Control) -> T + Send + 'static,
    ) -> Result<T, Failure> {
        let (answer, asked) = oneshot::channel();
        // Who no longer waits for the answer does not need it.
        self.send(Ask::Look(Box::new(move |state| drop(answer.send(question(state))))))?;
        asked.await.map_err(|_| Failure::Stopping)
    }

    /// Ends the writer after what waits.
    pub(crate) fn stop(&self) {
        // A writer that is gone already has stopped.
        let _ = self.asks.send(Ask::Stop);
    }

    fn send(&self, ask: Ask) -> Result<(), Failure> {
        self.asks.try_send(ask).map_err(|refused| match refused {
            TrySendError::Full(_) => Failure::Busy,
            TrySendError::Disconnected(_) => Failure::Stopping,
        })
    }
}

/// A command of the server's own, with an id of its own.
pub(crate) fn own(by: Actor, command: Command) -> Body {
    Body {
        id: CommandId::from_bits(fresh_bits()),
        asked: BlobId::from_sha256([0; 32]),
        by,
        command,
    }
}

/// The brain as the journal has it.
pub(crate) fn restore(journal: &mut dyn Journal) -> anyhow::Result<Control> {
    let snapshot = journal.snapshot().context("read the newest snapshot")?;
    let known = snapshot.filter(|snapshot| snapshot.format == SNAPSHOT_FORMAT);
    let mut state = match known.map(|snapshot| Control::from_snapshot(&snapshot.body)) {
        Some(Ok(state)) => state,
        Some(Err(why)) => {
            tracing::warn!(error = %why, "the snapshot is of no use; replaying the whole journal");
            Control::new()
        }
        None => Control::new(),
    };
    loop {
        let entries = journal.read(state.head().seq, REPLAY_PAGE).context("read the journal")?;
        let Some(last) = entries.last() else { break };
        let last = last.seq;
        for entry in entries {
            state.replay(&entry.into())?;
        }
        tracing::debug!(seq = last, "replayed");
    }
    Ok(state)
}

/// Starts the writer's thread; the receiver hears how it ended.
pub(crate) fn start(
    state: Control,
    journal: Box<dyn Journal>,
    news: Arc<News>,
) -> anyhow::Result<(Writer, oneshot::Receiver<anyhow::Result<()>>)> {
    let (asks, queue) = sync_channel(WRITER_QUEUE_MAX);
    let snapshot_seq = state.head().seq;
    let mut thread = Thread { state, journal, news, queue, snapshot_seq };
    let (over, ended) = oneshot::channel();
    std::thread::Builder::new()
        .name("writer".to_owned())
        .spawn(move || drop(over.send(thread.run())))
        .context("start the writer's thread")?;
    Ok((Writer { asks }, ended))
}

struct Thread {
    state: Control,
    journal: Box<dyn Journal>,
    news: Arc<News>,
    queue: Receiver<Ask>,
    snapshot_seq: u64,
}

/// What was gathered for one commit.
#[derive(Default)]
struct Round {
    tells: Vec<Tell>,
    looks: Vec<Question>,
    stop: bool,
}

/// What a round made, not yet durable.
#[derive(Default)]
struct Made {
    entries: Vec<Entry>,
    replies: Vec<(oneshot::Sender<Answer>, Answer)>,
    effects: Vec<(u64, Timestamp, Effect)>,
    /// Rows of what may be another thing by the end of the round, by kind and id.
    rows: BTreeMap<(&'static str, String), Row>,
    /// What entries and these rows came to, in bytes, and effects by [`EFFECT_BYTES`].
    bytes: usize,
    /// Whether nobody but the clock told anything.
    of_clock: bool,
}

impl Thread {
    fn run(&mut self) -> anyhow::Result<()> {
        loop {
            let round = self.gather();
            let stop = round.stop;
            self.carry_out(round)?;
            if stop {
                self.snapshot_now();
                return Ok(());
            }
            if self.state.head().seq >= self.snapshot_seq + SNAPSHOT_EVERY {
                self.snapshot_now();
            }
        }
    }

    /// Waits for the first ask, or until something is due, and takes what else is there.
    fn gather(&mut self) -> Round {
        let mut round = Round::default();
        let patience = self.state.wake_at().map_or(IDLE, |at| at.since(now()).min(IDLE));
        match self.queue.recv_timeout(patience) {
            Ok(ask) => round.take(ask),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => round.stop = true,
        }
        while round.tells.len() < BATCH_COMMANDS_MAX
            && round.looks.len() < BATCH_COMMANDS_MAX
            && !round.stop
        {
            let Ok(ask) = self.queue.try_recv() else { break };
            round.take(ask);
        }
        round
    }

    fn carry_out(&mut self, round: Round) -> anyhow::Result<()> {
        let mut tells = round.tells.into_iter();
        loop {
            let made = self.apply(&mut tells);
            if made.entries.is_empty() {
                made.replies.into_iter().for_each(|(to, reply)| drop(to.send(reply)));
            } else {
                self.commit(made)?;
            }
            if tells.as_slice().is_empty() {
                break;
            }
        }
        round.looks.into_iter().for_each(|question| question(&self.state));
        Ok(())
    }

    /// Carries out what fits into one commit: what is due, and of the commands as many as come after it.
    fn apply(&mut self, tells: &mut impl Iterator<Item = Tell>) -> Made {
        let mut made = Made { of_clock: true, ..Made::default() };
        let at = now();
        if self.state.wake_at().is_some_and(|due| due <= at) {
            // The clock is never refused.
            let _ = self.apply_one(own(Actor::Clock, Command::Wake {}), at, &mut made);
        }
        while made.bytes < COMMIT_BYTES {
            let Some((body, to)) = tells.next() else { break };
            made.of_clock = false;
            let reply = self.apply_one(body, at, &mut made);
            made.replies.push((to, reply.map_err(Failure::from)));
        }
        made
    }

    fn apply_one(&mut self, body: Body, at: Timestamp, made: &mut Made) -> Result<Reply, Refusal> {
        let outcome = self.state.tell(body, at)?;
        if let Some(entry) = outcome.entry {
            let (seq, at) = (entry.seq, Timestamp::from_millis(entry.at_millis));
            made.bytes += entry.body.len();
            made.entries.push(entry.into());
            while let Some(effect) = self.state.next_effect() {
                if let Effect::Changed(subject) = &effect {
                    let rows = views::rows_at_once(&self.state, *subject);
                    made.bytes += rows.iter().map(bytes_of).sum::<usize>();
                    made.rows.extend(rows.into_iter().map(|row| ((row.kind, row.id.clone()), row)));
                }
                made.bytes += EFFECT_BYTES;
                made.effects.push((seq, at, effect));
            }
        }
        Ok(outcome.reply)
    }

    fn commit(&mut self, made: Made) -> anyhow::Result<()> {
        let (mut rows, mut events) = self.render(&made.effects);
        rows.extend(made.rows.into_values());
        shorten(&mut events);
        let begun = std::time::Instant::now();
        let ahead = rows_ahead(&mut rows, made.of_clock);
        let mut batches = together(&ahead).map(|rows| Batch { rows, ..Batch::default() });
        let last = Batch { entries: &made.entries, rows: &rows, events: &events };
        let stored = batches.try_for_each(|batch| self.journal.append(&batch));
        match stored.and_then(|()| self.journal.append(&last)) {
            Ok(()) => {
                self.news.committed(made.entries.len(), begun.elapsed());
                self.news.tell(&self.state, &made.effects, !events.is_empty());
                made.replies.into_iter().for_each(|(to, reply)| drop(to.send(reply)));
                Ok(())
            }
            Err(why) => {
                tracing::error!(error = %why, hint = why.hint(), "a commit failed; nothing of it was acknowledged");
                for (to, _) in made.replies {
                    drop(to.send(Err(Failure::Store(why.clone()))));
                }
                if let JournalError::Fenced { .. } = why {
                    bail!("{why}: {}", why.hint());
                }
                // Reading everything anew for each command would be all that a server with a full disk does.
                std::thread::sleep(STORE_RETRY);
                self.start_over()
            }
        }
    }

    /// Makes the brain anew from what is durable. While the store does not answer, everyone is told so.
    fn start_over(&mut self) -> anyhow::Result<()> {
        loop {
            match restore(self.journal.as_mut()) {
                Ok(state) => {
                    self.state = state;
                    // The failed commit may be there all the same, and its effects were not told.
                    self.news.renew(&self.state);
                    return Ok(());
                }
                Err(why) if why.is::<control::Broken>() => return Err(why),
                Err(why) => {
                    tracing::error!(error = %format!("{why:#}"), "the journal cannot be read; trying again")
                }
            }
            std::thread::sleep(STORE_RETRY);
            while let Ok(ask) = self.queue.try_recv() {
                match ask {
                    Ask::Tell(_, to) => drop(to.send(Err(Failure::Busy))),
                    Ask::Look(_) => {}
                    Ask::Stop => bail!("stopped while the journal could not be read"),
                }
            }
        }
    }

    /// Rows and events for what changed: each subject once, as it is at the end of the batch.
    fn render(&self, effects: &[(u64, Timestamp, Effect)]) -> (Vec<Row>, Vec<Event>) {
        let mut rows = Vec::new();
        let mut events = Vec::new();
        let mut seen: BTreeSet<Subject> = BTreeSet::new();
        let last = effects.last().map_or(0, |(seq, _, _)| *seq);
        for (_, at, effect) in effects {
            match effect {
                Effect::Changed(subject) if seen.insert(*subject) => {
                    let Change { row, events: told } = views::change(&self.state, *subject);
                    rows.extend(row);
                    for (owner, body) in told {
                        let part = u32::try_from(events.len()).unwrap_or(u32::MAX);
                        events.push(Event { seq: last, part, owner, body });
                    }
                }
                Effect::Moved(movement) => {
                    rows.extend(views::transfer_rows(&self.state, movement, *at))
                }
                Effect::Closed(closed) => rows.extend(views::block_rows(closed)),
                Effect::Locked(locked) => {
                    rows.extend(views::lock_rows(&self.state, locked));
                    for (owner, body) in views::lock_events(&self.state, locked) {
                        let part = u32::try_from(events.len()).unwrap_or(u32::MAX);
                        events.push(Event { seq: last, part, owner, body });
                    }
                }
                Effect::Sealed(sealed) => rows.extend(views::proof_rows(sealed)),
                Effect::Changed(_) | Effect::Nudge(_) => {}
            }
        }
        (rows, events)
    }

    fn snapshot_now(&mut self) {
        let head = self.state.head();
        if head.seq == self.snapshot_seq {
            return;
        }
        let body = self.state.snapshot();
        match self.journal.save_snapshot(head.seq, head.hash, SNAPSHOT_FORMAT, &body) {
            Ok(()) => self.snapshot_seq = head.seq,
            Err(why) => tracing::warn!(error = %why, hint = why.hint(), "no snapshot was kept"),
        }
    }
}

impl Round {
    fn take(&mut self, ask: Ask) {
        match ask {
            Ask::Tell(body, to) => self.tells.push((*body, to)),
            Ask::Look(question) => self.looks.push(question),
            Ask::Stop => self.stop = true,
        }
    }
}

impl From<control::Entry> for Entry {
    fn from(entry: control::Entry) -> Self {
        let control::Entry { seq, at_millis, previous, hash, body } = entry;
        Self { seq, at_millis, previous, hash, body }
    }
}

impl From<Entry> for control::Entry {
    fn from(entry: Entry) -> Self {
        let Entry { seq, at_millis, previous, hash, body } = entry;
        Self { seq, at_millis, previous, hash, body }
    }
}
