//! What there is to choose from: the machines that could serve a node, counted by each thing a filter asks for.
//!
//! Each thing is counted as if its own filter were left out, so that a count says what choosing that value instead
//! would give. The counts are exact. A lane whose machines all suffice, or all are too dear, is counted by its tally;
//! only the others are gone through.

use std::collections::BTreeMap;

use units::{Certification, Country, Credits, GpuModel, Resources, Tier};

use crate::block::{CERTIFICATION_BITS, Sieve, Wanted};
use crate::column::places;
use crate::index::{Index, certification_bits, tier_number};
use crate::lane::Lane;
use crate::lanes::{LaneKey, Lanes};
use crate::matcher::Need;
use crate::order::Filters;
use crate::tally::{BAND_EDGES, Cell, KIND_BITS, mark};

/// What the machines have that could serve one node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facets {
    /// The machines that pass every filter.
    pub total: Count,
    /// How many suppliers they have between them, any supplier allowed.
    pub suppliers: u64,
    /// By the model of their GPUs; `None` are machines without.
    pub models: BTreeMap<Option<GpuModel>, Count>,
    /// By where they stand; `None` where that is not known.
    pub countries: BTreeMap<Option<Country>, Count>,
    /// By how fast they are connected.
    pub tiers: BTreeMap<Tier, Count>,
    /// By what is vouched for: a machine counts in each of its own.
    pub certifications: BTreeMap<Certification, Count>,
    /// By how many of their GPUs are free; those with none only where no GPU is asked for.
    pub free_gpus: BTreeMap<u32, Count>,
    /// By what a GPU of theirs costs an hour, or a vCPU where no GPU is asked for; cheapest first, none empty.
    pub prices: Vec<Band>,
}

/// Machines, each of which has room for a node at least.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// How many.
    pub machines: u64,
    /// How many of their GPUs are free.
    pub gpus: u64,
}

/// The machines whose price is in one band.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Band {
    /// The lowest price in it.
    pub from: Credits,
    /// The lowest price above it, if there is any.
    pub below: Option<Credits>,
    /// The machines.
    pub count: Count,
}

/// The tests that a machine fails, a bit for each; all others it passes.
type Failed = u8;

const COUNTRY: Failed = 1;
const TIER: Failed = 1 << 1;
const CERTIFICATION: Failed = 1 << 2;
const PRICE: Failed = 1 << 3;
const SUPPLIER: Failed = 1 << 4;
const MODEL: Failed = 1 << 5;
const GPUS: Failed = 1 << 6;

/// What is asked, in the numbers of the index.
struct Asked<'a> {
    need: Need,
    /// Asks for any supplier; those wanted are beside it.
    sieve: Sieve,
    suppliers: Option<Wanted>,
    model: Option<u32>,
    index: &'a Index,
    /// Which test a country fails, by its number.
    countries: Vec<Failed>,
    /// Which tests a tier with certifications fails.
    kinds: [Failed; 1 << KIND_BITS],
    /// Whether no machine fails for its country, its tier or its certifications.
    any_cell: bool,
}

/// The counts of lanes with as many free GPUs each, of one model.
#[derive(Debug)]
struct Alike {
    passing: u64,
    countries: Vec<u64>,
    kinds_of_tier: [u64; 1 << (KIND_BITS - CERTIFICATION_BITS)],
    kinds_of_certification: [u64; 1 << CERTIFICATION_BITS],
    bands: [u64; BAND_EDGES.len() + 1],
}

/// The counts so far, by number.
#[derive(Debug, Default)]
struct Found {
    total: Count,
    models: BTreeMap<u32, Count>,
    countries: Vec<Count>,
    tiers: Vec<Count>,
    certifications: Vec<Count>,
    free_gpus: BTreeMap<u32, Count>,
    bands: Vec<Count>,
}

impl Count {
    fn add(&mut self, machines: u64, free_gpus: u32) {
        self.machines += machines;
        self.gpus += machines * u64::from(free_gpus);
    }
}

/// Counts what there is to choose from. `few` are lanes of all machines of the suppliers who are asked for, if these
/// are few.
pub(crate) fn facets(
    index: &Index,
    few: Option<&Lanes>,
    filters: &Filters,
    each: Resources,
) -> Facets {
    let mut asked = Asked::new(index, filters, each);
    if few.is_some() {
        asked.suppliers = None;
    }
    let mut found = Found::default();
    let mut lanes = few.unwrap_or(&index.lanes).priced_per(asked.need.per_gpu()).peekable();
    while let Some((key, lane)) = lanes.next() {
        let failed = asked.failed_by_all(&key);
        let mut alike = Alike::new(asked.countries.len());
        asked.count(lane, failed, &mut alike);
        let is_alike = |(next, _): &(LaneKey, &Lane)| {
            (next.has_gpus, next.model, next.free_gpus) == (key.has_gpus, key.model, key.free_gpus)
        };
        while let Some((_, lane)) = lanes.next_if(is_alike) {
            asked.count(lane, failed, &mut alike);
        }
        found.add(&key, failed, &alike);
    }
    found.told(index, asked.suppliers_count(), asked.need.per_gpu())
}

