//! One pass over the orders that wait: who starts, for whom room is kept, and what everybody else is told.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use market::{CLEARING_MAX, DEPLOYING_MAX, PAYMENT_MAX, Stage};
use scheduler::Seat;
use scheduler::queue::{Amounts, Kept, Market, Pass, Plan, Rules, Running, Verdict, Waiting, plan};
use units::{HOUR, MINUTE, OrderId, ProjectId, RentalId, Timestamp};

use crate::limits::ORDERS_TRIED_AT_LEAST_EVERY;
use crate::state::{Control, KeptRoom, Obstacle, QueuedOrder, QueuedStage, Rental};

/// Ends of what runs that a pass is told: those that come soonest. The brain looks at no more.
const ENDS_MAX: usize = scheduler::queue::limits::ENDS_LOOKED_AT_MAX;

/// What runs: its rental, and what a pass is told of it.
type Runs = (RentalId, Running<Vec<Seat>>);

/// How long a rental of so many hours has its machines at most.
pub(super) fn lasts(hours: u32) -> Duration {
    PAYMENT_MAX.saturating_add(DEPLOYING_MAX) + HOUR * hours + CLEARING_MAX
}

impl Control {
    /// Everybody who waits is tried, as far as anything has changed for them.
    pub(super) fn try_orders(&mut self, now: Timestamp) {
        let is_whole = self.queue.begin_to_try(now, ORDERS_TRIED_AT_LEAST_EVERY);
        if is_whole {
            self.queue.whole = self.all_there_is();
        }
        let waiting = self.to_be_tried(is_whole);
        let has = self.what_they_have(&waiting);
        let mut runs = self.running(now);
        let mut plan = self.plan(&waiting, &has, &runs, now);
        if plan.kept.as_ref().is_some_and(|kept| !self.may_reclaim(kept, &runs, now)) {
            runs.iter_mut().for_each(|(_, running)| running.reclaim = None);
            plan = self.plan(&waiting, &has, &runs, now);
        }
        self.carry_out(plan, &runs, now);
    }

    /// The orders that a pass looks at. What money or machines that may come stand in the way of is left out until
    /// they can have come.
    fn to_be_tried(&self, is_whole: bool) -> Vec<Waiting<OrderId, scheduler::Order>> {
        let rules = &self.parameters().queue;
        let may_have_changed = |order: &QueuedOrder| match &order.stage {
            QueuedStage::Waiting { obstacle } => match obstacle {
                Obstacle::Money { wanted, .. } => {
                    self.available_to(order.project, wanted.asset).units >= wanted.units
                }
                Obstacle::NoRoom | Obstacle::Refused { .. } => false,
                Obstacle::Untried
                | Obstacle::First
                | Obstacle::Reclaiming { .. }
                | Obstacle::Behind { .. }
                | Obstacle::Many => true,
            },
            QueuedStage::Served { .. } | QueuedStage::Lapsed { .. } | QueuedStage::Left { .. } => {
                false
            }
        };
        let as_waiting = |order: &QueuedOrder| Waiting {
            id: order.id,
            tenant: order.project,
            weight: rules.weight(order.project),
            ask: self.asked_for(&order.booking()),
            lasts: lasts(order.hours),
            is_spot: order.order.spot.is_some(),
            since: order.since,
            deadline: order.until,
        };
        let is_tried = |order: &&QueuedOrder| is_whole || may_have_changed(order);
        self.queue.waiting().filter(is_tried).map(as_waiting).collect()
    }

    /// What the projects that wait have already.
    fn what_they_have(
        &self,
        waiting: &[Waiting<OrderId, scheduler::Order>],
    ) -> BTreeMap<ProjectId, Amounts> {
        let tenants: BTreeSet<ProjectId> = waiting.iter().map(|order| order.tenant).collect();
        let has = |tenant: &ProjectId| {
            let rentals = self.projects.get(tenant).into_iter().flat_map(|it| &it.rentals);
            let rentals = rentals.filter_map(|id| self.rentals.get(id));
            let seats = rentals.flat_map(seats_of);
            seats.fold(Amounts::default(), |sum, seat| sum.plus(seat.resources.into()))
        };
        tenants.iter().map(|tenant| (*tenant, has(tenant))).collect()
    }

    /// All that machines on offer have.
    fn all_there_is(&self) -> Amounts {
        let open = self.workers.values().filter(|worker| worker.is_open());
        open.fold(Amounts::default(), |sum, worker| sum.plus(worker.machine.offers.into()))
    }

    /// What runs and ends soonest, and every spot rental that may be told to go.
    fn running(&self, now: Timestamp) -> Vec<Runs> {
        let holds = self.rentals.values().filter(|rental| rental.stage.holds_seats());
        let mut ends: Vec<(Timestamp, RentalId)> =
            holds.map(|rental| (ends_at(rental).max(now), rental.id)).collect();
        ends.sort_unstable();
        let ranks = self.spots_by_rank();
        let looked_at = (0..).zip(ends);
        let looked_at = looked_at.filter(|(at, (_, id))| *at < ENDS_MAX || ranks.contains_key(id));
        let told = |(_, (ends, id)): (usize, (Timestamp, RentalId))| {
            let seats = seats_of(self.rentals.get(&id)?).cloned().collect();
            Some((id, Running { seats, ends, reclaim: ranks.get(&id).copied() }))
        };
        looked_at.filter_map(told).collect()
    }

