//! Trials of newcomers: begun, seen, judged, cleared.

use std::collections::BTreeMap;
use std::time::Duration;

use market::CLEARING_MAX;
use units::{RentalId, Timestamp, WorkerId};

use super::job::cut;
use super::supply::only_clock;
use crate::effect::Subject;
use crate::onboarding::{Candidate, Trial, TrialNode, Tried, groups};
use crate::record::{Actor, JobSaid, NodeSaid, PhaseSaid, TrialSaid};
use crate::refusal::{Noun, Refusal};
use crate::state::{Control, JobStage, NodeStage, Reply, Worker};

/// How far a record of a trial may reach beyond it: what it takes to clear a node, and what a clock may be off.
const TRIAL_SLACK: Duration = Duration::from_secs(5 * 60);

const _: () = assert!(TRIAL_SLACK.as_secs() > CLEARING_MAX.as_secs(), "a node is cleared by then");

impl Control {
    /// Who should be tried together now. Whoever is told begins a trial of each group.
    pub fn trials_due(&self, now: Timestamp) -> Vec<Vec<WorkerId>> {
        let rules = &self.parameters().onboarding;
        if !rules.required || !rules.trial_required {
            return Vec::new();
        }
        let candidates = self.pending.iter().filter_map(|id| self.candidate(*id, now)).collect();
        groups(candidates, rules, now)
    }

    /// A machine as far as it can be tried now.
    fn candidate(&self, id: WorkerId, now: Timestamp) -> Option<Candidate> {
        let rules = &self.parameters().onboarding;
        let worker = self.workers.get(&id)?;
        let onboarding = &worker.onboarding;
        let since = worker.uptime.since()?.max(onboarding.retry_at);
        let waits = worker.takes_part()
            && !onboarding.is_ready()
            && worker.nodes.is_empty()
            && worker.checks.clusters_passed != Some(true)
            && !onboarding.has_failed(rules)
            && since <= now
            && self.meets_requirements(id, now);
        let failed_in = onboarding.trials.back().filter(|last| last.passed != Some(true));
        let failed_in = failed_in.map(|last| last.company.clone());
        waits.then_some(Candidate { worker: id, owner: worker.owner, since, failed_in })
    }

    /// The network begins to try machines together.
    pub(crate) fn begin_trial(
        &mut self,
        by: Actor,
        id: RentalId,
        workers: &[WorkerId],
        now: Timestamp,
    ) -> Result<Reply, Refusal> {
        only_clock(by)?;
        if self.rentals.contains_key(&id) || self.trials.contains_key(&id) {
            return Err(Refusal::Exists(Noun::Rental));
        }
        let invalid = |why: &str| Refusal::Invalid { field: "workers", why: why.to_owned() };
        let rules = self.parameters().onboarding.clone();
        let fits = usize::try_from(rules.trial_nodes_max).is_ok_and(|most| workers.len() <= most);
        if workers.is_empty() || !fits {
            return Err(invalid("from one to as many as are tried together"));
        }
        let mut nodes: Vec<TrialNode> = Vec::new();
        for worker in workers {
            let waits = self.candidate(*worker, now).is_some();
            if !waits || nodes.iter().any(|node| node.worker == *worker) {
                return Err(invalid("each is new, speaks, and waits for its trial"));
            }
            nodes.push(TrialNode::new(*worker, self.known_worker(*worker)?.machine.offers));
        }
        let has_mesh = self.can_mesh(workers);
        self.trials.insert(id, Trial::new(id, nodes, has_mesh, now, &rules));
        for worker in workers {
            if let Some(worker) = self.workers.get_mut(worker) {
                worker.onboarding.trial = Some(id);
            }
            self.nudge(*worker);
            self.show_open(*worker);
        }
        Ok(Reply::Rental(id))
    }

