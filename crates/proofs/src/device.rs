//! A card, or a processor, as a prover uses it.

use crate::matmul::Seeds;
use crate::task::{Memory, Puzzle, Task};

/// Why a card did not compute.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeviceFault {
    /// There is too little free memory on it.
    #[error("{needed_mib} MiB are needed on the card, and {free_mib} MiB are free")]
    Memory {
        /// What the task needs.
        needed_mib: u64,
        /// What there is.
        free_mib: u64,
    },
    /// Its driver said no.
    #[error("the driver of the card refused: {0}")]
    Driver(String),
    /// It cannot compute where it was asked to.
    #[error("{0}")]
    Place(String),
}

/// What computes for a prover. All devices give the same bytes.
pub trait Device {
    /// What it is, as its driver says.
    fn name(&self) -> String;

    /// Makes ready for tasks: allocates, compiles. Not timed.
    ///
    /// # Errors
    /// If the card cannot do them.
    fn prepare(&mut self, tasks: &[Task]) -> Result<(), DeviceFault>;

    /// Solves puzzles: a number for each.
    ///
    /// # Errors
    /// If the card fails.
    fn solve(&mut self, seed: &[u8; 32], puzzle: &Puzzle) -> Result<Vec<u64>, DeviceFault>;

    /// Multiplies the matrices of a round: the leaves, one for each row of the product, in order. The right one is that
    /// of all rounds of a task: who keeps it makes it once.
    ///
    /// # Errors
    /// If the card fails.
    fn multiply(
        &mut self,
        seeds: &Seeds,
        log_n: u8,
        round: u16,
    ) -> Result<Vec<[u8; 32]>, DeviceFault>;

    /// Rows of a round's product, one after another, `n` entries each.
    ///
    /// # Errors
    /// If the card fails.
    fn rows(&mut self, seeds: &Seeds, log_n: u8, rows: &[u32]) -> Result<Vec<i32>, DeviceFault>;

    /// Fills the memory.
    ///
    /// # Errors
    /// If the card fails.
    fn fill(&mut self, fill: &[u8; 32], memory: &Memory) -> Result<(), DeviceFault>;

    /// Walks through what was filled last: the ends of the legs of each walker, `legs` for each, one walker after
    /// another.
    ///
    /// # Errors
    /// If the card fails.
    fn walk(&mut self, walk: &[u8; 32], memory: &Memory) -> Result<Vec<[u32; 32]>, DeviceFault>;
}
