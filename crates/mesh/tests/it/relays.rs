//! The forwarder of a relay: who may send through it, to whom, how much; and what strangers get out of it, which is
//! nothing.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use mesh::relay::{
    ANSWERS_PER_SECOND, Allowance, BIND_LEN, Between, Forwarded, Forwarder, NotForwarded, PortKey,
    RelayConfig, SEAT_IDLE, UNBOUND_LEN,
};
use mesh::{CallSign, Config, Effect, Gate, MTU_DEFAULT, Mesh, Note, PrivateKey, Timing, Way};
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

/// A node that knows one relay.
struct Asker(Mesh);

fn relay_port() -> SocketAddr {
    (Ipv4Addr::new(198, 51, 100, 1), 3478).into()
}

impl Asker {
    fn new(node: u8, now: Timestamp) -> Self {
        let config = Config {
            private: PrivateKey::from_bytes([node; 32]),
            sign: sign(node),
            timing: Timing::default(),
            mtu: MTU_DEFAULT,
            opens_fast: false,
            gate: Gate::Known,
            guard: None,
            inside: Vec::new(),
        };
        let mut mesh = Mesh::new(config, [node; 32]);
        let ports = vec![relay_port()];
        let relay = RelayConfig { sign: sign(200), ports, key: key(node), stream: false };
        mesh.set_relays(vec![relay], now);
        Self(mesh)
    }

    /// What it sends to be bound.
    fn question(&mut self, now: Timestamp) -> Vec<u8> {
        self.0.on_wake(now);
        loop {
            match self.0.next_effect().expect("a relay is asked at once") {
                Effect::Send { to, datagram } => {
                    assert_eq!(to, Way::Direct(relay_port()));
                    return datagram;
                }
                Effect::Publish(_) | Effect::Depart { .. } => {}
            }
        }
    }

    fn hear(&mut self, answer: &[u8], now: Timestamp) {
        let note = Note::Relay { from: relay_port(), message: answer.to_vec() };
        self.0.on_note(note, now);
    }

    fn is_bound(&self) -> bool {
        self.0.relays().all(|relay| relay.bound)
    }

    /// Asks, shows the cookie that it gets, and is bound.
    fn sit(&mut self, forwarder: &mut Forwarder, at: SocketAddr, now: Timestamp) {
        for _ in 0..2 {
            let question = self.question(now);
            let answer = forwarder.on_bind(at, &question, now).expect("it is new and true");
            assert_eq!(answer.len(), BIND_LEN);
            self.hear(&answer, now);
        }
        assert!(self.is_bound());
    }
}

/// What a node sends to be bound that has no cookie.
fn bind(node: u8, now: Timestamp) -> Vec<u8> {
    Asker::new(node, now).question(now)
}

fn admit(forwarder: &mut Forwarder, node: u8, mesh: u128) {
    let admitted = forwarder.admit(&[node; 32], key(node), allowance(mesh), START);
    assert_eq!(admitted, Ok(()));
}

/// A second after the beginning: everybody has earned some of its allowance.
fn second() -> Timestamp {
    START.after(Duration::from_secs(1))
}

/// Nodes 1 and 2 of one network and 3 of another, all bound; 4 admitted only.
fn seated() -> Forwarder {
    let mut forwarder = Forwarder::new([7; 32]);
    for (node, mesh) in [(1, 1), (2, 1), (3, 2), (4, 1)] {
        admit(&mut forwarder, node, mesh);
    }
    for node in 1..=3 {
        Asker::new(node, START).sit(&mut forwarder, at(node), START);
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
        (1, 1, Err(NotForwarded::Oneself)),
    ] {
        let forwarded = forwarder.forward(at(from), sign(to), (1, 100), second());
        assert_eq!(forwarded, expected, "{from} to {to}");
    }
    for (from, to, expected) in [
        (1, 4, Ok(Between { sender: [1; 32], receiver: [4; 32] })),
        (3, 4, Err(NotForwarded::Strangers)),
        (1, 9, Err(NotForwarded::UnknownReceiver)),
        (4, 1, Err(NotForwarded::UnknownSender)),
    ] {
        assert!(!forwarder.is_bound(sign(4)));
        let between = forwarder.hand_over(at(from), sign(to), (1, 100), second());
        assert_eq!(between, expected, "{from} to {to}, over its connection");
    }
    for (from, to, expected) in [
        (4, 1, Ok(Forwarded { to: at(1), sender: sign(4) })),
        (4, 3, Err(NotForwarded::Strangers)),
        (9, 1, Err(NotForwarded::UnknownSender)),
    ] {
        assert_eq!(
            forwarder.take_over(sign(from), sign(to)),
            expected,
            "{from}, over its connection, to {to}"
        );
    }
    forwarder.dismiss(sign(1), &key(1));
    let forwarded = forwarder.forward(at(1), sign(2), (1, 100), second());
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
    // Ten seconds' worth, and nothing in advance.
    assert!(carried <= 10 * RATE, "{carried}");
    assert!(carried >= 10 * RATE - 3000, "{carried}");
    let seat = forwarder.seats().find(|seat| seat.sign == sign(1)).expect("it is seated");
    assert_eq!(seat.carried.1, carried);
    assert_eq!(seat.carried.1 + seat.refused.1, 15_000_000);
    assert!(forwarder.forward(at(2), sign(1), (1, 1500), now).is_ok(), "others are not touched");
}

