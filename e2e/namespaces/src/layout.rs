//! Addresses and names for a plan: which namespace, which interface, which address, which way back.
//!
//! # Invariants
//! - Every link has two ends and a subnet of its own: a router knows each child by an exact route.
//! - Index 0 is the internet, and a parent's index is less than its children's.

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::plan::{INTERNET, Kind, Nat, Node, Plan};
use crate::weather::Weather;

/// The internet's own addresses: a network set aside for documents (RFC 5737), which no machine really has.
const INTERNET_V4: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 0);
/// Below documents' prefix (RFC 3849) each router has 64 bits of its own.
const PREFIX_V6: [u16; 2] = [0x2001, 0x0db8];

/// The whole network, laid out.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    /// What all its namespaces' names begin with.
    pub(crate) prefix: String,
    pub(crate) nodes: Vec<Laid>,
    pub(crate) seed: u64,
}

/// A node with all it is called.
#[derive(Clone, Debug)]
pub(crate) struct Laid {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    /// What it has of its own wish and by those above it.
    pub(crate) v4: bool,
    pub(crate) v6: bool,
    pub(crate) netns: String,
    /// The first address of what is behind a router.
    pub(crate) lan4: Ipv4Addr,
    /// Its number in the third group of IPv6 addresses behind a router.
    pub(crate) lan6: u16,
    pub(crate) uplinks: Vec<Wire>,
    pub(crate) mapping_seconds: Option<u32>,
}

/// One link, from a child up to its router.
#[derive(Clone, Debug)]
pub(crate) struct Wire {
    pub(crate) parent: usize,
    /// Unlike any other's in the network.
    pub(crate) number: usize,
    pub(crate) child_end: String,
    pub(crate) parent_end: String,
    pub(crate) v4: Option<Ipv4Addr>,
    pub(crate) v6: Option<Ipv6Addr>,
    pub(crate) mtu: u16,
    pub(crate) weather: Option<Weather>,
}

impl Wire {
    /// The middle ends of a link with weather, the child's first.
    pub(crate) fn middle(&self) -> (String, String) {
        (format!("u{}", self.number), format!("d{}", self.number))
    }
}

impl Laid {
    /// The router's address towards its children.
    pub(crate) fn gateway4(&self) -> Ipv4Addr {
        in_lan4(self.lan4, 1)
    }

    pub(crate) fn gateway6(&self) -> Ipv6Addr {
        in_lan6(self.lan6, 1)
    }

    pub(crate) fn nat(&self) -> Option<Nat> {
        match self.kind {
            Kind::Host => None,
            Kind::Router(nat) => Some(nat),
        }
    }
}

impl Layout {
    pub(crate) fn of(plan: &Plan, prefix: &str) -> Layout {
        let mut nodes = vec![Laid {
            name: INTERNET.to_owned(),
            kind: Kind::Router(Nat::None),
            v4: plan.families.has_v4(),
            v6: plan.families.has_v6(),
            netns: format!("{prefix}-{INTERNET}"),
            lan4: INTERNET_V4,
            lan6: 0,
            uplinks: Vec::new(),
            mapping_seconds: None,
        }];
        for node in &plan.nodes {
            let laid = lay(plan, prefix, node, &nodes);
            nodes.push(laid);
        }
        Layout { prefix: prefix.to_owned(), nodes, seed: plan.seed }
    }

    /// Where the middles of links with weather are.
    pub(crate) fn weather_netns(&self) -> String {
        // A name that no node can have.
        format!("{}-weather.", self.prefix)
    }

    pub(crate) fn has_weather(&self) -> bool {
        self.wires().any(|(_, wire)| wire.weather.is_some())
    }

    pub(crate) fn index(&self, name: &str) -> Option<usize> {
        self.nodes.iter().position(|node| node.name == name)
    }

    /// Every link, with its child's index.
    pub(crate) fn wires(&self) -> impl Iterator<Item = (usize, &Wire)> {
        let nodes = self.nodes.iter().enumerate();
        nodes.flat_map(|(child, node)| node.uplinks.iter().map(move |wire| (child, wire)))
    }

    /// The links that end at a router.
    pub(crate) fn below(&self, parent: usize) -> impl Iterator<Item = (usize, &Wire)> {
        self.wires().filter(move |(_, wire)| wire.parent == parent)
    }

    /// All interfaces of a node.
    pub(crate) fn interfaces(&self, index: usize) -> Vec<String> {
        let up = self.nodes[index].uplinks.iter().map(|wire| &wire.child_end);
        let down = self.below(index).map(|(_, wire)| &wire.parent_end);
        up.chain(down).cloned().collect()
    }

    /// Those of them whose links have weather.
    pub(crate) fn interfaces_in_weather(&self, index: usize) -> Vec<String> {
        let up = self.nodes[index].uplinks.iter().map(|wire| (wire, &wire.child_end));
        let down = self.below(index).map(|(_, wire)| (wire, &wire.parent_end));
        let all = up.chain(down).filter(|(wire, _)| wire.weather.is_some());
        all.map(|(_, end)| end.clone()).collect()
    }

