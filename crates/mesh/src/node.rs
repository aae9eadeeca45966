//! The brain of a node: peers, their sessions, and what must be done next. Told everything, does nothing.
//!
//! Four verbs: [`Mesh::on_note`], [`Mesh::wake_at`], [`Mesh::on_wake`], [`Mesh::next_effect`]. What the threads that
//! carry packets may know is published as a [`Plane`].
//!
//! # Invariants
//! - An index names one session or one question at a time, of one peer.
//! - A refused message changes nothing but counts.
//! - Every peer with something to do has a deadline in the agenda; one without has none.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;

use units::Timestamp;

use crate::asked::Asked;
use crate::cookie::{Doorman, FirstCode};
use crate::cover::Cover;
use crate::entropy::Entropy;
use crate::farewell::Farewells;
use crate::guard::Guard;
use crate::key::{PrivateKey, PublicKey};
use crate::limit::Limiter;
use crate::link::Link;
use crate::message::Index;
use crate::news::{NEWS_MAX, News};
use crate::noise::TIMESTAMP_LEN;
use crate::path::disco::{DiscoKeys, Tag};
use crate::path::{CallSign, Way, WayView};
use crate::peer::{Peer, PeerConfig, PeerId, WAITING_BYTES_TOTAL_MAX};
use crate::plane::{Gate, Note, Plane};
use crate::relay::Relays;
use crate::routes::Prefix;
use crate::search::Search;
use crate::session::Session;
use crate::timing::Timing;

/// How a node is set up.
#[derive(Clone, Debug)]
pub struct Config {
    /// Who it is.
    pub private: PrivateKey,
    /// What relays call it.
    pub sign: CallSign,
    /// When what happens.
    pub timing: Timing,
    /// The longest packet of the private network, in bytes.
    pub mtu: usize,
    /// Whether its membership record says that it opens [`crate::Suite::Fast`].
    pub opens_fast: bool,
    /// Which packets may travel, where no guard decides.
    pub gate: Gate,
    /// What decides which flows may cross, and counts, from the first packet on. Without one, all may that the routes
    /// allow.
    pub guard: Option<Arc<dyn Guard>>,
    /// The blocks that the device stands for: no way to a peer leads into them, so that no tunnel runs in itself.
    pub inside: Vec<Prefix>,
}

/// What the shell must do next, in order.
#[derive(Clone, Debug)]
pub enum Effect {
    /// Send a datagram.
    Send { to: Way, datagram: Vec<u8> },
    /// Show the threads a new picture.
    Publish(Arc<Plane>),
    /// Let frames that waited depart by the newest picture.
    Depart { frames: Vec<Vec<u8>> },
}

/// The brain of a node.
#[derive(Debug)]
pub struct Mesh {
    pub(crate) config: Config,
    pub(crate) entropy: Entropy,
    pub(crate) doorman: Doorman,
    pub(crate) limiter: Limiter,
    pub(crate) peers: BTreeMap<PeerId, Peer>,
    pub(crate) by_key: BTreeMap<PublicKey, PeerId>,
    pub(crate) indices: BTreeMap<Index, PeerId>,
    /// Who writes what on what it tells about ways.
    pub(crate) by_tag: BTreeMap<Tag, PeerId>,
    pub(crate) relays: Relays,
    /// Our own addresses.
    pub(crate) local: Vec<SocketAddr>,
    pub(crate) effects: VecDeque<Effect>,
    /// The latest moment that it was told of.
    pub(crate) told_at: Timestamp,
    news: VecDeque<News>,
    pub(crate) plane: Plane,
    /// Whether the threads have not seen the picture as it is.
    pub(crate) unseen: bool,
    /// Whether peers came or went since the routes were drawn.
    pub(crate) rerouted: bool,
    agenda: BTreeSet<(Timestamp, PeerId)>,
    deadlines: BTreeMap<PeerId, Timestamp>,
    next_peer: u64,
    last_stamp: (u64, u32),
    farewells: Farewells,
    /// How many bytes of frames wait for sessions.
    waiting_bytes: usize,
    pub(crate) asked: Arc<Asked>,
}

