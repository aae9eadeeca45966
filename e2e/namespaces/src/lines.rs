//! What `ip -batch` is told to make a layout real: first all namespaces and links, then each node's addresses and
//! routes.

use std::fmt::Write;

use crate::layout::{Laid, Layout, Wire};
use crate::plan::Nat;

/// The ends of every link have these, so that a child's way up is the same everywhere.
const PARENT_LINK_LOCAL: &str = "fe80::1";
const CHILD_LINK_LOCAL: &str = "fe80::2";
/// Middles carry whatever the outer ends let through.
const MIDDLE_MTU: u16 = 65_535;
/// Tables and metrics of the links after the first begin here.
const TABLE_FIRST: usize = 100;

/// Indices are unlike those of the other end: where both are the same, the kernel takes an interface for one without a
/// peer, and is in no hurry to say that there is a carrier. No network has so many interfaces of its own before these.
const INDEX_FIRST: usize = 1000;
const ENDS_OF_A_LINK: usize = 4;

macro_rules! say {
    ($out:expr, $($text:tt)*) => {
        writeln!($out, $($text)*).expect("text grows")
    };
}

/// Namespaces, and links between them.
pub(crate) fn skeleton(layout: &Layout) -> String {
    let mut out = String::new();
    for name in layout.namespaces() {
        say!(out, "netns add {name}");
    }
    let weather = layout.weather_netns();
    for (child, wire) in layout.wires() {
        let child = (wire.child_end.as_str(), layout.nodes[child].netns.as_str());
        let parent = (wire.parent_end.as_str(), layout.nodes[wire.parent].netns.as_str());
        let first = INDEX_FIRST + wire.number * ENDS_OF_A_LINK;
        if wire.weather.is_some() {
            let (up, down) = wire.middle();
            pair(&mut out, first, child, (&up, &weather));
            pair(&mut out, first + 2, (&down, &weather), parent);
        } else {
            pair(&mut out, first, child, parent);
        }
    }
    out
}

/// Two ends of one cable, each an interface's name and its namespace.
fn pair(out: &mut String, index: usize, one: (&str, &str), other: (&str, &str)) {
    let ((one, at), (other, there)) = (one, other);
    say!(
        out,
        "link add name {one} index {index} netns {at} type veth peer name {other} index {} netns {there}",
        index + 1
    );
}

/// The middles of all links with weather.
pub(crate) fn middles(layout: &Layout) -> String {
    let mut out = String::new();
    for (_, wire) in layout.wires().filter(|(_, wire)| wire.weather.is_some()) {
        let (up, down) = wire.middle();
        for end in [up, down] {
            say!(out, "link set dev {end} mtu {MIDDLE_MTU} arp off up");
        }
    }
    out
}

/// Addresses and routes of one node.
pub(crate) fn node(layout: &Layout, index: usize) -> String {
    let laid = &layout.nodes[index];
    let mut out = String::from("link set dev lo up\n");
    if laid.nat().is_some() {
        if laid.v4 {
            say!(out, "addr add {}/32 dev lo", laid.gateway4());
        }
        if laid.v6 {
            say!(out, "addr add {}/128 dev lo nodad", laid.gateway6());
        }
    }
    for (child, wire) in layout.below(index) {
        out += &parent_end(layout, child, wire);
    }
    for (at, wire) in laid.uplinks.iter().enumerate() {
        child_end(&mut out, &layout.nodes[wire.parent], wire, at);
    }
    out
}

/// Another length of packets, for the child and for its router.
pub(crate) fn mtu(wire: &Wire, bytes: u16) -> (String, String) {
    let of_end = |end: &str| format!("link set dev {end} mtu {bytes}\n");
    (of_end(&wire.child_end), of_end(&wire.parent_end))
}

/// A router's end of one link: also what brings it back after it was down.
pub(crate) fn parent_end(layout: &Layout, child: usize, wire: &Wire) -> String {
    let end = &wire.parent_end;
    let mut out = String::new();
    say!(out, "link set dev {end} mtu {} addrgenmode none", wire.mtu);
    say!(out, "link set dev {end} up");
    if let Some(v4) = wire.v4 {
        say!(out, "addr add {} peer {v4}/32 dev {end}", layout.nodes[wire.parent].gateway4());
    }
    if let Some(v6) = wire.v6 {
        say!(out, "addr add {PARENT_LINK_LOCAL}/64 dev {end} nodad");
        say!(out, "route add {v6}/128 dev {end}");
    }
    networks_below(&mut out, layout, child, wire);
    out
}

