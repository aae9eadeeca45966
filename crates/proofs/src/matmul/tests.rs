//! Honest openings are accepted, and every way to save work that we know of is refused.

use proptest::prelude::*;

use super::{Products, Seeds, Wrong, asked, leaf, open, plain, row_of_a, row_of_b, secret};
use crate::prf::derive;
use crate::task::Matmul;
use crate::tree::Tree;

const SIGMA: [u8; 32] = [3; 32];
const TASK: u8 = 1;
const SMALL: Matmul =
    Matmul { log_n: 8, rounds: 3, checked: 2, rows: 24, limit_ms: 1, answer_ms: 1 };

const FIRST: [u8; 32] = [1; 32];

type Rows = Vec<Vec<i32>>;

/// A prover, honest or not: what it calls the product of each round.
struct Session {
    task: Matmul,
    products: Vec<Rows>,
    trees: Vec<Tree>,
    lefts: Vec<[u8; 32]>,
}

impl Session {
    fn new(task: Matmul, multiply: impl Fn(&Seeds, u16) -> Rows) -> Self {
        let mut session = Self { task, products: vec![], trees: vec![], lefts: vec![] };
        let mut seeds = Seeds::first(FIRST);
        for round in 0..task.rounds {
            let product = multiply(&seeds, round);
            let leaves = (0..).zip(&product).map(|(index, row)| leaf(row, index, round)).collect();
            let tree = Tree::new(leaves).expect("a power of two");
            session.lefts.push(seeds.left);
            seeds = seeds.next(&tree.root());
            session.products.push(product);
            session.trees.push(tree);
        }
        session
    }

    fn honest(task: Matmul) -> Self {
        Self::new(task, |seeds, _| plain::product(seeds, task.n()))
    }

    fn roots(&self) -> Vec<[u8; 32]> {
        self.trees.iter().map(Tree::root).collect()
    }

    fn checked(&self) -> Products {
        self.checked_with(secret(&SIGMA, TASK))
    }

    fn checked_with(&self, secret: [u8; 32]) -> Products {
        let roots = self.roots();
        let selection = derive("a test's selection", &[&SIGMA, roots.as_flattened()]);
        let products = Products::new(&self.task, &selection, &self.lefts, &roots, secret);
        products.expect("all roots are there")
    }

    /// What is asked for.
    fn openings(&self) -> Vec<u8> {
        let checked = self.checked();
        checked.rounds().iter().flat_map(|round| self.opened(round.number, &round.rows)).collect()
    }

    fn opened(&self, round: u16, rows: &[u32]) -> Vec<u8> {
        let mut bytes = vec![];
        for &row in rows {
            let path = self.trees[usize::from(round)].path(row).expect("a row");
            open(&self.products[usize::from(round)][row as usize], &path, &mut bytes);
        }
        bytes
    }

    /// What both checks say of it.
    fn verdict(&self) -> Result<(), Wrong> {
        let (checked, bytes) = (self.checked(), self.openings());
        assert_eq!(bytes.len(), checked.openings_bytes());
        assert_eq!(bytes.len(), self.task.openings_bytes());
        agreed(&checked, &bytes)
    }
}

/// What the fast check and the plain one say.
fn agreed(products: &Products, openings: &[u8]) -> Result<(), Wrong> {
    let said = products.check(openings);
    assert_eq!(said, products.check_plainly(openings));
    said
}

fn is_no_product(session: &Session) {
    let verdict = session.verdict();
    assert!(matches!(verdict, Err(Wrong::Product { .. })), "{verdict:?}");
}

#[test]
fn an_honest_prover_is_accepted_at_every_size() {
    for log_n in 8..=10 {
        let task = Matmul { log_n, rounds: 1, checked: 1, ..SMALL };
        assert_eq!(Session::honest(task).verdict(), Ok(()), "n = 2^{log_n}");
    }
    assert_eq!(Session::honest(SMALL).verdict(), Ok(()));
    let all = Matmul { rows: 256, checked: 3, ..SMALL };
    assert_eq!(Session::honest(all).verdict(), Ok(()));
}

#[test]
fn anybody_checks_with_vectors_of_their_own() {
    let session = Session::honest(SMALL);
    assert_eq!(agreed(&session.checked_with([9; 32]), &session.openings()), Ok(()));
}

#[test]
fn sums_of_rows_and_columns_are_no_product() {
    is_no_product(&Session::new(SMALL, |seeds, _| {
        let n = SMALL.n();
        let b: Vec<_> = (0..256).map(|row| row_of_b(&seeds.right, n, row)).collect();
        let columns: Vec<i32> =
            (0..n).map(|column| b.iter().map(|row| i32::from(row[column])).sum()).collect();
        let rank_one = |row| {
            let sum: i32 = row_of_a(&seeds.left, n, row).into_iter().map(i32::from).sum();
            columns.iter().map(|column| sum * column / 256).collect()
        };
        (0..256).map(rank_one).collect()
    }));
}

