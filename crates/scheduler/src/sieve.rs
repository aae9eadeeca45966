//! What an order asks of a machine, in the numbers that blocks store.

use std::collections::BTreeSet;

use crate::block::{Amount, CERTIFICATION_BITS, Entry, Kinds, Summary, TIER_BITS, kind};
use crate::bond::Ties;
use crate::column::{Column, places};

/// What a machine must have, in the numbers that blocks store.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sieve {
    pub(crate) unit_max: u64,
    pub(crate) vcpus: u64,
    pub(crate) memory_mib: u64,
    pub(crate) disk_mib: u64,
    pub(crate) tier: u64,
    pub(crate) certifications: u64,
    /// Pairs of which some machine may pass.
    pub(crate) kinds: Kinds,
    /// Pairs of which every machine passes.
    pub(crate) kinds_whole: Kinds,
    pub(crate) countries: Option<Wanted>,
    pub(crate) suppliers: Option<Wanted>,
    pub(crate) ties: Ties,
}

/// Numbers of which a machine must have one.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    numbers: BTreeSet<u64>,
    /// One bit for all with the same remainder by 128.
    by_remainder: u128,
}

impl Wanted {
    pub(crate) fn new(numbers: BTreeSet<u64>) -> Self {
        let by_remainder = numbers.iter().fold(0, |bits, number| bits | 1 << (number % 128));
        Self { numbers, by_remainder }
    }

    pub(crate) fn numbers(&self) -> impl Iterator<Item = u64> {
        self.numbers.iter().copied()
    }

    pub(crate) fn has(&self, number: u64) -> bool {
        self.numbers.contains(&number)
    }

    /// The same by 64.
    fn by_half_remainder(&self) -> u64 {
        let [low, high] =
            [self.by_remainder, self.by_remainder >> 64].map(|half| half & u128::from(u64::MAX));
        u64::try_from(low | high).expect("half as many bits")
    }

    /// The places of `among` that have one of the numbers; it reads either each number or each place.
    pub(crate) fn mask<const BITS: usize>(&self, column: &Column<BITS>, among: u64) -> u64 {
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
    /// Lets machines pass that are connected at least this fast and have at least these certifications.
    pub(crate) fn want_kinds(&mut self, tier: u64, certifications: u64) {
        let tiers = tier..1 << TIER_BITS;
        let all = tiers.flat_map(|tier| (0..1 << CERTIFICATION_BITS).map(move |has| (tier, has)));
        let passes = |(_, has): &(u64, u64)| certifications & !has == 0;
        let (passing, others): (Vec<_>, Vec<_>) = all.partition(passes);
        let join = |kinds, (tier, has): (u64, u64)| kinds | kind(tier, has);
        self.kinds = passing.into_iter().fold(0, join);
        self.kinds_whole = self.kinds & !others.into_iter().fold(0, join);
        (self.tier, self.certifications) = (tier, certifications);
    }

    /// Asks for at least `least` of an amount.
    pub(crate) fn want(&mut self, amount: Amount, least: u64) {
        match amount {
            Amount::Vcpus => self.vcpus = least,
            Amount::Memory => self.memory_mib = least,
            Amount::Disk => self.disk_mib = least,
        }
    }

    /// Whether a machine passes every test; its GPUs and its model are the lane's.
    pub(crate) fn passes(&self, entry: &Entry) -> bool {
        let has = |wanted: &Option<Wanted>, number| {
            wanted.as_ref().is_none_or(|wanted| wanted.has(number))
        };
        entry.unit <= self.unit_max
            && u64::from(entry.free.vcpus) >= self.vcpus
            && entry.free.memory_mib >= self.memory_mib
            && entry.free.disk_mib >= self.disk_mib
            && entry.tier >= self.tier
            && self.certifications & !entry.certifications == 0
            && has(&self.countries, entry.country)
            && has(&self.suppliers, entry.supplier)
            && self.ties.passes(&entry.bond)
    }

    /// Whether some machine may have enough vCPUs, memory and disk.
    #[inline]
    pub(crate) fn may_suffice(&self, summary: &Summary) -> bool {
        summary.vcpus.reaches(self.vcpus)
            && summary.memory_mib.reaches(self.memory_mib)
            && summary.disk_mib.reaches(self.disk_mib)
    }

    /// Whether every machine has.
    #[inline]
    pub(crate) fn all_suffice(&self, summary: &Summary) -> bool {
        summary.vcpus.clears(self.vcpus)
            && summary.memory_mib.clears(self.memory_mib)
            && summary.disk_mib.clears(self.disk_mib)
    }

    /// Whether some machine may pass, its price aside.
    #[inline]
    pub(crate) fn may_pass(&self, summary: &Summary) -> bool {
        let country = |wanted: &Wanted| wanted.by_remainder & summary.countries != 0;
        let supplier = |wanted: &Wanted| wanted.by_half_remainder() & summary.suppliers != 0;
        self.kinds & summary.kinds != 0
            && self.may_suffice(summary)
            && self.countries.as_ref().is_none_or(country)
            && self.suppliers.as_ref().is_none_or(supplier)
    }
}
