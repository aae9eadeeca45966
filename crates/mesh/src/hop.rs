//! Members that carry packets between two others: so that no relay, and no network on the way, sees both ends.
//!
//! ```text
//! A ──[ parcel: for B │ a datagram of A's for B ]──► H ──[ parcel: from A │ the same datagram ]──► B
//!      sealed by the session of A and H                   sealed by the session of H and B
//! ```
//!
//! A parcel is inside a session where else a packet is; it begins with a version that IP does not have. What it holds
//! is a datagram as it would travel by itself: sealed by the session of the two ends, which the hop has no key to. A
//! way over a hop is pinged and used like any other, and the way to a hop may itself lead over a hop.
//!
//! A hop may need hops of its own to who is to get a parcel, which the sender does not know of. So the ends leave room
//! for as many as there may be, and what only carries takes no more than it needs. What is padded is the outermost
//! parcel, which alone is seen on a wire.
//!
//! # Invariants
//! - A hop hands on between two members only if the records and rules that it was told name it as their hop.
//! - Nobody hands on what was handed on for somebody else: a parcel goes to a member, never to a parcel's sender.
//! - A way leads over [`HOPS_MAX`] hops at most.

use std::ops::Range;

use units::Timestamp;

use crate::MTU_MIN;
use crate::message::{DATA_HEADER_LEN, DATA_OVERHEAD};
use crate::node::{Effect, Mesh};
use crate::path::{CallSign, Way};
use crate::peer::PeerId;
use crate::plane::{Lane, Plane};
use crate::session::Session;

/// Hops of one way: more hide nothing that three do not, and each costs a round of sealing.
pub const HOPS_MAX: usize = 3;
/// What stands before a parcel's datagram: kind, zero, length, call sign.
pub(crate) const PARCEL_HEADER_LEN: usize = 12;
/// What a hop adds to each datagram, in bytes.
pub const HOP_OVERHEAD: usize = DATA_OVERHEAD + PARCEL_HEADER_LEN;
/// Parcels that wait for a session with who is to get them: some messages of a handshake.
const PARCELS_MAX: usize = 8;

/// To be handed on to who bears the call sign.
const CARRY: u8 = 0x10;
/// Handed on from who bears the call sign.
const CARRIED: u8 = 0x11;

/// What stands on a parcel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Label {
    /// Hand it on to this member.
    To(CallSign),
    /// This member sent it.
    From(CallSign),
}

/// Why a parcel does not leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stuck {
    /// Who is to get it, or a hop on the way, has no session with us.
    Waits(PeerId),
    /// It cannot leave at all.
    Lost,
}

/// How a datagram gets from here to the wire.
#[derive(Clone, Debug)]
pub(crate) struct Route<'p> {
    /// Which way the outermost goes.
    pub(crate) to: Way,
    /// Which hops it is wrapped for, the nearest first.
    pub(crate) hops: Vec<Hop<'p>>,
    /// How long what is sealed into the innermost may be, for the hops that are known here.
    room: usize,
}

/// A hop of a route.
#[derive(Clone, Debug)]
pub(crate) struct Hop<'p> {
    session: &'p Session,
    lane: &'p Lane,
    /// Whom it hands on to.
    far: CallSign,
    first_counter: u64,
}

/// Reads a parcel: its label, and where its datagram lies.
pub(crate) fn read(plain: &[u8]) -> Option<(Label, Range<usize>)> {
    let [kind, 0, low, high, sign @ ..] = plain else { return None };
    let sign = CallSign(*sign.first_chunk()?);
    let label = match *kind {
        CARRY => Label::To(sign),
        CARRIED => Label::From(sign),
        _ => return None,
    };
    let end = PARCEL_HEADER_LEN + usize::from(u16::from_le_bytes([*low, *high]));
    (end <= plain.len()).then_some((label, PARCEL_HEADER_LEN..end))
}

fn write_label(label: Label, len: usize, out: &mut [u8]) {
    let (kind, sign) = match label {
        Label::To(sign) => (CARRY, sign),
        Label::From(sign) => (CARRIED, sign),
    };
    let len = u16::try_from(len).expect("a datagram is shorter than 64 KiB");
    out[..2].copy_from_slice(&[kind, 0]);
    out[2..4].copy_from_slice(&len.to_le_bytes());
    out[4..PARCEL_HEADER_LEN].copy_from_slice(&sign.0);
}

