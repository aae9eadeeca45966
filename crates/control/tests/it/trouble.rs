//! Rentals whose machines let them down.

use control::{Command, NodeStage};

use crate::town::{Town, rental, worker};

#[test]
fn a_node_that_cannot_start_fails_the_rental_and_nothing_is_charged() {
    let mut town = Town::with(&[1]);
    town.take("ann", "a", 1);
    town.says("m0", "a0 starting");
    town.says("m0", "a0 no-driver");
    assert_eq!(
        (town.stage("a").as_str(), town.purse("ann").as_str()),
        ("ending failed", "100.000000")
    );
    let reason = town.control.rental(rental("a")).unwrap().reason.clone();
    assert_eq!(reason.as_deref(), Some("node 0: no-driver"));
}

#[test]
fn machines_that_do_not_come_up_in_time_fail_the_rental() {
    let mut town = Town::with(&[1, 1]);
    town.take("ann", "a", 2);
    let head = town.machine_of("a", 0);
    town.says(&head, "a0 ready");
    town.minutes(15);
    assert_eq!(
        (town.stage("a").as_str(), town.purse("ann").as_str()),
        ("ending failed", "100.000000")
    );
}

#[test]
fn a_machine_that_dies_while_deploying_fails_the_rental() {
    let mut town = Town::with(&[1]);
    town.take("ann", "a", 1);
    town.silent("m0");
    assert_eq!(
        (town.stage("a").as_str(), town.purse("ann").as_str()),
        ("ending failed", "100.000000")
    );
}

#[test]
fn a_machine_that_lost_its_node_fails_what_cannot_do_without() {
    let mut town = Town::with(&[1]);
    town.running("ann", "a", 1);
    town.minutes(10);
    town.says("m0", "");
    assert_eq!(
        (town.stage("a").as_str(), town.purse("sue").as_str()),
        ("ending failed", "0.000000")
    );
}

#[test]
fn a_rental_goes_on_without_a_node_that_is_not_the_head() {
    let mut town = Town::with(&[1, 1]);
    town.running("ann", "a", 2);
    let lost = town.machine_of("a", 1);
    town.minutes(15);
    town.says(&lost, "a1 died");
    assert_eq!(town.stage("a"), "running");
    assert_eq!(town.free(&lost), 0, "it is not cleared yet");
    town.says(&lost, "");
    assert_eq!(town.free(&lost), 1);
    town.minutes(45);
    assert_eq!(town.stage("a"), "ending completed");
    assert_eq!((town.purse("ann").as_str(), town.purse("sue").as_str()), ("99.000000", "1.000000"));
}

#[test]
fn without_its_head_a_rental_fails() {
    let mut town = Town::with(&[1, 1]);
    town.running("ann", "a", 2);
    let head = town.machine_of("a", 0);
    town.minutes(30);
    town.says(&head, "a0 died");
    // Half an hour of the other node, whose supplier broke nothing.
    assert_eq!(
        (town.stage("a").as_str(), town.purse("ann").as_str()),
        ("ending failed", "99.500000")
    );
}

#[test]
fn silence_is_not_paid_for() {
    let mut town = Town::with(&[1]);
    town.patch(r#"{"worked":{"void_broken_hour":false}}"#);
    town.running("ann", "a", 1);
    town.minutes(10);
    town.silent("m0");
    town.minutes(4);
    town.up("m0");
    town.says("m0", "a0 ready");
    town.minutes(6);
    town.end("ann", "a").unwrap();
    assert_eq!(town.purse("sue"), "0.266666", "sixteen of twenty minutes");
}

#[test]
fn a_machine_that_stays_silent_is_given_up() {
    let mut town = Town::with(&[1]);
    town.running("ann", "a", 1);
    town.minutes(10);
    town.silent("m0");
    town.minutes(5);
    assert_eq!(
        (town.stage("a").as_str(), town.purse("sue").as_str()),
        ("ending failed", "0.000000")
    );
}

#[test]
fn the_minimum_is_not_charged_for_a_machine_that_is_silent() {
    let mut town = Town::with(&[1]);
    town.fees(0, 0, 60);
    town.running("ann", "a", 1);
    town.minutes(10);
    town.silent("m0");
    town.end("ann", "a").unwrap();
    assert_eq!(town.purse("sue"), "0.000000");
}

#[test]
fn a_restarted_agent_that_has_not_asked_yet_loses_no_node() {
    let mut town = Town::with(&[1]);
    town.running("ann", "a", 1);
    town.says_at("m0", None, "");
    assert_eq!(town.stage("a"), "running");
    town.says("m0", "a0 starting");
    town.minutes(5);
    town.says("m0", "a0 ready");
    assert_eq!(town.stage("a"), "running");
}

#[test]
fn a_beat_from_before_a_node_was_there_does_not_lose_it() {
    let mut town = Town::with(&[1]);
    let before = town.control.wanted(worker("m0")).revision;
    town.running("ann", "a", 1);
    town.says_at("m0", Some(before), "");
    assert_eq!(town.stage("a"), "running");
}

#[test]
fn a_machine_speaks_only_for_its_own_nodes() {
    let mut town = Town::with(&[1, 1]);
    town.take("ann", "a", 1);
    let own = town.machine_of("a", 0);
    let other = if own == "m0" { "m1" } else { "m0" };
    town.says(other, "a0 ready");
    assert_eq!(town.stage("a"), "deploying");
    let node = &town.control.rental(rental("a")).unwrap().nodes[0];
    assert_eq!(node.stage, NodeStage::Waiting);
}

#[test]
fn a_renter_may_leave_at_any_stage() {
    let mut town = Town::with(&[1]);
    town.take("ann", "a", 1);
    town.end("ann", "a").unwrap();
    assert_eq!(
        (town.stage("a").as_str(), town.purse("ann").as_str()),
        ("ending cancelled", "100.000000")
    );
    town.says("m0", "");
    assert_eq!((town.stage("a").as_str(), town.free("m0")), ("ended cancelled", 1));
}

#[test]
fn a_clock_that_runs_backward_stands() {
    let mut town = Town::with(&[1]);
    town.running("ann", "a", 1);
    let then = town.now;
    town.now = units::Timestamp::from_millis(5);
    town.ok("clock", Command::Wake {});
    assert_eq!(town.control.head().at, then);
    town.now = then;
    town.minutes(30);
    town.end("ann", "a").unwrap();
    assert_eq!(town.purse("sue"), "0.500000");
}

#[test]
fn the_reason_of_a_machine_is_cut_to_size() {
    let mut town = Town::with(&[1]);
    town.take("ann", "a", 1);
    let reason = "ä".repeat(control::REASON_BYTES_MAX);
    town.says("m0", &format!("a0 {reason}"));
    let kept = town.control.rental(rental("a")).unwrap().reason.clone().unwrap();
    assert!(kept.len() <= control::REASON_BYTES_MAX + "node 0: ".len());
}
