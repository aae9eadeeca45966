//! Memory on a card: blocks in as many buffers as the driver's largest allocation demands, and the ends of walks.

use proofs::limits::BLOCK_BYTES;
use proofs::memory::LANES;
use proofs::prf::words;
use proofs::{DeviceFault, Memory};

use super::Cut;
use super::driver::{Arg, Driver, groups, mib};
use super::kernel::Kernel;

/// Buffers that kernels know: `PARTS` of `memory.c`.
const PARTS: usize = 8;
/// Blocks that one launch fills: a GiB.
const FILLED_MAX: u32 = 1 << 18;
/// Walkers of a group.
const GROUP: u32 = 2;

/// Buffers for one memory.
pub(crate) struct Spread<B> {
    blocks: u64,
    walkers: u32,
    legs: u32,
    /// Each part has 2^`log_part` blocks, the last perhaps fewer.
    log_part: u32,
    parts: Vec<B>,
    ends: B,
}

/// Bytes that a memory needs on a card.
pub(crate) fn bytes(memory: &Memory) -> u64 {
    memory.bytes() + ends_bytes(memory)
}

fn ends_bytes(memory: &Memory) -> u64 {
    (u64::from(memory.legs) * 4 * LANES as u64) << memory.log_walkers
}

impl<B> Spread<B> {
    /// Room for a memory and its walkers.
    pub(crate) fn new<D: Driver<Buffer = B>>(
        driver: &D,
        memory: &Memory,
        cut: Cut,
    ) -> Result<Self, DeviceFault> {
        let blocks = memory.blocks;
        let log_part = (cut.part_bytes_max / BLOCK_BYTES as u64).max(1).ilog2();
        if blocks > (PARTS as u64) << log_part {
            let free_mib = mib((PARTS * BLOCK_BYTES) as u64) << log_part;
            return Err(DeviceFault::Memory { needed_mib: mib(memory.bytes()), free_mib });
        }
        let part = 1_u64 << log_part;
        let sizes = (0..blocks.div_ceil(part)).map(|number| part.min(blocks - number * part));
        let parts = sizes.map(|size| driver.allocate(size * BLOCK_BYTES as u64));
        Ok(Self {
            blocks,
            walkers: 1 << memory.log_walkers,
            legs: memory.legs.into(),
            log_part,
            parts: parts.collect::<Result<_, _>>()?,
            ends: driver.allocate(ends_bytes(memory))?,
        })
    }

    /// Whether it is room for this memory.
    pub(crate) fn fits(&self, memory: &Memory) -> bool {
        let Self { blocks, walkers, legs, .. } = *self;
        (blocks, walkers, legs) == (memory.blocks, 1 << memory.log_walkers, memory.legs.into())
    }

    /// The arguments that say where blocks are. A part that does not exist is never looked at.
    fn parts(&self) -> Vec<Arg<'_, B>> {
        let part = |number: usize| self.parts.get(number).unwrap_or(&self.parts[0]);
        let mut args: Vec<_> = (0..PARTS).map(|number| Arg::Buffer(part(number))).collect();
        args.push(Arg::Word(self.log_part));
        args
    }

    /// Fills all blocks, and waits until they are.
    pub(crate) fn fill<D: Driver<Buffer = B>>(
        &self,
        driver: &D,
        fill: &[u8; 32],
        mix: u16,
    ) -> Result<(), DeviceFault> {
        for first in (0..self.blocks).step_by(FILLED_MAX as usize) {
            let left = self.blocks - first;
            let total = u32::try_from(left).unwrap_or(FILLED_MAX).min(FILLED_MAX);
            let mut args = self.parts();
            args.extend([Arg::Long(first), Arg::Word(total), Arg::Word(mix.into())]);
            args.push(Arg::Key(words(fill)));
            driver.launch(Kernel::Fill, groups(Kernel::Fill, total), &args)?;
        }
        driver.finish()
    }

    /// The ends of all legs of each walker.
    pub(crate) fn walk<D: Driver<Buffer = B>>(
        &self,
        driver: &D,
        walk: &[u8; 32],
        steps: u32,
    ) -> Result<Vec<[u32; 32]>, DeviceFault> {
        for leg in 0..self.legs {
            let mut args = self.parts();
            args.extend([Arg::Long(self.blocks), Arg::Buffer(&self.ends), Arg::Word(self.walkers)]);
            args.extend([Arg::Word(leg), Arg::Word(self.legs), Arg::Word(steps)]);
            args.push(Arg::Key(words(walk)));
            driver.launch(Kernel::Walk, [self.walkers.div_ceil(GROUP), 1], &args)?;
        }
        let mut ends = vec![0; self.walkers as usize * self.legs as usize * LANES];
        driver.read(&self.ends, &mut ends)?;
        Ok(ends.as_chunks::<LANES>().0.to_vec())
    }
}
