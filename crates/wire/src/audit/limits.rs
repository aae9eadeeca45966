//! How long lines and segments of a log may be.

use std::time::Duration;

/// A line, in bytes: a record has a tenth of it.
pub const LINE_BYTES_MAX: usize = 8 * 1024;
/// Records of one segment.
pub const SEGMENT_LINES_MAX: u64 = 4096;
/// How long a segment may be open: what was not sealed could still be changed.
pub const SEGMENT_OPEN_MAX: Duration = Duration::from_secs(600);
/// How long after one end of a connection ended it the other may tell of packets: it tells every ten minutes of a
/// connection that goes on, and clocks differ.
pub const ENDS_APART_MAX: Duration = Duration::from_secs(660);
