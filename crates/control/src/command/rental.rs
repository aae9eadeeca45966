//! Rentals: quoted, taken, paid, ended, settled.

mod alternatives;
mod canaries;
mod nodes;
mod settle;
mod spot;

pub use alternatives::AlternativeOrder;
pub(crate) use nodes::{Sight, Stop, node_at, node_mut};

use ledger::Holder;
use market::{
    Currency, DurationType, Ending, Event, QUOTE_VALID, Stage, StageRefusal, Terms, WorkedRules,
};
use scheduler::{Filters, Order, Placement, Seat, Spread};
use units::{Asset, Credits, HOUR, Money, Name, ProjectId, RentalId, Tier, Timestamp};

use super::Standing;
use super::job::hide;
use crate::effect::Subject;
use crate::limits::{AWAY_FROM_MAX, RENTALS_OPEN_MAX};
use crate::record::{Actor, OrderRecord};
use crate::refusal::{Noun, Refusal};
use crate::state::{Control, Node, Project, Rental, Reply};

const WHOLE_BP: u128 = 10_000;

/// What a renter wants a price for.
pub(crate) struct Booking {
    /// Who would pay.
    pub(crate) project: ProjectId,
    /// What for.
    pub(crate) order: OrderRecord,
    /// For how many hours.
    pub(crate) hours: u32,
    /// What it would be paid in.
    pub(crate) pay: Asset,
}

impl Control {
    pub(crate) fn quote(
        &mut self,
        by: Actor,
        id: RentalId,
        booking: Booking,
        now: Timestamp,
    ) -> Result<Reply, Refusal> {
        let project = booking.project;
        self.only_in_project(by, project, Standing::Member)?;
        self.knows_rentals(project, &booking.order)?;
        if self.rentals.contains_key(&id) {
            return Err(Refusal::Exists(Noun::Quote));
        }
        let (placement, terms) = self.offered_to_others(&booking, now)?;
        let asked = self.asked_for(&booking);
        self.inventory.learn(&asked);
        let nodes = self.nodes(placement, &terms.worked);
        let times = (now, now.after(QUOTE_VALID));
        let rental = Rental::quoted((id, project), (booking.order, terms), nodes, times);
        self.rentals.insert(id, rental);
        if let Some(known) = self.projects.get_mut(&project) {
            known.rentals.insert(id);
        }
        self.schedule(id);
        self.changed(Subject::Rental(id));
        Ok(Reply::Rental(id))
    }

    /// The seats that such a booking would get now, and its terms.
    pub(crate) fn offered(
        &self,
        booking: &Booking,
        now: Timestamp,
    ) -> Result<(Placement, Terms), Refusal> {
        self.could_be_booked(booking, now)?;
        let wanted = self.asked_for(booking);
        let placement = self.inventory.place(&wanted).map_err(Refusal::NoOffer)?;
        let terms = self.terms_for(booking, &placement.seats, now)?;
        Ok((placement, terms))
    }

    /// What a booking is refused for whatever machines there are. Returns what it would be paid in.
    fn could_be_booked(&self, booking: &Booking, now: Timestamp) -> Result<Currency, Refusal> {
        let Booking { project, order: _, hours, pay } = booking;
        let (hours, pay) = (*hours, *pay);
        if hours == 0 || hours > market::BOOKED_HOURS_MAX {
            let why = format!("from 1 to {} hours", market::BOOKED_HOURS_MAX);
            return Err(Refusal::Invalid { field: "hours", why });
        }
        let open = self.projects.get(project).map_or(0, |known| self.open_rentals(known));
        if open >= RENTALS_OPEN_MAX {
            return Err(Refusal::TooMany { what: "quotes and rentals", max: RENTALS_OPEN_MAX });
        }
        self.currency(pay, now)
    }

    /// The terms on which a booking gets these seats.
    pub(crate) fn terms_for(
        &self,
        booking: &Booking,
        seats: &[Seat],
        now: Timestamp,
    ) -> Result<Terms, Refusal> {
        let currency = self.could_be_booked(booking, now)?;
        self.is_bid_enough(&booking.order, seats)?;
        let terms = self.terms(seats, &booking.order, booking.hours, currency);
        terms.held().map_err(|_| Refusal::TooMuch)?;
        Ok(terms)
    }