#[test]
fn a_product_of_fewer_bits_is_no_product() {
    for kept in [!1_i8, !3, !15] {
        is_no_product(&Session::new(SMALL, |seeds, _| {
            let low = |row: Vec<i8>| row.into_iter().map(|entry| entry & kept).collect::<Vec<_>>();
            let b: Vec<_> = (0..256).map(|row| low(row_of_b(&seeds.right, 256, row))).collect();
            (0..256).map(|row| plain::times(&low(row_of_a(&seeds.left, 256, row)), &b)).collect()
        }));
    }
}

#[test]
fn a_product_rounded_to_half_precision_is_no_product() {
    is_no_product(&Session::new(SMALL, |seeds, _| {
        let mut product = plain::product(seeds, 256);
        product.iter_mut().flatten().for_each(|entry| *entry = (*entry >> 8) << 8);
        product
    }));
}

#[test]
fn a_skipped_tile_is_found_in_the_rows_that_cross_it() {
    for (rows, columns) in [(0..256, 100..101), (0..256, 255..256), (0..64, 0..64)] {
        is_no_product(&Session::new(SMALL, |seeds, _| {
            let mut product = plain::product(seeds, 256);
            product[rows.clone()].iter_mut().for_each(|row| row[columns.clone()].fill(0));
            product
        }));
    }
}

#[test]
fn a_product_with_a_short_sum_is_no_product() {
    is_no_product(&Session::new(SMALL, |seeds, _| {
        let mut b: Vec<_> = (0..256).map(|row| row_of_b(&seeds.right, 256, row)).collect();
        b[255].fill(0);
        (0..256).map(|row| plain::times(&row_of_a(&seeds.left, 256, row), &b)).collect()
    }));
}

/// With entries of seed + i + j, each entry would follow from its upper left neighbor.
#[test]
fn a_diagonal_does_not_follow_from_the_one_before() {
    is_no_product(&Session::new(SMALL, |seeds, _| {
        let mut product = plain::product(seeds, 256);
        let a: Vec<_> = (0..256).map(|row| row_of_a(&seeds.left, 256, row)).collect();
        let b: Vec<_> = (0..256).map(|row| row_of_b(&seeds.right, 256, row)).collect();
        for i in 0..255 {
            for j in 0..255 {
                let leaves = i32::from(a[i][0]) * i32::from(b[0][j]);
                let enters = i32::from(a[i + 1][255]) * i32::from(b[255][j + 1]);
                product[i + 1][j + 1] = product[i][j] - leaves + enters;
            }
        }
        product
    }));
}

#[test]
fn another_session_or_round_gives_another_product() {
    is_no_product(&Session::new(SMALL, |_, _| plain::product(&Seeds::first([0; 32]), 256)));
    let task = Matmul { checked: 3, ..SMALL };
    let first = Session::new(task, |_, _| plain::product(&Seeds::first(FIRST), 256));
    // The first round is right, and no other.
    assert!(matches!(first.verdict(), Err(Wrong::Product { round: 1, .. })));
    // A right matrix of each round's own would be another product, too.
    let own = Session::new(task, |seeds, _| plain::product(&Seeds::first(seeds.left), 256));
    assert!(matches!(own.verdict(), Err(Wrong::Product { round: 1, .. })));
}

#[test]
fn whoever_leaves_out_one_product_is_found_when_every_round_is_opened() {
    let task = Matmul { rounds: 5, checked: 5, rows: 1, ..SMALL };
    for left_out in 0..5 {
        let session = Session::new(task, |seeds, round| {
            let right = || plain::product(seeds, 256);
            if round == left_out { vec![vec![0; 256]; 256] } else { right() }
        });
        let verdict = session.verdict();
        assert!(matches!(verdict, Err(Wrong::Product { round, .. }) if round == left_out));
    }
}

#[test]
fn what_was_not_asked_for_is_refused() {
    let session = Session::honest(SMALL);
    let checked = session.checked();
    let [round, other] = checked.rounds() else { panic!("two are opened") };
    let rows = round.rows.clone();
    let with_rest = |bytes: Vec<u8>| [bytes, session.opened(other.number, &other.rows)].concat();
    let refused = |rows: &[u32]| agreed(&checked, &with_rest(session.opened(round.number, rows)));
    assert_eq!(refused(&rows), Ok(()));
    assert!(matches!(refused(&[]), Err(Wrong::Length(_))), "nothing is opened");
    assert!(matches!(refused(&rows[1..]), Err(Wrong::Length(_))), "one is missing");
    let twice: Vec<u32> = rows.iter().copied().chain([rows[0]]).collect();
    assert!(matches!(refused(&twice), Err(Wrong::Length(_))), "one is too many");
    let away = |row: u32| Err(Wrong::Path { round: round.number, row });
    assert_eq!(refused(&vec![rows[0]; rows.len()]), away(rows[1]), "one row, again and again");
    let reordered: Vec<u32> = rows.iter().rev().copied().collect();
    assert_eq!(refused(&reordered), away(rows[0]));
    let mut foreign = rows.clone();
    foreign[7] = (0..256).find(|row| !rows.contains(row)).expect("not all are asked for");
    assert_eq!(refused(&foreign), away(rows[7]));
    let foreign = with_rest(session.opened(other.number, &rows));
    assert_eq!(agreed(&checked, &foreign), away(rows[0]), "of another round");
}

