//! When things happen that nobody asks for: renewing, repeating, giving up, keeping alive.

use std::time::Duration;

/// The spans of WireGuard's state machine. The default is the protocol's; tests shorten them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// After which age the end that asked for a session asks for the next.
    pub rekey_after: Duration,
    /// At which age a session is dead.
    pub reject_after: Duration,
    /// How long to wait for an answer before asking again.
    pub rekey_timeout: Duration,
    /// How long to go on asking.
    pub rekey_attempt: Duration,
    /// How long to stay silent after hearing something, before saying that we are here.
    pub keepalive: Duration,
    /// By up to how much asking again is delayed, so that two nodes do not stay in step.
    pub jitter_max: Duration,
    /// How soon at least the brain looks again at peers with a session: what the threads did reaches it by looking.
    pub look_every: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            rekey_after: Duration::from_secs(120),
            reject_after: Duration::from_secs(180),
            rekey_timeout: Duration::from_secs(5),
            rekey_attempt: Duration::from_secs(90),
            keepalive: Duration::from_secs(10),
            jitter_max: Duration::from_millis(333),
            look_every: Duration::from_secs(1),
        }
    }
}

impl Timing {
    /// The protocol's spans divided by `factor`, for tests that must see a session renewed.
    #[must_use]
    pub fn faster(factor: u32) -> Self {
        let full = Self::default();
        let factor = factor.max(1);
        Self {
            rekey_after: full.rekey_after / factor,
            reject_after: full.reject_after / factor,
            rekey_timeout: full.rekey_timeout / factor,
            rekey_attempt: full.rekey_attempt / factor,
            keepalive: full.keepalive / factor,
            jitter_max: full.jitter_max / factor,
            look_every: full.look_every / factor,
        }
    }
}
