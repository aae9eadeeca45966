//! What can be changed while a network runs: what is blocked, cut, and taken down.

use namespaces::matrix::{self, RELAYS, ROUTERS};
use namespaces::{Blocked, Nat, Node, Place, Plan, Rig, Weather, probe, rig_or_skip};

use crate::{answers, arrives, asked, carries_tcp, vanishes};

#[test]
fn blocked_udp_leaves_tcp() {
    let Some(rig) = rig_or_skip(&matrix::plan(Nat::Easy, Nat::Easy)) else { return };
    let (socket, reflector, a) = asked(&rig, "a", RELAYS[0]);
    assert!(answers(&socket, &reflector));
    rig.block(ROUTERS[0], Blocked::Udp).unwrap();
    assert!(
        probe::is_silent(&socket, reflector.address()),
        "a mapping that was there does not help"
    );
    let relay = rig.at(RELAYS[0]);
    assert!(carries_tcp(&a, &relay, relay.v4().into(), 0));
    rig.block(ROUTERS[0], Blocked::Nothing).unwrap();
    assert!(answers(&socket, &reflector));
}

#[test]
fn a_strict_router_leaves_the_ports_it_names() {
    let Some(rig) = rig_or_skip(&matrix::plan(Nat::Easy, Nat::Easy)) else { return };
    rig.block(ROUTERS[0], Blocked::AllButTcp(vec![443])).unwrap();
    let (a, relay) = (rig.at("a"), rig.at(RELAYS[0]));
    assert!(carries_tcp(&a, &relay, relay.v4().into(), 443));
    assert!(!connects(&a, &relay, 444));
    assert!(vanishes(&a, &relay, 100));
}

/// Whether TCP gets through within a moment.
fn connects(from: &Place<'_>, to: &Place<'_>, port: u16) -> bool {
    let _listener = to.run(|| std::net::TcpListener::bind((to.v4(), port))).unwrap();
    let address = (to.v4(), port).into();
    from.run(|| std::net::TcpStream::connect_timeout(&address, crate::SILENCE)).is_ok()
}

#[test]
fn a_host_blocks_for_itself_alone() {
    let Some(rig) = rig_or_skip(&Plan::both([Node::host("a"), Node::host("b"), Node::host("c")]))
    else {
        return;
    };
    let (a, b, c) = (rig.at("a"), rig.at("b"), rig.at("c"));
    rig.block("a", Blocked::Udp).unwrap();
    assert!(vanishes(&a, &b, 100) && vanishes(&b, &a, 100) && arrives(&b, &c, 100));
    let (socket, reflector, _) = asked(&rig, "a", "a");
    assert!(answers(&socket, &reflector), "its loopback is its own");
    assert!(carries_tcp(&a, &b, b.v6().into(), 0), "TCP is left, and neighbors are still found");
}

#[test]
fn a_partition_parts_two_and_leaves_their_relay() {
    let Some(rig) = rig_or_skip(&matrix::plan(Nat::FullCone, Nat::FullCone)) else { return };
    let (at_a, reflector, a) = asked(&rig, "a", RELAYS[0]);
    let b = rig.at("b");
    assert!(probe::punch(&a, &b, reflector.address()).unwrap());
    rig.partition("a", "b").unwrap();
    assert!(!probe::punch(&a, &b, reflector.address()).unwrap());
    assert!(answers(&at_a, &reflector));
    rig.heal("b", "a").unwrap();
    assert!(probe::punch(&a, &b, reflector.address()).unwrap());
}

#[test]
fn neighbors_behind_one_router_can_be_parted() {
    let plan = Plan::both([
        Node::host("relay"),
        Node::router("home", Nat::Easy),
        Node::host("a").behind("home"),
        Node::host("b").behind("home"),
    ]);
    let Some(rig) = rig_or_skip(&plan) else { return };
    let (a, b) = (rig.at("a"), rig.at("b"));
    assert!(arrives(&a, &b, 100));
    rig.partition("a", "b").unwrap();
    assert!(vanishes(&a, &b, 100));
    let (socket, reflector, _) = asked(&rig, "a", "relay");
    assert!(answers(&socket, &reflector), "what they share is not cut");
}