/// What is known of a peer.
#[derive(Clone, Debug)]
pub struct PeerView {
    /// Who it is.
    pub key: PublicKey,
    /// The way that packets to it go.
    pub way: Option<Way>,
    /// All ways to a node of ours.
    pub ways: Vec<WayView>,
    /// How often another way was chosen.
    pub switches: u64,
    /// Since when the session in use exists.
    pub session_since: Option<Timestamp>,
    /// What an onlooker is kept from learning.
    pub cover: Cover,
    /// How much was carried.
    pub link: Arc<Link>,
}

impl Mesh {
    /// A node without peers. All its chance comes from `seed`.
    pub fn new(config: Config, seed: [u8; 32]) -> Self {
        let public = config.private.public();
        let door = FirstCode::new(&public);
        let guard = config.guard.clone();
        let asked = Arc::<Asked>::default();
        let gate = config.gate;
        let plane = Plane { door, gate, guard, asked: asked.clone(), ..Plane::default() };
        Self {
            entropy: Entropy::new(seed),
            doorman: Doorman::new(&public),
            limiter: Limiter::default(),
            peers: BTreeMap::new(),
            by_key: BTreeMap::new(),
            indices: BTreeMap::new(),
            by_tag: BTreeMap::new(),
            relays: Relays::default(),
            local: Vec::new(),
            effects: VecDeque::new(),
            told_at: Timestamp::default(),
            news: VecDeque::new(),
            plane,
            unseen: true,
            rerouted: true,
            agenda: BTreeSet::new(),
            deadlines: BTreeMap::new(),
            next_peer: 1,
            last_stamp: (0, 0),
            farewells: Farewells::default(),
            waiting_bytes: 0,
            asked,
            config,
        }
    }

    /// Adds a peer, or changes one, whose sessions go on; what is changed about sealing holds from the next session on.
    /// Only another preshared key, or a stock peer that turns into a node of ours, makes it begin anew.
    pub fn set_peer(&mut self, config: PeerConfig, now: Timestamp) -> PeerId {
        let id = self.change_peer(&config, now).unwrap_or_else(|| self.add_peer(config, now));
        self.draw_relayed(id, now);
        self.draw_shroud(id, now);
        self.publish_peer(id);
        self.look(id, now);
        id
    }

    fn change_peer(&mut self, config: &PeerConfig, now: Timestamp) -> Option<PeerId> {
        let id = *self.by_key.get(&config.key)?;
        let peer = self.peers.get_mut(&id)?;
        let same_kind = peer.config.contact.is_some() == config.contact.is_some();
        if peer.config.preshared != config.preshared || !same_kind {
            return None;
        }
        let moved = peer.config.endpoint != config.endpoint;
        self.rerouted |= peer.config.allowed != config.allowed;
        peer.config = config.clone();
        if moved {
            peer.on_told(now);
        }
        Some(id)
    }

    fn add_peer(&mut self, config: PeerConfig, now: Timestamp) -> PeerId {
        self.remove_peer(&config.key);
        self.rerouted = true;
        let farewell = self.farewells.take(&config.key);
        let id = PeerId(self.next_peer);
        self.next_peer += 1;
        self.by_key.insert(config.key, id);
        let keys = config.contact.as_ref();
        let keys = keys.and_then(|_| DiscoKeys::new(&self.config.private, &config.key));
        let mut peer = Peer::new(config);
        peer.last_hello = farewell.last_hello;
        if let Some(keys) = keys {
            self.by_tag.insert(keys.tag(), id);
            peer.search = Some(Search::new(keys, farewell.numbers, now));
            peer.on_told(now);
        }
        self.peers.insert(id, peer);
        id
    }

    /// Forgets a peer with its sessions.
    pub fn remove_peer(&mut self, key: &PublicKey) {
        let Some(id) = self.by_key.remove(key) else { return };
        let Some(peer) = self.peers.remove(&id) else { return };
        self.farewells.say(&peer);
        self.waiting_bytes -= peer.waiting_bytes;
        let asked = peer.asking.iter().map(|asking| asking.index);
        let indices: Vec<Index> =
            asked.chain(peer.sessions().map(|session| session.local)).collect();
        for index in indices {
            self.forget(index);
        }
        if let Some(search) = &peer.search {
            self.by_tag.remove(&search.keys.tag());
        }
        self.plane.lanes.remove(&id);
        self.plane.shrouds.remove(&id);
        self.set_deadline(id, None);
        (self.rerouted, self.unseen) = (true, true);
    }

