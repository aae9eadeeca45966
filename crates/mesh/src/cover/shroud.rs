//! What stands between a peer's packets and the wire at levels 2 and 3: shared by the threads that carry, who tell what
//! they send and hear, and one thread that lets out what is due.
//!
//! # Invariants
//! - Packets of a peer leave in the order they came, held or not.
//! - Who waits is bounded by [`QUEUE_BYTES_MAX`]; what comes beyond is lost, as on any network.
//! - When the next thing is due is known without the lock, and whoever moves it forward is told to say so.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};

use units::Timestamp;

use super::Cover;
use super::beat::Beat;
use super::decoys::Decoys;
use crate::segment::Cutter;
use crate::vnet::VNET_LEN;

/// Frames that wait, in bytes: several super-packets, and a few seconds' worth of beats.
pub const QUEUE_BYTES_MAX: usize = 256 * 1024;

/// What hides the bursts and moments of one peer's packets.
#[derive(Debug)]
pub struct Shroud {
    state: Mutex<State>,
    /// When [`Shroud::on_wake`] next has something to do; as far as who waits for it was told. In milliseconds.
    wake_at: AtomicU64,
    told: AtomicU64,
    held: AtomicU64,
    lost: AtomicU64,
}

#[derive(Debug)]
struct State {
    kind: Kind,
    waiting: VecDeque<Vec<u8>>,
    waiting_bytes: usize,
    /// Frames were handed out that may not have left yet.
    leaving: bool,
}

#[derive(Debug)]
enum Kind {
    Decoys(Box<Decoys>),
    Rate(Beat),
}

/// What is to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// A frame that waited.
    Frame(Vec<u8>),
    /// A packet that means nothing.
    Decoy,
}

/// What becomes of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Held {
    /// It may leave.
    No,
    /// It waits. `stirs`: whoever lets it out must be told.
    Yes { stirs: bool },
}

impl Shroud {
    /// A shroud, if the level needs one. Decoys have `decoy_len` bytes.
    pub fn new(cover: Cover, seed: [u8; 32], decoy_len: usize, now: Timestamp) -> Option<Self> {
        let kind = match cover {
            Cover::None | Cover::Size => return None,
            Cover::Decoys => Kind::Decoys(Box::new(Decoys::new(seed, decoy_len, now))),
            Cover::Rate => Kind::Rate(Beat::default()),
        };
        let state = State { kind, waiting: VecDeque::new(), waiting_bytes: 0, leaving: false };
        let never = || AtomicU64::new(u64::MAX);
        let (wake_at, told) = (never(), never());
        let count = AtomicU64::default;
        Some(Self { state: Mutex::new(state), wake_at, told, held: count(), lost: count() })
    }

    /// A frame wants to leave. Keeps a copy if it must wait.
    pub(crate) fn hold(&self, cutter: &Cutter<'_>, frame: &[u8], now: Timestamp) -> Held {
        let mut state = self.lock();
        let queued = !state.waiting.is_empty() || state.leaving;
        let held = match &mut state.kind {
            Kind::Decoys(decoys) if !queued && !decoys.holds(now) => return Held::No,
            Kind::Decoys(_) => vec![frame.to_vec()],
            Kind::Rate(beat) => {
                beat.on_wanted(now);
                pieces(cutter)
            }
        };
        for frame in held {
            self.keep(&mut state, frame);
        }
        Held::Yes { stirs: self.settle(&state, now) }
    }

    /// Packets leave. True if whoever lets out what is due must be told.
    pub(crate) fn on_sent(&self, bytes: usize, now: Timestamp) -> bool {
        let mut state = self.lock();
        match &mut state.kind {
            Kind::Decoys(decoys) => decoys.on_sent(bytes, now),
            Kind::Rate(_) => {}
        }
        self.settle(&state, now)
    }

    /// Packets came, some of them decoys. True as above.
    pub(crate) fn on_heard(&self, packets: usize, decoys: usize, now: Timestamp) -> bool {
        let mut state = self.lock();
        match &mut state.kind {
            Kind::Decoys(machines) => machines.on_heard(now),
            Kind::Rate(beat) if packets > decoys => beat.on_wanted(now),
            Kind::Rate(_) => {}
        }
        self.settle(&state, now)
    }

    /// When [`Shroud::on_wake`] next has something to do. Who asks is told when that becomes earlier.
    pub fn plan(&self) -> Option<Timestamp> {
        let at = self.wake_at.load(Relaxed);
        self.told.store(at, Relaxed);
        // What changed in between was compared with what was told before.
        let at = at.min(self.wake_at.load(Relaxed));
        (at != u64::MAX).then(|| Timestamp::from_millis(at))
    }

    /// What is to be sent now. To be asked again until it is nothing.
    pub fn on_wake(&self, now: Timestamp) -> Vec<Step> {
        let mut state = self.lock();
        let state = &mut *state;
        let mut steps = Vec::new();
        match &mut state.kind {
            Kind::Decoys(decoys) => {
                let due = decoys.on_wake(now);
                if !decoys.holds(now) {
                    steps.extend(state.waiting.drain(..).map(Step::Frame));
                    state.waiting_bytes = 0;
                }
                steps.extend(std::iter::repeat_n(Step::Decoy, due));
            }
            Kind::Rate(beat) => {
                if beat.on_wake(state.waiting.is_empty(), now) {
                    let frame = state.waiting.pop_front();
                    state.waiting_bytes -= frame.as_ref().map_or(0, Vec::len);
                    steps.push(frame.map_or(Step::Decoy, Step::Frame));
                }
            }
        }
        state.leaving = !steps.is_empty();
        self.settle(state, now);
        steps
    }

    /// How many frames were held back so far, and how many of those were lost for want of room.
    pub fn counts(&self) -> (u64, u64) {
        (self.held.load(Relaxed), self.lost.load(Relaxed))
    }

    fn keep(&self, state: &mut State, frame: Vec<u8>) {
        self.held.fetch_add(1, Relaxed);
        if state.waiting_bytes + frame.len() > QUEUE_BYTES_MAX {
            self.lost.fetch_add(1, Relaxed);
            return;
        }
        state.waiting_bytes += frame.len();
        state.waiting.push_back(frame);
    }

    /// Shows when there is next something to do. True if that is earlier than who waits for it knows.
    fn settle(&self, state: &State, now: Timestamp) -> bool {
        let wake_at = match &state.kind {
            Kind::Decoys(decoys) => {
                let queued = !state.waiting.is_empty() || state.leaving;
                let at_once = (queued && !decoys.holds(now)).then_some(now);
                at_once.into_iter().chain(decoys.wake_at()).min()
            }
            Kind::Rate(beat) => beat.wake_at(),
        };
        let at = wake_at.map_or(u64::MAX, Timestamp::millis);
        self.wake_at.store(at, Relaxed);
        let told = self.told.load(Relaxed);
        if at < told {
            // Once is enough: the others need not say it again.
            self.told.store(at, Relaxed);
        }
        at < told
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Whole between any two of its statements that could panic, of which there are none.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a frame of the device is cut into, each a frame of its own.
fn pieces(cutter: &Cutter<'_>) -> Vec<Vec<u8>> {
    let piece = |index| {
        let mut piece = vec![0; VNET_LEN + cutter.longest()];
        let len = cutter.write(index, &mut piece[VNET_LEN..]);
        piece.truncate(VNET_LEN + len);
        piece
    };
    (0..cutter.count()).map(piece).collect()
}
