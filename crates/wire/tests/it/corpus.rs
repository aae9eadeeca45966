//! The corpus is what [`made`] makes, to the byte. After a change of a request:
//! `IOG_WRITE=1 cargo nextest run -p wire the_corpus`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::{Value, json};
use units::{
    AccountId, BlobId, Credits, JobId, Money, ProjectId, QuoteId, RentalId, Timestamp, WorkerId,
};
use wire::Time;

use crate::inputs::{Inputs, committed, must_be, run};
use crate::mutate::{Chance, mutated};
use crate::strangers::{REQUESTS, requests};

/// All of it, in a checkout.
const CORPUS_BYTES_MAX: usize = 60 << 10;
/// Inputs that are changed by chance in an ordinary test.
const CHANGED: usize = 2_000;
/// A request that is nested deeper than any is; whoever reads it must not run out of stack.
const DEEP: usize = 10_000;

fn folder() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/corpus"))
}

fn machine() -> Value {
    json!({
        "offers": { "gpus": 2, "vcpus": 16, "memory_mib": 65_536, "disk_mib": 500_000 },
        "gpu_model": "NVIDIA GeForce RTX 4090", "vram_mib": 24_564, "cpu_model": "EPYC 7302",
        "os": "Debian 12", "country": "DE", "tier": "high", "certifications": [],
        "host": { "memory_mib": 131_072, "disk_mib": 900_000, "driver": "550.90.07" },
    })
}

/// What a person or a project asks for.
fn of_people() -> Vec<(&'static str, Value)> {
    let (account, project) = (AccountId::from_bits(5), ProjectId::from_bits(6));
    let worker = WorkerId::from_bits(7);
    let blob = BlobId::from_sha256([9; 32]);
    let at = json!(Time(Timestamp::from_millis(1_764_000_000_000)));
    let io = json!(Money { asset: units::Asset::Io, units: 250_000_000 });
    let usd = json!(Money { asset: units::Asset::Usd, units: 1_500_000 });
    let coins = json!(units::Coins::from_units(120_000_000));
    let each = json!({ "gpus": 1, "vcpus": 4, "memory_mib": 8_192, "disk_mib": 10_000 });
    let order = json!({
        "nodes": 3, "each": each, "gpu_model": "NVIDIA GeForce RTX 4090", "suppliers": [account],
        "countries": ["DE", "SE"], "tier_min": "low", "node_hour_max": "1.5", "pack": true,
        "near": "site", "rtt_max_micros": 5_000, "apart": "suppliers",
        "away_from": [RentalId::from_bits(8)], "alone": true,
    });
    vec![
        ("account", json!({ "name": "sam", "email": "sam@example.org" })),
        ("ballot", json!({ "choice": "for" })),
        ("blocked", json!({ "reason": "a spoofed card" })),
        ("brake", json!({ "what": ["slashing"], "reason": "a bug", "hours": 12 })),
        ("claim", json!({ "amount": coins, "worker": worker })),
        ("co-stake", json!({ "worker": worker, "portion_bp": 4_000, "share_bp": 2_500 })),
        (
            "conversion",
            json!({ "purse": account, "give": io, "take": "USD", "at_least": usd, "quoted_until": at }),
        ),
        ("decision", json!({ "uphold": false, "reason": "the transcript does not hold" })),
        ("delegate", json!({ "to": account })),
        ("deposit", json!({ "to": project, "money": usd, "reference": "wire 7", "by_card": true })),
        (
            "exemption",
            json!({ "rules": ["proof-of-work"], "from": at, "until": at, "reason": "a demo" }),
        ),
        ("extend", json!({ "hours": 4 })),
        ("genesis", json!({ "first_month": "2025-03" })),
        ("grant", json!({ "account": account, "class": "team", "coins": coins })),
        ("invite", json!({ "account": account, "valid_hours": 24, "replace": worker })),
        (
            "job",
            json!({ "entrypoint": "python train.py", "package": blob, "env": { "SEED": "7" } }),
        ),
        ("key", json!({ "label": "ci", "scopes": ["read", "write"], "valid_days": 30 })),
        ("member", json!({ "role": "viewer" })),
        ("overflow", json!({ "coins": coins, "unstake": true })),
        ("pause", json!({ "paused": true })),
        ("project", json!({ "name": "vision", "owner": account })),
        ("proof", json!({ "proof": "work", "passed": true, "at": at, "note": "by hand" })),
        (
            "proposal",
            json!({ "kind": "parameters", "title": "more", "body": "…", "patch": { "a": { "b": 1 } } }),
        ),
        ("quote", json!({ "project": project, "order": order, "hours": 8, "pay": "IO" })),
        ("readings", json!({ "readings": [{ "source": "x", "usd_per_coin": "0.25", "at": at }] })),
        ("rent", json!({ "quote": QuoteId::from_bits(3), "name": "train", "may_wait": true })),
        (
            "slash",
            json!({
                "worker": worker, "offence": "forged-proof", "offended_at": at, "cards": 1,
                "evidence": [{ "kind": "proof-transcript", "blob": blob, "summary": "task 2: a wrong row" }],
            }),
        ),
        ("stake", json!({ "coins": coins })),
        ("statement", json!({ "text": "it was not me", "blob": blob })),
        ("top-up", json!({ "amount": Credits::from_units(7_500_000), "note": "welcome" })),
        ("transfer", json!({ "from": account, "to": "treasury", "money": io })),
        (
            "wait",
            json!({
                "project": project, "order": order, "hours": 8, "pay": "IO", "name": "train",
                "wait_minutes": 360,
            }),
        ),
        ("withdrawal", json!({ "account": account, "money": io, "to": "0xabc" })),
    ]
}

