//! Where the processes of nodes are, for whoever watches the machine's cards.
//!
//! It is read from the records on disk, so it asks nothing of the thread that owns the runtime, and is there after a
//! restart of the agent. Nothing of a node runs before its record is written.

#[cfg(test)]
pub(crate) mod testing;

use std::fs;
use std::path::{Path, PathBuf};

use proofs::lock::groups_of;
use rustix::process::Signal;
use worker::NodeKey;

use super::process::{Mark, Process, stat_of};
use super::record::{Place, Record, boot};
use super::sandbox::Kind;

/// The number of the namespace that the system began with; a constant of the kernel.
const FIRST_NAMESPACE: u64 = 0xEFFF_FFFC;

/// A node's traces.
#[derive(Clone, Debug)]
pub(crate) struct Footprint {
    /// Which node.
    pub(crate) key: NodeKey,
    /// Its cards, by index.
    pub(crate) gpus: Vec<u32>,
    /// The folders of its control group; none where it has none.
    pub(crate) folders: Vec<PathBuf>,
    /// Its control group as its processes see it: controllers and path.
    pub(crate) groups: Vec<(String, String)>,
    /// The number of its own namespace of processes.
    pub(crate) namespace: Option<u64>,
    mark: Mark,
}

impl Footprint {
    fn of(record: &Record) -> Self {
        let folders: Vec<PathBuf> =
            record.group.iter().flat_map(|group| group.folders()).map(Path::to_owned).collect();
        let first =
            record.inner.or(record.outer).filter(|first| record.boot == boot() && first.is_alive());
        let cgroup = first.map(|first| fs::read_to_string(format!("/proc/{}/cgroup", first.pid)));
        let name = folders.first().and_then(|folder| folder.file_name()?.to_str());
        let is_its = |path: &str| name.is_some_and(|name| path.rsplit('/').next() == Some(name));
        let mut groups = Vec::new();
        for (controllers, path) in groups_of(&cgroup.and_then(Result::ok).unwrap_or_default()) {
            if is_its(&path) {
                let each = controllers.split(',').map(|one| (one.to_owned(), path.clone()));
                groups.extend(each);
            }
        }
        let own = namespace_of(std::process::id());
        let namespace = first.filter(|_| record.kind == Kind::Bubblewrap);
        let namespace = namespace.and_then(|first| namespace_of(u32::try_from(first.pid).ok()?));
        Self {
            key: record.key(),
            gpus: record.gpus.clone(),
            folders,
            groups,
            namespace: namespace.filter(|namespace| Some(*namespace) != own),
            mark: record.mark(),
        }
    }

    /// Whether a process bears the node's mark.
    pub(crate) fn marks(&self, pid: u32) -> bool {
        let stat = i32::try_from(pid).ok().and_then(stat_of);
        stat.is_some_and(|stat| self.mark.is_on(&stat))
    }
}

/// The traces of every node on record in the agent's folder, in the order of their places.
pub(crate) fn footprints(data: &Path) -> Vec<Footprint> {
    let entries = fs::read_dir(data.join("ray")).into_iter().flatten().flatten();
    let mut places: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    places.sort();
    let records = places.into_iter().filter_map(|place| Place::found(place).read().ok());
    records.map(|record| Footprint::of(&record)).collect()
}

/// The number of a process's namespace of processes.
pub(crate) fn namespace_of(pid: u32) -> Option<u64> {
    let link = fs::read_link(format!("/proc/{pid}/ns/pid")).ok()?;
    let text = link.to_str()?.strip_prefix("pid:[")?.strip_suffix(']')?;
    text.parse().ok()
}

/// Whether the agent counts processes as the driver does. In a container's own namespace a number that the driver tells
/// may be that of another process here.
pub(crate) fn counts_as_the_driver() -> bool {
    namespace_of(std::process::id()) == Some(FIRST_NAMESPACE)
}

/// When a process started, in clock ticks since boot; `None` if the kernel shows none with this number.
pub(crate) fn started(pid: u32) -> Option<u64> {
    Process::with_pid(pid).map(|process| process.started)
}

/// Tells a process to end, if it is still the one that started then.
pub(crate) fn end(pid: u32, started: u64, forced: bool) {
    let Ok(pid) = i32::try_from(pid) else { return };
    let signal = if forced { Signal::KILL } else { Signal::TERM };
    Process { pid, started }.signal(signal);
}
