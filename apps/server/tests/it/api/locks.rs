//! Records of time-lock over HTTP: handed over once, refused if they are not the machine's, and read by those whom they
//! concern.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use data_encoding::HEXLOWER;
use ed25519_dalek::{Signer, SigningKey};
use proofs::lock::{
    Card, Effect, Machine as Watched, NodeRef, Owner, Process, Reading, Sample, Span, Subject,
    Watch,
};
use proofs::log::{Leaf, verify};
use serde_json::{Value, json};
use units::{BlobId, RentalId, Timestamp, WorkerId};

use super::coverage::{MayRow, Once, TwiceRow};
use crate::town::{Anonymous, Answer, Ask, Machine, Town, a_machine};

const HOUR_MS: u64 = 3_600_000;

/// As [`super::coverage::WHO_MAY`].
pub(super) const WHO_MAY: &[MayRow] = &[
    (
        "POST /v1/io-worker/time-lock",
        "/v1/io-worker/time-lock",
        "x",
        [401, 401, 401, 401, 401, 401, 422],
    ),
    ("GET /v1/io-blocks/devices/{id}/potl", "/v1/io-blocks/devices/{worker}/potl", "", [200; 7]),
    (
        "GET /v1/rentals/{id}/time-lock",
        "/v1/rentals/{rental}/time-lock",
        "",
        [401, 200, 404, 404, 200, 200, 401],
    ),
    (
        "GET /v1/workers/{id}/time-lock",
        "/v1/workers/{worker}/time-lock",
        "",
        [401, 404, 404, 200, 404, 200, 401],
    ),
    (
        "GET /v1/time-lock/{record}",
        "/v1/time-lock/{record}",
        "",
        [401, 200, 404, 200, 200, 200, 401],
    ),
    (
        "GET /v1/time-lock/{record}/record",
        "/v1/time-lock/{record}/record",
        "",
        [401, 200, 404, 200, 200, 200, 401],
    ),
];

/// As [`super::coverage::TOLD_TWICE`].
pub(super) const TOLD_TWICE: &[TwiceRow] = &[(
    "POST /v1/io-worker/time-lock",
    "",
    "",
    Once::Otherwise("the same record twice is one, by its hash"),
)];

/// As [`super::coverage::LISTS`].
pub(super) const LISTS: &[(&str, &str)] = &[
    ("GET /v1/io-blocks/devices/{id}/potl", "/v1/io-blocks/devices/{worker}/potl?"),
    ("GET /v1/rentals/{id}/time-lock", "/v1/rentals/{rental}/time-lock?"),
    ("GET /v1/workers/{id}/time-lock", "/v1/workers/{worker}/time-lock?"),
];

/// Three hours of records of a rental's only node, and the name of the last.
pub(super) fn prepare(town: &Town, machine: &Machine, rental: &str) -> Vec<(&'static str, String)> {
    let node = NodeRef { rental: rental.parse().unwrap(), node: 0 };
    let mut last = String::new();
    for record in records(1, &machine.worker, Span::Rental(node), &[4, 3, 2]) {
        let kept = hand_over(town, machine, &record).expect(200).json();
        last = kept["record"].as_str().unwrap().to_owned();
    }
    vec![("record", last)]
}

pub(super) fn hand_over(town: &Town, machine: &Machine, record: &[u8]) -> Answer {
    town.send(Ask::post("/v1/io-worker/time-lock").bytes(record).by(machine))
}

pub(super) fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    u64::try_from(since.as_millis()).unwrap()
}

/// Records of a machine with this number: of three seconds, in the middle of the hours that are so many ago. A process
/// is on the card in each.
pub(super) fn records(number: u8, worker: &str, span: Span, ago: &[u64]) -> Vec<Vec<u8>> {
    let of_hour = |hours: &u64| (now_ms() / HOUR_MS - hours) * HOUR_MS + 600_000;
    let begins: Vec<u64> = ago.iter().map(of_hour).collect();
    records_from(number, worker, span, &begins)
}

