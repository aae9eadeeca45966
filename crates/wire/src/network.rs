//! The network as a whole.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use units::{Credits, GpuModel};
use utoipa::ToSchema;

/// What the network is now. Each figure says what it counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NetworkView {
    /// This program's version.
    pub version: String,
    /// Machines that have joined and not left.
    pub workers_joined: u64,
    /// Of these, machines that were heard within the last 35 seconds.
    pub workers_up: u64,
    /// Of these, machines that take new rentals.
    pub workers_open: u64,
    /// Rentals in the states deploying and running.
    pub rentals_live: u64,
    /// The journal's last entry.
    pub journal_seq: u64,
    /// Its hash, in hexadecimal.
    pub journal_hash: String,
}

/// Fees and minimums for quotes from now on. Operator only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ParametersBody {
    /// The renter's reservation fee in ten-thousandths.
    pub renter_fee_bp: u16,
    /// The supplier's reservation fee in ten-thousandths.
    pub supplier_fee_bp: u16,
    /// Minutes charged even when the renter ends earlier.
    pub minimum_minutes: u32,
}

/// Hourly prices for machines from now on. Operator only.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PricesBody {
    /// For one card, by model.
    #[schema(value_type = BTreeMap<String, String>)]
    pub gpus: BTreeMap<GpuModel, Credits>,
    /// For one card of another model.
    pub other_gpu: Credits,
    /// For one hardware thread of a machine rented without cards.
    pub vcpu: Credits,
}

/// Where all the money is. Operator only.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BookView {
    /// What has come in from outside: the sum of all the others.
    pub entered: Credits,
    /// In all projects together, what is set aside included.
    pub projects: Balances,
    /// Earned by suppliers and not taken out.
    pub suppliers: Credits,
    /// Paid by renters and not yet handed on.
    pub escrow: Credits,
    /// Kept by the network.
    pub fees: Credits,
    /// Whether it adds up: always true, or something is broken.
    pub balanced: bool,
}

/// What can be spent and what is set aside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Balances {
    /// Can be spent.
    pub available: Credits,
    /// Is set aside.
    pub held: Credits,
}
