//! The real evidence that tests start from, and what makes it pass.

use std::collections::{BTreeMap, BTreeSet};

use attest::reference::{Golden, Manifest, driver_id, vbios_id};
use attest::{Evidence, Policy, References, Revocations, Roots, Rules, Verdict, report};
use data_encoding::{BASE64, HEXLOWER};
use units::{DAY, Timestamp};

/// 2026-11-01T00:00:00Z.
pub(crate) const NOW: Timestamp = Timestamp::from_millis(1_793_491_200_000);
/// The serial number of the chip in the sample.
pub(crate) const SERIAL: &str = "41431d480fe5e87274";
/// The key ids of the three issuers that keep lists: provisioner, family, root; as they stand in the certificates.
pub(crate) const ISSUERS: [&str; 3] = [
    "2968cb162cd0779572a2791003e69eba0ccc0a94",
    "0742a0eb039c80607ba14161994dae25f7c29b1e",
    "5785ff83f263cc657d68b73a5bf48d4acbfb495f",
];

/// Everything that a verdict needs, as it passes; tests change one thing.
#[derive(Clone)]
pub(crate) struct Case {
    pub(crate) report: Vec<u8>,
    pub(crate) chain: Vec<Vec<u8>>,
    pub(crate) nonce: [u8; 32],
    pub(crate) references: References,
    pub(crate) revocations: Revocations,
    pub(crate) rules: Rules,
    pub(crate) roots: Roots,
    pub(crate) now: Timestamp,
}

impl Case {
    pub(crate) fn new() -> Self {
        let bytes = report_bytes();
        let parsed = report::parse(&bytes).unwrap();
        let issuers = ISSUERS.map(|issuer| (issuer.to_owned(), BTreeSet::new()));
        Self {
            chain: chain_ders(),
            nonce: parsed.nonce,
            references: references(&parsed),
            revocations: Revocations { fetched_at: NOW, issuers: BTreeMap::from(issuers) },
            rules: Rules::default(),
            roots: Roots::default(),
            now: NOW.after(DAY),
            report: bytes,
        }
    }

    pub(crate) fn verdict(&self) -> Verdict {
        let chain = pem(&self.chain);
        attest::verify(&Evidence { report: &self.report, chain: &chain }, &self.policy(), self.now)
    }

    /// The verdict in words: `attested`, or why not.
    pub(crate) fn words(&self) -> String {
        match self.verdict() {
            Verdict::Attested(_) => "attested".to_owned(),
            Verdict::Refused(why) => format!("refused: {why}"),
            Verdict::Inconclusive(why) => format!("inconclusive: {why}"),
        }
    }

    pub(crate) fn policy(&self) -> Policy<'_> {
        Policy {
            nonce: &self.nonce,
            references: &self.references,
            revocations: &self.revocations,
            rules: &self.rules,
            roots: &self.roots,
        }
    }
}

/// Changes the passing case and compares the verdict's words.
pub(crate) fn check(change: impl FnOnce(&mut Case), expected: &str) {
    let mut case = Case::new();
    change(&mut case);
    assert_eq!(case.words(), expected);
}

pub(crate) fn report_bytes() -> Vec<u8> {
    let text = include_str!("../data/hopperAttestationReport.txt");
    HEXLOWER.decode(text.trim().as_bytes()).unwrap()
}

pub(crate) fn chain_pem() -> &'static [u8] {
    include_bytes!("../data/hopperCertChain.txt")
}

pub(crate) fn chain_ders() -> Vec<Vec<u8>> {
    let text = std::str::from_utf8(chain_pem()).unwrap();
    let bodies = text.split("-----BEGIN CERTIFICATE-----").skip(1);
    let body = |part: &str| part.split_once("-----END").unwrap().0.split_whitespace().collect();
    bodies.map(|part| BASE64.decode(String::as_bytes(&body(part))).unwrap()).collect()
}

pub(crate) fn pem(ders: &[Vec<u8>]) -> Vec<u8> {
    let block = |der: &Vec<u8>| {
        let body = BASE64.encode(der);
        format!("-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n")
    };
    ders.iter().map(block).collect::<String>().into_bytes()
}

/// Golden values taken from the report itself: the VBIOS's for indexes that NVIDIA's VBIOS manifests use, the
/// driver's for the rest.
fn references(report: &report::Report) -> References {
    let of = |owned: &dyn Fn(u8) -> bool| {
        let owned = report.measurements.iter().filter(|(index, _)| owned(**index));
        owned.map(|(index, value)| (*index, vec![Golden(*value)])).collect::<BTreeMap<_, _>>()
    };
    let is_vbios = |index: u8| index < 13 && index != 7;
    let manifest = |id: String, board: Option<&str>, measurements| Manifest {
        id,
        source: "the sample".to_owned(),
        board: board.map(str::to_owned),
        measurements,
    };
    let driver = driver_id("GH100", &report.opaque.driver);
    References {
        issued_at: NOW,
        manifests: vec![
            manifest(driver, None, of(&|index| index < 41 && !is_vbios(index))),
            manifest(vbios_id(&report.opaque), Some("H100 PCIe 80GB"), of(&is_vbios)),
        ],
    }
}
