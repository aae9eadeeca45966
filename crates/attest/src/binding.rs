//! What ties a GPU's evidence to the machine that shows it, and to the connection it was shown on.
//!
//! A GPU signs a nonce and its own state, and knows nothing of the computer around it: alone, its evidence can be
//! relayed from another machine. A confidential virtual machine signs 64 bytes of its own choice, the report data.
//! When those bytes are [`report_data`], one signature covers the question, the connection, and the GPUs' answers.

use sha2::{Digest, Sha384, Sha512};

use crate::Evidence;

/// Bytes that a TDX or SEV-SNP quote carries for its owner.
pub const REPORT_DATA_BYTES: usize = 64;

const BINDING: &[u8] = b"iog attestation binding 1\n";
const EVIDENCE: &[u8] = b"iog attestation evidence 1\n";

/// What a confidential virtual machine puts into its quote.
///
/// SHA-512 over a line that names this use, the nonce, SHA-384 of the public key that the machine or its connection is
/// known by (the DER of its `SubjectPublicKeyInfo`: [`machine_key`]), and [`evidence_digest`] of the machine's GPUs.
/// Every part has a fixed length.
pub fn report_data(
    nonce: &[u8; 32],
    key: &[u8],
    evidence: &[Evidence<'_>],
) -> [u8; REPORT_DATA_BYTES] {
    let mut hash = Sha512::new();
    hash.update(BINDING);
    hash.update(nonce);
    hash.update(Sha384::digest(key));
    hash.update(evidence_digest(evidence));
    hash.finalize().into()
}

/// What stands for the evidence of all GPUs of a machine.
///
/// SHA-384 over a line that names this use, how many GPUs there are, and for each its report and its chain, each
/// with its length before it; numbers as eight bytes, the highest first.
pub fn evidence_digest(evidence: &[Evidence<'_>]) -> [u8; 48] {
    let mut hash = Sha384::new();
    let number = |count: usize| u64::try_from(count).expect("a length fits 64 bits").to_be_bytes();
    hash.update(EVIDENCE);
    hash.update(number(evidence.len()));
    for part in evidence.iter().flat_map(|one| [one.report, one.chain]) {
        hash.update(number(part.len()));
        hash.update(part);
    }
    hash.finalize().into()
}

/// A machine's ed25519 key as [`report_data`] takes it: the DER of its `SubjectPublicKeyInfo` (RFC 8410).
///
/// The network knows a machine by this key, and every session of the machine's is opened with it.
pub fn machine_key(public: &[u8; 32]) -> [u8; 44] {
    const PREFIX: [u8; 12] = [0x30, 42, 0x30, 5, 0x06, 3, 0x2b, 0x65, 0x70, 0x03, 33, 0];
    let mut der = [0; 44];
    der[..12].copy_from_slice(&PREFIX);
    der[12..].copy_from_slice(public);
    der
}
