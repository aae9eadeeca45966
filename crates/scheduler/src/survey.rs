//! Counting what an order meets: who is excluded by what, and who by one thing only.

use std::collections::BTreeMap;

use units::{Certification, Credits, Resources, Tier};

use crate::explain::{Change, Excluded, Explanation, Relaxation};
use crate::limits::RELAXATIONS_MAX;
use crate::matcher::Need;
use crate::order::{Order, Spread};

/// Everything an open machine fails at, one bit each, first to last as in [`Excluded`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Fails(pub(crate) u16);

impl Fails {
    pub(crate) const GPU_MODEL: u16 = 1;
    pub(crate) const SUPPLIER: u16 = 1 << 1;
    pub(crate) const COUNTRY: u16 = 1 << 2;
    pub(crate) const TIER: u16 = 1 << 3;
    /// One bit for each of [`Certification::ALL`], from this one.
    pub(crate) const CERTIFICATION: u16 = 1 << 4;
    pub(crate) const PRICE: u16 = 1 << 8;
    pub(crate) const GPUS: u16 = 1 << 9;
    pub(crate) const VCPUS: u16 = 1 << 10;
    pub(crate) const MEMORY: u16 = 1 << 11;
    pub(crate) const DISK: u16 = 1 << 12;

    pub(crate) const fn none(self) -> bool {
        self.0 == 0
    }

    /// Whether nothing but `these` fails.
    const fn only(self, these: u16) -> bool {
        self.0 & !these == 0
    }
}

const _: () = assert!(Certification::ALL.len() <= 4, "four bits are kept for certifications");

/// What is counted of one open machine.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen {
    /// Its price per GPU or per vCPU, whichever the order pays.
    pub(crate) unit: u64,
    pub(crate) tier: Tier,
    pub(crate) free: Resources,
    pub(crate) fails: Fails,
}

/// How many nodes become possible at which level of one quantity, as far as an order cares.
///
/// Invariant: without its lowest level it holds fewer nodes than are wanted, so its size is bounded.
#[derive(Debug, Default)]
pub(crate) struct Levels {
    at: BTreeMap<u64, u32>,
    nodes: u32,
}

impl Levels {
    /// Whether nodes at this level or below would change nothing.
    fn is_beyond(&self, level: u64, wanted: u32) -> bool {
        self.nodes >= wanted && self.at.first_key_value().is_some_and(|(low, _)| level <= *low)
    }

    /// The lowest level at which more nodes would change something.
    pub(crate) fn lowest_useful(&self, wanted: u32) -> u64 {
        match self.at.first_key_value() {
            Some((low, _)) if self.nodes >= wanted => low.saturating_add(1),
            Some(_) | None => 0,
        }
    }

    fn add(&mut self, level: u64, nodes: u32, wanted: u32) {
        *self.at.entry(level).or_default() += nodes;
        self.nodes += nodes;
        while let Some(lowest) = self.at.first_entry()
            && self.nodes - lowest.get() >= wanted
        {
            self.nodes -= lowest.remove();
        }
    }

    /// The highest level that gives all wanted, else the most there are; and how many that is.
    fn best(&self, wanted: u32) -> Option<(u64, u32)> {
        self.at.first_key_value().map(|(level, _)| (*level, self.nodes.min(wanted)))
    }
}

/// What an order meets on the network.
#[derive(Debug)]
pub(crate) struct Survey<'a> {
    pub(crate) order: &'a Order,
    pub(crate) need: &'a Need,
    pub(crate) excluded: Excluded,
    pub(crate) fitting: u64,
    /// Nodes on machines that fit, never more than wanted.
    possible: u32,
    shared: u32,
    pub(crate) any_country: u32,
    pub(crate) any_supplier: u32,
    pub(crate) any_gpu_model: u32,
    pub(crate) without: [u32; Certification::ALL.len()],
    pub(crate) vcpus: Levels,
    pub(crate) memory: Levels,
    pub(crate) disk: Levels,
    pub(crate) gpus: Levels,
    pub(crate) price: Levels,
    pub(crate) tier: Levels,
}