#[test]
fn bytes_are_neither_left_out_nor_added() {
    let session = Session::honest(SMALL);
    let (checked, mut bytes) = (session.checked(), session.openings());
    assert!(matches!(agreed(&checked, &bytes[1..]), Err(Wrong::Length(_))));
    bytes.push(0);
    assert!(matches!(agreed(&checked, &bytes), Err(Wrong::Length(_))));
}

#[test]
fn a_wrong_path_is_told_before_a_wrong_product() {
    let session = Session::new(SMALL, |_, _| vec![vec![0; 256]; 256]);
    let (checked, mut bytes) = (session.checked(), session.openings());
    let [first, second] = checked.rounds() else { panic!("two are opened") };
    let product = Err(Wrong::Product { round: first.number, row: first.rows[0] });
    assert_eq!(agreed(&checked, &bytes), product);
    let end_of_first = bytes.len() / 2 - 1;
    *bytes.last_mut().expect("some bytes") ^= 1;
    assert_eq!(agreed(&checked, &bytes), product, "the second round comes after all of the first");
    assert_ne!(first.number, second.number);
    bytes[end_of_first] ^= 1;
    let row = *first.rows.last().expect("some rows");
    assert_eq!(agreed(&checked, &bytes), Err(Wrong::Path { round: first.number, row }));
}

#[test]
fn rounds_are_checked_only_when_all_roots_are_there() {
    let (seeds, roots) = ([[0; 32]; 3], [[0; 32]; 4]);
    let told =
        |task: &Matmul, roots| Products::new(task, &[0; 32], &seeds, roots, [0; 32]).is_some();
    assert!(told(&SMALL, &roots[..3]));
    assert!(!told(&SMALL, &roots[..2]));
    assert!(!told(&SMALL, &roots));
    assert!(!told(&SMALL, &[]));
    assert!(!told(&Matmul { log_n: 200, ..SMALL }, &roots[..3]));
}

#[test]
fn what_is_opened_is_in_order_and_of_its_round_only() {
    let opened = asked(&SMALL, &[5; 32]);
    assert_eq!(opened.len(), 2);
    assert!(opened.is_sorted_by_key(|(round, _)| *round));
    for (_, rows) in &opened {
        assert_eq!(rows.len(), 24);
        assert!(rows.is_sorted_by(|one, next| one < next));
    }
    assert_ne!(opened[0].1, opened[1].1);
    assert_ne!(opened, asked(&SMALL, &[6; 32]));
    assert_ne!(secret(&SIGMA, 0), secret(&SIGMA, 1));
    assert_ne!(secret(&SIGMA, 0), secret(&[4; 32], 0));
}

fn one_round() -> &'static Session {
    static SESSION: std::sync::OnceLock<Session> = std::sync::OnceLock::new();
    SESSION.get_or_init(|| Session::honest(Matmul { rounds: 1, checked: 1, rows: 8, ..SMALL }))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// The tree is over the changed row, so that only the product tells.
    #[test]
    fn one_wrong_entry_anywhere_is_found(row in 0_usize..256, column in 0_usize..256, other: i32) {
        let honest = one_round();
        prop_assume!(other != honest.products[0][row][column]);
        let mut product = honest.products[0].clone();
        product[row][column] = other;
        // All rows are asked for: which are follows from the root, and so from the change.
        let session = Session::new(Matmul { rows: 256, ..honest.task }, |_, _| product.clone());
        let row = u32::try_from(row).expect("a row");
        prop_assert_eq!(session.verdict(), Err(Wrong::Product { round: 0, row }));
    }

    #[test]
    fn one_wrong_byte_anywhere_is_found(at in any::<prop::sample::Index>(), flip in 1_u8..) {
        let (checked, mut bytes) = (one_round().checked(), one_round().openings());
        let at = at.index(bytes.len());
        bytes[at] ^= flip;
        let rows = &checked.rounds()[0].rows;
        let row = rows[at / (bytes.len() / rows.len())];
        prop_assert_eq!(agreed(&checked, &bytes), Err(Wrong::Path { round: 0, row }));
    }

    #[test]
    fn whatever_arrives_is_refused_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..20_000)) {
        prop_assert!(agreed(&one_round().checked(), &bytes).is_err());
    }
}
