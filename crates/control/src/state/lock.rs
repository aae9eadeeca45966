//! What time-lock says of machines and nodes: whose records hang together, which minutes were up, and which a renter
//! gets back.

use std::collections::BTreeMap;
use std::time::Duration;

use market::HourMeter;
use proofs::lock::Minutes;
use serde::{Deserialize, Serialize};
use units::{Hour, MINUTE, Timestamp};

use crate::record::{Digest, DisturbedRecord, LockRecord};

/// Hours of a node and of a machine that are kept minute by minute: two days, twice what a machine may be without
/// handing over.
///
/// A record that comes later than that is kept and logged, and refunds nothing.
pub const LOCK_HOURS_KEPT: usize = 48;

const MINUTE_MILLIS: u64 = 60_000;

/// The last record of a span.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LockHead {
    /// How many came before it.
    pub part: u32,
    /// Its hash.
    pub hash: Digest,
    /// When it ended.
    pub ended: Timestamp,
    /// Whether its span was over then.
    pub over: bool,
}

/// How a record joins the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Follows {
    /// It names the last one.
    Last,
    /// Records before it were not handed over.
    Gap,
    /// It is not of the chain that was handed over: its machine has lost it, or written another.
    Other,
}

impl Follows {
    /// How it is written.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Last => "last",
            Self::Gap => "gap",
            Self::Other => "other",
        }
    }
}

impl LockHead {
    pub(crate) const fn of(lock: &LockRecord) -> Self {
        Self { part: lock.part, hash: lock.hash, ended: lock.ended, over: lock.over }
    }

    /// How a record joins a chain of which this was the last.
    pub(crate) fn joined(last: Option<&Self>, lock: &LockRecord) -> Follows {
        let next = last.map_or(0, |last| last.part.saturating_add(1));
        let named = last.map_or(Digest::from_sha256([0; 32]), |last| last.hash);
        if lock.part == next && lock.previous == named {
            Follows::Last
        } else if lock.part > next {
            Follows::Gap
        } else {
            Follows::Other
        }
    }
}

/// An hour of a machine, over all its spans.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LockHour {
    /// Minutes that some record touches and none breaks are these without `broken`.
    pub touched: Minutes,
    /// Minutes that some record breaks.
    pub broken: Minutes,
}

impl LockHour {
    /// How many minutes were up.
    pub fn up(&self) -> u8 {
        self.touched.without(self.broken).count()
    }
}

/// What the records of a machine say.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Locks {
    /// The newest hour of which there is a record; before the first, the hour it joined in.
    pub newest: Option<Hour>,
    /// The last record of what is idle.
    pub idle: Option<LockHead>,
    /// The newest hours with records.
    pub hours: BTreeMap<Hour, LockHour>,
}

impl Locks {
    /// Takes a record in. Returns what its hour comes to, if that is still kept.
    pub(crate) fn add(
        &mut self,
        hour: Hour,
        touched: Minutes,
        broken: Minutes,
    ) -> Option<LockHour> {
        self.newest = self.newest.max(Some(hour));
        let of = self.hours.entry(hour).or_default();
        of.touched = of.touched.or(touched);
        of.broken = of.broken.or(broken);
        while self.hours.len() > LOCK_HOURS_KEPT {
            self.hours.pop_first();
        }
        self.hours.get(&hour).copied()
    }

    /// Minutes in which nobody looked, between two records of a span.
    pub(crate) fn unseen(&mut self, from: Timestamp, to: Timestamp) {
        for (hour, minutes) in touched(from, to) {
            if let Some(of) = self.hours.get_mut(&hour) {
                of.broken = of.broken.or(minutes);
            }
        }
    }

    /// For how many whole hours before this one no record has come.
    pub fn missing_before(&self, hour: Hour) -> u32 {
        self.newest.map_or(0, |newest| hour.number().saturating_sub(newest.number() + 1))
    }
}

