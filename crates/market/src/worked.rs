//! What the nodes of a rental have worked: which of their time counts, and the records that pay for it day by day.
//!
//! A supplier is not paid for an hour it broke. The hours are those of the node: the first begins when it first came
//! up. Each record covers what has become certain since the last, and the last one what is left to the receipt, so
//! the records of a rental add up to its receipt.
//!
//! # Invariants
//! - What is firm never shrinks, and is never more than the total at the end; what was settled is firm, whatever is
//!   told later of the time before.
//! - No supplier's receipt comes to less than what it was paid before.
//! - A rental's records follow on each other without a gap, and their amounts sum to its receipt's, to the unit.
//!
//! Absent on purpose: when a silent node is given up, and the purses.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use units::{AccountId, Credits, HOUR, Money, Timestamp};
use utoipa::ToSchema;

use crate::receipt::{Paid, Receipt, Served, payouts};
use crate::terms::{Terms, TooMuch};

/// Units of a node's pay that wait for the last record where two fees are taken: each is rounded down, and both may
/// grow by a unit where the charge grows by one.
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

    /// How long a record covers at most.
    pub fn every(&self) -> Duration {
        HOUR * self.record_every_hours.max(1)
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
    /// Until when it was told or settled: nothing before it counts again.
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
    /// An hour that is settled stays so: then the one after it counts for nothing. Nothing happens to a node that does
    /// not serve.
    pub fn broken(&mut self, at: Timestamp) {
        if self.runs() {
            self.run_to(at);
            self.since = None;
            self.void |= self.void_broken_hour;
        }
    }

    /// It served until `at`, and from then on not its renter alone: its time stands still, and the hour counts.
    pub fn disturbed(&mut self, at: Timestamp) {
        self.stop_by_renter(at);
    }

    /// From when on what it serves now counts: since it last started, but not before the end of a broken hour.
    pub fn counts_since(&self) -> Option<Timestamp> {
        let since = self.since?;
        Some(if self.void { since.max(self.begins().after(HOUR)) } else { since })
    }

    /// Until when it was told or settled: what it served before counts whatever is told of that time.
    pub const fn told(&self) -> Timestamp {
        self.told
    }

    /// What would count for nothing if it broke at that moment: the hour it lies in, from when on.
    pub fn breaks_from(&self, at: Timestamp) -> Option<Timestamp> {
        let mut then = *self;
        then.turn_to(self.hour_of(at));
        self.void_broken_hour.then(|| then.begins())
    }

    /// Whether it serves.
    pub const fn runs(&self) -> bool {
        self.since.is_some()
    }

    /// Since when it serves, if it does.
    pub const fn since(&self) -> Option<Timestamp> {
        self.since
    }

    /// How much of what it had served counts when it last stopped.
    pub fn served(&self) -> Duration {
        self.settled.saturating_add(self.counted())
    }

    /// From how long after it first served time counts again, `ran` after: not before the end of a broken hour.
    pub fn counts_from(&self, ran: Duration) -> Duration {
        let hour_ends = Duration::from_secs((self.hour + 1).saturating_mul(HOUR.as_secs()));
        if self.void { ran.max(hour_ends) } else { ran }
    }

    /// How much of what it has served by `now` counts, if nothing breaks.
    pub fn total(&self, now: Timestamp) -> Duration {
        let mut then = *self;
        then.run_to(now);
        then.served()
    }

    /// How much of what it has served by `known` counts whatever happens: the hours that are over. `known` is the last
    /// moment it was known to serve; a later one would make an hour firm that may yet turn out broken.
    pub fn firm(&self, known: Timestamp) -> Duration {
        let mut then = *self;
        then.settle(known)
    }

    /// As [`HourMeter::firm`], and from now on it counts whatever is told of the time before `known`.
    pub fn settle(&mut self, known: Timestamp) -> Duration {
        self.run_to(known);
        self.told = self.told.max(known);
        self.turn_to(self.hour_of(known));
        if self.void_broken_hour { self.settled } else { self.served() }
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
        let Some(from) = self.since.map(|since| since.max(self.told)).filter(|from| *from < at)
        else {
            return;
        };
        let hour = self.hour_of(at);
        if hour > self.hour {
            let rest = self.begins().after(HOUR).since(from);
            self.in_hour = self.in_hour.saturating_add(rest);
            self.turn_to(hour);
            let whole = at.since(from).saturating_sub(rest);
            self.in_hour = at.since(self.begins());
            self.settled = self.settled.saturating_add(whole.saturating_sub(self.in_hour));
        } else {
            self.in_hour = self.in_hour.saturating_add(at.since(from));
        }
        self.told = at;
    }
}

