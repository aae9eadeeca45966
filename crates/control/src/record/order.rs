//! What renters ask for.

use std::collections::BTreeSet;

use scheduler::{Apart, Near};
use serde::{Deserialize, Serialize};
use units::{AccountId, Certification, Country, Credits, GpuModel, RentalId, Resources, Tier};

/// What a renter asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OrderRecord {
    /// How many nodes.
    pub nodes: u32,
    /// What each needs.
    pub each: Resources,
    /// Which machines will do.
    pub filters: FiltersRecord,
    /// Whether nodes may share a machine.
    pub pack: bool,
    /// As a spot rental: the most that its renter pays for a card's hour. It is cheaper, and its machines may be wanted
    /// back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spot: Option<Credits>,
    /// How near each other all nodes are.
    #[serde(default, skip_serializing_if = "is_default")]
    pub near: Near,
    /// What no two nodes have in common.
    #[serde(default, skip_serializing_if = "is_default")]
    pub apart: Apart,
    /// On no machine that these rentals of the project have or had.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub away_from: BTreeSet<RentalId>,
    /// Whether no other project may be on its machines, before the rental ends.
    #[serde(default, skip_serializing_if = "is_default")]
    pub alone: bool,
}

/// Which machines will do. Empty means any.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FiltersRecord {
    /// Only this model of card.
    pub gpu_model: Option<GpuModel>,
    /// Only machines of these suppliers.
    pub suppliers: BTreeSet<AccountId>,
    /// Only machines in these countries.
    pub countries: BTreeSet<Country>,
    /// Only machines connected at least so fast.
    pub tier_min: Option<Tier>,
    /// Only machines with all of these.
    pub certifications: BTreeSet<Certification>,
    /// Only nodes that cost at most so much an hour.
    pub node_hour_max: Option<Credits>,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
