//! Coins that are set aside for somebody and released bit by bit, and who was given what at genesis.

use serde::{Deserialize, Serialize};
use units::{Coins, DAY, Hour, Timestamp};

/// The longest wait, and the most parts: a hundred years of months.
pub const MONTHS_MAX: u32 = 1_200;

/// When how much of a grant is released: a share at the start, the rest in equal monthly parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Schedule {
    /// The share released at the start, in basis points.
    pub start_bp: u16,
    /// Months from the start to the first part.
    pub cliff_months: u32,
    /// How many parts, a month apart. Zero counts as one.
    pub parts: u32,
}

/// Why a schedule or a table of grants is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotVesting {
    /// A share is more than the whole.
    #[error("`start_bp` is at most 10000, not {found}")]
    Share {
        /// What was asked for.
        found: u16,
    },
    /// It would never end.
    #[error("a schedule has at most {MONTHS_MAX} months of wait and as many parts, not {found}")]
    Months {
        /// What was asked for.
        found: u32,
    },
    /// The grants of genesis are not what there is at genesis.
    #[error("the grants sum to {granted} units of a coin, but genesis has {genesis} coins")]
    Sum {
        /// What all grants sum to, in units.
        granted: u128,
        /// What exists at genesis.
        genesis: Coins,
    },
}

impl Schedule {
    /// Everything at once, at the start.
    pub const AT_ONCE: Self = Self { start_bp: 10_000, cliff_months: 0, parts: 0 };

    /// Refuses a schedule that releases more than there is, or never ends.
    pub const fn check(&self) -> Result<(), NotVesting> {
        if self.start_bp > 10_000 {
            return Err(NotVesting::Share { found: self.start_bp });
        }
        if self.cliff_months > MONTHS_MAX {
            return Err(NotVesting::Months { found: self.cliff_months });
        }
        if self.parts > MONTHS_MAX {
            return Err(NotVesting::Months { found: self.parts });
        }
        Ok(())
    }

    /// How much of `total` is released by `now`. Never falls as time goes on, and ends on `total`.
    pub fn released(&self, total: Coins, start: Timestamp, now: Timestamp) -> Coins {
        if now < start {
            return Coins::ZERO;
        }
        let parts = self.parts.max(1);
        let months = months_between(start, now);
        let done = (months + 1).saturating_sub(self.cliff_months).min(parts);
        let at_start = total.share_floor(self.start_bp.min(10_000));
        let rest = total.checked_sub(at_start).expect("a share is at most the whole");
        let later = rest.mul_div_floor(u64::from(done), u64::from(parts));
        later.and_then(|later| at_start.checked_add(later)).expect("parts of the total")
    }

    /// When the next part after `now` is released; `None` once all of it is.
    pub fn next(&self, start: Timestamp, now: Timestamp) -> Option<Timestamp> {
        let last = (self.cliff_months + self.parts.max(1)).saturating_sub(1);
        if now < start && (self.start_bp > 0 || self.cliff_months == 0) {
            return Some(start);
        }
        let next = if now < start { 0 } else { months_between(start, now) + 1 };
        let next = next.max(self.cliff_months);
        let is_over = self.start_bp >= 10_000 || next > last;
        (!is_over).then(|| months_after(start, next))
    }
}

/// How many months have passed: the same day and time of a later month, or its last day where it has no such day.
fn months_between(start: Timestamp, now: Timestamp) -> u32 {
    let months = Hour::of(now).month().since(Hour::of(start).month());
    months.saturating_sub(u32::from(now < months_after(start, months)))
}

/// The same day and time so many months later, or the last day of that month where it has no such day.
fn months_after(start: Timestamp, months: u32) -> Timestamp {
    let first = Hour::of(start).month();
    let month = first.later(months);
    let into = start.since(first.first_hour().start());
    let (days, time) = (into.as_secs() / DAY.as_secs(), into.as_secs() % DAY.as_secs());
    let days = days.min(u64::from(month.days()) - 1);
    let seconds = days * DAY.as_secs() + time;
    month.first_hour().start().after(std::time::Duration::from_secs(seconds))
}

