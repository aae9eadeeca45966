//! A node's side of binding: which relays' ports know us, and where they see us.
//!
//! Asked every [`BIND_EVERY`], so that NATs keep the way open; at once again where a relay says that it does not know
//! us, or stopped carrying.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use units::Timestamp;

use super::wire::{self, Cookie, NO_COOKIE, PortKey};
use crate::path::{CallSign, RELAYS_MAX};

/// How often a relay is asked that knows us.
const BIND_EVERY: Duration = Duration::from_secs(15);
/// How often one that does not answer; doubling from here to [`BIND_EVERY`].
const BIND_AGAIN: Duration = Duration::from_millis(250);
/// How soon after a question another is asked, whatever gave reason to.
const BIND_GAP: Duration = Duration::from_millis(100);
/// After how many questions without answer the relay counts as gone.
const SILENT_MAX: u32 = 3;

/// A relay that we hold a key of, or a connection to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RelayConfig {
    /// What it is called: the call sign of its key.
    pub sign: CallSign,
    /// Its UDP ports: one for each family of addresses that we can send to.
    pub ports: Vec<SocketAddr>,
    /// What lets us in there.
    pub key: PortKey,
    /// Whether packets can go over our connection to it.
    pub stream: bool,
}

/// What is known of one port of a relay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RelayView {
    /// Which relay.
    pub sign: CallSign,
    /// Which port.
    pub port: SocketAddr,
    /// Whether it knows us.
    pub bound: bool,
    /// Where it sees us, once it said so.
    pub seen: Option<SocketAddr>,
    /// How long it took to answer last.
    pub round_trip: Option<Duration>,
}

/// All relays of a node.
#[derive(Debug, Default)]
pub(crate) struct Relays {
    configs: Vec<RelayConfig>,
    ports: BTreeMap<SocketAddr, Port>,
    last_stamp: u64,
}

#[derive(Debug)]
struct Port {
    sign: CallSign,
    key: PortKey,
    asked: Option<(u64, Timestamp)>,
    silent: u32,
    seen: Option<SocketAddr>,
    round_trip: Option<Duration>,
    ask_at: Timestamp,
    /// What the relay wants to be shown, and whether the last question showed it.
    cookie: Cookie,
    showed: bool,
}

impl Relays {
    /// These relays and no others. A port that stays keeps what is known of it.
    pub(crate) fn set(&mut self, mut configs: Vec<RelayConfig>) {
        configs.truncate(RELAYS_MAX);
        let mut before = std::mem::take(&mut self.ports);
        for config in &configs {
            for at in &config.ports {
                // Of two records that name a port, the first has it: a later one takes nobody's.
                if self.ports.contains_key(at) {
                    continue;
                }
                let known = before.remove(at).filter(|port| port.key == config.key);
                let fresh = || Port {
                    sign: config.sign,
                    key: config.key.clone(),
                    asked: None,
                    silent: 0,
                    seen: None,
                    round_trip: None,
                    ask_at: Timestamp::default(),
                    cookie: NO_COOKIE,
                    showed: false,
                };
                self.ports.insert(*at, known.unwrap_or_else(fresh));
            }
        }
        self.configs = configs;
    }

    pub(crate) fn configs(&self) -> &[RelayConfig] {
        &self.configs
    }

    /// The questions that are due, and where to.
    pub(crate) fn on_wake(
        &mut self,
        me: CallSign,
        now: Timestamp,
    ) -> Vec<(SocketAddr, [u8; wire::BIND_LEN])> {
        let mut questions = Vec::new();
        for (at, port) in &mut self.ports {
            if now < port.ask_at {
                continue;
            }
            // Later than all before, also across a restart.
            self.last_stamp = now.millis().max(self.last_stamp + 1);
            if port.asked.is_some() {
                port.silent = port.silent.saturating_add(1);
            }
            port.asked = Some((self.last_stamp, now));
            let again = BIND_AGAIN * (1 << port.silent.min(10));
            port.ask_at = now.after(again.min(BIND_EVERY));
            port.showed = port.cookie != NO_COOKIE;
            let question = wire::write_bind(me, self.last_stamp, &port.cookie, &port.key);
            questions.push((*at, question));
        }
        questions
    }

    /// An answer of a relay. True if it sees us elsewhere than before.
    pub(crate) fn on_bound(&mut self, from: SocketAddr, message: &[u8], now: Timestamp) -> bool {
        let Some(port) = self.ports.get_mut(&from) else { return false };
        let Some(bound) = wire::read_bound(message, &port.key) else { return false };
        let Some((_, sent)) = port.asked.take_if(|(asked, _)| *asked == bound.stamp) else {
            return false;
        };
        port.round_trip = Some(now.since(sent));
        port.silent = 0;
        if bound.cookie != NO_COOKIE {
            // At once the first time; who is asked for one after the other is seen at another place each time.
            port.cookie = bound.cookie;
            port.ask_at = if port.showed { now.after(BIND_AGAIN) } else { now };
            return false;
        }
        port.ask_at = now.after(BIND_EVERY);
        port.seen.replace(bound.seen) != Some(bound.seen)
    }

    /// There is reason to ask again: the relay says it does not know us, or no longer carries.
    pub(crate) fn doubt(&mut self, at: SocketAddr, now: Timestamp) {
        let Some(port) = self.ports.get_mut(&at) else { return };
        if port.asked.is_none() {
            port.ask_at = port.ask_at.min(now.after(BIND_GAP));
        }
    }

    /// Where relays see us, each address once.
    pub(crate) fn seen(&self) -> impl Iterator<Item = SocketAddr> {
        self.ports.values().filter(|port| port.is_bound()).filter_map(|port| port.seen)
    }

    pub(crate) fn views(&self) -> impl Iterator<Item = RelayView> {
        self.ports.iter().map(|(at, port)| RelayView {
            sign: port.sign,
            port: *at,
            bound: port.is_bound(),
            seen: port.seen,
            round_trip: port.round_trip,
        })
    }

    pub(crate) fn ports(&self) -> impl Iterator<Item = SocketAddr> {
        self.ports.keys().copied()
    }

    pub(crate) fn wake_at(&self) -> Option<Timestamp> {
        self.ports.values().map(|port| port.ask_at).min()
    }
}

impl Port {
    const fn is_bound(&self) -> bool {
        self.seen.is_some() && self.silent < SILENT_MAX
    }
}
