//! A tile of a product: sums of products of bytes, as many at a time as registers hold.
//!
//! Entries come in pairs, since processors have an instruction that multiplies two pairs of 16 bits and adds the two
//! products. What is multiplied is laid out so that everything is read from front to back:
//!
//! - a group is some rows of the left matrix: for each pair of columns, the pair of each row;
//! - a panel is some columns of the right one: for each pair of rows, the pair of each column.

use pulp::{Arch, NullaryFnOnce, Simd, WithSimd, bytemuck};

/// Two entries next to each other in a row of the left matrix.
pub(super) type Pair = [i16; 2];

/// Vectors in a row of a tile.
const VECTORS: usize = 2;

/// Which tiles this processor works with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    arch: Arch,
    /// Rows of a tile, and of a group.
    pub(super) rows: usize,
    /// Columns of a tile, and of a panel.
    pub(super) columns: usize,
}

/// Rows where there are 32 registers for vectors.
const ROWS_MANY: usize = 8;
/// Rows where there are 16.
const ROWS_FEW: usize = 4;

/// What a job is about: some groups times some panels, over the same entries of the inner dimension.
pub(super) struct Job<'a> {
    /// The groups, one after another.
    pub(super) groups: &'a [Pair],
    /// Pairs of a group.
    pub(super) group: usize,
    /// The panels, one after another.
    pub(super) panels: &'a [i8],
    /// Entries of a panel.
    pub(super) panel: usize,
    /// What is added to: rows of sums, as long as all panels together.
    pub(super) sums: &'a mut [i32],
}

impl Shape {
    /// That of the processor this runs on.
    pub(super) fn new() -> Self {
        struct Lanes;
        impl WithSimd for Lanes {
            type Output = usize;
            fn with_simd<S: Simd>(self, _: S) -> usize {
                S::U32_LANES
            }
        }
        let arch = Arch::new();
        let lanes = arch.dispatch(Lanes);
        let rows = if lanes >= 16 { ROWS_MANY } else { ROWS_FEW };
        Self { arch, rows, columns: VECTORS * lanes }
    }

    /// Adds the products of a job to its sums.
    pub(super) fn run(&self, job: Job<'_>) {
        match self.arch {
            #[cfg(target_arch = "x86_64")]
            Arch::V4(simd) => simd.vectorize(x86::Wide(simd, job)),
            #[cfg(target_arch = "x86_64")]
            Arch::V3(simd) => simd.vectorize(x86::Narrow(simd, job)),
            arch => arch.dispatch(Plain(job)),
        }
    }
}

/// How a processor multiplies pairs.
trait Multiply<S: Simd> {
    /// Pairs of bytes, one for each lane, as pairs of 16 bits.
    fn widen(simd: S, pairs: &[i8]) -> S::u32s;

    /// Adds two products to each lane.
    fn add(simd: S, sums: S::u32s, a: S::u32s, b: S::u32s) -> S::u32s;

    /// Adds the lanes of vectors to sums in memory.
    #[inline(always)]
    fn add_to(simd: S, sums: &mut [i32], more: &[S::u32s; VECTORS]) {
        let sums: &mut [u8] = bytemuck::cast_slice_mut(sums);
        let width = sums.len() / VECTORS;
        for at in 0..VECTORS {
            let sums = &mut sums[at * width..][..width];
            let sum = simd.add_u32s(bytemuck::pod_read_unaligned(sums), more[at]);
            sums.copy_from_slice(bytemuck::bytes_of(&sum));
        }
    }
}

// Loops here count: what iterators call is compiled on its own, for any processor.

#[inline(always)]
fn run<S: Simd, M: Multiply<S>, const ROWS: usize>(simd: S, job: &mut Job<'_>) {
    let columns = VECTORS * S::U32_LANES;
    let (panels, groups) = (job.panels.len() / job.panel, job.groups.len() / job.group);
    let stride = panels * columns;
    for at in 0..panels {
        let panel = &job.panels[at * job.panel..][..job.panel];
        for above in 0..groups {
            let group = &job.groups[above * job.group..][..job.group];
            let tile = tile::<S, M, ROWS>(simd, group, panel);
            for (below, row) in tile.iter().enumerate() {
                // A last group may have more rows than there are.
                let from = (above * ROWS + below) * stride + at * columns;
                let Some(sums) = job.sums.get_mut(from..from + columns) else { break };
                M::add_to(simd, sums, row);
            }
        }
    }
}

#[inline(always)]
fn tile<S: Simd, M: Multiply<S>, const ROWS: usize>(
    simd: S,
    group: &[Pair],
    panel: &[i8],
) -> [[S::u32s; VECTORS]; ROWS] {
    let mut sums = [[simd.splat_u32s(0); VECTORS]; ROWS];
    let half = 2 * S::U32_LANES;
    let group = group.as_chunks::<ROWS>().0;
    for pair in 0..group.len() {
        let both = &panel[pair * 2 * half..][..2 * half];
        let b = [M::widen(simd, &both[..half]), M::widen(simd, &both[half..])];
        for row in 0..ROWS {
            let a = simd.splat_u32s(bytemuck::cast(group[pair][row]));
            sums[row][0] = M::add(simd, sums[row][0], a, b[0]);
            sums[row][1] = M::add(simd, sums[row][1], a, b[1]);
        }
    }
    sums
}

/// With whatever the compiler finds.
struct Plain<'a>(Job<'a>);

impl WithSimd for Plain<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        if S::U32_LANES >= 16 {
            run::<S, Portable, ROWS_MANY>(simd, &mut self.0);
        } else {
            run::<S, Portable, ROWS_FEW>(simd, &mut self.0);
        }
    }
}

