//! The relay's port for packets of private networks: who has a line may use it, and for a minute after.
//!
//! # Invariants
//! - A node gets in by a pass that names private networks, and exchanges packets with members of those alone.
//! - A line that broke and comes back finds the port open: packets go on meanwhile.
//! - Who has only a line and who is only at the port reach each other: packets go from one to the other here.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use mesh::CallSign;
use mesh::relay::{Allowance, Between, PortKey};
use mesh_shell::{Connections, UdpRelay};
use tunnel::{Frame, UdpDoor};
use wire::paper::{NodeKey, Pass};

use crate::registry::Registry;

/// How long a node whose line has ended is still let through: it has a new line by then, or none.
const GRACE: Duration = Duration::from_secs(60);

/// The port, open.
#[derive(Clone, Debug)]
pub(crate) struct Packets {
    relay: Arc<UdpRelay>,
    port: u16,
}

/// A node that was let in.
#[derive(Debug)]
pub(crate) struct PacketSeat {
    relay: Arc<UdpRelay>,
    node: NodeKey,
    key: PortKey,
    /// What the node is told.
    pub(crate) door: UdpDoor,
}

impl Packets {
    /// Opens the port of this number, or any if that is taken.
    pub(crate) fn open(wished: u16, lines: &Arc<Registry>) -> Result<Self> {
        let open = |port| UdpRelay::start_with(port, lines.clone());
        let relay = open(wished).or_else(|_| open(0));
        let relay = relay.context("open a port for packets")?;
        let port = relay.port()?;
        Ok(Self { relay: Arc::new(relay), port })
    }

    /// Which port it is.
    pub(crate) const fn port(&self) -> u16 {
        self.port
    }

    /// Lets a node in, if its pass names a private network and there is room.
    pub(crate) fn admit(&self, node: NodeKey, pass: &Pass) -> Option<PacketSeat> {
        let allowance = allowance(pass)?;
        match self.relay.admit(&node.0, allowance) {
            Ok(key) => {
                let door = UdpDoor { port: self.port, key: *key.bytes() };
                Some(PacketSeat { relay: self.relay.clone(), node, key, door })
            }
            Err(fault) => {
                tracing::warn!(%node, fault = format!("{fault:#}"), "a node's packets are not forwarded");
                None
            }
        }
    }
}

impl PacketSeat {
    /// The node showed another pass.
    pub(crate) fn renew(&self, pass: &Pass) {
        // A pass that names no network any more leaves nobody to exchange packets with.
        let none = Allowance { meshes: BTreeSet::new(), bytes_per_second: 0 };
        let allowance = allowance(pass).unwrap_or(none);
        self.relay.renew(self.sign(), &self.key, allowance);
    }

    /// Carries what came over the node's line to another that has no line, and is at the port.
    pub(crate) fn carry(&self, to: NodeKey, packet: &[u8]) {
        self.relay.take_over(self.sign(), CallSign::of_node(&to.0), packet);
    }

    fn sign(&self) -> CallSign {
        CallSign::of_node(&self.node.0)
    }

    /// The node's line has ended.
    pub(crate) async fn leave(&self) {
        tokio::time::sleep(GRACE).await;
        // Who came back meanwhile has another key, and stays.
        self.relay.dismiss(self.sign(), &self.key);
    }
}

impl Connections for Registry {
    fn hand_over(&self, between: Between, datagram: &[u8]) {
        let packet = Frame::Packet { peer: between.sender, body: datagram.to_vec() };
        self.pass_in(NodeKey(between.receiver), &packet);
    }
}

/// What a pass allows here; nothing if it names no private network.
fn allowance(pass: &Pass) -> Option<Allowance> {
    let meshes = pass.may.meshes.clone();
    let bytes_per_second = pass.limits.bytes_per_second;
    (!meshes.is_empty()).then_some(Allowance { meshes, bytes_per_second })
}
