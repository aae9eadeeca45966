//! Asking for less of one quantity, and how many nodes that gives at which level of it.

use std::collections::BTreeMap;

use units::Resources;

use crate::block::Amount;
use crate::explain::Change;
use crate::lane::Lane;
use crate::lanes::LaneKey;
use crate::order::Order;

/// How many nodes become possible at which level of one quantity, as far as an order cares.
///
/// Invariant: without its lowest level it holds fewer nodes than are wanted, so its size is bounded.
#[derive(Debug, Default)]
pub(crate) struct Levels {
    at: BTreeMap<u64, u32>,
    nodes: u32,
}

impl Levels {
    /// Whether nodes at this level or below would change nothing.
    pub(crate) fn is_beyond(&self, level: u64, wanted: u32) -> bool {
        self.nodes >= wanted && self.at.first_key_value().is_some_and(|(low, _)| level <= *low)
    }

    /// The lowest level at which more nodes would change something.
    pub(crate) fn lowest_useful(&self, wanted: u32) -> u64 {
        match self.at.first_key_value() {
            Some((low, _)) if self.nodes >= wanted => low.saturating_add(1),
            Some(_) | None => 0,
        }
    }

    pub(crate) fn add(&mut self, level: u64, nodes: u32, wanted: u32) {
        *self.at.entry(level).or_default() += nodes;
        self.nodes += nodes;
        while let Some(lowest) = self.at.first_entry()
            && self.nodes - lowest.get() >= wanted
        {
            self.nodes -= lowest.remove();
        }
    }

    /// The highest level that gives all wanted, else the most there are; and how many that is.
    pub(crate) fn best(&self, wanted: u32) -> Option<(u64, u32)> {
        self.at.first_key_value().map(|(level, _)| (*level, self.nodes.min(wanted)))
    }
}

/// Something of which less may be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Thing {
    Gpus,
    Of(Amount),
}

/// Asking for less of one thing.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Less {
    pub(crate) thing: Thing,
    pub(crate) wanted: u64,
    /// The least that is worth asking for.
    pub(crate) least: u64,
    /// What the nodes pay for: fewer of it cost less, too.
    pub(crate) priced: bool,
    /// What a node needs besides.
    pub(crate) rest: Resources,
}

impl Less {
    /// Everything of which an order may ask for less.
    pub(crate) fn all(order: &Order) -> Vec<Self> {
        let each = order.each;
        let per_gpu = each.gpus > 0;
        let less = |thing, wanted, least, priced, rest| Self { thing, wanted, least, priced, rest };
        let of = |amount, wanted, least, rest| less(Thing::Of(amount), wanted, least, false, rest);
        let all = [
            less(Thing::Gpus, u64::from(each.gpus), 1, true, Resources { gpus: 0, ..each }),
            less(
                Thing::Of(Amount::Vcpus),
                u64::from(each.vcpus),
                1,
                !per_gpu,
                Resources { vcpus: 0, ..each },
            ),
            of(Amount::Memory, each.memory_mib, 1, Resources { memory_mib: 0, ..each }),
            of(Amount::Disk, each.disk_mib, 0, Resources { disk_mib: 0, ..each }),
        ];
        all.into_iter().filter(|less| less.wanted > less.least).collect()
    }

    pub(crate) fn change(&self, to: u64) -> Change {
        let fewer = self.wanted - to;
        let small = |of: u64| u32::try_from(of).expect("at most what was asked");
        match self.thing {
            Thing::Gpus => Change::FewerGpus { fewer: small(fewer), to: small(to) },
            Thing::Of(Amount::Vcpus) => Change::FewerVcpus { fewer: small(fewer), to: small(to) },
            Thing::Of(Amount::Memory) => Change::LessMemory { fewer_mib: fewer, to_mib: to },
            Thing::Of(Amount::Disk) => Change::LessDisk { fewer_mib: fewer, to_mib: to },
        }
    }

    /// The most a machine of a lane has of it.
    pub(crate) fn most_in(&self, key: &LaneKey, lane: &Lane) -> u64 {
        match self.thing {
            Thing::Gpus => u64::from(key.free_gpus),
            Thing::Of(amount) => u64::from(lane.summary_of_all().span(amount).max),
        }
    }

    /// Whether a block may hold a machine that has too little of it, or could cost less.
    pub(crate) fn may_help(&self, lane: &Lane, at: usize) -> bool {
        match self.thing {
            Thing::Gpus => true,
            Thing::Of(amount) => {
                self.priced || u64::from(lane.summary(at).span(amount).min) < self.wanted
            }
        }
    }
}

/// Adds, for each node that `rest` leaves room for, the most of one quantity it could get.
///
/// `of` is how much is free of it, the most that counts and the least that is worth asking for.
pub(crate) fn note_levels(
    levels: &mut Levels,
    order: &Order,
    free: &Resources,
    rest: &Resources,
    (has, most, least): (u64, u64, u64),
) {
    let wanted = order.nodes;
    for nodes in 1..=order.spread.room(free, rest).min(wanted) {
        let level = (has / u64::from(nodes)).min(most);
        if level < least || levels.is_beyond(level, wanted) {
            return;
        }
        levels.add(level, 1, wanted);
    }
}
