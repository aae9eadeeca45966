//! Coming in: measured, ready, changed, joined again.

use rewards::checklist::{WorkOutcome, Works, in_force};
use rewards::rule::Rule;
use units::{HOUR, Tier, Timestamp, WorkerId};

use super::block::exempt;
use super::supply::{check_machine, only_clock, only_worker};
use crate::effect::Subject;
use crate::onboarding::{DeviceStatus, OnboardingStage, OnboardingView, Question, Readiness, Step};
use crate::record::{Actor, ConnectionRecord, Digest, MachineRecord};
use crate::refusal::{Noun, Refusal};
use crate::state::{Control, Reply, Worker};

impl Control {
    /// The connection of a machine was measured: it has the tier of that, whatever it says of itself.
    pub(crate) fn measure_connection(
        &mut self,
        by: Actor,
        id: WorkerId,
        connection: ConnectionRecord,
        now: Timestamp,
    ) -> Result<Reply, Refusal> {
        only_clock(by)?;
        let worker = self.workers.get_mut(&id).ok_or(Refusal::NotFound(Noun::Worker))?;
        if connection.at > now {
            let why = "nothing is measured in the future".to_owned();
            return Err(Refusal::Invalid { field: "connection.at", why });
        }
        worker.onboarding.connection = Some(connection);
        let tier = measured(worker);
        let is_other = tier != worker.machine.tier;
        worker.machine.tier = tier;
        if is_other {
            // A quote from before promises another connection.
            worker.described = now;
            self.list(id);
        }
        self.settle_onboarding(id, now);
        self.changed(Subject::Worker(id));
        Ok(Reply::Done)
    }

    /// The owner asks for another trial of a machine that has failed.
    pub(crate) fn retry_trial(
        &mut self,
        by: Actor,
        id: WorkerId,
        now: Timestamp,
    ) -> Result<Reply, Refusal> {
        self.only_owner(by, id)?;
        let worker = self.workers.get_mut(&id).ok_or(Refusal::NotFound(Noun::Worker))?;
        // It waits for as long as it had to: others are tried with it.
        worker.onboarding.pardon();
        if worker.checks.clusters_passed == Some(false) {
            worker.checks.clusters_passed = None;
        }
        self.settle_onboarding(id, now);
        self.changed(Subject::Worker(id));
        Ok(Reply::Done)
    }

    /// A machine's hardware is other than it was. It stays who it is; what was proved of cards that are gone, or of
    /// another fingerprint, is proved no more.
    pub(crate) fn change_machine(
        &mut self,
        by: Actor,
        id: WorkerId,
        (machine, fingerprint): (MachineRecord, Option<Digest>),
        now: Timestamp,
    ) -> Result<Reply, Refusal> {
        only_worker(by, id)?;
        let known = self.known_worker(id)?;
        check_machine(&machine)?;
        if !known.nodes.is_empty() {
            return Err(Refusal::InUse { rentals: known.nodes.len() });
        }
        let fingerprint = fingerprint.unwrap_or(known.fingerprint);
        if self.fingerprints.get(&fingerprint).is_some_and(|other| *other != id) {
            return Err(Refusal::SameMachine);
        }
        self.become_other(id, machine, fingerprint, now);
        Ok(Reply::Done)
    }

    /// A machine that is known is now this hardware.
    pub(crate) fn become_other(
        &mut self,
        id: WorkerId,
        mut machine: MachineRecord,
        fingerprint: Digest,
        now: Timestamp,
    ) {
        let offers = self.live_offers(id, now);
        let Some(worker) = self.workers.get_mut(&id) else { return };
        let before = std::mem::replace(&mut worker.fingerprint, fingerprint);
        machine.tier = measured(worker);
        let is_kind = is_other_kind(&worker.machine, &machine);
        let is_cards = worker.machine.offers.gpus != machine.offers.gpus || before != fingerprint;
        worker.machine = machine;
        worker.described = now;
        // What it was judged as is no more.
        worker.nominated = None;
        if is_kind || is_cards {
            worker.checks.work = Works::default();
            worker.checks.round = None;
            worker.onboarding.stage = worker.onboarding.stage.min(OnboardingStage::Changed);
        }
        if is_kind {
            worker.onboarding.begin(now);
            worker.checks.clusters_passed = None;
        }
        self.fingerprints.remove(&before);
        self.fingerprints.insert(fingerprint, id);
        if is_kind || is_cards {
            self.forget_attestation(id);
            self.drop_from_trial(id, "its hardware changed", now);
        }
        self.doubt_requirements(id, now);
        self.list(id);
        self.settle_onboarding(id, now);
        self.changed(Subject::Worker(id));
        self.offers_moved(&offers, now);
    }

