//! Stakes, co-stakes, cooldowns, the safety module, slashing and appeals, votes.

#![deny(clippy::float_arithmetic)]

pub mod votes;
