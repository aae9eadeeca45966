//! How long the processor takes for one round of products, leaves included, beside the same as slowly as the protocol's
//! page says it.
//!
//! `cargo bench -p prover --bench product [-- sizes]`; 256 to 8192 unless named.

#![expect(clippy::print_stdout, reason = "printing is what it is for")]
#![expect(clippy::disallowed_types, reason = "it measures time")]

use std::hint::black_box;
use std::num::NonZeroUsize;
use std::thread;
use std::time::Instant;

use proofs::Device;
use proofs::matmul::{Rows, Seeds, leaf, plain, row_of_a};
use prover::cpu::Processor;

const RUNS: u8 = 3;
/// Rows that are computed plainly: all would take minutes.
const PLAIN_ROWS: u32 = 32;

fn main() {
    let named = std::env::args().skip(1).filter_map(|word| word.parse().ok());
    let mut sizes: Vec<usize> = named.collect();
    if sizes.is_empty() {
        sizes = (8..=13).map(|log_n| 1 << log_n).collect();
    }
    let cores = thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
    println!("one round on one core and on {cores}, the least of {RUNS}\n");
    println!("| n | one core, s | GOPS | all cores, s | GOPS | plainly on one, GOPS | ratio |");
    println!("|---:|---:|---:|---:|---:|---:|---:|");
    for n in sizes.into_iter().filter(|n| n.is_power_of_two() && *n >= 256) {
        let operations = 2.0 * (n as f64).powi(3);
        let [one, all] = [NonZeroUsize::MIN, cores].map(|threads| round(n, threads));
        let plainly = plainly(n) * n as f64 / f64::from(PLAIN_ROWS);
        let gops = |seconds: f64| operations / seconds / 1e9;
        println!(
            "| {n} | {one:.4} | {:.0} | {all:.4} | {:.0} | {:.1} | {:.0} |",
            gops(one),
            gops(all),
            gops(plainly),
            plainly / one
        );
    }
}

/// Seconds of a round on some threads.
fn round(n: usize, threads: NonZeroUsize) -> f64 {
    let log_n = u8::try_from(n.ilog2()).expect("below 64");
    let mut processor = Processor::new(threads);
    // The left matrix is new, and the right one is there: so it is in all rounds of a task but its first.
    let right = [0; 32];
    processor.rows(&Seeds::first(right), log_n, &[]).expect("a processor does not fail");
    let once = |run: u8| {
        let seeds = Seeds { left: [run; 32], right };
        let start = Instant::now();
        black_box(processor.multiply(&seeds, log_n, 0).expect("a processor does not fail"));
        start.elapsed().as_secs_f64()
    };
    (0..RUNS).map(once).fold(f64::MAX, f64::min)
}

/// Seconds of some rows as the page says them; the right matrix is there before.
fn plainly(n: usize) -> f64 {
    let made = |row: u32| {
        let mut entries = vec![0; n];
        Rows::of_b(&[1; 32]).write(row, &mut entries);
        entries
    };
    let b: Vec<Vec<i8>> = (0..).take(n).map(made).collect();
    let start = Instant::now();
    for row in 0..PLAIN_ROWS {
        black_box(leaf(&plain::times(&row_of_a(&[1; 32], n, row), &b), row, 0));
    }
    start.elapsed().as_secs_f64()
}
