//! How long a machine was up: without a break, and in each hour that no block has counted yet.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use units::{Hour, Timestamp};

/// Milliseconds of a minute.
pub(crate) const MINUTE_MILLIS: u64 = 60_000;

/// When a machine spoke.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Uptime {
    /// Since when it has spoken without a break, if it speaks now.
    since: Option<Timestamp>,
    /// Milliseconds it spoke before that, by hour; only hours that may still be counted.
    before: BTreeMap<Hour, u64>,
}

impl Uptime {
    /// It speaks from `now` on.
    pub(crate) fn start(&mut self, now: Timestamp) {
        self.since.get_or_insert(now);
    }

    /// It was last heard at `heard`. Hours before `first_open` are counted already.
    pub(crate) fn stop(&mut self, heard: Timestamp, first_open: Hour) {
        self.forget_before(first_open);
        let Some(since) = self.since.take() else { return };
        let mut hour = Hour::of(since).max(first_open);
        while hour.start() < heard {
            let millis = overlap(since, heard, hour);
            *self.before.entry(hour).or_default() += millis;
            hour = hour.next();
        }
    }

    /// Since when it has spoken without a break.
    pub const fn since(&self) -> Option<Timestamp> {
        self.since
    }

    /// Milliseconds it spoke in an hour that is not counted yet, as far as `now`.
    pub fn millis_in(&self, hour: Hour, now: Timestamp) -> u64 {
        let before = self.before.get(&hour).copied().unwrap_or_default();
        before + self.since.map_or(0, |since| overlap(since, now, hour))
    }

    /// Hours before this one are counted.
    pub(crate) fn forget_before(&mut self, hour: Hour) {
        self.before = self.before.split_off(&hour);
    }
}

/// Milliseconds of an hour between two moments.
pub(super) fn overlap(from: Timestamp, until: Timestamp, hour: Hour) -> u64 {
    let (from, until) = (from.max(hour.start()), until.min(hour.end()));
    until.millis().saturating_sub(from.millis())
}

#[cfg(test)]
mod tests {
    use super::*;
    use units::MINUTE;

    #[test]
    fn minutes_are_counted_by_the_hour_they_lie_in() {
        let (first, second) = (Hour::from_number(10), Hour::from_number(11));
        let at = |minutes: u32| first.start().after(MINUTE * minutes);
        let minutes = |uptime: &Uptime, hour, now| uptime.millis_in(hour, now) / 60_000;
        let mut uptime = Uptime::default();
        uptime.start(at(10));
        uptime.start(at(20));
        assert_eq!(minutes(&uptime, first, at(40)), 30);
        uptime.stop(at(50), first);
        assert_eq!(uptime.since(), None);
        uptime.start(at(55));
        assert_eq!(uptime.since(), Some(at(55)));
        uptime.stop(at(70), first);
        assert_eq!((minutes(&uptime, first, at(80)), minutes(&uptime, second, at(80))), (45, 10));
        uptime.forget_before(second);
        assert_eq!((minutes(&uptime, first, at(80)), minutes(&uptime, second, at(80))), (0, 10));
    }

    #[test]
    fn a_long_life_is_kept_in_little_room() {
        let mut uptime = Uptime::default();
        uptime.start(Hour::from_number(0).start());
        uptime.stop(Hour::from_number(100_000).start().after(MINUTE), Hour::from_number(99_999));
        assert_eq!(uptime.before.len(), 2);
    }
}
