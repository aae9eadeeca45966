//! Sharing a whole number among weights so that no unit is lost and none is made.

use std::cmp::Reverse;

/// `total` in parts proportional to `weights`, by largest remainder; among equal remainders the lower index wins.
///
/// The parts sum to `total`, each is its exact share rounded down or up, a larger weight never gets less, and a weight
/// of zero gets nothing. `None` when no weight is above zero: then nobody has a share.
pub fn split(total: u64, weights: &[u64]) -> Option<Vec<u64>> {
    let whole: u128 = weights.iter().copied().map(u128::from).sum();
    if whole == 0 {
        return None;
    }
    let mut remainders = Vec::with_capacity(weights.len());
    let mut parts = Vec::with_capacity(weights.len());
    for (index, weight) in weights.iter().enumerate() {
        let exact = u128::from(total) * u128::from(*weight);
        parts.push(u64::try_from(exact / whole).expect("a share is at most the total"));
        remainders.push((Reverse(exact % whole), index));
    }
    let left = total - parts.iter().sum::<u64>();
    // Fewer units are left than there are remainders above zero: no index is served twice, none without a remainder.
    let left = usize::try_from(left).expect("fewer than the weights");
    if left > 0 {
        remainders.select_nth_unstable(left - 1);
        remainders[..left].iter().for_each(|(_, index)| parts[*index] += 1);
    }
    Some(parts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ties_go_to_the_first() {
        assert_eq!(split(100, &[1, 1, 1]), Some(vec![34, 33, 33]));
        assert_eq!(split(5, &[0, 3, 3, 0]), Some(vec![0, 3, 2, 0]));
        assert_eq!(split(1, &[2, 3]), Some(vec![0, 1]), "the larger remainder comes first");
        assert_eq!(split(100, &[0, 0]), None);
        assert_eq!(split(100, &[]), None);
        assert_eq!(split(u64::MAX, &[u64::MAX, u64::MAX]), Some(vec![1 << 63, (1 << 63) - 1]));
    }

    proptest! {
        #[test]
        fn parts_sum_to_the_total_and_follow_the_weights(
            total in prop_oneof![0_u64..50, any::<u64>()],
            weights in proptest::collection::vec(prop_oneof![0_u64..5, any::<u64>()], 1..20),
        ) {
            let whole: u128 = weights.iter().copied().map(u128::from).sum();
            prop_assume!(whole > 0);
            let parts = split(total, &weights).unwrap();
            prop_assert_eq!(parts.iter().copied().map(u128::from).sum::<u128>(), u128::from(total));
            for (weight, part) in weights.iter().zip(&parts) {
                let floor = u128::from(total) * u128::from(*weight) / whole;
                prop_assert!(u128::from(*part) == floor || u128::from(*part) == floor + 1);
                prop_assert!(*weight > 0 || *part == 0);
                for (other, other_part) in weights.iter().zip(&parts) {
                    prop_assert!(weight <= other || part >= other_part);
                }
            }
        }
    }
}
