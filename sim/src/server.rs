//! The control plane: the real brain and roll, in the loop that a real server would run around them.
//!
//! Commands are applied as they come and their entries gathered; a batch is made durable, and only then are its
//! answers given and its effects done. The plug may be pulled between any two of these.

use std::collections::BTreeMap;
use std::rc::Rc;

use control::{Actor, Beat, Body, Command, Control, Digest, Effect, Refusal, Roll, SILENCE_MAX};
use units::{CommandId, Timestamp, WorkerId};

use crate::broken::{Broken, Invariant, Step, must};
use crate::disk::Disk;
use crate::letter::{Answer, Letter, Parcel, Said, orders};
use crate::limits::{BATCH_MAX, BATCH_MILLIS, REFUSALS_CHECKED_PERCENT, SNAPSHOT_AT_LAST};
use crate::weather::Way;
use crate::world::{Due, World};

/// Who waits for the batch to be durable.
#[derive(Debug)]
enum Waiting {
    Person(CommandId, Answer),
    Beat { machine: usize, session: u64 },
    Fetch { machine: usize, session: u64 },
}

/// What the brain answered; `None` when the server died of it, or was down.
type Told = Result<Option<Answer>, Broken>;

/// One thing to do after a commit.
enum Deed {
    Answer(Waiting),
    Nudge(WorkerId),
}

/// The control plane.
#[derive(Debug)]
pub(crate) struct Server {
    /// `None` while it is down.
    pub(crate) control: Option<Control>,
    roll: Roll,
    pub(crate) disk: Disk,
    waiting: Vec<Waiting>,
    /// Grows with every start: timers of one that died mean nothing.
    incarnation: u64,
    flush_asked: bool,
    wake_planned: Option<Timestamp>,
    /// What its clock shows beyond the true time, in milliseconds.
    pub(crate) ahead: i64,
    /// When each machine was last heard and with which number, by the shell's own account.
    heard: BTreeMap<WorkerId, (Timestamp, u64)>,
}

impl Server {
    pub(crate) fn new() -> Self {
        Self {
            control: Some(Control::new()),
            roll: Roll::default(),
            disk: Disk::default(),
            waiting: Vec::new(),
            incarnation: 0,
            flush_asked: false,
            wake_planned: None,
            ahead: 0,
            heard: BTreeMap::new(),
        }
    }
}

impl World {
    pub(crate) fn server_clock(&self) -> Timestamp {
        Timestamp::from_millis(self.now.millis().saturating_add_signed(self.server.ahead))
    }

    /// A letter arrives.
    pub(crate) fn server_hears(&mut self, letter: Letter) -> Step {
        if self.server.control.is_none() {
            return Ok(());
        }
        match letter {
            Letter::Ask(id) => {
                let Some(body) = self.people.body_of(id) else { return Ok(()) };
                if let Some(answer) = self.server_tell(body)? {
                    self.server.waiting.push(Waiting::Person(id, answer));
                }
            }
            Letter::Reuse(id) => self.server_reuse(id)?,
            Letter::Beat { machine, session, number, said } => {
                self.server_beat(machine, number, &said)?;
                self.server.waiting.push(Waiting::Beat { machine, session });
            }
            Letter::Fetch { machine, session } => {
                self.server.waiting.push(Waiting::Fetch { machine, session });
            }
        }
        self.server_ask_flush()
    }

    /// An id that was accepted before, with other contents.
    fn server_reuse(&mut self, id: CommandId) -> Step {
        let Some(mut body) = self.people.body_of(id) else { return Ok(()) };
        body.asked = Digest::from_sha256([2; 32]);
        let answer = self.server_tell(body)?;
        let refused = answer.is_none_or(|answer| answer == Err(Refusal::IdReused));
        must(refused, Invariant::Acknowledged, || format!("{id} was used for something else"))
    }

    /// A command of the founding: nothing goes wrong yet.
    pub(crate) fn server_found(&mut self, by: Actor, command: Command) -> Step {
        let raining = std::mem::replace(&mut self.raining, false);
        let answer = self.server_tell_own(by, command)?;
        must(matches!(answer, Some(Ok(_))), Invariant::Liveness, || format!("{answer:?}"))?;
        self.server_flush(self.server.incarnation)?;
        self.raining = raining;
        Ok(())
    }

