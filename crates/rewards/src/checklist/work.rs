//! A machine's proofs of work, by the hour that they were asked in.
//!
//! An hour is good if a proof asked for in it was good and none was bad. A call that came to nothing takes nothing from
//! a call that was good: nobody is blamed for a broken line, and whoever breaks off often is found by how often.
//!
//! # Invariants
//! - What was bad in an hour stays bad, whatever comes after it; only the operator's word replaces it.
//! - A round costs one hour: its own, or if it is told of when the block of that is closed, the hour that is open then.
//! - At most [`WORK_HOURS_KEPT`] hours are kept, the newest, and of each at most [`ROUNDS_KEPT`] rounds.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use units::{Hour, Timestamp};

/// Hours of which proofs are kept: the one whose block is being closed, the one before it that its nomination looked
/// at, and the one that has begun meanwhile.
pub const WORK_HOURS_KEPT: usize = 3;
/// Rounds of an hour that are kept: more than the calls of an hour and what is tried again.
pub const ROUNDS_KEPT: usize = 16;

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

/// Rounds of proofs, by when they were asked for: of what was asked at one time the worst counts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
struct Rounds(Vec<WorkProof>);

/// Proofs that count in one hour. One of the two is not empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct HourOfWork {
    /// What was asked for in it.
    own: Rounds,
    /// What was asked for in hours before, and told of in this one as bad.
    late: Rounds,
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

impl Rounds {
    /// Takes in what a proof came to; whether its round was not known to be as bad.
    fn note(&mut self, proof: WorkProof) -> bool {
        let Self(rounds) = self;
        match rounds.binary_search_by_key(&proof.at, |round| round.at) {
            Ok(known) => {
                let known = &mut rounds[known].outcome;
                let is_news = proof.outcome > *known;
                *known = proof.outcome.max(*known);
                is_news
            }
            Err(place) => {
                rounds.insert(place, proof);
                self.forget_one_too_many();
                true
            }
        }
    }

    /// A round before one that is no better says nothing of the hour. Among so many there is one: outcomes get better
    /// but twice in a row.
    fn forget_one_too_many(&mut self) {
        let Self(rounds) = self;
        if rounds.len() > ROUNDS_KEPT {
            let mut pairs = rounds.windows(2);
            let says_nothing = pairs.position(|pair| pair[0].outcome <= pair[1].outcome);
            rounds.remove(says_nothing.unwrap_or_default());
        }
    }

    fn last(&self) -> Option<WorkProof> {
        self.0.last().copied()
    }

    fn worst(&self) -> Option<WorkOutcome> {
        self.0.iter().map(|round| round.outcome).max()
    }

    fn forget(&mut self, hour: Hour) {
        self.0.retain(|round| Hour::of(round.at) != hour);
    }
}

impl HourOfWork {
    /// What was asked for in the hour itself goes before what was told in it.
    fn last(&self) -> Option<WorkProof> {
        self.own.last().or_else(|| self.late.last())
    }

    fn worst(&self) -> Option<WorkOutcome> {
        self.own.worst().max(self.late.worst())
    }
}

impl Works {
    /// Takes in what a proof came to, while `open` is the hour whose block is closed next.
    ///
    /// What is bad and told of only after the block of its hour was closed counts against that one: else whoever
    /// answers late enough would lose nothing. A round that was as bad already has cost its hour, and costs no other.
    pub fn note(&mut self, proof: WorkProof, open: Option<Hour>) {
        let hour = Hour::of(proof.at);
        let is_news = self.hours.entry(hour).or_default().own.note(proof);
        let is_bad = proof.outcome != WorkOutcome::Good;
        if let Some(open) = open.filter(|open| hour < *open && is_bad && is_news) {
            self.hours.entry(open).or_default().late.note(proof);
        }
        self.forget_old_hours();
    }

    /// Takes the operator's word for an hour: it replaces what was known of it, and what that has cost another hour.
    pub fn replace(&mut self, proof: WorkProof) {
        let hour = Hour::of(proof.at);
        self.hours.values_mut().for_each(|work| work.late.forget(hour));
        self.hours.retain(|_, work| work.last().is_some());
        let own = Rounds(vec![proof]);
        self.hours.insert(hour, HourOfWork { own, late: Rounds::default() });
        self.forget_old_hours();
    }

    fn forget_old_hours(&mut self) {
        while self.hours.len() > WORK_HOURS_KEPT {
            self.hours.pop_first();
        }
    }

    /// The newest proof that came to something.
    pub fn last(&self) -> Option<WorkProof> {
        self.hours.last_key_value().and_then(|(_, work)| work.last())
    }

    /// What is said as an hour begins: by the last proof of it, or else of the hour before. Calls of an hour come after
    /// its nomination, so the hour before is what there is; a newcomer is called at once.
    pub fn as_begins(&self, hour: Hour) -> Work {
        let before = || self.hours.iter().find(|(before, _)| before.next() == hour);
        let work = self.hours.get(&hour).or_else(|| before().map(|(_, work)| work));
        let last = work.and_then(HourOfWork::last);
        last.map_or(Work::Unproved, |last| last.outcome.into())
    }

