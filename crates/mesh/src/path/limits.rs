//! How often ways are tried, when they are given up, and how many there may be.

use std::time::Duration;

/// Ways to one peer that are known at a time: a call's addresses, some that were heard, relays.
pub const WAYS_MAX: usize = 24;
/// Relays whose ports are bound at a time: two of our own, and those of peers.
pub const RELAYS_MAX: usize = 16;
/// Addresses of our own that are told to peers.
pub const LOCAL_MAX: usize = super::disco::CALLED_MAX;

/// How often the way in use is pinged while it carries: a cut is noticed within this and two time-outs. Four times 100
/// bytes a second are nothing beside what is carried.
pub const PING_BUSY: Duration = Duration::from_millis(250);
/// How often the way in use is pinged while it is idle.
pub const PING_ACTIVE: Duration = Duration::from_secs(2);
/// How often the others are pinged, so that NATs keep them open and their round trips are known.
pub const PING_STANDBY: Duration = Duration::from_secs(15);
/// How soon a way that never answered is tried again, doubling to [`PING_STANDBY`]; and how often those that stand by
/// are tried while the one in use is in doubt.
pub const PING_UNPROVEN: Duration = Duration::from_millis(200);
/// How far apart tries of unproven ways get while no way at all works.
pub const PING_LOST_MAX: Duration = Duration::from_secs(2);

/// How long an answer is waited for at least, and where the round trip is not known, at first.
pub const TIMEOUT_MIN: Duration = Duration::from_millis(100);
/// As above.
pub const TIMEOUT_FIRST: Duration = Duration::from_millis(500);
/// As above, at most: beyond it a way is of no use.
pub const TIMEOUT_MAX: Duration = Duration::from_secs(1);
/// How long a late answer still counts as a sign of life.
pub const LATE_MAX: Duration = Duration::from_secs(3);
/// Pings of one way that wait for an answer.
pub const PROBES_MAX: usize = 8;

/// A peer counts as busy this long after data was sent to it.
pub const BUSY_FOR: Duration = Duration::from_secs(1);
/// Ways are kept up this long after data was carried either way.
pub const AWAKE_FOR: Duration = Duration::from_secs(120);
/// Ways are tried this long after the peer called.
pub const CALLED_FOR: Duration = Duration::from_secs(30);

/// How soon a way that does not answer is tried anew because it was named again: who names ways must not aim us.
pub const ENCOURAGE_EVERY: Duration = Duration::from_secs(2);

/// Calls of one peer that are heard at once; from then on, one every [`CALL_EVERY_MIN`].
pub const CALLS_TOGETHER: u32 = 4;
/// Calls are repeated while there is no direct way, first this soon, doubling to [`CALL_EVERY_MAX`].
pub const CALL_EVERY_MIN: Duration = Duration::from_millis(500);
/// As above.
pub const CALL_EVERY_MAX: Duration = Duration::from_secs(30);

/// How long a chosen way is kept before one that is merely better takes its place.
pub const HOLD: Duration = Duration::from_secs(10);
/// It is kept so many times as long for one that failed as often, at most.
pub const HOLDS_MAX: u32 = 6;
/// How much cheaper than the way in use another must be, in hundredths.
pub const BETTER_PERCENT: u64 = 80;
/// How many answers in a row prove a way well enough to leave one that works.
pub const PROVEN_PONGS: u32 = 2;

/// Pings of one peer that are answered per second, and at once: several ways, several times.
pub const PONGS_PER_SECOND: u32 = 100;
/// A packet up to this length goes all ways under [`super::Policy::Broadcast`].
pub const BROADCAST_LEN_MAX: usize = 256;
/// How many ways carry at once under policies that use several.
pub const TOGETHER_MAX: usize = 4;

const _: () = assert!(
    PING_BUSY.as_millis() + 2 * TIMEOUT_MIN.as_millis() < 1000,
    "a cut way is left within a second where round trips are short"
);
const _: () = assert!(WAYS_MAX > super::disco::CALLED_MAX, "a call leaves room for relays");
