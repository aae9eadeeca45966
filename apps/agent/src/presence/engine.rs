//! The engine of one member, fed with papers: who the peers are, what may pass, what they are called, and which relays
//! there are.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use anyhow::{Result, anyhow};
use mesh::names::{MeshName, Names};
use mesh::policy::Warden;
use mesh::relay::{PortKey, RelayConfig};
use mesh::{CallSign, Change, Gate, PeerView, Policy, PrivateKey, PublicKey, Roster, Timing};
use mesh_shell::Engine;
use units::{MeshId, Timestamp};
use wire::RelaySeen;
use wire::paper::{
    MESH_V4_RESOLVER_AT, Membership, NodeKey, mesh_v4, mesh_v4_block, mesh_v6_block, operator_mesh,
};

use super::carrier::Carrier;
use super::papers::{Bearer, Papers};
use super::words;
use crate::tunnel::{LineState, Tunnels};

/// The longest packet of a private network. With what seals and forwards it, it fits an Ethernet frame.
pub const MTU: u16 = 1_420;

/// How others are reached.
pub type Peers = BTreeMap<PublicKey, PeerView>;

/// Where a member's packets come from and go to.
#[derive(Debug)]
pub enum Device {
    /// A device that is there, with its addresses.
    There(OwnedFd),
    /// A device of this name, made in this process's network namespace with the addresses of its papers. It is gone
    /// when the engine is.
    Made(String),
}

/// A member of a private network, as it is in it.
pub struct Presence {
    bearer: Bearer,
    packets: PrivateKey,
    carrier: Arc<Carrier>,
    warden: Arc<Warden>,
    roster: Roster,
    engine: Option<Engine>,
    relays: Vec<RelayConfig>,
    /// What the network is called here, where members of several could have one name.
    called: Option<String>,
}

impl std::fmt::Debug for Presence {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Presence({})", self.bearer.node)
    }
}

impl Presence {
    /// Of this member, who opens packets with this key. Nothing runs yet.
    ///
    /// # Errors
    /// If the system gives no chance.
    pub fn new(bearer: Bearer, packets: PrivateKey) -> Result<Self> {
        let mut seed = [0; 16];
        getrandom::fill(&mut seed).map_err(|fault| anyhow!("draw chance: {fault}"))?;
        let (low, high) = seed.split_at(8);
        let seed = [low, high].map(|half| {
            u64::from_le_bytes(half.try_into().expect("half of sixteen bytes is eight"))
        });
        Ok(Self {
            bearer,
            packets,
            carrier: Arc::default(),
            warden: Arc::new(Warden::new(seed)),
            roster: Roster::new(bearer.node.0, Policy::default()),
            engine: None,
            relays: Vec::new(),
            called: None,
        })
    }

    /// Members are found as `NAME.CALLED.mesh`, too: whoever is in several networks tells them apart by that.
    pub fn call(&mut self, called: &str) {
        self.called = Some(called.to_owned());
    }

    /// What is to hear of lines and their packets.
    pub fn carrier(&self) -> Arc<Carrier> {
        self.carrier.clone()
    }

    /// What knows which connections there are.
    pub fn warden(&self) -> &Warden {
        &self.warden
    }

    /// The engine, if one runs.
    pub fn engine(&self) -> Option<&Engine> {
        self.engine.as_ref()
    }

    /// Does as the papers say.
    pub fn go_by(&mut self, papers: &Papers, now: Timestamp) {
        // What may pass first: who is no member any more has no connection for a moment longer.
        self.warden.set_tables(&Arc::new(words::tables(&papers.policy)));
        self.carrier.set_members(papers.members.iter().map(|member| member.node));
        self.keep_members(papers, now);
        self.set_names(papers);
    }

    /// Starts the engine on this device.
    ///
    /// # Errors
    /// If the system does not give what it needs.
    pub fn start(&mut self, papers: &Papers, device: Device, now: Timestamp) -> Result<()> {
        let config = self.config(papers, &device);
        let engine = match device {
            Device::There(device) => Engine::start_on(config, device)?,
            Device::Made(_) => Engine::start(config)?,
        };
        self.carrier.set_inlet(Some(engine.stream_inlet()));
        self.engine = Some(engine);
        // A new engine knows nobody.
        self.roster = Roster::new(self.bearer.node.0, Policy::default());
        self.keep_members(papers, now);
        self.relays.clear();
        self.set_names(papers);
        Ok(())
    }

