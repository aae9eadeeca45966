//! Emission, scores, nomination, payout, vesting and supply, reward seasons.

#![deny(clippy::float_arithmetic)]

pub mod block;
pub mod emission;
pub mod rule;
pub mod score;
pub mod season;
mod split;

pub use split::split;
