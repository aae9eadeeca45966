//! What seasons go by.

use serde::{Deserialize, Serialize};

use super::points::{PointRules, TIER_HUNDREDTHS_MAX, WEIGHT_MAX};

/// The most seasons that may ever be remembered, whatever the rules say: each keeps a standing per account.
pub const SEASONS_CEILING: usize = 64;
/// The most quests or pools of a season, whatever the rules say.
const LIST_CEILING: u32 = 1_000;
/// The most completions of one quest, whatever the rules say.
const COMPLETIONS_CEILING: u32 = 1_000_000;
/// The longest season, whatever the rules say: two years.
const HOURS_CEILING: u32 = 17_520;
/// The longest text, whatever the rules say.
const CHARS_CEILING: u32 = 10_000;

/// What seasons go by. A season keeps the rules it was planned under.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SeasonRules {
    /// The points of a season that is planned without its own.
    pub points: PointRules,
    /// How many seasons are remembered.
    pub seasons_max: u16,
    /// The longest season, in hours. The longest of Ignition had 174 days.
    pub season_hours_max: u32,
    /// Hours after a season's end in which the activity of its last hours is still taken.
    pub closing_hours: u32,
    /// How many pools a season may have.
    pub pools_max: u16,
    /// How many quests a season may have.
    pub quests_max: u16,
    /// How many accounts may complete one quest.
    pub quest_completions_max: u32,
    /// The most points one quest may be worth, whole.
    pub quest_points_max: u32,
    /// The longest name or title, in characters.
    pub title_chars_max: u32,
}

impl Default for SeasonRules {
    fn default() -> Self {
        Self {
            points: PointRules::default(),
            seasons_max: 16,
            season_hours_max: 8_784,
            closing_hours: 6,
            pools_max: 16,
            quests_max: 100,
            quest_completions_max: 100_000,
            quest_points_max: 1_000_000,
            title_chars_max: 120,
        }
    }
}

/// Why rules are refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadSeasonRules {
    /// A number out of its range.
    #[error("{field} is {found}; write a number from {min} to {max}")]
    OutOfRange {
        /// Which.
        field: &'static str,
        /// What it is; hundredths, of a multiplier.
        found: u32,
        /// The least it may be.
        min: u32,
        /// The most it may be.
        max: u32,
    },
    /// No hour would be worth anything.
    #[error("uptime_weight and job_weight are both zero; raise one")]
    Weightless,
    /// A faster connection would be worth less.
    #[error("a faster tier multiplies by less than a slower one; order them")]
    TiersOutOfOrder,
}

impl SeasonRules {
    /// Whether a season under these rules can be planned, and fits.
    ///
    /// # Errors
    /// The first field that makes no sense.
    pub fn check(&self) -> Result<(), BadSeasonRules> {
        self.points.check()?;
        let seasons = u32::try_from(SEASONS_CEILING).expect("a small constant");
        check_ranges(&[
            ("seasons_max", u32::from(self.seasons_max), 1, seasons),
            ("season_hours_max", self.season_hours_max, 1, HOURS_CEILING),
            ("closing_hours", self.closing_hours, 1, 720),
            ("pools_max", u32::from(self.pools_max), 1, LIST_CEILING),
            ("quests_max", u32::from(self.quests_max), 0, LIST_CEILING),
            ("quest_completions_max", self.quest_completions_max, 1, COMPLETIONS_CEILING),
            ("quest_points_max", self.quest_points_max, 1, u32::MAX),
            ("title_chars_max", self.title_chars_max, 1, CHARS_CEILING),
        ])
    }
}

impl PointRules {
    /// Whether an hour can be worth something, and fits.
    ///
    /// # Errors
    /// The first field that makes no sense.
    pub fn check(&self) -> Result<(), BadSeasonRules> {
        let tiers = [
            ("tier_none", self.tier_none),
            ("tier_low", self.tier_low),
            ("tier_medium", self.tier_medium),
            ("tier_high", self.tier_high),
            ("tier_ultra_high", self.tier_ultra_high),
        ];
        check_ranges(&[
            ("uptime_weight", self.uptime_weight, 0, WEIGHT_MAX),
            ("job_weight", self.job_weight, 0, WEIGHT_MAX),
        ])?;
        check_ranges(
            &tiers.map(|(field, tier)| (field, tier.hundredths(), 0, TIER_HUNDREDTHS_MAX)),
        )?;
        if self.uptime_weight == 0 && self.job_weight == 0 {
            return Err(BadSeasonRules::Weightless);
        }
        if !tiers.is_sorted_by_key(|(_, tier)| *tier) {
            return Err(BadSeasonRules::TiersOutOfOrder);
        }
        Ok(())
    }
}

fn check_ranges(ranges: &[(&'static str, u32, u32, u32)]) -> Result<(), BadSeasonRules> {
    match ranges.iter().find(|(_, found, min, max)| found < min || found > max) {
        Some(&(field, found, min, max)) => {
            Err(BadSeasonRules::OutOfRange { field, found, min, max })
        }
        None => Ok(()),
    }
}
