//! Coins and since when they lie where they lie: what tells a stake from a flash.
//!
//! # Invariants
//! - Oldest first, no two of the same moment, none empty, at most [`LOTS_MAX`].
//! - What leaves is the youngest, so that coming and going ages nothing.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use units::{Coins, Timestamp};

use crate::limits::LOTS_MAX;

/// Coins that came at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lot {
    /// When they came.
    pub since: Timestamp,
    /// How many.
    pub amount: Coins,
}

/// Coins of one account in one place.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Lots(Vec<Lot>);

/// The sum of coins that are all held by one purse.
pub(crate) fn sum(amounts: impl IntoIterator<Item = Coins>) -> Coins {
    amounts.into_iter().fold(Coins::ZERO, |all, one| {
        all.checked_add(one).expect("the sum of all that is held was checked as it came in")
    })
}

impl Lots {
    /// All of them together.
    pub fn total(&self) -> Coins {
        sum(self.0.iter().map(|lot| lot.amount))
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many are there for at least `age`.
    pub fn aged(&self, age: Duration, now: Timestamp) -> Coins {
        sum(self.0.iter().filter(|lot| lot.since.after(age) <= now).map(|lot| lot.amount))
    }

    /// Each with since when, oldest first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Lot> {
        self.0.iter()
    }

    /// Coins come.
    pub(crate) fn put(&mut self, lot: Lot) {
        if lot.amount.is_zero() {
            return;
        }
        let at = self.0.partition_point(|known| known.since < lot.since);
        match self.0.get_mut(at) {
            Some(known) if known.since == lot.since => {
                known.amount = sum([known.amount, lot.amount])
            }
            Some(_) | None => self.0.insert(at, lot),
        }
        if self.0.len() > LOTS_MAX {
            let young = self.0.pop().expect("more than the limit");
            let elder = self.0.last_mut().expect("the limit is above one");
            *elder = Lot { since: young.since, amount: sum([elder.amount, young.amount]) };
        }
    }

    /// All of `lots` come.
    pub(crate) fn put_all(&mut self, lots: Self) {
        lots.0.into_iter().for_each(|lot| self.put(lot));
    }

    /// The youngest coins leave. There must be as many.
    pub(crate) fn take(&mut self, amount: Coins) -> Self {
        let mut taken = Self::default();
        let mut left = amount;
        while !left.is_zero() {
            let youngest = self.0.last_mut().expect("no more is taken than is there");
            let part = youngest.amount.min(left);
            youngest.amount = youngest.amount.checked_sub(part).expect("the smaller of the two");
            left = left.checked_sub(part).expect("the smaller of the two");
            let since = youngest.since;
            if youngest.amount.is_zero() {
                self.0.pop();
            }
            taken.put(Lot { since, amount: part });
        }
        taken
    }

    /// All coins leave.
    pub(crate) fn take_all(&mut self) -> Self {
        std::mem::take(self)
    }

    /// All of them together, in the smallest unit, whatever was read from outside.
    pub(crate) fn units(&self) -> u128 {
        self.0.iter().map(|lot| u128::from(lot.amount.units())).sum()
    }

    /// Whether they are as this module promises.
    pub(crate) fn sound(&self) -> bool {
        self.0.len() <= LOTS_MAX
            && self.units() <= u128::from(u64::MAX)
            && self.0.iter().all(|lot| !lot.amount.is_zero())
            && self.0.is_sorted_by(|one, next| one.since < next.since)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(hour: u64, amount: u64) -> Lot {
        Lot { since: Timestamp::from_millis(hour * 3_600_000), amount: Coins::from_units(amount) }
    }

    #[test]
    fn the_youngest_coins_leave_first() {
        let mut lots = Lots::default();
        for lot in [at(0, 10), at(2, 5), at(1, 7)] {
            lots.put(lot);
        }
        assert_eq!(lots.take(Coins::from_units(8)), Lots(vec![at(1, 3), at(2, 5)]));
        assert_eq!(lots, Lots(vec![at(0, 10), at(1, 4)]));
    }

    #[test]
    fn merging_makes_nothing_older() {
        let mut lots = Lots::default();
        (0..20).for_each(|hour| lots.put(at(hour, 1)));
        assert!(lots.sound());
        assert_eq!(lots.total(), Coins::from_units(20));
        let now = Timestamp::from_millis(20 * 3_600_000);
        for hours in 0..=20 {
            let aged = lots.aged(units::HOUR * hours, now).units();
            assert!(aged <= u64::from(21 - hours), "{hours}: {aged}");
        }
    }
}
