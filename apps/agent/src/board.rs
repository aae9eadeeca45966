//! The newest of what is seen, for whoever tells it: a later word replaces an earlier one.

use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use proofs::lock::{Disturbance, NodeRef};
use worker::Seen;

/// Holds the newest word.
#[derive(Debug, Default)]
pub(crate) struct Board {
    newest: Mutex<Newest>,
    news: Condvar,
}

#[derive(Debug, Default)]
struct Newest {
    seen: Seen,
    version: u64,
    closed: bool,
    /// Processes that are on cards and have no business there, in words.
    strangers: Vec<String>,
    /// Nodes that are not their renters' alone.
    disturbed: Disturbed,
}

/// Nodes that are not their renters' alone at the moment.
pub(crate) type Disturbed = BTreeMap<NodeRef, Disturbance>;

impl Board {
    /// Puts a word up.
    pub(crate) fn post(&self, seen: Seen) {
        let mut newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        newest.seen = seen;
        newest.version += 1;
        self.news.notify_all();
    }

    /// Puts up which nodes are not their renters' alone: that is news.
    pub(crate) fn post_disturbed(&self, disturbed: Disturbed) {
        let mut newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        newest.disturbed = disturbed;
        newest.version += 1;
        self.news.notify_all();
    }

    /// Puts up who is on cards and has no business there; nobody, if it is empty.
    pub(crate) fn post_strangers(&self, strangers: Vec<String>) {
        let mut newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        newest.strangers = strangers;
    }

    /// Who is on cards and has no business there.
    #[cfg_attr(not(test), expect(dead_code, reason = "a beat has no room for it"))]
    pub(crate) fn strangers(&self) -> Vec<String> {
        self.newest.lock().unwrap_or_else(PoisonError::into_inner).strangers.clone()
    }

    /// Whether nothing runs here, as far as is known.
    pub(crate) fn is_idle(&self) -> bool {
        self.newest.lock().unwrap_or_else(PoisonError::into_inner).seen.nodes.is_empty()
    }

    /// Nothing more will come.
    pub(crate) fn close(&self) {
        self.newest.lock().unwrap_or_else(PoisonError::into_inner).closed = true;
        self.news.notify_all();
    }

    /// The newest word and its version: at once if it is newer than `known`, else after `patience` at the latest.
    /// `None` once the board is closed.
    pub(crate) fn read(&self, known: u64, patience: Duration) -> Option<(Seen, Disturbed, u64)> {
        let until = Instant::now() + patience;
        let mut newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if newest.closed {
                return None;
            }
            if newest.version > known || left.is_zero() {
                return Some((newest.seen.clone(), newest.disturbed.clone(), newest.version));
            }
            newest = self.news.wait_timeout(newest, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_word_is_read() {
        let board = Board::default();
        let none = board.read(0, Duration::ZERO).unwrap();
        assert_eq!(none, (Seen::default(), Disturbed::new(), 0));
        board.post(Seen::default());
        board.post(Seen { revision: Some(3), ..Seen::default() });
        let node = NodeRef { rental: units::RentalId::from_bits(1), node: 0 };
        let disturbance = Disturbance { why: proofs::lock::Break::Foreign, since_ms: 7 };
        board.post_disturbed([(node, disturbance)].into());
        let (seen, disturbed, version) = board.read(0, Duration::from_secs(60)).unwrap();
        assert_eq!((seen.revision, disturbed.len(), version), (Some(3), 1, 3));
        board.close();
        assert_eq!(board.read(3, Duration::from_secs(60)), None);
    }
}