    fn plan(
        &mut self,
        waiting: &[Waiting<OrderId, scheduler::Order>],
        has: &BTreeMap<ProjectId, Amounts>,
        runs: &[Runs],
        now: Timestamp,
    ) -> Plan<OrderId, Vec<Seat>> {
        let parameters = self.shared_parameters();
        let rules = Rules {
            patience: HOUR * parameters.queue.patience_hours,
            notice: MINUTE * u32::from(parameters.pricing.spot_notice_minutes) + CLEARING_MAX,
        };
        let running: Vec<Running<Vec<Seat>>> =
            runs.iter().map(|(_, running)| running.clone()).collect();
        let promised = self.queue.kept().map(|kept| kept.order);
        let whole = self.queue.whole;
        let pass = Pass { waiting, promised, running: &running, has, whole, now };
        plan(&mut Market(&mut self.inventory), &pass, &rules)
    }

    /// Whether spot rentals may be told to go as a plan wants: once for each order, once an hour for each project, and
    /// never one's own.
    fn may_reclaim(&self, kept: &Kept<OrderId, Vec<Seat>>, runs: &[Runs], now: Timestamp) -> bool {
        if kept.reclaim.is_empty() {
            return true;
        }
        let Some(order) = self.queue.order(kept.id) else { return false };
        let is_own = |place: &usize| {
            let rental = runs.get(*place).and_then(|(id, _)| self.rentals.get(id));
            rental.is_none_or(|rental| rental.project == order.project)
        };
        !order.has_reclaimed
            && self.may_reclaim_now(order.project, now)
            && !kept.reclaim.iter().any(is_own)
            && kept.seats.as_ref().is_some_and(|seats| self.could_pay(order, seats, now).is_ok())
    }

    fn carry_out(&mut self, plan: Plan<OrderId, Vec<Seat>>, runs: &[Runs], now: Timestamp) {
        let Plan { decisions, kept } = plan;
        let mut place = 0;
        for decision in decisions {
            match decision.verdict {
                Verdict::Start { seats, turn: _ } => self.start(decision.id, seats, now),
                Verdict::Wait { earliest, why } => {
                    let obstacle = Obstacle::from(why);
                    // Who finds no room whatever ends is in nobody's way.
                    let is_in_line = obstacle != Obstacle::NoRoom;
                    place += u32::from(is_in_line);
                    self.queue.told(decision.id, is_in_line.then_some(place), earliest);
                    self.waits_on(decision.id, obstacle);
                }
                // The clock has seen to that.
                Verdict::Lapse => {}
            }
        }
        self.queue.keep(None);
        if let Some(kept) = kept {
            self.keep_room(kept, runs, now);
        }
    }

    fn start(&mut self, id: OrderId, seats: Vec<Seat>, now: Timestamp) {
        let Some(queued) = self.queue.order(id).cloned() else { return };
        match self.serve(&queued, seats, now) {
            Ok(()) => self.order_stands(id, QueuedStage::Served { at: now }),
            Err(obstacle) => {
                self.queue.told(id, None, None);
                self.waits_on(id, obstacle);
                // Others may have what it would have got.
                self.queue.stir();
            }
        }
    }

    fn waits_on(&mut self, id: OrderId, obstacle: Obstacle) {
        if self.queue.order(id).is_some_and(QueuedOrder::waits) {
            self.order_stands(id, QueuedStage::Waiting { obstacle });
        }
    }

    /// Room is kept for the first order that does not fit, if it could pay for it.
    fn keep_room(&mut self, kept: Kept<OrderId, Vec<Seat>>, runs: &[Runs], now: Timestamp) {
        let Kept { id, from, seats, reclaim } = kept;
        let Some(queued) = self.queue.order(id).cloned() else { return };
        if let Some(Err(obstacle)) =
            seats.as_ref().map(|seats| self.could_pay(&queued, seats, now).map(drop))
        {
            self.queue.told(id, None, None);
            self.waits_on(id, obstacle);
            self.queue.stir();
            return;
        }
        self.queue.keep(Some(KeptRoom { order: id, from, seats: seats.unwrap_or_default() }));
        if reclaim.is_empty() {
            return;
        }
        self.queue.has_reclaimed(id);
        let going: Vec<RentalId> =
            reclaim.iter().filter_map(|place| runs.get(*place)).map(|(id, _)| *id).collect();
        self.warn_spots(queued.project, going, now);
    }
}

/// The seats that a rental has, as far as they were not given back.
fn seats_of(rental: &Rental) -> impl Iterator<Item = &Seat> {
    let holds = rental.stage.holds_seats();
    let nodes = rental.nodes.iter().filter(move |node| holds && !node.cleared);
    nodes.map(|node| &node.seat)
}

/// When a rental's machines are free again at the latest, unless it is extended.
fn ends_at(rental: &Rental) -> Timestamp {
    let booked = rental.terms.booked();
    match rental.stage {
        Stage::AwaitingPayment { until } => until.after(DEPLOYING_MAX + booked + CLEARING_MAX),
        Stage::Deploying { until } => until.after(booked + CLEARING_MAX),
        Stage::Running { until, .. } => until.after(CLEARING_MAX),
        Stage::Quoted { until } | Stage::Ending { until, .. } => until,
        Stage::Ended { at, .. } => at,
    }
}
