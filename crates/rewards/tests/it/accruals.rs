//! Unclaimed rewards, against the simplest model of them.

use std::collections::BTreeMap;

use proptest::prelude::*;
use rewards::accruals::{Accruals, Refusal, Taken, Wanted};
use units::{AccountId, Coins, WorkerId};

fn account(number: u128) -> AccountId {
    AccountId::from_bits(number)
}

fn worker(number: u128) -> WorkerId {
    WorkerId::from_bits(number)
}

const fn units(units: u64) -> Coins {
    Coins::from_units(units)
}

fn some() -> Accruals {
    let mut accruals = Accruals::default();
    for (owner, machine, amount) in [(1, 1, 70), (1, 2, 20), (2, 1, 30), (1, 1, 5), (2, 3, 0)] {
        accruals.credit(account(owner), worker(machine), units(amount)).unwrap();
    }
    accruals
}

#[test]
fn an_account_claims_all_or_some() {
    let mut accruals = some();
    assert_eq!((accruals.total(), accruals.len()), (units(125), 3));
    let claimed = accruals.claim(account(1), Wanted::Amount(units(80))).unwrap();
    assert_eq!(claimed.parts, [(worker(1), units(75)), (worker(2), units(5))]);
    assert_eq!(
        accruals.claim(account(1), Wanted::Amount(units(16))),
        Err(Refusal::NotEnough { asked: units(16), there: units(15) })
    );
    assert_eq!(accruals.claim(account(1), Wanted::Worker(worker(1))), Err(Refusal::Nothing));
    assert_eq!(accruals.claim(account(1), Wanted::Amount(Coins::ZERO)), Err(Refusal::Nothing));
    assert_eq!(accruals.claim(account(1), Wanted::All).unwrap().amount, units(15));
    assert_eq!(accruals.claim(account(1), Wanted::All), Err(Refusal::Nothing));
    assert_eq!(accruals.claim(account(2), Wanted::Worker(worker(1))).unwrap().amount, units(30));
    assert!(accruals.is_empty() && accruals.total().is_zero());
}

#[test]
fn a_slash_takes_from_all_who_share_in_a_machine_and_an_appeal_restores_exactly() {
    let mut accruals = some();
    let before = accruals.clone();
    let taken = accruals.take_for_slash(worker(1), units(10));
    assert_eq!(taken.parts, [(account(1), units(7)), (account(2), units(3))]);
    assert_eq!(accruals.worker_total(worker(1)), units(95));
    accruals.give_back(&taken).unwrap();
    assert_eq!(accruals, before);
    let taken = accruals.take_for_slash(worker(1), units(1));
    assert_eq!(taken.parts, [(account(1), units(1))]);
    accruals.give_back(&taken).unwrap();
    let taken = accruals.take_for_slash(worker(1), units(1_000));
    assert_eq!((taken.amount, accruals.total()), (units(105), units(20)));
    accruals.give_back(&taken).unwrap();
    assert_eq!(accruals, before);
    let nothing = Taken { worker: worker(9), amount: Coins::ZERO, parts: vec![] };
    assert_eq!(accruals.take_for_slash(worker(9), units(5)), nothing);
}

#[test]
fn more_than_can_be_written_down_is_refused_and_changes_nothing() {
    let mut accruals = some();
    let before = accruals.clone();
    let refused = Refusal::TooMuch { amount: units(u64::MAX) };
    assert_eq!(accruals.credit(account(3), worker(3), units(u64::MAX)), Err(refused));
    let parts = vec![(account(1), units(1)), (account(2), units(u64::MAX - 1))];
    let taken = Taken { worker: worker(1), amount: units(u64::MAX), parts };
    assert_eq!(accruals.give_back(&taken), Err(refused));
    assert_eq!(accruals, before);
}

