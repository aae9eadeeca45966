//! Nodes of the mesh and relays in a rig of namespaces, and conversations over their private network.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use mesh::relay::{Allowance, RelayConfig};
use mesh::{
    CallSign, Contact, Cover, Gate, MTU_DEFAULT, PeerConfig, PeerView, Policy, PresharedKey,
    PrivateKey, Suite, Timing, WayKind, WayView,
};
use mesh_shell::{Config, Engine, UdpRelay};
use namespaces::{Place, Rig};
use units::MeshId;

/// How long anything may take on a machine that is busy with everything else.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
const MTU: u16 = 1420;
const ECHO_PORT: u16 = 7;
const EVERY: Duration = Duration::from_millis(10);

/// Nodes and relays that run, in namespaces of the same names. Nodes end before the rig does.
pub(crate) struct Lab {
    pub(crate) nodes: Vec<Engine>,
    _relays: Vec<UdpRelay>,
    echoes: Vec<Echo>,
    names: Vec<String>,
    pub(crate) rig: Rig,
}

/// Answers every datagram with itself until it is dropped.
struct Echo {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Lab {
    /// A node in each of `names`, a relay in each of `relays`; everybody knows everybody.
    pub(crate) fn new(rig: Rig, names: &[&str], relays: &[&str], suite: Suite) -> Self {
        Self::with(rig, names, relays, suite, |_, _| {})
    }

    /// As above; `shape` changes what the node of a number is told, from 1 on.
    pub(crate) fn with(
        rig: Rig,
        names: &[&str],
        relays: &[&str],
        suite: Suite,
        shape: impl Fn(u8, &mut Config),
    ) -> Self {
        let numbers: Vec<u8> = (1..).take(names.len()).collect();
        let signs: Vec<CallSign> = (1..).take(relays.len()).map(relay_sign).collect();
        let ports: Vec<UdpRelay> = relays
            .iter()
            .map(|name| rig.at(name).run(|| UdpRelay::start(3478)).expect("a relay starts"))
            .collect();
        let node = |(number, name): (u8, &&str)| {
            let mut config = config(number, &numbers, &signs, suite);
            shape(number, &mut config);
            let engine = rig.at(name).run(|| Engine::start(config)).expect("a node starts");
            let join = |((udp, place), sign): ((&UdpRelay, &&str), &CallSign)| {
                let allowance =
                    Allowance { meshes: [MeshId::from_bits(1)].into(), bytes_per_second: 1 << 30 };
                let key = udp.admit(&[number; 32], allowance).expect("there is room");
                let ports = vec![SocketAddr::from((rig.at(place).v4(), 3478))];
                RelayConfig { sign: *sign, ports, key, stream: false }
            };
            let joined = ports.iter().zip(relays).zip(&signs).map(join).collect();
            engine.set_relays(joined).expect("the node lives");
            engine
        };
        let nodes = (1..).zip(names).map(node).collect();
        let names = names.iter().map(ToString::to_string).collect();
        let mut lab = Self { nodes, _relays: ports, echoes: Vec::new(), names, rig };
        lab.echoes = numbers.iter().map(|number| lab.echo(usize::from(*number) - 1)).collect();
        lab
    }

    /// A socket in the private network.
    pub(crate) fn socket(&self, node: usize, v6: bool) -> UdpSocket {
        let socket = bind(&self.rig.at(&self.names[node]), ip(node, v6), 0);
        socket.set_read_timeout(Some(EVERY)).expect("a socket takes a time-out");
        socket
    }

    /// Whether what `from` says to `to` comes back, before patience ends.
    pub(crate) fn reaches(&self, from: usize, to: usize, v6: bool, len: usize) -> bool {
        let (socket, until) = (self.socket(from, v6), Instant::now() + PATIENCE);
        let (said, mut heard) = (vec![7; len], vec![0; 65_536]);
        while Instant::now() < until {
            // Before there is a way, the system may say so.
            let _refused = socket.send_to(&said, (ip(to, v6), ECHO_PORT));
            if matches!(socket.recv_from(&mut heard), Ok((count, _)) if count == len) {
                return true;
            }
        }
        false
    }

    /// Whether packets from one to the other go such a way, before patience ends. They talk all the time.
    pub(crate) fn goes(&self, from: usize, to: usize, expected: WayKind) -> bool {
        let until = Instant::now() + PATIENCE;
        while Instant::now() < until {
            assert!(self.reaches(from, to, false, 32), "they reached each other before");
            if self.way(from, to) == Some(expected) {
                return true;
            }
        }
        false
    }

    /// What kind of way packets go.
    pub(crate) fn way(&self, from: usize, to: usize) -> Option<WayKind> {
        self.peer(from, to)?.way.map(|way| way.kind())
    }

    /// What is known of all ways: to be told where a test fails.
    pub(crate) fn ways(&self, from: usize, to: usize) -> Vec<WayView> {
        self.peer(from, to).map(|peer| peer.ways).unwrap_or_default()
    }

