//! Ports of a home router that lead to us: asked for by PCP (RFC 6887) and NAT-PMP (RFC 6886), whichever it speaks.
//!
//! ```text
//! gateway known → ask by both, again after 250 ms, 500 ms, … 8 s → resting for ten minutes, then again
//! mapped        → renewed at half its time, as above; lost when its time is over
//! ```
//!
//! # Invariants
//! - Only the gateway is asked and believed, and of PCP only answers that carry our number.
//! - A router that answers nothing costs a dozen short datagrams in ten minutes.
//! - What was mapped is given back when the node ends or the gateway changes.
//!
//! What `UPnP` says is read and written in [`upnp`]; asking by it takes connections, and is the shell's.

pub mod upnp;
mod wire;

use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::time::Duration;

use units::Timestamp;

pub use wire::SERVER_PORT;
use wire::{Heard, Mapping, map_by_pcp, map_by_pmp, outside_by_pmp};

/// How long a mapping is asked for, in seconds (RFC 6886 recommends it).
pub const LIFETIME_SECONDS: u32 = 7200;
/// How soon a question is repeated, doubling.
const AGAIN_AFTER: Duration = Duration::from_millis(250);
/// How often it is asked: eight seconds in all.
const TRIES_MAX: u32 = 6;
/// How long a router that does not answer is left alone.
const REST: Duration = Duration::from_secs(600);
/// A mapping is believed for a day at most, and renewed after a minute at the soonest.
const LIFETIME_MAX: Duration = Duration::from_secs(86_400);
const RENEW_AFTER_MIN: Duration = Duration::from_secs(60);

/// The router, and the address that we have towards it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gateway {
    /// Where it is.
    pub router: Ipv4Addr,
    /// What it calls us.
    pub own: Ipv4Addr,
}

/// What to do next, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Send this to the router.
    Send { to: SocketAddrV4, message: Vec<u8> },
    /// Peers reach us here as well, or no longer do.
    Mapped(Option<SocketAddr>),
}

/// The port that a router leads to us.
#[derive(Debug)]
pub struct Mapper {
    port: u16,
    number: [u8; 12],
    gateway: Option<Gateway>,
    tries: u32,
    ask_at: Option<Timestamp>,
    /// What NAT-PMP calls the router's own address, and what it mapped: both are needed.
    outside: Option<Ipv4Addr>,
    mapped: Option<(SocketAddrV4, Timestamp)>,
    effects: VecDeque<Effect>,
}

impl Mapper {
    /// For the UDP port `port`; `number` is chance that nobody else knows.
    pub const fn new(port: u16, number: [u8; 12]) -> Self {
        Self {
            port,
            number,
            gateway: None,
            tries: 0,
            ask_at: None,
            outside: None,
            mapped: None,
            effects: VecDeque::new(),
        }
    }

    /// The gateway is this one from here on. Telling it again changes nothing.
    pub fn on_gateway(&mut self, gateway: Option<Gateway>, now: Timestamp) {
        if self.gateway == gateway {
            return;
        }
        self.release();
        (self.gateway, self.tries, self.outside) = (gateway, 0, None);
        self.ask_at = gateway.map(|_| now);
    }

    /// A datagram came. What is not the gateway's answer to our question has no effect.
    pub fn on_message(&mut self, from: SocketAddrV4, message: &[u8], now: Timestamp) {
        let expected = self.gateway.map(|gateway| SocketAddrV4::new(gateway.router, SERVER_PORT));
        if Some(from) != expected {
            return;
        }
        match wire::read(message, &self.number) {
            Some(Heard::Outside(ip)) => self.outside = Some(ip),
            Some(Heard::Mapped(mapping)) if mapping.inner == self.port => {
                let outside = mapping.outside.or(self.outside);
                if let Some(ip) = outside.filter(|ip| !ip.is_unspecified() && mapping.outer != 0) {
                    self.on_mapped(SocketAddrV4::new(ip, mapping.outer), &mapping, now);
                }
            }
            Some(Heard::Mapped(_)) | None => {}
        }
    }

    /// Whether a router leads a port to us: where none does, another protocol may do.
    pub const fn has_mapped(&self) -> bool {
        self.mapped.is_some()
    }

    /// When [`Mapper::on_wake`] next has something to do.
    pub fn wake_at(&self) -> Option<Timestamp> {
        let ends = self.mapped.map(|(_, until)| until);
        [self.ask_at, ends].into_iter().flatten().min()
    }

    /// Does what is due.
    pub fn on_wake(&mut self, now: Timestamp) {
        if self.mapped.take_if(|(_, until)| *until <= now).is_some() {
            self.effects.push_back(Effect::Mapped(None));
        }
        if self.ask_at.is_none_or(|at| now < at) {
            return;
        }
        if self.tries >= TRIES_MAX {
            (self.tries, self.ask_at) = (0, Some(now.after(REST)));
            return;
        }
        self.ask_at = Some(now.after(AGAIN_AFTER * (1 << self.tries)));
        self.tries += 1;
        self.ask(LIFETIME_SECONDS);
    }

    /// What to do next.
    pub fn next_effect(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    /// Gives back what was mapped: before the node ends.
    pub fn release(&mut self) {
        if self.mapped.take().is_some() {
            self.effects.push_back(Effect::Mapped(None));
            self.ask(0);
        }
    }

    fn ask(&mut self, lifetime: u32) {
        let Some(Gateway { router, own }) = self.gateway else { return };
        let outer = self.mapped.map_or(self.port, |(at, _)| at.port());
        let mapping = Mapping { inner: self.port, outer, outside: None, lifetime };
        let to = SocketAddrV4::new(router, SERVER_PORT);
        let questions = [
            map_by_pcp(&mapping, own, &self.number).to_vec(),
            outside_by_pmp().to_vec(),
            map_by_pmp(&mapping).to_vec(),
        ];
        self.effects.extend(questions.map(|message| Effect::Send { to, message }));
    }

    fn on_mapped(&mut self, at: SocketAddrV4, mapping: &Mapping, now: Timestamp) {
        let lifetime = Duration::from_secs(mapping.lifetime.into()).min(LIFETIME_MAX);
        if lifetime.is_zero() {
            return;
        }
        if self.mapped.map(|(before, _)| before) != Some(at) {
            self.effects.push_back(Effect::Mapped(Some(at.into())));
        }
        self.mapped = Some((at, now.after(lifetime)));
        (self.tries, self.ask_at) = (0, Some(now.after((lifetime / 2).max(RENEW_AFTER_MIN))));
    }
}
