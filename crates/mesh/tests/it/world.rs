//! Nodes behind NATs of every kind, relays, and an Internet between them that delays, loses and is cut: a virtual clock
//! and chance from a seed.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use mesh::relay::{Allowance, Forwarder, PortKey, RelayConfig, read_relayed, write_relayed_header};
use mesh::{
    Batch, CallSign, Config, Contact, Ecn, Effect, Gate, MTU_DEFAULT, Merger, Mesh, Note,
    PeerConfig, PeerView, Plane, Policy, PresharedKey, PrivateKey, Stays, Suite, Timing, VNET_LEN,
    Way,
};
use units::{MeshId, Timestamp};

use crate::pair::{START, udp};

const PORT: u16 = 7000;
/// How long NATs remember: the least that is common.
const MAPPING_LIFE: Duration = Duration::from_secs(30);

/// How a node is connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Net {
    /// With an address of its own.
    Open,
    /// Behind a NAT with one port per inner port, which lets in whoever writes there.
    FullCone,
    /// Behind a NAT with one port per inner port, which lets in who was written to.
    Easy,
    /// Behind a NAT with a port per target, which lets in who was written to.
    Symmetric,
    /// Where nothing of UDP passes.
    Blocked,
}

/// The whole network.
pub(crate) struct World {
    pub(crate) nodes: Vec<Node>,
    relays: Vec<(SocketAddr, Forwarder)>,
    flights: BTreeMap<(Timestamp, u64), Flight>,
    pub(crate) now: Timestamp,
    chance: u64,
    count: u64,
    /// Of a thousand datagrams, how many are lost.
    pub(crate) loss_permille: u64,
    /// How many come twice, and how many so late that others overtake them.
    pub(crate) twice_permille: u64,
    pub(crate) late_permille: u64,
    /// How long datagrams are under way, in milliseconds: at least, and below what.
    pub(crate) delay_millis: (u64, u64),
    /// Whether everybody has connections to relays, and not only who has nothing else.
    pub(crate) has_streams: bool,
    /// Pairs of addresses between which nothing passes, either way.
    cuts: BTreeSet<(IpAddr, IpAddr)>,
    /// Datagrams carried in all, and those of pings.
    pub(crate) carried: u64,
    /// All datagrams that set out, and where to, if somebody listens.
    pub(crate) listens: Option<Vec<(SocketAddr, Vec<u8>)>>,
}

struct Flight {
    from: SocketAddr,
    to: SocketAddr,
    bytes: Vec<u8>,
}

/// A node and its NAT.
pub(crate) struct Node {
    pub(crate) mesh: Mesh,
    plane: Arc<Plane>,
    net: Net,
    number: u8,
    mappings: Vec<Mapping>,
    next_port: u16,
    /// By how much its clock is ahead of the world's.
    pub(crate) ahead: Duration,
    /// When packets came, and from whom.
    pub(crate) delivered: Vec<(Timestamp, Ipv4Addr)>,
    /// What they said.
    pub(crate) heard: Vec<(Ipv4Addr, String)>,
    /// Packets that did not leave: the guard stopped them.
    pub(crate) stopped: u64,
}

struct Mapping {
    port: u16,
    target: Option<SocketAddr>,
    written_to: BTreeSet<SocketAddr>,
    used_at: Timestamp,
}

impl World {
    /// These nodes, each a peer of all others, and so many relays that all of them know.
    pub(crate) fn new(nets: &[Net], relays: usize, seed: u64) -> Self {
        let nodes = (1..).zip(nets).map(|(number, net)| node(number, *net)).collect();
        let relay = |number: u8| SocketAddr::from((Ipv4Addr::new(198, 51, 100, number), 3478));
        let relays = (1..=u8::try_from(relays).expect("few relays"))
            .map(|number| (relay(number), Forwarder::new([number; 32])))
            .collect();
        let mut world = Self {
            nodes,
            relays,
            flights: BTreeMap::new(),
            now: START,
            chance: seed | 1,
            count: 0,
            loss_permille: 0,
            twice_permille: 0,
            late_permille: 0,
            delay_millis: (8, 13),
            has_streams: false,
            cuts: BTreeSet::new(),
            carried: 0,
            listens: None,
        };
        world.introduce(Policy::ActiveBackup);
        world
    }

