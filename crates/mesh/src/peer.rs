//! One peer as the brain knows it: who it is, its up to three sessions, and what it waits for.
//!
//! # Sessions
//! ```text
//! we asked, they answered      →  current          (the old current becomes previous)
//! they asked, we answered      →  next             (we may not seal with it yet)
//! they used next               →  next becomes current, current becomes previous
//! ```
//! All three open packets, only the current one seals.

use std::collections::{BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use units::Timestamp;

use crate::cookie::Stamp;
use crate::cover::{Cover, Shroud};
use crate::hop::Label;
use crate::key::{PresharedKey, PublicKey};
use crate::link::Link;
use crate::message::{self, Index};
use crate::noise::{Asked, TIMESTAMP_LEN};
use crate::path::{CallSign, Policy, Way};
use crate::plane::Lane;
use crate::routes::Prefix;
use crate::search::Search;
use crate::session::Session;
use crate::suite::Suite;

/// How many bytes of frames wait for a session, per peer: one super-packet and some.
pub const WAITING_BYTES_MAX: usize = 128 * 1024;
/// How many wait in all, whatever is said to how many peers that do not answer.
pub const WAITING_BYTES_TOTAL_MAX: usize = 64 * 1024 * 1024;

/// What every way carries that is nothing special, in bytes: relays are reached over the Internet.
const ETHERNET_MTU: usize = 1500;

/// A peer's number, given once and never again: what is on its way to a removed peer reaches nobody else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerId(pub(crate) u64);

/// What we are told about a peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerConfig {
    /// Who it is.
    pub key: PublicKey,
    /// The key shared in advance, or the default, which is none.
    pub preshared: PresharedKey,
    /// Where it is, if we know before it speaks.
    pub endpoint: Option<SocketAddr>,
    /// Which addresses are its own.
    pub allowed: Vec<Prefix>,
    /// How often to say that we are here, so that a NAT on the way stays open.
    pub keepalive_every: Option<Duration>,
    /// The best suite that its membership record says it opens.
    pub suite: Suite,
    /// How it is found, if it is a node of ours: a stock peer knows nothing of ways.
    pub contact: Option<Contact>,
    /// What an onlooker is kept from learning; of a stock peer, [`Cover::Size`] at most.
    pub cover: Cover,
}

/// How a node of ours is found, by its membership record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contact {
    /// What relays call it.
    pub sign: CallSign,
    /// Call signs of relays that it can be reached through.
    pub relays: Vec<CallSign>,
    /// How ways to it are used.
    pub policy: Policy,
    /// Members that packets to it go through, and no other way. `None`: as it comes.
    pub via: Option<BTreeSet<CallSign>>,
    /// Members that we hand its packets to, and whose packets we hand to it: we are the hop between them.
    pub carries: BTreeSet<CallSign>,
}

#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) config: PeerConfig,
    /// Where a stock peer was last heard.
    endpoint: Option<Way>,
    /// The ways to a node of ours.
    pub(crate) search: Option<Search>,
    pub(crate) link: Arc<Link>,
    pub(crate) stamp: Stamp,
    pub(crate) current: Option<Arc<Session>>,
    pub(crate) previous: Option<Arc<Session>>,
    pub(crate) next: Option<Arc<Session>>,
    pub(crate) asking: Option<Asking>,
    /// The latest initiation that was taken from it: none before that is taken again.
    pub(crate) last_hello: [u8; TIMESTAMP_LEN],
    pub(crate) last_hello_at: Option<Timestamp>,
    pub(crate) waiting: VecDeque<Vec<u8>>,
    pub(crate) waiting_bytes: usize,
    /// The longest inner packet that fits on the way, if the system told.
    pub(crate) mtu: Option<usize>,
    /// Parcels for it that wait for a session.
    pub(crate) parcels: VecDeque<(Label, Vec<u8>)>,
    /// What hides bursts and moments, if its cover has such.
    pub(crate) shroud: Option<(Cover, Arc<Shroud>)>,
    /// How much earlier than agreed the next sign of life comes, in 131,072 parts.
    pub(crate) unevenness: u16,
}