/// What one class of holders is given at genesis.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Allocation {
    /// How much.
    pub amount: Coins,
    /// When it is released.
    pub schedule: Schedule,
}

/// Who is given what at genesis. io.net's percentages are of the cap of 800 M coins; the community's half contains the
/// 300 M that blocks emit, so that 500 M are given here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct GenesisRules {
    /// 12.5 %: 80 M for airdrops, 45 % of them at the start and the rest over 41 months, and 20 M for the launch.
    pub community: Allocation,
    /// 16 % for research and the ecosystem: 30 % at the start, the rest over 35 months from the eighth on.
    pub ecosystem: Allocation,
    /// 12.5 % for seed investors: nothing for 12 months, then 24 monthly parts.
    pub seed: Allocation,
    /// 10.2 % for investors of series A: as for the seed.
    pub series_a: Allocation,
    /// 11.3 % for the core contributors: nothing for 12 months, then 36 monthly parts.
    pub core: Allocation,
}

impl Default for GenesisRules {
    fn default() -> Self {
        let grant = |tenths: u64, start_bp, cliff_months, parts| Allocation {
            amount: Coins::from_units(tenths * 100_000 * 100_000_000),
            schedule: Schedule { start_bp, cliff_months, parts },
        };
        Self {
            community: grant(1_000, 5_600, 1, 41),
            ecosystem: grant(1_280, 3_000, 7, 35),
            seed: grant(1_000, 0, 12, 24),
            series_a: grant(816, 0, 12, 24),
            core: grant(904, 0, 12, 36),
        }
    }
}

