//! What things cost, what was promised, and what became of it: prices, terms, rentals, receipts.
//!
//! ```text
//!  quoted ──accepted──► awaiting payment ──paid──► deploying ──ready──► running
//!    │  └──accepted, paid at once──────────────────▲  │                   │ cancelled, failed, expired
//!    │lapsed             │lapsed, cancelled           │failed, timed out, │
//!    ▼                   ▼                            │cancelled          ▼
//!  ended ◄───────────────┴──────────────◄ cleared ─ ending ◄──────────────┘
//! ```
//!
//! # Invariants
//! - [`Stage::on`] is the only thing that moves a rental.
//! - Money is held exactly while [`Stage::holds_money`]; machines are held exactly while [`Stage::holds_seats`].
//! - A receipt follows from the rental's terms and each node's minutes alone, so anyone can recompute it.
//! - What the renter is charged is what the suppliers get plus what the network keeps, to the unit.
//!
//! Absent on purpose: who may do what, where the money lies, which machine is best.

#![deny(clippy::float_arithmetic)]

mod limits;
mod meter;
mod price;
mod receipt;
mod rental;
mod terms;

pub use limits::{
    BOOKED_HOURS_MAX, CLEARING_MAX, DEPLOYING_MAX, NODE_SILENCE_MAX, PAYMENT_MAX, QUOTE_VALID,
};
pub use meter::Meter;
pub use price::PriceList;
pub use receipt::{Line, Receipt, Served};
pub use rental::{Ending, Event, Stage, StageRefusal};
pub use terms::{Terms, TooMuch};
