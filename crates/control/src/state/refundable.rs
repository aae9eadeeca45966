//! Rentals that are over, and of which a record of time-lock may still take something back.
//!
//! # Invariants
//! - Only what was paid for is here, for [`REFUNDABLE_FOR`] after its end, and with at most
//!   [`REFUNDABLE_NODES_MAX`] nodes in all: the oldest are forgotten first.

use std::collections::{BTreeMap, BTreeSet};

use market::Stage;
use units::{RentalId, Timestamp};

use super::Rental;
use crate::limits::{REFUNDABLE_FOR, REFUNDABLE_NODES_MAX};

/// See the module.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Refundable {
    rentals: BTreeMap<RentalId, Rental>,
    /// When each has ended. Follows from them.
    ended: BTreeSet<(Timestamp, RentalId)>,
    /// How many nodes they have. Follows from them.
    nodes: usize,
}

impl Refundable {
    /// A rental is over, and known nowhere else from here on; kept if there is anything to give back.
    pub(crate) fn keep(&mut self, rental: Rental) {
        let Stage::Ended { at, .. } = rental.stage else { return };
        let is_paid = rental.paid().is_some_and(|paid| paid.charged.units > 0);
        let has_served = rental.nodes.iter().any(|node| !node.meter.served().is_zero());
        if !is_paid || !has_served {
            return;
        }
        self.insert(at, Rental { jobs: Vec::new(), due: None, ..rental });
    }

    fn insert(&mut self, at: Timestamp, rental: Rental) {
        self.ended.insert((at, rental.id));
        self.nodes = self.nodes.saturating_add(rental.nodes.len());
        if let Some(before) = self.rentals.insert(rental.id, rental) {
            self.nodes = self.nodes.saturating_sub(before.nodes.len());
        }
        while self.nodes > REFUNDABLE_NODES_MAX {
            self.forget_oldest();
        }
    }

    /// Forgets what is too long over.
    pub(crate) fn forget_before(&mut self, now: Timestamp) {
        while self.ended.first().is_some_and(|(at, _)| at.after(REFUNDABLE_FOR) <= now) {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        if let Some((_, id)) = self.ended.pop_first() {
            let nodes = self.rentals.remove(&id).map_or(0, |rental| rental.nodes.len());
            self.nodes = self.nodes.saturating_sub(nodes);
        }
    }

    pub(crate) fn get(&self, id: RentalId) -> Option<&Rental> {
        self.rentals.get(&id)
    }

    pub(crate) fn get_mut(&mut self, id: RentalId) -> Option<&mut Rental> {
        self.rentals.get_mut(&id)
    }

    /// All of them.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Rental> {
        self.rentals.values()
    }
}

#[cfg(test)]
mod tests {
    use market::{Currency, DurationType, Ending, Terms, WorkedRules};
    use scheduler::{GpuSet, Seat};
    use units::{AccountId, Credits, ProjectId, Resources, WorkerId};

    use super::*;
    use crate::record::{FiltersRecord, OrderRecord};
    use crate::state::Node;

    fn ended(id: u128, at: Timestamp, nodes: usize) -> Rental {
        let each = Resources { gpus: 0, vcpus: 1, memory_mib: 1_024, disk_mib: 1_024 };
        let (gpus, node_hour) = (GpuSet::default(), Credits::ZERO);
        let worker = WorkerId::from_bits(1);
        let seat = Seat { worker, gpus, resources: each, node_hour, tenant: None, alone: false };
        let worked = WorkedRules::default();
        let node = Node::new(seat, AccountId::from_bits(1), &worked);
        let terms = Terms {
            hours: 1,
            node_hours: vec![node_hour; nodes],
            renter_fee_bp: 0,
            facilitation_bp: 0,
            supplier_fee_bp: 0,
            payout_bp: 0,
            minimum_minutes: 0,
            currency: Currency::Usd,
            duration: DurationType::Hourly,
            duration_bp: 10_000,
            worked,
        };
        let filters = FiltersRecord::default();
        let order = OrderRecord { nodes: 1, each, filters, pack: true, ..OrderRecord::default() };
        let ids = (RentalId::from_bits(id), ProjectId::from_bits(1));
        let quoted = Rental::quoted(ids, (order, terms), vec![node; nodes], (at, at));
        Rental { stage: Stage::Ended { at, why: Ending::Completed }, ..quoted }
    }

    #[test]
    fn the_oldest_are_forgotten_once_there_are_too_many_nodes() {
        let at = |hour: u64| Timestamp::from_millis(hour * 3_600_000);
        let mut refundable = Refundable::default();
        let mut keep = |id: u128, hour, nodes| {
            refundable.insert(at(hour), ended(id, at(hour), nodes));
            let ids: Vec<u128> = refundable.all().map(|rental| rental.id.bits()).collect();
            (ids, refundable.nodes)
        };
        let most = REFUNDABLE_NODES_MAX;
        assert_eq!(keep(1, 2, most / 2), (vec![1], most / 2));
        assert_eq!(keep(2, 1, 1), (vec![1, 2], most / 2 + 1));
        assert_eq!(keep(2, 1, 1), (vec![1, 2], most / 2 + 1), "again");
        assert_eq!(keep(3, 3, most / 2), (vec![1, 3], most), "the oldest goes");
        assert_eq!(keep(4, 4, 1), (vec![3, 4], most / 2 + 1));
        refundable.forget_before(at(3).after(REFUNDABLE_FOR));
        assert_eq!((refundable.get(RentalId::from_bits(3)), refundable.nodes), (None, 1));
    }
}
