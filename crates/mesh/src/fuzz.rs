//! Doors for a fuzzer: each takes any bytes and must neither panic nor take long.

use std::net::{Ipv4Addr, SocketAddr};

use units::Timestamp;

use crate::{
    Config, Cutter, Gate, Inner, Merger, Mesh, Note, PeerConfig, PresharedKey, PrivateKey, Suite,
    Timing, Vnet,
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
        sign: crate::CallSign::default(),
        timing: Timing::default(),
        mtu: crate::MTU_DEFAULT,
        opens_fast: true,
        gate: Gate::Known,
    }
}
