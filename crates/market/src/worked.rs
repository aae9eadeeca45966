//! What a node has worked: which of its time counts, and the records that pay for it day by day.
//!
//! A supplier is not paid for an hour it broke. The hours are those of the node: the first begins when it first came
//! up. Each record covers what has become certain since the last, and the last one what is left to the receipt, so
//! the records of a node add up to its line of the receipt.
//!
//! # Invariants
//! - What is firm never shrinks, and is never more than the total at the end.
//! - A node's records follow on each other without a gap, and their amounts sum to its receipt's, to the unit.
//!
//! Absent on purpose: when a silent node is given up.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use units::{Credits, HOUR, MINUTE, Timestamp};
use utoipa::ToSchema;

use crate::receipt::Line;
use crate::terms::{Terms, TooMuch};

/// Units of a supplier's pay that wait for the last record: two fees, each rounded down, may grow by a unit each where
/// the charge grows by one.
const KEPT_BACK: u64 = 1;

/// How worked time counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WorkedRules {
    /// How long a record covers at most, in hours (io.net: 24, or until the end, whichever comes first).
    pub record_every_hours: u32,
    /// Whether the whole hour counts for nothing in which a supplier breaks (io.net: yes).
    pub void_broken_hour: bool,
}

impl Default for WorkedRules {
    fn default() -> Self {
        Self { record_every_hours: 24, void_broken_hour: true }
    }
}

/// Rules of worked time that make no sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("record_every_hours must be from 1 to 8760, the longest booking")]
pub struct WorkedFault;

impl WorkedRules {
    /// Whether the rules make sense.
    ///
    /// # Errors
    /// [`WorkedFault`] when they do not.
    pub const fn check(&self) -> Result<(), WorkedFault> {
        if self.record_every_hours >= 1 && self.record_every_hours <= crate::BOOKED_HOURS_MAX {
            Ok(())
        } else {
            Err(WorkedFault)
        }
    }

    /// The spans that the records of a rental cover which ran from `since` until `until`: at least one.
    pub fn spans(
        &self,
        since: Timestamp,
        until: Timestamp,
    ) -> impl Iterator<Item = (Timestamp, Timestamp)> {
        let every = HOUR * self.record_every_hours.max(1);
        let ends = move |from: Timestamp| from.after(every).min(until.max(from));
        let first = Some((since, ends(since)));
        std::iter::successors(first, move |(_, from)| (*from < until).then(|| (*from, ends(*from))))
    }
}

/// A clock that runs while a node serves, and takes back the hour in which its supplier broke.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HourMeter {
    /// When it first served: the hours are counted from here.
    first: Option<Timestamp>,
    /// Since when it serves, if it does.
    since: Option<Timestamp>,
    /// The last moment it served: nothing before it counts again.
    told: Timestamp,
    /// Served in the hours before the present one, as far as it counts.
    settled: Duration,
    /// The present hour, by number: that of the last thing that happened.
    hour: u64,
    /// Served in the present hour until `told`.
    in_hour: Duration,
    /// Whether the present hour counts for nothing.
    void: bool,
    /// Whether a broken hour counts for nothing: frozen when the rental began.
    void_broken_hour: bool,
}

impl HourMeter {
    /// A clock that has not run, under these rules for as long as it is used.
    pub const fn new(rules: &WorkedRules) -> Self {
        Self {
            first: None,
            since: None,
            told: Timestamp::from_millis(0),
            settled: Duration::ZERO,
            hour: 0,
            in_hour: Duration::ZERO,
            void: false,
            void_broken_hour: rules.void_broken_hour,
        }
    }

    /// It serves from now on.
    pub fn start(&mut self, now: Timestamp) {
        if self.since.is_none() {
            let now = now.max(self.told);
            self.first.get_or_insert(now);
            self.turn_to(self.hour_of(now));
            self.since = Some(now);
        }
    }

    /// It served until `at`, and that it stopped is not the supplier's doing. Time told out of order counts as none.
    pub fn stop_by_renter(&mut self, at: Timestamp) {
        self.run_to(at);
        self.since = None;
    }

    /// It served until `at`, the last moment it was known to, and then its supplier broke. The hour that `at` lies in
    /// counts for nothing: neither what was served of it, nor what will be.
    ///
    /// Nothing happens to a node that does not serve.
    pub fn broken(&mut self, at: Timestamp) {
        if self.runs() {
            self.run_to(at);
            self.since = None;
            self.void |= self.void_broken_hour;
        }
    }

    /// Whether it serves.
    pub const fn runs(&self) -> bool {
        self.since.is_some()
    }

    /// How much of what it has served by `now` counts, if nothing breaks.
    pub fn total(&self, now: Timestamp) -> Duration {
        let mut then = *self;
        then.run_to(now);
        then.settled.saturating_add(then.counted())
    }

    /// How much of what it has served by `known` counts whatever happens: the hours that are over. `known` is the last
    /// moment it was known to serve; a later one would make an hour firm that may yet turn out broken.
    pub fn firm(&self, known: Timestamp) -> Duration {
        if !self.void_broken_hour {
            return self.total(known);
        }
        let mut then = *self;
        then.run_to(known);
        then.turn_to(then.hour_of(known));
        then.settled
    }

