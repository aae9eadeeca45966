//! The binary as a script meets it: output, messages and exit codes, without a server.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on may panic")]

mod attest;
mod audit;
mod blocks;
mod deaths;
mod desk;
mod fake;
mod member;
mod mesh;
mod mistakes;
mod net;
mod onboarding;
mod program;
mod proof;
mod relays;
mod script;
mod steady;
mod story;
mod time_lock;
mod town;
