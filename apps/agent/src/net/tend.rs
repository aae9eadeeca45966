//! The thread that tends one node's network: its engine, its lines, its services, and the record of what crossed.
//!
//! It compares what was told with what is, every second and whenever there is news, and takes no hint of what changed.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use mesh::names::{MeshName, Names};
use mesh::policy::Warden;
use mesh::relay::{PortKey, RelayConfig};
use mesh::{CallSign, Change, Gate, Policy, PublicKey, Roster, Timing, Way, WayKind};
use mesh_shell::{Clock, Engine};
use tunnel::{Service, ServiceName};
use units::{MeshId, Name, Timestamp};
use wire::audit::Record;
use wire::paper::{MESH_V4_RESOLVER_AT, NodeKey, mesh_v4, mesh_v4_block, mesh_v6_block};
use wire::{RelaySeen, ServedAt, ServiceProto, ServiceSeen, ServiceState, ServiceWanted};

use super::audit::AuditFiles;
use super::house::{Given, House, Told};
use super::in_node::InNode;
use super::limits::{MTU, RELAYS_TOLD_MAX, TEND_EVERY};
use super::papers::Papers;
use super::room::NodeRoom;
use super::ssh::SshServer;
use super::switch::{Switch, lock};
use super::words;
use crate::runtime::ports;
use crate::tunnel::{Exposed, LineState, Target, Tunnels};

/// The service that every head has.
const DASHBOARD: &str = "dashboard";
/// An engine that failed is not started again sooner than this.
const ENGINE_AGAIN: Duration = Duration::from_secs(5);

/// What is tended, and what it is tended with.
pub(super) struct Tender {
    house: Arc<House>,
    switch: Arc<Switch>,
    tunnels: Tunnels,
    audit: Arc<Mutex<AuditFiles>>,
    warden: Arc<Warden>,
    roster: Roster,
    engine: Option<Engine>,
    /// When the engine was started, or it was tried.
    engine_tried: Option<Instant>,
    relays: Vec<RelayConfig>,
    known: Given,
    has_ssh: bool,
    clock: Clock,
}

impl Tender {
    /// Makes what a node's network needs. Nothing is dialed before there are papers.
    pub(super) fn new(house: Arc<House>) -> Result<Self> {
        let clock = Clock::set();
        let keys = &house.keys;
        let folder = house.folder.join("audit");
        let audit = AuditFiles::kept_in(&folder, keys.node.clone(), clock.now())?;
        let audit = Arc::new(Mutex::new(audit));
        let switch = Arc::new(Switch::new(house.worker, keys.public(), audit.clone()));
        let tunnels = Tunnels::start_before(keys.node.clone(), switch.clone())?;
        let mut seed = [0; 16];
        getrandom::fill(&mut seed).map_err(|fault| anyhow!("draw chance: {fault}"))?;
        let (low, high) = seed.split_at(8);
        let seed = [low, high].map(|half| {
            u64::from_le_bytes(half.try_into().expect("half of sixteen bytes is eight"))
        });
        let roster = Roster::new(keys.public().0, Policy::default());
        Ok(Self {
            house,
            switch,
            tunnels,
            audit,
            warden: Arc::new(Warden::new(seed)),
            roster,
            engine: None,
            engine_tried: None,
            relays: Vec::new(),
            known: Given::default(),
            has_ssh: false,
            clock,
        })
    }

    /// Tends until nobody wants the node any more.
    pub(super) fn work(mut self) {
        while let Some(given) = self.house.given(&self.known, TEND_EVERY) {
            self.tend(given);
        }
        self.finish();
    }

    fn tend(&mut self, given: Given) {
        let now = self.clock.now();
        let has_other_net = !is_same(&given.net, &self.known.net);
        let has_papers = !is_same(&given.papers, &self.known.papers);
        self.known = given;
        if has_other_net {
            self.stop_engine();
            self.engine_tried = None;
            self.switch.set_net(self.known.net.clone());
        }
        let Some(papers) = self.known.papers.clone() else { return };
        if has_papers {
            self.go_by(&papers, now);
        }
        self.keep_engine(&papers, now);
        let changes = self.roster.on_wake(now);
        self.change_peers(changes);
        let lines = self.tunnels.lines();
        self.keep_relays(&papers, &lines);
        let ways = self.collect(now);
        self.house.set_told(self.told(&papers, &lines, &ways));
    }

