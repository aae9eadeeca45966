//! The way out: which peer a frame of the device is for, whether it may go there, and how it is cut, sealed and padded.

use std::ops::Range;

use units::Timestamp;

use crate::cover::Held;
use crate::ecn::Ecn;
use crate::guard::{Crossing, Direction, Flow};
use crate::hop::{Route, Stuck};
use crate::inner::Inner;
use crate::link::Link;
use crate::message::DATA_HEADER_LEN;
use crate::path::{BROADCAST_LEN_MAX, Policy, Way};
use crate::peer::PeerId;
use crate::plane::{Lane, Plane, Stays};
use crate::quoted::quoted;
use crate::relay::{self, RELAYED_HEADER_LEN};
use crate::segment::Cutter;
use crate::session::Session;

impl From<Stuck> for Stays {
    fn from(stuck: Stuck) -> Self {
        match stuck {
            Stuck::Waits(peer) => Self::Waits(peer),
            Stuck::Lost => Self::NoRoute,
        }
    }
}

/// A frame on its way out: cut, counted, ready to be sealed.
#[derive(Debug)]
pub struct Departure<'p, 'f> {
    /// Which way.
    pub to: Way,
    /// Of which peer.
    pub peer: PeerId,
    /// What its datagrams say of congestion on the outside.
    pub ecn: Ecn,
    /// Which ways copies go.
    pub copies: &'p [Way],
    /// Whether nothing was sent to the peer lately: then the brain should know that something is.
    pub begins: bool,
    /// Whether who lets out what a shroud holds must be told.
    pub stirs: bool,
    /// Whether all datagrams are made as long as the longest may be.
    pads: bool,
    cutter: Cutter<'f>,
    session: &'p Session,
    link: &'p Link,
    first_counter: u64,
    mtu: usize,
    /// How long the outermost parcel is made, if it is.
    outer: Option<usize>,
    route: Route<'p>,
}

impl Plane {
    /// Decides where a frame of the device goes.
    #[inline]
    pub fn depart<'f>(&self, frame: &'f [u8], now: Timestamp) -> Result<Departure<'_, 'f>, Stays> {
        self.depart_from(frame, true, now)
    }

    /// As above, of a frame that a shroud lets out.
    pub fn depart_released<'f>(
        &self,
        frame: &'f [u8],
        now: Timestamp,
    ) -> Result<Departure<'_, 'f>, Stays> {
        self.depart_from(frame, false, now)
    }

    #[inline]
    fn depart_from<'f>(
        &self,
        frame: &'f [u8],
        is_new: bool,
        now: Timestamp,
    ) -> Result<Departure<'_, 'f>, Stays> {
        let mut cutter = Cutter::read(frame)?;
        if !self.gate_lets_pass(&cutter.inner) {
            return Err(Stays::Unknown);
        }
        let peer = self.routes.owner(cutter.inner.target).ok_or(Stays::NoRoute)?;
        let lane = self.lanes.get(&peer).ok_or(Stays::NoRoute)?;
        let crossing = self.guard.as_ref().map(|guard| (guard, outgoing(lane, &cutter, now)));
        if crossing.as_ref().is_some_and(|(guard, crossing)| !guard.lets_pass(crossing)) {
            return Err(Stays::Stopped);
        }
        let to = lane.way_of(&cutter.inner).ok_or(Stays::Waits(peer))?;
        let mut route = self.route(to).map_err(Stays::from)?;
        let mtu = route.packet_room(lane.mtu);
        if cutter.longest() > mtu && !cutter.shorten(mtu) {
            return Err(Stays::TooBig { mtu });
        }
        let is_bare = crossing.as_ref().is_some_and(|(guard, crossing)| guard.is_bare(crossing));
        let pads = lane.cover.pads() && !is_bare;
        let outer = route.outer_len(pads || (route.pads() && !is_bare));
        let shroud = lane.shroud.as_ref().filter(|_| pads);
        if let Some(shroud) = shroud.filter(|_| is_new)
            && let Held::Yes { stirs } = shroud.hold(&cutter, frame, now)
        {
            return Err(Stays::Held { stirs });
        }
        let session = lane.sending.as_ref().ok_or(Stays::Waits(peer))?;
        let first_counter = session.reserve(cutter.count(), now).map_err(|_| Stays::Waits(peer))?;
        if !route.reserve(cutter.count(), now) {
            return Err(Stays::NoRoute);
        }
        if let Some((guard, crossing)) = &crossing {
            guard.on_carried(crossing, cutter.count() as u64, cutter.total() as u64);
        }
        let begins = lane.known.is_some() && lane.link.is_quiet(now);
        let copies = if route.hops.is_empty() { lane.copies(&cutter) } else { &[] };
        let (link, to) = (&lane.link, route.to);
        let stirs = shroud.is_some_and(|shroud| shroud.on_sent(cutter.count() * mtu, now));
        let begun = Departure {
            to,
            peer,
            ecn: Ecn::of_packet(cutter.packet()),
            copies,
            begins,
            stirs,
            pads,
            cutter,
            session,
            link,
            first_counter,
            mtu,
            outer,
            route,
        };
        Ok(begun)
    }
}

