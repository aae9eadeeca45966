//! Blocks made side by side: one in each lane of a vector, so that a verifier walks several walks at the price of one.
//!
//! The same words as [`super::block`] and [`super::walk`] give; only the order of the work differs.

use pulp::{Arch, Simd, WithSimd};

use super::{Block, CELL_WORDS, End, LANES, Leg, MIX_FACTOR, READ_FACTOR, WORDS, Walker, first};
use crate::task::Memory;

/// Walkers that go together: as many as the widest vector has lanes; their blocks and states stay in a core's cache.
pub(super) const TOGETHER: usize = 16;

/// Lanes where vectors are narrower.
const NARROW: usize = 8;

/// Makes the blocks of a memory, several at once.
#[derive(Clone, Copy, Debug)]
pub struct Maker<'a> {
    fill: &'a [u8; 32],
    mix: u16,
    arch: Arch,
}

impl<'a> Maker<'a> {
    /// One for blocks of this seed and mixing.
    pub fn new(fill: &'a [u8; 32], mix: u16) -> Self {
        Self { fill, mix, arch: Arch::new() }
    }

    /// The blocks of these numbers, one for each of `to`.
    pub fn make(&self, numbers: &[u64], to: &mut [Block]) {
        self.arch.dispatch(Make { maker: self, numbers, to });
    }
}

/// A line of a cell in every lane.
type Row<const N: usize> = [u32; N];

struct Make<'a> {
    maker: &'a Maker<'a>,
    numbers: &'a [u64],
    to: &'a mut [Block],
}

impl WithSimd for Make<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        if S::U32_LANES >= TOGETHER { self.lanes::<TOGETHER>() } else { self.lanes::<NARROW>() }
    }
}

impl Make<'_> {
    #[inline(always)]
    fn lanes<const N: usize>(self) {
        for (numbers, to) in self.numbers.chunks(N).zip(self.to.chunks_mut(N)) {
            let mut cell = [[0; N]; CELL_WORDS];
            for (lane, number) in numbers.iter().enumerate() {
                let words = first(self.maker.fill, *number);
                for (row, word) in cell.iter_mut().zip(words) {
                    row[lane] = word;
                }
            }
            for at in (0..WORDS).step_by(CELL_WORDS) {
                permute(&mut cell, self.maker.mix);
                for (lane, block) in to.iter_mut().enumerate() {
                    for (word, row) in block[at..at + CELL_WORDS].iter_mut().zip(&cell) {
                        *word = row[lane];
                    }
                }
            }
        }
    }
}

#[inline(always)]
fn permute<const N: usize>(cell: &mut [Row<N>; CELL_WORDS], rounds: u16) {
    let mut x = *cell;
    for _ in 0..rounds / 2 {
        quarters(&mut x, [(0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15)]);
        quarters(&mut x, [(0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14)]);
    }
    for (row, x) in cell.iter_mut().zip(x) {
        *row = add(*row, x);
    }
}

type Quarter = (usize, usize, usize, usize);

/// Four quarter rounds in step: they do not wait for each other.
#[inline(always)]
fn quarters<const N: usize>(x: &mut [Row<N>; CELL_WORDS], four: [Quarter; 4]) {
    for (a, b, _, d) in four {
        x[a] = add(x[a], x[b]);
        x[d] = turned::<N, 16>(x[d], x[a]);
    }
    for (_, b, c, d) in four {
        x[c] = add(x[c], x[d]);
        x[b] = turned::<N, 12>(x[b], x[c]);
    }
    for (a, b, _, d) in four {
        x[a] = add(x[a], x[b]);
        x[d] = turned::<N, 8>(x[d], x[a]);
    }
    for (_, b, c, d) in four {
        x[c] = add(x[c], x[d]);
        x[b] = turned::<N, 7>(x[b], x[c]);
    }
}

// Loops over places, not iterators or closures: those are calls until something inlines them, and a call from here
// loses the vectors of the caller.
#[inline(always)]
fn add<const N: usize>(mut left: Row<N>, right: Row<N>) -> Row<N> {
    let mut lane = 0;
    while lane < N {
        left[lane] = left[lane].wrapping_add(right[lane]);
        lane += 1;
    }
    left
}

#[inline(always)]
fn turned<const N: usize, const BITS: u32>(mut left: Row<N>, right: Row<N>) -> Row<N> {
    let mut lane = 0;
    while lane < N {
        left[lane] = (left[lane] ^ right[lane]).rotate_left(BITS);
        lane += 1;
    }
    left
}

/// A step of each walker that has some left, in the block that was made for it.
struct Steps<'a> {
    walks: &'a mut [(Walker, u32)],
    blocks: &'a [Block],
}

