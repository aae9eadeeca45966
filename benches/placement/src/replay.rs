//! The published protocol: tasks come in any order until they ask for more than there is; each is placed at once or
//! dropped for ever, and nothing ends.
//!
//! "Beware of Fragmentation", USENIX ATC 2023, as its authors' program does it; which orders a seed makes is our own.

use scheduler::packing::{Dice, Host, Need, Packer, Policy};

use crate::trace::Trace;

/// What tasks ask for in the end, in percent of all cards: as published, however low the levels are that are shown.
const ASKED_PERCENT: u32 = 130;

/// Tasks as they come, and nodes as ties between them are decided.
#[derive(Clone, Debug)]
pub struct Story {
    /// Of which nothing is taken.
    pub hosts: Vec<Host>,
    /// One after the other.
    pub orders: Vec<Need>,
}

impl Story {
    /// The same seed tells the same story, until tasks ask for the highest of these levels.
    pub fn of(trace: &Trace, seed: u64, levels: &[u32]) -> Self {
        let asked = levels.iter().copied().chain([ASKED_PERCENT]).max().unwrap_or(ASKED_PERCENT);
        let limit = trace.capacity_milli() * u64::from(asked) / 100;
        let mut dice = Dice::new(seed);
        let mut orders = trace.tasks.clone();
        dice.shuffle(&mut orders);
        let mut sum: u64 = orders.iter().map(|order| u64::from(order.demand_milli())).sum();
        if sum > limit {
            while sum > limit {
                let dropped = orders.remove(dice.place_among(orders.len()));
                sum -= u64::from(dropped.demand_milli());
            }
        } else {
            let more = || trace.tasks[dice.place_among(trace.tasks.len())];
            let more = std::iter::repeat_with(more).take_while(|order| {
                sum += u64::from(order.demand_milli());
                // Tasks that ask for no cards at all would never be enough.
                (1..=limit).contains(&sum)
            });
            orders.extend(more);
        }
        let mut hosts = trace.hosts.clone();
        dice.shuffle(&mut hosts);
        Self { hosts, orders }
    }
}

/// What part of all cards was given away while tasks had asked for each level, in percent.
///
/// It is the mean over all tasks at which what was asked for rounds to the level. A level nobody asked for has none.
pub fn replay<P: Policy>(story: &Story, policy: P, levels: &[u32]) -> Vec<Option<f64>> {
    let mut packer = Packer::new(story.hosts.iter().copied(), policy);
    let capacity: u64 = story.hosts.iter().map(|host| u64::from(host.cards.sum_milli())).sum();
    let mut at_levels = vec![(0_u64, 0_u64); levels.len()];
    let (mut asked, mut given) = (0, 0);
    for order in &story.orders {
        let demand = u64::from(order.demand_milli());
        asked += demand;
        given += if packer.place(order).is_some() { demand } else { 0 };
        let level = (asked * 200 + capacity) / (2 * capacity).max(1);
        for ((sum, count), _) in
            at_levels.iter_mut().zip(levels).filter(|(_, wanted)| u64::from(**wanted) == level)
        {
            *sum += given;
            *count += 1;
        }
    }
    let mean = |(sum, count): &(u64, u64)| {
        (*count > 0).then(|| 100.0 * *sum as f64 / *count as f64 / capacity as f64)
    };
    at_levels.iter().map(mean).collect()
}