    /// A booking's order as the matcher takes it.
    pub(crate) fn asked_for(&self, booking: &Booking) -> Order {
        let duration_bp = self.duration_bp(&booking.order, booking.hours);
        self.asked_at(booking.project, &booking.order, duration_bp)
    }

    fn open_rentals(&self, project: &Project) -> usize {
        let known = project.rentals.iter().filter_map(|id| self.rentals.get(id));
        known.filter(|rental| !matches!(rental.stage, Stage::Ended { .. })).count()
    }

    pub(crate) fn rent(
        &mut self,
        by: Actor,
        id: RentalId,
        name: Name,
        may_wait: bool,
        now: Timestamp,
    ) -> Result<Reply, Refusal> {
        let rental = self.rentals.get(&id).ok_or(Refusal::NotFound(Noun::Quote))?;
        self.only_in_project(by, rental.project, Standing::Member)
            .map_err(|refusal| hide(refusal, Noun::Quote))?;
        match rental.stage {
            Stage::Quoted { until } if now < until => {}
            Stage::Quoted { .. } | Stage::Ended { why: Ending::Lapsed, .. } => {
                return Err(Refusal::Expired(Noun::Quote));
            }
            Stage::AwaitingPayment { .. }
            | Stage::Deploying { .. }
            | Stage::Running { .. }
            | Stage::Ending { .. }
            | Stage::Ended { .. } => return Err(Refusal::Used(Noun::Quote)),
        }
        let wanted = rental.terms.held().map_err(|_| Refusal::TooMuch)?;
        let available = self.available(Holder::Project(rental.project), wanted.asset);
        if available.units < wanted.units && !may_wait {
            return Err(Refusal::Insufficient { available, wanted });
        }
        let taken = self.take_as_promised(id, now)?;
        self.occupy(id, name, taken, now);
        Ok(Reply::Rental(id))
    }

    /// A rental that was quoted gets seats that were just taken for it, on these terms, and is paid if it can be.
    pub(crate) fn occupy(
        &mut self,
        id: RentalId,
        name: Name,
        (seats, terms): (Vec<Seat>, Terms),
        now: Timestamp,
    ) {
        let nodes = self.nodes(Placement { seats }, &terms.worked);
        for (index, node) in (0_u32..).zip(&nodes) {
            if let Some(worker) = self.workers.get_mut(&node.seat.worker) {
                worker.nodes.insert((id, index));
            }
        }
        let machines: Vec<_> = nodes.iter().map(|node| node.seat.worker).collect();
        let has_mesh = self.can_mesh(&machines);
        if let Some(rental) = self.rentals.get_mut(&id) {
            rental.nodes = nodes;
            rental.has_mesh = has_mesh;
            rental.terms = terms;
            rental.name = Some(name);
        }
        self.changed_seats(id);
        self.advance(id, Event::Accepted, now);
        self.pay_if_waiting(id, now);
    }

    /// Takes the quoted seats; when somebody else took one of them, or its machine is another one now, others that
    /// cost no more in all.
    fn take_as_promised(
        &mut self,
        id: RentalId,
        now: Timestamp,
    ) -> Result<(Vec<Seat>, Terms), Refusal> {
        let rental = self.known_rental(id)?;
        let quoted: Vec<Seat> = rental.nodes.iter().map(|node| node.seat.clone()).collect();
        let (mut terms, record) = (rental.terms.clone(), rental.order.clone());
        let are_as_quoted = self.are_as_quoted(rental);
        let booking = Booking {
            project: rental.project,
            order: record.clone(),
            hours: terms.hours,
            pay: terms.currency.asset(),
        };
        let held = self.hold_kept(terms.hours, now);
        let was_held = !held.is_empty();
        let is_taken = are_as_quoted && self.inventory.take(&quoted).is_ok();
        let order = self.asked_at(booking.project, &record, terms.duration_bp);
        let placed = if is_taken { None } else { Some(self.inventory.place(&order)) };
        self.release_kept(&held);
        let Some(placed) = placed else { return Ok((quoted, terms)) };
        let seats = placed.map_err(|refusal| match was_held {
            true => self.reserved_or_none(&booking),
            false => Refusal::NoOffer(refusal),
        });
        let seats = seats?.seats;
        let promised = terms.hourly();
        self.is_bid_enough(&record, &seats)?;
        terms.node_hours = self.node_hours(&seats, &record, terms.duration_bp);
        match (promised, terms.hourly()) {
            (Ok(promised), Ok(found)) if found <= promised => {}
            (_, _) => return Err(Refusal::Expired(Noun::Quote)),
        }
        self.inventory.take(&seats).expect("what was just placed is free");
        Ok((seats, terms))
    }

