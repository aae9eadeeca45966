//! Emission, scores, nomination, payout, vesting and supply, reward seasons.

#![deny(clippy::float_arithmetic)]

pub mod season;
