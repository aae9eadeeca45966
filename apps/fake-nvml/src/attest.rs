//! What a card in confidential mode signs: its report with the nonce that was asked.

use data_encoding::HEXLOWER;
use p384::ecdsa::signature::hazmat::PrehashSigner;
use p384::ecdsa::{Signature, SigningKey};
use sha2::{Digest, Sha384};

use crate::script::{Attests, Code};

/// Bytes of a signature.
const SIGNATURE_BYTES: usize = 96;
/// Where a report's nonce is.
const NONCE_AT: std::ops::Range<usize> = 4..36;

/// What a card answers to a nonce.
pub(crate) fn report(attests: &Attests, nonce: &[u8; 32]) -> Result<Vec<u8>, u32> {
    signed(attests, nonce).ok_or(Code::UNKNOWN)
}

fn signed(attests: &Attests, nonce: &[u8; 32]) -> Option<Vec<u8>> {
    let mut report = HEXLOWER.decode(attests.report.as_bytes()).ok()?;
    let key = SigningKey::from_slice(&HEXLOWER.decode(attests.key.as_bytes()).ok()?).ok()?;
    let end = report.len().checked_sub(SIGNATURE_BYTES)?;
    report.get_mut(NONCE_AT)?.copy_from_slice(nonce);
    let signature: Signature = key.sign_prehash(&Sha384::digest(&report[..end])).ok()?;
    report[end..].copy_from_slice(&signature.to_bytes());
    Some(report)
}
