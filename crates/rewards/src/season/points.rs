//! What an hour of a machine is worth.
//!
//! `points = (uptime_weight · D + job_weight · A) · B · C · quantity`, with D and A in hours, B the multiplier of the
//! connection's tier and C that of the model, as in io.net's Ignition, whose own formula is not known.

use std::fmt;

use serde::{Deserialize, Serialize};
use units::{AccountId, Multiplier, Tier, WorkerId};

/// The most GPUs that are counted of one machine: far more than any has.
pub const GPUS_MAX: u16 = 256;
/// The most a weight may be: with every other bound it keeps an hour of a machine far below 64 bits.
pub(super) const WEIGHT_MAX: u32 = 100;
/// The most a tier may multiply by, in hundredths: ten times.
pub(super) const TIER_HUNDREDTHS_MAX: u32 = 1_000;

const _: () = assert!(
    60 * 2 * WEIGHT_MAX as u64 * TIER_HUNDREDTHS_MAX as u64 * Multiplier::MAX.hundredths() as u64
        <= u64::MAX / GPUS_MAX as u64,
    "an hour of the best machine fits 64 bits"
);

/// Points, in thousandths, so that minutes and multipliers lose next to nothing when they are rounded down.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    utoipa::ToSchema,
)]
#[serde(transparent)]
pub struct Points(u64);

impl Points {
    /// None.
    pub const ZERO: Self = Self(0);

    /// This many thousandths.
    pub const fn from_thousandths(thousandths: u64) -> Self {
        Self(thousandths)
    }

    /// This many whole points.
    pub const fn from_whole(points: u32) -> Self {
        Self(points as u64 * 1_000)
    }

    /// How many thousandths.
    pub const fn thousandths(self) -> u64 {
        self.0
    }

    /// The sum; whoever has all that can be written down earns no more.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl fmt::Display for Points {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:03}", self.0 / 1_000, self.0 % 1_000)
    }
}

/// How an hour becomes points.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PointRules {
    /// Whether an hour counts only for machines that were nominated for its block: those that passed the checklist as
    /// it began. So points cost what block rewards cost: a stake, and a record.
    #[serde(default = "nominated")]
    pub nominated_only: bool,
    /// Points per hour of uptime.
    pub uptime_weight: u32,
    /// Points per hour of jobs, on top of the uptime they are part of.
    pub job_weight: u32,
    /// Multiplier of a machine without a measured connection.
    pub tier_none: Multiplier,
    /// Multiplier of a connection of low speed.
    pub tier_low: Multiplier,
    /// Multiplier of a connection of medium speed.
    pub tier_medium: Multiplier,
    /// Multiplier of a connection of high speed.
    pub tier_high: Multiplier,
    /// Multiplier of a connection of ultra high speed.
    pub tier_ultra_high: Multiplier,
}

impl Default for PointRules {
    fn default() -> Self {
        let hundredths = |hundredths| {
            Multiplier::from_hundredths(hundredths).expect("far below the most there is")
        };
        Self {
            nominated_only: nominated(),
            uptime_weight: 1,
            job_weight: 3,
            tier_none: hundredths(0),
            tier_low: hundredths(25),
            tier_medium: hundredths(50),
            tier_high: hundredths(75),
            tier_ultra_high: hundredths(100),
        }
    }
}

/// Nobody earns by a machine that is only there, unless a plan says so.
const fn nominated() -> bool {
    true
}

/// What a machine did in an hour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Activity {
    /// Whose machine.
    pub account: AccountId,
    /// Which machine.
    pub worker: WorkerId,
    /// Minutes of the hour in which it ran jobs.
    pub job_minutes: u8,
    /// Minutes of the hour in which it was up.
    pub uptime_minutes: u8,
    /// Its connection.
    pub tier: Tier,
    /// What its model counts for.
    pub multiplier: Multiplier,
    /// How many of that model it has.
    pub quantity: u16,
}

/// What is wrong with an activity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadActivity {
    /// The machine is told of twice in one hour.
    #[error("it is told of twice in one hour")]
    Twice,
    /// More minutes than an hour has.
    #[error("an hour has 60 minutes")]
    Minutes,
    /// Jobs while it was down.
    #[error("it ran jobs for longer than it was up")]
    JobsWhileDown,
    /// More GPUs than a machine has.
    #[error("a machine has at most {GPUS_MAX} GPUs")]
    Quantity,
}

impl Activity {
    /// Whether a machine can have done that.
    ///
    /// # Errors
    /// What is wrong.
    pub const fn check(&self) -> Result<(), BadActivity> {
        if self.uptime_minutes > 60 {
            return Err(BadActivity::Minutes);
        }
        if self.job_minutes > self.uptime_minutes {
            return Err(BadActivity::JobsWhileDown);
        }
        if self.quantity > GPUS_MAX {
            return Err(BadActivity::Quantity);
        }
        Ok(())
    }
}

impl PointRules {
    /// What a connection of this tier multiplies by.
    pub const fn of_tier(&self, tier: Tier) -> Multiplier {
        match tier {
            Tier::None => self.tier_none,
            Tier::Low => self.tier_low,
            Tier::Medium => self.tier_medium,
            Tier::High => self.tier_high,
            Tier::UltraHigh => self.tier_ultra_high,
        }
    }

    /// What an hour of a machine earns, rounded down to a thousandth of a point; nothing when it makes no sense.
    pub fn points(&self, activity: &Activity) -> Points {
        if activity.check().is_err() {
            return Points::ZERO;
        }
        let of = |weight: u32, minutes: u8| u64::from(weight.min(WEIGHT_MAX)) * u64::from(minutes);
        let minutes = of(self.uptime_weight, activity.uptime_minutes)
            + of(self.job_weight, activity.job_minutes);
        let tier = self.of_tier(activity.tier).hundredths().min(TIER_HUNDREDTHS_MAX);
        let model = u64::from(activity.multiplier.hundredths()) * u64::from(activity.quantity);
        // Hundredths of hundredths of minutes, as thousandths of points per hour.
        Points(minutes * u64::from(tier) * model / (60 * 100 * 100 / 1_000))
    }
}
