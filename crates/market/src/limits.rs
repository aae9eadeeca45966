//! How long a rental may take over each step, and how much may be booked.

use std::time::Duration;

/// How long a quoted price holds.
pub const QUOTE_VALID: Duration = Duration::from_secs(5 * 60);

/// How long machines are kept for a rental that is not paid (io.net gives 20 minutes).
pub const PAYMENT_MAX: Duration = Duration::from_secs(20 * 60);

/// How long a cluster may take to come up. The first rental on a machine builds its environment.
pub const DEPLOYING_MAX: Duration = Duration::from_secs(15 * 60);

/// How long machines may take to confirm that an ended rental is cleared away. After that its seats are given
/// back all the same; what still runs there is stopped as soon as the machine speaks again.
pub const CLEARING_MAX: Duration = Duration::from_secs(3 * 60);

/// How long a node of a running rental may be silent before it is given up. Silence is never paid for.
pub const NODE_SILENCE_MAX: Duration = Duration::from_secs(5 * 60);

/// The longest booking, in hours: a year (as at io.net).
pub const BOOKED_HOURS_MAX: u32 = 8_760;
