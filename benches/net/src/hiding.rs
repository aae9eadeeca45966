//! What hiding costs: padding, decoys, a constant rate, and members that hand on, each beside two nodes of ours that
//! hide nothing on the same wire. These rows have no goal.
//!
//! All members run as programs of their own, so that what hops take counts; the relay only lets them meet.

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use mesh::relay::{Allowance, PortKey, RelayConfig};
use mesh::{CallSign, Contact, Cover, WayKind};
use mesh_shell::{Config, Engine, UdpRelay};
use namespaces::{Nat, Node, Peer, Plan, Rig};
use units::MeshId;

use crate::contest::{Carry, Contest, Effort, Sample};
use crate::goals::{Goal, Row, paired};
use crate::lab::{self, ip, node_sign, relay_sign};
use crate::load;
use crate::mesh_tool::{eventually, reaches};
use crate::role::Role;

/// What joins all others: it has several addresses, and a relay answers from one.
const ROUTER: &str = "router";
const RELAY: &str = "relay";
const RELAY_PORT: u16 = 3_478;
/// The two that talk come first.
const MEMBERS: [&str; 4] = ["a", "b", "h", "i"];
/// Which of them hands on; the second only on the way from `a` to the first.
const HOPS: [usize; 2] = [2, 3];
const PATIENCE: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// How long a node is watched that only keeps its beat; less than level 3 goes on after the last word.
const IDLE: Duration = Duration::from_secs(3);

/// What an onlooker is kept from learning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Hiding {
    Nothing,
    Size,
    Decoys,
    /// For control traffic: nothing is measured of its bulk.
    Rate,
    OneHop,
    TwoHops,
}

impl Hiding {
    const ALL: [Self; 6] =
        [Self::Nothing, Self::Size, Self::Decoys, Self::Rate, Self::OneHop, Self::TwoHops];

    /// As the command line of a role has it.
    pub(crate) fn number(self) -> usize {
        Self::ALL.iter().position(|hiding| *hiding == self).expect("all are in it")
    }

    /// The other way round.
    pub(crate) fn from_number(number: usize) -> Result<Self> {
        Self::ALL.get(number).copied().with_context(|| format!("know way {number} to hide"))
    }

    const fn cover(self) -> Cover {
        match self {
            Self::Nothing | Self::OneHop | Self::TwoHops => Cover::None,
            Self::Size => Cover::Size,
            Self::Decoys => Cover::Decoys,
            Self::Rate => Cover::Rate,
        }
    }

    const fn hops(self) -> usize {
        match self {
            Self::Nothing | Self::Size | Self::Decoys | Self::Rate => 0,
            Self::OneHop => 1,
            Self::TwoHops => 2,
        }
    }

    /// Whose packets between them go through whom: the way to a hop may itself lead over one.
    fn handed_on(self) -> Vec<([usize; 2], usize)> {
        let all = [([0, 1], HOPS[0]), ([0, HOPS[0]], HOPS[1])];
        all.into_iter().take(self.hops()).collect()
    }
}

impl fmt::Display for Hiding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Nothing => "no cover",
            Self::Size => "cover 1",
            Self::Decoys => "cover 2",
            Self::Rate => "cover 3",
            Self::OneHop => "one hop",
            Self::TwoHops => "two hops",
        })
    }
}

/// A member, as it is started: its number, how all hide, where the relay is, and what lets it in there.
#[derive(Clone, Debug)]
pub struct Member {
    pub number: usize,
    pub hiding: Hiding,
    pub relay: SocketAddr,
    pub key: [u8; 32],
    /// Where somebody asks it what it has sent: by a file whose name is the next number.
    pub asked: PathBuf,
}

impl Member {
    fn config(&self) -> Result<Config> {
        let many = 2 + self.hiding.hops();
        let mut config = lab::config(self.number, many, &[relay_sign(0)])?;
        for peer in &mut config.peers {
            peer.cover = self.hiding.cover();
            let contact = peer.contact.as_mut().context("know how it is found")?;
            for (ends, hop) in self.hiding.handed_on() {
                shape(contact, self.number, ends, hop);
            }
        }
        Ok(config)
    }

