//! Orders that wait: they come, are tried whenever something could serve them, and become rentals, lapse or are left.
//!
//! An order is served exactly as a renter who asks for a quote and takes it in the same moment: at the price of that
//! moment, and at most what it may cost. What stands in its way otherwise is noted, and it waits on.

use ledger::Holder;
use stakes::votes::Switch;
use units::{Name, OrderId, Timestamp};

use super::Standing;
use super::job::hide;
use super::rental::Booking;
use crate::effect::Subject;
use crate::limits::{
    ORDER_WAITS_MAX, ORDERS_TRIED_AT_ONCE, ORDERS_WAITING_MAX, ORDERS_WAITING_OF_PROJECT_MAX,
};
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
        if self.queue.try_at().is_some_and(|at| at <= now) {
            self.try_orders(now);
        }
    }

    fn try_orders(&mut self, now: Timestamp) {
        self.queue.begin_to_try(now);
        if self.is_braked(Switch::NewRentals, now) {
            return;
        }
        let turn = self.queue.turn();
        let after = self.queue.waiting().filter(|order| order.arrival > turn);
        let mut next: Vec<(u64, OrderId)> =
            after.take(ORDERS_TRIED_AT_ONCE + 1).map(|order| (order.arrival, order.id)).collect();
        let has_more = next.len() > ORDERS_TRIED_AT_ONCE;
        next.truncate(ORDERS_TRIED_AT_ONCE);
        let last = next.last().map(|(arrival, _)| *arrival);
        for (_, id) in next {
            self.try_order(id, now);
        }
        self.queue.go_on_after(last.filter(|_| has_more));
    }

    fn try_order(&mut self, id: OrderId, now: Timestamp) {
        let Some(queued) = self.queue.order(id).cloned() else { return };
        let obstacle = match self.serve(&queued, now) {
            Ok(()) => return self.order_stands(id, QueuedStage::Served { at: now }),
            Err(obstacle) => obstacle,
        };
        let may_reclaim = obstacle == Obstacle::Machines && !queued.has_reclaimed;
        if may_reclaim && self.reclaim_for(queued.project, &queued.order, now) {
            self.queue.has_reclaimed(id);
        }
        self.order_stands(id, QueuedStage::Waiting { obstacle });
    }

    /// Rents for an order what is there for it, or says what is in the way.
    fn serve(&mut self, queued: &QueuedOrder, now: Timestamp) -> Result<(), Obstacle> {
        let (id, booking) = (queued.rental(), queued.booking());
        if self.inventory.find(&self.asked_for(&booking)).is_none() {
            return Err(Obstacle::Machines);
        }
        let refused = |refusal: Refusal| Obstacle::Refused { why: refusal.to_string() };
        let (placement, terms) = self.offered(&booking, now).map_err(refused)?;
        let wanted = terms.held().map_err(|_| refused(Refusal::TooMuch))?;
        let available = self.available(Holder::Project(queued.project), wanted.asset);
        if available.units < wanted.units {
            return Err(refused(Refusal::Insufficient { available, wanted }));
        }
        let seats = placement.seats;
        self.inventory.take(&seats).expect("what was just placed is free");
        let times = (now, now.after(market::QUOTE_VALID));
        let told = (booking.order, terms.clone());
        let rental = Rental::quoted((id, queued.project), told, Vec::new(), times);
        self.rentals.insert(id, rental);
        if let Some(known) = self.projects.get_mut(&queued.project) {
            known.rentals.insert(id);
        }
        self.occupy(id, queued.name.clone(), (seats, terms), now);
        Ok(())
    }

    fn order_stands(&mut self, id: OrderId, stage: QueuedStage) {
        if self.queue.set_stage(id, stage) {
            self.changed(Subject::Order(id));
        }
    }
}