impl<'a> Survey<'a> {
    pub(crate) fn new(order: &'a Order, need: &'a Need) -> Self {
        Self {
            order,
            need,
            excluded: Excluded::default(),
            fitting: 0,
            possible: 0,
            shared: 0,
            any_country: 0,
            any_supplier: 0,
            any_gpu_model: 0,
            without: [0; Certification::ALL.len()],
            vcpus: Levels::default(),
            memory: Levels::default(),
            disk: Levels::default(),
            gpus: Levels::default(),
            price: Levels::default(),
            tier: Levels::default(),
        }
    }

    /// Remembers what would let a machine serve that fails at nothing or at one thing only.
    pub(crate) fn note(&mut self, seen: &Seen) {
        let (each, nodes) = (self.order.each, self.order.nodes);
        let room = |each: &Resources| self.order.spread.room(&seen.free, each).min(nodes);
        if seen.fails.none() {
            self.possible = (self.possible + room(&each)).min(nodes);
            self.shared =
                (self.shared + Spread::Pack.room(&seen.free, &each).min(nodes)).min(nodes);
        }
        for (only, count) in [
            (Fails::COUNTRY, &mut self.any_country),
            (Fails::SUPPLIER, &mut self.any_supplier),
            (Fails::GPU_MODEL, &mut self.any_gpu_model),
        ] {
            if seen.fails.only(only) {
                *count = (*count + room(&each)).min(nodes);
            }
        }
        for (place, count) in self.without.iter_mut().enumerate() {
            if seen.fails.only(Fails::CERTIFICATION << place) {
                *count = (*count + room(&each)).min(nodes);
            }
        }
        self.note_price_and_tier(seen);
        self.note_amounts(seen);
    }

    fn note_price_and_tier(&mut self, seen: &Seen) {
        let (need, wanted) = (self.need, self.order.nodes);
        let room = self.order.spread.room(&seen.free, &self.order.each).min(wanted);
        if seen.fails.only(Fails::PRICE) && seen.unit <= need.unit_writable {
            // Lower is better for a price, and higher for a level.
            let level = u64::MAX - seen.unit.max(need.unit_max);
            self.price.add(level, room, wanted);
        }
        if seen.fails.only(Fails::TIER) {
            let tier = seen.tier.min(self.order.filters.tier_min);
            let level = Tier::ALL.iter().position(|known| *known == tier).unwrap_or(0);
            self.tier.add(u64::try_from(level).unwrap_or(0), room, wanted);
        }
    }

    fn note_amounts(&mut self, seen: &Seen) {
        let (order, free, each) = (self.order, seen.free, self.order.each);
        let affordable = |counts: bool| match seen.unit {
            0 => u64::MAX,
            _ if !counts => u64::MAX,
            unit => self.need.node_hour_max / unit,
        };
        let priced = |counts: bool| if counts { Fails::PRICE } else { 0 };
        if each.gpus > 1 && seen.fails.only(Fails::GPUS | priced(true)) {
            let rest = Resources { gpus: 0, ..each };
            let most = affordable(true).min(u64::from(each.gpus));
            note_levels(&mut self.gpus, order, &free, &rest, (u64::from(free.gpus), most, 1));
        }
        let per_vcpu = each.gpus == 0;
        if each.vcpus > 1 && seen.fails.only(Fails::VCPUS | priced(per_vcpu)) {
            let rest = Resources { vcpus: 0, ..each };
            let most = affordable(per_vcpu).min(u64::from(each.vcpus));
            note_levels(&mut self.vcpus, order, &free, &rest, (u64::from(free.vcpus), most, 1));
        }
        if each.memory_mib > 1 && seen.fails.only(Fails::MEMORY) {
            let rest = Resources { memory_mib: 0, ..each };
            note_levels(
                &mut self.memory,
                order,
                &free,
                &rest,
                (free.memory_mib, each.memory_mib, 1),
            );
        }
        if each.disk_mib > 0 && seen.fails.only(Fails::DISK) {
            let rest = Resources { disk_mib: 0, ..each };
            note_levels(&mut self.disk, order, &free, &rest, (free.disk_mib, each.disk_mib, 0));
        }
    }

