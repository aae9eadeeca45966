//! How many coins each hour brings into the world: a geometric schedule of months, shared out over the hours of each.
//!
//! Month `m` (from 1) emits `E_m = genesis · rate / 12 · q^(m-1)`. The factor `q` is chosen so that all months together
//! emit the whole total; the written formula that compounds the supply instead sums to 410 M and breaks the cap.
//!
//! # Invariants
//! - What is emitted through the last hour is the total, to the unit; at no hour is it more.
//! - The hours of a month differ by at most one unit and sum to the month.
//! - Outside the schedule nothing is emitted.

use serde::{Deserialize, Serialize};
use units::{Coins, Hour, Month};

/// The longest schedule: a hundred years.
pub const MONTHS_MAX: u32 = 1_200;
/// One, as `retained_e18` counts.
const ONE_E18: u64 = 1_000_000_000_000_000_000;
/// Bits behind the point while months are multiplied: after 1,200 months the sum is off by less than a thousandth of
/// a unit, and a sum of 1,200 months of the largest amount stays under 110 bits.
const FRACTION_BITS: u32 = 32;
/// How far the formula may miss the total: one coin. The last month takes the difference.
const MISS_MAX: u64 = 100_000_000;

/// The schedule's constants.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EmissionRules {
    /// The most coins there can ever be. io.net: 800 M.
    pub cap: Coins,
    /// Coins that exist before the first block. io.net: 500 M.
    pub genesis: Coins,
    /// Coins that all blocks together emit. io.net: 300 M.
    pub total: Coins,
    /// How many months the schedule has. io.net: 240, 20 years.
    pub months: u32,
    /// The first month. io.net: July 2024.
    pub first_month: Month,
    /// The yearly rate of the first month, of the coins at genesis, in basis points. io.net: 8 %.
    pub first_year_bp: u16,
    /// What is left of one month's emission in the next, in 10^-18. Derived: with this factor 240 months emit 300 M to
    /// the unit; io.net prints 0.989849199, with which they would emit 5,579 coins too many.
    pub retained_e18: u64,
}

impl Default for EmissionRules {
    fn default() -> Self {
        let coins = |millions: u64| Coins::from_units(millions * 1_000_000 * 100_000_000);
        Self {
            cap: coins(800),
            genesis: coins(500),
            total: coins(300),
            months: 240,
            first_month: Month::new(2024, 7).expect("a month of the calendar"),
            first_year_bp: 800,
            retained_e18: 989_848_952_962_349_516,
        }
    }
}

/// Why rules make no schedule. Checks run in the order of these variants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotASchedule {
    /// The coins at genesis and the total do not fit under the cap.
    #[error("genesis and the total of all blocks are more than the cap of {cap} coins")]
    OverCap {
        /// The cap.
        cap: Coins,
    },
    /// No months, or too many.
    #[error("a schedule has 1 to {MONTHS_MAX} months, not {months}")]
    Months {
        /// How many were asked for.
        months: u32,
    },
    /// The factor is above one: emission would grow.
    #[error("`retained_e18` is at most {ONE_E18}: a month emits no more than the one before")]
    Grows,
    /// No factor makes these months emit that total.
    #[error(
        "{months} months that begin with {first} coins cannot emit {total}: change the rate, the months or the total"
    )]
    NoFactor {
        /// What the first month emits.
        first: Coins,
        /// How many months there are.
        months: u32,
        /// What they should emit.
        total: Coins,
    },
    /// The factor misses the total by more than a coin.
    #[error("with `retained_e18` {found} the months do not sum to the total: use {fits}")]
    Misses {
        /// The factor that was given.
        found: u64,
        /// The factor that fits.
        fits: u64,
    },
}

