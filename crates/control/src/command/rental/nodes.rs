//! Nodes of rentals, as their machines report them.

use std::collections::BTreeMap;

use market::{Event, Stage};
use units::{RentalId, Timestamp, WorkerId};

use super::super::job::cut;
use super::super::supply::only_worker;
use crate::effect::Subject;
use crate::record::{Actor, JobSaid, NodeSaid, PhaseSaid};
use crate::refusal::Refusal;
use crate::state::{Control, Node, NodeStage, Reply};

/// What a machine sees of its own.
pub(crate) struct Sight {
    /// The newest revision of what is wanted that all of it follows.
    pub(crate) revision: Option<u64>,
    /// Its nodes.
    pub(crate) nodes: Vec<NodeSaid>,
    /// Their jobs.
    pub(crate) jobs: Vec<JobSaid>,
}

/// Why a node serves no longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// Its own supplier did not keep it up.
    Broken,
    /// The rental is over, for whatever reason.
    Over,
    /// Somebody else is on its cards, or one of them does not answer.
    Disturbed,
}

impl Control {
    /// A machine says what runs on it. Whatever it says is taken for what it is worth: unknown nodes and jobs are
    /// passed over, and it hears from what is wanted of it that they should stop.
    pub(crate) fn observe(
        &mut self,
        by: Actor,
        worker: WorkerId,
        sight: Sight,
        now: Timestamp,
    ) -> Result<Reply, Refusal> {
        let Sight { revision, nodes, jobs } = sight;
        only_worker(by, worker)?;
        let seated = self.known_worker(worker)?.nodes.clone();
        let mut said: BTreeMap<(RentalId, u32), NodeSaid> =
            nodes.into_iter().map(|node| ((node.rental, node.node), node)).collect();
        for (rental, index) in seated {
            match said.remove(&(rental, index)) {
                Some(node) => self.node_said(node, revision, now),
                None => self.node_absent(rental, index, revision, now),
            }
        }
        self.trial_seen(worker, &mut said, revision, now);
        for job in jobs {
            self.trial_job_said(worker, &job, now);
            if self.drives(worker, &job) {
                self.job_said(job, now);
            }
        }
        Ok(Reply::Done)
    }

    /// Whether this worker holds the head of the rental that the job belongs to.
    fn drives(&self, worker: WorkerId, said: &JobSaid) -> bool {
        let rental = self.jobs.get(&said.job).and_then(|job| self.rentals.get(&job.rental));
        let head = rental.and_then(|rental| rental.nodes.first());
        head.is_some_and(|head| head.seat.worker == worker)
    }

    fn node_said(&mut self, said: NodeSaid, revision: Option<u64>, now: Timestamp) {
        let id = said.rental;
        if !matches!(said.phase, PhaseSaid::Ready) {
            self.stop_meter(id, said.node, Stop::Broken, now);
        }
        let Some(rental) = self.rentals.get_mut(&id) else { return };
        let runs = matches!(rental.stage, Stage::Running { .. });
        let wants = rental.stage.wants_nodes();
        let Some(node) = node_mut(&mut rental.nodes, said.node) else { return };
        if !wants || node.stage == NodeStage::Lost {
            return;
        }
        node.silent_since = None;
        node.seen_at = node.seen_at.max(revision);
        let news = node.listens != said.head;
        let stage = match said.phase {
            PhaseSaid::Ready => NodeStage::Ready,
            PhaseSaid::Gone { reason } => return self.node_lost(id, said.node, &cut(reason), now),
            PhaseSaid::Starting
            | PhaseSaid::Running
            | PhaseSaid::Succeeded
            | PhaseSaid::Failed { .. }
            | PhaseSaid::Stopped => NodeStage::Starting,
        };
        node.stage = stage;
        node.listens = said.head;
        if stage == NodeStage::Ready {
            self.disturbed(id, said.node, said.disturbed, now);
        }
        let Some(rental) = self.rentals.get_mut(&id) else { return };
        let Some(node) = node_mut(&mut rental.nodes, said.node) else { return };
        if runs && stage == NodeStage::Ready && node.lock.disturbed.is_none() {
            node.meter.start(now);
        }
        self.changed(Subject::Rental(id));
        self.schedule(id);
        if news && said.node == 0 {
            self.nudge_nodes(id);
        }
        self.run_if_ready(id, now);
    }

