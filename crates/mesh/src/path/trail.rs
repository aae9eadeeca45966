//! One way to a peer, and what pings have told about it.

use std::time::Duration;

use units::Timestamp;

use super::delivery::{Delivery, Heard};
use super::limits::{
    ENCOURAGE_EVERY, LATE_MAX, PING_ACTIVE, PING_BUSY, PING_LOST_MAX, PING_STANDBY, PING_UNPROVEN,
    PROBES_MAX, PROVEN_PONGS, TIMEOUT_FIRST, TIMEOUT_MAX, TIMEOUT_MIN,
};
use super::way::{Way, WayKind};

/// After how many time-outs in a row a way is left. The second asks twice, so that chance loses no way.
const MISSES_MAX: u32 = 2;
/// Loss is smoothed over about so many round trips.
const LOSS_SAMPLES: u64 = 16;
/// Loss counts this many times: five in a hundred round trips lost double what a way costs.
const LOSS_WEIGHT: u64 = 20;
/// Round trips that differ by less than this say nothing: machines are busy now and then.
const RTT_NOISE_MICROS: u64 = 10_000;
/// A way that stopped before is taken for one that loses so much, each time, until it shows that it does not.
const DISTRUST_BP: u64 = 250;
/// As above, at most.
const DISTRUST_MAX_BP: u64 = 2000;
const WHOLE_BP: u64 = 10_000;

/// The round trip of a way that was heard from and not pinged yet: anything that was measured is likely better.
const RTT_ASSUMED_MICROS: u64 = 200_000;

/// How often a way is to be pinged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pace {
    /// It carries.
    Busy,
    /// It is in use, and idle.
    Active,
    /// Another is in use.
    Standby,
    /// Another is in use and missed an answer: this one may be needed in a moment.
    Needed,
    /// It never answered or no longer does, and no other way works either.
    Lost,
}

/// One way to a peer.
#[derive(Clone, Debug)]
pub(crate) struct Trail {
    pub(crate) way: Way,
    probes: Vec<Probe>,
    pinged_at: Option<Timestamp>,
    answered_at: Option<Timestamp>,
    /// Smoothed round trip and how much it varies, in microseconds (RFC 6298).
    rtt: Option<(u64, u64)>,
    /// Smoothed loss of round trips, in basis points.
    loss_bp: u64,
    /// Time-outs in a row, and when the last was counted: what was sent before counts no more.
    misses: u32,
    missed_at: Timestamp,
    /// Answers in a row.
    pub(crate) pongs: u32,
    /// Pings since it last answered, or since there was reason to hope.
    tries: u32,
    /// How often it stopped working.
    pub(crate) failures: u32,
    /// When there was last reason to hope.
    encouraged_at: Timestamp,
    delivery: Delivery,
}

/// A ping that waits for an answer.
#[derive(Clone, Copy, Debug)]
struct Probe {
    id: u64,
    sent: Timestamp,
    due: Timestamp,
    overdue: bool,
    /// Whether its way was charged with its loss.
    charged: bool,
    /// How many packets had been sent before, if all of them went this way.
    packets: Option<u64>,
}

impl Trail {
    pub(crate) const fn new(way: Way) -> Self {
        Self {
            way,
            probes: Vec::new(),
            pinged_at: None,
            answered_at: None,
            rtt: None,
            loss_bp: 0,
            misses: 0,
            missed_at: Timestamp::from_millis(0),
            pongs: 0,
            tries: 0,
            failures: 0,
            encouraged_at: Timestamp::from_millis(0),
            delivery: Delivery::new(),
        }
    }

    /// Whether it answered, and has not stopped.
    pub(crate) const fn is_alive(&self) -> bool {
        self.answered_at.is_some() && self.misses < MISSES_MAX
    }

    /// Whether an answer is missing.
    pub(crate) const fn is_in_doubt(&self) -> bool {
        self.misses > 0
    }

    /// What it costs to use it, if it works: the round trip in microseconds, times loss and kind. Only to compare.
    pub(crate) fn cost(&self) -> Option<u64> {
        if !self.is_alive() {
            return None;
        }
        let rtt = self.rtt.map_or(RTT_ASSUMED_MICROS, |(rtt, _)| rtt);
        let loss_bp = self.loss_bp.max(self.delivery.loss_bp());
        // A relay is somebody's money, a stream stalls whole: each must be that much quicker to be worth it.
        let kind = match self.way.kind() {
            WayKind::Direct => 100,
            WayKind::Relayed | WayKind::Hop => 150,
            WayKind::Stream => 300,
        };
        Some((rtt + RTT_NOISE_MICROS).saturating_mul(kind * (WHOLE_BP + LOSS_WEIGHT * loss_bp)))
    }

    /// The round trip, if one was seen.
    pub(crate) fn round_trip(&self) -> Option<Duration> {
        self.rtt.map(|(rtt, _)| Duration::from_micros(rtt))
    }

    /// How many round trips in ten thousand are lost.
    pub(crate) fn loss_bp(&self) -> u16 {
        u16::try_from(self.loss_bp.min(WHOLE_BP)).unwrap_or(u16::MAX)
    }

    /// How much arrived per second when it last carried much.
    pub(crate) const fn bytes_per_second(&self) -> Option<u64> {
        self.delivery.bytes_per_second()
    }

    /// There is reason to try it anew: it was named again, or the peer was heard from there.
    pub(crate) fn encourage(&mut self, now: Timestamp) {
        let rested = now.since(self.encouraged_at) >= ENCOURAGE_EVERY;
        if rested && !self.is_alive() && self.tries > 1 {
            (self.tries, self.pinged_at, self.encouraged_at) = (0, None, now);
        }
    }

