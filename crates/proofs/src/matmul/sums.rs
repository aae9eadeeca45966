//! Rows of a matrix times a vector of elements: made and summed in registers, without a row ever being written down.
//!
//! The same sums as [`super::plain`]; only their order differs. An element is four digits to the base 2^16, each from
//! -2^15 to 2^15, so that a digit times an entry is an instruction for sixteen bits. Digits lie in the order in which
//! vectors hold the stream of a row.

use pulp::{Arch, Simd, WithSimd, bytemuck};

use super::field::Element;
use crate::prf::wide::Wide;

/// Digits of an element.
const DIGITS: usize = 4;
/// Rows times digits of entries that a lane adds up before it could exceed 31 bits: a pair of products is at most 2^23,
/// and each word of a block is two.
const BLOCKS_MAX: usize = 4;

/// Rows of matrices times a vector.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RowsTimes<'a> {
    /// Of left matrices or of right ones.
    pub(crate) label: u32,
    /// Which rows: of the matrix of this seed, the one of this number.
    pub(crate) rows: &'a [([u8; 32], u32)],
    /// As long as they are.
    pub(crate) vector: &'a [Element],
}

impl RowsTimes<'_> {
    /// A sum for each row.
    pub(crate) fn sums(self) -> Vec<Element> {
        match Arch::new() {
            #[cfg(target_arch = "x86_64")]
            Arch::V4(simd) => simd.vectorize(x86::With(simd, self)),
            #[cfg(target_arch = "x86_64")]
            Arch::V3(simd) => simd.vectorize(x86::With(simd, self)),
            arch => arch.dispatch(self),
        }
    }

    #[inline(always)]
    fn with<S: Simd, M: Multiply<S>>(self, simd: S) -> Vec<Element> {
        let digits = digits(simd, self.vector);
        let mut sums = Vec::with_capacity(self.rows.len());
        // A closure would be compiled on its own, for any processor.
        for (seed, row) in self.rows {
            let stream = Wide::new(simd, seed, self.label).of_row(*row);
            sums.push(sum::<S, M>(simd, stream, &digits));
        }
        sums
    }
}

impl WithSimd for RowsTimes<'_> {
    type Output = Vec<Element>;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> Vec<Element> {
        self.with::<S, Portable>(simd)
    }
}

/// What meets a vector of a word of blocks: the digits of the entries in its first half, then of those in its second.
type Digits<S> = [<S as Simd>::u32s; 2 * DIGITS];

/// One sum of a row, from the stream of its entries.
#[inline(always)]
fn sum<S: Simd, M: Multiply<S>>(
    simd: S,
    mut stream: Wide<S>,
    digits: &[[Digits<S>; 16]],
) -> Element {
    let mut sums = [0_i64; DIGITS];
    // Loops here count: what iterators call is compiled on its own, for any processor.
    for some in digits.chunks(BLOCKS_MAX) {
        let mut lanes = [simd.splat_u32s(0); DIGITS];
        for digits in some {
            let entries = stream.blocks();
            for word in 0..16 {
                lanes = M::add(simd, lanes, entries[word], &digits[word]);
            }
        }
        for place in 0..DIGITS {
            let lanes: &[i32] = bytemuck::cast_slice(&lanes[place..=place]);
            sums[place] += lanes.iter().map(|lane| i64::from(*lane)).sum::<i64>();
        }
    }
    let sums = sums.into_iter().enumerate();
    Element::of(sums.map(|(place, sum)| i128::from(sum) << (16 * place)).sum())
}

