//! One of the lines that are kept: which relay it goes to, and when it is dialed again.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::{Instant, sleep};
use trunk::Dial;
use wire::paper::NodeKey;

use super::line::{Ended, Running};
use super::{Common, LINES, RelayAt};
use crate::backoff::Backoff;

/// A relay that goes away is not dialed again so soon: a new one may start in its place.
const AFTER_DRAIN: Duration = Duration::from_secs(10);
/// By how much more a relay that goes away as soon as it came costs than one that is not reached: at worst one line in
/// five minutes.
const DRAINS_COST: u32 = 20;
/// A line that lasted this long was good: what comes after it is not a repeated failure.
const GOOD_AFTER: Duration = Duration::from_secs(60);

/// One of the lines that are kept.
pub(crate) struct Slot {
    number: usize,
    common: Common,
    backoff: Backoff,
    /// Relays that are not dialed before then, by where they are: one that cannot be reached at one of its addresses
    /// may be at another.
    shunned: BTreeMap<(NodeKey, SocketAddr), Instant>,
}

impl Slot {
    pub(crate) fn new(number: usize, common: Common) -> Self {
        Self { number, common, backoff: Backoff::default(), shunned: BTreeMap::new() }
    }

    /// Keeps a line for ever.
    pub(crate) async fn keep(mut self) {
        loop {
            let Some(relay) = self.choose() else {
                if self.wait_for_news().await.is_err() {
                    return;
                }
                continue;
            };
            self.hold(relay).await;
            self.common.taken()[self.number] = None;
        }
    }

    /// The best relay that no other slot has, and that did not just fail; or the one that failed longest ago.
    fn choose(&mut self) -> Option<RelayAt> {
        if self.common.pass.borrow().is_empty() {
            return None;
        }
        let now = Instant::now();
        self.shunned.retain(|_, until| *until > now);
        let mut taken = self.common.taken();
        let list = if self.is_home() { &self.common.relays } else { &self.common.more };
        let relays = list.borrow();
        let is_free = |relay: &&RelayAt| !taken.contains(&Some(relay.key));
        let until = |relay: &&RelayAt| self.shunned.get(&(relay.key, relay.address)).copied();
        let relay = relays.iter().filter(is_free).min_by_key(until).copied()?;
        taken[self.number] = Some(relay.key);
        Some(relay)
    }

    /// Whether services are offered over this line.
    const fn is_home(&self) -> bool {
        self.number < LINES
    }

    /// Waits for other relays, or a pass, or for a while.
    async fn wait_for_news(&mut self) -> Result<(), tokio::sync::watch::error::RecvError> {
        tokio::select! {
            news = self.common.relays.changed() => news,
            news = self.common.more.changed() => news,
            news = self.common.pass.changed() => news,
            () = sleep(AFTER_DRAIN) => Ok(()),
        }
    }

    /// Holds a line to this relay until it ends or the relay goes away.
    async fn hold(&mut self, relay: RelayAt) {
        if let Some(until) = self.shunned.get(&(relay.key, relay.address)) {
            tokio::time::sleep_until(*until).await;
        }
        let begun = Instant::now();
        let dial = Dial { key: self.common.key.clone(), relay: relay.key, address: relay.address };
        let mut common = self.common.clone();
        let pass = common.pass.borrow_and_update().clone();
        let ended = match dial.line(pass).await {
            Ok(dialed) => {
                tracing::info!(relay = %relay.address, observed = %dialed.welcome.observed, "a line to a relay is up");
                let (leaving, left) = oneshot::channel();
                let running = Running::new(dial, dialed, common, (self.is_home(), leaving));
                // A line whose relay goes away is served to its end, beside the one that takes its place.
                tokio::spawn(running.serve(relay));
                left.await.unwrap_or(Ended::Broke)
            }
            Err(fault) => {
                tracing::debug!(relay = %relay.address, fault = format!("{fault:#}"), "a relay was not reached");
                self.note_failure(relay);
                Ended::Broke
            }
        };
        let was_good = begun.elapsed() > GOOD_AFTER;
        if was_good {
            self.backoff.reset();
        }
        let wait = match ended {
            Ended::Draining if was_good => AFTER_DRAIN,
            // Its line is served on: one that always goes away at once would be given line after line.
            Ended::Draining => AFTER_DRAIN.max(self.backoff.next() * DRAINS_COST),
            Ended::Broke => self.backoff.next(),
        };
        let until = Instant::now() + wait;
        match ended {
            // It goes away at all its addresses.
            Ended::Draining => {
                let doors = self.doors(relay.key);
                self.shunned.extend(doors.into_iter().map(|address| ((relay.key, address), until)));
            }
            Ended::Broke => {}
        }
        self.shunned.insert((relay.key, relay.address), until);
    }

    /// Where a relay is dialed.
    fn doors(&self, relay: NodeKey) -> Vec<SocketAddr> {
        let list = if self.is_home() { &self.common.relays } else { &self.common.more };
        let relays = list.borrow();
        relays.iter().filter(|other| other.key == relay).map(|other| other.address).collect()
    }

    /// A relay is to blame only if no other address of it is left to be tried: this machine may have one family alone.
    fn note_failure(&self, relay: RelayAt) {
        let is_tried = |address: &SocketAddr| {
            *address == relay.address || self.shunned.contains_key(&(relay.key, *address))
        };
        if self.doors(relay.key).iter().all(is_tried) {
            self.common.failed(relay.key);
        }
    }
}
