//! Words for stories of one worker: what it is told, and what it then wants done, as text.

use std::collections::BTreeMap;

use units::{JobId, RentalId, Resources, Timestamp};
use worker::{Effect, JobOrder, JobPhase, NodeKey, NodeOrder, NodePhase, NodeSeen, Worker};

/// A node's key, written as `a0`: rental a, node 0.
pub(crate) fn key(text: &str) -> NodeKey {
    let rental = RentalId::from_bits(u128::from(text.as_bytes()[0]));
    NodeKey { rental, node: text[1..].parse().expect("a number behind a letter") }
}

fn named(key: NodeKey) -> String {
    let letter = u8::try_from(key.rental.bits()).expect("a letter");
    format!("{}{}", char::from(letter), key.node)
}

pub(crate) fn job(number: u128) -> JobId {
    JobId::from_bits(number)
}

/// An order, written as `a0:g0,g1+j1-j2`: its cards, the jobs to run, the jobs to stop; `a1@` knows the head.
fn order(text: &str) -> NodeOrder {
    let end = text.find([':', '+', '-', '@']).unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    let numbers = |mark: char, letter: char| -> Vec<u32> {
        let parts = rest.split([':', '+', '-', '@', ',']).zip(marks(rest));
        let chosen = parts.filter(|(_, found)| *found == mark);
        chosen.filter_map(|(part, _)| part.strip_prefix(letter)?.parse().ok()).collect()
    };
    let wanted = |stop| {
        move |number: u32| JobOrder {
            id: job(u128::from(number)),
            entrypoint: "true".to_owned(),
            package: None,
            env: BTreeMap::new(),
            stop,
        }
    };
    let runs = numbers('+', 'j').into_iter().map(wanted(false));
    let stops = numbers('-', 'j').into_iter().map(wanted(true));
    NodeOrder {
        key: key(name),
        nodes: 2,
        resources: Resources::default(),
        gpus: numbers(':', 'g'),
        has_mesh: false,
        head: rest.contains('@').then_some(([10, 0, 0, 1], 6379).into()),
        jobs: runs.chain(stops).collect(),
    }
}

/// For each part between marks, the mark that it stands behind; a comma goes on with the mark before.
fn marks(text: &str) -> Vec<char> {
    let mut found = vec![' '];
    for letter in text.chars().filter(|letter| ":+-@,".contains(*letter)) {
        let last = *found.last().expect("starts with one");
        found.push(if letter == ',' { last } else { letter });
    }
    found
}

/// One worker, and the minute it is.
pub(crate) struct Story {
    pub(crate) worker: Worker,
    minute: u64,
}

impl Story {
    /// A worker that starts and finds these nodes.
    pub(crate) fn found(nodes: &str) -> Self {
        let found: Vec<NodeKey> = nodes.split_whitespace().map(key).collect();
        Self { worker: Worker::new(&found, at(0)), minute: 0 }
    }

    pub(crate) fn wanted(&mut self, revision: u64, orders: &str) -> String {
        let orders = orders.split_whitespace().map(order).collect();
        self.worker.on_wanted(revision, orders, at(self.minute));
        self.effects()
    }

    pub(crate) fn node(&mut self, name: &str, phase: &str) -> String {
        let phase = match phase {
            "starting" => NodePhase::Starting,
            "ready" => NodePhase::Ready,
            other => NodePhase::Gone { reason: other.to_owned() },
        };
        self.worker.on_node(key(name), NodeSeen { phase, head: None });
        self.effects()
    }

    pub(crate) fn stopped(&mut self, name: &str) -> String {
        self.worker.on_stopped(key(name));
        self.effects()
    }

    pub(crate) fn job(&mut self, name: &str, number: u128, phase: JobPhase) -> String {
        self.worker.on_job(key(name), job(number), phase);
        self.effects()
    }

    pub(crate) fn collected(&mut self, name: &str, number: u128) -> String {
        self.worker.on_collected(key(name), job(number));
        self.effects()
    }

    pub(crate) fn contact(&mut self) {
        self.worker.on_contact(at(self.minute));
    }

    /// Minutes pass, and the worker is woken if it asked for it.
    pub(crate) fn minutes(&mut self, minutes: u64) -> String {
        self.minute += minutes;
        if self.worker.wake_at().is_some_and(|due| due <= at(self.minute)) {
            self.worker.on_wake(at(self.minute));
        }
        self.effects()
    }

    /// What it says of its nodes and jobs.
    pub(crate) fn says(&self) -> String {
        let seen = self.worker.seen();
        let nodes = seen.nodes.iter().map(|(key, node)| match &node.phase {
            NodePhase::Starting => format!("{} starting", named(*key)),
            NodePhase::Ready => format!("{} ready", named(*key)),
            NodePhase::Gone { .. } => format!("{} gone", named(*key)),
        });
        let jobs = seen.jobs.iter().map(|(id, job)| {
            let phase = match &job.phase {
                JobPhase::Pending => "pending",
                JobPhase::Running => "running",
                JobPhase::Succeeded => "succeeded",
                JobPhase::Failed { .. } => "failed",
                JobPhase::Stopped => "stopped",
            };
            format!("j{} {phase}", id.bits())
        });
        nodes.chain(jobs).collect::<Vec<_>>().join(", ")
    }

    fn effects(&mut self) -> String {
        let mut words = Vec::new();
        while let Some(effect) = self.worker.next_effect() {
            words.push(match effect {
                Effect::Start(order) => format!("start {}", named(order.key)),
                Effect::Stop(key) => format!("stop {}", named(key)),
                Effect::Submit(_, job) => format!("submit j{}", job.id.bits()),
                Effect::StopJob(_, job) => format!("stop j{}", job.bits()),
                Effect::Collect(_, job) => format!("collect j{}", job.bits()),
                Effect::Tell => continue,
            });
        }
        words.join(", ")
    }
}

fn at(minute: u64) -> Timestamp {
    Timestamp::from_millis(minute * 60_000)
}
