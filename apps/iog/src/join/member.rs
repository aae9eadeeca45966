//! The loop that keeps this machine a member.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use agent::presence::{Carrier, Clock, Device, Papers, Presence, relays_held, way};
use agent::tunnel::{Behind, Tunnels};
use mesh::PublicKey;
use trunk::Line;
use units::{Name, Timestamp};
use wire::paper::{MESH_V4_RESOLVER_AT, Membership, NodeKey, mesh_v4, mesh_v4_block};
use wire::{WAYS_MAX, Way, WayKind};

use super::desk::{Desk, Said};
use super::device;
use super::network::Asker;
use super::resolve::{self, Resolves};
use super::text::{self, Names};
use crate::failure::Failure;
use crate::session::Session;

/// How often it is looked at lines, ways and signals.
const TEND_EVERY: Duration = Duration::from_millis(300);

/// A way is told of once it was seen the same so often: the first seconds try several.
const SETTLED_AFTER: u32 = 5;

/// Hears of lines; nothing is served over them.
#[derive(Debug)]
struct Ear(Arc<Carrier>);

impl Behind for Ear {
    fn on_line(&self, number: u64, relay: NodeKey, line: &Line) {
        self.0.on_line(number, relay, line);
    }

    fn on_line_over(&self, number: u64) {
        self.0.on_line_over(number);
    }

    fn on_packet(&self, relay: NodeKey, from: NodeKey, packet: &[u8]) {
        self.0.on_packet(relay, from, packet);
    }
}

/// Where packets of a way go.
type Leads = (WayKind, Option<SocketAddr>);

/// What is known of a way.
#[derive(Clone, Copy, Debug)]
struct Known {
    told: Leads,
    seen: Leads,
    /// How often in a row it was seen like this.
    times: u32,
}

impl Known {
    const NOTHING: Self =
        Self { told: (WayKind::None, None), seen: (WayKind::None, None), times: 0 };

    /// It is seen like this now. Says whether that is to be told.
    fn see(&mut self, now: Leads) -> bool {
        self.times = if self.seen == now { self.times.saturating_add(1) } else { 1 };
        self.seen = now;
        let is_news = self.times >= SETTLED_AFTER && self.told != now;
        if is_news {
            self.told = now;
        }
        is_news
    }
}

/// What a membership begins with.
#[derive(Debug)]
pub(super) struct Enter {
    /// What the device is to be called.
    pub(super) interface: String,
    /// What the network is called, where it has a name.
    pub(super) called: Option<Name>,
    /// What ssh includes to know the nodes.
    pub(super) ssh: Option<PathBuf>,
    pub(super) clock: Clock,
}

/// This machine, as a member.
pub(super) struct Member<'a> {
    session: &'a Session,
    desk: &'a Desk,
    presence: Presence,
    tunnels: Tunnels,
    interface: String,
    names: Names,
    papers: Arc<Papers>,
    /// What was told of ways, so that only news is told.
    ways: BTreeMap<NodeKey, Known>,
    clock: Clock,
}

impl<'a> Member<'a> {
    /// Makes the device by the papers that came, and says what there is.
    pub(super) fn enter(
        session: &'a Session,
        asker: &Asker,
        desk: &'a Desk,
        enter: Enter,
    ) -> Result<Self, Failure> {
        let Enter { interface, called, ssh, clock } = enter;
        let papers = desk.papers(None, Duration::ZERO);
        let papers = papers.ok_or_else(|| Failure::ended("it is over already", "try again"))?;
        let mesh = papers.membership.mesh;
        device::is_free(mesh_v4_block(mesh))?;
        let mut presence = Presence::new(asker.bearer(mesh), asker.keys.packets.clone())?;
        if let Some(called) = &called {
            presence.call(called.text());
        }
        let names = Names { called, ssh };
        let ear = Arc::new(Ear(presence.carrier()));
        let tunnels = Tunnels::start_before(asker.keys.node.clone(), ear)?;
        let ways = BTreeMap::new();
        let mut member =
            Self { session, desk, presence, tunnels, interface, names, papers, ways, clock };
        member.go_by();
        member.start(clock.now())?;
        Ok(member)
    }

    /// Stays until it is over, or somebody wants the end.
    pub(super) fn stay(mut self, wanted: &AtomicBool) -> Result<(), Failure> {
        while !wanted.load(Ordering::Relaxed) {
            let Some(papers) = self.desk.papers(Some(&self.papers), TEND_EVERY) else { break };
            if !Arc::ptr_eq(&papers, &self.papers) {
                self.change(papers)?;
            }
            self.tend()?;
        }
        self.presence.stop();
        Ok(())
    }

