//! Whole machines: cards and processors of makers of our own, tied to a machine's key.

use std::collections::BTreeMap;

use attest::binding::{machine_key, report_data};
use attest::collateral::Collateral;
use attest::shown::{Cpu, Gpu, Known, NotAttested, Shown};
use attest::{Evidence, Images, References, Revocations, Roots, Rules};
use data_encoding::{BASE64, HEXLOWER};
use ed25519_dalek::SigningKey;
use fake_chips::{gpu, tdx};
use units::{DAY, Timestamp, WorkerId};

use crate::sample::NOW;

/// A machine with two cards and a confidential virtual machine, and what it is judged by; tests change one thing.
struct Case {
    nonce: [u8; 32],
    cards: Vec<gpu::Card>,
    saying: tdx::Saying,
    with_cpu: bool,
    references: References,
    revocations: Revocations,
    images: Images,
    collateral: Vec<u8>,
    roots: Roots,
    now: Timestamp,
    /// What is done to what was shown.
    alter: fn(&mut Shown),
}

fn gpus() -> gpu::Maker {
    gpu::Maker::new("Maker", Timestamp::from_millis(NOW.millis() - 1_000), NOW.after(DAY * 300))
}

fn cpus() -> tdx::Maker {
    tdx::Maker::new("Maker", Timestamp::from_millis(NOW.millis() - 1_000), NOW.after(DAY * 300))
}

fn key() -> [u8; 32] {
    SigningKey::from_bytes(&[5; 32]).verifying_key().to_bytes()
}

impl Case {
    fn new() -> Self {
        let mut roots = Roots::default();
        roots.believe_nvidia(gpus().root().as_bytes()).unwrap();
        roots.believe_intel(cpus().root().as_bytes()).unwrap();
        Self {
            nonce: [9; 32],
            cards: vec![gpus().card("a", true), gpus().card("b", true)],
            saying: tdx::Saying::good([0; 64]),
            with_cpu: true,
            references: gpus().references(NOW),
            revocations: gpus().revocations(&[], NOW),
            images: tdx::images(NOW),
            collateral: cpus().collateral(&[], NOW),
            roots,
            now: NOW.after(DAY),
            alter: |_| {},
        }
    }

    fn shown(&self) -> Shown {
        let reports: Vec<Vec<u8>> =
            self.cards.iter().map(|card| card.report(&self.nonce)).collect();
        let evidence: Vec<Evidence<'_>> = reports
            .iter()
            .zip(&self.cards)
            .map(|(report, card)| Evidence { report, chain: card.chain.as_bytes() })
            .collect();
        let data = report_data(&self.nonce, &machine_key(&key()), &evidence);
        let saying = tdx::Saying { report_data: data, ..self.saying };
        let quote = cpus().processor("a").quote(&saying);
        let gpu = |one: &Evidence<'_>| Gpu {
            report: BASE64.encode(one.report),
            chain: BASE64.encode(one.chain),
        };
        let cpu = Cpu { provider: "tdx_guest".to_owned(), quote: BASE64.encode(&quote), aux: None };
        Shown {
            worker: WorkerId::from_bits(1),
            machine_key: HEXLOWER.encode(&key()),
            nonce: HEXLOWER.encode(&self.nonce),
            gpus: evidence.iter().map(gpu).collect(),
            cpu: self.with_cpu.then_some(cpu),
        }
    }

    /// `attested N`, or why not.
    fn words(&self) -> String {
        let mut collateral = Collateral::default();
        collateral.add(&self.collateral).unwrap();
        let known = Known {
            references: &self.references,
            revocations: &self.revocations,
            images: &self.images,
            collateral: &collateral,
            rules: &Rules::default(),
            roots: &self.roots,
        };
        let mut shown = self.shown();
        (self.alter)(&mut shown);
        match shown.judge(&known, self.now) {
            Ok(it) => {
                format!("attested {} {}", it.gpus.len(), it.guest.map_or("-".into(), |it| it.image))
            }
            Err(why) if why.is_doubt() => format!("unclear: {why}"),
            Err(why) => format!("refused: {why}"),
        }
    }
}

fn check(change: impl FnOnce(&mut Case), expected: &str) {
    let mut case = Case::new();
    change(&mut case);
    assert_eq!(case.words(), expected);
}

#[test]
fn cards_and_processor_attest_together_or_alone() {
    check(|_| {}, "attested 2 guest for tests");
    check(|case| case.with_cpu = false, "attested 2 -");
    check(|case| case.cards.clear(), "attested 0 guest for tests");
    check(
        |case| {
            case.cards.clear();
            case.with_cpu = false;
        },
        "refused: it shows neither a card's evidence nor a processor's quote",
    );
}

#[test]
fn evidence_belongs_to_one_machine_one_question_and_these_cards() {
    let other = "refused: processor: the quote carries other report data than expected";
    check(
        |case| {
            case.alter = |shown| {
                shown.machine_key =
                    HEXLOWER.encode(&SigningKey::from_bytes(&[6; 32]).verifying_key().to_bytes())
            }
        },
        other,
    );
    check(|case| case.alter = |shown| drop(shown.gpus.pop()), other);
    check(|case| case.alter = |shown| shown.gpus.swap(0, 1), other);
    check(
        |case| case.alter = |shown| shown.nonce = HEXLOWER.encode(&[8; 32]),
        "refused: card 0: the report answers another nonce than the one that was asked",
    );
}

#[test]
fn cards_of_one_machine_are_different_and_in_one_mode() {
    check(
        |case| case.cards[1] = case.cards[0].clone(),
        "refused: card 1: it is the same GPU as number 0",
    );
    check(
        |case| case.cards[1] = gpus().card("b", false),
        "refused: card 1: it is passed through in another mode than number 0",
    );
}

#[test]
fn a_refusal_outweighs_a_doubt_across_cards_and_processor() {
    check(
        |case| case.references.manifests.clear(),
        "unclear: card 0: there is no reference manifest `NV_GPU_DRIVER_GH100_570.86.16`",
    );
    check(
        |case| {
            case.references.manifests.clear();
            case.saying.attributes |= 1;
        },
        "refused: processor: the guest may be read or moved by its host",
    );
    check(
        |case| {
            let serial = case.cards[1].serial.clone();
            case.revocations = gpus().revocations(&[&serial], NOW);
            case.now = NOW.after(DAY * 20);
            case.references.issued_at = case.now;
        },
        &format!(
            "refused: card 1: certificate 1 with serial number {} is revoked",
            gpus().card("b", true).serial
        ),
    );
}

#[test]
fn makers_that_nobody_named_are_not_believed() {
    check(
        |case| case.roots = Roots::default(),
        "refused: card 0: the chain does not end in NVIDIA's pinned root",
    );
}

#[test]
fn what_does_not_read_is_said_by_its_name() {
    check(|case| case.alter = |shown| shown.nonce.push('0'), "refused: `nonce` does not read");
    check(
        |case| case.alter = |shown| shown.gpus[0].report.push('!'),
        "refused: `report` does not read",
    );
    let other = |shown: &mut Shown| shown.cpu.as_mut().unwrap().provider = "sgx".to_owned();
    check(|case| case.alter = other, "refused: `provider` does not read");
    let unread = NotAttested::Unreadable { field: "nonce" };
    assert!(!unread.is_doubt());
    let text = serde_json::to_string(&Case::new().shown()).unwrap();
    let read: Shown = serde_json::from_str(&text).unwrap();
    assert_eq!(read, Case::new().shown());
    assert!(serde_json::from_str::<BTreeMap<String, serde_json::Value>>(&text).is_ok());
}
