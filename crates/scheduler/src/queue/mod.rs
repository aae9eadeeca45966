//! Which of the orders that wait goes next, and what has to stay free for it.
//!
//! A [`Room`] is what orders are put in: the [`Market`] of machines, or hosts that are packed. [`plan`] looks at all
//! orders that wait and says of each whether it starts, and if not, why not and how soon it could.
//!
//! # Invariants
//! - The first order that does not fit has room kept for it from the earliest moment at which ends of what runs give
//!   it room. Nobody who starts before it makes that moment later, as long as ends are told truly.
//! - Who waits longer than [`Rules::patience`] goes before all who do not, the longest waiting first.
//! - Spot rentals are wanted back only for an order on demand that finds no room otherwise, and only as many as it
//!   needs; they keep what they have for [`Rules::notice`].
//! - Asking changes nothing: the room is afterwards as it was. The same question has the same answer.
//!
//! Deliberately absent: money, prices, clocks, and what it takes to start an order.

mod decision;
mod earliest;
mod ends;
pub mod limits;
mod line;
mod market;
mod plan;
mod room;
mod rules;

pub use decision::{Decision, Kept, Plan, Turn, Verdict, Why};
pub use line::Waiting;
pub use market::Market;
pub use plan::{Pass, Running, plan};
pub use room::{Amounts, KINDS, Room};
pub use rules::Rules;
