//! The way out of one thread: frames in, sealed datagrams gathered and sent.

use std::sync::Arc;
use std::time::Duration;

use mesh::{Departure, Gather, Note, Plane, Stays, Way};
use units::Timestamp;

use crate::streams::Streams;
use crate::sys;
use crate::udp::{Sent, UdpPort};

/// How often the system is asked how long a way's packets may be, while sends say that ours are too long.
const ASK_EVERY: Duration = Duration::from_secs(1);

/// Datagrams being gathered, and where they leave.
#[derive(Debug)]
pub(crate) struct Outbox {
    gather: Gather,
    port: Arc<UdpPort>,
    streams: Option<Arc<dyn Streams>>,
    /// When the system was last asked how long a way's packets may be.
    asked_at: Timestamp,
}

impl Outbox {
    pub(crate) fn new(port: Arc<UdpPort>, streams: Option<Arc<dyn Streams>>) -> Self {
        Self { gather: Gather::default(), port, streams, asked_at: Timestamp::default() }
    }

    /// Seals a frame of the device into the box, sending what does not fit; says why the frame stays, if it does.
    pub(crate) fn put(
        &mut self,
        plane: &Plane,
        frame: &[u8],
        now: Timestamp,
        note: &mut impl FnMut(Note),
    ) -> Option<Stays> {
        match plane.depart(frame, now) {
            Ok(departure) => self.put_departure(&departure, now, note),
            Err(Stays::Waits(peer)) => note(Note::Wanted { peer, frame: frame.to_vec() }),
            Err(Stays::Held { stirs: true }) => note(Note::Stirred),
            Err(Stays::Held { stirs: false }) => {}
            Err(stays) => return Some(stays),
        }
        None
    }

    /// Seals a frame that a shroud lets out into the box. What cannot leave is lost.
    pub(crate) fn put_released(
        &mut self,
        plane: &Plane,
        frame: &[u8],
        now: Timestamp,
        note: &mut impl FnMut(Note),
    ) {
        match plane.depart_released(frame, now) {
            Ok(departure) => self.put_departure(&departure, now, note),
            Err(Stays::Waits(peer)) => note(Note::Wanted { peer, frame: frame.to_vec() }),
            Err(
                Stays::Unread(_)
                | Stays::Unknown
                | Stays::NoRoute
                | Stays::Stopped
                | Stays::Held { .. }
                | Stays::TooBig { .. },
            ) => {}
        }
    }

    fn put_departure(
        &mut self,
        departure: &Departure<'_, '_>,
        now: Timestamp,
        note: &mut impl FnMut(Note),
    ) {
        if departure.stirs {
            note(Note::Stirred);
        }
        if departure.begins {
            note(Note::Begun(departure.peer));
        }
        if !departure.copies.is_empty() {
            return self.send_copies(departure, now, note);
        }
        let mut done = 0;
        while done < departure.count() {
            let before = done;
            done = self.gather.put(departure, done, now);
            if done == before && !self.send(now, note) {
                // Longer than any send: lost, as on a network that does not carry it.
                return;
            }
        }
    }

    /// Sends what is in the box. False if it is empty.
    pub(crate) fn send(&mut self, now: Timestamp, note: &mut impl FnMut(Note)) -> bool {
        let Some(gathered) = self.gather.take() else { return false };
        let (to, peer, ecn) = (gathered.to, gathered.peer, gathered.ecn);
        let Some(to) = to.socket() else {
            for datagram in gathered.datagrams.chunks(gathered.size) {
                send_stream(self.streams.as_deref(), to, datagram);
            }
            return true;
        };
        let sent = self.port.send_marked(to, gathered.datagrams, gathered.size, ecn);
        if sent == Sent::TooLong && now.since(self.asked_at) >= ASK_EVERY {
            self.asked_at = now;
            if let Ok(mtu) = sys::path_mtu(to) {
                note(Note::PathMtu { peer, mtu });
            }
        }
        true
    }

    /// Sends a message of the brain.
    pub(crate) fn send_message(&self, to: Way, message: &[u8]) {
        send_alone(&self.port, self.streams.as_deref(), to, message);
    }

    /// Sends one packet several ways: sealed once, so that the receiver's window drops all copies but the first.
    fn send_copies(
        &mut self,
        departure: &Departure<'_, '_>,
        now: Timestamp,
        note: &mut impl FnMut(Note),
    ) {
        // In order behind what was gathered before.
        self.send(now, note);
        let mut sealed = vec![0; departure.datagram_len()];
        let len = departure.seal(0..departure.count(), &mut sealed, now);
        let inner = &sealed[departure.to.header_len()..len];
        for way in std::iter::once(departure.to).chain(departure.copies.iter().copied()) {
            self.send_message(way, inner);
        }
    }
}

/// Sends one datagram by itself.
pub(crate) fn send_alone(port: &UdpPort, streams: Option<&dyn Streams>, to: Way, message: &[u8]) {
    let datagram = to.wrap(message);
    match to.socket() {
        Some(at) => {
            port.send(at, &datagram, datagram.len());
        }
        None => send_stream(streams, to, &datagram),
    }
}

fn send_stream(streams: Option<&dyn Streams>, way: Way, datagram: &[u8]) {
    if let (Some(streams), Way::Stream { relay, far }) = (streams, way) {
        streams.send(relay, far, datagram);
    }
}
