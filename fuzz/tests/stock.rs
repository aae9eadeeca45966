//! Our brain and boringtun's, joined by a wire in memory: what stock peers say is understood, and what ours says is
//! understood by them.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use boringtun::noise::rate_limiter::RateLimiter;
use boringtun::noise::{Tunn, TunnResult};
use data_encoding::HEXLOWER;
use mesh::LOAD_PER_SECOND;
use x25519_dalek::{PublicKey, StaticSecret};

use crate::ours::{Ours, PRESHARED, end, udp};

#[path = "../../benches/net/tests/it/ours.rs"]
mod ours;

const HELLO: u8 = 1;
const COOKIE: u8 = 3;
/// Asks for the recordings to be made anew.
const WRITE: &str = "IOG_WRITE";

/// Our node, theirs, and the datagrams between them.
struct Pair {
    ours: Ours,
    wire: Wire,
}

/// Theirs, and what is under way.
struct Wire {
    theirs: Tunn,
    /// Where theirs is; it may move.
    at: SocketAddr,
    to_ours: VecDeque<Vec<u8>>,
    /// Packets that came out at theirs.
    came: Vec<Vec<u8>>,
    /// The first bytes of all datagrams, from ours and from theirs.
    said: [Vec<u8>; 2],
    /// What ours was told and did, a line each.
    tape: String,
}

fn public(private: [u8; 32]) -> PublicKey {
    PublicKey::from(&StaticSecret::from(private))
}

impl Pair {
    fn new(limiter: Option<Arc<RateLimiter>>) -> Self {
        let private = StaticSecret::from(end(2).private);
        let theirs = Tunn::new(private, public(end(1).private), Some(PRESHARED), None, 5, limiter);
        let wire = Wire {
            theirs,
            at: end(2).outside,
            to_ours: VecDeque::new(),
            came: Vec::new(),
            said: [Vec::new(), Vec::new()],
            tape: String::new(),
        };
        let mut pair = Self { ours: Ours::new(), wire };
        pair.settle();
        pair
    }

    fn settle(&mut self) {
        self.wire.settle(&mut self.ours);
    }

    fn send_ours(&mut self, text: &str) {
        self.wire.note("text", text.as_bytes());
        self.ours.emit(text);
        self.settle();
    }

    fn send_theirs(&mut self, text: &str) {
        let mut room = vec![0; 2_048];
        let packet = udp(end(2).inside, end(1).inside, text.as_bytes());
        if let TunnResult::WriteToNetwork(said) = self.wire.theirs.encapsulate(&packet, &mut room) {
            self.wire.to_ours.push_back(said.to_vec());
        }
        self.settle();
    }

    /// Theirs shakes hands, whether it has to or not.
    fn renew_theirs(&mut self) {
        let mut room = vec![0; 2_048];
        let hello = self.wire.theirs.format_handshake_initiation(&mut room, true);
        if let TunnResult::WriteToNetwork(said) = hello {
            self.wire.to_ours.push_back(said.to_vec());
        }
        self.settle();
    }

    fn pass(&mut self, span: Duration) {
        let until = self.ours.now.after(span);
        while let Some(at) = self.ours.wake_at().filter(|at| *at <= until) {
            self.ours.wake(at);
            self.settle();
        }
        self.ours.now = until;
    }

    /// Texts that came since last asked: at ours, and at theirs.
    fn texts(&mut self) -> [Vec<String>; 2] {
        let text = |packet: Vec<u8>| String::from_utf8_lossy(&packet[28..]).into_owned();
        [&mut self.ours.came, &mut self.wire.came].map(|came| came.drain(..).map(text).collect())
    }

    fn count(&self, end: usize, kind: u8) -> usize {
        self.wire.said[end].iter().filter(|said| **said == kind).count()
    }
}

