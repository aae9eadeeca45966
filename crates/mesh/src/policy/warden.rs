//! What stands guard at a node: lets pass what its policy allows and what belongs to that, and keeps count.
//!
//! # Invariants
//! - A packet passes if its connection was allowed by the version of the policy that holds now, and not otherwise; when
//!   that version ends and no later one came, nothing passes.
//! - A connection is one peer's. What is about a connection passes only with what is kept of it.
//! - What answers passes only as long as somebody on this side, or allowed on the other, has begun.
//! - Every byte that passed is in exactly one report, or counted as unlisted; so is every packet that was stopped.
//! - Memory is bounded, whatever comes: 64 Ki connections, 4 Ki attempts, and as many reports between two collections.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use units::Timestamp;

use super::flow::{Count, Key, Manner, Track, asks_for_connection};
use super::report::{FlowReport, Why};
use super::stopped::Stopped;
use super::store::{Kept, Store, shard};
use super::tables::{Allowed, Tables};
use crate::guard::{Crossing, Direction, Guard};

/// Parts that are locked by themselves; connections between two addresses are in one. A power of two.
const PARTS: usize = 8;
/// Reports that are kept until they are collected, in each part.
const REPORTS_MAX: usize = 8 * 1024;
/// How often a connection that goes on is reported.
pub const REPORT_EVERY: Duration = Duration::from_secs(600);

/// A node's policy and its connections.
#[derive(Debug)]
pub struct Warden {
    seed: [u64; 2],
    parts: [Mutex<Part>; PARTS],
}

/// What a warden has counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WardenCounts {
    /// Connections that are kept.
    pub connections: usize,
    /// Packets that were stopped.
    pub stopped: u64,
    /// Packets that were stopped and are in no report: there were too many different ones.
    pub stopped_unlisted: u64,
    /// What passed and is in no report: its connection was ended by another thread while it did.
    pub carried_unlisted: Count,
    /// Reports that were lost: they were not collected in time.
    pub reports_lost: u64,
}

#[derive(Debug)]
struct Part {
    tables: Arc<Tables>,
    store: Store,
    stopped: Stopped,
    stopped_packets: u64,
    carried_unlisted: Count,
    reports: Vec<FlowReport>,
    reports_lost: u64,
}

impl Warden {
    /// A warden that lets nothing pass. The seed must be unknown to others: it keeps them from choosing where their
    /// connections are kept.
    pub fn new(seed: [u64; 2]) -> Self {
        let tables = Arc::new(Tables::nothing());
        let part = |_| Part {
            tables: Arc::clone(&tables),
            store: Store::new(seed),
            stopped: Stopped::default(),
            stopped_packets: 0,
            carried_unlisted: Count::default(),
            reports: Vec::new(),
            reports_lost: 0,
        };
        Self { seed, parts: std::array::from_fn(|index| Mutex::new(part(index))) }
    }

    /// Goes by these tables from here on, unless those that hold are of a later version: then nothing changes, and
    /// it says false. Connections that they do not allow end at once.
    pub fn set_tables(&self, tables: &Arc<Tables>) -> bool {
        let mut taken = true;
        for part in &self.parts {
            let mut part = lock(part);
            // Of two callers at once, the later version is in all parts in the end.
            let is_older = tables.version() < part.tables.version();
            match is_older {
                true => taken = false,
                false => part.set_tables(tables),
            }
        }
        taken
    }

    /// Ends what was silent for too long, and hands out what there is to report. To be called every second or so.
    pub fn collect(&self, now: Timestamp) -> Vec<FlowReport> {
        let mut reports = Vec::new();
        for part in &self.parts {
            lock(part).collect(now, &mut reports);
        }
        reports
    }

    /// Ends all connections, and hands out what there is to report: before the node stops.
    pub fn finish(&self, now: Timestamp) -> Vec<FlowReport> {
        let mut reports = self.collect(now);
        for part in &self.parts {
            lock(part).store.retain(|track| {
                reports.push(FlowReport::of(track, ending(track)));
                false
            });
        }
        reports
    }

