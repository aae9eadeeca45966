//! How reliable a device was, from 0 to 100 %, by counts that anyone can check.
//!
//! It changes no reward; it is what renters and co-stakers choose by.

use serde::{Deserialize, Serialize};

use crate::rules::{BadRules, must};

/// All of it, in ten-thousandths.
const WHOLE: u64 = 10_000;

/// What a score is made of. io.net publishes the five factors and not their weights; these are chosen here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReliabilityRules {
    /// Weight of the part of time that the device was up.
    pub uptime_weight_bp: u16,
    /// Weight of the part of its checks that it passed.
    pub consistency_weight_bp: u16,
    /// Weight of how seldom it disconnected.
    pub connection_weight_bp: u16,
    /// Weight of not having been slashed.
    pub record_weight_bp: u16,
    /// Weight of the part of time that its stake sufficed.
    pub staking_weight_bp: u16,
    /// As many disconnections a week leave nothing of that factor.
    pub disconnections_week_max: u16,
    /// What each slash that stands takes of that factor.
    pub slash_penalty_bp: u16,
    /// What a device without a past is taken for.
    pub newcomer_bp: u16,
    /// After how many hours a device is judged by its own past alone; before, in proportion.
    pub newcomer_hours: u16,
}

impl Default for ReliabilityRules {
    fn default() -> Self {
        Self {
            uptime_weight_bp: 4_000,
            consistency_weight_bp: 2_500,
            connection_weight_bp: 1_500,
            record_weight_bp: 1_000,
            staking_weight_bp: 1_000,
            disconnections_week_max: 14,
            slash_penalty_bp: 5_000,
            newcomer_bp: 5_000,
            newcomer_hours: 168,
        }
    }
}

impl ReliabilityRules {
    /// Refuses rules that make no sense.
    pub fn check(&self) -> Result<(), BadRules> {
        let weights = self.weights().into_iter().sum::<u64>();
        must(weights > 0, "uptime_weight_bp", "and the other weights must not all be zero")?;
        must(self.newcomer_bp <= 10_000, "newcomer_bp", "must be at most 10000")?;
        must(self.disconnections_week_max > 0, "disconnections_week_max", "must be above zero")?;
        must(self.newcomer_hours > 0, "newcomer_hours", "must be above zero")
    }

    fn weights(&self) -> [u64; 5] {
        [
            self.uptime_weight_bp,
            self.consistency_weight_bp,
            self.connection_weight_bp,
            self.record_weight_bp,
            self.staking_weight_bp,
        ]
        .map(u64::from)
    }
}

/// What is counted of a device, over the time that is looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Conduct {
    /// Hours in which it should have been up.
    pub hours: u32,
    /// Hours of them in which it was.
    pub hours_up: u32,
    /// Hours of them in which its stake sufficed.
    pub hours_staked: u32,
    /// Proofs and measurements that were asked of it.
    pub checks: u32,
    /// Those of them that it passed.
    pub checks_passed: u32,
    /// How often its connection broke.
    pub disconnections: u32,
    /// Slashes that stand.
    pub slashes: u32,
}

/// `part` of `whole` in ten-thousandths, rounded down; all of it when there is nothing to be a part of.
fn share(part: u32, whole: u32) -> u64 {
    let part = u64::from(part.min(whole)) * WHOLE;
    part.checked_div(u64::from(whole)).unwrap_or(WHOLE)
}

