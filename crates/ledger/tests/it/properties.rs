//! What holds whatever is told to the book. Domains are small, so that ids, accounts and holds meet each other.

use std::collections::BTreeMap;

use ledger::{AccountKey, Book, Holder, Kind, Refusal, Transfer};
use proptest::prelude::*;
use proptest::sample::select;
use units::TransferId;

use crate::oracle::Oracle;
use crate::words::{account, usd};

const ACCOUNTS: [&str; 7] = ["outside", "p1", "p2", "s1", "e1", "e2", "fees"];

fn accounts() -> impl Strategy<Value = AccountKey> {
    // The world pays most often, or there would be little to spend.
    prop_oneof![Just(usd(Holder::Outside)), select(&ACCOUNTS[..]).prop_map(account)]
}

fn units() -> impl Strategy<Value = u64> {
    prop_oneof![20 => 0_u64..12, 1 => select(&[u64::MAX, u64::MAX - 5, u64::MAX / 2][..])]
}

fn ids() -> impl Strategy<Value = TransferId> {
    (0_u128..40).prop_map(TransferId::from_bits)
}

fn kinds() -> impl Strategy<Value = Kind> {
    let pair = || (accounts(), accounts(), units());
    prop_oneof![
        3 => pair().prop_map(|(from, to, units)| Kind::Move { from, to, units }),
        3 => pair().prop_map(|(from, to, units)| Kind::Hold { from, to, units }),
        3 => (ids(), units()).prop_map(|(hold, units)| Kind::Post { hold, units }),
        1 => ids().prop_map(|hold| Kind::Void { hold }),
    ]
}

fn batches() -> impl Strategy<Value = Vec<Vec<Transfer>>> {
    let transfer = (ids(), kinds()).prop_map(|(id, kind)| Transfer { id, kind });
    prop::collection::vec(prop::collection::vec(transfer, 1..4), 0..60)
}

/// The book after all of `batches`, and those it accepted.
fn told(batches: &[Vec<Transfer>]) -> (Book, Vec<Vec<Transfer>>) {
    let mut book = Book::default();
    let accepted = batches.iter().filter(|batch| book.apply(batch).is_ok()).cloned().collect();
    (book, accepted)
}

proptest! {
    #[test]
    fn the_book_answers_and_counts_as_the_oracle_foretells(batches in batches()) {
        let (mut book, mut oracle) = (Book::default(), Oracle::default());
        for batch in &batches {
            prop_assert_eq!(book.apply(batch), oracle.apply(batch));
            for key in ACCOUNTS.map(account) {
                prop_assert_eq!(book.account(key), oracle.account(key));
            }
            prop_assert_eq!(book.audit(), Ok(()));
        }
    }

    #[test]
    fn only_the_world_is_ever_below_zero(batches in batches()) {
        let mut book = Book::default();
        for batch in &batches {
            let _ = book.apply(batch);
            for (key, account) in book.accounts() {
                let spare = account.balance() - i128::from(account.held());
                prop_assert!(spare >= 0 || key.holder == Holder::Outside);
            }
        }
    }

    #[test]
    fn a_refused_batch_changes_nothing_and_asking_first_never_does(batches in batches()) {
        let mut book = Book::default();
        for batch in &batches {
            let before = book.clone();
            let foreseen = book.check(batch);
            prop_assert_eq!(&book, &before);
            prop_assert_eq!(foreseen, book.apply(batch));
            prop_assert!(foreseen.is_ok() || book == before);
        }
    }

    #[test]
    fn told_twice_is_told_once(
        (batches, again) in batches().prop_flat_map(|batches| {
            let shuffled = Just(batches.clone()).prop_shuffle();
            (Just(batches), shuffled)
        })
    ) {
        let (once, accepted) = told(&batches);
        let mut twice = once.clone();
        for batch in again.iter().filter(|batch| accepted.contains(batch)) {
            prop_assert_eq!(twice.apply(batch), Ok(()));
        }
        prop_assert_eq!(twice, once);
    }

    #[test]
    fn the_same_journal_gives_the_same_book_from_any_snapshot(batches in batches(), at: prop::sample::Index) {
        let (whole, _) = told(&batches);
        let at = at.index(batches.len() + 1);
        let (first, _) = told(&batches[..at]);
        let mut restored = Book::from_parts(first.parts()).unwrap();
        prop_assert_eq!(&restored, &first);
        for batch in &batches[at..] {
            let _ = restored.apply(batch);
        }
        prop_assert_eq!(restored.parts(), whole.parts());
    }

    #[test]
    fn a_batch_is_the_same_as_its_transfers_one_by_one(batches in batches()) {
        let (linked, accepted) = told(&batches);
        let mut single = Book::default();
        for transfer in accepted.iter().flatten() {
            prop_assert_eq!(single.apply(&[*transfer]), Ok(()));
        }
        prop_assert_eq!(single, linked);
    }

    #[test]
    fn the_order_of_independent_batches_does_not_matter(
        lives in prop::collection::vec((1_u64..50, 1_u64..60, 1_u64..60, any::<bool>()), 1..8),
        order in prop::collection::vec(any::<prop::sample::Index>(), 64),
    ) {
        let straight: Vec<usize> = (0..lives.len()).flat_map(|life| [life; LIFE]).collect();
        let mut mixed = straight.clone();
        for (index, pick) in order.iter().enumerate() {
            let (one, other) = (index % mixed.len(), pick.index(mixed.len()));
            mixed.swap(one, other);
        }
        let ((one, answers), (other, answers_mixed)) = (live(&lives, &straight), live(&lives, &mixed));
        prop_assert_eq!(answers, answers_mixed);
        prop_assert_eq!(one.parts().accounts, other.parts().accounts);
        prop_assert_eq!(one.parts().holds, other.parts().holds);
    }

    #[test]
    fn a_hold_is_what_was_posted_and_what_was_returned(had in 1_u64.., share: prop::sample::Index) {
        let [world, payer, payee] = ["outside", "p1", "e1"].map(account);
        let tell = |id, kind| Transfer { id: TransferId::from_bits(id), kind };
        let hold = TransferId::from_bits(2);
        let posted = u64::try_from(share.index(usize::MAX)).unwrap() % had + 1;
        let start = [tell(1, Kind::Move { from: world, to: payer, units: had })];
        let set_aside = [tell(2, Kind::Hold { from: payer, to: payee, units: had })];
        let book = |batches: &[&[Transfer]]| {
            let mut book = Book::default();
            batches.iter().for_each(|batch| book.apply(batch).unwrap());
            book
        };
        let at_once = book(&[&start, &[tell(3, Kind::Move { from: payer, to: payee, units: posted })]]);
        let in_two = book(&[&start, &set_aside, &[tell(3, Kind::Post { hold, units: posted })]]);
        prop_assert_eq!(at_once.parts().accounts, in_two.parts().accounts);
        let void = book(&[&start, &set_aside, &[tell(3, Kind::Void { hold })]]);
        prop_assert_eq!(book(&[&start]).parts().accounts, void.parts().accounts);
    }

    #[test]
    fn an_open_hold_can_always_be_closed(batches in batches(), post: bool) {
        let (mut book, _) = told(&batches);
        for (index, (hold, state)) in book.parts().holds.into_iter().enumerate() {
            let units = state.units_open();
            if units > 0 {
                let kind = if post { Kind::Post { hold, units } } else { Kind::Void { hold } };
                let id = TransferId::from_bits(1_000 + u128::try_from(index).unwrap());
                prop_assert_eq!(book.apply(&[Transfer { id, kind }]), Ok(()));
            }
        }
        prop_assert_eq!(book.audit(), Ok(()));
        prop_assert!(book.accounts().all(|(_, account)| account.held() == 0));
    }

    #[test]
    fn dropping_what_is_settled_leaves_a_book_that_adds_up(batches in batches(), more in batches()) {
        let (mut book, _) = told(&batches);
        for key in ACCOUNTS.map(account) {
            let before = book.account(key);
            match book.close(key) {
                Ok(()) => prop_assert!(before.balance() == 0 && before.held() == 0),
                Err(_) => prop_assert_eq!(book.account(key), before),
            }
        }
        for batch in &more {
            let _ = book.apply(batch);
            prop_assert_eq!(book.audit(), Ok(()));
        }
        prop_assert_eq!(Book::from_parts(book.parts()), Ok(book));
    }

    #[test]
    fn any_bits_and_any_units_are_answered_without_panic(
        rows in prop::collection::vec((any::<u128>(), any::<u64>(), 0_u8..4, accounts(), accounts()), 0..40)
    ) {
        let mut book = Book::default();
        for (bits, units, variant, from, to) in &rows {
            let (units, hold) = (*units, TransferId::from_bits(rows[0].0));
            let kind = match variant {
                0 => Kind::Move { from: *from, to: *to, units },
                1 => Kind::Hold { from: *from, to: *to, units },
                2 => Kind::Post { hold, units },
                _ => Kind::Void { hold },
            };
            let _ = book.apply(&[Transfer { id: TransferId::from_bits(*bits), kind }]);
            prop_assert_eq!(book.audit(), Ok(()));
        }
    }
}

