//! Every open machine where an order looks for it.
//!
//! A machine with GPUs is in two lanes: one by the price of its GPUs, one by that of its vCPUs, for work without
//! GPUs. Another is in the second only. Within a lane all have the same model and as many free GPUs, so that an
//! order sees only lanes that can serve it, and a tight fit needs no search.

use std::collections::{BTreeMap, BTreeSet};

use units::{AccountId, Certification, Country, GpuModel, Tier};

use crate::block::{Entry, Sieve, Wanted};
use crate::lane::Lane;
use crate::limits::GPUS_PER_MACHINE_MAX;
use crate::machine::{Machine, Stand};
use crate::matcher::Need;
use crate::order::Filters;

/// What the machines of a lane have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct LaneKey {
    /// In order of the price per vCPU, for work without GPUs; otherwise per GPU.
    pub(crate) per_vcpu: bool,
    pub(crate) has_gpus: bool,
    /// The number of the model, zero for none.
    pub(crate) model: u64,
    pub(crate) free_gpus: u32,
}

/// The numbers under which blocks know what a machine says in words. They never change.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Marks {
    model: u64,
    supplier: u64,
    country: u64,
}

/// Numbers for things as they are first seen, from one.
#[derive(Clone, Debug)]
struct Numbers<T>(BTreeMap<T, u64>);

impl<T> Default for Numbers<T> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<T: Ord + Clone> Numbers<T> {
    fn number(&mut self, thing: &T) -> u64 {
        if let Some(number) = self.0.get(thing) {
            return *number;
        }
        let number = u64::try_from(self.0.len()).expect("a count fits 64 bits") + 1;
        self.0.insert(thing.clone(), number);
        number
    }

    /// The numbers of those that were ever seen; no machine has another.
    fn wanted(&self, things: &BTreeSet<T>) -> Option<Wanted> {
        let numbers = things.iter().filter_map(|thing| self.0.get(thing).copied()).collect();
        (!things.is_empty()).then(|| Wanted::new(numbers))
    }
}

/// Every open machine in its lanes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Index {
    models: Numbers<GpuModel>,
    suppliers: Numbers<AccountId>,
    countries: Numbers<Country>,
    lanes: BTreeMap<LaneKey, Lane>,
}

impl Index {
    pub(crate) fn marks(&mut self, machine: &Machine) -> Marks {
        Marks {
            model: machine.gpu_model.as_ref().map_or(0, |model| self.models.number(model)),
            supplier: self.suppliers.number(&machine.supplier),
            country: machine.country.as_ref().map_or(0, |country| self.countries.number(country)),
        }
    }

    /// Puts an open machine in its lanes.
    pub(crate) fn insert(&mut self, stand: &Stand) {
        let mut entry = entry(stand);
        for (key, unit) in lanes_of(stand) {
            entry.unit = unit;
            self.lanes.entry(key).or_default().insert(&entry);
        }
    }

    /// Takes an open machine out of its lanes. The stand is as it was when it was put there.
    pub(crate) fn remove(&mut self, stand: &Stand) {
        for (key, unit) in lanes_of(stand) {
            let lane = self.lanes.get_mut(&key).expect("an open machine is in its lanes");
            lane.remove((unit, stand.machine.id));
            if lane.len() == 0 {
                self.lanes.remove(&key);
            }
        }
    }

    /// The number of the model asked for; `None` when any will do. One that no machine has is a number too.
    pub(crate) fn model(&self, filters: &Filters) -> Option<u64> {
        filters
            .gpu_model
            .as_ref()
            .map(|model| self.models.0.get(model).copied().unwrap_or(u64::MAX))
    }

    pub(crate) fn sieve(&self, filters: &Filters, need: &Need) -> Sieve {
        Sieve {
            unit_max: need.unit_max,
            vcpus: u64::from(need.each.vcpus),
            memory_mib: need.each.memory_mib,
            disk_mib: need.each.disk_mib,
            tier: tier_number(filters.tier_min),
            certifications: certification_bits(&filters.certifications),
            countries: self.countries.wanted(&filters.countries),
            suppliers: self.suppliers.wanted(&filters.suppliers),
        }
    }

    /// The lanes whose machines have the model and enough free GPUs.
    pub(crate) fn lanes_for(&self, model: Option<u64>, need: &Need) -> Vec<(LaneKey, &Lane)> {
        let (per_vcpu, gpus) = (!need.per_gpu(), need.each.gpus);
        if gpus > GPUS_PER_MACHINE_MAX {
            return Vec::new();
        }
        let key = |has_gpus, model, free_gpus| LaneKey { per_vcpu, has_gpus, model, free_gpus };
        [false, true]
            .into_iter()
            .flat_map(|has_gpus| {
                let low = key(has_gpus, model.unwrap_or(0), gpus);
                let high = key(has_gpus, model.unwrap_or(u64::MAX), GPUS_PER_MACHINE_MAX);
                self.lanes.range(low..=high)
            })
            .filter(|(key, _)| key.free_gpus >= gpus)
            .map(|(key, lane)| (*key, lane))
            .collect()
    }

    /// Lanes that together hold every open machine once, by the price the order pays where there is one.
    pub(crate) fn lanes_of_all(&self, need: &Need) -> impl Iterator<Item = (LaneKey, &Lane)> {
        let per_gpu = need.per_gpu();
        let once = move |key: &LaneKey| if key.has_gpus { key.per_vcpu != per_gpu } else { true };
        self.lanes.iter().filter(move |(key, _)| once(key)).map(|(key, lane)| (*key, lane))
    }
}

fn tier_number(tier: Tier) -> u64 {
    match tier {
        Tier::None => 0,
        Tier::Low => 1,
        Tier::Medium => 2,
        Tier::High => 3,
        Tier::UltraHigh => 4,
    }
}

fn certification_bits(certifications: &BTreeSet<Certification>) -> u64 {
    let bit = |certification: &Certification| match certification {
        Certification::Hipaa => 1,
        Certification::Iso27001 => 1 << 1,
        Certification::Soc2 => 1 << 2,
    };
    certifications.iter().map(bit).sum()
}

fn entry(stand: &Stand) -> Entry {
    Entry {
        unit: 0,
        worker: stand.machine.id,
        supplier: stand.marks.supplier,
        country: stand.marks.country,
        tier: tier_number(stand.machine.tier),
        certifications: certification_bits(&stand.machine.certifications),
        free: stand.free(),
    }
}

/// The lanes of a machine, with its price in each.
fn lanes_of(stand: &Stand) -> impl Iterator<Item = (LaneKey, u64)> {
    let (model, free_gpus) = (stand.marks.model, stand.free_gpus().len());
    let has_gpus = stand.machine.total.gpus > 0;
    let prices = &stand.machine.prices;
    let key = move |per_vcpu| LaneKey { per_vcpu, has_gpus, model, free_gpus };
    let per_gpu = has_gpus.then(|| (key(false), prices.gpu_hour.units()));
    per_gpu.into_iter().chain([(key(true), prices.vcpu_hour.units())])
}