    /// Starts it, and answers what it is asked until it fails.
    pub(crate) fn serve(&self, say: impl Fn(&str) -> Result<()>) -> Result<()> {
        let engine = Engine::start(self.config()?)?;
        engine.set_relays(vec![RelayConfig {
            sign: relay_sign(0),
            ports: vec![self.relay],
            key: PortKey::from_bytes(self.key),
            stream: false,
        }])?;
        say("ready")?;
        let mut question = 0;
        while !engine.has_failed() {
            if asking(&self.asked, question).exists() {
                say(&format!("answer {question}: {}", tally(&engine)?))?;
                question += 1;
            }
            std::thread::sleep(LOOK_EVERY);
        }
        engine.stop()
    }
}

fn asking(folder: &Path, question: usize) -> PathBuf {
    folder.join(question.to_string())
}

/// What one member is told of another, if packets between two `ends` go through `hop`.
fn shape(contact: &mut Contact, us: usize, ends: [usize; 2], hop: usize) {
    let is_end = |sign: &CallSign| ends.iter().any(|end| node_sign(*end) == *sign);
    if us == hop && is_end(&contact.sign) {
        let others = ends.iter().map(|end| node_sign(*end)).filter(|sign| *sign != contact.sign);
        contact.carries.extend(others);
    } else if ends.contains(&us) && is_end(&contact.sign) {
        contact.via = Some([node_sign(hop)].into());
    }
}

/// What members have sent so far.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    /// Bytes of datagrams that left a machine. What goes over a hop is counted once, as the hop gets it.
    sent: f64,
    /// Those of them that only hide others.
    cover: f64,
    /// Peers that are reached over the relay.
    relayed: f64,
}

/// What one member has sent: three numbers.
fn tally(engine: &Engine) -> Result<String> {
    let (mut sent, mut cover, mut relayed) = (0, 0, 0);
    for peer in engine.peers()? {
        let carried = peer.link.carried();
        cover += carried.overhead.padding + carried.overhead.decoys_sent.1;
        match peer.way.map(|way| way.kind()) {
            Some(WayKind::Hop) => {}
            Some(WayKind::Relayed | WayKind::Stream) => relayed += 1,
            Some(WayKind::Direct) | None => sent += carried.sent.1,
        }
    }
    Ok(format!("{sent} {cover} {relayed}"))
}

/// Members that run. They end before the rig does.
#[derive(Debug)]
struct Mesh {
    members: Vec<(Peer, PathBuf)>,
    questions: usize,
    _relay: UdpRelay,
    rig: Rig,
}

impl Mesh {
    fn start(hiding: Hiding) -> Result<Self> {
        let names = &MEMBERS[..2 + hiding.hops()];
        let mut nodes = vec![Node::router(ROUTER, Nat::None), Node::host(RELAY).behind(ROUTER)];
        nodes.extend(names.iter().map(|name| Node::host(name).behind(ROUTER)));
        let rig = Rig::build(&Plan::v4(nodes))?;
        let place = rig.at(RELAY);
        let relay = place.run(|| UdpRelay::start(RELAY_PORT)).context("start a relay")?;
        let at = SocketAddr::from((place.v4(), RELAY_PORT));
        let mut members = Vec::new();
        for (number, name) in names.iter().enumerate() {
            let allowance =
                Allowance { meshes: [MeshId::from_bits(1)].into(), bytes_per_second: 1 << 30 };
            let key = relay.admit(&[lab::number(number); 32], allowance)?;
            let asked = rig.new_file(&format!("asked-{name}"))?;
            std::fs::create_dir_all(&asked).context("make a folder")?;
            let folder = asked.clone();
            let member = Member { number, hiding, relay: at, key: *key.bytes(), asked };
            let mut peer = rig.at(name).start("member", Role::Member(member).command()?)?;
            peer.line_with("ready", PATIENCE)?;
            members.push((peer, folder));
        }
        let mesh = Self { members, questions: 0, _relay: relay, rig };
        eventually(|| Ok(reaches(&mesh.rig.at("a"), ip(1), 56))).context("meet")?;
        Ok(mesh)
    }

