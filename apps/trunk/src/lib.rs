//! The line between a node and a relay: TLS by node keys, and the streams of a [`tunnel::Mux`] on tokio.
//!
//! ```text
//!   Stream ─┐                                ┌─ Stream
//!   Stream ─┼─ Line ─ Driver ═══ TLS ═══ Driver ─ Line ─┼─ Stream
//!   Stream ─┘      └─ Spares ═ dedicated connections ═ Spares ─┘
//! ```
//!
//! A [`Driver`] moves bytes between a connection and the mux, and hands its owner what is about no stream. A
//! [`Stream`] begins on the line, and goes on over a connection of its own once it is bulk; its user sees nothing of
//! that. Relay and node run the same code.
//!
//! # Invariants
//! - Both ends prove their node key (RFC 7250 raw keys, ed25519, TLS 1.3): there are no certificates to parse.
//! - A stream that is idle holds no buffer, and a line that is idle none but that of TLS.
//! - The lock of a line is held for one call of the mux, and never across a wait.
//! - What a line began ends with it, on whatever connection it goes by then.

mod alive;
mod awake;
mod carry;
mod clock;
mod cut;
mod dial;
mod driver;
mod first;
mod key;
mod line;
mod own;
mod pace;
mod peeked;
mod spare;
mod splice;
mod ssh;
mod stream;
mod told;

pub use alive::{Connection, keep_alive};
pub use awake::{Sightings, look_after, stay_awake};
pub use carry::{Carried, Way, carry, carry_tcp};
pub use clock::{now, system_time};
pub use cut::Cut;
pub use dial::{Dial, Dialed};
pub use driver::{Driver, Fault};
pub use first::open_first;
pub use key::{ALPN, BULK_ALPN, node_tls, peer_key, relay_tls};
pub use line::{Line, Unopened};
pub use peeked::Peeked;
pub use spare::{Dedicated, PLAIN_GREETING};
pub use ssh::ssh_config;
pub use stream::{Carrier, Stream};
pub use told::told;
