//! What a card computes before it is used: small tasks that touch every kernel, compared with the reference.

use proofs::{Device, DeviceFault, Memory, Puzzle, matmul, memory, puzzle};

use matmul::Seeds;

use super::driver::Driver;
use super::{Card, Cut, fault};

/// Cut finely, so that bands follow one another, and all parts of a memory are met.
pub(crate) const CUT: Cut = Cut { product_bytes_max: 128 * 4 * 1024, part_bytes_max: 4 * 4096 };

const SEED: [u8; 32] = *b"what each card is asked at first";
/// Two rounds of one task, so that the right matrix is met once new and once kept.
const ROUNDS: [Seeds; 2] = [
    Seeds { left: SEED, right: SEED },
    Seeds { left: *b"what each card is asked after it", right: SEED },
];

/// The smallest matrices, whole.
const SMALL_LOG_N: u8 = 8;
/// Matrices with trees of several chunks, of which some rows are compared.
const LARGE_LOG_N: u8 = 10;
/// Rows of those: the ends of tiles and of fragments, and some between.
const ROWS: [u32; 12] = [0, 1, 7, 8, 63, 64, 127, 128, 500, 777, 896, 1023];

/// Refuses a card that gives other bytes than the reference.
pub(crate) fn check<D: Driver>(card: &mut Card<D>) -> Result<(), DeviceFault> {
    product(card)?;
    rows(card)?;
    walks(card)?;
    puzzles(card)
}

fn refuse_unless(same: bool, what: &str) -> Result<(), DeviceFault> {
    let refusal = || fault(&format!("it is not used: its {what} are not those of the reference"));
    same.then_some(()).ok_or_else(refusal)
}

fn product<D: Driver>(card: &mut Card<D>) -> Result<(), DeviceFault> {
    (257..).zip(&ROUNDS).try_for_each(|(round, seeds)| {
        let rows = (0..).zip(matmul::plain::product(seeds, 1 << SMALL_LOG_N));
        let leaves: Vec<_> =
            rows.map(|(row, entries)| matmul::leaf(&entries, row, round)).collect();
        refuse_unless(card.multiply(seeds, SMALL_LOG_N, round)? == leaves, "small products")
    })
}

fn rows<D: Driver>(card: &mut Card<D>) -> Result<(), DeviceFault> {
    let n = 1_u32 << LARGE_LOG_N;
    let seeds = &ROUNDS[1];
    let row_of_b = |row| matmul::row_of_b(&seeds.right, n as usize, row);
    let b: Vec<_> = (0..n).map(row_of_b).collect();
    let row = |row| matmul::plain::times(&matmul::row_of_a(&seeds.left, n as usize, row), &b);
    let expected: Vec<_> = ROWS.into_iter().map(row).collect();
    let leaves = card.multiply(seeds, LARGE_LOG_N, 3)?;
    let mut expected_leaves = ROWS.into_iter().zip(&expected);
    let same =
        expected_leaves.all(|(row, entries)| leaves[row as usize] == matmul::leaf(entries, row, 3));
    refuse_unless(same, "large products")?;
    refuse_unless(card.rows(seeds, LARGE_LOG_N, &ROWS)? == expected.concat(), "rows of products")
}

fn walks<D: Driver>(card: &mut Card<D>) -> Result<(), DeviceFault> {
    let memory = Memory {
        blocks: 31,
        mix: 8,
        log_walkers: 3,
        legs: 3,
        steps: 4,
        opened: 1,
        fill_ms: 0,
        walk_ms: 0,
        answer_ms: 0,
    };
    let walk = memory::walk_seed(&SEED, &SEED);
    card.fill(&SEED, &memory)?;
    let walked = |number| memory::walk(&SEED, &walk, &memory, number);
    let ends: Vec<_> = (0..8).flat_map(walked).collect();
    refuse_unless(card.walk(&walk, &memory)? == ends, "walks")
}

fn puzzles<D: Driver>(card: &mut Card<D>) -> Result<(), DeviceFault> {
    let asked = Puzzle { bits: 11, count: 3, limit_ms: 0 };
    let numbers = card.solve(&SEED, &asked)?;
    let same = (0..asked.count).all(|index| {
        puzzle::solve(&SEED, index, asked.bits, 0..1 << 20) == Some(numbers[usize::from(index)])
    });
    refuse_unless(same, "solutions of puzzles")
}
