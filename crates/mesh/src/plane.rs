//! What the threads that carry packets know: a picture of all peers, replaced whole when something changes.
//!
//! # Invariants
//! - A picture never changes; sessions and links in it do, by their own rules.
//! - A packet goes out only to the peer that owns its target, and comes in only from the peer that owns its source.
//! - What is not understood goes neither way, unless [`Gate::Any`] says so.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::ops::Range;
use std::sync::Arc;

use units::Timestamp;

use crate::asked::Asked;
use crate::coalesce::Merger;
use crate::cookie::FirstCode;
use crate::cover::{self, Cover, Held, Shroud};
use crate::guard::{Crossing, Direction, Flow, Guard, TCP_TURNS, tcp_flags};
use crate::inner::Inner;
use crate::key::PublicKey;
use crate::link::Link;
use crate::message::{self, DATA_HEADER_LEN, DATA_OVERHEAD, Index, Kind};
use crate::mtu;
use crate::path::disco::{self, Tag};
use crate::path::{BROADCAST_LEN_MAX, Policy, Way};
use crate::peer::PeerId;
use crate::quoted::quoted;
use crate::relay::{self, RELAYED_HEADER_LEN};
use crate::routes::Routes;
use crate::segment::{Cutter, NotAFrame};
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
    /// Of the peers whose cover has one.
    pub(crate) shrouds: BTreeMap<PeerId, Arc<Shroud>>,
}

/// How packets reach one peer.
#[derive(Clone, Debug)]
pub struct Lane {
    /// Whose it is.
    pub key: PublicKey,
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

/// A frame on its way out: cut, counted, ready to be sealed.
#[derive(Debug)]
pub struct Departure<'p, 'f> {
    /// Which way.
    pub to: Way,
    /// Of which peer.
    pub peer: PeerId,
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
            | Self::Stirred => false,
        }
    }
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
        if cutter.longest() > lane.mtu && !cutter.shorten(lane.mtu) {
            return Err(Stays::TooBig { mtu: lane.mtu });
        }
        let pads = lane.cover.pads()
            && !crossing.as_ref().is_some_and(|(guard, crossing)| guard.is_bare(crossing));
        let shroud = lane.shroud.as_ref().filter(|_| pads);
        if let Some(shroud) = shroud.filter(|_| is_new)
            && let Held::Yes { stirs } = shroud.hold(&cutter, frame, now)
        {
            return Err(Stays::Held { stirs });
        }
        let (Some(session), Some(to)) = (&lane.sending, lane.way_of(&cutter.inner)) else {
            return Err(Stays::Waits(peer));
        };
        let first_counter = session.reserve(cutter.count(), now).map_err(|_| Stays::Waits(peer))?;
        if let Some((guard, crossing)) = &crossing {
            guard.on_carried(crossing, cutter.count() as u64, cutter.total() as u64);
        }
        let begins = lane.known.is_some() && lane.link.is_quiet(now);
        let copies = lane.copies(&cutter);
        let (link, mtu) = (&lane.link, lane.mtu);
        let stirs = shroud.is_some_and(|shroud| shroud.on_sent(cutter.count() * mtu, now));
        let begun = Departure {
            to,
            peer,
            copies,
            begins,
            stirs,
            pads,
            cutter,
            session,
            link,
            first_counter,
            mtu,
        };
        Ok(begun)
    }

    /// Opens the datagrams of one batch, which are `size` long each but the last, in place; pushes what they hold, and
    /// notes what the brain must know.
    #[inline]
    pub fn arrive(
        &self,
        batch: &mut Batch<'_>,
        merger: &mut Merger,
        now: Timestamp,
        mut note: impl FnMut(Note),
    ) {
        if batch.from.socket().is_some_and(|at| self.inside.owner(at.ip()).is_some()) {
            // A tunnel in itself.
            return;
        }
        let from_relay = batch.from.socket().is_some_and(|at| self.relays.contains(&at));
        let from = batch.from;
        let mut sorter =
            Sorter { plane: self, from, from_relay, now, last: None, source: None, run: None, stirs: false };
        let mut at = batch.at.start;
        while at < batch.at.end {
            let end = (at + batch.size.max(1)).min(batch.at.end);
            sorter.sort(batch.buffer, at..end, merger, &mut note);
            at = end;
        }
        sorter.settle();
        if sorter.stirs {
            note(Note::Stirred);
        }
    }

    /// Whether a packet may travel by its protocol. A guard decides that itself: it knows what rules name.
    #[inline]
    fn gate_lets_pass(&self, inner: &Inner) -> bool {
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
        let (session, to) = (lane.sending.as_ref()?, *lane.ways.first()?);
        let counter = session.reserve(1, now).ok()?;
        let mut datagram = vec![0; DATA_OVERHEAD + lane.mtu];
        session.seal(counter, &mut datagram, lane.mtu);
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

/// A frame of the device, as a guard sees it.
fn outgoing<'l>(lane: &'l Lane, cutter: &Cutter<'_>, now: Timestamp) -> Crossing<'l> {
    let (flow, tcp_flags) = (Flow::of(&cutter.inner), cutter.tcp_flags());
    let quoted = quoted(cutter.packet(), &cutter.inner);
    Crossing { direction: Direction::Out, peer: &lane.key, flow, quoted, tcp_flags, now }
}

/// Datagrams that came together.
#[derive(Debug)]
pub struct Batch<'a> {
    /// The thread's memory, which may hold earlier batches too.
    pub buffer: &'a mut [u8],
    /// Where in it the datagrams lie, one behind the other.
    pub at: Range<usize>,
    /// How long each is but the last.
    pub size: usize,
    /// Which way they came.
    pub from: Way,
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
        self.to.header_len() + DATA_OVERHEAD + self.padded(self.cutter.longest())
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
            let place = &mut out[at..];
            let len = self.cutter.write(index, &mut place[DATA_HEADER_LEN..]);
            let padded = self.padded(len);
            place[DATA_HEADER_LEN + len..DATA_HEADER_LEN + padded].fill(0);
            padding += padded - len;
            at += self.session.seal(self.first_counter + index as u64, place, padded);
        }
        self.link.on_sent(packets, at, true, now);
        if self.pads {
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
        (Way::Direct(_) | Way::Stream { .. } | Way::Relayed { .. }, _) => 0,
    }
}

