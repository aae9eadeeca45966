//! All policies on all workloads, ten seeds each, beside the published table; how long a decision takes on one, eight
//! and twenty times the nodes; and a row of CSV for each goal.
//!
//! `./x bench placement [--quick]`: quick is one seed.

#![expect(clippy::print_stdout, reason = "a benchmark prints its table")]

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use placement_bench::{Contestant, Story, Trace};
use scheduler::packing::{Foresight, Gradient, Packer, Policy};

const WORKLOADS: [&str; 5] = ["default", "gpushare40", "gpuspec33", "multigpu30", "cpu100"];
const LEVELS: [u32; 4] = [100, 110, 120, 130];
const FIRST_SEED: u64 = 42;
const SEEDS: u64 = 10;
/// So many times the nodes, and how many decisions a second are aimed at.
const RATES: [(usize, f64); 3] = [(1, 150_000.0), (8, 80_000.0), (20, 40_000.0)];

fn main() -> Result<()> {
    let is_quick = std::env::args().any(|word| word == "--quick");
    let seeds: Vec<u64> = (FIRST_SEED..FIRST_SEED + if is_quick { 1 } else { SEEDS }).collect();
    let published = std::fs::read_to_string(data().join("published_allocation.csv"))?;
    let mut goals = allocations(&seeds, &published)?;
    goals.extend(rates()?);
    println!("\nname,ours,peer,ratio,goal,holds");
    goals.iter().for_each(|goal| println!("{}", goal.row()));
    Ok(())
}

/// What was aimed at: so much of ours, or so many times the published policy's.
struct Reached {
    name: String,
    ours: f64,
    peer: Option<f64>,
    least: f64,
}

impl Reached {
    fn row(&self) -> String {
        let ratio = self.ours / self.peer.unwrap_or(1.0);
        let peer = self.peer.map_or(String::new(), |peer| format!("{peer:.2}"));
        let Self { name, ours, peer: _, least } = self;
        format!("{name},{ours:.2},{peer},{ratio:.3},>={least},{}", ratio >= *least)
    }
}

/// Prints what each policy gives away; ours is to give away more than the published one at each level.
fn allocations(seeds: &[u64], published: &str) -> Result<Vec<Reached>> {
    println!("| workload | policy | at 100 % | at 110 % | at 120 % | at 130 % | published |");
    println!("|---|---|---:|---:|---:|---:|---|");
    let mut goals = Vec::new();
    for workload in WORKLOADS {
        let trace = trace(workload)?;
        let mut gradient = vec![None; LEVELS.len()];
        for policy in Contestant::ALL {
            let means = policy.mean(&trace, seeds, &LEVELS);
            let cell =
                |mean: &Option<f64>| mean.map_or(" |".to_owned(), |mean| format!(" {mean:.2} |"));
            let cells: String = means.iter().map(cell).collect();
            let start = format!("{workload},{},10,", policy.name());
            let row = published.lines().find_map(|line| line.strip_prefix(&start));
            let row = row.unwrap_or("–").replace(',', ", ");
            println!("| {workload} | {} |{cells} {row} |", policy.name());
            if policy == Contestant::Gradient {
                gradient.clone_from(&means);
            }
            if policy == Contestant::Foresight {
                let at_levels = LEVELS.iter().zip(means).zip(&gradient);
                goals.extend(at_levels.filter_map(|((level, ours), peer)| {
                    let name = format!("{workload} at {level}");
                    Some(Reached { name, ours: ours?, peer: *peer, least: 1.0 })
                }));
            }
        }
    }
    Ok(goals)
}

/// Prints how long decisions take; ours are to be so many a second.
fn rates() -> Result<Vec<Reached>> {
    println!("\n| nodes | policy | decisions/s | p50, µs | p99, µs | longest, µs |");
    println!("|---:|---|---:|---:|---:|---:|");
    let trace = trace("default")?;
    let mut goals = Vec::new();
    for (times, least) in RATES {
        let hosts = std::iter::repeat_n(&trace.hosts, times).flatten().copied().collect();
        let trace = Trace { hosts, tasks: trace.tasks.clone() };
        timed("fgd", &trace, Gradient::of(&trace.tasks));
        let ours = timed("foresight", &trace, Foresight::new());
        let name = format!("decisions a second on {} nodes", trace.hosts.len());
        goals.push(Reached { name, ours, peer: None, least });
    }
    Ok(goals)
}

/// How long each decision of one story takes. Returns how many there are in a second.
fn timed<P: Policy>(name: &str, trace: &Trace, policy: P) -> f64 {
    let story = Story::of(trace, FIRST_SEED, &LEVELS);
    let mut packer = Packer::new(story.hosts.iter().copied(), policy);
    let decide = |order| {
        let start = Instant::now();
        packer.place(order);
        start.elapsed()
    };
    let mut took: Vec<Duration> = story.orders.iter().map(decide).collect();
    let all: Duration = took.iter().sum();
    took.sort_unstable();
    let micros =
        |permille: usize| took[(took.len() - 1) * permille / 1_000].as_nanos() as f64 / 1e3;
    let rate = took.len() as f64 / all.as_secs_f64();
    println!(
        "| {} | {name} | {rate:.0} | {:.1} | {:.1} | {:.0} |",
        trace.hosts.len(),
        micros(500),
        micros(990),
        micros(1_000)
    );
    rate
}

fn trace(workload: &str) -> Result<Trace> {
    let pods = data().join(format!("openb_pod_list_{workload}.csv"));
    Trace::read(&data().join("openb_node_list_gpu_node.csv"), &pods)
        .with_context(|| format!("read {workload}"))
}

fn data() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("data")
}