    fn config(&self, papers: &Papers, device: &Device) -> mesh_shell::Config {
        let mesh = mesh::Config {
            private: self.packets.clone(),
            sign: CallSign::of_node(&self.bearer.node.0),
            timing: Timing::default(),
            mtu: MTU.into(),
            opens_fast: words::member(&papers.membership).opens_fast,
            gate: Gate::Known,
            guard: Some(self.warden.clone()),
            inside: inside(self.bearer.mesh),
        };
        let (interface, addresses) = match device {
            // Where the device is, this process may have no interface of its own.
            Device::There(_) => (String::new(), Vec::new()),
            Device::Made(name) => (name.clone(), addresses(&papers.membership)),
        };
        mesh_shell::Config {
            interface,
            addresses,
            port: 0,
            mtu: MTU,
            shards: 1,
            offloads: true,
            stays_awake: true,
            mesh,
            streams: Some(self.carrier.clone()),
            resolver: resolver(self.bearer.mesh),
            maps_ports: asks_router(self.bearer.mesh, papers.network, device),
            peers: Vec::new(),
        }
    }

    /// Ends the engine, if one runs.
    pub fn stop(&mut self) {
        self.carrier.set_inlet(None);
        if let Some(Err(fault)) = self.engine.take().map(Engine::stop) {
            tracing::debug!(fault = format!("{fault:#}"), "a member's engine stopped");
        }
    }

    /// Papers may have ended.
    pub fn on_wake(&mut self, now: Timestamp) {
        let changes = self.roster.on_wake(now);
        self.change_peers(changes);
    }

    fn change_peers(&self, changes: Vec<Change>) {
        let Some(engine) = self.engine.as_ref().filter(|_| !changes.is_empty()) else { return };
        if let Err(fault) = engine.change(changes) {
            tracing::debug!(fault = format!("{fault:#}"), "peers were not changed");
        }
    }

    /// Who the peers are, and how packets to them travel: that first, so that none takes a way that it may not.
    fn keep_members(&mut self, papers: &Papers, now: Timestamp) {
        let (mesh, rules) = (self.bearer.mesh, words::rules(&papers.policy));
        let mut changes = self.roster.on_rules(mesh, rules, now);
        let members = papers.members.iter().map(words::member).collect();
        let known = self.roster.contested().to_vec();
        changes.extend(self.roster.on_members(mesh, members, now));
        for left_out in self.roster.contested().iter().filter(|one| !known.contains(one)) {
            let (node, holder) = (NodeKey(left_out.node), NodeKey(left_out.holder));
            tracing::warn!(%node, %holder, "a member is left out: another has what its record names");
        }
        self.change_peers(changes);
    }

    /// Programs at this member know the others by name.
    fn set_names(&self, papers: &Papers) {
        let Some(engine) = &self.engine else { return };
        let names = papers.members.iter().flat_map(|member| {
            let short = member.name.to_string();
            let long = self.called.as_ref().map(|called| format!("{short}.{called}"));
            let names = [Some(short), long].into_iter().flatten();
            let names = names.filter_map(|name| MeshName::parse(&name).ok());
            names.map(|name| (name, vec![member.v4.into(), member.v6.into()]))
        });
        engine.set_names(Names::new(names, inside(self.bearer.mesh)));
    }

    /// Tells the engine which relays there are lines to, and has lines to those of others.
    pub fn keep_relays(&mut self, papers: &Papers, tunnels: &Tunnels, lines: &[LineState]) {
        let is_home = |key: NodeKey| lines.iter().any(|line| line.is_home && line.relay.key == key);
        let mut more = papers.relays_of_peers();
        more.retain(|relay| !is_home(relay.key));
        tunnels.set_more(more);
        let mut relays: BTreeMap<NodeKey, RelayConfig> = BTreeMap::new();
        for line in lines {
            relays.insert(line.relay.key, relay_config(papers, line));
        }
        let relays: Vec<RelayConfig> = relays.into_values().collect();
        let Some(engine) = self.engine.as_ref().filter(|_| relays != self.relays) else { return };
        match engine.set_relays(relays.clone()) {
            Ok(()) => self.relays = relays,
            Err(fault) => tracing::debug!(fault = format!("{fault:#}"), "relays were not set"),
        }
    }

