//! What is asked of a machine, how good a match is, and what comes of it.

use units::{Credits, ProjectId, Resources, WorkerId};

use crate::gpu_set::GpuSet;
use crate::order::Filters;

/// How good a machine is for a node. Lower is better; the fields are compared top to bottom, so their order
/// *is* the policy. A deeper policy is another field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fit {
    /// A machine with GPUs for a node without: last, so that GPUs are not left without vCPUs.
    pub strands_gpus: bool,
    /// What each GPU costs, or each vCPU where no GPU is asked for: nodes are alike, so it ranks their hours.
    pub price: Credits,
    /// What the network loses by it as far as recent orders tell, in millionths of a GPU: see
    /// [`MarketOutlook`](crate::MarketOutlook). Machines of one price are told apart by it.
    pub loss: i32,
    /// GPUs that are free there: a tight fit keeps large machines whole.
    pub free_gpus: u32,
    /// Decides ties, so that the same question always has the same answer.
    pub worker: WorkerId,
}

/// What one node gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seat {
    /// On which machine.
    pub worker: WorkerId,
    /// Which of its cards.
    pub gpus: GpuSet,
    /// How much of it: what the order asked for each node.
    pub resources: Resources,
    /// What an hour costs.
    pub node_hour: Credits,
    /// Whose node it is.
    pub tenant: Option<ProjectId>,
    /// Whether it bears no other tenant on its machine.
    pub alone: bool,
}

/// Where an order goes: a seat for each node, best machine first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Placement {
    /// One for each node.
    pub seats: Vec<Seat>,
}

/// A machine that could serve a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offer {
    /// Which.
    pub worker: WorkerId,
    /// What an hour of a node costs there.
    pub node_hour: Credits,
    /// What is free on it.
    pub free: Resources,
    /// How many such nodes fit on it.
    pub nodes: u32,
    /// Where the page after this offer starts.
    pub cursor: Cursor,
}

/// A place in a search that stays the same while machines come and go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cursor {
    /// The price of each GPU, or of each vCPU where no GPU is asked for.
    pub price: Credits,
    /// The machine.
    pub worker: WorkerId,
}

/// An order or a search, with its price limit as a price per GPU or vCPU.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Need {
    pub(crate) each: Resources,
    /// The limit on a node's hour; the largest number when there is none.
    pub(crate) node_hour_max: u64,
    /// The highest price per GPU or vCPU within that limit.
    pub(crate) unit_max: u64,
    /// The highest price per GPU or vCPU at which a node's hour can be written down.
    pub(crate) unit_writable: u64,
}

impl Need {
    pub(crate) fn new(filters: &Filters, each: Resources) -> Self {
        let node_hour_max = filters.node_hour_max.map_or(u64::MAX, Credits::units);
        let mut need = Self { each, node_hour_max, unit_max: u64::MAX, unit_writable: u64::MAX };
        if let Some(unit_max) = node_hour_max.checked_div(need.priced_count()) {
            need.unit_max = unit_max;
            need.unit_writable = u64::MAX / need.priced_count();
        }
        need
    }

    /// Whether nodes pay for GPUs; otherwise they pay for vCPUs.
    pub(crate) const fn per_gpu(&self) -> bool {
        self.each.gpus > 0
    }

    /// How many GPUs or vCPUs a node pays for.
    pub(crate) fn priced_count(&self) -> u64 {
        u64::from(if self.per_gpu() { self.each.gpus } else { self.each.vcpus })
    }

    /// What an hour of a node costs at a price within `unit_writable`.
    pub(crate) fn node_hour(&self, unit: u64) -> Credits {
        let units =
            unit.checked_mul(self.priced_count()).expect("the price was checked to be writable");
        Credits::from_units(units)
    }
}
