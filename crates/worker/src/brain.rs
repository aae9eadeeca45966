//! The comparison of what is wanted with what is there.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;

use units::{JobId, Timestamp};

use crate::limits::ORPHANED_AFTER;
use crate::order::{JobOrder, NodeKey, NodeOrder};
use crate::seen::{JobPhase, JobSeen, NodePhase, NodeSeen, Seen};

/// What the shell must do next, in order. Each may be done twice without harm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Start this node.
    Start(NodeOrder),
    /// End this node and remove everything it left; answer with [`Worker::on_stopped`].
    Stop(NodeKey),
    /// Hand this job to the node's cluster.
    Submit(NodeKey, JobOrder),
    /// Ask the node's cluster to end this job; one that the cluster does not know is [`JobPhase::Stopped`].
    StopJob(NodeKey, JobId),
    /// Hand the ended job's log and files to the control plane; answer with [`Worker::on_collected`].
    Collect(NodeKey, JobId),
    /// Tell the control plane what is seen, without waiting for the next beat.
    Tell,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Node {
    /// Its cards; not known of a node that was found after a restart, until the control plane has spoken of it.
    gpus: Option<Vec<u32>>,
    phase: NodePhase,
    head: Option<SocketAddr>,
    stopping: bool,
    jobs: BTreeMap<JobId, Job>,
}

/// `told` lags `phase` while an ended job's files are still being handed over.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Job {
    phase: JobPhase,
    told: JobPhase,
    stop_asked: bool,
}

/// The brain of one machine's agent. It neither reads a clock nor starts a process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Worker {
    /// `None` until the control plane has spoken since this worker started.
    wanted: Option<BTreeMap<NodeKey, NodeOrder>>,
    revision: Option<u64>,
    nodes: BTreeMap<NodeKey, Node>,
    heard: Timestamp,
    effects: VecDeque<Effect>,
}

impl Worker {
    /// A worker that starts now and finds these nodes still running from before.
    pub fn new(found: &[NodeKey], now: Timestamp) -> Self {
        let nodes = found.iter().map(|key| (*key, Node::starting(None))).collect();
        Self { wanted: None, revision: None, nodes, heard: now, effects: VecDeque::new() }
    }

    /// The control plane said all that should run here. What is older than what was heard already is ignored.
    pub fn on_wanted(&mut self, revision: u64, orders: Vec<NodeOrder>, now: Timestamp) {
        self.heard = now;
        if self.revision.is_some_and(|known| known >= revision) {
            return;
        }
        self.revision = Some(revision);
        self.effects.push_back(Effect::Tell);
        self.wanted = Some(orders.into_iter().map(|order| (order.key, order)).collect());
        self.reconcile();
    }

    /// The control plane answered, without news.
    pub fn on_contact(&mut self, now: Timestamp) {
        self.heard = now;
    }

    /// The shell looked at a node.
    pub fn on_node(&mut self, key: NodeKey, seen: NodeSeen) {
        let Some(node) = self.nodes.get_mut(&key) else { return };
        if node.phase == seen.phase && node.head == seen.head {
            return;
        }
        node.phase = seen.phase;
        node.head = seen.head;
        self.effects.push_back(Effect::Tell);
        self.reconcile();
    }

    /// A node asked to stop is gone, with everything it left.
    pub fn on_stopped(&mut self, key: NodeKey) {
        if self.nodes.remove(&key).is_some() {
            self.effects.push_back(Effect::Tell);
            self.reconcile();
        }
    }

    /// The shell looked at a job.
    pub fn on_job(&mut self, key: NodeKey, id: JobId, phase: JobPhase) {
        let Some(job) = self.nodes.get_mut(&key).and_then(|node| node.jobs.get_mut(&id)) else {
            return;
        };
        if job.phase == phase || job.phase.is_over() {
            return;
        }
        job.phase = phase;
        if job.phase.is_over() {
            self.effects.push_back(Effect::Collect(key, id));
        } else {
            job.told = job.phase.clone();
            self.effects.push_back(Effect::Tell);
        }
    }

    /// An ended job's log and files are with the control plane.
    pub fn on_collected(&mut self, key: NodeKey, id: JobId) {
        let Some(job) = self.nodes.get_mut(&key).and_then(|node| node.jobs.get_mut(&id)) else {
            return;
        };
        job.told = job.phase.clone();
        self.effects.push_back(Effect::Tell);
    }