impl WithSimd for Steps<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        for ((walker, left), block) in self.walks.iter_mut().zip(self.blocks) {
            if *left > 0 {
                step(&mut walker.state, block);
                *left -= 1;
            }
        }
    }
}

/// Steps of one walker through a memory that is there.
struct Stroll<'a> {
    walker: &'a mut Walker,
    blocks: &'a [Block],
    steps: u32,
}

impl WithSimd for Stroll<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        for _ in 0..self.steps {
            let place = usize::try_from(self.walker.place(self.blocks.len() as u64));
            let Some(block) = place.ok().and_then(|place| self.blocks.get(place)) else { return };
            step(&mut self.walker.state, block);
        }
    }
}

/// Walks through blocks that are there, all of a memory: what a prover without a card does.
pub fn stroll(walker: &mut Walker, blocks: &[Block], steps: u32) {
    if !blocks.is_empty() {
        Arch::new().dispatch(Stroll { walker, blocks, steps });
    }
}

/// [`Walker::step`], with the lanes of one walker side by side.
#[inline(always)]
fn step(state: &mut Block, block: &Block) {
    let (lines, read) = (state.as_chunks_mut::<LANES>().0, block.as_chunks::<LANES>().0);
    let mut line = lines[LANES - 1];
    let [down, right] = [(line[2] >> 27) as usize, (line[3] >> 27) as usize];
    // A line twice: wherever it begins, its words lie one after another.
    let mut twice = [0; 2 * LANES];
    let mut number = 0;
    while number < LANES {
        let met = &read[(number + down) % LANES];
        twice[..LANES].copy_from_slice(met);
        twice[LANES..].copy_from_slice(met);
        let met: &[u32; LANES] =
            twice[right..].first_chunk().expect("a line from any of its words");
        let state = &mut lines[number];
        let mut lane = 0;
        while lane < LANES {
            let word = (line[lane] ^ state[lane] ^ met[lane]).wrapping_mul(READ_FACTOR);
            line[lane] = word.rotate_left(15);
            state[lane] = line[lane];
            lane += 1;
        }
        number += 1;
    }
    line = mixed::<1>(line);
    line = mixed::<2>(line);
    line = mixed::<4>(line);
    line = mixed::<8>(line);
    lines[LANES - 1] = mixed::<16>(line);
}

#[inline(always)]
fn mixed<const DISTANCE: usize>(line: End) -> End {
    let mut mixed = line;
    let mut lane = 0;
    while lane < LANES {
        let other = line[lane ^ DISTANCE];
        let word = mixed[lane] ^ other.rotate_left(11) ^ other.rotate_left(24);
        mixed[lane] = word.wrapping_mul(MIX_FACTOR);
        lane += 1;
    }
    mixed
}

/// Lets each of these walkers go so many steps, every block made anew.
pub fn advance(fill: &[u8; 32], memory: &Memory, walks: &mut [(Walker, u32)]) {
    let maker = Maker::new(fill, memory.mix);
    let mut blocks = vec![[0; WORDS]; TOGETHER];
    for walks in walks.chunks_mut(TOGETHER) {
        // Who is there already takes part in no further step; in a task of one length, none is before the last.
        while walks.iter().any(|(_, left)| *left > 0) {
            let blocks = &mut blocks[..walks.len()];
            let places = walks.iter().map(|(walker, _)| walker.place(memory.blocks));
            let places: Vec<_> = places.collect();
            maker.make(&places, blocks);
            maker.arch.dispatch(Steps { walks, blocks });
        }
    }
}

/// The states on the way through these legs, of each as many as are told with it.
pub fn stations(fill: &[u8; 32], memory: &Memory, legs: &[Leg]) -> Vec<Vec<Block>> {
    let mut walks: Vec<_> = legs.iter().map(|leg| (Walker::new(&leg.key, leg.walker), 0)).collect();
    let mut stations = vec![Vec::new(); legs.len()];
    for _ in 0..memory.stations() {
        walks.iter_mut().for_each(|(_, left)| *left = memory.part_steps());
        advance(fill, memory, &mut walks);
        for ((walker, _), stations) in walks.iter().zip(&mut stations) {
            stations.push(*walker.state());
        }
    }
    stations
}

/// Where these legs end, every block made anew.
pub fn ends(fill: &[u8; 32], memory: &Memory, legs: &[Leg]) -> Vec<End> {
    let begin = |leg: &Leg| (Walker::new(&leg.key, leg.walker), memory.steps);
    let mut walks: Vec<_> = legs.iter().map(begin).collect();
    advance(fill, memory, &mut walks);
    walks.iter().map(|(walker, _)| walker.end()).collect()
}
