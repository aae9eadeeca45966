//! Where sessions wait for each other: their walks begin when the memory of all of them is full.
//!
//! One memory can be shown twice, one time after the other. It cannot be full twice.
//!
//! # Invariants
//! - Nobody waits longer than the hold, whoever is absent, slow, or gone.
//! - Whoever is let go together has the same number, and a number is given once.

use std::collections::BTreeMap;

/// A session's id.
pub type SessionId = [u8; 16];

/// How far a session is. Times are milliseconds of any clock that does not run backward.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// It is under way.
    Coming,
    /// Its memory is full since then.
    Waiting(u64),
    /// It was let go with those of the same number.
    Past(u32),
    /// It will not come.
    Gone,
}

/// The gate of one barrier.
#[derive(Clone, Debug)]
pub struct Gate {
    expected: usize,
    closes_ms: u64,
    hold_ms: u64,
    places: BTreeMap<SessionId, Place>,
    numbers: u32,
}

impl Gate {
    /// A gate for so many sessions, which enter until it closes; whose memory is full waits no longer than the hold.
    pub fn new(expected: usize, closes_ms: u64, hold_ms: u64) -> Self {
        Self { expected, closes_ms, hold_ms, places: BTreeMap::new(), numbers: 0 }
    }

    /// A session has begun.
    pub fn enter(&mut self, session: SessionId) {
        self.places.entry(session).or_insert(Place::Coming);
    }

    /// Its memory is full.
    pub fn on_full(&mut self, session: SessionId, now_ms: u64) {
        let place = self.places.entry(session).or_insert(Place::Coming);
        if *place == Place::Coming {
            *place = Place::Waiting(now_ms);
        }
    }

    /// It is over.
    pub fn on_over(&mut self, session: SessionId) {
        if let Some(place) = self.places.get_mut(&session) {
            *place = match *place {
                Place::Coming | Place::Waiting(_) | Place::Gone => Place::Gone,
                Place::Past(number) => Place::Past(number),
            };
        }
    }

    /// Lets those go that wait, if it is time; whether it did.
    pub fn open(&mut self, now_ms: u64) -> bool {
        let is_time = self.wake_ms().is_some_and(|at| at <= now_ms);
        if is_time {
            self.numbers += 1;
            let waiting = self.places.values_mut().filter(|it| matches!(it, Place::Waiting(_)));
            waiting.for_each(|place| *place = Place::Past(self.numbers));
        }
        is_time
    }

    /// When [`Gate::open`] has something to do, if nothing happens before; `None` while nobody waits.
    pub fn wake_ms(&self) -> Option<u64> {
        let since = |place: &Place| if let Place::Waiting(at) = place { Some(*at) } else { None };
        let first = self.places.values().filter_map(since).min()?;
        let is_coming = self.places.values().any(|place| *place == Place::Coming);
        let all_came = self.places.len() >= self.expected;
        let latest = first.saturating_add(self.hold_ms);
        Some(match (is_coming, all_came) {
            (true, _) => latest,
            (false, true) => first,
            (false, false) => latest.min(self.closes_ms),
        })
    }

    /// The number with which it was let go.
    pub fn number(&self, session: &SessionId) -> Option<u32> {
        match self.places.get(session)? {
            Place::Past(number) => Some(*number),
            Place::Coming | Place::Waiting(_) | Place::Gone => None,
        }
    }

    /// Whether nobody can come or wait any more.
    pub fn is_done(&self, now_ms: u64) -> bool {
        let is_over = |place: &Place| matches!(place, Place::Past(_) | Place::Gone);
        let all_came = self.places.len() >= self.expected;
        (all_came || now_ms >= self.closes_ms) && self.places.values().all(is_over)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: SessionId = [1; 16];
    const B: SessionId = [2; 16];
    const C: SessionId = [3; 16];

    fn gate() -> Gate {
        let mut gate = Gate::new(3, 15_000, 30_000);
        gate.enter(A);
        gate.enter(B);
        gate
    }

    #[test]
    fn all_go_at_one_time_when_the_last_is_full() {
        let mut gate = gate();
        gate.enter(C);
        gate.on_full(A, 1_000);
        gate.on_full(B, 2_000);
        assert!(!gate.open(2_000));
        gate.on_full(C, 9_000);
        assert!(gate.open(9_000) && !gate.open(9_000));
        assert_eq!([A, B, C].map(|it| gate.number(&it)), [Some(1); 3]);
        assert!(gate.is_done(9_000));
    }

    #[test]
    fn who_is_absent_holds_nobody_longer_than_until_the_gate_closes() {
        let mut gate = gate();
        gate.on_full(A, 1_000);
        gate.on_full(B, 2_000);
        assert_eq!(gate.wake_ms(), Some(15_000));
        assert!(gate.open(15_000));
        assert_eq!((gate.number(&A), gate.number(&B)), (Some(1), Some(1)));
    }

    #[test]
    fn who_is_slow_holds_nobody_longer_than_the_hold_and_goes_alone() {
        let mut gate = gate();
        gate.on_full(A, 1_000);
        assert_eq!(gate.wake_ms(), Some(31_000));
        assert!(gate.open(31_000));
        gate.on_full(B, 40_000);
        assert!(gate.open(40_000), "nobody else is to come");
        assert_eq!((gate.number(&A), gate.number(&B)), (Some(1), Some(2)));
    }

    #[test]
    fn who_breaks_off_holds_nobody() {
        let mut gate = gate();
        gate.enter(C);
        gate.on_full(A, 1_000);
        gate.on_full(C, 1_500);
        gate.on_over(C);
        gate.on_over(B);
        assert!(gate.open(2_000) && gate.is_done(2_000));
        assert_eq!((gate.number(&A), gate.number(&B), gate.number(&C)), (Some(1), None, None));
        gate.on_over(A);
        assert_eq!(gate.number(&A), Some(1), "it was let go all the same");
    }
}