    fn server_beat(&mut self, machine: usize, number: u64, said: &Rc<Said>) -> Step {
        let (id, now) = (self.machines[machine].id, self.server_clock());
        let Some(control) = self.server.control.as_ref() else { return Ok(()) };
        if control.worker(id).is_none() {
            return Ok(());
        }
        let beat = self.server.roll.on_beat(id, number, said.digest, now);
        let newest = self.server.heard.get(&id).map_or(0, |(_, newest)| *newest);
        must((beat == Beat::Stale) == (number <= newest), Invariant::Authority, || {
            format!("beat {number} of {id} after {newest} is {beat:?}")
        })?;
        if beat != Beat::Stale {
            self.server.heard.insert(id, (now, number));
        }
        let Beat::News { back } = beat else { return Ok(()) };
        if back {
            self.server_tell_own(Actor::Clock, Command::WorkerUp { worker: id })?;
        }
        let Said { revision, nodes, jobs, .. } = (**said).clone();
        let observe = Command::Observe { worker: id, revision, nodes, jobs };
        if let Some(Ok(_)) = self.server_tell_own(Actor::Worker(id), observe)? {
            self.server.roll.on_told(id, said.digest);
        }
        Ok(())
    }

    /// The shell tells something that it found out by itself, if it is up.
    pub(crate) fn server_says(&mut self, by: Actor, command: Command) -> Told {
        if self.server.control.is_none() {
            return Ok(None);
        }
        let answer = self.server_tell_own(by, command)?;
        self.server_ask_flush()?;
        Ok(answer)
    }

    /// A command of the shell's own making.
    fn server_tell_own(&mut self, by: Actor, command: Command) -> Told {
        let id = CommandId::from_bits(self.fresh_bits());
        let body = Body { id, asked: Digest::from_sha256([0; 32]), by, command };
        self.server_tell(body)
    }

    /// Tells the brain; `None` when the server died of it.
    fn server_tell(&mut self, body: Body) -> Told {
        let now = self.server_clock();
        // What machines and the clock say is told often and refused seldom.
        let person = matches!(body.by, Actor::Operator | Actor::Account(_));
        let watched = self.dice.chance(REFUSALS_CHECKED_PERCENT * 10)
            && (person || self.dice.clone().once_in(8));
        let Some(control) = self.server.control.as_mut() else { return Ok(None) };
        let before = watched.then(|| control.clone());
        let told = body.clone();
        let outcome = match control.tell(body, now) {
            Ok(outcome) => outcome,
            Err(refusal) => {
                must(before.is_none_or(|before| before == *control), Invariant::Refused, || {
                    format!("{told:?} was refused ({refusal}) and left a trace")
                })?;
                self.auditor.refused(&told, &refusal, now)?;
                self.say_control(|| format!("refuses {}: {refusal}", verb(&told.command)));
                return Ok(Some(Err(refusal)));
            }
        };
        let reply = outcome.reply;
        let Some(entry) = outcome.entry else {
            self.say_control(|| format!("was told {} before", verb(&told.command)));
            self.auditor.repeated(told.id, reply)?;
            return Ok(Some(Ok(reply)));
        };
        if self.server.disk.waiting() == 0 && self.plan.may_lose_entries() {
            self.auditor.checkpoint();
        }
        self.auditor.observe(control, &told, &entry)?;
        let seq = entry.seq;
        self.server.disk.append(entry);
        self.say_control(|| format!("#{seq} {}", verb(&told.command)));
        if let Command::Retire { worker } = told.command {
            self.server.roll.forget(worker);
        }
        if self.plan.server_crashes && self.raining && self.dice.once_in(400) {
            self.server_crash(false);
            return Ok(None);
        }
        Ok(Some(Ok(reply)))
    }

    fn server_ask_flush(&mut self) -> Step {
        if self.server.control.is_none() {
            return Ok(());
        }
        if self.server.waiting.len() >= BATCH_MAX {
            return self.server_flush(self.server.incarnation);
        }
        if !self.server.flush_asked {
            self.server.flush_asked = true;
            let due = Due::Flush(self.server.incarnation);
            self.agenda.at(self.now.after(BATCH_MILLIS), due);
        }
        Ok(())
    }