    /// What it has counted so far.
    pub fn counts(&self) -> WardenCounts {
        let mut counts = WardenCounts::default();
        for part in &self.parts {
            let part = lock(part);
            counts.connections += part.store.count();
            counts.stopped += part.stopped_packets;
            counts.carried_unlisted.add(part.carried_unlisted.packets, part.carried_unlisted.bytes);
            counts.stopped_unlisted += part.stopped.unlisted.packets;
            counts.reports_lost += part.reports_lost;
        }
        counts
    }

    #[inline]
    fn part(&self, key: &Key) -> MutexGuard<'_, Part> {
        lock(&self.parts[shard(self.seed, key.local, key.remote, PARTS)])
    }
}

/// A part that a panic left behind is still whole: nothing is changed in steps that could come apart.
#[inline]
fn lock(part: &Mutex<Part>) -> MutexGuard<'_, Part> {
    part.lock().unwrap_or_else(PoisonError::into_inner)
}

fn ending(track: &Track) -> Why {
    if track.is_closed() { Why::Closed } else { Why::Idle }
}

impl Guard for Warden {
    #[inline]
    fn lets_pass(&self, crossing: &Crossing<'_>) -> bool {
        let (key, manner) = Key::of(crossing);
        let mut part = self.part(&key);
        let Err(why) = part.admit(key, manner, crossing) else { return true };
        if crossing.direction == Direction::Out {
            part.stop(&key, crossing, why, (1, 0));
        }
        false
    }

    #[inline]
    fn on_carried(&self, crossing: &Crossing<'_>, packets: u64, bytes: u64) {
        let (key, _) = Key::of(crossing);
        let mut part = self.part(&key);
        match (part.store.find(&key), crossing.direction) {
            (Some(track), Direction::Out) => track.sent.add(packets, bytes),
            (Some(track), Direction::In) => track.received.add(packets, bytes),
            (None, _) => part.carried_unlisted.add(packets, bytes),
        }
    }

    fn is_bare(&self, crossing: &Crossing<'_>) -> bool {
        let (key, _) = Key::of(crossing);
        let mut part = self.part(&key);
        let grant = part.store.find(&key).map(|track| track.allowed.grant);
        grant.is_some_and(|grant| part.tables.is_bare(grant))
    }

    fn on_stopped(&self, crossing: &Crossing<'_>, packets: u64, bytes: u64) {
        let (key, _) = Key::of(crossing);
        self.part(&key).stop(&key, crossing, Why::Stopped, (packets, bytes));
    }
}

impl Part {
    #[inline]
    fn admit(&mut self, key: Key, manner: Manner, crossing: &Crossing<'_>) -> Result<(), Why> {
        self.expire(crossing.now);
        if let Manner::Follows(_) | Manner::IsAbout = manner {
            return self.follow(key, manner, crossing);
        }
        if let Some(track) = self.store.find(&key) {
            let asks = asks_for_connection(crossing.tcp_flags);
            // Another node's, if the address is since: what was allowed to the one says nothing about the other.
            let is_theirs = track.peer == *crossing.peer;
            let is_over =
                !is_theirs || track.holds_until() <= crossing.now || (asks && track.is_closed());
            let is_turned = asks && crossing.direction != track.began;
            if !is_over && !is_turned {
                track.on_packet(crossing);
                return Ok(());
            }
            if !is_over {
                return self.turn(&key, crossing);
            }
            self.end(&key);
        }
        if manner == Manner::Answers {
            return Err(Why::Stopped);
        }
        let allowed = self.tables.judge(&key.question(crossing.direction)).ok_or(Why::Stopped)?;
        self.keep(Track::new(key, crossing, allowed, self.tables.version()), crossing)
    }

    /// The end that was connected to wants to connect between the same ports: that is a question of its own.
    fn turn(&mut self, key: &Key, crossing: &Crossing<'_>) -> Result<(), Why> {
        self.tables.judge(&key.question(crossing.direction)).ok_or(Why::Stopped)?;
        if let Some(track) = self.store.find(key) {
            track.on_packet(crossing);
        }
        Ok(())
    }

