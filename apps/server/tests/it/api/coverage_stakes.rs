//! The rows of [`super::coverage`] for what is staked, charged and granted, and what the stage needs for them.

use serde_json::{Value, json};

use super::coverage::{MayRow, Once, TwiceRow};
use crate::town::{Town, a_machine};

/// As [`super::coverage::WHO_MAY`].
pub(super) const WHO_MAY: &[MayRow] = &[
    (
        "GET /v1/io-staking/devices",
        "/v1/io-staking/devices",
        "",
        [401, 200, 200, 200, 200, 200, 401],
    ),
    (
        "GET /v1/io-staking/devices/{worker}",
        "/v1/io-staking/devices/{staked}",
        "",
        [401, 404, 404, 200, 404, 200, 401],
    ),
    (
        "POST /v1/io-staking/devices/{worker}/stake",
        "/v1/io-staking/devices/{staked}/stake",
        r#"{"coins":"1"}"#,
        [401, 404, 404, 200, 404, 200, 401],
    ),
    (
        "POST /v1/io-staking/devices/{worker}/withdraw-overflow",
        "/v1/io-staking/devices/{staked}/withdraw-overflow",
        r#"{"coins":"0.5"}"#,
        [401, 404, 404, 200, 404, 200, 401],
    ),
    // The owner unstakes it; then nothing is staked.
    (
        "POST /v1/io-staking/devices/{worker}/unstake",
        "/v1/io-staking/devices/{unstaked}/unstake",
        "",
        [401, 404, 404, 200, 404, 409, 401],
    ),
    (
        "POST /v1/io-staking/devices/{worker}/withdraw",
        "/v1/io-staking/devices/{unstaked}/withdraw",
        "",
        [401, 404, 404, 200, 404, 409, 401],
    ),
    ("GET /v1/io-staking/metrics", "/v1/io-staking/metrics", "", [200; 7]),
    ("GET /v1/co-staking/offers", "/v1/co-staking/offers", "", [200; 7]),
    // The owner makes one; then there is one.
    (
        "POST /v1/co-staking/offers",
        "/v1/co-staking/offers",
        r#"{"worker":"{staked}","portion_bp":1000,"share_bp":1000}"#,
        [401, 404, 404, 201, 404, 409, 401],
    ),
    (
        "DELETE /v1/co-staking/offers/{id}",
        "/v1/co-staking/offers/{retracted}",
        "",
        [401, 403, 403, 200, 403, 409, 401],
    ),
    // Some have no coins, the owner may not, the renter takes it; then it is taken.
    (
        "POST /v1/co-staking/offers/{id}/accept",
        "/v1/co-staking/offers/{offered}/accept",
        "",
        [401, 402, 402, 409, 200, 409, 401],
    ),
    (
        "POST /v1/co-staking/offers/{id}/leave",
        "/v1/co-staking/offers/{offered}/leave",
        "",
        [401, 409, 409, 409, 200, 409, 401],
    ),
    (
        "POST /v1/co-staking/offers/{id}/withdraw",
        "/v1/co-staking/offers/{offered}/withdraw",
        "",
        [401, 404, 404, 404, 200, 409, 401],
    ),
    (
        "GET /v1/users/me/co-staking",
        "/v1/users/me/co-staking",
        "",
        [401, 200, 200, 200, 200, 200, 401],
    ),
    ("GET /v1/safety-module/metrics", "/v1/safety-module/metrics", "", [200; 7]),
    ("GET /v1/safety-module/me", "/v1/safety-module/me", "", [401, 200, 200, 200, 200, 200, 401]),
    (
        "POST /v1/safety-module/stake",
        "/v1/safety-module/stake",
        r#"{"coins":"2"}"#,
        [401, 402, 402, 200, 200, 200, 401],
    ),
    (
        "POST /v1/safety-module/unstake",
        "/v1/safety-module/unstake",
        r#"{"coins":"1"}"#,
        [401, 409, 409, 200, 200, 200, 401],
    ),
    (
        "POST /v1/safety-module/withdraw",
        "/v1/safety-module/withdraw",
        "",
        [401, 409, 409, 200, 200, 200, 401],
    ),
    // No block has paid anything yet.
    (
        "POST /v1/safety-module/claim",
        "/v1/safety-module/claim",
        "",
        [401, 409, 409, 409, 409, 409, 401],
    ),
    ("GET /v1/slashing/offences", "/v1/slashing/offences", "", [200; 7]),
    ("POST /v1/slashes", "/v1/slashes", CHARGE, [401, 403, 403, 403, 403, 201, 401]),
    ("GET /v1/slashes", "/v1/slashes", "", [401, 200, 200, 200, 200, 200, 401]),
    ("GET /v1/slashes/{id}", "/v1/slashes/{slash}", "", [401, 404, 404, 200, 404, 200, 401]),
    (
        "GET /v1/slashes/{id}/files/{sha256}",
        "/v1/slashes/{slash}/files/{package}",
        "",
        [401, 404, 404, 200, 404, 200, 401],
    ),
    // The accused appeals; the operator has nothing in it.
    (
        "POST /v1/slashes/{id}/appeal",
        "/v1/slashes/{slash}/appeal",
        r#"{"text":"no"}"#,
        [401, 404, 404, 200, 404, 409, 401],
    ),
    (
        "POST /v1/slashes/{id}/statements",
        "/v1/slashes/{slash}/statements",
        r#"{"text":"so it is"}"#,
        [401, 404, 404, 200, 404, 200, 401],
    ),
    (
        "POST /v1/slashes/{id}/decision",
        "/v1/slashes/{slash}/decision",
        r#"{"uphold":false,"reason":"so it is not"}"#,
        [401, 403, 403, 403, 403, 200, 401],
    ),
    ("POST /v1/io-token/grants", "/v1/io-token/grants", GRANT, [401, 403, 403, 403, 403, 201, 401]),
    ("GET /v1/io-token/grants", "/v1/io-token/grants", "", [401, 200, 200, 200, 200, 200, 401]),
    (
        "GET /v1/io-token/grants/{id}",
        "/v1/io-token/grants/{grant}",
        "",
        [401, 404, 404, 404, 200, 200, 401],
    ),
    // Whom it is for claims it; then there is no more to claim.
    (
        "POST /v1/io-token/grants/{id}/claim",
        "/v1/io-token/grants/{grant}/claim",
        "",
        [401, 404, 404, 404, 200, 422, 401],
    ),
];