    /// What is said of a whole hour: good if a proof was and none was not.
    pub fn in_hour(&self, hour: Hour) -> Work {
        let worst = self.hours.get(&hour).and_then(HourOfWork::worst);
        worst.map_or(Work::Unproved, Work::from)
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
    use proptest::prelude::*;

    use super::*;
    use WorkOutcome::{Good, Slow, Wrong};

    const FIRST: u32 = 490_000;

    fn hour(number: u32) -> Hour {
        Hour::from_number(FIRST + number)
    }

    fn proof(number: u32, minute: u64, outcome: WorkOutcome) -> WorkProof {
        let at = Timestamp::from_millis(hour(number).start().millis() + minute * 60_000);
        WorkProof { at, outcome }
    }

    /// Told in time.
    fn works(proofs: &[(u32, u64, WorkOutcome)]) -> Works {
        let mut works = Works::default();
        for (number, minute, outcome) in proofs {
            works.note(proof(*number, *minute, *outcome), Some(hour(*number)));
        }
        works
    }

    /// What the hour in which they were told of comes to: by the number of the hour that is open, and what is told.
    fn told(proofs: &[(u32, (u32, u64, WorkOutcome))]) -> [Work; 3] {
        let mut works = Works::default();
        for (open, (number, minute, outcome)) in proofs {
            works.note(proof(*number, *minute, *outcome), Some(hour(*open)));
        }
        [0, 1, 2].map(|number| works.in_hour(hour(number)))
    }

    #[test]
    fn a_bad_round_that_is_told_late_costs_the_open_hour_and_no_other() {
        let check = |proofs: &[_], expected: [Work; 3]| assert_eq!(told(proofs), expected);
        let (first, next) = ((0, (0, 5, Good)), (1, (1, 5, Good)));
        let (none, good, slow, wrong) = (Work::Unproved, Work::Good, Work::Slow, Work::Wrong);
        check(&[first, next, (1, (0, 58, Slow))], [slow, slow, none]);
        // What is good and told late counts for no other hour.
        check(&[first, (1, (0, 58, Good))], [good, none, none]);
        // Cards that were asked at one time are one round: it has cost its hour, or the next, already.
        check(&[first, (0, (0, 58, Slow)), next, (1, (0, 58, Slow))], [slow, good, none]);
        check(&[first, (1, (0, 58, Slow)), (2, (0, 58, Slow))], [slow, slow, none]);
        // But worse is news: a renter's load excuses who is slow, and never who is wrong.
        check(&[first, (0, (0, 58, Slow)), next, (1, (0, 58, Wrong))], [wrong, wrong, none]);
        // Another round is another one, also of an hour that was lost: told in time, it would have been its last.
        check(
            &[(0, (0, 5, Wrong)), (0, (0, 9, Good)), next, (1, (0, 58, Slow))],
            [wrong, slow, none],
        );
        check(&[next, (1, (0, 58, Slow))], [slow, slow, none]);
    }

    #[test]
    fn the_operators_word_for_an_hour_undoes_what_a_late_round_of_it_has_cost() {
        let mut works = works(&[(0, 5, Good), (1, 5, Good)]);
        works.note(proof(0, 58, Slow), Some(hour(1)));
        assert_eq!(works.in_hour(hour(1)), Work::Slow);
        works.replace(proof(0, 59, Good));
        assert_eq!([works.in_hour(hour(0)), works.in_hour(hour(1))], [Work::Good; 2]);
        works.note(proof(1, 58, Slow), Some(hour(2)));
        works.replace(proof(1, 59, Good));
        assert_eq!([works.in_hour(hour(1)), works.in_hour(hour(2))], [Work::Good, Work::Unproved]);
        works.note(proof(1, 58, Slow), Some(hour(2)));
        works.replace(proof(2, 1, Good));
        assert_eq!([works.in_hour(hour(1)), works.in_hour(hour(2))], [Work::Slow, Work::Good]);
    }

    proptest! {
        #[test]
        fn an_hour_of_many_rounds_is_as_its_worst_and_ends_as_its_last(
            outcomes in prop::collection::vec(prop::sample::select(vec![Good, Slow, Wrong]), 1..60),
        ) {
            let rounds: Vec<_> = (0..60).zip(&outcomes).map(|(at, it)| (0, at, *it)).collect();
            let works = works(&rounds);
            prop_assert_eq!(works.in_hour(hour(0)), outcomes.iter().copied().max().map(Work::from).unwrap());
            prop_assert_eq!(works.as_begins(hour(1)), (*outcomes.last().unwrap()).into());
            prop_assert!(works.hours[&hour(0)].own.0.len() <= ROUNDS_KEPT);
        }
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
