//! Nodes of a mesh and relays in namespaces of their own, with a policy and a guard each: what storms and failovers
//! happen to.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use data_encoding::BASE64;
use mesh::policy::{Member, Policy, Tables, Warden};
use mesh::relay::{Allowance, RelayConfig};
use mesh::{CallSign, Contact, PrivateKey, WayKind};
use mesh_shell::{Config, Engine, UdpRelay};
use namespaces::Rig;
use units::MeshId;

/// Where every node says back what it hears. The policy allows it to all.
pub(crate) const ECHO_PORT: u16 = 7;
/// Where every node listens and the policy allows nobody.
pub(crate) const SECRET_PORT: u16 = 9;
const RELAY_PORT: u16 = 3_478;
const PATIENCE: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// What everybody says: a capture of the wire must not contain it.
pub(crate) const WORDS: &[u8] = b"a word that only members of the mesh may read";

/// Nodes and relays that run. Nodes end before the rig does.
#[derive(Debug)]
pub struct Lab {
    pub(crate) nodes: Vec<Engine>,
    pub(crate) wardens: Vec<Arc<Warden>>,
    relays: Vec<Option<UdpRelay>>,
    listeners: Vec<Listener>,
    names: Vec<String>,
    pub(crate) rig: Rig,
}

/// Says back what comes to one port, and counts what comes to the other.
#[derive(Debug)]
struct Listener {
    stop: Arc<AtomicBool>,
    leaked: Arc<AtomicU64>,
    thread: Option<JoinHandle<()>>,
}

impl Lab {
    /// A node in each of `names`, a relay in each of `relays`; everybody knows everybody. Nodes numbered in `rogues`
    /// keep no policy themselves.
    ///
    /// # Errors
    /// If one cannot start.
    pub fn start(rig: Rig, names: &[String], relays: &[&str], rogues: &[usize]) -> Result<Self> {
        let signs: Vec<CallSign> = (0..relays.len()).map(relay_sign).collect();
        let ports: Result<Vec<UdpRelay>> =
            relays.iter().map(|name| rig.at(name).run(|| UdpRelay::start(RELAY_PORT))).collect();
        let ports = ports.context("start relays")?;
        let wardens = wardens(names.len())?;
        let mut nodes = Vec::new();
        for (index, name) in names.iter().enumerate() {
            let config = config(index, names.len(), &signs)?;
            let engine = rig
                .at(name)
                .run(|| Engine::start(config))
                .with_context(|| format!("start {name}"))?;
            if !rogues.contains(&index) {
                engine.set_guard(Some(wardens[index].clone()))?;
            }
            let mut joined = Vec::new();
            for ((udp, place), sign) in ports.iter().zip(relays).zip(&signs) {
                let allowance =
                    Allowance { meshes: [MeshId::from_bits(1)].into(), bytes_per_second: 1 << 30 };
                let key = udp.admit(&[number(index); 32], allowance)?;
                let ports = vec![SocketAddr::from((rig.at(place).v4(), RELAY_PORT))];
                joined.push(RelayConfig { sign: *sign, ports, key, stream: false });
            }
            engine.set_relays(joined)?;
            nodes.push(engine);
        }
        let relays = ports.into_iter().map(Some).collect();
        let mut lab =
            Self { nodes, wardens, relays, listeners: Vec::new(), names: names.to_vec(), rig };
        for index in 0..names.len() {
            let listener = lab.listener(index)?;
            lab.listeners.push(listener);
        }
        Ok(lab)
    }

    /// A socket of a node in the private network.
    pub(crate) fn socket(&self, node: usize, port: u16) -> Result<UdpSocket> {
        let until = Instant::now() + PATIENCE;
        loop {
            let bound = self.rig.at(&self.names[node]).run(|| UdpSocket::bind((ip(node), port)));
            match bound {
                Ok(socket) => {
                    socket.set_read_timeout(Some(LOOK_EVERY))?;
                    return Ok(socket);
                }
                Err(fault) if Instant::now() > until => bail!("bind at {}: {fault}", ip(node)),
                Err(_) => std::thread::sleep(LOOK_EVERY),
            }
        }
    }

    fn listener(&self, node: usize) -> Result<Listener> {
        let (echo, secret) = (self.socket(node, ECHO_PORT)?, self.socket(node, SECRET_PORT)?);
        secret.set_nonblocking(true)?;
        let (stop, leaked) = (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default());
        let (stopped, counts) = (stop.clone(), leaked.clone());
        let thread = std::thread::spawn(move || {
            let mut room = [0; 2_048];
            while !stopped.load(Relaxed) {
                if let Ok((many, from)) = echo.recv_from(&mut room) {
                    // Before there is a way back the system may refuse.
                    let _refused = echo.send_to(&room[..many], from);
                }
                while secret.recv_from(&mut room).is_ok() {
                    counts.fetch_add(1, Relaxed);
                }
            }
        });
        Ok(Listener { stop, leaked, thread: Some(thread) })
    }

    /// Datagrams that came to ports which the policy allows nobody.
    pub(crate) fn leaked(&self) -> u64 {
        self.listeners.iter().map(|listener| listener.leaked.load(Relaxed)).sum()
    }

