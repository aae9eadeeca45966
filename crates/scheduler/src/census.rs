//! How many open machines have what: each filter's own count, kept as machines come and go, so that no question
//! has to walk over the machines.

use std::collections::BTreeMap;

use crate::block::{Entry, Wanted};
use crate::bond::{NOBODY, Ties};
use crate::machine::Stand;
use crate::ranks::Ranks;

/// The open machines, counted by each thing that is said of them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Census {
    open: u64,
    models: BTreeMap<u64, u64>,
    suppliers: BTreeMap<u64, u64>,
    countries: BTreeMap<u64, u64>,
    tiers: BTreeMap<u64, u64>,
    /// By the set of a machine's certifications.
    certifications: BTreeMap<u64, u64>,
    gpus: BTreeMap<u64, u64>,
    /// By the number of the only tenant on them.
    tenants: BTreeMap<u64, u64>,
    /// By the number of the tenant that has them alone, zero for nobody.
    alone: BTreeMap<u64, u64>,
    vcpus: Ranks<u32>,
    memory_mib: Ranks<u32>,
    disk_mib: Ranks<u32>,
    /// Prices per GPU of machines that have GPUs.
    per_gpu: Ranks<u64>,
    per_vcpu: Ranks<u64>,
}

/// A number of machines by a number that stands for what they have.
type Counts = BTreeMap<u64, u64>;

/// What is counted of one machine.
struct Facts {
    /// Its model, supplier, country, tier, certifications, free GPUs, tenant, and tenant if that is alone.
    counted: [u64; 8],
    /// Its free vCPUs, memory and disk.
    amounts: [u32; 3],
    per_gpu: Option<u64>,
    per_vcpu: u64,
}

impl Facts {
    fn of(stand: &Stand, entry: &Entry) -> Self {
        let (prices, has_gpus) = (&stand.machine.prices, stand.machine.total.gpus > 0);
        let tenant = u64::from(entry.bond.tenant);
        let number = |of: u64| u32::try_from(of).expect("limits keep amounts in 32 bits");
        Self {
            counted: [
                u64::from(stand.marks.model),
                entry.supplier,
                entry.country,
                entry.tier,
                entry.certifications,
                u64::from(entry.free.gpus),
                tenant,
                if entry.bond.alone { tenant } else { u64::from(NOBODY) },
            ],
            amounts: [entry.free.vcpus, number(entry.free.memory_mib), number(entry.free.disk_mib)],
            per_gpu: has_gpus.then(|| prices.gpu_hour.units()),
            per_vcpu: prices.vcpu_hour.units(),
        }
    }
}

impl Census {
    pub(crate) fn insert(&mut self, stand: &Stand, entry: &Entry) {
        self.open += 1;
        let facts = Facts::of(stand, entry);
        self.move_counts(None, Some(&facts));
        self.move_ranks(None, Some(&facts));
    }

    pub(crate) fn remove(&mut self, stand: &Stand, entry: &Entry) {
        self.open -= 1;
        let facts = Facts::of(stand, entry);
        self.move_counts(Some(&facts), None);
        self.move_ranks(Some(&facts), None);
    }

    /// A machine changes, in few things as a rule.
    pub(crate) fn change(&mut self, from: (&Stand, &Entry), to: (&Stand, &Entry)) {
        let [from, to] = [from, to].map(|(stand, entry)| Facts::of(stand, entry));
        self.move_counts(Some(&from), Some(&to));
        self.move_ranks(Some(&from), Some(&to));
    }

    /// Machines have other prices per GPU, or else per vCPU: before, and after.
    pub(crate) fn reprice(&mut self, per_gpu: bool, prices: Vec<(u64, u64)>) {
        let ranks = if per_gpu { &mut self.per_gpu } else { &mut self.per_vcpu };
        let (from, to) = prices.into_iter().unzip();
        ranks.exchange(from, to);
    }

    fn move_counts(&mut self, from: Option<&Facts>, to: Option<&Facts>) {
        let counts = [
            &mut self.models,
            &mut self.suppliers,
            &mut self.countries,
            &mut self.tiers,
            &mut self.certifications,
            &mut self.gpus,
            &mut self.tenants,
            &mut self.alone,
        ];
        for (place, counts) in counts.into_iter().enumerate() {
            let [from, to] = [from, to].map(|facts| facts.map(|facts| facts.counted[place]));
            if from != to {
                from.into_iter().for_each(|number| less(counts, number));
                to.into_iter().for_each(|number| *counts.entry(number).or_default() += 1);
            }
        }
    }

    fn move_ranks(&mut self, from: Option<&Facts>, to: Option<&Facts>) {
        let amounts = [&mut self.vcpus, &mut self.memory_mib, &mut self.disk_mib];
        for (place, ranks) in amounts.into_iter().enumerate() {
            let amount = |facts: Option<&Facts>| facts.map(|facts| facts.amounts[place]);
            move_rank(ranks, amount(from), amount(to));
        }
        let per_gpu = |facts: Option<&Facts>| facts.and_then(|facts| facts.per_gpu);
        move_rank(&mut self.per_gpu, per_gpu(from), per_gpu(to));
        let per_vcpu = |facts: Option<&Facts>| facts.map(|facts| facts.per_vcpu);
        move_rank(&mut self.per_vcpu, per_vcpu(from), per_vcpu(to));
    }