/// The digits of a vector, in the order of streams; blocks beyond its end meet zeros.
#[inline(always)]
fn digits<S: Simd>(simd: S, vector: &[Element]) -> Vec<[Digits<S>; 16]> {
    let lanes = S::U32_LANES;
    let zero = [[simd.splat_u32s(0); 2 * DIGITS]; 16];
    let mut digits = vec![zero; vector.len().div_ceil(64 * lanes)];
    for (at, element) in vector.iter().enumerate() {
        let (word, in_word) = (at % 64 / 4, at % 4);
        let to = &mut digits[at / (64 * lanes)][word];
        let to: &mut [i16] = bytemuck::cast_slice_mut(to);
        let in_vector = 4 * (at / 64 % lanes) + in_word;
        let (half, in_half) = (in_vector / (2 * lanes), in_vector % (2 * lanes));
        for (place, digit) in balanced(*element).into_iter().enumerate() {
            to[(half * DIGITS + place) * 2 * lanes + in_half] = digit;
        }
    }
    digits
}

/// An element as digits to the base 2^16, least first: their weighed sum is the element itself.
fn balanced(element: Element) -> [i16; DIGITS] {
    let mut left = element.get().cast_signed();
    std::array::from_fn(|_| {
        let bytes = left.to_le_bytes();
        let digit = i16::from_le_bytes([bytes[0], bytes[1]]);
        left = (left - i64::from(digit)) >> 16;
        digit
    })
}

/// How entries meet digits.
trait Multiply<S: Simd> {
    /// Adds products to lanes of 32 bits, one vector of them for each place.
    fn add(
        simd: S,
        sums: [S::u32s; DIGITS],
        entries: S::u32s,
        digits: &Digits<S>,
    ) -> [S::u32s; DIGITS];
}

/// With whatever the compiler finds.
struct Portable;

impl<S: Simd> Multiply<S> for Portable {
    #[inline(always)]
    fn add(
        _: S,
        mut sums: [S::u32s; DIGITS],
        entries: S::u32s,
        digits: &Digits<S>,
    ) -> [S::u32s; DIGITS] {
        let entries: &[i8] = bytemuck::cast_slice(std::slice::from_ref(&entries));
        let digits: &[i16] = bytemuck::cast_slice(digits);
        let halves = entries.chunks(entries.len() / 2).zip(digits.chunks(digits.len() / 2));
        for (entries, digits) in halves {
            for (sums, digits) in sums.iter_mut().zip(digits.chunks(entries.len())) {
                let sums: &mut [i32] = bytemuck::cast_slice_mut(std::slice::from_mut(sums));
                let pairs = entries.as_chunks::<2>().0.iter().zip(digits.as_chunks::<2>().0);
                for (sum, (entries, digits)) in sums.iter_mut().zip(pairs) {
                    *sum += i32::from(entries[0]) * i32::from(digits[0])
                        + i32::from(entries[1]) * i32::from(digits[1]);
                }
            }
        }
        sums
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    //! With the instruction that adds two products of 16 bits.

    use pulp::x86::{V3, V4};
    use pulp::{NullaryFnOnce, Simd, cast};

    use super::{DIGITS, Digits, Element, Multiply, RowsTimes};

    /// A call that is compiled for processors with these instructions, which a closure is not.
    pub(super) struct With<'a, S>(pub(super) S, pub(super) RowsTimes<'a>);

    impl<S: Simd> NullaryFnOnce for With<'_, S>
    where
        Madd: Multiply<S>,
    {
        type Output = Vec<Element>;

        #[inline(always)]
        fn call(self) -> Vec<Element> {
            self.1.with::<S, Madd>(self.0)
        }
    }

    pub(super) struct Madd;

    impl Multiply<V4> for Madd {
        #[inline(always)]
        fn add(
            simd: V4,
            mut sums: [pulp::u32x16; DIGITS],
            entries: pulp::u32x16,
            digits: &Digits<V4>,
        ) -> [pulp::u32x16; DIGITS] {
            let halves: [_; 2] = cast(entries);
            for half in 0..2 {
                let entries = simd.avx512bw._mm512_cvtepi8_epi16(halves[half]);
                for place in 0..DIGITS {
                    let digits = cast(digits[half * DIGITS + place]);
                    let products = simd.avx512bw._mm512_madd_epi16(entries, digits);
                    sums[place] = cast(simd.avx512f._mm512_add_epi32(cast(sums[place]), products));
                }
            }
            sums
        }
    }

