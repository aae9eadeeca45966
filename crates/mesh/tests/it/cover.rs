//! Caps of cover hold whatever is sent and heard; frames keep their order; terms of a policy reach peers.

use std::time::Duration;

use mesh::cover::{DECOYS_FREE, DECOYS_PERCENT, Decoys, HOLD_MAX};
use proptest::prelude::*;
use units::Timestamp;

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
