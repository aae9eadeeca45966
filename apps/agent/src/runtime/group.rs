//! A control group for each node, where the agent is root: a hard limit of memory, and a share of the processors.
//!
//! A node gets many shares while it starts, because a raylet gives up when its agent is not up within fifteen
//! seconds, and its own share afterwards. What others leave idle it may use.
//!
//! Groups are a help, not a condition: where one cannot be made, the node runs without.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use units::Resources;

const ROOT: &str = "/sys/fs/cgroup";
/// Shares of a node that starts, in units of version 1, where one processor's fair share is 1024.
const SHARES_STARTING: u64 = 20_000;
/// Shares for each processor of a node.
const SHARES_EACH: u64 = 1_024;
/// Bounds of shares in version 1.
const SHARES: (u64, u64) = (2, 262_144);
/// Ray's own processes on a head, which come on top of what is rented: twenty were measured at 0.83 GB.
const RAY_ITSELF_MIB: u64 = 1_024;

/// The folders of one node's group: one for both things in version 2, one for each in version 1.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Group {
    /// Version 1.
    Two {
        /// Where processors are shared.
        cpu: PathBuf,
        /// Where memory is limited.
        memory: PathBuf,
    },
    /// Version 2.
    One(PathBuf),
}

/// How far a node has come, as far as its share goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Starting,
    Running,
}

/// Version 2 weighs from 1 to 10,000 around 100 what version 1 shares around 1024.
fn weight(shares: u64) -> u64 {
    (shares * 100 / SHARES_EACH).clamp(1, 10_000)
}

fn shares(phase: Phase, resources: &Resources) -> u64 {
    let shares = match phase {
        Phase::Starting => SHARES_STARTING,
        Phase::Running => SHARES_EACH * u64::from(resources.vcpus),
    };
    shares.clamp(SHARES.0, SHARES.1)
}

fn memory_bytes(resources: &Resources) -> u64 {
    resources.memory_mib.saturating_add(RAY_ITSELF_MIB).saturating_mul(1 << 20)
}

impl Group {
    /// The group a node with this name would have on this machine; `None` where there is none to have.
    pub(super) fn named(name: &str) -> Option<Self> {
        let root = Path::new(ROOT);
        let is_there = |folder: &Path| folder.join("cgroup.procs").exists();
        if root.join("cgroup.controllers").exists() {
            return Some(Self::One(root.join("iog").join(name)));
        }
        let (cpu, memory) = (root.join("cpu"), root.join("memory"));
        (is_there(&cpu) && is_there(&memory))
            .then(|| Self::Two { cpu: cpu.join(name), memory: memory.join(name) })
    }

    /// Its folders.
    pub(super) fn folders(&self) -> Vec<&Path> {
        match self {
            Self::Two { cpu, memory } => vec![cpu, memory],
            Self::One(folder) => vec![folder],
        }
    }

    /// What to write where for a limit of memory.
    fn limit(&self, resources: &Resources) -> (PathBuf, String) {
        let file = match self {
            Self::Two { memory, .. } => memory.join("memory.limit_in_bytes"),
            Self::One(folder) => folder.join("memory.max"),
        };
        (file, memory_bytes(resources).to_string())
    }

    /// What to write where for a share of the processors.
    fn share(&self, phase: Phase, resources: &Resources) -> (PathBuf, String) {
        let shares = shares(phase, resources);
        match self {
            Self::Two { cpu, .. } => (cpu.join("cpu.shares"), shares.to_string()),
            Self::One(folder) => (folder.join("cpu.weight"), weight(shares).to_string()),
        }
    }

    /// Makes it, for a node that starts.
    pub(super) fn make(&self, resources: &Resources) -> io::Result<()> {
        if let Self::One(folder) = self {
            let parent = folder.parent().unwrap_or(folder);
            fs::create_dir_all(parent)?;
            fs::write(Path::new(ROOT).join("cgroup.subtree_control"), "+cpu +memory")?;
            fs::write(parent.join("cgroup.subtree_control"), "+cpu +memory")?;
        }
        self.folders().into_iter().try_for_each(fs::create_dir_all)?;
        let (file, bytes) = self.limit(resources);
        fs::write(file, bytes)?;
        self.set_share(Phase::Starting, resources)
    }

    /// Changes its share of the processors.
    pub(super) fn set_share(&self, phase: Phase, resources: &Resources) -> io::Result<()> {
        let (file, shares) = self.share(phase, resources);
        fs::write(file, shares)
    }

    /// The words to put before a command so that it runs in the group. It runs on where the group is not.
    pub(super) fn prefix(&self) -> Vec<String> {
        let script =
            r#"while [ "$1" != -- ]; do echo 0 > "$1/cgroup.procs"; shift; done; shift; exec "$@""#;
        let mut words = vec!["sh".to_owned(), "-c".to_owned(), script.to_owned(), "sh".to_owned()];
        words.extend(self.folders().iter().map(|folder| folder.to_string_lossy().into_owned()));
        words.push("--".to_owned());
        words
    }

    /// Removes it, if nobody is left in it.
    pub(super) fn remove(&self) -> io::Result<()> {
        self.folders().into_iter().try_for_each(|folder| match fs::remove_dir(folder) {
            Err(fault) if fault.kind() != io::ErrorKind::NotFound => Err(fault),
            Ok(()) | Err(_) => Ok(()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn two() -> Group {
        Group::Two { cpu: PathBuf::from("/c/iog-1"), memory: PathBuf::from("/m/iog-1") }
    }

    #[test]
    fn a_node_has_many_shares_while_it_starts_and_its_own_afterwards() {
        let resources = Resources { vcpus: 4, memory_mib: 1_024, ..Resources::default() };
        let share = |group: &Group, phase| group.share(phase, &resources).1;
        assert_eq!(share(&two(), Phase::Starting), "20000");
        assert_eq!(share(&two(), Phase::Running), "4096");
        let one = Group::One(PathBuf::from("/g/iog/1"));
        assert_eq!(
            (share(&one, Phase::Starting), share(&one, Phase::Running)),
            ("1953".into(), "400".into())
        );
        assert_eq!(
            two().limit(&resources),
            (PathBuf::from("/m/iog-1/memory.limit_in_bytes"), "2147483648".into())
        );
        assert_eq!(one.limit(&resources).0, PathBuf::from("/g/iog/1/memory.max"));
    }

    #[test]
    fn shares_stay_within_what_the_kernel_takes() {
        let of = |vcpus| shares(Phase::Running, &Resources { vcpus, ..Resources::default() });
        assert_eq!((of(0), of(u32::MAX)), SHARES);
        assert_eq!(weight(u64::from(u32::MAX)), 10_000);
    }

    #[test]
    fn a_command_runs_even_where_the_group_is_not() {
        let words = two().prefix();
        let output =
            std::process::Command::new(&words[0]).args(&words[1..]).args(["echo", "ran"]).output();
        assert_eq!(output.unwrap().stdout, b"ran\n");
    }
}