    /// Closes the batch without waiting for more.
    pub(crate) fn server_flush_now(&mut self) -> Step {
        self.server_flush(self.server.incarnation)
    }

    /// Closes the batch: durable first, then answers and effects.
    pub(crate) fn server_flush(&mut self, incarnation: u64) -> Step {
        if self.server.control.is_none() || self.server.incarnation != incarnation {
            return Ok(());
        }
        self.server.flush_asked = false;
        if self.plan.server_crashes && self.raining && self.dice.once_in(800) {
            self.server_crash(true);
            return Ok(());
        }
        if self.server.disk.commit().is_err() {
            self.say_control(|| "finds the disk full, and stops".to_owned());
            self.server_stop();
            let again = self.dice.millis(500, 10_000);
            self.agenda.at(self.now.after(again), Due::ServerStart);
            return Ok(());
        }
        self.auditor.durable(self.server.disk.durable_seq());
        self.server_act()?;
        self.server_check()?;
        self.server_plan_wake();
        Ok(())
    }

    /// Answers and effects of what is durable. The plug may be pulled between any two.
    fn server_act(&mut self) -> Step {
        let mut deeds: Vec<Deed> = self.server.waiting.drain(..).map(Deed::Answer).collect();
        let Some(control) = self.server.control.as_mut() else { return Ok(()) };
        must(control.head().seq == self.server.disk.durable_seq(), Invariant::I7Journal, || {
            "answers would leave before their entries are durable".to_owned()
        })?;
        while let Some(effect) = control.next_effect() {
            self.auditor.effect(&effect);
            if let Effect::Nudge(worker) = effect {
                deeds.push(Deed::Nudge(worker));
            }
        }
        self.auditor.effects_done(control)?;
        for deed in deeds {
            if self.plan.server_crashes && self.raining && self.dice.once_in(2_000) {
                self.server_crash(false);
                return Ok(());
            }
            self.server_do(deed);
        }
        Ok(())
    }

    fn server_do(&mut self, deed: Deed) {
        let Some(control) = self.server.control.as_ref() else { return };
        let of = |machine: usize| self.machines[machine].id;
        match deed {
            Deed::Answer(Waiting::Person(id, answer)) => {
                if let Ok(reply) = answer {
                    self.auditor.acknowledged(id, reply);
                }
                self.send_to_person(id, &answer);
            }
            Deed::Answer(Waiting::Beat { machine, session }) => {
                let Some(worker) = control.worker(of(machine)) else { return };
                let parcel = Parcel::Heard { revision: worker.revision };
                self.send_to_machine(machine, session, &parcel);
            }
            Deed::Answer(Waiting::Fetch { machine, session }) => {
                if control.worker(of(machine)).is_none() {
                    return;
                }
                let parcel = orders(control.wanted(of(machine)));
                self.send_to_machine(machine, session, &parcel);
            }
            Deed::Nudge(worker) => {
                let found = self.machines.iter().position(|machine| machine.id == worker);
                if let Some(machine) = found {
                    let session = self.machines[machine].session;
                    self.send_to_machine(machine, session, &Parcel::Nudge);
                }
            }
        }
    }

    /// Now and then: a snapshot, and whether one read back is the same state.
    fn server_check(&mut self) -> Step {
        let Some(control) = self.server.control.as_ref() else { return Ok(()) };
        let seq = control.head().seq;
        // Without any a long story would spend its time on reading all of its journal after each crash.
        let every = self.plan.snapshot_every.unwrap_or(SNAPSHOT_AT_LAST);
        if seq >= self.server.disk.snapshot_seq() + every {
            let bytes = control.snapshot();
            let back = Control::from_snapshot(&bytes);
            must(back.as_ref().is_ok_and(|back| back == control), Invariant::I7Journal, || {
                format!("the snapshot after #{seq} does not read back: {:?}", back.as_ref().err())
            })?;
            self.auditor.read_back(back.unwrap_or_default());
            self.server.disk.keep_snapshot((seq, bytes));
        }
        if self.plan.follower {
            self.auditor.follow(control, self.server.disk.entries())?;
        }
        Ok(())
    }

