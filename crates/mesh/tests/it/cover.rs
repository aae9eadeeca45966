//! Caps of cover hold whatever is sent and heard; stock peers get what they can bear; what is bulk leaves bare.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use mesh::cover::{DECOYS_FREE, DECOYS_PERCENT, Decoys, HOLD_MAX};
use mesh::{Cover, Crossing, Guard, PeerConfig, Transport};
use proptest::prelude::*;
use units::Timestamp;

use crate::pair::{End, Pair, peer};

const DECOY_LEN: usize = 1452;

/// What happens, and how many milliseconds later the next does.
#[derive(Clone, Copy, Debug)]
enum Turn {
    Sends(usize),
    Hears,
    Waits,
}

fn turns() -> impl Strategy<Value = Vec<(Turn, u64)>> {
    let turn = prop_oneof![
        (64_usize..100_000).prop_map(Turn::Sends),
        Just(Turn::Hears),
        Just(Turn::Waits),
    ];
    prop::collection::vec((turn, 0_u64..40), 1..400)
}

proptest! {
    #[test]
    fn decoys_stay_below_their_share_and_holds_below_theirs(seed: [u8; 32], turns in turns()) {
        let mut now = Timestamp::from_millis(1_000_000);
        let began = now;
        let mut decoys = Decoys::new(seed, DECOY_LEN, now);
        let (mut sent, mut decoyed) = (0_u64, 0_u64);
        let (mut held_since, mut held) = (None, Duration::ZERO);
        for (turn, gap) in turns {
            match turn {
                Turn::Sends(bytes) if !decoys.holds(now) => {
                    decoys.on_sent(bytes, now);
                    sent += bytes as u64;
                }
                Turn::Hears => decoys.on_heard(now),
                Turn::Sends(_) | Turn::Waits => {}
            }
            for _ in 0..=gap {
                if decoys.holds(now) {
                    let since = *held_since.get_or_insert(now);
                    prop_assert!(now.since(since) <= HOLD_MAX);
                } else if let Some(since) = held_since.take() {
                    held += now.since(since);
                }
                decoyed += (decoys.on_wake(now) * DECOY_LEN) as u64;
                prop_assert!(decoyed <= sent * DECOYS_PERCENT / 100 + DECOYS_FREE * DECOY_LEN as u64);
                now = now.after(Duration::from_millis(1));
            }
        }
        prop_assert_eq!(decoys.carried(), (sent, decoyed));
        // The first hold may come at once; between two are nine times as long.
        prop_assert!(held <= now.since(began) / 10 + HOLD_MAX);
    }
}

#[test]
fn two_peers_decoys_do_not_look_alike() {
    let moments = |seed: u8| -> Vec<u64> {
        let mut decoys = Decoys::new([seed; 32], DECOY_LEN, Timestamp::from_millis(1));
        let each = (1..3_000).flat_map(|millis| {
            let now = Timestamp::from_millis(millis);
            if millis % 7 == 0 {
                decoys.on_sent(10_000, now);
                decoys.on_heard(now);
            }
            vec![millis; decoys.on_wake(now)]
        });
        each.collect()
    };
    assert!(moments(1).len() > 20, "decoys are sent at all");
    assert_ne!(moments(1), moments(2));
    assert_eq!(moments(3), moments(3), "chance comes from the seed alone");
}

/// Lets everything pass, and calls what goes to one port bulk.
#[derive(Debug)]
struct Clerk {
    bulk: u16,
}

impl Guard for Clerk {
    fn lets_pass(&self, _crossing: &Crossing<'_>) -> bool {
        true
    }

    fn is_bare(&self, crossing: &Crossing<'_>) -> bool {
        matches!(crossing.flow.transport, Transport::Udp { target, .. } if target == self.bulk)
    }

    fn on_carried(&self, _crossing: &Crossing<'_>, _packets: u64, _bytes: u64) {}

    fn on_stopped(&self, _crossing: &Crossing<'_>, _packets: u64, _bytes: u64) {}
}

/// A pair of stock peers of which the first hides as much as it can.
fn hidden(cover: Cover) -> Pair {
    let mut pair = Pair::new(End::default(), End::default());
    let config = PeerConfig { cover, ..peer(2, End::default(), None, Some(pair.b.address)) };
    pair.a.mesh.set_peer(config, pair.now);
    pair.send("begun");
    assert_eq!(pair.b.texts(), ["begun"]);
    pair
}

/// The lengths of sealed packets of the first node.
fn lengths(pair: &Pair) -> BTreeSet<usize> {
    let sealed = |(from, datagram): &&(SocketAddr, Vec<u8>)| {
        *from == pair.a.address && matches!(datagram[0], 0x04 | 0x84)
    };
    pair.heard.iter().filter(sealed).map(|(_, datagram)| datagram.len()).collect()
}

#[test]
fn a_stock_peer_gets_equal_lengths_whatever_is_asked_for_and_empty_signs_of_life() {
    for cover in [Cover::Size, Cover::Decoys, Cover::Rate] {
        let mut pair = hidden(cover);
        let (_, view) = pair.a.mesh.peers().next().expect("there is a peer");
        assert_eq!(view.cover, Cover::Size);
        pair.heard.clear();
        for len in [1, 100, 1000] {
            pair.send(&"x".repeat(len));
        }
        assert_eq!(pair.b.texts().len(), 3);
        assert_eq!(lengths(&pair), [1420 + 32].into());
        pair.heard.clear();
        pair.send_back("and you");
        pair.pass(Duration::from_secs(15));
        assert_eq!(lengths(&pair), [32].into(), "a sign of life");
        let overhead = view.link.carried().overhead;
        assert!(overhead.padding > 2 * 1000 && overhead.decoys_sent == (0, 0), "{overhead:?}");
    }
}

#[test]
fn what_a_grant_calls_bulk_leaves_bare() {
    for (bulk, expected) in [(8192, 64), (1, 1420 + 32)] {
        let mut pair = hidden(Cover::Size);
        pair.a.mesh.set_guard(Some(Arc::new(Clerk { bulk })));
        pair.settle();
        pair.heard.clear();
        pair.send("text");
        assert_eq!(pair.b.texts(), ["text"]);
        assert_eq!(lengths(&pair), [expected].into(), "bulk goes to {bulk}");
    }
}