/// How long a packet may be so that it gets over all hops there may be, if what goes to the first fits `mtu`.
pub(crate) fn over_hops(mtu: usize) -> usize {
    mtu.saturating_sub(HOPS_MAX * HOP_OVERHEAD).max(MTU_MIN)
}

impl Route<'_> {
    /// How many bytes all hops add to a datagram.
    #[inline]
    pub(crate) const fn overhead(&self) -> usize {
        self.hops.len() * HOP_OVERHEAD
    }

    /// How long an own packet may be that is sealed for a peer whose packets fit `mtu`: there is room for all hops that
    /// there may be beyond the ones known here. It is never less than every network carries, if those allow it.
    #[inline]
    pub(crate) fn packet_room(&self, mtu: usize) -> usize {
        let known = mtu.min(self.room);
        let Some(first) = self.hops.first() else { return known };
        known.min(over_hops(first.lane.mtu))
    }

    /// How long the outermost parcel is made if all are to be equally long: as what goes to the hop itself.
    #[inline]
    pub(crate) fn outer_len(&self, pads: bool) -> Option<usize> {
        self.hops.first().filter(|_| pads).map(|hop| hop.lane.mtu)
    }

    /// Whether what goes to its first hop is to be equally long.
    #[inline]
    pub(crate) fn pads(&self) -> bool {
        self.hops.first().is_some_and(|hop| hop.lane.cover.pads())
    }

    /// Takes counters for so many datagrams. False if a hop's session is spent.
    pub(crate) fn reserve(&mut self, count: usize, now: Timestamp) -> bool {
        self.hops.iter_mut().all(|hop| match hop.session.reserve(count, now) {
            Ok(first) => {
                hop.first_counter = first;
                true
            }
            Err(_) => false,
        })
    }

    /// Where in `out` the innermost datagram begins.
    #[inline]
    pub(crate) const fn lead(&self) -> usize {
        self.hops.len() * (DATA_HEADER_LEN + PARCEL_HEADER_LEN)
    }

    /// Wraps the datagram of `len` bytes that stands behind the [`Route::lead`] in `out`, and says how long it is then,
    /// and how much of that is padding: the outermost parcel is made `outer` bytes long.
    pub(crate) fn wrap(
        &self,
        index: usize,
        mut len: usize,
        outer: Option<usize>,
        (out, now): (&mut [u8], Timestamp),
    ) -> (usize, usize) {
        let mut padding = 0;
        for (depth, hop) in self.hops.iter().enumerate().rev() {
            let out = &mut out[depth * (DATA_HEADER_LEN + PARCEL_HEADER_LEN)..];
            write_label(Label::To(hop.far), len, &mut out[DATA_HEADER_LEN..]);
            let parcel = PARCEL_HEADER_LEN + len;
            let padded = outer.filter(|_| depth == 0).map_or(parcel, |outer| outer.max(parcel));
            out[DATA_HEADER_LEN + parcel..DATA_HEADER_LEN + padded].fill(0);
            padding += padded - parcel;
            let counter = hop.first_counter + index as u64;
            len = hop.session.seal(counter, out, padded);
            hop.lane.link.on_sent(1, len, true, now);
        }
        (len, padding)
    }

    /// How long a datagram is on the wire, but for what a relay needs, if a packet of `len` bytes is sealed into it.
    pub(crate) fn sealed_len(&self, len: usize, outer: Option<usize>) -> usize {
        DATA_OVERHEAD + (self.overhead() + len).max(outer.unwrap_or_default())
    }
}

