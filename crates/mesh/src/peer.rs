//! One peer as the brain knows it: who it is, its up to three sessions, and what it waits for.
//!
//! # Sessions
//! ```text
//! we asked, they answered      →  current          (the old current becomes previous)
//! they asked, we answered      →  next             (we may not seal with it yet)
//! they used next               →  next becomes current, current becomes previous
//! ```
//! All three open packets, only the current one seals.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use units::Timestamp;

use crate::cookie::Stamp;
use crate::key::{PresharedKey, PublicKey};
use crate::link::Link;
use crate::message::Index;
use crate::noise::{Asked, TIMESTAMP_LEN};
use crate::plane::Lane;
use crate::routes::Prefix;
use crate::session::Session;
use crate::suite::Suite;

/// How many bytes of frames wait for a session, per peer: one super-packet and some.
pub const WAITING_BYTES_MAX: usize = 128 * 1024;

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
}

#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) config: PeerConfig,
    pub(crate) endpoint: Option<SocketAddr>,
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
            endpoint: config.endpoint,
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
            config,
        }
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
            link: self.link.clone(),
            endpoint: self.endpoint,
            sending: self.current.clone(),
            mtu: self.mtu.map_or(mtu, |known| known.min(mtu)),
        }
    }
}
