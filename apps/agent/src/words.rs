//! What the wire says and what the brain says, in the other's words.

use std::collections::BTreeMap;

use proofs::lock::{Disturbance, NodeRef};
use units::{MeshId, Timestamp};
use worker::{JobOrder, JobPhase, NodeKey, NodeOrder, NodePhase, Seen};

use crate::board::Disturbed;
use crate::limits::{BEAT_WORD_BYTES_MAX, BEAT_WORDS_BYTES_MAX};

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
            has_mesh: node.mesh.is_some(),
            head: node.head,
            jobs: node.jobs.into_iter().map(job_order).collect(),
        });
    }
    (orders, secrets)
}

/// In which private networks nodes are to be; those that use the machine's own network are not named.
pub(crate) fn meshes(wanted: &wire::Wanted) -> BTreeMap<NodeKey, MeshId> {
    let mesh = |node: &wire::NodeWanted| {
        Some((NodeKey { rental: node.rental, node: node.node }, node.mesh?))
    };
    wanted.nodes.iter().filter_map(mesh).collect()
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

/// What is seen, as a beat of bounded length.
pub(crate) fn beat(number: u64, seen: &Seen, disturbed: &Disturbed) -> wire::Beat {
    let failed = seen.jobs.values().filter(|job| matches!(job.phase, JobPhase::Failed { .. }));
    let gone = seen.nodes.values().filter(|node| matches!(node.phase, NodePhase::Gone { .. }));
    let words = failed.count() + gone.count();
    let bytes_max = (BEAT_WORDS_BYTES_MAX / words.max(1)).min(BEAT_WORD_BYTES_MAX);
    let nodes = seen.nodes.iter().map(|(key, node)| wire::NodeSeen {
        rental: key.rental,
        node: key.node,
        phase: node_phase(&node.phase, bytes_max),
        head: node.head,
        disturbed: disturbed.get(&NodeRef { rental: key.rental, node: key.node }).map(words_of),
    });
    let jobs = seen
        .jobs
        .iter()
        .map(|(job, seen)| wire::JobSeen { job: *job, phase: job_phase(&seen.phase, bytes_max) });
    wire::Beat { number, revision: seen.revision, nodes: nodes.collect(), jobs: jobs.collect() }
}

fn words_of(disturbance: &Disturbance) -> wire::Disturbance {
    let Disturbance { why, since_ms } = disturbance;
    let since = wire::Time(Timestamp::from_millis(*since_ms));
    let is_lost = *why == proofs::lock::Break::CardLost;
    let why = if is_lost { wire::DisturbedBy::CardLost } else { wire::DisturbedBy::Foreign };
    wire::Disturbance { why, since }
}

/// The beginning of a text, in whole characters.
fn cut(text: &str, bytes_max: usize) -> String {
    text[..text.floor_char_boundary(bytes_max)].to_owned()
}

fn node_phase(phase: &NodePhase, bytes_max: usize) -> wire::NodePhase {
    match phase {
        NodePhase::Starting => wire::NodePhase::Starting,
        NodePhase::Ready => wire::NodePhase::Ready,
        NodePhase::Gone { reason } => wire::NodePhase::Gone { reason: cut(reason, bytes_max) },
    }
}

fn job_phase(phase: &JobPhase, bytes_max: usize) -> wire::JobPhase {
    match phase {
        JobPhase::Pending => wire::JobPhase::Pending,
        JobPhase::Running => wire::JobPhase::Running,
        JobPhase::Succeeded => wire::JobPhase::Succeeded,
        JobPhase::Failed { message } => wire::JobPhase::Failed { message: cut(message, bytes_max) },
        JobPhase::Stopped => wire::JobPhase::Stopped,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use units::JobId;
    use worker::JobSeen;

    #[test]
    fn a_thousand_jobs_that_fail_with_long_words_fit_into_a_beat() {
        let mut seen = Seen::default();
        for bits in 0..1_000 {
            let phase = JobPhase::Failed { message: "ä".repeat(2_000) };
            seen.jobs.insert(JobId::from_bits(bits), JobSeen { phase });
        }
        let bytes = serde_json::to_vec(&beat(1, &seen, &Disturbed::new())).unwrap().len();
        assert!(bytes < 200 << 10, "{bytes}");
    }

    #[test]
    fn a_single_message_is_told_as_far_as_it_is_kept() {
        let phase = JobPhase::Failed { message: "x".repeat(5_000) };
        let seen =
            Seen { jobs: [(JobId::from_bits(1), JobSeen { phase })].into(), ..Seen::default() };
        let told = wire::JobPhase::Failed { message: "x".repeat(BEAT_WORD_BYTES_MAX) };
        assert_eq!(beat(1, &seen, &Disturbed::new()).jobs[0].phase, told);
    }
}
