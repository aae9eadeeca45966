//! What its bearer may do at relays.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use units::{AccountId, MeshId, Name, RentalId, WorkerId};
use utoipa::ToSchema;

use super::kind::{Paper, Unsound, sound, whole};
use super::limits::{PASS_BYTES_MAX, PASS_LABELS_MAX, PASS_NAMES_MAX, PASS_VALID_MAX};
use super::node_key::NodeKey;
use crate::Time;

/// The account that passes of a rental's nodes name: an id that stands for the rental, so that limits of relays are its
/// own, and nobody's machine is told who rents it.
pub fn rental_account(rental: RentalId) -> AccountId {
    let hash = blake3::derive_key("iog rental 1 account", &rental.bits().to_be_bytes());
    let (bits, _) = hash.split_first_chunk().expect("a hash has 32 bytes");
    AccountId::from_bits(u128::from_be_bytes(*bits))
}

/// What its bearer may do at relays, for an hour at most.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Pass {
    /// The bearer's key: only who has the private key can show the pass.
    pub holder: NodeKey,
    /// The machine that the bearer is, if it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worker: Option<WorkerId>,
    /// The account that the bearer acts for.
    pub account: AccountId,
    /// What it may do.
    pub may: May,
    /// How much of it.
    pub limits: PassLimits,
    /// When this was signed.
    pub issued: Time,
    /// From when on it no longer holds.
    pub expires: Time,
}

/// What the bearer of a pass may do. Nothing by default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct May {
    /// Hold a connection to a relay.
    #[serde(default)]
    pub dial: bool,
    /// Serve what belongs to no rental, in the name of its account.
    #[serde(default)]
    pub publish: bool,
    /// Serve what belongs to these rentals.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub serve: BTreeSet<RentalId>,
    /// Serve there what has one of these labels, and nothing else; absent for whatever belongs to them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub labels: Option<BTreeSet<Name>>,
    /// Open streams to what belongs to these rentals.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub forward: BTreeSet<RentalId>,
    /// Exchange signals and packets with other members of these private networks.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub meshes: BTreeSet<MeshId>,
}

/// How much the bearer of a pass may do, at each relay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PassLimits {
    /// Streams that are open at the same time.
    pub streams: u32,
    /// New streams per second, lasting; ten seconds' worth may come at once.
    pub streams_per_second: u32,
    /// Bytes per second, lasting, both ways together.
    pub bytes_per_second: u64,
}

impl Default for PassLimits {
    /// What a machine and its renter need for a Ray cluster's dashboards and a working day of shells and copies.
    fn default() -> Self {
        Self { streams: 1024, streams_per_second: 100, bytes_per_second: 125_000_000 }
    }
}

impl Paper for Pass {
    const KIND: &'static str = "pass";
    const BYTES_MAX: usize = PASS_BYTES_MAX;
    const VALID_MAX: Duration = PASS_VALID_MAX;

    fn issued(&self) -> Time {
        self.issued
    }

    fn expires(&self) -> Time {
        self.expires
    }

    fn check(&self) -> Result<(), Unsound> {
        let few = |count: usize| count <= PASS_NAMES_MAX;
        sound(few(self.may.serve.len()), "may.serve", "at most 100 rentals")?;
        let labels = self.may.labels.as_ref().map_or(0, BTreeSet::len);
        sound(labels <= PASS_LABELS_MAX, "may.labels", "at most 40 labels")?;
        sound(few(self.may.forward.len()), "may.forward", "at most 100 rentals")?;
        sound(few(self.may.meshes.len()), "may.meshes", "at most 100 meshes")?;
        whole(self.limits.bytes_per_second, "limits.bytes_per_second")
    }
}
