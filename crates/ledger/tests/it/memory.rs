//! What the book remembers and what it forgets.

use ledger::{Book, Holder, Kind, NotSettled, REMEMBERED_MAX, Refusal, Transfer};
use units::TransferId;

use crate::words::{account, batch, book, hold_words, id, usd, verdict};

#[test]
fn a_repetition_is_recognized_until_enough_else_was_told() {
    let first = batch("a: move 1 outside p1");
    let mut book = book(&["a: move 1 outside p1"]);
    tell_others(&mut book, REMEMBERED_MAX - 1);
    assert_eq!(book.apply(&first), Ok(()));
    assert_eq!(book.account(account("p1")).balance(), 1);
    tell_others(&mut book, REMEMBERED_MAX);
    assert_eq!(book.check(&batch("a: move 2 outside p1")), Ok(()), "the id means nothing any more");
    assert_eq!(book.parts().told.len(), REMEMBERED_MAX);
}

#[test]
fn an_open_hold_is_never_forgotten() {
    let mut book = book(&["a: hold 5 outside p1"]);
    tell_others(&mut book, REMEMBERED_MAX);
    assert_eq!(hold_words(&book, id("a")), "open, 5");
    assert_eq!(book.apply(&batch("a: hold 5 outside p1")), Ok(()), "told twice is told once");
    assert_eq!(book.account(account("p1")).credits_pending, 5);
    let reused = book.apply(&batch("a: hold 6 outside p1"));
    assert_eq!(reused, Err((0, Refusal::IdReused)));
    assert_eq!(Book::from_parts(book.parts()).as_ref(), Ok(&book));
    assert_eq!(book.apply(&batch("b: post 5 a")), Ok(()));
    assert_eq!(Book::from_parts(book.parts()), Ok(book));
}

#[test]
fn a_closed_hold_is_forgotten_with_its_closing() {
    let mut book = book(&["a: hold 5 outside p1", "b: post 3 a"]);
    tell_others(&mut book, REMEMBERED_MAX - 1);
    assert_eq!(verdict(book.check(&batch("c: void a"))), "0: posted 3 by b");
    assert_eq!(book.apply(&batch("a: hold 5 outside p1; b: post 3 a")), Ok(()));
    tell_others(&mut book, REMEMBERED_MAX);
    assert_eq!(verdict(book.check(&batch("c: void a"))), "0: there is no such hold");
    assert_eq!(book.parts().holds, []);
    assert_eq!(book.account(account("p1")).balance(), 3);
}

#[test]
fn a_batch_is_no_longer_than_the_book_can_remember() {
    let mut book = Book::default();
    let refused = Err((REMEMBERED_MAX, Refusal::BatchTooLong { max: REMEMBERED_MAX }));
    assert_eq!(book.apply(&others(0, REMEMBERED_MAX + 1)), refused);
    assert_eq!(book, Book::default());
    assert_eq!(book.apply(&others(0, REMEMBERED_MAX)), Ok(()));
}

#[test]
fn what_has_ended_can_be_dropped() {
    let mut book = book(&["a: move 9 outside e1", "b: move 9 e1 s1"]);
    let [escrow, supplier] = ["e1", "s1"].map(account);
    assert_eq!(book.close(escrow), Ok(()));
    assert!(book.accounts().all(|(key, _)| key != escrow));
    let kept = book.account(supplier);
    assert_eq!(book.close(supplier), Err(NotSettled { account: kept }));
    assert_eq!(book.close(account("e7")), Ok(()), "an account never used is settled");
    assert_eq!(book.audit(), Ok(()));
}

#[test]
fn an_account_with_something_on_its_way_is_not_dropped() {
    let mut book = book(&["a: hold 9 outside e1"]);
    for key in ["outside", "e1"].map(account) {
        assert!(book.close(key).is_err());
    }
    assert_eq!(book.apply(&batch("b: void a")), Ok(()));
    assert_eq!(book.close(account("e1")), Ok(()));
}

/// Tells `count` transfers that were never told before, in two accounts of their own.
fn tell_others(book: &mut Book, count: usize) {
    let start = u128::from(book.account(usd(Holder::Fees)).credits_posted);
    assert_eq!(book.apply(&others(start, count)), Ok(()));
}

fn others(start: u128, count: usize) -> Vec<Transfer> {
    let kind = Kind::Move { from: usd(Holder::Outside), to: usd(Holder::Fees), units: 1 };
    let ids = (1_u128 << 100) + start..;
    ids.take(count).map(|bits| Transfer { id: TransferId::from_bits(bits), kind }).collect()
}
