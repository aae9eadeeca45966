//! Why an order is refused, and the smallest single change that would help.

use std::fmt;

use units::{Certification, Credits, Tier, WorkerId};

use crate::order::{Apart, Near, Order, Spread};

/// Why an order was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// Machines on the network.
    pub machines: u64,
    /// How many each thing asked for rules out.
    pub excluded: Excluded,
    /// Machines that fit at least one node.
    pub fitting: u64,
    /// How many of the nodes could be placed: fewer than were asked for.
    pub nodes_possible: u32,
    /// Single changes that place more nodes: those that place more first, then in the order of [`Change`]; at
    /// most [`RELAXATIONS_MAX`](crate::limits::RELAXATIONS_MAX).
    pub relaxations: Vec<Relaxation>,
    /// What comes nearest to the order: the placements that the first relaxations give, at most
    /// [`NEAREST_MAX`](crate::limits::NEAREST_MAX).
    pub nearest: Vec<NearestOffer>,
}

/// A placement that misses the order by one thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NearestOffer {
    /// What it misses: the change with which the order would be placed so.
    pub misses: Change,
    /// How many nodes it has, at most those asked for.
    pub nodes: u32,
    /// What an hour of all of them costs.
    pub hour: Credits,
    /// The machine of the first of them.
    pub worker: WorkerId,
}

/// How many machines each thing asked for rules out, were it the only one.
///
/// A machine that several things rule out is counted in each, so the largest count names what narrows the choice
/// most. Whoever is closed is counted as that and nothing else.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Excluded {
    /// Down, draining, or not yet heard of.
    pub closed: u64,
    /// Another model of GPU, or none.
    pub gpu_model: u64,
    /// Another supplier.
    pub supplier: u64,
    /// Another country, or an unknown one.
    pub country: u64,
    /// Connected too slowly.
    pub tier: u64,
    /// A certification is missing.
    pub certification: u64,
    /// Too expensive. A machine without GPUs has no price per GPU: it is in `gpus` only.
    pub price: u64,
    /// Too few free GPUs.
    pub gpus: u64,
    /// Too few free vCPUs.
    pub vcpus: u64,
    /// Too little free memory.
    pub memory: u64,
    /// Too little free disk.
    pub disk: u64,
    /// Named as not to be used.
    pub avoided: u64,
    /// Somebody else is on it who bears no other tenant, or whom this order does not bear.
    pub tenants: u64,
    /// Of the machines that fit, those outside the place that has room for most nodes.
    pub near: u64,
    /// Of the machines that fit in that place, those that have in common with another what no two nodes may have.
    pub apart: u64,
}

impl Excluded {
    /// Each count with what it counts, in the order of the fields.
    pub const fn rows(&self) -> [(&'static str, u64); 15] {
        [
            ("being closed", self.closed),
            ("GPU model", self.gpu_model),
            ("supplier", self.supplier),
            ("country", self.country),
            ("tier", self.tier),
            ("certification", self.certification),
            ("price", self.price),
            ("GPUs", self.gpus),
            ("vCPUs", self.vcpus),
            ("memory", self.memory),
            ("disk", self.disk),
            ("being avoided", self.avoided),
            ("other tenants", self.tenants),
            ("nearness", self.near),
            ("being apart", self.apart),
        ]
    }
}

/// A single change to an order, and how many of its nodes could then be placed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Relaxation {
    /// What to change.
    pub change: Change,
    /// How many nodes that gives, at most those asked for.
    pub nodes: u32,
}

/// One change to an order; of those that give as many nodes, the ones earlier in this list are told first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Change {
    /// Let nodes share machines.
    ShareMachines,
    /// Let nodes have more in common.
    LessApart {
        /// What no two of them have in common then.
        to: Apart,
    },
    /// Let nodes be farther from each other.
    Farther {
        /// How near they are then.
        to: Near,
    },
    /// Bear other tenants on the machines.
    Beside,
    /// Ask for fewer vCPUs per node.
    FewerVcpus {
        /// How many fewer.
        fewer: u32,
        /// How many are left to ask for.
        to: u32,
    },
    /// Ask for less memory per node.
    LessMemory {
        /// How much less, in mebibytes.
        fewer_mib: u64,
        /// How much is left to ask for, in mebibytes.
        to_mib: u64,
    },
    /// Ask for less disk per node.
    LessDisk {
        /// How much less, in mebibytes.
        fewer_mib: u64,
        /// How much is left to ask for, in mebibytes.
        to_mib: u64,
    },
    /// Pay more.
    PayMore {
        /// How much more for an hour of a node.
        more: Credits,
        /// What an hour of a node may then cost.
        to: Credits,
    },
    /// Accept slower connections.
    SlowerTier {
        /// The slowest to accept.
        to: Tier,
    },
    /// Do without one certification.
    WithoutCertification {
        /// Which.
        certification: Certification,
    },
    /// Accept any country.
    AnyCountry,
    /// Accept any supplier.
    AnySupplier,
    /// Accept any model of GPU.
    AnyGpuModel,
    /// Ask for fewer GPUs per node.
    FewerGpus {
        /// How many fewer.
        fewer: u32,
        /// How many are left to ask for.
        to: u32,
    },
    /// Ask for fewer nodes.
    FewerNodes {
        /// How many fewer.
        fewer: u32,
    },
}

