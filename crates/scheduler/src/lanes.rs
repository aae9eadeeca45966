//! Machines where an order looks for them.
//!
//! A machine with GPUs is in two lanes: one by the price of its GPUs, one by that of its vCPUs, for work without
//! GPUs. Another is in the second only. Within a lane all have the same model and as many free GPUs, so that an
//! order sees only lanes that can serve it, and a tight fit needs no search; and they have about as many vCPUs and
//! about as much memory free, so that most lanes serve an order's size as a whole or not at all.

use std::collections::BTreeMap;

use units::WorkerId;

use crate::block::{Entry, Sieve};
use crate::lane::{Lane, Repriced};
use crate::limits::GPUS_PER_MACHINE_MAX;
use crate::machine::{Prices, Stand};
use crate::matcher::Need;

/// What the machines of a lane have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct LaneKey {
    /// In order of the price per vCPU, for work without GPUs; otherwise per GPU.
    pub(crate) per_vcpu: bool,
    pub(crate) has_gpus: bool,
    /// The number of the model, zero for none.
    pub(crate) model: u32,
    pub(crate) free_gpus: u32,
    /// How large they are apart from that. It ranks nothing.
    size: Size,
}

/// Roughly how many vCPUs and how much memory are free.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Size {
    vcpus: u8,
    memory: u8,
}

impl Size {
    const SMALLEST: Self = Self { vcpus: 0, memory: 0 };
    const LARGEST: Self = Self { vcpus: u8::MAX, memory: u8::MAX };

    /// Machines without GPUs are in far fewer lanes otherwise, so they are told apart more finely.
    fn of(entry: &Entry, has_gpus: bool) -> Self {
        let bits = |of: u64| u64::BITS - of.leading_zeros();
        let class = |of: u64| if has_gpus { bits(of).div_ceil(2) } else { bits(of) };
        let class = |of: u64| u8::try_from(class(of)).expect("at most 64");
        Self { vcpus: class(u64::from(entry.free.vcpus)), memory: class(entry.free.memory_mib) }
    }
}

/// Machines in their lanes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lanes(BTreeMap<LaneKey, Lane>);

impl Lanes {
    pub(crate) fn insert(&mut self, stand: &Stand, entry: &Entry) {
        for (key, unit) in lanes_of(stand, entry) {
            self.0.entry(key).or_default().insert(&Entry { unit, ..*entry });
        }
    }

    pub(crate) fn remove(&mut self, stand: &Stand, entry: &Entry) {
        for (key, unit) in lanes_of(stand, entry) {
            self.remove_from(key, (unit, entry.worker));
        }
    }

    /// Moves a machine from what it was to what it is, in those lanes where it changes.
    pub(crate) fn change(&mut self, from: &[(LaneKey, Entry)], to: &[(LaneKey, Entry)]) {
        for (key, entry) in from.iter().filter(|place| !to.contains(place)) {
            self.remove_from(*key, (entry.unit, entry.worker));
        }
        for (key, entry) in to.iter().filter(|place| !from.contains(place)) {
            self.0.entry(*key).or_default().insert(entry);
        }
    }

    /// Gives machines of a lane other prices.
    pub(crate) fn reprice(&mut self, key: LaneKey, changes: Vec<Repriced>) {
        self.0.get_mut(&key).expect("an open machine is in its lanes").reprice(changes);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn remove_from(&mut self, key: LaneKey, machine: (u64, WorkerId)) {
        let lane = self.0.get_mut(&key).expect("an open machine is in its lanes");
        lane.remove(machine);
        if lane.len() == 0 {
            self.0.remove(&key);
        }
    }

    /// The lanes in order of the price per GPU, or else per vCPU.
    pub(crate) fn priced_per(&self, gpu: bool) -> impl Iterator<Item = (LaneKey, &Lane)> {
        self.0.iter().filter(move |(key, _)| key.per_vcpu != gpu).map(|(key, lane)| (*key, lane))
    }

    /// The lanes in which some machine may have the model, enough free GPUs, and what the sieve asks for.
    pub(crate) fn with(
        &self,
        model: Option<u32>,
        need: &Need,
        sieve: &Sieve,
    ) -> Vec<(LaneKey, &Lane)> {
        let (per_vcpu, gpus) = (!need.per_gpu(), need.each.gpus);
        if gpus > GPUS_PER_MACHINE_MAX {
            return Vec::new();
        }
        let key = |has_gpus, model, free_gpus, size| LaneKey {
            per_vcpu,
            has_gpus,
            model,
            free_gpus,
            size,
        };
        let of = |has_gpus| {
            let low = key(has_gpus, model.unwrap_or(0), gpus, Size::SMALLEST);
            let most = GPUS_PER_MACHINE_MAX;
            let high = key(has_gpus, model.unwrap_or(u32::MAX), most, Size::LARGEST);
            self.0.range(low..=high)
        };
        let lanes = [false, true].into_iter().flat_map(of);
        lanes
            .filter(|(key, lane)| key.free_gpus >= gpus && sieve.may_pass(lane.summary_of_all()))
            .map(|(key, lane)| (*key, lane))
            .collect()
    }
}

/// The places of a machine in its lanes.
pub(crate) fn places_of(stand: &Stand, entry: &Entry) -> Vec<(LaneKey, Entry)> {
    lanes_of(stand, entry).map(|(key, unit)| (key, Entry { unit, ..*entry })).collect()
}

/// The lanes of a machine in which these prices are other than its own.
pub(crate) fn repriced(
    stand: &Stand,
    entry: &Entry,
    to: &Prices,
) -> impl Iterator<Item = (LaneKey, Repriced)> {
    let worker = entry.worker;
    let changes = lanes_of(stand, entry).map(move |(key, from)| {
        let to = if key.per_vcpu { to.vcpu_hour } else { to.gpu_hour }.units();
        (key, Repriced { from, worker, to })
    });
    changes.filter(|(_, change)| change.from != change.to)
}

/// The lanes of a machine, with its price in each.
fn lanes_of(stand: &Stand, entry: &Entry) -> impl Iterator<Item = (LaneKey, u64)> {
    let (model, free_gpus) = (stand.marks.model, entry.free.gpus);
    let has_gpus = stand.machine.total.gpus > 0;
    let size = Size::of(entry, has_gpus);
    let prices = &stand.machine.prices;
    let key = move |per_vcpu| LaneKey { per_vcpu, has_gpus, model, free_gpus, size };
    let per_gpu = has_gpus.then(|| (key(false), prices.gpu_hour.units()));
    per_gpu.into_iter().chain([(key(true), prices.vcpu_hour.units())])
}
