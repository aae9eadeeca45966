//! Rentals that are over, and of which a record of time-lock may still take something back.
//!
//! # Invariants
//! - Only what was paid for is here, for [`REFUNDABLE_FOR`] after its end, and at most [`REFUNDABLE_MAX`] of them: the
//!   oldest are forgotten first.

use std::collections::{BTreeMap, BTreeSet};

use market::Stage;
use units::{RentalId, Timestamp};

use super::Rental;
use crate::limits::{REFUNDABLE_FOR, REFUNDABLE_MAX};

/// See the module.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Refundable {
    rentals: BTreeMap<RentalId, Rental>,
    /// When each has ended. Follows from them.
    ended: BTreeSet<(Timestamp, RentalId)>,
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
        self.ended.insert((at, rental.id));
        self.rentals.insert(rental.id, Rental { jobs: Vec::new(), due: None, ..rental });
        while self.rentals.len() > REFUNDABLE_MAX {
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
            self.rentals.remove(&id);
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
