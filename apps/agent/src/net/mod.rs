//! Private networks of rented nodes: one engine, lines to relays, services and a log for each.
//!
//! ```text
//!            request 1 (long poll)        ┌──────────── tend ────────────┐    TUN of the node's sandbox
//!  control ◄───────────── ask, tell ────► │ Roster, Warden ──► Engine ═══╪══════════════════════════
//!  plane   ◄──────────── hand over ─ log ◄┤ Tunnels ═════════► Switch ───┼──► ports, programs, SSH
//!                                         └──────────┬───────────────────┘
//!                                                lines to relays
//! ```
//!
//! # Invariants
//! - A node's keys are the agent's and never in its sandbox; they outlive the agent and end with the node.
//! - No paper is believed that the key does not sign which this machine first knew the network by.
//! - What may pass is set before the first peer is.
//! - Who is not named any more is no member from that moment on.
//! - One at a time keeps the folder of a node: who hands over what is left of it has it until that is done.
//! - A node that is wanted in a network never has the machine's instead, whatever fails here.
//! - Who is not wanted any more lets no visitor in from that moment on, though it takes its time to end.

mod audit;
mod house;
mod in_node;
mod keys;
mod limits;
mod papers;
mod room;
mod ssh;
mod switch;
mod talk;
mod tend;
mod words;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, DirBuilder};
use std::net::Ipv4Addr;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Mutex, OnceLock};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use anyhow::{Context, Result};
use units::MeshId;
use wire::paper::{MESH_V4_RESOLVER_AT, mesh_v4, mesh_v4_block, mesh_v6_block};
use worker::NodeKey;

use crate::hands::Event;
use crate::link::Link;
use crate::presence::{MTU, Pinned};
use crate::runtime::net::{Addresses, Nets, NodeNet};
use house::{Ending, House};
use in_node::InNode;
use keys::Keys;
use limits::{CLEAR_EVERY, FAREWELL, NAP};
use switch::lock;
use talk::HandedOver;
use tend::Tender;

/// In the agent's folder: the key that the network signs with.
const NETWORK_KEY_FILE: &str = "network.key";

/// A network that is kept, and the thread that tends it.
#[derive(Debug)]
struct Kept {
    house: Arc<House>,
    tending: JoinHandle<()>,
    is_wanted: bool,
}

/// Who has the folders of nodes that are not wanted any more, until what is left of them is handed over.
#[derive(Debug)]
struct Leaving {
    keys: BTreeSet<NodeKey>,
    who: JoinHandle<()>,
}

/// Where a node that is to be started belongs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Belongs {
    /// In no private network: it has the machine's.
    ToMachine,
    /// In a private network that it has no place in yet.
    Nowhere,
    /// There, in its private network.
    At(Addresses),
}

/// Who is asked, and who is told.
#[derive(Debug)]
struct Ties {
    link: Arc<Link>,
    events: SyncSender<Event>,
}

/// Keeps the networks of all nodes of this machine.
#[derive(Debug)]
pub(crate) struct Keeper {
    folder: PathBuf,
    pinned: Arc<Pinned>,
    /// The control plane, and who hears of what it says; nothing is kept before they are known.
    ties: OnceLock<Ties>,
    /// What was said last: which nodes are to be in which networks, whether or not those could be opened.
    wanted: Mutex<BTreeMap<NodeKey, MeshId>>,
    houses: Mutex<BTreeMap<NodeKey, Kept>>,
    leaving: Mutex<Vec<Leaving>>,
    /// When what is left of nodes that are not wanted was looked through last.
    cleared: Mutex<Option<Instant>>,
    /// Nodes that run; their keeper may hear of them before it is told that they are wanted.
    nets: Mutex<BTreeMap<NodeKey, Arc<dyn InNode>>>,
}

impl Keeper {
    /// Keeps nothing yet.
    pub(crate) fn new(data: &Path) -> Self {
        Self {
            folder: data.join("net"),
            pinned: Arc::new(Pinned::at(data.join(NETWORK_KEY_FILE))),
            ties: OnceLock::new(),
            wanted: Mutex::default(),
            houses: Mutex::default(),
            leaving: Mutex::default(),
            cleared: Mutex::default(),
            nets: Mutex::default(),
        }
    }

