//! Certificates outside the profile: the sample's own, with a few bytes replaced.

use attest::certificate::{self, NotACertificate};

use crate::sample::chain_ders;

const LEAF: usize = 0;
const DEVICE: usize = 1;
const ROOT: usize = 4;

#[test]
fn the_sample_follows_the_profile() {
    let read = |at: usize| certificate::parse(&chain_ders()[at]).unwrap();
    let names: Vec<_> = (0..5).map(|at| read(at).common_name).collect();
    let expected = [
        "GH100 A01 GSP FMC LF",
        "GH100 A01 GSP BROM",
        "NVIDIA GH100 Provisioner ICA 1",
        "NVIDIA GH100 Identity",
        "NVIDIA Device Identity CA",
    ];
    assert_eq!(names, expected);
    assert!(read(LEAF).usage.signs && !read(LEAF).usage.issues && read(LEAF).fwid.is_some());
    assert!(read(DEVICE).usage.issues && !read(DEVICE).usage.signs && read(DEVICE).fwid.is_none());
}

#[test]
fn what_is_outside_the_profile_is_refused() {
    let ecdsa_sha384 = [0x06, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 3];
    let ecdsa_sha256 = [0x06, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2];
    check(ROOT, &ecdsa_sha384, &ecdsa_sha256, "it is not signed with ECDSA and SHA-384");
    let version_3 = [0xa0, 3, 0x02, 1, 2];
    check(ROOT, &version_3, &[0xa0, 3, 0x02, 1, 1], "it is not a plain certificate of version 3");
    let key = "its key is not a point on P-384";
    check(ROOT, &[0x2b, 0x81, 4, 0, 0x22], &[0x2b, 0x81, 4, 0, 0x23], key);
    check(ROOT, &[0x03, 0x62, 0, 4], &[0x03, 0x62, 0, 2], key);
    check(ROOT, &[0x03, 0x62, 0, 4, 0x0e], &[0x03, 0x62, 0, 4, 0x0f], key);
    // Key usage, critical: made into policy constraints, which are not understood.
    let unknown = "its extension 2.5.29.36 comes twice, does not read, or is critical and not \
                   understood";
    check(ROOT, &[0x55, 0x1d, 0x0f, 1, 1, 0xff], &[0x55, 0x1d, 0x24, 1, 1, 0xff], unknown);
    // The key's name, made into a second key usage.
    let twice = "its extension 2.5.29.15 comes twice, does not read, or is critical and not \
                 understood";
    check(ROOT, &[0x55, 0x1d, 0x0e], &[0x55, 0x1d, 0x0f], twice);
    // The root may not sign certificates, or the leaf may.
    let usage = "what its key may be used for is missing or contradicts itself";
    check(ROOT, &[4, 4, 0x03, 2, 1, 6], &[4, 4, 0x03, 2, 1, 2], usage);
    check(LEAF, &[4, 4, 0x03, 2, 7, 0x80], &[4, 4, 0x03, 2, 2, 0x84], usage);
}

#[test]
fn bytes_around_or_without_a_certificate_are_refused() {
    let der = chain_ders()[ROOT].clone();
    let not_der = |bytes: &[u8]| {
        assert_eq!(certificate::parse(bytes).unwrap_err(), NotACertificate::NotDer);
    };
    for end in 0..der.len() {
        not_der(&der[..end]);
    }
    not_der(&[der, vec![0]].concat());
    assert_eq!(certificate::parse(&[0x30; 5_000]).unwrap_err(), NotACertificate::TooLong);
}

/// Replaces every occurrence of some bytes in a certificate, and compares the refusal's words.
fn check(at: usize, from: &[u8], to: &[u8], expected: &str) {
    let mut der = chain_ders()[at].clone();
    let places = der.windows(from.len()).enumerate().filter(|(_, window)| *window == from);
    let places: Vec<usize> = places.map(|(place, _)| place).collect();
    assert!(!places.is_empty(), "{from:02x?} is not in certificate {at}");
    for place in places {
        der[place..place + to.len()].copy_from_slice(to);
    }
    assert_eq!(certificate::parse(&der).unwrap_err().to_string(), expected);
}
