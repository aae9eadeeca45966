//! The safety module against exact fractions.

use std::collections::BTreeMap;

use proptest::prelude::*;
use stakes::{Safety, SafetyRules};
use units::{AccountId, Coins, Hour, Timestamp};

#[derive(Clone, Debug)]
enum Act {
    Stake(u128, u64),
    Unstake(u128, u64),
    Withdraw(u128),
    Give(u64),
    Claim(u128),
    Days(u64),
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let who = || 0_u128..4;
    let amount = || prop_oneof![1_u64..50, 1_u64..AMOUNT_MAX];
    let act = prop_oneof![
        3 => (who(), amount()).prop_map(|(who, amount)| Act::Stake(who, amount)),
        2 => (who(), amount()).prop_map(|(who, amount)| Act::Unstake(who, amount)),
        1 => who().prop_map(Act::Withdraw),
        4 => amount().prop_map(Act::Give),
        2 => who().prop_map(Act::Claim),
        1 => (0_u64..20).prop_map(Act::Days),
    ];
    prop::collection::vec(act, 0..60)
}

/// The most that is staked or given at once: two thousand coins.
const AMOUNT_MAX: u64 = 200_000_000_000;

/// Binary places of the exact shares.
const PLACES: u32 = 24;

proptest! {
    #[test]
    fn what_the_treasury_adds_is_at_most_what_is_missing_and_never_empties_it(
        staked in any::<u64>(),
        given in any::<u64>(),
        treasury in any::<u64>(),
        yield_min_bp in 0_u16..=10_000,
        treasury_year_max_bp in 0_u16..=10_000,
        hours in 0_u32..2_000,
    ) {
        let rules = SafetyRules { yield_min_bp, treasury_year_max_bp, ..SafetyRules::default() };
        prop_assert_eq!(rules.check(), Ok(()));
        let all = treasury;
        let (mut left, mut taken) = (treasury, 0_u64);
        for _ in 0..hours {
            let coins = [staked, given, left].map(Coins::from_units);
            let added = rules.top_up(coins[0], coins[1], coins[2]).units();
            let least = u128::from(staked) * u128::from(yield_min_bp) / 87_600_000;
            prop_assert!(added == 0 || u128::from(given) + u128::from(added) <= least);
            prop_assert!(u128::from(added) * 87_600_000 <= u128::from(left) * u128::from(treasury_year_max_bp));
            left -= added;
            taken += added;
        }
        prop_assert_eq!(left + taken, all);
        // In no time is more taken than the part of the whole for that time.
        let most = u128::from(all) * u128::from(treasury_year_max_bp) * u128::from(hours) / 87_600_000;
        prop_assert!(u128::from(taken) <= most);
    }

    #[test]
    fn nobody_is_paid_more_than_their_part_and_dust_is_small(acts in acts()) {
        let rules = SafetyRules { stake_min: Coins::from_units(1), ..SafetyRules::default() };
        let (mut pool, mut now) = (Safety::default(), Timestamp::from_millis(0));
        let (mut held, mut given, mut claimed) = (0_u64, 0_u64, 0_u64);
        let mut staked: BTreeMap<u128, u64> = BTreeMap::new();
        // What each earned exactly, rounded up at most once a giving; and what it claimed.
        let mut earned: BTreeMap<u128, (u128, u64)> = BTreeMap::new();
        let settled = acts.len() as u64 + 8;
        for act in acts {
            let account = |who: u128| AccountId::from_bits(who);
            match act {
                Act::Stake(who, amount) => {
                    if pool.stake(account(who), Coins::from_units(amount), now, &rules).is_ok() {
                        *staked.entry(who).or_default() += amount;
                        held += amount;
                    }
                }
                Act::Unstake(who, amount) => {
                    if pool.unstake(account(who), Coins::from_units(amount), now, &rules).is_ok() {
                        *staked.get_mut(&who).unwrap() -= amount;
                    }
                }
                Act::Withdraw(who) => {
                    held -= pool.withdraw(account(who), now).map_or(0, Coins::units);
                }
                Act::Give(reward) => {
                    if pool.give(Coins::from_units(reward), Hour::of(now)).is_ok() {
                        let all: u64 = staked.values().sum();
                        for (who, stake) in &staked {
                            let exact = (u128::from(reward) * u128::from(*stake)) << PLACES;
                            earned.entry(*who).or_default().0 += exact.div_ceil(u128::from(all));
                        }
                        (held, given) = (held + reward, given + reward);
                    }
                }
                Act::Claim(who) => {
                    let paid = pool.claim(account(who)).map_or(0, Coins::units);
                    earned.entry(who).or_default().1 += paid;
                    (held, claimed) = (held - paid, claimed + paid);
                }
                Act::Days(days) => now = now.after(units::DAY * u32::try_from(days).unwrap()),
            }
            prop_assert_eq!(pool.total().units(), held);
            prop_assert!(claimed <= given);
        }
        for who in 0..4 {
            let (exact, paid) = earned.get(&who).copied().unwrap_or_default();
            let all = paid + pool.owed(AccountId::from_bits(who)).units();
            // A giving carries at most 2^-32 of what is staked to the next one, whoever is there then; and each
            // settling rounds at most a unit off.
            let carried = (u128::from(AMOUNT_MAX) * u128::from(settled)) >> 32;
            let dust = u128::from(settled) * (carried + 2);
            let fair = exact >> PLACES;
            prop_assert!(u128::from(all) <= fair + dust && u128::from(all) + dust >= fair);
        }
    }
}
