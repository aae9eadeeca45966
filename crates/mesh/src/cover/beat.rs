//! Level 3: one packet per beat, whether there is one to send or not (as in Tamaraw, Cai et al. 2014).
//!
//! # Invariants
//! - Two packets are a beat apart or more.
//! - It ends only when nothing was sent or heard for [`QUIET_AFTER`], and after a number of beats that is a multiple of
//!   [`BEATS_TOGETHER`]: how much was really sent shows only in such steps.

use std::time::Duration;

use units::Timestamp;

/// How far apart packets are. Fifty a second of 1,420 bytes are 0.6 Mbit/s each way: enough for what steers machines,
/// cheap enough to leave on.
pub const BEAT: Duration = Duration::from_millis(20);
/// How long after the last packet the beat goes on.
pub const QUIET_AFTER: Duration = Duration::from_secs(10);
/// It ends after a multiple of so many beats: ten seconds' worth.
pub const BEATS_TOGETHER: u64 = 500;
/// Beats that were missed beyond this many are not made up for: the machine slept.
const BEHIND_MAX: u32 = 3;

/// When packets leave.
#[derive(Debug, Default)]
pub(crate) struct Beat {
    next_at: Option<Timestamp>,
    beats: u64,
    last_wanted: Timestamp,
}

impl Beat {
    /// Something is to be sent, or was heard.
    pub(crate) fn on_wanted(&mut self, now: Timestamp) {
        self.last_wanted = self.last_wanted.max(now);
        if self.next_at.is_none() {
            (self.next_at, self.beats) = (Some(now), 0);
        }
    }

    /// When a packet leaves next.
    pub(crate) const fn wake_at(&self) -> Option<Timestamp> {
        self.next_at
    }

    /// Whether a packet leaves now. `empty`: nothing waits.
    pub(crate) fn on_wake(&mut self, empty: bool, now: Timestamp) -> bool {
        let Some(at) = self.next_at.filter(|at| *at <= now) else { return false };
        let is_quiet = empty && now.since(self.last_wanted) >= QUIET_AFTER;
        if is_quiet && self.beats.is_multiple_of(BEATS_TOGETHER) {
            self.next_at = None;
            return false;
        }
        self.beats += 1;
        let far_behind = now.since(at) > BEAT * BEHIND_MAX;
        self.next_at = Some(if far_behind { now } else { at }.after(BEAT));
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_millis(1_000_000 + millis)
    }

    #[test]
    fn it_beats_evenly_while_wanted_and_ends_at_a_round_number() {
        let (mut beat, mut beats) = (Beat::default(), Vec::new());
        beat.on_wanted(at(0));
        for millis in 0..60_000 {
            if millis == 3_333 {
                beat.on_wanted(at(millis));
            }
            if beat.on_wake(true, at(millis)) {
                beats.push(millis);
            }
        }
        assert!(beats.windows(2).all(|pair| pair[1] - pair[0] == 20), "{beats:?}");
        assert_eq!(beats.len() as u64 % BEATS_TOGETHER, 0);
        assert_eq!(beats.len(), 1000, "it was quiet from 13,333 on");
        assert_eq!(beat.wake_at(), None);
    }

    #[test]
    fn who_slept_makes_up_for_little() {
        let mut beat = Beat::default();
        beat.on_wanted(at(0));
        assert!(beat.on_wake(false, at(0)));
        let made_up = (0..100).filter(|_| beat.on_wake(false, at(5_000))).count();
        assert_eq!(made_up, 1);
        assert_eq!(beat.wake_at(), Some(at(5_020)));
    }
}
