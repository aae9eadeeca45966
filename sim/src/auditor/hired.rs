//! When machines served strangers, as the auditor saw it: span by span, from nodes that began and stopped.

use std::collections::BTreeMap;

use units::{Hour, Timestamp, WorkerId};

use super::Belief;

/// Spans that are over; none is forgotten while its machine is here.
#[derive(Clone, Debug, Default)]
pub(super) struct Hired {
    spans: BTreeMap<WorkerId, Vec<(Timestamp, Timestamp)>>,
}

impl Hired {
    /// A machine served a stranger from `since` until `until`.
    pub(super) fn served(&mut self, worker: WorkerId, since: Timestamp, until: Timestamp) {
        if since < until {
            self.spans.entry(worker).or_default().push((since, until));
        }
    }

    /// A machine has left.
    pub(super) fn forget(&mut self, worker: WorkerId) {
        self.spans.remove(&worker);
    }
}

impl Belief {
    /// Whether a machine served a stranger in an hour, or has begun to and goes on.
    pub(super) fn was_hired(&self, worker: WorkerId, hour: Hour) -> bool {
        let over = self.hired.spans.get(&worker).into_iter().flatten();
        let was =
            |(since, until): &(Timestamp, Timestamp)| *since < hour.end() && hour.start() < *until;
        over.clone().any(was)
            || self.rentals.values().any(|view| {
                let stranger = |owner| self.owners.get(&view.project) != Some(&owner);
                let mut serving = view.serving().filter(|node| node.worker == worker);
                serving.any(|node| {
                    stranger(node.supplier) && node.since.is_some_and(|since| since < hour.end())
                })
            })
    }
}