/// What time-lock says of a node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeLock {
    /// What disturbs it, as its machine says, and since which minute it is not paid for that.
    pub disturbed: Option<DisturbedRecord>,
    /// How long it was disturbed before.
    pub disturbed_for: Duration,
    /// Minutes for which it is paid if nothing is said against them, of its newest hours.
    ran: BTreeMap<Hour, Minutes>,
    /// Minutes that records take from it, of the same hours.
    struck: BTreeMap<Hour, Minutes>,
    /// Minutes that were struck in hours before those.
    struck_before: u32,
    /// What was firm when it was last reckoned: a record that comes later takes nothing of that.
    firm: Duration,
    /// Minutes that were refunded after the rental was settled, by hour.
    late: BTreeMap<Hour, Minutes>,
    /// Minutes that were refunded after the rental was settled, in all.
    pub refunded: u32,
    /// The last record of it.
    pub head: Option<LockHead>,
}

impl NodeLock {
    /// Minutes that records have taken from it.
    pub fn struck(&self) -> u32 {
        let now = self.struck.iter().map(|(hour, struck)| {
            let ran = self.ran.get(hour).copied().unwrap_or_default();
            u32::from(struck.and(ran).count())
        });
        self.struck_before.saturating_add(now.sum())
    }

    /// What it is paid for of so much that it has served.
    pub(crate) fn counts(&self, served: Duration) -> Duration {
        served.saturating_sub(MINUTE * self.struck()).max(self.firm)
    }

    /// As [`NodeLock::counts`], and from now on that is firm.
    pub(crate) fn settle(&mut self, served: Duration) -> Duration {
        self.firm = self.counts(served);
        self.firm
    }

    /// Whole minutes that were struck too late to be left out.
    pub(crate) fn owed(&self, served: Duration) -> u32 {
        let less = served.saturating_sub(MINUTE * self.struck());
        let owed = self.firm.saturating_sub(less).as_secs() / MINUTE.as_secs();
        u32::try_from(owed).unwrap_or(u32::MAX)
    }

    /// It stops serving at `at`; `broken` from its hour's beginning on nothing counts.
    pub(crate) fn stopped(&mut self, meter: &HourMeter, at: Timestamp, broken: bool) {
        let Some(since) = meter.counts_since() else { return };
        let void = meter.breaks_from(at).filter(|_| broken);
        let until = at.max(meter.told());
        let until = void.map_or(until, |void| void.min(until));
        self.note_ran(since, until);
        // It may have been noted to run on, until this was told.
        let last = self.ran.last_key_value().map_or(until, |(hour, _)| hour.end());
        for (hour, minutes) in touched(until, last) {
            if let Some(ran) = self.ran.get_mut(&hour) {
                *ran = ran.without(minutes);
            }
        }
    }

    /// Notes the minutes that lie whole within a time.
    pub(crate) fn note_ran(&mut self, from: Timestamp, to: Timestamp) {
        let (from, to) = (minute_after(from), minute_of(to));
        // What is older than what is kept is not worth a walk.
        let kept = Duration::from_secs(3_600) * u32::try_from(LOCK_HOURS_KEPT).unwrap_or(0);
        let oldest = Timestamp::from_millis(to.millis().saturating_sub(millis(kept)));
        for (hour, minutes) in touched(from.max(oldest), to) {
            let ran = self.ran.entry(hour).or_default();
            *ran = ran.or(minutes);
        }
        while self.ran.len() > LOCK_HOURS_KEPT {
            let Some((hour, ran)) = self.ran.pop_first() else { break };
            let struck = self.struck.remove(&hour).unwrap_or_default();
            self.struck_before += u32::from(struck.and(ran).count());
        }
    }

    /// Whether an hour is so long ago that nothing is known of what was paid for in it.
    pub(crate) fn has_forgotten(&self, hour: Hour) -> bool {
        let oldest = self.ran.first_key_value().map(|(oldest, _)| *oldest);
        self.ran.len() >= LOCK_HOURS_KEPT && oldest.is_some_and(|oldest| hour < oldest)
    }

