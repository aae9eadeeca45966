//! Bad days by chance: one trouble after another, each of which passes. The same seed over the same plan is the same
//! storm.

use std::collections::VecDeque;
use std::fmt;

use crate::chance::Chance;
use crate::rig::Rig;
use crate::state::Blocked;

/// One change of a network, in words that replay it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    Parted(String, String),
    Healed(String, String),
    Deafened(String, String),
    Rebound(String),
    Cut(String),
    Mended(String),
    UdpBlocked(String),
    UdpAllowed(String),
}

impl fmt::Display for Event {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Event::Parted(one, other) => write!(out, "{one} and {other} are parted"),
            Event::Healed(one, other) => write!(out, "{one} and {other} hear each other again"),
            Event::Deafened(speaker, listener) => write!(out, "{listener} does not hear {speaker}"),
            Event::Rebound(router) => write!(out, "{router} forgets its mappings"),
            Event::Cut(node) => write!(out, "the link of {node} is cut"),
            Event::Mended(node) => write!(out, "the link of {node} is whole again"),
            Event::UdpBlocked(router) => write!(out, "{router} blocks UDP"),
            Event::UdpAllowed(router) => write!(out, "{router} lets UDP through again"),
        }
    }
}

impl Event {
    /// What ends it, if it lasts.
    fn end(&self) -> Option<Event> {
        match self {
            Event::Parted(one, other) | Event::Deafened(one, other) => {
                Some(Event::Healed(one.clone(), other.clone()))
            }
            Event::Cut(node) => Some(Event::Mended(node.clone())),
            Event::UdpBlocked(router) => Some(Event::UdpAllowed(router.clone())),
            Event::Rebound(_) | Event::Healed(..) | Event::Mended(_) | Event::UdpAllowed(_) => None,
        }
    }

    fn apply(&self, rig: &Rig) -> anyhow::Result<()> {
        match self {
            Event::Parted(one, other) => rig.partition(one, other),
            Event::Healed(one, other) => rig.heal(one, other),
            Event::Deafened(speaker, listener) => rig.deafen(speaker, listener),
            Event::Rebound(router) => rig.rebind(router),
            Event::Cut(node) => rig.link(node).cut(),
            Event::Mended(node) => rig.link(node).mend(),
            Event::UdpBlocked(router) => rig.block(router, Blocked::Udp),
            Event::UdpAllowed(router) => rig.block(router, Blocked::Nothing),
        }
    }
}

/// Troubles among some hosts and the routers that translate for them. It has no clock: each strike is one change.
#[derive(Debug)]
pub struct Storm {
    chance: Chance,
    hosts: Vec<String>,
    /// Each before one of the hosts.
    routers: Vec<String>,
    /// What stands, oldest first.
    standing: VecDeque<Event>,
    standing_max: usize,
}

impl Storm {
    /// Over these hosts. At most so many troubles stand at once: the oldest ends before another begins.
    pub fn new(rig: &Rig, hosts: &[&str], standing_max: usize, seed: u64) -> Storm {
        let mut routers: Vec<String> =
            hosts.iter().filter_map(|host| rig.translator_of(host)).collect();
        routers.sort_unstable();
        routers.dedup();
        Storm {
            chance: Chance::new(seed),
            hosts: hosts.iter().map(|host| (*host).to_owned()).collect(),
            routers,
            standing: VecDeque::new(),
            standing_max,
        }
    }

    /// The next change, as it was made.
    pub fn strike(&mut self, rig: &Rig) -> anyhow::Result<Event> {
        let event = self.next();
        event.apply(rig)?;
        Ok(event)
    }

    /// Ends all that stands.
    pub fn calm(&mut self, rig: &Rig) -> anyhow::Result<()> {
        self.standing.drain(..).filter_map(|event| event.end()).try_for_each(|end| end.apply(rig))
    }

    fn next(&mut self) -> Event {
        if self.standing.len() >= self.standing_max
            && let Some(end) = self.standing.pop_front().and_then(|oldest| oldest.end())
        {
            return end;
        }
        let event = self.trouble();
        if event.end().is_some() && !self.standing.contains(&event) {
            self.standing.push_back(event.clone());
        }
        event
    }

    fn trouble(&mut self) -> Event {
        let of_routers = !self.routers.is_empty();
        match self.chance.below(10) {
            0..=3 if self.hosts.len() > 1 => {
                let (one, other) = self.two_hosts();
                Event::Parted(one, other)
            }
            4 if self.hosts.len() > 1 => {
                let (speaker, listener) = self.two_hosts();
                Event::Deafened(speaker, listener)
            }
            5..=7 if of_routers => Event::Rebound(one_of(&self.routers, &mut self.chance)),
            8 if of_routers => Event::UdpBlocked(one_of(&self.routers, &mut self.chance)),
            _ => Event::Cut(one_of(&self.hosts, &mut self.chance)),
        }
    }

    fn two_hosts(&mut self) -> (String, String) {
        let one = self.chance.below(self.hosts.len());
        let other = (one + 1 + self.chance.below(self.hosts.len() - 1)) % self.hosts.len();
        (self.hosts[one].clone(), self.hosts[other].clone())
    }
}

fn one_of(names: &[String], chance: &mut Chance) -> String {
    names[chance.below(names.len())].clone()
}
