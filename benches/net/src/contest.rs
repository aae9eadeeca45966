//! Rounds: every tool in turn, each started afresh, in another order each time, so that none always comes after the
//! same one.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Result;
use namespaces::Place;

use crate::load::{ask, down, short, up};
use crate::mesh_tool::{Ends, MeshTool, Setup, eventually, inner, reaches};
use crate::peers::Peers;
use crate::tunnel_tool::{Tunnel, TunnelTool};
use crate::{load, wire_tool};

/// How much is measured.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    pub rounds: usize,
    /// How long bulk goes each way.
    pub bulk: Duration,
    /// Questions and answers at once; they are asked before and after bulk, and the best time counts.
    pub questions: usize,
    /// How long short connections are made.
    pub short: Duration,
    /// Idle tunnels at one relay.
    pub crowd: u32,
    /// Nodes of the storm, and for how long.
    pub storm: (usize, Duration),
}

impl Effort {
    /// For a table that is kept.
    pub const FULL: Self = Self {
        rounds: 5,
        bulk: Duration::from_secs(3),
        questions: 1_500,
        short: Duration::from_secs(2),
        crowd: 10_000,
        storm: (24, Duration::from_secs(600)),
    };
    /// For less than four minutes, once peers are built.
    pub const QUICK: Self = Self {
        rounds: 2,
        bulk: Duration::from_millis(1_500),
        questions: 800,
        short: Duration::from_millis(1_000),
        crowd: 2_000,
        storm: (8, Duration::from_secs(20)),
    };
}

/// What one tool came to in one round.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sample {
    /// CPU seconds of the tool's processes at all ends for a gigabyte (10⁹ bytes), up and down.
    pub(crate) cpu: [f64; 2],
    /// Gbit a second.
    pub(crate) rate: [f64; 2],
    /// Microseconds there and back.
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    pub(crate) resident_mib: f64,
    /// Short connections a second, and microseconds of processor time for one.
    pub(crate) short: Option<(f64, f64)>,
    /// Bytes sent for each that was carried, and of those what only hides others.
    pub(crate) sent: Option<[f64; 2]>,
    /// Percent of a core and bytes a second, of a node with nothing to say.
    pub(crate) idle: Option<[f64; 2]>,
}

impl Sample {
    /// Of both directions alike.
    pub(crate) fn cpu(&self) -> f64 {
        f64::midpoint(self.cpu[0], self.cpu[1])
    }
}

/// All samples, by round and tool, and why tools are absent.
#[derive(Debug)]
pub(crate) struct Contest<T> {
    pub(crate) samples: BTreeMap<(usize, T), Sample>,
    pub(crate) absent: BTreeMap<T, String>,
}

impl<T: Copy + Ord + Display> Contest<T> {
    /// Measures all tools that are there.
    pub(crate) fn run(
        tools: &[T],
        rounds: usize,
        absence: impl Fn(T) -> Option<String>,
        measure: impl Fn(T) -> Result<Sample>,
        tell: &dyn Fn(&str),
    ) -> Self {
        let mut contest = Self { samples: BTreeMap::new(), absent: BTreeMap::new() };
        for tool in tools {
            if let Some(why) = absence(*tool) {
                contest.absent.insert(*tool, why);
            }
        }
        for round in 0..rounds {
            for place in 0..tools.len() {
                let tool = tools[(place + round) % tools.len()];
                if contest.absent.contains_key(&tool) {
                    continue;
                }
                match measure(tool) {
                    Ok(sample) => {
                        tell(&line(round, &tool, &sample));
                        contest.samples.insert((round, tool), sample);
                    }
                    Err(fault) => tell(&format!("round {round}: {tool} failed: {fault:#}")),
                }
            }
        }
        contest
    }
}

