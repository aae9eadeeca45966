//! The time as lines are told it: goes on evenly, whatever is done to the system's clock.

use std::sync::OnceLock;
use std::time::{Instant, SystemTime};

use units::Timestamp;

/// The time now: the system's when it was first asked, and what passed since.
pub fn now() -> Timestamp {
    static START: OnceLock<(Instant, u64)> = OnceLock::new();
    let (start, millis) = START.get_or_init(|| {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        (Instant::now(), u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    });
    Timestamp::from_millis(*millis).after(start.elapsed())
}