impl<'a> Asked<'a> {
    fn new(index: &'a Index, filters: &Filters, each: Resources) -> Self {
        let need = Need::new(filters, each);
        let mut sieve = index.sieve(filters, &need);
        let suppliers = sieve.suppliers.take();
        let fails_country = |number: u64| {
            let wanted = sieve.countries.as_ref().is_none_or(|wanted| wanted.has(number));
            if wanted { 0 } else { COUNTRY }
        };
        let fails_kind = |kind: usize| {
            let slow = kind >> CERTIFICATION_BITS < usize::try_from(sieve.tier).expect("few tiers");
            let lacks = usize::try_from(sieve.certifications).expect("few bits") & !kind != 0;
            (if slow { TIER } else { 0 }) | if lacks { CERTIFICATION } else { 0 }
        };
        let countries = (0..=index.countries_len()).map(fails_country).collect();
        let kinds = std::array::from_fn(fails_kind);
        let any_cell = sieve.countries.is_none() && sieve.tier == 0 && sieve.certifications == 0;
        let model = index.model(filters);
        Self { need, suppliers, model, index, countries, kinds, any_cell, sieve }
    }

    /// The tests that all machines of a lane fail.
    fn failed_by_all(&self, key: &LaneKey) -> Failed {
        let model = self.model.is_some_and(|model| model != key.model);
        let gpus = key.free_gpus < self.need.each.gpus;
        (if model { MODEL } else { 0 }) | if gpus { GPUS } else { 0 }
    }

    /// Counts a lane whose machines all fail these tests. Nothing counts that fails two.
    fn count(&self, lane: &Lane, failed: Failed, alike: &mut Alike) {
        let Some((cheapest, dearest)) = lane.span() else { return };
        let summary = lane.summary_of_all();
        let Need { unit_max, unit_writable, .. } = self.need;
        if failed.count_ones() > 1 || !self.sieve.may_suffice(summary) || cheapest > unit_writable {
            return;
        }
        let dear = cheapest > unit_max;
        let alike_in_price = dear || dearest <= unit_max;
        if failed != 0 && dear {
            return;
        }
        let suffice = self.sieve.all_suffice(summary) && dearest <= unit_writable;
        if suffice && alike_in_price && self.suppliers.is_none() {
            let price = if dear { PRICE } else { 0 };
            for (cell, count) in lane.tally().cells() {
                alike.add(*cell, u64::from(*count), price | self.failed(*cell));
            }
        } else {
            (0..lane.blocks_len()).for_each(|at| self.count_block(lane, at, alike));
        }
    }

    fn count_block(&self, lane: &Lane, at: usize, alike: &mut Alike) {
        let (block, summary) = (lane.block(at), lane.summary(at));
        if !self.sieve.may_suffice(summary) {
            return;
        }
        let sufficing = block.of_amounts(&self.sieve, summary, summary.all());
        let writable = lane.priced(at, self.need.unit_writable);
        let cheap = lane.priced(at, self.need.unit_max);
        for place in places(sufficing & writable) {
            let price = if cheap >> place & 1 == 1 { 0 } else { PRICE };
            let wanted = self.suppliers.as_ref();
            let wanted = wanted.is_none_or(|wanted| wanted.has(u64::from(block.supplier(place))));
            let cell = block.cell(place);
            let supplier = if wanted { 0 } else { SUPPLIER };
            alike.add(cell, 1, price | supplier | self.failed(cell));
        }
    }

    #[inline]
    fn failed(&self, cell: Cell) -> Failed {
        self.countries[cell.country()] | self.kinds[cell.kind()]
    }

    /// How many suppliers have a machine that passes, whomever is asked for.
    fn suppliers_count(&self) -> u64 {
        let most = self.index.census.suppliers_len();
        let mut seen = vec![0_u64; self.index.suppliers_len() / 64 + 1];
        let count = |seen: &[u64]| seen.iter().map(|word| u64::from(word.count_ones())).sum();
        for (_, lane) in self.index.lanes.with(self.model, &self.need, &self.sieve) {
            self.mark_suppliers(lane, &mut seen);
            let found = count(&seen);
            if found == most {
                return found;
            }
        }
        count(&seen)
    }

