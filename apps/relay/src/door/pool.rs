//! Which leased port is whose.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use tunnel::ServiceName;
use units::{AccountId, Timestamp};

use super::limits::{PORT_KEPT, PORTS_PER_ACCOUNT_MIN, PORTS_PER_ACCOUNT_PART};

/// The ports that may be leased, and who has which, or had it of late. TCP and UDP each have a pool.
#[derive(Clone, Debug)]
pub(crate) struct Pool {
    range: RangeInclusive<u16>,
    taken: BTreeMap<u16, Taken>,
}

/// Whose a port is.
#[derive(Clone, Debug)]
struct Taken {
    service: ServiceName,
    account: AccountId,
    /// Until when it is kept for its service, that does not use it; nothing while it does.
    kept_until: Option<Timestamp>,
}

/// Why a port was not leased. Checks run in the order of these variants.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoPort {
    /// The relay leases none.
    #[error("this relay leases no ports")]
    NoneHere,
    /// The account has as many as one may have.
    #[error("an account has at most {0} ports of this relay")]
    TooMany(usize),
    /// All are taken.
    #[error("all {0} ports of this relay are leased, or kept for who had them")]
    AllTaken(usize),
    /// The system did not give it, nor any other.
    #[error("the system gives none of the ports")]
    NotGiven,
}

impl Pool {
    /// All ports of the range, free.
    pub(crate) fn new(range: RangeInclusive<u16>) -> Self {
        Self { range, taken: BTreeMap::new() }
    }

    /// The ports that may be tried for this service, best first: the one that it had, the wished one, then from a place
    /// that follows from its name, so that a service that comes back finds the port that it had, here and at every
    /// other relay.
    ///
    /// # Errors
    /// If there is none.
    pub(crate) fn candidates(
        &mut self,
        service: &ServiceName,
        account: AccountId,
        wished: u16,
        now: Timestamp,
    ) -> Result<Vec<u16>, NoPort> {
        self.taken.retain(|_, taken| taken.kept_until.is_none_or(|until| now < until));
        let all: Vec<u16> = self.range.clone().collect();
        if all.is_empty() {
            return Err(NoPort::NoneHere);
        }
        let is_its_own = |taken: &Taken| &taken.service == service && taken.kept_until.is_some();
        let its =
            self.taken.values().filter(|taken| taken.account == account && !is_its_own(taken));
        let most = PORTS_PER_ACCOUNT_MIN.max(all.len() / PORTS_PER_ACCOUNT_PART);
        if its.count() >= most {
            return Err(NoPort::TooMany(most));
        }
        let had = self.taken.iter().find(|(_, taken)| is_its_own(taken)).map(|(port, _)| *port);
        let wished = Some(wished).filter(|wished| self.range.contains(wished));
        let (before, after) = all.split_at(place_of(service) % all.len());
        let rest = after.iter().chain(before).copied();
        let rest = rest.filter(|port| Some(*port) != had && Some(*port) != wished);
        let wished = wished.filter(|wished| Some(*wished) != had);
        let free = |port: &u16| self.taken.get(port).is_none_or(is_its_own);
        let found: Vec<_> = had.into_iter().chain(wished).chain(rest).filter(free).collect();
        match found.is_empty() {
            true => Err(NoPort::AllTaken(all.len())),
            false => Ok(found),
        }
    }

    pub(crate) fn lease(&mut self, port: u16, service: ServiceName, account: AccountId) {
        // Another port that was kept for it is so no longer.
        self.taken.retain(|_, taken| taken.service != service || taken.kept_until.is_none());
        let before = self.taken.insert(port, Taken { service, account, kept_until: None });
        assert!(before.is_none(), "a port is leased once");
    }

    /// Its service uses the port no longer. It is kept for it for a while.
    pub(crate) fn release(&mut self, port: u16, now: Timestamp) {
        if let Some(taken) = self.taken.get_mut(&port) {
            taken.kept_until = Some(now.after(PORT_KEPT));
        }
    }