    /// Asks this control plane from here on, and tells these events.
    pub(crate) fn begin(&self, link: Arc<Link>, events: SyncSender<Event>) {
        // Told twice is told once.
        let _ = self.ties.set(Ties { link, events });
    }

    /// These nodes are wanted in these networks, and no others. Who is not and runs leaves its network when it has
    /// ended: until then it takes leave of its cluster. Others refuse it already.
    pub(crate) fn on_wanted(&self, wanted: &BTreeMap<NodeKey, MeshId>) {
        lock(&self.wanted).clone_from(wanted);
        let Some(ties) = self.ties.get() else { return };
        let mut houses = lock(&self.houses);
        let nets = lock(&self.nets);
        let mut gone = Vec::new();
        for (key, kept) in &mut *houses {
            kept.is_wanted = wanted.get(key) == Some(&kept.house.mesh);
            kept.house.set_closing(!kept.is_wanted);
            if !kept.is_wanted && !nets.contains_key(key) {
                gone.push(*key);
            }
        }
        drop(nets);
        gone.into_iter().for_each(|key| self.leave(&mut houses, key));
        self.open_missing(ties, &mut houses, wanted);
        self.clear(ties, &houses, wanted);
    }

    /// Tries again to open what could not be opened, and to hand over what could not be.
    pub(crate) fn try_again(&self) {
        let Some(ties) = self.ties.get() else { return };
        let wanted = lock(&self.wanted).clone();
        let mut houses = lock(&self.houses);
        self.open_missing(ties, &mut houses, &wanted);
        let is_told = lock(&self.cleared).is_some();
        if is_told {
            self.clear(ties, &houses, &wanted);
        }
    }

    fn open_missing(
        &self,
        ties: &Ties,
        houses: &mut BTreeMap<NodeKey, Kept>,
        wanted: &BTreeMap<NodeKey, MeshId>,
    ) {
        let mut leaving = lock(&self.leaving);
        leaving.retain(|left| !left.who.is_finished());
        let is_left = |key| leaving.iter().any(|left| left.keys.contains(key));
        for (key, mesh) in wanted {
            if houses.contains_key(key) || is_left(key) {
                continue;
            }
            match self.open(ties, *key, *mesh) {
                Ok(kept) => drop(houses.insert(*key, kept)),
                Err(fault) => {
                    let fault = format!("{fault:#}");
                    tracing::error!(rental = %key.rental, node = key.node, fault, "a node has no network yet");
                }
            }
        }
    }

    /// Nobody wants a node any more.
    fn leave(&self, houses: &mut BTreeMap<NodeKey, Kept>, key: NodeKey) {
        if let Some(Kept { house, tending, .. }) = houses.remove(&key) {
            house.end(Ending::Unwanted);
            lock(&self.leaving).push(Leaving { keys: BTreeSet::from([key]), who: tending });
        }
    }

    /// Hands over what is left of nodes that are not wanted any more, of earlier agents too, and forgets them: now and
    /// then, because the control plane may have been away.
    fn clear(
        &self,
        ties: &Ties,
        houses: &BTreeMap<NodeKey, Kept>,
        wanted: &BTreeMap<NodeKey, MeshId>,
    ) {
        let mut cleared = lock(&self.cleared);
        if cleared.is_some_and(|at| at.elapsed() < CLEAR_EVERY) {
            return;
        }
        *cleared = Some(Instant::now());
        let mut leaving = lock(&self.leaving);
        let is_left = |key: &NodeKey| leaving.iter().any(|left| left.keys.contains(key));
        let is_gone =
            |key: &NodeKey| !wanted.contains_key(key) && !houses.contains_key(key) && !is_left(key);
        let entries = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        let gone: Vec<(NodeKey, PathBuf)> = entries
            .filter_map(|entry| Some((key_of(entry.file_name().to_str()?)?, entry.path())))
            .filter(|(key, _)| is_gone(key))
            .collect();
        if gone.is_empty() {
            return;
        }
        let keys = gone.iter().map(|(key, _)| *key).collect();
        let link = ties.link.clone();
        let clear = move || {
            for (key, folder) in gone {
                forget(&folder, key, &link);
            }
        };
        // Where no thread can be had it is done later.
        if let Ok(who) = thread::Builder::new().name("net-clear".to_owned()).spawn(clear) {
            leaving.push(Leaving { keys, who });
        }
    }

