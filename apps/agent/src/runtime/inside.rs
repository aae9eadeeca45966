//! Where a node is, for a process of the agent that goes in there: its control group, its namespaces, its user, and the
//! cards that it sees.
//!
//! It is read from the records on disk, as footprints are, so it asks nothing of the thread that owns the runtime.
//!
//! # Invariants
//! - Such a process bears the node's mark, so it ends with the node and is taken for nobody else's.
//! - What runs in the node can end it, and neither look into it nor change what it computes.

use std::fs;
use std::num::NonZeroUsize;
use std::os::fd::AsFd;
use std::path::{Component, Path, PathBuf};

use anyhow::{Context, Result, ensure};
use rustix::process::{DumpableBehavior, Gid, Pid, PidfdFlags, Signal, Uid};
use rustix::thread::{CapabilitySet, CapabilitySets, ThreadNameSpaceType};
use serde::{Deserialize, Serialize};
use worker::NodeKey;

use super::group::Group;
use super::net::trial_key;
use super::process::Process;
use super::record::{BOX, Place, Record};
use super::sandbox::Kind;

/// Folders at the root whose contents are the machine's, in a node as outside of it.
const SYSTEM: [&str; 4] = ["lib", "lib64", "opt", "usr"];

/// Where to go, as a process is told that goes there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Way {
    /// The first process in the sandbox, whose namespaces are those of the node; none where there is no sandbox.
    first: Option<Process>,
    /// The user to become, where the agent is root.
    user: Option<u32>,
}

/// A node that runs.
#[derive(Clone, Debug)]
pub(crate) struct Inside {
    /// Which node.
    pub(crate) key: NodeKey,
    /// Its cards, by index.
    pub(crate) gpus: Vec<u32>,
    /// How many processors were rented.
    pub(crate) threads: NonZeroUsize,
    /// Where it is.
    pub(crate) way: Way,
    group: Option<Group>,
    folder: PathBuf,
}

impl Inside {
    /// A node that was ready, and runs.
    fn of(record: &Record) -> Option<Self> {
        Self::of_started(record).filter(|_| record.was_ready && record.is_alive())
    }

    /// A node whose processes were started.
    pub(super) fn of_started(record: &Record) -> Option<Self> {
        let first = match record.kind {
            Kind::Bubblewrap => Some(record.inner.filter(Process::is_alive)?),
            Kind::Plain => None,
        };
        let threads = usize::try_from(record.resources.vcpus).ok().and_then(NonZeroUsize::new);
        Some(Self {
            key: record.key(),
            gpus: record.gpus.clone(),
            threads: threads.unwrap_or(NonZeroUsize::MIN),
            way: Way { first, user: record.user },
            group: record.group.clone(),
            folder: record.folder.clone(),
        })
    }

    /// A room that is no node's, with a folder.
    pub(super) fn trial(way: Way, folder: &Path) -> Self {
        let (threads, folder) = (NonZeroUsize::MIN, folder.to_owned());
        Self { key: trial_key(), gpus: Vec::new(), threads, way, group: None, folder }
    }

    /// The words to put before a command so that it runs in the node's control group.
    pub(crate) fn prefix(&self) -> Vec<String> {
        self.group.as_ref().map(Group::prefix).unwrap_or_default()
    }

    /// The environment of such a process.
    ///
    /// Nothing that the node can write is trusted: it has no home, and takes no libraries from anywhere but the system.
    pub(crate) fn environment(&self) -> Vec<(&'static str, String)> {
        vec![
            ("PATH", "/usr/local/bin:/usr/bin:/bin".to_owned()),
            ("HOME", "/".to_owned()),
            (BOX, self.folder.display().to_string()),
        ]
    }

    /// The environment of one that computes on these cards. It takes no compiled kernels from anywhere.
    pub(crate) fn environment_with(&self, cards: &[String]) -> Vec<(&'static str, String)> {
        #[expect(clippy::disallowed_methods, reason = "it is handed on, and means nothing here")]
        let libraries = std::env::var("LD_LIBRARY_PATH").ok();
        let libraries = libraries.map(|path| of_system(&path)).filter(|path| !path.is_empty());
        let libraries = libraries.map(|path| ("LD_LIBRARY_PATH", path));
        let cards =
            [("CUDA_CACHE_DISABLE", "1".to_owned()), ("CUDA_VISIBLE_DEVICES", cards.join(","))];
        self.environment().into_iter().chain(cards).chain(libraries).collect()
    }
}

/// The folders of a search path that no node can write to, nor make where they are not. An empty one is the folder that
/// a process happens to be in.
fn of_system(path: &str) -> String {
    let is_of_system = |folder: &&str| {
        let mut parts = Path::new(folder).components();
        let is_there = parts.next() == Some(Component::RootDir)
            && parts.next().is_some_and(|first| SYSTEM.iter().any(|it| first.as_os_str() == *it));
        is_there && parts.all(|part| matches!(part, Component::Normal(_)))
    };
    path.split(':').filter(is_of_system).collect::<Vec<_>>().join(":")
}

