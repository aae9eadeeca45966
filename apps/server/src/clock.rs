//! The one clock and the one source of chance of the server.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use units::Timestamp;

/// How much of the time that passes may go into following a clock that was set: a tenth.
const SLEW: u32 = 10;

/// How far what is shown is ahead of the machine's clock, in milliseconds.
static LEAPT: AtomicU64 = AtomicU64::new(0);

/// Sets the clock of this process's servers ahead at once: for tests that wait for no hour to pass. What is measured in
/// time that really passes, like how long a session may last, is not moved.
#[doc(hidden)]
pub fn leap(by: Duration) {
    let millis = u64::try_from(by.as_millis()).unwrap_or(u64::MAX);
    LEAPT.fetch_add(millis, Ordering::SeqCst);
}

/// Now: as steady as the machine's own beat, and as right as its clock.
///
/// A clock that is set does not make anyone's silence long or a quote old at once: the difference is made up for little
/// by little, and time never runs backward.
pub(crate) fn now() -> Timestamp {
    static LAST: Mutex<Option<(Instant, Duration)>> = Mutex::new(None);
    let mut last = LAST.lock().expect("nobody panics with it in hand");
    let (wall, beat) = (wall(), Instant::now());
    let shown =
        last.map_or(wall, |(before, shown)| follow(shown, beat.duration_since(before), wall));
    *last = Some((beat, shown));
    let shown = Timestamp::from_millis(u64::try_from(shown.as_millis()).unwrap_or(u64::MAX));
    shown.after(Duration::from_millis(LEAPT.load(Ordering::SeqCst)))
}

/// What the machine's clock shows, since 1970.
fn wall() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// What to show after `passed`, when `shown` was shown before it and the clock on the wall says `wall`.
fn follow(shown: Duration, passed: Duration, wall: Duration) -> Duration {
    let steady = shown + passed;
    wall.clamp(steady.saturating_sub(passed / SLEW), steady + passed / SLEW)
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
    fn a_clock_that_is_set_is_followed_little_by_little() {
        let secs = Duration::from_secs;
        assert_eq!(follow(secs(100), secs(10), secs(110)), secs(110), "nothing was set");
        assert_eq!(follow(secs(100), secs(10), secs(9_000)), secs(111), "set forward");
        assert_eq!(follow(secs(100), secs(10), secs(0)), secs(109), "set back");
        assert_eq!(follow(secs(100), Duration::ZERO, secs(0)), secs(100));
    }

    #[test]
    fn ids_sort_by_age() {
        let ids: Vec<u128> = (0..1_000).map(|_| fresh_bits()).collect();
        assert!(ids.is_sorted_by(|one, next| one < next));
    }
}
