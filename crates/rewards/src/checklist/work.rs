//! A machine's proofs of work, by the hour that they were asked in.
//!
//! An hour is good if a proof asked for in it was good and none was bad. A call that came to nothing takes nothing from
//! a call that was good: nobody is blamed for a broken line, and whoever breaks off often is found by how often.
//!
//! # Invariants
//! - What was bad in an hour stays bad, whatever comes after it; only the operator's word replaces it.
//! - At most [`WORK_HOURS_KEPT`] hours are kept, the newest.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use units::{Hour, Timestamp};

/// Hours of which proofs are kept: the one whose block is being closed, the one before it that its nomination looked
/// at, and the one that has begun meanwhile.
pub const WORK_HOURS_KEPT: usize = 3;

/// What a proof of work came to that came to something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WorkOutcome {
    /// Right, and in time.
    Good,
    /// Right, and too late.
    Slow,
    /// Wrong.
    Wrong,
}

/// A proof of work as it was judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WorkProof {
    /// When its task was given.
    pub at: Timestamp,
    /// What it came to.
    pub outcome: WorkOutcome,
}

/// Proofs of one hour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct HourOfWork {
    last: WorkProof,
    /// What the worst of them came to.
    worst: WorkOutcome,
}

/// The newest hours of a machine's proofs of work.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Works {
    hours: BTreeMap<Hour, HourOfWork>,
}

/// What proofs of work say of a machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Work {
    /// Nothing that counts.
    #[default]
    Unproved,
    /// That it has what it claims.
    Good,
    /// That it was too slow.
    Slow,
    /// That it was wrong.
    Wrong,
    /// Too little: more of its latest sessions came to nothing than a network explains.
    Silent {
        /// How many.
        nothing: u8,
        /// Of how many.
        of: u8,
    },
}

impl HourOfWork {
    fn of(proof: WorkProof) -> Self {
        Self { last: proof, worst: proof.outcome }
    }

    fn with(self, proof: WorkProof) -> Self {
        let is_same = proof.at == self.last.at;
        let is_later = proof.at > self.last.at;
        // Of what was asked at one time the worst counts, whichever is told of last.
        let replaces = is_later || (is_same && proof.outcome > self.last.outcome);
        Self {
            last: if replaces { proof } else { self.last },
            worst: self.worst.max(proof.outcome),
        }
    }
}

impl Works {
    /// Takes in what a proof came to.
    pub fn note(&mut self, proof: WorkProof) {
        let hour = Hour::of(proof.at);
        let known = self.hours.get(&hour).copied();
        self.keep(hour, known.map_or_else(|| HourOfWork::of(proof), |it| it.with(proof)));
    }

    /// A proof that was bad, and told of only after the block of its hour was closed, counts against `open`, the hour
    /// that is closed next: else whoever answers late enough would lose nothing. Whatever is asked in that hour itself
    /// goes before it as its last.
    pub fn note_late(&mut self, proof: WorkProof, open: Hour) {
        let known = self.hours.get(&open).copied();
        self.keep(open, known.map_or_else(|| HourOfWork::of(proof), |it| it.with(proof)));
    }

    /// Takes the operator's word for an hour: it replaces what was known of it.
    pub fn replace(&mut self, proof: WorkProof) {
        self.keep(Hour::of(proof.at), HourOfWork::of(proof));
    }

    fn keep(&mut self, hour: Hour, work: HourOfWork) {
        self.hours.insert(hour, work);
        while self.hours.len() > WORK_HOURS_KEPT {
            self.hours.pop_first();
        }
    }

    /// The newest proof that came to something.
    pub fn last(&self) -> Option<WorkProof> {
        self.hours.last_key_value().map(|(_, work)| work.last)
    }