    pub(crate) fn namespaces(&self) -> Vec<String> {
        let mut names: Vec<String> = self.nodes.iter().map(|node| node.netns.clone()).collect();
        names.extend(self.has_weather().then(|| self.weather_netns()));
        names
    }

    /// Under which addresses others may see a node: its own, and those of what translates for it.
    pub(crate) fn faces(&self, node: usize) -> Vec<std::net::IpAddr> {
        let mut faces = Vec::new();
        for wire in &self.nodes[node].uplinks {
            faces.extend(wire.v4.map(std::net::IpAddr::V4));
            faces.extend(wire.v6.map(std::net::IpAddr::V6));
            let above = &self.nodes[wire.parent];
            if above.nat().is_some_and(Nat::translates) {
                faces.extend(self.faces(wire.parent).into_iter().filter(std::net::IpAddr::is_ipv4));
            } else if wire.parent != 0 {
                faces.extend(self.faces_above(wire.parent));
            }
        }
        faces.sort_unstable();
        faces.dedup();
        faces
    }

    /// What translates above a router that does not.
    fn faces_above(&self, router: usize) -> Vec<std::net::IpAddr> {
        let own = self.nodes[router].uplinks.iter().filter_map(|wire| wire.v4);
        let own: Vec<_> = own.map(std::net::IpAddr::V4).collect();
        let all = self.faces(router).into_iter();
        all.filter(|face| face.is_ipv4() && !own.contains(face)).collect()
    }
}

fn lay(plan: &Plan, prefix: &str, node: &Node, before: &[Laid]) -> Laid {
    let index = before.len();
    let wanted = node.families.unwrap_or(plan.families);
    let mut uplinks: Vec<Wire> = Vec::new();
    let first_number: usize = before.iter().map(|node| node.uplinks.len()).sum();
    for (at, uplink) in node.uplinks.iter().enumerate() {
        let parent = before.iter().position(|other| other.name == uplink.parent);
        let parent = parent.expect("a checked plan names parents first");
        let sisters = before.iter().flat_map(|node| &node.uplinks).chain(&uplinks);
        let sisters = sisters.filter(|wire| wire.parent == parent).count();
        let place = u8::try_from(sisters + 2).expect("a checked plan has no crowds");
        let number = first_number + at;
        let above = &before[parent];
        uplinks.push(Wire {
            parent,
            number,
            child_end: format!("{}{at}", if node.kind == Kind::Host { "eth" } else { "wan" }),
            parent_end: format!("to{number}"),
            v4: (above.v4 && wanted.has_v4()).then(|| in_lan4(above.lan4, place)),
            v6: (above.v6 && wanted.has_v6()).then(|| in_lan6(above.lan6, place)),
            mtu: uplink.mtu,
            weather: uplink.weather,
        });
    }
    Laid {
        name: node.name.clone(),
        kind: node.kind,
        v4: uplinks.iter().any(|wire| wire.v4.is_some()),
        v6: uplinks.iter().any(|wire| wire.v6.is_some()),
        netns: format!("{prefix}-{}", node.name),
        lan4: node.lan.unwrap_or_else(|| own_lan4(node.kind, index)),
        lan6: u16::try_from(index).expect("a checked plan has few nodes"),
        uplinks,
        mapping_seconds: node.mapping_seconds,
    }
}

/// A router's network unless its plan says another: private behind translation, else one set aside for benchmarks
/// (RFC 2544).
fn own_lan4(kind: Kind, index: usize) -> Ipv4Addr {
    let [high, low] = u16::try_from(index).expect("a checked plan has few nodes").to_be_bytes();
    match kind {
        Kind::Router(Nat::None) => Ipv4Addr::new(198, 18 + (high & 1), low, 0),
        Kind::Host | Kind::Router(_) => Ipv4Addr::new(10, high, low, 0),
    }
}

fn in_lan4(first: Ipv4Addr, place: u8) -> Ipv4Addr {
    let [a, b, c, _] = first.octets();
    Ipv4Addr::new(a, b, c, place)
}

fn in_lan6(lan: u16, place: u8) -> Ipv6Addr {
    let [a, b] = PREFIX_V6;
    Ipv6Addr::new(a, b, lan, 0, 0, 0, 0, u16::from(place))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_behind_translation_are_seen_as_their_routers() {
        let layout = Layout::of(
            &Plan::both([
                Node::router("carrier", Nat::Symmetric),
                Node::router("home", Nat::Easy).behind("carrier"),
                Node::router("plain", Nat::None).behind("home"),
                Node::host("a").behind("home"),
                Node::host("b").behind("plain"),
                Node::host("c"),
            ]),
            "iog-1-0",
        );
        check(&layout, "a", "10.0.1.2 10.0.2.3 203.0.113.2 2001:db8:2::3");
        check(&layout, "b", "10.0.1.2 198.18.3.2 203.0.113.2 2001:db8:3::2");
        check(&layout, "c", "203.0.113.3 2001:db8::3");
    }

    fn check(layout: &Layout, name: &str, expected: &str) {
        let faces = layout.faces(layout.index(name).unwrap());
        let faces: Vec<String> = faces.iter().map(ToString::to_string).collect();
        assert_eq!(faces.join(" "), expected);
    }
}
