//! Orders that wait: they come, are tried whenever something could serve them, and become rentals, lapse or are left.
//!
//! An order is served exactly as a renter who asks for a quote and takes it in the same moment: at the price of that
//! moment, and at most what it may cost. What stands in its way otherwise is noted, and it waits on.

mod pass;

use market::Terms;
use scheduler::queue::{Market, Room};
use scheduler::{Placement, Seat};
use stakes::votes::Switch;
use units::{Name, OrderId, Timestamp};

use super::Standing;
use super::job::hide;
use super::rental::Booking;
use crate::effect::Subject;
use crate::limits::{ORDER_WAITS_MAX, ORDERS_WAITING_MAX, ORDERS_WAITING_OF_PROJECT_MAX};
use crate::record::Actor;
use crate::refusal::{Noun, Refusal};
use crate::state::{Control, Obstacle, QueuedOrder, QueuedStage, Rental, Reply};

impl Control {
    pub(crate) fn wait(
        &mut self,
        by: Actor,
        id: OrderId,
        booking: Booking,
        (name, until): (Name, Timestamp),
        now: Timestamp,
    ) -> Result<Reply, Refusal> {
        self.only_in_project(by, booking.project, Standing::Member)?;
        let Booking { project, order, hours, pay } = booking;
        let queued = QueuedOrder {
            id,
            project,
            order,
            hours,
            pay,
            name,
            since: now,
            arrival: self.head.seq + 1,
            until,
            stage: QueuedStage::Waiting { obstacle: Obstacle::Untried },
            has_reclaimed: false,
            place: None,
            earliest: None,
        };
        if self.queue.order(id).is_some() || self.rentals.contains_key(&queued.rental()) {
            return Err(Refusal::Exists(Noun::Order));
        }
        self.could_be_served(&queued, now)?;
        if self.queue.waiting_of(project) >= ORDERS_WAITING_OF_PROJECT_MAX {
            let max = ORDERS_WAITING_OF_PROJECT_MAX;
            return Err(Refusal::TooMany { what: "waiting orders of a project", max });
        }
        if self.queue.waiting_len() >= ORDERS_WAITING_MAX {
            return Err(Refusal::TooMany { what: "waiting orders", max: ORDERS_WAITING_MAX });
        }
        self.queue.push(queued);
        self.changed(Subject::Order(id));
        Ok(Reply::Order(id))
    }

    /// Refuses what no wait would help.
    fn could_be_served(&self, queued: &QueuedOrder, now: Timestamp) -> Result<(), Refusal> {
        self.knows_rentals(queued.project, &queued.order)?;
        let invalid = |field, why: String| Err(Refusal::Invalid { field, why });
        if queued.hours == 0 || queued.hours > market::BOOKED_HOURS_MAX {
            return invalid("hours", format!("from 1 to {} hours", market::BOOKED_HOURS_MAX));
        }
        if queued.until <= now || queued.until > now.after(ORDER_WAITS_MAX) {
            let days = ORDER_WAITS_MAX.as_secs() / (24 * 3600);
            return invalid("until", format!("a moment of the next {days} days"));
        }
        if queued.order.spot.is_some() && queued.order.each.gpus == 0 {
            return invalid("spot", "only rentals of cards can be spot rentals".to_owned());
        }
        use scheduler::Refusal as R;
        match self.inventory.place(&self.asked_for(&queued.booking())) {
            Ok(_) | Err(R::NoCapacity(_)) => Ok(()),
            Err(refusal @ (R::NothingAsked | R::TooManyNodes { .. })) => {
                Err(Refusal::NoOffer(refusal))
            }
        }
    }

    pub(crate) fn leave(
        &mut self,
        by: Actor,
        id: OrderId,
        now: Timestamp,
    ) -> Result<Reply, Refusal> {
        let queued = self.queue.order(id).ok_or(Refusal::NotFound(Noun::Order))?;
        self.only_in_project(by, queued.project, Standing::Member)
            .map_err(|refusal| hide(refusal, Noun::Order))?;
        match queued.stage {
            // Leaving what waits no longer is what was asked for.
            QueuedStage::Left { .. } | QueuedStage::Lapsed { .. } => {}
            QueuedStage::Served { .. } => return Err(Refusal::Used(Noun::Order)),
            QueuedStage::Waiting { .. } => self.order_stands(id, QueuedStage::Left { at: now }),
        }
        Ok(Reply::Order(id))
    }

