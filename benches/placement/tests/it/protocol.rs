//! The protocol as it was published: what comes, in which order, and until when.

use placement_bench::{Contestant, Story};
use scheduler::packing::Need;

use crate::published::trace;

const LEVELS: [u32; 1] = [130];

#[test]
fn tasks_come_until_they_ask_for_as_much_as_was_published() {
    for workload in ["default", "multigpu30"] {
        let trace = trace(workload);
        let asked: u64 = demand(&Story::of(&trace, 1, &LEVELS).orders);
        let limit = trace.capacity_milli() * 13 / 10;
        assert!(asked <= limit && asked + 8_000 > limit, "{asked} of {limit}");
    }
}

#[test]
fn every_task_comes_once_before_any_comes_again() {
    let trace = trace("default");
    let story = Story::of(&trace, 1, &LEVELS);
    let mut first: Vec<Need> = story.orders[..trace.tasks.len()].to_vec();
    let mut tasks = trace.tasks;
    first.sort();
    tasks.sort();
    assert!(first == tasks);
}

#[test]
fn the_same_seed_tells_the_same_story_and_another_one_another() {
    let trace = trace("default");
    let (one, same, other) = (
        Story::of(&trace, 1, &LEVELS),
        Story::of(&trace, 1, &LEVELS),
        Story::of(&trace, 2, &LEVELS),
    );
    assert!(one.orders == same.orders && one.hosts == same.hosts);
    assert!(one.orders != other.orders && one.hosts != other.hosts);
}

#[test]
fn a_level_nobody_asks_for_has_no_figure() {
    let trace = trace("cpu100");
    let played = Contestant::BestFit.play(&trace, 1, &[0, 130, 131]);
    assert!(played[1].is_some());
    assert_eq!(Contestant::BestFit.play(&trace, 1, &[]), []);
}

fn demand(orders: &[Need]) -> u64 {
    orders.iter().map(|order| u64::from(order.demand_milli())).sum()
}

#[test]
fn a_window_of_one_order_is_the_protocol_itself() {
    let trace = trace("cpu100");
    for policy in [Contestant::BestFit, Contestant::Foresight] {
        let strictly = policy.play(&trace, 1, &LEVELS);
        assert_eq!(policy.play_windows(&trace, 1, &LEVELS, 1), strictly);
        assert_ne!(policy.play_windows(&trace, 1, &LEVELS, 10), strictly);
    }
}
