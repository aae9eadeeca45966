//! Ways to peers: which there are, which work, which carry.
//!
//! A node of ours is tried at every address it may have: those it names in calls, those it was heard from, and over
//! relays. Pings, authenticated by both nodes' keys and told apart from WireGuard by their first byte, measure each
//! way; the cheapest that works carries, and is left within a second of being cut.
//!
//! A stock WireGuard peer knows nothing of this: its one way is where it was last heard from.

mod delivery;
pub(crate) mod disco;
mod limits;
mod trail;
mod way;
mod ways;

pub(crate) use delivery::Heard;
pub use disco::{CALLED_MAX, DISCO_LEN_MAX, DISCO_LEN_MIN, PING_DATAGRAM_LEN};
pub use limits::*;
pub use way::{CallSign, Way, WayKind};
pub(crate) use ways::{Mood, Ways};
pub use ways::{Policy, WayView};
