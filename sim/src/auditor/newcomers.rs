//! What the auditor believes of newcomers: for how long each was up, what it went through, and that nobody is ready
//! before that, no newcomer serves a renter, and no trial is ever a rental or near any money.

use std::collections::{BTreeMap, BTreeSet};

use control::{
    Actor, Body, Command, ConnectionRecord, Control, Digest, MachineRecord, OnboardingRules,
    PhaseSaid, ProofSaid, TrialSaid, Worker,
};
use ledger::Holder;
use rewards::checklist::WorkOutcome;
use rewards::rule::Rule;
use units::{HOUR, RentalId, Timestamp, WorkerId};

use super::Belief;
use crate::broken::{Invariant, Step, must};

/// Machines and trials as they were last seen.
#[derive(Clone, Debug, Default)]
pub(super) struct Newcomers {
    of: BTreeMap<WorkerId, Newcomer>,
    trials: BTreeMap<RentalId, BTreeSet<WorkerId>>,
}

/// A machine, new or not.
#[derive(Clone, Debug)]
struct Newcomer {
    machine: MachineRecord,
    print: Digest,
    pending_since: Timestamp,
    up_since: Option<Timestamp>,
    up_millis: u64,
    connection: Option<ConnectionRecord>,
    proved: bool,
    passed: bool,
    /// Trials in which its node was said to be ready.
    came_up: BTreeSet<RentalId>,
    /// Whether it was ready once, as this kind of machine.
    graduated: bool,
    ready: bool,
}

impl Newcomer {
    fn new(machine: &MachineRecord, print: Digest, at: Timestamp) -> Self {
        Self {
            machine: machine.clone(),
            print,
            pending_since: at,
            up_since: None,
            up_millis: 0,
            connection: None,
            proved: false,
            passed: false,
            came_up: BTreeSet::new(),
            graduated: false,
            ready: false,
        }
    }

    fn spoke(&self, until: Timestamp) -> u64 {
        let from = self.up_since.map(|since| since.max(self.pending_since));
        from.map_or(0, |from| until.millis().saturating_sub(from.millis()))
    }

    fn minutes(&self, at: Timestamp) -> u64 {
        (self.up_millis + self.spoke(at)) / 60_000
    }

    /// It is other hardware now; whether what it has proved is proved no more.
    fn becomes(&mut self, machine: &MachineRecord, print: Digest, at: Timestamp) -> bool {
        let before = &self.machine;
        let cpu = machine.gpu_model.is_none() && before.cpu_model != machine.cpu_model;
        let kind = before.gpu_model != machine.gpu_model || cpu;
        let cards = before.offers.gpus != machine.offers.gpus || self.print != print;
        if kind {
            (self.pending_since, self.up_millis) = (at, 0);
            (self.passed, self.graduated) = (false, false);
        }
        if kind || cards {
            self.proved = false;
        }
        (self.machine, self.print) = (machine.clone(), print);
        kind || cards
    }

    fn is_connected(&self, rules: &OnboardingRules, at: Timestamp) -> bool {
        let good = |seen: ConnectionRecord| {
            at.since(seen.at) < HOUR * rules.connection_hours_max
                && seen.down_mbps >= rules.down_mbps_min
                && seen.up_mbps >= rules.up_mbps_min
        };
        !rules.connection_required || self.connection.is_some_and(good)
    }
}

