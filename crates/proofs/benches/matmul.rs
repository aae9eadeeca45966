//! How long a verifier takes for one checked round, and for its parts, beside the same as slowly as the page says it.
//!
//! `cargo bench -p proofs --bench matmul [-- sizes]`; 1024 to 16384 unless named. One core, the least of some runs.

#![expect(clippy::print_stdout, reason = "printing is what it is for")]
#![expect(clippy::disallowed_types, reason = "it measures time")]

use std::hint::black_box;
use std::time::Instant;

use proofs::Matmul;
use proofs::matmul::{Round, Rows, briefs, leaf, open, plain, row_of_a};
use proofs::tree::Tree;

const RUNS: u32 = 5;
const ROWS: u16 = 256;
const SEED: [u8; 32] = [7; 32];

fn main() {
    let named = std::env::args().skip(1).filter_map(|word| word.parse().ok());
    let mut sizes: Vec<usize> = named.collect();
    if sizes.is_empty() {
        sizes = vec![1024, 2048, 4096, 8192, 16_384];
    }
    println!("one checked round of {ROWS} rows, ms of one core, the least of {RUNS}\n");
    println!(
        "| n | B written out | B made and summed | rows hashed and checked | a round | plainly | ratio |"
    );
    println!("|---:|---:|---:|---:|---:|---:|---:|");
    sizes.into_iter().filter(|n| n.is_power_of_two() && *n >= 256).for_each(measure);
}

fn measure(n: usize) {
    let (one, one_opened) = opened(n, 1);
    let (all, all_opened) = opened(n, ROWS);
    let mut row = vec![0; n];
    let made = least(RUNS, || {
        for index in 0..n {
            Rows::of_b(&SEED).write(u32::try_from(index).expect("a row"), &mut row);
            black_box(&row);
        }
    });
    let first = least(RUNS, || one.check(&one_opened).expect("it is the product"));
    let checked = least(RUNS, || all.check(&all_opened).expect("it is the product"));
    let plainly = least(1, || all.check_plainly(&all_opened).expect("it is the product"));
    println!(
        "| {n} | {made:.1} | {first:.1} | {:.1} | {checked:.1} | {plainly:.0} | {:.0} |",
        checked - first,
        plainly / checked
    );
}

/// A round with honest rows in a tree of whatever else.
fn opened(n: usize, rows: u16) -> (Round, Vec<u8>) {
    let log_n = u8::try_from(n.ilog2()).expect("at most 16");
    let task = Matmul { log_n, rounds: 1, checked: 1, rows, limit_ms: 1, answer_ms: 1 };
    let round = |root| {
        let rounds = briefs(&task, &SEED, &[SEED], &[root], |_| SEED).expect("it is in bounds");
        rounds.into_iter().next().expect("one is checked")
    };
    let asked = round([0; 32]).rows().to_vec();
    let made = |index: usize| {
        let mut row = vec![0; n];
        Rows::of_b(&SEED).write(u32::try_from(index).expect("a row"), &mut row);
        row
    };
    let b: Vec<Vec<i8>> = (0..n).map(made).collect();
    let products: Vec<Vec<i32>> =
        asked.iter().map(|row| plain::times(&row_of_a(&SEED, n, *row), &b)).collect();
    let mut leaves = vec![[0; 32]; n];
    for (row, product) in asked.iter().zip(&products) {
        leaves[*row as usize] = leaf(product, *row, 0);
    }
    let tree = Tree::new(leaves).expect("a power of two");
    let mut openings = vec![];
    for (row, product) in asked.iter().zip(&products) {
        open(product, &tree.path(*row).expect("a row"), &mut openings);
    }
    (round(tree.root()), openings)
}

/// The least time of some runs, in milliseconds.
fn least(runs: u32, mut run: impl FnMut()) -> f64 {
    let mut once = |_| {
        let start = Instant::now();
        run();
        start.elapsed().as_secs_f64() * 1e3
    };
    (0..runs).map(&mut once).fold(f64::MAX, f64::min)
}