    /// What a trial came to, as whoever has looked at its results says.
    pub(crate) fn end_trial(
        &mut self,
        by: Actor,
        id: RentalId,
        said: &[TrialSaid],
        now: Timestamp,
    ) -> Result<Reply, Refusal> {
        only_clock(by)?;
        let trial = self.trials.get(&id).filter(|trial| trial.ended.is_none());
        let trial = trial.ok_or(Refusal::NotFound(Noun::Rental))?;
        let invalid = |why: &str| Refusal::Invalid { field: "said", why: why.to_owned() };
        for (at, one) in said.iter().enumerate() {
            let node = trial.nodes.iter().find(|node| node.worker == one.worker);
            let Some(node) = node else { return Err(invalid("a machine is not in this trial")) };
            if said.iter().take(at).any(|other| other.worker == one.worker) {
                return Err(invalid("a machine is judged once"));
            }
            if one.passed && node.stage != NodeStage::Ready {
                return Err(invalid("a machine whose node did not come up has not passed"));
            }
        }
        self.conclude(id, said, now);
        Ok(Reply::Done)
    }

    /// Trials of which nothing more is to be seen, with what their machines have shown by themselves. Whoever can read
    /// the stress job's results may say more; who says nothing for a minute leaves it at that.
    pub fn trials_over(&self) -> Vec<(RentalId, Vec<TrialSaid>)> {
        let over = self.trials.values();
        let over = over.filter(|trial| trial.ended.is_none() && trial.decided.is_some());
        over.map(|trial| (trial.id, trial.verdict())).collect()
    }

    /// Whether a machine was in its trial all the time from `began` to `ended`; nothing if it was never in it, or too
    /// long ago. A machine cannot tell a trial from a rental, and hands over records of both: of a trial only what lies
    /// within it, up to [`TRIAL_SLACK`].
    pub fn was_tried_in(
        &self,
        worker: WorkerId,
        trial: RentalId,
        (began, ended): (Timestamp, Timestamp),
    ) -> Option<bool> {
        let onboarding = &self.workers.get(&worker)?.onboarding;
        let runs = self.trials.get(&trial).filter(|_| onboarding.trial == Some(trial));
        let runs = runs.map(|trial| (trial.began, trial.ended));
        let before = || onboarding.trials.iter().find(|tried| tried.trial == trial);
        let (from, to) = runs.or_else(|| before().map(|it| (it.began, Some(it.ended))))?;
        let is_in_time = to.is_none_or(|to| ended <= to.after(TRIAL_SLACK));
        Some(from <= began.after(TRIAL_SLACK) && is_in_time)
    }

    /// A trial that is not cleared yet.
    pub fn trial(&self, id: RentalId) -> Option<&Trial> {
        self.trials.get(&id)
    }

    /// Every trial that is not cleared yet.
    pub fn trials(&self) -> impl Iterator<Item = &Trial> {
        self.trials.values()
    }

    /// Trials whose time is over are judged by what is known; machines that do not clear are free in any case.
    pub(crate) fn wake_trials(&mut self, now: Timestamp) {
        let due: Vec<RentalId> =
            self.trials.values().filter(|trial| trial.due() <= now).map(|trial| trial.id).collect();
        for id in due {
            let Some(trial) = self.trials.get(&id) else { continue };
            if trial.ended.is_none() {
                let said = trial.verdict();
                self.conclude(id, &said, now);
            } else {
                let all: Vec<WorkerId> = trial.nodes.iter().map(|node| node.worker).collect();
                all.into_iter().for_each(|worker| self.leave_trial(id, worker, now));
            }
        }
    }

    /// A trial is over: each machine is told what came of it, and clears its node.
    fn conclude(&mut self, id: RentalId, said: &[TrialSaid], now: Timestamp) {
        let rules = self.parameters().onboarding.clone();
        let Some(trial) = self.trials.get_mut(&id) else { return };
        trial.ended = Some(now);
        trial.until = now.after(CLEARING_MAX);
        if !trial.job.is_over() {
            trial.job = JobStage::Stopped;
        }
        let trial = trial.clone();
        for node in &trial.nodes {
            let said = said.iter().find(|one| one.worker == node.worker);
            let note = said.map_or("another machine broke it off", |said| said.note.as_str());
            let tried = Tried {
                trial: id,
                began: trial.began,
                ended: now,
                company: trial.company(node.worker),
                passed: said.map(|said| said.passed),
                note: cut(note.to_owned()),
            };
            self.judge_newcomer(node.worker, id, tried, &rules);
            self.ask_to_clear(id, node.worker);
        }
        for node in &trial.nodes {
            // Who left in the meantime has nothing to clear.
            if node.cleared {
                self.leave_trial(id, node.worker, now);
            }
        }
    }