    /// The blocks that the device stands for from here on.
    pub fn set_inside(&mut self, inside: Vec<Prefix>) {
        self.config.inside = inside;
        self.rerouted = true;
    }

    /// Lets a guard decide and count from here on; without one, what the routes allow may cross.
    pub fn set_guard(&mut self, guard: Option<Arc<dyn Guard>>) {
        self.plane.guard = guard;
        self.unseen = true;
    }

    /// What is known of the peers.
    pub fn peers(&self) -> impl Iterator<Item = (PeerId, PeerView)> {
        self.peers.iter().map(|(id, peer)| {
            let session_since = peer.current.as_ref().map(|session| session.born);
            let link = peer.link.clone();
            let search = peer.search.as_ref();
            let view = PeerView {
                key: peer.config.key,
                way: peer.way(),
                ways: search.map(|search| search.ways.views()).unwrap_or_default(),
                switches: search.map_or(0, |search| search.ways.switches),
                session_since,
                cover: peer.cover(),
                link,
            };
            (*id, view)
        })
    }

    /// When [`Mesh::on_wake`] next has something to do.
    pub fn wake_at(&self) -> Option<Timestamp> {
        let peers = self.agenda.first().map(|(at, _)| *at);
        [peers, self.relays.wake_at()].into_iter().flatten().min()
    }

    /// Does what is due.
    pub fn on_wake(&mut self, now: Timestamp) {
        self.told_at = now;
        for (at, question) in self.relays.on_wake(self.config.sign, now) {
            let (to, datagram) = (Way::Direct(at), question.to_vec());
            self.effects.push_back(Effect::Send { to, datagram });
        }
        while let Some((at, id)) = self.agenda.first().copied()
            && at <= now
        {
            self.look(id, now);
        }
    }

    /// Takes what the threads noted.
    pub fn on_note(&mut self, note: Note, now: Timestamp) {
        self.told_at = now;
        match note {
            Note::Handshake { from, message } => self.on_handshake(from, &message, now),
            Note::Confirmed(index) => self.on_confirmed(index, now),
            Note::Roamed { peer, to } => self.on_roamed(peer, to, now),
            Note::Begun(peer) => self.on_begun(peer, now),
            Note::Disco { from, message } => self.on_disco(from, &message, now),
            Note::Relay { from, message } => self.on_relay(from, &message, now),
            Note::Wanted { peer, frame } => self.on_wanted(peer, frame, now),
            Note::PathMtu { peer, mtu } => self.on_path_mtu(peer, mtu),
            Note::Carry { to, label, datagram } => self.on_carry(to, label, datagram, now),
            Note::Stirred => {}
        }
    }

    /// What to do next. A changed picture goes first: what follows may be answered before the next effect is asked for.
    pub fn next_effect(&mut self) -> Option<Effect> {
        self.settle_routes();
        if std::mem::take(&mut self.unseen) {
            return Some(Effect::Publish(Arc::new(self.plane.clone())));
        }
        loop {
            let effect = match self.effects.pop_front()? {
                Effect::Send { to: Way::Hop { hop, far }, datagram } => {
                    self.over_hop(hop, far, datagram)
                }
                effect @ (Effect::Send { .. } | Effect::Publish(_) | Effect::Depart { .. }) => {
                    Some(effect)
                }
            };
            if effect.is_some() {
                return effect;
            }
        }
    }

    /// What changed that those who watch over the node want to hear of.
    pub fn next_news(&mut self) -> Option<News> {
        self.news.pop_front()
    }

    pub(crate) fn tell(&mut self, news: News) {
        if self.news.len() >= NEWS_MAX {
            self.news.pop_front();
        }
        self.news.push_back(news);
    }

    /// What our own membership records say that we open, for sessions from here on.
    pub const fn set_opens_fast(&mut self, opens_fast: bool) {
        self.config.opens_fast = opens_fast;
    }

    fn on_roamed(&mut self, id: PeerId, to: Way, now: Timestamp) {
        let Some(peer) = self.peers.get_mut(&id).filter(|peer| peer.may_be_at(to)) else { return };
        let (first, known) = (peer.way().is_none(), peer.ways_known());
        let moved = peer.on_heard(to, now);
        let learned = peer.ways_known() != known;
        if moved {
            self.on_way_changed(id, first, now);
        }
        self.look(id, now);
        // A new picture costs all threads: only for what is new in it.
        if learned && !moved {
            self.publish_peer(id);
        }
    }

