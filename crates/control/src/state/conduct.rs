//! How a machine has behaved in the last seven days, day by day, in little room.

use serde::{Deserialize, Serialize};
use stakes::Conduct;
use units::{Coins, Hour};

/// Days that are looked back on: a week, today included.
const DAYS: usize = 7;
const DAY_HOURS: u32 = 24;

/// What one day has shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Day {
    hours: u8,
    hours_up: u8,
    hours_staked: u8,
    checks: u8,
    checks_passed: u8,
    breaks: u8,
    earned: Coins,
}

/// A machine's last week.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Week {
    /// The newest day that was noted, as days since 1970.
    newest: u32,
    /// By day, each in the place of its number modulo seven.
    days: [Day; DAYS],
}

impl Week {
    /// An hour has passed in which it should have been up.
    pub(crate) fn hour(&mut self, hour: Hour, up: bool, staked: bool) {
        let day = self.day(hour);
        day.hours = day.hours.saturating_add(1);
        day.hours_up = day.hours_up.saturating_add(u8::from(up));
        day.hours_staked = day.hours_staked.saturating_add(u8::from(staked));
    }

    /// A block has tried it, and paid it if it passed.
    pub(crate) fn tried(&mut self, hour: Hour, earned: Option<Coins>) {
        let day = self.day(hour);
        day.checks = day.checks.saturating_add(1);
        day.checks_passed = day.checks_passed.saturating_add(u8::from(earned.is_some()));
        let earned = earned.unwrap_or(Coins::ZERO);
        day.earned = day.earned.checked_add(earned).unwrap_or(day.earned);
    }

    /// Its connection broke.
    pub(crate) fn broke(&mut self, hour: Hour) {
        let day = self.day(hour);
        day.breaks = day.breaks.saturating_add(1);
    }

    /// What it has earned.
    pub fn earned(&self) -> Coins {
        let sum = |sum: Coins, day: &Day| sum.checked_add(day.earned).unwrap_or(sum);
        self.days.iter().fold(Coins::ZERO, sum)
    }

    /// All of it, with the slashes that stand.
    pub fn conduct(&self, slashes: u32) -> Conduct {
        let sum = |pick: fn(&Day) -> u8| self.days.iter().map(|day| u32::from(pick(day))).sum();
        Conduct {
            hours: sum(|day| day.hours),
            hours_up: sum(|day| day.hours_up),
            hours_staked: sum(|day| day.hours_staked),
            checks: sum(|day| day.checks),
            checks_passed: sum(|day| day.checks_passed),
            disconnections: sum(|day| day.breaks),
            slashes,
        }
    }

    /// The day of an hour; days that have passed without a note are empty. What is told too late counts for the newest.
    fn day(&mut self, hour: Hour) -> &mut Day {
        let day = (hour.number() / DAY_HOURS).max(self.newest);
        let passed = day - self.newest;
        for empty in 0..passed.min(7) {
            self.days[Self::place(day - empty)] = Day::default();
        }
        self.newest = day;
        &mut self.days[Self::place(day)]
    }

    fn place(day: u32) -> usize {
        usize::try_from(day % 7).expect("at most six")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_week_is_looked_back_on_and_no_more() {
        let mut week = Week::default();
        let hour = |day: u32| Hour::from_number(day * 24);
        for day in 100..107 {
            week.hour(hour(day), day != 103, true);
            week.tried(hour(day), (day != 103).then(|| Coins::from_units(10)));
        }
        week.broke(hour(106));
        let conduct = week.conduct(1);
        assert_eq!((conduct.hours, conduct.hours_up, conduct.hours_staked), (7, 6, 7));
        assert_eq!((conduct.checks, conduct.checks_passed), (7, 6));
        assert_eq!((conduct.disconnections, conduct.slashes), (1, 1));
        assert_eq!(week.earned().units(), 60);
        week.hour(hour(111), true, true);
        assert_eq!(week.conduct(0).hours, 3, "of 105, 106 and 111");
        week.hour(hour(500), true, true);
        assert_eq!(week.conduct(0).hours, 1);
        week.broke(hour(400));
        assert_eq!(week.conduct(0).disconnections, 1, "too late counts for the newest");
    }
}
