//! The network as a whole.

use serde::{Deserialize, Serialize};
use units::{Asset, Money};
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

/// Where all the money is. Operator only.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BookView {
    /// US dollars, and each asset that was ever used.
    pub assets: Vec<AssetBook>,
    /// Whether it adds up: always true, or something is broken.
    pub balanced: bool,
}

/// Where all the money of one asset is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AssetBook {
    /// The asset.
    pub asset: Asset,
    /// What has come in from outside and not left: the sum of all purses.
    pub entered: Money,
    /// Every kind of purse, also those with nothing in them.
    pub purses: Vec<PurseSum>,
}

/// All purses of one kind together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PurseSum {
    /// Which kind: `projects`, `escrow`, `accounts`, `fees`, `emission`, `rewards`, `stakes`, `safety-module`,
    /// `grants`, `treasury`, `exchange`, `burned` or `seasons`.
    pub purse: String,
    /// What is in them, what is set aside included.
    pub balance: Money,
    /// How much of it is set aside, to leave.
    pub held: Money,
}
