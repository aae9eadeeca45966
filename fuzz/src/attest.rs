//! Everything of an attestation that strangers send, or that is fetched for it.

use attest::{References, Revocations, certificate, chain, opaque, report, rim, snp};
use ed25519_dalek::{Signer, SigningKey};
use units::Timestamp;

/// What keeps signatures of each kind apart.
const REFERENCES: &str = "iog attestation references 1";
/// See [`REFERENCES`].
const REVOCATIONS: &str = "iog attestation revocations 1";

/// Certificates: one, and a chain of them, whose signatures are checked if it reads.
pub fn certificates(bytes: &[u8]) {
    let _ = certificate::parse(bytes);
    if let Ok(chain) = chain::parse(bytes) {
        let _ = chain.verify(Timestamp::from_millis(1_800_000_000_000));
    }
}

/// What a card or a processor signs, and manifests of what it should say.
pub fn evidence(bytes: &[u8]) {
    let _ = report::parse(bytes);
    let _ = opaque::parse(bytes);
    let _ = snp::parse(bytes);
    let _ = rim::parse(bytes);
}

/// Data that the network signs: as it is, and as a key that is trusted would have signed it.
pub fn references(bytes: &[u8]) {
    let key = SigningKey::from_bytes(&[1; 32]);
    let trusted = [key.verifying_key()];
    let line = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let signed = |kind: &str| {
        let signature = key.sign(&[kind.as_bytes(), b"\n", line].concat());
        [line, format!("\n{signature:x}\n").as_bytes()].concat()
    };
    let _ = References::parse(bytes, &trusted);
    let _ = Revocations::parse(bytes, &trusted);
    let _ = References::parse(&signed(REFERENCES), &trusted);
    let _ = Revocations::parse(&signed(REVOCATIONS), &trusted);
}
