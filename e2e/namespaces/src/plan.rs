//! What a network is to be: hosts and routers by name, each below one that was named before.

use std::net::Ipv4Addr;

use crate::weather::Weather;

/// The router on top of all others, which every plan has.
pub(crate) const INTERNET: &str = "internet";
/// A router's own network has 256 addresses; the first is the router's, a few stay free.
const CHILDREN_MAX: usize = 250;
/// Names become parts of namespaces' names and of files'.
const NAME_CHARS_MAX: usize = 32;
/// What an Ethernet carries.
const MTU: u16 = 1500;

/// Which versions of IP somebody has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Families {
    V4,
    V6,
    Both,
}

impl Families {
    pub(crate) const fn has_v4(self) -> bool {
        matches!(self, Families::V4 | Families::Both)
    }

    pub(crate) const fn has_v6(self) -> bool {
        matches!(self, Families::V6 | Families::Both)
    }
}

/// What a router does to those behind it. Translated is IPv4 only; where IPv4 is filtered, IPv6 is by the same
/// strictness, without translation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Nat {
    /// Nothing: addresses behind it are public, anybody may call.
    None,
    /// A socket has one mapping, and anybody may send to it.
    FullCone,
    /// A socket has one mapping, and addresses it has sent to may answer from any port.
    AddressRestricted,
    /// A socket has one mapping, and only who it has sent to may answer, from that very port. Most homes.
    Easy,
    /// Each destination sees another port, chosen by chance. Many companies and mobile networks.
    Symmetric,
}

impl Nat {
    /// All kinds, from the most open to the most closed.
    pub const ALL: [Nat; 5] =
        [Nat::None, Nat::FullCone, Nat::AddressRestricted, Nat::Easy, Nat::Symmetric];

    /// Whether addresses behind it are hidden.
    pub(crate) const fn translates(self) -> bool {
        !matches!(self, Nat::None)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Host,
    Router(Nat),
}

/// A way to the internet.
#[derive(Clone, Debug)]
pub(crate) struct Uplink {
    pub(crate) parent: String,
    pub(crate) mtu: u16,
    /// Only links that are declared with weather can have any later: others are a bare pair in the kernel.
    pub(crate) weather: Option<Weather>,
}

/// A host or a router, and how it is connected. Words about a link speak of the link named last.
#[derive(Clone, Debug)]
pub struct Node {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    pub(crate) uplinks: Vec<Uplink>,
    pub(crate) families: Option<Families>,
    pub(crate) lan: Option<Ipv4Addr>,
    pub(crate) mapping_seconds: Option<u32>,
}

impl Node {
    /// Somewhere programs run. Public, unless said to be [`behind`](Node::behind) a router.
    pub fn host(name: &str) -> Self {
        Self::new(name, Kind::Host)
    }

    pub fn router(name: &str, nat: Nat) -> Self {
        Self::new(name, Kind::Router(nat))
    }

    fn new(name: &str, kind: Kind) -> Self {
        let uplink = Uplink { parent: INTERNET.to_owned(), mtu: MTU, weather: None };
        Node {
            name: name.to_owned(),
            kind,
            uplinks: vec![uplink],
            families: None,
            lan: None,
            mapping_seconds: None,
        }
    }

    /// Its link goes to that router, which must be named before it.
    #[must_use]
    pub fn behind(mut self, router: &str) -> Self {
        router.clone_into(&mut self.last().parent);
        self
    }

    /// One more link, used by packets from its address; it is the default only where the others are gone.
    #[must_use]
    pub fn also_behind(mut self, router: &str) -> Self {
        let uplink = Uplink { parent: router.to_owned(), mtu: MTU, weather: None };
        self.uplinks.push(uplink);
        self
    }

    /// The link delays, loses, and limits, both ways; all of it can be changed later.
    #[must_use]
    pub fn weather(mut self, weather: Weather) -> Self {
        self.last().weather = Some(weather);
        self
    }

    /// The longest IP packet of the link, in bytes; 1500 unless said otherwise.
    #[must_use]
    pub fn mtu(mut self, bytes: u16) -> Self {
        self.last().mtu = bytes;
        self
    }

    /// Fewer versions of IP than the plan has.
    #[must_use]
    pub fn families(mut self, families: Families) -> Self {
        self.families = Some(families);
        self
    }

    /// The first address of a router's own network of 256. Behind translation several may have the same one, as they
    /// do in people's homes; otherwise each has its own.
    #[must_use]
    pub fn lan(mut self, first: Ipv4Addr) -> Self {
        self.lan = Some(first);
        self
    }

