//! Up to 64 machines in order of price, compared with an order all at once.

use std::collections::BTreeSet;

use units::{Resources, WorkerId};

use crate::column::{Column, first_places, places};

/// Machines in one block.
pub(crate) const BLOCK_LENGTH: usize = 64;
/// Removals after which a block's summary is made anew: until then it may promise too much, never too little.
const REMOVALS_BEFORE_SUMMARY: u32 = 32;

/// One machine as a block stores it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Its price per GPU or per vCPU.
    pub(crate) unit: u64,
    pub(crate) worker: WorkerId,
    pub(crate) supplier: u64,
    /// Zero when it is not known.
    pub(crate) country: u64,
    pub(crate) tier: u64,
    /// One bit for each certification.
    pub(crate) certifications: u64,
    /// What is free; its GPUs are the lane's.
    pub(crate) free: Resources,
}

/// The most that any machine of a block has of each thing.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Summary {
    len: usize,
    pub(crate) vcpus: u64,
    pub(crate) memory_mib: u64,
    pub(crate) disk_mib: u64,
    pub(crate) tier: u64,
    certifications: u64,
    /// One bit for all countries with the same remainder by 64.
    countries: u64,
    /// One bit for all suppliers with the same remainder by 64.
    suppliers: u64,
}

impl Summary {
    /// The places of the block's machines.
    pub(crate) const fn all(&self) -> u64 {
        first_places(self.len)
    }

    fn add(&mut self, entry: &Entry) {
        self.len += 1;
        self.vcpus = self.vcpus.max(u64::from(entry.free.vcpus));
        self.memory_mib = self.memory_mib.max(entry.free.memory_mib);
        self.disk_mib = self.disk_mib.max(entry.free.disk_mib);
        self.tier = self.tier.max(entry.tier);
        self.certifications |= entry.certifications;
        self.countries |= 1 << (entry.country % 64);
        self.suppliers |= 1 << (entry.supplier % 64);
    }
}

/// What a machine must have, in the numbers that blocks store.
#[derive(Clone, Debug)]
pub(crate) struct Sieve {
    pub(crate) unit_max: u64,
    pub(crate) vcpus: u64,
    pub(crate) memory_mib: u64,
    pub(crate) disk_mib: u64,
    pub(crate) tier: u64,
    pub(crate) certifications: u64,
    pub(crate) countries: Option<Wanted>,
    pub(crate) suppliers: Option<Wanted>,
}

/// Numbers of which a machine must have one.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    numbers: BTreeSet<u64>,
    by_remainder: u64,
}

impl Wanted {
    pub(crate) fn new(numbers: BTreeSet<u64>) -> Self {
        let by_remainder = numbers.iter().fold(0, |bits, number| bits | 1 << (number % 64));
        Self { numbers, by_remainder }
    }

    /// The places of `among` that have one of the numbers; it reads either each number or each place.
    fn mask<const BITS: usize>(&self, column: &Column<BITS>, among: u64) -> u64 {
        let places_count = usize::try_from(among.count_ones()).expect("at most 64");
        if self.numbers.len() <= places_count {
            self.numbers.iter().fold(0, |mask, number| mask | column.equal_to(*number)) & among
        } else {
            let has = |place: &usize| self.numbers.contains(&column.get(*place));
            places(among).filter(has).fold(0, |mask, place| mask | 1 << place)
        }
    }
}

impl Sieve {
    /// Whether it tells machines apart by anything but price and amounts.
    pub(crate) fn filters_kinds(&self) -> bool {
        self.suppliers.is_some()
            || self.countries.is_some()
            || self.tier > 0
            || self.certifications != 0
    }

    /// Whether some machine of a block may pass, its price aside.
    #[inline]
    pub(crate) fn may_pass(&self, summary: &Summary) -> bool {
        self.fails_all(summary).count() == 0 && self.certifications & !summary.certifications == 0
    }

    /// The tests that no machine of a block passes, as far as its summary tells.
    #[inline]
    pub(crate) fn fails_all(&self, summary: &Summary) -> FailsAll {
        let none_of = |wanted: &Option<Wanted>, has: u64| {
            wanted.as_ref().is_some_and(|wanted| wanted.by_remainder & has == 0)
        };
        FailsAll {
            supplier: none_of(&self.suppliers, summary.suppliers),
            country: none_of(&self.countries, summary.countries),
            tier: summary.tier < self.tier,
            vcpus: summary.vcpus < self.vcpus,
            memory: summary.memory_mib < self.memory_mib,
            disk: summary.disk_mib < self.disk_mib,
        }
    }
}

