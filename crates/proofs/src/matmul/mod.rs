//! Exact products in a chain: what is multiplied, what is opened, and how a row is checked in linear time.
//!
//! All rounds of a task multiply by one matrix from the right, and each has a left one of its own, which nobody knows
//! before the product of the round before is committed to. So a verifier makes and sums one matrix for a task, however
//! many rounds it opens.
//!
//! # Invariants
//! - Everything here is whole numbers: there is no tolerance in which a wrong product could hide.
//! - Which rows are opened is the verifier's alone; what was not asked for has no place in an opening.

mod field;
pub mod plain;
mod products;
mod rows;
mod sums;

#[cfg(test)]
mod tests;

pub use products::{Products, Round, Wrong, secret};
pub use rows::Rows;

use crate::prf::{Stream, derive, label};
use crate::task::Matmul;

const ROW_OF_A: u32 = label(*b"ROWA");
const ROW_OF_B: u32 = label(*b"ROWB");
const ROUNDS: u32 = label(*b"RNDS");
const ROWS: u32 = label(*b"ROWS");

/// What the seed of the first round is derived for.
pub const SEED: &str = "iog proof 1 matmul";

/// What the two matrices of a round follow from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Seeds {
    /// Of the left one, which is the round's own.
    pub left: [u8; 32],
    /// Of the right one, which all rounds of a task share.
    pub right: [u8; 32],
}

impl Seeds {
    /// Those of a task's first round: both are its seed.
    pub fn first(seed: [u8; 32]) -> Self {
        Self { left: seed, right: seed }
    }

    /// Those of the round after one with these seeds and this root.
    #[must_use]
    pub fn next(&self, root: &[u8; 32]) -> Self {
        Self { left: next_seed(&self.left, root), ..*self }
    }
}

/// The seed of the round after one with this seed and root: nobody knows it before the product is there.
pub fn next_seed(seed: &[u8; 32], root: &[u8; 32]) -> [u8; 32] {
    derive("iog proof 1 round", &[seed, root])
}

/// A row of the left matrix of a round, `n` entries.
pub fn row_of_a(seed: &[u8; 32], n: usize, row: u32) -> Vec<i8> {
    entries(seed, [row, 0, ROW_OF_A], n)
}

/// A row of the right matrix of a task.
pub fn row_of_b(seed: &[u8; 32], n: usize, row: u32) -> Vec<i8> {
    entries(seed, [row, 0, ROW_OF_B], n)
}

fn entries(seed: &[u8; 32], nonce: [u32; 3], n: usize) -> Vec<i8> {
    let mut bytes = vec![0; n];
    Stream::new(seed, nonce).fill(&mut bytes);
    bytes.into_iter().map(u8::cast_signed).collect()
}

/// The leaf of a row of the product.
pub fn leaf(row: &[i32], index: u32, round: u16) -> [u8; 32] {
    leaf_of_bytes(&bytes_of(row), index, round)
}

/// The leaf of a row that is written as its bytes.
pub fn leaf_of_bytes(row: &[u8], index: u32, round: u16) -> [u8; 32] {
    let mut hash = blake3::Hasher::new();
    hash.update(row).update(&index.to_le_bytes()).update(&u32::from(round).to_le_bytes());
    *hash.finalize().as_bytes()
}

/// What is opened: rounds, and the rows of each, in order.
pub fn asked(task: &Matmul, selection: &[u8; 32]) -> Vec<(u16, Vec<u32>)> {
    let draw = |nonce, count, of| Stream::new(selection, nonce).draw(count, of);
    let rounds = draw([0, 0, ROUNDS], task.checked.into(), task.rounds.into());
    let rows = |round| draw([round, 0, ROWS], task.rows.into(), 1 << task.log_n);
    let narrow = |round| u16::try_from(round).expect("there are less than 2^16 rounds");
    rounds.into_iter().map(|round| (narrow(round), rows(round))).collect()
}

/// Writes what opens a row: its entries, then the nodes from its leaf to the root.
pub fn open(row: &[i32], path: &[[u8; 32]], to: &mut Vec<u8>) {
    to.extend(bytes_of(row));
    to.extend(path.as_flattened());
}

fn bytes_of(row: &[i32]) -> Vec<u8> {
    let mut bytes = vec![0; 4 * row.len()];
    for (to, entry) in bytes.as_chunks_mut::<4>().0.iter_mut().zip(row) {
        *to = entry.to_le_bytes();
    }
    bytes
}
