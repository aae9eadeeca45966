//! Who breaks off more often than networks do.
//!
//! A session that comes to nothing blames nobody, so whoever would not pass does better to break off. What he cannot
//! hide is how often. Outcomes are in the public log, and anybody can count: nothing here is a verdict, but a reason to
//! look.
//!
//! # Invariants
//! - Only what the log says is counted, and only the latest of it.

use crate::verdict::Outcome;

/// Sessions of a machine that are looked at: half a day of calls.
pub const LATEST: usize = 24;
/// So many of them may come to nothing. A line that breaks in one session of twenty has more once in eight thousand
/// times, one that breaks in one of twelve three times in a thousand.
pub const NOTHING_MAX: usize = 6;

/// The latest sessions of a machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Silence {
    came_to_nothing: std::collections::VecDeque<bool>,
}

impl Silence {
    /// A session came to its verdict.
    pub fn note(&mut self, outcome: Outcome) {
        if self.came_to_nothing.len() == LATEST {
            self.came_to_nothing.pop_front();
        }
        self.came_to_nothing.push_back(outcome == Outcome::Inconclusive);
    }

    /// Whether more of them came to nothing than a network explains.
    pub fn is_striking(&self) -> bool {
        self.came_to_nothing.iter().filter(|nothing| **nothing).count() > NOTHING_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(outcomes: impl IntoIterator<Item = Outcome>) -> bool {
        let mut silence = Silence::default();
        outcomes.into_iter().for_each(|outcome| silence.note(outcome));
        silence.is_striking()
    }

    #[test]
    fn who_breaks_off_often_is_striking_and_who_mends_it_is_not() {
        let (nothing, pass) = (Outcome::Inconclusive, Outcome::Pass);
        assert!(!after([nothing; NOTHING_MAX]));
        assert!(after([nothing; NOTHING_MAX + 1]));
        assert!(!after([nothing; 20].into_iter().chain([pass; LATEST - NOTHING_MAX])));
        assert!(!after([Outcome::Slow, Outcome::Fail].repeat(20)), "those are verdicts");
    }
}
