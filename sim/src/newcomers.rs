//! The network and its newcomers: measured, tried together, judged; changed, set up anew, and those who would rather
//! not wait.

use control::{
    Actor, Command, ConnectionRecord, Control, DESK_PATCH, Digest, Reply, TrialSaid, Worker,
};
use units::{InviteId, MINUTE, RentalId, Tier, Timestamp, WorkerId};

use crate::broken::Step;
use crate::people::Purpose;
use crate::world::{Due, World};

impl World {
    /// What machines go through here before renters see them: nothing at first, unless the story is about newcomers.
    pub(crate) fn found_onboarding(&mut self) -> Step {
        self.server_found(Actor::Operator, desk())?;
        if self.plan.novelties.newcomers && self.dice.chance(400) {
            let patch = self.strict();
            let command = Command::SetParameters { patch, from: None };
            self.server_found(Actor::Operator, command)?;
        }
        self.agenda.at(self.now, Due::Newcomers);
        Ok(())
    }

    /// Whoever comes from here on is a newcomer; who was here before stays open.
    pub(crate) fn ask_more_of_newcomers(&mut self) {
        let patch = self.strict();
        let command = Command::SetParameters { patch, from: None };
        self.ask(Actor::Operator, command, Purpose::Other);
    }

    fn strict(&mut self) -> String {
        let mut some = |least, most| self.dice.between(least, most);
        format!(
            concat!(
                r#"{{"onboarding":{{"required":true,"pending_minutes":{},"#,
                r#""trial_company_wait_minutes":{},"trial_nodes_max":{},"trial_stress_minutes":1,"#,
                r#""trial_deadline_minutes":{},"trial_retry_minutes":{},"trial_retry_minutes_max":4,"#,
                r#""trials_failed_max":{},"connection_hours_max":{}}}}}"#,
            ),
            some(0, 4),
            some(0, 2),
            some(2, 8),
            some(3, 8),
            some(0, 2),
            some(2, 4),
            some(1, 20),
        )
    }

    /// The control plane's shell looks after its newcomers, and will again.
    pub(crate) fn welcome(&mut self) -> Step {
        let later = std::time::Duration::from_secs(7);
        self.agenda.at(self.now.after(later), Due::Newcomers);
        self.measure()?;
        if self.plan.novelties.newcomers {
            self.read_out()?;
            if self.raining {
                self.try_together()?;
            }
        }
        Ok(())
    }

    fn measure(&mut self) -> Step {
        let at = self.server_clock();
        let Some(control) = &self.server.control else { return Ok(()) };
        for worker in connections_due(control, at).into_iter().take(4) {
            let machine = self.machines.iter().find(|machine| machine.id == worker);
            let Some(tier) = machine.map(|machine| machine.record.tier) else { continue };
            let (down_mbps, up_mbps) = speeds(tier);
            let connection = ConnectionRecord { at, down_mbps, up_mbps, ping_ms: 20 };
            self.server_says(Actor::Clock, Command::MeasureConnection { worker, connection })?;
        }
        Ok(())
    }

    fn try_together(&mut self) -> Step {
        let now = self.server_clock();
        let Some(control) = &self.server.control else { return Ok(()) };
        for workers in control.trials_due(now) {
            let trial = RentalId::from_bits(self.fresh_bits());
            let begin = Command::BeginTrial { trial, workers };
            if let Some(Ok(Reply::Rental(_))) = self.server_says(Actor::Clock, begin)? {
                self.say_of(0, || format!("the network begins {trial}"));
            }
        }
        Ok(())
    }

    /// Some results are read, and say more than the brain knew; others are left to it.
    fn read_out(&mut self) -> Step {
        let Some(control) = &self.server.control else { return Ok(()) };
        for (trial, said) in control.trials_over() {
            let said: Vec<TrialSaid> = match self.dice.between(0, 5) {
                0 => continue,
                1 => Vec::new(),
                2 => said.into_iter().map(|said| TrialSaid { passed: false, ..said }).collect(),
                _ => said,
            };
            self.server_says(Actor::Clock, Command::EndTrial { trial, said })?;
        }
        Ok(())
    }

    /// A supplier exchanges what is in a machine, sets it up anew, asks for another trial, or tries to get around one.
    pub(crate) fn renew(&mut self, index: usize) {
        let machine = &self.machines[index];
        let (worker, supplier) = (machine.id, machine.supplier);
        let account = self.people.suppliers[supplier];
        match self.dice.between(0, 9) {
            0..=4 => self.rebuild(index),
            5..=6 => self.set_up_anew(index),
            7 => {
                self.ask(Actor::Account(account), Command::RetryTrial { worker }, Purpose::Other);
            }
            _ => self.jump_the_queue(index),
        }
    }