    /// Whether every machine of a quote has been what it is since before the quote.
    fn are_as_quoted(&self, rental: &Rental) -> bool {
        let as_quoted = |node: &Node| {
            let worker = self.workers.get(&node.seat.worker);
            worker.is_some_and(|worker| worker.described < rental.quoted_at)
        };
        rental.nodes.iter().all(as_quoted)
    }

    pub(crate) fn end_rental(
        &mut self,
        by: Actor,
        id: RentalId,
        now: Timestamp,
    ) -> Result<Reply, Refusal> {
        let rental = self.known_rental(id)?;
        self.only_in_project(by, rental.project, Standing::Member)
            .map_err(|refusal| hide(refusal, Noun::Rental))?;
        match rental.stage {
            // Ending what ends already is what was asked for.
            Stage::Ending { .. } | Stage::Ended { .. } => {}
            Stage::Quoted { .. } => return Err(Refusal::NotFound(Noun::Rental)),
            Stage::AwaitingPayment { .. } | Stage::Deploying { .. } | Stage::Running { .. } => {
                self.advance(id, Event::Cancelled, now);
            }
        }
        Ok(Reply::Rental(id))
    }

    /// Books more hours of a rental that runs, at the price it was quoted; the money is held at once.
    pub(crate) fn extend(
        &mut self,
        by: Actor,
        id: RentalId,
        hours: u32,
        now: Timestamp,
    ) -> Result<Reply, Refusal> {
        let rental = self.known_rental(id)?;
        self.only_in_project(by, rental.project, Standing::Member)
            .map_err(|refusal| hide(refusal, Noun::Rental))?;
        let Stage::Running { until, .. } = rental.stage else {
            return Err(StageRefusal { stage: rental.stage.text() }.into());
        };
        if rental.wanted_back.is_some() {
            return Err(StageRefusal { stage: "wanted back" }.into());
        }
        // Its time may be over before the clock has said so.
        if now >= until {
            return Err(StageRefusal { stage: "over" }.into());
        }
        let all = rental.terms.hours.saturating_add(hours);
        if hours == 0 || all > market::BOOKED_HOURS_MAX {
            let why = format!("from 1 hour to {} in all", market::BOOKED_HOURS_MAX);
            return Err(Refusal::Invalid { field: "hours", why });
        }
        self.still_worth(rental.terms.currency, now)?;
        let terms = Terms { hours: all, ..rental.terms.clone() };
        let held = |terms: &Terms| terms.held().map_err(|_| Refusal::TooMuch);
        let (before, after) = (held(&rental.terms)?, held(&terms)?);
        self.hold_for(id, Money::new(after.asset, after.units - before.units))?;
        if let Some(rental) = self.rentals.get_mut(&id) {
            rental.terms = terms;
        }
        self.advance(id, Event::Extended { until: until.after(HOUR * hours) }, now);
        Ok(Reply::Rental(id))
    }

    /// What a longer booking saves. A spot rental saves otherwise: it may end any time.
    pub(super) fn duration_bp(&self, order: &OrderRecord, hours: u32) -> u16 {
        let unit = match order.spot {
            Some(_) => DurationType::Hourly,
            None => DurationType::of_hours(hours),
        };
        self.parameters().durations.factor_bp(unit)
    }

