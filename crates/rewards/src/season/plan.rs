//! What an operator lays down before a season begins.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use units::{Coins, Hour, Name, Timestamp};

use super::points::{PointRules, Points};
use super::rules::{BadSeasonRules, SeasonRules};

/// What a season goes by, from its first hour to its payout.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SeasonPlan {
    /// What it is called.
    pub title: String,
    /// Its first hour.
    #[schema(value_type = String)]
    pub from: Hour,
    /// The first hour after it.
    #[schema(value_type = String)]
    pub until: Hour,
    /// Hours after its end in which the activity of its last hours is still taken.
    pub closing_hours: u32,
    /// How an hour becomes points.
    pub points: PointRules,
    /// Its prizes.
    pub pools: BTreeMap<Name, PrizePool>,
    /// What else earns points.
    pub quests: BTreeMap<Name, Quest>,
}

/// Coins shared by points of one kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PrizePool {
    /// How much.
    pub prize: Coins,
    /// By which points.
    pub basis: Basis,
}

/// Which points count.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Basis {
    /// Those for uptime and jobs.
    Work,
    /// Those for quests.
    Quests,
    /// All.
    All,
}

/// Something to do once, proved by whoever the operator trusts to say so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Quest {
    /// What to do.
    pub title: String,
    /// Whole points it earns.
    pub points: u32,
    /// How many accounts may complete it.
    pub completions_max: u32,
}

impl Quest {
    /// What it earns.
    pub const fn points(&self) -> Points {
        Points::from_whole(self.points)
    }
}

/// Why a season is not planned. Checks run in the order of these variants.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlanRefusal {
    /// There is a season of this name.
    #[error("there is a season with this id already")]
    IdReused,
    /// A title is missing, too long, or has control characters.
    #[error("the title of {of} needs from 1 to {max} characters, none of them control characters")]
    Title {
        /// Of the season, or of which quest.
        of: String,
        /// How long it may be.
        max: u32,
    },
    /// It would have begun already.
    #[error("the season begins at {from}, which is past; let it begin later")]
    Past {
        /// When it would begin.
        from: Hour,
    },
    /// It has no hour, or too many.
    #[error("a season has from 1 to {max} hours, and this one {hours}")]
    Hours {
        /// How many it has.
        hours: u32,
        /// How many it may have.
        max: u32,
    },
    /// The time for late activity is not what the rules allow.
    #[error("closing_hours is {found}; write a number from 1 to {max}")]
    Closing {
        /// What it is.
        found: u32,
        /// What it may be.
        max: u32,
    },
    /// The points make no sense.
    #[error(transparent)]
    Points(#[from] BadSeasonRules),
    /// No pool, or too many.
    #[error("a season has from 1 to {max} pools")]
    Pools {
        /// How many it may have.
        max: u16,
    },
    /// A pool of nothing.
    #[error("the pool `{pool}` holds no prize")]
    NoPrize {
        /// Which.
        pool: Name,
    },
    /// Too many quests.
    #[error("a season has at most {max} quests")]
    TooManyQuests {
        /// How many it may have.
        max: u16,
    },
    /// A quest worth nothing or too much, or for nobody or too many.
    #[error(
        "`{quest}` must earn from 1 to {points_max} points, for 1 to {completions_max} accounts"
    )]
    Quest {
        /// Which.
        quest: Name,
        /// The most it may earn.
        points_max: u32,
        /// The most who may complete it.
        completions_max: u32,
    },
    /// The prizes are more than can be written down.
    #[error("the prizes of all seasons are more than can be written down")]
    TooMuchPrize,
    /// As many seasons are unpaid as may be remembered.
    #[error("{max} seasons are planned or unpaid already; pay or withdraw one")]
    TooManySeasons {
        /// How many there may be.
        max: u16,
    },
}

impl SeasonPlan {
    /// A season by the rules' own points, without quests.
    pub fn new(title: String, from: Hour, until: Hour, rules: &SeasonRules) -> Self {
        Self {
            title,
            from,
            until,
            closing_hours: rules.closing_hours,
            points: rules.points,
            pools: BTreeMap::new(),
            quests: BTreeMap::new(),
        }
    }

    /// Whether an hour is one of the season.
    pub fn contains(&self, hour: Hour) -> bool {
        self.from <= hour && hour < self.until
    }

    /// All prizes together; `None` when that is more than can be written down.
    pub fn prizes(&self) -> Option<Coins> {
        self.pools.values().try_fold(Coins::ZERO, |sum, pool| sum.checked_add(pool.prize))
    }

    /// Whether it can be planned.
    ///
    /// # Errors
    /// The first thing that keeps it from being.
    pub fn check(&self, now: Timestamp, rules: &SeasonRules) -> Result<(), PlanRefusal> {
        check_title("the season", &self.title, rules)?;
        if self.from.start() < now {
            return Err(PlanRefusal::Past { from: self.from });
        }
        let (hours, max) = (self.until.since(self.from), rules.season_hours_max);
        if hours == 0 || hours > max {
            return Err(PlanRefusal::Hours { hours, max });
        }
        // Twice what the rules say by default is late enough for any report.
        let (found, max) = (self.closing_hours, rules.closing_hours.saturating_mul(2));
        if found == 0 || found > max {
            return Err(PlanRefusal::Closing { found, max });
        }
        self.points.check()?;
        self.check_pools(rules)?;
        self.check_quests(rules)
    }

    fn check_pools(&self, rules: &SeasonRules) -> Result<(), PlanRefusal> {
        if self.pools.is_empty() || self.pools.len() > usize::from(rules.pools_max) {
            return Err(PlanRefusal::Pools { max: rules.pools_max });
        }
        match self.pools.iter().find(|(_, pool)| pool.prize.is_zero()) {
            Some((pool, _)) => Err(PlanRefusal::NoPrize { pool: pool.clone() }),
            None => Ok(()),
        }
    }

    fn check_quests(&self, rules: &SeasonRules) -> Result<(), PlanRefusal> {
        if self.quests.len() > usize::from(rules.quests_max) {
            return Err(PlanRefusal::TooManyQuests { max: rules.quests_max });
        }
        let (points_max, completions_max) = (rules.quest_points_max, rules.quest_completions_max);
        for (name, quest) in &self.quests {
            check_title(&format!("the quest `{name}`"), &quest.title, rules)?;
            let worth = (1..=points_max).contains(&quest.points);
            if !worth || !(1..=completions_max).contains(&quest.completions_max) {
                let quest = name.clone();
                return Err(PlanRefusal::Quest { quest, points_max, completions_max });
            }
        }
        Ok(())
    }
}

fn check_title(of: &str, title: &str, rules: &SeasonRules) -> Result<(), PlanRefusal> {
    let max = rules.title_chars_max;
    let too_long = title.chars().count() > usize::try_from(max).unwrap_or(usize::MAX);
    if title.trim().is_empty() || too_long || title.chars().any(char::is_control) {
        return Err(PlanRefusal::Title { of: of.to_owned(), max });
    }
    Ok(())
}