    /// After how many seconds of silence a router forgets a mapping of UDP.
    #[must_use]
    pub fn forgets_after(mut self, seconds: u32) -> Self {
        self.mapping_seconds = Some(seconds);
        self
    }

    fn last(&mut self) -> &mut Uplink {
        self.uplinks.last_mut().expect("a node has a link from the beginning")
    }
}

/// Why a plan cannot be built. Checks run in the order of these variants.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlanRefused {
    #[error("`{0}` is no name: 1 to 32 of a-z, 0-9 and -, and not `internet`")]
    Name(String),
    #[error("two nodes are called `{0}`")]
    Twice(String),
    #[error("`{node}` is behind `{parent}`, which is no router named before it")]
    Parent { node: String, parent: String },
    #[error("`{0}` has more than {CHILDREN_MAX} behind it")]
    Crowded(String),
}

/// Who is where. Routers stand before those behind them.
#[derive(Clone, Debug)]
pub struct Plan {
    pub(crate) families: Families,
    pub(crate) nodes: Vec<Node>,
    pub(crate) seed: u64,
}

impl Plan {
    pub fn v4(nodes: impl IntoIterator<Item = Node>) -> Self {
        Self::new(Families::V4, nodes)
    }

    pub fn v6(nodes: impl IntoIterator<Item = Node>) -> Self {
        Self::new(Families::V6, nodes)
    }

    pub fn both(nodes: impl IntoIterator<Item = Node>) -> Self {
        Self::new(Families::Both, nodes)
    }

    pub fn new(families: Families, nodes: impl IntoIterator<Item = Node>) -> Self {
        Plan { families, nodes: nodes.into_iter().collect(), seed: 0 }
    }

    /// One more at the end.
    #[must_use]
    pub fn and(mut self, node: Node) -> Self {
        self.nodes.push(node);
        self
    }

    /// What the weather's chance follows from; 0 unless said otherwise.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    pub(crate) fn check(&self) -> Result<(), PlanRefused> {
        for (at, node) in self.nodes.iter().enumerate() {
            let before = &self.nodes[..at];
            check_name(&node.name)?;
            if before.iter().any(|other| other.name == node.name) {
                return Err(PlanRefused::Twice(node.name.clone()));
            }
            for uplink in &node.uplinks {
                let is_parent =
                    |other: &Node| other.name == uplink.parent && other.kind != Kind::Host;
                if uplink.parent != INTERNET && !before.iter().any(is_parent) {
                    let (node, parent) = (node.name.clone(), uplink.parent.clone());
                    return Err(PlanRefused::Parent { node, parent });
                }
            }
        }
        self.check_crowds()
    }

    fn check_crowds(&self) -> Result<(), PlanRefused> {
        let links = || self.nodes.iter().flat_map(|node| &node.uplinks);
        let crowded = links().find(|link| {
            links().filter(|other| other.parent == link.parent).count() > CHILDREN_MAX
        });
        crowded.map_or(Ok(()), |link| Err(PlanRefused::Crowded(link.parent.clone())))
    }
}

fn check_name(name: &str) -> Result<(), PlanRefused> {
    let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let fits = (1..=NAME_CHARS_MAX).contains(&name.len()) && name.chars().all(is_plain);
    if fits && name != INTERNET { Ok(()) } else { Err(PlanRefused::Name(name.to_owned())) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_is_refused_for_its_first_mistake() {
        let home = || Node::router("home", Nat::Easy);
        check(vec![home(), Node::host("a").behind("home")], "fine");
        check(vec![home(), Node::router("flat", Nat::Easy).behind("home")], "fine");
        check(
            vec![Node::host("A")],
            "`A` is no name: 1 to 32 of a-z, 0-9 and -, and not `internet`",
        );
        check(
            vec![Node::host("internet")],
            "`internet` is no name: 1 to 32 of a-z, 0-9 and -, and not `internet`",
        );
        check(vec![home(), Node::host("home")], "two nodes are called `home`");
        check(
            vec![Node::host("a").behind("home"), home()],
            "`a` is behind `home`, which is no router named before it",
        );
        check(
            vec![Node::host("a"), Node::host("b").behind("a")],
            "`b` is behind `a`, which is no router named before it",
        );
        let many = (0..251).map(|n| Node::host(&format!("h{n}")));
        check(many.collect(), "`internet` has more than 250 behind it");
    }

    fn check(nodes: Vec<Node>, expected: &str) {
        let said = Plan::v4(nodes)
            .check()
            .map_or_else(|refused| refused.to_string(), |()| "fine".to_owned());
        assert_eq!(said, expected);
    }
}
