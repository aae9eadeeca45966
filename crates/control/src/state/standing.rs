//! What a machine is to the economy, what is said of it, and how it was judged.

use std::collections::BTreeSet;
use std::sync::Arc;

use market::PriceKey;
use proofs::Judged;
use proofs::silence::Silence;
use rewards::checklist::{Work, Works};
use rewards::rule::RuleSet;
use units::{BlobId, Coins, Credits, DeviceKind, Hour, Multiplier, Pool, Timestamp};

use super::proving::{Charged, FailedProof, Likeness};
use crate::record::{Blocked, ExemptionRecord};

/// What a machine is to the economy: its model by the registry of the day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Listing {
    /// Whether its cards or its processor are offered.
    pub kind: DeviceKind,
    /// How much one chip counts for; zero unless its model is listed.
    pub multiplier: Multiplier,
    /// The pool its model is in.
    pub pool: Pool,
    /// How many chips it has.
    pub quantity: u32,
    /// What must be staked on it.
    pub stake_needed: Coins,
}

impl Default for Listing {
    fn default() -> Self {
        Self {
            kind: DeviceKind::Cpu,
            multiplier: Multiplier::default(),
            pool: Pool::Community,
            quantity: 0,
            stake_needed: Coins::ZERO,
        }
    }
}

/// Which prices a machine has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Priced {
    /// What its cards share a price with, if it has cards.
    pub key: Option<Arc<PriceKey>>,
    /// What an hour of a card costs before supply and demand.
    pub base: Credits,
    /// What an hour of a thread costs.
    pub vcpu_hour: Credits,
}

/// How a machine was judged as an hour began.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Nomination {
    /// The hour.
    pub hour: Hour,
    /// The rules it missed: nominated if there are none.
    pub missing: RuleSet,
    /// What it was then: what its score is reckoned from.
    pub listing: Listing,
}

/// All cards of a machine, challenged at one time.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Round {
    /// When.
    pub at: Timestamp,
    /// Cards that have passed.
    pub passed: BTreeSet<BlobId>,
}

/// A session of proofs that came to a verdict.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Proved {
    /// The session.
    pub session: [u8; 16],
    /// When its challenge was given.
    pub at: Timestamp,
    /// What came of each task.
    pub tasks: Vec<Judged>,
}

/// What verifiers and the operator have said of a machine.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Checks {
    /// Whether it has passed its test clusters.
    pub clusters_passed: Option<bool>,
    /// Its proofs of work, by hour.
    pub work: Works,
    /// How often its sessions came to nothing.
    pub silence: Silence,
    /// How many tests of its cards' memory it has failed in a row.
    pub vram_failures: u32,
    /// When it failed the last of them.
    pub vram_failed_at: Option<Timestamp>,
    /// The challenge of all its cards that is under way, or was the last.
    pub round: Option<Round>,
    /// The last session of proofs that came to a verdict.
    pub last: Option<Proved>,
    /// When the challenge was given that all of it has passed last.
    pub passed_at: Option<Timestamp>,
    /// Its wrong proof, until it gives one that is right.
    pub failed: Option<FailedProof>,
    /// The last charge that a wrong proof led to.
    pub charged: Option<Charged>,
    /// What its rates say that it is.
    pub likeness: Likeness,
    /// What it is excused from.
    pub exemptions: Vec<ExemptionRecord>,
    /// Why it is shut out, if it is.
    pub blocked: Option<Blocked>,
}

impl Checks {
    /// What proofs say of a machine that may have broken off too many of them.
    pub fn said_of(&self, work: Work) -> Work {
        let (nothing, of) = self.silence.counted();
        // What is wrong is worse than any silence.
        let is_silent = self.silence.is_striking() && work != Work::Wrong;
        if is_silent { Work::Silent { nothing, of } } else { work }
    }

    /// Whether it takes no new rentals for what was said of it: the operator has shut it out, or it failed a proof.
    pub const fn is_shut_out(&self) -> bool {
        self.blocked.is_some() || self.failed.is_some()
    }
}