    /// The explanation, once every machine has been noted.
    pub(crate) fn explanation(self, machines: u64) -> Explanation {
        let mut relaxations = self.relaxations();
        relaxations.sort_by_key(|found| (std::cmp::Reverse(found.nodes), found.change));
        relaxations.truncate(RELAXATIONS_MAX);
        Explanation {
            machines,
            excluded: self.excluded,
            fitting: self.fitting,
            nodes_possible: self.possible,
            relaxations,
        }
    }

    fn relaxations(&self) -> Vec<Relaxation> {
        let (each, filters) = (&self.order.each, &self.order.filters);
        let mut found = Vec::new();
        if self.possible > 0 {
            let fewer = self.order.nodes - self.possible;
            found.push(Relaxation { change: Change::FewerNodes { fewer }, nodes: self.possible });
        }
        let mut gain = |change: Change, nodes: u32| {
            if nodes > self.possible {
                found.push(Relaxation { change, nodes });
            }
        };
        gain(Change::ShareMachines, self.shared);
        gain(Change::AnyCountry, self.any_country);
        gain(Change::AnySupplier, self.any_supplier);
        gain(Change::AnyGpuModel, self.any_gpu_model);
        for (certification, nodes) in Certification::ALL.iter().zip(self.without) {
            gain(Change::WithoutCertification { certification: *certification }, nodes);
        }
        let small = |level: u64| u32::try_from(level).expect("a level is at most what was asked");
        if let Some((to, nodes)) = self.vcpus.best(self.order.nodes) {
            let to = small(to);
            gain(Change::FewerVcpus { fewer: each.vcpus - to, to }, nodes);
        }
        if let Some((to, nodes)) = self.gpus.best(self.order.nodes) {
            let to = small(to);
            gain(Change::FewerGpus { fewer: each.gpus - to, to }, nodes);
        }
        if let Some((to_mib, nodes)) = self.memory.best(self.order.nodes) {
            gain(Change::LessMemory { fewer_mib: each.memory_mib - to_mib, to_mib }, nodes);
        }
        if let Some((to_mib, nodes)) = self.disk.best(self.order.nodes) {
            gain(Change::LessDisk { fewer_mib: each.disk_mib - to_mib, to_mib }, nodes);
        }
        if let (Some((level, nodes)), Some(max)) =
            (self.price.best(self.order.nodes), filters.node_hour_max)
        {
            let to = Credits::from_units((u64::MAX - level) * self.need.priced_count());
            let more = to.checked_sub(max).unwrap_or(Credits::ZERO);
            gain(Change::PayMore { more, to }, nodes);
        }
        if let Some((level, nodes)) = self.tier.best(self.order.nodes) {
            let place = usize::try_from(level).expect("a place in a short list");
            gain(Change::SlowerTier { to: Tier::ALL[place] }, nodes);
        }
        found
    }
}

/// Adds, for each node that `rest` leaves room for, the most of one quantity it could get.
///
/// `of` is how much is free of it, the most that counts and the least that is worth asking for.
fn note_levels(
    levels: &mut Levels,
    order: &Order,
    free: &Resources,
    rest: &Resources,
    (has, most, least): (u64, u64, u64),
) {
    let wanted = order.nodes;
    for nodes in 1..=order.spread.room(free, rest).min(wanted) {
        let level = (has / u64::from(nodes)).min(most);
        if level < least || levels.is_beyond(level, wanted) {
            return;
        }
        levels.add(level, 1, wanted);
    }
}
