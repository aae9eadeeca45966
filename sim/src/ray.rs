//! The runtime of a machine: clusters that start late or never, nodes that die, jobs that run, fail or hang.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use units::JobId;
use worker::{JobPhase, NodeKey, NodeOrder, NodePhase};

use crate::broken::{Broken, Invariant, Step};
use crate::world::{Due, World};

/// A node of a cluster, as it runs on a machine.
#[derive(Debug)]
pub(crate) struct Ray {
    /// Tells it from another that ran under the same key.
    pub(crate) birth: u64,
    gpus: Vec<u32>,
    pub(crate) phase: NodePhase,
    pub(crate) head: Option<SocketAddr>,
    stopping: bool,
    pub(crate) jobs: BTreeMap<JobId, JobPhase>,
}

/// What happens to a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum RayEvent {
    Listens,
    Ready,
    Dies,
    Stopped,
    Job(JobId, JobPhase),
}

impl World {
    pub(crate) fn ray_start(&mut self, index: usize, order: &NodeOrder) -> Step {
        let birth = self.fresh();
        let machine = &mut self.machines[index];
        if machine.rays.contains_key(&order.key) {
            return Ok(());
        }
        let shares = |ray: &Ray| ray.gpus.iter().any(|gpu| order.gpus.contains(gpu));
        if let Some((other, _)) = machine.rays.iter().find(|(_, ray)| shares(ray)) {
            let seen = format!("m{index} starts {} beside {}", key(order.key), key(*other));
            return Err(Broken { invariant: Invariant::OneNodePerCard, seen });
        }
        let ray = Ray {
            birth,
            gpus: order.gpus.clone(),
            phase: NodePhase::Starting,
            head: None,
            stopping: false,
            jobs: BTreeMap::new(),
        };
        machine.rays.insert(order.key, ray);
        self.say_of(index, || format!("starts node {}", key(order.key)));
        let listens = self.dice.millis(300, 5_000);
        if order.key.is_head() {
            self.ray_later(index, order.key, birth, listens, RayEvent::Listens);
        }
        let trouble = self.plan.nodes_fail && self.raining;
        if trouble && self.dice.chance(60) {
            let dies = self.dice.millis(100, 60_000);
            self.ray_later(index, order.key, birth, dies, RayEvent::Dies);
        } else if !(trouble && self.dice.chance(30)) {
            let ready = listens + self.dice.millis(100, 40_000);
            self.ray_later(index, order.key, birth, ready, RayEvent::Ready);
        }
        Ok(())
    }

    pub(crate) fn ray_stop(&mut self, index: usize, stopped: NodeKey) {
        let slow = self.plan.slow_stops && self.dice.chance(300);
        let later = if slow { self.dice.seconds(100, 400) } else { self.dice.millis(100, 15_000) };
        self.say_of(index, || format!("stops node {}", key(stopped)));
        let birth = self.machines[index].rays.get_mut(&stopped).map(|ray| {
            ray.stopping = true;
            ray.birth
        });
        self.ray_later(index, stopped, birth.unwrap_or(0), later, RayEvent::Stopped);
    }

    pub(crate) fn ray_submit(&mut self, index: usize, node: NodeKey, job: JobId) {
        let Some(ray) = self.machines[index].rays.get_mut(&node) else { return };
        if ray.jobs.contains_key(&job) {
            return;
        }
        ray.jobs.insert(job, JobPhase::Pending);
        let birth = ray.birth;
        let runs = self.dice.millis(200, 10_000);
        self.ray_later(index, node, birth, runs, RayEvent::Job(job, JobPhase::Running));
        // The stress job of a trial has the trial's bits, and runs for as long as it is told to.
        let is_stress = job.bits() == node.rental.bits();
        let end = match self.dice.between(0, if is_stress { 39 } else { 9 }) {
            0 => return,
            1..=2 => JobPhase::Failed { message: "exit code 1".to_owned() },
            _ => JobPhase::Succeeded,
        };
        let (least, most) = if is_stress { (61, 100) } else { (1, 300) };
        let ends = runs + self.dice.seconds(least, most);
        self.ray_later(index, node, birth, ends, RayEvent::Job(job, end));
    }

    pub(crate) fn ray_stop_job(&mut self, index: usize, node: NodeKey, job: JobId) {
        let birth = self.machines[index].rays.get_mut(&node).map(|ray| {
            ray.jobs.entry(job).or_insert(JobPhase::Pending);
            ray.birth
        });
        let later = self.dice.millis(50, 5_000);
        let event = RayEvent::Job(job, JobPhase::Stopped);
        self.ray_later(index, node, birth.unwrap_or(0), later, event);
    }

    fn ray_later(
        &mut self,
        machine: usize,
        key: NodeKey,
        birth: u64,
        later: std::time::Duration,
        event: RayEvent,
    ) {
        self.agenda.at(self.now.after(later), Due::Ray { machine, key, birth, event });
    }

    /// Something happens to a node, unless it has been replaced by another.
    pub(crate) fn ray_event(
        &mut self,
        index: usize,
        node: NodeKey,
        birth: u64,
        event: RayEvent,
    ) -> Step {
        let rays = &mut self.machines[index].rays;
        if event == RayEvent::Stopped {
            if rays.get(&node).is_some_and(|ray| ray.birth != birth) {
                return Ok(());
            }
            rays.remove(&node);
            self.say_of(index, || format!("has stopped node {}", key(node)));
            return self.node_stopped(index, node);
        }
        let Some(ray) = rays.get_mut(&node).filter(|ray| ray.birth == birth) else {
            return Ok(());
        };
        let gone = matches!(ray.phase, NodePhase::Gone { .. });
        match event {
            RayEvent::Listens if !gone => ray.head = Some(([10, 0, 0, 1], 6379).into()),
            RayEvent::Ready if !gone => ray.phase = NodePhase::Ready,
            RayEvent::Dies => {
                ray.phase = NodePhase::Gone { reason: "it died".to_owned() };
                ray.head = None;
            }
            RayEvent::Job(job, phase) => {
                if ray.jobs.get(&job).is_some_and(|now| !now.is_over()) {
                    ray.jobs.insert(job, phase);
                }
            }
            RayEvent::Listens | RayEvent::Ready | RayEvent::Stopped => {}
        }
        if self.trace_is_on() {
            let ray = &self.machines[index].rays[&node];
            let text = format!("node {} is {:?}", key(node), ray.phase);
            self.say_of(index, || text);
        }
        self.machine_look(index)
    }
}

/// A node's name in the trace.
pub(crate) fn key(key: NodeKey) -> String {
    format!("{}/{}", short(key.rental), key.node)
}

/// The last digits of an id, enough to tell two apart in one run.
pub(crate) fn short(id: impl std::fmt::Display) -> String {
    let text = id.to_string();
    let (prefix, _) = text.split_once('_').unwrap_or(("", ""));
    format!("{prefix}…{}", &text[text.len() - 4..])
}
