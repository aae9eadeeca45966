//! The book told as tables: what was asked, and what it answered.

use ledger::Book;

use crate::words::{account, account_words, batch, hold_words, id, verdict};

#[test]
fn money_comes_in_is_spent_and_goes_out() {
    check(
        "
        a: move 100 outside p1            | ok
        b: move 70 p1 s1; c: move 5 p1 fees | ok
        d: move 70 s1 outside             | ok
        p1                                | 25 free
        s1                                | 0 free
        fees                              | 5 free
        outside                           | owes 30
        ",
    );
}

#[test]
fn nobody_spends_what_they_do_not_have() {
    check(
        "
        a: move 1 p1 s1                   | 0: 0 available, 1 wanted
        b: move 10 outside p1             | ok
        c: move 11 p1 s1                  | 0: 10 available, 11 wanted
        d: move 10 p1 s1                  | ok
        e: hold 1 p1 e1                   | 0: 0 available, 1 wanted
        f: move 1 e1 s1                   | 0: 0 available, 1 wanted
        g: move 1 fees s1                 | 0: 0 available, 1 wanted
        h: move 11 s1 outside             | 0: 10 available, 11 wanted
        ",
    );
}

#[test]
fn money_set_aside_is_not_free_and_money_promised_is_not_there_yet() {
    check(
        "
        a: move 100 outside p1            | ok
        b: hold 60 p1 e1                  | ok
        p1                                | 40 free, 60 held
        e1                                | 0 free, 60 coming
        c: move 41 p1 s1                  | 0: 40 available, 41 wanted
        d: move 1 e1 s1                   | 0: 0 available, 1 wanted
        ",
    );
}

#[test]
fn a_hold_is_posted_whole_in_part_or_not_at_all() {
    check(
        "
        a: move 100 outside p1            | ok
        b: hold 30 p1 e1; c: hold 30 p1 e1; d: hold 30 p1 e1 | ok
        e: post 30 b                      | ok
        f: post 10 c                      | ok
        g: void d                         | ok
        p1                                | 60 free
        e1                                | 40 free
        hold b                            | posted 30 by e
        hold c                            | posted 10 by f
        hold d                            | voided by g
        ",
    );
}

#[test]
fn a_hold_is_closed_once() {
    check(
        "
        a: move 100 outside p1            | ok
        b: hold 60 p1 e1                  | ok
        c: hold 40 p1 e2                  | ok
        d: post 61 b                      | 0: the hold set aside 60, not 61
        e: post 0 b                       | 0: nothing would be moved
        hold b                            | open, 60
        f: post 20 b                      | ok
        g: post 40 b                      | 0: posted 20 by f
        h: void b                         | 0: posted 20 by f
        i: void c                         | ok
        j: post 1 c                       | 0: voided by i
        ",
    );
}

#[test]
fn only_a_hold_can_be_posted_or_voided() {
    check(
        "
        a: move 100 outside p1            | ok
        b: post 1 a                       | 0: there is no such hold
        c: void zzz                       | 0: there is no such hold
        hold a                            | unknown
        ",
    );
}

#[test]
fn a_transfer_moves_something_between_two_accounts() {
    check(
        "
        a: move 1 outside outside         | 0: the two accounts are the same
        b: move 0 outside p1              | 0: nothing would be moved
        c: hold 0 outside p1              | 0: nothing would be moved
        ",
    );
}

#[test]
fn linked_transfers_happen_together_or_not_at_all() {
    check(
        "
        a: move 50 outside p1; b: move 60 p1 s1; c: move 1 outside s1 | 1: 50 available, 60 wanted
        p1                                | 0 free
        outside                           | 0 free
        a: move 60 outside p1; b: move 60 p1 s1; c: move 1 outside s1 | ok
        s1                                | 61 free
        ",
    );
}

#[test]
fn a_transfer_sees_what_those_before_it_in_its_batch_did() {
    check(
        "
        a: move 9 outside p1; b: hold 9 p1 e1; c: post 5 b; d: move 5 e1 s1 | ok
        p1                                | 4 free
        s1                                | 5 free
        e: hold 4 p1 e1; f: void e; g: void e | 2: voided by f
        hold e                            | unknown
        ",
    );
}

#[test]
fn telling_twice_is_telling_once() {
    check(
        "
        a: move 10 outside p1             | ok
        a: move 10 outside p1             | ok
        p1                                | 10 free
        b: hold 4 p1 e1; c: post 3 b      | ok
        b: hold 4 p1 e1; c: post 3 b      | ok
        d: move 1 p1 s1; d: move 1 p1 s1  | ok
        p1                                | 6 free
        s1                                | 1 free
        ",
    );
}

#[test]
fn a_transfer_that_was_refused_may_be_told_again() {
    check(
        "
        a: move 10 p1 s1                  | 0: 0 available, 10 wanted
        b: move 10 outside p1             | ok
        a: move 10 p1 s1                  | ok
        ",
    );
}

