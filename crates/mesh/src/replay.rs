//! Which packets of a session were seen: each counter counts once, and may be late by at most a window.
//!
//! # Invariants
//! - A counter is accepted at most once.
//! - A counter further below the highest accepted one than the window is long is refused, seen or not.
//! - Nothing is marked before the packet has been verified: [`Window::check`] changes nothing.

/// How many counters back a packet may come, in bits. As in Linux and wireguard-go.
pub const WINDOW_BITS: u64 = 8192;

const WORD_BITS: u64 = 64;
const PACKET_WORDS: usize = (WINDOW_BITS / WORD_BITS) as usize + 1;

/// Why a counter is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Stale {
    /// It was accepted before.
    #[error("the packet was seen before")]
    Seen,
    /// It lies too far back to tell.
    #[error("the packet is older than the replay window")]
    TooOld,
}

/// A ring of bits, one word longer than the window, so that the word being filled never holds bits still in use.
#[derive(Clone)]
pub struct Window<const WORDS: usize = PACKET_WORDS> {
    /// One above the highest counter accepted.
    next: u64,
    ring: [u64; WORDS],
    accepted: u64,
}

impl<const WORDS: usize> Default for Window<WORDS> {
    fn default() -> Self {
        Self { next: 0, ring: [0; WORDS], accepted: 0 }
    }
}

impl<const WORDS: usize> Window<WORDS> {
    /// How many counters back one may come.
    const BITS: u64 = (WORDS as u64 - 1) * WORD_BITS;

    /// A window that takes nothing below `next`.
    pub fn from_next(next: u64) -> Self {
        if next == 0 {
            return Self::default();
        }
        let mut ring = [u64::MAX; WORDS];
        // In the newest word, what is still to come was not seen.
        if !next.is_multiple_of(WORD_BITS) {
            let (word, bit) = place::<WORDS>(next);
            ring[word] = bit - 1;
        }
        Self { next, ring, accepted: 0 }
    }

    /// The first counter that was never accepted, nor any behind it.
    pub const fn next(&self) -> u64 {
        self.next
    }

    /// Whether `counter` could be accepted.
    #[inline]
    pub fn check(&self, counter: u64) -> Result<(), Stale> {
        if counter >= self.next {
            return Ok(());
        }
        if self.next - counter > Self::BITS {
            return Err(Stale::TooOld);
        }
        let (word, bit) = place::<WORDS>(counter);
        if self.ring[word] & bit == 0 { Ok(()) } else { Err(Stale::Seen) }
    }

    /// Accepts `counter`, once.
    #[inline]
    pub fn accept(&mut self, counter: u64) -> Result<(), Stale> {
        self.check(counter)?;
        if counter >= self.next {
            self.advance(counter);
        }
        let (word, bit) = place::<WORDS>(counter);
        self.ring[word] |= bit;
        self.accepted += 1;
        Ok(())
    }

    /// How many counters were passed over and how many of them were accepted: the difference is loss, so far.
    pub const fn seen(&self) -> (u64, u64) {
        (self.next, self.accepted)
    }

    /// Clears the words between the newest counter and `counter`, so that the ring shows only the window.
    #[inline]
    fn advance(&mut self, counter: u64) {
        // A fresh window has its word 0 clear already.
        let newest = self.next.saturating_sub(1) / WORD_BITS;
        let wanted = counter / WORD_BITS;
        let fresh = (wanted - newest).min(WORDS as u64);
        for step in 1..=fresh {
            let (word, _) = place::<WORDS>((newest + step) * WORD_BITS);
            self.ring[word] = 0;
        }
        self.next = counter.saturating_add(1);
    }
}

#[inline]
const fn place<const WORDS: usize>(counter: u64) -> (usize, u64) {
    (((counter / WORD_BITS) % WORDS as u64) as usize, 1 << (counter % WORD_BITS))
}

impl<const WORDS: usize> std::fmt::Debug for Window<WORDS> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Window").field("next", &self.next).finish_non_exhaustive()
    }
}
