//! Machines that attest over HTTP, with chips of a maker that the operator named: what is granted, shown and refused.

use attest::Images;
use attest::binding::{machine_key, report_data};
use data_encoding::{BASE64, HEXLOWER};
use ed25519_dalek::SigningKey;
use fake_chips::{gpu, tdx};
use serde_json::{Value, json};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use units::{DAY, Timestamp};

use crate::town::{Anonymous, Answer, Ask, Machine, Town, a_machine};

/// A town whose operator admits the chips of one maker of cards and one of processors.
struct Stage {
    town: Town,
    gpus: gpu::Maker,
    cpus: tdx::Maker,
}

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    Timestamp::from_millis(u64::try_from(since.as_millis()).unwrap())
}

fn hours_ago(hours: u64) -> Timestamp {
    Timestamp::from_millis(now().millis() - hours * 3_600_000)
}

impl Stage {
    fn new() -> Self {
        let (from, until) = (hours_ago(48), now().after(DAY * 30));
        let (gpus, cpus) =
            (gpu::Maker::new("Test", from, until), tdx::Maker::new("Test", from, until));
        let roots = (gpus.root(), cpus.root());
        let town = Town::with(|config| {
            let folder = config.data.join("roots");
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(folder.join("nvidia.pem"), &roots.0).unwrap();
            std::fs::write(folder.join("intel.pem"), &roots.1).unwrap();
            config.attestation_extra_roots = Some(folder);
        });
        let stage = Self { town, gpus, cpus };
        stage.write("references", &stage.gpus.references(hours_ago(1)).sign(&stage.network_key()));
        stage.write(
            "revocations",
            &stage.gpus.revocations(&[], hours_ago(1)).sign(&stage.network_key()),
        );
        stage.admit(&tdx::images(hours_ago(1)));
        stage.write("intel/90c06f000000.json", &stage.cpus.collateral(&[], hours_ago(1)));
        stage
    }

    fn admit(&self, images: &Images) {
        self.write("images", &images.sign(&self.network_key()));
    }

    fn network_key(&self) -> SigningKey {
        let text = std::fs::read_to_string(self.town.config.data.join("network.key")).unwrap();
        let bytes = HEXLOWER.decode(text.trim().as_bytes()).unwrap();
        SigningKey::from_bytes(&bytes.try_into().unwrap())
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        let path = self.town.config.attestation().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }

    /// A machine with so many cards on offer.
    fn machine(&self, number: u8, gpus: u32) -> Machine {
        let mut machine = a_machine(4);
        if gpus > 0 {
            machine["offers"]["gpus"] = json!(gpus);
            machine["gpu_model"] = json!("NVIDIA H100 PCIe");
            machine["vram_mib"] = json!(81_559);
        }
        self.town.machine(number, &machine)
    }

    fn nonce(&self, machine: &Machine) -> String {
        let ask = Ask::post("/v1/io-worker/attestation/nonce").by(machine);
        let given = self.town.send(ask).expect(200).json();
        given["nonce"].as_str().unwrap().to_owned()
    }

    /// What a machine with these cards shows in answer to a nonce.
    fn show(&self, number: u8, nonce: &str, cards: &[gpu::Card], with_cpu: bool) -> Value {
        let bytes: [u8; 32] = HEXLOWER.decode(nonce.as_bytes()).unwrap().try_into().unwrap();
        let reports: Vec<Vec<u8>> = cards.iter().map(|card| card.report(&bytes)).collect();
        let both = || reports.iter().zip(cards);
        let evidence: Vec<attest::Evidence<'_>> = both()
            .map(|(report, card)| attest::Evidence { report, chain: card.chain.as_bytes() })
            .collect();
        let key = SigningKey::from_bytes(&[number; 32]).verifying_key().to_bytes();
        let data = report_data(&bytes, &machine_key(&key), &evidence);
        let gpus: Vec<Value> = both()
            .map(|(report, card)| {
                let chain = BASE64.encode(card.chain.as_bytes());
                json!({ "report": BASE64.encode(report), "chain": chain })
            })
            .collect();
        let mut shown = json!({ "nonce": nonce, "gpus": gpus });
        if with_cpu {
            let quote = self.cpus.processor("p").quote(&tdx::Saying::good(data));
            shown["cpu"] = json!({ "provider": "tdx_guest", "quote": BASE64.encode(&quote) });
        }
        shown
    }

    fn attest(&self, machine: &Machine, shown: &Value) -> Answer {
        self.town.send(Ask::post("/v1/io-worker/attestation").json(shown).by(machine))
    }

    /// Machines that a renter finds with this certification.
    fn offers(&self, certification: &str) -> Vec<String> {
        let path = format!("/v1/offers?certification={certification}");
        let found = self.town.get(&self.town.renter, &path).expect(200).json();
        let items = found["items"].as_array().or(found.as_array()).unwrap();
        items.iter().map(|offer| offer["worker"].as_str().unwrap().to_owned()).collect()
    }

