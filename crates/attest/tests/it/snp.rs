//! One real SEV-SNP report, and what may be done to it.

use attest::reference::Golden;
use attest::snp::{self, Expected, Firmware, NotAGuest, Report};
use data_encoding::HEXLOWER_PERMISSIVE;
use units::Timestamp;

use crate::sample::NOW;

const CERTIFICATE: &[u8] = include_bytes!("../data/vcek_milan.der");

#[test]
fn a_real_guest_is_believed() {
    let guest = judge(|_| {}).unwrap();
    assert_eq!(guest.family, "Milan");
    assert_eq!(guest.chip[..16], *"d49554ec717f4e5b");
    assert_eq!(guest.measurement, report().measurement);
    let firmware = Firmware { boot_loader: 3, tee: 0, snp: 8, microcode: 0x73 };
    assert_eq!(guest.firmware, firmware);
}

#[test]
fn a_guest_is_refused_for_what_is_wrong_with_it() {
    check(|case| case.report_data[0] ^= 1, NotAGuest::ReportData);
    check(|case| case.measurements.clear(), NotAGuest::Measurement);
    check(|case| case.firmware_min.microcode = 0x74, NotAGuest::Firmware);
    check(|case| case.firmware_min.tee = 1, NotAGuest::Firmware);
    check(|case| case.now = Timestamp::from_millis(1_680_000_000_000), NotAGuest::Time);
    check(|case| case.now = Timestamp::from_millis(1_950_000_000_000), NotAGuest::Time);
    // A report of another processor, firmware, or content: the last bytes of each field.
    check(|case| case.report[0x1df] ^= 1, NotAGuest::Processor);
    check(|case| case.report[0x187] ^= 1, NotAGuest::Processor);
    check(|case| case.report[0x8f] ^= 1, NotAGuest::Signature);
    check(|case| case.report[0x0a] ^= 8, NotAGuest::Signature);
    check(|case| case.report[0x48] = 2, NotAGuest::Report);
    check(|case| case.report.truncate(1_183), NotAGuest::Report);
    check(|case| case.report.push(0), NotAGuest::Report);
    check(|case| case.certificate.push(0), NotAGuest::Certificate);
    check(|case| case.certificate.clear(), NotAGuest::Certificate);
}

#[test]
fn every_bit_of_a_report_counts() {
    let original = bytes();
    let digest = |bytes: &[u8]| snp::parse(bytes);
    for bit in 0..original.len() * 8 {
        let mut turned = original.clone();
        turned[bit / 8] ^= 1 << (bit % 8);
        // Either it no longer reads, or what is signed or the signature is another.
        assert_ne!(digest(&turned), digest(&original), "bit {bit}");
    }
}

#[test]
fn a_signature_check_notices_bits_of_report_and_certificate() {
    for bit in (0..snp::REPORT_BYTES * 8).step_by(61) {
        let refused = judge(|case| case.report[bit / 8] ^= 1 << (bit % 8));
        assert!(refused.is_err(), "bit {bit} of the report");
    }
    for bit in (0..CERTIFICATE.len() * 8).step_by(61) {
        let judged = judge(|case| case.certificate[bit / 8] ^= 1 << (bit % 8));
        assert!(judged.is_err(), "bit {bit} of the certificate");
    }
}

struct Case {
    report: Vec<u8>,
    certificate: Vec<u8>,
    report_data: [u8; 64],
    measurements: Vec<Golden>,
    firmware_min: Firmware,
    now: Timestamp,
}

fn judge(change: impl FnOnce(&mut Case)) -> Result<snp::Guest, NotAGuest> {
    let mut case = Case {
        report: bytes(),
        certificate: CERTIFICATE.to_vec(),
        report_data: report().report_data,
        measurements: vec![report().measurement],
        firmware_min: Firmware { boot_loader: 3, tee: 0, snp: 8, microcode: 0x73 },
        now: NOW,
    };
    change(&mut case);
    let expected = Expected {
        report_data: &case.report_data,
        measurements: &case.measurements,
        firmware_min: case.firmware_min,
    };
    snp::verify(&case.report, &case.certificate, &expected, case.now)
}

fn check(change: impl FnOnce(&mut Case), expected: NotAGuest) {
    assert_eq!(judge(change), Err(expected));
}

fn report() -> Report {
    snp::parse(&bytes()).unwrap()
}

fn bytes() -> Vec<u8> {
    let text = include_str!("../data/snp_report_milan.hex");
    HEXLOWER_PERMISSIVE.decode(text.trim().as_bytes()).unwrap()
}
