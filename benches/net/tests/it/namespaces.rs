//! A short storm over a small crowd, on real kernels.

use std::time::Duration;

use net::{Troubles, storm};

#[test]
fn after_a_storm_all_reach_each_other_and_in_it_nothing_passed_that_may_not() {
    if skips() {
        return;
    }
    let troubles = Troubles {
        nodes: 8,
        span: Duration::from_secs(15),
        strike_every: Duration::from_millis(600),
        seed: 8,
    };
    let outcome = storm(&troubles, &say).expect("the storm passes");
    say(&format!("{outcome:?}"));
    assert_eq!(outcome.reconnected, outcome.pairs, "{outcome:?}");
    assert_eq!((outcome.leaked, outcome.was_read), (0, false), "{outcome:?}");
    // Somebody tried, and somebody talked: else nothing was shown.
    assert!(outcome.stopped > 0 && outcome.answered > 0 && outcome.strikes > 0, "{outcome:?}");
}

/// Where networks cannot be built.
fn skips() -> bool {
    let plan = ::namespaces::Plan::v4([::namespaces::Node::host("one")]);
    ::namespaces::rig_or_skip(&plan).is_none()
}

#[expect(clippy::print_stdout, reason = "what happened is read where a test fails")]
fn say(line: &str) {
    println!("{line}");
}