#[test]
fn a_state_that_does_not_add_up_is_not_read() {
    let json = serde_json::to_string(&some()).unwrap();
    assert_eq!(serde_json::from_str::<Accruals>(&json).unwrap(), some());
    let wrongs = [
        ("0.00000125", "0.00000126", "sum to 125 units"),
        ("0.00000020", "0.00000000", "are zero"),
        (
            "acc_00000000000000000000000002\",\"wkr_00000000000000000000000001",
            "acc_00000000000000000000000001\",\"wkr_00000000000000000000000001",
            "told twice",
        ),
    ];
    for (right, wrong, why) in wrongs {
        assert!(json.contains(right), "{json}");
        let read = serde_json::from_str::<Accruals>(&json.replace(right, wrong));
        assert!(read.unwrap_err().to_string().contains(why), "{why}");
    }
}

#[derive(Clone, Debug)]
enum Step {
    Credit(u128, u128, u64),
    Claim(u128, Option<u64>),
    ClaimOne(u128, u128),
    Slash(u128, u64, bool),
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (0_u128..4, 0_u128..4, 0_u64..100).prop_map(|(a, w, u)| Step::Credit(a, w, u)),
        1 => (0_u128..4, prop::option::of(0_u64..150)).prop_map(|(a, u)| Step::Claim(a, u)),
        1 => (0_u128..4, 0_u128..4).prop_map(|(a, w)| Step::ClaimOne(a, w)),
        1 => (0_u128..4, 0_u64..150, any::<bool>()).prop_map(|(w, u, b)| Step::Slash(w, u, b)),
    ]
}

proptest! {
    #[test]
    fn nothing_is_lost_and_nothing_is_made(steps in proptest::collection::vec(any_step(), 0..40)) {
        let mut accruals = Accruals::default();
        let mut model: BTreeMap<(u128, u128), u64> = BTreeMap::new();
        for step in steps {
            match step {
                Step::Credit(a, w, u) => {
                    accruals.credit(account(a), worker(w), units(u)).unwrap();
                    *model.entry((a, w)).or_default() += u;
                }
                Step::Claim(a, asked) => {
                    let there: u64 =
                        model.iter().filter(|((of, _), _)| *of == a).map(|(_, u)| u).sum();
                    let wanted = asked.map_or(Wanted::All, |asked| Wanted::Amount(units(asked)));
                    let result = accruals.claim(account(a), wanted);
                    let expected = asked.unwrap_or(there);
                    prop_assert_eq!(result.is_ok(), expected > 0 && expected <= there);
                    for (machine, part) in result.map(|claimed| claimed.parts).unwrap_or_default() {
                        *model.get_mut(&(a, machine.bits())).unwrap() -= part.units();
                    }
                }
                Step::ClaimOne(a, w) => {
                    let there = model.remove(&(a, w)).unwrap_or_default();
                    let result = accruals.claim(account(a), Wanted::Worker(worker(w)));
                    prop_assert_eq!(result.map_or(0, |claimed| claimed.amount.units()), there);
                }
                Step::Slash(w, u, appealed) => {
                    let there = accruals.worker_total(worker(w)).units();
                    let taken = accruals.take_for_slash(worker(w), units(u));
                    prop_assert_eq!(taken.amount.units(), there.min(u));
                    if appealed {
                        accruals.give_back(&taken).unwrap();
                    } else {
                        for (owner, part) in taken.parts {
                            *model.get_mut(&(owner.bits(), w)).unwrap() -= part.units();
                        }
                    }
                }
            }
            prop_assert_eq!(accruals.audit(), Ok(()));
            prop_assert_eq!(accruals.total().units(), model.values().sum::<u64>());
            for ((a, w), amount) in &model {
                let found: u64 = accruals
                    .of_account(account(*a))
                    .filter(|(machine, _)| machine.bits() == *w)
                    .map(|(_, found)| found.units())
                    .sum();
                prop_assert_eq!(found, *amount);
            }
        }
        let json = serde_json::to_string(&accruals).unwrap();
        prop_assert_eq!(serde_json::from_str::<Accruals>(&json).unwrap(), accruals);
    }
}
