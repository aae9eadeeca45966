//! Up to 64 machines in order of price, compared with an order all at once.

use units::{Resources, WorkerId};

use crate::bond::Bond;
use crate::column::{Column, first_places, places};
pub(crate) use crate::sieve::{Sieve, Wanted};
use crate::tally::Cell;

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
    pub(crate) bond: Bond,
    /// What is free; its GPUs are the lane's.
    pub(crate) free: Resources,
}

/// How far apart the machines of a block or a lane are in each thing.
///
/// It may promise too much, never too little: no machine lies outside it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Summary {
    /// How many machines there are, exactly.
    pub(crate) len: usize,
    pub(crate) kinds: Kinds,
    /// One bit for all countries with the same remainder by 128.
    pub(crate) countries: u128,
    /// One bit for all suppliers with the same remainder by 64.
    pub(crate) suppliers: u64,
    pub(crate) vcpus: Span,
    pub(crate) memory_mib: Span,
    pub(crate) disk_mib: Span,
}

/// Tiers with certifications: one bit for each pair, so that a rare pair of common things is known to be rare.
/// Certifications beyond the first few share one bit of the pair.
pub(crate) type Kinds = u128;

pub(crate) fn kind(tier: u64, certifications: u64) -> Kinds {
    let own = certifications & ((1 << OWN_BITS) - 1);
    let others = u64::from(certifications >> OWN_BITS != 0) << OWN_BITS;
    1 << (tier << (OWN_BITS + 1) | others | own)
}

/// The least and the most of something.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span {
    pub(crate) min: u32,
    pub(crate) max: u32,
}

impl Span {
    const NONE: Self = Self { min: u32::MAX, max: 0 };

    fn add(&mut self, other: Self) {
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
    }

    fn of(value: u64) -> Self {
        let value = u32::try_from(value).expect("limits keep amounts in 32 bits");
        Self { min: value, max: value }
    }

    /// Whether something in it is at least `value`.
    #[inline]
    pub(crate) fn reaches(self, value: u64) -> bool {
        u64::from(self.max) >= value
    }

    /// Whether all in it is at least `value`.
    #[inline]
    pub(crate) fn clears(self, value: u64) -> bool {
        u64::from(self.min) >= value
    }
}

impl Default for Summary {
    fn default() -> Self {
        let none = Span::NONE;
        Self {
            len: 0,
            kinds: 0,
            countries: 0,
            suppliers: 0,
            vcpus: none,
            memory_mib: none,
            disk_mib: none,
        }
    }
}

impl Summary {
    /// The places of a block's machines.
    pub(crate) const fn all(&self) -> u64 {
        first_places(self.len)
    }

    pub(crate) fn add(&mut self, entry: &Entry) {
        self.len += 1;
        self.kinds |= kind(entry.tier, entry.certifications);
        self.countries |= 1 << (entry.country % 128);
        self.suppliers |= 1 << (entry.supplier % 64);
        self.vcpus.add(Span::of(u64::from(entry.free.vcpus)));
        self.memory_mib.add(Span::of(entry.free.memory_mib));
        self.disk_mib.add(Span::of(entry.free.disk_mib));
    }

    /// Makes it wide enough for all that `other` is of.
    pub(crate) fn widen(&mut self, other: &Self) {
        self.len += other.len;
        self.kinds |= other.kinds;
        self.countries |= other.countries;
        self.suppliers |= other.suppliers;
        self.vcpus.add(other.vcpus);
        self.memory_mib.add(other.memory_mib);
        self.disk_mib.add(other.disk_mib);
    }

    pub(crate) fn span(&self, amount: Amount) -> Span {
        match amount {
            Amount::Vcpus => self.vcpus,
            Amount::Memory => self.memory_mib,
            Amount::Disk => self.disk_mib,
        }
    }
}

/// What a machine has more or less of, and blocks store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Amount {
    Vcpus,
    Memory,
    Disk,
}

