//! The machines of the network, and what is taken of each.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use units::{Certification, Credits, Resources, WorkerId};

use crate::explain::Explanation;
use crate::limits::OFFERS_PER_PAGE_MAX;
use crate::machine::{Held, Machine, Stand};
use crate::matcher::{Cursor, Fit, Need, Offer, Placement, Seat};
use crate::order::{Filters, Order, Refusal, Spread};
use crate::survey::{Fails, Seen, Survey};

/// The machines of the network, and what is taken of each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inventory {
    stands: BTreeMap<WorkerId, Stand>,
    open: usize,
}

/// Why seats could not be taken. Checks run in the order of these variants, seat by seat.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Taken {
    /// The machine is not on the network.
    #[error("{worker} is not on the network")]
    Gone {
        /// Which.
        worker: WorkerId,
    },
    /// It takes no new orders.
    #[error("{worker} takes no new orders")]
    Closed {
        /// Which.
        worker: WorkerId,
    },
    /// Some of the seat is not free, or its cards are not as many as its GPUs.
    #[error("a seat on {worker} is not free")]
    NotFree {
        /// Which.
        worker: WorkerId,
    },
}

impl Inventory {
    /// A machine that is new and closed, or changed facts of one that is known: what is taken of it, and
    /// whether it is open, stay.
    pub fn put(&mut self, machine: Machine) {
        match self.stands.entry(machine.id) {
            Entry::Occupied(mut known) => known.get_mut().machine = machine,
            Entry::Vacant(place) => {
                place.insert(Stand { machine, open: false, held: Held::default() });
            }
        }
    }

    /// Forgets a machine with all that is taken of it; its seats need no giving back.
    pub fn remove(&mut self, worker: WorkerId) {
        if self.stands.remove(&worker).is_some_and(|stand| stand.open) {
            self.open -= 1;
        }
    }

    /// Whether a machine takes new orders: it is up and not draining. An unknown machine stays unknown.
    pub fn set_open(&mut self, worker: WorkerId, open: bool) {
        let Some(stand) = self.stands.get_mut(&worker) else { return };
        self.open = self.open - usize::from(stand.open) + usize::from(open);
        stand.open = open;
    }

    /// Where an order goes, all of it, cheapest first by [`Fit`]; or why it goes nowhere. Changes nothing.
    pub fn place(&self, order: &Order) -> Result<Placement, Refusal> {
        order.checked()?;
        let need = Need::new(&order.filters, order.each);
        let mut fits: Vec<Fit> = self
            .open_stands()
            .filter(|stand| fails(stand, &order.filters, &need).none())
            .map(|stand| fit(stand, &need))
            .collect();
        fits.sort();
        let mut seats = Vec::new();
        for fit in fits {
            let left =
                order.nodes - u32::try_from(seats.len()).expect("at most the nodes asked for");
            self.seat(&mut seats, order, &fit, left);
        }
        if seats.len() < usize::try_from(order.nodes).expect("a small number") {
            return Err(Refusal::NoCapacity(Box::new(self.explain(order, &need))));
        }
        Ok(Placement { seats })
    }

    /// Takes seats, all or none.
    pub fn take(&mut self, seats: &[Seat]) -> Result<(), Taken> {
        for (done, seat) in seats.iter().enumerate() {
            if let Err(taken) = self.take_one(seat) {
                seats[..done].iter().rev().for_each(|seat| self.give_back(seat));
                return Err(taken);
            }
        }
        Ok(())
    }

    /// Frees a seat that was taken.
    ///
    /// # Panics
    /// When it was not: whoever keeps the seats has lost count.
    pub fn give_back(&mut self, seat: &Seat) {
        let stand = self.stands.get_mut(&seat.worker).expect("a seat is on a known machine");
        assert!(stand.held.gpus.covers(seat.gpus), "the cards of a seat were taken");
        stand.held.gpus = stand.held.gpus.without(seat.gpus);
        stand.held.resources =
            stand.held.resources.checked_sub(&seat.resources).expect("what a seat has was taken");
    }

    /// A page of the machines that could serve one node, cheapest first, starting after `after`.
    pub fn search(
        &self,
        filters: &Filters,
        each: &Resources,
        after: Option<Cursor>,
        limit: usize,
    ) -> Vec<Offer> {
        let need = Need::new(filters, *each);
        let mut offers: Vec<Offer> = self
            .open_stands()
            .filter(|stand| fails(stand, filters, &need).none())
            .map(|stand| offer(stand, &need))
            .filter(|offer| after.is_none_or(|after| offer.cursor > after))
            .collect();
        offers.sort_by_key(|offer| offer.cursor);
        offers.truncate(limit.min(OFFERS_PER_PAGE_MAX));
        offers
    }

    /// What nobody has taken of a machine, open or closed.
    pub fn free(&self, worker: WorkerId) -> Option<Resources> {
        self.stands.get(&worker).map(Stand::free)
    }

    /// What is taken of a machine.
    pub fn taken(&self, worker: WorkerId) -> Option<Held> {
        self.stands.get(&worker).map(|stand| stand.held)
    }