#[test]
fn the_deaf_are_still_heard() {
    let Some(rig) = rig_or_skip(&Plan::v4([Node::host("a"), Node::host("b")])) else { return };
    let (a, b) = (rig.at("a"), rig.at("b"));
    rig.deafen("a", "b").unwrap();
    assert!(vanishes(&a, &b, 100));
    // ARP is not IP: the way back is found though nothing of the other's is heard.
    assert!(arrives(&b, &a, 100));
    rig.heal("a", "b").unwrap();
    assert!(arrives(&a, &b, 100));
}

#[test]
fn a_link_is_cut_silently_or_taken_down_and_comes_back() {
    for weather in [None, Some(Weather::CLEAR)] {
        let mut a = Node::host("a").behind("home");
        if let Some(weather) = weather {
            a = a.weather(weather);
        }
        let plan = Plan::both([Node::host("b"), Node::router("home", Nat::None), a]);
        let Some(rig) = rig_or_skip(&plan) else { return };
        check_link(&rig);
    }
}

fn check_link(rig: &Rig) {
    let (a, b) = (rig.at("a"), rig.at("b"));
    let works = || carries_tcp(&a, &b, b.v4().into(), 0) && carries_tcp(&b, &a, a.v6().into(), 0);
    assert!(works());
    rig.link("a").cut().unwrap();
    assert!(vanishes(&a, &b, 100) && vanishes(&b, &a, 100) && has_carrier(&a));
    rig.link("a").mend().unwrap();
    assert!(works());
    rig.link("a").down().unwrap();
    assert!(!has_carrier(&a) && vanishes(&a, &b, 100));
    rig.link("a").up().unwrap();
    assert!(works() && has_carrier(&a));
}

/// What the kernel says of the cable of its first interface.
fn has_carrier(place: &Place<'_>) -> bool {
    let mut ip = std::process::Command::new("ip");
    ip.args(["-o", "link", "show", "dev", place.interfaces()[0]]);
    let said = place.run(|| ip.output()).unwrap().stdout;
    !String::from_utf8_lossy(&said).contains("NO-CARRIER")
}

#[test]
fn a_black_hole_swallows_long_packets_without_a_word() {
    let Some(rig) = office() else { return };
    let (a, relay) = (rig.at("a"), rig.at("relay"));
    assert!(arrives(&a, &relay, 1400));
    rig.black_hole("office", Some(1280)).unwrap();
    assert!(arrives(&a, &relay, 1200) && vanishes(&a, &relay, 1400));
    assert!(vanishes(&a, &relay, 1400), "nobody was told, so it is sent in vain again");
    assert!(!carries_tcp_soon(&rig), "segments are too long, and nobody says so");
    rig.black_hole("office", None).unwrap();
    assert!(arrives(&a, &relay, 1400));
    assert!(rig.black_hole("a", Some(1280)).is_err(), "a host knows its own link");
}

#[test]
fn a_narrow_link_says_how_long_packets_may_be() {
    let Some(rig) = office() else { return };
    let (a, relay) = (rig.at("a"), rig.at("relay"));
    rig.link("office").set_mtu(1280).unwrap();
    assert!(vanishes(&a, &relay, 1400));
    assert!(arrives(&a, &relay, 1400), "the router said so, and the kernel cuts it in two");
    assert!(carries_tcp(&a, &relay, relay.v4().into(), 0));
    assert!(carries_tcp(&a, &relay, relay.v6().into(), 0));
}

fn office() -> Option<Rig> {
    rig_or_skip(&Plan::both([
        Node::host("relay"),
        Node::router("office", Nat::Easy),
        Node::host("a").behind("office"),
    ]))
}

/// Whether a segment of full length arrives from inside.
fn carries_tcp_soon(rig: &Rig) -> bool {
    use std::io::{Read, Write};
    let relay = rig.at("relay");
    let listener = relay.run(|| std::net::TcpListener::bind((relay.v4(), 0))).unwrap();
    let address = listener.local_addr().unwrap();
    let mut stream = rig.at("a").run(|| std::net::TcpStream::connect(address)).unwrap();
    stream.write_all(&[7; 20_000]).unwrap();
    let (mut accepted, _) = listener.accept().unwrap();
    accepted.set_read_timeout(Some(crate::SILENCE)).unwrap();
    accepted.read(&mut [0; 20_000]).is_ok()
}
