//! Sixty-four numbers, stored bit by bit, so that all are compared at once.

/// Up to 64 numbers of `BITS` bits: word `i` holds bit `i` of each, the number at place `p` in bit `p`.
///
/// Places beyond the numbers in use read as zero.
#[derive(Clone, Debug)]
pub(crate) struct Column<const BITS: usize>([u64; BITS]);

/// The first `count` places, at most 64.
pub(crate) const fn first_places(count: usize) -> u64 {
    if count >= 64 { u64::MAX } else { (1 << count) - 1 }
}

/// The places in a mask, lowest first.
pub(crate) fn places(mut mask: u64) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let place = usize::try_from(mask.trailing_zeros()).expect("at most 64");
        (mask != 0).then(|| {
            mask &= mask - 1;
            place
        })
    })
}

impl<const BITS: usize> Column<BITS> {
    pub(crate) const fn new() -> Self {
        Self([0; BITS])
    }

    pub(crate) fn get(&self, place: usize) -> u64 {
        let bits = self.0.iter().enumerate();
        bits.fold(0, |value, (bit, word)| value | (word >> place & 1) << bit)
    }

    /// Makes room at `place` and puts `value` there.
    pub(crate) fn insert(&mut self, place: usize, value: u64) {
        debug_assert!(BITS == 64 || value >> BITS == 0, "limits keep values inside the column");
        let below = first_places(place);
        for (bit, word) in self.0.iter_mut().enumerate() {
            *word = (*word & below) | (*word & !below) << 1 | (value >> bit & 1) << place;
        }
    }

    /// Takes the value at `place` out and closes the gap.
    pub(crate) fn remove(&mut self, place: usize) {
        let below = first_places(place);
        for word in &mut self.0 {
            *word = (*word & below) | (*word >> 1 & !below);
        }
    }

    /// Leaves the first `count` places and returns the others, `count` being less than 64.
    pub(crate) fn split_off(&mut self, count: usize) -> Self {
        let upper = Self(self.0.map(|word| word >> count));
        self.0 = self.0.map(|word| word & first_places(count));
        upper
    }

    /// The places whose number is at least `value`; where nothing is, zero is.
    #[inline]
    pub(crate) fn at_least(&self, value: u64) -> u64 {
        if value == 0 {
            return u64::MAX;
        }
        if BITS < 64 && value >> BITS != 0 {
            return 0;
        }
        let bits = self.0.iter().enumerate();
        bits.fold(
            u64::MAX,
            |mask, (bit, word)| {
                if value >> bit & 1 == 1 { mask & word } else { mask | word }
            },
        )
    }

    /// The places whose number is `value`.
    #[inline]
    pub(crate) fn equal_to(&self, value: u64) -> u64 {
        let bits = self.0.iter().enumerate();
        bits.fold(u64::MAX, |mask, (bit, word)| {
            mask & if value >> bit & 1 == 1 { *word } else { !*word }
        })
    }

    /// The places where bit `bit` is set.
    pub(crate) const fn with_bit(&self, bit: usize) -> u64 {
        self.0[bit]
    }

    /// The smallest of the first `count` numbers.
    pub(crate) fn min(&self, count: usize) -> u64 {
        let (mut among, mut min) = (first_places(count), 0);
        for (bit, word) in self.0.iter().enumerate().rev() {
            match among & !word {
                0 => min |= 1 << bit,
                without => among = without,
            }
        }
        min
    }

    /// The largest number.
    pub(crate) fn max(&self) -> u64 {
        let (mut among, mut max) = (u64::MAX, 0);
        for (bit, word) in self.0.iter().enumerate().rev() {
            if among & word != 0 {
                among &= word;
                max |= 1 << bit;
            }
        }
        max
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_column_is_a_list_of_numbers(
            steps in proptest::collection::vec((0_u64..32, 0_usize..64, any::<bool>()), 0..90),
            than in 0_u64..40,
        ) {
            let (mut column, mut list) = (Column::<5>::new(), Vec::new());
            for (value, place, add) in steps {
                if add && list.len() < 64 {
                    let place = place.min(list.len());
                    column.insert(place, value);
                    list.insert(place, value);
                } else if place < list.len() {
                    column.remove(place);
                    list.remove(place);
                }
            }
            let all = first_places(list.len());
            let found = |mask: u64| places(mask & all).map(|place| list[place]).collect::<Vec<_>>();
            let only = |keep: &dyn Fn(u64) -> bool| -> Vec<u64> {
                list.iter().copied().filter(|value| keep(*value)).collect()
            };
            prop_assert_eq!(found(u64::MAX), list.clone());
            prop_assert_eq!((0..list.len()).map(|place| column.get(place)).collect::<Vec<_>>(), list.clone());
            prop_assert_eq!(found(column.at_least(than)), only(&|value| value >= than));
            prop_assert_eq!(found(column.equal_to(than % 32)), only(&|value| value == than % 32));
            prop_assert_eq!(column.max(), list.iter().copied().max().unwrap_or(0));
            if let Some(least) = list.iter().min() {
                prop_assert_eq!(column.min(list.len()), *least);
            }
            let upper = column.split_off(9);
            prop_assert_eq!((column.get(3), upper.get(1)), (*list.get(3).unwrap_or(&0), *list.get(10).unwrap_or(&0)));
        }
    }
}
