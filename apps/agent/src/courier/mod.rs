//! What goes between a cluster and the control plane: packages in, logs and files out.
//!
//! Each head has three threads of its own, so that one renter's large files do not hold up another's log: one hands
//! jobs to the cluster, one follows the logs of running jobs, one hands over what ended jobs left.
//!
//! # Invariants
//! - A job that is to stop is not submitted afterwards.
//! - The log the control plane has is a beginning of the job's own, until the job is over; then notes may follow.
//! - An ended job is reported as collected only after everything was handed over, or the control plane refused it.

mod collect;
mod follow;
mod packages;
mod submit;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use anyhow::{Context, Result};
use units::JobId;
use worker::{JobOrder, JobPhase, NodeKey};

use crate::hands::{Desk, Event};
use crate::limits::ERRANDS;
use crate::link::Link;
use crate::quit::Quit;
use packages::Packages;

/// A set of jobs that several threads look at.
type Jobs = Arc<Mutex<BTreeSet<JobId>>>;

fn contains(jobs: &Jobs, job: JobId) -> bool {
    jobs.lock().unwrap_or_else(PoisonError::into_inner).contains(&job)
}

fn insert(jobs: &Jobs, job: JobId) {
    jobs.lock().unwrap_or_else(PoisonError::into_inner).insert(job);
}

fn remove(jobs: &Jobs, job: JobId) {
    jobs.lock().unwrap_or_else(PoisonError::into_inner).remove(&job);
}

/// What every courier works with.
#[derive(Clone, Debug)]
struct Bag {
    key: NodeKey,
    link: Arc<Link>,
    desk: Desk,
    packages: Arc<Packages>,
    events: SyncSender<Event>,
    quit: Quit,
    /// Jobs whose logs are followed.
    followed: Jobs,
    /// Jobs that are to stop.
    ended: Jobs,
}

impl Bag {
    fn say(&self, event: Event) {
        // Nobody listens only when the agent stops.
        let _ = self.events.send(event);
    }
}

/// One head's couriers.
#[derive(Debug)]
struct Couriers {
    bag: Bag,
    submits: SyncSender<JobOrder>,
    collects: SyncSender<JobId>,
    /// Jobs that were ever followed: one that the control plane refused is not followed again.
    known: BTreeSet<JobId>,
}

/// The couriers of all heads on this machine.
#[derive(Debug)]
pub(crate) struct Post {
    link: Arc<Link>,
    desk: Desk,
    packages: Arc<Packages>,
    events: SyncSender<Event>,
    heads: BTreeMap<NodeKey, Couriers>,
}

impl Post {
    /// A post without couriers; they come with the first job.
    pub(crate) fn new(
        data: &Path,
        link: Arc<Link>,
        desk: Desk,
        events: SyncSender<Event>,
    ) -> Result<Self> {
        let packages = Packages::open(&data.join("packages")).context("make a folder")?;
        Ok(Self { link, desk, packages: Arc::new(packages), events, heads: BTreeMap::new() })
    }

    fn couriers(&mut self, key: NodeKey) -> Option<&mut Couriers> {
        if !self.heads.contains_key(&key) {
            let bag = Bag {
                key,
                link: self.link.clone(),
                desk: self.desk.clone(),
                packages: self.packages.clone(),
                events: self.events.clone(),
                quit: Quit::default(),
                followed: Jobs::default(),
                ended: Jobs::default(),
            };
            match Couriers::send_out(bag) {
                Ok(couriers) => {
                    self.heads.insert(key, couriers);
                }
                Err(fault) => tracing::error!(%fault, "a thread could not start"),
            }
        }
        self.heads.get_mut(&key)
    }

    /// Hands a job to its cluster. Returns how it failed if that cannot even be begun.
    pub(crate) fn submit(&mut self, key: NodeKey, order: JobOrder) -> Option<JobPhase> {
        let couriers = self.couriers(key);
        let taken = couriers.is_some_and(|couriers| couriers.submits.try_send(order).is_ok());
        let message = || "the machine has too many jobs to hand over".to_owned();
        (!taken).then(|| JobPhase::Failed { message: message() })
    }

    /// From now on this job is not submitted.
    pub(crate) fn stop(&mut self, key: NodeKey, job: JobId) {
        if let Some(couriers) = self.couriers(key) {
            insert(&couriers.bag.ended, job);
        }
    }

    /// Hands over a running job's log as it grows.
    pub(crate) fn follow(&mut self, key: NodeKey, job: JobId) {
        if let Some(couriers) = self.couriers(key)
            && couriers.known.insert(job)
        {
            insert(&couriers.bag.followed, job);
        }
    }

    /// Hands over what an ended job left. Returns whether that was begun.
    pub(crate) fn collect(&mut self, key: NodeKey, job: JobId) -> bool {
        self.couriers(key).is_some_and(|couriers| couriers.collects.try_send(job).is_ok())
    }

    /// A node ends: nothing more is fetched from it.
    pub(crate) fn recall(&mut self, key: NodeKey) {
        if let Some(couriers) = self.heads.remove(&key) {
            couriers.bag.quit.say();
        }
    }

    /// The agent stops.
    pub(crate) fn recall_all(&mut self) {
        let keys: Vec<NodeKey> = self.heads.keys().copied().collect();
        keys.into_iter().for_each(|key| self.recall(key));
    }
}

impl Couriers {
    fn send_out(bag: Bag) -> Result<Self> {
        let (submits, to_submit) = sync_channel(ERRANDS);
        let (collects, to_collect) = sync_channel(ERRANDS);
        spawn("submit", bag.clone(), to_submit, submit::submit)?;
        spawn("collect", bag.clone(), to_collect, collect::collect)?;
        let follower = bag.clone();
        thread::Builder::new()
            .name("follow".to_owned())
            .spawn(move || follow::follow(&follower))
            .context("start a thread")?;
        Ok(Self { bag, submits, collects, known: BTreeSet::new() })
    }
}

/// A thread that does one errand after the other until its node ends.
fn spawn<T: Send + 'static>(
    name: &str,
    bag: Bag,
    errands: Receiver<T>,
    run: fn(&Bag, &T),
) -> Result<()> {
    let work = move || {
        for errand in errands {
            if bag.quit.is_said() {
                return;
            }
            run(&bag, &errand);
        }
    };
    thread::Builder::new().name(name.to_owned()).spawn(work).context("start a thread")?;
    Ok(())
}
