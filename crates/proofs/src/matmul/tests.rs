//! Honest openings are accepted, and every way to save work that we know of is refused.

use proptest::prelude::*;

use super::{
    Round, Wrong, asked, briefs, leaf, next_seed, open, plain, row_of_a, row_of_b, secret,
};
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
    seeds: Vec<[u8; 32]>,
}

impl Session {
    fn new(task: Matmul, multiply: impl Fn(&[u8; 32], u16) -> Rows) -> Self {
        let mut session = Self { task, products: vec![], trees: vec![], seeds: vec![] };
        let mut seed = FIRST;
        for round in 0..task.rounds {
            let product = multiply(&seed, round);
            let leaves = (0..).zip(&product).map(|(index, row)| leaf(row, index, round)).collect();
            let tree = Tree::new(leaves).expect("a power of two");
            session.seeds.push(seed);
            seed = next_seed(&seed, &tree.root());
            session.products.push(product);
            session.trees.push(tree);
        }
        session
    }

    fn honest(task: Matmul) -> Self {
        Self::new(task, |seed, _| plain::product(seed, task.n()))
    }

    fn roots(&self) -> Vec<[u8; 32]> {
        self.trees.iter().map(Tree::root).collect()
    }

    fn checked(&self) -> Vec<Round> {
        self.checked_with(|round| secret(&SIGMA, TASK, round))
    }

    fn checked_with(&self, secret: impl Fn(u16) -> [u8; 32]) -> Vec<Round> {
        let roots = self.roots();
        let selection = derive("a test's selection", &[&SIGMA, roots.as_flattened()]);
        briefs(&self.task, &selection, &self.seeds, &roots, secret).expect("all roots are there")
    }

    fn opened(&self, round: u16, rows: &[u32]) -> Vec<u8> {
        let mut bytes = vec![];
        for &row in rows {
            let path = self.trees[usize::from(round)].path(row).expect("a row");
            open(&self.products[usize::from(round)][row as usize], &path, &mut bytes);
        }
        bytes
    }

    /// The first refusal of a checked round, by both checks.
    fn verdict(&self) -> Result<(), Wrong> {
        self.checked().iter().try_for_each(|round| {
            let bytes = self.opened(round.number(), round.rows());
            assert_eq!(bytes.len(), round.openings_bytes());
            agreed(round, &bytes)
        })
    }
}

/// What the fast check and the plain one say.
fn agreed(round: &Round, openings: &[u8]) -> Result<(), Wrong> {
    let said = round.check(openings);
    assert_eq!(said, round.check_plainly(openings));
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
    for round in session.checked_with(|_| [9; 32]) {
        let bytes = session.opened(round.number(), round.rows());
        assert_eq!(agreed(&round, &bytes), Ok(()));
    }
}

#[test]
fn sums_of_rows_and_columns_are_no_product() {
    is_no_product(&Session::new(SMALL, |seed, _| {
        let n = SMALL.n();
        let b: Vec<_> = (0..256).map(|row| row_of_b(seed, n, row)).collect();
        let columns: Vec<i32> =
            (0..n).map(|column| b.iter().map(|row| i32::from(row[column])).sum()).collect();
        let rank_one = |row| {
            let sum: i32 = row_of_a(seed, n, row).into_iter().map(i32::from).sum();
            columns.iter().map(|column| sum * column / 256).collect()
        };
        (0..256).map(rank_one).collect()
    }));
}

#[test]
fn a_product_of_fewer_bits_is_no_product() {
    for kept in [!1_i8, !3, !15] {
        is_no_product(&Session::new(SMALL, |seed, _| {
            let low = |row: Vec<i8>| row.into_iter().map(|entry| entry & kept).collect::<Vec<_>>();
            let b: Vec<_> = (0..256).map(|row| low(row_of_b(seed, 256, row))).collect();
            (0..256).map(|row| plain::times(&low(row_of_a(seed, 256, row)), &b)).collect()
        }));
    }
}

#[test]
fn a_product_rounded_to_half_precision_is_no_product() {
    is_no_product(&Session::new(SMALL, |seed, _| {
        let mut product = plain::product(seed, 256);
        product.iter_mut().flatten().for_each(|entry| *entry = (*entry >> 8) << 8);
        product
    }));
}

#[test]
fn a_skipped_tile_is_found_in_the_rows_that_cross_it() {
    for (rows, columns) in [(0..256, 100..101), (0..256, 255..256), (0..64, 0..64)] {
        is_no_product(&Session::new(SMALL, |seed, _| {
            let mut product = plain::product(seed, 256);
            product[rows.clone()].iter_mut().for_each(|row| row[columns.clone()].fill(0));
            product
        }));
    }
}