    fn cpu(&self) -> Result<Duration> {
        self.members.iter().map(|(peer, _)| peer.cpu()).sum()
    }

    /// What all have sent so far.
    fn sent(&mut self) -> Result<Tally> {
        let (question, mut all) = (self.questions, Tally::default());
        self.questions += 1;
        for (peer, folder) in &mut self.members {
            std::fs::write(asking(folder, question), []).context("ask a member")?;
            let line = peer.line_with(&format!("answer {question}: "), PATIENCE)?;
            let (_, numbers) = line.split_once(": ").context("find numbers")?;
            let numbers: Vec<f64> =
                numbers.split(' ').filter_map(|number| number.parse().ok()).collect();
            let [sent, cover, relayed] = numbers[..] else { bail!("read `{line}`") };
            all.sent += sent;
            all.cover += cover;
            all.relayed += relayed;
        }
        Ok(all)
    }

    /// Processor seconds and bytes of all, of what happens.
    fn spent<T>(&mut self, happens: impl FnOnce(&Rig) -> Result<T>) -> Result<Spent<T>> {
        let (sent, cpu) = (self.sent()?, self.cpu()?);
        let done = happens(&self.rig)?;
        let cpu = (self.cpu()? - cpu).as_secs_f64();
        let after = self.sent()?;
        Ok(Spent { cpu, sent: [after.sent - sent.sent, after.cover - sent.cover], done })
    }
}

/// What something took, and what came of it.
#[derive(Debug)]
struct Spent<T> {
    cpu: f64,
    /// Bytes, and those of them that only hide others.
    sent: [f64; 2],
    done: T,
}

/// Bulk both ways and questions, or what level 3 is for: next to nothing.
fn measure(hiding: Hiding, effort: &Effort) -> Result<Sample> {
    let mut mesh = Mesh::start(hiding)?;
    let server = load::Server::start(&mesh.rig.at("b"), ip(1), 0)?;
    let sample = measured(&mut mesh, server.address(), hiding, effort);
    server.stop(&mesh.rig.at("b"));
    sample
}

fn measured(mesh: &mut Mesh, to: SocketAddr, hiding: Hiding, effort: &Effort) -> Result<Sample> {
    let mut sample = Sample::default();
    settle(mesh, to)?;
    let idle = mesh.spent(|_| {
        let begun = Instant::now();
        std::thread::sleep(IDLE);
        Ok(begun.elapsed().as_secs_f64())
    })?;
    let nodes = 2.0 * idle.done;
    sample.idle = Some([idle.cpu * 100.0 / nodes, idle.sent[0] / nodes]);
    if hiding == Hiding::Rate {
        return Ok(sample);
    }
    let took = load::ask(&mesh.rig.at("a"), to, effort.questions)?;
    let micros = |share: usize| took[took.len() * share / 100].as_secs_f64() * 1e6;
    (sample.p50, sample.p99) = (micros(50), micros(99));
    let (mut bytes, mut sent) = (0.0, [0.0; 2]);
    let ways: [Carry; 2] = [load::up, load::down];
    for (way, carry) in ways.iter().enumerate() {
        let bulk = mesh.spent(|rig| Ok(carry(&rig.at("a"), to, effort.bulk)? as f64))?;
        ensure!(bulk.done > 0.0, "carry something");
        sample.cpu[way] = bulk.cpu / (bulk.done / 1e9);
        sample.rate[way] = bulk.done * 8e-9 / effort.bulk.as_secs_f64();
        bytes += bulk.done;
        sent = [sent[0] + bulk.sent[0], sent[1] + bulk.sent[1]];
    }
    sample.sent = Some(sent.map(|some| some / bytes));
    Ok(sample)
}

/// They talk until nothing goes over the relay any more: what is measured finds all ways as they stay.
fn settle(mesh: &mut Mesh, to: SocketAddr) -> Result<()> {
    let until = Instant::now() + PATIENCE;
    while Instant::now() < until {
        load::ask(&mesh.rig.at("a"), to, 50)?;
        if mesh.sent()?.relayed == 0.0 {
            return Ok(());
        }
    }
    bail!("find ways without the relay")
}

