//! A trial: newcomers are tried together, on the path that every rental takes, for nothing.
//!
//! The network wants a cluster of them, as a renter would; when all nodes are up, a stress job runs on it. What a
//! trial came to follows from what its machines said, unless whoever read the job's results knows better.
//!
//! # Invariants
//! - A trial ends: at its deadline, however little its machines have said.
//! - A machine is in it until it has said that its node is gone, or the time for that is over.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use serde::{Deserialize, Serialize};
use units::{JobId, MINUTE, RentalId, Resources, Timestamp, WorkerId};

use super::OnboardingRules;
use crate::record::TrialSaid;
use crate::state::{JobStage, NodeStage};

/// What the stress job runs, on the cluster's head: every node reckons, writes, and sends to every other for as many
/// seconds as `IOG_TRIAL_SECONDS` says. It fails if any of that fails.
pub const STRESS_ENTRYPOINT: &str = include_str!("stress.sh");

/// How long the stress job's results may be read before the trial is judged without them.
pub(crate) const READING_MAX: std::time::Duration = std::time::Duration::from_secs(60);

/// One machine of a trial.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrialNode {
    /// The machine.
    pub worker: WorkerId,
    /// What it offers: all of it is tried.
    pub resources: Resources,
    /// How far its node has come.
    pub stage: NodeStage,
    /// Why it is lost, if it is.
    pub reason: Option<String>,
    /// Where it listens, if it is the head.
    pub listens: Option<SocketAddr>,
    /// The newest revision at which its machine has said that it is there.
    pub(crate) seen_at: Option<u64>,
    /// Since which revision its machine is asked to clear it.
    pub(crate) cleared_from: Option<u64>,
    /// Whether its machine is free again.
    pub cleared: bool,
}

/// Newcomers that are tried together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trial {
    /// Its id, of the kind that rentals have: a machine cannot tell it from one.
    pub id: RentalId,
    /// When it began.
    pub began: Timestamp,
    /// When it is over in any case; once it is over, when its machines are free in any case.
    pub until: Timestamp,
    /// For how many minutes its stress job runs.
    pub stress_minutes: u32,
    /// Its machines; the first is the head.
    pub nodes: Vec<TrialNode>,
    /// Where its stress job stands.
    pub job: JobStage,
    /// Since when all of its nodes are up: its stress job cannot be done before it had its time.
    pub up_since: Option<Timestamp>,
    /// When nothing more was to be seen of it.
    pub decided: Option<Timestamp>,
    /// When it was over.
    pub ended: Option<Timestamp>,
    /// Whether its nodes have a private network, as those of a rental would.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub has_mesh: bool,
}

impl TrialNode {
    pub(crate) const fn new(worker: WorkerId, resources: Resources) -> Self {
        Self {
            worker,
            resources,
            stage: NodeStage::Waiting,
            reason: None,
            listens: None,
            seen_at: None,
            cleared_from: None,
            cleared: false,
        }
    }
}

impl Trial {
    pub(crate) fn new(
        id: RentalId,
        nodes: Vec<TrialNode>,
        has_mesh: bool,
        now: Timestamp,
        rules: &OnboardingRules,
    ) -> Self {
        Self {
            id,
            began: now,
            until: now.after(MINUTE * rules.trial_deadline_minutes),
            stress_minutes: rules.trial_stress_minutes,
            nodes,
            job: JobStage::Pending,
            up_since: None,
            decided: None,
            ended: None,
            has_mesh,
        }
    }

    /// Its stress job.
    pub const fn job_id(&self) -> JobId {
        JobId::from_bits(self.id.bits())
    }

    /// Whether every node takes work.
    pub fn is_up(&self) -> bool {
        self.nodes.iter().all(|node| node.stage == NodeStage::Ready)
    }

    /// Whether the stress job can be done by now.
    pub(crate) fn has_had_its_time(&self, now: Timestamp) -> bool {
        self.up_since.is_some_and(|since| now >= since.after(MINUTE * self.stress_minutes))
    }

    /// Who is tried with a machine.
    pub fn company(&self, worker: WorkerId) -> BTreeSet<WorkerId> {
        self.nodes.iter().map(|node| node.worker).filter(|other| *other != worker).collect()
    }

    /// When it must be looked at.
    pub(crate) fn due(&self) -> Timestamp {
        match (self.ended, self.decided) {
            (None, Some(decided)) => self.until.min(decided.after(READING_MAX)),
            (_, _) => self.until,
        }
    }

    /// What its machines have shown by themselves. Of a machine that nothing can be said of nothing is said: another
    /// broke the trial off.
    pub fn verdict(&self) -> Vec<TrialSaid> {
        let said = |node: &TrialNode, passed, note: &str| TrialSaid {
            worker: node.worker,
            passed,
            note: note.to_owned(),
        };
        if self.job == JobStage::Succeeded {
            let passed = |node: &TrialNode| match node.stage {
                NodeStage::Lost => said(node, false, why_lost(node)),
                NodeStage::Waiting | NodeStage::Starting | NodeStage::Ready => {
                    said(node, true, "it did its part of the stress job")
                }
            };
            return self.nodes.iter().map(passed).collect();
        }
        let blamed = self.blamed();
        if blamed.is_empty() {
            let why = self.why_nobody();
            return self.nodes.iter().map(|node| said(node, false, &why)).collect();
        }
        blamed.into_iter().map(|node| said(node, false, why_lost(node))).collect()
    }

    /// The machines that can be blamed for its failure.
    fn blamed(&self) -> Vec<&TrialNode> {
        let lost: Vec<&TrialNode> =
            self.nodes.iter().filter(|node| node.stage == NodeStage::Lost).collect();
        let Some((head, others)) = self.nodes.split_first().filter(|_| lost.is_empty()) else {
            return lost;
        };
        if head.stage != NodeStage::Ready {
            return vec![head];
        }
        let late = || others.iter().filter(|node| node.stage != NodeStage::Ready);
        // When none of the others reaches the head, it may be the head that cannot be reached.
        if late().count() < others.len() { late().collect() } else { Vec::new() }
    }

    fn why_nobody(&self) -> String {
        let up = self.is_up();
        match &self.job {
            JobStage::Failed { message } => format!("the stress job failed: {message}"),
            JobStage::Stopped => "the stress job was stopped".to_owned(),
            JobStage::Pending | JobStage::Running | JobStage::Succeeded if up => {
                "the stress job did not end in time".to_owned()
            }
            JobStage::Pending | JobStage::Running | JobStage::Succeeded => {
                "the machines did not find each other: let them reach each other at their ports"
                    .to_owned()
            }
        }
    }
}

fn why_lost(node: &TrialNode) -> &str {
    node.reason.as_deref().unwrap_or("its node did not come up in time")
}
