//! Sharing a whole number among weights so that no unit is lost and none is made.

/// `total` in parts proportional to `weights`, by largest remainder; among equal remainders the lower index wins.
///
/// The parts sum to `total`, each is its exact share rounded down or up, and a weight of zero gets nothing. When no
/// weight is above zero nobody has a share: every part is zero, and `total` stays with whoever has it.
///
/// ```
/// assert_eq!(ledger::split(100, &[1, 1, 1]), [34, 33, 33]);
/// assert_eq!(ledger::split(100, &[0, 0]), [0, 0]);
/// ```
pub fn split(total: u64, weights: &[u64]) -> Vec<u64> {
    let whole: u128 = weights.iter().copied().map(u128::from).sum();
    if whole == 0 {
        return vec![0; weights.len()];
    }
    let exact = |weight: &u64| u128::from(total) * u128::from(*weight);
    let floor = |weight| {
        u64::try_from(exact(weight) / whole)
            .expect("a share is at most the total, for a weight is at most the whole")
    };
    let mut parts: Vec<u64> = weights.iter().map(floor).collect();
    let left = total - parts.iter().sum::<u64>();
    // Fewer units are left than there are remainders above zero, so that no index is served twice, and none
    // without a remainder.
    let left = usize::try_from(left).expect("fewer than the weights");
    let mut by_remainder: Vec<usize> = (0..weights.len()).collect();
    by_remainder.sort_by_key(|index| (std::cmp::Reverse(exact(&weights[*index]) % whole), *index));
    for index in by_remainder.into_iter().take(left) {
        parts[index] += 1;
    }
    parts
}
