//! Chance, as the brain is given it: a stream of bytes drawn from one seed.
//!
//! The shell seeds it from the operating system, a test from a number. Each draw replaces the inner key by a one-way
//! function of itself, so that who reads the memory later cannot tell earlier draws (ephemeral keys among them).

use blake2::{Blake2s256, Digest};
use zeroize::{Zeroize, ZeroizeOnDrop};

/// A stream of bytes that looks random to whoever does not know the seed.
#[derive(Zeroize, ZeroizeOnDrop)]
pub(crate) struct Entropy {
    key: [u8; 32],
}

impl Entropy {
    /// The stream that begins at `seed`.
    pub(crate) const fn new(seed: [u8; 32]) -> Self {
        Self { key: seed }
    }

    /// The next 32 bytes.
    pub(crate) fn draw(&mut self) -> [u8; 32] {
        let drawn = step(&self.key, b"drawn");
        self.key = step(&self.key, b"next");
        drawn
    }

    /// The next 64 bits.
    pub(crate) fn draw_u64(&mut self) -> u64 {
        let [a, b, c, d, e, f, g, h, ..] = self.draw();
        u64::from_le_bytes([a, b, c, d, e, f, g, h])
    }

    /// The next 32 bits.
    pub(crate) fn draw_u32(&mut self) -> u32 {
        let [a, b, c, d, ..] = self.draw();
        u32::from_le_bytes([a, b, c, d])
    }
}

fn step(key: &[u8; 32], label: &[u8]) -> [u8; 32] {
    Blake2s256::new().chain_update(key).chain_update(label).finalize().into()
}

impl std::fmt::Debug for Entropy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Entropy(secret)")
    }
}
