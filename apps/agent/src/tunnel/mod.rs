//! Lines to relays: what runs here is reached from outside though nothing outside can dial this machine.
//!
//! ```text
//!   relays, pass, exposed ──► Tunnels ──► a slot for each of two relays ──► a line ──► streams ──► programs here
//! ```
//!
//! # Invariants
//! - Only programs that are exposed are dialed, and only at the address that was said.
//! - Two lines never go to one relay; a relay that goes away is replaced before its line ends.
//! - A line that breaks takes its streams with it and no others.
//! - What a relay can have this machine do is bounded, whatever it says: streams, dials, lines, and what is kept of it.

mod behind;
mod datagrams;
mod line;
mod proxy_header;
mod slot;
mod streams;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use ed25519_dalek::SigningKey;
use tokio::runtime::{Handle, Runtime};
use tokio::sync::{Semaphore, watch};
use tunnel::{Served, Service, ServiceName, UdpDoor};
use wire::paper::NodeKey;

use behind::Nothing;
pub use behind::{Behind, Target};
use slot::Slot;

/// Lines that are kept: when one relay dies, the other is connected already.
const LINES: usize = 2;
/// Further lines at most, to relays that others are reached through.
const MORE_LINES: usize = 6;
/// Threads that carry bytes. What runs here is for renters; two are enough for what a line's network carries.
const THREADS: usize = 2;

/// A relay, and where it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RelayAt {
    /// Its key.
    pub key: NodeKey,
    /// Its address.
    pub address: SocketAddr,
}

/// A program here that is reached through relays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exposed {
    /// As what.
    pub service: Service,
    /// Where it listens.
    pub target: Target,
    /// Whether it wants to hear who comes before the first byte (PROXY protocol, version 2).
    pub wants_proxy_header: bool,
}

/// How one line is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineState {
    /// To which relay.
    pub relay: RelayAt,
    /// Where this machine is, seen from the relay.
    pub observed: SocketAddr,
    /// Where the relay takes packets of private networks from this node.
    pub udp: Option<UdpDoor>,
    /// Whether services are offered there; else it is only to reach others.
    pub is_home: bool,
    /// Whether the relay goes away.
    pub is_draining: bool,
    /// Where services are found, or why they were refused.
    pub services: BTreeMap<ServiceName, Result<Served, String>>,
}

/// The lines of this machine. They end when it is dropped.
#[derive(Debug)]
pub struct Tunnels {
    relays: watch::Sender<Vec<RelayAt>>,
    more: watch::Sender<Vec<RelayAt>>,
    pass: watch::Sender<Vec<u8>>,
    exposed: watch::Sender<Vec<Exposed>>,
    lines: watch::Receiver<BTreeMap<u64, LineState>>,
    failures: Failures,
    /// What carries them, until they end.
    runtime: Option<Runtime>,
}

/// How often each relay was not reached.
type Failures = Arc<Mutex<BTreeMap<NodeKey, u32>>>;

/// What all slots share.
#[derive(Clone)]
pub(crate) struct Common {
    key: SigningKey,
    relays: watch::Receiver<Vec<RelayAt>>,
    more: watch::Receiver<Vec<RelayAt>>,
    behind: Arc<dyn Behind>,
    failures: Failures,
    /// Room for streams, over all lines together.
    room: Arc<Semaphore>,
    pass: watch::Receiver<Vec<u8>>,
    exposed: watch::Receiver<Vec<Exposed>>,
    lines: Arc<watch::Sender<BTreeMap<u64, LineState>>>,
    /// Which relay each slot has.
    taken: Arc<Mutex<Taken>>,
}

type Taken = [Option<NodeKey>; LINES + MORE_LINES];

impl Common {
    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn failed(&self, relay: NodeKey) {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        let count = failures.entry(relay).or_default();
        *count = count.saturating_add(1);
    }
}

impl Tunnels {
    /// Starts, with this key of the machine. Nothing is dialed before there are relays and a pass.
    ///
    /// # Errors
    /// If no thread can be had.
    pub fn start(key: SigningKey) -> Result<Self> {
        Self::start_before(key, Arc::new(Nothing))
    }

    /// [`Tunnels::start`], with something behind the lines.
    ///
    /// # Errors
    /// If no thread can be had.
    pub fn start_before(key: SigningKey, behind: Arc<dyn Behind>) -> Result<Self> {
        let (relays, relays_heard) = watch::channel(Vec::new());
        let (more, more_heard) = watch::channel(Vec::new());
        let failures = Failures::default();
        let (pass, pass_heard) = watch::channel(Vec::new());
        let (exposed, exposed_heard) = watch::channel(Vec::new());
        let (lines, lines_heard) = watch::channel(BTreeMap::new());
        let common = Common {
            key,
            relays: relays_heard,
            more: more_heard,
            room: Arc::new(Semaphore::new(behind.streams_max())),
            behind,
            failures: failures.clone(),
            pass: pass_heard,
            exposed: exposed_heard,
            lines: Arc::new(lines),
            taken: Arc::default(),
        };
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        builder.worker_threads(THREADS).thread_name("tunnels").enable_all();
        trunk::stay_awake(&mut builder).context("let threads of tunnels stay awake")?;
        let runtime = builder.build().context("start the threads of tunnels")?;
        for number in 0..LINES + MORE_LINES {
            runtime.spawn(Slot::new(number, common.clone()).keep());
        }
        let lines = lines_heard;
        Ok(Self { relays, more, pass, exposed, lines, failures, runtime: Some(runtime) })
    }

    /// These are the relays, the best first.
    pub fn set_relays(&self, relays: Vec<RelayAt>) {
        self.relays.send_if_modified(|known| std::mem::replace(known, relays) != *known);
    }

    /// These relays lead to others: lines go to the first few of them, too, and nothing is offered there.
    pub fn set_more(&self, relays: Vec<RelayAt>) {
        self.more.send_if_modified(|known| std::mem::replace(known, relays) != *known);
    }

    /// How often each relay was not reached since this was asked last.
    pub fn take_failures(&self) -> BTreeMap<NodeKey, u32> {
        std::mem::take(&mut *self.failures.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// This is the pass to show.
    pub fn set_pass(&self, pass: Vec<u8>) {
        self.pass.send_if_modified(|known| std::mem::replace(known, pass) != *known);
    }

    /// These programs are exposed, and no others.
    pub fn set_exposed(&self, exposed: Vec<Exposed>) {
        self.exposed.send_if_modified(|known| std::mem::replace(known, exposed) != *known);
    }

    /// Ends the lines, and what goes over them.
    pub fn end(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }

    /// [`Tunnels::end`], and waits until streams have ended and [`Behind`] has their records; no longer than this for
    /// threads that are busy.
    pub fn end_within(&mut self, patience: Duration) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_timeout(patience);
        }
    }

    /// What carries them, for other tasks of whoever is behind them; those end with the lines.
    pub(crate) fn handle(&self) -> Option<&Handle> {
        self.runtime.as_ref().map(Runtime::handle)
    }

    /// How the lines are, in the order in which they began.
    pub fn lines(&self) -> Vec<LineState> {
        self.lines.borrow().values().cloned().collect()
    }
}

impl Drop for Tunnels {
    fn drop(&mut self) {
        self.end();
    }
}
