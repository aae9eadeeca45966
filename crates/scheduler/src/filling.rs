//! Nodes of an order as they find their machines, best machine first, and what they cost so far.

use std::collections::BTreeSet;

use units::{Country, Site, WorkerId};

use crate::block::Entry;
use crate::matcher::{Fit, Need};
use crate::order::{Apart, Order, Spread};

/// What a machine has in common with others, as far as an order cares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Common {
    /// Nothing.
    Nothing,
    /// All with this number are alike.
    Number(u64),
    /// It is not known, so it may be all.
    Unknown,
}

/// A machine that fits, and how many nodes it has room for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Candidate {
    pub(crate) fit: Fit,
    pub(crate) room: u32,
    pub(crate) common: Common,
}

impl Candidate {
    pub(crate) fn new(order: &Order, fit: Fit, entry: &Entry) -> Self {
        let room = order.spread.room(&entry.free, &order.each).min(order.nodes_on_one());
        Self { fit, room, common: common(order.apart_of_many(), entry) }
    }
}

pub(crate) fn common(apart: Apart, entry: &Entry) -> Common {
    match apart {
        Apart::Nothing => Common::Nothing,
        Apart::Suppliers => Common::Number(entry.supplier),
        Apart::Sites if entry.bond.site == 0 => Common::Nothing,
        Apart::Sites => Common::Number(u64::from(entry.bond.site)),
        Apart::Countries if entry.country == 0 => Common::Unknown,
        Apart::Countries => Common::Number(entry.country),
    }
}

/// A place in which nodes are near each other. Of places as good as each other the first is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Place {
    Machine(WorkerId),
    Site(Site),
    Anchor(u16),
    Country(Country),
    Anywhere,
}

/// What nodes cost: fewer that leave GPUs without vCPUs are better, and then what an hour of all of them costs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Cost {
    strands: u32,
    hour: u128,
}

impl Cost {
    pub(crate) fn of(nodes: u32, fit: &Fit, need: &Need) -> Self {
        let unit = u128::from(fit.price.units()) * u128::from(need.priced_count());
        let strands = if fit.strands_gpus { nodes } else { 0 };
        Self { strands, hour: unit.saturating_mul(u128::from(nodes)) }
    }

    /// No nodes cost less where no GPU or vCPU costs less than `unit`.
    pub(crate) fn least(nodes: u32, unit: u64, need: &Need) -> Self {
        let all = u128::from(need.priced_count()) * u128::from(nodes);
        Self { strands: 0, hour: u128::from(unit).saturating_mul(all) }
    }

    /// What nodes cost that pay so much for one GPU of each, all together.
    pub(crate) fn of_units(units: u128, need: &Need) -> Self {
        Self { strands: 0, hour: units.saturating_mul(u128::from(need.priced_count())) }
    }

    fn and(self, other: Self) -> Self {
        let hour = self.hour.saturating_add(other.hour);
        Self { strands: self.strands + other.strands, hour }
    }
}

/// How good a whole placement is. Lower is better; the order of the fields is the policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Rank {
    pub(crate) cost: Cost,
    /// Nodes that its place has room for beyond those, as far as they are counted: a tight place keeps others whole.
    pub(crate) left: u32,
    pub(crate) place: Place,
}

/// A whole placement.
#[derive(Clone, Debug)]
pub(crate) struct Whole {
    pub(crate) rank: Rank,
    pub(crate) picks: Vec<(Fit, u32)>,
}

impl Whole {
    /// Keeps the better of two.
    pub(crate) fn or_better(best: &mut Option<Self>, found: Self) {
        if best.as_ref().is_none_or(|best| found.rank < best.rank) {
            *best = Some(found);
        }
    }
}

/// Nodes that found their machines.
#[derive(Clone, Debug)]
pub(crate) struct Filling {
    wanted: u32,
    nodes: u32,
    cost: Cost,
    pub(crate) picks: Vec<(Fit, u32)>,
    taken: BTreeSet<u64>,
}

impl Filling {
    pub(crate) fn new(wanted: u32) -> Self {
        let (picks, taken) = (Vec::new(), BTreeSet::new());
        Self { wanted, nodes: 0, cost: Cost::default(), picks, taken }
    }

    /// Puts as many nodes on a machine as it has room for and are still wanted.
    pub(crate) fn add(&mut self, candidate: &Candidate, need: &Need) {
        let room = match candidate.common {
            Common::Nothing => candidate.room,
            Common::Unknown => 0,
            Common::Number(number) => u32::from(self.taken.insert(number)).min(candidate.room),
        };
        let room = room.min(self.wanted - self.nodes);
        if room > 0 {
            self.nodes += room;
            self.cost = self.cost.and(Cost::of(room, &candidate.fit, need));
            self.picks.push((candidate.fit, room));
        }
    }

    pub(crate) fn is_whole(&self) -> bool {
        self.nodes == self.wanted
    }

    pub(crate) fn cost(&self) -> Cost {
        self.cost
    }

    /// What all nodes cost at least, when no machine to come is better than this one.
    pub(crate) fn cost_least(&self, next: &Fit, need: &Need) -> Cost {
        self.cost.and(Cost::of(self.wanted - self.nodes, next, need))
    }
}

/// How many nodes there is room for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Room {
    nodes: u64,
    taken: BTreeSet<u64>,
}

impl Room {
    pub(crate) fn add(&mut self, room: u32, common: Common) {
        self.nodes += match common {
            Common::Nothing => u64::from(room),
            Common::Unknown => 0,
            Common::Number(number) => u64::from(room > 0 && self.taken.insert(number)),
        };
    }

    pub(crate) fn nodes(&self) -> u64 {
        self.nodes
    }
}

impl Order {
    /// Whether its nodes care where the others are: a single node has no others.
    pub(crate) fn minds_others(&self) -> bool {
        self.nodes > 1
            && (self.near != crate::order::Near::Anywhere || self.apart != Apart::Nothing)
    }

    /// What no two nodes have in common, where there are two.
    pub(crate) fn apart_of_many(&self) -> Apart {
        if self.nodes > 1 { self.apart } else { Apart::Nothing }
    }

    /// How many nodes may be on one machine at most.
    pub(crate) fn nodes_on_one(&self) -> u32 {
        match (self.spread, self.apart_of_many()) {
            (Spread::Pack, Apart::Nothing) => self.nodes,
            (Spread::Pack | Spread::Distinct, _) => 1,
        }
    }
}