    fn peer(&self, from: usize, to: usize) -> Option<PeerView> {
        let key = private(u8::try_from(to + 1).expect("few nodes")).public();
        let peers = self.nodes[from].peers().expect("the node lives");
        peers.into_iter().find(|peer| peer.key == key)
    }

    /// They talk every few milliseconds for `span`, in the middle of which something happens: the longest time without
    /// an answer. Whether they talk in the end is for the caller to ask.
    pub(crate) fn silence_around(
        &self,
        (from, to): (usize, usize),
        span: Duration,
        happens: impl FnOnce(&Rig),
    ) -> Duration {
        let socket = self.socket(from, false);
        let (began, mut last, mut longest) = (Instant::now(), Instant::now(), Duration::ZERO);
        let (mut happens, mut heard) = (Some(happens), [0; 64]);
        while began.elapsed() < span {
            if began.elapsed() > span / 2
                && let Some(happens) = happens.take()
            {
                happens(&self.rig);
            }
            let _refused = socket.send_to(b"are you there", (ip(to, false), ECHO_PORT));
            if socket.recv_from(&mut heard).is_ok() {
                longest = longest.max(last.elapsed());
                last = Instant::now();
            }
        }
        longest.max(last.elapsed())
    }

    fn echo(&self, node: usize) -> Echo {
        let stop = Arc::<AtomicBool>::default();
        let place = self.rig.at(&self.names[node]);
        let sockets = [false, true].map(|v6| bind(&place, ip(node, v6), ECHO_PORT));
        let stopped = stop.clone();
        let body = move || {
            let mut buffer = vec![0; 65_536];
            sockets.iter().for_each(|socket| {
                socket.set_nonblocking(true).expect("a socket may not wait");
            });
            while !stopped.load(Relaxed) {
                let mut idle = true;
                for socket in &sockets {
                    while let Ok((len, from)) = socket.recv_from(&mut buffer) {
                        let _refused = socket.send_to(&buffer[..len], from);
                        idle = false;
                    }
                }
                if idle {
                    std::thread::park_timeout(Duration::from_millis(1));
                }
            }
        };
        Echo { stop, thread: Some(std::thread::spawn(body)) }
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        self.stop.store(true, Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().expect("an echo does not panic");
        }
    }
}

/// A socket on an address that the kernel may still be looking at: those of IPv6 are usable a moment later.
fn bind(place: &Place<'_>, ip: IpAddr, port: u16) -> UdpSocket {
    let until = Instant::now() + PATIENCE;
    loop {
        match place.run(|| UdpSocket::bind((ip, port))) {
            Ok(socket) => return socket,
            Err(error) => assert!(Instant::now() < until, "{ip}:{port} is not free: {error}"),
        }
        std::thread::park_timeout(EVERY);
    }
}

/// A node's address in the private network.
pub(crate) fn ip(node: usize, v6: bool) -> IpAddr {
    let number = u8::try_from(node + 1).expect("few nodes");
    if v6 {
        Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, number.into()).into()
    } else {
        Ipv4Addr::new(100, 64, 0, number).into()
    }
}

pub(crate) fn private(number: u8) -> PrivateKey {
    PrivateKey::from_bytes([number; 32])
}

pub(crate) fn node_sign(number: u8) -> CallSign {
    CallSign::of_node(&[number; 32])
}

fn relay_sign(number: u8) -> CallSign {
    CallSign::of_node(&[200 + number; 32])
}

fn config(number: u8, all: &[u8], relays: &[CallSign], suite: Suite) -> Config {
    let index = usize::from(number) - 1;
    let peer = |other: &u8| PeerConfig {
        key: private(*other).public(),
        preshared: PresharedKey::default(),
        endpoint: None,
        allowed: vec![
            format!("100.64.0.{other}/32").parse().expect("a block"),
            format!("fd00::{other}/128").parse().expect("a block"),
        ],
        keepalive_every: None,
        suite,
        contact: Some(Contact {
            sign: node_sign(*other),
            relays: relays.to_vec(),
            policy: Policy::ActiveBackup,
            ..Contact::default()
        }),
        cover: Cover::None,
    };
    Config {
        interface: "mesh0".into(),
        addresses: vec![(ip(index, false), 24), (ip(index, true), 64)],
        port: 0,
        mtu: MTU,
        shards: 1,
        offloads: true,
        stays_awake: true,
        mesh: mesh::Config {
            private: private(number),
            sign: node_sign(number),
            timing: Timing::default(),
            mtu: MTU_DEFAULT,
            opens_fast: suite == Suite::Fast,
            gate: Gate::Known,
            guard: None,
            inside: vec![block("100.64.0.0/24"), block("fd00::/64")],
        },
        streams: None,
        resolver: None,
        maps_ports: false,
        peers: all.iter().filter(|other| **other != number).map(peer).collect(),
    }
}

fn block(text: &str) -> mesh::Prefix {
    text.parse().expect("a block")
}
