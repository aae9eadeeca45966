//! What the threads that carry packets tell the brain about a peer: moments and counts, each a number of its own.
//!
//! Threads only write, the brain only looks; no number depends on another, so none needs an order.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use units::Timestamp;

use crate::path::Heard;

/// How often the brain is told that a peer is heard another way.
const ROAMED_EVERY: Duration = Duration::from_secs(1);

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
    roamed_at: AtomicU64,
    padding: AtomicU64,
    decoys_sent: Count,
    decoys_heard: Count,
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
    /// What cover added to it.
    pub overhead: Overhead,
}

/// What a link carried, of what [`Carried`] counts, only to hide the rest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Overhead {
    /// Bytes that made packets equally long.
    pub padding: u64,
    /// Decoys sent, and their bytes.
    pub decoys_sent: (u64, u64),
    /// Decoys heard, and their bytes.
    pub decoys_heard: (u64, u64),
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

    /// Packets that were sent had so many bytes more than without cover.
    #[inline]
    pub(crate) fn on_padded(&self, bytes: usize) {
        self.padding.fetch_add(bytes as u64, Relaxed);
    }

    /// One of the datagrams that were sent was a decoy.
    pub(crate) fn on_decoy_sent(&self, bytes: usize) {
        self.decoys_sent.add(1, bytes);
    }

    /// One of the datagrams that were heard was a decoy.
    pub(crate) fn on_decoy_heard(&self, bytes: usize) {
        self.decoys_heard.add(1, bytes);
    }

    /// Whether the brain may be told that the peer is heard another way: once a second.
    pub(crate) fn may_tell_roamed(&self, now: Timestamp) -> bool {
        let told = self.roamed_at.load(Relaxed);
        let rested = now.since(Timestamp::from_millis(told)) >= ROAMED_EVERY;
        // Of threads that see it at once, one tells.
        let swap = |millis| self.roamed_at.compare_exchange(told, millis, Relaxed, Relaxed);
        rested && swap(now.millis()).is_ok()
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
            overhead: Overhead {
                padding: self.padding.load(Relaxed),
                decoys_sent: self.decoys_sent.read(),
                decoys_heard: self.decoys_heard.read(),
            },
        }
    }

    /// How many packets were sent.
    pub(crate) fn sent_packets(&self) -> u64 {
        self.sent.read().0
    }

    /// How much was heard.
    pub(crate) fn heard(&self) -> Heard {
        let (packets, bytes) = self.heard.read();
        Heard { packets, bytes }
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
