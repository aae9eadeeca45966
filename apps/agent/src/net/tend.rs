//! The thread that tends one node's network: its engine, its lines, its services, and the record of what crossed.
//!
//! It compares what was told with what is, every second and whenever there is news, and takes no hint of what changed.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use mesh::{PublicKey, WayKind};
use mesh_shell::{Clock, Engine};
use tunnel::{Service, ServiceName};
use units::{Name, Timestamp};
use wire::audit::Record;
use wire::{ServedAt, ServiceProto, ServiceSeen, ServiceState, ServiceWanted};

use super::audit::AuditFiles;
use super::house::{Given, House, Told};
use super::limits::{RECORDS_WAIT_MAX, RELAYS_TOLD_MAX, STREAMS_END, TEND_EVERY};
use super::papers::NodePapers;
use super::room::NodeRoom;
use super::ssh::{Front, SshServer};
use super::switch::Switch;
use super::words;
use crate::presence::{Device, Papers, Peers, Presence, relays_held, way};
use crate::runtime::ports;
use crate::tunnel::{Exposed, LineState, Target, Tunnels};

/// The service that every head has.
const DASHBOARD: &str = "dashboard";
/// What SSH is called that every node has; behind it the node's number, but at the head.
const SSH: &str = "ssh";
/// An engine that failed is not started again sooner than this.
const ENGINE_AGAIN: Duration = Duration::from_secs(5);

/// What is tended, and what it is tended with.
pub(super) struct Tender {
    house: Arc<House>,
    switch: Arc<Switch>,
    tunnels: Tunnels,
    audit: AuditFiles,
    /// Streams that ended and are not written down yet.
    ended: Receiver<Record>,
    presence: Presence,
    /// When the engine was started, or it was tried.
    engine_tried: Option<Instant>,
    known: Given,
    has_ssh: bool,
    /// SSH at the node's own addresses.
    front: Option<Front>,
    clock: Clock,
}

