//! What the control plane wants to run here.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use units::{BlobId, JobId, RentalId, Resources};

/// One node of one rental. Node 0 is the cluster's head.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeKey {
    /// The rental it belongs to.
    pub rental: RentalId,
    /// Its place in the rental, from 0.
    pub node: u32,
}

impl NodeKey {
    /// Whether the others gather around this one.
    pub const fn is_head(&self) -> bool {
        self.node == 0
    }
}

/// A node that should run on this machine, and the jobs it should drive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeOrder {
    /// Which node.
    pub key: NodeKey,
    /// How many nodes the cluster has.
    pub nodes: u32,
    /// What the node may use.
    pub resources: Resources,
    /// Which cards of the machine are its own, by index.
    pub gpus: Vec<u32>,
    /// Whether it is to have a network of its own, in which it meets the others; else it has the machine's.
    pub has_mesh: bool,
    /// Where the head's control service listens; `None` for the head, and for the others until it is known.
    pub head: Option<SocketAddr>,
    /// Jobs to run, in the order they came; only a head has any.
    pub jobs: Vec<JobOrder>,
}

impl NodeOrder {
    /// Whether everything it needs is known.
    pub const fn can_start(&self) -> bool {
        self.key.is_head() || self.head.is_some()
    }
}

/// A job that should run on a cluster, or should no longer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobOrder {
    /// Which job.
    pub id: JobId,
    /// The shell command that runs it, in the working folder.
    pub entrypoint: String,
    /// The working folder, as a zip file.
    pub package: Option<BlobId>,
    /// Environment variables of the job.
    pub env: BTreeMap<String, String>,
    /// Whether it should be stopped.
    pub stop: bool,
}
