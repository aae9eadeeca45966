//! What was stopped: counted, and told once in a while.

use std::collections::BTreeMap;
use std::time::Duration;

use units::Timestamp;

use super::flow::{Count, Key};
use super::report::{FlowReport, Why};
use crate::guard::{Crossing, Direction};
use crate::key::PublicKey;

/// How often the same attempt is reported.
pub const STOPPED_EVERY: Duration = Duration::from_secs(60);
/// Attempts that are told apart at a time, in each part of a warden. More of them are counted together.
pub const STOPPED_MAX: usize = 512;

/// What tells attempts apart: not the port of who begins, which is another at every try.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Attempt {
    peer: PublicKey,
    heading: Direction,
    key: Key,
    why: Why,
}

#[derive(Clone, Copy, Debug)]
struct Told {
    since: Timestamp,
    last: Timestamp,
    count: Count,
    parts: u32,
    due: Timestamp,
}

/// Attempts that were stopped lately.
#[derive(Debug, Default)]
pub(super) struct Stopped {
    attempts: BTreeMap<Attempt, Told>,
    /// What did not fit.
    pub(super) unlisted: Count,
}

impl Stopped {
    pub(super) fn count(
        &mut self,
        key: &Key,
        crossing: &Crossing<'_>,
        why: Why,
        (packets, bytes): (u64, u64),
    ) {
        let heading = crossing.direction;
        let key = match heading {
            Direction::Out => Key { local_port: 0, ..*key },
            Direction::In => Key { remote_port: 0, ..*key },
        };
        let attempt = Attempt { peer: *crossing.peer, heading, key, why };
        let now = crossing.now;
        let is_full = self.attempts.len() >= STOPPED_MAX;
        match self.attempts.get_mut(&attempt) {
            Some(told) => {
                if told.count == Count::default() {
                    told.since = now;
                }
                told.count.add(packets, bytes);
                told.last = told.last.max(now);
            }
            None if is_full => self.unlisted.add(packets, bytes),
            None => {
                let count = Count { packets, bytes };
                self.attempts
                    .insert(attempt, Told { since: now, last: now, count, parts: 0, due: now });
            }
        }
    }

    /// Reports what is due, and forgets what has ceased.
    pub(super) fn report(&mut self, version: u64, now: Timestamp, to: &mut Vec<FlowReport>) {
        self.attempts.retain(|attempt, told| {
            if told.due > now {
                return true;
            }
            if told.count == Count::default() {
                return false;
            }
            to.push(report(attempt, told, version));
            told.count = Count::default();
            told.parts = told.parts.saturating_add(1);
            told.due = now.after(STOPPED_EVERY);
            true
        });
    }
}

fn report(attempt: &Attempt, told: &Told, version: u64) -> FlowReport {
    let (sent, received) = match attempt.heading {
        Direction::Out => (told.count, Count::default()),
        Direction::In => (Count::default(), told.count),
    };
    FlowReport {
        start: told.since,
        end: told.last,
        peer: attempt.peer,
        began: attempt.heading,
        local: attempt.key.local,
        remote: attempt.key.remote,
        protocol: attempt.key.protocol,
        local_port: attempt.key.local_port,
        remote_port: attempt.key.remote_port,
        sent,
        received,
        allowed: None,
        version,
        part: told.parts,
        why: attempt.why,
    }
}
