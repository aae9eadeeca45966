//! The route table against a plain list, the replay window against a set.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use mesh::{Prefix, Routes, Stale, WINDOW_BITS, Window};
use proptest::collection::vec;
use proptest::prelude::*;

/// Few bits differ, so that blocks overlap.
fn address() -> impl Strategy<Value = IpAddr> {
    prop_oneof![
        any::<u8>().prop_map(|low| IpAddr::V4(Ipv4Addr::new(10, 0, 0, low))),
        any::<[u8; 2]>().prop_map(|[high, low]| {
            IpAddr::V6(Ipv6Addr::new(0xfd00, high.into(), 0, 0, 0, 0, 0, low.into()))
        }),
    ]
}

fn block() -> impl Strategy<Value = Prefix> {
    (address(), 0..=128_u8).prop_map(|(address, len)| {
        let len = if address.is_ipv4() { len % 33 } else { len };
        Prefix::new(address, len).expect("a length of the family")
    })
}

proptest! {
    #[test]
    fn the_longest_block_owns_an_address(blocks in vec(block(), 0..20), asked in vec(address(), 20)) {
        let mut routes = Routes::default();
        for (owner, block) in blocks.iter().enumerate() {
            routes.insert(*block, owner);
        }
        for ip in asked {
            let owner = (0..blocks.len())
                .filter(|owner| blocks[*owner].contains(ip))
                .max_by_key(|owner| (blocks[*owner].bits(), *owner));
            prop_assert_eq!(routes.owner(ip), owner);
        }
    }

    #[test]
    fn a_block_reads_as_it_was_written(block in block()) {
        prop_assert_eq!(block.to_string().parse(), Ok(block));
    }

    #[test]
    fn a_counter_is_accepted_once_and_only_in_the_window(steps in vec((any::<bool>(), 0..12_000_u64), 1..200)) {
        let (mut window, mut seen, mut highest) = (<Window>::default(), BTreeSet::new(), 0_u64);
        for (ahead, by) in steps {
            let counter = if ahead { highest + by } else { highest.saturating_sub(by) };
            let next = seen.last().map_or(0, |last: &u64| last + 1);
            let expected = if next.saturating_sub(counter) > WINDOW_BITS {
                Err(Stale::TooOld)
            } else if seen.contains(&counter) {
                Err(Stale::Seen)
            } else {
                Ok(())
            };
            prop_assert_eq!(window.check(counter), expected);
            prop_assert_eq!(window.accept(counter), expected);
            if expected.is_ok() {
                seen.insert(counter);
                highest = highest.max(counter);
            }
        }
        prop_assert_eq!(window.seen().1, seen.len() as u64);
    }
}

#[test]
fn the_window_holds_at_the_end_of_numbers() {
    let mut window = <Window>::default();
    assert_eq!(window.accept(u64::MAX - 1), Ok(()));
    assert_eq!(window.accept(u64::MAX - 1), Err(Stale::Seen));
    assert_eq!(window.accept(0), Err(Stale::TooOld));
}

#[test]
fn what_is_no_block_is_refused() {
    for text in ["", "10.0.0.0", "10.0.0.0/33", "fd00::/129", "10.0.0/8", "x/8", "10.0.0.0/-1"] {
        assert!(text.parse::<Prefix>().is_err(), "{text}");
    }
}

#[test]
fn a_window_that_goes_on_takes_what_comes_and_nothing_before() {
    for next in [0, 1, 63, 64, 65, 1000, 1 << 40] {
        let mut window = Window::<17>::from_next(next);
        let before = next.saturating_sub(100)..next;
        assert!(before.clone().all(|counter| window.accept(counter).is_err()), "{next}");
        for counter in [next, next + 3, next + 1, next + 200] {
            assert!(window.accept(counter).is_ok(), "{next}: {counter}");
            assert!(window.accept(counter).is_err(), "{next}: {counter} again");
        }
        assert!(window.accept(next + 2).is_ok());
        assert!(window.accept(next + 2000).is_ok());
        assert!(window.accept(next + 900).is_err(), "too old for a short window");
    }
}
