//! A machine of the network: the real brain of its agent, and the shell that a real agent would have around it.

use std::collections::BTreeMap;
use std::rc::Rc;

use control::{Digest, DisturbedRecord, JobSaid, MachineRecord, NodeSaid, PhaseSaid};
use units::{JobId, RentalId, Timestamp, WorkerId};
use worker::{BEAT_EVERY, Effect, NodeKey, NodePhase, NodeSeen, Worker};

use crate::broken::Step;
use crate::letter::{Letter, Parcel, Said};
use crate::limits::POLL_EVERY;
use crate::ray::Ray;
use crate::weather::Way;
use crate::world::{Due, World};

/// How a machine lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lie {
    /// It says old beats again.
    Replays,
    /// It says that everything is ready and done, its own and that of others.
    Claims,
    /// It takes the money and falls silent.
    SilentWhenPaid,
}

/// One machine.
#[derive(Debug)]
pub(crate) struct Machine {
    pub(crate) id: WorkerId,
    pub(crate) supplier: usize,
    pub(crate) record: MachineRecord,
    pub(crate) fingerprint: u64,
    pub(crate) joined: bool,
    /// Whether it has left for good.
    pub(crate) gone: bool,
    /// `None` while its agent is down.
    pub(crate) brain: Option<Worker>,
    /// What runs on it, which outlives the agent.
    pub(crate) rays: BTreeMap<NodeKey, Ray>,
    pub(crate) lie: Option<Lie>,
    /// Which of its nodes are not their renters' alone.
    pub(crate) disturbed: BTreeMap<NodeKey, DisturbedRecord>,
    /// What its records of time-lock were: how many of each span, and the hash of the last.
    pub(crate) records: BTreeMap<Option<NodeKey>, (u32, Digest)>,
    pub(crate) session: u64,
    beats: u64,
    fetched: Timestamp,
    /// What it says, until something about it changes.
    said: Option<Rc<Said>>,
    old_beats: Vec<(u64, Rc<Said>)>,
}

impl Machine {
    pub(crate) fn new(
        id: WorkerId,
        supplier: usize,
        record: MachineRecord,
        fingerprint: u64,
    ) -> Self {
        Self {
            id,
            supplier,
            record,
            fingerprint,
            joined: false,
            gone: false,
            brain: None,
            rays: BTreeMap::new(),
            lie: None,
            disturbed: BTreeMap::new(),
            records: BTreeMap::new(),
            session: 0,
            beats: 0,
            fetched: Timestamp::from_millis(0),
            said: None,
            old_beats: Vec::new(),
        }
    }

    /// One of its nodes is disturbed from now on, or is not any more.
    pub(crate) fn disturb(&mut self, node: NodeKey, by: Option<DisturbedRecord>) {
        self.said = None;
        match by {
            Some(by) => self.disturbed.insert(node, by),
            None => self.disturbed.remove(&node),
        };
    }

    /// Nothing disturbs it any more.
    pub(crate) fn calm(&mut self) {
        self.said = None;
        self.disturbed.clear();
    }

    /// The brain, to be told something: what it says may be other afterward.
    fn told(&mut self) -> Option<&mut Worker> {
        self.said = None;
        self.brain.as_mut()
    }

    fn is_mute(&self) -> bool {
        let serves = || self.rays.values().any(|ray| ray.phase == NodePhase::Ready);
        self.lie == Some(Lie::SilentWhenPaid) && serves()
    }
}

impl World {
    /// An agent starts, and finds what still runs.
    pub(crate) fn machine_start(&mut self, index: usize) -> Step {
        let now = self.now;
        let machine = &mut self.machines[index];
        if machine.brain.is_some() || machine.gone {
            return Ok(());
        }
        let found: Vec<NodeKey> = machine.rays.keys().copied().collect();
        machine.brain = Some(Worker::new(&found, now));
        machine.said = None;
        machine.session += 1;
        machine.beats = 0;
        machine.fetched = Timestamp::from_millis(0);
        let session = machine.session;
        self.say_of(index, || format!("starts, finds {} nodes", found.len()));
        self.agenda.at(now, Due::Beat(index, session));
        Ok(())
    }

