//! What is known of a machine when the checklist is gone through.

use serde::{Deserialize, Serialize};
use units::{Coins, Multiplier, Tier, Timestamp};

use super::Work;
use crate::rule::RuleSet;

/// What is known of a machine. What is not known counts against it, and the reason says so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Standing {
    /// What the operator and its owner have decided about it.
    pub status: Status,
    /// What it is doing in the hour.
    pub engagement: Engagement,
    /// Whether it has passed its test clusters.
    pub clusters_passed: Option<bool>,
    /// How many wallets its owner has bound.
    pub account_wallets: u32,
    /// How much one of its chips counts for.
    pub multiplier: Multiplier,
    /// The model that it was measured to be, if it counts as that and not as what it says.
    pub measured_as: Option<String>,
    /// Its connection, if measured.
    pub tier: Option<Tier>,
    /// Since when it is up without a break, if it is.
    pub up_since: Option<Timestamp>,
    /// What its proofs of work say of it as the hour begins.
    pub work: Work,
    /// How many tests of its graphics memory it has failed in a row.
    pub vram_failures: u32,
    /// When it failed the last of them.
    pub vram_failed_at: Option<Timestamp>,
    /// What is staked on it.
    pub stake: Coins,
    /// What must be staked on it.
    pub stake_needed: Coins,
    /// Whether its owner has signed the suppliers' agreement.
    pub agreement_signed: Option<bool>,
    /// Whether its owner has said where to pay.
    pub payout_address: Option<bool>,
}

impl Default for Standing {
    /// A machine of which nothing is known.
    fn default() -> Self {
        Self {
            status: Status::Active,
            engagement: Engagement::Idle,
            clusters_passed: None,
            account_wallets: 0,
            multiplier: Multiplier::default(),
            measured_as: None,
            tier: None,
            up_since: None,
            work: Work::Unproved,
            vram_failures: 0,
            vram_failed_at: None,
            stake: Coins::ZERO,
            stake_needed: Coins::ZERO,
            agreement_signed: None,
            payout_address: None,
        }
    }
}

/// What the operator and its owner have decided about a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// It takes part.
    Active,
    /// Its owner has paused it.
    Paused,
    /// The operator has shut it out.
    Blocked,
    /// Its last proof was wrong: it is not for rent until it gives one that is right.
    Unverified,
    /// Its owner has taken it out for good.
    Terminated,
    /// Its hardware or its agent is no longer supported.
    Unsupported,
}

/// What a machine is doing in an hour, which decides what it can be asked to prove.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Engagement {
    /// Nobody has hired it.
    Idle,
    /// A renter has it: a puzzle would take from what is rented.
    Hired,
    /// It is kept free for the heads of clusters.
    HeadNode,
    /// A renter has the whole machine, and the agent is not on it.
    BareMetal,
}

impl Engagement {
    /// Whether a renter has it.
    pub const fn is_hired(self) -> bool {
        match self {
            Engagement::Hired | Engagement::BareMetal => true,
            Engagement::Idle | Engagement::HeadNode => false,
        }
    }

    /// Whether it is excused from proofs of work.
    pub const fn excuses_work(self) -> bool {
        match self {
            Engagement::Hired | Engagement::HeadNode | Engagement::BareMetal => true,
            Engagement::Idle => false,
        }
    }

    /// Whether it is excused from proofs of time-lock.
    pub const fn excuses_time_lock(self) -> bool {
        match self {
            Engagement::BareMetal => true,
            Engagement::Idle | Engagement::Hired | Engagement::HeadNode => false,
        }
    }
}

/// A decision that excuses a machine from rules for a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exemption {
    /// From which rules.
    pub rules: RuleSet,
    /// From when on.
    pub from: Timestamp,
    /// Until when; without it, until it is revoked.
    pub until: Option<Timestamp>,
}
