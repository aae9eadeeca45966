//! What all threads of one node's network share: who the node is, what it was told, and what is to be told of it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use units::{MeshId, Name, WorkerId};
use wire::paper::{NodeKey, SuiteName, node_statement, sign_statement};
use wire::{NodeNetworkRequest, RelaySeen, ServiceSeen, Way, WayKind};
use worker::NodeKey as NodeId;

use super::in_node::InNode;
use super::keys::Keys;
use super::papers::NodePapers;
use super::switch::lock;
use crate::presence::{Bearer, prove};

/// A node and its network.
#[derive(Debug)]
pub(super) struct House {
    /// Which node.
    pub(super) id: NodeId,
    /// Its private network.
    pub(super) mesh: MeshId,
    /// The machine.
    pub(super) worker: WorkerId,
    /// The node's keys.
    pub(super) keys: Keys,
    /// Where its keys and its log are.
    pub(super) folder: PathBuf,
    state: Mutex<State>,
    news: Condvar,
}

#[derive(Debug, Default)]
struct State {
    papers: Option<Arc<NodePapers>>,
    /// The revision of these papers.
    revision: Option<u64>,
    net: Option<Arc<dyn InNode>>,
    told: Told,
    /// How often each relay was dialed in vain, and nobody was told.
    failed: BTreeMap<NodeKey, u32>,
    /// Whether visitors are let in no more: the node ends.
    is_closing: bool,
    /// Where relays see this machine.
    seen_at: BTreeSet<Ipv4Addr>,
    /// Grows when what is told changes in a way that is news to others.
    version: u64,
    /// The last version that others wait for.
    awaited: u64,
    over: Option<Ending>,
}

/// Why a node's network is not kept any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// Nobody wants the node.
    Unwanted,
    /// The agent stops, and the next one goes on.
    Stopping,
}

/// What is told of a node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Told {
    /// Relays that it holds lines to.
    pub(super) relays: Vec<NodeKey>,
    /// Where its services stand.
    pub(super) services: BTreeMap<Name, ServiceSeen>,
    /// How it reaches others.
    pub(super) ways: Vec<Way>,
    /// What it saw of relays.
    pub(super) seen: Vec<RelaySeen>,
}

impl Told {
    /// Who is reached how.
    fn kinds(&self) -> BTreeSet<(NodeKey, WayKind)> {
        self.ways.iter().map(|way| (way.peer, way.kind)).collect()
    }
}

/// What there is to tend.
#[derive(Clone, Debug, Default)]
pub(super) struct Given {
    /// What the control plane told last.
    pub(super) papers: Option<Arc<NodePapers>>,
    /// The network in the node's sandbox, while the node runs.
    pub(super) net: Option<Arc<dyn InNode>>,
    /// Whether nobody wants the node any more, and it takes leave of its cluster.
    pub(super) is_closing: bool,
}

impl House {
    pub(super) fn new(
        id: NodeId,
        mesh: MeshId,
        worker: WorkerId,
        keys: Keys,
        folder: PathBuf,
    ) -> Self {
        let (state, news) = (Mutex::default(), Condvar::new());
        Self { id, mesh, worker, keys, folder, state, news }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// For whom its papers must be.
    pub(super) fn bearer(&self) -> Bearer {
        Bearer { mesh: self.mesh, node: self.keys.public(), x25519: self.keys.x25519() }
    }

    /// What was told is this now, of this revision. Returns whether it is the first. One thread alone says so: of two
    /// answers, the older could come last.
    pub(super) fn set_papers(&self, papers: NodePapers, revision: u64) -> bool {
        let mut state = self.state();
        state.revision = Some(revision);
        let is_first = state.papers.replace(Arc::new(papers)).is_none();
        self.news.notify_all();
        is_first
    }

    /// What was told last.
    pub(super) fn papers(&self) -> Option<Arc<NodePapers>> {
        self.state().papers.clone()
    }

    /// The node runs in this network, or no more.
    pub(super) fn set_net(&self, net: Option<Arc<dyn InNode>>) {
        self.state().net = net;
        self.news.notify_all();
    }

    /// Relays see this machine there.
    pub(super) fn set_seen_at(&self, addresses: BTreeSet<Ipv4Addr>) {
        self.state().seen_at = addresses;
    }

    /// Where relays see this machine.
    pub(super) fn seen_at(&self) -> BTreeSet<Ipv4Addr> {
        self.state().seen_at.clone()
    }

    /// Nobody wants the node, which runs still; or it is wanted after all.
    pub(super) fn set_closing(&self, is_closing: bool) {
        let mut state = self.state();
        if state.is_closing != is_closing {
            state.is_closing = is_closing;
            self.news.notify_all();
        }
    }

    /// It is over.
    pub(super) fn end(&self, why: Ending) {
        self.state().over = Some(why);
        self.news.notify_all();
    }

    pub(super) fn is_over(&self) -> bool {
        self.state().over.is_some()
    }

    pub(super) fn is_unwanted(&self) -> bool {
        self.state().over == Some(Ending::Unwanted)
    }

    /// Waits for this long, or until it is over. Returns whether it is.
    pub(super) fn rest(&self, patience: Duration) -> bool {
        let until = Instant::now() + patience;
        let mut state = self.state();
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if state.over.is_some() || left.is_zero() {
                return state.over.is_some();
            }
            state = self.wait(state, left);
        }
    }

