//! Machines alike in model and free GPUs, in order of price.

use units::WorkerId;

use crate::block::{BLOCK_LENGTH, Block, Entry, Sieve, Summary, supplier_number};
use crate::tally::{Cell, Tally};

/// Two neighbors that together fill no more than this become one block, so that space is not lost to coming
/// and going. Half a block, so that the next insertion does not split it again.
const MERGE_LENGTH: usize = BLOCK_LENGTH / 2;

/// Where fewer than one in so many machines of a lane change their price, each is taken out and put in again;
/// otherwise the lane is gone through once, which costs a machine a hundredth of that.
const REPRICED_ONE_IN: usize = 16;
/// How full blocks are made when a lane is laid out anew, so that the next to come do not split each.
const LAID_OUT_LENGTH: usize = BLOCK_LENGTH * 3 / 4;

/// A machine's price in a lane, before and after.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Repriced {
    pub(crate) from: u64,
    pub(crate) worker: WorkerId,
    pub(crate) to: u64,
}

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
    tally: Tally,
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

    /// How many machines are alike.
    pub(crate) fn tally(&self) -> &Tally {
        &self.tally
    }

    /// The lowest price and the highest; a lane without machines has none.
    pub(crate) fn span(&self) -> Option<(u64, u64)> {
        let (first, last) = (self.firsts.first()?, self.blocks.last()?);
        Some((first.0, last.key(last.len() - 1).0))
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
        self.tally.add(Cell::of(entry), supplier_number(entry));
    }

    pub(crate) fn remove(&mut self, key: (u64, WorkerId)) {
        let at = self.block_of(key);
        let place = self.blocks[at].rank(key);
        assert!(
            place < self.blocks[at].len() && self.blocks[at].key(place) == key,
            "an open machine is in its lane"
        );
        self.tally.take(self.blocks[at].cell(place), self.blocks[at].supplier(place));
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

    /// Gives machines of the lane other prices, whatever becomes of their order.
    pub(crate) fn reprice(&mut self, mut changes: Vec<Repriced>) {
        if changes.len() < self.len() / REPRICED_ONE_IN {
            for Repriced { from, worker, to } in changes {
                let entry = Entry { unit: to, ..self.entry((from, worker)) };
                self.remove((from, worker));
                self.insert(&entry);
            }
            return;
        }
        // In the order in which the lane has them.
        changes.sort_unstable();
        if !self.reprice_in_place(&changes) {
            self.lay_out_anew();
        }
    }

    /// Writes the new prices where the machines are; says whether all are in order still. They are whenever machines of
    /// one price keep having one price, and dearer ones stay dearer.
    fn reprice_in_place(&mut self, changes: &[Repriced]) -> bool {
        let (mut changes, mut sorted, mut before) = (changes.iter().peekable(), true, None);
        for (block, first) in self.blocks.iter_mut().zip(&mut self.firsts) {
            for place in 0..block.len() {
                let (unit, worker) = block.key(place);
                let changes_here =
                    |change: &&Repriced| (change.from, change.worker) == (unit, worker);
                if let Some(change) = changes.next_if(changes_here) {
                    let [from, to] = block.set_unit(place, change.to);
                    if from != to {
                        self.tally.take(from, block.supplier(place));
                        self.tally.add(to, block.supplier(place));
                    }
                }
                let key = block.key(place);
                sorted &= before.is_none_or(|before| before < key);
                before = Some(key);
            }
            *first = block.key(0);
        }
        assert!(changes.next().is_none(), "an open machine is in its lane");
        sorted
    }

    /// Puts all machines in order, whatever order they are in.
    fn lay_out_anew(&mut self) {
        let in_block =
            |block: &Block| (0..block.len()).map(|place| block.entry(place, 0)).collect();
        let mut all: Vec<Entry> =
            self.blocks.iter().flat_map(|block| -> Vec<Entry> { in_block(block) }).collect();
        all.sort_unstable_by_key(|entry| (entry.unit, entry.worker));
        *self = Self { tally: std::mem::take(&mut self.tally), ..Self::default() };
        for chunk in all.chunks(LAID_OUT_LENGTH) {
            let (mut block, mut summary) = (Block::new(), Summary::default());
            chunk.iter().for_each(|entry| block.insert(entry, &mut summary));
            self.summary.widen(&summary);
            self.firsts.push(block.key(0));
            self.summaries.push(summary);
            self.blocks.push(Box::new(block));
        }
    }

    /// A machine of the lane; how many of its GPUs are free is the lane's to know.
    fn entry(&self, key: (u64, WorkerId)) -> Entry {
        let block = &self.blocks[self.block_of(key)];
        block.entry(block.rank(key), 0)
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use units::Resources;

    fn entry(unit: u64, number: u128) -> Entry {
        let vcpus = u32::try_from(number % 9).unwrap();
        Entry {
            unit,
            worker: WorkerId::from_bits(number),
            supplier: u64::try_from(number % 5).unwrap(),
            country: 1,
            tier: 2,
            certifications: 3,
            bond: crate::bond::Bond::default(),
            free: Resources { gpus: 0, vcpus, memory_mib: 64, disk_mib: unit },
        }
    }

    fn all(lane: &Lane) -> Vec<Entry> {
        let of = |block: &Block| (0..block.len()).map(|at| block.entry(at, 0)).collect::<Vec<_>>();
        lane.blocks.iter().flat_map(|block| of(block)).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(60))]

        /// By a function of the price, as prices move, or each machine by itself; a few, or all.
        #[test]
        fn a_lane_that_is_repriced_is_one_that_was_filled_at_those_prices(
            units in proptest::collection::vec(0_u64..6, 1..400),
            one_in in prop_oneof![Just(1_u64), Just(3), Just(40)],
            shift in any::<bool>(),
        ) {
            let (mut lane, mut expected, mut changes) = (Lane::default(), Vec::new(), Vec::new());
            for (number, from) in (0_u128..).zip(&units) {
                lane.insert(&entry(*from, number));
                let salt = u64::try_from(number * 7 % 11).unwrap();
                let changed = salt.is_multiple_of(one_in);
                let to = if shift { from + 2 } else { salt };
                let unit = if changed { to } else { *from };
                expected.push(Entry { unit, ..entry(*from, number) });
                if changed {
                    changes.push(Repriced { from: *from, worker: WorkerId::from_bits(number), to });
                }
            }
            expected.sort_by_key(|entry| (entry.unit, entry.worker));
            lane.reprice(changes);
            prop_assert_eq!(all(&lane), expected.clone());
            prop_assert_eq!(lane.len(), expected.len());
            for at in 0..lane.blocks_len() {
                let block = lane.block(at);
                prop_assert_eq!((lane.first(at), lane.summary(at).len), (block.key(0), block.len()));
            }
            // It goes on as any other.
            for entry in expected.iter().rev().step_by(2) {
                lane.remove((entry.unit, entry.worker));
                lane.insert(&Entry { unit: entry.unit + 1, ..*entry });
            }
            prop_assert!(all(&lane).is_sorted_by_key(|entry| (entry.unit, entry.worker)));
        }
    }
}
