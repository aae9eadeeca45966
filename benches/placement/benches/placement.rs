//! All policies on all workloads, ten seeds each, beside the published table; and how long a decision takes.
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

fn main() -> Result<()> {
    let is_quick = std::env::args().any(|word| word == "--quick");
    let seeds: Vec<u64> = (FIRST_SEED..FIRST_SEED + if is_quick { 1 } else { SEEDS }).collect();
    let published = std::fs::read_to_string(data().join("published_allocation.csv"))?;
    println!("| workload | policy | at 100 % | at 110 % | at 120 % | at 130 % | published |");
    println!("|---|---|---:|---:|---:|---:|---|");
    for workload in WORKLOADS {
        let trace = trace(workload)?;
        for policy in Contestant::ALL {
            let means = policy.mean(&trace, &seeds, &LEVELS);
            let cell =
                |mean: Option<f64>| mean.map_or(" |".to_owned(), |mean| format!(" {mean:.2} |"));
            let cells: String = means.into_iter().map(cell).collect();
            let start = format!("{workload},{},10,", policy.name());
            let row = published.lines().find_map(|line| line.strip_prefix(&start));
            let row = row.unwrap_or("–").replace(',', ", ");
            println!("| {workload} | {} |{cells} {row} |", policy.name());
        }
    }
    println!("\n| policy | decisions/s | p50, µs | p99, µs | longest, µs |");
    println!("|---|---:|---:|---:|---:|");
    let trace = trace("default")?;
    timed("fgd", &trace, Gradient::of(&trace.tasks));
    timed("foresight", &trace, Foresight::new());
    Ok(())
}

/// How long each decision of one story takes.
fn timed<P: Policy>(name: &str, trace: &Trace, policy: P) {
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
        "| {name} | {rate:.0} | {:.1} | {:.1} | {:.0} |",
        micros(500),
        micros(990),
        micros(1_000)
    );
}

fn trace(workload: &str) -> Result<Trace> {
    let pods = data().join(format!("openb_pod_list_{workload}.csv"));
    Trace::read(&data().join("openb_node_list_gpu_node.csv"), &pods)
        .with_context(|| format!("read {workload}"))
}

fn data() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("data")
}
