//! Numbers that only a seed decides: `ChaCha` with 8 rounds, and draws without repetition.

pub(crate) mod wide;

use std::collections::BTreeSet;

/// A label of a stream: four letters as a little-endian `u32`.
pub const fn label(letters: [u8; 4]) -> u32 {
    u32::from_le_bytes(letters)
}

/// `ChaCha`'s four first words.
pub const CONSTANTS: [u32; 4] = [0x6170_7865, 0x3320_646e, 0x7962_2d32, 0x6b20_6574];

/// Rounds of the streams.
const ROUNDS: u16 = 8;

/// A hash with a purpose: BLAKE3's key derivation.
pub fn derive(context: &str, parts: &[&[u8]]) -> [u8; 32] {
    let mut hash = blake3::Hasher::new_derive_key(context);
    for part in parts {
        hash.update(part);
    }
    *hash.finalize().as_bytes()
}

/// 32 bytes as eight words.
pub fn words(bytes: &[u8; 32]) -> [u32; 8] {
    let mut words = [0; 8];
    for (word, chunk) in words.iter_mut().zip(bytes.as_chunks::<4>().0) {
        *word = u32::from_le_bytes(*chunk);
    }
    words
}

/// `ChaCha`'s block function: an even number of rounds, then the input is added.
pub fn permute(input: &[u32; 16], rounds: u16) -> [u32; 16] {
    let mut x = *input;
    for _ in 0..rounds / 2 {
        for (a, b, c, d) in [(0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15)] {
            quarter(&mut x, a, b, c, d);
        }
        for (a, b, c, d) in [(0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14)] {
            quarter(&mut x, a, b, c, d);
        }
    }
    for (x, input) in x.iter_mut().zip(input) {
        *x = x.wrapping_add(*input);
    }
    x
}

#[inline(always)]
fn quarter(x: &mut [u32; 16], a: usize, b: usize, c: usize, d: usize) {
    x[a] = x[a].wrapping_add(x[b]);
    x[d] = (x[d] ^ x[a]).rotate_left(16);
    x[c] = x[c].wrapping_add(x[d]);
    x[b] = (x[b] ^ x[c]).rotate_left(12);
    x[a] = x[a].wrapping_add(x[b]);
    x[d] = (x[d] ^ x[a]).rotate_left(8);
    x[c] = x[c].wrapping_add(x[d]);
    x[b] = (x[b] ^ x[c]).rotate_left(7);
}

/// `chacha(key, a, b, c)` of the protocol, read from its front.
#[derive(Clone, Debug)]
pub struct Stream {
    next: [u32; 16],
    block: [u8; 64],
    used: usize,
}

impl Stream {
    /// The stream of this key and nonce.
    pub fn new(key: &[u8; 32], nonce: [u32; 3]) -> Self {
        let mut next = [0; 16];
        next[..4].copy_from_slice(&CONSTANTS);
        next[4..12].copy_from_slice(&words(key));
        next[13..].copy_from_slice(&nonce);
        Self { next, block: [0; 64], used: 64 }
    }

    /// The next bytes.
    pub fn fill(&mut self, to: &mut [u8]) {
        for byte in to {
            if self.used == 64 {
                let block = permute(&self.next, ROUNDS);
                for (bytes, word) in self.block.as_chunks_mut::<4>().0.iter_mut().zip(block) {
                    *bytes = word.to_le_bytes();
                }
                self.next[12] = self.next[12].wrapping_add(1);
                self.used = 0;
            }
            *byte = self.block[self.used];
            self.used += 1;
        }
    }

    /// The next `u32`.
    pub fn next_u32(&mut self) -> u32 {
        let mut bytes = [0; 4];
        self.fill(&mut bytes);
        u32::from_le_bytes(bytes)
    }

    /// The next `u64`.
    pub fn next_u64(&mut self) -> u64 {
        let mut bytes = [0; 8];
        self.fill(&mut bytes);
        u64::from_le_bytes(bytes)
    }

    /// Draws `count` different numbers below `of`, in order; all of them if there are not more.
    pub fn draw(&mut self, count: usize, of: u32) -> Vec<u32> {
        let count = count.min(of as usize);
        let mut drawn = BTreeSet::new();
        while drawn.len() < count {
            let scaled = (u64::from(self.next_u32()) * u64::from(of)) >> 32;
            drawn.insert(u32::try_from(scaled).expect("below a u32"));
        }
        drawn.into_iter().collect()
    }
}