/// We asked for a session and wait for the answer.
#[derive(Debug)]
pub(crate) struct Asking {
    pub(crate) noise: Asked,
    pub(crate) index: Index,
    pub(crate) began: Timestamp,
    pub(crate) again_at: Timestamp,
}

impl Peer {
    pub(crate) fn new(config: PeerConfig) -> Self {
        Self {
            endpoint: config.endpoint.map(Way::Direct),
            search: None,
            link: Arc::default(),
            stamp: Stamp::new(&config.key),
            current: None,
            previous: None,
            next: None,
            asking: None,
            last_hello: [0; TIMESTAMP_LEN],
            last_hello_at: None,
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            mtu: None,
            parcels: VecDeque::new(),
            shroud: None,
            unevenness: 0,
            config,
        }
    }

    /// The way that packets to it go.
    pub(crate) fn way(&self) -> Option<Way> {
        match &self.search {
            Some(search) => search.ways.active(),
            None => self.endpoint,
        }
    }

    /// The ways that what must reach it goes, be it that none is known to work.
    pub(crate) fn ways_to_ask(&self) -> Vec<Way> {
        match &self.search {
            Some(search) => search.ways.to_ask(),
            None => self.endpoint.into_iter().collect(),
        }
    }

    /// Where it is was told from outside.
    pub(crate) fn on_told(&mut self, now: Timestamp) {
        let told = self.config.endpoint.map(Way::Direct);
        match &mut self.search {
            Some(search) => told.into_iter().for_each(|way| search.ways.add(way, now)),
            None => self.endpoint = told.or(self.endpoint),
        }
    }

    /// Whether it can be met on a way: behind a relay only by its own name, and through hops only where it has to be.
    pub(crate) fn may_be_at(&self, way: Way) -> bool {
        let Some(contact) = &self.config.contact else { return way.far().is_none() };
        let is_right = match (&contact.via, way) {
            (None, Way::Hop { .. }) => false,
            (None, Way::Direct(_) | Way::Relayed { .. } | Way::Stream { .. }) => true,
            (Some(via), Way::Hop { hop, .. }) => via.contains(&hop),
            (Some(_), Way::Direct(_) | Way::Relayed { .. } | Way::Stream { .. }) => false,
        };
        is_right && way.far().is_none_or(|far| far == contact.sign)
    }

    /// Members that it is reached through, if only through members.
    pub(crate) fn via(&self) -> Option<&BTreeSet<CallSign>> {
        self.config.contact.as_ref()?.via.as_ref()
    }

    /// How many packets were sent to it, if its policy lets all of them go one way.
    pub(crate) fn packets_one_way(&self) -> Option<u64> {
        (self.policy() == Policy::ActiveBackup).then(|| self.link.sent_packets())
    }

    /// How many ways to it are known.
    pub(crate) fn ways_known(&self) -> usize {
        self.search.as_ref().map_or(0, |search| search.ways.count())
    }

    /// It was heard by something that nobody can tell twice. True if packets to it go another way from here on.
    pub(crate) fn on_heard(&mut self, way: Way, now: Timestamp) -> bool {
        let before = self.way();
        match &mut self.search {
            Some(search) => search.ways.on_heard(way, now),
            None => self.endpoint = Some(way),
        }
        self.way() != before
    }

    /// Takes the session that we asked for, and gives back those it pushed out.
    pub(crate) fn on_answered(&mut self, session: Arc<Session>) -> [Option<Arc<Session>>; 2] {
        let newest = self.next.take().or_else(|| self.current.take());
        let unseated = self.current.take();
        let forgotten = std::mem::replace(&mut self.previous, newest);
        self.current = Some(session);
        [unseated, forgotten]
    }

