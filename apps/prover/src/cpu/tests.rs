//! The processor computes what the reference says.

use std::num::NonZeroUsize;

use proofs::matmul::{Seeds, leaf, plain};
use proofs::{Device, Matmul, Puzzle, Task, puzzle};

use super::Processor;

fn processor(threads: usize) -> Processor {
    Processor::new(NonZeroUsize::new(threads).unwrap())
}

#[test]
fn products_are_those_of_the_reference() {
    for (log_n, threads) in [(8, 1), (8, 3), (8, 300), (9, 2), (10, 2)] {
        let mut processor = processor(threads);
        let n = 1_usize << log_n;
        let first = Seeds::first([1; 32]);
        for seeds in [first, first.next(&[2; 32]), Seeds::first([3; 32])] {
            let product = plain::product(&seeds, n);
            let leaves: Vec<_> = (0..).zip(&product).map(|(at, row)| leaf(row, at, 9)).collect();
            let made = processor.multiply(&seeds, log_n, 9).unwrap();
            assert!(made == leaves, "n = {n} on {threads} threads");
            let asked = [0, 3, 200, n - 1];
            let rows = asked.map(|row| u32::try_from(row).unwrap());
            let rows = processor.rows(&seeds, log_n, &rows).unwrap();
            assert!(rows == asked.map(|row| product[row].clone()).concat(), "n = {n}");
        }
    }
}

#[test]
fn rows_are_made_whether_or_not_their_round_was_the_last() {
    let mut processor = processor(2);
    let asked: Vec<u32> = (0..256).collect();
    let seeds = Seeds::first([1; 32]);
    let rows = processor.rows(&seeds, 8, &asked).unwrap();
    assert_eq!(rows, plain::product(&seeds, 256).concat());
    processor.multiply(&Seeds::first([2; 32]), 9, 0).unwrap();
    assert_eq!(processor.rows(&seeds, 8, &asked).unwrap(), rows);
    assert!(processor.rows(&seeds, 8, &[]).unwrap().is_empty());
}

#[test]
fn numbers_solve_their_puzzles() {
    let asked = Puzzle { bits: 10, count: 5, limit_ms: 1 };
    for threads in [1, 2, 5] {
        let numbers = processor(threads).solve(&[1; 32], &asked).unwrap();
        let bytes: Vec<u8> = numbers.into_iter().flat_map(u64::to_le_bytes).collect();
        assert!(puzzle::solved(&[1; 32], &asked, &bytes));
    }
}

#[test]
fn what_was_prepared_is_used_and_what_was_not_is_made() {
    let matmul = Matmul { log_n: 9, rounds: 1, checked: 1, rows: 1, limit_ms: 1, answer_ms: 1 };
    let mut ready = processor(2);
    ready.prepare(&[Task::Matmul(matmul)]).unwrap();
    for seeds in [[0; 32], [1; 32]].map(Seeds::first) {
        assert_eq!(ready.multiply(&seeds, 9, 0), processor(1).multiply(&seeds, 9, 0));
    }
}

#[test]
fn a_processor_says_what_it_is() {
    assert!(processor(3).name().ends_with(", 3 threads"));
}