    /// What there is to tend: at once if it is other than what is known, else after `patience`. `None` once it is over.
    pub(super) fn given(&self, known: &Given, patience: Duration) -> Option<Given> {
        let until = Instant::now() + patience;
        let mut state = self.state();
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let is_known = is_same(&state.papers, &known.papers)
                && is_same(&state.net, &known.net)
                && state.is_closing == known.is_closing;
            if state.over.is_some() {
                return None;
            }
            if !is_known || left.is_zero() {
                let (papers, net) = (state.papers.clone(), state.net.clone());
                return Some(Given { papers, net, is_closing: state.is_closing });
            }
            state = self.wait(state, left);
        }
    }

    /// The revision of what was told last.
    pub(super) fn revision(&self) -> Option<u64> {
        self.state().revision
    }

    /// What is to be told is this now. Lines and services are waited for by others; that a peer is reached otherwise is
    /// news, too; the rest has time.
    pub(super) fn set_told(&self, told: Told) {
        let mut state = self.state();
        let is_awaited = state.told.relays != told.relays || state.told.services != told.services;
        let is_news = is_awaited || state.told.kinds() != told.kinds();
        state.add_failed(&told.seen);
        state.told = told;
        if is_news {
            state.version += 1;
            if is_awaited {
                state.awaited = state.version;
            }
            self.news.notify_all();
        }
    }

    /// Waits until there is something newer to tell than `known`; what nobody waits for, not before `at_leisure`.
    /// `None` once it is over.
    pub(super) fn newer(&self, known: u64, at_leisure: Instant) -> Option<u64> {
        let mut state = self.state();
        while state.over.is_none() {
            let early = at_leisure.saturating_duration_since(Instant::now());
            let is_news = state.version > known;
            if state.awaited > known || (is_news && early.is_zero()) {
                return Some(state.version);
            }
            let patience = if is_news { early } else { Duration::from_secs(60) };
            state = self.wait(state, patience);
        }
        None
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>, patience: Duration) -> MutexGuard<'a, State> {
        let waited = self.news.wait_timeout(state, patience);
        waited.unwrap_or_else(std::sync::PoisonError::into_inner).0
    }

    /// What was seen of relays did not arrive.
    pub(super) fn was_not_told(&self, seen: &[RelaySeen]) {
        self.state().add_failed(seen);
    }

    /// What to ask a network with this key, with what is told at the moment.
    pub(super) fn request(
        &self,
        network: &NodeKey,
        (known, wait): (Option<u64>, Duration),
    ) -> NodeNetworkRequest {
        let told = self.state().take_told();
        let held = self.papers().filter(|held| held.papers.hold(crate::run::now()));
        let complete = held.as_ref().and_then(|held| held.papers.complete);
        let epoch =
            complete.filter(|(revision, _)| Some(*revision) == known).map(|(_, epoch)| epoch);
        let x25519 = self.keys.x25519();
        let statement = node_statement(self.worker, self.id.rental, self.id.node, &x25519);
        NodeNetworkRequest {
            key: self.keys.public(),
            x25519,
            statement: sign_statement(&self.keys.node, &statement),
            proof: prove(&self.keys.packets, network, &self.keys.public(), &statement),
            suites: vec![SuiteName::Aes256gcm, SuiteName::Wireguard],
            relays: told.relays,
            services: told.services,
            ways: told.ways,
            seen: told.seen,
            membership: held.map(|papers| papers.membership.clone()),
            known,
            epoch,
            tells_only: false,
            wait_secs: wait.as_secs(),
        }
    }
}