const CHARGE: &str = r#"{"worker":"{charged}","offence":"forged-proof","offended_at":"2026-01-01T00:00:00Z",
    "evidence":[{"kind":"proof-transcript","blob":"{package}","summary":"it is wrong"}]}"#;
const GRANT: &str = r#"{"account":"{renter}","class":"community","coins":"10"}"#;

/// As [`super::coverage::TOLD_TWICE`].
pub(super) const TOLD_TWICE: &[TwiceRow] = &[
    (
        "POST /v1/io-staking/devices/{worker}/stake",
        "/v1/io-staking/devices/{staked}/stake",
        r#"{"coins":"1"}"#,
        Once::Key,
    ),
    (
        "POST /v1/io-staking/devices/{worker}/withdraw-overflow",
        "/v1/io-staking/devices/{staked}/withdraw-overflow",
        r#"{"coins":"0.5"}"#,
        Once::Key,
    ),
    (
        "POST /v1/io-staking/devices/{worker}/unstake",
        "/v1/io-staking/devices/{unstaked}/unstake",
        "",
        Once::Key,
    ),
    (
        "POST /v1/io-staking/devices/{worker}/withdraw",
        "/v1/io-staking/devices/{unstaked}/withdraw",
        "",
        Once::Key,
    ),
    (
        "POST /v1/co-staking/offers",
        "/v1/co-staking/offers",
        r#"{"worker":"{staked}","portion_bp":1000,"share_bp":1000}"#,
        Once::Key,
    ),
    ("DELETE /v1/co-staking/offers/{id}", "/v1/co-staking/offers/{retracted}", "", Once::Key),
    (
        "POST /v1/co-staking/offers/{id}/accept",
        "/v1/co-staking/offers/{offered}/accept",
        "",
        Once::Key,
    ),
    (
        "POST /v1/co-staking/offers/{id}/leave",
        "/v1/co-staking/offers/{offered}/leave",
        "",
        Once::Key,
    ),
    (
        "POST /v1/co-staking/offers/{id}/withdraw",
        "/v1/co-staking/offers/{offered}/withdraw",
        "",
        Once::Key,
    ),
    ("POST /v1/safety-module/stake", "/v1/safety-module/stake", r#"{"coins":"2"}"#, Once::Key),
    ("POST /v1/safety-module/unstake", "/v1/safety-module/unstake", r#"{"coins":"1"}"#, Once::Key),
    ("POST /v1/safety-module/withdraw", "/v1/safety-module/withdraw", "", Once::Key),
    ("POST /v1/safety-module/claim", "", "", Once::Otherwise("a second claim finds nothing")),
    ("POST /v1/slashes", "/v1/slashes", CHARGE, Once::Key),
    ("POST /v1/slashes/{id}/appeal", "", "", Once::Otherwise("a slash is appealed once")),
    (
        "POST /v1/slashes/{id}/statements",
        "/v1/slashes/{slash}/statements",
        r#"{"text":"so it is"}"#,
        Once::Key,
    ),
    (
        "POST /v1/slashes/{id}/decision",
        "/v1/slashes/{slash}/decision",
        r#"{"uphold":false,"reason":"so it is not"}"#,
        Once::Key,
    ),
    ("POST /v1/io-token/grants", "/v1/io-token/grants", GRANT, Once::Key),
    ("POST /v1/io-token/grants/{id}/claim", "/v1/io-token/grants/{grant}/claim", "", Once::Key),
];

/// As [`super::coverage::LISTS`].
pub(super) const LISTS: &[(&str, &str)] = &[
    ("GET /v1/io-staking/devices", "/v1/io-staking/devices?"),
    ("GET /v1/co-staking/offers", "/v1/co-staking/offers?"),
    ("GET /v1/users/me/co-staking", "/v1/users/me/co-staking?"),
    ("GET /v1/slashes", "/v1/slashes?"),
    ("GET /v1/io-token/grants", "/v1/io-token/grants?"),
];

/// Stakes five machines, offers three, charges one three times, and grants three times: what the rows call these.
pub(super) fn prepare(town: &Town, package: &str) -> Vec<(&'static str, String)> {
    town.genesis();
    let me = town.get(&town.operator, "/v1/me").expect(200).json();
    let operator = me["account"]["id"].as_str().unwrap().to_owned();
    for account in [&operator, &town.supplier.person.account, &town.renter.person.account] {
        town.give_coins(account, "5000 IO");
    }
    town.patch(&json!({ "safety": { "cooldown_days": 0 } }));
    town.patch(&json!({ "stakes": { "cooldown_days": 0, "wait_days": 0 } }));
    let staked = |number: u8| {
        let worker = town.machine(number, &a_machine(2)).worker;
        let place = format!("/v1/io-staking/devices/{worker}/stake");
        town.post(&town.supplier, &place, &json!({ "coins": "500" })).expect(200);
        worker
    };
    let made = |path: &str, body: Value| {
        let made = town.post(&town.operator, path, &body).expect(201).json();
        let id = made["id"].as_str().or(made["offer"]["id"].as_str());
        id.expect("it has an id").to_owned()
    };
    let offer = |worker: &str| {
        let body = json!({ "worker": worker, "portion_bp": 5_000, "share_bp": 1_000 });
        made("/v1/co-staking/offers", body)
    };
    let charged = staked(24);
    let [retracted, offered, _] = [21, 22, 23].map(|number| offer(&staked(number)));
    let fill = |text: &str| {
        let renter = &town.renter.person.account;
        let text = text.replace("{charged}", &charged).replace("{package}", package);
        serde_json::from_str(&text.replace("{renter}", renter)).unwrap()
    };
    let [slash, ..] = [0; 3].map(|_| made("/v1/slashes", fill(CHARGE)));
    let [grant, ..] = [0; 3].map(|_| made("/v1/io-token/grants", fill(GRANT)));
    vec![
        ("staked", staked(25)),
        ("unstaked", staked(26)),
        ("retracted", retracted),
        ("offered", offered),
        ("charged", charged),
        ("slash", slash),
        ("grant", grant),
    ]
}