#[test]
fn what_was_asked_before_or_by_nobody_we_know_is_not_answered() {
    let mut forwarder = seated();
    let fresh = bind(1, second());
    let answer = forwarder.on_bind(at(7), &fresh, second()).expect("it is new and true");
    assert_eq!(answer.len(), BIND_LEN);
    assert!(forwarder.on_bind(at(8), &fresh, second()).is_none(), "it was played before");
    assert!(forwarder.on_bind(at(8), &bind(1, START), second()).is_none(), "it is older");
    assert!(forwarder.on_bind(at(8), &bind(9, second()), second()).is_none(), "a stranger's");
    let mut forged = bind(2, second());
    forged[20] ^= 1;
    assert!(forwarder.on_bind(at(8), &forged, second()).is_none(), "it was changed");
}

#[test]
fn a_node_moves_only_to_where_it_receives() {
    let mut forwarder = seated();
    let sender = |forwarder: &mut Forwarder, from: u8| {
        forwarder.forward(at(from), sign(2), (1, 100), second()).map(|found| found.sender)
    };
    // Somebody writes another's address on a true question, and that of a node that sits there.
    for (round, elsewhere) in (0..).zip([at(7), at(2)]) {
        let mut asker = Asker::new(1, second().after(Duration::from_millis(round)));
        let question = asker.question(second());
        let answer = forwarder.on_bind(elsewhere, &question, second()).expect("it is true");
        assert_eq!(sender(&mut forwarder, 7), Err(NotForwarded::UnknownSender));
        assert_eq!(sender(&mut forwarder, 1), Ok(sign(1)), "it is where it was");
        assert_eq!(forwarder.forward(at(2), sign(1), (1, 1), second()).map(|f| f.to), Ok(at(1)));
        asker.hear(&answer, second());
        assert!(!asker.is_bound());
    }
    // A cookie for one address is none for another.
    let now = second().after(Duration::from_millis(2));
    let mut asker = Asker::new(1, now);
    let answer = forwarder.on_bind(at(7), &asker.question(now), now).expect("it is true");
    asker.hear(&answer, now);
    forwarder.on_bind(at(8), &asker.question(now), now).expect("it is true");
    assert_eq!(sender(&mut forwarder, 8), Err(NotForwarded::UnknownSender));
    // Whoever receives there moves.
    Asker::new(1, now.after(Duration::from_secs(1))).sit(
        &mut forwarder,
        at(7),
        now.after(Duration::from_secs(1)),
    );
    assert_eq!(sender(&mut forwarder, 7), Ok(sign(1)), "who moved is who it was");
    assert_eq!(sender(&mut forwarder, 1), Err(NotForwarded::UnknownSender), "and is gone here");
}

#[test]
fn a_cookie_is_forgotten() {
    let mut forwarder = seated();
    let mut asker = Asker::new(1, second());
    let question = asker.question(second());
    let answer = forwarder.on_bind(at(7), &question, second()).expect("it is true");
    asker.hear(&answer, second());
    let late = second().after(Duration::from_secs(300));
    let answer = forwarder.on_bind(at(7), &asker.question(late), late).expect("it is true");
    asker.hear(&answer, late);
    assert!(!asker.is_bound());
}