impl Wire {
    /// Carries until nothing is under way.
    fn settle(&mut self, ours: &mut Ours) {
        loop {
            if let Some((to, datagram)) = ours.said.pop_front() {
                self.said[0].push(datagram[0]);
                self.note("say", &datagram);
                if to == self.at {
                    self.hear(datagram);
                }
            } else if let Some(datagram) = self.to_ours.pop_front() {
                self.said[1].push(datagram[0]);
                self.note("hear", &datagram);
                let came = ours.came.len();
                ours.hear(self.at, datagram);
                for packet in &ours.came[came..] {
                    self.note("came", &packet[28..]);
                }
            } else {
                return;
            }
        }
    }

    /// Theirs hears, and says what it has to say to that.
    fn hear(&mut self, mut datagram: Vec<u8>) {
        let mut room = vec![0; 2_048];
        loop {
            match self.theirs.decapsulate(Some(end(1).outside.ip()), &datagram, &mut room) {
                TunnResult::WriteToNetwork(said) => {
                    self.to_ours.push_back(said.to_vec());
                    // Asked again with nothing, it goes on with what it kept.
                    datagram.clear();
                }
                TunnResult::WriteToTunnelV4(packet, _) | TunnResult::WriteToTunnelV6(packet, _) => {
                    self.came.push(packet.to_vec());
                    return;
                }
                TunnResult::Done | TunnResult::Err(_) => return,
            }
        }
    }

    fn note(&mut self, what: &str, bytes: &[u8]) {
        writeln!(self.tape, "{what} {}", HEXLOWER.encode(bytes)).unwrap();
    }
}

#[track_caller]
fn both_ways(pair: &mut Pair, what: &str) {
    pair.texts();
    pair.send_ours(what);
    pair.send_theirs(what);
    assert_eq!(pair.texts(), [vec![what.to_owned()], vec![what.to_owned()]], "{what}");
}

#[test]
fn ours_asks_theirs_answers_and_packets_go_both_ways() {
    let mut pair = Pair::new(None);
    pair.send_ours("the first waits for the handshake");
    assert_eq!(pair.texts()[1], ["the first waits for the handshake"]);
    assert_eq!((pair.count(0, HELLO), pair.count(1, HELLO)), (1, 0));
    for len in [0, 1, 15, 16, 17, 500, 1_392] {
        both_ways(&mut pair, &"x".repeat(len));
    }
}

#[test]
fn theirs_asks_ours_answers_and_packets_go_both_ways() {
    let mut pair = Pair::new(None);
    pair.send_theirs("the first waits for the handshake");
    assert_eq!(pair.texts()[0], ["the first waits for the handshake"]);
    assert_eq!((pair.count(0, HELLO), pair.count(1, HELLO)), (0, 1));
    both_ways(&mut pair, "and back");
}

#[test]
fn both_ask_at_once_and_agree() {
    let mut pair = Pair::new(None);
    let mut room = vec![0; 2_048];
    let packet = udp(end(2).inside, end(1).inside, b"theirs");
    let TunnResult::WriteToNetwork(hello) = pair.wire.theirs.encapsulate(&packet, &mut room) else {
        panic!("it asks")
    };
    pair.wire.to_ours.push_back(hello.to_vec());
    pair.send_ours("ours");
    both_ways(&mut pair, "agreed");
}

#[test]
fn sessions_are_renewed_by_ours_and_by_theirs_and_no_packet_is_lost() {
    let mut pair = Pair::new(None);
    both_ways(&mut pair, "begun");
    for renewal in 1..4 {
        // Who asked for the session renews it when it is two minutes old and something is said.
        pair.pass(Duration::from_secs(121));
        both_ways(&mut pair, "old");
        pair.pass(Duration::from_secs(1));
        assert!(pair.count(0, HELLO) > renewal, "{renewal}");
        both_ways(&mut pair, "renewed by ours");
    }
    for _ in 0..3 {
        // Ours takes no two of one sender within a moment.
        pair.pass(Duration::from_secs(1));
        pair.renew_theirs();
        both_ways(&mut pair, "renewed by theirs");
    }
    assert_eq!(pair.count(1, HELLO), 3);
}

