//! The rows of [`super::coverage`] for proofs, and what the stage needs for them.

use serde_json::json;

use super::coverage::{MayRow, Once, TwiceRow};
use crate::proofs::{Liar, Lie, Wire, ask, card, prove, with_cards};
use crate::town::{Anonymous, Ask, Town};

/// As [`super::coverage::WHO_MAY`].
pub(super) const WHO_MAY: &[MayRow] = &[
    // The machine is hired: nothing is asked of it.
    (
        "GET /v1/io-worker/challenge",
        "/v1/io-worker/challenge?card={cpu}",
        "",
        [401, 401, 401, 401, 401, 401, 204],
    ),
    (
        "POST /v1/io-worker/challenge/result",
        "/v1/io-worker/challenge/result",
        "x",
        [401, 401, 401, 401, 401, 401, 422],
    ),
    // It has ended, so there is nothing to check.
    (
        "POST /v1/rentals/{id}/canary",
        "/v1/rentals/{ended}/canary",
        "",
        [401, 403, 404, 404, 409, 409, 401],
    ),
    (
        "GET /v1/rentals/{id}/canaries",
        "/v1/rentals/{rental}/canaries",
        "",
        [401, 200, 404, 404, 200, 200, 401],
    ),
    (
        "GET /v1/proofs/devices/{id}/fingerprint",
        "/v1/proofs/devices/{proven}/fingerprint",
        "",
        [200; 7],
    ),
    ("GET /v1/io-worker/challenge/binary", "/v1/io-worker/challenge/binary", "", [200; 7]),
    (
        "POST /v1/io-worker/challenge/binary",
        "/v1/io-worker/challenge/binary",
        r#"{"seed":"{cpu}","index":0,"bits":1,"number":7}"#,
        [200; 7],
    ),
    ("GET /v1/io-blocks/devices/{id}/pow", "/v1/io-blocks/devices/{proven}/pow", "", [200; 7]),
    (
        "GET /v1/io-explorer/devices/{id}/pow-summary",
        "/v1/io-explorer/devices/{proven}/pow-summary",
        "",
        [200; 7],
    ),
    ("GET /v1/proofs/log", "/v1/proofs/log", "", [200; 7]),
    ("GET /v1/proofs/log/entries", "/v1/proofs/log/entries", "", [200; 7]),
    ("GET /v1/proofs/log/consistency", "/v1/proofs/log/consistency?from=1", "", [200; 7]),
    ("GET /v1/proofs/{session}", "/v1/proofs/{proof}", "", [200; 7]),
    ("GET /v1/proofs/{session}/transcript", "/v1/proofs/{proof}/transcript", "", [200; 7]),
    (
        "GET /v1/proofs/{session}/owner",
        "/v1/proofs/{proof}/owner",
        "",
        [401, 404, 404, 200, 404, 200, 401],
    ),
];

/// As [`super::coverage::TOLD_TWICE`].
pub(super) const TOLD_TWICE: &[TwiceRow] = &[
    (
        "POST /v1/io-worker/challenge/result",
        "",
        "",
        Once::Otherwise("messages are numbered, and the last said again is answered as before"),
    ),
    ("POST /v1/io-worker/challenge/binary", "", "", Once::Otherwise("it changes nothing")),
    (
        "POST /v1/rentals/{id}/canary",
        "",
        "",
        Once::Otherwise("the same nonce again is the same check"),
    ),
];

/// As [`super::coverage::LISTS`].
pub(super) const LISTS: &[(&str, &str)] =
    &[("GET /v1/io-blocks/devices/{id}/pow", "/v1/io-blocks/devices/{proven}/pow?")];

/// A machine with three proofs, and their names.
pub(super) fn prepare(town: &Town) -> Vec<(&'static str, String)> {
    const NUMBER: u8 = 60;
    let view = town.get(&Anonymous, "/v1/network/parameters").expect(200).json();
    let excused = view["parameters"]["exempt"].clone();
    town.patch(&json!({ "exempt": [] }));
    let machine = town.machine(NUMBER, &with_cards(3));
    for number in 0..3 {
        let challenge = ask(&town.client, &machine, &card(number), 0).expect(200).body;
        let mut wire = Wire::new(&town.client, &machine);
        prove(&mut wire, &challenge, NUMBER, &mut Liar::new(Lie::Broken));
    }
    town.patch(&json!({ "exempt": excused }));
    // No rental takes it.
    let pause = Ask::put(&format!("/v1/workers/{}/paused", machine.worker));
    town.send(pause.json(&json!({ "paused": true })).by(&town.supplier)).expect(200);
    let path = format!("/v1/io-blocks/devices/{}/pow", machine.worker);
    let page = town.get(&Anonymous, &path).expect(200).json();
    let proof = page["items"][0]["session"].as_str().unwrap().to_owned();
    vec![("cpu", crate::proofs::processor()), ("proven", machine.worker), ("proof", proof)]
}
