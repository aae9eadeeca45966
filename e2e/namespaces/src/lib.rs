//! Networks for tests, of the kernel's own namespaces.
//!
//! A [`Plan`] says who is where; [`Rig::build`] makes it real in a fraction of a second, and dropping the [`Rig`]
//! removes it. Everybody hangs below one public network, "internet": hosts directly, or behind routers, which may
//! translate addresses. Each has a namespace of its own, so ports are free, and what runs there is the real thing over
//! the real kernel.
//!
//! ```no_run
//! use namespaces::{Nat, Node, Plan, Rig, Weather};
//!
//! # fn main() -> anyhow::Result<()> {
//! let rig = Rig::build(&Plan::v4([
//!     Node::host("relay"),
//!     Node::router("home", Nat::Easy),
//!     Node::host("a").behind("home").weather(Weather::CLEAR.delay_ms(20).loss_bp(100)),
//! ]))?;
//! let socket = rig.at("a").run(|| std::net::UdpSocket::bind("0.0.0.0:0"))?;
//! socket.send_to(b"hello", (rig.at("relay").v4(), 3478))?;
//! rig.rebind("home")?;
//! # Ok(())
//! # }
//! ```
//!
//! # Invariants
//! - What a rig made is gone when it is dropped, and what a killed process left behind goes when the next rig is built.
//! - Nothing waits without a bound.
//! - It knows none of our packages: whoever tests with it builds it alone.
//!
//! # Absent
//! Broadcast and multicast: every link has two ends. NAT64. Hairpins: two behind one router reach each other by their
//! own addresses, not by the router's.

mod capture;
mod chance;
mod kernel;
mod layout;
mod lines;
pub mod matrix;
mod peer;
mod place;
mod plan;
pub mod probe;
mod rig;
mod rules;
mod state;
mod storm;
mod weather;

pub use capture::Capture;
pub use kernel::NETWORK_SECONDS_MAX;
pub use peer::Peer;
pub use place::Place;
pub use plan::{Families, Nat, Node, Plan, PlanRefused};
pub use rig::{Link, Rig, rig_or_skip};
pub use state::Blocked;
pub use storm::{Event, Storm};
pub use weather::{Counts, Pump, Weather};