    /// Tells every node of the others, of the relays and of its own addresses.
    pub(crate) fn introduce(&mut self, policy: Policy) {
        for index in 0..self.nodes.len() {
            let number = self.nodes[index].number;
            let key = PortKey::from_bytes([number; 32]);
            let allowance =
                Allowance { meshes: [MeshId::from_bits(1)].into(), bytes_per_second: 10_000_000 };
            for (_, forwarder) in &mut self.relays {
                let admitted =
                    forwarder.admit(&[number; 32], key.clone(), allowance.clone(), self.now);
                assert_eq!(admitted, Ok(()));
            }
            self.tell(index, policy);
        }
        self.act();
    }

    /// Tells one node of all.
    fn tell(&mut self, index: usize, policy: Policy) {
        let signs: Vec<CallSign> = (1..).zip(&self.relays).map(|(n, _)| relay_sign(n)).collect();
        let numbers: Vec<u8> = self.nodes.iter().map(|node| node.number).collect();
        let now = self.local(index);
        let node = &mut self.nodes[index];
        let config = |(n, (at, _)): (u8, &(SocketAddr, Forwarder))| RelayConfig {
            sign: relay_sign(n),
            ports: vec![*at],
            key: PortKey::from_bytes([node.number; 32]),
            stream: self.has_streams || node.net == Net::Blocked,
        };
        let relays = (1..).zip(&self.relays).map(config).collect();
        node.mesh.set_local(vec![node.inside()], now);
        node.mesh.set_relays(relays, now);
        for number in numbers.iter().filter(|number| **number != node.number) {
            node.mesh.set_peer(peer(*number, &signs, policy), now);
        }
    }

    /// A node starts anew and has forgotten everything; what it heard is not forgotten here.
    pub(crate) fn restart(&mut self, index: usize) {
        self.count += 1;
        let fresh = node(self.nodes[index].number, self.nodes[index].net);
        let seed = self.count.to_le_bytes().repeat(4).try_into().expect("32 bytes");
        self.nodes[index].mesh = Mesh::new(config(self.nodes[index].number), seed);
        self.nodes[index].plane = fresh.plane;
        self.tell(index, Policy::ActiveBackup);
        self.act();
    }

    /// A node's own time.
    pub(crate) fn local(&self, index: usize) -> Timestamp {
        self.now.after(self.nodes[index].ahead)
    }

    /// A node sends a short packet to another.
    pub(crate) fn send(&mut self, from: usize, to: usize) {
        self.say(from, to, "text");
    }

    /// A node says something to another.
    pub(crate) fn say(&mut self, from: usize, to: usize, text: &str) {
        let packet = udp(self.nodes[from].ip(), self.nodes[to].ip(), text.as_bytes());
        self.depart(from, [&[0; VNET_LEN], &packet[..]].concat());
        self.act();
    }

    /// Lets time pass, with whatever is due in it.
    pub(crate) fn pass(&mut self, span: Duration) {
        let end = self.now.after(span);
        loop {
            let wakes = self.nodes.iter().enumerate().filter_map(|(index, node)| {
                Some(self.now.after(node.mesh.wake_at()?.since(self.local(index))))
            });
            let lands = self.flights.keys().next().map(|(at, _)| *at);
            let Some(at) = wakes.chain(lands).min().filter(|at| *at <= end) else { break };
            self.now = at.max(self.now);
            while let Some(entry) = self.flights.first_entry()
                && entry.key().0 <= self.now
            {
                let flight = entry.remove();
                self.land(flight);
            }
            for index in 0..self.nodes.len() {
                let now = self.local(index);
                self.nodes[index].mesh.on_wake(now);
            }
            self.act();
        }
        self.now = end;
        self.relays.iter_mut().for_each(|(_, forwarder)| forwarder.on_wake(end));
    }

    /// Every pair of `pairs` talks, both ways, `every` so often, for `span`.
    pub(crate) fn talk(&mut self, pairs: &[(usize, usize)], every: Duration, span: Duration) {
        let end = self.now.after(span);
        while self.now < end {
            for (a, b) in pairs {
                self.send(*a, *b);
                self.send(*b, *a);
            }
            self.pass(every);
        }
    }

    /// Nothing passes between two nodes directly.
    pub(crate) fn cut(&mut self, a: usize, b: usize) {
        let ends = (self.nodes[a].outside(), self.nodes[b].outside());
        self.cuts.extend([ends, (ends.1, ends.0)]);
    }