    fn go_by(&mut self) {
        self.presence.go_by(&self.papers, self.clock.now());
        self.tunnels.set_pass(self.papers.pass.clone());
        self.tunnels.set_relays(self.papers.relays_at());
    }

    fn start(&mut self, now: Timestamp) -> Result<(), Failure> {
        let device = Device::Made(self.interface.clone());
        let started = self.presence.start(&self.papers, device, now);
        started.map_err(|fault| fault.context("enter the private network"))?;
        let resolver = mesh_v4(self.papers.membership.mesh, MESH_V4_RESOLVER_AT);
        let me = (format!("{}.mesh", self.papers.membership.name), self.papers.membership.v4);
        let set = |resolver| resolve::set(&self.interface, resolver, (&me.0, me.1));
        self.say(resolver.map(|resolver| (resolver, set(resolver))))
    }

    fn say(&self, resolver: Option<(Ipv4Addr, Resolves)>) -> Result<(), Failure> {
        let entered = text::Entered::of(&self.papers, &self.interface, &self.names, resolver);
        let screen = self.session.screen;
        self.session.show(&entered, |entered| entered.text(screen))?;
        if !self.session.json {
            entered.notes().iter().for_each(|note| screen.note(note));
        }
        Ok(())
    }

    /// Other papers have come.
    fn change(&mut self, papers: Arc<Papers>) -> Result<(), Failure> {
        let before = std::mem::replace(&mut self.papers, papers);
        for news in text::comings(&before.members, &self.papers.members) {
            self.session.screen.note(&news);
        }
        let place = |member: &Membership| (member.v4, member.v6);
        let has_moved = place(&before.membership) != place(&self.papers.membership);
        self.go_by();
        if has_moved || self.presence.engine().is_none() {
            // A server that began anew may have put this machine elsewhere: the device goes by that.
            self.presence.stop();
            self.start(self.clock.now())?;
        }
        Ok(())
    }

    /// What made this machine a member has ended: it is none until it hears something new. It may have slept for days.
    fn pause(&mut self) {
        if self.presence.engine().is_some() {
            self.presence.stop();
            let told = "This machine's papers have ended: it is out of the private network until it gets new ones.\n\
                        If that takes long: does the server answer, and is the clock right?";
            self.session.screen.note(told);
        }
    }

    fn tend(&mut self) -> Result<(), Failure> {
        let now = self.clock.now();
        if let Some(thread) = self.presence.engine().and_then(|engine| engine.failed()) {
            let what = format!("the private network stopped: its thread {thread} failed");
            return Err(Failure::ended(what, "did somebody remove the device? Start it again"));
        }
        if !self.papers.hold(now) {
            self.pause();
            return Ok(());
        }
        self.presence.on_wake(now);
        let lines = self.tunnels.lines();
        self.presence.keep_relays(&self.papers, &self.tunnels, &lines);
        // Nobody asks a person's machine for a log.
        drop(self.presence.warden().collect(now));
        let ways = self.ways();
        self.note_ways(&ways);
        let ways = ways.into_iter().take(WAYS_MAX).collect();
        let relays = relays_held(&self.papers, &lines);
        self.desk.set_said(Said { relays, ways, ..Said::default() });
        Ok(())
    }

    fn ways(&self) -> Vec<Way> {
        let (papers, peers) = (&self.papers, self.presence.peers());
        let others = papers.members.iter().filter(|member| member.node != papers.membership.node);
        let ways = others.map(|member| {
            let view = peers.get(&PublicKey(member.x25519.0));
            way(member.node, view, papers)
        });
        ways.collect()
    }

    /// Says which ways are other than they were.
    fn note_ways(&mut self, ways: &[Way]) {
        for way in ways {
            let known = self.ways.entry(way.peer).or_insert(Known::NOTHING);
            if !known.see((way.kind, way.address)) {
                continue;
            }
            let member = self.papers.members.iter().find(|member| member.node == way.peer);
            let name = member.map(|member| member.name.to_string()).unwrap_or_default();
            self.session.screen.note(&text::news_of_way(&name, way));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_way_that_is_only_tried_is_not_told() {
        let (relay, direct) = ((WayKind::Relayed, None), (WayKind::Direct, None));
        let mut known = Known::NOTHING;
        let mut see = |way| known.see(way);
        assert!(!see(relay));
        let told: Vec<bool> = (0..10).map(|_| see(direct)).collect();
        assert_eq!(told.iter().filter(|told| **told).count(), 1, "{told:?}");
        assert!(!see(relay) && !see(direct), "it is as it was told");
    }
}
