//! Being a member of a private network: papers turned into an engine's peers, rules, names and relays, and what is told
//! of it.
//!
//! Nodes of machines and clients of renters are members by the same code; how papers come, and what else stands behind
//! lines to relays, is theirs.
//!
//! # Invariants
//! - No paper is believed that the key does not sign which this side first knew the network by.
//! - What may pass is set before the first peer is.
//! - Who is not named any more is no member from that moment on.

mod carrier;
mod engine;
mod papers;
mod pinned;
mod proof;
mod ways;
mod words;

pub use carrier::Carrier;
pub use engine::{Device, MTU, Peers, Presence, relays_held};
pub use mesh_shell::Clock;
pub use papers::{Bearer, Listed, Papers, Told, Unfit, relays_at};
pub use pinned::Pinned;
pub use proof::prove;
pub use ways::way;
