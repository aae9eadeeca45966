//! Spot rentals: cheaper, and told to go when somebody pays more for their machines.

use std::collections::BTreeMap;

use market::{Event, SpotRental, Stage};
use scheduler::Seat;
use units::{Credits, HOUR, ProjectId, RentalId, Timestamp};

use crate::effect::Subject;
use crate::record::OrderRecord;
use crate::refusal::Refusal;
use crate::state::{Control, Rental};

impl Control {
    /// What an hour of each node costs in such a booking.
    pub(super) fn node_hours(
        &self,
        seats: &[Seat],
        order: &OrderRecord,
        duration_bp: u16,
    ) -> Vec<Credits> {
        let node_hour = |seat: &Seat| match order.spot {
            Some(_) => self.spot_hour(seat),
            None => seat.node_hour.share_floor(duration_bp),
        };
        seats.iter().map(node_hour).collect()
    }

    /// What an hour of a seat costs as spot. A seat without cards has no spot price, and costs what it always does.
    fn spot_hour(&self, seat: &Seat) -> Credits {
        let cards = u64::from(seat.resources.gpus);
        let price = self.spot_price(seat).and_then(|price| price.checked_times(cards));
        price.unwrap_or(seat.node_hour)
    }

    fn spot_price(&self, seat: &Seat) -> Option<Credits> {
        let worker = self.workers.get(&seat.worker)?;
        (seat.resources.gpus > 0)
            .then(|| self.worker_price(worker))
            .flatten()
            .map(|it| it.spot_price)
    }

    /// Whether a spot order pays what its seats cost now: its bid, and what a node may cost at most.
    pub(super) fn is_bid_enough(&self, order: &OrderRecord, seats: &[Seat]) -> Result<(), Refusal> {
        let Some(bid) = order.spot else { return Ok(()) };
        let cards = u64::from(order.each.gpus.max(1));
        let most = order.filters.node_hour_max.map(|max| Credits::from_units(max.units() / cards));
        let bid = most.map_or(bid, |most| bid.min(most));
        let dearest = seats.iter().filter_map(|seat| self.spot_price(seat)).max();
        match dearest {
            None => {
                let why = "only rentals of cards can be spot rentals".to_owned();
                Err(Refusal::Invalid { field: "spot", why })
            }
            Some(price) if price > bid => Err(Refusal::Outbid { price, bid }),
            Some(_) => Ok(()),
        }
    }

    /// Tells spot rentals to go that the price has outgrown.
    pub(crate) fn outbid_spots(&mut self, now: Timestamp) {
        let outbid = self.rentals.values().filter(|rental| {
            let bid = rental.order.spot.filter(|_| is_settled_in(rental));
            let seats = rental.nodes.iter().map(|node| &node.seat);
            let dearest = seats.filter_map(|seat| self.spot_price(seat)).max();
            bid.is_some_and(|bid| dearest.is_some_and(|price| price > bid))
        });
        let outbid: Vec<RentalId> = outbid.map(|rental| rental.id).collect();
        for id in outbid {
            self.warn_spot(id, "its spot price rose above the bid", now);
        }
    }

    /// Wants machines of spot rentals back for an order on demand that found none: as few as serve it, lowest bid
    /// first. Each project can do so once an hour, so that nobody drives others out for nothing.
    pub(crate) fn reclaim_spots(
        &mut self,
        project: ProjectId,
        (order, cards): (&OrderRecord, u32),
        now: Timestamp,
    ) {
        if order.spot.is_some() || !self.may_reclaim_now(project, now) {
            return;
        }
        let would_serve = |rental: &&Rental| {
            is_settled_in(rental) && rental.order.spot.is_some() && rental.project != project
        };
        let spots: Vec<SpotRental> = self
            .rentals
            .values()
            .filter(would_serve)
            .filter_map(|rental| self.as_spot(rental, order))
            .collect();
        let going = market::reclaim(&spots, cards);
        if going.is_empty() {
            return;
        }
        self.warn_spots(project, going, now);
    }

    /// Whether a project may have spot rentals told to go: once an hour.
    pub(crate) fn may_reclaim_now(&self, project: ProjectId, now: Timestamp) -> bool {
        let before = self.economy.market.reclaims.get(&project);
        before.is_none_or(|at| now >= at.after(HOUR))
    }

    /// Tells spot rentals to go for a project.
    pub(crate) fn warn_spots(&mut self, project: ProjectId, going: Vec<RentalId>, now: Timestamp) {
        self.economy.market.reclaims.retain(|_, at| now < at.after(HOUR));
        self.economy.market.reclaims.insert(project, now);
        for id in going {
            self.warn_spot(id, "its machines are wanted for a rental on demand", now);
        }
    }

    /// The spot rentals that may be told to go, each with its rank: lowest bid first, newest first among equals.
    pub(crate) fn spots_by_rank(&self) -> BTreeMap<RentalId, u64> {
        let settled = self.rentals.values().filter(|rental| is_settled_in(rental));
        let spot = |rental: &Rental| {
            let Stage::Running { since, .. } = rental.stage else { return None };
            Some((rental.order.spot?, std::cmp::Reverse(since), rental.id))
        };
        let mut spots: Vec<_> = settled.filter_map(spot).collect();
        spots.sort_unstable();
        (0..).zip(spots).map(|(rank, (_, _, id))| (id, rank)).collect()
    }

    /// A spot rental as far as it holds cards that an order could use.
    fn as_spot(&self, rental: &Rental, order: &OrderRecord) -> Option<SpotRental> {
        let fits = |seat: &&Seat| {
            let worker = self.workers.get(&seat.worker);
            let model = worker.and_then(|it| self.counts_as(it).gpu_model.clone());
            let asked = order.filters.gpu_model.as_ref();
            model.is_some_and(|model| asked.is_none_or(|asked| *asked == model))
        };
        let seats = rental.nodes.iter().map(|node| &node.seat);
        let cards = seats.filter(fits).map(|seat| seat.resources.gpus).sum();
        let Stage::Running { since, .. } = rental.stage else { return None };
        Some(SpotRental { rental: rental.id, bid: rental.order.spot?, since, cards })
    }

    fn warn_spot(&mut self, id: RentalId, why: &str, now: Timestamp) {
        let until = market::leaves_at(now, &self.parameters().pricing);
        let Some(rental) = self.rentals.get_mut(&id) else { return };
        rental.wanted_back = Some(until);
        rental.reason = Some(why.to_owned());
        self.advance(id, Event::Warned { until }, now);
        self.changed(Subject::Rental(id));
    }
}

/// Whether it runs and was not told to go.
fn is_settled_in(rental: &Rental) -> bool {
    matches!(rental.stage, Stage::Running { .. }) && rental.wanted_back.is_none()
}
