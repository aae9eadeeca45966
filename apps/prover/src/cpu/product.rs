//! Products of matrices on the processor: the right one is made once and kept, the left one and the product are only
//! ever there in strips.

use std::sync::{Mutex, PoisonError};
use std::thread;

use proofs::matmul::{Rows, leaf};

use super::tile::{Job, Pair, Shape};

/// Rows of a strip, at most: the more, the less often the right matrix is read from memory; the fewer, the smaller what
/// each core keeps.
const STRIP_ROWS_MAX: usize = 192;
/// Rows of the right matrix that are multiplied at a time: a panel of so many stays in a core's first cache.
const BLOCK_ROWS: usize = 512;

/// The right matrix of a task, laid out for tiles.
#[derive(Debug)]
pub(super) struct Right {
    shape: Shape,
    threads: usize,
    n: usize,
    seed: [u8; 32],
    /// Blocks of rows; in each of them, panels of columns.
    blocks: Vec<i8>,
}

impl Right {
    /// The matrix of this seed, with the memory of another that is not needed any more.
    pub(super) fn make(old: Option<Self>, seed: &[u8; 32], n: usize, threads: usize) -> Self {
        if let Some(same) = old.as_ref().filter(|old| old.seed == *seed && old.n == n) {
            debug_assert_eq!(same.blocks.len(), n * n);
            return old.expect("it was there");
        }
        let mut blocks = old.map_or_else(Vec::new, |old| old.blocks);
        blocks.resize(n * n, 0);
        let shape = Shape::new();
        let work = Mutex::new((0..).step_by(BLOCK_ROWS).zip(blocks.chunks_mut(BLOCK_ROWS * n)));
        on_threads(threads, || {
            while let Some((first, block)) = next(&work) {
                lay_out(shape, &Rows::of_b(seed), first, n, block);
            }
        });
        Self { shape, threads, n, seed: *seed, blocks }
    }

    /// Bytes that products of this size need: the matrix, and what each thread has a strip of.
    pub(super) fn bytes(n: usize, threads: usize) -> usize {
        let strip = n.div_ceil(threads).clamp(1, STRIP_ROWS_MAX);
        n * n + threads * strip * n * (size_of::<i32>() + size_of::<i16>())
    }

    /// The leaves of all rows of the product of this left matrix.
    pub(super) fn leaves(&self, left: &[u8; 32], round: u16) -> Vec<[u8; 32]> {
        let mut leaves = vec![[0; 32]; self.n];
        let strip = self.strip(self.n);
        let work = Mutex::new((0_u32..).step_by(strip).zip(leaves.chunks_mut(strip)));
        on_threads(self.threads, || {
            let mut sums = vec![0; strip * self.n];
            while let Some((first, leaves)) = next(&work) {
                let rows: Vec<u32> = (first..).take(leaves.len()).collect();
                let sums = &mut sums[..rows.len() * self.n];
                self.multiply(left, &rows, sums);
                for ((leaf_to, row), index) in
                    leaves.iter_mut().zip(sums.chunks_exact(self.n)).zip(rows)
                {
                    *leaf_to = leaf(row, index, round);
                }
            }
        });
        leaves
    }

    /// These rows of that product, one after another.
    pub(super) fn rows(&self, left: &[u8; 32], rows: &[u32]) -> Vec<i32> {
        let mut product = vec![0; rows.len() * self.n];
        let strip = self.strip(rows.len());
        let work = Mutex::new(rows.chunks(strip).zip(product.chunks_mut(strip * self.n)));
        on_threads(self.threads, || {
            while let Some((rows, sums)) = next(&work) {
                self.multiply(left, rows, sums);
            }
        });
        product
    }

    /// Rows of a strip, so that every thread has one.
    fn strip(&self, rows: usize) -> usize {
        let share = rows.div_ceil(self.threads).max(1).next_multiple_of(self.shape.rows);
        share.min(STRIP_ROWS_MAX)
    }

    /// Rows of a left matrix times this one.
    fn multiply(&self, left: &[u8; 32], rows: &[u32], sums: &mut [i32]) {
        sums.fill(0);
        let height = BLOCK_ROWS.min(self.n);
        let group = self.shape.rows * height / 2;
        let groups = self.groups(left, rows, height);
        let of_block = groups.len() / (self.n / height);
        let blocks = self.blocks.chunks_exact(height * self.n);
        for (groups, panels) in groups.chunks_exact(of_block).zip(blocks) {
            let panel = height * self.shape.columns;
            self.shape.run(Job { groups, group, panels, panel, sums });
        }
    }

    /// Rows of a left matrix in groups, block after block; rows that a last group lacks are zeros.
    fn groups(&self, left: &[u8; 32], rows: &[u32], height: usize) -> Vec<Pair> {
        let in_group = self.shape.rows;
        let all = rows.len().next_multiple_of(in_group);
        let mut pairs = vec![[0; 2]; all * self.n / 2];
        let left = Rows::of_a(left);
        let mut entries = vec![0; self.n];
        for (at, row) in rows.iter().enumerate() {
            left.write(*row, &mut entries);
            let (group, in_it) = (at / in_group, at % in_group);
            let blocks = pairs.chunks_exact_mut(all * height / 2);
            for (block, entries) in blocks.zip(entries.chunks_exact(height)) {
                let group = &mut block[group * in_group * height / 2..][..in_group * height / 2];
                let to = group.chunks_exact_mut(in_group).zip(entries.as_chunks::<2>().0);
                for (to, entries) in to {
                    to[in_it] = [entries[0].into(), entries[1].into()];
                }
            }
        }
        pairs
    }
}

/// Writes a block of rows as panels: for each pair of rows, the pair of each column.
fn lay_out(shape: Shape, rows: &Rows<'_>, first: u32, n: usize, block: &mut [i8]) {
    let (height, columns) = (block.len() / n, shape.columns);
    let (mut upper, mut lower) = (vec![0; n], vec![0; n]);
    for (pair, row) in (first..).step_by(2).take(height / 2).enumerate() {
        rows.write(row, &mut upper);
        rows.write(row + 1, &mut lower);
        let from = upper.chunks_exact(columns).zip(lower.chunks_exact(columns));
        for (panel, (upper, lower)) in block.chunks_exact_mut(height * columns).zip(from) {
            let to = panel[2 * columns * pair..].as_chunks_mut::<2>().0;
            for (to, (upper, lower)) in to.iter_mut().zip(upper.iter().zip(lower)) {
                *to = [*upper, *lower];
            }
        }
    }
}

/// Runs the same on some threads, and waits for all.
fn on_threads(threads: usize, work: impl Fn() + Sync) {
    thread::scope(|scope| {
        for _ in 1..threads {
            scope.spawn(&work);
        }
        work();
    });
}

/// The next piece of work that no thread has taken.
fn next<T>(work: &Mutex<impl Iterator<Item = T>>) -> Option<T> {
    work.lock().unwrap_or_else(PoisonError::into_inner).next()
}
