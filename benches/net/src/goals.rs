//! Goals, and whether they hold: one row each.

use std::fmt;

use crate::contest::{Contest, Effort, Sample, meshes, tunnels};
use crate::mesh_tool::MeshTool;
use crate::peers::Peers;
use crate::tunnel_tool::TunnelTool;

/// A goal, and what was measured.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    pub name: String,
    /// What is ours, and what it is compared with; or why there is nothing to compare with.
    pub ours: f64,
    pub peer: Result<f64, String>,
    /// What has to stay within the goal.
    pub ratio: Option<f64>,
    pub goal: Goal,
}

/// What is wished.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Goal {
    AtMost(f64),
    AtLeast(f64),
    /// Only told.
    None,
}

/// The first line.
const HEAD: &str = "name,ours,peer,ratio,goal,holds";

impl Row {
    /// Something that is measured alone.
    pub fn alone(name: &str, ours: f64, goal: Goal) -> Self {
        Self { name: name.to_owned(), ours, peer: Ok(0.0), ratio: Some(ours), goal }
    }

    /// Something that could not be measured.
    pub fn failed(name: &str, why: &str, goal: Goal) -> Self {
        Self { name: name.to_owned(), ours: f64::NAN, peer: Err(why.to_owned()), ratio: None, goal }
    }

    /// Whether the goal is met; nothing where nothing was measured, or wished.
    pub fn holds(&self) -> Option<bool> {
        match (self.ratio, self.goal) {
            (Some(ratio), Goal::AtMost(most)) => Some(ratio <= most),
            (Some(ratio), Goal::AtLeast(least)) => Some(ratio >= least),
            (Some(_), Goal::None) | (None, _) => None,
        }
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number =
            |value: f64| if value.is_nan() { String::new() } else { format!("{value:.2}") };
        let peer = match &self.peer {
            Ok(value) if *value == 0.0 => String::new(),
            Ok(value) => number(*value),
            Err(why) => format!("absent: {}", why.replace([',', '\n'], ";")),
        };
        let ratio = self.ratio.map_or_else(String::new, |ratio| format!("{ratio:.3}"));
        let goal = match self.goal {
            Goal::AtMost(most) => format!("<= {most}"),
            Goal::AtLeast(least) => format!(">= {least}"),
            Goal::None => "none".to_owned(),
        };
        let holds = match (self.holds(), self.ratio) {
            (Some(true), _) => "yes",
            (Some(false), _) => "no",
            (None, None) => "absent",
            (None, Some(_)) => "",
        };
        write!(f, "{},{},{peer},{ratio},{goal},{holds}", self.name, number(self.ours))
    }
}

/// All rows as text.
pub fn table(rows: &[Row]) -> String {
    std::iter::once(HEAD.to_owned())
        .chain(rows.iter().map(ToString::to_string))
        .collect::<Vec<_>>()
        .join("\n")
}

/// Measures the mesh beside its peers.
pub fn of_meshes(effort: &Effort, known: &Peers, tell: &dyn Fn(&str)) -> Vec<Row> {
    let contest = meshes(effort, known, tell);
    let (chacha, aes, bare) = (MeshTool::ChaCha, MeshTool::Aes, MeshTool::Bare);
    let cpu = |name, ours, peer, most| {
        paired(&contest, name, (ours, peer), Sample::cpu, Goal::AtMost(most))
    };
    let mut rows = vec![
        cpu("mesh ChaCha CPU-s/GB to boringtun", chacha, MeshTool::Boringtun, 0.40),
        cpu("mesh ChaCha CPU-s/GB to gotatun", chacha, MeshTool::Gotatun, 0.40),
        cpu("mesh ChaCha CPU-s/GB to wireguard-go (2022)", chacha, MeshTool::WireguardGo, 0.65),
        cpu("mesh AES CPU-s/GB to boringtun", aes, MeshTool::Boringtun, 0.25),
    ];
    for (name, ours) in [("mesh ChaCha", chacha), ("mesh AES", aes)] {
        rows.extend(added(&contest, name, ours, bare));
    }
    rows
}

/// Measures tunnels beside their peers.
pub fn of_tunnels(effort: &Effort, known: &Peers, tell: &dyn Fn(&str)) -> Vec<Row> {
    let contest = tunnels(effort, known, tell);
    let (tls, plain, rathole) = (TunnelTool::Tls, TunnelTool::Plain, TunnelTool::Rathole);
    let cpu = |name, ours, peer, most| {
        paired(&contest, name, (ours, peer), Sample::cpu, Goal::AtMost(most))
    };
    let rate = |sample: &Sample| sample.short.map_or(f64::NAN, |(rate, _)| rate);
    let each = |sample: &Sample| sample.short.map_or(f64::NAN, |(_, each)| each);
    let short = "tunnel short connections encrypted";
    let mut rows = vec![
        cpu("tunnel plain leg CPU-s/GB to rathole", plain, rathole, 0.45),
        cpu("tunnel TLS leg CPU-s/GB to rathole", tls, rathole, 1.0),
        cpu("tunnel TLS leg CPU-s/GB to rathole-noise", tls, TunnelTool::RatholeNoise, 0.5),
        cpu("tunnel plain leg CPU-s/GB to bore", plain, TunnelTool::Bore, 1.0),
        paired(
            &contest,
            "tunnel TLS leg CPU-s/GB to OpenSSH",
            (tls, TunnelTool::Ssh),
            Sample::cpu,
            Goal::None,
        ),
        paired(
            &contest,
            &format!("{short} a second to rathole"),
            (tls, rathole),
            rate,
            Goal::AtLeast(1.0),
        ),
        paired(
            &contest,
            &format!("{short} CPU µs each to rathole"),
            (tls, rathole),
            each,
            Goal::AtMost(1.2),
        ),
    ];
    rows.extend(added(&contest, "tunnel", tls, TunnelTool::Bare));
    rows
}