#[test]
fn theirs_may_move_and_ours_follows() {
    let mut pair = Pair::new(None);
    both_ways(&mut pair, "begun");
    pair.wire.at = "198.51.100.7:4000".parse().unwrap();
    pair.send_theirs("from elsewhere");
    both_ways(&mut pair, "moved");
}

#[test]
fn theirs_under_load_asks_for_a_cookie_and_ours_shows_it() {
    // From the first handshake on.
    let limiter = Arc::new(RateLimiter::new(&public(end(2).private), 0));
    let mut pair = Pair::new(Some(limiter));
    pair.send_ours("waits");
    assert!(pair.count(1, COOKIE) > 0 && pair.texts()[1].is_empty());
    // Until ours asks again, now with the cookie.
    pair.pass(Duration::from_secs(12));
    both_ways(&mut pair, "shown");
}

#[test]
fn ours_under_load_asks_for_a_cookie_and_theirs_shows_it() {
    let mut pair = Pair::new(None);
    // Strangers' first messages, each of which has to be looked at.
    for number in 0..LOAD_PER_SECOND + 1 {
        let mut seed = [3; 32];
        seed[..4].copy_from_slice(&number.to_le_bytes());
        let mut stranger =
            Tunn::new(StaticSecret::from(seed), public(end(1).private), None, None, number, None);
        let mut room = vec![0; 2_048];
        let TunnResult::WriteToNetwork(hello) =
            stranger.format_handshake_initiation(&mut room, true)
        else {
            panic!("it asks")
        };
        let low = number.to_le_bytes();
        let from = SocketAddr::from((Ipv4Addr::new(198, 51, low[1], low[0]), 4_000));
        let hello = hello.to_vec();
        pair.ours.hear(from, hello);
        pair.settle();
    }
    pair.renew_theirs();
    assert!(pair.count(0, COOKIE) > 0, "it is asked for a cookie");
    pair.renew_theirs();
    both_ways(&mut pair, "shown");
}

#[test]
fn what_a_wire_does_to_a_datagram_is_not_taken_for_theirs() {
    let mut pair = Pair::new(None);
    both_ways(&mut pair, "begun");
    let mut room = vec![0; 2_048];
    let packet = udp(end(2).inside, end(1).inside, b"once");
    let TunnResult::WriteToNetwork(sealed) = pair.wire.theirs.encapsulate(&packet, &mut room)
    else {
        panic!("there is a session")
    };
    let sealed = sealed.to_vec();
    for at in 4..sealed.len() {
        let mut changed = sealed.clone();
        changed[at] ^= 1;
        pair.ours.hear(end(2).outside, changed);
    }
    assert!(pair.texts()[0].is_empty(), "changed");
    for _ in 0..3 {
        pair.ours.hear(end(2).outside, sealed.clone());
    }
    assert_eq!(pair.texts()[0], ["once"], "repeated");
}

/// What ours is told and does, as the workspace's own tests play it again without the stock peer.
#[test]
fn recordings_are_as_committed_or_made_anew() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../benches/net/tests/recorded");
    let mut ours = Pair::new(None);
    both_ways(&mut ours, "ours asked");
    let mut theirs = Pair::new(None);
    theirs.send_theirs("theirs asked");
    both_ways(&mut theirs, "ours answered");
    for (name, pair) in [("ours-asks", ours), ("theirs-asks", theirs)] {
        let path = folder.join(format!("boringtun-0.7.1-{name}"));
        if std::env::var_os(WRITE).is_some() {
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(&path, &pair.wire.tape).unwrap();
        }
        // Theirs draws by chance, so only how it goes can be compared.
        let steps = |tape: &str| -> Vec<String> {
            tape.lines().filter_map(|line| line.split(' ').next().map(str::to_owned)).collect()
        };
        let committed = std::fs::read_to_string(&path).unwrap();
        assert_eq!(steps(&committed), steps(&pair.wire.tape), "{WRITE}=1 makes it anew");
    }
}
