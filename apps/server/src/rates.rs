//! How often one caller may ask.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use units::Timestamp;

use crate::limits::RATES_MAX;

/// A caller may ask this many times the rate in one go.
const BURST: u64 = 4;

/// How often buckets that are full are thrown away while there are too many, in milliseconds.
const SWEEP_EVERY_MILLIS: u64 = 1_000;

/// A bucket for each caller: it fills at the rate and holds [`BURST`] seconds of it.
#[derive(Debug)]
pub(crate) struct Rates {
    per_second: u64,
    buckets: Mutex<Buckets>,
}

#[derive(Debug, Default)]
struct Buckets {
    /// By caller: the moment from which on its bucket is full, in microseconds.
    full_at: BTreeMap<String, u64>,
    /// When buckets that are full were last thrown away.
    swept_millis: u64,
}

impl Buckets {
    /// Whether one more caller can be remembered. Looking for room is bounded, or a flood of callers would buy itself
    /// more work than it brings.
    fn has_room(&mut self, now: Timestamp) -> bool {
        if self.full_at.len() < RATES_MAX {
            return true;
        }
        if now.millis() >= self.swept_millis + SWEEP_EVERY_MILLIS {
            self.swept_millis = now.millis();
            self.full_at.retain(|_, full| *full > now.millis() * 1000);
        }
        self.full_at.len() < RATES_MAX
    }
}

impl Rates {
    pub(crate) fn new(per_second: u32) -> Self {
        Self { per_second: u64::from(per_second.max(1)), buckets: Mutex::default() }
    }

    /// Takes one request out of the caller's bucket, or says how long to wait for the next.
    pub(crate) fn take(&self, caller: &str, now: Timestamp) -> Result<(), Duration> {
        let mut buckets = self.buckets.lock().expect("nobody panics with the buckets in hand");
        let micros = now.millis() * 1000;
        let full = match buckets.full_at.get(caller).copied() {
            Some(full) => full.max(micros),
            None if buckets.has_room(now) => micros,
            None => return Err(Duration::from_millis(SWEEP_EVERY_MILLIS)),
        };
        let next = full + 1_000_000 / self.per_second;
        let ahead = next - micros;
        if ahead > BURST * 1_000_000 {
            return Err(Duration::from_micros(ahead - BURST * 1_000_000));
        }
        buckets.full_at.insert(caller.to_owned(), next);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_and_a_flood_waits() {
        let (rates, now) = (Rates::new(10), Timestamp::from_millis(1_000_000));
        let passed = (0..100).filter(|_| rates.take("a", now).is_ok()).count();
        assert_eq!(passed, 40);
        assert!(rates.take("b", now).is_ok(), "others are not held up");
        assert!(rates.take("a", now.after(Duration::from_millis(100))).is_ok(), "it fills again");
        assert!(rates.take("a", now.after(Duration::from_millis(100))).is_err());
    }

    #[test]
    fn a_flood_of_callers_is_not_remembered_without_end() {
        let (rates, now) = (Rates::new(1), Timestamp::from_millis(1_000_000));
        let passed =
            (0..RATES_MAX + 10).filter(|n| rates.take(&n.to_string(), now).is_ok()).count();
        assert_eq!(passed, RATES_MAX);
        assert!(rates.take("7", now).is_ok(), "who is known goes on");
        let later = now.after(Duration::from_secs(10));
        assert!(rates.take("new", later).is_ok(), "those who were quiet are forgotten");
        assert_eq!(rates.buckets.lock().unwrap().full_at.len(), 1);
    }
}