    fn on_begun(&mut self, id: PeerId, now: Timestamp) {
        if let Some(search) = self.peers.get_mut(&id).and_then(|peer| peer.search.as_mut()) {
            search.on_wanted(now);
            self.look(id, now);
        }
    }

    fn on_wanted(&mut self, id: PeerId, frame: Vec<u8>, now: Timestamp) {
        let Some(peer) = self.peers.get_mut(&id) else { return };
        if peer.current.as_ref().is_some_and(|session| !session.is_dead(now))
            && peer.way().is_some()
        {
            // The session came while the frame was on its way here.
            return self.effects.push_back(Effect::Depart { frames: vec![frame] });
        }
        let others = self.waiting_bytes - peer.waiting_bytes;
        if others + frame.len() <= WAITING_BYTES_TOTAL_MAX {
            peer.wait(frame);
            self.waiting_bytes = others + peer.waiting_bytes;
        }
        if let Some(search) = &mut peer.search {
            search.on_wanted(now);
        }
        if peer.asking.is_none() {
            self.ask(id, now, now);
        }
        self.look(id, now);
    }

    /// How many bytes of frames wait for sessions.
    pub const fn waiting_bytes(&self) -> usize {
        self.waiting_bytes
    }

    /// The frames that waited for a session with a peer.
    pub(crate) fn take_waiting(&mut self, id: PeerId) -> Vec<Vec<u8>> {
        let Some(peer) = self.peers.get_mut(&id) else { return Vec::new() };
        self.waiting_bytes -= peer.waiting_bytes;
        peer.take_waiting()
    }

    fn on_path_mtu(&mut self, id: PeerId, outer: usize) {
        let Some(peer) = self.peers.get_mut(&id) else { return };
        let Some((way, to)) = peer.way().and_then(|way| Some((way, way.socket()?))) else { return };
        let inner = crate::message::inner_mtu(outer, &to, &way);
        if inner >= crate::MTU_MIN && peer.mtu != Some(inner) {
            peer.mtu = Some(inner);
            self.publish_peer(id);
        }
    }

    /// Moves a peer in the agenda.
    pub(crate) fn set_deadline(&mut self, id: PeerId, at: Option<Timestamp>) {
        if let Some(before) = self.deadlines.remove(&id) {
            self.agenda.remove(&(before, id));
        }
        if let Some(at) = at {
            self.deadlines.insert(id, at);
            self.agenda.insert((at, id));
        }
    }

    /// A name for a session or a question, not in use.
    pub(crate) fn new_index(&mut self, id: PeerId) -> Index {
        loop {
            let index = self.entropy.draw_u32();
            if index == 0 {
                continue;
            }
            if let Entry::Vacant(free) = self.indices.entry(index) {
                free.insert(id);
                return index;
            }
        }
    }

    /// Frees the name of a session or a question.
    pub(crate) fn forget(&mut self, index: Index) {
        self.indices.remove(&index);
        self.asked.remove(index);
        self.plane.sessions.remove(&index);
    }

    pub(crate) fn forget_sessions(&mut self, sessions: impl IntoIterator<Item = Arc<Session>>) {
        for session in sessions {
            self.forget(session.local);
        }
    }

    /// The moment as initiations carry it, later than all before.
    pub(crate) fn stamp(&mut self, now: Timestamp) -> [u8; TIMESTAMP_LEN] {
        /// TAI64's label of the second that Unix calls 0.
        const TAI64_BASE: u64 = (1 << 62) + 10;
        let nanos = u32::try_from(now.millis() % 1000 * 1_000_000).expect("less than a second");
        let told = (TAI64_BASE + now.millis() / 1000, nanos);
        let (seconds, nanos) = self.last_stamp;
        self.last_stamp = told.max((seconds, nanos + 1));
        let mut out = [0; TIMESTAMP_LEN];
        out[..8].copy_from_slice(&self.last_stamp.0.to_be_bytes());
        out[8..].copy_from_slice(&self.last_stamp.1.to_be_bytes());
        out
    }
}
