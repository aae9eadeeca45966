//! What a machine's hour counts for among the others of its group.
//!
//! io.net prints `100 × (100 × (0.02 × tier / 4 + 2.0 × multiplier × quantity) + 0.05 × hired)`. Multiplied out, every
//! term is a whole number: 50 for each tier, 200 for each hundredth of the multiplier of each chip, 5 for being hired.

use serde::{Deserialize, Serialize};
use units::{Coins, Multiplier, Tier};

/// One, as normalized scores count: they are shown with six decimals.
pub const NORM_ONE: u64 = 1_000_000;
/// The normalized scores of all who earn in a block, together.
pub const NORM_TOTAL: u64 = 10_000_000 * NORM_ONE;
/// The most points for anything: far above what was ever used, and small enough that no score overflows.
pub const POINTS_MAX: u32 = 10_000;
/// The most chips that one machine counts for. A machine with more counts as if it had these.
pub const QUANTITY_MAX: u32 = 1_024;

const _: () = assert!(
    (POINTS_MAX as u128) * (Multiplier::MAX.hundredths() as u128 * QUANTITY_MAX as u128 + 5)
        < u64::MAX as u128,
    "the best machine's score fits"
);

/// The points a machine gets for what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ScoreRules {
    /// Points for each tier of connectivity, from 1 (low) to 4 (ultra-high). io.net: 50.
    pub tier_points: u32,
    /// Points for each hundredth of the multiplier of each chip. io.net: 200.
    pub hardware_points: u32,
    /// Points for being hired in the hour. io.net: 5.
    pub hired_points: u32,
}

impl Default for ScoreRules {
    fn default() -> Self {
        Self { tier_points: 50, hardware_points: 200, hired_points: 5 }
    }
}

/// Why points are refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAScore {
    /// Nothing counts for anything, so nobody could earn.
    #[error("some points are above zero, or nobody earns")]
    NoPoints,
    /// More than a score can hold.
    #[error("points are at most {POINTS_MAX}, not {found}")]
    TooMany {
        /// What was asked for.
        found: u32,
    },
}

impl ScoreRules {
    /// Refuses points with which nobody could earn, and points with which a score could overflow.
    pub fn check(&self) -> Result<(), NotAScore> {
        let all = [self.tier_points, self.hardware_points, self.hired_points];
        let found = all.into_iter().max().unwrap_or(0);
        match found {
            0 => Err(NotAScore::NoPoints),
            1..=POINTS_MAX => Ok(()),
            _ => Err(NotAScore::TooMany { found }),
        }
    }

    /// The base score of `quantity` chips that count `multiplier` each, behind a connection of this tier.
    pub fn base(&self, tier: Tier, multiplier: Multiplier, quantity: u32, hired: bool) -> u64 {
        let chips = u64::from(multiplier.hundredths()) * u64::from(quantity.min(QUANTITY_MAX));
        let points = |points: u32| u64::from(points.min(POINTS_MAX));
        points(self.tier_points) * tier_number(tier)
            + points(self.hardware_points) * chips
            + points(self.hired_points) * u64::from(hired)
    }
}

/// A tier's number: 0 for none to 4 for ultra-high.
pub const fn tier_number(tier: Tier) -> u64 {
    match tier {
        Tier::None => 0,
        Tier::Low => 1,
        Tier::Medium => 2,
        Tier::High => 3,
        Tier::UltraHigh => 4,
    }
}

/// What a normalized score (in millionths) is worth of a block's emission, rounded down.
///
/// Payouts are not made from it but from base scores, to the unit; it is what a person computes from what is shown.
pub fn worth(norm: u64, emission: Coins) -> Coins {
    let norm = norm.min(NORM_TOTAL);
    emission.mul_div_floor(norm, NORM_TOTAL).expect("a part of the emission")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base_scores_are_those_shown() {
        let rows = [
            // A100 80 PCIe of 2024-06-20 and RTX 3080 × 6, both as shown.
            (Tier::UltraHigh, "5", 1, false, 100_200),
            (Tier::Low, "0.25", 6, false, 30_050),
            // An M3 of March 2025 with norm 591.134 had 20,100: tier 2, multiplier 1.
            (Tier::Medium, "1", 1, false, 20_100),
            (Tier::UltraHigh, "10", 8, true, 1_600_205),
            (Tier::None, "0", 8, true, 5),
            (Tier::None, "0.01", 1, false, 200),
        ];
        for (tier, multiplier, quantity, hired, base) in rows {
            let multiplier = multiplier.parse().unwrap();
            let found = ScoreRules::default().base(tier, multiplier, quantity, hired);
            assert_eq!(found, base, "{tier} {multiplier} {quantity} {hired}");
        }
    }

    #[test]
    fn a_normalized_score_is_worth_its_part_of_the_block() {
        // Shown 0.87866191 on 2024-06-20: the score is shown with three decimals, which leaves a millionth open.
        let emission: Coins = "4559.62".parse().unwrap();
        let coins = worth(1_927_051_000, emission);
        let shown: Coins = "0.87866191".parse().unwrap();
        assert_eq!(coins.to_string(), "0.87866202");
        assert!(coins.units().abs_diff(shown.units()) < 100);
        assert_eq!(worth(u64::MAX, emission), emission);
    }

    #[test]
    fn the_largest_machine_and_points_do_not_overflow() {
        let max =
            ScoreRules { tier_points: u32::MAX, hardware_points: u32::MAX, hired_points: u32::MAX };
        assert_eq!(max.check(), Err(NotAScore::TooMany { found: u32::MAX }));
        max.base(Tier::UltraHigh, Multiplier::MAX, u32::MAX, true);
        let none = ScoreRules { tier_points: 0, hardware_points: 0, hired_points: 0 };
        assert_eq!(none.check(), Err(NotAScore::NoPoints));
        assert_eq!(ScoreRules::default().check(), Ok(()));
    }
}