    /// Where a node belongs, by what was said last.
    pub(crate) fn belongs(&self, key: NodeKey) -> Belongs {
        let Some(mesh) = lock(&self.wanted).get(&key).copied() else { return Belongs::ToMachine };
        self.addresses(key, mesh).map_or(Belongs::Nowhere, Belongs::At)
    }

    /// Where a node is in this network, once that is known.
    fn addresses(&self, key: NodeKey, mesh: MeshId) -> Option<Addresses> {
        let house = lock(&self.houses).get(&key)?.house.clone();
        if house.mesh != mesh {
            return None;
        }
        let papers = house.papers()?;
        Some(Addresses {
            v4: papers.papers.membership.v4,
            v4_block: mesh_v4_block(house.mesh),
            v6: papers.papers.membership.v6,
            v6_block: mesh_v6_block(house.mesh),
            mtu: MTU,
            resolver: mesh_v4(house.mesh, MESH_V4_RESOLVER_AT),
        })
    }

    /// The agent stops; nodes stay, and so do their keys. What is known of connections is written down first.
    pub(crate) fn end(&self) {
        let houses = std::mem::take(&mut *lock(&self.houses));
        for Kept { house, .. } in houses.values() {
            house.end(Ending::Stopping);
        }
        let until = Instant::now() + FAREWELL;
        while houses.values().any(|kept| !kept.tending.is_finished()) && Instant::now() < until {
            thread::sleep(NAP);
        }
    }

    fn open(&self, ties: &Ties, key: NodeKey, mesh: MeshId) -> Result<Kept> {
        let folder = self.folder.join(name_of(key));
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&folder);
        made.context("make the folder of a node's network")?;
        let keys = Keys::kept_in(&folder)?;
        let house = Arc::new(House::new(key, mesh, ties.link.worker(), keys, folder));
        house.set_net(lock(&self.nets).get(&key).cloned());
        let tender = Tender::new(house.clone())?;
        let kept = self.start(ties, &house, tender);
        if kept.is_err() {
            house.end(Ending::Stopping);
        }
        kept
    }

    fn start(&self, ties: &Ties, house: &Arc<House>, tender: Tender) -> Result<Kept> {
        let (key, events) = (house.id, ties.events.clone());
        let ready: talk::Ready = Arc::new(move || {
            // Nobody listens only when the agent stops.
            let _ = events.send(Event::Network(key));
        });
        let shared = || (house.clone(), ties.link.clone());
        let (host, link) = shared();
        let logging = spawn("net-log", move || talk::hand_over(&host, &link))?;
        let (host, link) = shared();
        let tending = spawn("net-tend", move || {
            tender.work();
            if host.is_unwanted() {
                // Both write into its folder.
                let _ = logging.join();
                forget(&host.folder, host.id, &link);
            }
        })?;
        let ((host, link), pinned) = (shared(), self.pinned.clone());
        spawn("net-ask", move || talk::ask(&host, &link, &pinned, &ready))?;
        let ((host, link), pinned) = (shared(), self.pinned.clone());
        spawn("net-tell", move || talk::tell(&host, &link, &pinned))?;
        Ok(Kept { house: house.clone(), tending, is_wanted: true })
    }
}

impl Nets for Keeper {
    fn seen_at(&self) -> BTreeSet<Ipv4Addr> {
        lock(&self.houses).values().flat_map(|kept| kept.house.seen_at()).collect()
    }

    fn is_up(&self, net: Arc<NodeNet>) {
        let key = net.key();
        let net: Arc<dyn InNode> = net;
        let houses = lock(&self.houses);
        lock(&self.nets).insert(key, net.clone());
        if let Some(Kept { house, .. }) = houses.get(&key) {
            house.set_net(Some(net));
        }
    }