    /// A machine that is ready and no longer meets the requirements is ready no longer.
    fn doubt_requirements(&mut self, id: WorkerId, now: Timestamp) {
        let meets = self
            .question(id, now)
            .is_none_or(|question| !question.rules.required || question.meets_requirements());
        if let Some(worker) = self.workers.get_mut(&id).filter(|_| !meets) {
            worker.onboarding.stage = worker.onboarding.stage.min(OnboardingStage::Changed);
        }
    }

    /// Whether anything was missing and is no more: then the machine is ready.
    pub(crate) fn settle_onboarding(&mut self, id: WorkerId, now: Timestamp) {
        let done = self.question(id, now).is_some_and(|question| question.is_done());
        if let Some(worker) = self.workers.get_mut(&id).filter(|_| done) {
            worker.onboarding.stage = OnboardingStage::Ready;
        }
        self.schedule_newcomer(id, now);
        self.show_open(id);
    }

    /// Puts a machine where it now belongs: among those that are not ready, and in the agenda of those that will have
    /// been up for long enough.
    fn schedule_newcomer(&mut self, id: WorkerId, now: Timestamp) {
        let waits = self.workers.get(&id).is_some_and(|worker| !worker.onboarding.is_ready());
        let full_at = self.question(id, now).and_then(|question| question.minutes_full_at());
        let full_at = full_at.filter(|at| waits && *at > now);
        if waits {
            self.pending.insert(id);
        } else {
            self.pending.remove(&id);
        }
        let Some(worker) = self.workers.get_mut(&id) else { return };
        if let Some(before) = std::mem::replace(&mut worker.onboarding.full_at, full_at) {
            self.full_at.remove(&(before, id));
        }
        self.full_at.extend(full_at.map(|at| (at, id)));
    }

    /// A machine is not among the newcomers any more: it left.
    pub(crate) fn forget_newcomer(&mut self, id: WorkerId) {
        self.pending.remove(&id);
        let full_at = self.workers.get(&id).and_then(|worker| worker.onboarding.full_at);
        if let Some(at) = full_at {
            self.full_at.remove(&(at, id));
        }
    }

    /// The rules are other: every machine that is not ready is looked at again.
    pub(crate) fn settle_pending(&mut self, now: Timestamp) {
        for id in self.pending.clone() {
            self.settle_onboarding(id, now);
        }
    }

    /// Machines that have been up for long enough may be ready.
    pub(crate) fn wake_newcomers(&mut self, now: Timestamp) {
        while let Some((at, id)) = self.full_at.first().copied().filter(|(at, _)| *at <= now) {
            self.full_at.remove(&(at, id));
            self.settle_onboarding(id, now);
        }
    }

    /// When the next machine has been up for long enough, or a trial must be looked at.
    pub(crate) fn onboarding_due(&self) -> Option<Timestamp> {
        let full_at = self.full_at.first().map(|(at, _)| *at);
        let trials = self.trials.values().map(crate::onboarding::Trial::due);
        full_at.into_iter().chain(trials).min()
    }

    /// The last measurement of a machine's connection, while it is good. It does not run out while the machine serves
    /// renters and cannot be measured, nor within an hour of that.
    pub(crate) fn connection_of(
        &self,
        worker: &Worker,
        now: Timestamp,
    ) -> Option<ConnectionRecord> {
        let good = HOUR * self.parameters().onboarding.connection_hours_max;
        let served = worker.onboarding.served_at.is_some_and(|at| now.since(at) < HOUR);
        let serves = !worker.nodes.is_empty() || served;
        worker.onboarding.connection.filter(|seen| serves || now.since(seen.at) < good)
    }

