//! What the auditor believes of spot rentals that are told to go: for a reason, the lowest bid first, and with all of
//! their notice.

use control::{Body, Command, Control, Rental};
use market::{Ending, Stage};
use units::{Credits, MINUTE, RentalId, Timestamp};

use super::Belief;
use crate::broken::{Invariant, Step, must};

impl Belief {
    /// Whether a spot rental was told to go just now, and may have been.
    pub(super) fn see_notice(&mut self, control: &Control, rental: &Rental, body: &Body) -> Step {
        let (at, id) = (self.at, rental.id);
        let Some(view) = self.rentals.get_mut(&id) else { return Ok(()) };
        let before = std::mem::replace(&mut view.wanted_back, rental.wanted_back);
        let stage = view.stage;
        if before == rental.wanted_back {
            return Ok(());
        }
        let minutes = u32::from(control.parameters().pricing.spot_notice_minutes);
        let whole = rental.wanted_back == Some(at.after(MINUTE * minutes));
        let runs = matches!(stage, Stage::Running { .. });
        let bid = rental.order.spot.unwrap_or(Credits::ZERO);
        let for_others = matches!(&body.command, Command::TurnedAway { project, .. }
            if *project != rental.project);
        let for_others =
            for_others || self.orders.reclaims_for().is_some_and(|it| it != rental.project);
        let outbid = matches!(body.command, Command::Wake {}) && self.costs_more(rental, bid);
        let told = before.is_none() && runs && rental.order.spot.is_some();
        must(told && whole && (for_others || outbid), Invariant::Notice, || {
            format!("{id} is told to go by {:?} at {at:?}: {rental:?}", body.command)
        })?;
        self.tale.told_to_go += 1;
        if for_others { self.lowest_goes_first(control, id, bid, body) } else { Ok(()) }
    }

    /// Among those that an order could use, nobody stays who bids less.
    fn lowest_goes_first(
        &self,
        control: &Control,
        gone: RentalId,
        bid: Credits,
        body: &Body,
    ) -> Step {
        let Command::TurnedAway { project, order } = &body.command else { return Ok(()) };
        let model = |rental: &Rental| {
            let of = |worker| control.counts_as(control.worker(worker)?).gpu_model.clone();
            let mut models = rental.nodes.iter().filter_map(|node| of(node.seat.worker));
            let asked = order.filters.gpu_model.as_ref();
            models.any(|model| asked.is_none_or(|asked| *asked == model))
        };
        let stays = |rental: &&Rental| {
            let runs = matches!(rental.stage, Stage::Running { .. });
            let less = rental.order.spot.is_some_and(|other| other < bid);
            runs && less && rental.wanted_back.is_none() && rental.project != *project
        };
        let lower = control.rentals().filter(stays).find(|rental| model(rental));
        must(lower.is_none(), Invariant::Notice, || {
            format!("{gone} goes with a bid of {bid}, and {lower:?} stays")
        })
    }

    /// A rental that was told to go stays until its notice is over, unless its renter ends it or its machines fail.
    pub(super) fn keeps_its_notice(&self, rental: &Rental, after: Stage, body: &Body) -> Step {
        let Some(view) = self.rentals.get(&rental.id) else { return Ok(()) };
        let Stage::Running { until, .. } = view.stage else { return Ok(()) };
        let is_over = until <= self.at;
        let agrees = match after.ending() {
            None => is_sooner(after, until, rental.wanted_back),
            // Without any notice it goes in the entry that tells it to.
            Some(Ending::Reclaimed) => {
                rental.wanted_back.is_some_and(|back| back.min(until) <= self.at)
            }
            Some(Ending::Completed) => is_over && rental.wanted_back.is_none(),
            Some(Ending::Cancelled) => matches!(body.command, Command::EndRental { .. }),
            Some(Ending::Failed) => true,
            Some(Ending::Unpaid | Ending::Lapsed) => false,
        };
        must(agrees, Invariant::Notice, || {
            format!("{} went from {:?} to {after:?} at {:?}", rental.id, view.stage, self.at)
        })
    }
}

/// Whether it stays until its machines are wanted back, and no longer than it was booked for.
fn is_sooner(after: Stage, until: Timestamp, wanted_back: Option<Timestamp>) -> bool {
    let Stage::Running { until: sooner, .. } = after else { return false };
    wanted_back.is_some_and(|wanted| sooner == wanted.min(until))
}
