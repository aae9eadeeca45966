//! Chips that attest, for tests: makers with roots of their own, in the shape of NVIDIA's and Intel's.
//!
//! Only whoever names these roots as believed takes what they sign for anything. Keys follow from names, so that the
//! same maker is the same everywhere.
//!
//! # Invariants
//! - Nothing here is secret, and nothing that is signed here is of a real chip.

pub mod certificate;
pub mod gpu;
pub mod tdx;

use sha2::{Digest, Sha384};

/// 48 bytes that follow from a name.
pub(crate) fn seed(name: &str) -> [u8; 48] {
    Sha384::digest(name).into()
}

/// A key on P-384 that follows from a name.
pub(crate) fn p384_key(name: &str) -> p384::ecdsa::SigningKey {
    let mut bytes = seed(name);
    // Below the order of the curve, whatever the rest is.
    bytes[0] = 1;
    p384::ecdsa::SigningKey::from_slice(&bytes).expect("it is below the order")
}

/// A key on P-256 that follows from a name.
pub(crate) fn p256_key(name: &str) -> p256::ecdsa::SigningKey {
    let mut bytes = seed(name);
    bytes[0] = 1;
    p256::ecdsa::SigningKey::from_slice(&bytes[..32]).expect("it is below the order")
}
