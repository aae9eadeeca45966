//! The rows of [`super::coverage`] for what is staked, charged and granted, and what the stage needs for them.

use serde_json::{Value, json};

use super::coverage::{MayRow, Once, TwiceRow};
use super::governance::plan;
use crate::town::{Ask, Town, a_machine};

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
    ("GET /v1/co-staking/offers/{id}", "/v1/co-staking/offers/{retracted}", "", [200; 7]),
    (
        "GET /v1/users/me/co-staking/{id}",
        "/v1/users/me/co-staking/{retracted}",
        "",
        [401, 404, 404, 200, 404, 200, 401],
    ),
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

/// What holders decide, and reward programs.
pub(super) const WHO_MAY_DECIDE: &[MayRow] = &[
    // Whoever has staked nothing has no power, and the operator has no vote.
    (
        "POST /v1/governance/proposals",
        "/v1/governance/proposals",
        r#"{"kind":"text","title":"x"}"#,
        [401, 409, 409, 201, 201, 403, 401],
    ),
    ("GET /v1/governance/proposals", "/v1/governance/proposals", "", [200; 7]),
    ("GET /v1/governance/proposals/{id}", "/v1/governance/proposals/{proposal}", "", [200; 7]),
    (
        "POST /v1/governance/proposals/{id}/votes",
        "/v1/governance/proposals/{proposal}/votes",
        r#"{"choice":"no"}"#,
        [401, 409, 409, 200, 200, 403, 401],
    ),
    (
        "GET /v1/governance/proposals/{id}/votes",
        "/v1/governance/proposals/{proposal}/votes",
        "",
        [401, 404, 404, 200, 200, 404, 401],
    ),
    // The renter's power is enough to stop it; then it is stopped.
    (
        "POST /v1/governance/proposals/{id}/veto",
        "/v1/governance/proposals/{vetoed}/veto",
        "",
        [401, 409, 409, 200, 200, 403, 401],
    ),
    (
        "DELETE /v1/governance/proposals/{id}",
        "/v1/governance/proposals/{proposal}",
        "",
        [401, 409, 409, 409, 200, 403, 401],
    ),
    (
        "PUT /v1/governance/delegate",
        "/v1/governance/delegate",
        r#"{"to":"{stranger}"}"#,
        [401, 409, 409, 200, 200, 403, 401],
    ),
    ("GET /v1/governance/power", "/v1/governance/power", "", [401, 200, 200, 200, 200, 200, 401]),
    (
        "POST /v1/governance/brakes",
        "/v1/governance/brakes",
        BRAKE,
        [401, 403, 403, 403, 403, 200, 401],
    ),
    ("GET /v1/governance/brakes", "/v1/governance/brakes", "", [200; 7]),
    // The renter's objection lifts it.
    (
        "POST /v1/governance/brakes/veto",
        "/v1/governance/brakes/veto",
        "",
        [401, 409, 409, 200, 200, 403, 401],
    ),
    (
        "DELETE /v1/governance/brakes",
        "/v1/governance/brakes",
        "",
        [401, 403, 403, 403, 403, 409, 401],
    ),
    ("POST /v1/seasons", "/v1/seasons", "{plan}", [401, 403, 403, 403, 403, 201, 401]),
    ("GET /v1/seasons", "/v1/seasons", "", [200; 7]),
    ("GET /v1/seasons/{id}", "/v1/seasons/{season}", "", [200; 7]),
    ("GET /v1/seasons/{id}/leaderboard", "/v1/seasons/{season}/leaderboard", "", [200; 7]),
    // Nobody signs it.
    (
        "POST /v1/seasons/{id}/quests/{quest}/webhook",
        "/v1/seasons/{season}/quests/join-the-forum/webhook",
        r#"{"account":"{renter}","proof":"x"}"#,
        [401; 7],
    ),
    ("DELETE /v1/seasons/{id}", "/v1/seasons/{season}", "", [401, 403, 403, 403, 403, 204, 401]),
];

const BRAKE: &str = r#"{"what":["slashing"],"reason":"a wrong verifier","hours":1}"#;
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

