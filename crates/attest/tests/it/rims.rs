//! NVIDIA's own manifests: two real ones, and what may be done to them.

use attest::rim::{self, BadRim, NotARim, Rim};
use attest::{NVDEC0_INDEX, Refusal, Revocations, Verdict};
use units::Timestamp;

use crate::sample::{Case, NOW};

const DRIVER: &str = include_str!("../data/Driver_RIM_test_no_gpu.swidtag");
const VBIOS: &str = include_str!("../data/1010_0200_882_96005E0001_test_no_gpu.swidtag");
const DRIVER_ID: &str = "NV_GPU_DRIVER_GH100_545.00";
const VBIOS_ID: &str = "NV_GPU_VBIOS_1010_0200_882_96005E0001";

/// 2024-01-01T00:00:00Z: while the certificates of the sample's signers held.
const THEN: Timestamp = Timestamp::from_millis(1_704_067_200_000);

#[test]
fn what_nvidia_signed_is_believed() {
    let driver = believe(DRIVER, DRIVER_ID).unwrap();
    let indexes: Vec<u8> = driver.measurements.keys().copied().collect();
    let expected = [7].into_iter().chain(21..=40).collect::<Vec<u8>>();
    assert_eq!((driver.source.as_str(), indexes), ("NVIDIA GH100 545.00", expected));
    let vbios = believe(VBIOS, VBIOS_ID).unwrap();
    assert_eq!(vbios.source, "NVIDIA GH100 96.00.5E.00.01");
    assert_eq!(vbios.measurements.len(), 12);
    assert_eq!(vbios.measurements[&12].len(), 4);
}

/// NVIDIA's samples are a report and manifests of two versions: comparing them must name what differs.
#[test]
fn a_gpu_of_another_version_does_not_measure_as_the_manifest_says() {
    let mut case = Case::new();
    let [driver, vbios] = case.references.manifests.as_mut_slice() else { panic!() };
    driver.measurements = believe(DRIVER, DRIVER_ID).unwrap().measurements;
    vbios.measurements = believe(VBIOS, VBIOS_ID).unwrap().measurements;
    let Verdict::Refused(Refusal::Measurements { indexes }) = case.verdict() else {
        panic!("{}", case.words())
    };
    let expected = [1, 2, 3, 7, 9, 11, 21, 22, 25, 26, 27, 29, 30, 31, 32, 34, 36, 37, 39, 40];
    assert_eq!(indexes, expected);
    assert!(!indexes.contains(&NVDEC0_INDEX));
}

#[test]
fn a_manifest_holds_while_its_signers_certificate_does() {
    let rim = rim::parse(DRIVER.as_bytes()).unwrap();
    let words = |now| rim.verify(DRIVER_ID, &nothing_revoked(), now).unwrap_err().to_string();
    assert_eq!(words(NOW), "certificate 0 held until 2025-06-26T06:00:00");
    assert_eq!(
        words(Timestamp::from_millis(1_680_000_000_000)),
        "certificate 0 holds from 2023-06-27T06:00:00 on"
    );
}

#[test]
fn a_manifest_of_a_revoked_signer_is_not_believed() {
    let rim = rim::parse(DRIVER.as_bytes()).unwrap();
    let mut revocations = nothing_revoked();
    let issuer = "973b6eb7cb66267055d1f5bedbae25e75029beff".to_owned();
    revocations.issuers.entry(issuer).or_default().insert("c6fb4f685a39d5a2".to_owned());
    assert_eq!(
        rim.verify(DRIVER_ID, &revocations, THEN),
        Err(BadRim::Revoked { at: 0, serial: "c6fb4f685a39d5a2".to_owned() })
    );
}

#[test]
fn a_manifest_speaks_for_its_own_id() {
    let words = |text, id| believe(text, id).unwrap_err();
    let other = "NV_GPU_DRIVER_GH100_550.90.07";
    let why = "it speaks for GH100 545.00, which `NV_GPU_DRIVER_GH100_550.90.07` is not the id of";
    assert_eq!(words(DRIVER, other), why);
    assert!(words(VBIOS, DRIVER_ID).contains("is not the id of"));
    assert!(words(VBIOS, "NV_GPU_VBIOS_1010_0200_882_96009F0001").contains("is not the id of"));
}

