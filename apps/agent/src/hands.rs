//! The thread that owns the runtime: does what the brain decided, and says what it sees.
//!
//! # Invariants
//! - Nothing is asked of the runtime by two threads at once.
//! - Until the runtime is prepared, nodes that should start wait; everything else is done.
//! - A node that could not start is gone, for the reason it was given, until it is stopped.
//! - A stop that fails is tried again; a node counts as stopped when it is.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use units::JobId;
use worker::{JobPhase, NodeKey, NodeOrder, NodePhase, NodeSeen};

use crate::limits::{LOOK_EVERY, SLOW_SHARE, STOP_AGAIN_AFTER};
use crate::quit::Quit;
use crate::runs::Runs;
use crate::runtime::net::Addresses;

/// Something to be done with the runtime, for somebody who waits for the answer.
pub(crate) type Errand = Box<dyn FnOnce(&mut dyn Runs) + Send>;

/// What the runtime's thread is told.
pub(crate) enum Command {
    /// The runtime can start nodes, or why it cannot yet.
    Prepared(std::result::Result<(), String>),
    /// Start a node, with its cluster's token, and its addresses if it has a network of its own.
    Start(NodeOrder, String, Option<Addresses>),
    /// End a node.
    Stop(NodeKey),
    /// Ask a cluster to end a job.
    StopJob(NodeKey, JobId),
    /// Look at these nodes and their jobs.
    Look(Vec<(NodeKey, Vec<JobId>)>),
    /// Do this.
    Ask(Errand),
}

/// What the brain's thread is told.
#[derive(Debug)]
pub(crate) enum Event {
    /// The control plane said what it wants.
    Wanted(wire::Wanted),
    /// The control plane answered, without news.
    Contact,
    /// A node has its place in its private network.
    Network(NodeKey),
    /// A node was looked at, or could not start.
    Node(NodeKey, NodeSeen),
    /// A node is gone with everything it left.
    Stopped(NodeKey),
    /// A job was looked at, or could not be handed over.
    Job(NodeKey, JobId, JobPhase),
    /// An ended job's log and files are with the control plane.
    Collected(NodeKey, JobId),
    /// The look that was asked for is over.
    Looked,
}

/// Where others ask the runtime.
#[derive(Clone, Debug)]
pub(crate) struct Desk(pub(crate) SyncSender<Command>);

impl Desk {
    /// Does something with the runtime and waits for the answer.
    pub(crate) fn ask<T: Send + 'static>(
        &self,
        ask: impl FnOnce(&mut dyn Runs) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (reply, answer) = sync_channel(1);
        let errand: Errand = Box::new(move |runs| {
            // Whoever asked may be gone by now.
            let _ = reply.send(ask(runs));
        });
        self.0.send(Command::Ask(errand)).ok().context("ask an agent that is stopping")?;
        answer.recv().context("hear from an agent that is stopping")?
    }
}

/// A node to be started, with its cluster's token, and its addresses if it has a network of its own.
struct Waiting {
    order: NodeOrder,
    token: String,
    network: Option<Addresses>,
}

/// The runtime and what is underway with it.
pub(crate) struct Hands {
    runs: Box<dyn Runs>,
    events: SyncSender<Event>,
    prepared: bool,
    /// To be started once the runtime is prepared.
    waiting: BTreeMap<NodeKey, Waiting>,
    failed: BTreeSet<NodeKey>,
    stopping: BTreeMap<NodeKey, Instant>,
    /// Jobs to be ended, and whether their cluster has heard of it.
    ending: BTreeMap<(NodeKey, JobId), bool>,
    /// Clusters that do not answer, or slowly, and when they are asked next.
    slow: BTreeMap<NodeKey, Instant>,
    unwell: BTreeSet<NodeKey>,
}

impl Hands {
    /// Hands that have done nothing yet.
    pub(crate) fn new(runs: Box<dyn Runs>, events: SyncSender<Event>) -> Self {
        Self {
            runs,
            events,
            prepared: false,
            waiting: BTreeMap::new(),
            failed: BTreeSet::new(),
            stopping: BTreeMap::new(),
            ending: BTreeMap::new(),
            slow: BTreeMap::new(),
            unwell: BTreeSet::new(),
        }
    }

