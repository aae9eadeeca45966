//! What `/proc` says of processes on cards, and of the processor's load.

use std::fs;
use std::path::PathBuf;
use std::time::Instant;

use proofs::lock::{
    Footprint as Known, NodeRef, Owner, Process, Seen, Systems, classify, groups_of,
};

use crate::probe::Occupant;
use crate::runtime::footprint::{Footprint, namespace_of, started};

/// Ticks of a second in what `/proc` says of processes: on every Linux that runs drivers of cards.
const TICKS_PER_SECOND: u64 = 100;

fn text(path: impl AsRef<std::path::Path>) -> String {
    fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
}

/// Tells whose processes are.
#[derive(Debug)]
pub(super) struct Sorter {
    systems: Systems,
    agent: u32,
    /// The agent's view of the disks.
    disks: Option<PathBuf>,
}

fn disks_of(pid: u32) -> Option<PathBuf> {
    fs::read_link(format!("/proc/{pid}/ns/mnt")).ok()
}

fn node_of(footprint: &Footprint) -> NodeRef {
    NodeRef { rental: footprint.key.rental, node: footprint.key.node }
}

/// What the brain is told of a node.
fn known(footprint: &Footprint) -> Known {
    Known {
        node: node_of(footprint),
        groups: footprint.groups.clone(),
        namespace: footprint.namespace,
    }
}

impl Sorter {
    pub(super) fn new() -> Self {
        let agent = std::process::id();
        Self { systems: Systems::default(), agent, disks: disks_of(agent) }
    }

    /// What there is to know of a process on a card.
    pub(super) fn sort(&self, occupant: Occupant, nodes: &[Footprint]) -> Process {
        let pid = occupant.pid;
        let began = started(pid);
        let groups = groups_of(&text(format!("/proc/{pid}/cgroup")));
        let place = groups.iter().map(|(_, path)| path).max_by_key(|path| path.len());
        let same_disks = self.disks.is_some() && disks_of(pid) == self.disks;
        let program = fs::read_link(format!("/proc/{pid}/exe")).ok().filter(|_| same_disks);
        let program = program.map(|path| path.to_string_lossy().into_owned());
        let name = text(format!("/proc/{pid}/comm")).trim_end().to_owned();
        let mut process = Process {
            pid,
            started: began.unwrap_or(0),
            name,
            program: program.clone().unwrap_or_default(),
            place: place.cloned().unwrap_or_default(),
            owner: Owner::Foreign,
            memory_mib: occupant.memory_mib,
        };
        // A number that the kernel does not show may be anybody's in another container.
        if began.is_some() {
            // What the kernel says of a process cannot be feigned, and a mark can.
            let by_mark = |node: &&Footprint| node.groups.is_empty() && node.namespace.is_none();
            let marked = nodes.iter().filter(by_mark).find(|node| node.marks(pid)).map(node_of);
            let seen = Seen { pid, groups, namespace: namespace_of(pid), program, marked };
            let nodes: Vec<Known> = nodes.iter().map(known).collect();
            process.owner = classify(&seen, &nodes, &self.systems, self.agent);
        }
        process
    }
}

/// Busy and all ticks of all processors, and how many processors there are.
fn machine_ticks(stat: &str) -> Option<(u64, u64, u64)> {
    let fields = stat.lines().next()?.strip_prefix("cpu ")?;
    let ticks: Vec<u64> = fields.split_ascii_whitespace().flat_map(str::parse).take(8).collect();
    let all: u64 = ticks.iter().sum();
    let idle = ticks.get(3)? + ticks.get(4)?;
    let is_one = |line: &&str| line.starts_with("cpu") && !line.starts_with("cpu ");
    let processors = stat.lines().filter(is_one).count();
    Some((all - idle, all, u64::try_from(processors).ok()?.max(1)))
}

