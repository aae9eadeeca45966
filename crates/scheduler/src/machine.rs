//! What the matcher knows of a machine.

use std::collections::BTreeSet;

use units::{
    AccountId, Certification, Country, Credits, GpuModel, Resources, Site, Tier, WorkerId,
};

use crate::gpu_set::GpuSet;
use crate::guests::Guests;
use crate::index::Marks;
use crate::limits::{SITE_RTT_MICROS, offered};
use crate::rtt::Rtts;

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
    /// The place whose machines are near each other, when that is known.
    pub site: Option<Site>,
    /// How far it is from anchors; empty when nothing was measured.
    pub rtts: Rtts,
    /// How fast it is connected.
    pub tier: Tier,
    /// What is vouched for about its place.
    pub certifications: BTreeSet<Certification>,
    /// What an hour costs.
    pub prices: Prices,
}

impl Machine {
    /// The longest that a round trip to another machine can be, in microseconds; `None` when nothing says.
    pub fn rtt_upper(&self, other: &Self) -> Option<u32> {
        if self.id == other.id {
            return Some(0);
        }
        let in_one_site = self.site.is_some() && self.site == other.site;
        let by_anchor = self.rtts.upper(&other.rtts);
        if in_one_site {
            return Some(by_anchor.map_or(SITE_RTT_MICROS, |rtt| rtt.min(SITE_RTT_MICROS)));
        }
        by_anchor
    }
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
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// Which cards.
    pub gpus: GpuSet,
    /// How much, of all its seats together.
    pub resources: Resources,
    /// Whose seats they are.
    pub guests: Guests,
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
        self.machine == other.machine && self.open == other.open && self.held == other.held
    }
}

impl Stand {
    /// The cards nobody has.
    pub(crate) fn free_gpus(&self) -> GpuSet {
        GpuSet::first(offered(self.machine.total).gpus).without(self.held.gpus)
    }

    /// What nobody has. Less than nothing, after facts changed under a seat, is nothing.
    pub(crate) fn free(&self) -> Resources {
        let (total, held) = (offered(self.machine.total), &self.held.resources);
        Resources {
            gpus: self.free_gpus().len(),
            vcpus: total.vcpus.saturating_sub(held.vcpus),
            memory_mib: total.memory_mib.saturating_sub(held.memory_mib),
            disk_mib: total.disk_mib.saturating_sub(held.disk_mib),
        }
    }
}
