//! Memory that is filled once and walked through: blocks that are dear to make and cheap to read.
//!
//! This file is the reference, written to be read: a block, a step, a walk. [`Walks`] is what a verifier does with
//! opened walks; it makes the blocks of several walkers side by side ([`ends`]) and gives what the reference gives.
//!
//! # Invariants
//! - A block depends on nothing but its key, its number, and `mix`; whoever did not keep it has to mix it again.
//! - Where a walker steps next depends on every word it read and on every word of its state.
//! - A step in a given block loses nothing: different states stay different.

mod check;
mod lanes;

use crate::prf::{CONSTANTS, Stream, derive, label, permute, words};
use crate::task::Memory;

pub use check::{Walks, Wrong};
pub use lanes::{Maker, advance, ends, stations, stroll};

/// Words of a block, and of a walker's state.
pub const WORDS: usize = 1024;
/// Lanes of a walker: it reads its block in lines of so many words.
pub const LANES: usize = 32;
/// Words of a cell, the unit that is mixed.
pub const CELL_WORDS: usize = 16;

/// A block of memory.
pub type Block = [u32; WORDS];
/// The last line of a walker's state, by which its walk is told.
pub type End = [u32; LANES];

/// The factor between words that are read: odd, so that nothing is lost.
const READ_FACTOR: u32 = 0x9E37_79B1;
/// The factor between lanes: odd as well.
const MIX_FACTOR: u32 = 0x85EB_CA6B;

/// What the seed of the blocks is derived for.
pub const SEED: &str = "iog proof 1 fill";

/// The seed of the walkers: from the nonce of Walk and the seed of the blocks.
pub fn walk_seed(nonce: &[u8; 32], fill: &[u8; 32]) -> [u8; 32] {
    derive("iog proof 1 walk", &[nonce, fill])
}

/// What the first cell of a block is mixed from.
fn first(fill: &[u8; 32], number: u64) -> [u32; CELL_WORDS] {
    let mut cell = [0; CELL_WORDS];
    cell[..4].copy_from_slice(&CONSTANTS);
    cell[4..12].copy_from_slice(&words(fill));
    (cell[12], cell[13]) = halves(number);
    cell[15] = label(*b"FILL");
    cell
}

#[expect(clippy::cast_possible_truncation, reason = "it is split into its halves")]
fn halves(number: u64) -> (u32, u32) {
    (number as u32, (number >> 32) as u32)
}

/// A block, one cell after another.
pub fn block(fill: &[u8; 32], mix: u16, number: u64) -> Block {
    let mut block = [0; WORDS];
    let mut cell = first(fill, number);
    for to in block.as_chunks_mut::<CELL_WORDS>().0 {
        cell = permute(&cell, mix);
        *to = cell;
    }
    block
}

/// Who walks: a state as wide as a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Walker {
    state: Block,
}

impl Walker {
    /// A walker before its first step.
    pub fn new(walk: &[u8; 32], number: u32) -> Self {
        let mut state = [0; WORDS];
        for (lane, at) in (0_u32..).zip(0..LANES) {
            let mut stream = Stream::new(walk, [number, lane, label(*b"WALK")]);
            for line in state.as_chunks_mut::<LANES>().0 {
                line[at] = stream.next_u32();
            }
        }
        Self { state }
    }

    /// A walker on its way: one with this state.
    pub fn of_state(state: Block) -> Self {
        Self { state }
    }

    /// Its state.
    pub fn state(&self) -> &Block {
        &self.state
    }

    /// The block it reads next.
    pub fn place(&self, blocks: u64) -> u64 {
        let [low, high, ..] = self.end();
        ((u64::from(high) << 32) | u64::from(low)) % blocks
    }

