//! Reward programs: what they pay for, who is ahead, and quests.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use units::{AccountId, Coins, Hour, Name, SeasonId};
use utoipa::ToSchema;

use crate::Time;

/// A reward program. Open to everyone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SeasonView {
    /// Its id.
    pub id: SeasonId,
    /// What it is called.
    pub title: String,
    /// Where it stands: `planned`, `running`, `ended` or `paid`.
    pub state: String,
    /// Its first hour.
    pub from: Hour,
    /// The first hour after it.
    pub until: Hour,
    /// When its prizes were paid, once they were.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paid_at: Option<Time>,
    /// The latest hour that was counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recorded: Option<Hour>,
    /// How many accounts take part.
    pub accounts: u64,
    /// Its prizes.
    pub pools: Vec<PoolView>,
    /// What earns points beside work.
    pub quests: Vec<QuestView>,
}

/// Coins shared by points of one kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PoolView {
    /// What it is called.
    pub name: Name,
    /// How much.
    pub prize: Coins,
    /// By which points: `work`, `quests` or `all`.
    pub basis: String,
}

/// Something to do once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct QuestView {
    /// What it is called.
    pub name: Name,
    /// What to do.
    pub title: String,
    /// Whole points it earns.
    pub points: u32,
    /// How many accounts have done it; 0 once the season is paid.
    pub completions: u64,
    /// How many may.
    pub completions_max: u32,
}

/// A season that was just planned.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SeasonIssued {
    /// The season.
    pub season: SeasonView,
    /// For each quest, the secret that signs its calls; shown this once.
    pub secrets: BTreeMap<Name, String>,
}

/// A line of the leaderboard.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RankView {
    /// From 1.
    pub place: u64,
    /// Who.
    pub account: AccountId,
    /// With how many points, to the thousandth.
    pub points: String,
}

/// Says that an account has done a quest: the body of a signed call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct QuestDone {
    /// Who.
    pub account: AccountId,
    /// What shows it, for the record: 1 to 128 visible characters, each good once.
    pub proof: String,
}

/// What came of a signed call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct QuestAnswer {
    /// The quest.
    pub quest: Name,
    /// Who has done it.
    pub account: AccountId,
    /// All points that the account has from quests, to the thousandth.
    pub points: String,
}
