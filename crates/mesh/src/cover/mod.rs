//! What an onlooker is kept from learning by the lengths and the moments of sealed packets.
//!
//! ```text
//! 0 none       as packets come
//! 1 size       every packet to the peer is as long as the longest; signs of life come at uneven moments
//! 2 decoys     as 1, and machines add packets that mean nothing, and hold others back a little
//! 3 rate       as 1, and packets leave by a beat, each beat one, be it that it means nothing
//! ```
//!
//! A decoy is sealed like any packet and holds zeros. What opens it sees that it is no packet of any version of IP, and
//! drops it. A stock peer would count it as an error, so to such a peer level 1 is the most there is.
//!
//! # Invariants
//! - Decoys of level 2 are at most [`DECOYS_PERCENT`] in a hundred of the bytes sent, beyond [`DECOYS_FREE`] packets.
//! - Level 2 holds no packet for longer than [`HOLD_MAX`], and holds during at most a tenth of the time.
//! - At level 3 nothing leaves between two beats but what a grant exempts.

mod beat;
mod decoys;
mod node;
mod shroud;

use std::time::Duration;

pub use beat::{BEAT, BEATS_TOGETHER, QUIET_AFTER};
pub use decoys::Decoys;
pub use shroud::{QUEUE_BYTES_MAX, Shroud, Step};

pub(crate) use shroud::Held;

/// Decoys of level 2, in hundredths of the bytes that packets have.
pub const DECOYS_PERCENT: u64 = 10;
/// How many decoys may be sent before any packet is.
pub const DECOYS_FREE: u64 = 16;
/// How long level 2 may hold a packet back.
pub const HOLD_MAX: Duration = Duration::from_millis(5);

/// How much an onlooker is kept from learning about what is sent to a peer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cover {
    /// Nothing beyond what sealing hides.
    #[default]
    None,
    /// How long packets are.
    Size,
    /// That, and what bursts look like.
    Decoys,
    /// That, and when anything is sent at all.
    Rate,
}

/// There are the levels 0 to 3.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no level {0} of padding; there are 0 to 3")]
pub struct NoSuchLevel(pub u8);

impl Cover {
    /// Its number.
    pub const fn level(self) -> u8 {
        match self {
            Self::None => 0,
            Self::Size => 1,
            Self::Decoys => 2,
            Self::Rate => 3,
        }
    }

    /// Whether all packets are made equally long.
    pub(crate) fn pads(self) -> bool {
        self >= Self::Size
    }
}

impl TryFrom<u8> for Cover {
    type Error = NoSuchLevel;

    fn try_from(level: u8) -> Result<Self, NoSuchLevel> {
        match level {
            0 => Ok(Self::None),
            1 => Ok(Self::Size),
            2 => Ok(Self::Decoys),
            3 => Ok(Self::Rate),
            level => Err(NoSuchLevel(level)),
        }
    }
}

/// Whether what was opened is a decoy: of no version of IP.
#[inline]
pub(crate) fn is_decoy(plain: &[u8]) -> bool {
    plain.first().is_some_and(|first| first >> 4 == 0)
}