/// How reliable a device was, in ten-thousandths, rounded down.
///
/// Weights count relative to their sum, so that each can be changed alone.
pub fn reliability_bp(conduct: &Conduct, rules: &ReliabilityRules) -> u16 {
    let week_hours = 168;
    let breaks = u64::from(conduct.disconnections) * week_hours * WHOLE;
    let bearable = u64::from(rules.disconnections_week_max) * u64::from(conduct.hours);
    let broken = breaks.checked_div(bearable).unwrap_or(if breaks > 0 { WHOLE } else { 0 });
    let guilt = u64::from(conduct.slashes) * u64::from(rules.slash_penalty_bp);
    let factors = [
        share(conduct.hours_up, conduct.hours),
        share(conduct.checks_passed, conduct.checks),
        WHOLE.saturating_sub(broken),
        WHOLE.saturating_sub(guilt),
        share(conduct.hours_staked, conduct.hours),
    ];
    let weights = rules.weights();
    let weighed: u64 = factors.iter().zip(weights).map(|(factor, weight)| factor * weight).sum();
    let own = weighed.checked_div(weights.into_iter().sum()).unwrap_or(0);
    let settling = u64::from(rules.newcomer_hours.max(1));
    let known = u64::from(conduct.hours).min(settling);
    let blended = own * known + u64::from(rules.newcomer_bp) * (settling - known);
    u16::try_from((blended / settling).min(WHOLE)).expect("at most ten thousand")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn good(hours: u32) -> Conduct {
        Conduct {
            hours,
            hours_up: hours,
            hours_staked: hours,
            checks: hours,
            checks_passed: hours,
            disconnections: 0,
            slashes: 0,
        }
    }

    #[test]
    fn scores_a_person_can_check() {
        let rows = [
            ("a device without a past", Conduct::default(), 5_000),
            ("half a week without fault", good(84), 7_500),
            ("a month without fault", good(720), 10_000),
            ("up nine hours of ten", Conduct { hours_up: 900, ..good(1_000) }, 9_600),
            ("half of its proofs failed", Conduct { checks_passed: 500, ..good(1_000) }, 8_750),
            ("a break a day", Conduct { disconnections: 14, ..good(336) }, 9_250),
            ("slashed once", Conduct { slashes: 1, ..good(720) }, 9_500),
            ("slashed twice", Conduct { slashes: 2, ..good(720) }, 9_000),
            ("never staked", Conduct { hours_staked: 0, ..good(720) }, 9_000),
            ("never up", Conduct { hours_up: 0, checks_passed: 0, ..good(720) }, 3_500),
        ];
        for (what, conduct, score) in rows {
            assert_eq!(reliability_bp(&conduct, &ReliabilityRules::default()), score, "{what}");
        }
    }

    proptest! {
        #[test]
        fn doing_better_never_scores_less(
            counts in prop::array::uniform6(0_u32..2_000),
            hours in 0_u32..2_000,
            better in 0_usize..5,
        ) {
            let [hours_up, hours_staked, checks, checks_passed, disconnections, slashes] = counts;
            let worse = Conduct {
                hours, hours_up, hours_staked, checks, checks_passed, disconnections, slashes,
            };
            let mut conduct = worse;
            match better {
                0 => conduct.hours_up += 10,
                1 => conduct.hours_staked += 10,
                2 => conduct.checks_passed += 10,
                3 => conduct.disconnections = disconnections.saturating_sub(10),
                _ => conduct.slashes = slashes.saturating_sub(1),
            }
            let rules = ReliabilityRules::default();
            prop_assert!(reliability_bp(&conduct, &rules) >= reliability_bp(&worse, &rules));
            prop_assert!(reliability_bp(&conduct, &rules) <= 10_000);
        }

        #[test]
        fn no_counts_and_no_rules_make_it_panic(counts: [u32; 7], rules: [u16; 9]) {
            let [hours, hours_up, hours_staked, checks, checks_passed, disconnections, slashes] = counts;
            let conduct = Conduct {
                hours, hours_up, hours_staked, checks, checks_passed, disconnections, slashes,
            };
            let rules = ReliabilityRules {
                uptime_weight_bp: rules[0],
                consistency_weight_bp: rules[1],
                connection_weight_bp: rules[2],
                record_weight_bp: rules[3],
                staking_weight_bp: rules[4],
                disconnections_week_max: rules[5],
                slash_penalty_bp: rules[6],
                newcomer_bp: rules[7],
                newcomer_hours: rules[8],
            };
            prop_assert!(reliability_bp(&conduct, &rules) <= 10_000);
        }
    }
}
