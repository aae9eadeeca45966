//! Every single bit of the evidence counts.
//!
//! A signature check depends on what is signed only through its digest. So for every bit of a report it is shown
//! that turning it is refused by reading, or changes the nonce, the digest, or the signature; and for one bit of
//! each byte that the signature check then fails. The ignored tests do the latter for all bits: a minute and a half.

use attest::certificate::{self, Certificate};
use attest::chain::{self, BadChain};
use attest::report;

use crate::sample::{Case, chain_ders, report_bytes};

#[test]
fn every_bit_of_a_report_counts() {
    let bytes = report_bytes();
    let original = report::parse(&bytes).unwrap();
    for bit in 0..bytes.len() * 8 {
        let Ok(turned) = report::parse(&turn(&bytes, bit)) else { continue };
        let changes = turned.digest != original.digest || turned.signature != original.signature;
        assert!(changes, "bit {bit}");
    }
}

#[test]
fn a_signature_check_notices_one_bit_of_each_byte_of_a_report() {
    signatures_of_report(|byte| byte % 8..byte % 8 + 1);
}

#[test]
#[ignore = "a minute: the signature of every bit of the report"]
fn a_signature_check_notices_every_bit_of_a_report() {
    signatures_of_report(|_| 0..8);
}

#[test]
fn no_bit_of_a_report_is_attested() {
    let bytes = report_bytes();
    for bit in (0..bytes.len() * 8).step_by(251) {
        let mut case = Case::new();
        case.report = turn(&bytes, bit);
        assert!(case.words().starts_with("refused: "), "bit {bit}: {}", case.words());
    }
}

#[test]
fn one_bit_of_each_byte_of_a_certificate_counts() {
    for at in 0..4 {
        signatures_of_certificate(at, |byte| byte % 8..byte % 8 + 1);
    }
}

#[test]
#[ignore = "half a minute: the signature of every bit of the certificates"]
fn every_bit_of_a_certificate_counts() {
    for at in 0..4 {
        signatures_of_certificate(at, |_| 0..8);
    }
}

#[test]
fn every_bit_of_the_root_counts() {
    let ders = chain_ders();
    for bit in 0..ders[4].len() * 8 {
        let mut turned = ders.clone();
        turned[4] = turn(&ders[4], bit);
        assert!(matches!(chain::of_ders(&turned), Err(BadChain::Root)), "bit {bit}");
    }
}

#[test]
fn no_bit_of_a_certificate_is_attested() {
    for at in 0..5 {
        let bits = chain_ders()[at].len() * 8;
        for bit in (at..bits).step_by(251) {
            let mut case = Case::new();
            case.chain[at] = turn(&case.chain[at], bit);
            assert!(case.words().starts_with("refused: "), "{at}, {bit}: {}", case.words());
        }
    }
}

/// Turns the chosen bits of each byte of the report, and checks what still reads against the true key.
fn signatures_of_report(bits: impl Fn(usize) -> std::ops::Range<usize>) {
    let bytes = report_bytes();
    let chain = chain::of_ders(&chain_ders()).unwrap();
    assert!(report::parse(&bytes).unwrap().is_signed_by(chain.key()));
    for bit in (0..bytes.len()).flat_map(|byte| bits(byte).map(move |bit| byte * 8 + bit)) {
        let Ok(turned) = report::parse(&turn(&bytes, bit)) else { continue };
        assert!(!turned.is_signed_by(chain.key()), "bit {bit}");
    }
}

/// The same for a certificate, against its issuer's key.
fn signatures_of_certificate(at: usize, bits: impl Fn(usize) -> std::ops::Range<usize>) {
    let ders = chain_ders();
    let read = |der: &[u8]| -> Result<Certificate, _> { certificate::parse(der) };
    let issuer = read(&ders[at + 1]).unwrap();
    assert!(read(&ders[at]).unwrap().is_signed_by(&issuer.key));
    for bit in (0..ders[at].len()).flat_map(|byte| bits(byte).map(move |bit| byte * 8 + bit)) {
        let Ok(turned) = read(&turn(&ders[at], bit)) else { continue };
        assert!(!turned.is_signed_by(&issuer.key), "certificate {at}, bit {bit}");
    }
}

fn turn(bytes: &[u8], bit: usize) -> Vec<u8> {
    let mut turned = bytes.to_vec();
    turned[bit / 8] ^= 1 << (bit % 8);
    turned
}