    fn judge_newcomer(
        &mut self,
        id: WorkerId,
        trial: RentalId,
        tried: Tried,
        rules: &crate::onboarding::OnboardingRules,
    ) {
        let of = |worker: &&mut Worker| worker.onboarding.trial == Some(trial);
        let Some(worker) = self.workers.get_mut(&id).filter(of) else { return };
        let passed = tried.passed == Some(true);
        worker.onboarding.tried(tried, rules);
        if passed {
            worker.checks.clusters_passed = Some(true);
        } else if worker.onboarding.has_failed(rules) {
            worker.checks.clusters_passed = Some(false);
        }
        self.changed(Subject::Worker(id));
    }

    fn ask_to_clear(&mut self, id: RentalId, worker: WorkerId) {
        self.nudge(worker);
        let revision = self.workers.get(&worker).map(|worker| worker.revision);
        let trial = self.trials.get_mut(&id);
        let node = trial.and_then(|trial| trial.nodes.iter_mut().find(|it| it.worker == worker));
        if let Some(node) = node {
            node.cleared_from = node.cleared_from.or(revision);
        }
    }

    /// A machine is out of a trial.
    fn leave_trial(&mut self, id: RentalId, worker: WorkerId, now: Timestamp) {
        let trial = self.trials.get_mut(&id);
        let node = trial.and_then(|trial| trial.nodes.iter_mut().find(|it| it.worker == worker));
        if let Some(node) = node {
            node.cleared = true;
        }
        let is_over =
            |trial: &Trial| trial.ended.is_some() && trial.nodes.iter().all(|node| node.cleared);
        if self.trials.get(&id).is_some_and(is_over) {
            self.trials.remove(&id);
        }
        let of = |known: &&mut Worker| known.onboarding.trial == Some(id);
        if let Some(known) = self.workers.get_mut(&worker).filter(of) {
            known.onboarding.trial = None;
            self.settle_onboarding(worker, now);
        }
    }

    /// A machine takes no further part in its trial, if it is in one: it left, or is another machine now.
    pub(crate) fn drop_from_trial(&mut self, worker: WorkerId, why: &str, now: Timestamp) {
        if let Some(id) = self.workers.get(&worker).and_then(|worker| worker.onboarding.trial) {
            self.trial_node_lost(id, worker, why, now);
        }
    }

    /// A machine that is in a trial went for good.
    pub(crate) fn retired_from_trial(&mut self, id: RentalId, worker: WorkerId, now: Timestamp) {
        self.trial_node_lost(id, worker, "it left the network", now);
        self.leave_trial(id, worker, now);
    }

    fn trial_node_lost(&mut self, id: RentalId, worker: WorkerId, why: &str, now: Timestamp) {
        let trial = self.trials.get_mut(&id).filter(|trial| trial.ended.is_none());
        let Some(trial) = trial else { return };
        trial.decided.get_or_insert(now);
        let Some(node) = trial.nodes.iter_mut().find(|node| node.worker == worker) else { return };
        if node.stage != NodeStage::Lost {
            node.stage = NodeStage::Lost;
            node.reason = Some(cut(why.to_owned()));
            self.ask_to_clear(id, worker);
        }
    }