fn line(round: usize, tool: &dyn Display, sample: &Sample) -> String {
    let Sample { cpu, rate, p50, p99, resident_mib, short, sent, idle } = sample;
    let short = short
        .map_or_else(String::new, |(rate, cpu)| format!(", short {rate:.0}/s {cpu:.0} µs CPU"));
    let sent = sent.map_or_else(String::new, |[sent, cover]| {
        format!(", sent {sent:.3} for each byte, of them cover {cover:.3}")
    });
    let idle = idle.map_or_else(String::new, |[cpu, bytes]| {
        format!(", idle {cpu:.2} % of a core, {bytes:.0} bytes/s")
    });
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().unwrap_or_default();
    format!(
        "round {round} {tool:13} CPU-s/GB {:.2} {:.2}, Gbit/s {:.2} {:.2}, RTT p50 {p50:.1} p99 {p99:.1} µs, \
         {resident_mib:.1} MiB{short}{sent}{idle}, load {load}",
        cpu[0], cpu[1], rate[0], rate[1]
    )
}

/// Sends or takes for a while, and says how many bytes it was.
pub(crate) type Carry = fn(&Place<'_>, SocketAddr, Duration) -> Result<u64>;

/// Bulk and questions from one place to an address; `cpu` is what the tool has used so far.
fn carried(
    from: &Place<'_>,
    to: SocketAddr,
    effort: &Effort,
    cpu: &dyn Fn() -> Result<Duration>,
) -> Result<Sample> {
    let mut sample = Sample { p50: f64::INFINITY, p99: f64::INFINITY, ..Sample::default() };
    let questions = |sample: &mut Sample| -> Result<()> {
        let took = ask(from, to, effort.questions)?;
        let micros = |share: usize| took[took.len() * share / 100].as_secs_f64() * 1e6;
        sample.p50 = sample.p50.min(micros(50));
        sample.p99 = sample.p99.min(micros(99));
        Ok(())
    };
    questions(&mut sample)?;
    // Streams that carried much move to connections of their own, which are there from the second on.
    up(from, to, effort.bulk / 10)?;
    let ways: [Carry; 2] = [up, down];
    for (way, carry) in ways.iter().enumerate() {
        let before = cpu()?;
        let bytes = carry(from, to, effort.bulk)? as f64;
        let used = (cpu()? - before).as_secs_f64();
        sample.cpu[way] = used / (bytes / 1e9);
        sample.rate[way] = bytes * 8e-9 / effort.bulk.as_secs_f64();
    }
    questions(&mut sample)?;
    Ok(sample)
}

/// The mesh and its peers.
pub(crate) fn meshes(effort: &Effort, known: &Peers, tell: &dyn Fn(&str)) -> Contest<MeshTool> {
    let measure = |tool| {
        let rig = wire_tool::pair()?;
        let ends = Ends::start(&rig, [tool, tool], Setup::default(), known)?;
        let (a, target) = (rig.at("a"), ends.target(&rig));
        eventually(|| Ok(reaches(&a, target, 56)))?;
        let address = if tool == MeshTool::Bare { target } else { inner(1) };
        let server = load::Server::start(&rig.at("b"), address, 0)?;
        let sample = carried(&a, server.address(), effort, &|| ends.cpu());
        server.stop(&rig.at("b"));
        Ok(Sample { resident_mib: ends.resident_kib()? as f64 / 1024.0, ..sample? })
    };
    Contest::run(&MeshTool::ALL, effort.rounds, |tool| tool.absence(known), measure, tell)
}

/// Tunnels and their peers.
pub(crate) fn tunnels(effort: &Effort, known: &Peers, tell: &dyn Fn(&str)) -> Contest<TunnelTool> {
    let measure = |tool| {
        let rig = wire_tool::triple()?;
        let tunnel = Tunnel::start(&rig, tool, known)?;
        let customer = rig.at("customer");
        let sample = measured(&customer, &tunnel, effort);
        let resident_kib = tunnel.resident_kib();
        tunnel.stop(&rig);
        Ok(Sample { resident_mib: resident_kib? as f64 / 1024.0, ..sample? })
    };
    Contest::run(&TunnelTool::ALL, effort.rounds, |tool| tool.absence(known), measure, tell)
}

fn measured(customer: &Place<'_>, tunnel: &Tunnel, effort: &Effort) -> Result<Sample> {
    let mut sample = carried(customer, tunnel.door, effort, &|| tunnel.cpu())?;
    let before = tunnel.cpu()?;
    let count = short(customer, tunnel.door, effort.short)? as f64;
    let used = (tunnel.cpu()? - before).as_secs_f64();
    sample.short = Some((count / effort.short.as_secs_f64(), used * 1e6 / count));
    Ok(sample)
}
