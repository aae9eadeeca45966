//! What follows from a record.

use super::judge::Report;
use super::rules::LockRules;

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Action {
    /// Nothing.
    Nothing,
    /// The owner is told, and the record counts against the machine's uptime.
    Report,
    /// The renter gets these minutes back.
    Refund,
}

/// An offence of the slashing table, by the text that table knows it by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Hint {
    /// Somebody else's work ran on a rented card.
    ForeignProcess,
    /// What was offered as idle was busy for much of an hour.
    UtilizationBreach,
}

impl Hint {
    /// How the slashing table writes it.
    pub const fn text(self) -> &'static str {
        match self {
            Self::ForeignProcess => "foreign-process",
            Self::UtilizationBreach => "utilization-breach",
        }
    }
}

/// What follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    /// What is to be done.
    pub action: Action,
    /// Minutes that a renter gets back.
    pub refund_minutes: u8,
    /// What the machine may be accused of. An accusation goes through the slashing table's own waits and appeals.
    pub hint: Option<Hint>,
    /// Whether this record alone has enough minutes for its hour to count as up.
    pub counts: bool,
}

/// What follows from a record.
///
/// | span | what | action | hint |
/// |---|---|---|---|
/// | rental | a foreign process | refund of the minutes it broke | `foreign-process`, if it belongs to nobody |
/// | rental | a card that was lost | refund of those minutes | none: cards break |
/// | idle | more busy minutes than are allowed | report | `utilization-breach` from half an hour on |
/// | both | silence, a clock that was set, a driver that does not say | report | none: silence is no evidence |
pub fn decide(report: &Report, rules: &LockRules) -> Decision {
    report.summary().decide(rules)
}