#[test]
fn an_id_means_one_thing() {
    check(
        "
        a: move 10 outside p1             | ok
        a: move 11 outside p1             | 0: the transfer was told before with other contents
        a: move 10 outside p2             | 0: the transfer was told before with other contents
        a: move 10 p1 outside             | 0: the transfer was told before with other contents
        a: hold 10 outside p1             | 0: the transfer was told before with other contents
        b: hold 5 p1 e1; c: hold 5 p1 e1  | ok
        d: void b                         | ok
        d: void c                         | 0: the transfer was told before with other contents
        d: post 5 c                       | 0: the transfer was told before with other contents
        e: move 1 outside p1; e: move 2 outside p1 | 1: the transfer was told before with other contents
        ",
    );
}

#[test]
fn the_first_reason_in_the_documented_order_is_the_answer() {
    check(
        "
        a: move 10 outside p1             | ok
        a: move 0 p1 p1                   | 0: the transfer was told before with other contents
        b: move 0 p1 p1                   | 0: the two accounts are the same
        c: move 0 p2 p1                   | 0: nothing would be moved
        d: post 0 zzz                     | 0: nothing would be moved
        e: move 1 outside p2              | ok
        f: move max p1 p2                 | 0: 10 available, 18446744073709551615 wanted
        g: hold 5 p1 e1; h: post 5 g; i: post 99 g | 2: posted 5 by h
        ",
    );
}

#[test]
fn a_counter_never_passes_64_bits() {
    check(
        "
        a: move 1 outside p1              | ok
        b: move max outside p2            | 0: an account would count more than 64 bits hold
        c: move 1 p1 outside              | ok
        d: hold max outside p1            | 0: an account would count more than 64 bits hold
        ",
    );
    check(
        "
        a: move max outside p1            | ok
        b: move max p1 s1                 | ok
        c: move 1 s1 p1                   | 0: an account would count more than 64 bits hold
        d: hold 1 s1 p1                   | 0: an account would count more than 64 bits hold
        e: move 1 s1 p2                   | ok
        ",
    );
}

#[test]
fn what_a_hold_would_count_is_kept_free_for_it() {
    check(
        "
        a: hold max outside p1            | ok
        b: move 1 outside p2              | 0: an account would count more than 64 bits hold
        c: move 1 outside p1              | 0: an account would count more than 64 bits hold
        d: post max a                     | ok
        p1                                | 18446744073709551615 free
        ",
    );
}

#[test]
fn the_world_may_owe_and_may_promise() {
    check(
        "
        a: hold 10 outside p1             | ok
        outside                           | 0 free, 10 held
        p1                                | 0 free, 10 coming
        b: post 10 a                      | ok
        outside                           | owes 10
        ",
    );
}

#[test]
fn an_account_that_counts_nothing_is_not_listed() {
    let mut book = Book::default();
    for text in ["a: hold 10 outside p1", "b: void a"] {
        assert_eq!(book.apply(&batch(text)), Ok(()));
    }
    assert_eq!(book.accounts().count(), 0);
}

#[test]
fn assets_do_not_mix_and_an_exchange_is_two_transfers() {
    check(
        "
        a: move 100 outside p1; b: move 7 io/outside io/s1 | ok
        c: move 5 p1 io/s1                | 0: the two accounts hold different assets
        d: move 50 p1 s1; e: move 8 io/s1 io/p1 | 1: 7 available, 8 wanted
        f: move 50 p1 s1; g: move 7 io/s1 io/p1 | ok
        p1                                | 50 free
        io/p1                             | 7 free
        io/outside                        | owes 7
        ",
    );
}

#[test]
fn what_is_burned_is_gone() {
    check(
        "
        a: move 100 outside io/p1         | 0: the two accounts hold different assets
        b: move 100 io/outside io/p1      | ok
        c: move 30 io/p1 io/burned        | ok
        d: move 1 io/burned io/p1         | 0: what is burned does not come back
        e: hold 1 io/burned io/p1         | 0: what is burned does not come back
        io/burned                         | 30 free
        ",
    );
}

/// Tells a table to an empty book. A row is a batch and its answer, an account and what is in it, or a hold and its
/// state. After each row the book adds up, has a snapshot that gives it back, and has not changed if it refused.
fn check(table: &str) {
    let mut book = Book::default();
    for row in table.lines().filter(|row| !row.trim().is_empty()) {
        let (question, expected) = row.split_once('|').expect("a row has an answer");
        assert_eq!(answer(&mut book, question.trim()), expected.trim(), "{row}");
        assert_eq!(book.audit(), Ok(()), "{row}");
        assert_eq!(Book::from_parts(book.parts()).as_ref(), Ok(&book), "{row}");
    }
}

fn answer(book: &mut Book, question: &str) -> String {
    if let Some(hold) = question.strip_prefix("hold ") {
        return hold_words(book, id(hold));
    }
    if !question.contains(':') {
        return account_words(&book.account(account(question)));
    }
    let (before, batch) = (book.clone(), batch(question));
    let foreseen = book.check(&batch);
    assert_eq!(*book, before, "asking changed the book: {question}");
    let answer = book.apply(&batch);
    assert_eq!(foreseen, answer, "{question}");
    if answer.is_err() {
        assert_eq!(*book, before, "a refusal changed the book: {question}");
    }
    verdict(answer)
}