impl Tender {
    /// Makes what a node's network needs. Nothing is dialed before there are papers.
    pub(super) fn new(house: Arc<House>) -> Result<Self> {
        let clock = Clock::set();
        let keys = &house.keys;
        let folder = house.folder.join("audit");
        let audit = AuditFiles::kept_in(&folder, keys.node.clone(), clock.now())?;
        let presence = Presence::new(house.bearer(), keys.packets.clone())?;
        let carrier = presence.carrier();
        let (switch, ended) = Switch::new(house.worker, keys.public(), carrier);
        let switch = Arc::new(switch);
        let tunnels = Tunnels::start_before(keys.node.clone(), switch.clone())?;
        let front = tunnels.handle().map(|handle| Front::of(house.id, handle.clone()));
        Ok(Self {
            house,
            switch,
            tunnels,
            audit,
            ended,
            presence,
            engine_tried: None,
            known: Given::default(),
            has_ssh: false,
            front,
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
        let is_told_to_close = given.is_closing != self.known.is_closing;
        let has_papers = !is_same(&given.papers, &self.known.papers) || is_told_to_close;
        self.known = given;
        if has_other_net {
            self.presence.stop();
            self.engine_tried = None;
            self.close_front();
            self.switch.set_net(self.known.net.clone());
        }
        let Some(papers) = self.known.papers.clone() else { return };
        if has_papers {
            self.go_by(&papers, now);
        }
        self.keep_engine(&papers.papers, now);
        self.keep_front();
        self.presence.on_wake(now);
        let lines = self.tunnels.lines();
        self.house.set_seen_at(lines.iter().filter_map(seen_at).collect());
        self.presence.keep_relays(&papers.papers, &self.tunnels, &lines);
        let peers = self.collect(now);
        self.house.set_told(self.told(&papers, &lines, &peers));
    }

    /// Does as the papers say.
    fn go_by(&mut self, NodePapers { papers, services, .. }: &NodePapers, now: Timestamp) {
        self.presence.go_by(papers, now);
        self.tunnels.set_pass(papers.pass.clone());
        self.tunnels.set_relays(papers.relays_at());
        if self.known.is_closing {
            // Its network stays until it has taken leave of its cluster; visitors do not.
            self.tunnels.set_exposed(Vec::new());
            self.close_front();
            self.switch.set_ssh(None);
            self.has_ssh = false;
            return;
        }
        self.keep_ssh(papers);
        let rental = self.house.id.rental;
        let exposed = services.iter().filter_map(|service| exposed(service, rental));
        self.tunnels.set_exposed(exposed.collect());
    }

    fn keep_ssh(&mut self, papers: &Papers) {
        if self.has_ssh {
            return;
        }
        // The key that signs papers signs certificates, too.
        let network = papers.network;
        let room = NodeRoom { switch: self.switch.clone(), house: self.house.clone() };
        let rental = self.house.id.rental;
        match SshServer::new(&self.house.keys.node, network, rental, Arc::new(room)) {
            Ok(server) => {
                self.switch.set_ssh(Some(server));
                self.has_ssh = true;
            }
            Err(fault) => tracing::warn!(fault = format!("{fault:#}"), "a node has no SSH"),
        }
    }

    /// Serves SSH at the node's own addresses, while the node runs.
    fn keep_front(&mut self) {
        let (net, server) = (self.known.net.clone(), self.switch.ssh());
        if let (Some(front), Some(net), Some(server)) = (&mut self.front, net, server) {
            front.keep(&*net, &server);
        }
    }

    fn close_front(&mut self) {
        self.front.iter_mut().for_each(Front::close);
    }

    /// Starts the engine where there is a device and none runs.
    fn keep_engine(&mut self, papers: &Papers, now: Timestamp) {
        if self.presence.engine().is_some_and(Engine::has_failed) {
            tracing::warn!(node = ?self.house.id, "the private network of a node stopped; it starts again");
            self.presence.stop();
        }
        if !papers.hold(now) {
            if self.presence.engine().is_some() {
                let (rental, node) = (self.house.id.rental, self.house.id.node);
                tracing::warn!(%rental, node, "what made a node a member ended, and nothing new was told: it leaves");
                self.presence.stop();
            }
            return;
        }
        let is_early = self.engine_tried.is_some_and(|at| at.elapsed() < ENGINE_AGAIN);
        let is_due = self.presence.engine().is_none() && !is_early;
        let Some(net) = self.known.net.clone().filter(|_| is_due) else { return };
        self.engine_tried = Some(Instant::now());
        let device = net.device().context("take the node's device");
        let start = |device| self.presence.start(papers, Device::There(device), now);
        if let Err(fault) = device.and_then(start) {
            let (rental, node) = (self.house.id.rental, self.house.id.node);
            let fault = format!("{fault:#}");
            tracing::warn!(%rental, node, fault, "the private network of a node does not start");
        }
    }

    /// Writes down what crossed, and says how others are reached.
    fn collect(&mut self, now: Timestamp) -> Peers {
        let peers = self.presence.peers();
        let kind = |key: &PublicKey| Some(peers.get(key)?.way.as_ref()?.kind());
        self.write_down(self.presence.warden().collect(now), kind, now);
        self.audit.on_wake(now);
        peers
    }

    fn write_down(
        &mut self,
        reports: Vec<mesh::policy::FlowReport>,
        kind: impl Fn(&PublicKey) -> Option<WayKind>,
        now: Timestamp,
    ) {
        let me = self.house.keys.packets.public();
        for report in reports {
            let record = words::flow_record(&report, me, kind(&report.peer));
            self.audit.record(Record::Flow(record), now);
        }
        // No more than there is room for: while it is written more may come.
        for record in self.ended.try_iter().take(RECORDS_WAIT_MAX) {
            self.audit.record(record, now);
        }
        match self.switch.take_lost() {
            0 => {}
            lost => self.audit.record(Record::Lost(lost), now),
        }
    }

    fn told(&self, told: &NodePapers, lines: &[LineState], peers: &Peers) -> Told {
        let NodePapers { papers, services, .. } = told;
        let mut relays = relays_held(papers, lines);
        relays.truncate(RELAYS_TOLD_MAX);
        let rental = self.house.id.rental;
        let service = |wanted: &ServiceWanted| (wanted.label.clone(), seen(wanted, rental, lines));
        let services: BTreeMap<Name, ServiceSeen> = services.iter().map(service).collect();
        let ways = papers.members.iter().filter(|member| member.node != self.house.keys.public());
        let ways = ways.map(|member| {
            let view = peers.get(&PublicKey(member.x25519.0));
            way(member.node, view, papers)
        });
        let seen = self.presence.relays_seen(papers, &self.tunnels);
        Told { relays, services, ways: ways.take(wire::WAYS_MAX).collect(), seen }
    }

    /// Ends everything, and seals the record of it.
    fn finish(mut self) {
        let now = self.clock.now();
        self.close_front();
        self.presence.stop();
        // What is open ends with it, and has its record.
        self.tunnels.end_within(STREAMS_END);
        self.write_down(self.presence.warden().finish(now), |_| None, now);
        self.audit.seal(now);
    }
}

fn is_same<T: ?Sized>(one: &Option<Arc<T>>, other: &Option<Arc<T>>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => Arc::ptr_eq(one, other),
        (None, None) => true,
        (Some(_), None) | (None, Some(_)) => false,
    }
}

/// Where a relay sees this machine.
fn seen_at(line: &LineState) -> Option<Ipv4Addr> {
    match line.observed.ip().to_canonical() {
        IpAddr::V4(address) => Some(address),
        IpAddr::V6(_) => None,
    }
}

/// A service, as lines offer it.
fn exposed(wanted: &ServiceWanted, rental: units::RentalId) -> Option<Exposed> {
    let name = ServiceName::of_rental(&wanted.label.to_string(), rental).ok()?;
    let is_own_ssh = wanted.proto == ServiceProto::Ssh && is_of_ssh(&wanted.label);
    let service = Service {
        name,
        proto: words::proto(wanted.proto),
        visibility: words::visibility(wanted.visibility),
        is_plain_allowed: false,
        port_wished: 0,
        policy: String::new(),
        rental: Some(rental),
    };
    let target = match (is_own_ssh, wanted.label.to_string() == DASHBOARD) {
        (true, _) => Target::Agent,
        // Where Ray's dashboard is on a head, this machine knows best.
        (false, true) => Target::InNode(ports::OWN.dashboard()),
        (false, false) => Target::InNode(wanted.port),
    };
    Some(Exposed { service, target, wants_proxy_header: wanted.wants_proxy_header })
}

/// Whether this is what a node's own SSH is called: `ssh` at the head, `ssh-2` at node 2. What else speaks SSH is a
/// program of the renter's.
fn is_of_ssh(label: &Name) -> bool {
    let label = label.to_string();
    let number = label.strip_prefix("ssh-");
    label == SSH || number.is_some_and(|number| number.bytes().all(|byte| byte.is_ascii_digit()))
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

#[cfg(test)]
mod tests {
    use units::RentalId;
    use wire::ServiceVisibility;

    use super::*;

    #[test]
    fn only_a_nodes_own_ssh_is_the_agents_server() {
        let target = |label: &str, proto, port| {
            let label = label.parse().unwrap();
            let visibility = ServiceVisibility::Private;
            let wanted =
                ServiceWanted { label, port, proto, visibility, wants_proxy_header: false };
            exposed(&wanted, RentalId::from_bits(7)).unwrap().target
        };
        for own in ["ssh", "ssh-1", "ssh-12"] {
            assert_eq!(target(own, ServiceProto::Ssh, 22), Target::Agent, "{own}");
        }
        for others in ["mine", "ssh-mine", "sshd"] {
            assert_eq!(target(others, ServiceProto::Ssh, 2222), Target::InNode(2222), "{others}");
        }
        assert_eq!(target("mine", ServiceProto::Tcp, 22), Target::InNode(22));
    }
}