    /// Reads the block where it is: the words it meets, then its lanes among themselves.
    pub fn step(&mut self, block: &Block) {
        let mut line = self.end();
        let [down, right] = [line[2], line[3]].map(|word| (word >> 27) as usize);
        let (lines, read) = (self.state.as_chunks_mut::<LANES>().0, block.as_chunks::<LANES>().0);
        for (number, state) in lines.iter_mut().enumerate() {
            let read = &read[(number + down) % LANES];
            for (lane, (a, state)) in line.iter_mut().zip(state).enumerate() {
                let met = *a ^ *state ^ read[(lane + right) % LANES];
                *a = met.wrapping_mul(READ_FACTOR).rotate_left(15);
                *state = *a;
            }
        }
        for distance in [1, 2, 4, 8, 16] {
            line = std::array::from_fn(|lane| {
                let other = line[lane ^ distance];
                let mixed = line[lane] ^ other.rotate_left(11) ^ other.rotate_left(24);
                mixed.wrapping_mul(MIX_FACTOR)
            });
        }
        self.state[WORDS - LANES..].copy_from_slice(&line);
    }

    /// The last line of its state.
    pub fn end(&self) -> End {
        *self.state.last_chunk().expect("a state has lines")
    }
}

/// One leg of a walk: who walks it, and from where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leg {
    /// The walker.
    pub walker: u32,
    /// What the state at its beginning is made of.
    pub key: [u8; 32],
}

/// What the state after a leg is made of: the first eight words of its end.
pub fn key_after(end: &End) -> [u8; 32] {
    let mut key = [0; 32];
    for (bytes, word) in key.as_chunks_mut::<4>().0.iter_mut().zip(end) {
        *bytes = word.to_le_bytes();
    }
    key
}

/// A whole walk, every block made anew: the ends of its legs.
pub fn walk(fill: &[u8; 32], walk: &[u8; 32], memory: &Memory, number: u32) -> Vec<End> {
    let mut key = *walk;
    let mut ends = Vec::with_capacity(memory.legs.into());
    for _ in 0..memory.legs {
        let end = leg(fill, memory, Leg { walker: number, key });
        key = key_after(&end);
        ends.push(end);
    }
    ends
}

/// One leg, every block made anew: where it ends.
pub fn leg(fill: &[u8; 32], memory: &Memory, leg: Leg) -> End {
    let mut walker = Walker::new(&leg.key, leg.walker);
    for _ in 0..memory.steps {
        walker.step(&block(fill, memory.mix, walker.place(memory.blocks)));
    }
    walker.end()
}

/// The leg that is asked of a walker whose legs end there, and where it has to end.
pub fn asked_of(
    memory: &Memory,
    selection: &[u8; 32],
    walk: &[u8; 32],
    (walker, ends): (u32, &[End]),
) -> (Leg, End) {
    let number = asked_leg(memory, selection, walker);
    let before = number.checked_sub(1).and_then(|before| ends.get(before));
    let key = before.map_or(*walk, key_after);
    (Leg { walker, key }, ends.get(number).copied().unwrap_or([0; LANES]))
}

/// Writes what opens a walk: the ends of its legs, the nodes from its leaf to the root, and the states on the way
/// through the leg that is asked for.
pub fn open(ends: &[End], path: &[[u8; 32]], stations: &[Block], to: &mut Vec<u8>) {
    to.extend(ends.as_flattened().iter().flat_map(|word| word.to_le_bytes()));
    to.extend(path.as_flattened());
    to.extend(stations.as_flattened().iter().flat_map(|word| word.to_le_bytes()));
}

/// The leaf of a walker in the tree that is committed to.
pub fn leaf(ends: &[End], number: u32) -> [u8; 32] {
    let mut hash = blake3::Hasher::new();
    for word in ends.as_flattened() {
        hash.update(&word.to_le_bytes());
    }
    hash.update(&number.to_le_bytes());
    *hash.finalize().as_bytes()
}

/// The leg of an opened walker that is walked again.
pub fn asked_leg(memory: &Memory, selection: &[u8; 32], walker: u32) -> usize {
    let drawn = Stream::new(selection, [walker, 0, label(*b"LEGS")]).next_u32();
    let scaled = (u64::from(drawn) * u64::from(memory.legs)) >> 32;
    usize::try_from(scaled).expect("walks have at most 256 legs")
}

/// The walkers that are opened.
pub fn asked(memory: &Memory, selection: &[u8; 32]) -> Vec<u32> {
    let walkers = 1_u32 << memory.log_walkers;
    Stream::new(selection, [0, 0, label(*b"WLKR")]).draw(memory.opened.into(), walkers)
}

#[cfg(test)]
mod tests;