    /// An agent dies; with `reboot`, all that it runs dies too.
    pub(crate) fn machine_crash(&mut self, index: usize, reboot: bool) {
        let machine = &mut self.machines[index];
        if machine.brain.take().is_none() {
            return;
        }
        if reboot {
            machine.rays.clear();
        }
        let down = if self.dice.chance(700) {
            self.dice.millis(100, 20_000)
        } else {
            self.dice.seconds(20, 900)
        };
        self.say_of(index, || (if reboot { "reboots" } else { "crashes" }).to_owned());
        self.agenda.at(self.now.after(down), Due::MachineStart(index));
    }

    /// The agent's heartbeat: it looks at what it runs, speaks, and asks now and then.
    pub(crate) fn machine_beat(&mut self, index: usize, session: u64) -> Step {
        if !self.machine_lives(index, session) {
            return Ok(());
        }
        let jitter = self.dice.millis(0, 200);
        self.agenda.at(self.now.after(BEAT_EVERY + jitter), Due::Beat(index, session));
        let now = self.now;
        let orphaned = self.machines[index].brain.as_ref().and_then(Worker::wake_at);
        if orphaned.is_some_and(|at| at <= now) {
            self.say_of(index, || "has not heard anything for too long".to_owned());
            if let Some(brain) = self.machines[index].told() {
                brain.on_wake(now);
            }
        }
        self.machine_look(index)?;
        self.machine_speak(index);
        if now.since(self.machines[index].fetched) >= POLL_EVERY {
            self.machine_fetch(index);
        }
        Ok(())
    }

    pub(crate) fn machine_lives(&self, index: usize, session: u64) -> bool {
        let machine = &self.machines[index];
        machine.brain.is_some() && machine.session == session && !machine.gone
    }

    /// Shows the brain every node that it watches, as it is. What it wants done is done first: a node that is about
    /// to start is not missing.
    pub(crate) fn machine_look(&mut self, index: usize) -> Step {
        self.machine_act(index)?;
        let machine = &mut self.machines[index];
        let Some(brain) = machine.brain.as_mut() else { return Ok(()) };
        for (key, jobs) in brain.watched() {
            let Some(ray) = machine.rays.get(&key) else {
                let phase = NodePhase::Gone { reason: "it is not there".to_owned() };
                brain.on_node(key, NodeSeen { phase, head: None });
                continue;
            };
            brain.on_node(key, NodeSeen { phase: ray.phase.clone(), head: ray.head });
            for job in jobs {
                if let Some(phase) = ray.jobs.get(&job) {
                    brain.on_job(key, job, phase.clone());
                }
            }
        }
        self.machine_act(index)
    }

    /// Does what the brain wants done. The agent may die between any two things.
    pub(crate) fn machine_act(&mut self, index: usize) -> Step {
        let mut speak = false;
        loop {
            let machine = &mut self.machines[index];
            let Some(effect) = machine.brain.as_mut().and_then(Worker::next_effect) else { break };
            machine.said = None;
            if self.plan.agent_crashes && self.raining && self.dice.once_in(250) {
                self.machine_crash(index, false);
                return Ok(());
            }
            match effect {
                Effect::Start(order) => self.ray_start(index, &order)?,
                Effect::Stop(key) => self.ray_stop(index, key),
                Effect::Submit(key, job) => self.ray_submit(index, key, job.id),
                Effect::StopJob(key, job) => self.ray_stop_job(index, key, job),
                Effect::Collect(key, job) => {
                    let (session, later) =
                        (self.machines[index].session, self.dice.millis(50, 3_000));
                    let due = Due::Collected { machine: index, session, key, job };
                    self.agenda.at(self.now.after(later), due);
                }
                Effect::Tell => speak = true,
            }
        }
        if speak {
            self.machine_speak(index);
        }
        Ok(())
    }

