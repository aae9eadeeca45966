//! Reverse tunnels: how a machine that cannot be reached is reached over a line that it dialed itself.
//!
//! ```text
//!   visitor ──► door ──► relay ══════ line: frames of many streams ══════ node ──► service
//!                          └───────── dedicated connection: one bulk stream ──┘
//! ```
//!
//! A [`Mux`] is one end of a line. It is told what came in, and says what goes out; whoever owns it moves the bytes.
//!
//! # Invariants
//! - Bytes of a stream arrive in order and once, also when the stream moves to a connection of its own.
//! - A side never sends more than the other granted; who does is cut off.
//! - What a stranger's bytes make us keep is bounded by [`limits`].
//! - Nothing here reads a clock, rolls dice, or knows a socket: times and secrets come in from outside.

mod access;
mod bucket;
mod code;
mod frame;
mod greeting;
pub mod limits;
mod mux;
mod name;
mod placement;
mod record;
mod service;
mod ticket;
mod words;

#[cfg(test)]
mod strategies;

pub use access::{Access, NotAPolicy, Policy, Who};
pub use bucket::{Bucket, Rate};
pub use code::Code;
pub use frame::{Broken, Frame, HEAD_BYTES, Open, PAYLOAD_MAX};
pub use greeting::{Hello, UdpDoor, Welcome};
pub use mux::{Event, Gone, Mux, Read, Settings, Side, StreamId};
pub use name::{NotAServiceName, ServiceName};
pub use placement::Placement;
pub use record::{StreamRecord, Traffic};
pub use service::{NotAWord, Proto, Served, Service, Visibility};
pub use ticket::{Ticket, TicketId};
