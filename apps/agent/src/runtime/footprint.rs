//! Where the processes of nodes are, for whoever watches the machine's cards.
//!
//! It is read from the records on disk, so it asks nothing of the thread that owns the runtime, and is there after a
//! restart of the agent. Nothing of a node runs before its record is written.

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

/// Nodes that are on record and nothing else, for tests of who watches them.
#[cfg(test)]
pub(crate) mod testing {
    use std::fs;
    use std::path::Path;

    use units::Resources;
    use worker::NodeKey;

    use super::super::group::Group;
    use super::super::process::Process;
    use super::super::record::{BOX, Place, Record, boot};
    use super::super::sandbox::Kind;

    /// A node whose first process, outside and inside of its sandbox, is this one.
    pub(crate) struct Node<'a> {
        pub(crate) key: NodeKey,
        pub(crate) gpus: Vec<u32>,
        pub(crate) first: u32,
        pub(crate) sandboxed: bool,
        /// The name of its control group.
        pub(crate) group: Option<&'a str>,
    }

    impl Node<'_> {
        /// Puts it on record.
        pub(crate) fn write(&self, data: &Path) {
            let place = Place::of(&data.join("ray"), self.key);
            fs::create_dir_all(place.path()).unwrap();
            let first = Process::with_pid(self.first);
            let record = Record {
                rental: self.key.rental,
                node: self.key.node,
                resources: Resources::default(),
                gpus: self.gpus.clone(),
                head: None,
                address: "127.0.0.1".parse().unwrap(),
                first_port: 20_000,
                kind: if self.sandboxed { Kind::Bubblewrap } else { Kind::Plain },
                user: None,
                group: self.group.and_then(Group::named),
                folder: place.path().join("box"),
                boot: boot(),
                outer: first,
                inner: first,
                tries: 1,
                was_ready: true,
            };
            place.write(&record).unwrap();
        }

        /// What marks its processes: a variable and its value.
        pub(crate) fn mark(&self, data: &Path) -> (&'static str, String) {
            let place = Place::of(&data.join("ray"), self.key);
            (BOX, place.path().join("box").to_string_lossy().into_owned())
        }

        /// Takes it off the record.
        pub(crate) fn remove(&self, data: &Path) {
            fs::remove_dir_all(Place::of(&data.join("ray"), self.key).path()).unwrap();
        }
    }

    /// The folders of the control group with this name, made; none where groups cannot be made.
    pub(crate) fn group_folders(name: &str) -> Vec<std::path::PathBuf> {
        let group = Group::named(name);
        match group.filter(|group| group.make(&Resources::default()).is_ok()) {
            Some(group) => group.folders().into_iter().map(Path::to_owned).collect(),
            None => Vec::new(),
        }
    }
}
