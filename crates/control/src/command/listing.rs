//! What a machine is listed as: the model that it says it is, or a lesser one that it was measured to be.

use std::borrow::Cow;

use market::{Model, Registry};
use units::{DeviceKind, GpuModel, Pool};

use crate::record::{MachineRecord, Parameters};
use crate::state::{Control, Listing, Worker};

impl Control {
    /// A machine's model by the registry of the day, and what must be staked on it.
    pub(crate) fn listing_of(&self, machine: &MachineRecord) -> Listing {
        listing_by(self.parameters(), machine)
    }

    /// What a machine counts as by the registry of the day: what it says of itself, or what it was measured to be.
    pub fn counts_as<'a>(&self, worker: &'a Worker) -> Cow<'a, MachineRecord> {
        counts_as(&self.parameters().registry, worker)
    }
}

/// What a machine counts as by a registry. If it says now that it is another model than the one that was measured to
/// be less, it counts as the lesser of the two: no word makes it more before it was measured.
pub(super) fn counts_as<'a>(registry: &Registry, worker: &'a Worker) -> Cow<'a, MachineRecord> {
    let machine = &worker.machine;
    let Some(measured) = &worker.checks.likeness.counts_as else { return Cow::Borrowed(machine) };
    let said = machine.gpu_model.as_ref().map_or(machine.cpu_model.as_str(), GpuModel::text);
    let model = registry.models.get(&measured.model);
    // As drivers call it, so that it is found with all others of its model.
    let name = |model: &Model| model.aliases.first().unwrap_or(&model.name).clone();
    let name = model.map_or_else(|| measured.model.clone(), name);
    let is_claimed = registry.entry(said).is_some_and(|(key, _)| key == measured.claimed);
    let multiplier = |model: &Model| model.multiplier;
    if !is_claimed && registry.find(said).map(multiplier) <= model.map(multiplier) {
        return Cow::Borrowed(machine);
    }
    let mut less = machine.clone();
    match (&mut less.gpu_model, name.parse()) {
        (Some(card), Ok(name)) => *card = name,
        (Some(_), Err(_)) => return Cow::Borrowed(machine),
        (None, _) => name.clone_into(&mut less.cpu_model),
    }
    // What is measured has at most as much memory as a card of that model.
    less.vram_mib = model.map_or(less.vram_mib, |model| less.vram_mib.min(model.vram_mib));
    Cow::Owned(less)
}

/// A machine's model by the registry of these parameters, and what must be staked on it.
pub(super) fn listing_by(parameters: &Parameters, machine: &MachineRecord) -> Listing {
    let registry = &parameters.registry;
    let (kind, quantity, found) = match &machine.gpu_model {
        Some(model) => {
            let found = registry.classify(model.text(), machine.vram_mib);
            (DeviceKind::Gpu, machine.offers.gpus, found)
        }
        None => {
            let threads = machine.offers.vcpus;
            (DeviceKind::Cpu, 1, registry.classify_cpu(&machine.cpu_model, threads))
        }
    };
    let multiplier = found.multiplier();
    Listing {
        kind,
        multiplier,
        pool: found.pool().unwrap_or(Pool::Community),
        quantity,
        stake_needed: parameters.stakes.need(multiplier, quantity),
    }
}
