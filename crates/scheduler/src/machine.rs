//! What the matcher knows of a machine.

use std::collections::BTreeSet;

use units::{AccountId, Certification, Country, Credits, GpuModel, Resources, Tier, WorkerId};

use crate::gpu_set::GpuSet;
use crate::index::Marks;
use crate::limits::offered;

/// What one machine has, where it stands, and what it costs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Machine {
    /// Whose facts these are.
    pub id: WorkerId,
    /// Who supplies it.
    pub supplier: AccountId,
    /// All it has; what lies beyond [the limits](crate::limits) is not offered.
    pub total: Resources,
    /// The model of its GPUs.
    pub gpu_model: Option<GpuModel>,
    /// Memory of each of its GPUs, in mebibytes.
    pub vram_mib: u64,
    /// Where it stands, when that is known.
    pub country: Option<Country>,
    /// How fast it is connected.
    pub tier: Tier,
    /// What is vouched for about its place.
    pub certifications: BTreeSet<Certification>,
    /// What an hour costs.
    pub prices: Prices,
}

/// What an hour costs: a node with GPUs pays for its GPUs, any other for its vCPUs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prices {
    /// Each GPU of a node that has GPUs.
    pub gpu_hour: Credits,
    /// Each vCPU of a node without GPUs.
    pub vcpu_hour: Credits,
}

/// What is taken of a machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// Which cards.
    pub gpus: GpuSet,
    /// How much, of all its seats together.
    pub resources: Resources,
}

/// A machine with all that changes about it.
#[derive(Clone, Debug)]
pub(crate) struct Stand {
    pub(crate) machine: Machine,
    pub(crate) open: bool,
    pub(crate) held: Held,
    pub(crate) marks: Marks,
}

impl PartialEq for Stand {
    /// The same but for the numbers the index knows its words by.
    fn eq(&self, other: &Self) -> bool {
        let facts = |stand: &Self| (stand.open, stand.held);
        self.machine == other.machine && facts(self) == facts(other)
    }
}

impl Stand {
    /// The cards nobody has.
    pub(crate) fn free_gpus(&self) -> GpuSet {
        GpuSet::first(offered(self.machine.total).gpus).without(self.held.gpus)
    }

    /// What nobody has. Less than nothing, after facts changed under a seat, is nothing.
    pub(crate) fn free(&self) -> Resources {
        let (total, held) = (offered(self.machine.total), self.held.resources);
        Resources {
            gpus: self.free_gpus().len(),
            vcpus: total.vcpus.saturating_sub(held.vcpus),
            memory_mib: total.memory_mib.saturating_sub(held.memory_mib),
            disk_mib: total.disk_mib.saturating_sub(held.disk_mib),
        }
    }
}
