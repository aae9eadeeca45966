//! What it costs and saves that threads stay awake for a moment: processor time and round trips of questions that are
//! asked so often a second. The mesh is beside itself with threads that sleep at once, tunnels are beside a peer. These
//! rows have no goal.

use std::fmt;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::Result;
use namespaces::Place;

use crate::contest::{Contest, Effort, Sample};
use crate::goals::{Goal, Row, paired};
use crate::mesh_tool::{Ends, MeshTool, Setup, eventually, inner, reaches};
use crate::peers::Peers;
use crate::tunnel_tool::{Tunnel, TunnelTool};
use crate::{load, wire_tool};

/// Questions a second; the last is as soon as the one before is answered.
const PACES: [Option<u32>; 5] = [Some(0), Some(20), Some(1_000), Some(10_000), None];

/// Who carries the questions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Carrier {
    Mesh,
    /// Whose threads sleep at once.
    Asleep,
    Tunnel,
    Rathole,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Pace {
    carrier: Carrier,
    a_second: Option<u32>,
}

impl fmt::Display for Pace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let carrier = match self.carrier {
            Carrier::Mesh => "mesh AES",
            Carrier::Asleep => "mesh AES asleep",
            Carrier::Tunnel => "tunnel TLS leg",
            Carrier::Rathole => "rathole",
        };
        let pace = self.a_second.map_or("at once".to_owned(), |many| format!("{many}/s"));
        f.pad(&format!("{carrier} {pace}"))
    }
}

/// Measures what staying awake costs and saves.
pub fn of_paces(effort: &Effort, known: &Peers, tell: &dyn Fn(&str)) -> Vec<Row> {
    let pairs = [[Carrier::Mesh, Carrier::Asleep], [Carrier::Tunnel, Carrier::Rathole]];
    let all = pairs.as_flattened().iter();
    let paces: Vec<Pace> = all
        .flat_map(|carrier| PACES.map(|a_second| Pace { carrier: *carrier, a_second }))
        .collect();
    let absence = |pace: Pace| match pace.carrier {
        Carrier::Mesh | Carrier::Asleep | Carrier::Tunnel => None,
        Carrier::Rathole => TunnelTool::Rathole.absence(known),
    };
    let measure = |pace| measure(pace, effort.bulk, known);
    let contest = Contest::run(&paces, effort.rounds, absence, measure, tell);
    let busy = |sample: &Sample| sample.idle.map_or(f64::NAN, |[busy, _]| busy);
    let mut rows = Vec::new();
    for (pair, a_second) in pairs.into_iter().flat_map(|pair| PACES.map(|pace| (pair, pace))) {
        let [ours, peer] = pair.map(|carrier| Pace { carrier, a_second });
        let mut row = |what: &str, of: &dyn Fn(&Sample) -> f64| {
            let name = format!("questions over {ours} to {peer}: {what}");
            rows.push(paired(&contest, &name, (ours, peer), of, Goal::None));
        };
        row("CPU % of a core", &busy);
        if a_second != Some(0) {
            row("RTT p50 µs", &|sample| sample.p50);
        }
    }
    rows
}

fn measure(pace: Pace, span: Duration, known: &Peers) -> Result<Sample> {
    let tool = match pace.carrier {
        Carrier::Mesh | Carrier::Asleep => return over_mesh(pace, span, known),
        Carrier::Tunnel => TunnelTool::Tls,
        Carrier::Rathole => TunnelTool::Rathole,
    };
    let rig = wire_tool::triple()?;
    let tunnel = Tunnel::start(&rig, tool, known)?;
    let sample = asked(&rig.at("customer"), tunnel.door, (pace, span), &|| tunnel.cpu());
    tunnel.stop(&rig);
    sample
}

fn over_mesh(pace: Pace, span: Duration, known: &Peers) -> Result<Sample> {
    let rig = wire_tool::pair()?;
    let setup = Setup { sleeps_at_once: pace.carrier == Carrier::Asleep, ..Setup::default() };
    let ends = Ends::start(&rig, [MeshTool::Aes; 2], setup, known)?;
    let (a, target) = (rig.at("a"), ends.target(&rig));
    eventually(|| Ok(reaches(&a, target, 56)))?;
    let server = load::Server::start(&rig.at("b"), inner(1), 0)?;
    let sample = asked(&a, server.address(), (pace, span), &|| ends.cpu());
    server.stop(&rig.at("b"));
    sample
}

fn asked(
    from: &Place<'_>,
    to: SocketAddr,
    (pace, span): (Pace, Duration),
    cpu: &dyn Fn() -> Result<Duration>,
) -> Result<Sample> {
    let (before, begun) = (cpu()?, Instant::now());
    let took = load::ask_at(from, to, pace.a_second, span)?;
    let (used, passed) = (cpu()? - before, begun.elapsed());
    let micros = |share: usize| {
        took.get(took.len() * share / 100).map_or(f64::NAN, |took| took.as_secs_f64() * 1e6)
    };
    let busy = used.as_secs_f64() * 100.0 / passed.as_secs_f64();
    Ok(Sample { p50: micros(50), p99: micros(99), idle: Some([busy, 0.0]), ..Sample::default() })
}