/// The same, of three seconds from each of these times on, in milliseconds.
pub(super) fn records_from(number: u8, worker: &str, span: Span, begins: &[u64]) -> Vec<Vec<u8>> {
    let key = SigningKey::from_bytes(&[number; 32]);
    let sign = |digest: &[u8; 32]| key.sign(digest).to_bytes();
    let worker: WorkerId = worker.parse().unwrap();
    let machine =
        Watched { key: key.verifying_key().to_bytes(), worker, agent: 1, stop_foreign: false };
    let mut watch = Watch::new(machine, BTreeMap::new());
    let card = [7; 32];
    let process = Process {
        pid: 4_242,
        started: 5,
        name: "miner".to_owned(),
        program: "/opt/miner".to_owned(),
        place: String::new(),
        owner: Owner::Foreign,
        memory_mib: 900,
    };
    let reading =
        Reading { busy_pct: Some(1), processes: Some(vec![process]), ..Reading::default() };
    let mut sealed = Vec::new();
    for begin in begins {
        for second in 0..3 {
            let at = begin + second * 1_000;
            let sample = Sample {
                at: Timestamp::from_millis(at),
                steady_ms: at,
                cpu_pct: 1,
                nodes_cpu_pct: 0,
                proving: false,
                cards: vec![Card { card, reading: Some(reading.clone()) }],
            };
            watch.on_sample(&sample, &[Subject { span, cards: vec![card] }], &sign);
        }
        watch.on_end(&sign);
        while let Some(effect) = watch.next_effect() {
            if let Effect::Sealed { sealed: record, .. } = effect {
                sealed.push(record.bytes);
            }
        }
    }
    sealed
}

fn items(town: &Town, caller: &dyn crate::town::Caller, path: &str) -> Vec<Value> {
    town.get(caller, path).expect(200).json()["items"].as_array().unwrap().clone()
}

#[test]
fn a_record_is_kept_once_logged_and_shown_to_those_whom_it_concerns() {
    let town = Town::new();
    let machine = town.machine(1, &a_machine(4));
    let all = records(1, &machine.worker, Span::Idle, &[3, 2]);
    let kept = hand_over(&town, &machine, &all[0]).expect(200).json();
    assert_eq!((&kept["index"], &kept["up_minutes"]), (&json!(0), &json!(1)));
    assert_eq!(hand_over(&town, &machine, &all[0]).expect(200).json(), kept, "once is enough");
    hand_over(&town, &machine, &all[1]).expect(200);

    let worker = &machine.worker;
    let potl = items(&town, &Anonymous, &format!("/v1/io-blocks/devices/{worker}/potl"));
    let minutes: Vec<&Value> = potl.iter().map(|hour| &hour["uptime_in_minutes"]).collect();
    assert_eq!((minutes, &potl[0]["status"]), (vec![&json!(1); 2], &json!("failed")));
    assert!(
        potl[0].get("strangers").is_none()
            && potl[0]["block_id"].as_str() > potl[1]["block_id"].as_str()
    );
    let mine = items(&town, &town.supplier, &format!("/v1/workers/{worker}/time-lock"));
    assert_eq!(mine.len(), 2);
    assert_eq!((&mine[0]["part"], &mine[0]["follows"]), (&json!(1), &json!("last")));
    assert_eq!(mine[0]["strangers"], "miner (process 4242) in 1 minute");

    let path = format!("/v1/time-lock/{}", kept["record"].as_str().unwrap());
    let found = town.get(&town.supplier, &path).expect(200).json();
    let bytes = HEXLOWER.decode(found["entry"].as_str().unwrap().as_bytes()).unwrap();
    let hashes: Vec<BlobId> = found["path"]
        .as_array()
        .unwrap()
        .iter()
        .map(|hash| hash.as_str().unwrap().parse().unwrap())
        .collect();
    let root = found["head"]["root"].as_str().unwrap().parse().unwrap();
    assert!(verify(&bytes, 0, found["head"]["size"].as_u64().unwrap(), &hashes, root));
    let Leaf::Lock(entry) = Leaf::read(&bytes).unwrap() else { panic!("{found}") };
    assert_eq!(entry.record.to_string(), kept["record"].as_str().unwrap());
    let log = town.get(&Anonymous, "/v1/proofs/log/entries").expect(200).json();
    assert_eq!((&log["entries"][0], &log["next"]), (&found["entry"], &Value::Null));
    let first = town.get(&Anonymous, "/v1/proofs/log/entries?limit=1").expect(200).json();
    assert_eq!((first["entries"].as_array().unwrap().len(), &first["next"]), (1, &json!(1)));
    let whole = town.get(&town.supplier, &format!("{path}/record")).expect(200);
    assert_eq!(whole.body, all[0]);
    town.get(&town.renter, &path).expect_problem(404, "not-found");
}

