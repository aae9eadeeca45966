//! What a refusal says, word for word.

use crate::world::{machine, opened, order};

fn check(machines: &[&str], wanted: &str, says: &[&str]) {
    let inventory = opened(machines.iter().copied().map(machine));
    let refusal =
        inventory.place(&order(wanted)).expect_err("the order should not fit").to_string();
    assert_eq!(refusal.split("; ").collect::<Vec<_>>(), says, "{wanted}");
}

#[test]
fn a_refusal_says_what_excluded_whom_and_what_would_help() {
    let market = [
        "1 gpus=1 model=H100 vcpus=6 tier=high usd=1.00",
        "2 gpus=1 model=H100 vcpus=6 tier=high usd=1.00",
        "3 gpus=1 model=H100 vcpus=7 tier=high usd=1.00",
        "4 gpus=1 model=H100 vcpus=8 tier=low usd=1.00",
        "5 gpus=1 model=H100 vcpus=8 tier=high usd=1.04",
        "6 gpus=1 model=T4 vcpus=8 tier=high usd=1.00",
    ];
    check(
        &market,
        "nodes=3 gpus=1 vcpus=8 model=H100 tier=high max=1.00",
        &[
            "no offer: 0 nodes possible on 6 machines, 1 excluded by GPU model, 1 by tier, 1 by price, 3 by vCPUs",
            "2 vCPUs fewer per node gives 3 nodes",
            "$0.040000 more per node and hour gives 1 node",
            "accepting tier low gives 1 node",
            "any GPU model gives 1 node",
        ],
    );
    check(
        &market,
        "nodes=1 gpus=1 vcpus=8 model=H100 tier=high max=1.00 in=DE",
        &[
            "no offer: 0 nodes possible on 6 machines, 1 excluded by GPU model, 6 by country, 1 by tier, \
             1 by price, 3 by vCPUs",
        ],
    );
}

#[test]
fn the_smallest_change_that_gives_all_nodes_is_named() {
    let sizes = ["1 vcpus=9 mem=8", "2 vcpus=5 mem=32", "3 vcpus=7 mem=64"];
    check(
        &sizes,
        "nodes=2 vcpus=8",
        &[
            "no offer: 1 node possible on 3 machines, 2 excluded by vCPUs",
            "1 vCPU fewer per node gives 2 nodes",
            "asking for 1 node fewer gives 1 node",
        ],
    );
    check(
        &sizes,
        "nodes=3 vcpus=5 mem=33",
        &[
            "no offer: 1 node possible on 3 machines, 2 excluded by memory",
            "25 MiB less memory per node gives 3 nodes",
            "asking for 2 nodes fewer gives 1 node",
        ],
    );
    check(
        &sizes,
        "nodes=1 vcpus=9 mem=9 disk=101",
        &["no offer: 0 nodes possible on 3 machines, 2 excluded by vCPUs, 1 by memory, 3 by disk"],
    );
}

#[test]
fn sharing_machines_and_fewer_gpus_are_ways_out() {
    check(
        &["1 gpus=4 model=T4 usd=1"],
        "nodes=2 gpus=2",
        &[
            "no offer: 1 node possible on 1 machine",
            "sharing machines gives 2 nodes",
            "asking for 1 node fewer gives 1 node",
        ],
    );
    check(
        &["1 gpus=4 model=T4 usd=1"],
        "nodes=2 gpus=3 pack",
        &[
            "no offer: 1 node possible on 1 machine",
            "1 GPU fewer per node gives 2 nodes",
            "asking for 1 node fewer gives 1 node",
        ],
    );
}

#[test]
fn fewer_vcpus_also_cost_less_where_vcpus_are_paid_for() {
    check(
        &["1 vcpus=16 vcpu_usd=0.02"],
        "nodes=1 vcpus=16 max=0.25",
        &[
            "no offer: 0 nodes possible on 1 machine, 1 excluded by price",
            "4 vCPUs fewer per node gives 1 node",
            "$0.070000 more per node and hour gives 1 node",
        ],
    );
}

#[test]
fn one_missing_certification_is_named_and_two_are_not() {
    check(
        &["1 has=soc2", "2 has=hipaa,soc2", "3", "4 has=hipaa,soc2 by=7"],
        "nodes=2 vcpus=5 has=hipaa,soc2 by=0",
        &[
            "no offer: 1 node possible on 4 machines, 1 excluded by supplier, 2 by certification",
            "doing without certification hipaa gives 2 nodes",
            "any supplier gives 2 nodes",
            "asking for 1 node fewer gives 1 node",
        ],
    );
}
