//! How long a verifier takes for one checked round, for its parts, and for one row of each of many rounds, beside one
//! round as slowly as the page says it.
//!
//! `cargo bench -p proofs --bench matmul [-- sizes]`; 1024 to 16384 unless named. One core, the least of some runs.

#![expect(clippy::print_stdout, reason = "printing is what it is for")]
#![expect(clippy::disallowed_types, reason = "it measures time")]

use std::hint::black_box;
use std::time::Instant;

use proofs::Matmul;
use proofs::matmul::{Products, Rows, leaf, open, plain, row_of_a};
use proofs::tree::Tree;

const RUNS: u32 = 5;
/// Rows of one round.
const ROWS: u16 = 256;
/// Rounds, with a row each.
const ROUNDS: u8 = 64;
const SEED: [u8; 32] = [7; 32];

fn main() {
    let named = std::env::args().skip(1).filter_map(|word| word.parse().ok());
    let mut sizes: Vec<usize> = named.collect();
    if sizes.is_empty() {
        sizes = vec![1024, 2048, 4096, 8192, 16_384];
    }
    println!("one checked round of {ROWS} rows, ms of one core, the least of {RUNS}\n");
    println!(
        "| n | B written out | B made and summed | rows hashed and checked | a round | {ROUNDS} rounds of a row \
         | plainly | ratio |"
    );
    println!("|---:|---:|---:|---:|---:|---:|---:|---:|");
    sizes.into_iter().filter(|n| n.is_power_of_two() && *n >= 256).for_each(measure);
}

fn measure(n: usize) {
    let [one, all, rounds] = [(1, 1), (1, ROWS), (ROUNDS, 1)].map(|shape| opened(n, shape));
    let mut row = vec![0; n];
    let made = least(RUNS, || {
        for index in 0..n {
            Rows::of_b(&SEED).write(u32::try_from(index).expect("a row"), &mut row);
            black_box(&row);
        }
    });
    let [first, checked, rounds] = [&one, &all, &rounds].map(|(products, openings)| {
        least(RUNS, || products.check(openings).expect("they are the products"))
    });
    let (products, openings) = &all;
    let plainly = least(1, || products.check_plainly(openings).expect("they are the products"));
    println!(
        "| {n} | {made:.1} | {first:.1} | {:.1} | {checked:.1} | {rounds:.1} | {plainly:.0} | {:.0} |",
        checked - first,
        plainly / checked
    );
}

/// Rounds with honest rows, so many of each, in trees of whatever else.
fn opened(n: usize, (rounds, rows): (u8, u16)) -> (Products, Vec<u8>) {
    let log_n = u8::try_from(n.ilog2()).expect("at most 16");
    let task =
        Matmul { log_n, rounds: rounds.into(), checked: rounds, rows, limit_ms: 1, answer_ms: 1 };
    let lefts: Vec<[u8; 32]> = (0..rounds).map(|round| [SEED[0] + round; 32]).collect();
    let products = |roots: &[[u8; 32]]| {
        Products::new(&task, &SEED, &lefts, roots, SEED).expect("it is in bounds")
    };
    let made = |index: usize| {
        let mut row = vec![0; n];
        Rows::of_b(&SEED).write(u32::try_from(index).expect("a row"), &mut row);
        row
    };
    let b: Vec<Vec<i8>> = (0..n).map(made).collect();
    let (mut roots, mut openings) = (vec![], vec![]);
    for round in products(&vec![[0; 32]; rounds.into()]).rounds() {
        let times = |row: &u32| plain::times(&row_of_a(&round.left, n, *row), &b);
        let made: Vec<Vec<i32>> = round.rows.iter().map(times).collect();
        let mut leaves = vec![[0; 32]; n];
        for (row, entries) in round.rows.iter().zip(&made) {
            leaves[*row as usize] = leaf(entries, *row, round.number);
        }
        let tree = Tree::new(leaves).expect("a power of two");
        for (row, entries) in round.rows.iter().zip(&made) {
            open(entries, &tree.path(*row).expect("a row"), &mut openings);
        }
        roots.push(tree.root());
    }
    (products(&roots), openings)
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