    /// Takes the session that it asked for, and gives back those it pushed out.
    pub(crate) fn on_asked(&mut self, session: Arc<Session>) -> [Option<Arc<Session>>; 2] {
        [self.next.replace(session), self.previous.take()]
    }

    /// The peer used the next session: we may, too. Gives back what it pushed out, or nothing if it is not the next.
    pub(crate) fn on_confirmed(&mut self, index: Index) -> Option<Option<Arc<Session>>> {
        let session = self.next.take_if(|session| session.local == index)?;
        session.confirm();
        let unseated = self.current.replace(session);
        Some(std::mem::replace(&mut self.previous, unseated))
    }

    /// Gives up the sessions whose time is over.
    pub(crate) fn drop_dead(
        &mut self,
        now: Timestamp,
    ) -> impl Iterator<Item = Arc<Session>> + use<> {
        let dead = |place: &mut Option<Arc<Session>>| place.take_if(|session| session.is_dead(now));
        [dead(&mut self.current), dead(&mut self.previous), dead(&mut self.next)]
            .into_iter()
            .flatten()
    }

    pub(crate) fn sessions(&self) -> impl Iterator<Item = &Arc<Session>> {
        [&self.current, &self.previous, &self.next].into_iter().flatten()
    }

    /// Keeps a frame until there is a session. The oldest gives way: who sent it has most likely sent it again.
    pub(crate) fn wait(&mut self, frame: Vec<u8>) {
        if frame.len() > WAITING_BYTES_MAX {
            return;
        }
        self.waiting_bytes += frame.len();
        self.waiting.push_back(frame);
        while self.waiting_bytes > WAITING_BYTES_MAX {
            self.waiting_bytes -= self.waiting.pop_front().map_or(0, |oldest| oldest.len());
        }
    }

    pub(crate) fn take_waiting(&mut self) -> Vec<Vec<u8>> {
        self.waiting_bytes = 0;
        self.waiting.drain(..).collect()
    }

    pub(crate) fn lane(&self, mtu: usize) -> Lane {
        Lane {
            key: self.config.key,
            sign: self.config.contact.as_ref().map(|contact| contact.sign),
            link: self.link.clone(),
            ways: self.carrying(),
            known: self.search.as_ref().map(|search| search.ways.known()),
            policy: self.policy(),
            sending: self.current.clone(),
            mtu: self.mtu(mtu),
            cover: self.cover(),
            carries: self.carries(),
            shroud: self.shroud.as_ref().map(|(_, shroud)| shroud.clone()),
        }
    }

    /// What an onlooker is kept from learning: a stock peer counts decoys as errors.
    pub(crate) fn cover(&self) -> Cover {
        let most = if self.config.contact.is_some() { Cover::Rate } else { Cover::Size };
        self.config.cover.min(most)
    }

    fn carries(&self) -> Arc<BTreeSet<CallSign>> {
        let contact = self.config.contact.as_ref();
        Arc::new(contact.map(|contact| contact.carries.clone()).unwrap_or_default())
    }

    fn policy(&self) -> Policy {
        self.config.contact.as_ref().map_or_else(Policy::default, |contact| contact.policy)
    }

    fn carrying(&self) -> Vec<Way> {
        match &self.search {
            Some(search) => search.ways.carrying(self.policy()),
            None => self.endpoint.into_iter().collect(),
        }
    }

    /// The longest inner packet, which must fit every way that carries.
    pub(crate) fn mtu(&self, mtu: usize) -> usize {
        let relayed = |way: &Way| match way {
            Way::Relayed { relay, .. } => Some(message::inner_mtu(ETHERNET_MTU, relay, way)),
            Way::Direct(_) | Way::Stream { .. } | Way::Hop { .. } => None,
        };
        let ways = self.carrying();
        let known = self.mtu.into_iter().chain(ways.iter().filter_map(relayed));
        known.fold(mtu, usize::min)
    }
}
