//! Numbers that hash to leading zeros.

use crate::task::Puzzle;

/// What the seed of a task's puzzles is derived for.
pub const SEED: &str = "iog proof 1 puzzle";

/// Hashes that the puzzles of a task cost, on average.
pub fn hashes(puzzle: &Puzzle) -> u64 {
    u64::from(puzzle.count) << puzzle.bits
}

/// Whether `x` solves puzzle `index`.
pub fn solves(seed: &[u8; 32], index: u16, bits: u8, x: u64) -> bool {
    zeros(seed, index, x) >= u32::from(bits)
}

/// How many zero bits the hash of puzzle `index` begins with, for `x`.
pub fn zeros(seed: &[u8; 32], index: u16, x: u64) -> u32 {
    let mut input = [0; 44];
    input[..32].copy_from_slice(seed);
    input[32..36].copy_from_slice(&u32::from(index).to_le_bytes());
    input[36..].copy_from_slice(&x.to_le_bytes());
    leading_zeros(blake3::hash(&input).as_bytes())
}

/// Bits before the first that is set.
fn leading_zeros(hash: &[u8; 32]) -> u32 {
    let zeros = hash.iter().take_while(|byte| **byte == 0).count();
    let after = hash.get(zeros).map_or(0, |byte| byte.leading_zeros());
    u32::try_from(8 * zeros).expect("32 bytes") + after
}

/// The first of these numbers that solves puzzle `index`.
pub fn solve(
    seed: &[u8; 32],
    index: u16,
    bits: u8,
    mut numbers: impl Iterator<Item = u64>,
) -> Option<u64> {
    numbers.find(|x| solves(seed, index, bits, *x))
}

/// Whether these numbers, a `u64` for each, solve the puzzles of a task: all of them, and nothing else is there.
pub fn solved(seed: &[u8; 32], puzzle: &Puzzle, numbers: &[u8]) -> bool {
    let (numbers, rest) = numbers.as_chunks::<8>();
    let mut each = (0..puzzle.count).zip(numbers);
    rest.is_empty()
        && numbers.len() == usize::from(puzzle.count)
        && each.all(|(index, x)| solves(seed, index, puzzle.bits, u64::from_le_bytes(*x)))
}

#[cfg(test)]
mod tests {
    use super::{Puzzle, hashes, leading_zeros, solve, solved};

    const SEED: [u8; 32] = [7; 32];

    fn numbers(puzzle: &Puzzle) -> Vec<[u8; 8]> {
        let number = |index| solve(&SEED, index, puzzle.bits, 0..).expect("some number does");
        (0..puzzle.count).map(|index| number(index).to_le_bytes()).collect()
    }

    #[test]
    fn what_is_solved_is_accepted_in_its_place_only() {
        let puzzle = Puzzle { bits: 9, count: 4, limit_ms: 1 };
        let numbers = numbers(&puzzle);
        assert!(solved(&SEED, &puzzle, numbers.as_flattened()));
        for index in 0..4 {
            let mut other = numbers.clone();
            other.swap(index, (index + 1) % 4);
            assert!(!solved(&SEED, &puzzle, other.as_flattened()));
        }
        assert!(!solved(&[8; 32], &puzzle, numbers.as_flattened()));
        assert!(!solved(&SEED, &Puzzle { bits: 30, ..puzzle }, numbers.as_flattened()));
        assert_eq!(hashes(&puzzle), 2048);
    }

    #[test]
    fn there_are_as_many_numbers_as_puzzles() {
        let puzzle = Puzzle { bits: 1, count: 3, limit_ms: 1 };
        let numbers = numbers(&puzzle);
        let bytes = numbers.as_flattened();
        assert!(solved(&SEED, &puzzle, bytes));
        assert!(!solved(&SEED, &puzzle, &bytes[..16]));
        assert!(!solved(&SEED, &puzzle, &bytes[..23]));
        assert!(!solved(&SEED, &puzzle, &[]));
        assert!(!solved(&SEED, &puzzle, &[bytes, bytes].concat()));
    }

    #[test]
    fn zeros_are_counted_from_the_most_significant_bit_of_the_first_byte() {
        let mut hash = [0; 32];
        assert_eq!(leading_zeros(&hash), 256);
        hash[2] = 0x10;
        hash[3] = 0xff;
        assert_eq!(leading_zeros(&hash), 19);
        hash[0] = 0x80;
        assert_eq!(leading_zeros(&hash), 0);
    }
}