    /// How others are reached; nobody is while no engine runs.
    pub fn peers(&self) -> Peers {
        let peers = self.engine.as_ref().and_then(|engine| engine.peers().ok()).unwrap_or_default();
        peers.into_iter().map(|peer| (peer.key, peer)).collect()
    }

    /// What was seen of relays, and how often each was dialed in vain since this was asked last.
    pub fn relays_seen(&self, papers: &Papers, tunnels: &Tunnels) -> Vec<RelaySeen> {
        let views =
            self.engine.as_ref().and_then(|engine| engine.relays().ok()).unwrap_or_default();
        let failures = tunnels.take_failures();
        let seen = papers.relays.iter().map(|relay| {
            let sign = CallSign::of_node(&relay.relay.0);
            let trips = views.iter().filter(|view| view.sign == sign && view.bound);
            let trip = trips.filter_map(|view| view.round_trip).min();
            RelaySeen {
                key: relay.relay,
                rtt_ms: trip.map(|trip| u32::try_from(trip.as_millis()).unwrap_or(u32::MAX)),
                loss_bp: 0,
                failed_dials: failures.get(&relay.relay).copied().unwrap_or(0),
            }
        });
        let is_news = |seen: &RelaySeen| seen.rtt_ms.is_some() || seen.failed_dials > 0;
        seen.filter(is_news).take(wire::RELAYS_SEEN_MAX).collect()
    }
}

/// Relays that lines are held to, in the network's order: the best first.
pub fn relays_held(papers: &Papers, lines: &[LineState]) -> Vec<NodeKey> {
    let held = lines.iter().filter(|line| line.is_home && !line.is_draining);
    let mut relays: Vec<NodeKey> = held.map(|line| line.relay.key).collect();
    let rank = |key: &NodeKey| papers.relays.iter().position(|relay| relay.relay == *key);
    relays.sort_by_key(|key| rank(key).unwrap_or(usize::MAX));
    relays.dedup();
    relays
}

/// A relay, as the engine is told of it.
fn relay_config(papers: &Papers, line: &LineState) -> RelayConfig {
    let sign = CallSign::of_node(&line.relay.key.0);
    let Some(door) = line.udp else {
        // Nothing is sent to any port of it; packets can still go over the line.
        return RelayConfig {
            sign,
            ports: Vec::new(),
            key: PortKey::from_bytes([0; 32]),
            stream: true,
        };
    };
    let recorded = papers.udp_of(line.relay.key);
    let ports = match recorded.is_empty() {
        true => vec![(line.relay.address.ip(), door.port).into()],
        false => recorded,
    };
    RelayConfig { sign, ports, key: PortKey::from_bytes(door.key), stream: true }
}

/// Whether the router is asked for a port. Whoever makes a device of its own is a person behind a person's router, but
/// for machines of the network's operator, whose routers are not for a program to change.
fn asks_router(mesh: MeshId, network: NodeKey, device: &Device) -> bool {
    matches!(device, Device::Made(_)) && mesh != operator_mesh(&network)
}

/// The addresses of a member, each with the length of the network's block.
fn addresses(membership: &Membership) -> Vec<(std::net::IpAddr, u8)> {
    let mesh = membership.mesh;
    let (v4, v6) = (mesh_v4_block(mesh), mesh_v6_block(mesh));
    vec![(membership.v4.into(), v4.1), (membership.v6.into(), v6.1)]
}

/// The blocks of a private network.
fn inside(mesh: MeshId) -> Vec<mesh::Prefix> {
    let (v4, v6) = (mesh_v4_block(mesh), mesh_v6_block(mesh));
    let blocks = [(v4.0.into(), v4.1), (v6.0.into(), v6.1)];
    blocks.into_iter().filter_map(|(ip, bits)| mesh::Prefix::new(ip, bits)).collect()
}

/// Where programs at a member ask for names of others.
fn resolver(mesh: MeshId) -> Option<Ipv4Addr> {
    mesh_v4(mesh, MESH_V4_RESOLVER_AT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_persons_router_is_asked_for_a_port() {
        let network = NodeKey([7; 32]);
        let made = Device::Made("iog0".to_owned());
        let there = Device::There(std::fs::File::open("/dev/null").unwrap().into());
        let rental = MeshId::from_bits(1);
        assert!(asks_router(rental, network, &made));
        assert!(!asks_router(rental, network, &there), "a node's");
        assert!(!asks_router(operator_mesh(&network), network, &made), "the operator's");
    }
}
