//! RSA-4096 signatures as AMD makes them: PSS with SHA-384, a salt of 48 bytes, and the exponent 65,537 (RFC 8017).
//!
//! Public keys only, so nothing here is secret and nothing needs to take the same time always. The arithmetic is that
//! of the crate that P-384 stands on.

use p384::elliptic_curve::bigint::modular::runtime_mod::{DynResidue, DynResidueParams};
use p384::elliptic_curve::bigint::{Encoding, Integer, U4096};
use sha2::{Digest, Sha384};
use x509_cert::der::asn1::UintRef;
use x509_cert::der::{Reader, SliceReader};

/// Bytes of a modulus, and of a signature.
pub(crate) const RSA_BYTES: usize = 512;
const HASH_BYTES: usize = 48;
/// What is masked: zeros, a one, and the salt.
const MASKED_BYTES: usize = RSA_BYTES - HASH_BYTES - 1;
const ZEROS: usize = MASKED_BYTES - HASH_BYTES - 1;
const EXPONENT: u32 = 65_537;
const EXPONENT_BITS: usize = 17;

/// A public key.
#[derive(Clone, Debug)]
pub(crate) struct RsaKey {
    modulus: U4096,
}

impl RsaKey {
    /// Reads `SEQUENCE { modulus INTEGER, exponent INTEGER }`.
    pub(crate) fn parse(der: &[u8]) -> Option<Self> {
        let mut reader = SliceReader::new(der).ok()?;
        let parts = reader.sequence(|inner| {
            let modulus: UintRef<'_> = inner.decode()?;
            let exponent: u32 = inner.decode()?;
            Ok((modulus, exponent))
        });
        let (modulus, exponent) = parts.and_then(|parts| reader.finish(parts)).ok()?;
        let bytes: [u8; RSA_BYTES] = modulus.as_bytes().try_into().ok()?;
        let modulus = U4096::from_be_bytes(bytes);
        let fits = exponent == EXPONENT && bool::from(modulus.is_odd()) && bytes[0] >= 0x80;
        fits.then_some(Self { modulus })
    }

    /// Whether this key signed what has this digest.
    pub(crate) fn verifies(&self, digest: &[u8; HASH_BYTES], signature: &[u8]) -> bool {
        let Ok(signature) = <[u8; RSA_BYTES]>::try_from(signature) else { return false };
        let signature = U4096::from_be_bytes(signature);
        if signature >= self.modulus {
            return false;
        }
        let base = DynResidue::new(&signature, DynResidueParams::new(&self.modulus));
        let opened = base.pow_bounded_exp(&U4096::from(EXPONENT), EXPONENT_BITS).retrieve();
        is_pss(&opened.to_be_bytes(), digest)
    }
}

/// EMSA-PSS-VERIFY for a modulus of 4,096 bits, whose encoded messages have 4,095 (RFC 8017, 9.1.2).
fn is_pss(encoded: &[u8; RSA_BYTES], digest: &[u8; HASH_BYTES]) -> bool {
    let (masked, rest) = encoded.split_at(MASKED_BYTES);
    let (hash, end) = rest.split_at(HASH_BYTES);
    if end != [0xbc] || masked[0] & 0x80 != 0 {
        return false;
    }
    let mut opened: Vec<u8> =
        masked.iter().zip(mask(hash)).map(|(byte, mask)| byte ^ mask).collect();
    opened[0] &= 0x7f;
    let (zeros, salt) = opened.split_at(ZEROS);
    let Some((1, salt)) = salt.split_first() else { return false };
    let expected = Sha384::new().chain_update([0; 8]).chain_update(digest).chain_update(salt);
    zeros.iter().all(|byte| *byte == 0) && expected.finalize()[..] == *hash
}

/// MGF1 with SHA-384: as long as it is asked for.
fn mask(seed: &[u8]) -> impl Iterator<Item = u8> {
    (0_u32..).flat_map(move |counter| {
        Sha384::new().chain_update(seed).chain_update(counter.to_be_bytes()).finalize()
    })
}
