//! A relay's port and its connections: who is only at the one reaches who has only the other.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use mesh::relay::{Allowance, Between, PortKey, RelayConfig, read_relayed};
use mesh::{Effect, Gate, MTU_DEFAULT, Mesh, Note, Timing};
use mesh_shell::{Clock, Connections, UdpRelay};
use units::MeshId;

use crate::lab::{PATIENCE, node_sign, private};

/// What came for nodes that have only a connection.
#[derive(Debug, Default)]
struct Heard(Mutex<Vec<(Between, Vec<u8>)>>);

impl Connections for Heard {
    fn hand_over(&self, between: Between, datagram: &[u8]) {
        self.0.lock().expect("nobody panics").push((between, datagram.to_vec()));
    }
}

#[test]
fn the_port_and_connections_carry_for_each_other() {
    let heard = Arc::<Heard>::default();
    let relay = UdpRelay::start_with(0, heard.clone()).expect("a relay starts");
    let at = SocketAddr::from((Ipv4Addr::LOCALHOST, relay.port().expect("it is bound")));
    let allowance =
        Allowance { meshes: [MeshId::from_bits(1)].into(), bytes_per_second: 1_000_000 };
    let keys = [1, 2].map(|number| relay.admit(&[number; 32], allowance.clone()).expect("room"));
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a socket");
    socket.set_read_timeout(Some(Duration::from_millis(20))).expect("it takes a time-out");
    sit(&socket, at, keys[0].clone());

    // To a node that never was at the port. What a new node may send at once is nothing, so it says it again.
    let to_two = [&[0x86, 0, 0, 0][..], &node_sign(2).0, b"hello"].concat();
    let expected = (Between { sender: [1; 32], receiver: [2; 32] }, b"hello".to_vec());
    eventually(|| {
        socket.send_to(&to_two, at).expect("it is sent");
        std::thread::park_timeout(Duration::from_millis(5));
        heard.0.lock().expect("nobody panics").first() == Some(&expected)
    });

    // And back.
    assert!(relay.take_over(node_sign(2), node_sign(1), b"hello back"));
    let mut answer = [0; 100];
    eventually(|| {
        let len = socket.recv(&mut answer).unwrap_or_default();
        read_relayed(&answer[..len]) == Some((node_sign(2), b"hello back"))
    });
    assert!(!relay.take_over(node_sign(1), node_sign(2), b"nobody is there"));
    assert!(!relay.take_over(node_sign(3), node_sign(1), b"nobody was let in by that name"));
}

/// Node 1 is bound at the relay's port.
fn sit(socket: &UdpSocket, at: SocketAddr, key: PortKey) {
    let config = mesh::Config {
        private: private(1),
        sign: node_sign(1),
        timing: Timing::default(),
        mtu: MTU_DEFAULT,
        opens_fast: false,
        gate: Gate::Known,
        guard: None,
        inside: Vec::new(),
    };
    let (mut mesh, clock) = (Mesh::new(config, [1; 32]), Clock::set());
    let relay = RelayConfig { sign: node_sign(200), ports: vec![at], key, stream: false };
    mesh.set_relays(vec![relay], clock.now());
    let mut answer = [0; 100];
    eventually(|| {
        mesh.on_wake(clock.now());
        while let Some(effect) = mesh.next_effect() {
            if let Effect::Send { datagram, .. } = effect {
                socket.send_to(&datagram, at).expect("it is sent");
            }
        }
        if let Ok(len) = socket.recv(&mut answer) {
            let message = answer[..len].to_vec();
            mesh.on_note(Note::Relay { from: at, message }, clock.now());
        }
        mesh.relays().all(|relay| relay.bound)
    });
}

fn eventually(mut is_so: impl FnMut() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < until, "it takes too long");
    }
}
