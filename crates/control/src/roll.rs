//! Who is alive. Beats are kept in memory: only what they change becomes a command.
//!
//! # Invariants
//! - A worker is silent only after [`SILENCE_MAX`] without a beat, counted from when this roll first knew of it.
//! - A beat that is older than one already heard changes nothing.

use std::collections::BTreeMap;

use units::{Timestamp, WorkerId};

use crate::limits::SILENCE_MAX;

/// What a beat means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Beat {
    /// It was overtaken by a newer one.
    Stale,
    /// Nothing is new.
    Same,
    /// The worker is back, or says something new: tell the brain, then [`Roll::on_told`].
    News {
        /// Whether it was silent before.
        back: bool,
    },
}

#[derive(Clone, Copy, Debug)]
struct Pulse {
    heard: Timestamp,
    /// The number of the last beat; a new session of the agent starts higher.
    number: u64,
    /// What it said when the brain was last told, if the brain was.
    told: Option<u64>,
    up: bool,
}

/// The pulse of every worker: 48 bytes each, and one place in the agenda.
#[derive(Clone, Debug, Default)]
pub struct Roll {
    pulses: BTreeMap<WorkerId, Pulse>,
    /// How many of them are up, counted as they change: everyone asks, and there may be a million.
    up: usize,
    /// When to look whose pulse is too old, in seconds. A worker that has spoken since is looked at again later.
    agenda: BTreeMap<u64, Vec<WorkerId>>,
}

impl Roll {
    /// A worker that the brain holds to be up, or not, when this roll begins. It has the whole of
    /// [`SILENCE_MAX`] to speak; one that does not was last heard at `heard`, before the roll began, so that the
    /// control plane's own absence is not paid to a machine that was gone too.
    pub fn know(&mut self, worker: WorkerId, up: bool, heard: Timestamp, now: Timestamp) {
        self.forget(worker);
        self.pulses.insert(worker, Pulse { heard, number: 0, told: None, up });
        self.up += usize::from(up);
        if up {
            self.look_later(worker, now);
        }
    }

    /// A worker that left.
    pub fn forget(&mut self, worker: WorkerId) {
        let gone = self.pulses.remove(&worker);
        self.up -= usize::from(gone.is_some_and(|pulse| pulse.up));
    }

    /// A worker spoke: beat `number`, with something that hashes to `said`.
    pub fn on_beat(&mut self, worker: WorkerId, number: u64, said: u64, now: Timestamp) -> Beat {
        let known = self.pulses.entry(worker).or_insert(Pulse {
            heard: now,
            number: 0,
            told: None,
            up: false,
        });
        if number <= known.number {
            return Beat::Stale;
        }
        known.number = number;
        known.heard = known.heard.max(now);
        let back = !known.up;
        if back || known.told != Some(said) { Beat::News { back } } else { Beat::Same }
    }

    /// The brain knows what this worker said.
    pub fn on_told(&mut self, worker: WorkerId, said: u64) {
        let Some(pulse) = self.pulses.get_mut(&worker) else { return };
        pulse.told = Some(said);
        if !pulse.up {
            pulse.up = true;
            self.up += 1;
            let heard = pulse.heard;
            self.look_later(worker, heard);
        }
    }

    /// When [`Roll::on_wake`] next has something to look at.
    pub fn wake_at(&self) -> Option<Timestamp> {
        self.agenda.keys().next().map(|second| Timestamp::from_millis(second.saturating_mul(1000)))
    }

    /// The workers that have fallen silent, each with when it was last heard. They are held silent from now on.
    pub fn on_wake(&mut self, now: Timestamp) -> Vec<(WorkerId, Timestamp)> {
        let mut silent = Vec::new();
        while let Some(entry) =
            self.agenda.first_entry().filter(|entry| entry.key() * 1000 <= now.millis())
        {
            for worker in entry.remove() {
                let Some(pulse) = self.pulses.get_mut(&worker).filter(|pulse| pulse.up) else {
                    continue;
                };
                if now.since(pulse.heard) > SILENCE_MAX {
                    pulse.up = false;
                    self.up -= 1;
                    pulse.told = None;
                    silent.push((worker, pulse.heard));
                } else {
                    let heard = pulse.heard;
                    self.look_later(worker, heard);
                }
            }
        }
        silent
    }

    /// How many workers speak.
    pub const fn up(&self) -> usize {
        self.up
    }

    /// When a worker was last heard.
    pub fn heard(&self, worker: WorkerId) -> Option<Timestamp> {
        self.pulses.get(&worker).map(|pulse| pulse.heard)
    }

    fn look_later(&mut self, worker: WorkerId, heard: Timestamp) {
        let second = heard.after(SILENCE_MAX).millis() / 1000 + 1;
        self.agenda.entry(second).or_default().push(worker);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_millis(0).after(Duration::from_secs(seconds))
    }

    #[test]
    fn a_worker_is_silent_only_after_its_time() {
        let (mut roll, worker) = (Roll::default(), WorkerId::from_bits(1));
        assert_eq!(roll.on_beat(worker, 1, 7, at(0)), Beat::News { back: true });
        roll.on_told(worker, 7);
        assert_eq!(roll.on_beat(worker, 2, 7, at(20)), Beat::Same);
        assert_eq!((roll.on_wake(at(40)), roll.up()), (vec![], 1));
        assert_eq!(roll.on_wake(at(57)), [(worker, at(20))]);
        assert_eq!((roll.on_wake(at(99)), roll.up()), (vec![], 0), "it is told once");
        assert_eq!(roll.on_beat(worker, 3, 7, at(100)), Beat::News { back: true });
    }

    #[test]
    fn a_machine_that_died_while_nobody_listened_was_heard_before_that() {
        let (mut roll, gone, there) =
            (Roll::default(), WorkerId::from_bits(1), WorkerId::from_bits(2));
        roll.know(gone, true, at(0), at(600));
        roll.know(there, true, at(0), at(600));
        assert_eq!(roll.on_wake(at(634)), [], "it may still speak");
        assert_eq!(roll.on_beat(there, 1, 7, at(634)), Beat::News { back: false });
        assert_eq!(roll.on_wake(at(640)), [(gone, at(0))]);
    }

    #[test]
    fn an_overtaken_beat_says_nothing() {
        let (mut roll, worker) = (Roll::default(), WorkerId::from_bits(1));
        roll.know(worker, true, at(0), at(0));
        assert_eq!(roll.on_beat(worker, 9, 7, at(1)), Beat::News { back: false });
        assert_eq!(roll.on_beat(worker, 8, 6, at(2)), Beat::Stale);
        assert_eq!(
            roll.on_beat(worker, 10, 7, at(3)),
            Beat::News { back: false },
            "the brain was not told"
        );
    }
}