impl State {
    fn add_failed(&mut self, seen: &[RelaySeen]) {
        for seen in seen.iter().filter(|seen| seen.failed_dials > 0) {
            let count = self.failed.entry(seen.key).or_default();
            *count = count.saturating_add(seen.failed_dials);
        }
    }

    /// What is told now. Dials in vain are told once.
    fn take_told(&mut self) -> Told {
        let mut told = self.told.clone();
        let mut failed = std::mem::take(&mut self.failed);
        for seen in &mut told.seen {
            seen.failed_dials = failed.remove(&seen.key).unwrap_or(0);
        }
        let others = failed.into_iter().map(|(key, failed_dials)| RelaySeen {
            key,
            rtt_ms: None,
            loss_bp: 0,
            failed_dials,
        });
        told.seen.extend(others);
        told.seen.retain(|seen| seen.rtt_ms.is_some() || seen.failed_dials > 0);
        told.seen.truncate(wire::RELAYS_SEEN_MAX);
        told
    }
}

fn is_same<T: ?Sized>(one: &Option<Arc<T>>, other: &Option<Arc<T>>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => Arc::ptr_eq(one, other),
        (None, None) => true,
        (Some(_), None) | (None, Some(_)) => false,
    }
}

#[cfg(test)]
mod tests {
    use units::RentalId;
    use wire::WayKind;

    use super::*;
    use crate::runtime::scratch::Scratch;

    fn told(kind: WayKind, rtt_micros: u64) -> Told {
        let peer = NodeKey([7; 32]);
        let way = Way {
            peer,
            kind,
            address: None,
            relay: None,
            rtt_micros: Some(rtt_micros),
            loss_bp: 0,
            why: String::new(),
        };
        Told { ways: vec![way], ..Told::default() }
    }

    fn house(scratch: &Scratch) -> House {
        let keys = Keys::kept_in(scratch.path()).unwrap();
        let id = NodeId { rental: RentalId::from_bits(1), node: 0 };
        let (mesh, worker) = (MeshId::from_bits(1), WorkerId::from_bits(1));
        House::new(id, mesh, worker, keys, scratch.path().to_owned())
    }

    #[test]
    fn dials_in_vain_are_told_once_however_long_nobody_asks() {
        let scratch = Scratch::new("net-house-failed");
        let house = house(&scratch);
        let seen = |relay, failed_dials| {
            let key = NodeKey([relay; 32]);
            RelaySeen { key, rtt_ms: None, loss_bp: 0, failed_dials }
        };
        let see = |seen| house.set_told(Told { seen, ..Told::default() });
        let told = || house.request(&NodeKey([9; 32]), (None, Duration::ZERO)).seen;
        see(vec![seen(1, 2), seen(2, 1)]);
        see(vec![seen(2, 3)]);
        see(Vec::new());
        let first = told();
        assert_eq!(first, [seen(1, 2), seen(2, 4)]);
        assert_eq!(told(), []);
        house.was_not_told(&first);
        assert_eq!(told(), first);
    }

    #[test]
    fn another_kind_of_way_is_news_and_waits_for_its_time_where_a_line_does_not() {
        let scratch = Scratch::new("net-house");
        let house = house(&scratch);
        let version = || house.state().version;
        house.set_told(told(WayKind::Relayed, 10));
        assert_eq!((version(), house.newer(0, Instant::now())), (1, Some(1)));
        house.set_told(told(WayKind::Relayed, 20));
        assert_eq!(version(), 1, "a round trip changes each second");
        house.set_told(told(WayKind::Direct, 20));
        let soon = Instant::now() + Duration::from_millis(20);
        assert_eq!(house.newer(1, soon), Some(2));
        assert!(Instant::now() >= soon, "it waited for its time");
        let late = Instant::now() + Duration::from_secs(3_600);
        house.set_told(Told { relays: vec![NodeKey([8; 32])], ..told(WayKind::None, 20) });
        assert_eq!(house.newer(2, late), Some(3), "others wait for a line");
        house.end(Ending::Stopping);
        assert_eq!(house.newer(3, late), None);
    }
}
