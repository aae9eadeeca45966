//! Who breaks off more often than networks do.
//!
//! A session that comes to nothing blames nobody, so whoever would not pass does better to break off. What he cannot
//! hide is how often. Outcomes are in the public log, and anybody can count: nothing here is a verdict, but a reason to
//! look, and not to pay for the hour.
//!
//! # Invariants
//! - Only what the log says is counted, and only the latest of it.
//! - All cards of a machine that are challenged at one time count once: one broken line is one, not one a card.
//! - What the verifier is to blame for is not counted.

use serde::{Deserialize, Serialize};
use units::Timestamp;

use crate::verdict::{Judged, Outcome, Reason, worst};

/// Sessions of a machine that are looked at: half a day of calls.
pub const LATEST: u8 = 24;
/// So many of them may come to nothing. A line that breaks in one session of twenty has more once in eight thousand
/// times, one that breaks in one of twelve three times in a thousand.
pub const NOTHING_MAX: u8 = 6;

const _: () = assert!(LATEST <= 32, "each of them has a bit");

/// The latest sessions of a machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Silence {
    /// When the challenge of the last of them was given.
    at: Timestamp,
    /// A bit for each that came to nothing, the last of them lowest.
    nothing: u32,
    /// How many there are.
    count: u8,
}

impl Silence {
    /// A session came to its verdict whose challenge was given at this time.
    pub fn note(&mut self, at: Timestamp, tasks: &[Judged]) {
        let is_ours = tasks.iter().any(|task| task.reason == Reason::Verifier);
        if is_ours || (self.count > 0 && at < self.at) {
            return;
        }
        let nothing = u32::from(worst(tasks) == Outcome::Inconclusive);
        if self.count > 0 && at == self.at {
            self.nothing |= nothing;
            return;
        }
        let latest = (1 << LATEST) - 1;
        *self = Self {
            at,
            nothing: ((self.nothing << 1) | nothing) & latest,
            count: (self.count + 1).min(LATEST),
        };
    }

    /// How many of them came to nothing, and of how many.
    pub fn counted(&self) -> (u8, u8) {
        let nothing = u8::try_from(self.nothing.count_ones()).expect("at most 32");
        (nothing, self.count)
    }

    /// Whether more of them came to nothing than a network explains.
    pub fn is_striking(&self) -> bool {
        self.counted().0 > NOTHING_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX: usize = NOTHING_MAX as usize;

    fn after(reasons: impl IntoIterator<Item = Reason>) -> Silence {
        let mut silence = Silence::default();
        for (at, reason) in (0..).zip(reasons) {
            silence.note(Timestamp::from_millis(at), &[Judged::ended(reason)]);
        }
        silence
    }

    #[test]
    fn who_breaks_off_often_is_striking_and_who_mends_it_is_not() {
        let check = |reasons: Vec<Reason>, expected| {
            assert_eq!(after(reasons.clone()).is_striking(), expected, "{reasons:?}");
        };
        let (nothing, pass) = (Reason::Expired, Reason::None);
        check(vec![nothing; MAX], false);
        check(vec![nothing; MAX + 1], true);
        let mended = usize::from(LATEST) - MAX;
        check([vec![nothing; 20], vec![pass; mended - 1]].concat(), true);
        check([vec![nothing; 20], vec![pass; mended]].concat(), false);
        check([Reason::Late, Reason::Row].repeat(20), false);
        check(vec![Reason::Verifier; 40], false);
        assert_eq!(after(vec![nothing; 40]).counted(), (LATEST, LATEST));
    }

    #[test]
    fn all_cards_of_a_time_count_once() {
        let mut silence = Silence::default();
        for (at, reason) in [(5, Reason::None), (5, Reason::Expired), (5, Reason::None)] {
            silence.note(Timestamp::from_millis(at), &[Judged::ended(reason)]);
        }
        assert_eq!(silence.counted(), (1, 1));
        silence.note(Timestamp::from_millis(4), &[Judged::ended(Reason::Expired)]);
        assert_eq!(silence.counted(), (1, 1), "what is older is told too late");
    }
}
