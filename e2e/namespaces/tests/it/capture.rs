//! An onlooker sees what crosses an interface, and nothing else.

use namespaces::{Capture, Nat, Node, Plan, rig_or_skip};
use std::net::Ipv4Addr;

use crate::{arrives, eventually};

#[test]
fn an_onlooker_sees_addresses_as_they_are_there() {
    let plan = Plan::v4([
        Node::host("relay"),
        Node::router("home", Nat::Easy),
        Node::host("a").behind("home"),
        Node::host("b").behind("home"),
    ]);
    let Some(rig) = rig_or_skip(&plan) else { return };
    let (a, b, relay) = (rig.at("a"), rig.at("b"), rig.at("relay"));
    let inside = Capture::start(&a, "eth0").unwrap();
    let outside = Capture::start(&relay, "eth0").unwrap();
    assert!(arrives(&a, &relay, 777) && arrives(&b, &a, 555));
    let sources = |capture: &Capture, payload: usize| -> Vec<Ipv4Addr> {
        let packets = capture.packets();
        // IP and UDP have 28 bytes before what they carry.
        let sized = packets.iter().filter(|(_, packet)| packet.len() == payload + 28);
        sized
            .map(|(_, packet)| Ipv4Addr::new(packet[12], packet[13], packet[14], packet[15]))
            .collect()
    };
    eventually(|| sources(&inside, 555) == [b.v4()] && sources(&inside, 777) == [a.v4()]);
    eventually(|| sources(&outside, 777) == [rig.at("home").v4()]);
    assert!(sources(&outside, 555).is_empty());
    assert!(inside.saw(&[1; 555]) && !inside.saw(&[2; 10]));
}
