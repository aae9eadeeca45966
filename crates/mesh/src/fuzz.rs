//! Doors for a fuzzer: each takes any bytes and must neither panic nor take long.

use std::net::{Ipv4Addr, SocketAddr};

use units::{MeshId, Timestamp};

use crate::path::disco::{self, Disco, DiscoKeys};
use crate::relay::{self, Allowance, Forwarder, PortKey};
use crate::{
    CallSign, Config, Cutter, Gate, Inner, Merger, Mesh, Note, PeerConfig, PresharedKey,
    PrivateKey, Suite, Timing, Vnet,
};

/// The packet classifier.
pub fn classify(bytes: &[u8]) {
    if let Ok(inner) = Inner::read(bytes) {
        assert!(inner.len <= bytes.len(), "a packet never claims more than there is");
        assert!(
            inner.transport_at <= inner.len || !inner.transport.is_known(),
            "ports lie inside the packet"
        );
    }
}

/// Frames of the device: read, cut, and each piece read again.
pub fn cut(bytes: &[u8]) {
    let Ok(cutter) = Cutter::read(bytes) else { return };
    let mut out = vec![0; cutter.longest()];
    for index in 0..cutter.count() {
        let len = cutter.write(index, &mut out);
        assert!(Inner::read(&out[..len]).is_ok(), "a piece of a packet is a packet");
    }
}

/// Packets of a batch, split where the bytes say: merged, and each result read again.
pub fn merge(bytes: &[u8]) {
    let Some((cuts, bytes)) = bytes.split_at_checked(16) else { return };
    let mut buffer = bytes.to_vec();
    let mut merger = Merger::new(true, true);
    let mut at = 0;
    for cut in cuts {
        let end = (at + usize::from(*cut) * 8).min(buffer.len());
        if let Ok(inner) = Inner::read(&buffer[at..end]) {
            merger.push(&buffer, at..at + inner.len, inner);
        }
        at = end;
    }
    merger.finish(&mut buffer, |vnet, buffer, parts| {
        let frame: Vec<u8> = parts.iter().flat_map(|part| &buffer[part.clone()]).copied().collect();
        assert!(Vnet::read(vnet).is_ok(), "we ask only for what exists");
        assert!(Inner::read(&frame).is_ok(), "a merged packet is a packet");
    });
}

/// Messages about ways, and what comes to a relay's port: as they are, and with a true code.
pub fn ways(bytes: &[u8]) {
    let now = Timestamp::from_millis(1);
    let from = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
    let (mut forwarder, key) = (Forwarder::new([5; 32]), PortKey::from_bytes([3; 32]));
    let allowance = Allowance { meshes: [MeshId::from_bits(1)].into(), bytes_per_second: 1 << 20 };
    let admitted = forwarder.admit(&[2; 32], key, allowance, now);
    assert!(admitted.is_ok(), "the relay is empty");
    let answer = forwarder.on_bind(from, bytes, now);
    assert!(answer.is_none_or(|answer| answer.len() <= bytes.len()), "no answer is longer");
    if let Some((to, inner)) = relay::read_relayed(bytes) {
        assert!(inner.len() < bytes.len(), "what is inside is shorter");
        assert!(forwarder.forward(from, to, (1, 1), now).is_err(), "nobody is bound");
    }
    let (me, peer) = (config().private, PrivateKey::from_bytes([2; 32]));
    let keys = |me: &PrivateKey, peer: &PrivateKey| DiscoKeys::new(me, &peer.public());
    let (Some(ours), Some(theirs)) = (keys(&me, &peer), keys(&peer, &me)) else { return };
    assert!(ours.open(bytes).is_none(), "chance does not forge");
    if let Some(heard) = disco::read(bytes) {
        let sealed = theirs.seal(&heard, [0; 24]);
        assert!(ours.open(&sealed) == Some(heard), "what was told is what is heard");
        assert!(
            ours.open(&ours.seal(&Disco::Ping { id: 1, number: 1 }, [0; 24])).is_none(),
            "no echo"
        );
    }
}

/// Messages of the handshake, with the first code made right, so that more than that code is tried.
pub fn handshake(bytes: &[u8]) {
    let now = Timestamp::from_millis(1);
    let at = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
    let from = crate::Way::Direct(at);
    let mut mesh = Mesh::new(config(), [7; 32]);
    let peer = PrivateKey::from_bytes([2; 32]).public();
    mesh.set_peer(
        PeerConfig {
            key: peer,
            preshared: PresharedKey::default(),
            endpoint: Some(at),
            allowed: vec![],
            keepalive_every: None,
            suite: Suite::Standard,
            contact: None,
            cover: crate::Cover::None,
        },
        now,
    );
    let mut message = bytes.to_vec();
    mesh.on_note(Note::Handshake { from, message: message.clone() }, now);
    if message.len() >= 64 {
        let mut stamp = crate::cookie::Stamp::new(&config().private.public());
        stamp.stamp(&mut message, now);
        mesh.on_note(Note::Handshake { from, message }, now);
    }
    while mesh.next_effect().is_some() {}
}

fn config() -> Config {
    Config {
        private: PrivateKey::from_bytes([1; 32]),
        sign: CallSign::default(),
        timing: Timing::default(),
        mtu: crate::MTU_DEFAULT,
        opens_fast: true,
        gate: Gate::Known,
        guard: None,
        inside: Vec::new(),
    }
}
