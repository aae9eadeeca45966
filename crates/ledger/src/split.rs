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
    units::split(total, weights).unwrap_or_else(|| vec![0; weights.len()])
}
