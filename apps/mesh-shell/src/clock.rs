//! The one real clock: never goes back, goes on while the machine sleeps, and says roughly what a calendar would.

use std::time::{SystemTime, UNIX_EPOCH};

use units::Timestamp;

use crate::sys;

/// Milliseconds since boot, moved to begin in 1970. A wrong calendar at the start stays wrong, but never jumps.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    booted_millis: u64,
}

impl Clock {
    /// Sets the clock by the system's calendar, once.
    pub fn set() -> Self {
        let calendar = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let millis = u64::try_from(calendar.as_millis()).unwrap_or(u64::MAX);
        Self { booted_millis: millis.saturating_sub(sys::millis_since_boot()) }
    }

    /// The moment it is.
    pub fn now(self) -> Timestamp {
        Timestamp::from_millis(self.booted_millis.saturating_add(sys::millis_since_boot()))
    }
}
