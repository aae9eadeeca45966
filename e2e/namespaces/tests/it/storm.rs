//! Storms: troubles by chance, which pass.

use namespaces::matrix::{self, RELAYS};
use namespaces::{Event, Plan, Storm, rig_or_skip};

use crate::{answers, arrives, asked};

#[test]
fn after_a_storm_everything_is_as_before() {
    let Some(rig) = rig_or_skip(&Plan::both(matrix::crowd(5))) else { return };
    let hosts = ["peer-0", "peer-1", "peer-2", "peer-3", "peer-4"];
    let strike = |seed: u64| {
        let mut storm = Storm::new(&rig, &hosts, 6, seed);
        let events: Vec<Event> = (0..40).map(|_| storm.strike(&rig).unwrap()).collect();
        storm.calm(&rig).unwrap();
        events
    };
    let events = strike(7);
    assert_eq!(strike(7), events, "the same seed is the same storm");
    let kinds: std::collections::BTreeSet<_> = events
        .iter()
        .map(|event| event.to_string().split(' ').next_back().map(str::to_owned))
        .collect();
    assert!(kinds.len() > 4, "{events:?}");
    for host in hosts {
        let (socket, reflector, place) = asked(&rig, host, RELAYS[0]);
        assert!(answers(&socket, &reflector), "{host}");
        assert!(arrives(&place, &rig.at(RELAYS[1]), 100), "{host}");
    }
    // Public, so that it can be called: no pair that could hear each other is left parted.
    for host in ["peer-1", "peer-2", "peer-3", "peer-4"] {
        assert!(arrives(&rig.at(host), &rig.at("peer-0"), 100), "{host}");
    }
}
