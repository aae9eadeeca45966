//! What becomes of each order that waits, and why.

use std::fmt;

use units::{FullMinute, Timestamp};

/// What becomes of all orders that wait.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan<Id, Seats> {
    /// One for each order, in the order in which they were looked at. Those that start do so in this order, each on
    /// the seats it says.
    pub decisions: Vec<Decision<Id, Seats>>,
    /// For whom room is kept.
    pub kept: Option<Kept<Id, Seats>>,
}

/// What becomes of one order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision<Id, Seats> {
    /// Which order.
    pub id: Id,
    /// Its place in the line: 1 was looked at first.
    pub place: usize,
    /// What becomes of it.
    pub verdict: Verdict<Id, Seats>,
}

/// What becomes of an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict<Id, Seats> {
    /// It starts now.
    Start {
        /// Where.
        seats: Seats,
        /// Why it is its turn.
        turn: Turn<Id>,
    },
    /// It waits on.
    Wait {
        /// It does not start before then, as far as ends are known; none when that is not known.
        earliest: Option<Timestamp>,
        /// What for.
        why: Why<Id>,
    },
    /// It waited until its deadline, and waits no longer.
    Lapse,
}

/// Why an order goes now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn<Id> {
    /// Room was kept for it.
    Promised,
    /// It waited longer than anybody should.
    Overdue,
    /// Its tenant has the smallest share of all that wait.
    SmallestShare,
    /// It takes nothing that is kept for another.
    Beside {
        /// The other.
        first: Id,
    },
    /// It is over before another starts for whom room is kept.
    Before {
        /// The other.
        first: Id,
    },
}

/// Why an order waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why<Id> {
    /// It is the first in line, and what gets free is kept for it.
    First,
    /// It is the first in line, and spot rentals were told to make room for it.
    Reclaiming {
        /// How many.
        rentals: usize,
    },
    /// There is no room for it beside what is kept for another.
    Behind {
        /// The other.
        first: Id,
    },
    /// It would find no room if everything ended of which an end is known.
    NoSuchRoom,
    /// So many were looked at before it that it was not.
    NotLookedAt,
}

/// What is kept for the first order that does not fit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept<Id, Seats> {
    /// For whom.
    pub id: Id,
    /// When it starts at the latest, if all ends are true and it has seats; otherwise it does not start before.
    pub from: Timestamp,
    /// Its seats then; none when more ends would have to be looked at than there is time for.
    pub seats: Option<Seats>,
    /// The spot rentals that are to make room, by their places in [`Pass::running`](super::Pass::running).
    pub reclaim: Vec<usize>,
}

impl<Id, Seats> Plan<Id, Seats> {
    /// Those that start, in order.
    pub fn starts(&self) -> impl Iterator<Item = (&Id, &Seats)> {
        self.decisions.iter().filter_map(|decision| match &decision.verdict {
            Verdict::Start { seats, turn: _ } => Some((&decision.id, seats)),
            Verdict::Wait { .. } | Verdict::Lapse => None,
        })
    }
}

impl<Id: fmt::Display, Seats> fmt::Display for Verdict<Id, Seats> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Start { seats: _, turn } => write!(f, "starts: {turn}"),
            Self::Wait { earliest: None, why } => write!(f, "waits: {why}"),
            Self::Wait { earliest: Some(at), why } => {
                write!(f, "waits: {why}; not before {}", FullMinute(*at))
            }
            Self::Lapse => f.write_str("lapsed: its deadline passed"),
        }
    }
}

impl<Id: fmt::Display> fmt::Display for Turn<Id> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Promised => f.write_str("room was kept for it"),
            Self::Overdue => f.write_str("it waited longest"),
            Self::SmallestShare => {
                f.write_str("its project has the smallest share of those that wait")
            }
            Self::Beside { first } => write!(f, "it takes nothing that is kept for {first}"),
            Self::Before { first } => write!(f, "it is over before {first} starts"),
        }
    }
}

impl<Id: fmt::Display> fmt::Display for Why<Id> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::First => {
                f.write_str("it is the first in line, and what gets free is kept for it")
            }
            Self::Reclaiming { rentals } => {
                write!(f, "it is the first in line, and {rentals} spot rentals make room for it")
            }
            Self::Behind { first } => {
                write!(f, "there is no room beside what is kept for {first}")
            }
            Self::NoSuchRoom => {
                f.write_str("no machines would serve it if all that runs had ended")
            }
            Self::NotLookedAt => f.write_str("there are many before it"),
        }
    }
}
