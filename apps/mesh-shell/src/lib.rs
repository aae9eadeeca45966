//! The mesh VPN's shell: the device, the sockets, the threads, and the clock that the brain (`mesh`) is lent.
//!
//! ```text
//!           ┌────────────── brain's thread ─────────────┐
//!           │ Mesh: on_note, wake_at, on_wake,          │  Effect::Publish(Plane)   a picture, replaced whole
//!           │       next_effect                         │──────────────┐
//!           └───────▲───────────────────────────────────┘              ▼
//!             Note  │ handshakes, frames that wait,                Showcase
//!                   │ peers that moved                       ┌──────┴───────┐
//!     TUN ─read──► mesh-out: Plane::depart, Departure::seal ──► one sendmsg (UDP_SEGMENT)
//!     TUN ◄writev── mesh-in: Plane::arrive, Merger::finish  ◄── one recvmsg (UDP_GRO)
//! ```
//!
//! # Invariants
//! - One thread per direction and shard, each run to completion with memory of its own: no packet waits for a scheduler
//!   between two threads of ours, and no flow is reordered by two of them.
//! - `unsafe` is in `sys.rs` alone.
//! - One signal of the process (`SIGRTMIN+7`) interrupts threads that wait in a system call; its handler does nothing.

mod addresses;
mod clock;
mod config;
mod control;
mod engine;
mod forwarder;
mod inbox;
mod inlet;
mod mapper;
mod offloads;
mod outbox;
mod pacer;
mod resolver;
mod shard;
mod showcase;
mod streams;
mod sys;
mod tun;
mod udp;
mod watch;

pub use clock::Clock;
pub use config::Config;
pub use engine::Engine;
pub use forwarder::{Connections, UdpRelay};
pub use inlet::StreamInlet;
pub use streams::Streams;
pub use sys::{Received, owner_of_namespace};
pub use tun::make_device;
pub use udp::{Sent, UdpPort};
