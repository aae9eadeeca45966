//! All ways to one peer, and which of them carry.
//!
//! # Invariants
//! - There are at most [`WAYS_MAX`] of them, each once.
//! - The way in use is one of them. It is left when it stops working and another works, when another is a fifth
//!   cheaper and it was in use for [`HOLD`] for each time that the other failed, or when one of a kinder kind never
//!   failed and is not dearer; never for one that is not proven, unless it is dead itself.
//! - A way that works is never given up for one that is merely known.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use units::Timestamp;

use super::delivery::Heard;
use super::limits::{BETTER_PERCENT, HOLD, HOLDS_MAX, PROVEN_PONGS, TOGETHER_MAX, WAYS_MAX};
use super::trail::{Pace, Trail};
use super::way::{Way, WayKind};
use crate::entropy::Entropy;

/// How ways are used that work at the same time. Names as users of other meshes know them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Policy {
    /// The best way carries, the others stand by.
    #[default]
    ActiveBackup,
    /// Flows are spread over all ways that are about as good; each flow keeps its order on one.
    BalanceFlow,
    /// Small packets go several ways at once, and the receiver takes the first copy. Long ones go the best way.
    Broadcast,
}

/// How much a peer's ways matter at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mood {
    /// Nobody talks: nothing is tried.
    Asleep,
    /// Somebody talked lately.
    Idle,
    /// Data is being sent.
    Busy,
}

/// What is known of one way: what `iog net status` shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WayView {
    /// The way.
    pub way: Way,
    /// Whether it answers.
    pub works: bool,
    /// Whether it is the one in use.
    pub in_use: bool,
    /// Its round trip, if one was seen.
    pub round_trip: Option<Duration>,
    /// How many round trips in ten thousand are lost.
    pub loss_bp: u16,
    /// How often it stopped working.
    pub failures: u32,
    /// How many bytes per second arrived when it last carried much, by the peer's own count.
    pub bytes_per_second: Option<u64>,
}

/// All ways to one peer.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ways {
    trails: Vec<Trail>,
    active: Option<Way>,
    /// Whether only ways over hops may be learned.
    hops_only: bool,
    chosen_at: Timestamp,
    /// How often another way was chosen.
    pub(crate) switches: u64,
}

impl Ways {
    /// Learns of a way, if it is one that can be tried and there is room.
    pub(crate) fn add(&mut self, way: Way, now: Timestamp) {
        if let Some(known) = self.trails.iter_mut().find(|trail| trail.way == way) {
            return known.encourage(now);
        }
        let is_hop = way.kind() == WayKind::Hop;
        if matches!(way, Way::Direct(at) if !is_usable(at)) || is_hop != self.hops_only {
            return;
        }
        if self.trails.len() >= WAYS_MAX {
            let spare = |trail: &&Trail| !trail.is_alive() && self.active != Some(trail.way);
            let direct = |trail: &&Trail| trail.way.kind() == WayKind::Direct;
            // The oldest goes: what was said last is most likely still true.
            let Some(gone) = self.trails.iter().filter(spare).find(direct).map(|t| t.way) else {
                return;
            };
            self.trails.retain(|trail| trail.way != gone);
        }
        self.trails.push(Trail::new(way));
    }

    /// Only these ways, all of them over hops, may be used.
    pub(crate) fn set_hops(&mut self, ways: &BTreeSet<Way>, now: Timestamp) {
        self.hops_only = true;
        self.trails.retain(|trail| ways.contains(&trail.way));
        self.active = self.active.filter(|way| ways.contains(way));
        ways.iter().for_each(|way| self.add(*way, now));
    }

    /// The ways over relays are these and no others.
    pub(crate) fn set_relayed(&mut self, ways: &BTreeSet<Way>, now: Timestamp) {
        self.hops_only = false;
        let stays = |way: &Way| way.kind() == WayKind::Direct || ways.contains(way);
        self.trails.retain(|trail| stays(&trail.way));
        self.active = self.active.filter(stays);
        ways.iter().for_each(|way| self.add(*way, now));
    }

    /// The peer was heard by something that cannot be told twice: a message of the handshake.
    pub(crate) fn on_heard(&mut self, way: Way, now: Timestamp) {
        self.add(way, now);
        let Some(trail) = self.trails.iter_mut().find(|trail| trail.way == way) else { return };
        trail.on_heard(now);
        if self.active.is_none() {
            self.use_way(way, now);
        }
    }

    /// An answer to a ping.
    pub(crate) fn on_pong(&mut self, way: Way, id: u64, heard: Heard, now: Timestamp) {
        // Behind some NATs the answer comes by another way than the question went: then it proves neither.
        if let Some(trail) = self.trails.iter_mut().find(|trail| trail.way == way) {
            trail.on_pong(id, heard, now);
        }
    }

