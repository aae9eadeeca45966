//! Everything of an attestation that strangers send, or that is fetched for it.

use attest::collateral::Collateral;
use attest::{Images, References, Revocations, Roots, Rules, certificate, chain};
use attest::{opaque, report, revocation_list, rim, snp, tdx};
use ed25519_dalek::{Signer, SigningKey};
use units::Timestamp;

/// What keeps signatures of each kind apart.
const REFERENCES: &str = "iog attestation references 1";
/// See [`REFERENCES`].
const REVOCATIONS: &str = "iog attestation revocations 1";
/// See [`REFERENCES`].
const IMAGES: &str = "iog attestation images 1";

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
    let _ = snp::certificate_of(bytes);
}

/// Quotes, and what Intel says of platforms: as they are, and judged with each other's samples.
pub fn quotes(bytes: &[u8]) {
    let now = Timestamp::from_millis(1_750_809_600_000);
    let _ = tdx::parse(bytes);
    let _ = Collateral::default().add(bytes);
    let _ = tdx::check_collateral(bytes, &Roots::default(), &Rules::default(), now);
    let _ = revocation_list::parse(bytes, &[]);
    let mut collateral = Collateral::default();
    let _ = collateral.add(include_bytes!("../../crates/attest/tests/data/tdx_collateral_v4.json"));
    let expected = tdx::Expected {
        report_data: &[0; 64],
        images: &Images::default(),
        collateral: &collateral,
        rules: &Rules::default(),
        roots: &Roots::default(),
    };
    let _ = tdx::verify(bytes, &expected, now);
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
    let _ = Images::parse(bytes, &trusted);
    let _ = Images::parse(&signed(IMAGES), &trusted);
}
