//! Rows of matrices, many blocks of a stream at a time: for provers, who need all of them.

use pulp::{Arch, Simd, WithSimd, bytemuck};

use super::{ROW_OF_A, ROW_OF_B};
use crate::prf::wide::Wide;

/// Makes rows of a matrix: those of [`super::row_of_a`] and [`super::row_of_b`].
#[derive(Clone, Copy, Debug)]
pub struct Rows<'a> {
    seed: &'a [u8; 32],
    label: u32,
    arch: Arch,
}

impl<'a> Rows<'a> {
    /// Those of the left matrix of a round.
    pub fn of_a(seed: &'a [u8; 32]) -> Self {
        Self { seed, label: ROW_OF_A, arch: Arch::new() }
    }

    /// Those of the right matrix of a task.
    pub fn of_b(seed: &'a [u8; 32]) -> Self {
        Self { seed, label: ROW_OF_B, arch: Arch::new() }
    }

    /// Writes a row, as many entries as there is room for.
    pub fn write(&self, row: u32, to: &mut [i8]) {
        self.arch.dispatch(Write { rows: self, row, to });
    }
}

struct Write<'a> {
    rows: &'a Rows<'a>,
    row: u32,
    to: &'a mut [i8],
}

/// Lanes of the widest vector.
const LANES_MAX: usize = 16;

impl WithSimd for Write<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { rows, row, to } = self;
        let mut stream = Wide::new(simd, rows.seed, rows.label).of_row(row);
        let mut blocks = [[0_u32; 16]; LANES_MAX];
        for to in to.chunks_mut(64 * S::U32_LANES) {
            let words = stream.blocks();
            let words: &[u32] = bytemuck::cast_slice(&words);
            for block in 0..S::U32_LANES {
                for word in 0..16 {
                    blocks[block][word] = words[word * S::U32_LANES + block].to_le();
                }
            }
            to.copy_from_slice(&bytemuck::cast_slice(&blocks)[..to.len()]);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{row_of_a, row_of_b};
    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn rows_are_those_of_the_stream(seed: [u8; 32], row: u32, n in 0_usize..5000) {
            let mut written = vec![0; n];
            Rows::of_a(&seed).write(row, &mut written);
            prop_assert_eq!(&written, &row_of_a(&seed, n, row));
            Rows::of_b(&seed).write(row, &mut written);
            prop_assert_eq!(&written, &row_of_b(&seed, n, row));
            let write = Write { rows: &Rows::of_b(&seed), row, to: &mut written };
            write.with_simd(pulp::Scalar);
            prop_assert_eq!(&written, &row_of_b(&seed, n, row));
        }
    }
}
