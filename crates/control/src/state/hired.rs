//! For how long a machine served somebody else, in each hour that no block has counted yet.
//!
//! A machine may serve several rentals at once: a minute counts once, however many it is served to.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use units::{Hour, Timestamp};

use super::uptime::overlap;

/// When a machine served somebody else.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hired {
    /// Until when it is counted.
    until: Timestamp,
    /// Milliseconds by hour; only hours that may still be counted by a block.
    millis: BTreeMap<Hour, u64>,
}

impl Hired {
    /// It served without a break from `since` to `at`; what is counted of that counts once. Hours before
    /// `first_open` have had their block.
    pub(crate) fn add(&mut self, since: Timestamp, at: Timestamp, first_open: Hour) {
        self.forget_before(first_open);
        let since = since.max(self.until);
        let mut hour = Hour::of(since).max(first_open);
        while hour.start() < at {
            *self.millis.entry(hour).or_default() += overlap(since, at, hour);
            hour = hour.next();
        }
        self.until = self.until.max(at);
    }

    /// Milliseconds it served in an hour that has not had its block, as far as `now`; `since` is since when it serves
    /// now, if it does.
    pub fn millis_in(&self, hour: Hour, since: Option<Timestamp>, now: Timestamp) -> u64 {
        let before = self.millis.get(&hour).copied().unwrap_or_default();
        before + since.map_or(0, |since| overlap(since.max(self.until), now, hour))
    }

    /// Hours before this one have had their block.
    pub(crate) fn forget_before(&mut self, hour: Hour) {
        self.millis = self.millis.split_off(&hour);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use units::MINUTE;

    #[test]
    fn a_minute_served_to_two_counts_once() {
        let hour = Hour::from_number(10);
        let at = |minutes: u32| hour.start().after(MINUTE * minutes);
        let minutes = |hired: &Hired, since, now| hired.millis_in(hour, since, now) / 60_000;
        let mut hired = Hired::default();
        // One from 0 to 10, another from 5 to 7: whoever serves longest tells since when.
        hired.add(at(0), at(7), hour);
        assert_eq!(minutes(&hired, Some(at(0)), at(9)), 9);
        hired.add(at(0), at(10), hour);
        assert_eq!(minutes(&hired, None, at(60)), 10);
        // Told late, and of a time that is counted.
        hired.add(at(5), at(8), hour);
        assert_eq!(minutes(&hired, None, at(60)), 10);
        hired.add(at(50), at(70), hour);
        assert_eq!(minutes(&hired, None, at(80)), 20);
        assert_eq!(hired.millis_in(hour.next(), None, at(80)), 10 * 60_000);
        hired.forget_before(hour.next());
        assert_eq!(minutes(&hired, None, at(80)), 0);
    }
}
