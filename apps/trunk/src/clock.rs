//! The two times of lines: one that goes on evenly, for what takes how long, and the system's, for papers.

use std::sync::OnceLock;
use std::time::{Instant, SystemTime};

use units::Timestamp;

/// The time now: the system's when it was first asked, and what passed since, whatever is done to the system's clock.
/// For spans only.
pub fn now() -> Timestamp {
    static START: OnceLock<(Instant, Timestamp)> = OnceLock::new();
    let (start, then) = START.get_or_init(|| (Instant::now(), system_time()));
    then.after(start.elapsed())
}

/// The time by the system's clock, which may be set at any moment. For papers and records, which others read.
pub fn system_time() -> Timestamp {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