    /// Whether a machine meets the requirements.
    pub(crate) fn meets_requirements(&self, id: WorkerId, now: Timestamp) -> bool {
        self.question(id, now).is_some_and(|question| question.meets_requirements())
    }

    fn question(&self, id: WorkerId, now: Timestamp) -> Option<Question<'_>> {
        let worker = self.workers.get(&id)?;
        let parameters = self.parameters();
        let own = worker.checks.exemptions.iter().map(|exemption| &exemption.exemption);
        let asked = parameters.checklist.proof_of_work_required
            && !exempt(worker, parameters, now).has(Rule::ProofOfWork);
        Some(Question {
            rules: &parameters.onboarding,
            machine: &worker.machine,
            onboarding: &worker.onboarding,
            up_since: worker.uptime.since(),
            proof: (asked, worker.checks.work.last().map(|work| work.outcome == WorkOutcome::Good)),
            trial_passed: worker.checks.clusters_passed,
            excused: in_force(own, now),
            now,
        })
    }

    /// How far a machine has come, what is still asked of it, and why. Nothing for one that is not known.
    pub fn onboarding(&self, id: WorkerId, now: Timestamp) -> Option<OnboardingView> {
        let worker = self.workers.get(&id)?;
        let question = self.question(id, now)?;
        let onboarding = &worker.onboarding;
        Some(OnboardingView {
            status: self.status_of(worker, &question),
            readiness: self.readiness_of(id, worker, now),
            stage: onboarding.stage,
            minutes: onboarding.minutes(worker.uptime.since(), now),
            minutes_needed: question.rules.pending_minutes,
            checks: question.rows(),
            trials: onboarding.trials.iter().cloned().collect(),
        })
    }

    fn status_of(&self, worker: &Worker, question: &Question<'_>) -> DeviceStatus {
        let inactive = worker.onboarding.is_inactive(question.now, question.rules);
        let unmet = question.rules.required && !question.meets_requirements();
        match worker {
            worker if worker.checks.blocked.is_some() => DeviceStatus::Blocked,
            worker if !worker.up && inactive => DeviceStatus::Inactive,
            worker if !worker.up => DeviceStatus::Down,
            _ if question.is_agent_old() => DeviceStatus::RestartRequired,
            _ if unmet => DeviceStatus::Unsupported,
            worker if worker.paused => DeviceStatus::Paused,
            _ => DeviceStatus::Up,
        }
    }

    fn readiness_of(&self, id: WorkerId, worker: &Worker, now: Timestamp) -> Readiness {
        let rules = &self.parameters().onboarding;
        let pays = |id| self.ready(id, now).is_some_and(|rows| rewards::checklist::is_ready(&rows));
        if self.hired_since(worker).is_some() {
            Readiness::Hired
        } else if worker.onboarding.has_failed(rules) && !worker.onboarding.is_ready() {
            Readiness::NotBlockRewardReady
        } else if !worker.onboarding.is_ready() {
            Readiness::Pending
        } else if worker.is_open() && pays(id) {
            Readiness::ClusterReady
        } else {
            Readiness::NotBlockRewardReady
        }
    }

    /// The step that a machine waits for first, if it is not ready.
    pub fn onboarding_step(&self, id: WorkerId, now: Timestamp) -> Option<Step> {
        let question = self.question(id, now).filter(|question| !question.is_done())?;
        question.rows().into_iter().find(|row| !row.check).map(|row| row.step)
    }
}

/// The tier of a machine: that of its last measurement.
pub(super) fn measured(worker: &Worker) -> Tier {
    let seen = worker.onboarding.connection;
    seen.map_or(Tier::None, |seen| Tier::of_mbps(seen.down_mbps, seen.up_mbps))
}

/// Whether it is another kind of machine: other cards, or another processor where that is what it offers.
fn is_other_kind(before: &MachineRecord, after: &MachineRecord) -> bool {
    let is_cpu = after.gpu_model.is_none();
    before.gpu_model != after.gpu_model || is_cpu && before.cpu_model != after.cpu_model
}
