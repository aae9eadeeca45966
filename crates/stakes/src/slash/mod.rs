//! Slashes: coins locked for an offence, visible to all, until they are burned or given back.
//!
//! # Invariants
//! - A slash rests on evidence of the kinds its offence asks for.
//! - What is locked was there: several slashes of one device never lock more than it had.
//! - Each coin remembers where it was taken, and follows there: when the rest of a stake is unstaked, what a slash
//!   locks of it cools down to the same date.

mod accuse;
mod lock;
mod rules;
mod stage;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use units::{AccountId, BlobId, Coins, OfferId, Timestamp, WorkerId};

pub use accuse::{Charge, Locked, SlashRefusal, Verdict};
pub use rules::{EvidenceKind, Offence, OffenceRule, SlashRules};
pub use stage::{SlashEvent, SlashStage, SlashStands};

use crate::lots::{Lots, sum};

/// Stake taken for an offence, and everything that was said about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Slash {
    /// The device.
    pub worker: WorkerId,
    /// Who owned it.
    pub owner: AccountId,
    /// What it is accused of.
    pub offence: Offence,
    /// When that happened.
    pub offended_at: Timestamp,
    /// What the rule asked for, before the cap and what was there.
    pub demanded: Coins,
    /// What was locked, of whom and where: each a part.
    pub pieces: Vec<Piece>,
    /// What it rests on.
    pub evidence: Vec<Evidence>,
    /// What either side said.
    pub statements: Vec<Statement>,
    /// Where it stands.
    pub stage: SlashStage,
    /// Each step, oldest first.
    pub history: Vec<Step>,
}

/// Coins of one account that a slash took from one place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Piece {
    /// Whose they are.
    pub account: AccountId,
    /// How many.
    pub amount: Coins,
    /// Where they go when the slash is overturned.
    pub home: Home,
}

/// Where coins were taken, and would be if they had not been taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Home {
    /// The owner's stake.
    Own {
        /// How old they were.
        lots: Lots,
    },
    /// The co-staker's stake.
    CoStake {
        /// By which offer.
        offer: OfferId,
        /// How old they were.
        lots: Lots,
    },
    /// Coins that cool down.
    Cooling {
        /// Until when they counted.
        stood_until: Timestamp,
        /// When they can be withdrawn.
        withdrawable_at: Timestamp,
        /// By which offer, for a co-staker's.
        offer: Option<OfferId>,
    },
    /// Rewards that were not claimed yet. The caller took them from there, and returns them there.
    Rewards,
}

/// Something that shows that an offence happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Evidence {
    /// What it is.
    pub kind: EvidenceKind,
    /// The whole of it.
    pub blob: BlobId,
    /// What it shows, in words.
    pub summary: String,
}

/// Who says something about a slash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Side {
    /// An account whose coins are locked, or the owner.
    Accused(AccountId),
    /// The network's operator, for who accuses.
    Network,
}

/// What a side says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Statement {
    /// Who says it.
    pub by: Side,
    /// The words.
    pub text: String,
    /// A file to go with it.
    pub blob: Option<BlobId>,
}

/// One step in the life of a slash.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// When.
    pub at: Timestamp,
    /// What happened.
    pub what: StepKind,
}

/// What happens in the life of a slash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StepKind {
    /// The coins were locked.
    Charged,
    /// Somebody made a statement.
    Stated,
    /// The accused appealed.
    Appealed,
    /// The appeal was lost: the coins were burned.
    Upheld,
    /// The slash was found wrong: the coins are back.
    Overturned,
    /// Nobody appealed in time: the coins were burned.
    Expired,
    /// Nobody decided the appeal in time: the coins are back.
    Undecided,
}

impl Slash {
    /// Whether it was upheld, or never appealed: its coins are burned.
    pub const fn stands(&self) -> bool {
        match self.stage {
            SlashStage::Upheld { .. } | SlashStage::Expired { .. } => true,
            SlashStage::Open { .. }
            | SlashStage::Appealed { .. }
            | SlashStage::Overturned { .. } => false,
        }
    }

    /// What was taken of stakes.
    pub fn stake(&self) -> Coins {
        let staked = self.pieces.iter().filter(|piece| piece.home != Home::Rewards);
        sum(staked.map(|piece| piece.amount))
    }

    /// What was taken of unclaimed rewards, of whom.
    pub fn rewards(&self) -> BTreeMap<AccountId, Coins> {
        let rewards = self.pieces.iter().filter(|piece| piece.home == Home::Rewards);
        rewards.map(|piece| (piece.account, piece.amount)).collect()
    }

    /// All that was taken.
    pub fn total(&self) -> Coins {
        sum(self.pieces.iter().map(|piece| piece.amount))
    }

    /// All that is locked.
    pub fn locked(&self) -> Coins {
        if self.stage.holds_coins() { self.total() } else { Coins::ZERO }
    }

    /// Whether an account is among those it takes from.
    pub fn touches(&self, account: AccountId) -> bool {
        self.owner == account || self.pieces.iter().any(|piece| piece.account == account)
    }
}
