//! What a record says of its hour, minute by minute, in some hundred bytes: what settles refunds, uptime and offences.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::decide::{Action, Decision, Hint};
use super::judge::{Break, Report};
use super::record::Span;
use super::rules::LockRules;

/// Minutes of an hour: a bit for each, the first in the lowest place.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Minutes(u64);

impl Minutes {
    /// None of them.
    pub const NONE: Self = Self(0);
    /// All sixty.
    pub const ALL: Self = Self((1 << 60) - 1);

    /// Those from `from` to before `to`; what lies beyond the hour is left out.
    pub fn between(from: u8, to: u8) -> Self {
        (from..to.min(60)).fold(Self::NONE, |all, minute| all.with(minute))
    }

    /// These and one more, if the hour has it.
    #[must_use]
    pub const fn with(self, minute: u8) -> Self {
        if minute < 60 { Self(self.0 | 1 << minute) } else { self }
    }

    /// Those in either.
    #[must_use]
    pub const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Those in both.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// These without the others.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// How many.
    pub fn count(self) -> u8 {
        u8::try_from(self.0.count_ones()).expect("a word has sixty-four bits")
    }

    /// Whether this one is among them.
    pub const fn has(self, minute: u8) -> bool {
        minute < 60 && self.0 >> minute & 1 == 1
    }

    /// Whether there are none beyond the hour: after reading from outside.
    pub const fn adds_up(self) -> bool {
        self.0 <= Self::ALL.0
    }
}

/// A record by the minute.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Summary {
    /// Whether it is of a rental; else of what is idle.
    pub rental: bool,
    /// The minutes it touches.
    pub touched: Minutes,
    /// Those that are broken, by reason. A minute may be broken for several.
    pub broken: BTreeMap<Break, Minutes>,
    /// How many processes that belong to nobody should not have been there.
    pub strangers: u8,
}

impl Summary {
    /// Those broken for any of these reasons.
    pub fn broken_by(&self, reasons: &[Break]) -> Minutes {
        let of = reasons.iter().filter_map(|why| self.broken.get(why));
        of.fold(Minutes::NONE, |all, minutes| all.or(*minutes))
    }

    /// Those broken for any reason.
    pub fn broken(&self) -> Minutes {
        self.broken.values().fold(Minutes::NONE, |all, minutes| all.or(*minutes))
    }

    /// Those that count.
    pub fn up(&self) -> Minutes {
        self.touched.without(self.broken())
    }

    /// Those that a renter gets back.
    pub fn refunded(&self) -> Minutes {
        let taken = self.broken_by(&[Break::Foreign, Break::CardLost]);
        if self.rental { taken } else { Minutes::NONE }
    }

    /// Those in which what is idle was busier than it may be.
    pub fn busy(&self) -> Minutes {
        self.broken_by(&[Break::BusyCard, Break::BusyProcessor])
    }

    /// Whether it holds together: what is broken is touched, and no minute lies beyond the hour.
    pub fn adds_up(&self) -> bool {
        self.touched.adds_up() && self.broken().without(self.touched) == Minutes::NONE
    }

    /// What follows from it: [`decide`](super::decide).
    pub fn decide(&self, rules: &LockRules) -> Decision {
        let is_foreign = self.broken_by(&[Break::Foreign]).count() > 0 && self.strangers > 0;
        let busy = self.busy().count();
        let hint = if is_foreign {
            Some(Hint::ForeignProcess)
        } else if busy >= rules.busy_minutes_offence {
            Some(Hint::UtilizationBreach)
        } else {
            None
        };
        let unwatched = [Break::Silence, Break::ClockStep, Break::CardLost, Break::Blind];
        let refund_minutes = self.refunded().count();
        let action = if refund_minutes > 0 {
            Action::Refund
        } else if busy > rules.busy_minutes_max || self.broken_by(&unwatched).count() > 0 {
            Action::Report
        } else {
            Action::Nothing
        };
        let counts = self.up().count() >= rules.up_minutes_min;
        Decision { action, refund_minutes, hint, counts }
    }
}

impl Report {
    /// What it says, by the minute.
    pub fn summary(&self) -> Summary {
        let mut summary = Summary { rental: self.span != Span::Idle, ..Summary::default() };
        for judged in &self.minutes {
            summary.touched = summary.touched.with(judged.minute);
            for why in &judged.breaks {
                let minutes = summary.broken.entry(*why).or_default();
                *minutes = minutes.with(judged.minute);
            }
        }
        let foreign = self.offenders.iter().filter(|offender| offender.process.foreign).count();
        summary.strangers = u8::try_from(foreign).unwrap_or(u8::MAX);
        summary
    }
}