/// Opens the datagrams of a batch and remembers what the last one needed: in a batch they are mostly alike.
struct Sorter<'p> {
    plane: &'p Plane,
    from: Way,
    /// Whether they came from a relay's port.
    from_relay: bool,
    now: Timestamp,
    last: Option<Open<'p>>,
    /// The last source that the last peer was allowed.
    source: Option<IpAddr>,
    run: Option<Run<'p>>,
    /// Whether who lets out what a shroud holds must be told.
    stirs: bool,
}

/// Packets of one flow that came one behind the other, and what the guard said to the first.
struct Run<'p> {
    crossing: Crossing<'p>,
    passes: bool,
    packets: u64,
    bytes: u64,
}

/// A session in use, with what it opened so far.
struct Open<'p> {
    session: &'p Session,
    lane: &'p Lane,
    packets: usize,
    bytes: usize,
    data: bool,
    decoys: usize,
}

impl<'p> Sorter<'p> {
    #[inline]
    fn sort(
        &mut self,
        bytes: &mut [u8],
        at: Range<usize>,
        merger: &mut Merger,
        note: &mut impl FnMut(Note),
    ) {
        let Some((from, at)) = self.unwrap(bytes, at) else { return };
        let (now, datagram) = (self.now, &mut bytes[at.clone()]);
        if !matches!(message::kind_of(datagram), Some(Kind::Data(_))) {
            return self.sort_message(from, datagram, note);
        }
        let Some(open) =
            message::read_data_header(datagram).and_then(|(index, _)| self.turn_to(index))
        else {
            return;
        };
        let Ok(plain) = open.session.open(datagram, now) else {
            return open.lane.link.on_refused();
        };
        let len = plain.len();
        (open.packets, open.bytes) = (open.packets + 1, open.bytes + at.len());
        let (session, lane) = (open.session, open.lane);
        if open.packets == 1 {
            Self::announce(session, lane, from, now, note);
        }
        if len == 0 {
            return;
        }
        let begin = at.start + DATA_HEADER_LEN;
        if cover::is_decoy(&bytes[begin..begin + len]) {
            return self.drop_decoy(at.len());
        }
        let Ok(inner) = Inner::read(&bytes[begin..begin + len]) else {
            return lane.link.on_refused();
        };
        let packet = &bytes[begin..begin + inner.len];
        if !self.may_come(session.peer, &inner) || !self.guard_lets_pass(lane, packet, &inner) {
            return lane.link.on_refused();
        }
        if let Some(open) = &mut self.last {
            open.data = true;
        }
        merger.push(bytes, begin..begin + inner.len, inner);
    }

    fn drop_decoy(&mut self, bytes: usize) {
        if let Some(open) = &mut self.last {
            open.decoys += 1;
            open.lane.link.on_decoy_heard(bytes);
        }
    }

