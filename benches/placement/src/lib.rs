//! Placement policies replayed on a production cluster's trace, beside published ones.
//!
//! # Invariants
//! - The same files, seeds and levels give the same table, to the last digit.
//! - All policies see the same tasks in the same order, and ties are decided alike.

pub mod bound;
mod contest;
pub mod gangs;
pub mod gangs_table;
pub mod hall;
pub mod market;
mod replay;
pub mod timed;
pub mod timed_table;
mod trace;
pub mod window;

pub use contest::Contestant;
pub use replay::{Story, replay};
pub use trace::Trace;