    /// A relay is gone.
    pub(crate) fn cut_relay(&mut self, relay: usize) {
        let at = self.relays[relay].0.ip();
        for node in &self.nodes {
            self.cuts.extend([(node.outside(), at), (at, node.outside())]);
        }
    }

    /// All that was cut is whole.
    pub(crate) fn heal(&mut self) {
        self.cuts.clear();
    }

    /// A node's NAT forgets everything: the next packets come from other ports.
    pub(crate) fn rebind(&mut self, node: usize) {
        self.nodes[node].mappings.clear();
    }

    /// What `a` knows of `b`.
    pub(crate) fn view(&self, a: usize, b: usize) -> PeerView {
        let key = private(self.nodes[b].number).public();
        let mut views = self.nodes[a].mesh.peers().map(|(_, view)| view);
        views.find(|view| view.key == key).expect("everybody knows everybody")
    }

    /// The longest time in which nothing came to `a` from `b`, from `since` until now.
    pub(crate) fn longest_silence(&self, a: usize, b: usize, since: Timestamp) -> Duration {
        let from = self.nodes[b].ip();
        let came = self.nodes[a].delivered.iter();
        let came = came.filter(|(at, ip)| *ip == from && *at >= since).map(|(at, _)| *at);
        let all: Vec<Timestamp> =
            std::iter::once(since).chain(came).chain(std::iter::once(self.now)).collect();
        all.windows(2).map(|pair| pair[1].since(pair[0])).max().unwrap_or_default()
    }

