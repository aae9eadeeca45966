//! The product, and its check, as the protocol's page says them: one entry at a time, for reading and for comparison.

use super::field::Element;
use super::{Seeds, row_of_a, row_of_b};
use crate::prf::{Stream, label};

/// All rows of a round's product.
pub fn product(seeds: &Seeds, n: usize) -> Vec<Vec<i32>> {
    let b: Vec<Vec<i8>> = indices(n).map(|row| row_of_b(&seeds.right, n, row)).collect();
    indices(n).map(|row| times(&row_of_a(&seeds.left, n, row), &b)).collect()
}

/// A row times a matrix.
pub fn times(row: &[i8], matrix: &[Vec<i8>]) -> Vec<i32> {
    let mut sums = vec![0_i32; row.len()];
    for (a, b) in row.iter().zip(matrix) {
        for (sum, b) in sums.iter_mut().zip(b) {
            *sum = sum.wrapping_add(i32::from(*a) * i32::from(*b));
        }
    }
    sums
}

/// The secret vector of a task.
pub(crate) fn vector(secret: &[u8; 32], n: usize) -> Vec<Element> {
    let mut stream = Stream::new(secret, [0, 0, label(*b"SECR")]);
    (0..n).map(|_| Element::of_bits(stream.next_u64())).collect()
}

/// The right matrix times a vector, with a row of it in memory at a time.
pub(crate) fn b_times(right: &[u8; 32], vector: &[Element]) -> Vec<Element> {
    let n = vector.len();
    indices(n).map(|row| dot(row_of_b(right, n, row).into_iter().map(i32::from), vector)).collect()
}

/// The sum of the products of numbers and elements.
pub(crate) fn dot(numbers: impl IntoIterator<Item = i32>, elements: &[Element]) -> Element {
    Element::of(numbers.into_iter().zip(elements).map(|(number, of)| of.times(number)).sum())
}

fn indices(n: usize) -> std::ops::Range<u32> {
    0..u32::try_from(n).expect("matrices have at most 2^16 rows")
}
