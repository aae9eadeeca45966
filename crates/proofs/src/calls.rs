//! Whether a machine is to prove now: the decision alone, without a clock, for one machine.
//!
//! # Invariants
//! - In each part of an hour a machine is called as often as the rules let it try again, and no more: whoever breaks
//!   off what goes badly has not more tries than somebody whose network does.
//! - What came to a verdict that counts is not asked again in the same part of the hour.

use units::{Hour, Timestamp, WorkerId};

use crate::schedule::{Call, ProofRules};

/// Tries of a machine in the part of an hour that it was called in last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Calls {
    part: Option<(Hour, Call)>,
    tried: usize,
    ended: Timestamp,
}

/// What is known of a machine at a moment.
#[derive(Clone, Copy, Debug)]
pub struct Known<'a> {
    /// The rules in effect.
    pub rules: &'a ProofRules,
    /// What nobody else knows, so that nobody can tell when a machine is called.
    pub secret: &'a [u8; 32],
    /// The machine.
    pub worker: WorkerId,
    /// Since when it is up.
    pub up_since: Option<Timestamp>,
    /// When the challenge was given that came to a verdict that counts, for or against it; the last of those.
    pub concluded: Option<Timestamp>,
    /// The instants at which it is called in company.
    pub appointed: Appointed,
}

/// When a machine is called together with others; in parts of the hour without one it has a moment of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Appointed {
    /// In the first part of this hour.
    pub first: Option<Timestamp>,
    /// In the last.
    pub last: Option<Timestamp>,
}

impl Known<'_> {
    /// When it is called in a part of the hour.
    fn moment(&self, hour: Hour, call: Call) -> Timestamp {
        let appointed = match call {
            Call::First => self.appointed.first,
            Call::Last => self.appointed.last,
        };
        appointed.unwrap_or_else(|| self.rules.due(self.secret, self.worker, hour, call))
    }

    /// The part of the hour, and whether the machine is to prove in it by now.
    fn part(&self, now: Timestamp) -> (Call, bool) {
        let hour = Hour::of(now);
        let due = |call| self.moment(hour, call);
        let (first, last) = (due(Call::First), due(Call::Last));
        if now >= last {
            return (Call::Last, self.concluded.is_none_or(|at| at < last));
        }
        let is_new = self.concluded.is_none() || self.up_since.is_some_and(|up| up >= hour.start());
        let is_open = self.concluded.is_none_or(|at| at < hour.start());
        (Call::First, is_open && (now >= first || is_new))
    }

    /// When the part of the hour, or what is due in it, is another.
    fn turn(&self, now: Timestamp) -> Timestamp {
        let hour = Hour::of(now);
        let due = |call| self.moment(hour, call);
        let turns = [due(Call::First), due(Call::Last), hour.end()];
        turns.into_iter().find(|turn| *turn > now).unwrap_or_else(|| hour.end())
    }
}

impl Calls {
    /// Whether the machine is to prove now, or else when that is to be asked again at the latest. A machine that has
    /// just come, or come up again, is called at once.
    ///
    /// # Errors
    /// When to ask again.
    pub fn due(&self, known: &Known<'_>, now: Timestamp) -> Result<Call, Timestamp> {
        let (call, is_due) = known.part(now);
        let turn = known.turn(now);
        if !is_due {
            return Err(turn);
        }
        let tried = if self.part == Some((Hour::of(now), call)) { self.tried } else { 0 };
        if tried == 0 {
            return Ok(call);
        }
        match known.rules.retry_at(tried, self.ended) {
            Some(at) if at <= now => Ok(call),
            Some(at) => Err(at.min(turn)),
            None => Err(turn),
        }
    }

    /// The machine was called.
    pub fn called(&mut self, call: Call, now: Timestamp) {
        let part = Some((Hour::of(now), call));
        let tried = if self.part == part { self.tried } else { 0 };
        *self = Self { part, tried: tried + 1, ended: now };
    }

    /// A session of the call has ended.
    pub fn ended(&mut self, now: Timestamp) {
        self.ended = self.ended.max(now);
    }

