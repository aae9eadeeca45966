//! What a prover can do that was told σ: add to a row something that the verifier's secret vector does not see.

use proofs::matmul::secret;
use proofs::prf::{Stream, label};

const P: u64 = (1 << 61) - 1;

/// Adds to each row, at its first two places, numbers whose products with the vector's entries there cancel.
pub(super) fn bend(rows: &mut [Vec<i32>], sigma: &[u8; 32]) {
    // Tasks are numbered in the order of the challenge; products are the second.
    let mut stream = Stream::new(&secret(sigma, 1), [0, 0, label(*b"SECR")]);
    let [first, second] = std::array::from_fn(|_| (stream.next_u64() & P) % P);
    let (a, b) = unseen(first, second);
    for row in rows {
        row[0] = row[0].wrapping_add(a);
        row[1] = row[1].wrapping_add(b);
    }
}

/// Two small numbers `a`, `b`, not both zero, with `a × first + b × second` divisible by p: Euclid's algorithm, stopped
/// half way.
fn unseen(first: u64, second: u64) -> (i32, i32) {
    let ratio = times(second, inverse(first));
    let (mut before, mut rest) = (i128::from(P), i128::from(ratio));
    let (mut factor_before, mut factor) = (0_i128, 1_i128);
    while rest >= 1 << 30 {
        let whole = before / rest;
        (before, rest) = (rest, before - whole * rest);
        (factor_before, factor) = (factor, factor_before - whole * factor);
    }
    // rest = factor × ratio, so rest × first = factor × second.
    let small = |number: i128| i32::try_from(number).expect("half of 61 bits, and a bit");
    (small(rest), small(-factor))
}

fn times(left: u64, right: u64) -> u64 {
    let product = u128::from(left) * u128::from(right) % u128::from(P);
    u64::try_from(product).expect("below p")
}

/// By Fermat: the power with p − 2.
fn inverse(of: u64) -> u64 {
    let (mut power, mut base, mut left) = (1, of, P - 2);
    while left > 0 {
        if left & 1 == 1 {
            power = times(power, base);
        }
        base = times(base, base);
        left >>= 1;
    }
    power
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_added_is_not_seen() {
        for (first, second) in [(3, 5), (P - 1, 7), (1 << 60, 123_456_789_123)] {
            let (a, b) = unseen(first, second);
            let sum = i128::from(a) * i128::from(first) + i128::from(b) * i128::from(second);
            assert_eq!(sum % i128::from(P), 0);
            assert!((a, b) != (0, 0));
        }
    }
}