    /// Takes what a relay wrote off a datagram: which way it came, and where it lies.
    #[inline]
    fn unwrap(&self, bytes: &[u8], at: Range<usize>) -> Option<(Way, Range<usize>)> {
        let datagram = &bytes[at.clone()];
        match (relay::read_relayed(datagram), self.from) {
            (None, from) => Some((from, at)),
            (Some((far, _)), Way::Direct(relay)) if self.from_relay => {
                Some((Way::Relayed { relay, far }, at.start + RELAYED_HEADER_LEN..at.end))
            }
            (Some(_), _) => None,
        }
    }

    /// What is no packet is the brain's, if there is hope that it is true.
    fn sort_message(&self, from: Way, message: &[u8], note: &mut impl FnMut(Note)) {
        match message::kind_of(message) {
            Some(Kind::Hello | Kind::Answer | Kind::Cookie) => {
                let answers = message::answered_index(message);
                let is_asked = answers.is_none_or(|index| self.plane.asked.contains(index));
                if is_asked && self.plane.door.lets_pass(message) {
                    note(Note::Handshake { from, message: message.to_vec() });
                }
            }
            Some(Kind::Disco) => {
                if disco::tag_of(message).is_some_and(|tag| self.plane.tags.contains(&tag)) {
                    note(Note::Disco { from, message: message.to_vec() });
                }
            }
            Some(Kind::Relay) => {
                if let (true, Way::Direct(from)) = (self.from_relay, from) {
                    note(Note::Relay { from, message: message.to_vec() });
                }
            }
            // A relay does not hand on what was handed on.
            Some(Kind::Relayed | Kind::Data(_)) | None => {}
        }
    }

    /// Notes what a first verified packet says: the keys work, and the peer is here.
    fn announce(
        session: &Session,
        lane: &Lane,
        from: Way,
        now: Timestamp,
        note: &mut impl FnMut(Note),
    ) {
        if !session.is_confirmed() {
            note(Note::Confirmed(session.local));
        }
        let is_news = match &lane.known {
            Some(known) => !known.contains(&from),
            None => lane.ways.first() != Some(&from),
        };
        if is_news && lane.link.may_tell_roamed(now) {
            note(Note::Roamed { peer: session.peer, to: from });
        }
    }

    #[inline]
    fn turn_to(&mut self, index: Index) -> Option<&mut Open<'p>> {
        if self.last.as_ref().is_none_or(|open| open.session.local != index) {
            self.settle();
            let session = self.plane.sessions.get(&index)?;
            let lane = self.plane.lanes.get(&session.peer)?;
            self.last = Some(Open { session, lane, packets: 0, bytes: 0, data: false, decoys: 0 });
        }
        self.last.as_mut()
    }

    #[inline]
    fn may_come(&mut self, peer: PeerId, inner: &Inner) -> bool {
        if !self.plane.gate_lets_pass(inner) {
            return false;
        }
        if self.source != Some(inner.source) {
            if self.plane.routes.owner(inner.source) != Some(peer) {
                return false;
            }
            self.source = Some(inner.source);
        }
        true
    }

    /// Asks the guard, unless it was asked about the packet before, and counts.
    #[inline]
    fn guard_lets_pass(&mut self, lane: &'p Lane, packet: &[u8], inner: &Inner) -> bool {
        let Some(guard) = &self.plane.guard else { return true };
        let (flow, tcp_flags) = (Flow::of(inner), tcp_flags(packet, inner));
        let quoted = quoted(packet, inner);
        if let Some(run) = &mut self.run
            && run.crossing.flow == flow
            && run.crossing.quoted == quoted
            && (run.crossing.tcp_flags | tcp_flags) & TCP_TURNS == 0
        {
            (run.packets, run.bytes) = (run.packets + 1, run.bytes + inner.len as u64);
            return run.passes;
        }
        self.end_run();
        let peer = &lane.key;
        let (direction, now) = (Direction::In, self.now);
        let crossing = Crossing { direction, peer, flow, quoted, tcp_flags, now };
        let passes = guard.lets_pass(&crossing);
        self.run = Some(Run { crossing, passes, packets: 1, bytes: inner.len as u64 });
        passes
    }

    /// Tells the guard what it let pass.
    fn end_run(&mut self) {
        if let (Some(guard), Some(run)) = (&self.plane.guard, self.run.take()) {
            match run.passes {
                true => guard.on_carried(&run.crossing, run.packets, run.bytes),
                false => guard.on_stopped(&run.crossing, run.packets, run.bytes),
            }
        }
    }

    /// Tells the link what the session opened, and the guard what crossed.
    fn settle(&mut self) {
        self.end_run();
        if let Some(open) = self.last.take()
            && open.packets > 0
        {
            open.lane.link.on_heard(open.packets, open.bytes, open.data, self.now);
            if let Some(shroud) = &open.lane.shroud {
                self.stirs |= shroud.on_heard(open.packets, open.decoys, self.now);
            }
        }
        self.source = None;
    }
}