/// Tests that no machine of a block passes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FailsAll {
    pub(crate) supplier: bool,
    pub(crate) country: bool,
    pub(crate) tier: bool,
    pub(crate) vcpus: bool,
    pub(crate) memory: bool,
    pub(crate) disk: bool,
}

impl FailsAll {
    #[inline]
    pub(crate) fn count(self) -> u32 {
        let tests = [self.supplier, self.country, self.tier, self.vcpus, self.memory, self.disk];
        tests.into_iter().map(u32::from).sum()
    }
}

/// Bits kept for certifications.
pub(crate) const CERTIFICATION_BITS: usize = 3;
const COUNTRY_BITS: usize = 10;
const SUPPLIER_BITS: usize = 32;
const _: () = assert!(units::Certification::ALL.len() == CERTIFICATION_BITS, "each has its bit");
const _: () = assert!(26 * 26 < 1 << COUNTRY_BITS, "every pair of letters has its number");
const _: () = assert!(units::Tier::ALL.len() <= 8, "a tier has three bits");

/// Up to [`BLOCK_LENGTH`] machines, by price and then by worker.
#[derive(Clone, Debug)]
pub(crate) struct Block {
    tier: Column<3>,
    certifications: Column<CERTIFICATION_BITS>,
    country: Column<COUNTRY_BITS>,
    vcpus: Column<16>,
    memory_mib: Column<32>,
    disk_mib: Column<32>,
    supplier: Column<SUPPLIER_BITS>,
    units: [u64; BLOCK_LENGTH],
    workers: [WorkerId; BLOCK_LENGTH],
    len: usize,
    removals: u32,
}