    /// What to tell the control plane.
    pub fn seen(&self) -> Seen {
        let mut seen = Seen { revision: self.revision, ..Seen::default() };
        for (key, node) in &self.nodes {
            seen.nodes.insert(*key, NodeSeen { phase: node.phase.clone(), head: node.head });
            for (id, job) in &node.jobs {
                seen.jobs.insert(*id, JobSeen { phase: job.told.clone() });
            }
        }
        seen
    }

    /// The newest revision of what is wanted that this worker has acted on.
    pub const fn revision(&self) -> Option<u64> {
        self.revision
    }

    /// The nodes the shell should look at, with the jobs that are not over.
    pub fn watched(&self) -> Vec<(NodeKey, Vec<JobId>)> {
        let open = |node: &Node| {
            node.jobs.iter().filter(|(_, job)| !job.phase.is_over()).map(|(id, _)| *id).collect()
        };
        self.nodes
            .iter()
            .filter(|(_, node)| !node.stopping)
            .map(|(key, node)| (*key, open(node)))
            .collect()
    }

    /// When [`Worker::on_wake`] next has something to do.
    pub fn wake_at(&self) -> Option<Timestamp> {
        let runs = self.nodes.values().any(|node| !node.stopping);
        runs.then(|| self.heard.after(ORPHANED_AFTER))
    }

    /// Stops everything when the control plane has been silent for too long.
    pub fn on_wake(&mut self, now: Timestamp) {
        if self.wake_at().is_some_and(|at| at <= now) {
            self.wanted = Some(BTreeMap::new());
            self.reconcile();
        }
    }

    /// The next thing to do, if any.
    pub fn next_effect(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    fn reconcile(&mut self) {
        let Some(wanted) = &self.wanted else { return };
        for (key, node) in &mut self.nodes {
            if !wanted.contains_key(key) && !node.stopping {
                node.stopping = true;
                self.effects.push_back(Effect::Stop(*key));
            }
        }
        for (key, order) in wanted {
            let may_start = order.can_start() && !cards_are_held(&self.nodes, order);
            match self.nodes.get_mut(key) {
                Some(node) if node.stopping => {}
                Some(node) => {
                    node.gpus.get_or_insert_with(|| order.gpus.clone());
                    node.drive_jobs(order, &mut self.effects);
                }
                None if may_start => {
                    self.nodes.insert(*key, Node::starting(Some(order.gpus.clone())));
                    self.effects.push_back(Effect::Start(order.clone()));
                    self.effects.push_back(Effect::Tell);
                }
                None => {}
            }
        }
    }
}

/// Whether a node that is being stopped still has one of the cards that this one wants: two renters never meet on a
/// card, even when the control plane could not wait.
fn cards_are_held(nodes: &BTreeMap<NodeKey, Node>, order: &NodeOrder) -> bool {
    let held = |node: &Node| match &node.gpus {
        Some(gpus) => gpus.iter().any(|gpu| order.gpus.contains(gpu)),
        None => !order.gpus.is_empty(),
    };
    nodes.values().any(|node| node.stopping && held(node))
}

impl Node {
    const fn starting(gpus: Option<Vec<u32>>) -> Self {
        Self {
            gpus,
            phase: NodePhase::Starting,
            head: None,
            stopping: false,
            jobs: BTreeMap::new(),
        }
    }

    fn drive_jobs(&mut self, order: &NodeOrder, effects: &mut VecDeque<Effect>) {
        if self.phase != NodePhase::Ready {
            return;
        }
        self.jobs.retain(|id, _| order.jobs.iter().any(|job| job.id == *id));
        for wanted in &order.jobs {
            let job = self.jobs.entry(wanted.id).or_insert_with(|| {
                // A job that is wanted stopped was perhaps handed over before a restart: only the cluster knows.
                if !wanted.stop {
                    effects.push_back(Effect::Submit(order.key, wanted.clone()));
                }
                Job::new()
            });
            if wanted.stop && !job.stop_asked && !job.phase.is_over() {
                job.stop_asked = true;
                effects.push_back(Effect::StopJob(order.key, wanted.id));
            }
        }
    }
}

impl Job {
    const fn new() -> Self {
        Self { phase: JobPhase::Pending, told: JobPhase::Pending, stop_asked: false }
    }
}
