//! When a stream is worth a connection of its own.

use crate::limits::BULK_AFTER;

/// How much a stream carried each way, until it is found to be bulk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Placement {
    up: u64,
    down: u64,
}

impl Placement {
    /// Counts bytes that went to the node.
    pub fn on_up(&mut self, bytes: u64) {
        self.up = self.up.saturating_add(bytes);
    }

    /// Counts bytes that came from the node.
    pub fn on_down(&mut self, bytes: u64) {
        self.down = self.down.saturating_add(bytes);
    }

    /// Whether one way has carried enough ([`BULK_AFTER`]).
    pub fn is_bulk(&self) -> bool {
        self.up.max(self.down) >= BULK_AFTER
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_bulk_once_one_way_has_carried_enough() {
        let mut placement = Placement::default();
        placement.on_up(BULK_AFTER - 1);
        placement.on_down(BULK_AFTER - 1);
        assert!(!placement.is_bulk());
        placement.on_down(1);
        assert!(placement.is_bulk());
        placement.on_up(u64::MAX);
        assert!(placement.is_bulk());
    }
}
