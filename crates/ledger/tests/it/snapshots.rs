//! What is not the snapshot of a book does not become one.

use ledger::{Account, Book, Closing, HoldState, Imbalance, NotABook, Parts, REMEMBERED_MAX, Told};
use proptest::prelude::*;

use crate::words::{account, book, id};

/// A book with some of everything.
fn example() -> Book {
    book(&[
        "a: move 100 outside p1",
        "b: hold 30 p1 e1",
        "c: hold 20 p1 e2",
        "d: hold 10 p1 e2",
        "e: post 15 c",
        "f: void d",
    ])
}

#[test]
fn a_snapshot_is_written_in_order() {
    check(|parts| parts.accounts.swap(0, 1), |found| matches!(found, NotABook::Accounts { .. }));
    check(|parts| parts.holds.swap(0, 1), |found| matches!(found, NotABook::Holds { .. }));
    check(
        |parts| parts.accounts.push(*parts.accounts.last().unwrap()),
        |found| matches!(found, NotABook::Accounts { .. }),
    );
}

#[test]
fn an_account_that_counts_nothing_is_in_no_snapshot() {
    let fees = account("fees");
    check(
        |parts| parts.accounts.push((fees, Account::default())),
        |found| *found == NotABook::Accounts { key: fees },
    );
}

#[test]
fn a_snapshot_remembers_no_more_than_a_book() {
    check(
        |parts| {
            let spare = Told { id: id("z"), fingerprint: 0, closes: None };
            parts.told.resize(REMEMBERED_MAX + 1, spare);
        },
        |found| *found == NotABook::TooManyTold { found: REMEMBERED_MAX + 1 },
    );
}

#[test]
fn a_transfer_is_remembered_once_and_as_it_was() {
    let last = |word| move |found: &NotABook| *found == NotABook::Told { id: id(word) };
    check(|parts| parts.told.push(parts.told[0]), last("a"));
    check(|parts| parts.told[1].fingerprint ^= 1, last("b"));
    check(|parts| parts.told[4].fingerprint ^= 1, last("e"));
    check(|parts| parts.told[4].closes = Some(id("b")), last("e"));
    check(|parts| parts.told[5].closes = Some(id("zzz")), last("f"));
    check(|parts| parts.told.swap(2, 4), last("c"));
    let elsewhere = HoldState::Closed(Closing::Voided { by: id("z") });
    check(|parts| parts.holds[2].1.state = elsewhere, last("f"));
}

#[test]
fn a_closed_hold_is_remembered_with_its_closing() {
    let closing = |word| move |found: &NotABook| *found == NotABook::Closing { id: id(word) };
    check(
        |parts| {
            parts.told.remove(4);
        },
        closing("c"),
    );
    check(|parts| parts.told[5].closes = None, closing("d"));
}

#[test]
fn a_hold_is_posted_with_no_more_than_it_set_aside() {
    check(
        |parts| {
            let by = id("e");
            parts.holds[1].1.state = HoldState::Closed(Closing::Posted { by, units: 21 });
        },
        |found| *found == NotABook::Told { id: id("e") },
    );
}

#[test]
fn an_open_hold_is_one_a_transfer_could_have_made() {
    check(
        |parts| {
            // Forgotten by id, so that nothing else contradicts it.
            parts.told.remove(1);
            parts.accounts[1].1.debits_pending = 0;
            parts.accounts[2].1.credits_pending = 0;
            parts.holds[0].1.units = 0;
            parts.accounts.remove(2);
        },
        |found| *found == NotABook::Imbalance(Imbalance::Hold { id: id("b") }),
    );
}

#[test]
fn a_hold_is_between_two_accounts() {
    let world = account("outside");
    let mut parts = book(&["a: hold 9 outside p1"]).parts();
    parts.told.clear();
    parts.holds[0].1.to = world;
    let both = Account { debits_pending: 9, credits_pending: 9, ..Account::default() };
    parts.accounts = vec![(world, both)];
    let refused = NotABook::Imbalance(Imbalance::Hold { id: id("a") });
    assert_eq!(Book::from_parts(parts), Err(refused));
}

#[test]
fn an_account_comes_back_with_room_for_its_open_holds() {
    let [world, project] = ["outside", "p1"].map(account);
    let mut parts = book(&["a: move 5 outside p1", "b: hold 1 outside p2"]).parts();
    parts.accounts[0].1.debits_posted = u64::MAX;
    parts.accounts[1].1.credits_posted = u64::MAX;
    assert_eq!((parts.accounts[0].0, parts.accounts[1].0), (world, project));
    let refused = NotABook::Imbalance(Imbalance::Overfull { key: world });
    assert_eq!(Book::from_parts(parts), Err(refused));
}

#[test]
fn nobody_comes_back_from_a_disk_below_zero() {
    let [world, project, supplier] = ["outside", "p1", "s1"].map(account);
    let counts = |debits_posted, credits_posted| Account {
        debits_posted,
        credits_posted,
        ..Account::default()
    };
    let parts = |accounts| Parts { accounts, ..Parts::default() };
    let below = parts(vec![(project, counts(5, 0)), (supplier, counts(0, 5))]);
    let refused = NotABook::Imbalance(Imbalance::Overdrawn { key: project });
    assert_eq!(Book::from_parts(below), Err(refused));
    let owed = parts(vec![(world, counts(5, 0)), (supplier, counts(0, 5))]);
    assert!(Book::from_parts(owed).is_ok());
}

proptest! {
    #[test]
    fn one_counter_changed_anywhere_is_noticed(at in 0_usize..4, counter in 0_usize..4, to: u64) {
        let mut parts = example().parts();
        let account = &mut parts.accounts[at].1;
        let counters = [
            &mut account.debits_pending,
            &mut account.debits_posted,
            &mut account.credits_pending,
            &mut account.credits_posted,
        ];
        let changed = *counters[counter] != to;
        *counters.into_iter().nth(counter).unwrap() = to;
        prop_assert_eq!(Book::from_parts(parts).is_err(), changed);
    }

    #[test]
    fn one_entry_lost_from_accounts_or_holds_is_noticed(index in 0_usize..7) {
        let mut parts = example().parts();
        match index {
            0..4 => drop(parts.accounts.remove(index)),
            _ => drop(parts.holds.remove(index - 4)),
        }
        prop_assert!(Book::from_parts(parts).is_err());
    }
}

/// The example, damaged, is refused as expected; and undamaged it is a book.
fn check(damage: impl FnOnce(&mut Parts), expected: impl FnOnce(&NotABook) -> bool) {
    let mut parts = example().parts();
    assert_eq!(Book::from_parts(parts.clone()), Ok(example()));
    damage(&mut parts);
    let found = Book::from_parts(parts).expect_err("a damaged snapshot");
    assert!(expected(&found), "{found:?}");
}
