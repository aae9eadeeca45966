//! What else the same cards could be had for: nearer together or farther apart, on fewer machines or on more.

use std::collections::BTreeSet;

use scheduler::Alternative;
use units::{Credits, ProjectId};

use crate::command::rental::Booking;
use crate::record::OrderRecord;
use crate::refusal::Refusal;
use crate::state::Control;

/// Another order for the same cards, and what it costs now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlternativeOrder {
    /// The order.
    pub order: OrderRecord,
    /// What an hour of such a booking costs.
    pub hourly: Credits,
    /// Where it would go.
    pub found: Alternative,
    /// On how many machines.
    pub machines: u32,
    /// In how many sites these are; each whose site is not known counts as one.
    pub sites: u32,
    /// Whether all of them are known to be in one country.
    pub in_one_country: bool,
}

impl Control {
    /// The same cards at every nearness and in every shape they can be had in now, cheapest first; or why there are
    /// none. Changes nothing, and keeps nothing for anybody.
    pub fn alternatives(
        &self,
        project: ProjectId,
        order: OrderRecord,
        hours: u32,
    ) -> Result<Vec<AlternativeOrder>, Refusal> {
        if hours == 0 || hours > market::BOOKED_HOURS_MAX {
            let why = format!("from 1 to {} hours", market::BOOKED_HOURS_MAX);
            return Err(Refusal::Invalid { field: "hours", why });
        }
        self.knows_rentals(project, &order)?;
        let booking = Booking { project, order, hours, pay: units::Asset::Usd };
        let asked = self.asked_for(&booking);
        let duration_bp = self.duration_bp(&booking.order, hours);
        let found = self.inventory.curve(&asked);
        if found.is_empty() {
            self.inventory.place(&asked).map_err(Refusal::NoOffer)?;
        }
        let priced = found.into_iter().filter_map(|found| {
            let order = reshaped(&booking.order, &found);
            let seats = &found.placement.seats;
            self.is_bid_enough(&order, seats).ok()?;
            let mut hours = self.node_hours(seats, &order, duration_bp).into_iter();
            let hourly =
                hours.try_fold(Credits::ZERO, |sum: Credits, hour| sum.checked_add(hour))?;
            Some(self.alternative(order, hourly, found))
        });
        let mut priced: Vec<_> = priced.collect();
        priced.sort_by_key(|alternative| alternative.hourly);
        Ok(priced)
    }

    fn alternative(
        &self,
        order: OrderRecord,
        hourly: Credits,
        found: Alternative,
    ) -> AlternativeOrder {
        let workers: BTreeSet<_> = found.placement.seats.iter().map(|seat| seat.worker).collect();
        let machines: Vec<_> =
            workers.iter().filter_map(|worker| self.inventory.machine(*worker)).collect();
        let sites: BTreeSet<_> = machines.iter().filter_map(|machine| machine.site).collect();
        let homeless = machines.iter().filter(|machine| machine.site.is_none()).count();
        let countries: BTreeSet<_> = machines.iter().map(|machine| machine.country).collect();
        let count = |number: usize| u32::try_from(number).expect("at most the nodes of an order");
        AlternativeOrder {
            machines: count(machines.len()),
            sites: count(sites.len() + homeless),
            in_one_country: countries.len() == 1 && !countries.contains(&None),
            order,
            hourly,
            found,
        }
    }
}

/// The order with the shape and the nearness of an alternative; a node may cost as much as its share of cards.
fn reshaped(order: &OrderRecord, found: &Alternative) -> OrderRecord {
    let mut order = OrderRecord { near: found.order.near, ..order.clone() };
    let cards = (found.order.each.gpus, order.each.gpus);
    let share = |max: Credits| match cards {
        (to, from) if from > to => Credits::from_units(max.units() / u64::from(from / to.max(1))),
        (to, from) => {
            Credits::from_units(max.units().saturating_mul(u64::from(to / from.max(1)).max(1)))
        }
    };
    order.filters.node_hour_max = order.filters.node_hour_max.map(share);
    (order.nodes, order.each) = (found.order.nodes, found.order.each);
    order
}
