//! What an onlooker on the wire sees of packets under cover.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use mesh::{Cover, Overhead, Suite, WayKind};
use namespaces::{Capture, Node, Plan, Weather, rig_or_skip};

use crate::lab::{Lab, PATIENCE};

/// Of Ethernet's MTU: IPv4, UDP, and a sealed packet of 1,420 bytes.
const COVERED_LEN: usize = 20 + 8 + 32 + 1420;
const HEADERS: usize = 20 + 8;

/// Two nodes that reach each other directly under a cover. Links have weather, so that captures see single packets.
fn covered(cover: Cover) -> Option<Lab> {
    let plan = Plan::v4([
        Node::host("relay-1"),
        Node::host("a").weather(Weather::CLEAR.delay_ms(1)),
        Node::host("b"),
    ]);
    let rig = rig_or_skip(&plan)?;
    let lab = Lab::with(rig, &["a", "b"], &["relay-1"], Suite::Fast, |_, config| {
        config.peers.iter_mut().for_each(|peer| peer.cover = cover);
    });
    assert!(lab.reaches(0, 1, false, 32) && lab.goes(0, 1, WayKind::Direct));
    assert!(lab.goes(1, 0, WayKind::Direct));
    Some(lab)
}

/// Data packets of a capture by their first byte: when, and how long.
fn data(capture: &Capture) -> Vec<(Duration, usize)> {
    let is_data = |packet: &[u8]| matches!(packet.get(HEADERS), Some(0x04 | 0x84));
    let packets = capture.packets();
    packets.iter().filter(|(_, p)| is_data(p)).map(|(at, p)| (*at, p.len())).collect()
}

fn overhead(lab: &Lab, node: usize) -> Overhead {
    lab.nodes[node].peers().expect("the node lives")[0].link.carried().overhead
}

#[test]
fn under_cover_all_packets_are_equally_long() {
    let Some(lab) = covered(Cover::Size) else { return };
    let capture = Capture::start(&lab.rig.at("a"), "eth0").expect("it captures");
    for len in [1, 32, 500, 1300, 9000] {
        assert!(lab.reaches(0, 1, false, len) && lab.reaches(1, 0, true, len), "{len} bytes");
    }
    let seen = data(&capture);
    let lengths: BTreeSet<usize> = seen.iter().map(|(_, len)| *len).collect();
    assert_eq!(lengths, [COVERED_LEN].into(), "{} packets", seen.len());
    let hidden = overhead(&lab, 0);
    assert!(hidden.padding > 4 * 1000, "short ones were made long: {hidden:?}");
    assert_eq!(hidden.decoys_sent.0, 0, "nobody was silent for long");
}

#[test]
fn decoys_travel_within_their_share_and_harm_nothing() {
    let Some(lab) = covered(Cover::Decoys) else { return };
    for _ in 0..200 {
        assert!(lab.reaches(0, 1, false, 1300));
    }
    let carried = lab.nodes[0].peers().expect("the node lives")[0].link.carried();
    let (decoys, bytes) = carried.overhead.decoys_sent;
    assert!(decoys > 0, "some were sent");
    let most = carried.sent.1 / 10 + 24 * 1452;
    assert!(bytes <= most, "{bytes} of {most}");
    assert!(overhead(&lab, 1).decoys_heard.0 > 0, "and heard for what they are");
    assert_eq!(carried.refused, 0);
}

#[test]
fn at_a_constant_rate_packets_leave_by_a_beat_whatever_is_said() {
    let Some(lab) = covered(Cover::Rate) else { return };
    let capture = Capture::start(&lab.rig.at("a"), "eth0").expect("it captures");
    // Some seconds of talk and of silence: both look alike.
    let until = Instant::now() + Duration::from_secs(2);
    while Instant::now() < until {
        assert!(lab.reaches(0, 1, false, 300));
    }
    let quiet = Instant::now();
    while quiet.elapsed() < Duration::from_secs(2) && quiet.elapsed() < PATIENCE {
        std::thread::park_timeout(Duration::from_millis(50));
    }
    let ours = Capture::packets(&capture);
    let address = lab.rig.at("a").v4().octets();
    let sent: Vec<Duration> = ours
        .iter()
        .filter(|(_, p)| matches!(p.get(HEADERS), Some(0x84)) && p[12..16] == address)
        .map(|(at, p)| {
            assert_eq!(p.len(), COVERED_LEN);
            *at
        })
        .collect();
    // Fifty a second; windows of half a second, so that a busy machine's hiccups do not count.
    let first = sent.first().copied().unwrap_or_default();
    let mut windows = [0_usize; 8];
    for at in &sent {
        let index = (*at - first).as_millis() / 500;
        if let Some(window) = windows.get_mut(usize::try_from(index).expect("it is small")) {
            *window += 1;
        }
    }
    let (least, most) = (windows[..7].iter().min(), windows[..7].iter().max());
    assert!(least >= Some(&15) && most <= Some(&30), "{windows:?}");
}
