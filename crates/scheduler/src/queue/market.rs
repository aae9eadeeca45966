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
        seats.iter().filter_map(|seat| self.hold_one(seat)).collect()
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

    fn hold_one(&mut self, seat: &Seat) -> Option<Seat> {
        let part = self.free_part(seat)?;
        if self.0.take(std::slice::from_ref(&part)).is_ok() {
            return Some(part);
        }
        // Who is there bears nobody else, and is gone by then; until then it may take no more of the machine either.
        let guest = self.0.taken(seat.worker)?.guests.only()?;
        let part = Seat { tenant: guest, alone: false, ..part };
        self.0.take(std::slice::from_ref(&part)).is_ok().then_some(part)
    }

    /// What of a seat is free now; where it bears no other tenant, all that is free of its machine.
    fn free_part(&self, seat: &Seat) -> Option<Seat> {
        let machine = self.0.machine(seat.worker)?;
        let free = self.0.free(seat.worker)?;
        let cards = GpuSet::first(offered(machine.total).gpus);
        let wanted = if seat.alone { (cards, free) } else { (seat.gpus, seat.resources) };
        let gpus = wanted.0.without(self.0.taken(seat.worker)?.gpus);
        let resources = Resources {
            gpus: gpus.len(),
            vcpus: wanted.1.vcpus.min(free.vcpus),
            memory_mib: wanted.1.memory_mib.min(free.memory_mib),
            disk_mib: wanted.1.disk_mib.min(free.disk_mib),
        };
        (resources != Resources::default()).then(|| Seat { gpus, resources, ..seat.clone() })
    }
}