    /// Works until the agent stops. What waits then is left: the next agent reconciles.
    pub(crate) fn work(mut self, commands: &Receiver<Command>, quit: &Quit) {
        while !quit.is_said() {
            match commands.recv_timeout(LOOK_EVERY) {
                Ok(command) => self.on(command),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            self.stop_again();
        }
    }

    fn say(&self, event: Event) {
        // Nobody listens only when the agent stops.
        let _ = self.events.send(event);
    }

    fn on(&mut self, command: Command) {
        match command {
            Command::Prepared(outcome) => self.on_prepared(outcome.err().as_deref()),
            Command::Start(order, token, network) => {
                let waiting = Waiting { order, token, network };
                if self.prepared {
                    self.start(&waiting);
                } else {
                    self.waiting.insert(waiting.order.key, waiting);
                }
            }
            Command::Stop(key) => {
                self.stopping.insert(key, Instant::now());
            }
            Command::StopJob(key, job) => {
                self.ending.insert((key, job), false);
                self.look_at_job(key, job);
            }
            Command::Look(watched) => self.look(&watched),
            Command::Ask(errand) => errand(self.runs.as_mut()),
        }
    }

    fn on_prepared(&mut self, why_not: Option<&str>) {
        self.prepared = why_not.is_none();
        for (key, waiting) in std::mem::take(&mut self.waiting) {
            match why_not {
                None => self.start(&waiting),
                Some(why) => {
                    self.fail(key, format!("the machine could not prepare its runtime: {why}"))
                }
            }
        }
    }

    fn start(&mut self, waiting: &Waiting) {
        let Waiting { order, token, network } = waiting;
        let key = order.key;
        tracing::info!(rental = %key.rental, node = key.node, "starting a node");
        if let Err(fault) = self.runs.start(order, token, network.as_ref()) {
            self.fail(key, format!("the machine could not start it: {fault:#}"));
        }
    }

    fn fail(&mut self, key: NodeKey, reason: String) {
        tracing::warn!(rental = %key.rental, node = key.node, reason, "a node could not start");
        self.failed.insert(key);
        self.say(Event::Node(key, NodeSeen { phase: NodePhase::Gone { reason }, head: None }));
    }

    fn stop_again(&mut self) {
        let now = Instant::now();
        let due: Vec<NodeKey> =
            self.stopping.iter().filter(|(_, at)| **at <= now).map(|(key, _)| *key).collect();
        due.into_iter().for_each(|key| self.stop(key));
    }

    fn stop(&mut self, key: NodeKey) {
        if let Err(fault) = self.runs.stop(key) {
            let fault = format!("{fault:#}");
            tracing::warn!(rental = %key.rental, node = key.node, fault, "a node could not be stopped yet");
            self.stopping.insert(key, Instant::now() + STOP_AGAIN_AFTER);
            return;
        }
        tracing::info!(rental = %key.rental, node = key.node, "a node was stopped");
        self.stopping.remove(&key);
        self.waiting.remove(&key);
        self.failed.remove(&key);
        self.slow.remove(&key);
        self.unwell.remove(&key);
        self.ending.retain(|(of, _), _| *of != key);
        self.say(Event::Stopped(key));
    }

    fn look(&mut self, watched: &[(NodeKey, Vec<JobId>)]) {
        for (key, jobs) in watched {
            if self.waiting.contains_key(key)
                || self.failed.contains(key)
                || self.stopping.contains_key(key)
            {
                continue;
            }
            let seen = self.runs.inspect(*key);
            let ready = seen.phase == NodePhase::Ready;
            self.say(Event::Node(*key, seen));
            if ready {
                self.look_at_jobs(*key, jobs);
            }
        }
        self.say(Event::Looked);
    }

    fn look_at_jobs(&mut self, key: NodeKey, jobs: &[JobId]) {
        let began = Instant::now();
        if self.slow.get(&key).is_some_and(|until| began < *until) {
            return;
        }
        for job in jobs {
            self.look_at_job(key, *job);
            // The rest has its turn at the next look.
            if began.elapsed() > LOOK_EVERY {
                break;
            }
        }
        match rest_after(began.elapsed()) {
            Some(rest) => self.slow.insert(key, Instant::now() + rest),
            None => self.slow.remove(&key),
        };
    }

    fn look_at_job(&mut self, key: NodeKey, job: JobId) {
        match self.job_phase(key, job) {
            Ok(phase) => {
                self.unwell.remove(&key);
                if let Some(phase) = phase {
                    self.say(Event::Job(key, job, phase));
                }
            }
            Err(fault) => {
                let fault = format!("{fault:#}");
                if self.unwell.insert(key) {
                    tracing::warn!(rental = %key.rental, node = key.node, fault, "a cluster does not answer");
                }
            }
        }
    }

    /// `None` while the cluster has not heard of the job and should not stop it.
    fn job_phase(&mut self, key: NodeKey, job: JobId) -> Result<Option<JobPhase>> {
        let to_end = self.ending.get(&(key, job)).copied();
        if to_end == Some(false) {
            self.runs.stop_job(key, job)?;
            self.ending.insert((key, job), true);
        }
        let phase = self.runs.job_state(key, job)?;
        Ok(phase.or_else(|| to_end.map(|_| JobPhase::Stopped)))
    }
}

/// How long a cluster that took so long for its answers is left alone; `None` if it was quick.
fn rest_after(took: Duration) -> Option<Duration> {
    (took > LOOK_EVERY).then(|| took * (SLOW_SHARE - 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_cluster_rests_and_a_quick_one_does_not() {
        assert_eq!(rest_after(LOOK_EVERY), None);
        let took = Duration::from_secs(20);
        let rest = rest_after(took).unwrap();
        assert_eq!(took * SLOW_SHARE, took + rest);
    }
}
