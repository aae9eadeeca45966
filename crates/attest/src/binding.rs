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
/// SHA-512 over a line that names this use, the nonce, SHA-384 of the connection's public key (the DER of its
/// `SubjectPublicKeyInfo`), and [`evidence_digest`] of the machine's GPUs. Every part has a fixed length.
pub fn report_data(
    nonce: &[u8; 32],
    tls_key: &[u8],
    evidence: &[Evidence<'_>],
) -> [u8; REPORT_DATA_BYTES] {
    let mut hash = Sha512::new();
    hash.update(BINDING);
    hash.update(nonce);
    hash.update(Sha384::digest(tls_key));
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