    /// The pings that are due. `packets` is how many were sent so far, if all go the way in use.
    pub(crate) fn pings(
        &mut self,
        mood: Mood,
        packets: Option<u64>,
        now: Timestamp,
        chance: &mut Entropy,
    ) -> Vec<(Way, u64)> {
        for trail in &mut self.trails {
            trail.expire(now);
        }
        let state = self.state();
        let mut pings = Vec::new();
        for trail in &mut self.trails {
            let Some(pace) = pace(trail, self.active, state, mood) else { continue };
            for _ in 0..trail.pings_due(pace, now) {
                let id = chance.draw_u64();
                let packets = packets.filter(|_| self.active == Some(trail.way));
                trail.on_pinged(id, packets, now);
                pings.push((trail.way, id));
            }
        }
        pings
    }

    /// Chooses anew. True if what carries has changed.
    pub(crate) fn choose(&mut self, now: Timestamp) -> bool {
        let active = self.trails.iter().find(|trail| Some(trail.way) == self.active);
        let active_cost = active.and_then(Trail::cost);
        // What works at all will do where nothing does; a way that works is left only for a proven one.
        let proven = |trail: &&Trail| active_cost.is_none() || trail.pongs >= PROVEN_PONGS;
        let costs = self.trails.iter().filter(proven).filter_map(|t| Some((t.cost()?, t.way, t)));
        // Ties are broken by the way itself, so that the choice is always the same.
        let best = costs.min_by_key(|(cost, way, _)| (*cost, *way));
        let Some((cost, way, best)) = best else { return false };
        let Some(active_cost) = active_cost else {
            self.use_way(way, now);
            return true;
        };
        let kinder = active.is_some_and(|active| way.kind() < active.way.kind());
        // A kinder way that never failed takes over as soon as it is not dearer: what its kind counts is enough.
        let fresh = kinder && best.failures == 0;
        let percent = if fresh { 100 } else { BETTER_PERCENT };
        let better = cost.saturating_mul(100) <= active_cost.saturating_mul(percent);
        let rested =
            now.since(self.chosen_at) >= HOLD * (best.failures + 1).min(HOLDS_MAX) || fresh;
        let switch = Some(way) != self.active && better && rested;
        if switch {
            self.use_way(way, now);
        }
        switch
    }

    /// The way in use.
    pub(crate) const fn active(&self) -> Option<Way> {
        self.active
    }

    /// The ways that carry under a policy, best first.
    pub(crate) fn carrying(&self, policy: Policy) -> Vec<Way> {
        let Some(active) = self.active else { return Vec::new() };
        let cost = |way: Way| self.trails.iter().find(|trail| trail.way == way)?.cost();
        let most = match (policy, cost(active)) {
            (Policy::ActiveBackup, _) | (Policy::BalanceFlow | Policy::Broadcast, None) => {
                return vec![active];
            }
            // Twice as dear is about as good: a flow more there leaves the other to the rest.
            (Policy::BalanceFlow, Some(cost)) => cost.saturating_mul(2),
            (Policy::Broadcast, Some(_)) => u64::MAX,
        };
        let mut others: Vec<(u64, Way)> = self
            .trails
            .iter()
            .filter(|trail| trail.way != active)
            .filter_map(|trail| Some((trail.cost().filter(|cost| *cost <= most)?, trail.way)))
            .collect();
        others.sort_unstable();
        let others = others.into_iter().map(|(_, way)| way).take(TOGETHER_MAX - 1);
        std::iter::once(active).chain(others).collect()
    }

    /// Where to say what must reach the peer: the way in use, or several if none is known to work, relays first.
    pub(crate) fn to_ask(&self) -> Vec<Way> {
        if let Some(active) = self.active.filter(|_| !self.is_lost()) {
            return vec![active];
        }
        let kinds = [WayKind::Relayed, WayKind::Direct, WayKind::Stream, WayKind::Hop];
        let of = |kind| self.trails.iter().map(|t| t.way).filter(move |way| way.kind() == kind);
        kinds.into_iter().flat_map(of).take(TOGETHER_MAX).collect()
    }

    /// The ways over which a call may reach the peer although no direct one works.
    pub(crate) fn over_relays(&self) -> Vec<Way> {
        let relayed = |trail: &&Trail| trail.way.kind() != WayKind::Direct;
        let ways = |alive: bool| {
            let fits = move |trail: &&Trail| !alive || trail.is_alive();
            let ways = self.trails.iter().filter(relayed).filter(fits);
            ways.map(|trail| trail.way).take(TOGETHER_MAX).collect::<Vec<_>>()
        };
        let alive = ways(true);
        if alive.is_empty() { ways(false) } else { alive }
    }

    /// Whether a direct way works.
    pub(crate) fn is_direct(&self) -> bool {
        self.trails.iter().any(|t| t.way.kind() == WayKind::Direct && t.is_alive())
    }

    /// Whether relayed ways stopped answering: then the relay may have forgotten us.
    pub(crate) fn relays_in_doubt(&self) -> impl Iterator<Item = SocketAddr> {
        self.trails.iter().filter(|trail| !trail.is_alive()).filter_map(|trail| match trail.way {
            Way::Relayed { relay, .. } => Some(relay),
            Way::Direct(_) | Way::Stream { .. } | Way::Hop { .. } => None,
        })
    }