    /// Does as the papers say.
    fn go_by(&mut self, papers: &Papers, now: Timestamp) {
        // What may pass first: who is no member any more has no connection for a moment longer.
        self.warden.set_tables(&Arc::new(words::tables(&papers.policy)));
        self.switch.set_members(papers.members.iter().map(|member| member.node));
        self.keep_members(papers, now);
        self.set_names(papers);
        self.tunnels.set_pass(papers.pass.clone());
        self.tunnels.set_relays(papers.relays_at());
        self.keep_ssh(papers);
        let rental = self.house.id.rental;
        let exposed = papers.services.iter().filter_map(|service| exposed(service, rental));
        self.tunnels.set_exposed(exposed.collect());
    }

    fn keep_ssh(&mut self, papers: &Papers) {
        if self.has_ssh {
            return;
        }
        // The key that signs papers signs certificates, too.
        let network = papers.network;
        let room = NodeRoom { switch: self.switch.clone(), mesh: self.house.mesh };
        let rental = self.house.id.rental;
        match SshServer::new(&self.house.keys.node, network, rental, Arc::new(room)) {
            Ok(server) => {
                self.switch.set_ssh(server);
                self.has_ssh = true;
            }
            Err(fault) => tracing::warn!(fault = format!("{fault:#}"), "a node has no SSH"),
        }
    }

    fn change_peers(&self, changes: Vec<Change>) {
        let Some(engine) = &self.engine else { return };
        for change in changes {
            let changed = match change {
                Change::Remove(key) => engine.remove_peer(key),
                Change::Set(peer) => engine.set_peer(peer),
            };
            if let Err(fault) = changed {
                tracing::debug!(fault = format!("{fault:#}"), "a peer was not changed");
            }
        }
    }

    /// Starts the engine where there is a device and none runs.
    fn keep_engine(&mut self, papers: &Papers, now: Timestamp) {
        if self.engine.as_ref().is_some_and(Engine::has_failed) {
            tracing::warn!(node = ?self.house.id, "the private network of a node stopped; it starts again");
            self.stop_engine();
        }
        let is_early = self.engine_tried.is_some_and(|at| at.elapsed() < ENGINE_AGAIN);
        let Some(net) = self.known.net.clone().filter(|_| self.engine.is_none() && !is_early)
        else {
            return;
        };
        self.engine_tried = Some(Instant::now());
        match self.start_engine(papers, net.as_ref()) {
            Ok(engine) => {
                self.switch.set_inlet(Some(engine.stream_inlet()));
                self.engine = Some(engine);
                // A new engine knows nobody.
                self.roster = Roster::new(self.house.keys.public().0, Policy::default());
                self.keep_members(papers, now);
                self.relays.clear();
                self.set_names(papers);
            }
            Err(fault) => {
                let (rental, node) = (self.house.id.rental, self.house.id.node);
                let fault = format!("{fault:#}");
                tracing::warn!(%rental, node, fault, "the private network of a node does not start");
            }
        }
    }

    fn start_engine(&self, papers: &Papers, net: &dyn InNode) -> Result<Engine> {
        let keys = &self.house.keys;
        let mine = words::member(&papers.membership);
        let mesh = mesh::Config {
            private: keys.packets.clone(),
            sign: CallSign::of_node(&keys.public().0),
            timing: Timing::default(),
            mtu: MTU.into(),
            opens_fast: mine.opens_fast,
            gate: Gate::Known,
            guard: Some(self.warden.clone()),
            inside: inside(self.house.mesh),
        };
        let config = mesh_shell::Config {
            // The device is in the node: no interface of this machine is its own.
            interface: String::new(),
            addresses: Vec::new(),
            port: 0,
            mtu: MTU,
            shards: 1,
            offloads: true,
            mesh,
            streams: Some(self.switch.clone()),
            resolver: resolver(self.house.mesh),
            maps_ports: false,
            peers: Vec::new(),
        };
        let device = net.device().context("take the node's device")?;
        Engine::start_on(config, device)
    }

    /// Who the peers are, and how packets to them travel: that first, so that none takes a way that it may not.
    fn keep_members(&mut self, papers: &Papers, now: Timestamp) {
        let (mesh, rules) = (self.house.mesh, words::rules(&papers.policy));
        let mut changes = self.roster.on_rules(mesh, rules, now);
        let members = papers.members.iter().map(words::member).collect();
        changes.extend(self.roster.on_members(mesh, members, now));
        self.change_peers(changes);
    }

