//! The processor as a device: all its cores, and the memory of the machine.
//!
//! It is what a machine without a card proves, and what all cards are compared with.

mod memory;
mod product;
mod solve;
#[cfg(test)]
mod tests;
mod tile;

use std::num::NonZeroUsize;
use std::thread;

use proofs::matmul::Seeds;
use proofs::memory::End;
use proofs::{Device, DeviceFault, Matmul, Memory, Puzzle, Task};

use memory::{Filled, MIB};
use product::Right;

/// The processor.
#[derive(Debug)]
pub struct Processor {
    threads: usize,
    /// The right matrix that was needed last: it is that of all rounds of a task.
    right: Option<Right>,
    filled: Filled,
}

impl Default for Processor {
    fn default() -> Self {
        Self::new(thread::available_parallelism().unwrap_or(NonZeroUsize::MIN))
    }
}

impl Processor {
    /// So many threads of it.
    pub fn new(threads: NonZeroUsize) -> Self {
        Self { threads: threads.get(), right: None, filled: Filled::default() }
    }

    fn prepare_product(&mut self, matmul: &Matmul) -> Result<(), DeviceFault> {
        self.right = None;
        let needed = Right::bytes(matmul.n(), self.threads) as u64;
        match memory::free_bytes() {
            Some(free) if free < needed => {
                Err(DeviceFault::Memory { needed_mib: needed.div_ceil(MIB), free_mib: free / MIB })
            }
            Some(_) | None => {
                self.right(&[0; 32], matmul.log_n);
                Ok(())
            }
        }
    }

    fn right(&mut self, seed: &[u8; 32], log_n: u8) -> &Right {
        let right = Right::make(self.right.take(), seed, 1 << log_n, self.threads);
        self.right.insert(right)
    }
}

impl Device for Processor {
    fn name(&self) -> String {
        let told = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model = told.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
        format!("{}, {} threads", model.map_or("processor", |(_, name)| name), self.threads)
    }

    fn prepare(&mut self, tasks: &[Task]) -> Result<(), DeviceFault> {
        for task in tasks {
            match task {
                Task::Puzzle(_) => {}
                Task::Matmul(matmul) => self.prepare_product(matmul)?,
                Task::Memory(memory) => self.filled.prepare(memory)?,
            }
        }
        Ok(())
    }

    fn solve(&mut self, seed: &[u8; 32], puzzle: &Puzzle) -> Result<Vec<u64>, DeviceFault> {
        Ok(solve::solve(seed, puzzle, self.threads))
    }

    fn multiply(
        &mut self,
        seeds: &Seeds,
        log_n: u8,
        round: u16,
    ) -> Result<Vec<[u8; 32]>, DeviceFault> {
        Ok(self.right(&seeds.right, log_n).leaves(&seeds.left, round))
    }

    fn rows(&mut self, seeds: &Seeds, log_n: u8, rows: &[u32]) -> Result<Vec<i32>, DeviceFault> {
        Ok(self.right(&seeds.right, log_n).rows(&seeds.left, rows))
    }

    fn fill(&mut self, fill: &[u8; 32], memory: &Memory) -> Result<(), DeviceFault> {
        self.filled.fill(fill, memory)
    }

    fn walk(&mut self, walk: &[u8; 32], memory: &Memory) -> Result<Vec<End>, DeviceFault> {
        Ok(self.filled.walk(walk, memory))
    }
}