    /// How many are known.
    pub(crate) const fn count(&self) -> usize {
        self.trails.len()
    }

    /// All that are known, for threads that must tell a new one from a known one.
    pub(crate) fn known(&self) -> Vec<Way> {
        self.trails.iter().map(|trail| trail.way).collect()
    }

    /// What is known of them, in the order they were learned.
    pub(crate) fn views(&self) -> Vec<WayView> {
        let view = |trail: &Trail| WayView {
            way: trail.way,
            works: trail.is_alive(),
            in_use: self.active == Some(trail.way),
            round_trip: trail.round_trip(),
            loss_bp: trail.loss_bp(),
            failures: trail.failures,
            bytes_per_second: trail.bytes_per_second(),
        };
        self.trails.iter().map(view).collect()
    }

    /// When [`Ways::pings`] next has something to do.
    pub(crate) fn wake_at(&self, mood: Mood) -> Option<Timestamp> {
        let state = self.state();
        let wake_at = |trail: &Trail| trail.wake_at(pace(trail, self.active, state, mood));
        self.trails.iter().filter_map(wake_at).min()
    }

    fn state(&self) -> State {
        let active = self.trails.iter().find(|trail| Some(trail.way) == self.active);
        match active {
            _ if self.is_lost() => State::Lost,
            Some(active) if active.is_in_doubt() => State::Doubt,
            Some(_) | None => State::Fine,
        }
    }

    fn is_lost(&self) -> bool {
        !self.trails.iter().any(Trail::is_alive)
    }

    fn use_way(&mut self, way: Way, now: Timestamp) {
        if self.active != Some(way) {
            (self.active, self.chosen_at) = (Some(way), now);
            self.switches += 1;
        }
    }
}

/// How the ways are together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The way in use works, or none is in use yet.
    Fine,
    /// The way in use misses an answer.
    Doubt,
    /// No way works.
    Lost,
}

fn pace(trail: &Trail, active: Option<Way>, state: State, mood: Mood) -> Option<Pace> {
    match (mood, active == Some(trail.way), state) {
        (Mood::Asleep, _, _) => None,
        (Mood::Idle | Mood::Busy, _, State::Lost) => Some(Pace::Lost),
        (Mood::Idle, true, State::Fine | State::Doubt) => Some(Pace::Active),
        (Mood::Busy, true, State::Fine | State::Doubt) => Some(Pace::Busy),
        (Mood::Idle | Mood::Busy, false, State::Fine) => {
            // What should take over is measured as well as what it would take over from.
            let kinder = active.is_some_and(|active| trail.way.kind() < active.kind());
            Some(match (kinder && trail.is_alive(), mood) {
                (true, Mood::Busy) => Pace::Busy,
                (true, Mood::Idle | Mood::Asleep) => Pace::Active,
                (false, _) => Pace::Standby,
            })
        }
        (Mood::Idle | Mood::Busy, false, State::Doubt) => Some(Pace::Needed),
    }
}

/// Whether a node may be there at all.
fn is_usable(at: SocketAddr) -> bool {
    let ip_is_usable = match at.ip() {
        IpAddr::V4(v4) => !v4.is_unspecified() && !v4.is_multicast() && !v4.is_broadcast(),
        IpAddr::V6(v6) => !v6.is_unspecified() && !v6.is_multicast(),
    };
    ip_is_usable && at.port() != 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::path::CallSign;

    /// Two relays, as quick as each other, that answer every ping; the first in use hands on so many of a thousand
    /// packets.
    fn switches(handed_on_permille: u64) -> u64 {
        let (mut ways, mut chance) = (Ways::default(), Entropy::new([7; 32]));
        let way = |number: u8| {
            let relay = ([198, 51, 100, number], 3478).into();
            Way::Relayed { relay, far: CallSign([1; 8]) }
        };
        let start = Timestamp::from_millis(1_000_000);
        ways.set_relayed(&[way(1), way(2)].into(), start);
        let (mut sent, mut heard, mut first) = (0, 0, None);
        for round in 0..200 {
            let now = start.after(Duration::from_millis(250) * round);
            let pings = ways.pings(Mood::Busy, Some(sent), now, &mut chance);
            let later = now.after(Duration::from_millis(20));
            for (way, id) in pings {
                let told = Heard { packets: heard, bytes: heard * 1000 };
                ways.on_pong(way, id, told, later);
            }
            ways.choose(later);
            first = first.or(ways.active());
            sent += 1000;
            heard += if ways.active() == first { handed_on_permille } else { 1000 };
        }
        ways.switches - 1
    }

    #[test]
    fn a_way_that_answers_pings_and_loses_data_is_left() {
        assert_eq!(switches(1000), 0);
        assert_eq!(
            switches(985),
            0,
            "a little is lost wherever senders find out what a way carries"
        );
        assert_eq!(switches(700), 1);
    }
}