    fn terms(&self, seats: &[Seat], order: &OrderRecord, hours: u32, currency: Currency) -> Terms {
        let parameters = self.parameters();
        let fees = &parameters.fees;
        let duration = DurationType::of_hours(hours);
        let duration_bp = self.duration_bp(order, hours);
        Terms {
            hours,
            node_hours: self.node_hours(seats, order, duration_bp),
            renter_fee_bp: fees.renter_reservation_bp,
            facilitation_bp: fees.facilitation_bp(currency.asset()),
            supplier_fee_bp: fees.supplier_reservation_bp,
            payout_bp: fees.payout_bp(currency.asset()),
            minimum_minutes: fees.nonrefundable_minutes,
            currency,
            duration,
            duration_bp,
            worked: parameters.worked.clone(),
        }
    }

    fn nodes(&self, placement: Placement, rules: &WorkedRules) -> Vec<Node> {
        let node = |seat: Seat| {
            let owner =
                self.workers.get(&seat.worker).expect("a machine on offer has joined").owner;
            Node::new(seat, owner, rules)
        };
        placement.seats.into_iter().map(node).collect()
    }

    /// Puts a rental into the agenda, where it now belongs.
    pub(crate) fn schedule(&mut self, id: RentalId) {
        let Some(rental) = self.rentals.get_mut(&id) else { return };
        if let Some(due) = rental.due.take() {
            self.due.remove(&(due, id));
        }
        rental.due = rental.due_at();
        self.due.extend(rental.due.map(|due| (due, id)));
    }

    fn changed_seats(&mut self, id: RentalId) {
        let Some(rental) = self.rentals.get(&id) else { return };
        let workers: Vec<_> = rental.nodes.iter().map(|node| node.seat.worker).collect();
        for worker in workers {
            self.changed(Subject::Worker(worker));
        }
    }
}

impl Control {
    /// The order as the matcher takes it for such a booking: what a node may cost at most is what is paid for it.
    fn asked_at(&self, project: ProjectId, order: &OrderRecord, duration_bp: u16) -> Order {
        let spot = order.spot.is_some();
        let mut order = self.asked(project, order);
        // A spot rental has a bid of its own, and the matcher knows prices on demand only.
        if spot {
            order.filters.node_hour_max = None;
        }
        let most = |max: Credits| {
            let above = u128::from(max.units()) + 1;
            let list = (above * WHOLE_BP - 1) / u128::from(duration_bp.max(1));
            Credits::from_units(u64::try_from(list).unwrap_or(u64::MAX))
        };
        order.filters.node_hour_max = order.filters.node_hour_max.map(most);
        order
    }

    /// The order as the matcher takes it.
    pub(crate) fn asked(&self, project: ProjectId, order: &OrderRecord) -> Order {
        let filters = &order.filters;
        let known = order.away_from.iter().filter_map(|id| self.rentals.get(id));
        let avoid = known.flat_map(|rental| &rental.nodes).map(|node| node.seat.worker).collect();
        Order {
            nodes: order.nodes,
            each: order.each,
            filters: Filters {
                gpu_model: filters.gpu_model.clone(),
                suppliers: filters.suppliers.clone(),
                countries: filters.countries.clone(),
                tier_min: filters.tier_min.unwrap_or(Tier::None),
                certifications: filters.certifications.clone(),
                node_hour_max: filters.node_hour_max,
            },
            spread: if order.pack { Spread::Pack } else { Spread::Distinct },
            near: order.near,
            apart: order.apart,
            avoid,
            tenant: Some(project),
            alone: order.alone,
        }
    }

    /// Refuses an order that names rentals which are not the project's: it would tell where those are.
    pub(crate) fn knows_rentals(
        &self,
        project: ProjectId,
        order: &OrderRecord,
    ) -> Result<(), Refusal> {
        if order.away_from.len() > AWAY_FROM_MAX {
            let why = format!("at most {AWAY_FROM_MAX} rentals");
            return Err(Refusal::Invalid { field: "order.away_from", why });
        }
        let is_own = |id| self.rentals.get(id).is_some_and(|rental| rental.project == project);
        match order.away_from.iter().all(is_own) {
            true => Ok(()),
            false => Err(Refusal::NotFound(Noun::Rental)),
        }
    }
}
