//! Coins of genesis set aside for somebody.

use serde::{Deserialize, Serialize};
use units::{AccountId, Coins, GrantId};
use utoipa::ToSchema;

use crate::Time;

/// Sets coins of genesis aside for somebody. Operator only.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct GrantRequest {
    /// Who may claim them.
    pub account: AccountId,
    /// The class that they are taken from, whose schedule they follow: `community`, `ecosystem`, `seed`, `series-a` or
    /// `core`.
    pub class: String,
    /// How many.
    pub coins: Coins,
}

/// Coins of genesis set aside for somebody.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct GrantView {
    /// Its id.
    pub id: GrantId,
    /// Who may claim it.
    pub account: AccountId,
    /// The class that it was taken from.
    pub class: String,
    /// How much it is in all.
    pub coins: Coins,
    /// When its schedule begins.
    pub from: Time,
    /// How much of it is released.
    pub released: Coins,
    /// How much of it was claimed.
    pub claimed: Coins,
    /// How much of it can be claimed now.
    pub claimable: Coins,
    /// When the next part is released; absent once all of it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_at: Option<Time>,
    /// How much that part is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_coins: Option<Coins>,
}
