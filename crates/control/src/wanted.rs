//! What a machine should run.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use units::{AccountId, BlobId, JobId, MeshId, Name, ProjectId, RentalId, Resources, WorkerId};

use crate::onboarding::{STRESS_ENTRYPOINT, Trial};
use crate::state::{
    Control, Job, NetworkPolicy, Node, NodeStage, Rental, Service, Worker, standing,
};

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
    /// The private network that it is in; `None` if it uses its host's network.
    pub mesh: Option<MeshId>,
}

/// A private network that should be there: that of a rental, or of a trial.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetworkWanted {
    /// Its name.
    pub mesh: MeshId,
    /// Who rents; nobody does for a trial.
    pub project: Option<ProjectId>,
    /// The machines of the nodes that should run, and whose they are, by the nodes' places.
    pub seats: BTreeMap<u32, (WorkerId, AccountId)>,
    /// What of it can be visited.
    pub services: BTreeMap<Name, Service>,
    /// What may pass in it.
    pub policy: NetworkPolicy,
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
            mesh: rental.has_mesh.then(|| mesh_of(rental.id)),
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
            mesh: trial.has_mesh.then(|| mesh_of(trial.id)),
            jobs: works.then(|| stress_job(trial)).into_iter().collect(),
        })
    }

    /// The private network of a rental, or of a trial, while it should be there.
    pub fn network_wanted(&self, id: RentalId) -> Option<NetworkWanted> {
        match self.rentals.get(&id) {
            Some(rental) => self.network_of_rental(rental),
            None => self.trials.get(&id).and_then(|trial| self.network_of_trial(trial)),
        }
    }

    fn network_of_rental(&self, rental: &Rental) -> Option<NetworkWanted> {
        if !rental.has_mesh || !rental.stage.wants_nodes() {
            return None;
        }
        let seats = (0..).zip(&rental.nodes).filter(|(_, node)| node.stage != NodeStage::Lost);
        let project = self.projects.get(&rental.project);
        Some(NetworkWanted {
            mesh: mesh_of(rental.id),
            project: Some(rental.project),
            seats: seats.map(|(at, node)| (at, (node.seat.worker, node.supplier))).collect(),
            services: rental.all_services().collect(),
            policy: project.map(|project| project.policy.clone()).unwrap_or_default(),
        })
    }

    fn network_of_trial(&self, trial: &Trial) -> Option<NetworkWanted> {
        if !trial.has_mesh || trial.ended.is_some() {
            return None;
        }
        let seats = (0..).zip(&trial.nodes).filter(|(_, node)| node.stage != NodeStage::Lost);
        let owned = |worker: WorkerId| Some((worker, self.workers.get(&worker)?.owner));
        Some(NetworkWanted {
            mesh: mesh_of(trial.id),
            project: None,
            seats: seats.filter_map(|(at, node)| Some((at, owned(node.worker)?))).collect(),
            services: standing(trial.nodes.len()).collect(),
            policy: NetworkPolicy::default(),
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

/// The private network of a rental has its bits.
const fn mesh_of(rental: RentalId) -> MeshId {
    MeshId::from_bits(rental.bits())
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
