//! What a machine should run.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use units::{BlobId, JobId, RentalId, Resources, WorkerId};

use crate::onboarding::{STRESS_ENTRYPOINT, Trial};
use crate::state::{Control, Job, Node, NodeStage, Rental, Worker};

/// Everything that should run on one machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Grows with every change that the machine must act on; that an ended job is wanted no more is none.
    pub revision: u64,
    /// The nodes.
    pub nodes: Vec<NodeWanted>,
}

/// A node that should run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeWanted {
    /// The rental.
    pub rental: RentalId,
    /// Its place in it; 0 is the head.
    pub node: u32,
    /// How many nodes the rental has.
    pub nodes: u32,
    /// What it may use.
    pub resources: Resources,
    /// Its cards, by index.
    pub gpus: Vec<u32>,
    /// Where the head listens, once known.
    pub head: Option<SocketAddr>,
    /// Jobs to drive; only a head has any.
    pub jobs: Vec<JobWanted>,
}

/// A job that should run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobWanted {
    /// Which one.
    pub job: JobId,
    /// Its command.
    pub entrypoint: String,
    /// Its working folder.
    pub package: Option<BlobId>,
    /// Its environment.
    pub env: BTreeMap<String, String>,
    /// Whether it should stop.
    pub stop: bool,
}

impl Control {
    /// What this machine should run. Nothing for one that is not known.
    pub fn wanted(&self, worker: WorkerId) -> Wanted {
        let Some(known) = self.workers.get(&worker) else { return Wanted::default() };
        let nodes = known.nodes.iter().filter_map(|(rental, node)| {
            let rental = self.rentals.get(rental)?;
            self.node_wanted(rental, *node)
        });
        let trial = self.trial_wanted(worker, known);
        Wanted { revision: known.revision, nodes: nodes.chain(trial).collect() }
    }

    fn node_wanted(&self, rental: &Rental, index: u32) -> Option<NodeWanted> {
        let node = rental.nodes.get(usize::try_from(index).ok()?)?;
        if !rental.stage.wants_nodes() || node.stage == NodeStage::Lost {
            return None;
        }
        let head =
            if index == 0 { None } else { rental.nodes.first().and_then(|head| head.listens) };
        Some(NodeWanted {
            rental: rental.id,
            node: index,
            nodes: u32::try_from(rental.nodes.len()).expect("an order has at most 1,024 nodes"),
            resources: node.seat.resources,
            gpus: gpus(node),
            head,
            jobs: if index == 0 { self.jobs_wanted(rental) } else { Vec::new() },
        })
    }

    /// The node of a trial, which a machine cannot tell from any other.
    fn trial_wanted(&self, id: WorkerId, known: &Worker) -> Option<NodeWanted> {
        let trial = self.trials.get(&known.onboarding.trial?)?;
        let (index, node) = (0_u32..).zip(&trial.nodes).find(|(_, node)| node.worker == id)?;
        if trial.ended.is_some() || node.stage == NodeStage::Lost {
            return None;
        }
        let head = trial.nodes.first().filter(|_| index > 0).and_then(|head| head.listens);
        let works = index == 0 && trial.is_up() && !trial.job.is_over();
        Some(NodeWanted {
            rental: trial.id,
            node: index,
            nodes: u32::try_from(trial.nodes.len()).expect("a trial has a few nodes"),
            resources: node.resources,
            gpus: (0..node.resources.gpus).collect(),
            head,
            jobs: works.then(|| stress_job(trial)).into_iter().collect(),
        })
    }

    fn jobs_wanted(&self, rental: &Rental) -> Vec<JobWanted> {
        let open = rental
            .jobs
            .iter()
            .filter_map(|id| self.jobs.get(id))
            .filter(|job| !job.stage.is_over());
        open.map(Job::wanted).collect()
    }
}

fn stress_job(trial: &Trial) -> JobWanted {
    let seconds = u64::from(trial.stress_minutes) * 60;
    let env = [
        ("IOG_TRIAL_SECONDS".to_owned(), seconds.to_string()),
        ("IOG_TRIAL_NODES".to_owned(), trial.nodes.len().to_string()),
    ];
    JobWanted {
        job: trial.job_id(),
        entrypoint: STRESS_ENTRYPOINT.to_owned(),
        package: None,
        env: env.into_iter().collect(),
        stop: false,
    }
}

fn gpus(node: &Node) -> Vec<u32> {
    node.seat.gpus.iter().collect()
}

impl Job {
    fn wanted(&self) -> JobWanted {
        JobWanted {
            job: self.id,
            entrypoint: self.entrypoint.clone(),
            package: self.package,
            env: self.env.clone(),
            stop: self.stop_asked,
        }
    }
}