    /// Programs in the node know members by name.
    fn set_names(&self, papers: &Papers) {
        let Some(engine) = &self.engine else { return };
        let name = |member: &wire::paper::Membership| {
            let name = MeshName::parse(&member.name.to_string()).ok()?;
            Some((name, vec![member.v4.into(), member.v6.into()]))
        };
        let names = papers.members.iter().filter_map(name);
        engine.set_names(Names::new(names, inside(self.house.mesh)));
    }

    fn stop_engine(&mut self) {
        self.switch.set_inlet(None);
        if let Some(Err(fault)) = self.engine.take().map(Engine::stop) {
            tracing::debug!(fault = format!("{fault:#}"), "the private network of a node stopped");
        }
    }

    /// Tells the engine which relays there are lines to, and has lines to those of others.
    fn keep_relays(&mut self, papers: &Papers, lines: &[LineState]) {
        let is_home = |key: NodeKey| lines.iter().any(|line| line.is_home && line.relay.key == key);
        let mut more = papers.relays_of_peers();
        more.retain(|relay| !is_home(relay.key));
        self.tunnels.set_more(more);
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

    /// Writes down what crossed, and says how others are reached.
    fn collect(&self, now: Timestamp) -> BTreeMap<PublicKey, mesh::PeerView> {
        let peers = self.engine.as_ref().and_then(|engine| engine.peers().ok()).unwrap_or_default();
        let peers: BTreeMap<PublicKey, mesh::PeerView> =
            peers.into_iter().map(|peer| (peer.key, peer)).collect();
        let kind = |key: &PublicKey| Some(peers.get(key)?.way.as_ref()?.kind());
        self.write_down(self.warden.collect(now), kind, now);
        peers
    }

    fn write_down(
        &self,
        reports: Vec<mesh::policy::FlowReport>,
        kind: impl Fn(&PublicKey) -> Option<WayKind>,
        now: Timestamp,
    ) {
        let me = self.house.keys.packets.public();
        let mut audit = lock(&self.audit);
        for report in reports {
            let record = words::flow_record(&report, me, kind(&report.peer));
            audit.record(Record::Flow(record), now);
        }
        audit.on_wake(now);
    }

    fn told(
        &self,
        papers: &Papers,
        lines: &[LineState],
        peers: &BTreeMap<PublicKey, mesh::PeerView>,
    ) -> Told {
        let held = lines.iter().filter(|line| line.is_home && !line.is_draining);
        let mut relays: Vec<NodeKey> = held.map(|line| line.relay.key).collect();
        // In the network's order: the best first.
        let rank = |key: &NodeKey| papers.relays.iter().position(|relay| relay.relay == *key);
        relays.sort_by_key(|key| rank(key).unwrap_or(usize::MAX));
        relays.dedup();
        relays.truncate(RELAYS_TOLD_MAX);
        let rental = self.house.id.rental;
        let service = |wanted: &ServiceWanted| (wanted.label.clone(), seen(wanted, rental, lines));
        let services: BTreeMap<Name, ServiceSeen> = papers.services.iter().map(service).collect();
        let ways = papers.members.iter().filter(|member| member.node != self.house.keys.public());
        let ways = ways.map(|member| {
            let view = peers.get(&PublicKey(member.x25519.0));
            way(member.node, view, papers)
        });
        let seen = self.seen(papers);
        Told { relays, services, ways: ways.take(wire::WAYS_MAX).collect(), seen }
    }

    fn seen(&self, papers: &Papers) -> Vec<RelaySeen> {
        let views =
            self.engine.as_ref().and_then(|engine| engine.relays().ok()).unwrap_or_default();
        let failures = self.tunnels.take_failures();
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

    /// Ends everything, and seals the record of it.
    fn finish(mut self) {
        let now = self.clock.now();
        self.stop_engine();
        self.write_down(self.warden.finish(now), |_| None, now);
        drop(self.tunnels);
        lock(&self.audit).seal(now);
    }
}

fn is_same<T: ?Sized>(one: &Option<Arc<T>>, other: &Option<Arc<T>>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => Arc::ptr_eq(one, other),
        (None, None) => true,
        (Some(_), None) | (None, Some(_)) => false,
    }
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

/// A service, as lines offer it.
fn exposed(wanted: &ServiceWanted, rental: units::RentalId) -> Option<Exposed> {
    let name = ServiceName::of_rental(&wanted.label.to_string(), rental).ok()?;
    let is_ssh = wanted.proto == ServiceProto::Ssh;
    let service = Service {
        name,
        proto: words::proto(wanted.proto),
        visibility: words::visibility(wanted.visibility),
        is_plain_allowed: false,
        port_wished: 0,
        policy: String::new(),
        rental: Some(rental),
    };
    let target = match (is_ssh, wanted.label.to_string() == DASHBOARD) {
        (true, _) => Target::Agent,
        // Where Ray's dashboard is on a head, this machine knows best.
        (false, true) => Target::InNode(ports::OWN.dashboard()),
        (false, false) => Target::InNode(wanted.port),
    };
    Some(Exposed { service, target, wants_proxy_header: wanted.wants_proxy_header })
}

/// Where a service stands.
fn seen(wanted: &ServiceWanted, rental: units::RentalId, lines: &[LineState]) -> ServiceSeen {
    let Ok(name) = ServiceName::of_rental(&wanted.label.to_string(), rental) else {
        let why = Some("its label is too long".to_owned());
        return ServiceSeen { state: ServiceState::Refused, why, at: Vec::new() };
    };
    let answers = lines.iter().filter_map(|line| Some((line.relay.key, line.services.get(&name)?)));
    let (mut at, mut why) = (Vec::new(), None);
    for (relay, answer) in answers {
        match answer {
            Ok(served) => at.push(ServedAt { relay, port: served.ports.first().copied() }),
            Err(refusal) => why = Some(refusal.clone()),
        }
    }
    let state = match (at.is_empty(), &why) {
        (false, _) => ServiceState::Open,
        (true, Some(_)) => ServiceState::Refused,
        (true, None) => ServiceState::Waiting,
    };
    ServiceSeen { state, why: why.filter(|_| state == ServiceState::Refused), at }
}

/// How a member is reached.
fn way(peer: NodeKey, view: Option<&mesh::PeerView>, papers: &Papers) -> wire::Way {
    let used = view.and_then(|view| view.way);
    let shown = view.and_then(|view| view.ways.iter().find(|way| way.in_use));
    let relay = used.and_then(|way| match way {
        Way::Direct(_) | Way::Hop { .. } => None,
        Way::Relayed { relay, .. } => papers
            .relays
            .iter()
            .find(|record| record.udp.contains(&relay))
            .map(|record| record.relay),
        Way::Stream { relay, .. } => {
            let signs =
                |record: &&wire::paper::RelayRecord| CallSign::of_node(&record.relay.0) == relay;
            papers.relays.iter().find(signs).map(|record| record.relay)
        }
    });
    let trip = shown.and_then(|way| way.round_trip);
    wire::Way {
        peer,
        kind: used.map_or(wire::WayKind::None, |way| words::way_kind(way.kind())),
        address: used.and_then(|way| way.socket()),
        relay,
        rtt_micros: trip.map(|trip| u64::try_from(trip.as_micros()).unwrap_or(u64::MAX)),
        loss_bp: shown.map_or(0, |way| way.loss_bp),
        why: why(view).to_owned(),
    }
}

/// Why it is this way, in words.
fn why(view: Option<&mesh::PeerView>) -> &'static str {
    let Some(view) = view else { return "the node does not run yet" };
    let works = |kind| view.ways.iter().any(|way| way.works && way.way.kind() == kind);
    match view.way.map(|way| way.kind()) {
        None => "nothing was sent yet, or nothing gets through",
        Some(WayKind::Direct) => "",
        Some(_) if works(WayKind::Direct) => "a relay is much quicker",
        Some(WayKind::Hop) => "another member carries it: nothing better gets through",
        Some(WayKind::Relayed) => "no direct way gets through",
        Some(WayKind::Stream) => "UDP does not get through",
    }
}

/// The blocks of a private network.
fn inside(mesh: MeshId) -> Vec<mesh::Prefix> {
    let (v4, v6) = (mesh_v4_block(mesh), mesh_v6_block(mesh));
    let blocks = [(v4.0.into(), v4.1), (v6.0.into(), v6.1)];
    blocks.into_iter().filter_map(|(ip, bits)| mesh::Prefix::new(ip, bits)).collect()
}

/// Where programs in the node ask for names of members.
fn resolver(mesh: MeshId) -> Option<Ipv4Addr> {
    mesh_v4(mesh, MESH_V4_RESOLVER_AT)
}
