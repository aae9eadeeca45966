//! GPUs of one machine, and what ties them to it.

use attest::binding::{evidence_digest, report_data};
use attest::{Evidence, MachineVerdict, Refusal, verify_machine};
use data_encoding::HEXLOWER;

use crate::sample::{Case, chain_pem, report_bytes};

#[test]
fn a_machine_with_one_gpu_is_attested() {
    let MachineVerdict::Attested(devices) = judge(1) else { panic!("{:?}", judge(1)) };
    assert_eq!(devices.len(), 1);
}

#[test]
fn one_gpu_counts_once() {
    let why = Refusal::SameDevice { earlier: 0 };
    assert_eq!(judge(2), MachineVerdict::Refused { gpu: 1, why });
}

#[test]
fn a_machine_has_at_least_one_gpu_and_not_endlessly_many() {
    for gpus in [0, 17] {
        assert_eq!(judge(gpus), MachineVerdict::Refused { gpu: 0, why: Refusal::Count { gpus } });
    }
}

#[test]
fn report_data_covers_every_part() {
    let report = report_bytes();
    let one = Evidence { report: &report, chain: chain_pem() };
    let base = report_data(&[1; 32], b"key", &[one]);
    assert_ne!(base, report_data(&[2; 32], b"key", &[one]));
    assert_ne!(base, report_data(&[1; 32], b"kez", &[one]));
    assert_ne!(base, report_data(&[1; 32], b"key", &[one, one]));
    assert_ne!(base, report_data(&[1; 32], b"key", &[]));
    // Moving the border between two parts is another evidence.
    let moved = Evidence { report: &report[..4_116], chain: chain_pem() };
    assert_ne!(base, report_data(&[1; 32], b"key", &[moved]));
}

/// What is signed somewhere must stay what it is: these digests were computed apart from this code.
#[test]
fn report_data_is_the_same_as_last_year() {
    let one = Evidence { report: b"report", chain: b"chain" };
    assert_eq!(
        HEXLOWER.encode(&evidence_digest(&[one])),
        "261b5ddab96acdd4214f9306750fa517e90eb7220c8ec2f534a015c51c4923c7\
         d84a7b5216adfc44044ff5caee5df7de"
    );
    assert_eq!(
        HEXLOWER.encode(&report_data(&[7; 32], b"key", &[one])),
        "1f71e4fcd39baeeea346881bb7dabce2f94a75ac77d7a2bb5ebd8a957a6f3474\
         c76c6192ad814b512ba105ba3b0a748ccbceed5b54684e29a36c2896bcb627d4"
    );
}

fn judge(gpus: usize) -> MachineVerdict {
    let case = Case::new();
    let one = Evidence { report: &case.report, chain: chain_pem() };
    verify_machine(&vec![one; gpus], &case.policy(), case.now)
}
