//! How moments are said to people, and how wide numbers are written.

use std::fmt;

use units::{Hour, Timestamp};

/// A moment, said as the first full hour that is not before it: `2025-03-05T11:00:00 UTC`.
pub(crate) struct By(pub(crate) Timestamp);

impl fmt::Display for By {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hour = Hour::of(self.0);
        let hour = if hour.start() < self.0 { hour.next() } else { hour };
        write!(f, "{hour} UTC")
    }
}
