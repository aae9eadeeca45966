//! The mesh VPN's brain: who the peers are, how packets are sealed for them, and where they go.
//!
//! WireGuard on the wire, so that stock peers join; between our own nodes AES-256-GCM as a second suite. No socket, no
//! clock, no entropy of its own: the shell tells and asks.
//!
//! # Two halves
//! - [`Mesh`] knows everything and decides: handshakes, sessions, timers. One thread owns it.
//! - [`Plane`] is what it publishes for the threads that carry packets: an unchanging picture by which
//!   [`Plane::depart`] cuts and seals a frame and [`Plane::arrive`] opens and merges a batch, without a lock in common.
//!
//! # Invariants
//! - A packet leaves only for the peer that owns its target, and enters only from the peer that owns its source.
//! - No counter seals twice; none opens twice.
//! - Bytes from outside never panic, and never make anything grow beyond a named limit.

mod arrival;
mod asked;
mod checksum;
mod coalesce;
mod cookie;
pub mod cover;
mod departure;
mod ecn;
mod entropy;
mod farewell;
pub mod fuzz;
mod gather;
mod guard;
mod handshake;
pub mod hop;
mod inner;
mod key;
mod limit;
mod link;
pub mod mapping;
mod message;
mod mtu;
pub mod names;
mod news;
mod node;
mod noise;
pub mod path;
mod peer;
mod picture;
mod plane;
pub mod policy;
mod primitive;
mod quoted;
pub mod relay;
mod replay;
mod roster;
mod routes;
mod search;
mod segment;
mod session;
mod suite;
mod terms;
mod timing;
mod vnet;
mod wake;

pub use arrival::Batch;
pub use checksum::{Sum, pseudo_header};
pub use coalesce::{Merger, PARTS_MAX};
pub use cover::Cover;
pub use departure::Departure;
pub use ecn::Ecn;
pub use gather::{DATAGRAMS_MAX, GATHERED_BYTES_MAX, Gather, Gathered};
pub use guard::{Crossing, Direction, Flow, Guard, TCP_TURNS};
pub use inner::{EXTENSIONS_MAX, Inner, NotAPacket, Transport};
pub use key::{KEY_LEN, NotAKey, PresharedKey, PrivateKey, PublicKey};
pub use limit::{BURST, LOAD_PER_SECOND, PER_SECOND, SENDERS_MAX};
pub use link::{Carried, Link, Overhead};
pub use message::{
    ANSWER_LEN, COOKIE_LEN, DATA_HEADER_LEN, DATA_OVERHEAD, HELLO_LEN, Index, Kind, kind_of,
};
pub use news::News;
pub use node::{Config, Effect, Mesh, PeerView};
pub use path::{CallSign, Policy, Way, WayKind, WayView};
pub use peer::{Contact, PeerConfig, PeerId, WAITING_BYTES_MAX, WAITING_BYTES_TOTAL_MAX};
pub use plane::{Gate, Lane, Note, Plane, Stays};
pub use replay::{Stale, WINDOW_BITS, Window};
pub use roster::{Change, Contested, MEMBERS_MAX, Member, Roster};
pub use routes::{NotAPrefix, Prefix, Routes};
pub use segment::{Cutter, NotAFrame};
pub use session::{Refused, Session, Spent};
pub use suite::{Forged, Suite, TAG_LEN};
pub use timing::Timing;
pub use vnet::{Checksum, Cut, UnknownOffload, VNET_LEN, Vnet};

/// What the private network carries at least, in bytes: IPv6 demands it.
pub const MTU_MIN: usize = 1280;
/// What it carries by default: with WireGuard's overhead over IPv6 it fits an Ethernet frame.
pub const MTU_DEFAULT: usize = 1420;
