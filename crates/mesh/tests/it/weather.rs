//! Two nodes under bad weather: datagrams lost, repeated, changed, late; nodes that forget. Safe while it lasts, alive
//! after it ends.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;

use crate::pair::{End, Pair};

#[derive(Clone, Debug)]
enum Step {
    Send {
        back: bool,
    },
    Pass {
        millis: u64,
    },
    /// One datagram in so many is lost from here on; 0 for none.
    Lose {
        one_in: u32,
    },
    /// Something that was on the wire comes once more, perhaps changed in one bit.
    Repeat {
        which: usize,
        to_b: bool,
        flip: Option<usize>,
    },
    Forget {
        b: bool,
    },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => any::<bool>().prop_map(|back| Step::Send { back }),
        3 => (0..20_000_u64).prop_map(|millis| Step::Pass { millis }),
        1 => (100_000..400_000_u64).prop_map(|millis| Step::Pass { millis }),
        1 => (0..4_u32).prop_map(|one_in| Step::Lose { one_in }),
        4 => (any::<usize>(), any::<bool>(), proptest::option::of(any::<usize>()))
            .prop_map(|(which, to_b, flip)| Step::Repeat { which, to_b, flip }),
        1 => any::<bool>().prop_map(|b| Step::Forget { b }),
    ]
}

fn set_loss(pair: &mut Pair, one_in: u32) {
    let mut count = 0_u32;
    pair.loses = Box::new(move |_| {
        count += 1;
        one_in > 0 && count.is_multiple_of(one_in)
    });
}

fn play(pair: &mut Pair, number: usize, step: &Step) {
    match step {
        // `a` knows where `b` is, `b` learns where `a` is: before that it has nowhere to send.
        Step::Send { back: true } => pair.send_back(&format!("b{number}")),
        Step::Send { back: false } => pair.send(&format!("a{number}")),
        Step::Pass { millis } => pair.pass(Duration::from_millis(*millis)),
        Step::Lose { one_in } => set_loss(pair, *one_in),
        Step::Repeat { which, to_b, flip } => {
            let count = pair.heard.len();
            if count == 0 {
                return;
            }
            let (from, mut datagram) = pair.heard[which % count].clone();
            if let Some(at) = flip {
                let bits = datagram.len() * 8;
                datagram[at % bits / 8] ^= 1 << (at % 8);
            }
            let target = if *to_b { &mut pair.b } else { &mut pair.a };
            target.receive(from, datagram, pair.now);
            pair.settle();
        }
        Step::Forget { b } => {
            let now = pair.now;
            let chance = 1 + u64::try_from(number).expect("few steps");
            let fresh = Pair::at(End::default(), End::default(), now, chance);
            let (delivered, node) = if *b {
                (std::mem::take(&mut pair.b.delivered), std::mem::replace(&mut pair.b, fresh.b))
            } else {
                (std::mem::take(&mut pair.a.delivered), std::mem::replace(&mut pair.a, fresh.a))
            };
            drop(node);
            let kept = if *b { &mut pair.b } else { &mut pair.a };
            kept.delivered = delivered;
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn what_arrives_was_sent_arrives_once_and_in_the_end_all_goes_well(steps in vec(step(), 0..60)) {
        let mut pair = Pair::new(End::default(), End::default());
        for (number, step) in steps.iter().enumerate() {
            play(&mut pair, number, step);
        }
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        for text in pair.b.texts() {
            prop_assert!(text.starts_with('a'), "{text} came from elsewhere");
            *counts.entry(text).or_default() += 1;
        }
        for text in pair.a.texts() {
            prop_assert!(text.starts_with('b'), "{text} came from elsewhere");
            *counts.entry(text).or_default() += 1;
        }
        prop_assert!(counts.values().all(|count| *count == 1), "{counts:?}");

        set_loss(&mut pair, 0);
        // Until a dead session is noticed and the next question answered.
        for _ in 0..40 {
            pair.send("a calm");
            pair.pass(Duration::from_secs(1));
            pair.send_back("b calm");
            pair.pass(Duration::from_secs(1));
        }
        pair.a.texts();
        pair.b.texts();
        pair.send("a at last");
        pair.send_back("b at last");
        prop_assert_eq!(pair.b.texts(), ["a at last"]);
        prop_assert_eq!(pair.a.texts(), ["b at last"]);
    }
}