/// Bits kept for certifications.
pub(crate) const CERTIFICATION_BITS: usize = 5;
/// Of them, those that have a bit of their own in a pair of [`Kinds`].
const OWN_BITS: usize = 3;
pub(crate) const TIER_BITS: usize = 3;
pub(crate) const COUNTRY_BITS: usize = 10;
const _: () = assert!(units::Certification::ALL.len() == CERTIFICATION_BITS, "each has its bit");
const _: () = assert!(26 * 26 < 1 << COUNTRY_BITS, "every pair of letters has its number");
const _: () = assert!(units::Tier::ALL.len() <= 1 << TIER_BITS, "a tier has its bits");
const _: () = assert!(1 << (TIER_BITS + OWN_BITS + 1) <= Kinds::BITS, "a pair has its bit");

/// Up to [`BLOCK_LENGTH`] machines, by price and then by worker.
///
/// Laid out as written: what most orders read comes first and together.
#[derive(Clone, Debug)]
#[repr(C)]
pub(crate) struct Block {
    tier: Column<TIER_BITS>,
    certifications: Column<CERTIFICATION_BITS>,
    country: Column<COUNTRY_BITS>,
    vcpus: Column<16>,
    memory_mib: Column<32>,
    disk_mib: Column<32>,
    suppliers: [u32; BLOCK_LENGTH],
    bonds: [Bond; BLOCK_LENGTH],
    cells: [Cell; BLOCK_LENGTH],
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
            suppliers: [0; BLOCK_LENGTH],
            bonds: [Bond::default(); BLOCK_LENGTH],
            cells: [Cell::default(); BLOCK_LENGTH],
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

    /// Changes a price, and says which cell the machine was in and is in. The caller sees to the order.
    pub(crate) fn set_unit(&mut self, place: usize, unit: u64) -> [Cell; 2] {
        let (from, to) = (self.cells[place], self.cells[place].at_price(unit));
        (self.units[place], self.cells[place]) = (unit, to);
        [from, to]
    }

    pub(crate) fn cell(&self, place: usize) -> Cell {
        self.cells[place]
    }

