//! The network: everybody in it, what is due, and the loop that lets it happen.

use control::{Actor, Command};
use units::{AccountId, CommandId, InviteId, JobId, ProjectId, RentalId, Timestamp};
use worker::NodeKey;

use crate::agenda::Agenda;
use crate::auditor::Auditor;
use crate::broken::{Broken, Invariant, Step, must};
use crate::dice::Dice;
use crate::habits::{morning, name};
use crate::letter::{Answer, Letter, Parcel};
use crate::limits::{AGENDA_MAX, HEIRS, LEAPT_MAX, LETTERS_END, REST_MAX, STEPS_MAX};
use crate::machine::Machine;
use crate::people::{People, Renter};
use crate::plan::{Fault, Plan};
use crate::rates::Outside;
use crate::ray::RayEvent;
use crate::server::Server;
use crate::trace::{Detail, Trace};
use crate::weather::Weather;

/// Everything that can be due.
#[derive(Debug)]
pub(crate) enum Due {
    AtServer(Letter),
    AtMachine {
        machine: usize,
        session: u64,
        parcel: Parcel,
    },
    AtPerson(CommandId, Answer),
    Flush(u64),
    ServerWake(u64),
    ServerStart,
    DiskFreed,
    MachineStart(usize),
    Beat(usize, u64),
    Ray {
        machine: usize,
        key: NodeKey,
        birth: u64,
        event: RayEvent,
    },
    Collected {
        machine: usize,
        session: u64,
        key: NodeKey,
        job: JobId,
    },
    Habit(usize),
    Supply(usize),
    Operator,
    Bank,
    Rates,
    AtStake,
    Assembly,
    Programs,
    Verdicts,
    Toil,
    /// Somebody comes onto a rented card, or goes.
    Disturbance,
    /// A machine hands a record of time-lock over.
    Records,
    Newcomers,
    /// Somebody does something about the networks of this renter.
    Network(usize),
    Rush,
    Leap,
    Silence(u64),
    Heirs(u32),
    LastMoment(usize, RentalId),
    Join(usize, InviteId),
    Retry(CommandId),
    Fault,
    Heal(usize),
    Calm,
    Look,
}

/// One network.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) now: Timestamp,
    pub(crate) agenda: Agenda<Due>,
    pub(crate) dice: Dice,
    pub(crate) plan: Plan,
    /// What a coin is worth.
    pub(crate) outside: Outside,
    pub(crate) weather: Weather,
    pub(crate) server: Server,
    pub(crate) machines: Vec<Machine>,
    pub(crate) people: People,
    pub(crate) auditor: Auditor,
    pub(crate) trace: Trace,
    /// Whether faults still happen.
    pub(crate) raining: bool,
    detail: Detail,
    steps: u64,
    made: u64,
    deadline: Timestamp,
    /// How many wishes for what is left are yet to be told.
    pub(crate) heirs: u32,
    finished: bool,
}

impl World {
    pub(crate) fn new(seed: u64, detail: Detail) -> Self {
        let mut dice = Dice::new(seed);
        let plan = Plan::draw(&mut dice);
        let outside = Outside::draw(&mut dice);
        let now = morning().after(dice.seconds(0, 3_600));
        Self {
            now,
            agenda: Agenda::new(),
            dice,
            weather: Weather::new(&plan),
            plan,
            outside,
            server: Server::new(),
            machines: Vec::new(),
            people: People::default(),
            auditor: Auditor::default(),
            trace: Trace::new(detail, now),
            raining: true,
            detail,
            steps: 0,
            made: 0,
            deadline: now,
            heirs: 0,
            finished: false,
        }
    }

    /// From the founding to the last thing that was open.
    pub(crate) fn run(&mut self) -> Step {
        self.found()?;
        while let Some((when, due)) = self.agenda.advance() {
            self.now = when;
            self.steps += 1;
            must(self.steps < STEPS_MAX, Invariant::I11Queues, || "there is no end".to_owned())?;
            must(self.agenda.len() < AGENDA_MAX, Invariant::I11Queues, || {
                format!("{} things are due", self.agenda.len())
            })?;
            self.on(due)?;
            if self.finished {
                return self.conclude();
            }
        }
        Err(Broken { invariant: Invariant::Liveness, seen: "nothing is due".to_owned() })
    }

