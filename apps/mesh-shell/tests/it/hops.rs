//! Two members meet through a third: nobody else sees both, and the third sees nothing of what they say.

use std::net::{IpAddr, Ipv4Addr};

use mesh::{Cover, Suite, WayKind};
use namespaces::{Capture, Node, Plan, rig_or_skip};

use crate::lab::{Lab, ip, node_sign, private};

const HOP: u8 = 3;

/// The nodes a, b, h: the first two reach each other through the third only.
fn lab(cover: Cover) -> Option<Lab> {
    let plan = Plan::v4(["relay-1", "a", "b", "h"].map(Node::host));
    let rig = rig_or_skip(&plan)?;
    let lab = Lab::with(rig, &["a", "b", "h"], &["relay-1"], Suite::Fast, move |number, config| {
        for peer in &mut config.peers {
            peer.cover = cover;
            let Some(contact) = &mut peer.contact else { continue };
            let others = [1, 2].map(node_sign);
            if number == HOP {
                contact.carries = others.into_iter().filter(|sign| *sign != contact.sign).collect();
            } else if contact.sign != node_sign(HOP) {
                contact.via = Some([node_sign(HOP)].into());
            }
        }
    });
    Some(lab)
}

#[test]
fn through_a_hop_nobody_sees_both_ends_and_the_hop_sees_nothing_inside() {
    let Some(lab) = lab(Cover::None) else { return };
    let places = ["a", "b", "h", "relay-1"];
    let captures =
        places.map(|name| Capture::start(&lab.rig.at(name), "eth0").expect("it captures"));
    for (v6, len) in [(false, 32), (true, 32), (false, 1300), (false, 9000)] {
        assert!(lab.reaches(0, 1, v6, len) && lab.reaches(1, 0, v6, len), "{len} bytes");
    }
    assert_eq!((lab.way(0, 1), lab.way(1, 0)), (Some(WayKind::Hop), Some(WayKind::Hop)));
    assert!(lab.goes(0, 2, WayKind::Direct), "the hop itself is met directly");
    let outer = |name: &str| lab.rig.at(name).v4();
    let pair = [outer("a"), outer("b")];
    for (name, capture) in places.iter().zip(&captures) {
        for (_, packet) in capture.packets() {
            let ends = [12, 16].map(|at| address(&packet, at));
            assert!(!pair.iter().all(|end| ends.contains(end)), "{name} sees both ends");
        }
        let inside = [ip(0, false), ip(1, false)].map(|ip| match ip {
            IpAddr::V4(v4) => v4.octets(),
            IpAddr::V6(_) => [0; 4],
        });
        assert!(!capture.saw(&inside.concat()), "{name} sees addresses of the private network");
        assert!(!capture.saw(&[7; 24]), "{name} sees what is said");
        let keys = [1, 2].map(|number| private(number).public().0);
        assert!(keys.iter().all(|key| !capture.saw(key)), "{name} sees keys");
    }
}

#[test]
fn under_cover_what_goes_through_a_hop_is_as_long_as_all_else() {
    let Some(lab) = lab(Cover::Size) else { return };
    assert!(lab.reaches(0, 1, false, 32) && lab.goes(0, 2, WayKind::Direct));
    let capture = Capture::start(&lab.rig.at("a"), "eth0").expect("it captures");
    for len in [1, 100, 1000] {
        assert!(lab.reaches(0, 1, false, len), "{len} bytes");
    }
    let data = |packet: &&Vec<u8>| matches!(packet.get(28), Some(0x04 | 0x84));
    let packets: Vec<Vec<u8>> = capture.packets().into_iter().map(|(_, packet)| packet).collect();
    let mut lengths: Vec<usize> = packets.iter().filter(data).map(Vec::len).collect();
    lengths.sort_unstable();
    lengths.dedup();
    // Pings between the ends are short parcels; they are as long as all else, too.
    assert_eq!(lengths.len(), 1, "{lengths:?}");
}

fn address(packet: &[u8], at: usize) -> Ipv4Addr {
    let octets: [u8; 4] = packet[at..at + 4].try_into().expect("a packet has a header");
    octets.into()
}