    fn server_plan_wake(&mut self) {
        let Some(control) = self.server.control.as_ref() else { return };
        let wakes = [control.wake_at(), self.server.roll.wake_at()];
        let Some(at) = wakes.into_iter().flatten().min() else { return };
        let clock = self.server_clock();
        let at = self.now.after(at.since(clock)).after(std::time::Duration::from_millis(1));
        if self.server.wake_planned.is_none_or(|planned| at < planned) {
            self.server.wake_planned = Some(at);
            self.agenda.at(at, Due::ServerWake(self.server.incarnation));
        }
    }

    pub(crate) fn server_wake(&mut self, incarnation: u64) -> Step {
        if self.server.control.is_none() || self.server.incarnation != incarnation {
            return Ok(());
        }
        self.server.wake_planned = None;
        let clock = self.server_clock();
        for (worker, heard) in self.server.roll.on_wake(clock) {
            let last = self.server.heard.get(&worker).map_or(heard, |(last, _)| *last);
            must(clock.since(last) > SILENCE_MAX, Invariant::NoFailureWithoutCause, || {
                format!("{worker} is held silent {:?} after its beat", clock.since(last))
            })?;
            let heard_millis = heard.millis();
            self.server_tell_own(Actor::Clock, Command::WorkerSilent { worker, heard_millis })?;
        }
        let due = self.server.control.as_ref().and_then(Control::wake_at);
        if due.is_some_and(|at| at <= clock) {
            self.server_tell_own(Actor::Clock, Command::Wake {})?;
        }
        self.server_ask_flush()
    }

    /// The plug is pulled, perhaps while a batch is being written.
    pub(crate) fn server_crash(&mut self, in_commit: bool) {
        let Some(mut control) = self.server.control.take() else { return };
        if in_commit {
            self.server.disk.tear(&mut self.dice);
        } else if self.server.disk.waiting() == 0 {
            while control.next_effect().is_some() {}
            self.auditor.remember_live(control);
        }
        self.server.disk.lose_power();
        self.server_stop();
        self.say_control(|| format!("crashes{}", if in_commit { " while writing" } else { "" }));
        let down = self.dice.millis(100, 60_000);
        self.agenda.at(self.now.after(down), Due::ServerStart);
    }

    fn server_stop(&mut self) {
        let server = &mut self.server;
        server.control = None;
        server.waiting.clear();
        server.heard.clear();
        server.incarnation += 1;
        server.flush_asked = false;
        server.wake_planned = None;
    }

    /// A start: from the newest snapshot, and the entries after it.
    pub(crate) fn server_recover(&mut self) -> Step {
        let (snapshot, entries) = self.server.disk.recover();
        let control = self.auditor.recovered(snapshot, entries)?;
        let now = self.server_clock();
        self.server.roll = Roll::default();
        let heard = control.head().at;
        for (id, worker) in control.workers() {
            self.server.roll.know(id, worker.up, heard, now);
            self.server.heard.insert(id, (heard, 0));
        }
        let seq = control.head().seq;
        self.server.control = Some(control);
        self.say_control(|| format!("starts at #{seq}"));
        self.server_plan_wake();
        Ok(())
    }

    fn say_control(&mut self, text: impl FnOnce() -> String) {
        self.trace.line(self.now, "ctl", text);
    }

    pub(crate) fn send_to_server(&mut self, way: Way, letter: &Letter) {
        for later in self.weather.fate(way, &mut self.dice).into_iter().flatten() {
            self.agenda.at(self.now.after(later), Due::AtServer(letter.clone()));
        }
    }

    fn send_to_machine(&mut self, machine: usize, session: u64, parcel: &Parcel) {
        for later in
            self.weather.fate(Way::ToMachine(machine), &mut self.dice).into_iter().flatten()
        {
            let parcel = parcel.clone();
            self.agenda.at(self.now.after(later), Due::AtMachine { machine, session, parcel });
        }
    }

    fn send_to_person(&mut self, id: CommandId, answer: &Answer) {
        for later in self.weather.fate(Way::Person, &mut self.dice).into_iter().flatten() {
            self.agenda.at(self.now.after(later), Due::AtPerson(id, answer.clone()));
        }
    }
}

/// A command in the trace: its name and the first of its fields.
fn verb(command: &Command) -> String {
    let text = format!("{command:?}");
    let end = text.char_indices().nth(220).map_or(text.len(), |(at, _)| at);
    text[..end].to_owned()
}
