//! Who gets what of a season's prizes: each pool by points, by largest remainder, to the last unit.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use units::{AccountId, Coins, Name};

use super::Season;
use super::points::Points;

/// What a season pays.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payout {
    /// Of each pool.
    pub pools: BTreeMap<Name, PoolPayout>,
}

/// What one pool pays. What is paid and what is unspent sum to the prize.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PoolPayout {
    /// What it held.
    pub prize: Coins,
    /// Who gets how much; nobody gets nothing.
    pub paid: BTreeMap<AccountId, Coins>,
    /// What is left, since nobody had points for it.
    pub unspent: Coins,
}

impl Payout {
    /// What an account gets of all pools; `None` when that is more than can be written down.
    pub fn of(&self, account: AccountId) -> Option<Coins> {
        let paid = self.pools.values().filter_map(|pool| pool.paid.get(&account));
        paid.copied().try_fold(Coins::ZERO, Coins::checked_add)
    }
}

impl Season {
    /// What it would pay if no more points came.
    pub fn payout(&self) -> Payout {
        let pool = |(name, pool): (&Name, &super::PrizePool)| {
            let points = |(account, standing): (&AccountId, &super::Standing)| {
                (*account, standing.points(pool.basis))
            };
            let weights: Vec<_> = self.standings.iter().map(points).collect();
            (name.clone(), share(pool.prize, &weights))
        };
        Payout { pools: self.plan.pools.iter().map(pool).collect() }
    }
}

/// A prize shared by points, by largest remainder; among equal remainders the lower account wins.
fn share(prize: Coins, weights: &[(AccountId, Points)]) -> PoolPayout {
    let whole: u128 = weights.iter().map(|(_, points)| u128::from(points.thousandths())).sum();
    if whole == 0 {
        return PoolPayout { prize, paid: BTreeMap::new(), unspent: prize };
    }
    let exact = |points: Points| u128::from(prize.units()) * u128::from(points.thousandths());
    let floor =
        |points| u64::try_from(exact(points) / whole).expect("a part is at most the whole prize");
    let mut paid: BTreeMap<AccountId, u64> =
        weights.iter().map(|(account, points)| (*account, floor(*points))).collect();
    let left = prize.units() - paid.values().sum::<u64>();
    let mut by_remainder: Vec<_> = weights
        .iter()
        .map(|(account, points)| (Reverse(exact(*points) % whole), *account))
        .collect();
    by_remainder.sort_unstable();
    // Fewer units are left than there are remainders above zero, so that nobody without points is served.
    let left = usize::try_from(left).expect("fewer than the accounts");
    for (_, account) in by_remainder.into_iter().take(left) {
        *paid.get_mut(&account).expect("every account has a part") += 1;
    }
    let paid = paid.into_iter().filter(|(_, units)| *units > 0);
    let paid = paid.map(|(account, units)| (account, Coins::from_units(units))).collect();
    PoolPayout { prize, paid, unspent: Coins::ZERO }
}