/// What the nodes of a rental have earned so far: for certain while it runs, by the receipt in the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Earned {
    /// Minutes of all nodes that are charged.
    pub minutes: u64,
    /// What they cost, without fees.
    pub amount: Credits,
    /// What each supplier gets of it, in what the rental is paid in.
    pub payouts: BTreeMap<AccountId, Money>,
}

impl Earned {
    /// What is certain once each node has served so long for certain. Nobody's receipt will come to less.
    ///
    /// # Errors
    /// [`TooMuch`] as [`Receipt::compute`].
    pub fn firm(terms: &Terms, served: &[Served]) -> Result<Self, TooMuch> {
        let firm = |node: &Served| Served { cut_off_after: None, ..*node };
        let receipt = Receipt::compute(terms, &served.iter().map(firm).collect::<Vec<_>>())?;
        let two_fees = terms.supplier_fee_bp > 0 && terms.payout_bp > 0;
        let kept = if two_fees { KEPT_BACK } else { 0 };
        let less = |payout: Credits| Credits::from_units(payout.units().saturating_sub(kept));
        let owed = receipt.lines.iter().map(|line| (line.supplier, less(line.payout)));
        Ok(Self { payouts: payouts(terms.currency, owed)?, ..Self::of(&receipt) })
    }

    /// What it came to in the end.
    pub fn last(receipt: &Receipt, paid: &Paid) -> Self {
        Self { payouts: paid.payouts.clone(), ..Self::of(receipt) }
    }

    fn of(receipt: &Receipt) -> Self {
        let minutes = receipt.lines.iter().map(|line| line.minutes_charged).sum();
        Self { minutes, amount: receipt.subtotal, payouts: BTreeMap::new() }
    }
}

/// One record of worked time: what all nodes of a rental have worked in it, and what their suppliers were paid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Worked {
    /// Where it begins: where the last one ended.
    #[schema(value_type = u64)]
    pub from: Timestamp,
    /// Where it ends.
    #[schema(value_type = u64)]
    pub until: Timestamp,
    /// The minutes it pays for, of all nodes: those that became firm in it.
    pub minutes: u64,
    /// What they cost, without fees.
    pub amount: Credits,
    /// What the suppliers were paid with it, in what the rental is paid in.
    pub paid: Money,
}

/// A receipt that comes to less than was already recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("records of {recorded} USD are more than the {earned} USD that were earned")]
pub struct Overdrawn {
    /// What the records came to.
    pub recorded: Credits,
    /// What was earned in all.
    pub earned: Credits,
}

impl Worked {
    /// The record after those of the rental so far: what was earned in all by `until`, less what they say.
    ///
    /// # Errors
    /// [`Overdrawn`] when they say more; then something was recorded that was not firm.
    pub fn after(
        records: &[Self],
        (from, until): (Timestamp, Timestamp),
        earned: &Earned,
        paid: Money,
    ) -> Result<Self, Overdrawn> {
        let recorded: u64 = records.iter().map(|record| record.amount.units()).sum();
        let minutes: u64 = records.iter().map(|record| record.minutes).sum();
        let recorded = Credits::from_units(recorded);
        let overdrawn = Overdrawn { recorded, earned: earned.amount };
        Ok(Self {
            from,
            until: until.max(from),
            minutes: earned.minutes.checked_sub(minutes).ok_or(overdrawn)?,
            amount: earned.amount.checked_sub(recorded).ok_or(overdrawn)?,
            paid,
        })
    }
}
