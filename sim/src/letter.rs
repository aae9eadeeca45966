//! What crosses the simulated network, and how the two brains' words are turned into each other.

use std::collections::BTreeMap;
use std::rc::Rc;

use control::{
    DisturbedRecord, JobSaid, JobWanted, NodeSaid, NodeWanted, PhaseSaid, Refusal, Reply, Wanted,
};
use units::CommandId;
use worker::{JobOrder, JobPhase, NodeKey, NodeOrder, NodePhase, Seen};

/// To the control plane.
#[derive(Clone, Debug)]
pub(crate) enum Letter {
    /// A person's command, which the world keeps by its id.
    Ask(CommandId),
    /// The id of a person's command, used for something else.
    Reuse(CommandId),
    /// A machine speaks.
    Beat { machine: usize, session: u64, number: u64, said: Rc<Said> },
    /// A machine asks what is wanted of it.
    Fetch { machine: usize, session: u64 },
}

/// To a machine.
#[derive(Clone, Debug)]
pub(crate) enum Parcel {
    /// Its beat was heard; what is wanted of it stands at this revision.
    Heard { revision: u64 },
    /// What is wanted of it.
    Wanted { revision: u64, orders: Vec<NodeOrder> },
    /// It should ask.
    Nudge,
}

/// To a person.
pub(crate) type Answer = Result<Reply, Refusal>;

/// What a machine says, in the control plane's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Said {
    pub(crate) revision: Option<u64>,
    pub(crate) nodes: Vec<NodeSaid>,
    pub(crate) jobs: Vec<JobSaid>,
    /// Two that differ have other digests.
    pub(crate) digest: u64,
}

impl Said {
    pub(crate) fn new(revision: Option<u64>, nodes: Vec<NodeSaid>, jobs: Vec<JobSaid>) -> Self {
        let text = serde_json::to_vec(&(revision, &nodes, &jobs)).expect("plain data");
        Self { revision, nodes, jobs, digest: fnv(&text) }
    }

    pub(crate) fn of(seen: Seen, disturbed: &BTreeMap<NodeKey, DisturbedRecord>) -> Self {
        let nodes = seen.nodes.into_iter().map(|(key, node)| NodeSaid {
            rental: key.rental,
            node: key.node,
            phase: node_phase(node.phase),
            head: node.head,
            disturbed: disturbed.get(&key).copied(),
        });
        let jobs =
            seen.jobs.into_iter().map(|(job, seen)| JobSaid { job, phase: job_phase(seen.phase) });
        Self::new(seen.revision, nodes.collect(), jobs.collect())
    }
}

fn node_phase(phase: NodePhase) -> PhaseSaid {
    match phase {
        NodePhase::Starting => PhaseSaid::Starting,
        NodePhase::Ready => PhaseSaid::Ready,
        NodePhase::Gone { reason } => PhaseSaid::Gone { reason },
    }
}

fn job_phase(phase: JobPhase) -> PhaseSaid {
    match phase {
        JobPhase::Pending => PhaseSaid::Starting,
        JobPhase::Running => PhaseSaid::Running,
        JobPhase::Succeeded => PhaseSaid::Succeeded,
        JobPhase::Failed { message } => PhaseSaid::Failed { message },
        JobPhase::Stopped => PhaseSaid::Stopped,
    }
}

pub(crate) fn orders(wanted: Wanted) -> Parcel {
    let orders = wanted.nodes.into_iter().map(node_order).collect();
    Parcel::Wanted { revision: wanted.revision, orders }
}

fn node_order(node: NodeWanted) -> NodeOrder {
    NodeOrder {
        key: NodeKey { rental: node.rental, node: node.node },
        nodes: node.nodes,
        resources: node.resources,
        gpus: node.gpus,
        has_mesh: node.mesh.is_some(),
        head: node.head,
        jobs: node.jobs.into_iter().map(job_order).collect(),
    }
}

fn job_order(job: JobWanted) -> JobOrder {
    let JobWanted { job: id, entrypoint, package, env, stop } = job;
    JobOrder { id, entrypoint, package, env, stop }
}

/// FNV-1a, 64 bits.
pub(crate) fn fnv(bytes: &[u8]) -> u64 {
    let fold = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3);
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, fold)
}