    /// What goes with connections is counted by itself.
    fn follow(&mut self, key: Key, manner: Manner, crossing: &Crossing<'_>) -> Result<(), Why> {
        let allowed = match manner {
            Manner::Follows(protocol) => self.store.any_between(&key, crossing.peer, protocol),
            Manner::IsAbout => self.allowed_quoted(&key, crossing),
            Manner::Begins | Manner::Answers => None,
        };
        let allowed = allowed.ok_or(Why::Stopped)?;
        match self.store.find(&key) {
            Some(track) if track.peer == *crossing.peer => {
                track.on_packet(crossing);
                return Ok(());
            }
            Some(_) => self.end(&key),
            None => {}
        }
        self.keep(Track::new(key, crossing, allowed, self.tables.version()), crossing)
    }

    /// What allows the connection that an error is about: one between the same two that is kept and not over.
    fn allowed_quoted(&mut self, key: &Key, crossing: &Crossing<'_>) -> Option<Allowed> {
        let about = Key::of_quoted(crossing)?;
        let is_between = (about.local, about.remote) == (key.local, key.remote);
        let track = self.store.find(&about).filter(|_| is_between)?;
        let is_theirs = track.peer == *crossing.peer && track.holds_until() > crossing.now;
        is_theirs.then_some(track.allowed)
    }

    /// Goes by no rule from the moment on at which the tables end.
    #[inline]
    fn expire(&mut self, now: Timestamp) {
        if self.tables.expires().is_some_and(|expires| expires <= now) {
            self.set_tables(&Arc::new(Tables::nothing().of_version(self.tables.version())));
        }
    }

    fn keep(&mut self, mut track: Track, crossing: &Crossing<'_>) -> Result<(), Why> {
        track.on_packet(crossing);
        match self.store.insert(track, crossing.now) {
            Kept::Free => Ok(()),
            Kept::InsteadOf(old) => {
                self.report(FlowReport::of(&old, Why::Displaced));
                Ok(())
            }
            Kept::No => Err(Why::TooMany),
        }
    }

    fn end(&mut self, key: &Key) {
        if let Some(track) = self.store.remove(key) {
            self.report(FlowReport::of(&track, ending(&track)));
        }
    }

    /// Goes by other tables: connections that they do not allow are over.
    fn set_tables(&mut self, tables: &Arc<Tables>) {
        self.tables = Arc::clone(tables);
        let mut revoked = Vec::new();
        self.store.judge_again(|track| {
            let Some(allowed) = tables.judge(&track.key.question(track.began)) else {
                revoked.push(FlowReport::of(track, Why::Revoked));
                return false;
            };
            (track.allowed, track.version) = (allowed, tables.version());
            true
        });
        revoked.into_iter().for_each(|report| self.report(report));
    }

    fn report(&mut self, report: FlowReport) {
        if self.reports.len() < REPORTS_MAX {
            self.reports.push(report);
        } else {
            self.reports_lost += 1;
        }
    }

    fn stop(&mut self, key: &Key, crossing: &Crossing<'_>, why: Why, counted: (u64, u64)) {
        self.stopped_packets += counted.0;
        self.stopped.count(key, crossing, why, counted);
    }

    fn collect(&mut self, now: Timestamp, to: &mut Vec<FlowReport>) {
        self.expire(now);
        to.append(&mut self.reports);
        self.store.retain(|track| {
            if track.holds_until() <= now {
                to.push(FlowReport::of(track, ending(track)));
                return false;
            }
            if track.since.after(REPORT_EVERY) <= now
                && track.sent.packets + track.received.packets > 0
            {
                to.push(FlowReport::of(track, Why::Continues));
                (track.since, track.part) = (now, track.part.saturating_add(1));
                (track.sent, track.received) = (Count::default(), Count::default());
            }
            true
        });
        self.stopped.report(self.tables.version(), now, to);
    }
}
