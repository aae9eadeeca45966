//! Two brains joined by a wire that a test can cut, delay or listen to.

use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use mesh::{
    Batch, CallSign, Config, Ecn, Effect, Gate, MTU_DEFAULT, Merger, Mesh, Note, PeerConfig, Plane,
    PresharedKey, PrivateKey, Stays, Suite, Timing, VNET_LEN, Way,
};
use units::Timestamp;

pub(crate) const START: Timestamp = Timestamp::from_millis(1_700_000_000_000);

/// One node: a brain, the picture it showed last, and what came out of its device.
pub(crate) struct Node {
    pub(crate) mesh: Mesh,
    pub(crate) plane: Arc<Plane>,
    pub(crate) address: SocketAddr,
    pub(crate) ip: Ipv4Addr,
    pub(crate) delivered: Vec<Vec<u8>>,
    wire: VecDeque<(SocketAddr, Vec<u8>)>,
}

/// Two nodes and the wire.
pub(crate) struct Pair {
    pub(crate) a: Node,
    pub(crate) b: Node,
    pub(crate) now: Timestamp,
    /// Every datagram that was carried or lost, with its sender.
    pub(crate) heard: Vec<(SocketAddr, Vec<u8>)>,
    /// Whether the wire loses this datagram.
    pub(crate) loses: Loses,
}

type Loses = Box<dyn FnMut(&[u8]) -> bool>;

/// How each end is set up.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct End {
    pub(crate) opens_fast: bool,
    pub(crate) keepalive_every: Option<Duration>,
}

impl Pair {
    pub(crate) fn new(a: End, b: End) -> Self {
        Self::at(a, b, START, 0)
    }

    /// Two nodes that begin at `now`, with chance of their own: whoever starts anew must not draw what it drew before.
    pub(crate) fn at(a: End, b: End, now: Timestamp, chance: u64) -> Self {
        let (mut left, mut right) = (node(1, a, chance), node(2, b, chance));
        left.mesh.set_peer(peer(2, b, a.keepalive_every, Some(right.address)), now);
        right.mesh.set_peer(peer(1, a, b.keepalive_every, None), now);
        let mut pair =
            Self { a: left, b: right, now, heard: Vec::new(), loses: Box::new(|_| false) };
        pair.settle();
        pair
    }

    /// Carries until nothing is under way.
    pub(crate) fn settle(&mut self) {
        loop {
            self.a.act(self.now);
            self.b.act(self.now);
            let (from, to, datagram) = if let Some((to, datagram)) = self.a.wire.pop_front() {
                (self.a.address, to, datagram)
            } else if let Some((to, datagram)) = self.b.wire.pop_front() {
                (self.b.address, to, datagram)
            } else {
                return;
            };
            let lost = (self.loses)(&datagram);
            self.heard.push((from, datagram.clone()));
            if !lost {
                let target = if to == self.a.address { &mut self.a } else { &mut self.b };
                target.receive(from, datagram, self.now);
            }
        }
    }

    /// Lets time pass, waking whoever wants to be woken, in order.
    pub(crate) fn pass(&mut self, span: Duration) {
        let end = self.now.after(span);
        while let Some(at) = self.a.mesh.wake_at().into_iter().chain(self.b.mesh.wake_at()).min()
            && at <= end
        {
            self.now = at.max(self.now);
            self.a.mesh.on_wake(self.now);
            self.b.mesh.on_wake(self.now);
            self.settle();
        }
        self.now = end;
    }

    /// `a` sends a packet with this text to `b`.
    pub(crate) fn send(&mut self, text: &str) {
        let packet = udp(self.a.ip, self.b.ip, text.as_bytes());
        self.a.emit(&packet, self.now);
        self.settle();
    }

    /// `b` sends a packet with this text to `a`.
    pub(crate) fn send_back(&mut self, text: &str) {
        let packet = udp(self.b.ip, self.a.ip, text.as_bytes());
        self.b.emit(&packet, self.now);
        self.settle();
    }

    /// How many messages of this kind were on the wire.
    pub(crate) fn count(&self, kind: u8) -> usize {
        self.heard.iter().filter(|(_, datagram)| datagram[0] == kind).count()
    }
}

impl Node {
    /// A packet comes out of the device.
    pub(crate) fn emit(&mut self, packet: &[u8], now: Timestamp) {
        let frame = [&[0; VNET_LEN], packet].concat();
        self.depart(frame, now);
    }

    /// A datagram comes in.
    pub(crate) fn receive(&mut self, from: SocketAddr, mut datagram: Vec<u8>, now: Timestamp) {
        let mut merger = Merger::new(true, true);
        let mut notes = Vec::new();
        let len = datagram.len();
        let batch = &mut Batch {
            buffer: &mut datagram,
            at: 0..len,
            size: len,
            from: Way::Direct(from),
            ecn: Ecn::Deaf,
        };
        self.plane.arrive(batch, &mut merger, now, |note| notes.push(note));
        merger.finish(&mut datagram, |_, buffer, parts| {
            let packet = parts.iter().flat_map(|part| &buffer[part.clone()]).copied().collect();
            self.delivered.push(packet);
        });
        for note in notes {
            self.mesh.on_note(note, now);
        }
    }