/// The nodes that run here, in the order of their places.
pub(crate) fn running(data: &Path) -> Vec<Inside> {
    let entries = fs::read_dir(data.join("ray")).into_iter().flatten().flatten();
    let mut places: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    places.sort();
    let records = places.into_iter().filter_map(|place| Place::found(place).read().ok());
    records.filter_map(|record| Inside::of(&record)).collect()
}

impl Way {
    /// The way to the first process of a sandbox, and to the user there.
    pub(super) const fn into_room(first: Process, user: Option<u32>) -> Self {
        Self { first: Some(first), user }
    }

    /// The user to become, where the agent is root.
    pub(super) const fn user(&self) -> Option<u32> {
        self.user
    }

    /// Whether there is a sandbox to go into.
    pub(crate) const fn leads_inside(&self) -> bool {
        self.first.is_some()
    }

    /// The way that is left for a process which was started inside.
    pub(crate) fn rest(&self) -> Self {
        Self { first: None, ..self.clone() }
    }

    /// Goes into the sandbox, for good, and with it whatever is started from then on. The process must have one thread
    /// only. It is in the node's namespace of processes no more than halfway: what it starts is.
    ///
    /// # Errors
    /// If the node is not there any more, or this system does not let the agent in.
    pub(crate) fn enter(&self) -> Result<()> {
        self.first.map_or(Ok(()), enter)
    }

    /// Becomes the node's user, and gives up every privilege, for good. The process must have one thread only.
    ///
    /// # Errors
    /// If the system does not let it.
    pub(crate) fn give_up(&self) -> Result<()> {
        give_up(self.user).context("give up the agent's privileges")
    }
}

/// Goes into the namespaces of a process.
///
/// All at one time, as Linux can since 5.8: whoever is not root has the right to each of them only as long as it has
/// gone into none.
fn enter(first: Process) -> Result<()> {
    let pid = Pid::from_raw(first.pid).context("name the node's first process")?;
    let there = rustix::process::pidfd_open(pid, PidfdFlags::empty());
    let there = there.context("find the node's first process")?;
    // Its number may have been given to another meanwhile, but not since it is held.
    ensure!(first.is_alive(), "find the node's first process: it has ended");
    let mut all = ThreadNameSpaceType::INTER_PROCESS_COMMUNICATION
        | ThreadNameSpaceType::HOST_NAME_AND_NIS_DOMAIN_NAME
        | ThreadNameSpaceType::PROCESS_ID
        | ThreadNameSpaceType::MOUNT;
    let is_other = |name: &str| {
        let of = |whose: &str| fs::read_link(format!("/proc/{whose}/ns/{name}")).ok();
        of(&first.pid.to_string()) != of("self")
    };
    if is_other("user") {
        all |= ThreadNameSpaceType::USER;
    }
    if is_other("net") {
        all |= ThreadNameSpaceType::NETWORK;
    }
    rustix::thread::move_into_thread_name_spaces(there.as_fd(), all)
        .context("enter the node's sandbox")
}

/// Becomes this user if any is named, and can become nobody else afterwards.
fn give_up(user: Option<u32>) -> rustix::io::Result<()> {
    drop_privileges(user)?;
    // Nobody of the same user looks into it, and it does not outlive the agent.
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))
}

/// Becomes this user if any is named, with no privilege and no way to get any. The process must have one thread only.
pub(super) fn drop_privileges(user: Option<u32>) -> rustix::io::Result<()> {
    use rustix::thread;
    if let Some(user) = user {
        let (user, group) = (Uid::from_raw(user), Gid::from_raw(user));
        thread::set_thread_groups(&[])?;
        thread::set_thread_res_gid(group, group, group)?;
        thread::set_thread_res_uid(user, user, user)?;
    }
    let none = CapabilitySet::empty();
    thread::set_capabilities(
        None,
        CapabilitySets { effective: none, permitted: none, inheritable: none },
    )?;
    thread::set_no_new_privs(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_come_from_the_system_alone() {
        let check = |path, expected| assert_eq!(of_system(path), expected, "{path}");
        check("", "");
        check("/usr/lib/wsl/lib", "/usr/lib/wsl/lib");
        check("/opt/cuda/lib64:/usr/local/cuda/lib64", "/opt/cuda/lib64:/usr/local/cuda/lib64");
        check(":/usr/lib::/lib64:", "/usr/lib:/lib64");
        check("/tmp:/iog/lib:/dev/shm:lib:./usr/lib:/:/home/x/lib:/usrx", "");
        check("/usr/../tmp:/opt/./x/../../tmp", "");
    }
}
