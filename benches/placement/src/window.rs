//! Orders that wait for each other: of the next few the largest is placed, whenever one more comes.
//!
//! A window of one order is the published protocol.

use std::collections::{BTreeSet, VecDeque};

use scheduler::packing::{BestFit, Chance, DotProduct, Foresight, Gradient, Need, Packer, Policy};

use crate::contest::Contestant;
use crate::replay::Story;
use crate::trace::Trace;

/// An order waits until so many windows of others came, at most.
const WAITS_MAX: usize = 4;

/// What part of all cards was given away while tasks had asked for each level, in percent.
///
/// Each time the largest of `window` waiting orders is placed, and none waits for more than [`WAITS_MAX`] windows of
/// further orders. The figure is the mean over all tasks at which what was asked for rounds to the level; what waits is
/// not given away. A level nobody asked for has none.
pub fn replay_windows<P: Policy>(
    story: &Story,
    policy: P,
    levels: &[u32],
    window: usize,
) -> Vec<Option<f64>> {
    let mut packer = Packer::new(story.hosts.iter().copied(), policy);
    let capacity: u64 = story.hosts.iter().map(|host| u64::from(host.cards.sum_milli())).sum();
    let mut at_levels = vec![(0_u64, 0_u64); levels.len()];
    let (mut asked, mut given) = (0, 0);
    let mut waiting: BTreeSet<(Size, usize)> = BTreeSet::new();
    let mut by_age: VecDeque<(Size, usize)> = VecDeque::new();
    for (came, order) in story.orders.iter().enumerate() {
        asked += u64::from(order.demand_milli());
        waiting.insert((size(order), came));
        by_age.push_back((size(order), came));
        let mut place = |one: (Size, usize)| {
            let order = &story.orders[one.1];
            given += packer.place(order).map_or(0, |_| u64::from(order.demand_milli()));
        };
        if waiting.len() >= window {
            waiting.pop_last().into_iter().for_each(&mut place);
        }
        while by_age.front().is_some_and(|oldest| oldest.1 + window * WAITS_MAX <= came) {
            by_age
                .pop_front()
                .filter(|oldest| waiting.remove(oldest))
                .into_iter()
                .for_each(&mut place);
        }
        let level = (asked * 200 + capacity) / (2 * capacity).max(1);
        let here = at_levels.iter_mut().zip(levels);
        for ((sum, count), _) in here.filter(|(_, wanted)| u64::from(**wanted) == level) {
            *sum += given;
            *count += 1;
        }
    }
    let mean = |(sum, count): &(u64, u64)| {
        (*count > 0).then(|| 100.0 * *sum as f64 / *count as f64 / capacity as f64)
    };
    at_levels.iter().map(mean).collect()
}

type Size = (u32, u32, u32);

/// Cards before processors before memory; of equals the later is placed first.
fn size(order: &Need) -> Size {
    (order.demand_milli(), order.cpu_milli, order.memory_mib)
}

impl Contestant {
    /// What it gives away in one story, in percent for each level, when `window` orders are placed together.
    pub fn play_windows(
        self,
        trace: &Trace,
        seed: u64,
        levels: &[u32],
        window: usize,
    ) -> Vec<Option<f64>> {
        let story = Story::of(trace, seed, levels);
        match self {
            Self::Random => replay_windows(&story, Chance::new(seed), levels, window),
            Self::DotProduct => replay_windows(&story, DotProduct, levels, window),
            Self::BestFit => replay_windows(&story, BestFit, levels, window),
            Self::Gradient => replay_windows(&story, Gradient::of(&trace.tasks), levels, window),
            Self::Foresight => replay_windows(&story, Foresight::new(), levels, window),
        }
    }
}

/// The means of what is known, column by column.
pub(crate) fn means(rows: &[Vec<Option<f64>>], columns: usize) -> Vec<Option<f64>> {
    let mean = |column: usize| {
        let known: Vec<f64> = rows.iter().filter_map(|row| row[column]).collect();
        (!known.is_empty()).then(|| known.iter().sum::<f64>() / known.len() as f64)
    };
    (0..columns).map(mean).collect()
}

/// A row for each policy and window: means over seeds, as CSV.
pub fn table(
    trace: &Trace,
    policies: &[Contestant],
    seeds: &[u64],
    levels: &[u32],
    windows: &[usize],
) -> String {
    let columns = levels.iter().map(|level| format!(",allocation_pct_at_arrival_{level}"));
    let mut csv = format!("policy,window,seeds{}\n", columns.collect::<String>());
    for policy in policies {
        for window in windows {
            let play = |seed: &u64| policy.play_windows(trace, *seed, levels, *window);
            let rows: Vec<Vec<Option<f64>>> = seeds.iter().map(play).collect();
            let cell =
                |mean: Option<f64>| mean.map_or(",".to_owned(), |mean| format!(",{mean:.2}"));
            let cells: String = means(&rows, levels.len()).into_iter().map(cell).collect();
            csv.push_str(&format!("{},{window},{}{cells}\n", policy.name(), seeds.len()));
        }
    }
    csv
}
