//! How many may be inside at once: counts by key, with a place that is given back when it is dropped.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

/// Places by key. Clones share them.
#[derive(Debug)]
pub(crate) struct Seats<K> {
    max: usize,
    taken: Arc<Mutex<BTreeMap<K, usize>>>,
}

/// A place. Dropping it gives it back.
#[derive(Debug)]
pub(crate) struct Seat<K: Ord> {
    key: K,
    taken: Arc<Mutex<BTreeMap<K, usize>>>,
}

impl<K: Ord + Clone> Seats<K> {
    /// This many places for each key.
    pub(crate) fn new(max: usize) -> Self {
        Self { max, taken: Arc::default() }
    }

    /// A place, unless all of this key are taken.
    pub(crate) fn take(&self, key: &K) -> Option<Seat<K>> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let count = taken.get(key).copied().unwrap_or(0);
        if count >= self.max {
            return None;
        }
        taken.insert(key.clone(), count + 1);
        Some(Seat { key: key.clone(), taken: Arc::clone(&self.taken) })
    }
}

impl<K: Ord> Drop for Seat<K> {
    fn drop(&mut self) {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = taken.get_mut(&self.key) {
            *count -= 1;
            if *count == 0 {
                taken.remove(&self.key);
            }
        }
    }
}

/// What counts as one visitor's address: of IPv6 the /64, since a single customer has all of that.
pub(crate) fn neighborhood(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(v4) => IpAddr::V4(v4),
        IpAddr::V6(v6) => IpAddr::V6((u128::from(v6) >> 64 << 64).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_given_back_when_it_is_dropped() {
        let seats = Seats::new(2);
        let (first, _second) = (seats.take(&"a"), seats.take(&"a"));
        assert!(first.is_some() && seats.take(&"a").is_none() && seats.take(&"b").is_some());
        drop(first);
        assert!(seats.take(&"a").is_some());
        drop(seats.take(&"b"));
        assert!(
            !seats.taken.lock().unwrap().contains_key("b"),
            "keys without places are forgotten"
        );
    }

    #[test]
    fn neighbors_of_one_customer_count_as_one() {
        let of = |text: &str| neighborhood(text.parse().unwrap()).to_string();
        assert_eq!(of("192.0.2.7"), "192.0.2.7");
        assert_eq!(of("::ffff:192.0.2.7"), "192.0.2.7");
        assert_eq!(of("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
    }
}
