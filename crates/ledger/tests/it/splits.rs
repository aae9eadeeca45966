//! Sharing loses no unit and makes none.

use ledger::split;
use proptest::prelude::*;

#[test]
fn splits_a_person_can_check() {
    let cases: &[(u64, &[u64], &[u64])] = &[
        (100, &[1, 1, 1], &[34, 33, 33]),
        (101, &[1, 1, 1], &[34, 34, 33]),
        (10, &[6, 3, 1], &[6, 3, 1]),
        (7, &[2, 3, 2], &[2, 3, 2]),
        (5, &[2, 3, 2], &[2, 2, 1]),
        (1, &[1, 2], &[0, 1]),
        (0, &[1, 2], &[0, 0]),
        (9, &[0, 4], &[0, 9]),
        (9, &[0, 0], &[0, 0]),
        (9, &[], &[]),
        (u64::MAX, &[u64::MAX, u64::MAX], &[1 << 63, (1 << 63) - 1]),
    ];
    for (total, weights, parts) in cases {
        assert_eq!(split(*total, weights), *parts, "{total} by {weights:?}");
    }
}

fn weights() -> impl Strategy<Value = Vec<u64>> {
    let weight = prop_oneof![0_u64..5, any::<u64>()];
    prop::collection::vec(weight, 0..20)
}

proptest! {
    #[test]
    fn the_parts_make_the_whole(total: u64, weights in weights()) {
        let parts = split(total, &weights);
        let sum: u128 = parts.iter().copied().map(u128::from).sum();
        let shared = weights.iter().any(|weight| *weight > 0);
        prop_assert_eq!(parts.len(), weights.len());
        prop_assert_eq!(sum, if shared { u128::from(total) } else { 0 });
    }

    #[test]
    fn each_part_is_its_exact_share_rounded_down_or_up(total: u64, weights in weights()) {
        let whole: u128 = weights.iter().copied().map(u128::from).sum();
        prop_assume!(whole > 0);
        for (part, weight) in split(total, &weights).into_iter().zip(&weights) {
            let exact = u128::from(total) * u128::from(*weight);
            let part = u128::from(part);
            prop_assert!(part >= exact / whole && part <= exact.div_ceil(whole));
        }
    }

    #[test]
    fn who_weighs_more_or_comes_first_never_gets_less(total: u64, weights in weights()) {
        let parts = split(total, &weights);
        for first in 0..weights.len() {
            for second in first + 1..weights.len() {
                prop_assert!(weights[first] < weights[second] || parts[first] >= parts[second]);
                prop_assert!(weights[first] > weights[second] || parts[first] <= parts[second] + 1);
            }
        }
    }
}
