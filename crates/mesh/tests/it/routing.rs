//! Where packets go, and which do not go at all.

use std::sync::Arc;

use mesh::{
    CallSign, Config, Effect, Gate, MTU_DEFAULT, Mesh, PeerConfig, PeerId, Plane, PresharedKey,
    PrivateKey, Stays, Suite, Timing, VNET_LEN,
};

use crate::pair::{START, udp};

fn peer(number: u8, allowed: &[&str]) -> PeerConfig {
    PeerConfig {
        key: PrivateKey::from_bytes([number; 32]).public(),
        preshared: PresharedKey::default(),
        endpoint: None,
        contact: None,
        cover: mesh::Cover::None,
        allowed: allowed.iter().map(|block| block.parse().expect("a block")).collect(),
        keepalive_every: None,
        suite: Suite::Standard,
    }
}

fn node(gate: Gate) -> Mesh {
    let config = Config {
        sign: CallSign::default(),
        private: PrivateKey::from_bytes([1; 32]),
        timing: Timing::default(),
        mtu: MTU_DEFAULT,
        opens_fast: false,
        gate,
        guard: None,
        inside: Vec::new(),
    };
    Mesh::new(config, [3; 32])
}

fn newest(mesh: &mut Mesh) -> Arc<Plane> {
    let mut newest = Arc::default();
    while let Some(effect) = mesh.next_effect() {
        if let Effect::Publish(plane) = effect {
            newest = plane;
        }
    }
    newest
}

fn packet(last: u8, protocol: u8) -> Vec<u8> {
    let mut packet = udp([10, 0, 0, 1].into(), [10, 0, 0, last].into(), b"text");
    packet[9] = protocol;
    packet
}

fn fate(plane: &Plane, packet: &[u8]) -> Stays {
    let frame = [&[0; VNET_LEN], packet].concat();
    plane.depart(&frame, START).expect_err("there is no session")
}

#[test]
fn a_packet_goes_to_the_peer_that_owns_its_target_most_closely() {
    let mut mesh = node(Gate::Known);
    let wide: PeerId = mesh.set_peer(peer(2, &["10.0.0.0/24"]), START);
    let close: PeerId = mesh.set_peer(peer(3, &["10.0.0.64/26", "fd00::/64"]), START);
    let plane = newest(&mut mesh);
    assert_eq!(fate(&plane, &packet(2, 17)), Stays::Waits(wide));
    assert_eq!(fate(&plane, &packet(70, 17)), Stays::Waits(close));
    let foreign = udp([10, 0, 0, 1].into(), [10, 0, 1, 1].into(), b"text");
    assert_eq!(fate(&plane, &foreign), Stays::NoRoute);
}

#[test]
fn what_a_peer_owned_is_nobodys_once_it_is_gone() {
    let mut mesh = node(Gate::Known);
    mesh.set_peer(peer(2, &["10.0.0.0/24"]), START);
    mesh.remove_peer(&PrivateKey::from_bytes([2; 32]).public());
    assert_eq!(fate(&newest(&mut mesh), &packet(2, 17)), Stays::NoRoute);
}

#[test]
fn a_peer_that_goes_and_comes_again_is_another() {
    let mut mesh = node(Gate::Known);
    let first = mesh.set_peer(peer(2, &["10.0.0.0/24"]), START);
    mesh.remove_peer(&PrivateKey::from_bytes([2; 32]).public());
    let second = mesh.set_peer(peer(2, &["10.0.0.0/24"]), START);
    assert_ne!(first, second);
    assert_eq!(fate(&newest(&mut mesh), &packet(2, 17)), Stays::Waits(second));
    assert_eq!(mesh.peers().count(), 1);
}

#[test]
fn an_unknown_protocol_stays_unless_all_may_travel() {
    const GRE: u8 = 47;
    let mut mesh = node(Gate::Known);
    mesh.set_peer(peer(2, &["10.0.0.0/24"]), START);
    assert_eq!(fate(&newest(&mut mesh), &packet(2, GRE)), Stays::Unknown);
    let mut mesh = node(Gate::Any);
    let id = mesh.set_peer(peer(2, &["10.0.0.0/24"]), START);
    assert_eq!(fate(&newest(&mut mesh), &packet(2, GRE)), Stays::Waits(id));
}
