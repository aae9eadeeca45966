//! How often one caller may ask.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use units::Timestamp;

use crate::limits::RATES_MAX;

/// A caller may ask this many times the rate in one go.
const BURST: u64 = 4;

/// A bucket for each caller: it fills at the rate and holds [`BURST`] seconds of it.
#[derive(Debug)]
pub(crate) struct Rates {
    per_second: u64,
    /// By caller: the moment from which on its bucket is full, in microseconds.
    full_at: Mutex<BTreeMap<String, u64>>,
}

impl Rates {
    pub(crate) fn new(per_second: u32) -> Self {
        Self { per_second: u64::from(per_second.max(1)), full_at: Mutex::default() }
    }

    /// Takes one request out of the caller's bucket, or says how long to wait for the next.
    pub(crate) fn take(&self, caller: &str, now: Timestamp) -> Result<(), Duration> {
        let mut full_at = self.full_at.lock().expect("nobody panics with the buckets in hand");
        if full_at.len() >= RATES_MAX {
            full_at.retain(|_, full| *full > now.millis() * 1000);
        }
        let micros = now.millis() * 1000;
        let full = full_at.get(caller).copied().unwrap_or(0).max(micros);
        let next = full + 1_000_000 / self.per_second;
        let ahead = next - micros;
        if ahead > BURST * 1_000_000 {
            return Err(Duration::from_micros(ahead - BURST * 1_000_000));
        }
        full_at.insert(caller.to_owned(), next);
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
}
