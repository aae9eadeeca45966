//! Slashes: what is punished and how, who is charged with what, and what is said about it.

use serde::{Deserialize, Serialize};
use units::{AccountId, BlobId, Coins, SlashId, WorkerId};
use utoipa::ToSchema;

use crate::Time;

/// What is punished. Open to everyone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OffencesView {
    /// Days in which the accused may appeal; who does not loses what was locked.
    pub appeal_days: u16,
    /// Days in which an appeal is decided, or it is granted.
    pub decision_days: u16,
    /// How far a co-staker answers beside the owner, in ten-thousandths of the co-staker's coins.
    pub co_staker_liability_bp: u16,
    /// Each offence.
    pub offences: Vec<OffenceView>,
}

/// What one offence costs, and what proves it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OffenceView {
    /// How it is written: `forged-proof`.
    pub offence: String,
    /// What it is, in words.
    pub what: String,
    /// The part of the machine's need that is taken, in ten-thousandths.
    pub need_bp: u16,
    /// Coins for each card beside that.
    pub per_card: Coins,
    /// The most of all that answers for the machine, in ten-thousandths, that one such slash locks.
    pub cap_bp: u16,
    /// Of how many past hours unclaimed rewards are taken beside that.
    pub reward_hours: u16,
    /// The kinds of evidence that prove it. Silence is none.
    pub evidence: Vec<String>,
    /// How many different kinds of them it takes.
    pub kinds_min: u8,
}

/// Charges a machine with an offence. Operator only.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SlashRequest {
    /// The machine.
    pub worker: WorkerId,
    /// What it did: one of the offences, as `forged-proof`.
    pub offence: String,
    /// When it did.
    pub offended_at: Time,
    /// How many cards it has, or failed to deliver; all that it offers if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cards: Option<u32>,
    /// What shows it.
    pub evidence: Vec<EvidenceItem>,
}

/// A piece of evidence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EvidenceItem {
    /// What it is: `proof-transcript`, `time-lock-record`, `fingerprint-clash`, `rental-record`, `file-mismatch`,
    /// `renter-claim` or `operator-report`.
    pub kind: String,
    /// The whole of it, put under its SHA-256 before.
    pub blob: BlobId,
    /// What it shows, in words.
    pub summary: String,
}

/// Decides a slash. Operator only.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DecisionRequest {
    /// Whether it was right: then the coins are burned, else they go back.
    pub uphold: bool,
    /// Why, for the accused.
    pub reason: String,
}

/// Says something about a slash.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct StatementRequest {
    /// The words.
    pub text: String,
    /// A file to go with them, put under its SHA-256 before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blob: Option<BlobId>,
}

/// Coins locked for an offence, and all that was said about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SlashView {
    /// Its id.
    pub id: SlashId,
    /// The machine.
    pub worker: WorkerId,
    /// Whose it was; for the operator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<AccountId>,
    /// What it is charged with.
    pub offence: String,
    /// When that happened.
    pub offended_at: Time,
    /// Where it stands: `open`, `appealed`, `upheld`, `overturned` or `expired`.
    pub state: String,
    /// Until when it can be appealed while open, and until when an appeal must be decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Time>,
    /// What the rule asked for, before its cap and what was there.
    pub demanded: Coins,
    /// What was taken of stakes.
    pub stake: Coins,
    /// What was taken of unclaimed rewards.
    pub rewards: Coins,
    /// Of both, what is one's own; absent for the operator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub yours: Option<Coins>,
    /// Whether it is burned, for good.
    pub burned: bool,
    /// What it rests on.
    pub evidence: Vec<EvidenceItem>,
    /// What either side said, in order.
    pub statements: Vec<StatementView>,
    /// Each step, in order.
    pub history: Vec<SlashStep>,
}

/// What a side said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StatementView {
    /// Which side: `network` or `accused`.
    pub by: String,
    /// The words.
    pub text: String,
    /// A file that goes with them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blob: Option<BlobId>,
}

/// One step in the life of a slash.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SlashStep {
    /// When.
    pub at: Time,
    /// What happened: `charged`, `stated`, `appealed`, `upheld`, `overturned`, `expired` or `undecided`.
    pub what: String,
}
