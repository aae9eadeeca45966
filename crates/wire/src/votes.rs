//! What holders of stakes decide: proposals, ballots, delegates, and the brake.

use serde::{Deserialize, Serialize};
use units::{AccountId, Coins, ProposalId, SlashId};
use utoipa::ToSchema;

use crate::Time;

/// Puts something to the vote.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ProposalRequest {
    /// What it asks for: `parameters`, `registry`, `appeal-jury` or `text`.
    pub kind: String,
    /// One line.
    pub title: String,
    /// Why.
    #[serde(default)]
    pub body: String,
    /// For `parameters` and `registry`: a JSON merge patch (RFC 7386) over the newest version of the parameters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub patch: Option<serde_json::Map<String, serde_json::Value>>,
    /// For `appeal-jury`: the slash to undo.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slash: Option<SlashId>,
}

/// Something put to the vote. Open to everyone. Power is counted in coins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ProposalView {
    /// Its id.
    pub id: ProposalId,
    /// What it asks for: `parameters`, `registry`, `appeal-jury` or `text`.
    pub kind: String,
    /// One line.
    pub title: String,
    /// Why.
    pub body: String,
    /// What would change: a JSON merge patch in its canonical form, as text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patch: Option<String>,
    /// The slash that would be undone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slash: Option<SlashId>,
    /// Who proposed it.
    pub proposer: AccountId,
    /// When.
    pub proposed_at: Time,
    /// Where it stands: `pending`, `voting`, `queued`, `succeeded`, `executed`, `failed`, `defeated`, `expired`,
    /// `cancelled` or `vetoed`.
    pub state: String,
    /// While pending, when voting begins; while voting, when it ends; while queued, from when on it is executed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Time>,
    /// When it was decided, once it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decided_at: Option<Time>,
    /// Why it failed, was defeated or cancelled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The power for it.
    pub yes: Coins,
    /// The power against it.
    pub no: Coins,
    /// The power that took part without taking a side.
    pub abstain: Coins,
    /// How many accounts voted.
    pub voters: u32,
    /// How much power must say yes or abstain.
    pub quorum: Coins,
    /// Of yes and no, how much yes must exceed, in ten-thousandths.
    pub threshold_bp: u16,
    /// Whether it would be voted through if voting ended as it stands.
    pub passes: bool,
    /// The power of those who object to it.
    pub objected: Coins,
    /// How much of that stops it.
    pub veto: Coins,
    /// All power there was when it was made.
    pub total: Coins,
}

/// Casts or changes a ballot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BallotRequest {
    /// `yes`, `no` or `abstain`.
    pub choice: String,
}

/// One's own part in a vote.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BallotView {
    /// The proposal.
    pub proposal: ProposalId,
    /// One's own power when it was made.
    pub own: Coins,
    /// The power of those who lent theirs and have not voted themselves.
    pub entrusted: Coins,
    /// Who votes with one's own power until one does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delegate: Option<AccountId>,
    /// What one has voted: `yes`, `no` or `abstain`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub choice: Option<String>,
    /// Whether one objects to it.
    pub objects: bool,
}

/// Says who votes with one's power from the next proposal on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DelegateRequest {
    /// Who; absent for oneself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<AccountId>,
}

/// What one would vote with now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PowerView {
    /// One's own power: what one has staked that is old enough.
    pub own: Coins,
    /// What others lend.
    pub entrusted: Coins,
    /// Who votes with one's own power, if not oneself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delegate: Option<AccountId>,
    /// All power together.
    pub total: Coins,
    /// How much of one's own it takes to propose something.
    pub propose_min: Coins,
    /// Days a coin must be staked before it votes.
    pub age_days: u16,
}

/// Stops parts of the network for a short time. Operator only.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BrakeRequest {
    /// Which: `claims`, `new-rentals`, `parameter-changes`, `slashing` and `withdrawals`.
    pub what: Vec<String>,
    /// Why, for everybody to read.
    pub reason: String,
    /// For how many hours.
    pub hours: u32,
}

/// The brake. Open to everyone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BrakesView {
    /// The one that is on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on: Option<BrakeView>,
    /// Those that were lifted, newest first, at most 64.
    pub lifted: Vec<BrakeView>,
}

/// One brake, on or lifted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BrakeView {
    /// What it stops.
    pub what: Vec<String>,
    /// Why.
    pub reason: String,
    /// Since when.
    pub from: Time,
    /// Until when at most.
    pub until: Time,
    /// The power of those who want it lifted.
    pub objected: Coins,
    /// How much of that lifts it.
    pub veto: Coins,
    /// When it was lifted, once it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lifted_at: Option<Time>,
    /// By whom: `elapsed`, `operator` or `holders`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lifted_by: Option<String>,
}
