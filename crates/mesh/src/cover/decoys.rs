//! Level 2: when to add a packet that means nothing, and when to hold packets back a little.
//!
//! Three small machines, after those that Maybenot's defenses are made of (Pulls, Witwer 2023):
//! - *echo*: something came, so something may be sent soon after: who asks and who answers look more alike;
//! - *tail*: something was sent, so some more may follow, with pauses as within bursts: where one ends does not show;
//! - *hold*: what follows may wait a moment: gaps are not those of who sends.
//!
//! How likely and how long is drawn for each peer and session of ours, so that no two look alike.
//!
//! # Invariants
//! - Decoys have at most [`DECOYS_PERCENT`] in a hundred of the packets' bytes, beyond [`DECOYS_FREE`] decoys.
//! - No hold is longer than [`HOLD_MAX`], and between two is nine times as long as the first.

use std::time::Duration;

use units::Timestamp;

use super::{DECOYS_FREE, DECOYS_PERCENT, HOLD_MAX};
use crate::entropy::Entropy;

/// After a hold nothing is held for so many times as long: a tenth of the time at most.
const REST: u32 = 9;
/// Decoys that wait for their moment.
const DUE_MAX: usize = 32;
/// Shares are of so much.
const WHOLE: u32 = 1 << 16;

/// The machines of one peer, and what they want next.
#[derive(Debug)]
pub struct Decoys {
    chance: Chance,
    habits: Habits,
    /// Moments of decoys, in no order.
    due: Vec<Timestamp>,
    /// How many more the tail has, and when the next is due.
    tail: Option<(u32, Timestamp)>,
    held_until: Option<Timestamp>,
    rest_until: Timestamp,
    /// Bytes of packets, and of decoys, that were sent; and how long one decoy is.
    sent: u64,
    decoyed: u64,
    decoy_len: u64,
}

/// What makes one peer's machines its own: likelihoods in 65,536 parts, and spans.
#[derive(Clone, Copy, Debug)]
struct Habits {
    echoes: u32,
    echo_millis: u32,
    tails: u32,
    tail_max: u32,
    pause_millis: u32,
    holds: u32,
}

impl Decoys {
    /// Machines with habits of their own, drawn from `seed`, for decoys of `decoy_len` bytes.
    pub fn new(seed: [u8; 32], decoy_len: usize, now: Timestamp) -> Self {
        let mut chance = Chance { entropy: Entropy::new(seed), pool: [0; 32], used: 32 };
        let habits = Habits {
            echoes: chance.between(WHOLE / 20, WHOLE / 5),
            echo_millis: chance.between(2, 20),
            tails: chance.between(WHOLE / 10, WHOLE * 2 / 5),
            tail_max: chance.between(2, 10),
            pause_millis: chance.between(2, 40),
            holds: chance.between(WHOLE / 50, WHOLE * 2 / 25),
        };
        Self {
            chance,
            habits,
            due: Vec::new(),
            tail: None,
            held_until: None,
            rest_until: now,
            sent: 0,
            decoyed: 0,
            decoy_len: decoy_len as u64,
        }
    }

    /// Packets leave, `bytes` long together.
    pub fn on_sent(&mut self, bytes: usize, now: Timestamp) {
        self.sent += bytes as u64;
        if self.chance.says(self.habits.tails) {
            let left = self.chance.between(1, self.habits.tail_max);
            self.tail = Some((left, now.after(self.pause())));
        }
        if self.held_until.is_none()
            && now >= self.rest_until
            && self.chance.says(self.habits.holds)
        {
            let span = self.chance.millis(1, HOLD_MAX.as_millis());
            let until = now.after(span);
            (self.held_until, self.rest_until) = (Some(until), until.after(span * REST));
        }
    }

    /// Packets came.
    pub fn on_heard(&mut self, now: Timestamp) {
        if self.due.len() < DUE_MAX && self.chance.says(self.habits.echoes) {
            let span = self.chance.millis(0, self.habits.echo_millis.into());
            self.due.push(now.after(span));
        }
    }

    /// Whether packets are to wait.
    pub fn holds(&self, now: Timestamp) -> bool {
        self.held_until.is_some_and(|until| now < until)
    }

    /// When [`Decoys::on_wake`] next has something to do.
    pub fn wake_at(&self) -> Option<Timestamp> {
        let tail = self.tail.map(|(_, at)| at);
        let decoys = self.due.iter().copied().chain(tail).min();
        // While it holds, decoys wait like all else.
        self.held_until.or(decoys)
    }

    /// Does what is due, and says how many decoys are to leave.
    pub fn on_wake(&mut self, now: Timestamp) -> usize {
        if self.holds(now) {
            return 0;
        }
        self.held_until = None;
        let waiting = self.due.len();
        self.due.retain(|at| now < *at);
        let mut wanted = waiting - self.due.len();
        if let Some((left, _)) = self.tail.take_if(|(_, at)| *at <= now) {
            wanted += 1;
            self.tail = left.checked_sub(1).filter(|left| *left > 0).map(|left| {
                let pause = self.pause();
                (left, now.after(pause))
            });
        }
        (0..wanted).filter(|_| self.may_decoy()).count()
    }

    /// Bytes of packets and bytes of decoys that were sent so far.
    pub const fn carried(&self) -> (u64, u64) {
        (self.sent, self.decoyed)
    }

    fn may_decoy(&mut self) -> bool {
        let most = self.sent * DECOYS_PERCENT / 100 + DECOYS_FREE * self.decoy_len;
        let may = self.decoyed + self.decoy_len <= most;
        if may {
            self.decoyed += self.decoy_len;
        }
        may
    }

    /// Pauses spread over four doublings, as those within bursts do.
    fn pause(&mut self) -> Duration {
        let doublings = self.chance.between(0, 4);
        let longest = self.habits.pause_millis << doublings;
        self.chance.millis(1, u128::from(longest) + 1)
    }
}

/// Chance, some bytes at a time: a draw of [`Entropy`] for every packet would cost as much as sealing it.
#[derive(Debug)]
struct Chance {
    entropy: Entropy,
    pool: [u8; 32],
    used: usize,
}

impl Chance {
    /// A number below 65,536.
    fn draw(&mut self) -> u32 {
        if self.used == self.pool.len() {
            (self.pool, self.used) = (self.entropy.draw(), 0);
        }
        let at = self.used;
        self.used += 2;
        u16::from_le_bytes([self.pool[at], self.pool[at + 1]]).into()
    }

    fn says(&mut self, likelihood: u32) -> bool {
        self.draw() < likelihood
    }

    /// From `low` to `high`, both included.
    fn between(&mut self, low: u32, high: u32) -> u32 {
        let span = u64::from(high.saturating_sub(low)) + 1;
        let share = span * u64::from(self.draw()) / u64::from(WHOLE);
        low.saturating_add(u32::try_from(share).unwrap_or_default())
    }

    fn millis(&mut self, low: u32, high: u128) -> Duration {
        let high = u32::try_from(high).unwrap_or(u32::MAX);
        Duration::from_millis(self.between(low, high).into())
    }
}