impl Block {
    pub(crate) fn new() -> Self {
        Self {
            tier: Column::new(),
            certifications: Column::new(),
            country: Column::new(),
            vcpus: Column::new(),
            memory_mib: Column::new(),
            disk_mib: Column::new(),
            supplier: Column::new(),
            units: [0; BLOCK_LENGTH],
            workers: [WorkerId::from_bits(0); BLOCK_LENGTH],
            len: 0,
            removals: 0,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn key(&self, place: usize) -> (u64, WorkerId) {
        (self.units[place], self.workers[place])
    }

    /// How many machines come before `key`.
    pub(crate) fn rank(&self, key: (u64, WorkerId)) -> usize {
        let units = &self.units[..self.len];
        let cheaper = units.partition_point(|unit| *unit < key.0);
        let same = units[cheaper..].partition_point(|unit| *unit == key.0);
        cheaper + self.workers[cheaper..cheaper + same].partition_point(|worker| *worker < key.1)
    }

    /// How many machines come before `key` or are it.
    pub(crate) fn rank_after(&self, key: (u64, WorkerId)) -> usize {
        let place = self.rank(key);
        place + usize::from(place < self.len() && self.key(place) == key)
    }

    pub(crate) fn entry(&self, place: usize, gpus: u32) -> Entry {
        let vcpus = u32::try_from(self.vcpus.get(place)).expect("sixteen bits");
        let (memory_mib, disk_mib) = (self.memory_mib.get(place), self.disk_mib.get(place));
        Entry {
            unit: self.units[place],
            worker: self.workers[place],
            supplier: self.supplier.get(place),
            country: self.country.get(place),
            tier: self.tier.get(place),
            certifications: self.certifications.get(place),
            free: Resources { gpus, vcpus, memory_mib, disk_mib },
        }
    }

    pub(crate) fn insert(&mut self, entry: &Entry, summary: &mut Summary) {
        let place = self.rank((entry.unit, entry.worker));
        self.units.copy_within(place..self.len, place + 1);
        self.workers.copy_within(place..self.len, place + 1);
        (self.units[place], self.workers[place]) = (entry.unit, entry.worker);
        self.len += 1;
        self.supplier.insert(place, entry.supplier);
        self.country.insert(place, entry.country);
        self.tier.insert(place, entry.tier);
        self.certifications.insert(place, entry.certifications);
        self.vcpus.insert(place, u64::from(entry.free.vcpus));
        self.memory_mib.insert(place, entry.free.memory_mib);
        self.disk_mib.insert(place, entry.free.disk_mib);
        summary.add(entry);
    }

    pub(crate) fn remove(&mut self, place: usize, summary: &mut Summary) {
        self.units.copy_within(place + 1..self.len, place);
        self.workers.copy_within(place + 1..self.len, place);
        self.len -= 1;
        self.supplier.remove(place);
        self.country.remove(place);
        self.tier.remove(place);
        self.certifications.remove(place);
        self.vcpus.remove(place);
        self.memory_mib.remove(place);
        self.disk_mib.remove(place);
        summary.len -= 1;
        summary.vcpus = self.vcpus.max();
        summary.memory_mib = self.memory_mib.max();
        summary.disk_mib = self.disk_mib.max();
        self.removals += 1;
        if self.removals >= REMOVALS_BEFORE_SUMMARY {
            *summary = self.summary();
            self.removals = 0;
        }
    }

    /// Leaves the cheaper half and returns the other.
    pub(crate) fn split(&mut self) -> Self {
        let half = self.len() / 2;
        let mut upper = Self {
            tier: self.tier.split_off(half),
            certifications: self.certifications.split_off(half),
            country: self.country.split_off(half),
            vcpus: self.vcpus.split_off(half),
            memory_mib: self.memory_mib.split_off(half),
            disk_mib: self.disk_mib.split_off(half),
            supplier: self.supplier.split_off(half),
            ..Self::new()
        };
        upper.len = self.len - half;
        upper.units[..upper.len].copy_from_slice(&self.units[half..self.len]);
        upper.workers[..upper.len].copy_from_slice(&self.workers[half..self.len]);
        self.len = half;
        upper
    }

    pub(crate) fn summary(&self) -> Summary {
        let mut summary = Summary::default();
        (0..self.len()).for_each(|place| summary.add(&self.entry(place, 0)));
        summary
    }

    pub(crate) fn all(&self) -> u64 {
        first_places(self.len())
    }

    /// The machines whose price is at most `unit_max`: a prefix.
    pub(crate) fn priced(&self, unit_max: u64) -> u64 {
        first_places(self.units[..self.len].partition_point(|unit| *unit <= unit_max))
    }

    /// The machines that pass every test but the price.
    #[inline]
    pub(crate) fn passing(&self, sieve: &Sieve) -> u64 {
        let mut mask = self.all() & self.tier.at_least(sieve.tier);
        for bit in 0..CERTIFICATION_BITS {
            mask &= self.certified(sieve, bit);
        }
        mask &= self.vcpus.at_least(sieve.vcpus);
        if mask != 0 {
            mask &= self.memory_mib.at_least(sieve.memory_mib);
        }
        if mask != 0 {
            mask &= self.disk_mib.at_least(sieve.disk_mib);
        }
        if let (Some(wanted), true) = (&sieve.countries, mask != 0) {
            mask = wanted.mask(&self.country, mask);
        }
        if let (Some(wanted), true) = (&sieve.suppliers, mask != 0) {
            mask = wanted.mask(&self.supplier, mask);
        }
        mask
    }

    /// The machines of a supplier that will do.
    pub(crate) fn supplied(&self, sieve: &Sieve) -> u64 {
        let all = self.all();
        sieve.suppliers.as_ref().map_or(all, |of| of.mask(&self.supplier, all))
    }

    /// The machines in a country that will do.
    pub(crate) fn in_country(&self, sieve: &Sieve) -> u64 {
        let all = self.all();
        sieve.countries.as_ref().map_or(all, |of| of.mask(&self.country, all))
    }

    /// The machines that have one certification, or all where it is not wanted.
    pub(crate) fn certified(&self, sieve: &Sieve, bit: usize) -> u64 {
        match sieve.certifications >> bit & 1 {
            1 => self.certifications.with_bit(bit),
            _ => u64::MAX,
        }
    }

    /// The machines that have at least so much free, and are connected at least so fast.
    pub(crate) fn vcpus_at_least(&self, vcpus: u64) -> u64 {
        self.vcpus.at_least(vcpus)
    }

    pub(crate) fn memory_at_least(&self, memory_mib: u64) -> u64 {
        self.memory_mib.at_least(memory_mib)
    }

    pub(crate) fn disk_at_least(&self, disk_mib: u64) -> u64 {
        self.disk_mib.at_least(disk_mib)
    }

    pub(crate) fn tier_at_least(&self, tier: u64) -> u64 {
        self.tier.at_least(tier)
    }
}
