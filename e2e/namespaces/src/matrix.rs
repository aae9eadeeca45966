//! The network that every test of reachability wants: two nodes behind a router each, and two public relays between.

use crate::plan::{Nat, Node, Plan};

/// Public, for relays, rendezvous, and control planes.
pub const RELAYS: [&str; 2] = ["relay-1", "relay-2"];
/// Those who want to reach each other.
pub const ENDS: [&str; 2] = ["a", "b"];
/// The routers before them.
pub const ROUTERS: [&str; 2] = ["nat-a", "nat-b"];

/// Two relays, and two ends behind routers of these kinds.
pub fn nodes(one: Nat, other: Nat) -> Vec<Node> {
    vec![
        Node::host(RELAYS[0]),
        Node::host(RELAYS[1]),
        Node::router(ROUTERS[0], one),
        Node::router(ROUTERS[1], other),
        Node::host(ENDS[0]).behind(ROUTERS[0]),
        Node::host(ENDS[1]).behind(ROUTERS[1]),
    ]
}

/// [`nodes`] as a plan of IPv4.
pub fn plan(one: Nat, other: Nat) -> Plan {
    Plan::v4(nodes(one, other))
}

/// Two relays, and so many ends, `peer-0` and on, each behind a router of its own, `nat-0` and on. Kinds take turns, so
/// that most pairs meet directly and some never do.
pub fn crowd(ends: usize) -> Vec<Node> {
    let mut nodes = vec![Node::host(RELAYS[0]), Node::host(RELAYS[1])];
    for end in 0..ends {
        let router = format!("nat-{end}");
        nodes.push(Node::router(&router, Nat::ALL[end % Nat::ALL.len()]));
        nodes.push(Node::host(&format!("peer-{end}")).behind(&router));
    }
    nodes
}

/// Every two kinds, once.
pub fn pairs() -> impl Iterator<Item = (Nat, Nat)> {
    let after = |at: usize| Nat::ALL.into_iter().skip(at);
    Nat::ALL
        .into_iter()
        .enumerate()
        .flat_map(move |(at, one)| after(at).map(move |other| (one, other)))
}

/// Whether UDP can go directly between ends behind such routers, if both are told how a rendezvous sees the other. All
/// others need a relay.
pub fn meet_directly(one: Nat, other: Nat) -> bool {
    let guesses_in_vain = |chosen: Nat, filtering: Nat| {
        chosen == Nat::Symmetric && matches!(filtering, Nat::Easy | Nat::Symmetric)
    };
    !guesses_in_vain(one, other) && !guesses_in_vain(other, one)
}