    fn mark_suppliers(&self, lane: &Lane, seen: &mut [u64]) {
        let cheap = lane.span().is_some_and(|(_, dearest)| dearest <= self.need.unit_max);
        if cheap && self.sieve.all_suffice(lane.summary_of_all()) {
            match self.any_cell {
                true => lane.tally().mark_all(seen),
                false => lane.tally().mark(|cell| self.failed(cell) == 0, seen),
            }
            return;
        }
        for at in (0..lane.blocks_len()).filter(|at| self.sieve.may_pass(lane.summary(*at))) {
            let block = lane.block(at);
            places(lane.passing(at, &self.sieve))
                .for_each(|place| mark(block.supplier(place), seen));
        }
    }
}

impl Alike {
    fn new(countries: usize) -> Self {
        Self {
            passing: 0,
            countries: vec![0; countries],
            kinds_of_tier: [0; 1 << (KIND_BITS - CERTIFICATION_BITS)],
            kinds_of_certification: [0; 1 << CERTIFICATION_BITS],
            bands: [0; BAND_EDGES.len() + 1],
        }
    }

    /// Counts machines of a cell where they fail nothing, or nothing else.
    #[inline]
    fn add(&mut self, cell: Cell, count: u64, failed: Failed) {
        if failed == 0 {
            self.passing += count;
        }
        if failed & !COUNTRY == 0 {
            self.countries[cell.country()] += count;
        }
        if failed & !TIER == 0 {
            self.kinds_of_tier[cell.kind() >> CERTIFICATION_BITS] += count;
        }
        if failed & !CERTIFICATION == 0 {
            self.kinds_of_certification[cell.kind() & ((1 << CERTIFICATION_BITS) - 1)] += count;
        }
        if failed & !PRICE == 0 {
            self.bands[cell.band()] += count;
        }
    }
}

impl Found {
    /// Adds the counts of lanes that fail these tests.
    fn add(&mut self, key: &LaneKey, failed: Failed, alike: &Alike) {
        let add = |count: &mut Count, machines: u64| count.add(machines, key.free_gpus);
        if failed & !MODEL == 0 {
            add(self.models.entry(key.model).or_default(), alike.passing);
        }
        if failed & !GPUS == 0 {
            add(self.free_gpus.entry(key.free_gpus).or_default(), alike.passing);
        }
        if failed != 0 {
            return;
        }
        add(&mut self.total, alike.passing);
        let all = [
            (&mut self.countries, alike.countries.as_slice()),
            (&mut self.tiers, &alike.kinds_of_tier),
            (&mut self.certifications, &alike.kinds_of_certification),
            (&mut self.bands, &alike.bands),
        ];
        for (counts, more) in all {
            counts.resize(more.len(), Count::default());
            counts.iter_mut().zip(more).for_each(|(count, machines)| add(count, *machines));
        }
    }

    /// The same in words.
    fn told(self, index: &Index, suppliers: u64, per_gpu: bool) -> Facets {
        let of = |counts: &[Count], at: u64| {
            counts.get(usize::try_from(at).expect("an index")).copied().unwrap_or_default()
        };
        let models =
            index.models().map(|(model, number)| (model, self.models.get(&number).copied()));
        let countries = index.countries();
        let countries =
            countries.map(|(country, number)| (country, of(&self.countries, number.into())));
        let tiers = Tier::ALL.iter().map(|tier| (*tier, of(&self.tiers, tier_number(*tier))));
        let certifications = Certification::ALL.iter().map(|certification| {
            let bit = certification_bits(&[*certification].into());
            let sets = (0..).zip(&self.certifications).filter(|(set, _)| set & bit != 0);
            let sum = |sum: Count, (_, count): (u64, &Count)| Count {
                machines: sum.machines + count.machines,
                gpus: sum.gpus + count.gpus,
            };
            (*certification, sets.fold(Count::default(), sum))
        });
        let free_gpus = self.free_gpus.iter().map(|(gpus, count)| (*gpus, *count));
        Facets {
            total: self.total,
            suppliers,
            models: some(models.map(|(model, count)| (model, count.unwrap_or_default()))),
            countries: some(countries),
            tiers: some(tiers),
            certifications: some(certifications),
            free_gpus: some(free_gpus.filter(|(gpus, _)| *gpus > 0 || !per_gpu)),
            prices: bands(&self.bands),
        }
    }
}

/// Those of which there is any.
fn some<T: Ord>(counts: impl Iterator<Item = (T, Count)>) -> BTreeMap<T, Count> {
    counts.filter(|(_, count)| count.machines > 0).collect()
}

fn bands(counts: &[Count]) -> Vec<Band> {
    let edge = |at: usize| BAND_EDGES.get(at).copied().map(Credits::from_units);
    let band = |(at, count): (usize, &Count)| Band {
        from: at.checked_sub(1).and_then(edge).unwrap_or(Credits::ZERO),
        below: edge(at),
        count: *count,
    };
    counts.iter().enumerate().map(band).filter(|band| band.count.machines > 0).collect()
}