    fn on(&mut self, due: Due) -> Step {
        match due {
            Due::AtServer(letter) => self.server_hears(letter)?,
            Due::AtMachine { machine, session, parcel } => {
                self.machine_hears(machine, session, parcel)?;
            }
            Due::AtPerson(id, answer) => self.person_hears(id, &answer)?,
            Due::Flush(incarnation) => self.server_flush(incarnation)?,
            Due::ServerWake(incarnation) => self.server_wake(incarnation)?,
            Due::ServerStart => self.server_recover()?,
            Due::DiskFreed => self.server.disk.full = false,
            Due::MachineStart(machine) => self.machine_start(machine)?,
            Due::Beat(machine, session) => self.machine_beat(machine, session)?,
            Due::Ray { machine, key, birth, event } => {
                self.ray_event(machine, key, birth, event)?;
            }
            Due::Collected { machine, session, key, job } => {
                if self.machine_lives(machine, session) {
                    self.job_collected(machine, key, job)?;
                }
            }
            Due::Habit(renter) => self.habit(renter),
            Due::Supply(supplier) => self.supply(supplier),
            Due::Operator => self.operate(),
            Due::Bank => self.bank(),
            Due::Rates => self.tell_rates()?,
            Due::AtStake => self.stake_something(),
            Due::Assembly => self.assemble(),
            Due::Programs => self.run_programs(),
            Due::Verdicts => self.verify()?,
            Due::Toil => self.toil()?,
            Due::Disturbance => self.disturb(),
            Due::Records => self.hand_over()?,
            Due::Newcomers => self.welcome()?,
            Due::Network(renter) => self.network(renter),
            Due::Rush => self.rush(),
            Due::Leap => self.leap(),
            Due::Silence(hours) => self.pass(hours),
            Due::LastMoment(renter, rental) => self.extend_once(renter, rental),
            Due::Heirs(left) => self.take_what_is_left(left),
            Due::Join(machine, invite) => self.join(machine, invite),
            Due::Retry(id) => self.retry(id),
            Due::Fault => self.fault(),
            Due::Heal(machine) => self.weather.cut(machine, false, false),
            Due::Calm => self.calm(),
            Due::Look => self.look()?,
        }
        Ok(())
    }

    /// The first people and machines come in, under a clear sky.
    fn found(&mut self) -> Step {
        self.found_onboarding()?;
        for index in 0..self.plan.renters {
            let account = AccountId::from_bits(self.fresh_bits());
            let project = ProjectId::from_bits(self.fresh_bits());
            self.open_account(account)?;
            let by = Actor::Account(account);
            self.server_found(
                by,
                Command::OpenProject { project, owner: account, name: name("lab") },
            )?;
            let (quotes, rentals) = (Vec::new(), Vec::new());
            let (jobs, orders) = (Vec::new(), Vec::new());
            self.people.renters.push(Renter { account, project, quotes, rentals, jobs, orders });
            self.top_up(index);
            let first = self.dice.seconds(20, 60);
            self.agenda.at(self.now.after(first), Due::Habit(index));
        }
        for index in 0..self.plan.suppliers {
            let account = AccountId::from_bits(self.fresh_bits());
            self.open_account(account)?;
            self.people.suppliers.push(account);
            let first = self.dice.seconds(60, 200);
            self.agenda.at(self.now.after(first), Due::Supply(index));
        }
        if self.plan.novelties.networks {
            self.found_networks()?;
        }
        for _ in 0..self.plan.machines {
            let supplier = self.dice.index(self.plan.suppliers);
            let index = self.new_machine(supplier);
            let invite = InviteId::from_bits(self.fresh_bits());
            let account = self.people.suppliers[supplier];
            let invitation = self.invitation(invite, account);
            self.server_found(Actor::Account(account), invitation)?;
            let joining = self.joining(index, invite);
            self.server_found(Actor::Worker(self.machines[index].id), joining)?;
            self.machines[index].joined = true;
            self.agenda.at(self.now, Due::MachineStart(index));
        }
        let seconds = std::time::Duration::from_secs;
        self.agenda.at(self.now.after(seconds(30)), Due::Operator);
        self.agenda.at(self.now.after(seconds(40)), Due::Fault);
        if self.plan.coin {
            self.agenda.at(self.now, Due::Rates);
            self.agenda.at(self.now.after(seconds(60)), Due::AtStake);
            let genesis = self.dice.seconds(1, 120);
            self.agenda.at(self.now.after(genesis), Due::Bank);
            if self.dice.chance(700) {
                self.genesis();
            }
            if self.dice.chance(600) && !self.plan.novelties.toil {
                self.begin_easily();
            }
        }
        self.found_novelties();
        self.agenda.at(self.now.after(seconds(self.plan.weather_seconds)), Due::Calm);
        Ok(())
    }