    /// Ports that services use.
    pub(crate) fn leased(&self) -> usize {
        self.taken.values().filter(|taken| taken.kept_until.is_none()).count()
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

    const NOW: Timestamp = Timestamp::from_millis(1_000);
    const ONE: AccountId = AccountId::from_bits(1);
    const OTHER: AccountId = AccountId::from_bits(2);

    fn name(text: &str) -> ServiceName {
        text.parse().unwrap()
    }

    fn candidates(pool: &mut Pool, service: &str, wished: u16) -> Vec<u16> {
        pool.candidates(&name(service), ONE, wished, NOW).unwrap()
    }

    #[test]
    fn a_service_that_comes_back_gets_the_port_that_it_had() {
        let mut pool = Pool::new(30_000..=30_099);
        let first = candidates(&mut pool, "db-7", 0)[0];
        let mut elsewhere = Pool::new(30_000..=30_099);
        assert_eq!(candidates(&mut elsewhere, "db-7", 0)[0], first, "at another relay, too");
        let second = candidates(&mut pool, "db-7", 30_055)[0];
        assert_eq!(second, 30_055, "it wished so");
        pool.lease(second, name("db-7"), ONE);
        assert!(!candidates(&mut pool, "other", second).contains(&second), "it is taken");
        pool.release(second, NOW);
        assert_eq!(candidates(&mut pool, "db-7", 0)[0], second);
    }

    #[test]
    fn a_port_that_was_given_back_is_kept_for_who_had_it() {
        let mut pool = Pool::new(30_000..=30_001);
        pool.lease(30_000, name("a"), ONE);
        pool.lease(30_001, name("b"), ONE);
        pool.release(30_000, NOW);
        assert_eq!(pool.leased(), 1);
        let at = |now: Timestamp| pool.clone().candidates(&name("c"), OTHER, 30_000, now);
        assert_eq!(at(NOW), Err(NoPort::AllTaken(2)));
        assert_eq!(at(NOW.after(PORT_KEPT)), Ok(vec![30_000]));
        assert_eq!(candidates(&mut pool, "a", 0), [30_000]);
        pool.lease(30_000, name("a"), ONE);
    }

    #[test]
    fn an_account_has_a_part_of_all_ports() {
        let mut pool = Pool::new(30_000..=30_099);
        let mut count = 0;
        let refused = loop {
            let service = name(&format!("s{count}"));
            match pool.candidates(&service, ONE, 0, NOW) {
                Ok(found) => pool.lease(found[0], service, ONE),
                Err(refused) => break refused,
            }
            count += 1;
        };
        assert_eq!((count, refused), (25, NoPort::TooMany(25)));
        assert!(pool.candidates(&name("x"), OTHER, 0, NOW).is_ok());
        pool.release(candidates_of(&pool, "s3"), NOW);
        assert!(pool.candidates(&name("new"), ONE, 0, NOW).is_err(), "what is kept counts");
        assert!(pool.candidates(&name("s3"), ONE, 0, NOW).is_ok());
    }

    fn candidates_of(pool: &Pool, service: &str) -> u16 {
        *pool.taken.iter().find(|(_, taken)| taken.service == name(service)).unwrap().0
    }

    #[test]
    fn a_wish_comes_first_when_it_is_in_the_range() {
        let mut pool = Pool::new(30_000..=30_009);
        assert_eq!(candidates(&mut pool, "a", 30_004)[0], 30_004);
        assert!(!candidates(&mut pool, "a", 22).contains(&22));
        let mut all = candidates(&mut pool, "a", 30_004);
        all.sort_unstable();
        assert_eq!(all, (30_000..=30_009).collect::<Vec<_>>(), "each once");
    }

    #[test]
    fn a_pool_says_why_it_has_nothing() {
        #[expect(clippy::reversed_empty_ranges, reason = "a relay without ports to lease")]
        let mut none = Pool::new(1..=0);
        assert_eq!(none.candidates(&name("c"), ONE, 1, NOW), Err(NoPort::NoneHere));
    }
}
