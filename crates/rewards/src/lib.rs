//! Emission, scores, nomination, payout, vesting and supply, reward seasons.

#![deny(clippy::float_arithmetic)]

pub mod accruals;
pub mod block;
pub mod checklist;
pub mod emission;
pub mod rule;
pub mod score;
pub mod season;
pub mod stage;
pub mod statement;
pub mod supply;
pub mod vesting;

pub use merkle;
pub use units::split;