    pub(crate) fn supplier(&self, place: usize) -> u32 {
        self.suppliers[place]
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
            supplier: u64::from(self.suppliers[place]),
            country: self.country.get(place),
            tier: self.tier.get(place),
            certifications: self.certifications.get(place),
            bond: self.bonds[place],
            free: Resources { gpus, vcpus, memory_mib, disk_mib },
        }
    }

    pub(crate) fn insert(&mut self, entry: &Entry, summary: &mut Summary) {
        let place = self.rank((entry.unit, entry.worker));
        self.units.copy_within(place..self.len, place + 1);
        self.workers.copy_within(place..self.len, place + 1);
        self.suppliers.copy_within(place..self.len, place + 1);
        self.bonds.copy_within(place..self.len, place + 1);
        self.cells.copy_within(place..self.len, place + 1);
        (self.units[place], self.workers[place]) = (entry.unit, entry.worker);
        self.suppliers[place] = supplier_number(entry);
        self.bonds[place] = entry.bond;
        self.cells[place] = Cell::of(entry);
        self.len += 1;
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
        self.suppliers.copy_within(place + 1..self.len, place);
        self.bonds.copy_within(place + 1..self.len, place);
        self.cells.copy_within(place + 1..self.len, place);
        self.len -= 1;
        self.country.remove(place);
        self.tier.remove(place);
        self.certifications.remove(place);
        self.vcpus.remove(place);
        self.memory_mib.remove(place);
        self.disk_mib.remove(place);
        summary.len -= 1;
        summary.vcpus = span(&self.vcpus, self.len);
        summary.memory_mib = span(&self.memory_mib, self.len);
        summary.disk_mib = span(&self.disk_mib, self.len);
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
            ..Self::new()
        };
        upper.len = self.len - half;
        upper.units[..upper.len].copy_from_slice(&self.units[half..self.len]);
        upper.workers[..upper.len].copy_from_slice(&self.workers[half..self.len]);
        upper.suppliers[..upper.len].copy_from_slice(&self.suppliers[half..self.len]);
        upper.bonds[..upper.len].copy_from_slice(&self.bonds[half..self.len]);
        upper.cells[..upper.len].copy_from_slice(&self.cells[half..self.len]);
        self.len = half;
        upper
    }

    pub(crate) fn summary(&self) -> Summary {
        let mut summary = Summary::default();
        (0..self.len()).for_each(|place| summary.add(&self.entry(place, 0)));
        summary
    }

    /// The machines whose price is at most `unit_max`: a prefix.
    pub(crate) fn priced(&self, unit_max: u64) -> u64 {
        first_places(self.units[..self.len].partition_point(|unit| *unit <= unit_max))
    }

    /// The machines that pass every test but the price. Columns that the summary settles are not read.
    #[inline]
    pub(crate) fn passing(&self, sieve: &Sieve, summary: &Summary) -> u64 {
        let mut mask = summary.all();
        if summary.kinds & !sieve.kinds_whole != 0 {
            mask &= self.of_kinds(sieve);
        }
        if let (Some(wanted), true) = (&sieve.countries, mask != 0) {
            mask = wanted.mask(&self.country, mask);
        }
        mask = self.of_amounts(sieve, summary, mask);
        if let (Some(wanted), true) = (&sieve.suppliers, mask != 0) {
            mask = self.of_suppliers(wanted, mask);
        }
        sieve.ties.of(&self.bonds, mask)
    }

    /// The machines of `mask` that have enough vCPUs, memory and disk.
    #[inline]
    pub(crate) fn of_amounts(&self, sieve: &Sieve, summary: &Summary, mut mask: u64) -> u64 {
        if mask != 0 && !summary.vcpus.clears(sieve.vcpus) {
            mask &= self.vcpus.at_least(sieve.vcpus);
        }
        if mask != 0 && !summary.memory_mib.clears(sieve.memory_mib) {
            mask &= self.memory_mib.at_least(sieve.memory_mib);
        }
        if mask != 0 && !summary.disk_mib.clears(sieve.disk_mib) {
            mask &= self.disk_mib.at_least(sieve.disk_mib);
        }
        mask
    }

    /// The machines of `mask` that one of these supplies.
    fn of_suppliers(&self, wanted: &Wanted, mask: u64) -> u64 {
        let has = |place: &usize| wanted.has(u64::from(self.suppliers[*place]));
        places(mask).filter(has).fold(0, |mask, place| mask | 1 << place)
    }

    #[inline]
    fn of_kinds(&self, sieve: &Sieve) -> u64 {
        let mut mask = self.tier.at_least(sieve.tier);
        for bit in (0..CERTIFICATION_BITS).filter(|bit| sieve.certifications >> bit & 1 == 1) {
            mask &= self.certifications.with_bit(bit);
        }
        mask
    }

    /// The machines that have at least so much of something free.
    pub(crate) fn at_least(&self, amount: Amount, least: u64) -> u64 {
        match amount {
            Amount::Vcpus => self.vcpus.at_least(least),
            Amount::Memory => self.memory_mib.at_least(least),
            Amount::Disk => self.disk_mib.at_least(least),
        }
    }
}

pub(crate) fn supplier_number(entry: &Entry) -> u32 {
    u32::try_from(entry.supplier).expect("numbers of suppliers have 32 bits")
}

/// From the least to the most of a column's numbers.
fn span<const BITS: usize>(column: &Column<BITS>, len: usize) -> Span {
    let [min, max] = [column.min(len), column.max()].map(Span::of);
    Span { min: if len == 0 { u32::MAX } else { min.min }, max: max.max }
}
