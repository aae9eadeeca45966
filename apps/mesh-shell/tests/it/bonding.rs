//! Two nodes with two links each: what goes over which, and what is lost when one is cut.

use std::collections::{BTreeMap, BTreeSet};
use std::net::UdpSocket;
use std::time::{Duration, Instant};

use mesh::{Policy, Suite, WayKind};
use namespaces::{Capture, Nat, Node, Plan, Weather, rig_or_skip};

use crate::lab::{Lab, PATIENCE, ip};

const PORT: u16 = 4000;
const LEN: usize = 64;

/// The nodes a and b, both behind both routers: whoever has an address behind a router is reached through that one.
fn bonded(policy: Policy) -> Option<Lab> {
    let host = |name| {
        let weather = Weather::CLEAR.delay_ms(2);
        Node::host(name).behind("left").weather(weather).also_behind("right").weather(weather)
    };
    let plan = Plan::v4([
        Node::host("relay-1"),
        Node::router("left", Nat::None),
        Node::router("right", Nat::None),
        host("a"),
        host("b"),
    ]);
    let rig = rig_or_skip(&plan)?;
    for (from, to) in [("a", "b"), ("b", "a")] {
        let (near, far) = (rig.at(from).addresses()[1], rig.at(to).addresses()[1]);
        let shown = rig.at(from).exec("ip").args(["route", "show", "table", "all"]).output();
        let shown = String::from_utf8(shown.expect("it runs").stdout).expect("it is text");
        let default = |line: &&str| line.starts_with("default") && line.contains("eth1");
        let line = shown.lines().find(default).expect("the second link leads somewhere");
        let router = line.split_whitespace().nth(2).expect("default via …");
        let (to, near) = (format!("{far}/32"), near.to_string());
        let words = ["route", "add", &to, "via", router, "dev", "eth1", "onlink", "src", &near];
        let added = rig.at(from).exec("ip").args(words).status().expect("it runs");
        assert!(added.success(), "{words:?}");
    }
    let lab = Lab::with(rig, &["a", "b"], &["relay-1"], Suite::Fast, |_, config| {
        for contact in config.peers.iter_mut().filter_map(|peer| peer.contact.as_mut()) {
            contact.policy = policy;
        }
    });
    assert!(lab.goes(0, 1, WayKind::Direct) && lab.goes(1, 0, WayKind::Direct));
    let until = Instant::now() + PATIENCE;
    while [0, 1].iter().any(|node| direct(&lab, *node) < 2) {
        assert!(Instant::now() < until, "both links are found");
        assert!(lab.reaches(0, 1, false, 32));
    }
    Some(lab)
}

/// How many direct ways work.
fn direct(lab: &Lab, node: usize) -> usize {
    let peers = lab.nodes[node].peers().expect("the node lives");
    let works = |way: &&mesh::WayView| way.works && way.way.kind() == WayKind::Direct;
    peers[0].ways.iter().filter(works).count()
}

/// Numbers that arrive, by the port that they come from, in the order they do.
fn heard(socket: &UdpSocket) -> BTreeMap<u16, Vec<u16>> {
    let (mut heard, mut buffer) = (BTreeMap::<u16, Vec<u16>>::new(), [0; LEN]);
    while let Ok((_, from)) = socket.recv_from(&mut buffer) {
        heard.entry(from.port()).or_default().push(u16::from_le_bytes([buffer[0], buffer[1]]));
    }
    heard
}

fn say(socket: &UdpSocket, number: u16) {
    let mut text = [0; LEN];
    text[..2].copy_from_slice(&number.to_le_bytes());
    socket.send_to(&text, (ip(1, false), PORT)).expect("it leaves");
}

fn listener(lab: &Lab) -> UdpSocket {
    let bind = || UdpSocket::bind((ip(1, false), PORT)).expect("the port is free");
    let socket = lab.rig.at("b").run(bind);
    socket.set_read_timeout(Some(Duration::from_millis(500))).expect("it takes a time-out");
    socket
}

#[test]
fn broadcast_loses_nothing_when_a_link_dies() {
    let Some(lab) = bonded(Policy::Broadcast) else { return };
    let (listener, speaker) = (listener(&lab), lab.socket(0, false));
    let reader = std::thread::spawn(move || heard(&listener));
    for number in 0..600 {
        if number == 200 {
            lab.rig.link_to("a", "left").cut().expect("the link is cut");
        }
        say(&speaker, number);
        std::thread::park_timeout(Duration::from_millis(3));
    }
    let heard = reader.join().expect("it reads");
    let numbers: Vec<u16> = heard.into_values().flatten().collect();
    let all: BTreeSet<u16> = numbers.iter().copied().collect();
    let lost: Vec<u16> = (0..600).filter(|number| !all.contains(number)).collect();
    assert!(lost.is_empty(), "{lost:?} are lost");
    assert_eq!(all.len(), numbers.len(), "nothing comes twice");
}

#[test]
fn balance_flow_uses_both_links_and_keeps_the_order_of_each_flow() {
    let Some(lab) = bonded(Policy::BalanceFlow) else { return };
    let listener = listener(&lab);
    let links = ["eth0", "eth1"];
    let captures = links.map(|link| Capture::start(&lab.rig.at("a"), link).expect("it captures"));
    let reader = std::thread::spawn(move || heard(&listener));
    let flows: Vec<UdpSocket> = (0..24).map(|_| lab.socket(0, false)).collect();
    for number in 0..40 {
        flows.iter().for_each(|flow| say(flow, number));
        std::thread::park_timeout(Duration::from_millis(2));
    }
    let heard = reader.join().expect("it reads");
    assert_eq!(heard.len(), flows.len());
    for (port, numbers) in heard {
        assert_eq!(numbers, (0..40).collect::<Vec<u16>>(), "the flow from {port}");
    }
    // Of 24 flows, all on one link is a chance of one in eight million.
    let data = |packet: &[u8]| matches!(packet.get(28), Some(0x04 | 0x84)) && packet.len() > 100;
    for (link, capture) in links.iter().zip(&captures) {
        let carried = capture.packets().iter().filter(|(_, packet)| data(packet)).count();
        assert!(carried >= 40, "{link} carried {carried}");
    }
}
