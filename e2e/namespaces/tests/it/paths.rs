//! Ways through the network: versions of IP, routers that hide nothing, and hosts with two links.

use std::net::{IpAddr, SocketAddr};

use namespaces::matrix::{self, ENDS, RELAYS};
use namespaces::probe::{self, Reflector};
use namespaces::{Families, Nat, Node, Plan, rig_or_skip};

use crate::{asked, carries_tcp, vanishes};

#[test]
fn a_network_of_ipv6_alone_carries_everything() {
    let Some(rig) = rig_or_skip(&Plan::v6(matrix::nodes(Nat::Easy, Nat::Symmetric))) else {
        return;
    };
    let (a, relay) = (rig.at("a"), rig.at(RELAYS[0]));
    assert!(a.addresses().iter().all(IpAddr::is_ipv6));
    assert!(carries_tcp(&a, &relay, relay.v6().into(), 0));
    assert!(vanishes(&relay, &a, 100), "strangers are kept out");
    let reflector = Reflector::start(&relay).unwrap();
    let [a, b] = ENDS.map(|name| rig.at(name));
    // Nothing is translated, so a filter is all there is to get through.
    assert!(probe::punch(&a, &b, reflector.address()).unwrap());
}

#[test]
fn a_host_of_ipv6_alone_lives_among_others() {
    let plan = Plan::both([
        Node::host("relay"),
        Node::router("mobile", Nat::Easy).families(Families::V6),
        Node::host("phone").behind("mobile"),
        Node::host("six").families(Families::V6),
    ]);
    let Some(rig) = rig_or_skip(&plan) else { return };
    let relay = rig.at("relay");
    for name in ["phone", "six"] {
        let place = rig.at(name);
        assert!(place.addresses().iter().all(IpAddr::is_ipv6), "{name}");
        assert!(carries_tcp(&place, &relay, relay.v6().into(), 0), "{name}");
        assert!(vanishes(&place, &relay, 100), "{name} has no IPv4");
    }
}

#[test]
fn routers_that_hide_nothing_lead_everywhere() {
    let plan = Plan::both([
        Node::router("campus", Nat::None),
        Node::router("lab", Nat::None).behind("campus"),
        Node::host("a").behind("lab"),
        Node::host("b"),
    ]);
    let Some(rig) = rig_or_skip(&plan) else { return };
    let (a, b) = (rig.at("a"), rig.at("b"));
    assert!(carries_tcp(&b, &a, a.v4().into(), 0));
    assert!(carries_tcp(&b, &a, a.v6().into(), 0));
}

#[test]
fn a_host_with_two_links_uses_the_one_of_its_address() {
    let plan = Plan::both([
        Node::host("relay"),
        Node::router("home", Nat::Easy),
        Node::router("mobile", Nat::Symmetric),
        Node::host("a").behind("home").also_behind("mobile"),
    ]);
    let Some(rig) = rig_or_skip(&plan) else { return };
    let (unbound, reflector, a) = asked(&rig, "a", "relay");
    let seen = |local: IpAddr| {
        let socket = probe::bind(&a, SocketAddr::new(local, 0)).unwrap();
        probe::seen_as(&socket, reflector.address()).map(|seen| seen.ip())
    };
    let [home, mobile] = ["home", "mobile"].map(|name| IpAddr::V4(rig.at(name).v4()));
    let own: Vec<IpAddr> = a.addresses().into_iter().filter(IpAddr::is_ipv4).collect();
    assert_eq!(seen(own[0]), Some(home));
    assert_eq!(seen(own[1]), Some(mobile));
    assert_eq!(probe::seen_as(&unbound, reflector.address()).map(|seen| seen.ip()), Some(home));

    rig.link_to("a", "home").cut().unwrap();
    let cut = probe::bind(&a, SocketAddr::new(own[0], 0)).unwrap();
    assert!(probe::is_silent(&cut, reflector.address()));
    assert_eq!(seen(own[1]), Some(mobile));
    assert!(probe::is_silent(&unbound, reflector.address()), "nobody told the kernel");

    rig.link_to("a", "home").down().unwrap();
    let (unbound, reflector, _) = asked(&rig, "a", "relay");
    assert_eq!(probe::seen_as(&unbound, reflector.address()).map(|seen| seen.ip()), Some(mobile));
}