    /// A record says that these minutes are to be given back; whoever pays is not settled with yet.
    pub(crate) fn strike(&mut self, hour: Hour, minutes: Minutes) {
        let struck = self.struck.entry(hour).or_default();
        *struck = struck.or(minutes);
        while self.struck.len() > LOCK_HOURS_KEPT {
            self.struck.pop_first();
        }
    }

    /// As [`NodeLock::strike`], after it was settled: how many more of those it was paid for are to be given back.
    pub(crate) fn strike_late(&mut self, hour: Hour, minutes: Minutes) -> u32 {
        let paid = self.ran.get(&hour).copied().unwrap_or_default();
        let struck = self.struck.get(&hour).copied().unwrap_or_default();
        let late = self.late.entry(hour).or_default();
        let more = minutes.and(paid).without(struck).without(*late);
        *late = late.or(more);
        if more == Minutes::NONE && *late == Minutes::NONE {
            self.late.remove(&hour);
        }
        u32::from(more.count())
    }

    /// It is undisturbed from `at` on, or serves no longer.
    pub(crate) fn calm(&mut self, at: Timestamp) {
        if let Some(was) = self.disturbed.take() {
            self.disturbed_for = self.disturbed_for.saturating_add(at.since(was.since));
        }
    }
}

/// The minute that a moment lies in.
pub(crate) fn minute_of(at: Timestamp) -> Timestamp {
    Timestamp::from_millis(at.millis() - at.millis() % MINUTE_MILLIS)
}

