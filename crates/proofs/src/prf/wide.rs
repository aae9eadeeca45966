//! Blocks of a stream side by side, one in each lane of a vector.

use pulp::Simd;

use super::{CONSTANTS, ROUNDS, words};

/// The stream of `chacha(key, row, 0, label)`, as many blocks at a time as vectors have lanes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wide<S: Simd> {
    simd: S,
    next: [S::u32s; 16],
}

/// As many as the widest vector has lanes.
const COUNT: [u32; 16] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];

impl<S: Simd> Wide<S> {
    /// Streams of this key and label.
    #[inline(always)]
    pub(crate) fn new(simd: S, key: &[u8; 32], label: u32) -> Self {
        let mut next = [simd.splat_u32s(0); 16];
        let known = CONSTANTS.into_iter().chain(words(key));
        for (to, word) in next.iter_mut().zip(known) {
            *to = simd.splat_u32s(word);
        }
        next[15] = simd.splat_u32s(label);
        Self { simd, next }
    }

    /// From the front of the stream of this row.
    #[inline(always)]
    pub(crate) fn of_row(mut self, row: u32) -> Self {
        self.next[12] = self.simd.partial_load_u32s(&COUNT[..S::U32_LANES]);
        self.next[13] = self.simd.splat_u32s(row);
        self
    }

    /// The next blocks: a vector for each of their words.
    #[inline(always)]
    pub(crate) fn blocks(&mut self) -> [S::u32s; 16] {
        let simd = self.simd;
        let mut x = self.next;
        for _ in 0..ROUNDS / 2 {
            quarter(simd, &mut x, [0, 4, 8, 12]);
            quarter(simd, &mut x, [1, 5, 9, 13]);
            quarter(simd, &mut x, [2, 6, 10, 14]);
            quarter(simd, &mut x, [3, 7, 11, 15]);
            quarter(simd, &mut x, [0, 5, 10, 15]);
            quarter(simd, &mut x, [1, 6, 11, 12]);
            quarter(simd, &mut x, [2, 7, 8, 13]);
            quarter(simd, &mut x, [3, 4, 9, 14]);
        }
        for (x, input) in x.iter_mut().zip(&self.next) {
            *x = simd.add_u32s(*x, *input);
        }
        let lanes = u32::try_from(S::U32_LANES).expect("vectors have few lanes");
        self.next[12] = simd.add_u32s(self.next[12], simd.splat_u32s(lanes));
        x
    }
}

#[inline(always)]
fn quarter<S: Simd>(simd: S, x: &mut [S::u32s; 16], [a, b, c, d]: [usize; 4]) {
    x[a] = simd.add_u32s(x[a], x[b]);
    x[d] = rotated(simd, simd.xor_u32s(x[d], x[a]), 16);
    x[c] = simd.add_u32s(x[c], x[d]);
    x[b] = rotated(simd, simd.xor_u32s(x[b], x[c]), 12);
    x[a] = simd.add_u32s(x[a], x[b]);
    x[d] = rotated(simd, simd.xor_u32s(x[d], x[a]), 8);
    x[c] = simd.add_u32s(x[c], x[d]);
    x[b] = rotated(simd, simd.xor_u32s(x[b], x[c]), 7);
}

/// The compiler makes one instruction of it where there is one.
#[inline(always)]
fn rotated<S: Simd>(simd: S, x: S::u32s, by: u32) -> S::u32s {
    let left = simd.wrapping_dyn_shl_u32s(x, simd.splat_u32s(by));
    simd.or_u32s(left, simd.wrapping_dyn_shr_u32s(x, simd.splat_u32s(32 - by)))
}