    /// What is said as an hour begins: by the last proof of it, or else of the hour before. Calls of an hour come after
    /// its nomination, so the hour before is what there is; a newcomer is called at once.
    pub fn as_begins(&self, hour: Hour) -> Work {
        let before = || self.hours.iter().find(|(before, _)| before.next() == hour);
        let work = self.hours.get(&hour).or_else(|| before().map(|(_, work)| work));
        work.map_or(Work::Unproved, |work| work.last.outcome.into())
    }

    /// What is said of a whole hour: good if a proof was and none was not.
    pub fn in_hour(&self, hour: Hour) -> Work {
        self.hours.get(&hour).map_or(Work::Unproved, |work| work.worst.into())
    }
}

impl From<WorkOutcome> for Work {
    fn from(outcome: WorkOutcome) -> Self {
        match outcome {
            WorkOutcome::Good => Self::Good,
            WorkOutcome::Slow => Self::Slow,
            WorkOutcome::Wrong => Self::Wrong,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use WorkOutcome::{Good, Slow, Wrong};

    const FIRST: u32 = 490_000;

    fn hour(number: u32) -> Hour {
        Hour::from_number(FIRST + number)
    }

    fn works(proofs: &[(u32, u64, WorkOutcome)]) -> Works {
        let mut works = Works::default();
        for (number, minute, outcome) in proofs {
            let at = Timestamp::from_millis(hour(*number).start().millis() + minute * 60_000);
            works.note(WorkProof { at, outcome: *outcome });
        }
        works
    }

    #[test]
    fn an_hour_is_good_if_every_proof_of_it_that_came_to_something_was() {
        let check = |proofs: &[_], expected| assert_eq!(works(proofs).in_hour(hour(0)), expected);
        check(&[], Work::Unproved);
        check(&[(0, 5, Good)], Work::Good);
        check(&[(0, 5, Good), (0, 50, Good)], Work::Good);
        check(&[(0, 5, Good), (0, 50, Slow)], Work::Slow);
        check(&[(0, 5, Wrong), (0, 50, Good)], Work::Wrong);
        check(&[(0, 50, Good), (0, 5, Slow)], Work::Slow);
        // A challenge of the next hour that is sealed before the block is closed takes nothing from this one.
        check(&[(0, 50, Good), (1, 0, Wrong)], Work::Good);
        check(&[(1, 0, Good)], Work::Unproved);
    }

    #[test]
    fn an_hour_begins_with_what_was_proved_last_in_the_one_before() {
        let check = |proofs: &[_], expected| assert_eq!(works(proofs).as_begins(hour(1)), expected);
        check(&[], Work::Unproved);
        check(&[(0, 5, Good)], Work::Good);
        check(&[(0, 5, Wrong), (0, 50, Good)], Work::Good);
        check(&[(0, 5, Good), (0, 50, Wrong)], Work::Wrong);
        check(&[(0, 50, Wrong), (1, 0, Good)], Work::Good);
        check(&[(0, 50, Good), (1, 0, Slow)], Work::Slow);
        // Cards that are challenged at one time: the worst counts, whichever is told of last.
        check(&[(0, 50, Slow), (0, 50, Good)], Work::Slow);
        assert_eq!(works(&[(0, 50, Good)]).as_begins(hour(2)), Work::Unproved);
    }

    #[test]
    fn few_hours_are_kept_and_the_operator_has_the_last_word() {
        let mut works = works(&[(0, 1, Good), (1, 1, Good), (2, 1, Good), (3, 1, Slow)]);
        assert_eq!(works.in_hour(hour(0)), Work::Unproved);
        assert_eq!(works.in_hour(hour(1)), Work::Good);
        let last = works.last().expect("there are four");
        assert_eq!(last.outcome, Slow);
        works.replace(WorkProof { outcome: Good, ..last });
        assert_eq!(works.in_hour(hour(3)), Work::Good);
        let json = serde_json::to_string(&works).expect("plain data");
        assert_eq!(serde_json::from_str::<Works>(&json).expect("as written"), works);
    }
}
