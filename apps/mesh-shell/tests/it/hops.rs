//! Two members meet through a third: nobody else sees both, and the third sees nothing of what they say.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};

use mesh::{Cover, Suite, WayKind};
use namespaces::{Capture, Node, Plan, rig_or_skip};

use crate::lab::{Lab, ip, node_sign, private};

/// The numbers of the members: a and b are the ends, h, i and j hand on.
const A: u8 = 1;
const B: u8 = 2;
const H: u8 = 3;
const I: u8 = 4;
const J: u8 = 5;

/// Packets between the two go through the third.
type HandedOn = ([u8; 2], u8);
const ONE_HOP: [HandedOn; 1] = [([A, B], H)];
/// Of two of them the sender of a packet from a to b knows nothing: h and i need them.
const A_CHAIN: [HandedOn; 3] = [([A, B], H), ([H, B], I), ([I, B], J)];

/// The nodes a and b, and those that hand on.
fn lab(cover: Cover, handed_on: &'static [HandedOn]) -> Option<Lab> {
    let names = &["a", "b", "h", "i", "j"][..2 + handed_on.len()];
    let hosts = std::iter::once(&"relay-1").chain(names).map(|name| Node::host(name));
    let rig = rig_or_skip(&Plan::v4(hosts))?;
    let lab = Lab::with(rig, names, &["relay-1"], Suite::Fast, move |number, config| {
        for peer in &mut config.peers {
            peer.cover = cover;
            let Some(contact) = &mut peer.contact else { continue };
            for (ends, hop) in handed_on {
                let is_end = ends.iter().any(|end| node_sign(*end) == contact.sign);
                if number == *hop && is_end {
                    let others = ends.iter().map(|end| node_sign(*end));
                    contact.carries.extend(others.filter(|sign| *sign != contact.sign));
                } else if ends.contains(&number) && is_end {
                    contact.via = Some([node_sign(*hop)].into());
                }
            }
        }
    });
    Some(lab)
}

#[test]
fn through_a_hop_nobody_sees_both_ends_and_the_hop_sees_nothing_inside() {
    let Some(lab) = lab(Cover::None, &ONE_HOP) else { return };
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
    let Some(lab) = lab(Cover::Size, &ONE_HOP) else { return };
    assert!(lab.reaches(0, 1, false, 32) && lab.goes(0, 2, WayKind::Direct));
    let capture = Capture::start(&lab.rig.at("a"), "eth0").expect("it captures");
    for len in [1, 100, 1000] {
        assert!(lab.reaches(0, 1, false, len), "{len} bytes");
    }
    // Pings between the ends are short parcels; they are as long as all else, too.
    assert_eq!(lengths(&capture).len(), 1, "{:?}", lengths(&capture));
}

#[test]
fn packets_of_full_length_go_over_hops_that_their_sender_does_not_know_of() {
    for cover in [Cover::None, Cover::Size] {
        let Some(lab) = lab(cover, &A_CHAIN) else { return };
        for (v6, len) in
            [(false, 32), (true, 32), (false, 1392), (true, 1372), (false, 9000), (true, 9000)]
        {
            assert!(lab.reaches(0, 1, v6, len) && lab.reaches(1, 0, v6, len), "{len} bytes");
        }
        assert_eq!((lab.way(0, 1), lab.way(1, 0)), (Some(WayKind::Hop), Some(WayKind::Hop)));
        assert_eq!((lab.way(2, 1), lab.way(3, 1)), (Some(WayKind::Hop), Some(WayKind::Hop)));
    }
}

#[test]
fn under_cover_what_goes_through_a_chain_of_hops_is_as_long_as_all_else_on_each_wire() {
    let Some(lab) = lab(Cover::Size, &A_CHAIN) else { return };
    let hops = [(0, 2), (2, 3), (3, 4), (1, 4)];
    assert!(lab.reaches(0, 1, true, 32), "they meet");
    assert!(hops.into_iter().all(|(from, to)| lab.goes(from, to, WayKind::Direct)));
    let captures = ["a", "b", "h", "i", "j"]
        .map(|name| Capture::start(&lab.rig.at(name), "eth0").expect("it captures"));
    for len in [1, 100, 1000, 1392] {
        assert!(lab.reaches(0, 1, false, len) && lab.reaches(1, 0, true, len), "{len} bytes");
    }
    for capture in &captures {
        assert_eq!(lengths(capture).len(), 1, "{:?}", lengths(capture));
    }
}

/// How long packets are that were seen on a wire, but those of handshakes and pings.
fn lengths(capture: &Capture) -> BTreeSet<usize> {
    let data = |packet: &&Vec<u8>| matches!(packet.get(28), Some(0x04 | 0x84));
    let packets: Vec<Vec<u8>> = capture.packets().into_iter().map(|(_, packet)| packet).collect();
    packets.iter().filter(data).map(Vec::len).collect()
}

fn address(packet: &[u8], at: usize) -> Ipv4Addr {
    let octets: [u8; 4] = packet[at..at + 4].try_into().expect("a packet has a header");
    octets.into()
}