    pub(crate) fn of_another_model(&self, model: Option<u32>) -> u64 {
        model
            .map_or(0, |model| self.open - self.models.get(&u64::from(model)).copied().unwrap_or(0))
    }

    pub(crate) fn of_another_supplier(&self, wanted: Option<&Wanted>) -> u64 {
        self.without(&self.suppliers, wanted)
    }

    pub(crate) fn in_another_country(&self, wanted: Option<&Wanted>) -> u64 {
        self.without(&self.countries, wanted)
    }

    fn without(&self, counts: &Counts, wanted: Option<&Wanted>) -> u64 {
        wanted.map_or(0, |wanted| self.open - with(counts, wanted))
    }

    pub(crate) fn slower_than(&self, tier: u64) -> u64 {
        self.tiers.range(..tier).map(|(_, count)| count).sum()
    }

    pub(crate) fn not_certified(&self, certifications: u64) -> u64 {
        let lacks = |has: &u64| certifications & !has != 0;
        self.certifications.iter().filter(|(has, _)| lacks(has)).map(|(_, count)| count).sum()
    }

    /// How many have somebody on them whom the order does not bear, or who does not bear it.
    pub(crate) fn of_other_tenants(&self, ties: &Ties) -> u64 {
        let counts = if ties.alone { &self.tenants } else { &self.alone };
        let mine = ties.tenant.filter(|tenant| *tenant != NOBODY).map(u64::from);
        let of = |number: u64| counts.get(&number).copied().unwrap_or(0);
        self.open - of(u64::from(NOBODY)) - mine.map_or(0, of)
    }

    /// The numbers of the countries that open machines are in, each with how many.
    pub(crate) fn countries(&self) -> impl Iterator<Item = (u64, u64)> {
        self.countries.iter().map(|(number, count)| (*number, *count))
    }

    pub(crate) fn fewer_gpus(&self, gpus: u32) -> u64 {
        self.gpus.range(..u64::from(gpus)).map(|(_, count)| count).sum()
    }

    pub(crate) fn fewer_vcpus(&self, vcpus: u32) -> u64 {
        self.vcpus.below(vcpus)
    }

    pub(crate) fn less_memory(&self, memory_mib: u64) -> u64 {
        below(&self.memory_mib, memory_mib)
    }

    pub(crate) fn less_disk(&self, disk_mib: u64) -> u64 {
        below(&self.disk_mib, disk_mib)
    }

    /// How many have a price per GPU, or else per vCPU, above this.
    pub(crate) fn dearer(&self, per_gpu: bool, unit_max: u64) -> u64 {
        let prices = if per_gpu { &self.per_gpu } else { &self.per_vcpu };
        unit_max.checked_add(1).map_or(0, |dear| prices.len() - prices.below(dear))
    }

    /// How many suppliers have open machines.
    pub(crate) fn suppliers_len(&self) -> u64 {
        u64::try_from(self.suppliers.len()).expect("a count of suppliers fits 64 bits")
    }

    /// The price with so many below it, per GPU or else per vCPU.
    pub(crate) fn price(&self, per_gpu: bool, rank: u64) -> Option<u64> {
        if per_gpu { &self.per_gpu } else { &self.per_vcpu }.nth(rank)
    }

    /// The ranks of the prices above `above` and up to `to`: the first, and the first after them.
    pub(crate) fn prices_between(&self, per_gpu: bool, above: u64, to: u64) -> (u64, u64) {
        let prices = if per_gpu { &self.per_gpu } else { &self.per_vcpu };
        let through = |unit: u64| unit.checked_add(1).map_or(prices.len(), |it| prices.below(it));
        (through(above), through(to))
    }

    /// How many open machines these suppliers have.
    pub(crate) fn supplied_by(&self, wanted: &Wanted) -> u64 {
        with(&self.suppliers, wanted)
    }
}

fn with(counts: &Counts, wanted: &Wanted) -> u64 {
    wanted.numbers().filter_map(|number| counts.get(&number)).sum()
}

fn below(ranks: &Ranks<u32>, number: u64) -> u64 {
    u32::try_from(number).map_or_else(|_| ranks.len(), |number| ranks.below(number))
}

fn less(counts: &mut Counts, number: u64) {
    let count = counts.get_mut(&number).expect("what leaves was counted");
    *count -= 1;
    if *count == 0 {
        counts.remove(&number);
    }
}

fn move_rank<T: Copy + Ord>(ranks: &mut Ranks<T>, from: Option<T>, to: Option<T>) {
    if from != to {
        from.into_iter().for_each(|number| ranks.remove(number));
        to.into_iter().for_each(|number| ranks.insert(number));
    }
}
