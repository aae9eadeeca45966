//! Accounts and transfers as short text, so that a story reads like a ledger.
//!
//! Accounts are `outside`, `fees`, `burned`, `p1` (a project), `s1` (a supplier), `e1` (an escrow), in dollars, or in
//! coins with `io/` before them; ids are up to 16 letters.
//! Transfers are `a: move 100 outside p1`, `b: hold 60 p1 e1`, `c: post 40 b`, `d: void b`.

use ledger::{Account, AccountKey, Book, Closing, HoldState, Holder, Kind, Refusal, Transfer};
use units::{AccountId, Asset, ProjectId, RentalId, TransferId};

pub(crate) fn usd(holder: Holder) -> AccountKey {
    AccountKey { holder, asset: Asset::Usd }
}

pub(crate) fn account(word: &str) -> AccountKey {
    let number = |digits: &str| digits.parse::<u128>().expect("a number");
    if let Some(word) = word.strip_prefix("io/") {
        return AccountKey { asset: Asset::Io, ..account(word) };
    }
    usd(match word.split_at(1) {
        ("o", "utside") => Holder::Outside,
        ("f", "ees") => Holder::Fees,
        ("b", "urned") => Holder::Burned,
        ("p", digits) => Holder::Project(ProjectId::from_bits(number(digits))),
        ("s", digits) => Holder::Account(AccountId::from_bits(number(digits))),
        ("e", digits) => Holder::Escrow(RentalId::from_bits(number(digits))),
        other => panic!("no account is called {other:?}"),
    })
}

pub(crate) fn id(word: &str) -> TransferId {
    TransferId::from_bits(word.bytes().fold(0, |bits, byte| bits << 8 | u128::from(byte)))
}

fn id_word(id: TransferId) -> String {
    id.bits().to_be_bytes().into_iter().filter(|byte| *byte != 0).map(char::from).collect()
}

pub(crate) fn transfer(text: &str) -> Transfer {
    let (name, rest) = text.split_once(':').expect("an id and a colon");
    let words: Vec<&str> = rest.split_whitespace().collect();
    let units = |word: &str| match word {
        "max" => u64::MAX,
        digits => digits.parse().expect("a number of units"),
    };
    let kind = match *words.as_slice() {
        ["move", many, from, to] => {
            Kind::Move { from: account(from), to: account(to), units: units(many) }
        }
        ["hold", many, from, to] => {
            Kind::Hold { from: account(from), to: account(to), units: units(many) }
        }
        ["post", many, hold] => Kind::Post { hold: id(hold), units: units(many) },
        ["void", hold] => Kind::Void { hold: id(hold) },
        _ => panic!("not a transfer: {text}"),
    };
    Transfer { id: id(name.trim()), kind }
}

/// Transfers separated by `;`.
pub(crate) fn batch(text: &str) -> Vec<Transfer> {
    text.split(';').map(transfer).collect()
}

/// A book to which each of these batches was told without a refusal.
pub(crate) fn book(batches: &[&str]) -> Book {
    let mut book = Book::default();
    for text in batches {
        assert_eq!(book.apply(&batch(text)), Ok(()), "{text}");
    }
    book
}

/// The answer to a batch: `ok`, or the index of the refused transfer and why.
pub(crate) fn verdict(answer: Result<(), (usize, Refusal)>) -> String {
    match answer {
        Ok(()) => "ok".to_owned(),
        Err((index, Refusal::HoldClosed(closing))) => {
            format!("{index}: {}", closing_words(closing))
        }
        Err((index, refusal)) => format!("{index}: {refusal}"),
    }
}

fn closing_words(closing: Closing) -> String {
    match closing {
        Closing::Posted { by, units } => format!("posted {units} by {}", id_word(by)),
        Closing::Voided { by } => format!("voided by {}", id_word(by)),
    }
}

pub(crate) fn account_words(account: &Account) -> String {
    let balance = match account.balance() {
        below @ ..0 => format!("owes {}", -below),
        _ => format!("{} free", account.available()),
    };
    let held = Some(account.held()).filter(|units| *units > 0);
    let coming = Some(account.credits_pending).filter(|units| *units > 0);
    let held = held.map(|units| format!(", {units} held")).unwrap_or_default();
    let coming = coming.map(|units| format!(", {units} coming")).unwrap_or_default();
    balance + &held + &coming
}

pub(crate) fn hold_words(book: &Book, hold: TransferId) -> String {
    match book.hold(hold).map(|hold| (hold.units, hold.state)) {
        None => "unknown".to_owned(),
        Some((units, HoldState::Open)) => format!("open, {units}"),
        Some((_, HoldState::Closed(closing))) => closing_words(closing),
    }
}
