//! What holders and the operator ask for when they vote and brake.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use stakes::votes::{Kind, Switch};
use units::{AccountId, ProposalId};

/// Something to vote on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProposalRecord {
    /// Its id.
    pub proposal: ProposalId,
    /// Who proposes it.
    pub account: AccountId,
    /// One line.
    pub title: String,
    /// Why.
    pub body: String,
    /// What it asks for. Patches are brought into their canonical form when it is proposed.
    pub what: Kind,
}

/// What the operator stops in an emergency.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BrakeRecord {
    /// The parts of the network.
    pub what: BTreeSet<Switch>,
    /// Why, for everybody to read.
    pub reason: String,
    /// Whose key pulled it.
    pub by: AccountId,
    /// For how long.
    pub hours: u32,
}
