//! Time as brains are told it: milliseconds since 1970, in UTC.

use std::time::Duration;

/// One minute: the grain in which a rental earns.
pub const MINUTE: Duration = Duration::from_secs(60);
/// One hour: the grain in which a rental is booked.
pub const HOUR: Duration = Duration::from_secs(3600);

/// A moment: milliseconds since 1970-01-01T00:00:00Z.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    serde::Serialize,
    serde::Deserialize,
)]
#[serde(transparent)]
pub struct Timestamp(u64);

impl Timestamp {
    /// The moment this many milliseconds after 1970 began.
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// Milliseconds since 1970 began.
    pub const fn millis(self) -> u64 {
        self.0
    }

    /// The moment `span` later; the end of time when there is no such moment.
    #[must_use]
    pub fn after(self, span: Duration) -> Self {
        let span = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        Self(self.0.saturating_add(span))
    }

    /// How long ago `earlier` was; zero when it lies ahead.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_only_adds_up_forward() {
        let noon = Timestamp::from_millis(1_000);
        assert_eq!(noon.after(MINUTE).since(noon), MINUTE);
        assert_eq!(noon.since(noon.after(HOUR)), Duration::ZERO);
        assert_eq!(noon.after(Duration::MAX).millis(), u64::MAX);
    }
}
