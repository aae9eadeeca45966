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
    fn add(&mut self, entry: &Entry) {
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
        let one_of = |wanted: &Option<Wanted>, has: u64| {
            wanted.as_ref().is_none_or(|wanted| wanted.by_remainder & has != 0)
        };
        summary.vcpus >= self.vcpus
            && summary.memory_mib >= self.memory_mib
            && summary.disk_mib >= self.disk_mib
            && summary.tier >= self.tier
            && self.certifications & !summary.certifications == 0
            && one_of(&self.countries, summary.countries)
            && one_of(&self.suppliers, summary.suppliers)
    }
}

/// Which machines of a block pass each single test.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Passes {
    pub(crate) supplier: u64,
    pub(crate) country: u64,
    pub(crate) tier: u64,
    /// For each certification that is wanted; all pass where it is not.
    pub(crate) certifications: [u64; CERTIFICATION_BITS],
    pub(crate) price: u64,
    pub(crate) vcpus: u64,
    pub(crate) memory: u64,
    pub(crate) disk: u64,
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
    units: Vec<u64>,
    workers: Vec<WorkerId>,
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
            units: Vec::with_capacity(BLOCK_LENGTH),
            workers: Vec::with_capacity(BLOCK_LENGTH),
            removals: 0,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.units.len()
    }

    pub(crate) fn key(&self, place: usize) -> (u64, WorkerId) {
        (self.units[place], self.workers[place])
    }

    /// How many machines come before `key`.
    pub(crate) fn rank(&self, key: (u64, WorkerId)) -> usize {
        let dear = self.units.partition_point(|unit| *unit < key.0);
        let same = self.units[dear..].partition_point(|unit| *unit == key.0);
        dear + self.workers[dear..dear + same].partition_point(|worker| *worker < key.1)
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
        self.units.insert(place, entry.unit);
        self.workers.insert(place, entry.worker);
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
        self.units.remove(place);
        self.workers.remove(place);
        self.supplier.remove(place);
        self.country.remove(place);
        self.tier.remove(place);
        self.certifications.remove(place);
        self.vcpus.remove(place);
        self.memory_mib.remove(place);
        self.disk_mib.remove(place);
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
        upper.units.extend(self.units.drain(half..));
        upper.workers.extend(self.workers.drain(half..));
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
        match self.units.last() {
            Some(last) if *last > unit_max => {
                first_places(self.units.partition_point(|unit| *unit <= unit_max))
            }
            Some(_) | None => self.all(),
        }
    }

    /// The machines that pass every test.
    #[inline]
    pub(crate) fn passing(&self, sieve: &Sieve) -> u64 {
        let mut mask = self.priced(sieve.unit_max) & self.tier.at_least(sieve.tier);
        if sieve.certifications != 0 {
            mask = self.certified(sieve).into_iter().fold(mask, |mask, passes| mask & passes);
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

    /// The machines that pass each test by itself.
    pub(crate) fn passes(&self, sieve: &Sieve) -> Passes {
        let all = self.all();
        Passes {
            supplier: sieve.suppliers.as_ref().map_or(all, |of| of.mask(&self.supplier, all)),
            country: sieve.countries.as_ref().map_or(all, |of| of.mask(&self.country, all)),
            tier: self.tier.at_least(sieve.tier),
            certifications: self.certified(sieve),
            price: self.priced(sieve.unit_max),
            vcpus: self.vcpus.at_least(sieve.vcpus),
            memory: self.memory_mib.at_least(sieve.memory_mib),
            disk: self.disk_mib.at_least(sieve.disk_mib),
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

    fn certified(&self, sieve: &Sieve) -> [u64; CERTIFICATION_BITS] {
        std::array::from_fn(|bit| {
            if sieve.certifications >> bit & 1 == 1 {
                self.certifications.with_bit(bit)
            } else {
                u64::MAX
            }
        })
    }
}
