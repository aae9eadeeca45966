//! The one clock and the one source of chance of the server.

use std::sync::Mutex;
use std::time::{SystemTime, UNIX_EPOCH};

use units::Timestamp;

/// Now, by the machine's clock.
pub(crate) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// Bytes nobody can guess.
pub(crate) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the operating system gives random bytes");
    bytes
}

/// The bits of a new id: 48 bits of time, so that ids sort by age, and 80 bits of chance. Each is above the one before,
/// within a millisecond too and when the clock runs backward.
pub(crate) fn fresh_bits() -> u128 {
    static LAST: Mutex<u128> = Mutex::new(0);
    let chance: [u8; 16] = random();
    let fresh = (u128::from(now().millis()) << 80) | (u128::from_be_bytes(chance) >> 48);
    let mut last = LAST.lock().expect("nobody panics with it in hand");
    *last = fresh.max(last.saturating_add(1));
    *last
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_sort_by_age() {
        let ids: Vec<u128> = (0..1_000).map(|_| fresh_bits()).collect();
        assert!(ids.is_sorted_by(|one, next| one < next));
    }
}
