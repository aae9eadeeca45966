//! Whole numbers modulo 2^61 − 1, a prime: where secret vectors and their sums live.
//!
//! # Invariants
//! - An [`Element`] is below the prime, so equal elements have equal bits.

/// The prime.
pub(crate) const P: u64 = (1 << 61) - 1;

/// A number below [`P`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Element(u64);

impl Element {
    /// The lower 61 bits, modulo the prime.
    pub(crate) fn of_bits(bits: u64) -> Self {
        let low = bits & P;
        Self(if low == P { 0 } else { low })
    }

    /// A sum of products, modulo the prime. 2^61 is one, so whatever is above is added to what is below.
    pub(crate) fn of(sum: i128) -> Self {
        let fold = |x: i128| (x & i128::from(P)) + (x >> 61);
        // What is within 2^127 folds to within 2^67, that to -32 and above, and that to 0 and up to the prime.
        Self::of_bits(
            u64::try_from(fold(fold(fold(sum)))).expect("it is at least 0 and at most the prime"),
        )
    }

    /// The number.
    pub(crate) fn get(self) -> u64 {
        self.0
    }

    /// A product that is not reduced: a caller may add 2^34 of them.
    pub(crate) fn times(self, factor: i32) -> i128 {
        i128::from(self.0.cast_signed()).wrapping_mul(i128::from(factor))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn plainly(sum: i128) -> u64 {
        let least = sum.rem_euclid(i128::from(P));
        u64::try_from(least).expect("below the prime")
    }

    #[test]
    fn the_ends_of_every_range_are_reduced() {
        let p = i128::from(P);
        for sum in [0, 1, -1, p, p - 1, p + 1, -p, 2 * p, 1 << 61, 1 << 122, i128::MAX, i128::MIN] {
            assert_eq!(Element::of(sum).get(), plainly(sum), "{sum}");
        }
        assert_eq!(Element::of_bits(P).get(), 0);
        assert_eq!(Element::of_bits(u64::MAX).get(), 0);
    }

    proptest! {
        #[test]
        fn a_sum_is_reduced_as_division_would(sum: i128, shift in 0_u32..128) {
            prop_assert_eq!(Element::of(sum >> shift).get(), plainly(sum >> shift));
        }

        #[test]
        fn products_add_up(a: u64, b: i32, c: u64, d: i32) {
            let (a, c) = (Element::of_bits(a), Element::of_bits(c));
            let wide = |x: Element, y: i32| {
                let product = u128::from(x.get()) * u128::from(y.unsigned_abs()) % u128::from(P);
                let product = u64::try_from(product).expect("below the prime");
                if y < 0 { (P - product) % P } else { product }
            };
            let sum = (u128::from(wide(a, b)) + u128::from(wide(c, d))) % u128::from(P);
            prop_assert_eq!(u128::from(Element::of(a.times(b) + c.times(d)).get()), sum);
        }
    }
}
