//! What the threads that carry packets know: a picture of all peers, replaced whole when something changes.
//!
//! # Invariants
//! - A picture never changes; sessions and links in it do, by their own rules.
//! - A packet goes out only to the peer that owns its target, and comes in only from the peer that owns its source.
//! - What is not understood goes neither way, unless [`Gate::Any`] says so.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;

use units::Timestamp;

use crate::asked::Asked;
use crate::cookie::FirstCode;
use crate::cover::{Cover, Shroud};
use crate::guard::Guard;
use crate::hop::Label;
use crate::inner::Inner;
use crate::key::PublicKey;
use crate::link::Link;
use crate::message::Index;
use crate::mtu;
use crate::path::disco::Tag;
use crate::path::{CallSign, Policy, Way};
use crate::peer::PeerId;
use crate::routes::Routes;
use crate::segment::NotAFrame;
use crate::session::Session;

/// A picture of all peers.
#[derive(Clone, Debug, Default)]
pub struct Plane {
    pub(crate) routes: Arc<Routes<PeerId>>,
    pub(crate) lanes: BTreeMap<PeerId, Arc<Lane>>,
    pub(crate) sessions: BTreeMap<Index, Arc<Session>>,
    /// What a handshake must show before it costs the brain anything.
    pub(crate) door: FirstCode,
    pub(crate) gate: Gate,
    /// What nodes of ours write on what they tell about ways.
    pub(crate) tags: Arc<BTreeSet<Tag>>,
    /// Where relays' ports are.
    pub(crate) relays: Arc<BTreeSet<SocketAddr>>,
    pub(crate) guard: Option<Arc<dyn Guard>>,
    /// The addresses of the private network, which no datagram of ours goes to or comes from.
    pub(crate) inside: Arc<Routes<()>>,
    /// Which questions for a session may be answered.
    pub(crate) asked: Arc<Asked>,
    /// Who is called what by relays and hops.
    pub(crate) by_sign: Arc<BTreeMap<CallSign, PeerId>>,
    /// Of the peers whose cover has one.
    pub(crate) shrouds: BTreeMap<PeerId, Arc<Shroud>>,
}

/// How packets reach one peer.
#[derive(Clone, Debug)]
pub struct Lane {
    /// Whose it is.
    pub key: PublicKey,
    /// What relays and hops call it, if it is a node of ours.
    pub(crate) sign: Option<CallSign>,
    /// What is told to the brain.
    pub link: Arc<Link>,
    /// The ways that carry, best first.
    pub ways: Vec<Way>,
    /// How they are used.
    pub policy: Policy,
    /// The ways that the brain knows already, of a node of ours.
    pub(crate) known: Option<Vec<Way>>,
    /// What packets are sealed by, if anything yet.
    pub(crate) sending: Option<Arc<Session>>,
    /// The longest packet that fits on the way, in bytes.
    pub(crate) mtu: usize,
    pub(crate) cover: Cover,
    /// Members that its parcels are handed on to.
    pub(crate) carries: Arc<BTreeSet<CallSign>>,
    pub(crate) shroud: Option<Arc<Shroud>>,
}

/// Which packets may travel at all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Gate {
    /// Only those whose protocol is known.
    #[default]
    Known,
    /// All, as WireGuard has it.
    Any,
}

/// Why a frame of the device does not leave.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Stays {
    /// It cannot be read.
    #[error(transparent)]
    Unread(#[from] NotAFrame),
    /// Its protocol is not known.
    #[error("the packet's protocol is not known")]
    Unknown,
    /// Its target is nobody's.
    #[error("no peer owns the packet's target")]
    NoRoute,
    /// The guard stops it.
    #[error("no rule lets the packet pass")]
    Stopped,
    /// Its peer has no session, or was never heard: the brain wants the frame.
    #[error("the peer has no session yet")]
    Waits(PeerId),
    /// The peer's shroud keeps it for a moment. `stirs`: who lets it out must be told.
    #[error("the packet waits for its moment")]
    Held { stirs: bool },
    /// It is too long for the way; the sender should be told.
    #[error("the packet is longer than the way to its peer allows")]
    TooBig { mtu: usize },
}