impl EmissionRules {
    /// Refuses rules that make no schedule.
    pub fn check(&self) -> Result<(), NotASchedule> {
        let all = self.genesis.checked_add(self.total);
        if all.is_none_or(|all| all > self.cap) {
            return Err(NotASchedule::OverCap { cap: self.cap });
        }
        if self.months == 0 || self.months > MONTHS_MAX {
            return Err(NotASchedule::Months { months: self.months });
        }
        if self.retained_e18 > ONE_E18 {
            return Err(NotASchedule::Grows);
        }
        let sum = self.sum(self.retained_e18);
        if sum.abs_diff(u128::from(self.total.units())) <= u128::from(MISS_MAX) {
            return Ok(());
        }
        Err(NotASchedule::Misses { found: self.retained_e18, fits: self.fitting()? })
    }

    /// The largest factor with which the months emit no more than the total.
    pub fn fitting(&self) -> Result<u64, NotASchedule> {
        let total = u128::from(self.total.units());
        let none = NotASchedule::NoFactor {
            first: Coins::from_units(u64::try_from(self.sum(0)).unwrap_or(u64::MAX)),
            months: self.months,
            total: self.total,
        };
        let reaches = self.sum(ONE_E18) + u128::from(MISS_MAX) >= total;
        if self.sum(0) > total || !reaches {
            return Err(none);
        }
        let (mut fits, mut above) = (0, ONE_E18 + 1);
        while above - fits > 1 {
            let middle = fits + (above - fits) / 2;
            if self.sum(middle) <= total { fits = middle } else { above = middle }
        }
        Ok(fits)
    }

    /// What the formula emits through each month, in units, rounded down.
    fn sums(&self, retained_e18: u64) -> impl Iterator<Item = u128> {
        let yearly = u128::from(self.genesis.units()) * u128::from(self.first_year_bp);
        let mut month = (yearly << FRACTION_BITS) / 120_000;
        let mut sum = 0;
        (0..self.months).map(move |_| {
            sum += month;
            month = retained(month, retained_e18);
            sum >> FRACTION_BITS
        })
    }

    fn sum(&self, retained_e18: u64) -> u128 {
        self.sums(retained_e18).last().unwrap_or(0)
    }
}

/// `amount · factor / 10^18`, rounded down, without a product of more than 128 bits.
fn retained(amount: u128, factor_e18: u64) -> u128 {
    let (one, factor) = (u128::from(ONE_E18), u128::from(factor_e18));
    amount / one * factor + amount % one * factor / one
}

/// The schedule as a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Emission {
    first: Month,
    /// What is emitted through each month, in units.
    through: Vec<u64>,
}

impl Emission {
    /// The schedule that the rules describe.
    pub fn new(rules: &EmissionRules) -> Result<Self, NotASchedule> {
        rules.check()?;
        let total = rules.total.units();
        let capped = |sum: u128| u64::try_from(sum).unwrap_or(total).min(total);
        let mut through: Vec<u64> = rules.sums(rules.retained_e18).map(capped).collect();
        *through.last_mut().expect("at least one month") = total;
        Ok(Self { first: rules.first_month, through })
    }

    /// The first month of the schedule.
    pub const fn first_month(&self) -> Month {
        self.first
    }

    /// What all blocks together emit.
    pub fn total(&self) -> Coins {
        Coins::from_units(self.through.last().copied().unwrap_or(0))
    }

    /// Which month of the schedule it is, from 1; `None` before and after.
    pub fn month_number(&self, month: Month) -> Option<u32> {
        let since = month.since(self.first);
        let inside = month >= self.first && (since as usize) < self.through.len();
        inside.then_some(since + 1)
    }

    /// What the month emits; nothing outside the schedule.
    pub fn month(&self, month: Month) -> Coins {
        let Some(number) = self.month_number(month) else { return Coins::ZERO };
        Coins::from_units(self.through(number) - self.through(number - 1))
    }

    /// What the block of this hour emits; nothing outside the schedule.
    pub fn block(&self, hour: Hour) -> Coins {
        let past = hour.number().checked_sub(1).map_or(0, |last| self.units_through(last));
        Coins::from_units(self.units_through(hour.number()) - past)
    }

    /// What all blocks up to and with this hour's emit.
    pub fn emitted_through(&self, hour: Hour) -> Coins {
        Coins::from_units(self.units_through(hour.number()))
    }

