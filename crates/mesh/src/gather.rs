//! Gathering sealed datagrams for one system call: as many as go to one place and are equally long.
//!
//! # Invariants
//! - All gathered datagrams have one destination, one mark of congestion, and one length but the last, which may be
//!   shorter.
//! - There are at most [`DATAGRAMS_MAX`] of them, together at most [`GATHERED_BYTES_MAX`] long.
//! - They leave in the order they were sealed.

use units::Timestamp;

use crate::departure::Departure;
use crate::ecn::Ecn;
use crate::path::Way;
use crate::peer::PeerId;

/// How many datagrams the kernel cuts one send into, on every version that can.
pub const DATAGRAMS_MAX: usize = 64;
/// The longest send over IPv4, in bytes: 65,535 less two headers.
pub const GATHERED_BYTES_MAX: usize = 65_507;

/// Datagrams being gathered. Kept from send to send for its memory.
#[derive(Debug)]
pub struct Gather {
    buffer: Box<[u8]>,
    used: usize,
    count: usize,
    /// How long each is but the last.
    size: usize,
    /// Whether a shorter one was added: it must be the last.
    closed: bool,
    to: Option<(Way, PeerId, Ecn)>,
}

/// Datagrams that leave together.
#[derive(Clone, Copy, Debug)]
pub struct Gathered<'a> {
    /// Which way.
    pub to: Way,
    /// Of which peer.
    pub peer: PeerId,
    /// What they say of congestion on the outside.
    pub ecn: Ecn,
    /// All of them, one behind the other.
    pub datagrams: &'a [u8],
    /// How long each is but the last.
    pub size: usize,
}

impl Default for Gather {
    fn default() -> Self {
        let buffer = vec![0; GATHERED_BYTES_MAX].into_boxed_slice();
        Self { buffer, used: 0, count: 0, size: 0, closed: false, to: None }
    }
}

impl Gather {
    /// Seals datagrams of a departure from number `done` on, as many as may follow those gathered, and says up to
    /// which. If that is `done` again, what was gathered must be taken first; if nothing was gathered, they fit no
    /// send at all.
    #[inline]
    pub fn put(&mut self, departure: &Departure<'_, '_>, done: usize, now: Timestamp) -> usize {
        let (size, total) = (departure.datagram_len(), departure.count());
        if !self.may_follow(departure, size) {
            return done;
        }
        let room = (DATAGRAMS_MAX - self.count).min((GATHERED_BYTES_MAX - self.used) / size);
        let part = done..total.min(done + room);
        if part.is_empty() {
            return done;
        }
        if self.to.is_none() {
            self.to = Some((departure.to, departure.peer, departure.ecn));
            self.size = size;
        }
        let count = part.len();
        let len = departure.seal(part.clone(), &mut self.buffer[self.used..], now);
        self.used += len;
        self.count += count;
        self.closed = len < count * self.size;
        part.end
    }

    /// What was gathered; begins anew.
    #[inline]
    pub fn take(&mut self) -> Option<Gathered<'_>> {
        let (to, peer, ecn) = self.to.take()?;
        let datagrams = &self.buffer[..self.used];
        (self.used, self.count, self.closed) = (0, 0, false);
        Some(Gathered { to, peer, ecn, datagrams, size: self.size })
    }

    fn may_follow(&self, departure: &Departure<'_, '_>, size: usize) -> bool {
        let Some(to) = self.to else { return true };
        let fits = size == self.size || size < self.size && departure.count() == 1;
        to == (departure.to, departure.peer, departure.ecn) && !self.closed && fits
    }
}