/// Routes to the networks behind a child: of IPv4 those that nothing hides.
fn networks_below(out: &mut String, layout: &Layout, child: usize, wire: &Wire) {
    for (index, router) in layout.nodes.iter().enumerate() {
        if router.nat().is_none() || !is_at_or_below(layout, index, child) {
            continue;
        }
        if let (Some(via), true) = (wire.v4, is_open(layout, index, child)) {
            say!(out, "route add {}/24 via {via} dev {}", router.lan4, wire.parent_end);
        }
        if let (Some(via), true) = (wire.v6, router.v6) {
            say!(out, "route add {}/64 via {via} dev {}", network6(router), wire.parent_end);
        }
    }
}

fn network6(router: &Laid) -> std::net::Ipv6Addr {
    let [a, b, c, ..] = router.gateway6().segments();
    std::net::Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0)
}

/// Whether the first links from `index` up lead over `above`. Networks are reached by their routers' first links.
fn is_at_or_below(layout: &Layout, index: usize, above: usize) -> bool {
    let mut at = index;
    while at > above {
        at = layout.nodes[at].uplinks[0].parent;
    }
    at == above && above != 0
}

/// Whether nothing translates from a router's network up to `above`, which is one of them.
fn is_open(layout: &Layout, index: usize, above: usize) -> bool {
    let translates = |at: usize| layout.nodes[at].nat().is_some_and(Nat::translates);
    let mut at = index;
    while at > above && !translates(at) {
        at = layout.nodes[at].uplinks[0].parent;
    }
    at == above && !translates(at)
}

fn child_end(out: &mut String, parent: &Laid, wire: &Wire, at: usize) {
    let end = &wire.child_end;
    say!(out, "link set dev {end} mtu {} addrgenmode none", wire.mtu);
    say!(out, "link set dev {end} up");
    if let Some(v4) = wire.v4 {
        say!(out, "addr add {v4}/32 dev {end}");
    }
    if let Some(v6) = wire.v6 {
        say!(out, "addr add {CHILD_LINK_LOCAL}/64 dev {end} nodad");
        say!(out, "addr add {v6}/128 dev {end} nodad");
    }
    let ways = [
        wire.v4.map(|_| format!("0.0.0.0/0 via {}", parent.gateway4())),
        wire.v6.map(|_| format!("::/0 via {PARENT_LINK_LOCAL}")),
    ];
    for way in ways.into_iter().flatten() {
        let table = TABLE_FIRST + at;
        say!(out, "route add {way} dev {end} onlink metric {table}");
        if at > 0 {
            say!(out, "route add {way} dev {end} onlink table {table}");
        }
    }
}

/// What makes packets from the address of a link after the first leave there: for IPv4, and for IPv6.
pub(crate) fn link_choice(laid: &Laid) -> [String; 2] {
    let mut out = [String::new(), String::new()];
    for (at, wire) in laid.uplinks.iter().enumerate().skip(1) {
        let table = TABLE_FIRST + at;
        if let Some(v4) = wire.v4 {
            say!(out[0], "rule add from {v4} lookup {table}");
        }
        if let Some(v6) = wire.v6 {
            say!(out[1], "rule add from {v6} lookup {table}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Node, Plan};

    #[test]
    fn a_router_knows_the_way_to_every_network_that_nothing_hides() {
        let plan = Plan::both([
            Node::router("plain", Nat::None),
            Node::router("inner", Nat::None).behind("plain"),
            Node::router("home", Nat::Easy).behind("plain"),
            Node::host("a").behind("inner"),
        ]);
        let layout = Layout::of(&plan, "iog-1-0");
        check(
            &layout,
            0,
            "198.18.1.0/24 2001:db8:1::/64 198.18.2.0/24 2001:db8:2::/64 2001:db8:3::/64",
        );
        check(&layout, 1, "198.18.2.0/24 2001:db8:2::/64 2001:db8:3::/64");
        check(&layout, 2, "");
    }

    /// `expected`: the networks, in the order in which routes to them are made.
    fn check(layout: &Layout, index: usize, expected: &str) {
        let text = node(layout, index);
        let routes = text.lines().filter_map(|line| line.strip_prefix("route add "));
        let networks = routes.filter_map(|route| route.split(' ').next());
        let networks: Vec<&str> =
            networks.filter(|n| n.ends_with("/24") || n.ends_with("/64")).collect();
        assert_eq!(networks.join(" "), expected);
    }
}
