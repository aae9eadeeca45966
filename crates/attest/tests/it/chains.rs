//! Chains that are not NVIDIA's, and files that are not chains.

use attest::chain::{self, fingerprint};
use attest::rim;

use crate::sample::{chain_ders, chain_pem, check, pem};

#[test]
fn the_pinned_roots_are_those_of_the_fingerprints() {
    let root = |pem: &str| {
        let body = pem.split("-----").nth(2).unwrap().split_whitespace().collect::<String>();
        fingerprint(&data_encoding::BASE64.decode(body.as_bytes()).unwrap())
    };
    assert_eq!(root(chain::ROOT_PEM), chain::ROOT_SHA256);
    assert_eq!(root(rim::ROOT_PEM), rim::ROOT_SHA256);
    assert_eq!(fingerprint(chain_ders().last().unwrap()), chain::ROOT_SHA256);
}

#[test]
fn a_chain_has_five_certificates_in_order() {
    check(|case| drop(case.chain.remove(1)), "refused: the chain has 4 certificates instead of 5");
    check(
        |case| {
            let leaf = case.chain[0].clone();
            case.chain.insert(0, leaf);
        },
        "refused: the chain is not a series of PEM certificates of at most 5120 bytes",
    );
    check(|case| case.chain.clear(), "refused: the chain has 0 certificates instead of 5");
    check(|case| case.chain.reverse(), "refused: the chain does not end in NVIDIA's pinned root");
    for at in 0_usize..3 {
        check(
            |case| case.chain.swap(at, at + 1),
            // The lower of the two has an issuer that is not there; above it, the certificate before it.
            &format!(
                "refused: certificate {} was issued by another than certificate {}",
                at.saturating_sub(1),
                at.saturating_sub(1) + 1
            ),
        );
    }
}

#[test]
fn a_certificate_in_anothers_place_is_refused() {
    check(
        |case| case.chain[0] = case.chain[1].clone(),
        "refused: certificate 0 was issued by another than certificate 1",
    );
    check(
        |case| case.chain[3] = case.chain[4].clone(),
        "refused: certificate 2 was issued by another than certificate 3",
    );
}

#[test]
fn a_chain_of_another_root_is_refused() {
    let other = include_str!("../data/Driver_RIM_test_no_gpu.swidtag");
    let other = other.rsplit_once("<ds:X509Certificate>").unwrap().1;
    let other: String = other.split_once('<').unwrap().0.split_whitespace().collect();
    let other = data_encoding::BASE64.decode(other.as_bytes()).unwrap();
    check(|case| case.chain[4] = other, "refused: the chain does not end in NVIDIA's pinned root");
}

#[test]
fn pem_may_be_laid_out_as_one_likes_and_hold_nothing_else() {
    let ders = chain_ders();
    let text = String::from_utf8(pem(&ders)).unwrap();
    let reads = |text: &str| chain::parse(text.as_bytes()).is_ok();
    assert!(chain::parse(chain_pem()).is_ok());
    assert!(reads(&text.replace('\n', "\r\n")));
    assert!(reads(&format!("\n\n{text}\n\0\0\0")));
    assert!(!reads(&format!("hello\n{text}")));
    assert!(!reads(&format!("{text}hello")));
    assert!(!reads(&text.replacen('=', "", 1)));
    assert!(!reads(&text.replacen("-----END", "----END", 1)));
    assert!(!reads(&text.replacen("MII", "M\u{7f}II", 1)));
}