    /// Orders whose time is over lapse; the others are tried, if it is time for that.
    pub(crate) fn wake_queue(&mut self, now: Timestamp) {
        while let Some(id) = self.queue.next_due(now) {
            match self.queue.order(id).is_some_and(QueuedOrder::waits) {
                true => self.order_stands(id, QueuedStage::Lapsed { at: now }),
                false => self.queue.forget(id),
            }
        }
        if self.orders_due().is_some_and(|at| at <= now) {
            self.try_orders(now);
        }
    }

    /// When orders are tried next: while new rentals are stopped not before the brake is off.
    pub(crate) fn orders_due(&self) -> Option<Timestamp> {
        let due = self.queue.try_at()?;
        let brake = self.economy.votes.brake_on(self.head().at);
        let brake = brake.filter(|brake| brake.what.contains(&Switch::NewRentals));
        Some(brake.map_or(due, |brake| due.max(brake.until)))
    }

    /// Rents these seats for an order, or says what is in the way.
    fn serve(
        &mut self,
        queued: &QueuedOrder,
        seats: Vec<Seat>,
        now: Timestamp,
    ) -> Result<(), Obstacle> {
        let terms = self.could_pay(queued, &seats, now)?;
        let taken = self.inventory.take(&seats);
        taken.map_err(|taken| Obstacle::Refused { why: taken.to_string() })?;
        let id = queued.rental();
        let times = (now, now.after(market::QUOTE_VALID));
        let told = (queued.order.clone(), terms.clone());
        let rental = Rental::quoted((id, queued.project), told, Vec::new(), times);
        self.rentals.insert(id, rental);
        if let Some(known) = self.projects.get_mut(&queued.project) {
            known.rentals.insert(id);
        }
        self.occupy(id, queued.name.clone(), (seats, terms), now);
        Ok(())
    }

    /// The terms on which an order would get these seats now, if it can have them.
    fn could_pay(
        &self,
        queued: &QueuedOrder,
        seats: &[Seat],
        now: Timestamp,
    ) -> Result<Terms, Obstacle> {
        let refused = |refusal: Refusal| Obstacle::Refused { why: refusal.to_string() };
        let terms = self.terms_for(&queued.booking(), seats, now).map_err(refused)?;
        let wanted = terms.held().map_err(|_| refused(Refusal::TooMuch))?;
        let available = self.available_to(queued.project, wanted.asset);
        match available.units < wanted.units {
            true => Err(Obstacle::Money { available, wanted }),
            false => Ok(terms),
        }
    }

    fn order_stands(&mut self, id: OrderId, stage: QueuedStage) {
        if self.queue.set_stage(id, stage) {
            self.changed(Subject::Order(id));
        }
    }

    /// The seats and terms of a booking, as long as it takes nothing that is kept for an order that waited longer.
    pub(super) fn offered_to_others(
        &mut self,
        booking: &Booking,
        now: Timestamp,
    ) -> Result<(Placement, Terms), Refusal> {
        let held = self.hold_kept(booking.hours, now);
        let offered = self.offered(booking, now);
        let was_held = !held.is_empty();
        self.release_kept(&held);
        match offered {
            Err(Refusal::NoOffer(_)) if was_held => Err(self.reserved_or_none(booking)),
            offered => offered,
        }
    }

    /// Takes of the room that is kept what is free, for the time of a question: whoever is gone before that room is
    /// needed may have it.
    pub(super) fn hold_kept(&mut self, hours: u32, now: Timestamp) -> Vec<Seat> {
        let Some(kept) = self.queue.kept() else { return Vec::new() };
        if now.after(pass::lasts(hours)) <= kept.from {
            return Vec::new();
        }
        let seats = kept.seats.clone();
        Market(&mut self.inventory).hold(&seats)
    }

    pub(super) fn release_kept(&mut self, held: &[Seat]) {
        held.iter().for_each(|seat| self.inventory.give_back(seat));
    }

    /// Why a booking found nothing beside what is kept.
    pub(super) fn reserved_or_none(&self, booking: &Booking) -> Refusal {
        match self.inventory.place(&self.asked_for(booking)) {
            Ok(_) => Refusal::Reserved,
            Err(refusal) => Refusal::NoOffer(refusal),
        }
    }
}
