//! Reports that are not quite reports, each refused for its own reason.

use attest::report::{self, NotAReport};

use crate::sample::report_bytes;

/// Where things are in the sample.
const RESPONSE: usize = 37;
const BLOCKS: usize = RESPONSE + 8;
const RESPONDER_NONCE: usize = BLOCKS + 64 * 55;
const OPAQUE: usize = RESPONDER_NONCE + 34;
const SIGNATURE: usize = OPAQUE + 422;

#[test]
fn every_byte_of_the_sample_is_accounted_for() {
    let report = report::parse(&report_bytes()).unwrap();
    assert_eq!(SIGNATURE + 96, report_bytes().len());
    assert_eq!(report.measurements.len(), 64);
    assert_eq!(report.measurements[&1][..4], [0x80, 0x48, 0xdf, 0xd1]);
}

#[test]
fn every_shorter_report_is_refused_and_so_is_every_longer_one() {
    let bytes = report_bytes();
    for end in 0..bytes.len() {
        let refused = report::parse(&bytes[..end]);
        assert!(matches!(refused, Err(NotAReport::Short { at, .. }) if at == end), "{end}");
    }
    for extra in [1, 2, 96, 1_000] {
        let longer = [bytes.clone(), vec![0; extra]].concat();
        assert_eq!(report::parse(&longer), Err(NotAReport::Trailing { bytes: extra }));
    }
    let endless = [bytes, vec![0; 10_000]].concat();
    assert_eq!(report::parse(&endless), Err(NotAReport::TooLong { bytes: 14_117 }));
}

#[test]
fn a_report_is_refused_for_what_is_wrong_with_it() {
    check(
        &[(0, 0x12)],
        "the request header at byte 0 is not what SPDM 1.1 and NVIDIA's profile say",
    );
    check(&[(36, 8)], "the slot at byte 36 is not what SPDM 1.1 and NVIDIA's profile say");
    check(&[(36, 1)], "the response slot at byte 40 is not what SPDM 1.1 and NVIDIA's profile say");
    check(
        &[(RESPONSE + 1, 0x7f)],
        "the response header at byte 37 is not what SPDM 1.1 and NVIDIA's profile say",
    );
    check(&[(RESPONSE + 4, 0)], "it has 0 measurements, and a report has 1 to 128");
    check(&[(RESPONSE + 4, 255)], "it has 255 measurements, and a report has 1 to 128");
    check(&[(RESPONSE + 4, 63)], "the record says 3520 bytes and its 63 blocks have 3465");
    check(&[(RESPONSE + 7, 1)], "the record says 69056 bytes and its 64 blocks have 3520");
    check(&[(BLOCKS + 55, 3)], "measurement block 2 is numbered 3");
    check(
        &[(BLOCKS + 55 + 4, 0x81)],
        "the block header at byte 101 is not what SPDM 1.1 and NVIDIA's profile say",
    );
    check(
        &[(OPAQUE - 2, 0xa5)],
        "its opaque data does not read: it ends within the value that starts at byte 417",
    );
}

#[test]
fn opaque_data_is_refused_for_what_is_wrong_with_it() {
    // The first value is the VBIOS's version (type 6, eight bytes), the second the board's id (type 14).
    check(&[(OPAQUE, 14)], "its opaque data does not read: type 14 comes twice");
    check(&[(OPAQUE, 99)], "its opaque data does not read: the VBIOS version is missing");
    check(&[(OPAQUE + 9, 1)], "its opaque data does not read: the VBIOS version does not read");
    // The last is the state of protected PCIe.
    check(
        &[(SIGNATURE - 1, 0x54)],
        "its opaque data does not read: the state of protected PCIe does not read",
    );
    check(
        &[(SIGNATURE - 3, 250)],
        "its opaque data does not read: it ends within the value that starts at byte 417",
    );
    check(
        &[(SIGNATURE - 4, 1), (SIGNATURE - 5, 36), (SIGNATURE - 4, 0)],
        "its opaque data does not read: the mode does not read",
    );
}

/// Sets bytes of the sample and compares the refusal's words.
fn check(changes: &[(usize, u8)], expected: &str) {
    let mut bytes = report_bytes();
    for (at, value) in changes {
        bytes[*at] = *value;
    }
    assert_eq!(report::parse(&bytes).unwrap_err().to_string(), expected);
}
