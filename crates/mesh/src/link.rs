//! What the threads that carry packets tell the brain about a peer: moments and counts, each a number of its own.
//!
//! Threads only write, the brain only looks; no number depends on another, so none needs an order.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use units::Timestamp;

/// Moments and counts of one peer.
#[derive(Debug, Default)]
pub struct Link {
    /// Since when data was sent and nothing came back; 0 if something did.
    unanswered_since: AtomicU64,
    /// Since when data was heard and nothing was sent; 0 if something was.
    owed_since: AtomicU64,
    sent_at: AtomicU64,
    heard_at: AtomicU64,
    sent: Count,
    heard: Count,
    refused: AtomicU64,
}

#[derive(Debug, Default)]
struct Count {
    packets: AtomicU64,
    bytes: AtomicU64,
}

/// How much a link carried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Carried {
    /// Datagrams sent, and their bytes.
    pub sent: (u64, u64),
    /// Datagrams heard, and their bytes.
    pub heard: (u64, u64),
    /// Datagrams that were refused after they named the peer: forged, repeated, or not allowed.
    pub refused: u64,
}

impl Link {
    /// Datagrams of `bytes` in all were sent; `data` if they were more than signs of life.
    #[inline]
    pub fn on_sent(&self, packets: usize, bytes: usize, data: bool, now: Timestamp) {
        self.sent_at.store(now.millis(), Relaxed);
        self.owed_since.store(0, Relaxed);
        if data && self.unanswered_since.load(Relaxed) == 0 {
            self.unanswered_since.store(now.millis(), Relaxed);
        }
        self.sent.add(packets, bytes);
    }

    /// Whether nothing was sent for a while.
    #[inline]
    pub(crate) fn is_quiet(&self, now: Timestamp) -> bool {
        let sent = Timestamp::from_millis(self.sent_at.load(Relaxed));
        now.since(sent) >= crate::path::BUSY_FOR
    }

    /// Verified datagrams were heard.
    #[inline]
    pub fn on_heard(&self, packets: usize, bytes: usize, data: bool, now: Timestamp) {
        self.heard_at.store(now.millis(), Relaxed);
        self.unanswered_since.store(0, Relaxed);
        if data && self.owed_since.load(Relaxed) == 0 {
            self.owed_since.store(now.millis(), Relaxed);
        }
        self.heard.add(packets, bytes);
    }

    /// A datagram was refused.
    pub fn on_refused(&self) {
        self.refused.fetch_add(1, Relaxed);
    }

    /// How much it carried.
    pub fn carried(&self) -> Carried {
        Carried {
            sent: self.sent.read(),
            heard: self.heard.read(),
            refused: self.refused.load(Relaxed),
        }
    }

    pub(crate) fn unanswered_since(&self) -> Option<Timestamp> {
        moment(&self.unanswered_since)
    }

    /// Asking went unanswered to the end: the next data starts anew.
    pub(crate) fn forgive(&self) {
        self.unanswered_since.store(0, Relaxed);
    }

    pub(crate) fn owed_since(&self) -> Option<Timestamp> {
        moment(&self.owed_since)
    }

    pub(crate) fn sent_at(&self) -> Option<Timestamp> {
        moment(&self.sent_at)
    }

    pub(crate) fn heard_at(&self) -> Option<Timestamp> {
        moment(&self.heard_at)
    }
}

impl Count {
    #[inline]
    fn add(&self, packets: usize, bytes: usize) {
        self.packets.fetch_add(packets as u64, Relaxed);
        self.bytes.fetch_add(bytes as u64, Relaxed);
    }

    fn read(&self) -> (u64, u64) {
        (self.packets.load(Relaxed), self.bytes.load(Relaxed))
    }
}

fn moment(millis: &AtomicU64) -> Option<Timestamp> {
    Some(millis.load(Relaxed)).filter(|millis| *millis != 0).map(Timestamp::from_millis)
}
