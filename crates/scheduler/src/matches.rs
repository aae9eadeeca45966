//! Machines that serve an order, best first, from lanes that are each in order of price.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};

use units::{Credits, WorkerId};

use crate::block::{Block, Entry, Sieve};
use crate::column::first_places;
use crate::lane::Lane;
use crate::lanes::LaneKey;
use crate::matcher::{Cursor, Fit};
use crate::question::Question;

/// Blocks of one lane that are looked at before the others get their turn: few enough to waste little on a lane
/// that is too dear, many enough that taking turns costs little.
const BLOCKS_PER_TURN: usize = 16;

/// By what matches are ordered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ranking {
    /// By [`Fit`], as places are given out.
    Fit,
    /// By price and worker only, as pages are turned.
    Price,
}

/// Where a lane's walk has come to. Its rank is never better than that of any match still to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Step {
    rank: Fit,
    lane: usize,
    block: usize,
    /// The matches of the block that are still to come; `None` when it was not looked at.
    left: Option<u64>,
}

/// A machine that serves an order.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Match<'a> {
    pub(crate) fit: Fit,
    key: LaneKey,
    block: &'a Block,
    place: usize,
}

impl Match<'_> {
    /// The machine as its lane stores it.
    pub(crate) fn entry(&self) -> Entry {
        self.block.entry(self.place, self.key.free_gpus)
    }
}

/// An iterator over the matches of an order, best first.
///
/// Each lane is walked block by block; a heap keeps the walks in order of the best they may still find, so a
/// lane is walked no further than its price requires.
#[derive(Debug)]
pub(crate) struct Matches<'a> {
    lanes: Vec<(LaneKey, &'a Lane)>,
    sieve: &'a Sieve,
    avoid: &'a BTreeSet<WorkerId>,
    ranking: Ranking,
    after: Option<(u64, WorkerId)>,
    steps: BinaryHeap<Reverse<Step>>,
}

impl<'a> Matches<'a> {
    pub(crate) fn new(question: &'a Question, ranking: Ranking, after: Option<Cursor>) -> Self {
        Self::among(question.lanes(), &question.sieve, &question.order.avoid, (ranking, after))
    }

    /// The matches of these lanes.
    pub(crate) fn among(
        lanes: Vec<(LaneKey, &'a Lane)>,
        sieve: &'a Sieve,
        avoid: &'a BTreeSet<WorkerId>,
        (ranking, after): (Ranking, Option<Cursor>),
    ) -> Self {
        let after = after.map(|after| (after.price.units(), after.worker));
        let mut matches = Self { lanes, sieve, avoid, ranking, after, steps: BinaryHeap::new() };
        let firsts: Vec<_> =
            (0..matches.lanes.len()).filter_map(|at| matches.first_step(at)).collect();
        matches.steps = firsts.into();
        matches
    }

    fn first_step(&self, lane: usize) -> Option<Reverse<Step>> {
        let block = self.after.map_or(0, |after| self.lanes[lane].1.block_of(after));
        self.step(lane, block).map(Reverse)
    }

    /// The step to the next block from `block` on that may hold a match.
    fn step(&self, lane: usize, block: usize) -> Option<Step> {
        let of = self.lanes[lane].1;
        let mut may_pass =
            (block..of.blocks_len()).filter(|at| self.sieve.may_pass(of.summary(*at)));
        let block = may_pass.next()?;
        let first = of.first(block);
        (first.0 <= self.sieve.unit_max).then(|| Step {
            rank: self.rank(lane, first),
            lane,
            block,
            left: None,
        })
    }

    fn rank(&self, lane: usize, (unit, worker): (u64, WorkerId)) -> Fit {
        let key = &self.lanes[lane].0;
        let price = Credits::from_units(unit);
        match self.ranking {
            Ranking::Fit => {
                let strands_gpus = key.per_vcpu && key.has_gpus;
                Fit { strands_gpus, price, loss: 0, free_gpus: key.free_gpus, worker }
            }
            Ranking::Price => Fit { strands_gpus: false, price, loss: 0, free_gpus: 0, worker },
        }
    }

    /// The step with its next match, or past the blocks of one turn that have none.
    fn looked_at(&self, mut step: Step) -> Option<Step> {
        let lane = self.lanes[step.lane].1;
        for _ in 0..BLOCKS_PER_TURN {
            let block = lane.block(step.block);
            let behind = self.after.map_or(0, |after| first_places(block.rank_after(after)));
            let mask = lane.passing(step.block, self.sieve) & !behind;
            if mask != 0 {
                return Some(self.at_next_match(step, mask));
            }
            step = self.step(step.lane, step.block + 1)?;
        }
        Some(step)
    }

    fn at_next_match(&self, step: Step, left: u64) -> Step {
        let block = self.lanes[step.lane].1.block(step.block);
        let place = usize::try_from(left.trailing_zeros()).expect("at most 64");
        Step { rank: self.rank(step.lane, block.key(place)), left: Some(left), ..step }
    }
}

impl<'a> Iterator for Matches<'a> {
    type Item = Match<'a>;

    fn next(&mut self) -> Option<Match<'a>> {
        loop {
            let Reverse(step) = self.steps.pop()?;
            let Some(left) = step.left else {
                self.steps.extend(self.looked_at(step).map(Reverse));
                continue;
            };
            let rest = left & (left - 1);
            let next = match rest {
                0 => self.step(step.lane, step.block + 1),
                _ => Some(self.at_next_match(step, rest)),
            };
            self.steps.extend(next.map(Reverse));
            if self.avoid.is_empty() || !self.avoid.contains(&step.rank.worker) {
                let (key, lane) = self.lanes[step.lane];
                let place = usize::try_from(left.trailing_zeros()).expect("at most 64");
                return Some(Match { fit: step.rank, key, block: lane.block(step.block), place });
            }
        }
    }
}
