//! Which machines serve which order, and why not.
//!
//! One matcher serves search, quotes, placement and the explanation of refusals, so that they never
//! disagree: [`Inventory::place`] is a quote until its seats are [taken](Inventory::take).
//!
//! # Invariants
//! - A GPU is in at most one seat, and what is taken of a machine is never offered again.
//! - A placement is whole or refused, and asking changes nothing.
//! - The same machines, in whatever order they were told, give the same answer to the same order.
//! - Nodes that must be near, apart or alone are, now and while they stand; asking for less of it never gives fewer.
//! - A refusal counts, for each filter, the machines that it alone rules out; each relaxation gives the nodes it says.
//!
//! Deliberately absent: clocks (what [`queue`] knows of time it is told), who pays, and what a machine is used for.

#![deny(clippy::float_arithmetic)]

mod block;
mod bond;
mod census;
mod column;
mod curve;
mod explain;
mod facets;
mod filling;
mod gpu_set;
mod guests;
mod index;
mod inventory;
mod lane;
mod lanes;
mod less;
pub mod limits;
mod machine;
mod matcher;
mod matches;
mod near;
mod order;
mod outlook;
pub mod packing;
mod question;
pub mod queue;
mod ranks;
mod rtt;
mod sieve;
mod sites;
mod survey;
mod tally;

pub use curve::Alternative;
pub use explain::{Change, Excluded, Explanation, NearestOffer, Relaxation};
pub use facets::{Band, Count, Facets};
pub use gpu_set::GpuSet;
pub use guests::Guests;
pub use inventory::{Inventory, Taken};
pub use machine::{Held, Machine, Prices};
pub use matcher::{Cursor, Fit, Offer, Placement, Seat};
pub use order::{Apart, Filters, Near, Order, Refusal, Spread};
pub use outlook::MarketOutlook;
pub use rtt::Rtts;
