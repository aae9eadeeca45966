//! How long a node has served.

use std::time::Duration;

use units::Timestamp;

/// A clock that runs while a node serves and stands while it does not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Meter {
    /// Whole spans served before the present one.
    pub served: Duration,
    /// Since when it serves, if it does.
    pub since: Option<Timestamp>,
}

impl Meter {
    /// It serves from now on.
    pub fn start(&mut self, now: Timestamp) {
        self.since.get_or_insert(now);
    }

    /// It served until `at`. Time told out of order counts as none.
    pub fn stop(&mut self, at: Timestamp) {
        if let Some(since) = self.since.take() {
            self.served = self.served.saturating_add(at.since(since));
        }
    }

    /// Whether it serves.
    pub const fn runs(&self) -> bool {
        self.since.is_some()
    }

    /// How long it has served by `now`.
    pub fn total(&self, now: Timestamp) -> Duration {
        let present = self.since.map_or(Duration::ZERO, |since| now.since(since));
        self.served.saturating_add(present)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use units::MINUTE;

    #[test]
    fn silence_is_not_served() {
        let at = |minutes| Timestamp::from_millis(0).after(MINUTE * minutes);
        let mut meter = Meter::default();
        meter.start(at(1));
        meter.start(at(2));
        meter.stop(at(5));
        meter.stop(at(9));
        meter.start(at(10));
        assert_eq!(meter.total(at(12)), MINUTE * 6);
        meter.stop(at(3));
        assert_eq!(meter.total(at(12)), MINUTE * 4, "a stop before the start adds nothing");
    }
}