    /// The peer was heard this way by something that cannot be told twice. Proves it until pings know better.
    pub(crate) fn on_heard(&mut self, now: Timestamp) {
        if !self.is_alive() {
            (self.answered_at, self.misses, self.tries) = (Some(now), 0, 0);
        }
    }

    /// An answer came. False if it answers nothing of ours.
    pub(crate) fn on_pong(&mut self, id: u64, heard: Heard, now: Timestamp) -> bool {
        let Some(at) = self.probes.iter().position(|probe| probe.id == id) else { return false };
        let probe = self.probes.remove(at);
        let sample = u64::try_from(now.since(probe.sent).as_micros()).unwrap_or(u64::MAX);
        self.rtt = Some(match self.rtt.filter(|_| self.is_alive()) {
            None => (sample, sample / 2),
            Some((rtt, var)) => ((7 * rtt + sample) / 8, (3 * var + rtt.abs_diff(sample)) / 4),
        });
        if !self.is_alive() {
            self.begin();
        } else if probe.charged {
            // It was late, which its round trip says.
            self.loss_bp = self.loss_bp.saturating_sub(WHOLE_BP / LOSS_SAMPLES);
        } else if !probe.overdue {
            self.count_loss(false);
        }
        match probe.packets {
            Some(packets) => self.delivery.on_told(packets, heard, now),
            None => self.delivery.pause(),
        }
        (self.misses, self.tries) = (0, 0);
        self.pongs = self.pongs.saturating_add(1);
        self.answered_at = Some(now);
        true
    }

    /// Takes note of answers that are overdue. True if this is how it stopped working.
    pub(crate) fn expire(&mut self, now: Timestamp) -> bool {
        self.delivery.on_wake(now);
        self.probes.retain(|probe| now.since(probe.sent) < LATE_MAX);
        let was_alive = self.is_alive();
        let (mut newly, mut missed) = (0, false);
        for probe in self.probes.iter_mut().filter(|probe| !probe.overdue && now >= probe.due) {
            (probe.overdue, probe.charged) = (true, was_alive);
            newly += 1;
            let answered_since = self.answered_at.is_some_and(|at| at > probe.sent);
            missed |= probe.sent >= self.missed_at && !answered_since;
        }
        if was_alive {
            (0..newly).for_each(|_| self.count_loss(true));
        }
        if !missed {
            return false;
        }
        (self.misses, self.missed_at, self.pongs) = (self.misses.saturating_add(1), now, 0);
        let stopped = was_alive && !self.is_alive();
        if stopped {
            (self.tries, self.failures) = (0, self.failures.saturating_add(1));
        }
        stopped
    }

    /// How many pings to send.
    pub(crate) fn pings_due(&self, pace: Pace, now: Timestamp) -> usize {
        // A first time-out is asked about at once, and twice.
        let asked = self.pinged_at.is_some_and(|at| at >= self.missed_at);
        let suspect = self.is_alive() && self.misses == 1 && !asked;
        if suspect { 2 } else { usize::from(now >= self.ping_at(pace)) }
    }

    /// A ping goes out.
    pub(crate) fn on_pinged(&mut self, id: u64, packets: Option<u64>, now: Timestamp) {
        if self.probes.len() >= PROBES_MAX {
            self.probes.remove(0);
        }
        let due = now.after(self.timeout());
        self.probes.push(Probe { id, sent: now, due, overdue: false, charged: false, packets });
        self.pinged_at = Some(now);
        self.tries = self.tries.saturating_add(1);
    }

    /// When it next has something to do.
    pub(crate) fn wake_at(&self, pace: Option<Pace>) -> Option<Timestamp> {
        let ping_at = pace.map(|pace| self.ping_at(pace));
        [self.waits_until(), ping_at].into_iter().flatten().min()
    }

    fn waits_until(&self) -> Option<Timestamp> {
        self.probes.iter().filter(|probe| !probe.overdue).map(|probe| probe.due).min()
    }

    fn ping_at(&self, pace: Pace) -> Timestamp {
        let Some(pinged_at) = self.pinged_at else { return Timestamp::default() };
        let every = match pace {
            _ if !self.is_alive() => self.unproven_every(pace),
            Pace::Busy => PING_BUSY,
            Pace::Active if self.pongs < PROVEN_PONGS => PING_UNPROVEN,
            Pace::Active | Pace::Lost => PING_ACTIVE,
            Pace::Needed => PING_UNPROVEN,
            Pace::Standby if self.pongs < PROVEN_PONGS => PING_UNPROVEN,
            Pace::Standby => PING_STANDBY,
        };
        pinged_at.after(every)
    }

    fn unproven_every(&self, pace: Pace) -> Duration {
        let most = if pace == Pace::Lost { PING_LOST_MAX } else { PING_STANDBY };
        let doublings = self.tries.saturating_sub(1).min(10);
        (PING_UNPROVEN * (1 << doublings)).min(most)
    }

    fn timeout(&self) -> Duration {
        let Some((rtt, var)) = self.rtt else { return TIMEOUT_FIRST };
        Duration::from_micros(rtt + 4 * var + 50_000).clamp(TIMEOUT_MIN, TIMEOUT_MAX)
    }

    fn count_loss(&mut self, lost: bool) {
        let sample = if lost { WHOLE_BP } else { 0 };
        self.loss_bp = ((LOSS_SAMPLES - 1) * self.loss_bp + sample) / LOSS_SAMPLES;
    }

    /// It works from here on. What was asked before says nothing of it: no NAT may have let it in.
    fn begin(&mut self) {
        self.loss_bp = (u64::from(self.failures) * DISTRUST_BP).min(DISTRUST_MAX_BP);
        self.probes.iter_mut().for_each(|probe| probe.overdue = true);
    }
}
