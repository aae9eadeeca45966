//! An animal on show: what must become of it, and what did.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use proofs::{Outcome, Reason};

use super::animal::{Animal, Life, live};

/// Hours for which everybody is watched, unless the bound says more.
const HOURS: u32 = 6;

/// What must become of an animal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bound {
    /// It is caught with a wrong answer, a transcript that anybody can check, by this hour.
    Found(u32),
    /// It is too slow by this hour, and no hour of it counts.
    Slow(u32),
    /// Its fingerprint is another's by this hour. Its hours count until it is relisted.
    Printed(u32),
    /// It breaks off so often that it is reported by this hour. Its hours count.
    Reported(u32),
    /// It never comes to a verdict, and no hour of it counts.
    NeverPaid,
    /// At most so many of a thousand hours count.
    PaidLess(u32),
    /// It is not caught: every hour counts.
    Paid,
    /// It is honest: nothing is ever held against it, and every hour counts.
    HonestPaid,
    /// It is honest: nothing is ever held against it, but an hour may be lost.
    HonestTried,
    /// It is honest, and late: it is told so, and never that it lies.
    HonestLate,
}

/// An animal, what must become of it, and what it has from what it does.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stand {
    pub(super) name: &'static str,
    pub(super) animal: Animal,
    pub(super) bound: Bound,
    pub(super) gain: &'static str,
}

/// A row of the table.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) name: String,
    /// What was tried, and what came of it.
    pub(super) tried: String,
    pub(super) found: String,
    pub(super) paid: String,
    pub(super) gain: String,
    pub(super) bound: String,
    /// How often a session had which outcome.
    pub(super) outcomes: BTreeMap<Outcome, u32>,
}

impl Bound {
    fn hours(self) -> u32 {
        match self {
            Self::Found(hours) | Self::Reported(hours) => hours.max(HOURS),
            Self::PaidLess(_) | Self::HonestPaid | Self::HonestTried => 2 * HOURS,
            Self::Slow(_) | Self::Printed(_) | Self::NeverPaid | Self::Paid | Self::HonestLate => {
                HOURS
            }
        }
    }

    pub(super) fn text(self) -> String {
        match self {
            Self::Found(hour) => format!("fail by hour {hour}"),
            Self::Slow(hour) => format!("slow by hour {hour}, never paid"),
            Self::Printed(hour) => format!("another's fingerprint by hour {hour}"),
            Self::Reported(hour) => format!("reported by hour {hour}"),
            Self::NeverPaid => "never paid".to_owned(),
            Self::PaidLess(permille) => format!("reported; at most {} % of hours", permille / 10),
            Self::Paid => "**not caught**".to_owned(),
            Self::HonestPaid => "no fail, no slow, all hours".to_owned(),
            Self::HonestTried => "no fail, no slow".to_owned(),
            Self::HonestLate => "slow, no fail".to_owned(),
        }
    }

    /// Whether it is so.
    fn holds(self, life: &Life) -> bool {
        let tally = &life.tally;
        let (fails, slows) = (tally.of(Outcome::Fail), tally.of(Outcome::Slow));
        let by = |seen: &Option<(u32, String)>, hour| {
            seen.as_ref().is_some_and(|(number, _)| *number <= hour)
        };
        let unblamed = fails == 0 && slows == 0;
        match self {
            Self::Found(hour) => by(&life.fail, hour),
            Self::Slow(hour) => by(&life.slow, hour) && fails == 0 && tally.paid == 0,
            Self::Printed(hour) => by(&life.print, hour) && unblamed,
            Self::Reported(hour) => unblamed && life.silent.is_some_and(|seen| seen <= hour),
            Self::NeverPaid => tally.paid == 0 && unblamed,
            Self::PaidLess(permille) => {
                let is_less = tally.paid * 1_000 <= tally.hours * permille;
                unblamed && is_less && life.silent.is_some()
            }
            Self::Paid | Self::HonestPaid => {
                unblamed && tally.paid == tally.hours && life.found().is_none()
            }
            Self::HonestTried => unblamed && life.found().is_none(),
            Self::HonestLate => fails == 0 && slows > 0,
        }
    }
}

impl Stand {
    pub(super) const fn new(
        name: &'static str,
        animal: Animal,
        bound: Bound,
        gain: &'static str,
    ) -> Self {
        Self { name, animal, bound, gain }
    }

    /// Watches it.
    ///
    /// # Panics
    /// If its bound does not hold.
    pub(super) fn watch(&self, seed: u64) -> Row {
        let life = live(&self.animal, self.bound.hours(), seed);
        assert!(self.bound.holds(&life), "{}: {}: {life:?}", self.name, self.bound.text());
        let (failed, charged) = (life.tally.of(Outcome::Fail) > 0, life.tally.charged > 0);
        assert_eq!(failed, charged, "{}: whoever fails is charged, and nobody else", self.name);
        row(self.name, &life, self.bound.text(), self.gain)
    }
}

/// The row of a life.
pub(super) fn row(name: &str, life: &Life, bound: String, gain: &str) -> Row {
    let tally = &life.tally;
    let found = match life.found() {
        Some((hour, what)) => format!("hour {hour}: {what}"),
        None => why_not(life).to_owned(),
    };
    Row {
        name: name.to_owned(),
        tried: came(life),
        found,
        paid: format!("{} of {}", tally.paid, tally.hours),
        gain: gain.to_owned(),
        bound,
        outcomes: tally.by.clone(),
    }
}

/// What sessions came to: `12: 10 pass, 2 fail`.
fn came(life: &Life) -> String {
    let mut text = format!("{}:", life.tally.sessions);
    let mut mark = "";
    for (outcome, count) in &life.tally.by {
        let _ = write!(text, "{mark} {count} {outcome}");
        mark = ",";
    }
    text
}

/// What kept it from passing, if it was not found.
fn why_not(life: &Life) -> &'static str {
    let of = |reason: &Reason| life.reasons.get(reason).copied().unwrap_or(0);
    if of(&Reason::Unable) > 0 {
        "it broke off"
    } else if life.faults.keys().any(|fault| fault.contains("due")) {
        "its messages are refused"
    } else if of(&Reason::Expired) > 0 {
        "its line broke"
    } else {
        "—"
    }
}