    fn attestation(&self, machine: &Machine) -> Answer {
        let path = format!("/v1/workers/{}/attestation", machine.worker);
        self.town.get(&self.town.supplier, &path)
    }
}

#[test]
fn cards_that_attest_are_found_by_it_and_others_are_not() {
    let stage = Stage::new();
    let (one, other) = (stage.machine(1, 2), stage.machine(2, 2));
    let cards = [stage.gpus.card("a", true), stage.gpus.card("b", true)];
    let nonce = stage.nonce(&one);
    let answer = stage.attest(&one, &stage.show(1, &nonce, &cards, false)).expect(200).json();
    let view = &answer["attestation"];
    assert_eq!((&view["what"], &view["certifications"]), (&json!("gpu"), &json!(["attested-gpu"])));
    assert_eq!(view["cards"][1]["serial"], cards[1].serial.as_str());
    assert_eq!(view["cards"][0]["board"], "H100 for tests");
    assert!(answer["renew_at"].as_str() < view["until"].as_str(), "{answer}");
    assert_eq!(stage.offers("attested-gpu"), std::slice::from_ref(&one.worker));
    assert_eq!(stage.offers("confidential"), [""; 0]);
    stage.attestation(&other).expect_problem(404, "not-found");
    // What it is listed with is seen where the machine is.
    let path = format!("/v1/workers/{}", one.worker);
    let seen = stage.town.get(&stage.town.supplier, &path).expect(200).json();
    assert_eq!(seen["machine"]["certifications"], json!(["attested-gpu"]));
}

#[test]
fn a_confidential_machine_binds_its_cards_to_its_key() {
    let stage = Stage::new();
    let (one, bare) = (stage.machine(1, 1), stage.machine(2, 0));
    let cards = [stage.gpus.card("a", false)];
    let nonce = stage.nonce(&one);
    let shown = stage.show(1, &nonce, &cards, true);
    let view = stage.attest(&one, &shown).expect(200).json()["attestation"].clone();
    assert_eq!(view["certifications"], json!(["attested-gpu", "confidential"]));
    assert_eq!(view["guest"]["image"], "guest for tests");
    assert_eq!(stage.offers("confidential"), std::slice::from_ref(&one.worker));
    // A machine without cards on offer is confidential by its processor alone.
    let nonce = stage.nonce(&bare);
    let view = stage.attest(&bare, &stage.show(2, &nonce, &[], true)).expect(200).json();
    assert_eq!(view["attestation"]["what"], "cpu");
    // A quote that another machine's key is in says nothing of this one.
    let nonce = stage.nonce(&one);
    let of_other = stage.show(2, &nonce, &cards, true);
    let problem = stage.attest(&one, &of_other).expect_problem(422, "attestation-refused");
    assert!(problem["detail"].as_str().unwrap().contains("other report data"), "{problem}");
    stage.attestation(&one).expect(200);
}

#[test]
fn a_nonce_is_good_for_one_answer_of_one_machine() {
    let stage = Stage::new();
    let (one, other) = (stage.machine(1, 1), stage.machine(2, 1));
    let cards = [stage.gpus.card("a", false)];
    let nonce = stage.nonce(&one);
    let shown = stage.show(1, &nonce, &cards, false);
    stage.attest(&other, &shown).expect_problem(409, "nonce-unknown");
    stage.attest(&one, &shown).expect(200);
    stage.attest(&one, &shown).expect_problem(409, "nonce-unknown");
    let ask = || stage.town.send(Ask::post("/v1/io-worker/attestation/nonce").by(&other));
    let too_many = (0..61).map(|_| ask()).find(|answer| answer.status != 200).unwrap();
    too_many.expect_problem(429, "rate-limited");
    // A newer one takes the older one's place.
    let (older, newer) = (stage.nonce(&one), stage.nonce(&one));
    stage.attest(&one, &stage.show(1, &older, &cards, false)).expect_problem(409, "nonce-unknown");
    stage.attest(&one, &stage.show(1, &newer, &cards, false)).expect(200);
}