#[test]
fn records_that_are_not_the_machines_or_not_of_its_time_are_refused() {
    let town = Town::new();
    let machine = town.machine(1, &a_machine(4));
    let other = town.machine(2, &a_machine(4));
    let refused = |record: &[u8], why: &str| {
        let problem = hand_over(&town, &machine, record).expect_problem(422, "record-refused");
        assert!(problem["detail"].as_str().unwrap().contains(why), "{problem}");
    };
    let [good] = records(1, &machine.worker, Span::Idle, &[1]).try_into().unwrap();
    for at in [0, 60, good.len() / 2, good.len() - 1] {
        let mut altered = good.clone();
        altered[at] ^= 1;
        hand_over(&town, &machine, &altered).expect_problem(422, "record-refused");
    }
    refused(&good[..good.len() - 1], "cannot be read");
    let [theirs] = records(2, &other.worker, Span::Idle, &[1]).try_into().unwrap();
    refused(&theirs, "another machine's");
    let [forged] = records(2, &machine.worker, Span::Idle, &[1]).try_into().unwrap();
    refused(&forged, "another machine's");
    let nowhere = NodeRef { rental: RentalId::from_bits(9), node: 0 };
    let [rental] = records(1, &machine.worker, Span::Rental(nowhere), &[1]).try_into().unwrap();
    refused(&rental, "had no such node of, or of a trial too long ago");
    let [old] = records(1, &machine.worker, Span::Idle, &[1_200]).try_into().unwrap();
    refused(&old, "too old");
    let too_long = vec![0; 70 << 10];
    hand_over(&town, &machine, &too_long).expect_problem(413, "too-large");
    assert_eq!(town.get(&Anonymous, "/v1/proofs/log").expect(200).json()["size"], 0);
    hand_over(&town, &machine, &good).expect(200);
}

#[test]
fn a_gap_in_the_chain_and_another_chain_are_seen() {
    let town = Town::new();
    let machine = town.machine(1, &a_machine(4));
    let all = records(1, &machine.worker, Span::Idle, &[5, 4, 3]);
    hand_over(&town, &machine, &all[0]).expect(200);
    hand_over(&town, &machine, &all[2]).expect(200);
    hand_over(&town, &machine, &all[1]).expect(200);
    let mine = items(&town, &town.supplier, &format!("/v1/workers/{}/time-lock", machine.worker));
    let follows: Vec<&str> = mine.iter().map(|it| it["follows"].as_str().unwrap()).collect();
    assert_eq!(follows, ["other", "gap", "last"], "newest first");
}

#[test]
fn what_a_beat_says_of_a_disturbance_is_shown_to_the_renter() {
    let town = Town::new();
    town.top_up("100");
    let mut machine = town.machine(1, &a_machine(4));
    let rental = town.running_rental(&mut machine);
    let node = |town: &Town| {
        let view = town.get(&town.renter, &format!("/v1/rentals/{rental}")).expect(200).json();
        view["nodes"][0]["time_lock"].clone()
    };
    assert_eq!(node(&town), Value::Null);
    let since = wire::Time(Timestamp::from_millis(now_ms())).to_string();
    machine.nodes[0]["disturbed"] = json!({ "why": "card-lost", "since": since });
    machine.beat(&town.client).expect(200);
    assert_eq!(node(&town)["disturbed"]["why"], "card-lost");
    machine.nodes[0]["disturbed"] = json!({ "why": "weather", "since": since });
    machine.beat(&town.client).expect_problem(422, "invalid");
    machine.nodes[0].as_object_mut().unwrap().remove("disturbed");
    machine.beat(&town.client).expect(200);
    assert_eq!(node(&town)["disturbed"], Value::Null);
}