#[test]
fn how_a_manifest_is_laid_out_does_not_matter_and_what_it_says_does() {
    let same = |text: &str| assert!(believe(text, DRIVER_ID).is_ok());
    same(&format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{DRIVER}\n\n"));
    same(&DRIVER.replace("type=\"Measurement\" index=\"7\"", "index=\"7\"   type=\"Measurement\""));
    same(&DRIVER.replace(
        "role=\"softwareCreator tagCreator\"/>",
        "role=\"softwareCreator tagCreator\"></ns0:Entity>",
    ));

    let other = |from: &str, to: &str| {
        assert!(DRIVER.contains(from), "{from}");
        believe(&DRIVER.replacen(from, to, 1), DRIVER_ID).unwrap_err()
    };
    let unsigned = "it is not signed by the key of its certificate";
    assert_eq!(other("index=\"7\" active=\"True\"", "index=\"7\" active=\"False\""), unsigned);
    assert_eq!(other("0e0ee161", "0e0ee162"), unsigned);
    assert_eq!(other("    <ns0:Entity", "   <ns0:Entity"), unsigned);
    assert_eq!(other("ns1:BindingSpec=\"RIMIM\"", "BindingSpec=\"RIMIM\""), unsigned);
    assert_eq!(other("xmlns:SHA384=", "xmlns:SHA385="), unsigned);
    // What the signature says about itself is not what is checked, so it may say anything.
    let shape = "it is not XML of the plain shape that NVIDIA signs";
    assert_eq!(other("<ns0:Entity", "<!-- note --><ns0:Entity"), shape);
    assert_eq!(other("\"GPU\"", "\"&#71;PU\""), shape);
    assert_eq!(other("</ns0:Payload>", "</ns0:Meta>"), shape);
    assert_eq!(other("edition=\"GPU\"", "edition=\"GPU\" edition=\"GPU\""), shape);
    assert_eq!(other("edition=\"GPU\"", "ns9:edition=\"GPU\""), shape);
    assert_eq!(other("edition=\"GPU\"", "edition='GPU'"), shape);
}

#[test]
fn a_second_signature_or_a_wrapped_one_is_refused() {
    let (before, signature) = DRIVER.split_once("<ds:Signature ").unwrap();
    let signature =
        format!("<ds:Signature {}", signature.split_once("</SoftwareIdentity>").unwrap().0);
    let shape = |text: String| {
        assert_eq!(rim::parse(text.as_bytes()).unwrap_err(), NotARim::Shape);
    };
    shape(format!("{before}{signature}{signature}</SoftwareIdentity>"));
    shape(format!("{before}<a>{signature}</a></SoftwareIdentity>"));
    shape(format!("{before}</SoftwareIdentity>"));
    shape(format!("{before}{signature}</SoftwareIdentity><a/>"));
    shape("<a>".repeat(100));
    shape(String::new());
    assert_eq!(rim::parse(&vec![b' '; 200_000]).unwrap_err(), NotARim::TooLong);
}

#[test]
fn no_bit_of_what_a_manifest_says_may_be_turned() {
    let original = believe(DRIVER, DRIVER_ID).unwrap();
    for at in (0..DRIVER.len()).step_by(97) {
        let mut bytes = DRIVER.as_bytes().to_vec();
        bytes[at] ^= 1;
        // What is not part of the statement, the signature or a certificate may change; the values never do.
        let believed = rim::parse(&bytes)
            .ok()
            .and_then(|rim: Rim| rim.verify(DRIVER_ID, &nothing_revoked(), THEN).ok());
        assert!(believed.is_none_or(|manifest| manifest == original), "byte {at}");
    }
}

fn believe(text: &str, id: &str) -> Result<attest::reference::Manifest, String> {
    let rim = rim::parse(text.as_bytes()).map_err(|why| why.to_string())?;
    rim.verify(id, &nothing_revoked(), THEN).map_err(|why| why.to_string())
}

fn nothing_revoked() -> Revocations {
    Case::new().revocations
}