/// How many batches there are in the life of one project.
const LIFE: usize = 4;

/// What a project has, sets aside, posts of it, and whether it tries to void it then.
type Life = (u64, u64, u64, bool);

/// The answer to each step of each life.
type Answers = BTreeMap<(usize, usize), Result<(), (usize, Refusal)>>;

/// Lives of projects that share only payees and the world, lived in an order in which `turns` names who goes next.
fn live(lives: &[Life], turns: &[usize]) -> (Book, Answers) {
    let (mut book, mut answers) = (Book::default(), Answers::new());
    let mut lived = vec![0; lives.len()];
    for turn in turns {
        let step = lived[*turn];
        lived[*turn] += 1;
        answers.insert((*turn, step), book.apply(&batch_of_life(*turn, step, lives[*turn])));
    }
    (book, answers)
}

fn batch_of_life(turn: usize, step: usize, life: Life) -> Vec<Transfer> {
    let (has, holds, posts, voids) = life;
    let [own, escrow] = ["p", "e"].map(|kind| account(&format!("{kind}{turn}")));
    let [world, supplier] = ["outside", "s1"].map(account);
    let bits = |step: usize| {
        TransferId::from_bits(u128::try_from(turn * 100 + step).expect("a small number"))
    };
    let kind = match step {
        0 => Kind::Move { from: world, to: own, units: has },
        1 => Kind::Hold { from: own, to: escrow, units: holds },
        2 => Kind::Post { hold: bits(1), units: posts },
        _ if voids => Kind::Void { hold: bits(1) },
        _ => Kind::Move { from: escrow, to: supplier, units: posts },
    };
    vec![Transfer { id: bits(step), kind }]
}

#[test]
fn a_refusal_says_which_transfer_it_means() {
    let [world, payer] = ["outside", "p1"].map(account);
    let tell = |id, units| Transfer {
        id: TransferId::from_bits(id),
        kind: Kind::Move { from: world, to: payer, units },
    };
    for wrong in 0..9_u8 {
        let batch: Vec<Transfer> =
            (0..9).map(|index| tell(u128::from(index), u64::from(index != wrong))).collect();
        let answer = Book::default().apply(&batch);
        assert_eq!(answer, Err((usize::from(wrong), Refusal::Nothing)));
    }
}
