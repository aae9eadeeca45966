//! The orders that came last: how often each kind of them did.

use std::collections::{BTreeMap, VecDeque};

use super::host::Need;

/// Orders that are remembered. The older ones say nothing of what will come.
pub(crate) const RECENT_MAX: usize = 4_000;

/// The last orders, counted by kind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Recent {
    orders: VecDeque<Need>,
    counts: BTreeMap<Need, u32>,
}

impl Recent {
    pub(crate) fn add(&mut self, order: Need) {
        if self.orders.len() == RECENT_MAX {
            let oldest = self.orders.pop_front().expect("many are remembered");
            let count = self.counts.get_mut(&oldest).expect("each that is remembered is counted");
            *count -= 1;
            if *count == 0 {
                self.counts.remove(&oldest);
            }
        }
        self.orders.push_back(order);
        *self.counts.entry(order).or_default() += 1;
    }

    /// All of them, the oldest first.
    pub(crate) fn orders(&self) -> impl Iterator<Item = &Need> {
        self.orders.iter()
    }

    /// Each kind for some cards, and how often it came, the smaller needs first.
    pub(crate) fn for_cards(&self) -> impl Iterator<Item = (&Need, u32)> {
        self.counts
            .iter()
            .filter(|(order, _)| order.cards() > 0)
            .map(|(order, count)| (order, *count))
    }
}
