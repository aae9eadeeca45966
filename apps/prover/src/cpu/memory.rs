//! Memory on the processor: filled by all cores, and walked through by all cores.
//!
//! Blocks are kept where the machine keeps its data, so this proves host memory and its speed, not a card's.

use std::thread;

use proofs::memory::{Block, End, LANES, Maker, WORDS, Walker, key_after, stroll};
use proofs::{DeviceFault, Memory};

/// Blocks that a core makes at once: a multiple of the lanes of its vectors.
const TOGETHER: usize = 64;

pub(super) const MIB: u64 = 1 << 20;

/// Blocks that are filled, and kept until the next fill.
#[derive(Debug, Default)]
pub(super) struct Filled {
    blocks: Vec<Block>,
}

impl Filled {
    /// Makes room for the blocks of a memory.
    ///
    /// # Errors
    /// If less is free.
    pub(super) fn prepare(&mut self, memory: &Memory) -> Result<(), DeviceFault> {
        let too_large = |free: u64| DeviceFault::Memory {
            needed_mib: memory.bytes().div_ceil(MIB),
            free_mib: free / MIB,
        };
        let count = usize::try_from(memory.blocks).map_err(|_| too_large(0))?;
        if count != self.blocks.len() {
            self.blocks = Vec::new();
            if let Some(free) = free_bytes().filter(|free| *free < memory.bytes()) {
                return Err(too_large(free));
            }
            self.blocks.try_reserve_exact(count).map_err(|_| too_large(0))?;
            self.blocks.resize(count, [0; WORDS]);
        }
        Ok(())
    }

    /// Makes all blocks of a memory.
    ///
    /// # Errors
    /// If there is no room for them.
    pub(super) fn fill(&mut self, fill: &[u8; 32], memory: &Memory) -> Result<(), DeviceFault> {
        self.prepare(memory)?;
        let share = self.blocks.len().div_ceil(cores()).max(1);
        thread::scope(|scope| {
            for (first, blocks) in (0..).step_by(share).zip(self.blocks.chunks_mut(share)) {
                scope.spawn(move || make(Maker::new(fill, memory.mix), first, blocks));
            }
        });
        Ok(())
    }

    /// The ends of the legs of each walker, one walker after another.
    pub(super) fn walk(&self, walk: &[u8; 32], memory: &Memory) -> Vec<End> {
        let legs = usize::from(memory.legs);
        let mut ends = vec![[0; LANES]; memory.walkers() * legs];
        let share = memory.walkers().div_ceil(cores()).max(1);
        thread::scope(|scope| {
            for (first, ends) in (0..).step_by(share).zip(ends.chunks_mut(share * legs)) {
                scope.spawn(move || {
                    for (number, ends) in (first..).zip(ends.chunks_mut(legs)) {
                        self.walk_one(*walk, memory, number, ends);
                    }
                });
            }
        });
        ends
    }

    fn walk_one(&self, mut key: [u8; 32], memory: &Memory, number: u32, ends: &mut [End]) {
        for end in ends {
            let mut walker = Walker::new(&key, number);
            stroll(&mut walker, &self.blocks, memory.steps);
            *end = walker.end();
            key = key_after(end);
        }
    }
}

fn make(maker: Maker<'_>, first: u64, blocks: &mut [Block]) {
    for (first, blocks) in (first..).step_by(TOGETHER).zip(blocks.chunks_mut(TOGETHER)) {
        let numbers: Vec<u64> = (first..).take(blocks.len()).collect();
        maker.make(&numbers, blocks);
    }
}

fn cores() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

/// Memory that the machine can still give, as Linux counts it; `None` where it cannot be asked.
pub(super) fn free_bytes() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    line.trim().strip_suffix(" kB")?.parse::<u64>().ok()?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proofs::memory::walk;

    fn memory(blocks: u64) -> Memory {
        let (fill_ms, walk_ms, answer_ms) = (1, 1, 1);
        let (mix, log_walkers, legs, steps, opened) = (8, 3, 2, 5, 1);
        Memory { blocks, mix, log_walkers, legs, steps, opened, fill_ms, walk_ms, answer_ms }
    }

    #[test]
    fn walkers_end_where_the_reference_says() {
        let mut filled = Filled::default();
        for blocks in [1, 2, 65, 130, 64] {
            let memory = memory(blocks);
            filled.fill(&[1; 32], &memory).unwrap();
            let ends = filled.walk(&[2; 32], &memory);
            for (number, ends) in (0..).zip(ends.chunks(2)) {
                assert_eq!(ends, walk(&[1; 32], &[2; 32], &memory, number), "walker {number}");
            }
        }
    }

    #[test]
    fn more_memory_than_there_is_is_refused() {
        let mut filled = Filled::default();
        let refused = filled.prepare(&memory(1 << 28));
        assert!(matches!(refused, Err(DeviceFault::Memory { needed_mib: 1_048_576, .. })));
    }
}