    /// Another fingerprint with other cards or without; sometimes that of another machine.
    fn rebuild(&mut self, index: usize) {
        let worker = self.machines[index].id;
        let mut machine = self.machines[index].record.clone();
        match self.dice.between(0, 3) {
            0 => machine = self.some_record(),
            1 => machine.offers.memory_mib += 1_024,
            2 if machine.offers.gpus > 0 => machine.offers.gpus += 1,
            _ => {}
        }
        machine.tier = self.machines[index].record.tier;
        let other = self.dice.index(self.machines.len());
        let fingerprint = match self.dice.between(0, 3) {
            0 => None,
            1 => Some(self.machines[other].fingerprint),
            _ => Some(self.fresh()),
        };
        let fingerprint = fingerprint.map(print);
        let command = Command::ChangeMachine { worker, machine, fingerprint };
        self.ask(Actor::Worker(worker), command, Purpose::Other);
    }

    /// Its owner invites it again, and it comes with another key: its agent starts from nothing.
    fn set_up_anew(&mut self, index: usize) {
        let invite = InviteId::from_bits(self.fresh_bits());
        let (worker, supplier) = (self.machines[index].id, self.machines[index].supplier);
        let account = self.people.suppliers[supplier];
        let mut command = self.invitation(invite, account);
        if let Command::Invite { replaces, .. } = &mut command {
            *replaces = Some(worker);
        }
        self.ask(Actor::Account(account), command, Purpose::Other);
        self.machine_crash(index, true);
        let joins = self.dice.seconds(5, 30);
        self.agenda.at(self.now.after(joins), Due::Join(index, invite));
    }

    /// What only the clock may say, and what only the owner may ask for.
    fn jump_the_queue(&mut self, index: usize) {
        let worker = self.machines[index].id;
        let trial = RentalId::from_bits(self.fresh_bits());
        let at = self.server_clock();
        let connection = ConnectionRecord { at, down_mbps: 9_000, up_mbps: 9_000, ping_ms: 1 };
        let stranger = self.people.renters[0].account;
        let by =
            if self.dice.chance(500) { Actor::Worker(worker) } else { Actor::Account(stranger) };
        let command = match self.dice.between(0, 3) {
            0 => Command::MeasureConnection { worker, connection },
            1 => Command::BeginTrial { trial, workers: vec![worker] },
            2 => {
                let said = TrialSaid { worker, passed: true, note: String::new() };
                Command::EndTrial { trial, said: vec![said] }
            }
            _ => Command::RetryTrial { worker },
        };
        self.ask(by, command, Purpose::Theft);
    }

    /// Trials that are not cleared.
    pub(crate) fn open_trials(&self) -> Vec<String> {
        let control = self.server.control.iter();
        control.flat_map(|it| it.trials()).map(|it| format!("{} is not cleared", it.id)).collect()
    }
}

/// Machines that agents would have measured by now: not measured, or not lately, and not serving anybody. Who waits
/// longest comes first.
fn connections_due(control: &Control, at: Timestamp) -> Vec<WorkerId> {
    // In half the time for which a measurement is good, so that it does not run out while the machine is busy.
    let good = MINUTE * control.parameters().onboarding.connection_hours_max * 30;
    let is_due = |worker: &Worker| {
        let seen = worker.onboarding.connection;
        worker.takes_part()
            && worker.nodes.is_empty()
            && seen.is_none_or(|seen| at >= seen.at.after(good))
    };
    let mut due: Vec<_> = control.workers().filter(|(_, worker)| is_due(worker)).collect();
    due.sort_by_key(|(id, worker)| (worker.onboarding.connection.map(|seen| seen.at), *id));
    due.into_iter().map(|(id, _)| id).collect()
}

fn desk() -> Command {
    Command::SetParameters { patch: DESK_PATCH.to_owned(), from: None }
}

/// A fingerprint by its number.
pub(crate) fn print(number: u64) -> Digest {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&number.to_be_bytes());
    Digest::from_sha256(bytes)
}

/// The slowest connection of a tier.
pub(crate) const fn speeds(tier: Tier) -> (u32, u32) {
    match tier {
        Tier::None => (99, 9),
        Tier::Low => (100, 10),
        Tier::Medium => (400, 300),
        Tier::High => (800, 600),
        Tier::UltraHigh => (1_600, 1_200),
    }
}
