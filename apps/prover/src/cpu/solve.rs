//! Puzzles on the processor: every thread tries numbers of its own until one of them has found it.

use std::sync::OnceLock;
use std::thread;

use proofs::{Puzzle, puzzle};

/// Numbers that a thread tries before it asks whether another has found one.
const UNASKED: usize = 1 << 12;

/// A number for each puzzle.
pub(super) fn solve(seed: &[u8; 32], asked: &Puzzle, threads: usize) -> Vec<u64> {
    (0..asked.count).map(|index| one(seed, index, asked.bits, threads)).collect()
}

fn one(seed: &[u8; 32], index: u16, bits: u8, threads: usize) -> u64 {
    let found = OnceLock::new();
    let search = |first: u64| {
        let mut numbers = (first..).step_by(threads);
        while found.get().is_none() {
            if let Some(x) = puzzle::solve(seed, index, bits, numbers.by_ref().take(UNASKED)) {
                // Another may have been first: either number solves it.
                found.get_or_init(|| x);
            }
        }
    };
    thread::scope(|scope| {
        for (first, _) in (1..).zip(1..threads) {
            scope.spawn(move || search(first));
        }
        search(0);
    });
    *found.get().expect("a thread ends only when a number is found")
}