    /// What counts of the present hour.
    const fn counted(&self) -> Duration {
        if self.void { Duration::ZERO } else { self.in_hour }
    }

    /// The hour that a moment lies in, never one before the present.
    fn hour_of(&self, moment: Timestamp) -> u64 {
        let first = self.first.unwrap_or(moment);
        (moment.since(first).as_secs() / HOUR.as_secs()).max(self.hour)
    }

    /// When the present hour begins.
    fn begins(&self) -> Timestamp {
        let first = self.first.unwrap_or_default();
        first.after(Duration::from_secs(self.hour.saturating_mul(HOUR.as_secs())))
    }

    /// A later hour is the present one.
    fn turn_to(&mut self, hour: u64) {
        if hour > self.hour {
            self.settled = self.settled.saturating_add(self.counted());
            self.in_hour = Duration::ZERO;
            self.void = false;
            self.hour = hour;
        }
    }

    /// It has served until `at`, if it serves.
    fn run_to(&mut self, at: Timestamp) {
        let Some(since) = self.since.filter(|since| *since < at) else { return };
        let hour = self.hour_of(at);
        if hour > self.hour {
            let rest = self.begins().after(HOUR).since(since);
            self.in_hour = self.in_hour.saturating_add(rest);
            self.turn_to(hour);
            let whole = at.since(since).saturating_sub(rest);
            self.in_hour = at.since(self.begins());
            self.settled = self.settled.saturating_add(whole.saturating_sub(self.in_hour));
        } else {
            self.in_hour = self.in_hour.saturating_add(at.since(since));
        }
        (self.since, self.told) = (Some(at), at);
    }
}

/// One record of worked time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Worked {
    /// Where it begins: where the last one ended.
    #[schema(value_type = u64)]
    pub from: Timestamp,
    /// Where it ends.
    #[schema(value_type = u64)]
    pub until: Timestamp,
    /// The minutes it pays for: those that became firm in it.
    pub minutes: u64,
    /// What they cost.
    pub amount: Credits,
    /// What the supplier gets of it. The last unit comes with the last record.
    pub payout: Credits,
}

/// A receipt that comes to less than was already recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("records of {recorded} USD are more than the receipt's {receipt} USD")]
pub struct Overdrawn {
    /// What the records came to.
    pub recorded: Credits,
    /// What the receipt comes to.
    pub receipt: Credits,
}

/// How far the records of one node go, and what they come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recorded {
    /// Until when.
    pub until: Timestamp,
    /// Minutes.
    pub minutes: u64,
    /// What they cost.
    pub amount: Credits,
    /// What the supplier got of it.
    pub payout: Credits,
}

impl Recorded {
    /// Nothing of a rental that began then.
    pub const fn new(since: Timestamp) -> Self {
        Self { until: since, minutes: 0, amount: Credits::ZERO, payout: Credits::ZERO }
    }

    /// When the next record is due, unless the rental ends before.
    pub fn due_at(&self, rules: &WorkedRules) -> Timestamp {
        self.until.after(HOUR * rules.record_every_hours)
    }

    /// Records until `until` a node that has served `firm` for certain, at this price of its hour.
    ///
    /// # Errors
    /// [`TooMuch`] when it cannot be written down; terms that were quoted can.
    pub fn record(
        &mut self,
        until: Timestamp,
        firm: Duration,
        node_hour: Credits,
        terms: &Terms,
    ) -> Result<Worked, TooMuch> {
        let firm = firm.as_secs() / MINUTE.as_secs();
        let minutes = firm.min(u64::from(terms.hours) * 60).max(self.minutes);
        let span = Duration::from_secs(minutes * MINUTE.as_secs());
        let amount = node_hour.for_span_floor(span).ok_or(TooMuch)?;
        let fees = [terms.supplier_fee_bp, terms.payout_bp].map(|fee| amount.share_floor(fee));
        let kept = fees[0].units().saturating_add(fees[1].units()).saturating_add(KEPT_BACK);
        let payout = Credits::from_units(amount.units().saturating_sub(kept)).max(self.payout);
        self.on(Self { until, minutes, amount, payout }).ok_or(TooMuch)
    }

    /// The last record: what is left to the node's line of the receipt.
    ///
    /// # Errors
    /// [`Overdrawn`] when the records came to more than the line; then something was recorded that was not firm.
    pub fn close(&mut self, until: Timestamp, line: &Line) -> Result<Worked, Overdrawn> {
        let overdrawn = Overdrawn { recorded: self.amount, receipt: line.charge };
        let (minutes, amount, payout) = (line.minutes_charged, line.charge, line.payout);
        self.on(Self { until, minutes, amount, payout }).ok_or(overdrawn)
    }

    fn on(&mut self, next: Self) -> Option<Worked> {
        let worked = Worked {
            from: self.until,
            until: next.until.max(self.until),
            minutes: next.minutes.checked_sub(self.minutes)?,
            amount: next.amount.checked_sub(self.amount)?,
            payout: next.payout.checked_sub(self.payout)?,
        };
        *self = Self { until: worked.until, ..next };
        Some(worked)
    }
}
