//! What can be asked for, and the refusals.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use units::{
    AccountId, Certification, Country, Credits, GpuModel, ProjectId, Resources, Tier, WorkerId,
};

use crate::explain::Explanation;
use crate::limits::NODES_PER_ORDER_MAX;

/// Nodes wanted together: all of them or none.
///
/// The default asks for nothing, and lets every machine pass.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Order {
    /// How many nodes, at most [`NODES_PER_ORDER_MAX`].
    pub nodes: u32,
    /// What one node needs, and gets. Without GPUs, machines without GPUs serve it first.
    pub each: Resources,
    /// Which machines will do.
    pub filters: Filters,
    /// Whether nodes may share a machine.
    pub spread: Spread,
    /// How near each other they are.
    pub near: Near,
    /// What no two of them have in common.
    pub apart: Apart,
    /// Machines that will not do, whatever they have.
    pub avoid: BTreeSet<WorkerId>,
    /// Whose nodes they are.
    pub tenant: Option<ProjectId>,
    /// Whether no other tenant may be on their machines, now or while they stand.
    pub alone: bool,
}

/// How near each other the nodes of an order are. Nodes on one machine are as near as can be.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Near {
    /// All in one site.
    Site,
    /// So near that no round trip between two of them can take longer, in microseconds: all in one site, or all
    /// within half of it of one anchor.
    Within(u32),
    /// All in one country.
    Country,
    /// Wherever they are.
    #[default]
    Anywhere,
}

/// What no two nodes of an order have in common.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Apart {
    /// They may have all in common, but for what [`Spread`] says.
    #[default]
    Nothing,
    /// Each with a supplier of its own.
    Suppliers,
    /// Each in a site of its own; a machine whose site is not known is in one of its own.
    Sites,
    /// Each in a country of its own; machines whose country is not known do not serve.
    Countries,
}

/// Whether the nodes of an order may share a machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Spread {
    /// Every node on a machine of its own.
    #[default]
    Distinct,
    /// Each machine takes as many nodes as fit.
    Pack,
}

/// Which machines will do. The default lets every machine pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filters {
    /// Only this model of GPU.
    pub gpu_model: Option<GpuModel>,
    /// Only these suppliers; empty lets any pass.
    pub suppliers: BTreeSet<AccountId>,
    /// Only these countries; empty lets any pass, and those whose country is not known.
    pub countries: BTreeSet<Country>,
    /// Connected at least this fast.
    pub tier_min: Tier,
    /// Every one of these is vouched for.
    pub certifications: BTreeSet<Certification>,
    /// What an hour of one node may cost at most.
    pub node_hour_max: Option<Credits>,
}

impl Default for Filters {
    fn default() -> Self {
        Self {
            gpu_model: None,
            suppliers: BTreeSet::new(),
            countries: BTreeSet::new(),
            tier_min: Tier::None,
            certifications: BTreeSet::new(),
            node_hour_max: None,
        }
    }
}

/// Why an order is not placed. Checks run in the order of these variants.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No node, or nodes with neither a GPU nor a vCPU.
    #[error("the order asks for nothing")]
    NothingAsked,
    /// More nodes than one order may ask for.
    #[error("an order is for at most {max} nodes")]
    TooManyNodes {
        /// How many it may ask for.
        max: u32,
    },
    /// Not enough machines fit.
    #[error("{0}")]
    NoCapacity(Box<Explanation>),
}

impl Order {
    /// The refusals that need no look at the machines.
    pub(crate) fn checked(&self) -> Result<(), Refusal> {
        if self.nodes == 0 || (self.each.gpus == 0 && self.each.vcpus == 0) {
            return Err(Refusal::NothingAsked);
        }
        if self.nodes > NODES_PER_ORDER_MAX {
            return Err(Refusal::TooManyNodes { max: NODES_PER_ORDER_MAX });
        }
        Ok(())
    }
}

impl Spread {
    /// How many nodes of `each` go on a machine with this much free.
    pub(crate) fn room(self, free: &Resources, each: &Resources) -> u32 {
        match self {
            Self::Distinct => u32::from(free.covers(each)),
            Self::Pack => [
                (u64::from(free.gpus), u64::from(each.gpus)),
                (u64::from(free.vcpus), u64::from(each.vcpus)),
                (free.memory_mib, each.memory_mib),
                (free.disk_mib, each.disk_mib),
            ]
            .into_iter()
            .filter_map(|(free, each)| free.checked_div(each))
            .min()
            .map_or(u32::MAX, |nodes| u32::try_from(nodes).unwrap_or(u32::MAX)),
        }
    }
}