/// The median of a ratio within rounds.
pub(crate) fn paired<T: Copy + Ord>(
    contest: &Contest<T>,
    name: &str,
    (ours, peer): (T, T),
    of: impl Fn(&Sample) -> f64,
    goal: Goal,
) -> Row {
    if let Some(why) = contest.absent.get(&peer) {
        let mine = contest
            .samples
            .iter()
            .filter(|((_, tool), _)| *tool == ours)
            .map(|(_, sample)| of(sample));
        return Row { ours: median(mine.collect()), ..Row::failed(name, why, goal) };
    }
    let pairs: Vec<(f64, f64)> = contest
        .samples
        .iter()
        .filter(|((_, tool), _)| *tool == ours)
        .filter_map(|((round, _), mine)| {
            Some((of(mine), of(contest.samples.get(&(*round, peer))?)))
        })
        .collect();
    if pairs.is_empty() {
        return Row::failed(name, "no round had both", goal);
    }
    let ratio = median(pairs.iter().map(|(mine, theirs)| mine / theirs).collect());
    let mine = median(pairs.iter().map(|(mine, _)| *mine).collect());
    let theirs = median(pairs.iter().map(|(_, theirs)| *theirs).collect());
    Row { name: name.to_owned(), ours: mine, peer: Ok(theirs), ratio: Some(ratio), goal }
}

/// What the best round added to the best of the bare wire: only the least is free of what else the machine does.
fn added<T: Copy + Ord>(contest: &Contest<T>, name: &str, ours: T, bare: T) -> [Row; 2] {
    let best = |tool: T, of: fn(&Sample) -> f64| {
        let all = contest
            .samples
            .iter()
            .filter(|((_, other), _)| *other == tool)
            .map(|(_, sample)| of(sample));
        all.fold(f64::NAN, f64::min)
    };
    let p50: fn(&Sample) -> f64 = |sample| sample.p50;
    let p99: fn(&Sample) -> f64 = |sample| sample.p99;
    [("p50", p50, 30.0), ("p99", p99, 70.0)].map(|(what, of, most)| {
        let (mine, wire) = (best(ours, of), best(bare, of));
        let ratio = Some(mine - wire).filter(|added| !added.is_nan());
        let name = format!("{name} RTT {what} added µs");
        Row { name, ours: mine, peer: Ok(wire), ratio, goal: Goal::AtMost(most) }
    })
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => f64::NAN,
        many if many % 2 == 1 => values[many / 2],
        many => f64::midpoint(values[many / 2 - 1], values[many / 2]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(ratio: Option<f64>, goal: Goal, expected: Option<bool>) {
        let row = Row { ratio, ..Row::alone("x", 1.0, goal) };
        assert_eq!(row.holds(), expected);
    }

    #[test]
    fn a_goal_holds_up_to_itself_and_what_is_absent_holds_nothing() {
        holds(Some(0.4), Goal::AtMost(0.4), Some(true));
        holds(Some(0.41), Goal::AtMost(0.4), Some(false));
        holds(Some(1.0), Goal::AtLeast(1.0), Some(true));
        holds(Some(0.99), Goal::AtLeast(1.0), Some(false));
        holds(None, Goal::AtMost(1.0), None);
        holds(Some(1.0), Goal::None, None);
    }

    #[test]
    fn a_row_has_six_fields_whatever_is_said_in_it() {
        let failed = Row::failed("mesh", "rathole, of 2023,\ndid not build", Goal::AtMost(0.4));
        assert_eq!(
            failed.to_string(),
            "mesh,,absent: rathole; of 2023;;did not build,,<= 0.4,absent"
        );
        let rows = [failed, Row::alone("memory MB", 12.345, Goal::AtMost(30.0))];
        assert!(table(&rows).lines().all(|line| line.split(',').count() == 6));
        assert!(table(&rows).ends_with("memory MB,12.35,,12.345,<= 30,yes"));
        assert_eq!(Row::alone("told", 2.0, Goal::None).to_string(), "told,2.00,,2.000,none,");
    }

    #[test]
    fn the_median_is_the_middle_or_between_the_two_in_the_middle() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]), 2.5);
        assert!(median(vec![]).is_nan());
    }

    #[test]
    fn only_rounds_that_have_both_are_compared() {
        let sample = |cpu| Sample { cpu: [cpu, cpu], ..Sample::default() };
        let mut contest = Contest { samples: [].into(), absent: [].into() };
        for (round, tool, cpu) in
            [(0, 'a', 1.0), (0, 'b', 2.0), (1, 'a', 9.0), (2, 'a', 3.0), (2, 'b', 4.0)]
        {
            contest.samples.insert((round, tool), sample(cpu));
        }
        let row = paired(&contest, "x", ('a', 'b'), Sample::cpu, Goal::AtMost(1.0));
        assert_eq!((row.ratio, row.ours, row.peer), (Some(0.625), 2.0, Ok(3.0)));
    }
}
