//! How many handshakes are worked on: each costs four multiplications on the curve, so strangers may not ask for many.
//!
//! # Invariants
//! - Under load ([`Limiter::under_load`]) only senders that showed a cookie are worked on, and each of them only at
//!   [`PER_SECOND`] with a burst of [`BURST`].
//! - The table of senders has an end: when it is full, an unknown sender is refused until the table is swept.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use units::Timestamp;

/// Handshakes per second that one sender gets once it is known. As in Linux.
pub const PER_SECOND: u64 = 20;
/// How many it gets at once. As in Linux.
pub const BURST: u64 = 5;
/// From how many handshakes per second, of all senders, cookies are asked for: a tenth of one core's work.
pub const LOAD_PER_SECOND: u32 = 400;
/// How many senders are remembered: 4 MB at most.
pub const SENDERS_MAX: usize = 32_768;

const COST_MILLIS: u64 = 1000 / PER_SECOND;
const CAPACITY_MILLIS: u64 = COST_MILLIS * BURST;
const SWEEP_EVERY: Duration = Duration::from_secs(1);

/// Counts handshakes by sender and in all.
#[derive(Debug, Default)]
pub(crate) struct Limiter {
    senders: BTreeMap<IpAddr, Bucket>,
    second: Option<Timestamp>,
    in_second: u32,
    loaded_until: Timestamp,
}

#[derive(Debug)]
struct Bucket {
    credit_millis: u64,
    at: Timestamp,
}

impl Limiter {
    /// Counts one handshake. True if there are so many that cookies must be asked for.
    pub(crate) fn under_load(&mut self, now: Timestamp) -> bool {
        if self.second.is_none_or(|second| now.since(second) >= SWEEP_EVERY) {
            self.second = Some(now);
            self.in_second = 0;
            self.senders.retain(|_, bucket| now.since(bucket.at) < SWEEP_EVERY);
        }
        self.in_second = self.in_second.saturating_add(1);
        if self.in_second > LOAD_PER_SECOND {
            self.loaded_until = now.after(SWEEP_EVERY);
        }
        now < self.loaded_until
    }

    /// Whether `sender` may have one more handshake worked on.
    pub(crate) fn admit(&mut self, sender: IpAddr, now: Timestamp) -> bool {
        let sender = neighborhood(sender);
        if self.senders.len() >= SENDERS_MAX && !self.senders.contains_key(&sender) {
            return false;
        }
        let full = Bucket { credit_millis: CAPACITY_MILLIS, at: now };
        let bucket = self.senders.entry(sender).or_insert(full);
        let passed = u64::try_from(now.since(bucket.at).as_millis()).unwrap_or(u64::MAX);
        bucket.credit_millis = bucket.credit_millis.saturating_add(passed).min(CAPACITY_MILLIS);
        bucket.at = now;
        let admitted = bucket.credit_millis >= COST_MILLIS;
        if admitted {
            bucket.credit_millis -= COST_MILLIS;
        }
        admitted
    }
}

/// Whoever has one IPv6 address has the whole /64.
fn neighborhood(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(_) => ip,
        IpAddr::V6(v6) => IpAddr::V6((v6.to_bits() >> 64 << 64).into()),
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use super::*;

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_millis(1_000_000 + millis)
    }

    #[test]
    fn a_sender_gets_a_burst_and_then_its_share() {
        let mut limiter = Limiter::default();
        let sender = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let admitted = |limiter: &mut Limiter, from, until| -> u64 {
            (from..until).map(|millis| u64::from(limiter.admit(sender, at(millis)))).sum()
        };
        assert_eq!(admitted(&mut limiter, 0, 1), 1);
        assert_eq!((0..20).filter(|_| limiter.admit(sender, at(0))).count() as u64, BURST - 1);
        assert_eq!(admitted(&mut limiter, 0, 10_000), 10 * PER_SECOND - 1);
    }

    #[test]
    fn who_has_one_ipv6_address_has_its_neighbors_too() {
        let mut limiter = Limiter::default();
        let neighbor = |low| IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, low));
        let admitted = (0..100).filter(|low| limiter.admit(neighbor(*low), at(0))).count() as u64;
        assert_eq!(admitted, BURST);
        assert!(limiter.admit(IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 1, 0, 0, 0, 1)), at(0)));
    }

    #[test]
    fn the_table_of_senders_has_an_end_and_is_swept() {
        let mut limiter = Limiter::default();
        let sender = |number: usize| -> IpAddr {
            Ipv4Addr::from_bits(u32::try_from(number).expect("a small table")).into()
        };
        assert!((0..SENDERS_MAX).all(|number| limiter.admit(sender(number), at(0))));
        assert!(!limiter.admit(sender(SENDERS_MAX), at(0)));
        assert!(limiter.admit(sender(0), at(0)), "who is known already is not kept out");
        limiter.under_load(at(5_000));
        assert!(limiter.admit(sender(SENDERS_MAX), at(5_000)));
    }

    #[test]
    fn load_is_seen_and_passes() {
        let mut limiter = Limiter::default();
        let loaded =
            (0..=LOAD_PER_SECOND).map(|_| limiter.under_load(at(0))).filter(|loaded| *loaded);
        assert_eq!(loaded.count(), 1);
        assert!(limiter.under_load(at(900)));
        assert!(!limiter.under_load(at(2_000)));
    }
}