    fn units_through(&self, hour: u32) -> u64 {
        let hour = Hour::from_number(hour);
        let month = hour.month();
        if month < self.first {
            return 0;
        }
        let Some(number) = self.month_number(month) else { return self.total().units() };
        let before = self.through(number - 1);
        let done = u128::from(hour.since(month.first_hour()) + 1);
        let part = u128::from(self.through(number) - before) * done / u128::from(month.hours());
        before + u64::try_from(part).expect("a part of a month")
    }

    /// What is emitted through the month with this number.
    fn through(&self, number: u32) -> u64 {
        match number.checked_sub(1) {
            Some(index) => self.through[index as usize],
            None => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn schedule() -> Emission {
        Emission::new(&EmissionRules::default()).unwrap()
    }

    fn month(text: &str) -> Month {
        text.parse().unwrap()
    }

    fn hour(text: &str) -> Hour {
        text.parse().unwrap()
    }

    /// Whole coins, to the nearest.
    fn coins(amount: Coins) -> u64 {
        (amount.units() + 50_000_000) / 100_000_000
    }

    #[test]
    fn the_published_months_are_reproduced() {
        let rows = [
            ("2024-07", 1, 3_333_333),
            ("2024-08", 2, 3_299_497),
            ("2024-09", 3, 3_266_003),
            ("2024-10", 4, 3_232_850),
            ("2024-11", 5, 3_200_033),
            ("2024-12", 6, 3_167_549),
            ("2025-01", 7, 3_135_395),
            ("2025-02", 8, 3_103_568),
            ("2025-03", 9, 3_072_063),
            ("2025-04", 10, 3_040_879),
            ("2025-05", 11, 3_010_011),
            ("2025-06", 12, 2_979_456),
            ("2025-07", 13, 2_949_211),
            ("2044-06", 240, 290_973),
        ];
        let schedule = schedule();
        for (text, number, emits) in rows {
            assert_eq!(schedule.month_number(month(text)), Some(number), "{text}");
            assert_eq!(coins(schedule.month(month(text))), emits, "{text}");
        }
        assert_eq!(schedule.month(month("2024-06")), Coins::ZERO);
        assert_eq!(schedule.month(month("2044-07")), Coins::ZERO);
        assert_eq!(schedule.total().to_string(), "300000000.00000000");
    }

    #[test]
    fn all_months_are_those_of_exact_fractions() {
        // FNV-1a over the 240 months as little-endian numbers, from a computation with unbounded fractions.
        let schedule = schedule();
        let months = (0..240).map(|later| schedule.month(month("2024-07").later(later)));
        let bytes = months.flat_map(|amount| amount.units().to_le_bytes());
        let print = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |print, byte| {
            (print ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        assert_eq!(print, 0xd5c4_6016_ae9c_2d8c);
    }

    #[test]
    fn a_block_is_an_hours_part_of_its_month() {
        let rows = [
            ("2024-06-30T23:00:00", "0.00000000"),
            ("2024-07-01T00:00:00", "4480.28673835"),
            ("2024-07-01T01:00:00", "4480.28673835"),
            ("2025-01-15T12:00:00", "4214.24109631"),
            ("2025-02-15T12:00:00", "4618.40450851"),
            ("2025-03-05T10:00:00", "4129.11742836"),
            ("2044-07-01T00:00:00", "0.00000000"),
        ];
        for (text, emits) in rows {
            assert_eq!(schedule().block(hour(text)).to_string(), emits, "{text}");
        }
    }

    #[test]
    fn never_more_than_the_total_at_any_hour_and_the_total_at_the_end() {
        let schedule = schedule();
        let mut hour = hour("2024-06-30T00:00:00");
        let (mut sum, mut month_sum) = (0_u64, 0_u64);
        while hour.month() <= month("2044-08") {
            let block = schedule.block(hour).units();
            sum += block;
            month_sum += block;
            assert_eq!(schedule.emitted_through(hour).units(), sum, "{hour}");
            assert!(sum <= schedule.total().units(), "{hour}");
            if hour.next().month() != hour.month() {
                assert_eq!(schedule.month(hour.month()).units(), month_sum, "{hour}");
                month_sum = 0;
            }
            hour = hour.next();
        }
        assert_eq!(Coins::from_units(sum), schedule.total());
    }

    #[test]
    fn what_was_counted_in_march_2025_is_what_the_schedule_says() {
        // 6,071 blocks had given 26,767,488 coins by then; 132 of them lay before the schedule began.
        let before = 132 * 455_962 / 100;
        let since = coins(schedule().emitted_through(hour("2025-03-05T11:00:00")));
        assert!((before + since).abs_diff(26_767_488) < 26_767_488 / 1_000, "{}", before + since);
    }

    #[test]
    fn rules_that_make_no_schedule_are_refused_with_what_would_fit() {
        let rules = EmissionRules::default;
        let check = |rules: EmissionRules| rules.check().map_err(|refusal| refusal.to_string());
        assert_eq!(check(rules()), Ok(()));
        assert_eq!(
            check(EmissionRules { retained_e18: 989_849_199_000_000_000, ..rules() }),
            Err("with `retained_e18` 989849199000000000 the months do not sum to the total: \
                 use 989848952962349516"
                .to_owned())
        );
        assert!(check(EmissionRules { months: 0, ..rules() }).is_err());
        assert!(check(EmissionRules { months: 60, ..rules() }).is_err(), "200 M at most");
        assert!(check(EmissionRules { retained_e18: ONE_E18 + 1, ..rules() }).is_err());
        assert!(check(EmissionRules { cap: rules().genesis, ..rules() }).is_err());
        let huge = Coins::from_units(u64::MAX / 2);
        assert!(check(EmissionRules { genesis: huge, cap: huge, ..rules() }).is_err());
    }

    #[test]
    fn a_network_may_emit_nothing() {
        let rules =
            EmissionRules { total: Coins::ZERO, first_year_bp: 0, ..EmissionRules::default() };
        let schedule = Emission::new(&rules).unwrap();
        assert_eq!(schedule.month(rules.first_month), Coins::ZERO);
        assert_eq!(schedule.emitted_through(Hour::from_number(u32::MAX)), Coins::ZERO);
        let refused = EmissionRules { first_year_bp: 0, ..EmissionRules::default() }.check();
        assert!(matches!(refused, Err(NotASchedule::NoFactor { .. })), "{refused:?}");
    }

    proptest! {
        #[test]
        fn at_no_hour_more_than_the_total(
            months in 1_u32..=MONTHS_MAX,
            first_year_bp in 0_u16..2_000,
            retained_e18 in 0..=ONE_E18,
            hours in proptest::collection::vec(prop_oneof![470_000_u32..1_400_000, any::<u32>()], 1..9),
        ) {
            let mut rules =
                EmissionRules { months, first_year_bp, retained_e18, ..EmissionRules::default() };
            let all = rules.sum(retained_e18);
            prop_assume!(all <= 300_000_000 * 100_000_000);
            rules.total = Coins::from_units(u64::try_from(all).unwrap());
            let schedule = Emission::new(&rules).unwrap();
            let mut hours = hours;
            hours.sort_unstable();
            let mut last = Coins::ZERO;
            for hour in hours.into_iter().map(Hour::from_number) {
                let through = schedule.emitted_through(hour);
                prop_assert!(last <= through && through <= rules.total);
                prop_assert!(schedule.block(hour) <= schedule.month(hour.month()));
                last = through;
            }
            prop_assert_eq!(schedule.emitted_through(Hour::from_number(u32::MAX)), rules.total);
        }
    }

    #[test]
    fn other_schedules_end_on_their_totals_too() {
        for (months, first_year_bp) in [(240, 800), (1_200, 800), (120, 1_000), (100, 720)] {
            let mut rules = EmissionRules { months, first_year_bp, ..EmissionRules::default() };
            rules.retained_e18 = rules.fitting().unwrap();
            let schedule = Emission::new(&rules).unwrap();
            let last = rules.first_month.later(months - 1);
            assert_eq!(
                schedule.emitted_through(last.later(1).first_hour()),
                rules.total,
                "{months} months"
            );
            assert!(schedule.month(last) <= schedule.month(rules.first_month));
        }
    }
}