    /// Whether what one says to the other comes back in time.
    pub(crate) fn reaches(
        &self,
        from: usize,
        to: usize,
        within: Duration,
    ) -> Result<Option<Duration>> {
        let socket = self.socket(from, 0)?;
        let (begun, mut heard) = (Instant::now(), [0; 2_048]);
        while begun.elapsed() < within {
            let _refused = socket.send_to(WORDS, (ip(to), ECHO_PORT));
            if socket.recv_from(&mut heard).is_ok_and(|(many, _)| &heard[..many] == WORDS) {
                return Ok(Some(begun.elapsed()));
            }
        }
        Ok(None)
    }

    /// What kind of way packets go.
    pub(crate) fn way(&self, from: usize, to: usize) -> Result<Option<WayKind>> {
        let key = private(to).public();
        let peer = self.nodes[from].peers()?.into_iter().find(|peer| peer.key == key);
        Ok(peer.and_then(|peer| peer.way).map(|way| way.kind()))
    }

    /// Talks until packets go such a way.
    pub(crate) fn goes(&self, from: usize, to: usize, expected: WayKind) -> Result<bool> {
        let until = Instant::now() + PATIENCE;
        while Instant::now() < until {
            if self.reaches(from, to, PATIENCE)?.is_some() && self.way(from, to)? == Some(expected)
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// They talk every few milliseconds for `span`, in the middle of which something happens: the longest time without
    /// an answer.
    pub(crate) fn silence_around(
        &self,
        (from, to): (usize, usize),
        span: Duration,
        happens: impl FnOnce(&Self) -> Result<()>,
    ) -> Result<Duration> {
        let socket = self.socket(from, 0)?;
        let (begun, mut last, mut longest) = (Instant::now(), Instant::now(), Duration::ZERO);
        let (mut happens, mut heard) = (Some(happens), [0; 64]);
        while begun.elapsed() < span {
            if begun.elapsed() > span / 2
                && let Some(happens) = happens.take()
            {
                happens(self)?;
            }
            let _refused = socket.send_to(WORDS, (ip(to), ECHO_PORT));
            if socket.recv_from(&mut heard).is_ok() {
                longest = longest.max(last.elapsed());
                last = Instant::now();
            }
        }
        Ok(longest.max(last.elapsed()))
    }

    /// Ends all, and says what went wrong with the first node that failed.
    ///
    /// # Errors
    /// What it was.
    pub fn stop(mut self) -> Result<()> {
        self.listeners.clear();
        self.relays.clear();
        self.nodes.drain(..).try_for_each(Engine::stop)
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.stop.store(true, Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// A node's address in the private network.
pub(crate) fn ip(node: usize) -> IpAddr {
    Ipv4Addr::new(100, 64, 0, number(node)).into()
}

pub(crate) fn number(node: usize) -> u8 {
    u8::try_from(node + 1).expect("there are few nodes")
}

fn private(node: usize) -> PrivateKey {
    PrivateKey::from_bytes([number(node); 32])
}

pub(crate) fn node_sign(node: usize) -> CallSign {
    CallSign::of_node(&[number(node); 32])
}

pub(crate) fn relay_sign(relay: usize) -> CallSign {
    CallSign::of_node(&[200 + number(relay); 32])
}

/// Everybody may ask everybody's echo, and nothing else.
fn wardens(many: usize) -> Result<Vec<Arc<Warden>>> {
    let file = format!(
        "{{\"grants\": [{{\"src\": [\"*\"], \"dst\": [\"*\"], \"ip\": [\"udp:{ECHO_PORT}\"]}}]}}"
    );
    let policy =
        Policy::parse(&file).map_err(|wrong| anyhow::anyhow!("read the policy: {wrong:?}"))?;
    let member = |node: usize| Member {
        key: private(node).public(),
        name: format!("peer-{node}"),
        user: None,
        groups: [].into(),
        tags: [].into(),
        addresses: vec![ip(node)],
    };
    let members: Vec<Member> = (0..many).map(member).collect();
    let compiled = policy
        .compile(&members)
        .map_err(|wrong| anyhow::anyhow!("compile the policy: {wrong:?}"))?;
    let warden = |member: &Member| {
        let warden = Warden::new([7, 11]);
        warden.set_tables(&Arc::new(Tables::new(1, &compiled.rules_of(member))));
        Arc::new(warden)
    };
    Ok(members.iter().map(warden).collect())
}

/// A node that knows so many others, and how to find them.
pub(crate) fn config(node: usize, many: usize, relays: &[CallSign]) -> Result<Config> {
    let text = |bytes: [u8; 32]| BASE64.encode(&bytes);
    let mut file = format!(
        "[Interface]\nPrivateKey = {}\nAddress = {}/24\nFast = on\n",
        text([number(node); 32]),
        ip(node)
    );
    let others: Vec<usize> = (0..many).filter(|other| *other != node).collect();
    for other in &others {
        let key = private(*other).public();
        file +=
            &format!("[Peer]\nPublicKey = {key}\nAllowedIPs = {}/32\nSuite = fast\n", ip(*other));
    }
    let mut config = Config::parse("mesh0", &file)?;
    config.mesh.sign = node_sign(node);
    for (peer, other) in config.peers.iter_mut().zip(others) {
        let (sign, relays) = (node_sign(other), relays.to_vec());
        peer.contact = Some(Contact { sign, relays, ..Contact::default() });
    }
    Ok(config)
}