/// Microseconds of processor time that a process took, from its `/proc/<pid>/stat`.
fn process_micros(stat: &str) -> u64 {
    let Some((_, tail)) = stat.rsplit_once(')') else { return 0 };
    let ticks = tail.split_ascii_whitespace().skip(11).take(2).flat_map(str::parse::<u64>);
    ticks.sum::<u64>() * (1_000_000 / TICKS_PER_SECOND)
}

/// Microseconds of processor time that a node's group took; `None` where it has none.
fn node_micros(node: &Footprint) -> Option<u64> {
    let told = node.folders.iter().find_map(|folder| {
        let usage = text(folder.join("cpu.stat"));
        let micros = usage.lines().find_map(|line| line.strip_prefix("usage_usec "));
        let nanos = || text(folder.join("cpuacct.usage")).trim().parse::<u64>().ok();
        micros.and_then(|text| text.parse().ok()).or_else(|| nanos().map(|nanos| nanos / 1_000))
    });
    told.or_else(|| {
        let procs = text(node.folders.first()?.join("cgroup.procs"));
        Some(procs.lines().map(|pid| process_micros(&text(format!("/proc/{pid}/stat")))).sum())
    })
}

/// How busy the processor is, from one look to the next.
#[derive(Debug, Default)]
pub(super) struct Load {
    last: Option<(u64, u64)>,
    nodes: Option<(Instant, u64)>,
}

impl Load {
    /// How busy it was since the last look, and what nodes took of that; both in percent of all processors.
    ///
    /// Where a node has no control group, what it takes cannot be told from the rest, and all of it counts as its.
    pub(super) fn since_last(&mut self, nodes: &[Footprint]) -> (u8, u8) {
        let Some((busy, all, processors)) = machine_ticks(&text("/proc/stat")) else {
            return (0, 0);
        };
        let before = self.last.replace((busy, all));
        let cpu_pct = before.map_or(0, |(busy_before, all_before)| {
            percent(busy.saturating_sub(busy_before), all.saturating_sub(all_before))
        });
        let micros: Option<u64> = nodes.iter().map(node_micros).sum();
        let now = Instant::now();
        let Some(micros) = micros else {
            self.nodes = None;
            return (cpu_pct, cpu_pct);
        };
        let before = self.nodes.replace((now, micros));
        let nodes_pct = before.map_or(0, |(at, micros_before)| {
            let passed = u64::try_from(now.duration_since(at).as_micros()).unwrap_or(u64::MAX);
            percent(micros.saturating_sub(micros_before), passed.saturating_mul(processors))
        });
        (cpu_pct, nodes_pct.min(cpu_pct))
    }
}

fn percent(part: u64, whole: u64) -> u8 {
    let percent = part.saturating_mul(100).checked_div(whole).unwrap_or(0);
    u8::try_from(percent.min(100)).expect("at most a hundred")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_load_is_what_is_not_idle_nor_waits_for_disks() {
        let stat = "cpu  10 0 20 100 50 1 2 3 9 9\ncpu0 1 2 3\ncpu1 1 2 3\nintr 5\n";
        assert_eq!(machine_ticks(stat), Some((36, 186, 2)));
        assert_eq!(machine_ticks(""), None);
        assert_eq!((percent(1, 3), percent(9, 3), percent(1, 0)), (33, 100, 0));
    }

    #[test]
    fn a_processs_time_is_read_whatever_it_is_called() {
        let stat = "42 (a) b) S 7 42 40 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 98765 1 2";
        assert_eq!(process_micros(stat), 110_000);
        assert_eq!(process_micros("nonsense"), 0);
    }

    #[test]
    fn a_process_that_the_kernel_does_not_show_is_nobodys() {
        let process = Sorter::new().sort(Occupant { pid: u32::MAX, memory_mib: 7 }, &[]);
        assert_eq!((process.owner, process.started, process.memory_mib), (Owner::Foreign, 0, 7));
        let agent = Sorter::new().sort(Occupant { pid: std::process::id(), memory_mib: 7 }, &[]);
        assert_eq!(agent.owner, Owner::Agent);
        assert!(agent.started > 0 && !agent.program.is_empty());
    }
}