/// A frame of the device, as a guard sees it.
fn outgoing<'l>(lane: &'l Lane, cutter: &Cutter<'_>, now: Timestamp) -> Crossing<'l> {
    let (flow, tcp_flags) = (Flow::of(&cutter.inner), cutter.tcp_flags());
    let quoted = quoted(cutter.packet(), &cutter.inner);
    Crossing { direction: Direction::Out, peer: &lane.key, flow, quoted, tcp_flags, now }
}

impl Lane {
    /// The way that a packet goes: each flow one.
    #[inline]
    fn way_of(&self, inner: &Inner) -> Option<Way> {
        match (self.policy, self.ways.as_slice()) {
            (Policy::BalanceFlow, ways @ [_, _, ..]) => {
                let which = Flow::of(inner).number() % ways.len() as u64;
                ways.get(usize::try_from(which).unwrap_or_default()).copied()
            }
            (Policy::BalanceFlow | Policy::ActiveBackup | Policy::Broadcast, ways) => {
                ways.first().copied()
            }
        }
    }

    /// The ways that copies of a short packet go.
    #[inline]
    fn copies(&self, cutter: &Cutter<'_>) -> &[Way] {
        let short = cutter.count() == 1 && cutter.longest() <= BROADCAST_LEN_MAX;
        match self.policy {
            Policy::Broadcast if short => self.ways.get(1..).unwrap_or_default(),
            Policy::Broadcast | Policy::ActiveBackup | Policy::BalanceFlow => &[],
        }
    }
}

impl Departure<'_, '_> {
    /// How many datagrams it becomes.
    #[inline]
    pub const fn count(&self) -> usize {
        self.cutter.count()
    }

    /// How long each datagram is but the last, which may be shorter.
    #[inline]
    pub fn datagram_len(&self) -> usize {
        let sealed = self.route.sealed_len(self.padded(self.cutter.longest()), self.outer);
        self.to.header_len() + sealed
    }

    /// Seals the datagrams of `which` one behind the other into `out`, and says how long they are together.
    ///
    /// # Panics
    /// If `out` is shorter than [`Departure::datagram_len`] for each.
    #[inline]
    pub fn seal(&self, which: Range<usize>, out: &mut [u8], now: Timestamp) -> usize {
        let (packets, mut at, mut padding) = (which.len(), 0, 0);
        for index in which {
            at += write_way(self.to, &mut out[at..]);
            let place = &mut out[at + self.route.lead()..];
            let len = self.cutter.write(index, &mut place[DATA_HEADER_LEN..]);
            let padded = self.padded(len);
            place[DATA_HEADER_LEN + len..DATA_HEADER_LEN + padded].fill(0);
            padding += padded - len;
            let sealed = self.session.seal(self.first_counter + index as u64, place, padded);
            let (len, outer) = self.route.wrap(index, sealed, self.outer, (&mut out[at..], now));
            at += len;
            padding += outer;
        }
        self.link.on_sent(packets, at, true, now);
        if self.pads || self.outer.is_some() {
            self.link.on_padded(padding);
        }
        at
    }

    /// Packets are padded to a multiple of 16, but never beyond what the device may send; under cover, to that.
    #[inline]
    fn padded(&self, len: usize) -> usize {
        if self.pads {
            return self.mtu.max(len);
        }
        len.next_multiple_of(16).min(self.mtu).max(len)
    }
}

/// Writes what stands before a datagram on its way, and says how long that is.
#[inline]
pub(crate) fn write_way(way: Way, out: &mut [u8]) -> usize {
    match (way, out.first_chunk_mut::<RELAYED_HEADER_LEN>()) {
        (Way::Relayed { far, .. }, Some(header)) => {
            relay::write_relayed_header(header, far);
            RELAYED_HEADER_LEN
        }
        (Way::Direct(_) | Way::Stream { .. } | Way::Relayed { .. } | Way::Hop { .. }, _) => 0,
    }
}