/// What the brain must know. A note may be lost: what caused it will cause it again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// A message of the handshake.
    Handshake { from: Way, message: Vec<u8> },
    /// A message about ways.
    Disco { from: Way, message: Vec<u8> },
    /// A relay's port says something.
    Relay { from: SocketAddr, message: Vec<u8> },
    /// The peer used a session for the first time.
    Confirmed(Index),
    /// A peer is heard another way.
    Roamed { peer: PeerId, to: Way },
    /// Something is sent to a peer after a while.
    Begun(PeerId),
    /// A frame waits for a session.
    Wanted { peer: PeerId, frame: Vec<u8> },
    /// Packets to a peer may have this length at most, header and all, as the system says.
    PathMtu { peer: PeerId, mtu: usize },
    /// A parcel is to be handed on to a peer: for who can send; for the brain if it has no session yet.
    Carry { to: PeerId, label: Label, datagram: Vec<u8> },
    /// A shroud has something to do earlier than was planned: for who lets it out, not for the brain.
    Stirred,
}

impl Note {
    /// Whether anybody may have caused it: nothing of it was verified yet.
    pub const fn is_strangers(&self) -> bool {
        match self {
            Self::Handshake { .. } | Self::Disco { .. } | Self::Relay { .. } => true,
            Self::Confirmed(_)
            | Self::Roamed { .. }
            | Self::Begun(_)
            | Self::Wanted { .. }
            | Self::PathMtu { .. }
            | Self::Carry { .. }
            | Self::Stirred => false,
        }
    }
}

impl Plane {
    /// Whether a packet may travel by its protocol. A guard decides that itself: it knows what rules name.
    #[inline]
    pub(crate) fn gate_lets_pass(&self, inner: &Inner) -> bool {
        match self.gate {
            Gate::Any => true,
            Gate::Known => self.guard.is_some() || inner.transport.is_known(),
        }
    }

    /// The answer that tells a sender of the device that its packet is too long.
    pub fn too_big(&self, frame: &[u8], mtu: usize) -> Option<Vec<u8>> {
        mtu::too_big(frame.get(crate::vnet::VNET_LEN..)?, mtu)
    }

    /// A datagram to a peer that means nothing and is as long as all others; and which way it goes. Nothing if there
    /// is no session.
    pub fn decoy(&self, peer: PeerId, now: Timestamp) -> Option<(Way, Vec<u8>)> {
        let lane = self.lanes.get(&peer)?;
        let (session, mut route) = (lane.sending.as_ref()?, self.route(*lane.ways.first()?).ok()?);
        let counter = session.reserve(1, now).ok()?;
        if !route.reserve(1, now) {
            return None;
        }
        let (len, outer) = (route.packet_room(lane.mtu), route.outer_len(true));
        let mut datagram = vec![0; route.sealed_len(len, outer)];
        let sealed = session.seal(counter, &mut datagram[route.lead()..], len);
        route.wrap(0, sealed, outer, (&mut datagram, now));
        let to = route.to;
        lane.link.on_sent(1, datagram.len(), false, now);
        lane.link.on_decoy_sent(datagram.len());
        Some((to, datagram))
    }

    /// What hides the packets of some peers, and has something to do from time to time.
    pub fn shrouds(&self) -> impl Iterator<Item = (PeerId, &Shroud)> {
        self.shrouds.iter().map(|(id, shroud)| (*id, shroud.as_ref()))
    }

    /// How packets reach a peer.
    pub fn lane(&self, peer: PeerId) -> Option<&Lane> {
        self.lanes.get(&peer).map(Arc::as_ref)
    }
}