impl Plane {
    /// How a datagram that goes `way` gets to the wire.
    #[inline]
    pub(crate) fn route(&self, way: Way) -> Result<Route<'_>, Stuck> {
        let mut route = Route { to: way, hops: Vec::new(), room: usize::MAX };
        while let Way::Hop { hop, far } = route.to {
            let id = *self.by_sign.get(&hop).ok_or(Stuck::Lost)?;
            let lane = self.lanes.get(&id).ok_or(Stuck::Lost)?;
            let (Some(session), Some(to)) = (&lane.sending, lane.ways.first()) else {
                return Err(Stuck::Waits(id));
            };
            if route.hops.len() == HOPS_MAX {
                return Err(Stuck::Lost);
            }
            route.hops.insert(0, Hop { session, lane, far, first_counter: 0 });
            route.to = *to;
        }
        route.room = self.room(way, 0);
        Ok(route)
    }

    /// How long what is sealed for who is reached `way` may be: each hop takes its share.
    fn room(&self, way: Way, depth: usize) -> usize {
        let Way::Hop { hop, .. } = way else { return usize::MAX };
        let lane = self.by_sign.get(&hop).and_then(|id| self.lanes.get(id));
        let Some(lane) = lane.filter(|_| depth <= HOPS_MAX) else { return 0 };
        let outer = lane.ways.first().map_or(0, |way| self.room(*way, depth + 1));
        lane.mtu.min(outer).saturating_sub(HOP_OVERHEAD)
    }

    /// Seals a parcel for a peer, and says which way it goes.
    ///
    /// # Errors
    /// If there is no session yet, or it is too long for the way.
    pub fn parcel(
        &self,
        peer: PeerId,
        label: Label,
        datagram: &[u8],
        now: Timestamp,
    ) -> Result<(Way, Vec<u8>), Stuck> {
        let lane: &Lane = self.lanes.get(&peer).ok_or(Stuck::Lost)?;
        let (Some(session), Some(way)) = (&lane.sending, lane.ways.first()) else {
            return Err(Stuck::Waits(peer));
        };
        let mut route = self.route(*way)?;
        let len = PARCEL_HEADER_LEN + datagram.len();
        let room = lane.mtu.min(route.room);
        if len > room {
            return Err(Stuck::Lost);
        }
        let counter = session.reserve(1, now).map_err(|_| Stuck::Waits(peer))?;
        if !route.reserve(1, now) {
            return Err(Stuck::Lost);
        }
        let pads = lane.cover.pads();
        let outer = route.outer_len(pads || route.pads());
        // Where a further parcel is around it, that one is padded: who hands this on may need the room.
        let padded = if pads && route.hops.is_empty() { room } else { len };
        let mut out = vec![0; route.sealed_len(padded, outer)];
        let inner = &mut out[route.lead()..];
        write_label(label, datagram.len(), &mut inner[DATA_HEADER_LEN..]);
        inner[DATA_HEADER_LEN + PARCEL_HEADER_LEN..DATA_HEADER_LEN + len].copy_from_slice(datagram);
        let sealed = session.seal(counter, inner, padded);
        lane.link.on_sent(1, sealed, true, now);
        let (_, padding) = route.wrap(0, sealed, outer, (&mut out, now));
        lane.link.on_padded(padded - len + padding);
        Ok((route.to, out))
    }
}

impl Mesh {
    /// A parcel for a peer could not leave where it came in: it may after a handshake.
    pub(crate) fn on_carry(&mut self, id: PeerId, label: Label, datagram: Vec<u8>, now: Timestamp) {
        if let Some(effect) = self.parcel_or_wait(id, label, datagram, now) {
            self.effects.push_back(effect);
        }
    }

    /// A message that is to go over a hop, as it leaves. If it cannot yet, it waits, and the hop is asked for a
    /// session.
    pub(crate) fn over_hop(
        &mut self,
        hop: CallSign,
        far: CallSign,
        datagram: Vec<u8>,
    ) -> Option<Effect> {
        let id = *self.plane.by_sign.get(&hop)?;
        self.parcel_or_wait(id, Label::To(far), datagram, self.told_at)
    }

    fn parcel_or_wait(
        &mut self,
        id: PeerId,
        label: Label,
        datagram: Vec<u8>,
        now: Timestamp,
    ) -> Option<Effect> {
        let waits = match self.plane.parcel(id, label, &datagram, now) {
            Ok((to, datagram)) => return Some(Effect::Send { to, datagram }),
            Err(Stuck::Lost) => return None,
            Err(Stuck::Waits(waits)) => waits,
        };
        let peer = self.peers.get_mut(&id)?;
        if peer.parcels.len() >= PARCELS_MAX {
            peer.parcels.pop_front();
        }
        peer.parcels.push_back((label, datagram));
        self.want(waits, now);
        None
    }

    /// Somebody here wants to talk to the peer.
    fn want(&mut self, id: PeerId, now: Timestamp) {
        let Some(peer) = self.peers.get_mut(&id) else { return };
        if let Some(search) = &mut peer.search {
            search.on_wanted(now);
        }
        if peer.asking.is_none() && peer.current.is_none() {
            self.ask(id, now, now);
        }
        self.look(id, now);
    }

    /// Lets the parcels go that waited for a session.
    pub(crate) fn release_parcels(&mut self, id: PeerId, now: Timestamp) {
        let Some(peer) = self.peers.get_mut(&id) else { return };
        let parcels: Vec<(Label, Vec<u8>)> = peer.parcels.drain(..).collect();
        for (label, datagram) in parcels {
            self.on_carry(id, label, datagram, now);
        }
    }
}
