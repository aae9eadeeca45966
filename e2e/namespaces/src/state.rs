//! What can be changed in a running network, node by node. The rules of a node follow from this and its layout alone.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// What a node lets nobody send, through it or from it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Blocked {
    #[default]
    Nothing,
    /// All of UDP, as many companies do.
    Udp,
    /// All but TCP to (and back from) these ports.
    AllButTcp(Vec<u16>),
}

/// Changes to one node since it was built.
#[derive(Clone, Debug, Default)]
pub(crate) struct NodeState {
    pub(crate) blocked: Blocked,
    /// How often its mappings were forgotten; above 0, ports are not kept.
    pub(crate) rebound: u32,
    /// Addresses that it neither hears nor reaches, by the node they are cut for.
    pub(crate) severed: BTreeMap<usize, Vec<IpAddr>>,
    /// Addresses that it does not hear, likewise.
    pub(crate) unheard: BTreeMap<usize, Vec<IpAddr>>,
    /// Interfaces that swallow everything, though they are up.
    pub(crate) dead_ends: BTreeSet<String>,
    /// How many black holes need it not to say that a packet is too big.
    pub(crate) silent: BTreeSet<usize>,
}