/// What a machine says.
fn of_machines() -> Vec<(&'static str, Value)> {
    let worker = WorkerId::from_bits(7);
    let (rental, job) = (RentalId::from_bits(8), JobId::from_bits(9));
    let blob = BlobId::from_sha256([9; 32]);
    let signature = "5a".repeat(64);
    vec![
        (
            "beat",
            json!({
                "number": 7, "revision": 3, "jobs": [{ "job": job, "phase": "running" }],
                "nodes": [{ "rental": rental, "node": 0, "phase": "ready", "head": "127.0.0.1:6379" }],
            }),
        ),
        ("canary", json!({ "nonce": "07".repeat(32) })),
        ("challenge", json!({ "worker": worker })),
        (
            "join",
            json!({
                "token": "inv_abc", "name": "rig", "public_key": blob, "fingerprint": blob,
                "machine": machine(), "signature": signature,
            }),
        ),
        ("machine", machine()),
        ("puzzle", json!({ "seed": "00".repeat(32), "index": 2, "bits": 6, "number": 77 })),
        ("session", json!({ "worker": worker, "challenge": "c", "signature": signature })),
    ]
}

/// What nodes, clients and relays of private networks say, and what is wanted of the networks.
fn of_networks() -> Vec<(&'static str, Value)> {
    let (key, other, signature) = ("1b".repeat(32), "2c".repeat(32), "5a".repeat(64));
    let (x25519, proof) = (wire::paper::MeshKey([0x2c; 32]), "6b".repeat(32));
    let way = json!({
        "peer": other, "kind": "relayed", "address": "[2001:db8::1]:443", "relay": key, "rtt_micros": 1_250,
        "loss_bp": 30, "why": "behind a symmetric NAT",
    });
    let services = json!({
        "web": { "state": "open", "at": [{ "relay": other, "port": 30_022 }] },
        "api": { "state": "refused", "why": "nothing listens" },
    });
    vec![
        (
            "client-network",
            json!({
                "key": key, "statement": signature, "x25519": x25519, "suites": ["wireguard"], "relays": [other],
                "ssh_key": "ssh-ed25519 AAAA sam", "ways": [way], "known": 7, "epoch": 9, "wait_secs": 30,
                "proof": proof,
            }),
        ),
        ("network-policy", json!({ "policy": "{ /* nothing passes */ \"grants\": [] }" })),
        (
            "node-network",
            json!({
                "key": key, "x25519": x25519, "statement": signature, "suites": ["aes256gcm", "wireguard"],
                "relays": [other], "services": services, "ways": [way], "proof": proof, "tells_only": true,
                "seen": [{ "key": other, "rtt_ms": 12, "loss_bp": 4, "failed_dials": 1 }], "known": 7, "wait_secs": 30,
            }),
        ),
        (
            "operator-network",
            json!({
                "key": key, "statement": signature, "x25519": x25519, "name": "gate", "tags": ["prod"],
                "suites": ["wireguard"], "relays": [other], "ways": [way], "known": 7, "wait_secs": 30, "proof": proof,
            }),
        ),
        (
            "relay",
            json!({
                "key": key, "statement": signature, "tcp": ["192.0.2.1:443"], "udp": ["[2001:db8::2]:443"],
                "domain": "relay.example.org", "drains": true,
                "load": { "lines": 4, "streams": 90, "bytes_per_second": 125_000, "lines_max": 4_096 },
            }),
        ),
        (
            "service",
            json!({
                "node": 1, "port": 8_888, "proto": "http", "visibility": "public", "wants_proxy_header": true,
            }),
        ),
    ]
}