impl GenesisRules {
    /// Every class by name.
    pub const fn classes(&self) -> [(&'static str, &Allocation); 5] {
        [
            ("community", &self.community),
            ("ecosystem", &self.ecosystem),
            ("seed", &self.seed),
            ("series-a", &self.series_a),
            ("core", &self.core),
        ]
    }

    /// Refuses schedules that are nonsense, and grants that do not sum to what there is at genesis.
    pub fn check(&self, genesis: Coins) -> Result<(), NotVesting> {
        let classes = self.classes();
        classes.iter().try_for_each(|(_, grant)| grant.schedule.check())?;
        let granted: u128 = classes.iter().map(|(_, grant)| u128::from(grant.amount.units())).sum();
        if granted == u128::from(genesis.units()) {
            Ok(())
        } else {
            Err(NotVesting::Sum { granted, genesis })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use units::MINUTE;

    fn moment(text: &str) -> Timestamp {
        text.parse::<Hour>().unwrap().start()
    }

    fn coins(text: &str) -> Coins {
        text.parse().unwrap()
    }

    #[test]
    fn five_classes_make_genesis() {
        let rules = GenesisRules::default();
        assert_eq!(rules.check(coins("500000000")), Ok(()));
        let amounts = rules.classes().map(|(name, grant)| format!("{name} {}", grant.amount));
        let expected = [
            "community 100000000.00000000",
            "ecosystem 128000000.00000000",
            "seed 100000000.00000000",
            "series-a 81600000.00000000",
            "core 90400000.00000000",
        ];
        assert_eq!(amounts, expected);
        assert!(rules.check(coins("800000000")).is_err());
    }

    #[test]
    fn investors_wait_a_year_and_get_twenty_four_parts() {
        let start = moment("2024-06-11T12");
        let seed = GenesisRules::default().seed;
        let rows = [
            ("2024-06-11T11", "0"),
            ("2024-06-11T12", "0"),
            ("2025-06-11T11", "0"),
            ("2025-06-11T12", "4166666.66666666"),
            ("2025-07-11T11", "4166666.66666666"),
            ("2025-07-11T12", "8333333.33333333"),
            ("2026-05-30T00", "50000000"),
            ("2027-05-11T11", "95833333.33333333"),
            ("2027-05-11T12", "100000000"),
            ("2099-01-01T00", "100000000"),
        ];
        for (now, released) in rows {
            let found = seed.schedule.released(seed.amount, start, moment(now));
            assert_eq!(found, coins(released), "{now}");
        }
    }

    #[test]
    fn the_community_has_a_share_at_the_start() {
        let start = moment("2024-06-11T12");
        let community = GenesisRules::default().community;
        let at = |now| community.schedule.released(community.amount, start, moment(now));
        assert_eq!(at("2024-06-11T12"), coins("56000000"));
        assert_eq!(at("2024-07-11T12"), coins("57073170.73170731"));
        assert_eq!(at("2027-11-11T12"), coins("100000000"));
        let once = Schedule::AT_ONCE;
        assert_eq!(once.released(coins("7"), start, start), coins("7"));
    }

    #[test]
    fn every_part_has_its_date() {
        let start = moment("2024-06-11T12");
        let seed = GenesisRules::default().seed.schedule;
        let community = GenesisRules::default().community.schedule;
        let rows = [
            (seed, "2024-06-11T11", Some("2025-06-11T12")),
            (seed, "2025-06-11T12", Some("2025-07-11T12")),
            (seed, "2027-05-11T11", Some("2027-05-11T12")),
            (seed, "2027-05-11T12", None),
            (community, "2024-06-11T11", Some("2024-06-11T12")),
            (community, "2024-06-11T12", Some("2024-07-11T12")),
            (community, "2027-11-11T12", None),
            (Schedule::AT_ONCE, "2024-06-11T11", Some("2024-06-11T12")),
            (Schedule::AT_ONCE, "2024-06-11T12", None),
        ];
        for (schedule, now, next) in rows {
            assert_eq!(schedule.next(start, moment(now)), next.map(moment), "{schedule:?} {now}");
        }
    }

    #[test]
    fn a_day_that_a_month_lacks_is_its_last() {
        let start = moment("2024-08-31T00");
        let months = |now| months_between(start, moment(now));
        assert_eq!(months("2024-09-29T23"), 0);
        assert_eq!(months("2024-09-30T00"), 1);
        assert_eq!(months("2025-02-27T23"), 5);
        assert_eq!(months("2025-02-28T00"), 6);
        assert_eq!(months("2025-08-31T00"), 12);
    }

    proptest! {
        #[test]
        fn what_is_released_only_grows_and_ends_on_the_total(
            total: u64,
            start_bp in 0_u16..=10_000,
            cliff_months in 0_u32..40,
            parts in 0_u32..40,
            start in 0_u64..4_000_000_000_000,
            minutes in proptest::collection::vec(0_u32..3_000_000, 1..20),
        ) {
            let schedule = Schedule { start_bp, cliff_months, parts };
            let (total, start) = (Coins::from_units(total), Timestamp::from_millis(start));
            let mut minutes = minutes;
            minutes.sort_unstable();
            let mut last = Coins::ZERO;
            for minute in minutes {
                let released = schedule.released(total, start, start.after(MINUTE * minute));
                prop_assert!(last <= released && released <= total);
                last = released;
            }
            let end = start.after(DAY * 31 * (cliff_months + parts + 1));
            prop_assert_eq!(schedule.released(total, start, end), total);
        }

        #[test]
        fn nothing_is_released_between_one_date_and_the_next(
            start_bp in 0_u16..=10_000,
            cliff_months in 0_u32..40,
            parts in 0_u32..40,
            start in 10_000_000_u64..4_000_000_000_000,
            minutes in 0_u32..3_000_000,
        ) {
            let schedule = Schedule { start_bp, cliff_months, parts };
            let (total, start) = (coins("1000000"), Timestamp::from_millis(start));
            let now = Timestamp::from_millis(start.millis() - 10_000_000).after(MINUTE * minutes);
            let released = |at| schedule.released(total, start, at);
            match schedule.next(start, now) {
                Some(next) => {
                    prop_assert!(next > now);
                    prop_assert!(released(now) < released(next));
                    let before = Timestamp::from_millis(next.millis() - 1);
                    prop_assert_eq!(released(now), released(before));
                }
                None => prop_assert_eq!(released(now), total),
            }
        }
    }
}