    fn draw(&mut self, below: u64) -> u64 {
        // xorshift64*: enough for weather.
        self.chance ^= self.chance >> 12;
        self.chance ^= self.chance << 25;
        self.chance ^= self.chance >> 27;
        (self.chance.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % below
    }

    fn act(&mut self) {
        for index in 0..self.nodes.len() {
            while let Some(effect) = self.nodes[index].mesh.next_effect() {
                match effect {
                    Effect::Send { to, datagram } => self.launch(index, to, &to.wrap(&datagram)),
                    Effect::Publish(plane) => self.nodes[index].plane = plane,
                    Effect::Depart { frames } => {
                        frames.into_iter().for_each(|frame| self.depart(index, frame));
                    }
                }
            }
        }
    }

    fn depart(&mut self, index: usize, frame: Vec<u8>) {
        let (plane, now) = (self.nodes[index].plane.clone(), self.local(index));
        let note = match plane.depart(&frame, now) {
            Ok(departure) => {
                let mut out = vec![0; departure.datagram_len()];
                let len = departure.seal(0..departure.count(), &mut out, now);
                let inner = &out[departure.to.header_len()..len];
                for way in std::iter::once(&departure.to).chain(departure.copies) {
                    self.launch(index, *way, &way.wrap(inner));
                }
                departure.begins.then_some(Note::Begun(departure.peer))
            }
            Err(Stays::Waits(peer)) => Some(Note::Wanted { peer, frame }),
            Err(Stays::Stopped) => {
                self.nodes[index].stopped += 1;
                None
            }
            Err(stays) => panic!("the packet stays: {stays}"),
        };
        if let Some(note) = note {
            self.nodes[index].mesh.on_note(note, now);
        }
    }

    fn launch(&mut self, index: usize, way: Way, bytes: &[u8]) {
        if let Way::Stream { relay, far } = way {
            return self.launch_stream(index, relay, far, bytes);
        }
        let to = way.socket().expect("not a stream");
        if self.nodes[index].net != Net::Blocked {
            let from = self.nodes[index].translate(to, self.now);
            self.fly(from, to, bytes);
        }
    }

    /// Over connections nothing is lost; the far end hears which relay it came over.
    fn launch_stream(&mut self, index: usize, relay: CallSign, far: CallSign, bytes: &[u8]) {
        if let Some(heard) = &mut self.listens {
            heard.push((self.relays[0].0, bytes.to_vec()));
        }
        let sender = node_sign(self.nodes[index].number);
        let has_stream = |node: &Node| self.has_streams || node.net == Net::Blocked;
        let to = self.nodes.iter().position(|node| node_sign(node.number) == far);
        let Some(to) = to else { return };
        if has_stream(&self.nodes[to]) {
            return self.receive(to, Way::Stream { relay, far: sender }, bytes.to_vec());
        }
        let mut numbered = (1..).zip(&self.relays);
        let there = numbered.find(|(number, _)| relay_sign(*number) == relay);
        let (_, (at, forwarder)) = there.expect("a relay of the world");
        if let Ok(forwarded) = forwarder.take_over(sender, far) {
            let mut header = [0; 12];
            write_relayed_header(&mut header, sender);
            let at = *at;
            self.fly(at, forwarded.to, &[&header, bytes].concat());
        }
    }

    fn fly(&mut self, from: SocketAddr, to: SocketAddr, bytes: &[u8]) {
        self.carried += 1;
        if let Some(heard) = &mut self.listens {
            heard.push((to, bytes.to_vec()));
        }
        let lost = self.draw(1000) < self.loss_permille;
        if lost || self.cuts.contains(&(from.ip(), to.ip())) {
            return;
        }
        let is_twice = self.twice_permille > 0 && self.draw(1000) < self.twice_permille;
        for _ in 0..=usize::from(is_twice) {
            let is_late = self.late_permille > 0 && self.draw(1000) < self.late_permille;
            let late = if is_late { self.draw(400) } else { 0 };
            let (least, below) = self.delay_millis;
            let delay = Duration::from_millis(least + self.draw(below - least) + late);
            self.count += 1;
            let flight = Flight { from, to, bytes: bytes.to_vec() };
            self.flights.insert((self.now.after(delay), self.count), flight);
        }
    }

    /// A datagram comes from anywhere, whoever sent it.
    pub(crate) fn inject(&mut self, from: SocketAddr, to: SocketAddr, bytes: Vec<u8>) {
        self.land(Flight { from, to, bytes });
    }

    fn land(&mut self, flight: Flight) {
        let Flight { from, to, bytes } = flight;
        if let Some(relay) = self.relays.iter().position(|(at, _)| *at == to) {
            return self.land_at_relay(relay, from, &bytes);
        }
        let now = self.now;
        if let Some(index) = self.nodes.iter_mut().position(|node| node.lets_in(from, to, now)) {
            self.receive(index, Way::Direct(from), bytes);
        }
    }

    /// What came to the port for a node that has only a connection goes there.
    fn hand_over(&mut self, relay: usize, from: SocketAddr, to: CallSign, inner: &[u8]) {
        let between = self.relays[relay].1.hand_over(from, to, (1, inner.len() as u64), self.now);
        let Ok(between) = between else { return };
        let number = u8::try_from(relay + 1).expect("few relays");
        let far = CallSign::of_node(&between.sender);
        let (from, has_streams) =
            (Way::Stream { relay: relay_sign(number), far }, self.has_streams);
        let is_it = |node: &Node| {
            [node.number; 32] == between.receiver && (has_streams || node.net == Net::Blocked)
        };
        if let Some(index) = self.nodes.iter().position(is_it) {
            self.receive(index, from, inner.to_vec());
        }
    }

    fn land_at_relay(&mut self, relay: usize, from: SocketAddr, bytes: &[u8]) {
        if let Some((to, inner)) = read_relayed(bytes)
            && !self.relays[relay].1.is_bound(to)
        {
            return self.hand_over(relay, from, to, inner);
        }
        let (at, forwarder) = &mut self.relays[relay];
        let at = *at;
        let answer = match read_relayed(bytes) {
            None => forwarder.on_bind(from, bytes, self.now).map(|answer| (from, answer.to_vec())),
            Some((to, inner)) => {
                match forwarder.forward(from, to, (1, bytes.len() as u64), self.now) {
                    Ok(forwarded) => {
                        let mut header = [0; 12];
                        write_relayed_header(&mut header, forwarded.sender);
                        Some((forwarded.to, [&header, inner].concat()))
                    }
                    Err(mesh::relay::NotForwarded::UnknownSender) => {
                        Some((from, Forwarder::unbound(to).to_vec()))
                    }
                    Err(_) => None,
                }
            }
        };
        if let Some((to, bytes)) = answer {
            self.fly(at, to, &bytes);
        }
    }

    fn receive(&mut self, index: usize, from: Way, mut bytes: Vec<u8>) {
        let (now, local) = (self.now, self.local(index));
        let node = &mut self.nodes[index];
        let mut merger = Merger::new(true, true);
        let mut notes = Vec::new();
        let len = bytes.len();
        let batch = &mut Batch { buffer: &mut bytes, at: 0..len, size: len, from, ecn: Ecn::Deaf };
        node.plane.arrive(batch, &mut merger, local, |note| notes.push(note));
        merger.finish(&mut bytes, |_, buffer, parts| {
            let packet = &buffer[parts[0].clone()];
            let source = Ipv4Addr::new(packet[12], packet[13], packet[14], packet[15]);
            node.delivered.push((now, source));
            node.heard.push((source, String::from_utf8_lossy(&packet[28..]).into_owned()));
        });
        for note in notes {
            node.mesh.on_note(note, local);
        }
        self.act();
    }
}

impl Node {
    pub(crate) fn ip(&self) -> Ipv4Addr {
        Ipv4Addr::new(10, 0, 0, self.number)
    }