/// What is right, by the name of its request.
fn right() -> BTreeMap<&'static str, Vec<u8>> {
    let all = of_people().into_iter().chain(of_machines()).chain(of_networks());
    all.map(|(name, value)| (name, value.to_string().into_bytes())).collect()
}

/// The corpus: what is right, and what strangers make of it.
fn made() -> Inputs {
    let right = right();
    let all: Vec<&Vec<u8>> = right.values().collect();
    let mut made = BTreeMap::new();
    for (seed, (name, bytes)) in (1..).zip(&right) {
        let mut chance = Chance(seed);
        made.insert(format!("{name}.json"), bytes.clone());
        let other = all[chance.below(all.len())];
        made.insert(format!("{name}.chance"), mutated(bytes, other, &mut chance));
        let mut more: Value = serde_json::from_slice(bytes).unwrap();
        more["not-a-field"] = json!(1);
        made.insert(format!("{name}.more"), more.to_string().into_bytes());
    }
    let odd: [(&str, &[u8]); 6] = [
        ("odd.twice", br#"{"hours":1,"hours":2}"#),
        ("odd.float", br#"{"hours":1e99}"#),
        ("odd.minus", br#"{"hours":-0}"#),
        ("odd.null", b"null"),
        ("odd.surrogate", br#"{"text":"\ud800"}"#),
        ("odd.bom", b"\xef\xbb\xbf{}"),
    ];
    made.extend(odd.map(|(name, bytes)| (name.to_owned(), bytes.to_vec())));
    made
}

#[test]
fn the_corpus_is_what_its_generator_makes() {
    must_be(&folder(), &made(), CORPUS_BYTES_MAX, |_| false);
}

#[test]
fn every_request_has_one_in_the_corpus_that_reads_and_none_takes_a_field_too_many() {
    let mut wrong = Vec::new();
    for (name, reads) in REQUESTS {
        let read =
            |kind: &str| reads(&std::fs::read(folder().join(format!("{name}.{kind}"))).unwrap());
        if !read("json") || read("more") {
            wrong.push(name);
        }
    }
    assert!(wrong.is_empty(), "{wrong:?} do not read, or take a field that they do not know");
}

#[test]
fn no_bytes_of_strangers_make_a_reader_panic() {
    run(&committed(&folder()), CHANGED, &mut Chance(2), requests);
    requests("[".repeat(DEEP).as_bytes());
    requests(format!("{}1{}", r#"{"patch":"#.repeat(DEEP), "}".repeat(DEEP)).as_bytes());
}
