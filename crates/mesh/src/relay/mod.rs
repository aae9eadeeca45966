//! The relay's UDP port: what travels to it and from it, the forwarder behind it, and a node's side of binding.
//!
//! ```text
//! bind     0x87 0 0 0 │ call sign 8 │ stamp 8 │ cookie 16 │ zeros 12   │ code 16   64 bytes, node → relay
//! bound    0x88 0 0 0 │ stamp 8     │ address 18 │ cookie 16 │ zeros 2 │ code 16   64 bytes, relay → node
//! unbound  0x89 0 0 0 │ call sign 8                                            12 bytes, relay → sender
//! relayed  0x86 0 0 0 │ call sign 8 │ a datagram that the relay cannot read    both ways
//! ```
//! The call sign of a relayed datagram is the receiver's on the way to the relay and the sender's on the way from it,
//! so the relay changes eight bytes and no length. Codes are BLAKE2s with the secret of a [`PortKey`], which the relay
//! hands out over a connection that proved the node's key. No answer is longer than its question.
//!
//! A node that asks from where it is not bound is answered by a cookie, and moves only when it shows the cookie from
//! there: whoever writes another's address on a question moves nobody.

mod client;
mod forwarder;
mod wire;

pub(crate) use client::Relays;
pub use client::{RelayConfig, RelayView};
pub use forwarder::{
    ANSWERS_PER_SECOND, Allowance, Between, Forwarded, Forwarder, NotAdmitted, NotForwarded,
    SEAT_IDLE, SEATS_MAX, SeatView,
};
pub use wire::{
    BIND_LEN, PortKey, RELAYED_HEADER_LEN, UNBOUND_LEN, read_relayed, write_relayed_header,
};
pub(crate) use wire::{BOUND, RELAYED, UNBOUND};
