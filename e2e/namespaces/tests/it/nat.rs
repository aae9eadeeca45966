//! Kinds of translation: what is seen, who can meet, and what is forgotten.

use std::net::SocketAddr;

use namespaces::matrix::{self, ENDS, RELAYS, ROUTERS};
use namespaces::probe::{self, Mapping, Reflector};
use namespaces::{Nat, Node, Plan, rig_or_skip};

use crate::{answers, asked, carries_tcp, vanishes};

#[test]
fn directly_meet_those_who_can() {
    for (one, other) in matrix::pairs() {
        let Some(rig) = rig_or_skip(&matrix::plan(one, other)) else { return };
        let reflector = Reflector::start(&rig.at(RELAYS[0])).unwrap();
        let [a, b] = ENDS.map(|name| rig.at(name));
        let met = probe::punch(&a, &b, reflector.address()).unwrap();
        assert_eq!(met, matrix::meet_directly(one, other), "{one:?} × {other:?}");
    }
}

#[test]
fn a_mapping_depends_on_the_destination_only_behind_a_symmetric_nat() {
    for nat in Nat::ALL {
        let Some(rig) = rig_or_skip(&matrix::plan(nat, Nat::None)) else { return };
        let relays = RELAYS.map(|name| Reflector::start(&rig.at(name)).unwrap());
        let again = Reflector::start(&rig.at(RELAYS[0])).unwrap();
        let reflectors = [relays[0].address(), again.address(), relays[1].address()];
        let socket = probe::bind_like(&rig.at("a"), reflectors[0]).unwrap();
        let seen = probe::mapping(&socket, &reflectors).unwrap();
        let outer = rig.at(if nat == Nat::None { "a" } else { ROUTERS[0] }).v4();
        let kept = Mapping::Same((outer, socket.local_addr().unwrap().port()).into());
        let expected = if nat == Nat::Symmetric { Mapping::Differs } else { kept };
        assert_eq!(seen, expected, "{nat:?}");
    }
}

#[test]
fn strangers_come_in_where_the_kind_says_so() {
    for (nat, from_same_address, from_another) in [
        (Nat::FullCone, true, true),
        (Nat::AddressRestricted, true, false),
        (Nat::Easy, false, false),
        (Nat::Symmetric, false, false),
    ] {
        let Some(rig) = rig_or_skip(&matrix::plan(nat, Nat::None)) else { return };
        let (socket, reflector, _) = asked(&rig, "a", RELAYS[0]);
        let outer = probe::seen_as(&socket, reflector.address()).unwrap();
        assert_eq!(reaches(&rig, RELAYS[0], &socket, outer), from_same_address, "{nat:?}");
        assert_eq!(reaches(&rig, RELAYS[1], &socket, outer), from_another, "{nat:?}");
    }
}

/// Whether a socket that was never written to can write to `inner`, seen as `outer`: asked until it is so, or a while.
fn reaches(
    rig: &namespaces::Rig,
    from: &str,
    inner: &std::net::UdpSocket,
    outer: SocketAddr,
) -> bool {
    let stranger = probe::bind_like(&rig.at(from), outer).unwrap();
    let mut buffer = [0; 100];
    (0..3).any(|_| {
        stranger.send_to(b"stranger", outer).unwrap();
        inner.recv(&mut buffer).is_ok_and(|length| &buffer[..length] == b"stranger")
    })
}

#[test]
fn a_port_that_nobody_opened_is_closed_in_every_kind() {
    for nat in [Nat::FullCone, Nat::AddressRestricted, Nat::Easy, Nat::Symmetric] {
        let Some(rig) = rig_or_skip(&matrix::plan(nat, Nat::None)) else { return };
        let a = rig.at("a");
        let socket = probe::bind(&a, SocketAddr::new(a.v4().into(), 0)).unwrap();
        let outer =
            SocketAddr::new(rig.at(ROUTERS[0]).v4().into(), socket.local_addr().unwrap().port());
        assert!(!reaches(&rig, RELAYS[0], &socket, outer), "{nat:?}");
    }
}

#[test]
fn tcp_goes_out_of_every_kind_and_into_none() {
    for nat in Nat::ALL {
        let Some(rig) = rig_or_skip(&matrix::plan(nat, nat)) else { return };
        let relay = rig.at(RELAYS[0]);
        assert!(carries_tcp(&rig.at("a"), &relay, relay.v4().into(), 0), "{nat:?}");
        if nat != Nat::None {
            assert!(vanishes(&relay, &rig.at("a"), 100), "{nat:?} shows a private address");
        }
    }
}