    fn run_if_ready(&mut self, id: RentalId, now: Timestamp) {
        let Some(rental) = self.rentals.get_mut(&id) else { return };
        let Stage::Deploying { .. } = rental.stage else { return };
        if !rental.nodes.iter().all(|node| node.stage == NodeStage::Ready) {
            return;
        }
        for node in rental.nodes.iter_mut().filter(|node| node.lock.disturbed.is_none()) {
            node.meter.start(now);
        }
        rental.worked_until = Some(now);
        let until = now.after(rental.terms.booked());
        self.advance(id, Event::Ready { until }, now);
    }

    /// A machine that has acted on `revision` shows nothing of a node that is seated on it.
    fn node_absent(&mut self, id: RentalId, index: u32, revision: Option<u64>, now: Timestamp) {
        let Some(rental) = self.rentals.get_mut(&id) else { return };
        let wants = rental.stage.wants_nodes();
        let Some(node) = node_mut(&mut rental.nodes, index) else { return };
        let acted =
            node.cleared_from.is_some_and(|from| revision.is_some_and(|revision| revision >= from));
        if acted {
            self.node_cleared(id, index, now);
        } else if wants
            && matches!(node.stage, NodeStage::Starting | NodeStage::Ready)
            && revision.is_some()
            // A word that was overtaken, from before the node was there, says nothing of it.
            && revision >= node.seen_at
        {
            self.node_lost(id, index, "its machine no longer has it", now);
        }
    }

    /// A machine has gone silent: the clock of its nodes stands from when it was last heard.
    pub(crate) fn node_silent(
        &mut self,
        id: RentalId,
        index: u32,
        heard: Timestamp,
        now: Timestamp,
    ) {
        self.stop_meter(id, index, Stop::Broken, heard);
        let Some(rental) = self.rentals.get_mut(&id) else { return };
        let Some(node) = node_mut(&mut rental.nodes, index) else { return };
        match rental.stage {
            Stage::Running { .. } if node.stage != NodeStage::Lost => {
                node.silent_since = Some(heard);
                self.schedule(id);
                self.changed(Subject::Rental(id));
            }
            Stage::Deploying { .. } => self.node_lost(id, index, "its machine went silent", now),
            Stage::Quoted { .. }
            | Stage::AwaitingPayment { .. }
            | Stage::Running { .. }
            | Stage::Ending { .. }
            | Stage::Ended { .. } => {}
        }
    }

    /// A node will not come back. Without its head, or before it was ever ready, the rental fails with it.
    pub(crate) fn node_lost(&mut self, id: RentalId, index: u32, reason: &str, now: Timestamp) {
        let Some(rental) = self.rentals.get_mut(&id) else { return };
        if !rental.stage.wants_nodes() {
            return;
        }
        self.stop_meter(id, index, Stop::Broken, now);
        let Some(rental) = self.rentals.get_mut(&id) else { return };
        let deploying = matches!(rental.stage, Stage::Deploying { .. });
        let reason = format!("node {index}: {reason}");
        let Some(node) = node_mut(&mut rental.nodes, index) else { return };
        node.silent_since = None;
        node.stage = NodeStage::Lost;
        rental.reason.get_or_insert(reason);
        let others = rental.nodes.iter().any(|node| node.stage != NodeStage::Lost);
        if deploying || index == 0 || !others {
            self.advance(id, Event::Failed, now);
        } else {
            self.clear_node(id, index);
            self.schedule(id);
            self.changed(Subject::Rental(id));
        }
    }

    /// Asks every machine to clear what it runs for this rental.
    pub(super) fn clear_nodes(&mut self, id: RentalId) {
        for index in 0..self.node_count(id) {
            self.clear_node(id, index);
        }
    }

