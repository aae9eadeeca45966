//! The forwarder of a relay: who may send through it, to whom, how much; and what strangers get out of it, which is
//! nothing.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use mesh::relay::{
    ANSWERS_PER_SECOND, Allowance, BIND_LEN, Forwarded, Forwarder, NotForwarded, PortKey,
    RelayConfig, SEAT_IDLE, UNBOUND_LEN,
};
use mesh::{CallSign, Config, Effect, Gate, MTU_DEFAULT, Mesh, PrivateKey, Timing, Way};
use units::{MeshId, Timestamp};

use crate::pair::START;

const RATE: u64 = 1_000_000;

fn sign(node: u8) -> CallSign {
    CallSign::of_node(&[node; 32])
}

fn key(node: u8) -> PortKey {
    PortKey::from_bytes([node; 32])
}

fn at(node: u8) -> SocketAddr {
    (Ipv4Addr::new(203, 0, 113, node), 7000).into()
}

fn allowance(mesh: u128) -> Allowance {
    Allowance { meshes: [MeshId::from_bits(mesh)].into(), bytes_per_second: RATE }
}

/// What a node sends to be bound at `now`.
fn bind(node: u8, now: Timestamp) -> Vec<u8> {
    let config = Config {
        private: PrivateKey::from_bytes([node; 32]),
        sign: sign(node),
        timing: Timing::default(),
        mtu: MTU_DEFAULT,
        opens_fast: false,
        gate: Gate::Known,
    };
    let mut mesh = Mesh::new(config, [node; 32]);
    let port = SocketAddr::from((Ipv4Addr::new(198, 51, 100, 1), 3478));
    let relay = RelayConfig { sign: sign(200), ports: vec![port], key: key(node), stream: false };
    mesh.set_relays(vec![relay], now);
    loop {
        match mesh.next_effect().expect("a relay is asked at once") {
            Effect::Send { to, datagram } => {
                assert_eq!(to, Way::Direct(port));
                return datagram;
            }
            Effect::Publish(_) | Effect::Depart { .. } => {}
        }
    }
}

/// Nodes 1 and 2 of one network and 3 of another, all bound; 4 admitted only.
fn seated() -> Forwarder {
    let mut forwarder = Forwarder::default();
    for (node, mesh) in [(1, 1), (2, 1), (3, 2), (4, 1)] {
        assert!(forwarder.admit(sign(node), key(node), allowance(mesh), START));
    }
    for node in 1..=3 {
        assert!(forwarder.on_bind(at(node), &bind(node, START), START).is_some());
    }
    forwarder
}

#[test]
fn only_members_of_one_network_are_carried_between() {
    let mut forwarder = seated();
    for (from, to, expected) in [
        (1, 2, Ok(Forwarded { to: at(2), sender: sign(1) })),
        (2, 1, Ok(Forwarded { to: at(1), sender: sign(2) })),
        (1, 3, Err(NotForwarded::Strangers)),
        (1, 4, Err(NotForwarded::UnknownReceiver)),
        (1, 9, Err(NotForwarded::UnknownReceiver)),
        (4, 1, Err(NotForwarded::UnknownSender)),
    ] {
        let forwarded = forwarder.forward(at(from), sign(to), (1, 100), START);
        assert_eq!(forwarded, expected, "{from} to {to}");
    }
    forwarder.dismiss(sign(1));
    let forwarded = forwarder.forward(at(1), sign(2), (1, 100), START);
    assert_eq!(forwarded, Err(NotForwarded::UnknownSender));
}

#[test]
fn nobody_is_carried_beyond_the_allowance() {
    let mut forwarder = seated();
    let (mut now, mut carried) = (START, 0);
    for _ in 0..10_000 {
        now = now.after(Duration::from_millis(1));
        if forwarder.forward(at(1), sign(2), (1, 1500), now).is_ok() {
            carried += 1500;
        }
    }
    // Ten seconds' worth, and half a second's that may come at once.
    assert!(carried <= 10 * RATE + RATE / 2, "{carried}");
    assert!(carried >= 10 * RATE, "{carried}");
    let seat = forwarder.seats().find(|seat| seat.sign == sign(1)).expect("it is seated");
    assert_eq!(seat.carried.1, carried);
    assert_eq!(seat.carried.1 + seat.refused.1, 15_000_000);
    assert!(forwarder.forward(at(2), sign(1), (1, 1500), now).is_ok(), "others are not touched");
}

#[test]
fn what_was_asked_before_or_by_nobody_we_know_is_not_answered() {
    let mut forwarder = seated();
    let fresh = bind(1, START.after(Duration::from_secs(1)));
    let answer = forwarder.on_bind(at(7), &fresh, START).expect("it is new and true");
    assert_eq!(answer.len(), BIND_LEN);
    assert!(forwarder.on_bind(at(8), &fresh, START).is_none(), "it was played before");
    assert!(forwarder.on_bind(at(8), &bind(1, START), START).is_none(), "it is older");
    assert!(forwarder.on_bind(at(8), &bind(9, START), START).is_none(), "it is a stranger's");
    let mut forged = bind(2, START.after(Duration::from_secs(1)));
    forged[20] ^= 1;
    assert!(forwarder.on_bind(at(8), &forged, START).is_none(), "it was changed");
    let forwarded = forwarder.forward(at(7), sign(2), (1, 100), START).map(|f| f.sender);
    assert_eq!(forwarded, Ok(sign(1)), "who moved is who it was");
    let forwarded = forwarder.forward(at(1), sign(2), (1, 100), START);
    assert_eq!(forwarded, Err(NotForwarded::UnknownSender), "and is no longer where it was");
}

#[test]
fn an_address_that_another_takes_is_no_longer_the_first_ones() {
    let mut forwarder = seated();
    let later = START.after(Duration::from_secs(1));
    assert!(forwarder.on_bind(at(1), &bind(2, later), later).is_some());
    let forwarded = forwarder.forward(at(3), sign(1), (1, 100), later);
    assert_eq!(forwarded, Err(NotForwarded::UnknownReceiver));
}

#[test]
fn who_is_silent_is_forgotten() {
    let mut forwarder = seated();
    forwarder.on_wake(START.after(SEAT_IDLE).after(Duration::from_millis(1)));
    assert!(forwarder.seats().all(|seat| seat.at.is_none()));
}

#[test]
fn strangers_are_told_so_only_so_often_and_in_fewer_bytes_than_they_sent() {
    let mut forwarder = Forwarder::default();
    let told = (0..5000).filter(|_| forwarder.may_answer(START)).count();
    assert_eq!(told, ANSWERS_PER_SECOND as usize);
    assert!(forwarder.may_answer(START.after(Duration::from_secs(1))));
    assert_eq!(Forwarder::unbound(sign(1)).len(), UNBOUND_LEN);
}