#[test]
fn a_node_of_two_families_sits_at_an_address_of_each() {
    let mut forwarder = seated();
    let v6 = |node: u8| -> SocketAddr { format!("[2001:db8::{node}]:7000").parse().expect("one") };
    Asker::new(1, second()).sit(&mut forwarder, v6(1), second());
    let mut to = |from, to| forwarder.forward(from, sign(to), (1, 1), second()).map(|f| f.to);
    assert_eq!((to(at(1), 2), to(v6(1), 2)), (Ok(at(2)), Ok(at(2))), "it is heard by both");
    assert_eq!(to(at(2), 1), Ok(at(1)), "and is written to by the sender's");
    Asker::new(2, second()).sit(&mut forwarder, v6(2), second());
    let to = forwarder.forward(v6(2), sign(1), (1, 1), second()).map(|f| f.to);
    assert_eq!(to, Ok(v6(1)));
}

#[test]
fn a_call_sign_is_one_nodes_and_a_new_key_begins_anew() {
    let mut forwarder = seated();
    let fresh = PortKey::from_bytes([77; 32]);
    let later = START.after(Duration::from_secs(100));
    assert!(forwarder.on_bind(at(1), &bind(1, later), later).is_some());
    assert!(forwarder.on_bind(at(1), &bind(1, second()), later).is_none());
    // A clock that was set back: by the key that it was given since, the node is heard again.
    let admitted = forwarder.admit(&[1; 32], fresh.clone(), allowance(1), later);
    assert_eq!(admitted, Ok(()));
    let config = RelayConfig {
        sign: sign(200),
        ports: vec![relay_port()],
        key: fresh.clone(),
        stream: false,
    };
    let mut asker = Asker::new(1, START);
    asker.0.set_relays(vec![config], second());
    while asker.0.next_effect().is_some() {}
    let question = asker.question(second().after(Duration::from_secs(1)));
    assert!(forwarder.on_bind(at(1), &question, later).is_some());
    forwarder.dismiss(sign(1), &key(1));
    assert!(forwarder.seats().any(|seat| seat.sign == sign(1)), "it was let in anew since");
    forwarder.dismiss(sign(1), &fresh);
    assert!(forwarder.seats().all(|seat| seat.sign != sign(1)));
}

#[test]
fn who_comes_and_goes_gets_no_more_than_who_stays() {
    let mut forwarder = seated();
    let mut carried = 0;
    for round in 1..=1000_u64 {
        let now = START.after(Duration::from_millis(round));
        forwarder.dismiss(sign(1), &key(1));
        let admitted = forwarder.admit(&[1; 32], key(1), allowance(1), now);
        assert_eq!(admitted, Ok(()));
        Asker::new(1, now).sit(&mut forwarder, at(1), now);
        let later = now.after(Duration::from_millis(1));
        carried += u64::from(forwarder.forward(at(1), sign(2), (1, 1000), later).is_ok()) * 1000;
    }
    assert!(carried <= RATE, "{carried}");
}

#[test]
fn an_address_that_another_takes_is_no_longer_the_first_ones() {
    let mut forwarder = seated();
    Asker::new(2, second()).sit(&mut forwarder, at(1), second());
    admit(&mut forwarder, 5, 1);
    Asker::new(5, second()).sit(&mut forwarder, at(5), second());
    let forwarded = forwarder.forward(at(5), sign(1), (1, 0), second());
    assert_eq!(forwarded, Err(NotForwarded::UnknownReceiver));
}

#[test]
fn of_two_records_that_name_a_port_the_first_has_it() {
    let mut asker = Asker::new(1, START);
    let relay = |number: u8| RelayConfig {
        sign: sign(number),
        ports: vec![relay_port()],
        key: key(number),
        stream: false,
    };
    asker.0.set_relays(vec![relay(200), relay(201)], START);
    let signs: Vec<CallSign> = asker.0.relays().map(|view| view.sign).collect();
    assert_eq!(signs, [sign(200)]);
}

#[test]
fn who_is_silent_is_forgotten() {
    let mut forwarder = seated();
    forwarder.on_wake(START.after(SEAT_IDLE).after(Duration::from_millis(1)));
    assert!(forwarder.seats().all(|seat| seat.at == [None; 2]));
}

#[test]
fn strangers_are_told_so_only_so_often_and_in_fewer_bytes_than_they_sent() {
    let mut forwarder = Forwarder::new([7; 32]);
    let told = (0..5000).filter(|_| forwarder.may_answer(START)).count();
    assert_eq!(told, ANSWERS_PER_SECOND as usize);
    assert!(forwarder.may_answer(START.after(Duration::from_secs(1))));
    assert_eq!(Forwarder::unbound(sign(1)).len(), UNBOUND_LEN);
}