    fn found_novelties(&mut self) {
        let seconds = std::time::Duration::from_secs;
        if self.plan.novelties.spot {
            self.enliven_prices();
        }
        if self.plan.novelties.votes {
            self.convene();
            self.agenda.at(self.now.after(seconds(20)), Due::Assembly);
        }
        if self.plan.novelties.seasons {
            self.agenda.at(self.now.after(seconds(30)), Due::Programs);
        }
        if self.plan.novelties.newcomers {
            self.ask_more_of_newcomers();
        }
        if self.plan.novelties.proofs {
            self.ask_for_proofs();
        }
        if self.plan.novelties.toil {
            self.agenda.at(self.now.after(seconds(60)), Due::Toil);
        }
        if self.plan.coin {
            self.agenda.at(self.now.after(seconds(10)), Due::Verdicts);
        }
        if self.plan.novelties.locks {
            self.agenda.at(self.now.after(seconds(20)), Due::Disturbance);
            self.agenda.at(self.now.after(seconds(25)), Due::Records);
        }
        if self.plan.novelties.rush {
            self.agenda.at(self.now.after(seconds(30)), Due::Rush);
        }
        if self.plan.novelties.leaps {
            self.agenda.at(self.now.after(seconds(90)), Due::Leap);
        }
    }

    /// The control plane's clock leaps ahead, as after a night in which nobody ran it.
    fn leap(&mut self) {
        if !self.raining || self.server.ahead > LEAPT_MAX {
            return;
        }
        let later = self.dice.seconds(30, 240);
        self.agenda.at(self.now.after(later), Due::Leap);
        let leap = self.dice.millis(60_000, 5_400_000);
        self.server.ahead += i64::try_from(leap.as_millis()).expect("minutes");
        self.trace.line(self.now, "clock", || format!("leaps {} s ahead", leap.as_secs()));
    }

    pub(crate) fn open_account(&mut self, account: AccountId) -> Step {
        let command = Command::OpenAccount { account, name: name("somebody"), email: None };
        self.server_found(Actor::Operator, command)
    }

    /// Something goes wrong, and something will again.
    fn fault(&mut self) {
        let Some(fault) = self.dice.pick(&self.plan.faults()).copied().filter(|_| self.raining)
        else {
            return;
        };
        let later = self.dice.seconds(5, 90);
        self.agenda.at(self.now.after(later), Due::Fault);
        let machine = self.dice.index(self.machines.len());
        match fault {
            Fault::Cut => self.cut_off(machine),
            Fault::AgentCrash => self.machine_crash(machine, false),
            Fault::MachineCrash => self.machine_crash(machine, true),
            Fault::ServerCrash => self.server_crash(false),
            Fault::FullDisk => {
                self.server.disk.full = true;
                let freed = self.dice.millis(10, 30_000);
                self.agenda.at(self.now.after(freed), Due::DiskFreed);
            }
            Fault::ClockJump => {
                let jump = i64::try_from(self.dice.between(0, 1_200_000)).expect("small");
                self.server.ahead += jump - 600_000;
                let ahead = self.server.ahead;
                self.trace.line(self.now, "clock", || format!("is {ahead} ms ahead"));
            }
            Fault::NodeDies => self.node_dies(machine),
        }
    }

    /// Cuts a machine off for a while: what it sends, what it is sent, or both.
    fn cut_off(&mut self, machine: usize) {
        let ways = [(true, true), (true, false), (false, true)];
        let (from, to) = *self.dice.pick(&ways).expect("three");
        self.say_of(machine, || format!("is cut off: from {from}, to {to}"));
        self.weather.cut(machine, from, to);
        let heals = self.dice.seconds(2, 1_200);
        self.agenda.at(self.now.after(heals), Due::Heal(machine));
    }

    fn node_dies(&mut self, machine: usize) {
        let rays = &self.machines[machine].rays;
        let node = rays.iter().next().map(|(key, ray)| (*key, ray.birth));
        if let Some((key, birth)) = node {
            self.agenda.at(self.now, Due::Ray { machine, key, birth, event: RayEvent::Dies });
        }
    }

