//! What the agent writes down about a node, so that it finds it again after a restart.
//!
//! # Invariants
//! - A record is replaced whole: a reader sees the old one or the new one.
//! - It is written before a process is started, so that nothing runs that is not on record.
//! - Only the agent's user reads it, and the cluster's token beside it.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use units::{RentalId, Resources};
use worker::NodeKey;

use crate::runtime::group::Group;
use crate::runtime::net::Addresses;
use crate::runtime::ports::Block;
use crate::runtime::process::{Mark, Process};
use crate::runtime::sandbox::Kind;

/// A node on record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Record {
    /// The rental it belongs to.
    pub(super) rental: RentalId,
    /// Its place in the rental.
    pub(super) node: u32,
    /// What it may use.
    pub(super) resources: Resources,
    /// Its cards, by index.
    pub(super) gpus: Vec<u32>,
    /// Where the head's control service listens; `None` on the head.
    pub(super) head: Option<SocketAddr>,
    /// The address it listens on.
    pub(super) address: IpAddr,
    /// The first port of its block.
    pub(super) first_port: u16,
    /// What it runs in.
    pub(super) kind: Kind,
    /// Its own network; absent if it shares the machine's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) network: Option<Addresses>,
    /// What leads out of its own network.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) egress: Option<Process>,
    /// The user it runs as, where the agent is root.
    pub(super) user: Option<u32>,
    /// Its control group, where it has one.
    pub(super) group: Option<Group>,
    /// The folder it writes to.
    pub(super) folder: PathBuf,
    /// Which boot of the machine it was started in.
    pub(super) boot: String,
    /// The process the agent started.
    pub(super) outer: Option<Process>,
    /// The first process inside the sandbox; when it dies, all of them do.
    pub(super) inner: Option<Process>,
    /// How often it was started without becoming ready.
    pub(super) tries: u32,
    /// Whether it has been ready.
    pub(super) was_ready: bool,
}

impl Record {
    /// Which node it is.
    pub(super) const fn key(&self) -> NodeKey {
        NodeKey { rental: self.rental, node: self.node }
    }

    /// Its ports; `None` only if the record was tampered with.
    pub(super) const fn ports(&self) -> Option<Block> {
        Block::starting_at(self.first_port)
    }

    /// Where Ray keeps its sessions, as the machine sees it.
    pub(super) fn ray_folder(&self) -> PathBuf {
        match self.kind {
            Kind::Bubblewrap => self.folder.join("tmp/ray"),
            Kind::Plain => self.folder.join("ray"),
        }
    }

    /// Where the node finds a part of its folder.
    pub(super) fn inside(&self, part: &str) -> String {
        match self.kind {
            Kind::Bubblewrap => format!("{}/{part}", super::sandbox::INSIDE),
            Kind::Plain => self.folder.join(part).to_string_lossy().into_owned(),
        }
    }

    /// What tells its processes from all others.
    pub(super) fn mark(&self) -> Mark {
        let leader = match self.kind {
            Kind::Bubblewrap => None,
            Kind::Plain => self.outer.filter(|_| self.boot == boot()),
        };
        Mark { variable: format!("{BOX}={}", self.folder.display()), user: self.user, leader }
    }

    /// Whether the node's first process runs.
    pub(super) fn is_alive(&self) -> bool {
        let first = self.inner.or(self.outer);
        self.boot == boot() && first.is_some_and(|process| process.is_alive())
    }
}

/// The variable that marks a node's processes with its folder.
pub(super) const BOX: &str = "IOG_BOX";

/// Tells one boot of the machine from the next, so that process numbers of the last one mean nothing.
pub(super) fn boot() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned()
}

/// A node's place on disk: what the agent alone reads.
#[derive(Clone, Debug)]
pub(super) struct Place(PathBuf);

impl Place {
    /// The place of this node under the agent's folder of nodes.
    pub(super) fn of(nodes: &Path, key: NodeKey) -> Self {
        Self(nodes.join(format!("{}-{}", key.rental, key.node)))
    }