#[test]
fn what_is_not_admitted_is_refused_and_what_lacks_is_unclear() {
    let stage = Stage::new();
    let one = stage.machine(1, 2);
    let (a, b) = (stage.gpus.card("a", true), stage.gpus.card("b", true));
    let check = |cards: &[gpu::Card], status, code, said: &str| {
        let nonce = stage.nonce(&one);
        let problem =
            stage.attest(&one, &stage.show(1, &nonce, cards, false)).expect_problem(status, code);
        assert!(problem["detail"].as_str().unwrap().contains(said), "{problem}");
    };
    let refused = "attestation-refused";
    check(std::slice::from_ref(&a), 422, refused, "1 cards attest, and 2 are on offer");
    check(&[a.clone(), a.clone()], 422, refused, "the same GPU as number 0");
    check(&[a.clone(), stage.gpus.card("b", false)], 422, refused, "another mode");
    let stranger = gpu::Maker::new("Other", hours_ago(48), now().after(DAY));
    check(&[a.clone(), stranger.card("b", true)], 422, refused, "NVIDIA's pinned root");
    check(&[], 422, refused, "neither a card's evidence");
    let serial = b.serial.clone();
    let revoked = stage.gpus.revocations(&[&serial], hours_ago(1));
    stage.write("revocations", &revoked.sign(&stage.network_key()));
    check(&[a.clone(), b.clone()], 422, refused, "is revoked");
    let old = stage.gpus.revocations(&[], hours_ago(24 * 9));
    stage.write("revocations", &old.sign(&stage.network_key()));
    check(&[a.clone(), b.clone()], 409, "attestation-unclear", "days old, limit 7");
    // Data that the network's key did not sign is none.
    stage.write(
        "references",
        &stage.gpus.references(hours_ago(1)).sign(&SigningKey::from_bytes(&[1; 32])),
    );
    check(&[a, b], 409, "attestation-unclear", "there is no reference manifest");
    let data = stage.town.get(&Anonymous, "/v1/attestation/data").expect(200).json();
    assert!(data["problems"][0].as_str().unwrap().contains("none of the trusted keys"), "{data}");
    stage.attestation(&one).expect_problem(404, "not-found");
}

#[test]
fn nobody_claims_what_is_to_be_shown() {
    let stage = Stage::new();
    let one = stage.machine(1, 0);
    for word in ["attested-gpu", "confidential"] {
        let mut machine = a_machine(4);
        machine["certifications"] = json!([word]);
        let ask = Ask::put("/v1/worker/machine").json(&machine).by(&one);
        let problem = stage.town.send(ask).expect_problem(422, "invalid");
        assert!(
            problem["detail"].as_str().unwrap().contains("not claimed but attested"),
            "{problem}"
        );
    }
}

#[test]
fn a_card_stands_for_one_machine_and_an_attestation_ends_with_the_hardware() {
    let stage = Stage::new();
    let (one, other) = (stage.machine(1, 1), stage.machine(2, 1));
    let cards = [stage.gpus.card("a", false)];
    let show = |machine: &Machine, number| {
        let nonce = stage.nonce(machine);
        stage.attest(machine, &stage.show(number, &nonce, &cards, false))
    };
    show(&one, 1).expect(200);
    show(&other, 2).expect_problem(409, "same-card");
    // It has lost its card: what was shown was of another machine.
    let changed = a_machine(4);
    stage.town.send(Ask::put("/v1/worker/machine").json(&changed).by(&one)).expect(204);
    stage.attestation(&one).expect_problem(404, "not-found");
    assert_eq!(stage.offers("attested-gpu"), [""; 0]);
    show(&other, 2).expect(200);
}

#[test]
fn evidence_is_for_those_whom_it_concerns_and_is_what_was_shown() {
    let stage = Stage::new();
    let town = &stage.town;
    let one = stage.machine(1, 1);
    let nonce = stage.nonce(&one);
    let shown = stage.show(1, &nonce, &[stage.gpus.card("a", false)], false);
    stage.attest(&one, &shown).expect(200);
    let path = format!("/v1/workers/{}/attestation", one.worker);
    let evidence = format!("{path}/evidence");
    let seen = town.get(&town.stranger, &path).expect(200).json();
    assert!(seen["cards"][0].get("serial").is_none(), "{seen}");
    town.get(&town.stranger, &evidence).expect_problem(403, "forbidden");
    town.get(&town.renter, &evidence).expect_problem(403, "forbidden");
    let kept = town.get(&town.supplier, &evidence).expect(200);
    assert_eq!(sha256(&kept.body), seen["evidence"].as_str().unwrap());
    let kept: Value = kept.json();
    assert_eq!((&kept["nonce"], &kept["gpus"]), (&shown["nonce"], &shown["gpus"]));
    town.get(&town.operator, &evidence).expect(200);
}

#[test]
fn attestations_end_when_their_time_is_over() {
    let stage = Stage::new();
    // What was known when it was shown is good for another moment only.
    let soon = Timestamp::from_millis(now().millis() + 4_000 - 7 * 24 * 3_600_000);
    stage.write("revocations", &stage.gpus.revocations(&[], soon).sign(&stage.network_key()));
    let one = stage.machine(1, 1);
    let nonce = stage.nonce(&one);
    stage.attest(&one, &stage.show(1, &nonce, &[stage.gpus.card("a", false)], false)).expect(200);
    assert_eq!(stage.offers("attested-gpu").len(), 1);
    let until = std::time::Instant::now() + Duration::from_secs(30);
    while !stage.offers("attested-gpu").is_empty() {
        assert!(std::time::Instant::now() < until, "it still stands");
        std::thread::park_timeout(Duration::from_millis(50));
    }
    stage.attestation(&one).expect_problem(404, "not-found");
}

fn sha256(bytes: &[u8]) -> String {
    use sha2::Digest;
    HEXLOWER.encode(&sha2::Sha256::digest(bytes))
}