    /// The weather stops: from here on, everything must come to its end.
    fn calm(&mut self) {
        self.trace.line(self.now, "sky", || "clears".to_owned());
        self.raining = false;
        self.weather.stop();
        self.server.disk.full = false;
        if self.plan.ends_all {
            self.end_all();
        } else {
            self.plan_last_moments();
        }
        let hours = if self.plan.two_hours { 2 } else { 1 };
        let booked = std::time::Duration::from_secs(3600 * hours);
        let behind = std::time::Duration::from_millis(self.server.ahead.unsigned_abs());
        self.deadline = self.now.after(booked).after(REST_MAX).after(behind);
        self.agenda.at(self.now, Due::Look);
    }

    fn look(&mut self) -> Step {
        let open = self.what_is_open();
        if open.is_empty() {
            let hours =
                self.plan.silent_hours.take().or_else(|| self.plan.novelties.silences.pop());
            let Some(hours) = hours.filter(|_| self.plan.coin) else {
                self.finished = true;
                return Ok(());
            };
            self.heirs = HEIRS;
            self.deadline = self.now.after(REST_MAX);
            self.agenda.at(self.now.after(LETTERS_END), Due::Silence(hours));
        }
        // What was extended ends later, by the control plane's clock.
        let booked = self.auditor.booked_until().map(|until| {
            let until = until.millis().saturating_add_signed(-self.server.ahead);
            Timestamp::from_millis(until).after(REST_MAX)
        });
        self.deadline = self.deadline.max(booked.unwrap_or_default());
        must(self.now < self.deadline, Invariant::Liveness, || open.join("; "))?;
        self.agenda.at(self.now.after(std::time::Duration::from_secs(20)), Due::Look);
        Ok(())
    }

    /// Hours pass in silence, for everybody at once; then people come for what is theirs.
    fn pass(&mut self, hours: u64) {
        self.trace.line(self.now, "clock", || format!("{hours} hours pass"));
        let silence = std::time::Duration::from_secs(hours * 3_600);
        self.server.ahead += i64::try_from(silence.as_millis()).expect("hours are few");
        self.agenda.at(self.now, Due::Heirs(self.heirs));
    }

    fn what_is_open(&self) -> Vec<String> {
        let mut open = self.auditor.open();
        open.extend(self.open_trials());
        if self.server.control.is_none() {
            open.push("the control plane is down".to_owned());
        }
        if self.heirs > 0 {
            open.push(format!("{} wishes are not told", self.heirs));
        }
        if self.people.unanswered() > 0 {
            open.push(format!("{} commands are not answered", self.people.unanswered()));
        }
        for (index, machine) in self.machines.iter().enumerate() {
            let runs = machine.rays.len();
            if runs > 0 && machine.lie.is_none() && !machine.gone {
                open.push(format!("m{index} runs {runs} nodes"));
            }
        }
        open
    }

    fn conclude(&mut self) -> Step {
        let failed = self.auditor.tale().failed;
        let unfair = failed > 0 && self.plan.is_fair();
        must(!unfair, Invariant::NoFailureWithoutCause, || format!("{failed} rentals failed"))?;
        // The story may end between a command and its commit.
        self.server_flush_now()?;
        let server = &self.server;
        let Some(control) = server.control.as_ref() else { return Ok(()) };
        self.auditor.settled(control)?;
        if self.plan.follower {
            self.auditor.replayed(control, server.disk.entries())?;
        }
        Ok(())
    }

    /// What the run came to, in one number.
    pub(crate) fn hash(&self) -> u64 {
        let head = self.server.disk.entries().last().map_or([0; 32], |entry| entry.hash);
        crate::letter::fnv(&head) ^ self.steps ^ self.dice.clone().next()
    }

    pub(crate) const fn steps(&self) -> u64 {
        self.steps
    }

    pub(crate) fn trace_is_on(&self) -> bool {
        self.detail != Detail::Quiet
    }

    /// A number nobody had before.
    pub(crate) const fn fresh(&mut self) -> u64 {
        self.made += 1;
        self.made
    }

    /// Bits for an id: by chance in order, never the same.
    pub(crate) fn fresh_bits(&mut self) -> u128 {
        let high = u128::from(self.dice.next());
        (high << 64) | u128::from(self.fresh())
    }
}