    /// A place found on disk.
    pub(super) const fn found(path: PathBuf) -> Self {
        Self(path)
    }

    /// Its folder.
    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// Where the output of Ray's launcher goes.
    pub(super) fn output(&self) -> PathBuf {
        self.0.join("output.log")
    }

    /// The file that stands for `/etc/hosts` in a sandbox with its own network.
    pub(super) fn hosts(&self) -> PathBuf {
        self.0.join("hosts")
    }

    /// The file that stands for `/etc/resolv.conf` in a sandbox with its own network.
    pub(super) fn resolv(&self) -> PathBuf {
        self.0.join("resolv.conf")
    }

    /// Where the output of what leads out of the node's network goes.
    pub(super) fn egress_output(&self) -> PathBuf {
        self.0.join("egress.log")
    }

    /// The file that stands for `/etc/passwd` in the sandbox.
    pub(super) fn passwd(&self) -> PathBuf {
        self.0.join("passwd")
    }

    /// Replaces the record.
    pub(super) fn write(&self, record: &Record) -> Result<()> {
        let text = serde_json::to_string_pretty(record).context("put the record into words")?;
        self.replace("node.json", &text)
    }

    /// Whether there is a record, readable or not.
    pub(super) fn has_record(&self) -> bool {
        self.0.join("node.json").exists()
    }

    /// The record; an error if there is none that can be read.
    pub(super) fn read(&self) -> Result<Record> {
        let text = fs::read_to_string(self.0.join("node.json")).context("read the record")?;
        serde_json::from_str(&text).context("understand the record")
    }

    /// Replaces the token.
    pub(super) fn write_token(&self, token: &str) -> Result<()> {
        self.replace("token", token)
    }

    /// The token of the node's cluster.
    pub(super) fn read_token(&self) -> Result<String> {
        fs::read_to_string(self.0.join("token")).context("read the cluster's token")
    }

    fn replace(&self, name: &str, text: &str) -> Result<()> {
        let (new, old) = (self.0.join(format!("{name}.new")), self.0.join(name));
        let mut file = secret_file(&new)?;
        file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).context("write a record")?;
        fs::rename(new, old).context("replace a record")
    }
}

/// A file for the agent's user alone, empty.
fn secret_file(path: &Path) -> Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    options.open(path).with_context(|| format!("open {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::scratch::Scratch;
    use std::os::unix::fs::PermissionsExt;

    pub(crate) fn record() -> Record {
        Record {
            rental: RentalId::from_bits(3),
            node: 1,
            resources: Resources::default(),
            gpus: vec![0],
            head: None,
            address: "127.0.0.1".parse().unwrap(),
            first_port: 20_000,
            kind: Kind::Bubblewrap,
            network: None,
            egress: None,
            user: None,
            group: None,
            folder: PathBuf::from("/data/box"),
            boot: boot(),
            outer: None,
            inner: None,
            tries: 1,
            was_ready: false,
        }
    }

    #[test]
    fn a_record_reads_back_as_written_and_is_nobody_elses_to_read() {
        let scratch = Scratch::new("record");
        let place = Place::found(scratch.path().to_owned());
        place.write(&record()).unwrap();
        place.write_token("abc").unwrap();
        assert_eq!(place.read().unwrap(), record());
        assert_eq!(place.read_token().unwrap(), "abc");
        for name in ["node.json", "token"] {
            let mode = fs::metadata(scratch.path().join(name)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{name}");
        }
    }

    #[test]
    fn processes_of_another_boot_are_not_ours() {
        let me = Process::with_pid(std::process::id());
        assert!(Record { inner: me, ..record() }.is_alive());
        assert!(!Record { inner: me, boot: "before".to_owned(), ..record() }.is_alive());
        let plain = Record { kind: Kind::Plain, outer: me, boot: "before".to_owned(), ..record() };
        assert_eq!(plain.mark().leader, None);
    }
}
