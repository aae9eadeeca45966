//! Offers, orders, quotes.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use units::{
    AccountId, Certification, Country, Credits, GpuModel, Name, ProjectId, Resources, Tier,
    WorkerId,
};
use utoipa::ToSchema;

/// A machine that could serve a node now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OfferView {
    /// The machine.
    pub worker: WorkerId,
    /// What it is called.
    pub name: Name,
    /// Whose it is, as a name.
    pub supplier: Name,
    /// What is free on it.
    pub free: Resources,
    /// The model of its cards.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gpu_model: Option<GpuModel>,
    /// Memory of each card, in mebibytes.
    pub vram_mib: u64,
    /// The model of its processor.
    pub cpu_model: String,
    /// Where it says it stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub country: Option<Country>,
    /// How fast it is connected.
    pub tier: Tier,
    /// What somebody vouches for.
    pub certifications: BTreeSet<Certification>,
    /// What an hour of one such node costs.
    pub node_hour: Credits,
    /// How many such nodes it could take.
    pub nodes: u32,
}

/// What a renter asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Order {
    /// How many nodes: all of them, or none.
    pub nodes: u32,
    /// What each node needs at least.
    pub each: Resources,
    /// Only this model of card.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gpu_model: Option<GpuModel>,
    /// Only machines of these suppliers.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub suppliers: BTreeSet<AccountId>,
    /// Only machines in these countries.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub countries: BTreeSet<Country>,
    /// Only machines connected at least so fast.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tier_min: Option<Tier>,
    /// Only machines with all of these.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub certifications: BTreeSet<Certification>,
    /// Only nodes that cost at most so much an hour.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node_hour_max: Option<Credits>,
    /// Whether nodes may share a machine.
    #[serde(default)]
    pub pack: bool,
}

/// Asks for a price.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct QuoteRequest {
    /// Who would pay.
    pub project: ProjectId,
    /// What for.
    pub order: Order,
    /// For how many hours.
    pub hours: u32,
}

/// What a booking costs, step by step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Price {
    /// All nodes, for one hour.
    pub hourly: Credits,
    /// Booked hours.
    pub hours: u32,
    /// `hourly` times `hours`.
    pub subtotal: Credits,
    /// The renter's fee, in ten-thousandths of what is charged in the end.
    pub renter_fee_bp: u16,
    /// What is set aside up front: the subtotal and the fee on it, rounded up.
    pub hold: Credits,
    /// Minutes that are charged even when the renter ends earlier.
    pub minimum_minutes: u32,
}