    /// What a thread notes of a datagram, which the brain is not told.
    pub(crate) fn look(
        &self,
        from: SocketAddr,
        mut datagram: Vec<u8>,
        now: Timestamp,
        note: impl FnMut(Note),
    ) {
        let len = datagram.len();
        let from = Way::Direct(from);
        let batch =
            &mut Batch { buffer: &mut datagram, at: 0..len, size: len, from, ecn: Ecn::Deaf };
        self.plane.arrive(batch, &mut Merger::new(true, true), now, note);
    }

    /// A text to the other node, sealed and not sent.
    pub(crate) fn sealed(&self, text: &str, now: Timestamp) -> Vec<u8> {
        let other = Ipv4Addr::new(10, 0, 0, 3 - self.ip.octets()[3]);
        let frame = [&[0; VNET_LEN], &udp(self.ip, other, text.as_bytes())[..]].concat();
        let departure = self.plane.depart(&frame, now).expect("there is a session");
        let mut out = vec![0; departure.datagram_len()];
        let len = departure.seal(0..1, &mut out, now);
        out.truncate(len);
        out
    }

    /// The texts that were delivered since last asked.
    pub(crate) fn texts(&mut self) -> Vec<String> {
        let text = |packet: Vec<u8>| String::from_utf8_lossy(&packet[28..]).into_owned();
        self.delivered.drain(..).map(text).collect()
    }

    fn act(&mut self, now: Timestamp) {
        while let Some(effect) = self.mesh.next_effect() {
            match effect {
                Effect::Send { to, datagram } => self.wire.push_back((straight(to), datagram)),
                Effect::Publish(plane) => self.plane = plane,
                Effect::Depart { frames } => {
                    for frame in frames {
                        self.depart(frame, now);
                    }
                }
            }
        }
    }

    fn depart(&mut self, frame: Vec<u8>, now: Timestamp) {
        match self.plane.depart(&frame, now) {
            Ok(departure) => {
                for index in 0..departure.count() {
                    let mut out = vec![0; departure.datagram_len()];
                    let len = departure.seal(index..index + 1, &mut out, now);
                    out.truncate(len);
                    self.wire.push_back((straight(departure.to), out));
                }
            }
            Err(Stays::Waits(peer)) => self.mesh.on_note(Note::Wanted { peer, frame }, now),
            Err(stays) => panic!("the packet stays: {stays}"),
        }
    }
}

/// Stock peers know no other ways.
fn straight(way: Way) -> SocketAddr {
    way.socket().expect("a way of UDP")
}

/// A UDP packet over IPv4 without checksum.
pub(crate) fn udp(from: Ipv4Addr, to: Ipv4Addr, data: &[u8]) -> Vec<u8> {
    let len = u16::try_from(28 + data.len()).expect("tests send short texts");
    let mut packet = vec![0; 28];
    packet[0] = 0x45;
    packet[2..4].copy_from_slice(&len.to_be_bytes());
    (packet[8], packet[9]) = (64, 17);
    packet[12..16].copy_from_slice(&from.octets());
    packet[16..20].copy_from_slice(&to.octets());
    let sum = mesh::Sum::of(&packet).finish();
    packet[10..12].copy_from_slice(&sum);
    packet[20..24].copy_from_slice(&[0x10, 0, 0x20, 0]);
    packet[24..26].copy_from_slice(&(len - 20).to_be_bytes());
    packet.extend_from_slice(data);
    packet
}

fn private(number: u8) -> PrivateKey {
    PrivateKey::from_bytes([number; 32])
}

pub(crate) fn config(number: u8, end: End) -> Config {
    Config {
        private: private(number),
        sign: CallSign::default(),
        timing: Timing::default(),
        mtu: MTU_DEFAULT,
        opens_fast: end.opens_fast,
        gate: Gate::Known,
        guard: None,
        inside: Vec::new(),
    }
}

fn node(number: u8, end: End, chance: u64) -> Node {
    let mut seed = [number + 100; 32];
    seed[..8].copy_from_slice(&chance.to_le_bytes());
    Node {
        mesh: Mesh::new(config(number, end), seed),
        plane: Arc::default(),
        address: SocketAddr::from(([192, 0, 2, number], 51820)),
        ip: Ipv4Addr::new(10, 0, 0, number),
        delivered: Vec::new(),
        wire: VecDeque::new(),
    }
}

pub(crate) fn peer(
    number: u8,
    end: End,
    keepalive_every: Option<Duration>,
    endpoint: Option<SocketAddr>,
) -> PeerConfig {
    PeerConfig {
        key: private(number).public(),
        preshared: PresharedKey::from_bytes([9; 32]),
        endpoint,
        allowed: vec![format!("10.0.0.{number}/32").parse().expect("a block")],
        keepalive_every,
        suite: if end.opens_fast { Suite::Fast } else { Suite::Standard },
        contact: None,
        cover: mesh::Cover::None,
    }
}