    /// The facts of a machine.
    pub fn machine(&self, worker: WorkerId) -> Option<&Machine> {
        self.stands.get(&worker).map(|stand| &stand.machine)
    }

    /// How many machines are known.
    pub fn len(&self) -> usize {
        self.stands.len()
    }

    /// Whether no machine is known.
    pub fn is_empty(&self) -> bool {
        self.stands.is_empty()
    }

    /// How many machines take new orders.
    pub fn open_len(&self) -> usize {
        self.open
    }

    fn open_stands(&self) -> impl Iterator<Item = &Stand> {
        self.stands.values().filter(|stand| stand.open)
    }

    fn explain(&self, order: &Order, need: &Need) -> Explanation {
        let mut survey = Survey::new(order, need);
        for stand in self.open_stands() {
            let fails = fails(stand, &order.filters, need);
            let tier = stand.machine.tier;
            survey.note(&Seen { unit: unit(stand, need), tier, free: stand.free(), fails });
        }
        survey.excluded.closed = as_count(self.len() - self.open);
        survey.explanation(as_count(self.len()))
    }

    fn seat(&self, seats: &mut Vec<Seat>, order: &Order, fit: &Fit, left: u32) {
        let stand = &self.stands[&fit.worker];
        let mut cards = stand.free_gpus();
        for _ in 0..order.spread.room(&stand.free(), &order.each).min(left) {
            let gpus = cards.lowest(order.each.gpus).expect("there is room for the node");
            cards = cards.without(gpus);
            let (resources, node_hour) = (order.each, fit.node_hour);
            seats.push(Seat { worker: fit.worker, gpus, resources, node_hour });
        }
    }

    fn take_one(&mut self, seat: &Seat) -> Result<(), Taken> {
        let worker = seat.worker;
        let stand = self.stands.get_mut(&worker).ok_or(Taken::Gone { worker })?;
        if !stand.open {
            return Err(Taken::Closed { worker });
        }
        let free = stand.free_gpus().covers(seat.gpus) && stand.free().covers(&seat.resources);
        if !free || seat.gpus.len() != seat.resources.gpus {
            return Err(Taken::NotFree { worker });
        }
        stand.held.gpus = stand.held.gpus.with(seat.gpus);
        stand.held.resources = stand
            .held
            .resources
            .checked_add(&seat.resources)
            .expect("no more is taken than there is");
        Ok(())
    }
}

fn as_count(machines: usize) -> u64 {
    u64::try_from(machines).expect("a count of machines fits 64 bits")
}

fn unit(stand: &Stand, need: &Need) -> u64 {
    let prices = &stand.machine.prices;
    if need.per_gpu() { prices.gpu_hour.units() } else { prices.vcpu_hour.units() }
}

fn fit(stand: &Stand, need: &Need) -> Fit {
    Fit {
        strands_gpus: stand.machine.total.gpus > 0 && !need.per_gpu(),
        node_hour: need.node_hour(unit(stand, need)),
        gpus_left: stand.free_gpus().len() - need.each.gpus,
        worker: stand.machine.id,
    }
}

fn offer(stand: &Stand, need: &Need) -> Offer {
    let (unit, worker, free) = (unit(stand, need), stand.machine.id, stand.free());
    let nodes = Spread::Pack.room(&free, &need.each);
    let cursor = Cursor { price: Credits::from_units(unit), worker };
    Offer { worker, node_hour: need.node_hour(unit), free, nodes, cursor }
}

fn fails(stand: &Stand, filters: &Filters, need: &Need) -> Fails {
    let (machine, free, each) = (&stand.machine, stand.free(), need.each);
    let mut fails = 0;
    let mut fail = |bit: u16, fails_it: bool| fails |= if fails_it { bit } else { 0 };
    fail(Fails::GPU_MODEL, filters.gpu_model.is_some() && machine.gpu_model != filters.gpu_model);
    fail(
        Fails::SUPPLIER,
        !filters.suppliers.is_empty() && !filters.suppliers.contains(&machine.supplier),
    );
    let there = machine.country.is_some_and(|country| filters.countries.contains(&country));
    fail(Fails::COUNTRY, !filters.countries.is_empty() && !there);
    fail(Fails::TIER, machine.tier < filters.tier_min);
    for (place, certification) in Certification::ALL.iter().enumerate() {
        let wanted = filters.certifications.contains(certification);
        fail(
            Fails::CERTIFICATION << place,
            wanted && !machine.certifications.contains(certification),
        );
    }
    let priced = !need.per_gpu() || machine.total.gpus > 0;
    fail(Fails::PRICE, priced && unit(stand, need) > need.unit_max);
    fail(Fails::GPUS, free.gpus < each.gpus);
    fail(Fails::VCPUS, free.vcpus < each.vcpus);
    fail(Fails::MEMORY, free.memory_mib < each.memory_mib);
    fail(Fails::DISK, free.disk_mib < each.disk_mib);
    Fails(fails)
}
