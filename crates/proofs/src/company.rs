//! Machines that are called in company: who with whom, when, and who never passes when somebody else does.
//!
//! One card can answer for several machines while each is called at a moment of its own. So in every hour small groups
//! are drawn anew, by owner, by network, and by model; all of a group are called at one instant, and hold their memory
//! full at one time. A pair that did not pass together is likely to meet again soon.
//!
//! # Invariants
//! - Groups and moments follow from a secret, and from who is there: whoever lacks the secret cannot tell them.
//! - A machine is in at most one group of a call.
//! - What is found is a suspicion: how unlikely it is that two machines with what each does elsewhere never pass
//!   together. It is evidence against nobody, and it goes when they do pass together.
//! - Machines and pairs in memory have a named limit.

mod pairs;
mod seats;

use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use units::AccountId;
use utoipa::ToSchema;

use crate::task::{Memory, Task};
use crate::verdict::{Judged, Outcome, Reason};

pub use pairs::{Came, Found, Kept, Pairs, Showing};
pub use seats::{Group, Seats};

/// Machines of a group, at most.
pub const GROUP_MAX: u8 = 16;
/// Cards of a group: all of them send what they open at one time, two machines with eight through one house's line.
pub const GROUP_CARDS_MAX: u32 = 16;
/// Machines that are kept in mind. Beyond that, those that came last are called alone.
pub const MACHINES_MAX: usize = 1 << 17;
/// Pairs that are kept in mind; the oldest of those that are above suspicion are forgotten first.
pub const PAIRS_MAX: usize = 1 << 18;

/// How machines are called in company.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CompanyRules {
    /// Machines of a group, at most; below two, nobody is called in company.
    pub machines: u8,
    /// The share of groups that are also called together in the first part of an hour, in basis points.
    pub first_bp: u16,
    /// How long a full memory waits for those of others, in seconds.
    pub hold_secs: u16,
    /// Two are suspected after so many meetings, at the earliest.
    pub meetings_min: u8,
    /// Two are suspected when their meetings would go like this for one honest pair in so many.
    pub rarity: u32,
}

impl Default for CompanyRules {
    fn default() -> Self {
        Self { machines: 4, first_bp: 2_500, hold_secs: 30, meetings_min: 4, rarity: 1_000_000 }
    }
}

impl CompanyRules {
    /// Whether they can hold.
    pub fn holds(&self) -> bool {
        let meetings = 1..=pairs::MEETINGS_KEPT;
        self.machines <= GROUP_MAX
            && self.first_bp <= 10_000
            && (1..=120).contains(&self.hold_secs)
            && meetings.contains(&u32::from(self.meetings_min))
            && self.rarity >= 100
    }
}

/// The network that a machine speaks from: a house, mostly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Net {
    /// The first 24 bits of an address of IPv4.
    V4([u8; 3]),
    /// The first 48 bits of an address of IPv6.
    V6([u8; 6]),
}

impl Net {
    /// The network of an address.
    pub fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => {
                let [a, b, c, _] = address.octets();
                Self::V4([a, b, c])
            }
            IpAddr::V6(address) => {
                let [a, b, c, d, e, f, ..] = address.octets();
                Self::V6([a, b, c, d, e, f])
            }
        }
    }
}

/// What company is found by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Traits {
    /// Whose the machine is.
    pub owner: AccountId,
    /// Where it speaks from, if that is known.
    pub net: Option<Net>,
    /// What it says it is.
    pub model: String,
    /// How many cards it proves with.
    pub cards: u32,
}

/// What a session in company shows, by its tasks and what came of them; `number` is that of its gate.
///
/// Nothing is said by a verifier's fault, nor by openings that were late: others' may have been in their way.
pub fn came(tasks: &[Task], judged: &[Judged], number: Option<u32>) -> Came {
    let reason = judged.iter().map(|it| it.reason).find(|reason| *reason != Reason::None);
    let fills_late = |(task, judged): (&Task, &Judged)| match task {
        Task::Memory(Memory { fill_ms, .. }) => {
            judged.reason == Reason::Answer && judged.elapsed_us > u64::from(*fill_ms) * 1_000
        }
        Task::Puzzle(_) | Task::Matmul(_) => false,
    };
    match reason {
        None => Came::Passed { number, rate: telling(tasks, judged) },
        Some(Reason::Verifier) => Came::Excused,
        Some(Reason::Answer) if !tasks.iter().zip(judged).any(fills_late) => Came::Excused,
        Some(
            Reason::None
            | Reason::Late
            | Reason::Answer
            | Reason::Path
            | Reason::Row
            | Reason::Walk
            | Reason::Puzzle
            | Reason::Expired
            | Reason::Unable
            | Reason::Skipped,
        ) => Came::Failed,
    }
}

/// The rate that halves when two share a card: that of its walk, or else of its products.
fn telling(tasks: &[Task], judged: &[Judged]) -> u64 {
    let rate = |wanted: fn(&Task) -> bool| {
        let mut both = tasks.iter().zip(judged);
        let found = both.find(|(task, judged)| wanted(task) && judged.outcome() == Outcome::Pass);
        found.map(|(_, judged)| judged.rate)
    };
    let walk = rate(|task| matches!(task, Task::Memory(_)));
    walk.or_else(|| rate(|task| matches!(task, Task::Matmul(_)))).unwrap_or(0)
}

#[cfg(test)]
mod tests;
