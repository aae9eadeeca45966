//! Sharing rewards among stakes of any number at the cost of one sum: an index of what one unit has earned.
//!
//! Each unit's earnings since the beginning are one number that grows with every reward (Batog, Boca and Johnson,
//! "Scalable Reward Distribution on the Ethereum Blockchain", 2018). A stake is owed its units times what the index
//! grew since it was last settled.
//!
//! # Invariants
//! - All that is owed together is never more than all that was given: what does not divide is carried to the next
//!   reward, and what a stake's part rounds off stays in the pool.
//! - The index only grows.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Binary places of the index. With 32 a unit staked among all coins still earns its part of a small reward, and a
/// reward of all coins shared by one unit fits into 128 bits four thousand million times over.
const PLACES: u32 = 32;

/// What one unit has earned since the beginning, in 2^-32 units.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mark(u128);

/// The index of a pool.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Yields {
    mark: Mark,
    /// What did not divide, in 2^-32 units: always less than one unit for each unit that was staked.
    carry: Mark,
}

impl Yields {
    /// Shares `reward` among `staked` units, which must be some.
    ///
    /// `None` when nobody stakes, or the index would pass 128 bits; nothing changes then.
    #[must_use]
    pub fn share(&mut self, reward: u64, staked: u64) -> Option<()> {
        let all = (u128::from(reward) << PLACES).checked_add(self.carry.0)?;
        let each = all.checked_div(u128::from(staked))?;
        self.mark = Mark(self.mark.0.checked_add(each)?);
        self.carry = Mark(all % u128::from(staked));
        Some(())
    }

    /// Where the index stands: to be remembered with a stake when it is settled.
    pub const fn mark(&self) -> Mark {
        self.mark
    }

    /// What `stake` units earned since `since`, rounded down.
    ///
    /// `None` when `since` lies ahead, or it is more than can be written down: neither happens to a stake that was
    /// settled by this index and counted among the staked since.
    pub fn owed(&self, stake: u64, since: Mark) -> Option<u64> {
        let grown = self.mark.0.checked_sub(since.0)?;
        u64::try_from(u128::from(stake).checked_mul(grown)? >> PLACES).ok()
    }
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl FromStr for Mark {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

// As text: numbers of JSON lose units above 2^53.
impl Serialize for Mark {
    fn serialize<S: serde::Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Mark {
    fn deserialize<D: serde::Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(input)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_divide_is_carried_until_it_does() {
        // A hundred million coins are staked; each reward alone is less than one place of the index.
        let (staked, reward, times) = (10_000_000_000_000_000, 1_000_000, 10_000);
        let mut yields = Yields::default();
        for _ in 0..times {
            yields.share(reward, staked).expect("some are staked");
        }
        let owed = yields.owed(staked, Mark::default()).expect("it was shared");
        assert!(owed <= reward * times && owed > reward * times / 1_000 * 999, "{owed}");
    }

    #[test]
    fn nobody_to_share_among_is_no_share() {
        let mut yields = Yields::default();
        assert_eq!(yields.share(5, 0), None);
        assert_eq!(yields, Yields::default());
        assert_eq!(yields.owed(5, Mark(1)), None);
        assert_eq!(yields.share(u64::MAX, 1), Some(()));
        assert_eq!(yields.owed(1, Mark::default()), Some(u64::MAX));
    }
}
