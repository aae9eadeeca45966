//! What a device must have at stake, and how long coins wait.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use units::{Coins, DAY, Multiplier};

/// Constants of staking. Sources: io.net's documentation of staking and co-staking as of 2025, where not said
/// otherwise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct StakeRules {
    /// Coins per processor with a multiplier of one: 200.
    pub stake_per_unit: Coins,
    /// The least a multiplier counts for here: one, so that a weak card still needs a stake.
    pub multiplier_floor: Multiplier,
    /// Days from unstaking to withdrawing: 14.
    pub cooldown_days: u16,
    /// Days a leaving co-staker's coins still count for the device, earning nothing, before they cool down: 7.
    pub wait_days: u16,
    /// The most of a device's need that a co-staker may carry, in ten-thousandths: half.
    pub co_portion_max_bp: u16,
    /// How many offers one account may have taken at a time: 2.
    pub claimed_offers_max: u16,
    /// Days a coin must lie before it has a vote: 7. Chosen here: longer than any vote's notice, so that nobody
    /// borrows coins for a vote.
    pub vote_age_days: u16,
}

impl Default for StakeRules {
    fn default() -> Self {
        Self {
            stake_per_unit: Coins::from_units(200 * 100_000_000),
            multiplier_floor: Multiplier::ONE,
            cooldown_days: 14,
            wait_days: 7,
            co_portion_max_bp: 5_000,
            claimed_offers_max: 2,
            vote_age_days: 7,
        }
    }
}

/// Rules that make no sense, and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{field}` {why}")]
pub struct BadRules {
    /// The field that is wrong.
    pub field: &'static str,
    /// What is wrong with it, as what follows its name.
    pub why: &'static str,
}

/// The longest any of the rules may make somebody wait: a year.
pub(crate) const DAYS_MAX: u16 = 366;

/// As many processors as a device may have for its need to be met under any rules that pass their check.
const PROCESSORS_MAX: u32 = 1_024;
/// What stands for a need beyond all that can be written down.
const MORE_THAN_ANYBODY_HAS: Coins = Coins::from_units(u64::MAX);

/// Refuses unless `good`.
pub(crate) fn must(good: bool, field: &'static str, why: &'static str) -> Result<(), BadRules> {
    if good { Ok(()) } else { Err(BadRules { field, why }) }
}

/// Refuses more days than a year.
pub(crate) fn at_most_a_year(days: u16, field: &'static str) -> Result<(), BadRules> {
    must(days <= DAYS_MAX, field, "must be at most 366 days")
}

impl StakeRules {
    /// Refuses rules that make no sense.
    pub fn check(&self) -> Result<(), BadRules> {
        must(!self.stake_per_unit.is_zero(), "stake_per_unit", "must be above zero")?;
        let dearest = self.need(Multiplier::MAX, PROCESSORS_MAX);
        must(dearest < MORE_THAN_ANYBODY_HAS, "stake_per_unit", "makes needs that cannot be met")?;
        must(self.co_portion_max_bp <= 10_000, "co_portion_max_bp", "must be at most 10000")?;
        at_most_a_year(self.cooldown_days, "cooldown_days")?;
        at_most_a_year(self.wait_days, "wait_days")?;
        at_most_a_year(self.vote_age_days, "vote_age_days")
    }

    /// What a device of `processors` processors must have at stake: `stake_per_unit × max(floor, multiplier) ×
    /// processors`; more than anybody has when that cannot be written down.
    pub fn need(&self, multiplier: Multiplier, processors: u32) -> Coins {
        let counted = multiplier.max(self.multiplier_floor);
        self.stake_per_unit
            .mul_div_floor(u64::from(counted.hundredths()), u64::from(Multiplier::ONE.hundredths()))
            .and_then(|each| each.checked_times(u64::from(processors)))
            .unwrap_or(MORE_THAN_ANYBODY_HAS)
    }

    /// How long coins cool down.
    pub(crate) fn cooldown(&self) -> Duration {
        days(self.cooldown_days)
    }

    /// How long a leaving co-staker's coins still count.
    pub(crate) fn wait(&self) -> Duration {
        days(self.wait_days)
    }

    /// How old a coin must be to vote.
    pub(crate) fn vote_age(&self) -> Duration {
        days(self.vote_age_days)
    }
}

/// That many days.
pub(crate) fn days(count: u16) -> Duration {
    DAY * u32::from(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_devices_need() {
        let rows = [
            ("8 H100", "10", 8, "16000"),
            ("4 RTX 4070 at a quarter", "0.25", 4, "800"),
            ("B200", "30", 1, "6000"),
            ("RTX 4090", "1.25", 1, "250"),
            ("L40S", "3", 2, "1200"),
            ("dropped", "0", 1, "200"),
        ];
        for (device, multiplier, processors, need) in rows {
            let got = StakeRules::default().need(multiplier.parse().unwrap(), processors);
            assert_eq!(got, need.parse().unwrap(), "{device}");
        }
    }

    #[test]
    fn nonsense_is_refused() {
        let bad = |patch: fn(&mut StakeRules)| {
            let mut rules = StakeRules::default();
            patch(&mut rules);
            rules.check().map_err(|bad| bad.field)
        };
        assert_eq!(bad(|_| ()), Ok(()));
        assert_eq!(bad(|rules| rules.stake_per_unit = Coins::ZERO), Err("stake_per_unit"));
        assert_eq!(
            bad(|rules| rules.stake_per_unit = Coins::from_units(u64::MAX)),
            Err("stake_per_unit")
        );
        assert_eq!(bad(|rules| rules.co_portion_max_bp = 10_001), Err("co_portion_max_bp"));
        assert_eq!(bad(|rules| rules.cooldown_days = 367), Err("cooldown_days"));
    }
}
