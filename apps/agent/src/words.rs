//! What the wire says and what the brain says, in the other's words.

use std::collections::BTreeMap;

use worker::{JobOrder, JobPhase, NodeKey, NodeOrder, NodePhase, Seen};

/// What is wanted: orders for the brain, and the secrets of clusters, which it does not need.
pub(crate) fn orders(wanted: wire::Wanted) -> (Vec<NodeOrder>, BTreeMap<NodeKey, String>) {
    let mut secrets = BTreeMap::new();
    let mut orders = Vec::new();
    for node in wanted.nodes {
        let key = NodeKey { rental: node.rental, node: node.node };
        secrets.insert(key, node.cluster_token);
        orders.push(NodeOrder {
            key,
            nodes: node.nodes,
            resources: node.resources,
            gpus: node.gpus,
            head: node.head,
            jobs: node.jobs.into_iter().map(job_order).collect(),
        });
    }
    (orders, secrets)
}

fn job_order(job: wire::JobWanted) -> JobOrder {
    JobOrder {
        id: job.job,
        entrypoint: job.entrypoint,
        package: job.package,
        env: job.env,
        stop: job.stop,
    }
}

/// What is seen, as a beat.
pub(crate) fn beat(number: u64, seen: &Seen) -> wire::Beat {
    let nodes = seen.nodes.iter().map(|(key, node)| wire::NodeSeen {
        rental: key.rental,
        node: key.node,
        phase: node_phase(&node.phase),
        head: node.head,
    });
    let job = |(job, seen): (&units::JobId, &worker::JobSeen)| wire::JobSeen {
        job: *job,
        phase: job_phase(&seen.phase),
    };
    wire::Beat {
        number,
        revision: seen.revision,
        nodes: nodes.collect(),
        jobs: seen.jobs.iter().map(job).collect(),
    }
}

fn node_phase(phase: &NodePhase) -> wire::NodePhase {
    match phase {
        NodePhase::Starting => wire::NodePhase::Starting,
        NodePhase::Ready => wire::NodePhase::Ready,
        NodePhase::Gone { reason } => wire::NodePhase::Gone { reason: reason.clone() },
    }
}

fn job_phase(phase: &JobPhase) -> wire::JobPhase {
    match phase {
        JobPhase::Pending => wire::JobPhase::Pending,
        JobPhase::Running => wire::JobPhase::Running,
        JobPhase::Succeeded => wire::JobPhase::Succeeded,
        JobPhase::Failed { message } => wire::JobPhase::Failed { message: message.clone() },
        JobPhase::Stopped => wire::JobPhase::Stopped,
    }
}
