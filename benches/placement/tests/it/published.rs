//! Published figures are met, and ours are above them.
//!
//! Few seeds each: one moves an allocation by up to half a percent. `./x bench placement` does all ten.

use std::path::{Path, PathBuf};

use placement_bench::{Contestant, Trace};

const LEVELS: [u32; 4] = [100, 110, 120, 130];
/// How far a replay may be from the published mean, in percent of all cards.
const NEAR: f64 = 0.5;

#[test]
fn published_figures_of_best_fit_are_met() {
    for workload in ["default", "gpuspec33", "multigpu30"] {
        is_met(workload, Contestant::BestFit, &[42]);
    }
}

#[test]
fn published_figures_of_the_dot_product_are_met() {
    for workload in ["cpu100", "gpushare40"] {
        is_met(workload, Contestant::DotProduct, &[42, 43, 44, 45]);
    }
}

#[test]
fn published_figures_of_the_gradient_are_met_and_foresight_is_above_them() {
    for workload in ["default", "gpuspec33", "multigpu30"] {
        let fgd = is_met(workload, Contestant::Gradient, &[42]);
        let ours = mean(workload, Contestant::Foresight, &[42]);
        for (ours, (fgd, level)) in ours.into_iter().zip(fgd.into_iter().zip(LEVELS)) {
            assert!(ours > fgd, "{workload} at {level}: {ours:.2} % against {fgd:.2} %");
        }
    }
}

fn is_met(workload: &str, policy: Contestant, seeds: &[u64]) -> Vec<f64> {
    let figures = published(workload, policy.name());
    let replayed = mean(workload, policy, seeds);
    for (replayed, (figure, level)) in replayed.iter().zip(figures.iter().zip(LEVELS)) {
        let name = policy.name();
        let far = (replayed - figure).abs();
        assert!(
            far <= NEAR,
            "{workload}, {name} at {level}: {replayed:.2} %, published {figure} %"
        );
    }
    figures
}

fn mean(workload: &str, policy: Contestant, seeds: &[u64]) -> Vec<f64> {
    let means = policy.mean(&trace(workload), seeds, &LEVELS);
    means.into_iter().map(|level| level.expect("each level is met")).collect()
}

fn published(workload: &str, policy: &str) -> Vec<f64> {
    let table = std::fs::read_to_string(data().join("published_allocation.csv"));
    let table = table.expect("the table is beside the tests");
    let start = format!("{workload},{policy},10,");
    let row = table.lines().find_map(|line| line.strip_prefix(&start)).expect("it was published");
    row.split(',').map(|field| field.parse().expect("a share")).collect()
}

pub(crate) fn trace(workload: &str) -> Trace {
    let pods = data().join(format!("openb_pod_list_{workload}.csv"));
    Trace::read(&data().join("openb_node_list_gpu_node.csv"), &pods)
        .expect("the trace is beside the tests")
}

pub(crate) fn data() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("data")
}