/// What holders decide, and reward programs. The operator has no vote, so that no ballot can be told here.
pub(super) const DECIDED_TWICE: &[TwiceRow] = &[
    ("POST /v1/governance/proposals", "", "", Once::Otherwise(OWN)),
    ("POST /v1/governance/proposals/{id}/votes", "", "", Once::Otherwise(OWN)),
    ("POST /v1/governance/proposals/{id}/veto", "", "", Once::Otherwise(OWN)),
    ("DELETE /v1/governance/proposals/{id}", "", "", Once::Otherwise(OWN)),
    ("PUT /v1/governance/delegate", "", "", Once::Otherwise(OWN)),
    ("POST /v1/governance/brakes", "/v1/governance/brakes", BRAKE, Once::Key),
    ("POST /v1/governance/brakes/veto", "", "", Once::Otherwise(OWN)),
    ("DELETE /v1/governance/brakes", "/v1/governance/brakes", "", Once::Key),
    ("POST /v1/seasons", "/v1/seasons", "{plan}", Once::Key),
    (
        "POST /v1/seasons/{id}/quests/{quest}/webhook",
        "",
        "",
        Once::Otherwise("a proof is good once, and a call is named by its contents"),
    ),
    ("DELETE /v1/seasons/{id}", "/v1/seasons/{season}", "", Once::Key),
];

const OWN: &str = "it is its holder's own, and told twice below";

#[test]
fn what_a_holder_decides_is_told_twice_and_done_once() {
    let town = Town::new();
    let names = prepare(&town, &super::coverage::put_package(&town, b"a package"));
    for (endpoint, path, body, _) in WHO_MAY_DECIDE {
        let is_own = DECIDED_TWICE.iter().any(|(known, _, _, once)| {
            known == endpoint && matches!(once, Once::Otherwise(why) if *why == OWN)
        });
        if !is_own || endpoint.ends_with("brakes/veto") {
            continue;
        }
        let fill = |text: &str| {
            let stranger = ("stranger", town.stranger.person.account.clone());
            names.iter().chain([&stranger]).fold(text.to_owned(), |text, (name, value)| {
                text.replace(&format!("{{{name}}}"), value)
            })
        };
        let method = endpoint.split(' ').next().unwrap();
        let ask = Ask::new(method, &fill(path)).bytes(fill(body).as_bytes());
        let ask = ask.by(&town.renter).once(endpoint);
        let first = town.send(ask.clone());
        assert!(first.status < 300, "{endpoint}: {}", first.text());
        let done = town.journal_seq();
        let second = town.send(ask);
        assert_eq!((second.status, second.text()), (first.status, first.text()), "{endpoint}");
        assert_eq!(town.journal_seq(), done, "{endpoint} was done twice");
    }
}

/// As [`super::coverage::LISTS`].
pub(super) const LISTS: &[(&str, &str)] = &[
    ("GET /v1/io-staking/devices", "/v1/io-staking/devices?"),
    ("GET /v1/co-staking/offers", "/v1/co-staking/offers?"),
    ("GET /v1/users/me/co-staking", "/v1/users/me/co-staking?"),
    ("GET /v1/slashes", "/v1/slashes?"),
    ("GET /v1/io-token/grants", "/v1/io-token/grants?"),
    ("GET /v1/governance/proposals", "/v1/governance/proposals?"),
    ("GET /v1/seasons", "/v1/seasons?"),
];

/// As [`super::coverage::WHOLE`].
pub(super) const WHOLE: &[(&str, &str)] =
    &[("GET /v1/seasons/{id}/leaderboard", "nobody has points before a season begins")];

/// Stakes five machines, offers three, charges one three times, and grants three times: what the rows call these.
pub(super) fn prepare(town: &Town, package: &str) -> Vec<(&'static str, String)> {
    // A town with a past has its coin already.
    let genesis = town.post(&town.operator, "/v1/io-token/genesis", &json!({}));
    assert!([201, 409].contains(&genesis.status), "{}", genesis.text());
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
    let [season, ..] = [0; 3].map(|_| {
        let made = town.post(&town.operator, "/v1/seasons", &plan()).expect(201).json();
        made["season"]["id"].as_str().unwrap().to_owned()
    });
    let quick =
        json!({ "voting_delay_hours": 0, "propose_wait_hours": 0, "open_per_account_max": 9 });
    town.patch(&json!({ "stakes": { "vote_age_days": 0 }, "votes": quick }));
    // Of all power, the renter's is far more than what stops anything.
    town.give_coins(&town.renter.person.account, "50000 IO");
    let body = json!({ "coins": "50000" });
    town.post(&town.renter, "/v1/safety-module/stake", &body).expect(200);
    let [proposal, vetoed, _] = [0; 3].map(|_| {
        let body = json!({ "kind": "text", "title": "x" });
        let made = town.post(&town.renter, "/v1/governance/proposals", &body).expect(201).json();
        made["id"].as_str().unwrap().to_owned()
    });
    vec![
        ("season", season),
        ("plan", plan().to_string()),
        ("proposal", proposal),
        ("vetoed", vetoed),
        ("staked", staked(25)),
        ("unstaked", staked(26)),
        ("retracted", retracted),
        ("offered", offered),
        ("charged", charged),
        ("slash", slash),
        ("grant", grant),
    ]
}
