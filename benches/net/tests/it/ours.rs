//! Our end of a conversation with a stock peer, on a wire in memory. The fuzzer's package shares it, which knows the
//! stock peer.

use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use data_encoding::BASE64;
use mesh::{Batch, Ecn, Effect, Merger, Mesh, Note, Plane, Stays, VNET_LEN, Way};
use units::Timestamp;

pub(crate) const START: Timestamp = Timestamp::from_millis(1_700_000_000_000);
pub(crate) const PRESHARED: [u8; 32] = [9; 32];

/// An end: its private key, where it is inside, and where outside.
#[derive(Clone, Copy, Debug)]
pub(crate) struct End {
    pub(crate) private: [u8; 32],
    pub(crate) inside: Ipv4Addr,
    pub(crate) outside: SocketAddr,
}

/// The end with this number.
pub(crate) fn end(number: u8) -> End {
    End {
        private: [number; 32],
        inside: Ipv4Addr::new(10, 0, 0, number),
        outside: SocketAddr::from((Ipv4Addr::new(192, 0, 2, number), 51_820)),
    }
}

/// Our node, of which the same calls make the same bytes, always.
pub(crate) struct Ours {
    mesh: Mesh,
    plane: Arc<Plane>,
    pub(crate) now: Timestamp,
    /// Datagrams that left.
    pub(crate) said: VecDeque<(SocketAddr, Vec<u8>)>,
    /// Packets that came out of the device.
    pub(crate) came: Vec<Vec<u8>>,
}

impl Ours {
    /// The first end, which knows the second.
    pub(crate) fn new() -> Self {
        let (us, them) = (end(1), end(2));
        let text = |bytes: &[u8]| BASE64.encode(bytes);
        let public = mesh::PrivateKey::from_bytes(them.private).public();
        let file = format!(
            "[Interface]\nPrivateKey = {}\nAddress = {}/24\n[Peer]\nPublicKey = {public}\nPresharedKey = {}\n\
             AllowedIPs = {}/32\nEndpoint = {}\n",
            text(&us.private),
            us.inside,
            text(&PRESHARED),
            them.inside,
            them.outside,
        );
        let config = mesh_shell::Config::parse("mesh0", &file).expect("it reads");
        let mut mesh = Mesh::new(config.mesh, [7; 32]);
        for peer in config.peers {
            mesh.set_peer(peer, START);
        }
        let (said, came) = (VecDeque::new(), Vec::new());
        let mut ours = Self { mesh, plane: Arc::default(), now: START, said, came };
        ours.act();
        ours
    }

    /// A packet with this text comes out of the device, for the other end.
    pub(crate) fn emit(&mut self, text: &str) {
        let packet = udp(end(1).inside, end(2).inside, text.as_bytes());
        self.depart([&[0; VNET_LEN], &packet[..]].concat());
        self.act();
    }

    /// A datagram comes.
    pub(crate) fn hear(&mut self, from: SocketAddr, mut datagram: Vec<u8>) {
        let (mut merger, mut notes, len) = (Merger::new(true, true), Vec::new(), datagram.len());
        let from = Way::Direct(from);
        let batch =
            &mut Batch { buffer: &mut datagram, at: 0..len, size: len, from, ecn: Ecn::Deaf };
        self.plane.arrive(batch, &mut merger, self.now, |note| notes.push(note));
        let came = &mut self.came;
        merger.finish(&mut datagram, |_, buffer, parts| {
            came.push(parts.iter().flat_map(|part| &buffer[part.clone()]).copied().collect());
        });
        for note in notes {
            self.mesh.on_note(note, self.now);
        }
        self.act();
    }

    /// When it wants to be woken.
    pub(crate) fn wake_at(&self) -> Option<Timestamp> {
        self.mesh.wake_at()
    }

    /// It is later.
    pub(crate) fn wake(&mut self, at: Timestamp) {
        self.now = at.max(self.now);
        self.mesh.on_wake(self.now);
        self.act();
    }

    fn act(&mut self) {
        while let Some(effect) = self.mesh.next_effect() {
            match effect {
                Effect::Send { to, datagram } => self.say(to, datagram),
                Effect::Publish(plane) => self.plane = plane,
                Effect::Depart { frames } => {
                    frames.into_iter().for_each(|frame| self.depart(frame))
                }
            }
        }
    }

    fn depart(&mut self, frame: Vec<u8>) {
        match self.plane.depart(&frame, self.now) {
            Ok(departure) => {
                for index in 0..departure.count() {
                    let mut out = vec![0; departure.datagram_len()];
                    let len = departure.seal(index..index + 1, &mut out, self.now);
                    out.truncate(len);
                    self.said.push_back((departure.to.socket().expect("a way of UDP"), out));
                }
            }
            Err(Stays::Waits(peer)) => self.mesh.on_note(Note::Wanted { peer, frame }, self.now),
            Err(stays) => panic!("the packet stays: {stays}"),
        }
    }

    fn say(&mut self, to: Way, datagram: Vec<u8>) {
        self.said.push_back((to.socket().expect("stock peers know no other way"), datagram));
    }
}

/// A UDP packet over IPv4, without the checksum of UDP.
pub(crate) fn udp(from: Ipv4Addr, to: Ipv4Addr, data: &[u8]) -> Vec<u8> {
    let len = u16::try_from(28 + data.len()).expect("texts are short");
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
