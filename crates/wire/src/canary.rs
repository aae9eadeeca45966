//! A renter's check of what he rents, and what was measured of cards.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use units::{BlobId, Name, RentalId, WorkerId};
use utoipa::ToSchema;

use crate::{ProofView, Time};

/// Asks for a check.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CanaryRequest {
    /// 32 random bytes in hexadecimal, drawn just now: what they become is in every challenge, so whoever drew them can
    /// tell that the answers were made afterwards. The server draws some if there are none. The same again is the same
    /// check.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nonce: Option<String>,
}

/// A check of a rental.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CanaryView {
    /// The rental.
    pub rental: RentalId,
    /// What was drawn for it, in hexadecimal.
    pub nonce: String,
    /// What it becomes, in hexadecimal: the barrier in all its challenges, `docs/reference/proofs.md`.
    pub barrier: String,
    /// When it was asked for.
    pub asked_at: Time,
    /// When it is over at the latest.
    pub until: Time,
    /// `proving`, or `over`.
    pub state: String,
    /// Every card of its nodes.
    pub cards: Vec<CanaryCard>,
}

/// One card in a check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CanaryCard {
    /// The rental's nodes on its machine.
    pub nodes: Vec<u32>,
    /// Its machine.
    pub worker: WorkerId,
    /// What the machine is called.
    pub worker_name: Name,
    /// SHA-256 of the card's UUID, or of `cpu`; absent while it has not asked for its challenge.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub card: Option<BlobId>,
    /// Its newest session, in hexadecimal: `/v1/proofs/{session}` has its transcript once it is over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// `waiting` until it is challenged, `proving`, and then `pass`, `slow`, `fail` or `inconclusive`; `unanswered` if
    /// it never was.
    pub status: String,
    /// Why, for people, once it is over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// How often it was challenged: what comes to nothing is tried again.
    pub tries: u32,
}

/// What checks of a rental came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CanariesView {
    /// The last check, as far as this server knows: it forgets them when it starts anew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<CanaryView>,
    /// Its proofs that came to a verdict, newest first: the last 200.
    pub proofs: Vec<ProofView>,
}

/// A machine that is not what was rented, by a check of it. Whoever pays may then end the rental as if the supply side
/// had: only what was served is charged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UnfitView {
    /// The machine.
    pub worker: WorkerId,
    /// When the check came to its verdict.
    pub at: Time,
    /// The proof, in hexadecimal.
    pub session: String,
    /// Why, for people.
    pub why: String,
}

/// What was measured of a machine's cards, by the clock of whoever verified, and what that makes of them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct FingerprintView {
    /// The machine.
    pub worker: WorkerId,
    /// The edition of the reference that they are compared with.
    pub edition: u32,
    /// Its cards of which anything was measured.
    pub cards: Vec<CardFingerprint>,
}

/// What was measured of one card.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CardFingerprint {
    /// SHA-256 of the card's UUID, or of `cpu`.
    pub card: BlobId,
    /// What its machine says that it is: a key of the registry, if it is in there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claimed: Option<String>,
    /// When the newest of it was measured.
    pub measured_at: Time,
    /// Rates per second: `matmul-13` of operations, `mix` of rounds of mixing, `walk` of bytes, `puzzle` of hashes.
    /// Each is of the newest proof that has it.
    pub rates: BTreeMap<String, f64>,
    /// The memory that was filled and walked through, in mebibytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filled_mib: Option<u64>,
    /// `consistent` with what is claimed, `other`, or `unknown`: too little was measured, or it is like nothing that is
    /// known.
    pub verdict: String,
    /// The likeliest models, at most five, the likeliest first; none where the verdict is `unknown`. What they lack to
    /// one is the chance that it is none.
    pub likely: Vec<LikelyModel>,
}

/// How likely a card is a model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct LikelyModel {
    /// Its key in the registry.
    pub model: String,
    /// From 0 to 1.
    pub probability: f64,
}
