//! Proofs that were given in a rental, at the renter's wish: what they say of its machines.

use market::Stage;
use proofs::log::Entry;
use units::{RentalId, Timestamp};

use crate::effect::Subject;
use crate::state::Control;

impl Control {
    /// A session in this rental came to its verdict. It speaks for or against a machine that serves the rental now; of
    /// any other it says nothing.
    pub(crate) fn canary_sealed(&mut self, id: RentalId, entry: &Entry, now: Timestamp) {
        let Some(rental) = self.rentals.get_mut(&id) else { return };
        let serves = rental.nodes.iter().any(|node| node.seat.worker == entry.worker);
        if !serves || !matches!(rental.stage, Stage::Running { .. }) {
            return;
        }
        rental.checked.entry(entry.worker).or_default().take(entry, now);
        self.changed(Subject::Rental(id));
    }
}