    /// Whether nothing of it matters any more.
    pub fn is_past(&self, now: Timestamp) -> bool {
        self.part.is_none_or(|(hour, _)| hour < Hour::of(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: [u8; 32] = [7; 32];
    const HOUR: u32 = 490_000;

    fn at(minute: u64) -> Timestamp {
        Timestamp::from_millis(Hour::from_number(HOUR).start().millis() + minute * 60_000)
    }

    fn known(rules: &ProofRules, up: Option<Timestamp>, concluded: Option<Timestamp>) -> Known<'_> {
        let worker = WorkerId::from_bits(5);
        let appointed = Appointed::default();
        Known { rules, secret: &SECRET, worker, up_since: up, concluded, appointed }
    }

    fn long_ago() -> Timestamp {
        Timestamp::from_millis(at(0).millis() - 7_200_000)
    }

    #[test]
    fn a_machine_is_called_at_its_two_moments_and_not_between() {
        let rules = ProofRules::default();
        let old = Some(long_ago());
        let fresh = Calls::default();
        let first = rules.due(&SECRET, WorkerId::from_bits(5), Hour::of(at(0)), Call::First);
        let last = rules.due(&SECRET, WorkerId::from_bits(5), Hour::of(at(0)), Call::Last);
        assert_eq!(fresh.due(&known(&rules, old, old), at(0)), Err(first));
        assert_eq!(fresh.due(&known(&rules, old, old), first), Ok(Call::First));
        assert_eq!(fresh.due(&known(&rules, old, old), at(39)), Ok(Call::First), "it was away");
        assert_eq!(fresh.due(&known(&rules, old, Some(first)), at(39)), Err(last));
        assert_eq!(fresh.due(&known(&rules, old, Some(first)), last), Ok(Call::Last));
        assert_eq!(fresh.due(&known(&rules, old, Some(last)), at(59)), Err(at(60)));
    }

    #[test]
    fn who_has_an_appointment_is_called_at_its_instant() {
        let rules = ProofRules::default();
        let old = Some(long_ago());
        let appointed = Appointed { first: None, last: Some(at(47)) };
        let known = Known { appointed, ..known(&rules, old, Some(at(5))) };
        let fresh = Calls::default();
        for minute in [39, 46] {
            assert_eq!(fresh.due(&known, at(minute)), Err(at(47)));
        }
        assert_eq!(fresh.due(&known, at(47)), Ok(Call::Last));
    }

    #[test]
    fn who_has_just_come_is_called_at_once_and_once() {
        let rules = ProofRules::default();
        let fresh = Calls::default();
        assert_eq!(fresh.due(&known(&rules, Some(at(0)), None), at(0)), Ok(Call::First));
        let back = known(&rules, Some(at(0)), Some(long_ago()));
        assert_eq!(fresh.due(&back, at(0)), Ok(Call::First));
        let proved = known(&rules, Some(at(0)), Some(at(0)));
        assert!(fresh.due(&proved, at(1)).is_err());
    }

    #[test]
    fn what_came_to_nothing_is_tried_again_a_few_times() {
        let rules = ProofRules::default();
        let known = known(&rules, Some(at(0)), None);
        let mut calls = Calls::default();
        let mut now = at(0);
        for wait in [1, 3, 9] {
            assert_eq!(calls.due(&known, now), Ok(Call::First));
            calls.called(Call::First, now);
            calls.ended(now);
            let again = Timestamp::from_millis(now.millis() + wait * 60_000);
            assert!(calls.due(&known, now).is_err_and(|at| at > now && at <= again));
            now = again;
        }
        assert_eq!(calls.due(&known, now), Ok(Call::First));
        calls.called(Call::First, now);
        let last = known.turn(at(39));
        assert!(calls.due(&known, at(39)).is_err(), "enough was tried");
        assert_eq!(calls.due(&known, last), Ok(Call::Last), "the last call is another");
        assert!(!calls.is_past(at(59)) && calls.is_past(at(60)));
    }
}
