//! How long things may take.

use std::time::Duration;

/// How often a worker speaks when nothing has changed.
pub const BEAT_EVERY: Duration = Duration::from_secs(10);

/// After this long without an answer from the control plane, a worker stops what it runs: nobody is known to pay
/// for it any more. Long enough for the control plane to be moved to another machine.
pub const ORPHANED_AFTER: Duration = Duration::from_secs(15 * 60);

const _: () = assert!(
    BEAT_EVERY.as_secs() * 10 <= ORPHANED_AFTER.as_secs(),
    "a short outage of the control plane stops nobody's work"
);
