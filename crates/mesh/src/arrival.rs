//! The way in: datagrams are sorted by what they are, opened by the session they name, checked, and handed on together.

use std::net::IpAddr;
use std::ops::Range;

use units::Timestamp;

use crate::coalesce::Merger;
use crate::cover;
use crate::ecn::{Combined, Ecn};
use crate::guard::{Crossing, Direction, Flow, TCP_TURNS, tcp_flags};
use crate::hop::{self, Label};
use crate::inner::Inner;
use crate::message::{self, DATA_HEADER_LEN, Index, Kind};
use crate::path::Way;
use crate::path::disco;
use crate::peer::PeerId;
use crate::plane::{Lane, Note, Plane};
use crate::quoted::quoted;
use crate::relay::{self, RELAYED_HEADER_LEN};
use crate::session::Session;

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
    /// What they say of congestion on the outside.
    pub ecn: Ecn,
}

impl Plane {
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
        let mut sorter = Sorter {
            plane: self,
            from,
            from_relay,
            ecn: batch.ecn,
            now,
            last: None,
            source: None,
            run: None,
            stirs: false,
            depth: 0,
        };
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
}

/// Opens the datagrams of a batch and remembers what the last one needed: in a batch they are mostly alike.
struct Sorter<'p> {
    plane: &'p Plane,
    from: Way,
    /// Whether they came from a relay's port.
    from_relay: bool,
    ecn: Ecn,
    now: Timestamp,
    last: Option<Open<'p>>,
    /// The last source that the last peer was allowed.
    source: Option<IpAddr>,
    run: Option<Run<'p>>,
    /// Whether who lets out what a shroud holds must be told.
    stirs: bool,
    /// In how many parcels what is looked at lies.
    depth: usize,
}

/// Carries over to a packet what its datagram says of congestion. False if the packet is lost by that.
fn mark(outside: Ecn, packet: &mut [u8]) -> bool {
    match Ecn::of_packet(packet).combined(outside) {
        Combined::Stays => true,
        Combined::Says(ecn) => {
            ecn.write(packet);
            true
        }
        Combined::Lost => false,
    }
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
        if let Some((label, datagram)) = hop::read(&bytes[begin..begin + len]) {
            let at = begin + datagram.start..begin + datagram.end;
            return self.sort_parcel((lane, label), bytes, at, merger, note);
        }
        let Ok(inner) = Inner::read(&bytes[begin..begin + len]) else {
            return lane.link.on_refused();
        };
        if self.ecn > Ecn::Deaf && !mark(self.ecn, &mut bytes[begin..begin + inner.len]) {
            return lane.link.on_refused();
        }
        let packet = &bytes[begin..begin + inner.len];
        if !self.may_come(session.peer, &inner) || !self.guard_lets_pass(lane, packet, &inner) {
            return lane.link.on_refused();
        }
        if let Some(open) = &mut self.last {
            open.data = true;
        }
        merger.push(bytes, begin..begin + inner.len, inner);
    }

    /// Takes what a parcel holds as if it had come by itself, or has it handed on.
    fn sort_parcel(
        &mut self,
        (lane, label): (&'p Lane, Label),
        bytes: &mut [u8],
        at: Range<usize>,
        merger: &mut Merger,
        note: &mut impl FnMut(Note),
    ) {
        if let Some(open) = &mut self.last {
            open.data = true;
        }
        match (label, lane.sign) {
            (Label::To(far), Some(from)) if lane.carries.contains(&far) => {
                if let Some(to) = self.plane.by_sign.get(&far) {
                    let (to, label) = (*to, Label::From(from));
                    note(Note::Carry { to, label, datagram: bytes[at].to_vec() });
                }
            }
            (Label::From(far), Some(hop)) if self.depth < hop::HOPS_MAX => {
                let outside = (self.from, self.from_relay);
                (self.from, self.from_relay) = (Way::Hop { hop, far }, false);
                self.depth += 1;
                self.sort(bytes, at, merger, note);
                self.depth -= 1;
                (self.from, self.from_relay) = outside;
            }
            (Label::To(_) | Label::From(_), _) => lane.link.on_refused(),
        }
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