    fn is_down(&self, key: NodeKey) {
        let mut houses = lock(&self.houses);
        lock(&self.nets).remove(&key);
        let Some(Kept { house, is_wanted, .. }) = houses.get(&key) else { return };
        house.set_net(None);
        if !is_wanted {
            self.leave(&mut houses, key);
        }
    }
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>> {
    let started = thread::Builder::new().name(name.to_owned()).spawn(work);
    started.context("start a thread of a node's network")
}

/// Hands over what is left of a node's log, and removes all that was kept of it; later, if the control plane is away.
fn forget(folder: &Path, key: NodeKey, link: &Link) {
    let (rental, node) = (key.rental, key.node);
    match talk::hand_over_all(folder, key, link) {
        HandedOver::All => {}
        HandedOver::Later => {
            tracing::info!(%rental, node, "what a node wrote down about its connections is handed over later");
            return;
        }
        HandedOver::Unknown => {
            tracing::warn!(%rental, node, "what a node wrote down about its connections was not taken, and is removed");
        }
    }
    if let Err(fault) = fs::remove_dir_all(folder) {
        tracing::debug!(%fault, "what was kept of a node's network stays behind");
    }
}

/// What a node's folder is called.
fn name_of(key: NodeKey) -> String {
    format!("{}-{}", key.rental, key.node)
}

/// Whose folder is called this.
fn key_of(name: &str) -> Option<NodeKey> {
    let (rental, node) = name.rsplit_once('-')?;
    Some(NodeKey { rental: rental.parse().ok()?, node: node.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::sync_channel;

    use units::{RentalId, WorkerId};

    use super::*;
    use crate::identity::key_to_join;
    use crate::runtime::scratch::Scratch;

    #[test]
    fn a_node_of_a_network_that_cannot_be_opened_never_gets_the_machines() {
        let scratch = Scratch::new("net-keeper");
        let keeper = Keeper::new(scratch.path());
        let key = key_to_join(scratch.path()).unwrap();
        // Nobody is there: papers never come.
        let link = Arc::new(Link::new("http://127.0.0.1:1", WorkerId::from_bits(1), key));
        keeper.begin(link, sync_channel(8).0);
        let node = |node| NodeKey { rental: RentalId::from_bits(77), node };
        let wanted = BTreeMap::from([(node(1), MeshId::from_bits(5))]);
        fs::write(scratch.path().join("net"), "in the way").unwrap();
        keeper.on_wanted(&wanted);
        assert!(lock(&keeper.houses).is_empty());
        assert_eq!(keeper.belongs(node(1)), Belongs::Nowhere);
        assert_eq!(keeper.belongs(node(2)), Belongs::ToMachine);
        fs::remove_file(scratch.path().join("net")).unwrap();
        keeper.try_again();
        assert!(lock(&keeper.houses).contains_key(&node(1)), "it is tried again");
        assert_eq!(keeper.belongs(node(1)), Belongs::Nowhere, "it has no papers yet");
        keeper.on_wanted(&BTreeMap::new());
        assert!(lock(&keeper.houses).is_empty() && lock(&keeper.leaving).len() == 1);
        let (sender, waits) = sync_channel::<()>(0);
        let who = thread::spawn(move || waits.recv().unwrap_or_default());
        let keys = BTreeSet::from([node(1)]);
        lock(&keeper.leaving).push(Leaving { keys, who });
        keeper.on_wanted(&wanted);
        assert!(lock(&keeper.houses).is_empty(), "somebody has its folder");
        drop(sender);
        while lock(&keeper.houses).is_empty() {
            keeper.try_again();
            thread::yield_now();
        }
        keeper.end();
    }

    #[test]
    fn a_folder_says_whose_it_is() {
        let key = NodeKey { rental: RentalId::from_bits(77), node: 12 };
        assert_eq!(key_of(&name_of(key)), Some(key));
        for strange in ["lost+found", "rnt-x", "-1", ""] {
            assert_eq!(key_of(strange), None, "{strange}");
        }
    }
}