    /// Its address as it knows it.
    fn inside(&self) -> SocketAddr {
        let ip = match self.net {
            Net::Open | Net::Blocked => Ipv4Addr::new(203, 0, 113, self.number),
            Net::FullCone | Net::Easy | Net::Symmetric => Ipv4Addr::new(192, 168, self.number, 2),
        };
        (ip, PORT).into()
    }

    /// Its address as others see it.
    fn outside(&self) -> IpAddr {
        Ipv4Addr::new(203, 0, 113, self.number).into()
    }

    fn translate(&mut self, to: SocketAddr, now: Timestamp) -> SocketAddr {
        if self.net == Net::Open {
            return self.inside();
        }
        let target = (self.net == Net::Symmetric).then_some(to);
        self.mappings.retain(|mapping| now.since(mapping.used_at) < MAPPING_LIFE);
        if !self.mappings.iter().any(|mapping| mapping.target == target) {
            self.next_port += 1;
            let written_to = BTreeSet::new();
            let port = self.next_port;
            self.mappings.push(Mapping { port, target, written_to, used_at: now });
        }
        let found = self.mappings.iter_mut().find(|mapping| mapping.target == target);
        let mapping = found.expect("it was made");
        mapping.written_to.insert(to);
        mapping.used_at = now;
        let port = mapping.port;
        (self.outside(), port).into()
    }

    fn lets_in(&mut self, from: SocketAddr, to: SocketAddr, now: Timestamp) -> bool {
        match self.net {
            Net::Open => to == self.inside(),
            Net::Blocked => false,
            Net::FullCone | Net::Easy | Net::Symmetric => {
                to.ip() == self.outside()
                    && self.mappings.iter_mut().any(|mapping| {
                        let fresh = now.since(mapping.used_at) < MAPPING_LIFE;
                        let known = self.net == Net::FullCone || mapping.written_to.contains(&from);
                        let passes = fresh && mapping.port == to.port() && known;
                        if passes {
                            mapping.used_at = now;
                        }
                        passes
                    })
            }
        }
    }
}

fn private(number: u8) -> PrivateKey {
    PrivateKey::from_bytes([number; 32])
}

fn node_sign(number: u8) -> CallSign {
    CallSign::of_node(&[number; 32])
}

fn relay_sign(number: u8) -> CallSign {
    CallSign::of_node(&[200 + number; 32])
}

fn config(number: u8) -> Config {
    Config {
        private: private(number),
        sign: node_sign(number),
        timing: Timing::default(),
        mtu: MTU_DEFAULT,
        opens_fast: true,
        gate: Gate::Known,
        guard: None,
        inside: vec!["10.0.0.0/24".parse().expect("a block")],
    }
}

fn node(number: u8, net: Net) -> Node {
    Node {
        mesh: Mesh::new(config(number), [number + 100; 32]),
        plane: Arc::default(),
        net,
        number,
        mappings: Vec::new(),
        next_port: 40_000,
        ahead: Duration::ZERO,
        delivered: Vec::new(),
        heard: Vec::new(),
        stopped: 0,
    }
}

fn peer(number: u8, relays: &[CallSign], policy: Policy) -> PeerConfig {
    PeerConfig {
        key: private(number).public(),
        preshared: PresharedKey::default(),
        endpoint: None,
        allowed: vec![format!("10.0.0.{number}/32").parse().expect("a block")],
        keepalive_every: None,
        suite: Suite::Fast,
        contact: Some(Contact {
            sign: node_sign(number),
            relays: relays.to_vec(),
            policy,
            ..Contact::default()
        }),
        cover: mesh::Cover::None,
    }
}
