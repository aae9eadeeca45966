//! Reverse tunnels: how a machine that cannot be reached is reached over a line that it dialed itself.
//!
//! ```text
//!   visitor ──► door ──► relay ══════ line: frames of many streams ══════ node ──► service
//!                          └───────── dedicated connection: one bulk stream ──┘
//! ```
//!
//! A mux is one end of a line. It is told what came in, and says what goes out; whoever owns it moves the bytes.
//!
//! # Invariants
//! - Bytes of a stream arrive in order and once, also when the stream moves to a connection of its own.
//! - A side never sends more than the other granted; who does is cut off.
//! - What a stranger's bytes make us keep is bounded by [`limits`].
//! - Nothing here reads a clock, rolls dice, or knows a socket: times and secrets come in from outside.

pub mod limits;
mod name;

pub use name::{NotAServiceName, ServiceName};
