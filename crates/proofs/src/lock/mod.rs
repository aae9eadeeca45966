//! Proof of time-lock: what a machine saw of its cards, second by second, in records that are signed and chained.
//!
//! ```text
//!  a sample a second ──► Watch ──► a Recorder for each rental and for what is idle ──► record, sealed each hour
//!                          └──► effects: name this process, stop it, keep these bytes       │
//!                                                                                           ▼
//!                      Decision: nothing, report, refund ◄── Report ◄── judge ◄── Record::read, anywhere
//! ```
//!
//! The bytes are those of `docs/reference/time-lock.md`.
//!
//! # Invariants
//! - A record holds what was measured. What breaks a minute is decided by who reads it, by [`LockRules`] and
//!   [`Ceilings`] of the day, so the machine cannot be told one thing and judged by another.
//! - A record has one encoding: what reads back, writes the same bytes. It fits in [`limits::RECORD_BYTES_MAX`].
//! - A minute without an entry is a silent one: leaving something out is no better than having been away.
//! - Only processes that belong to nobody are ever to be stopped, and only on cards that are rented.
//!
//! A record is the word of whoever holds the machine's key. It convicts the machine that admits a foreign process; it
//! does not acquit one that lies. For that it is compared with proofs, flows, and what the renter measures.

mod classify;
mod clock;
mod decide;
mod disturbed;
mod fold;
mod judge;
pub mod limits;
mod minute;
mod read;
mod record;
mod rules;
mod sample;
mod summary;
mod watch;

pub use classify::{Footprint, Seen, Systems, classify, groups_of};
pub use decide::{Action, Decision, Hint, decide};
pub use disturbed::Disturbance;
pub use judge::{Break, JudgedMinute, Offender, Report, judge, uptime, verify};
pub use minute::{Alien, CardMinute, Minute};
pub use read::{Entry, Named, Record, Refused};
pub use record::{End, Header, Sealed, Sign, Span};
pub use rules::{BadRules, Ceilings, LockRules};
pub use sample::{Card, NodeRef, Owner, Process, Reading, Sample};
pub use summary::{Minutes, Summary};
pub use watch::{Effect, Head, Machine, Subject, Watch};

#[cfg(test)]
mod tests;