    impl Multiply<V3> for Madd {
        #[inline(always)]
        fn add(
            simd: V3,
            mut sums: [pulp::u32x8; DIGITS],
            entries: pulp::u32x8,
            digits: &Digits<V3>,
        ) -> [pulp::u32x8; DIGITS] {
            let halves: [_; 2] = cast(entries);
            for half in 0..2 {
                let entries = simd.avx2._mm256_cvtepi8_epi16(halves[half]);
                for place in 0..DIGITS {
                    let digits = cast(digits[half * DIGITS + place]);
                    let products = simd.avx2._mm256_madd_epi16(entries, digits);
                    sums[place] = cast(simd.avx2._mm256_add_epi32(cast(sums[place]), products));
                }
            }
            sums
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{ROW_OF_A, ROW_OF_B, plain, row_of_a, row_of_b};
    use super::*;

    /// The sums that each way of this machine gives.
    fn ways(asked: RowsTimes<'_>) -> Vec<Vec<Element>> {
        let mut ways = vec![asked.sums(), asked.with::<_, Portable>(pulp::Scalar)];
        ways.push(Arch::new().dispatch(asked));
        #[cfg(target_arch = "x86_64")]
        if let Some(simd) = pulp::x86::V3::try_new() {
            ways.push(simd.vectorize(x86::With(simd, asked)));
        }
        ways
    }

    fn dots(vector: &[Element], rows: impl Iterator<Item = Vec<i8>>) -> Vec<Element> {
        rows.map(|row| plain::dot(row.into_iter().map(i32::from), vector)).collect()
    }

    #[test]
    fn the_largest_entries_meet_the_largest_digits_without_overflow() {
        let digits = 0x7fff_7fff_7fff_u64 | (0x1fff << 48);
        for n in [256, 4096, 16_384] {
            for bits in [digits, 0x8000_8000_8000, 0, 1, super::super::field::P - 1] {
                let vector = vec![Element::of_bits(bits); n];
                let asked = RowsTimes { label: ROW_OF_A, rows: &[([1; 32], 3)], vector: &vector };
                let expected = dots(&vector, [row_of_a(&[1; 32], n, 3)].into_iter());
                for sums in ways(asked) {
                    assert_eq!(sums, expected, "n = {n}, {bits:x}");
                }
            }
        }
    }

    #[test]
    fn lanes_hold_what_they_add_up() {
        let pair = 2 * 128 * (1_i64 << 15);
        let pairs = 2 * 16 * i64::try_from(BLOCKS_MAX).expect("few");
        assert!(pair * pairs < 1 << 31);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn an_element_is_the_sum_of_its_digits(bits: u64) {
            let element = Element::of_bits(bits);
            let weighed = balanced(element).into_iter().enumerate();
            let sum: i64 = weighed.map(|(place, digit)| i64::from(digit) << (16 * place)).sum();
            prop_assert_eq!(sum.cast_unsigned(), element.get());
        }

        #[test]
        fn sums_are_those_of_the_plain_way(
            log_n in 8_u32..13,
            seed: [u8; 32],
            first in 0_u32..60_000,
            count in 0_u32..4,
        ) {
            let vector = plain::vector(&seed, 1 << log_n);
            let seeds = [seed, [7; 32]].into_iter().cycle();
            let rows: Vec<([u8; 32], u32)> = seeds.zip(first..first + count).collect();
            let n = vector.len();
            let a = dots(&vector, rows.iter().map(|(seed, row)| row_of_a(seed, n, *row)));
            let b = dots(&vector, rows.iter().map(|(seed, row)| row_of_b(seed, n, *row)));
            for (label, expected) in [(ROW_OF_A, a), (ROW_OF_B, b)] {
                for sums in ways(RowsTimes { label, rows: &rows, vector: &vector }) {
                    prop_assert_eq!(&sums, &expected);
                }
            }
        }
    }
}