#[test]
fn a_rebound_nat_gives_other_ports_and_keeps_its_kind() {
    for nat in [Nat::FullCone, Nat::AddressRestricted, Nat::Easy, Nat::Symmetric] {
        let Some(rig) = rig_or_skip(&matrix::plan(nat, Nat::None)) else { return };
        let relays = RELAYS.map(|name| Reflector::start(&rig.at(name)).unwrap());
        let reflectors = [relays[0].address(), relays[1].address()];
        let socket = probe::bind_like(&rig.at("a"), reflectors[0]).unwrap();
        let mut seen = vec![probe::seen_as(&socket, reflectors[0]).unwrap()];
        for _ in 0..2 {
            rig.rebind(ROUTERS[0]).unwrap();
            seen.push(probe::seen_as(&socket, reflectors[0]).unwrap());
            let mapping = probe::mapping(&socket, &reflectors).unwrap();
            assert_eq!(mapping == Mapping::Differs, nat == Nat::Symmetric, "{nat:?}");
        }
        seen.dedup();
        assert_eq!(seen.len(), 3, "{nat:?}: {seen:?}");
    }
}

#[test]
fn after_rebinding_the_same_pairs_meet() {
    for (one, other) in
        [(Nat::Easy, Nat::Easy), (Nat::FullCone, Nat::Symmetric), (Nat::Easy, Nat::Symmetric)]
    {
        let Some(rig) = rig_or_skip(&matrix::plan(one, other)) else { return };
        let reflector = Reflector::start(&rig.at(RELAYS[0])).unwrap();
        let [a, b] = ENDS.map(|name| rig.at(name));
        ROUTERS.iter().for_each(|router| rig.rebind(router).unwrap());
        let met = probe::punch(&a, &b, reflector.address()).unwrap();
        assert_eq!(met, matrix::meet_directly(one, other), "{one:?} × {other:?}");
    }
}

#[test]
fn a_mapping_is_forgotten_after_its_time_of_silence() {
    let plan = Plan::v4([
        Node::host("relay"),
        Node::router("home", Nat::Symmetric).forgets_after(1),
        Node::host("a").behind("home"),
    ]);
    let Some(rig) = rig_or_skip(&plan) else { return };
    let (socket, reflector, _) = asked(&rig, "a", "relay");
    let first = probe::seen_as(&socket, reflector.address()).unwrap();
    // The silence is what is tested; a symmetric NAT shows by another port that it forgot.
    std::thread::sleep(std::time::Duration::from_millis(1500));
    assert_ne!(probe::seen_as(&socket, reflector.address()).unwrap(), first);
}

#[test]
fn nats_stand_behind_nats() {
    let plan = Plan::v4([
        Node::host("relay"),
        Node::router("carrier", Nat::Easy),
        Node::router("home", Nat::Easy).behind("carrier"),
        Node::host("a").behind("home"),
        Node::host("neighbor").behind("home"),
    ]);
    let Some(rig) = rig_or_skip(&plan) else { return };
    let (socket, reflector, a) = asked(&rig, "a", "relay");
    let outer = probe::seen_as(&socket, reflector.address()).unwrap();
    assert_eq!(outer.ip(), rig.at("carrier").v4());
    assert!(carries_tcp(&a, &rig.at("relay"), rig.at("relay").v4().into(), 0));
    // Those behind one router reach each other without it translating anything.
    let (socket, reflector, _) = asked(&rig, "a", "neighbor");
    assert_eq!(probe::seen_as(&socket, reflector.address()).unwrap().ip(), a.v4());
}

#[test]
fn homes_may_have_the_same_private_addresses() {
    let lan = std::net::Ipv4Addr::new(192, 168, 1, 0);
    let plan = Plan::v4([
        Node::host("relay"),
        Node::router("home", Nat::Easy).lan(lan),
        Node::router("other", Nat::Easy).lan(lan),
        Node::host("a").behind("home"),
        Node::host("b").behind("other"),
    ]);
    let Some(rig) = rig_or_skip(&plan) else { return };
    assert_eq!(rig.at("a").v4(), rig.at("b").v4());
    for name in ["a", "b"] {
        let (socket, reflector, _) = asked(&rig, name, "relay");
        assert!(answers(&socket, &reflector), "{name}");
    }
}