struct Portable;

impl<S: Simd> Multiply<S> for Portable {
    #[inline(always)]
    fn widen(simd: S, pairs: &[i8]) -> S::u32s {
        let mut wide = simd.splat_u32s(0);
        let entries: &mut [i16] = bytemuck::cast_slice_mut(std::slice::from_mut(&mut wide));
        for (to, entry) in entries.iter_mut().zip(pairs) {
            *to = i16::from(*entry);
        }
        wide
    }

    #[inline(always)]
    fn add(_: S, mut sums: S::u32s, a: S::u32s, b: S::u32s) -> S::u32s {
        let a: &[Pair] = bytemuck::cast_slice(std::slice::from_ref(&a));
        let b: &[Pair] = bytemuck::cast_slice(std::slice::from_ref(&b));
        let lanes: &mut [i32] = bytemuck::cast_slice_mut(std::slice::from_mut(&mut sums));
        for (sum, (a, b)) in lanes.iter_mut().zip(a.iter().zip(b)) {
            let products = i32::from(a[0]) * i32::from(b[0]) + i32::from(a[1]) * i32::from(b[1]);
            *sum = sum.wrapping_add(products);
        }
        sums
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    //! With the instruction that is made for it.

    use pulp::x86::{V3, V4};
    use pulp::{bytemuck, cast};

    use super::{Job, Multiply, NullaryFnOnce, ROWS_FEW, ROWS_MANY, run};

    /// A call that is compiled for processors with vectors of 512 bits.
    pub(super) struct Wide<'a>(pub(super) V4, pub(super) Job<'a>);

    /// The same of 256 bits.
    pub(super) struct Narrow<'a>(pub(super) V3, pub(super) Job<'a>);

    impl NullaryFnOnce for Wide<'_> {
        type Output = ();

        #[inline(always)]
        fn call(mut self) {
            run::<V4, Madd, ROWS_MANY>(self.0, &mut self.1);
        }
    }

    impl NullaryFnOnce for Narrow<'_> {
        type Output = ();

        #[inline(always)]
        fn call(mut self) {
            run::<V3, Madd, ROWS_FEW>(self.0, &mut self.1);
        }
    }

    struct Madd;

    impl Multiply<V4> for Madd {
        #[inline(always)]
        fn widen(simd: V4, pairs: &[i8]) -> pulp::u32x16 {
            cast(
                simd.avx512bw._mm512_cvtepi8_epi16(bytemuck::pod_read_unaligned(
                    bytemuck::cast_slice(pairs),
                )),
            )
        }

        #[inline(always)]
        fn add(simd: V4, sums: pulp::u32x16, a: pulp::u32x16, b: pulp::u32x16) -> pulp::u32x16 {
            let products = simd.avx512bw._mm512_madd_epi16(cast(a), cast(b));
            cast(simd.avx512f._mm512_add_epi32(cast(sums), products))
        }
    }

    impl Multiply<V3> for Madd {
        #[inline(always)]
        fn widen(simd: V3, pairs: &[i8]) -> pulp::u32x8 {
            cast(
                simd.avx2._mm256_cvtepi8_epi16(bytemuck::pod_read_unaligned(bytemuck::cast_slice(
                    pairs,
                ))),
            )
        }

        #[inline(always)]
        fn add(simd: V3, sums: pulp::u32x8, a: pulp::u32x8, b: pulp::u32x8) -> pulp::u32x8 {
            let products = simd.avx2._mm256_madd_epi16(cast(a), cast(b));
            cast(simd.avx2._mm256_add_epi32(cast(sums), products))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A group of 16 pairs and two panels, by a shape.
    fn sums(shape: Shape, run: impl Fn(Job<'_>)) {
        let (rows, columns, pairs) = (shape.rows, shape.columns, 5);
        let small = |at: usize, prime: usize| i8::try_from(at * prime % 251).unwrap_or(-128);
        let groups: Vec<Pair> =
            (0..2 * rows * pairs).map(|at| [small(at, 77).into(), small(at, 91).into()]).collect();
        let panels: Vec<i8> = (0..3 * 2 * columns * pairs).map(|at| small(at, 113)).collect();
        let mut sums = vec![7; 2 * rows * 3 * columns];
        run(Job {
            groups: &groups,
            group: rows * pairs,
            panels: &panels,
            panel: 2 * columns * pairs,
            sums: &mut sums,
        });
        for (at, sum) in sums.into_iter().enumerate() {
            let (row, column) = (at / (3 * columns), at % (3 * columns));
            let a = &groups[row / rows * rows * pairs..];
            let b = &panels[column / columns * 2 * columns * pairs..];
            let products = (0..pairs).flat_map(|pair| {
                let a = a[pair * rows + row % rows];
                let b = &b[2 * (pair * columns + column % columns)..];
                [i32::from(a[0]) * i32::from(b[0]), i32::from(a[1]) * i32::from(b[1])]
            });
            assert_eq!(sum, 7 + products.sum::<i32>(), "row {row}, column {column}");
        }
    }

    #[test]
    fn a_tile_holds_the_sums_of_products() {
        let shape = Shape::new();
        sums(shape, |job| shape.run(job));
        sums(shape, |job| shape.arch.dispatch(Plain(job)));
        let lone = Shape { rows: ROWS_FEW, columns: VECTORS, ..shape };
        sums(lone, |job| Plain(job).with_simd(pulp::Scalar));
        #[cfg(target_arch = "x86_64")]
        if let Some(simd) = pulp::x86::V3::try_new() {
            let narrow = Shape { arch: Arch::V3(simd), rows: ROWS_FEW, columns: 16 };
            sums(narrow, |job| narrow.run(job));
        }
    }
}
