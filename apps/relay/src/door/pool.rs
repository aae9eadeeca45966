//! Which leased port is whose.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use tunnel::ServiceName;

/// The ports that may be leased, and who has which. TCP and UDP each have a pool.
#[derive(Clone, Debug)]
pub(crate) struct Pool {
    range: RangeInclusive<u16>,
    leased: BTreeMap<u16, ServiceName>,
}

/// Why a port was not leased. Checks run in the order of these variants.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoPort {
    /// The relay leases none.
    #[error("this relay leases no ports")]
    NoneHere,
    /// All are taken.
    #[error("all {0} ports of this relay are leased")]
    AllTaken(usize),
    /// The system did not give it, nor any other.
    #[error("the system gives none of the ports")]
    NotGiven,
}

impl Pool {
    /// All ports of the range, free.
    pub(crate) fn new(range: RangeInclusive<u16>) -> Self {
        Self { range, leased: BTreeMap::new() }
    }

    /// The ports that may be tried for this service, best first: the wished one, then from a place that follows from
    /// its name, so that a service that comes back finds the port that it had, here and at every other relay.
    pub(crate) fn candidates(&self, service: &ServiceName, wished: u16) -> Vec<u16> {
        let free = |port: &u16| !self.leased.contains_key(port);
        let all: Vec<u16> = self.range.clone().collect();
        if all.is_empty() {
            return all;
        }
        let start = place_of(service) % all.len();
        let wished = Some(wished).filter(|wished| self.range.contains(wished));
        let (before, after) = all.split_at(start);
        let rest = after.iter().chain(before).copied().filter(|port| Some(*port) != wished);
        wished.into_iter().chain(rest).filter(free).collect()
    }

    /// Why there is no candidate.
    pub(crate) fn refusal(&self) -> NoPort {
        match self.range.clone().count() {
            0 => NoPort::NoneHere,
            count if self.leased.len() == count => NoPort::AllTaken(count),
            _ => NoPort::NotGiven,
        }
    }

    pub(crate) fn lease(&mut self, port: u16, service: ServiceName) {
        let before = self.leased.insert(port, service);
        assert!(before.is_none(), "a port is leased once");
    }

    pub(crate) fn release(&mut self, port: u16) {
        self.leased.remove(&port);
    }

    pub(crate) fn leased(&self) -> usize {
        self.leased.len()
    }
}

/// A number that follows from the name, the same everywhere (FNV-1a, which spreads short names well).
fn place_of(service: &ServiceName) -> usize {
    let hash = service
        .as_str()
        .bytes()
        .fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    usize::try_from(hash).expect("32 bits fit")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> ServiceName {
        text.parse().unwrap()
    }

    #[test]
    fn a_service_that_comes_back_gets_the_port_that_it_had() {
        let mut pool = Pool::new(30_000..=30_099);
        let first = pool.candidates(&name("db-7"), 0)[0];
        pool.lease(first, name("db-7"));
        assert!(!pool.candidates(&name("other"), first).contains(&first), "it is taken");
        pool.release(first);
        assert_eq!(pool.candidates(&name("db-7"), 0)[0], first);
        assert_eq!(
            Pool::new(30_000..=30_099).candidates(&name("db-7"), 0)[0],
            first,
            "at another relay, too"
        );
    }

    #[test]
    fn a_wish_comes_first_when_it_is_in_the_range() {
        let pool = Pool::new(30_000..=30_009);
        assert_eq!(pool.candidates(&name("a"), 30_004)[0], 30_004);
        assert!(!pool.candidates(&name("a"), 22).contains(&22));
        let mut all = pool.candidates(&name("a"), 30_004);
        all.sort_unstable();
        assert_eq!(all, (30_000..=30_009).collect::<Vec<_>>(), "each once");
    }

    #[test]
    fn a_pool_says_why_it_has_nothing() {
        let mut pool = Pool::new(30_000..=30_001);
        pool.lease(30_000, name("a"));
        assert_eq!(pool.refusal(), NoPort::NotGiven);
        pool.lease(30_001, name("b"));
        assert_eq!((pool.candidates(&name("c"), 0), pool.refusal()), (vec![], NoPort::AllTaken(2)));
        #[expect(clippy::reversed_empty_ranges, reason = "a relay without ports to lease")]
        let none = Pool::new(1..=0);
        assert_eq!((none.candidates(&name("c"), 1), none.refusal()), (vec![], NoPort::NoneHere));
    }
}