#[test]
fn a_product_with_a_short_sum_is_no_product() {
    is_no_product(&Session::new(SMALL, |seed, _| {
        let mut b: Vec<_> = (0..256).map(|row| row_of_b(seed, 256, row)).collect();
        b[255].fill(0);
        (0..256).map(|row| plain::times(&row_of_a(seed, 256, row), &b)).collect()
    }));
}

/// With entries of seed + i + j, each entry would follow from its upper left neighbor.
#[test]
fn a_diagonal_does_not_follow_from_the_one_before() {
    is_no_product(&Session::new(SMALL, |seed, _| {
        let mut product = plain::product(seed, 256);
        let a: Vec<_> = (0..256).map(|row| row_of_a(seed, 256, row)).collect();
        let b: Vec<_> = (0..256).map(|row| row_of_b(seed, 256, row)).collect();
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
    is_no_product(&Session::new(SMALL, |_, _| plain::product(&[0; 32], 256)));
    let task = Matmul { checked: 3, ..SMALL };
    is_no_product(&Session::new(task, |_, _| plain::product(&FIRST, 256)));
}

#[test]
fn what_was_not_asked_for_is_refused() {
    let session = Session::honest(SMALL);
    let round = &session.checked()[0];
    let rows = round.rows().to_vec();
    let refused = |rows: &[u32]| agreed(round, &session.opened(round.number(), rows));
    assert_eq!(refused(&rows), Ok(()));
    assert!(matches!(refused(&[]), Err(Wrong::Length(_))), "nothing is opened");
    assert!(matches!(refused(&rows[1..]), Err(Wrong::Length(_))), "one is missing");
    let twice: Vec<u32> = rows.iter().copied().chain([rows[0]]).collect();
    assert!(matches!(refused(&twice), Err(Wrong::Length(_))), "one is too many");
    let away = |row: u32| Err(Wrong::Path { round: round.number(), row });
    assert_eq!(refused(&vec![rows[0]; rows.len()]), away(rows[1]), "one row, again and again");
    let reordered: Vec<u32> = rows.iter().rev().copied().collect();
    assert_eq!(refused(&reordered), away(rows[0]));
    let mut foreign = rows.clone();
    foreign[7] = (0..256).find(|row| !rows.contains(row)).expect("not all are asked for");
    assert_eq!(refused(&foreign), away(rows[7]));
    let other = session.checked()[1].number();
    assert_eq!(agreed(round, &session.opened(other, &rows)), away(rows[0]), "of another round");
}

#[test]
fn bytes_are_neither_left_out_nor_added() {
    let session = Session::honest(SMALL);
    let round = &session.checked()[0];
    let mut bytes = session.opened(round.number(), round.rows());
    assert!(matches!(agreed(round, &bytes[1..]), Err(Wrong::Length(_))));
    bytes.push(0);
    assert!(matches!(agreed(round, &bytes), Err(Wrong::Length(_))));
}

#[test]
fn a_wrong_path_is_told_before_a_wrong_product() {
    let session = Session::new(SMALL, |_, _| vec![vec![0; 256]; 256]);
    let round = &session.checked()[0];
    let mut bytes = session.opened(round.number(), round.rows());
    assert!(matches!(agreed(round, &bytes), Err(Wrong::Product { .. })));
    *bytes.last_mut().expect("some bytes") ^= 1;
    let row = *round.rows().last().expect("some rows");
    assert_eq!(agreed(round, &bytes), Err(Wrong::Path { round: round.number(), row }));
}

#[test]
fn rounds_are_checked_only_when_all_roots_are_there() {
    let (seeds, roots) = ([[0; 32]; 3], [[0; 32]; 4]);
    let told = |task: &Matmul, roots| briefs(task, &[0; 32], &seeds, roots, |_| [0; 32]).is_some();
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
    let secrets = [(0, 0), (0, 1), (1, 0)].map(|(task, round)| secret(&SIGMA, task, round));
    assert!(secrets[0] != secrets[1] && secrets[0] != secrets[2] && secrets[1] != secrets[2]);
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
        let session = one_round();
        let round = &session.checked()[0];
        let mut bytes = session.opened(0, round.rows());
        let at = at.index(bytes.len());
        bytes[at] ^= flip;
        let row = round.rows()[at / (bytes.len() / round.rows().len())];
        prop_assert_eq!(agreed(round, &bytes), Err(Wrong::Path { round: 0, row }));
    }

    #[test]
    fn whatever_arrives_is_refused_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..20_000)) {
        prop_assert!(agreed(&one_round().checked()[0], &bytes).is_err());
    }
}
