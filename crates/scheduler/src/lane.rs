//! Machines alike in model and free GPUs, in order of price.

use units::WorkerId;

use crate::block::{BLOCK_LENGTH, Block, Entry, Sieve, Summary};

/// Two neighbors that together fill no more than this become one block, so that space is not lost to coming
/// and going. Half a block, so that the next insertion does not split it again.
const MERGE_LENGTH: usize = BLOCK_LENGTH / 2;

/// Machines in order of price, and of worker where the price is the same.
///
/// Invariants: no block is empty; `firsts` and `summaries` have an element for each block; a summary promises at
/// least what its block holds.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lane {
    firsts: Vec<(u64, WorkerId)>,
    summaries: Vec<Summary>,
    #[expect(clippy::vec_box, reason = "a new block moves pointers, not kilobytes")]
    blocks: Vec<Box<Block>>,
    /// Of all blocks.
    summary: Summary,
    /// Removals since `summary` was made.
    removals: usize,
}

impl Lane {
    pub(crate) fn len(&self) -> usize {
        self.summary.len
    }

    pub(crate) fn blocks_len(&self) -> usize {
        self.blocks.len()
    }

    pub(crate) fn block(&self, at: usize) -> &Block {
        &self.blocks[at]
    }

    pub(crate) fn summary(&self, at: usize) -> &Summary {
        &self.summaries[at]
    }

    /// The summary of all blocks.
    pub(crate) fn summary_of_all(&self) -> &Summary {
        &self.summary
    }

    /// The price and the worker with which a block begins.
    pub(crate) fn first(&self, at: usize) -> (u64, WorkerId) {
        self.firsts[at]
    }

    /// The machines of a block whose price is at most `unit_max`: a prefix. Where the whole block is on one side,
    /// it is not read.
    pub(crate) fn priced(&self, at: usize, unit_max: u64) -> u64 {
        if self.firsts[at].0 > unit_max {
            0
        } else if self.firsts.get(at + 1).is_some_and(|next| next.0 <= unit_max) {
            self.summaries[at].all()
        } else {
            self.blocks[at].priced(unit_max)
        }
    }

    /// The machines of a block that pass every test.
    pub(crate) fn passing(&self, at: usize, sieve: &Sieve) -> u64 {
        match self.priced(at, sieve.unit_max) {
            0 => 0,
            priced => priced & self.blocks[at].passing(sieve, &self.summaries[at]),
        }
    }

    /// The block in which `key` is, if it is anywhere.
    pub(crate) fn block_of(&self, key: (u64, WorkerId)) -> usize {
        self.firsts.partition_point(|first| *first <= key).saturating_sub(1)
    }

    pub(crate) fn insert(&mut self, entry: &Entry) {
        let key = (entry.unit, entry.worker);
        if self.blocks.is_empty() {
            self.push_block(0, Block::new(), key);
        }
        let mut at = self.block_of(key);
        if self.blocks[at].len() == BLOCK_LENGTH {
            let upper = self.blocks[at].split();
            self.summaries[at] = self.blocks[at].summary();
            let first = upper.key(0);
            self.push_block(at + 1, upper, first);
            at = self.block_of(key);
        }
        self.blocks[at].insert(entry, &mut self.summaries[at]);
        self.firsts[at] = self.blocks[at].key(0);
        self.summary.add(entry);
    }

    pub(crate) fn remove(&mut self, key: (u64, WorkerId)) {
        let at = self.block_of(key);
        let place = self.blocks[at].rank(key);
        assert!(
            place < self.blocks[at].len() && self.blocks[at].key(place) == key,
            "an open machine is in its lane"
        );
        self.blocks[at].remove(place, &mut self.summaries[at]);
        self.summary.len -= 1;
        if self.blocks[at].len() == 0 {
            self.drop_block(at);
        } else {
            self.firsts[at] = self.blocks[at].key(0);
            self.merge_with_next(at);
        }
        self.removals += 1;
        if self.removals >= self.blocks.len() {
            self.summary = Summary::default();
            self.summaries.iter().for_each(|summary| self.summary.widen(summary));
            self.removals = 0;
        }
    }

    fn merge_with_next(&mut self, at: usize) {
        let next = at + 1;
        if next >= self.blocks.len()
            || self.blocks[at].len() + self.blocks[next].len() > MERGE_LENGTH
        {
            return;
        }
        for place in 0..self.blocks[next].len() {
            let entry = self.blocks[next].entry(place, 0);
            self.blocks[at].insert(&entry, &mut self.summaries[at]);
        }
        self.drop_block(next);
    }

    fn push_block(&mut self, at: usize, block: Block, first: (u64, WorkerId)) {
        self.firsts.insert(at, first);
        self.summaries.insert(at, block.summary());
        self.blocks.insert(at, Box::new(block));
    }

    fn drop_block(&mut self, at: usize) {
        self.firsts.remove(at);
        self.summaries.remove(at);
        self.blocks.remove(at);
    }
}
