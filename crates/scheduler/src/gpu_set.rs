//! Which of a machine's cards: one bit each.

use std::fmt;

use crate::limits::GPUS_PER_MACHINE_MAX;

/// A set of a machine's GPUs by their index, at most [`GPUS_PER_MACHINE_MAX`] of them.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GpuSet(u64);

impl GpuSet {
    /// No card.
    pub const EMPTY: Self = Self(0);

    /// The set whose cards are these bits, lowest bit first.
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// The cards as bits, lowest bit first.
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// The cards 0 to `count`, without `count`; all there can be when `count` is more than that.
    pub const fn first(count: u32) -> Self {
        if count >= GPUS_PER_MACHINE_MAX { Self(u64::MAX) } else { Self((1 << count) - 1) }
    }

    /// How many cards.
    pub const fn len(self) -> u32 {
        self.0.count_ones()
    }

    /// Whether there is no card in it.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether the card with this index is in it.
    pub const fn contains(self, index: u32) -> bool {
        index < GPUS_PER_MACHINE_MAX && self.0 >> index & 1 == 1
    }

    /// Whether every card of `other` is in it.
    pub const fn covers(self, other: Self) -> bool {
        other.0 & !self.0 == 0
    }

    /// Whether they share a card.
    pub const fn overlaps(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// The cards of both.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The cards that are not in `other`.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// The `count` cards of lowest index, unless there are fewer.
    pub fn lowest(self, count: u32) -> Option<Self> {
        if self.len() < count {
            return None;
        }
        let count = usize::try_from(count).expect("at most 64 cards");
        Some(self.iter().take(count).collect())
    }

    /// The indices of its cards, lowest first.
    pub fn iter(self) -> impl Iterator<Item = u32> {
        (0..GPUS_PER_MACHINE_MAX).filter(move |index| self.contains(*index))
    }
}

impl FromIterator<u32> for GpuSet {
    /// Indices of [`GPUS_PER_MACHINE_MAX`] and above are left out.
    fn from_iter<I: IntoIterator<Item = u32>>(indices: I) -> Self {
        let bit = |index: u32| 1_u64.checked_shl(index).unwrap_or(0);
        Self(indices.into_iter().fold(0, |bits, index| bits | bit(index)))
    }
}

impl fmt::Debug for GpuSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cards_are_told_in_order_of_their_index() {
        let cards: GpuSet = [5, 0, 63, 64].into_iter().collect();
        assert_eq!(cards.iter().collect::<Vec<_>>(), [0, 5, 63]);
        assert_eq!(cards.lowest(2), Some([0, 5].into_iter().collect()));
        assert_eq!(cards.lowest(4), None);
        assert_eq!((GpuSet::first(64).len(), GpuSet::first(3).bits()), (64, 7));
    }
}