impl Belief {
    /// What one entry does to newcomers.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "commands that are not looked at here are looked at elsewhere, or move nothing"
    )]
    pub(super) fn see_newcomers(&mut self, control: &Control, body: &Body) -> Step {
        let at = self.at;
        match &body.command {
            Command::Join { worker, machine, fingerprint, .. } => {
                self.is_other(*worker, machine, *fingerprint);
                let new = || Newcomer::new(machine, *fingerprint, at);
                self.newcomers.of.entry(*worker).or_insert_with(new);
            }
            Command::ChangeMachine { worker, machine, fingerprint } => {
                let known = self.newcomers.of.get(worker).map(|known| known.print);
                let print = fingerprint.or(known);
                print.into_iter().for_each(|print| self.is_other(*worker, machine, print));
            }
            Command::Retire { worker } => {
                self.newcomers.of.remove(worker);
            }
            Command::BeginTrial { trial, workers } => {
                self.trial_begins(body.by, *trial, workers)?
            }
            Command::EndTrial { trial, said } => self.trial_ends(*trial, said)?,
            Command::Observe { worker, nodes, .. } => {
                let known = self.newcomers.of.get_mut(worker);
                let trials = &self.newcomers.trials;
                let ready = nodes.iter().filter(|node| node.phase == PhaseSaid::Ready);
                let ready = ready.map(|node| node.rental).filter(|id| trials.contains_key(id));
                known.into_iter().for_each(|known| known.came_up.extend(ready.clone()));
            }
            command => self.newcomers.note(command, at),
        }
        self.newcomers_agree(control)?;
        self.trials_agree(control)
    }

    /// A machine that is known is other hardware now.
    fn is_other(&mut self, worker: WorkerId, machine: &MachineRecord, print: Digest) {
        let at = self.at;
        let known = self.newcomers.of.get_mut(&worker);
        if known.is_some_and(|known| known.becomes(machine, print, at)) {
            self.verdicts.forget(worker);
        }
    }

    fn trial_begins(&mut self, by: Actor, trial: RentalId, workers: &[WorkerId]) -> Step {
        let free = |worker: &WorkerId| {
            let new = self.newcomers.of.get(worker).is_some_and(|known| !known.ready);
            new && self.newcomers.trials.values().all(|others| !others.contains(worker))
        };
        let right = by == Actor::Clock && !workers.is_empty() && workers.iter().all(free);
        must(right, Invariant::Newcomers, || format!("{by:?} begins {trial} with {workers:?}"))?;
        self.newcomers.trials.insert(trial, workers.iter().copied().collect());
        self.tale.trials += 1;
        Ok(())
    }

    fn trial_ends(&mut self, trial: RentalId, said: &[TrialSaid]) -> Step {
        for one in said.iter().filter(|one| one.passed) {
            let known = self.newcomers.of.get_mut(&one.worker);
            let came_up = known.is_some_and(|known| {
                known.passed = true;
                known.came_up.contains(&trial)
            });
            must(came_up, Invariant::Newcomers, || {
                format!("{} passes {trial}, where its node never came up", one.worker)
            })?;
        }
        Ok(())
    }

    /// Whoever is ready has gone through everything, and whoever serves is ready and in no trial.
    fn newcomers_agree(&mut self, control: &Control) -> Step {
        let (at, parameters) = (self.at, control.parameters());
        let rules = &parameters.onboarding;
        for (id, worker) in control.workers() {
            let Some(known) = self.newcomers.of.get_mut(&id) else { continue };
            known.proved |= has_proved(worker);
            if worker.checks.clusters_passed == Some(true) && !known.passed {
                let trial = worker.onboarding.trials.back().map(|last| last.trial);
                let came_up = trial.is_some_and(|trial| known.came_up.contains(&trial));
                must(came_up, Invariant::Newcomers, || format!("{id} has passed {trial:?}"))?;
                known.passed = true;
            }
            let ready = worker.onboarding.is_ready();
            if ready && !known.ready && rules.required {
                let asked = parameters.checklist.proof_of_work_required
                    && !parameters.exempt.has(Rule::ProofOfWork);
                let proved = !asked || !worker.checks.exemptions.is_empty() || known.proved;
                let own = !worker.checks.exemptions.is_empty();
                let tried = known.passed || own || !rules.trial_required;
                let old_enough = known.minutes(at) >= u64::from(rules.pending_minutes);
                let connected = own || known.is_connected(rules, at);
                let done = known.graduated || tried && old_enough && connected;
                must(done && proved, Invariant::Newcomers, || {
                    format!("{id} is ready: {} minutes, {known:?}", known.minutes(at))
                })?;
                self.tale.graduated += u64::from(!known.graduated);
                self.tale.changed += u64::from(known.graduated);
            }
            known.ready = ready;
            known.graduated |= ready;
            let serves = !worker.nodes.is_empty();
            must(
                !serves || ready && worker.onboarding.trial.is_none(),
                Invariant::Newcomers,
                || format!("{id} serves {:?}, and is {:?}", worker.nodes, worker.onboarding.stage),
            )?;
        }
        Ok(())
    }

    /// A trial is no rental, and no money is set aside or moved for it.
    fn trials_agree(&mut self, control: &Control) -> Step {
        for trial in self.newcomers.trials.keys() {
            let purse = control.purse(Holder::Escrow(*trial));
            let none = control.rental(*trial).is_none() && purse == ledger::Account::default();
            must(none, Invariant::Newcomers, || format!("{trial} is worth something: {purse:?}"))?;
        }
        for (trial, workers) in &mut self.newcomers.trials {
            let is_in = |id: &WorkerId| {
                control.worker(*id).is_some_and(|worker| worker.onboarding.trial == Some(*trial))
            };
            workers.retain(is_in);
        }
        self.newcomers.trials.retain(|trial, _| control.trial(*trial).is_some());
        Ok(())
    }
}

impl Newcomers {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "commands that are not looked at here are looked at elsewhere, or move nothing"
    )]
    fn note(&mut self, command: &Command, at: Timestamp) {
        match command {
            Command::WorkerUp { worker } => {
                let known = self.of.get_mut(worker);
                known.into_iter().for_each(|known| known.up_since = known.up_since.or(Some(at)));
            }
            Command::WorkerSilent { worker, heard_millis } => {
                let heard = Timestamp::from_millis(*heard_millis).min(at);
                let known = self.of.get_mut(worker);
                known.into_iter().for_each(|known| {
                    known.up_millis += known.spoke(heard);
                    known.up_since = None;
                });
            }
            Command::MeasureConnection { worker, connection } => {
                let known = self.of.get_mut(worker);
                known.into_iter().for_each(|known| known.connection = Some(*connection));
            }
            Command::RecordProof { worker, verdict } if verdict.proof == ProofSaid::Cluster => {
                let known = self.of.get_mut(worker);
                known.into_iter().for_each(|known| known.passed = verdict.passed);
            }
            _ => {}
        }
    }
}

fn has_proved(worker: &Worker) -> bool {
    worker.checks.work.last().is_some_and(|last| last.outcome == WorkOutcome::Good)
}
