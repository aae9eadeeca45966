//! Longer and longer waits after failures, never the same for two machines.

use std::time::Duration;

use crate::limits::{RETRY_FIRST, RETRY_MAX};

/// How long to wait before trying again.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Backoff {
    failures: u32,
}

impl Backoff {
    /// How long to wait after one more failure: between half and all of a span that doubles up to a limit.
    pub(crate) fn next(&mut self) -> Duration {
        let mut dice = [0; 4];
        // Without randomness many machines might ask at once, which is harmless.
        let _ = getrandom::fill(&mut dice);
        let wait = spread(self.failures, u32::from_le_bytes(dice));
        self.failures = self.failures.saturating_add(1);
        wait
    }

    /// It worked.
    pub(crate) fn reset(&mut self) {
        self.failures = 0;
    }
}

fn spread(failures: u32, dice: u32) -> Duration {
    let doubled = RETRY_FIRST.saturating_mul(1_u32.checked_shl(failures.min(16)).unwrap_or(1));
    let half = doubled.min(RETRY_MAX) / 2;
    half + half / 1_000 * (dice % 1_001)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_wait_is_between_half_and_all_of_its_span(failures: u32, dice: u32) {
            let (least, most) = (spread(failures, 0), spread(failures, 1_000));
            let wait = spread(failures, dice);
            prop_assert!(RETRY_FIRST / 2 <= least && least <= wait && wait <= most && most <= RETRY_MAX);
        }

        #[test]
        fn waits_grow(failures in 0_u32..100) {
            prop_assert!(spread(failures, 7) <= spread(failures + 1, 7));
        }
    }
}
