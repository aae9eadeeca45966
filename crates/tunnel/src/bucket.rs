//! Limits of rates: buckets that fill with time and are drawn from.

use std::time::Duration;

use units::Timestamp;

/// How fast something may go on, and how much of it at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rate {
    /// In the long run, units a second; 0 is not at all.
    pub per_second: u64,
    /// After a pause, units at once.
    pub burst: u64,
}

impl Rate {
    /// No limit that anything here could reach.
    pub const UNLIMITED: Self = Self { per_second: u64::MAX, burst: u64::MAX };
}

/// A bucket of tokens. It starts full.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bucket {
    rate: Rate,
    /// Thousandths of a token, so that slow rates lose nothing between close looks. Below zero after a loan.
    thousandths: i128,
    at: Timestamp,
}

impl Bucket {
    /// A full bucket.
    pub fn new(rate: Rate, now: Timestamp) -> Self {
        Self { rate, thousandths: i128::from(rate.burst) * 1_000, at: now }
    }

    /// Goes at another rate from now on. What it holds stays, as far as it still fits.
    pub fn set_rate(&mut self, rate: Rate, now: Timestamp) {
        self.fill(now);
        self.rate = rate;
        self.thousandths = self.thousandths.min(i128::from(rate.burst) * 1_000);
    }

    fn fill(&mut self, now: Timestamp) {
        let passed = now.since(self.at);
        let millis = i128::try_from(passed.as_millis()).unwrap_or(i128::MAX);
        // A token a second is a thousandth a millisecond.
        let more = i128::from(self.rate.per_second).saturating_mul(millis);
        let full = i128::from(self.rate.burst) * 1_000;
        self.thousandths = self.thousandths.saturating_add(more).min(full);
        self.at = self.at.max(now);
    }

    /// Takes this many, or says how long until there are as many. What is more than the bucket holds never comes:
    /// [`Duration::MAX`].
    ///
    /// # Errors
    /// How long to wait; nothing was taken.
    pub fn take(&mut self, tokens: u64, now: Timestamp) -> Result<(), Duration> {
        self.fill(now);
        let wanted = i128::from(tokens) * 1_000;
        if tokens > self.rate.burst {
            return Err(Duration::MAX);
        }
        if wanted <= self.thousandths {
            self.thousandths -= wanted;
            return Ok(());
        }
        Err(self.wait_for(wanted - self.thousandths))
    }

    /// Takes this many, on loan if need be, and says how long to pause for the rate to hold: for bytes that have
    /// already come.
    pub fn draw(&mut self, tokens: u64, now: Timestamp) -> Duration {
        self.fill(now);
        self.thousandths = self.thousandths.saturating_sub(i128::from(tokens) * 1_000);
        if self.thousandths >= 0 {
            return Duration::ZERO;
        }
        self.wait_for(-self.thousandths)
    }

    fn wait_for(&self, thousandths: i128) -> Duration {
        match i128::from(self.rate.per_second) {
            0 => Duration::MAX,
            rate => {
                let millis = thousandths.saturating_add(rate - 1) / rate;
                u64::try_from(millis).map_or(Duration::MAX, Duration::from_millis)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    #[test]
    fn a_bucket_gives_its_burst_and_then_its_rate() {
        let mut bucket = Bucket::new(Rate { per_second: 2, burst: 3 }, at(0));
        for _ in 0..3 {
            assert_eq!(bucket.take(1, at(0)), Ok(()));
        }
        assert_eq!(bucket.take(1, at(0)), Err(Duration::from_millis(500)));
        assert_eq!(bucket.take(1, at(499)), Err(Duration::from_millis(1)));
        assert_eq!(bucket.take(1, at(500)), Ok(()));
        assert_eq!(bucket.take(4, at(1_000_000)), Err(Duration::MAX), "more than it holds");
        assert_eq!(bucket.take(3, at(1_000_000)), Ok(()));
    }

    #[test]
    fn what_is_drawn_on_loan_is_paid_with_time() {
        let mut bucket = Bucket::new(Rate { per_second: 1_000, burst: 100 }, at(0));
        assert_eq!(bucket.draw(100, at(0)), Duration::ZERO);
        assert_eq!(bucket.draw(500, at(0)), Duration::from_millis(500));
        assert_eq!(bucket.draw(0, at(500)), Duration::ZERO);
        let mut never = Bucket::new(Rate { per_second: 0, burst: 0 }, at(0));
        assert_eq!(never.draw(1, at(0)), Duration::MAX);
        assert_eq!(Bucket::new(Rate::UNLIMITED, at(0)).draw(u64::MAX, at(0)), Duration::ZERO);
    }

    #[test]
    fn a_bucket_that_goes_slower_gives_less_from_then_on() {
        let mut bucket = Bucket::new(Rate { per_second: 1_000, burst: 1_000 }, at(0));
        bucket.set_rate(Rate { per_second: 2, burst: 3 }, at(0));
        assert_eq!(bucket.take(4, at(0)), Err(Duration::MAX));
        assert_eq!(bucket.take(3, at(0)), Ok(()));
        assert_eq!(bucket.take(1, at(0)), Err(Duration::from_millis(500)));
        bucket.set_rate(Rate { per_second: 1_000, burst: 3 }, at(0));
        assert_eq!(bucket.take(1, at(0)), Err(Duration::from_millis(1)));
    }

    proptest! {
        #[test]
        fn no_more_than_burst_and_rate_is_ever_taken(
            rate in 0_u64..1_000, burst in 0_u64..1_000,
            asked in prop::collection::vec((0_u64..200, 0_u64..500), 0..60),
        ) {
            let mut bucket = Bucket::new(Rate { per_second: rate, burst }, at(0));
            let (mut now, mut taken) = (0, 0_u64);
            for (tokens, later) in asked {
                now += later;
                if bucket.take(tokens, at(now)).is_ok() {
                    taken += tokens;
                }
                let most = burst * 1_000 + rate * now;
                prop_assert!(taken * 1_000 <= most);
            }
        }

        #[test]
        fn after_the_wait_that_it_named_it_gives(rate in 1_u64..1_000, burst in 1_u64..100, tokens in 1_u64..100) {
            prop_assume!(tokens <= burst);
            let mut bucket = Bucket::new(Rate { per_second: rate, burst }, at(0));
            prop_assert_eq!(bucket.take(burst, at(0)), Ok(()));
            let wait = bucket.take(tokens, at(0)).unwrap_err();
            prop_assert_eq!(bucket.take(tokens, at(0).after(wait)), Ok(()));
        }
    }
}