/// Measures what hiding costs.
pub fn of_hiding(effort: &Effort, tell: &dyn Fn(&str)) -> Vec<Row> {
    let measure = |hiding| measure(hiding, effort);
    let contest = Contest::run(&Hiding::ALL, effort.rounds, |_| None, measure, tell);
    let sent = |sample: &Sample| sample.sent.map_or(f64::NAN, |[sent, _]| sent);
    let mut rows = Vec::new();
    for hiding in [Hiding::Size, Hiding::Decoys, Hiding::OneHop, Hiding::TwoHops] {
        let pair = (hiding, Hiding::Nothing);
        let name = |what: &str| format!("mesh AES {hiding} {what} to none");
        rows.push(paired(&contest, &name("CPU-s/GB"), pair, Sample::cpu, Goal::None));
        rows.push(paired(&contest, &name("bytes sent for a byte"), pair, sent, Goal::None));
    }
    let idle =
        |at: usize| move |sample: &Sample| sample.idle.map_or(f64::NAN, |idle: [f64; 2]| idle[at]);
    for (at, what) in ["CPU % of a core", "bytes/s"].into_iter().enumerate() {
        let name = format!("mesh AES cover 3 idle {what} a node to none");
        let row = paired(&contest, &name, (Hiding::Rate, Hiding::Nothing), idle(at), Goal::None);
        // Without cover it may be nothing, of which nothing is a multiple: what is ours counts.
        rows.push(Row { ratio: row.ratio.map(|_| row.ours), ..row });
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(number: usize, hiding: Hiding) -> Config {
        let relay = SocketAddr::from(([127, 0, 0, 1], 1));
        let member = Member { number, hiding, relay, key: [0; 32], asked: PathBuf::new() };
        member.config().expect("it is a configuration")
    }

    fn check(hiding: Hiding, us: usize, via: &[(usize, usize)], carries: &[(usize, usize)]) {
        for peer in member(us, hiding).peers {
            let contact = peer.contact.expect("all are found by their call signs");
            let told = |all: &[(usize, usize)]| -> Vec<CallSign> {
                let of_peer = all.iter().filter(|(of, _)| node_sign(*of) == contact.sign);
                of_peer.map(|(_, other)| node_sign(*other)).collect()
            };
            let hops: Vec<CallSign> = contact.via.into_iter().flatten().collect();
            assert_eq!(hops, told(via), "{hiding} {us}");
            let carried: Vec<CallSign> = contact.carries.into_iter().collect();
            assert_eq!(carried, told(carries), "{hiding} {us}");
        }
    }

    #[test]
    fn both_ends_and_the_hop_are_told_of_it_and_a_way_to_a_hop_may_lead_over_another() {
        check(Hiding::Nothing, 0, &[], &[]);
        check(Hiding::OneHop, 0, &[(1, 2)], &[]);
        check(Hiding::OneHop, 1, &[(0, 2)], &[]);
        check(Hiding::OneHop, 2, &[], &[(0, 1), (1, 0)]);
        check(Hiding::TwoHops, 0, &[(1, 2), (2, 3)], &[]);
        check(Hiding::TwoHops, 1, &[(0, 2)], &[]);
        check(Hiding::TwoHops, 2, &[(0, 3)], &[(0, 1), (1, 0)]);
        check(Hiding::TwoHops, 3, &[], &[(0, 2), (2, 0)]);
    }

    #[test]
    fn each_way_to_hide_has_its_level_and_a_number_of_its_own() {
        for (number, hiding) in Hiding::ALL.into_iter().enumerate() {
            assert_eq!(hiding.number(), number);
            assert!(matches!(Hiding::from_number(number), Ok(same) if same == hiding));
        }
        assert!(Hiding::from_number(Hiding::ALL.len()).is_err());
        let covers = |hiding| member(0, hiding).peers[0].cover;
        assert_eq!(covers(Hiding::Rate), Cover::Rate);
        assert_eq!(covers(Hiding::OneHop), Cover::None);
    }
}
