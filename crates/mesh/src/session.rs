//! One agreed pair of keys: seals what we send, opens what we receive, for a few minutes.
//!
//! A session is made by the brain and shared by reference with the threads that carry packets; what changes in it is
//! atomic or behind its own lock.
//!
//! # Invariants
//! - No counter is used twice for sealing: [`Session::reserve`] hands each out once, and stops below the limit.
//! - No counter is accepted twice for opening, and none before its packet verified.
//! - After [`Timing::reject_after`] it neither seals nor opens.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use units::Timestamp;

use crate::message::{self, DATA_HEADER_LEN, Index};
use crate::noise::SplitKeys;
use crate::peer::PeerId;
use crate::replay::{Stale, Window};
use crate::suite::{Forged, Suite, SuiteKey, TAG_LEN};
use crate::timing::Timing;

/// One agreed pair of keys.
pub struct Session {
    /// Whose it is.
    pub peer: PeerId,
    /// What we call it: packets for us carry this.
    pub local: Index,
    remote: Index,
    /// Whether we asked for it: then renewing it is our duty.
    pub(crate) initiator: bool,
    pub(crate) born: Timestamp,
    dies: Timestamp,
    suite: Suite,
    sealing: SuiteKey,
    opening: SuiteKey,
    opening_fast: Option<SuiteKey>,
    next_counter: AtomicU64,
    window: Mutex<Window>,
    /// Whether the peer has used it, so that we know that it has the keys too.
    confirmed: AtomicBool,
}

/// How the two ends of a session are told to use it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms {
    pub(crate) peer: PeerId,
    pub(crate) local: Index,
    pub(crate) remote: Index,
    pub(crate) initiator: bool,
    /// What we seal with.
    pub(crate) suite: Suite,
    /// Whether the peer may seal with [`Suite::Fast`].
    pub(crate) opens_fast: bool,
}

/// Why a session does not seal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Spent {
    /// It is too old.
    #[error("the session is too old")]
    Old,
    /// It sealed all the packets that it may.
    #[error("the session sealed all the packets it may")]
    Counted,
}

/// Why a packet is not opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The session is too old.
    #[error("the session is too old")]
    Old,
    /// It is no data packet, or of a suite that the session does not open.
    #[error("the packet is of no kind that the session opens")]
    Kind,
    /// It was seen, or is too late to tell.
    #[error(transparent)]
    Stale(#[from] Stale),
    /// It does not verify.
    #[error(transparent)]
    Forged(#[from] Forged),
}

impl Session {
    pub(crate) fn new(terms: Terms, keys: &SplitKeys, timing: &Timing, now: Timestamp) -> Self {
        let fast = terms.opens_fast.then(|| SuiteKey::derive(Suite::Fast, &keys.receive));
        Self {
            peer: terms.peer,
            local: terms.local,
            remote: terms.remote,
            initiator: terms.initiator,
            born: now,
            dies: now.after(timing.reject_after),
            suite: terms.suite,
            sealing: SuiteKey::derive(terms.suite, &keys.send),
            opening: SuiteKey::derive(Suite::Standard, &keys.receive),
            opening_fast: fast,
            next_counter: AtomicU64::new(0),
            window: Mutex::new(Window::default()),
            confirmed: AtomicBool::new(terms.initiator),
        }
    }

    /// How packets are sealed.
    pub const fn suite(&self) -> Suite {
        self.suite
    }

    /// Whether its time is over.
    #[inline]
    pub fn is_dead(&self, now: Timestamp) -> bool {
        now >= self.dies
    }

    /// Whether it sealed so many packets that a new one is due.
    pub(crate) fn is_worn(&self) -> bool {
        self.next_counter.load(Ordering::Relaxed) >= self.suite.message_limits().0
    }

    /// Whether the peer has used it, or need not.
    #[inline]
    pub(crate) fn is_confirmed(&self) -> bool {
        self.confirmed.load(Ordering::Relaxed)
    }

    /// The brain knows that the peer has used it.
    pub(crate) fn confirm(&self) {
        self.confirmed.store(true, Ordering::Relaxed);
    }

    /// The first of `count` counters that nobody else gets.
    #[inline]
    pub fn reserve(&self, count: usize, now: Timestamp) -> Result<u64, Spent> {
        if self.is_dead(now) {
            return Err(Spent::Old);
        }
        let (_, limit) = self.suite.message_limits();
        let first = self.next_counter.fetch_add(count as u64, Ordering::Relaxed);
        if first < limit && count as u64 <= limit - first {
            return Ok(first);
        }
        // Back to the limit, so that refused attempts never wrap the counter.
        self.next_counter.store(limit, Ordering::Relaxed);
        Err(Spent::Counted)
    }

    /// Makes a data packet of the `len` bytes that stand behind the header's place in `out`, and says how long it is.
    ///
    /// # Panics
    /// If `out` is shorter than header, contents and tag together.
    #[inline]
    pub fn seal(&self, counter: u64, out: &mut [u8], len: usize) -> usize {
        let (header, rest) =
            out.split_first_chunk_mut().expect("the caller leaves room for the header");
        message::write_data_header(header, self.suite, self.remote, counter);
        let (plain, rest) = rest.split_at_mut(len);
        let tag = self.sealing.seal(counter, plain);
        rest[..TAG_LEN].copy_from_slice(&tag);
        DATA_HEADER_LEN + len + TAG_LEN
    }

    /// Opens one data packet in place; its contents stand behind the header.
    #[inline]
    pub fn open<'a>(
        &self,
        datagram: &'a mut [u8],
        now: Timestamp,
    ) -> Result<&'a mut [u8], Refused> {
        if self.is_dead(now) {
            return Err(Refused::Old);
        }
        let Some(message::Kind::Data(suite)) = message::kind_of(datagram) else {
            return Err(Refused::Kind);
        };
        let key = match suite {
            Suite::Standard => &self.opening,
            Suite::Fast => self.opening_fast.as_ref().ok_or(Refused::Kind)?,
        };
        let (_, counter) = message::read_data_header(datagram).ok_or(Refused::Kind)?;
        if counter >= suite.message_limits().1 {
            return Err(Refused::Stale(Stale::TooOld));
        }
        self.window().check(counter)?;
        let plain = key.open(counter, &mut datagram[DATA_HEADER_LEN..])?;
        self.window().accept(counter)?;
        Ok(plain)
    }

    /// How many packets the peer sent by its counting, and how many arrived.
    pub fn seen(&self) -> (u64, u64) {
        self.window().seen()
    }

    #[inline]
    fn window(&self) -> std::sync::MutexGuard<'_, Window> {
        // A window is consistent between any two of its statements.
        self.window.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session")
            .field("peer", &self.peer)
            .field("local", &self.local)
            .field("remote", &self.remote)
            .field("suite", &self.suite)
            .finish_non_exhaustive()
    }
}