    /// A machine says what runs on it: what of that is its trial.
    pub(crate) fn trial_seen(
        &mut self,
        worker: WorkerId,
        said: &mut BTreeMap<(RentalId, u32), NodeSaid>,
        revision: Option<u64>,
        now: Timestamp,
    ) {
        let of = self.workers.get(&worker).and_then(|worker| worker.onboarding.trial);
        let Some(trial) = of.and_then(|id| self.trials.get(&id)) else { return };
        let (id, ended) = (trial.id, trial.ended.is_some());
        let at = (0_u32..).zip(&trial.nodes).find(|(_, node)| node.worker == worker);
        let Some((index, node)) = at else { return };
        let cleared = node.cleared_from.is_some_and(|from| revision.is_some_and(|it| it >= from));
        let seen_before = node.seen_at;
        let came = matches!(node.stage, NodeStage::Starting | NodeStage::Ready);
        match said.remove(&(id, index)) {
            Some(_) if ended => {}
            Some(said) => self.trial_node_said(id, worker, said, revision, now),
            None if cleared => self.trial_node_cleared(id, worker, now),
            None if !ended && came && revision.is_some() && revision >= seen_before => {
                self.trial_node_lost(id, worker, "its node is no longer there", now);
            }
            None => {}
        }
    }

    /// A machine has cleared its node; while the trial goes on without it, it stays in it.
    fn trial_node_cleared(&mut self, id: RentalId, worker: WorkerId, now: Timestamp) {
        let Some(trial) = self.trials.get_mut(&id) else { return };
        if trial.ended.is_some() {
            self.leave_trial(id, worker, now);
        } else if let Some(node) = trial.nodes.iter_mut().find(|node| node.worker == worker) {
            node.cleared = true;
        }
    }

    fn trial_node_said(
        &mut self,
        id: RentalId,
        worker: WorkerId,
        said: NodeSaid,
        revision: Option<u64>,
        now: Timestamp,
    ) {
        let Some(trial) = self.trials.get_mut(&id) else { return };
        let was_up = trial.is_up();
        let Some(node) = trial.nodes.iter_mut().find(|node| node.worker == worker) else { return };
        if node.stage == NodeStage::Lost {
            return;
        }
        node.seen_at = node.seen_at.max(revision);
        let stage = match said.phase {
            PhaseSaid::Ready => NodeStage::Ready,
            PhaseSaid::Gone { reason } => return self.trial_node_lost(id, worker, &reason, now),
            PhaseSaid::Starting
            | PhaseSaid::Running
            | PhaseSaid::Succeeded
            | PhaseSaid::Failed { .. }
            | PhaseSaid::Stopped => NodeStage::Starting,
        };
        let news = said.node == 0 && node.listens != said.head;
        node.stage = stage;
        node.listens = said.head;
        let came_up = !was_up && trial.is_up();
        if came_up {
            trial.up_since = Some(now);
        }
        let all: Vec<WorkerId> = trial.nodes.iter().map(|node| node.worker).collect();
        if news || came_up {
            all.into_iter().for_each(|worker| self.nudge(worker));
        }
    }

    /// The head of a trial says how far the stress job has come.
    pub(crate) fn trial_job_said(&mut self, worker: WorkerId, said: &JobSaid, now: Timestamp) {
        let of = self.workers.get(&worker).and_then(|worker| worker.onboarding.trial);
        let Some(trial) = of.and_then(|id| self.trials.get_mut(&id)) else { return };
        let id = trial.id;
        let drives = trial.nodes.first().is_some_and(|head| head.worker == worker);
        if !drives || said.job != trial.job_id() || trial.ended.is_some() || trial.job.is_over() {
            return;
        }
        trial.job = match &said.phase {
            PhaseSaid::Starting => JobStage::Pending,
            PhaseSaid::Running => JobStage::Running,
            // A job that never ran on all nodes has shown nothing.
            PhaseSaid::Succeeded if !trial.is_up() => return,
            PhaseSaid::Succeeded if !trial.has_had_its_time(now) => {
                let why = "it said that the stress job was done before it could be";
                return self.trial_node_lost(id, worker, why, now);
            }
            PhaseSaid::Succeeded => JobStage::Succeeded,
            PhaseSaid::Failed { message } => JobStage::Failed { message: cut(message.clone()) },
            PhaseSaid::Stopped => JobStage::Stopped,
            PhaseSaid::Ready | PhaseSaid::Gone { .. } => return,
        };
        if trial.job.is_over() {
            trial.decided.get_or_insert(now);
        }
    }
}
