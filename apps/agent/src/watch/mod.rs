//! Looks at the machine's cards once a second, on a thread of its own, and keeps signed records of what it sees.
//!
//! ```text
//!   driver, /proc, records of nodes ──► Eyes ──► proofs::lock::Watch ──► Shelf: records in the data folder
//!                                                      └──► the log, the board, signals to strangers
//! ```
//!
//! # Invariants
//! - It asks nothing of any other thread and waits for none: a slow cluster makes no gap in a record.
//! - A look reads a few small files; it writes once a minute.
//! - A signal is sent only because the brain said so, to a process that started when the brain says it did.

mod eyes;
mod hand_over;
mod processes;
mod shelf;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use anyhow::{Context, Result};
use ed25519_dalek::{Signer, SigningKey};
use proofs::lock::{Effect, Machine, Watch};
use units::WorkerId;

pub(crate) use self::hand_over::start as hand_over;
pub use self::shelf::SealedRecords;
use crate::board::Board;
use crate::config::Config;
use crate::identity::Identity;
use crate::limits::SAMPLE_EVERY;
use crate::probe::Driver;
use crate::quit::Quit;
use crate::runtime::footprint;
use eyes::Eyes;
use shelf::Shelf;

/// Whether the agent proves something at the moment: its own load is none.
#[derive(Clone, Debug, Default)]
pub(crate) struct Proving(Arc<AtomicUsize>);

impl Proving {
    /// Does this, which proves. Several cards may prove at one time.
    pub(crate) fn during<T>(&self, work: impl FnOnce() -> T) -> T {
        self.0.fetch_add(1, Ordering::Relaxed);
        let done = work();
        self.0.fetch_sub(1, Ordering::Relaxed);
        done
    }

    fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed) > 0
    }
}

/// Watches until the agent stops. Returns the thread, which seals every record before it ends.
pub(crate) fn start(
    config: &Config,
    proving: Proving,
    board: Arc<Board>,
    quit: Quit,
) -> Result<JoinHandle<()>> {
    let identity = Identity::of(&config.data)?;
    let driver = Box::new(Driver::at(config.driver.clone()));
    let eyes = Eyes::new(driver, config, eyes::clock());
    let mut config = config.clone();
    if config.stop_foreign && !footprint::counts_as_the_driver() {
        tracing::warn!(
            "the agent runs in a container: processes on cards are named and not stopped"
        );
        config.stop_foreign = false;
    }
    let mut watcher = Watcher::new(&config, identity.worker, identity.key.signing(), eyes)?;
    watcher.board = board;
    watcher.proving = proving;
    let work = move || watcher.work(&quit);
    thread::Builder::new().name("watch".to_owned()).spawn(work).context("start a thread")
}

/// The records that are sealed and not handed over, for whoever hands them over. They are the agent's that has this
/// data folder.
pub fn sealed_records(data: &Path) -> SealedRecords {
    SealedRecords::under(data)
}

/// The brain, its eyes, and what it writes.
struct Watcher {
    brain: Watch,
    eyes: Eyes,
    shelf: Shelf,
    key: SigningKey,
    proving: Proving,
    board: Arc<Board>,
    /// What is on the board: strangers by number.
    strangers: BTreeMap<u32, String>,
}

impl Watcher {
    fn new(config: &Config, worker: WorkerId, key: &SigningKey, eyes: Eyes) -> Result<Self> {
        let shelf = Shelf::open(&config.data)?;
        let sign = |digest: &[u8; 32]| key.sign(digest).to_bytes();
        let heads = shelf.recover(&sign)?;
        let machine = Machine {
            key: key.verifying_key().to_bytes(),
            worker,
            agent: std::process::id(),
            stop_foreign: config.stop_foreign,
        };
        Ok(Self {
            brain: Watch::new(machine, heads),
            eyes,
            shelf,
            key: key.clone(),
            proving: Proving::default(),
            board: Arc::default(),
            strangers: BTreeMap::new(),
        })
    }

    fn work(mut self, quit: &Quit) {
        let mut next = Instant::now();
        loop {
            self.look();
            // A look that came late is not made up for.
            next = (next + SAMPLE_EVERY).max(Instant::now());
            if quit.wait(next.saturating_duration_since(Instant::now())) {
                break;
            }
        }
        self.end();
    }

    fn look(&mut self) {
        let (sample, subjects) = self.eyes.look(self.proving.is_set());
        let key = &self.key;
        let sign = |digest: &[u8; 32]| key.sign(digest).to_bytes();
        self.brain.on_sample(&sample, &subjects, &sign);
        self.act();
    }

    fn end(&mut self) {
        let key = &self.key;
        let sign = |digest: &[u8; 32]| key.sign(digest).to_bytes();
        self.brain.on_end(&sign);
        self.act();
    }

    fn act(&mut self) {
        while let Some(effect) = self.brain.next_effect() {
            match effect {
                Effect::Name { card, rented, process } => {
                    let (pid, name) = (process.pid, &process.name);
                    let card = self.eyes.uuid(&card);
                    let (program, place) = (&process.program, &process.place);
                    tracing::warn!(
                        pid,
                        name,
                        program,
                        place,
                        card,
                        rented,
                        "a process that belongs to no renter is on a card"
                    );
                    self.strangers.insert(pid, format!("{name} (process {pid}) on card {card}"));
                    self.tell();
                }
                Effect::Gone { pid, name } => {
                    tracing::info!(pid, name, "the process is gone from the cards");
                    self.strangers.remove(&pid);
                    self.tell();
                }
                Effect::Stop { pid, started, forced } => {
                    tracing::warn!(pid, forced, "the process is told to end, as the owner allowed");
                    footprint::end(pid, started, forced);
                }
                Effect::Disturbed(nodes) => self.board.post_disturbed(nodes),
                Effect::Keep { span, bytes } => self.shelf.keep(span, &bytes),
                Effect::Sealed { span, began_ms, part, sealed } => {
                    self.shelf.put(span, began_ms, part, &sealed);
                    self.shelf.note(self.brain.heads());
                }
            }
        }
    }

    fn tell(&self) {
        self.board.post_strangers(self.strangers.values().cloned().collect());
    }
}

#[cfg(test)]
mod tests;
