//! What a worker sees on its machine, said whole with every beat.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use units::JobId;

use crate::order::NodeKey;

/// How far a node has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NodePhase {
    /// It was started and has not joined its cluster yet.
    Starting,
    /// It is part of its cluster and takes work.
    Ready,
    /// It could not start, or it died.
    Gone {
        /// Why, for the renter and the supplier to read.
        reason: String,
    },
}

/// One node as it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeSeen {
    /// How far it has come.
    pub phase: NodePhase,
    /// Where the head's control service listens, as soon as it does.
    pub head: Option<SocketAddr>,
}

/// How far a job has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JobPhase {
    /// Accepted, not started.
    Pending,
    /// Its driver runs.
    Running,
    /// Its driver ended with exit code 0.
    Succeeded,
    /// Its driver ended otherwise, or could not start.
    Failed {
        /// Why, for the renter to read.
        message: String,
    },
    /// It was stopped on request.
    Stopped,
}

impl JobPhase {
    /// Whether nothing more will happen to it.
    pub const fn is_over(&self) -> bool {
        match self {
            Self::Pending | Self::Running => false,
            Self::Succeeded | Self::Failed { .. } | Self::Stopped => true,
        }
    }
}

/// One job as it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobSeen {
    /// How far it has come.
    pub phase: JobPhase,
}

/// Everything a worker sees of its own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// The newest revision of what is wanted that all of this follows; `None` since the last restart.
    pub revision: Option<u64>,
    /// Its nodes.
    pub nodes: BTreeMap<NodeKey, NodeSeen>,
    /// Their jobs.
    pub jobs: BTreeMap<JobId, JobSeen>,
}