impl Change {
    /// The order with this change. Once its nodes are no more than [`Relaxation::nodes`], it can be placed.
    #[must_use]
    pub fn apply(self, order: &Order) -> Order {
        let mut order = order.clone();
        match self {
            Self::ShareMachines => order.spread = Spread::Pack,
            Self::LessApart { to } => order.apart = to,
            Self::Farther { to } => order.near = to,
            Self::Beside => order.alone = false,
            Self::FewerVcpus { to, .. } => order.each.vcpus = to,
            Self::LessMemory { to_mib, .. } => order.each.memory_mib = to_mib,
            Self::LessDisk { to_mib, .. } => order.each.disk_mib = to_mib,
            Self::PayMore { to, .. } => order.filters.node_hour_max = Some(to),
            Self::SlowerTier { to } => order.filters.tier_min = to,
            Self::WithoutCertification { certification } => {
                order.filters.certifications.remove(&certification);
            }
            Self::AnyCountry => order.filters.countries.clear(),
            Self::AnySupplier => order.filters.suppliers.clear(),
            Self::AnyGpuModel => order.filters.gpu_model = None,
            Self::FewerGpus { to, .. } => order.each.gpus = to,
            Self::FewerNodes { fewer } => order.nodes = order.nodes.saturating_sub(fewer),
        }
        order
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ShareMachines => f.write_str("sharing machines"),
            Self::LessApart { to } => f.write_str(match to {
                Apart::Nothing => "not being apart",
                Apart::Suppliers => "being apart by supplier only",
                Apart::Sites => "being apart by site only",
                Apart::Countries => "being apart by country",
            }),
            Self::Farther { to } => match to {
                Near::Site => f.write_str("being in one site"),
                Near::Within(micros) => {
                    write!(f, "being within {}.{:03} ms", micros / 1_000, micros % 1_000)
                }
                Near::Country => f.write_str("being in one country"),
                Near::Anywhere => f.write_str("being anywhere"),
            },
            Self::Beside => f.write_str("bearing other tenants"),
            Self::FewerVcpus { fewer, .. } => {
                write!(f, "{} fewer per node", some(u64::from(*fewer), "vCPU"))
            }
            Self::LessMemory { fewer_mib, .. } => write!(f, "{fewer_mib} MiB less memory per node"),
            Self::LessDisk { fewer_mib, .. } => write!(f, "{fewer_mib} MiB less disk per node"),
            Self::PayMore { more, .. } => write!(f, "${more} more per node and hour"),
            Self::SlowerTier { to } => write!(f, "accepting tier {to}"),
            Self::WithoutCertification { certification } => {
                write!(f, "doing without certification {certification}")
            }
            Self::AnyCountry => f.write_str("any country"),
            Self::AnySupplier => f.write_str("any supplier"),
            Self::AnyGpuModel => f.write_str("any GPU model"),
            Self::FewerGpus { fewer, .. } => {
                write!(f, "{} fewer per node", some(u64::from(*fewer), "GPU"))
            }
            Self::FewerNodes { fewer } => {
                write!(f, "asking for {} fewer", some(u64::from(*fewer), "node"))
            }
        }
    }
}

impl fmt::Display for Relaxation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} gives {}", self.change, some(u64::from(self.nodes), "node"))
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let possible = some(u64::from(self.nodes_possible), "node");
        write!(f, "no offer: {possible} possible on {}", some(self.machines, "machine"))?;
        let mut excluded = self.excluded.rows().into_iter().filter(|(_, count)| *count > 0);
        if let Some((name, count)) = excluded.next() {
            write!(f, ", {count} excluded by {name}")?;
        }
        excluded.try_for_each(|(name, count)| write!(f, ", {count} by {name}"))?;
        self.relaxations.iter().try_for_each(|relaxation| write!(f, "; {relaxation}"))
    }
}

fn some(count: u64, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}
