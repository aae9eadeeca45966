//! One verdict per thing that can be wrong around true evidence.

use std::collections::BTreeMap;

use attest::reference::{Golden, Manifest};
use attest::{Device, Mode, NVDEC0_INDEX, Rules, Verdict};
use units::{DAY, Timestamp};

use crate::sample::{Case, ISSUERS, NOW, SERIAL, check};

#[test]
fn a_real_gpu_is_attested() {
    let Verdict::Attested(device) = Case::new().verdict() else {
        panic!("{}", Case::new().words())
    };
    let expected = Device {
        chip: "GH100".to_owned(),
        serial: SERIAL.to_owned(),
        key_serial: "53c22ba15e5d68088282da074ed9fb37aa585771".to_owned(),
        board: Some("H100 PCIe 80GB".to_owned()),
        driver: "550.90.07".to_owned(),
        vbios: "96.00.9f.00.01".to_owned(),
        sku: "1010 0200 882".to_owned(),
        firmware: "f5c384aebb579217a2c66b17ed0f28e6a9b8d639041acd7b4721cec004f72754\
                   94ba94bb5cdfdb3055ee051762b1f75d"
            .to_owned(),
        mode: Mode::Single,
        until: Timestamp::from_millis(253_402_300_799_000),
        compared: 40,
        excepted: vec![NVDEC0_INDEX],
    };
    assert_eq!(device, expected);
}

#[test]
fn a_report_answers_one_nonce_only() {
    let why = "refused: the report answers another nonce than the one that was asked";
    check(|case| case.nonce[31] ^= 1, why);
    check(|case| case.nonce = [0; 32], why);
}

#[test]
fn certificates_hold_within_their_time() {
    check(
        // The family's certificate is of January, the provisioner's of March 2022.
        |case| case.now = Timestamp::from_millis(1_643_673_600_000),
        "refused: certificate 2 holds from 2022-03-01T00:00:00 on",
    );
    check(|case| case.now = Timestamp::from_millis(1_646_092_800_000), FUTURE);
    // NVIDIA's device certificates hold to the end of the year 9999, which is the last that X.509 can write.
    check(
        |case| case.now = Timestamp::from_millis(253_402_300_800_000),
        "refused: certificate 0 held until 9999-12-31T23:00:00",
    );
}

/// What is left to say when a clock stands before the reference data was made.
const FUTURE: &str = "inconclusive: reference data is dated after now";

#[test]
fn a_measurement_that_differs_is_named() {
    let other = |case: &mut Case, index: u8| {
        let owner = |manifest: &&mut Manifest| manifest.measurements.contains_key(&index);
        let manifest = case.references.manifests.iter_mut().find(owner).unwrap();
        manifest.measurements.insert(index, vec![Golden([7; 48])]);
    };
    check(
        |case| {
            other(case, 1);
            other(case, 33);
        },
        "refused: measurements [1, 33] are not what the reference manifests say",
    );
    // The sample's video decoder is off: what it would measure as is not compared.
    check(|case| other(case, NVDEC0_INDEX), "attested");
    check(
        |case| {
            let values = case.references.manifests[0].measurements.get_mut(&33).unwrap();
            values.insert(0, Golden([7; 48]));
        },
        "attested",
    );
}

#[test]
fn a_golden_value_without_a_measurement_is_a_difference() {
    check(
        |case| {
            let manifest = &mut case.references.manifests[0];
            manifest.measurements.insert(99, vec![Golden([0; 48])]);
        },
        "refused: measurements [99] are not what the reference manifests say",
    );
}

#[test]
fn what_the_verifier_lacks_is_not_held_against_the_gpu() {
    check(
        |case| drop(case.references.manifests.remove(0)),
        "inconclusive: there is no reference manifest `NV_GPU_DRIVER_GH100_550.90.07`",
    );
    check(
        |case| drop(case.references.manifests.remove(1)),
        "inconclusive: there is no reference manifest `NV_GPU_VBIOS_1010_0200_882_96009F0001`",
    );
    check(
        |case| {
            let twice = BTreeMap::from([(33, vec![Golden([7; 48])])]);
            case.references.manifests[1].measurements = twice;
        },
        "inconclusive: two reference manifests claim measurement 33",
    );
    check(
        |case| drop(case.revocations.issuers.remove(ISSUERS[1])),
        "inconclusive: revocation data says nothing about the issuer with key id \
         0742a0eb039c80607ba14161994dae25f7c29b1e",
    );
}

#[test]
fn data_ages() {
    check(|case| case.now = NOW, "attested");
    check(|case| case.now = NOW.after(DAY * 7), "attested");
    check(
        |case| case.now = Timestamp::from_millis(NOW.after(DAY * 7).millis() + 1),
        "inconclusive: revocation data is 8 days old, limit 7",
    );
    check(
        |case| case.now = NOW.after(DAY * 9),
        "inconclusive: revocation data is 9 days old, limit 7",
    );
    check(
        |case| {
            case.now = NOW.after(DAY * 9);
            case.rules = Rules { revocation_days_max: 10, ..Rules::default() };
        },
        "attested",
    );
    check(
        |case| {
            case.now = NOW.after(DAY * 31);
            case.revocations.fetched_at = case.now;
        },
        "inconclusive: reference data is 31 days old, limit 30",
    );
    check(
        |case| case.revocations.fetched_at = NOW.after(DAY * 2),
        "inconclusive: revocation data is dated after now",
    );
}

#[test]
fn what_was_revoked_stays_revoked_however_old_the_news() {
    let revoke = |case: &mut Case, issuer: &str, serial: &str| {
        let list = case.revocations.issuers.entry(issuer.to_owned()).or_default();
        list.insert(serial.to_owned());
        case.now = NOW.after(DAY * 400);
    };
    check(
        |case| revoke(case, ISSUERS[0], SERIAL),
        "refused: certificate 1 with serial number 41431d480fe5e87274 is revoked",
    );
    check(
        |case| revoke(case, ISSUERS[2], "4c255ede3bd001bf3f4a3b605fca898a"),
        "refused: certificate 3 with serial number 4c255ede3bd001bf3f4a3b605fca898a is revoked",
    );
    // Another issuer's number is another certificate's.
    check(
        |case| {
            revoke(case, ISSUERS[1], SERIAL);
            case.now = NOW;
        },
        "attested",
    );
}

#[test]
fn rules_that_never_or_always_doubt_are_refused() {
    let rules = |days| Rules { revocation_days_max: days, ..Rules::default() };
    assert_eq!(Rules::default().check(), Ok(()));
    let words = |days| rules(days).check().unwrap_err().to_string();
    assert_eq!(words(0), "`revocation_days_max` must be 1 to 366");
    assert_eq!(words(367), "`revocation_days_max` must be 1 to 366");
}