    fn clear_node(&mut self, id: RentalId, index: u32) {
        let Some(rental) = self.rentals.get(&id) else { return };
        let Some(worker) = node_at(&rental.nodes, index).map(|node| node.seat.worker) else {
            return;
        };
        self.nudge(worker);
        let revision = self.workers.get(&worker).map(|worker| worker.revision);
        let Some(rental) = self.rentals.get_mut(&id) else { return };
        if let Some(node) = node_mut(&mut rental.nodes, index) {
            node.cleared_from = node.cleared_from.or(revision);
        }
    }

    fn node_cleared(&mut self, id: RentalId, index: u32, now: Timestamp) {
        self.give_back(id, index);
        self.changed(Subject::Rental(id));
        self.end_if_cleared(id, now);
    }

    pub(super) fn end_if_cleared(&mut self, id: RentalId, now: Timestamp) {
        let Some(rental) = self.rentals.get(&id) else { return };
        let ending = matches!(rental.stage, Stage::Ending { .. });
        if ending && rental.nodes.iter().all(|node| node.cleared) {
            self.advance(id, Event::Cleared, now);
        }
    }

    pub(super) fn give_back_all(&mut self, id: RentalId) {
        for index in 0..self.node_count(id) {
            self.give_back(id, index);
        }
    }

    fn give_back(&mut self, id: RentalId, index: u32) {
        let Some(rental) = self.rentals.get_mut(&id) else { return };
        let Some(node) = node_mut(&mut rental.nodes, index).filter(|node| !node.cleared) else {
            return;
        };
        node.cleared = true;
        let seat = node.seat.clone();
        self.inventory.give_back(&seat);
        self.queue.stir();
        if let Some(worker) = self.workers.get_mut(&seat.worker) {
            worker.nodes.remove(&(id, index));
            worker.onboarding.served_at = Some(self.head.at);
        }
        self.changed(Subject::Worker(seat.worker));
    }

    pub(super) fn nudge_nodes(&mut self, id: RentalId) {
        let Some(rental) = self.rentals.get(&id) else { return };
        let workers: Vec<WorkerId> = rental.nodes.iter().map(|node| node.seat.worker).collect();
        for worker in workers {
            self.nudge(worker);
        }
    }

    /// A node serves no longer: its clock stands, and its machine was hired in the hours it served a stranger.
    pub(crate) fn stop_meter(&mut self, id: RentalId, index: u32, stop: Stop, at: Timestamp) {
        let now = self.head.at.max(at);
        let first_open = self.first_open_hour(now);
        self.stop_lock(id, index, stop, at);
        let Some(rental) = self.rentals.get(&id) else { return };
        let Some(node) = node_at(&rental.nodes, index) else { return };
        let Some(since) = node.meter.since() else { return };
        self.see_served(id, index, since, at);
        let Some(rental) = self.rentals.get(&id) else { return };
        let Some(node) = node_at(&rental.nodes, index) else { return };
        let (worker, stranger) =
            (node.seat.worker, self.is_stranger(rental.project, node.supplier));
        if let Some(worker) = self.workers.get_mut(&worker).filter(|_| stranger) {
            worker.hired.add(since, at, first_open);
        }
        let Some(rental) = self.rentals.get_mut(&id) else { return };
        if let Some(node) = node_mut(&mut rental.nodes, index) {
            match stop {
                Stop::Broken => node.meter.broken(at),
                Stop::Over => node.meter.stop_by_renter(at),
                Stop::Disturbed => node.meter.disturbed(at),
            }
        }
    }

    pub(super) fn node_count(&self, id: RentalId) -> u32 {
        let nodes = self.rentals.get(&id).map_or(0, |rental| rental.nodes.len());
        u32::try_from(nodes).expect("an order has at most 1,024 nodes")
    }
}

pub(crate) fn node_at(nodes: &[Node], index: u32) -> Option<&Node> {
    nodes.get(usize::try_from(index).ok()?)
}

pub(crate) fn node_mut(nodes: &mut [Node], index: u32) -> Option<&mut Node> {
    nodes.get_mut(usize::try_from(index).ok()?)
}