/// The first minute that begins at a moment or after it.
pub(crate) fn minute_after(at: Timestamp) -> Timestamp {
    let of = minute_of(at);
    if of == at { at } else { of.after(MINUTE) }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

/// The minutes that a time touches, by hour.
fn touched(from: Timestamp, to: Timestamp) -> Vec<(Hour, Minutes)> {
    let mut all = Vec::new();
    let mut hour = Hour::of(from);
    while from < to && hour.start() < to {
        let (begins, ends) = (from.max(hour.start()), to.min(hour.end()));
        let into = |at: Timestamp| at.millis().saturating_sub(hour.start().millis());
        let first = u8::try_from(into(begins) / MINUTE_MILLIS).unwrap_or(60);
        let last = u8::try_from(into(ends).div_ceil(MINUTE_MILLIS)).unwrap_or(60);
        all.push((hour, Minutes::between(first, last)));
        hour = hour.next();
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use market::WorkedRules;
    use units::HOUR;

    fn at(minutes: u32, seconds: u32) -> Timestamp {
        let start = Hour::from_number(100).start();
        start.after(MINUTE * minutes + Duration::from_secs(seconds.into()))
    }

    #[test]
    fn minutes_of_a_time_are_those_it_touches() {
        assert_eq!(touched(at(5, 0), at(5, 0)), []);
        let of = |from, to| touched(from, to).into_iter().map(|(_, it)| it.count()).collect();
        let check = |from, to, counts: &[u8]| {
            let found: Vec<u8> = of(from, to);
            assert_eq!(found, counts);
        };
        check(at(5, 30), at(7, 1), &[3]);
        check(at(59, 59), at(61, 0), &[1, 1]);
        check(at(0, 0), at(120, 0), &[60, 60]);
        assert_eq!((minute_after(at(5, 1)), minute_of(at(5, 59))), (at(6, 0), at(5, 0)));
        assert_eq!(minute_after(at(5, 0)), at(5, 0));
    }

    #[test]
    fn only_minutes_that_are_paid_for_are_given_back_and_each_once() {
        let (hour, mut lock) = (Hour::from_number(100), NodeLock::default());
        let mut meter = HourMeter::new(&WorkedRules::default());
        meter.start(at(0, 30));
        lock.stopped(&meter, at(20, 30), false);
        meter.disturbed(at(20, 30));
        lock.strike(hour, Minutes::between(0, 5));
        assert_eq!(lock.struck(), 4, "the first minute was not whole");
        assert_eq!(lock.counts(meter.served()), MINUTE * 16);
        lock.strike(hour, Minutes::between(3, 6));
        assert_eq!(lock.struck(), 5);
        lock.strike(hour, Minutes::between(30, 40));
        assert_eq!(lock.struck(), 5, "it did not serve then");
        assert_eq!(lock.strike_late(hour, Minutes::between(4, 10)), 4);
        assert_eq!(lock.strike_late(hour, Minutes::between(4, 11)), 1);
    }

    #[test]
    fn what_a_broken_hour_takes_is_not_taken_twice() {
        let (hour, mut lock) = (Hour::from_number(100), NodeLock::default());
        let mut meter = HourMeter::new(&WorkedRules::default());
        meter.start(at(0, 0));
        lock.stopped(&meter, at(10, 0), false);
        meter.stop_by_renter(at(10, 0));
        lock.strike(hour, Minutes::between(0, 5));
        assert_eq!(lock.struck(), 5);
        meter.start(at(20, 0));
        lock.stopped(&meter, at(30, 0), true);
        meter.broken(at(30, 0));
        assert_eq!((lock.struck(), lock.counts(meter.served())), (0, Duration::ZERO));
        meter.start(at(40, 0));
        lock.stopped(&meter, at(70, 0), false);
        meter.stop_by_renter(at(70, 0));
        lock.strike(hour, Minutes::ALL);
        lock.strike(hour.next(), Minutes::between(0, 2));
        assert_eq!(lock.counts(meter.served()), MINUTE * 8);
    }

    #[test]
    fn minutes_after_it_was_last_heard_are_not_noted() {
        let (hour, mut lock) = (Hour::from_number(100), NodeLock::default());
        let mut meter = HourMeter::new(&WorkedRules::default());
        meter.start(at(0, 0));
        lock.note_ran(at(0, 0), at(20, 0));
        lock.stopped(&meter, at(10, 30), false);
        meter.disturbed(at(10, 30));
        lock.strike(hour, Minutes::ALL);
        assert_eq!(lock.struck(), 10);
    }

    #[test]
    fn what_is_firm_stays_and_is_owed() {
        let (hour, mut lock) = (Hour::from_number(100), NodeLock::default());
        lock.note_ran(at(0, 0), at(60, 0));
        assert_eq!(lock.settle(HOUR), HOUR);
        lock.strike(hour, Minutes::between(0, 7));
        assert_eq!((lock.counts(HOUR), lock.owed(HOUR)), (HOUR, 7));
        assert_eq!(lock.counts(HOUR * 2), HOUR * 2 - MINUTE * 7);
        assert_eq!(lock.owed(HOUR * 2), 0, "what it earns later pays for it");
    }

    #[test]
    fn years_are_kept_in_little_room() {
        let mut lock = NodeLock::default();
        lock.strike(Hour::from_number(100), Minutes::between(0, 3));
        lock.note_ran(at(0, 0), at(60, 0));
        lock.note_ran(at(60, 0), Hour::from_number(100_000).start());
        assert_eq!((lock.ran.len(), lock.struck()), (LOCK_HOURS_KEPT, 3));
        let mut locks = Locks::default();
        for number in 0..500 {
            locks.add(Hour::from_number(number), Minutes::ALL, Minutes::NONE.with(3));
        }
        assert_eq!((locks.hours.len(), locks.missing_before(Hour::from_number(503))), (48, 3));
        assert_eq!(locks.hours[&Hour::from_number(499)].up(), 59);
        assert_eq!(locks.add(Hour::from_number(3), Minutes::ALL, Minutes::NONE), None);
    }
}
