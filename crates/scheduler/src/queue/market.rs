//! The market's machines as a room for orders.

use units::Resources;

use super::room::{Amounts, Room};
use crate::gpu_set::GpuSet;
use crate::inventory::Inventory;
use crate::limits::offered;
use crate::matcher::Seat;
use crate::order::{Filters, Order};

/// The machines of the network, for the time of a pass.
#[derive(Debug)]
pub struct Market<'a>(pub &'a mut Inventory);

impl From<Resources> for Amounts {
    fn from(of: Resources) -> Self {
        Self([u64::from(of.gpus), u64::from(of.vcpus), of.memory_mib, of.disk_mib])
    }
}

impl Room for Market<'_> {
    type Ask = Order;
    type Seats = Vec<Seat>;

    fn amounts(&self, ask: &Order) -> Amounts {
        let Amounts(each) = ask.each.into();
        Amounts(each.map(|amount| amount.saturating_mul(u64::from(ask.nodes))))
    }

    fn find(&mut self, ask: &Order) -> Option<Vec<Seat>> {
        self.0.find(ask).map(|placement| placement.seats)
    }

    fn take(&mut self, seats: &Vec<Seat>) -> bool {
        self.0.take(seats).is_ok()
    }

    fn give_back(&mut self, seats: &Vec<Seat>) {
        seats.iter().for_each(|seat| self.0.give_back(seat));
    }

    fn hold(&mut self, seats: &Vec<Seat>) -> Vec<Seat> {
        let mut held = Vec::with_capacity(seats.len());
        for seat in seats {
            let part = self.free_part(seat);
            if part.resources != Resources::default()
                && self.0.take(std::slice::from_ref(&part)).is_ok()
            {
                held.push(part);
            }
        }
        held
    }

    fn helps(&self, ask: &Order, seats: &Vec<Seat>) -> bool {
        seats.iter().any(|seat| self.serves(&ask.filters, seat))
            && seats.iter().all(|seat| self.could_be_taken_again(seat))
    }
}

impl Market<'_> {
    fn serves(&self, filters: &Filters, seat: &Seat) -> bool {
        self.0.machine(seat.worker).is_some_and(|machine| {
            let is_model = filters.gpu_model.is_none() || machine.gpu_model == filters.gpu_model;
            let in_country =
                || machine.country.is_some_and(|country| filters.countries.contains(&country));
            is_model && (filters.countries.is_empty() || in_country())
        })
    }

    /// A machine that takes no new orders, or has less than is taken of it, gives nothing back in thought.
    fn could_be_taken_again(&self, seat: &Seat) -> bool {
        self.0.machine(seat.worker).is_some_and(|machine| {
            let stand = self.0.stand(machine.id);
            let total = offered(machine.total);
            let cards = GpuSet::first(total.gpus);
            stand.open && cards.covers(stand.held.gpus) && total.covers(&stand.held.resources)
        })
    }

    /// What of a seat is free now.
    fn free_part(&self, seat: &Seat) -> Seat {
        let mut part = seat.clone();
        let free = self.0.free(seat.worker).unwrap_or_default();
        let held = self.0.taken(seat.worker).cloned().unwrap_or_default();
        part.gpus = seat.gpus.without(held.gpus);
        part.resources.gpus = part.gpus.len();
        part.resources.vcpus = seat.resources.vcpus.min(free.vcpus);
        part.resources.memory_mib = seat.resources.memory_mib.min(free.memory_mib);
        part.resources.disk_mib = seat.resources.disk_mib.min(free.disk_mib);
        part
    }
}