    /// A parcel arrives for the session that asked for it.
    pub(crate) fn machine_hears(&mut self, index: usize, session: u64, parcel: Parcel) -> Step {
        if !self.machine_lives(index, session) {
            return Ok(());
        }
        let now = self.now;
        match parcel {
            Parcel::Nudge => self.machine_fetch(index),
            Parcel::Heard { revision } => {
                let Some(brain) = self.machines[index].brain.as_mut() else { return Ok(()) };
                brain.on_contact(now);
                if brain.revision().is_none_or(|known| known < revision) {
                    self.machine_fetch(index);
                }
            }
            Parcel::Wanted { revision, orders } => {
                self.say_of(index, || {
                    format!("is wanted to run {} nodes, r{revision}", orders.len())
                });
                if let Some(brain) = self.machines[index].told() {
                    brain.on_wanted(revision, orders, now);
                }
                self.machine_look(index)?;
            }
        }
        Ok(())
    }

    pub(crate) fn job_collected(&mut self, index: usize, key: NodeKey, job: JobId) -> Step {
        if let Some(brain) = self.machines[index].told() {
            brain.on_collected(key, job);
        }
        self.machine_act(index)
    }

    pub(crate) fn node_stopped(&mut self, index: usize, key: NodeKey) -> Step {
        if let Some(brain) = self.machines[index].told() {
            brain.on_stopped(key);
        }
        self.machine_act(index)
    }

    fn machine_fetch(&mut self, index: usize) {
        let (now, session) = (self.now, self.machines[index].session);
        self.machines[index].fetched = now;
        self.send_to_server(Way::FromMachine(index), &Letter::Fetch { machine: index, session });
    }

    pub(crate) fn machine_speak(&mut self, index: usize) {
        let machine = &mut self.machines[index];
        let Some(brain) = machine.brain.as_ref() else { return };
        if machine.is_mute() || !machine.joined {
            return;
        }
        let mut said = machine
            .said
            .get_or_insert_with(|| Rc::new(Said::of(brain.seen(), &machine.disturbed)))
            .clone();
        machine.beats += 1;
        let (session, mut number) = (machine.session, (machine.session << 20) | machine.beats);
        match machine.lie {
            None | Some(Lie::SilentWhenPaid) => {}
            Some(Lie::Claims) => said = Rc::new(self.claims(&said)),
            Some(Lie::Replays) => {
                machine.old_beats.push((number, said.clone()));
                if self.dice.chance(300) {
                    let old = self.dice.pick(&self.machines[index].old_beats);
                    (number, said) = old.expect("one was kept just now").clone();
                }
            }
        }
        let letter = Letter::Beat { machine: index, session, number, said };
        self.send_to_server(Way::FromMachine(index), &letter);
    }

    /// The truth, and that everything of everybody is ready and done.
    fn claims(&mut self, truth: &Said) -> Said {
        let head = Some(([10, 6, 6, 6], 6379).into());
        let disturbed = None;
        let phase = PhaseSaid::Ready;
        let ready = |rental, node| NodeSaid { rental, node, phase: phase.clone(), head, disturbed };
        let mut nodes: Vec<NodeSaid> =
            truth.nodes.iter().map(|node| ready(node.rental, node.node)).collect();
        let rentals: Vec<RentalId> = self.people.rentals_known().collect();
        for _ in 0..3 {
            if let Some(rental) = self.dice.pick(&rentals) {
                let node = u32::try_from(self.dice.between(0, 2)).expect("a small number");
                nodes.push(ready(*rental, node));
            }
        }
        let jobs = self.people.jobs_known();
        let done = |job| JobSaid { job, phase: PhaseSaid::Succeeded };
        Said::new(truth.revision, nodes, jobs.map(done).collect())
    }

    pub(crate) fn say_of(&mut self, index: usize, text: impl FnOnce() -> String) {
        self.trace.line(self.now, &format!("m{index}"), text);
    }
}
