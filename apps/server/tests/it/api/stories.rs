//! Every endpoint's success and every refusal, told as stories; what was answered is in `snapshots/`.
//!
//! `INSTA_UPDATE=always cargo test -p server --test it stories` writes them anew: read the difference.

use serde_json::{Value, json};

use super::coverage::put_package;
use crate::town::{Anonymous, Ask, Story, Town, a_machine, hex, join_request};

#[test]
fn people() {
    let town = Town::new();
    let mut story = Story::new(&town);
    let (renter, operator) = (&town.renter, &town.operator);
    story.ask(renter, "GET", "/v1/me");
    story.ask(&Anonymous, "GET", "/v1/me");
    let body = json!({ "name": "lab", "email": "lab@example.org" });
    let lab = story.say(operator, "POST", "/v1/accounts", &body).json();
    let lab = lab["id"].as_str().unwrap();
    story.say(operator, "POST", "/v1/accounts", &json!({ "name": "lab", "email": "nowhere" }));
    story.say(renter, "POST", "/v1/accounts", &json!({ "name": "lab" }));
    story.ask(operator, "GET", &format!("/v1/accounts/{lab}"));
    story.ask(renter, "GET", &format!("/v1/accounts/{lab}"));

    story.note("projects and who may do what in them");
    let project = story.say(renter, "POST", "/v1/projects", &json!({ "name": "vision" })).json();
    let place = format!("/v1/projects/{}", project["id"].as_str().unwrap());
    story.say(renter, "POST", "/v1/projects", &json!({ "name": "theirs", "owner": lab }));
    story.ask(renter, "GET", "/v1/projects");
    story.ask(renter, "GET", &place);
    story.ask(&town.stranger, "GET", &place);
    let seat = format!("{place}/members/{lab}");
    story.say(renter, "PUT", &seat, &json!({ "role": "billing" }));
    story.say(renter, "PUT", &seat, &json!({ "role": "king" }));
    story.ask(renter, "DELETE", &seat);
    story.ask(renter, "DELETE", &format!("{place}/members/{}", renter.person.account));
    story.say(
        renter,
        "PUT",
        &format!("{place}/members/acc_00000000000000000000000007"),
        &json!({ "role": "owner" }),
    );
    insta::assert_snapshot!(story.text());
}

#[test]
fn keys_and_money() {
    let town = Town::new();
    let mut story = Story::new(&town);
    let (renter, operator) = (&town.renter, &town.operator);
    let body = json!({ "label": "ci", "scopes": ["read"], "valid_days": 30 });
    let issued = story.say(renter, "POST", "/v1/keys", &body).json();
    let key = format!("/v1/keys/{}", issued["key"]["id"].as_str().unwrap());
    story.say(renter, "POST", "/v1/keys", &json!({ "label": "root", "scopes": ["operator"] }));
    story.say(
        renter,
        "POST",
        "/v1/keys",
        &json!({ "label": "ci", "scopes": ["read"], "account": town.stranger.person.account }),
    );
    story.ask(renter, "GET", "/v1/keys");
    story.ask(&town.stranger, "DELETE", &key);
    story.ask(renter, "DELETE", &key);

    story.note("money");
    let top_ups = format!("/v1/projects/{}/top-ups", renter.project);
    story.say(operator, "POST", &top_ups, &json!({ "amount": "12.5", "note": "grant" }));
    story.say(renter, "POST", &top_ups, &json!({ "amount": "12.5" }));
    story.say(operator, "POST", &top_ups, &json!({ "amount": "0" }));
    story.say(
        operator,
        "POST",
        "/v1/projects/prj_00000000000000000000000007/top-ups",
        &json!({ "amount": "1" }),
    );
    story.ask(renter, "GET", &format!("/v1/projects/{}/transfers", renter.project));
    story.ask(operator, "GET", "/v1/network/book");
    story.ask(renter, "GET", "/v1/network/book");
    let once = |body: Value| Ask::post(&top_ups).json(&body).by(operator).once("grant-2");
    story.record("the operator, twice under one key: top up 1", once(json!({ "amount": "1" })));
    story.record("the operator, the second time", once(json!({ "amount": "1" })));
    story.record("the operator, the same key for 2", once(json!({ "amount": "2" })));
    insta::assert_snapshot!(story.text());
}

#[test]
fn rentals() {
    let town = Town::new();
    let mut machine = town.machine(1, &a_machine(4));
    let mut story = Story::new(&town);
    let renter = &town.renter;
    story.ask(renter, "GET", "/v1/offers?vcpus=2");
    story.ask(renter, "GET", "/v1/offers?vcpus=2&limit=1&facets=true");
    let quote = story.say(renter, "POST", "/v1/quotes", &town.order(1)).json();
    let quote = quote["quote"].as_str().unwrap();
    story.say(renter, "POST", "/v1/quotes", &town.order(3));
    story.say(&town.viewer, "POST", "/v1/quotes", &town.order(1));
    story.say(&town.viewer, "POST", "/v1/quotes/alternatives", &town.order(1));
    story.say(renter, "POST", "/v1/quotes/alternatives", &town.order(3));
    for placed in [
        json!({ "near": "country", "rtt_max_micros": 5_000 }),
        json!({ "away_from": ["rnt_00000000000000000000000007"] }),
        json!({ "near": "galaxy" }),
    ] {
        let mut asked = town.order(1);
        asked["order"].as_object_mut().unwrap().extend(placed.as_object().unwrap().clone());
        story.say(renter, "POST", "/v1/quotes", &asked);
    }
    story.ask(&town.viewer, "GET", &format!("/v1/quotes/{quote}"));
    let body = json!({ "quote": quote, "name": "train" });
    story.say(renter, "POST", "/v1/rentals", &body);
    town.top_up("1");
    let rental = story.say(renter, "POST", "/v1/rentals", &body).json();
    story.say(renter, "POST", "/v1/rentals", &body);
    let place = format!("/v1/rentals/{}", rental["id"].as_str().unwrap());
    story.say(renter, "POST", &format!("{place}/jobs"), &json!({ "entrypoint": "true" }));
    machine.act(&town.client);
    story.ask(renter, "GET", &place);
    story.ask(renter, "GET", &format!("{place}/extension-price?hours=3"));
    story.ask(renter, "GET", &format!("{place}/extension-price?hours=0"));
    story.say(renter, "POST", &format!("{place}/extend"), &json!({ "hours": 3 }));
    story.say(renter, "POST", &format!("{place}/extend"), &json!({ "hours": 9_000 }));
    story.say(renter, "POST", &format!("{place}/extend"), &json!({ "hours": 2_000 }));
    story.ask(renter, "GET", &format!("{place}/receipt"));
    story.ask(&town.viewer, "POST", &format!("{place}/end"));
    story.ask(renter, "POST", &format!("{place}/end"));
    machine.act(&town.client);
    story.ask(renter, "POST", &format!("{place}/end"));
    story.say(renter, "POST", &format!("{place}/extend"), &json!({ "hours": 1 }));
    story.ask(renter, "GET", &format!("{place}/extension-price?hours=1"));
    story.ask(&town.supplier, "GET", &format!("{place}/receipt"));
    story.ask(renter, "GET", &format!("/v1/rentals?project={}", renter.project));

    story.note("in three statements");
    story.ask(renter, "GET", &format!("/v1/projects/{}/transfers", renter.project));
    let theirs = format!("/v1/accounts/{}/transfers", town.supplier.person.account);
    story.ask(&town.supplier, "GET", &theirs);
    story.ask(renter, "GET", &theirs);
    story.ask(renter, "GET", "/v1/network/transfers");
    insta::assert_snapshot!(story.text());
}

#[test]
fn jobs() {
    let town = Town::new();
    town.top_up("10");
    let mut machine = town.machine(1, &a_machine(4));
    let rental = town.running_rental(&mut machine);
    let package = put_package(&town, b"zip");
    let mut story = Story::new(&town);
    let renter = &town.renter;
    let jobs = format!("/v1/rentals/{rental}/jobs");
    let body =
        json!({ "entrypoint": "python main.py", "package": package, "env": { "SEED": "7" } });
    let job = story.say(renter, "POST", &jobs, &body).json();
    let job = job["id"].as_str().unwrap();
    story.say(renter, "POST", &jobs, &json!({ "entrypoint": "" }));
    story.say(renter, "POST", &jobs, &json!({ "entrypoint": "x", "package": "0".repeat(64) }));
    story.ask(&machine, "GET", "/v1/worker/wanted");
    machine.act(&town.client);
    let log = format!("/v1/worker/jobs/{job}/log");
    story.record(
        "a machine: the first piece of the log",
        Ask::put(&format!("{log}?offset=0")).bytes(b"hello\n").by(&machine),
    );
    story.record(
        "a machine: a piece too far on",
        Ask::put(&format!("{log}?offset=99")).bytes(b"x").by(&machine),
    );
    story.record(
        "a machine: a file",
        Ask::put(&format!("/v1/worker/jobs/{job}/files/out.txt")).bytes(b"42").by(&machine),
    );
    machine.all_jobs(&town.client, &json!({ "failed": { "message": "exit code 3" } }));
    story.ask(renter, "GET", &format!("/v1/jobs/{job}"));
    story.ask(renter, "GET", &format!("/v1/jobs/{job}/log"));
    story.ask(renter, "GET", &format!("/v1/jobs/{job}/files"));
    story.ask(renter, "GET", &format!("/v1/jobs/{job}/files/out.txt"));
    story.ask(renter, "GET", &format!("/v1/jobs/{job}/files/other.txt"));
    story.ask(renter, "POST", &format!("/v1/jobs/{job}/stop"));
    let second = story.say(renter, "POST", &jobs, &json!({ "entrypoint": "sleep 9" })).json();
    story.ask(renter, "POST", &format!("/v1/jobs/{}/stop", second["id"].as_str().unwrap()));
    story.ask(renter, "GET", &jobs);
    insta::assert_snapshot!(story.text());
}

#[test]
fn supply() {
    let town = Town::new();
    let mut story = Story::new(&town);
    let supplier = &town.supplier;
    let invite = story.say(supplier, "POST", "/v1/invites", &json!({ "valid_hours": 1 })).json();
    story.say(supplier, "POST", "/v1/invites", &json!({ "account": town.renter.person.account }));
    let token = invite["token"].as_str().unwrap();
    let join = |token: &str, number| {
        Ask::post("/v1/worker/join").json(&join_request(token, number, &a_machine(4)))
    };
    story.record("a machine joins", join(token, 1));
    story.record("another takes the same invitation", join(token, 2));
    story.record("another has none", join("inv_x_y", 2));
    story.ask(supplier, "GET", "/v1/invites");
    let worker = story.ask(supplier, "GET", "/v1/workers").json();
    let place = format!("/v1/workers/{}", worker["items"][0]["id"].as_str().unwrap());
    let other = story.say(supplier, "POST", "/v1/invites", &json!({})).json();
    story.record("the same machine again", join(other["token"].as_str().unwrap(), 1));
    story.say(supplier, "PUT", &format!("{place}/paused"), &json!({ "paused": true }));
    story.say(supplier, "PUT", &format!("{place}/paused"), &json!({ "paused": "yes" }));
    story.ask(supplier, "GET", &place);
    story.ask(&town.renter, "DELETE", &place);
    story.ask(supplier, "DELETE", &place);
    story.ask(supplier, "GET", &place);

    story.note("a machine in use");
    town.top_up("1");
    let mut machine = town.machine(3, &a_machine(4));
    town.running_rental(&mut machine);
    story.ask(supplier, "DELETE", &format!("/v1/workers/{}", machine.worker));
    story.say(&machine, "PUT", "/v1/worker/machine", &a_machine(8));
    story.say(&machine, "PUT", "/v1/worker/machine", &a_machine(4));
    insta::assert_snapshot!(story.text());
}

#[test]
fn machines() {
    let town = Town::new();
    let mut machine = town.machine(1, &a_machine(4));
    let mut story = Story::new(&town);
    let asked = json!({ "worker": machine.worker });
    story.record("a machine wants to speak", Ask::post("/v1/worker/challenge").json(&asked));
    let proof = machine.session_request(&machine.challenge(&town.client));
    let session = Ask::post("/v1/worker/session").json(&proof);
    let opened = story.record("it shows who it is", session.clone()).json();
    story.record("somebody says the same again", session);
    story.ask(&machine, "GET", "/v1/worker/wanted");
    machine.take_session(&opened);
    machine.beats = 7;
    let beat = machine.next_beat();
    story.say(&machine, "POST", "/v1/worker/beat", &beat);
    story.say(
        &machine,
        "POST",
        "/v1/worker/beat",
        &json!({ "number": 8, "nodes": [], "jobs": [{ "job": "job_1", "phase": "running" }] }),
    );
    story.ask(&machine, "GET", "/v1/worker/wanted?revision=0&wait_secs=1");
    story.ask(&machine, "GET", &format!("/v1/worker/blobs/{}", "0".repeat(64)));
    story.record(
        "a machine: a log of no job",
        Ask::put("/v1/worker/jobs/job_00000000000000000000000007/log?offset=0")
            .bytes(b"x")
            .by(&machine),
    );
    story.ask(&machine, "GET", "/v1/me");
    story.ask(&town.operator, "GET", "/v1/worker/wanted");
    insta::assert_snapshot!(story.text());
}

#[test]
fn network_and_service() {
    let town = Town::new();
    let mut story = Story::new(&town);
    story.ask(&Anonymous, "GET", "/v1/network");
    story.ask(&Anonymous, "GET", "/healthz");
    story.ask(&Anonymous, "GET", "/readyz");
    story.ask(&Anonymous, "GET", "/v1/nothing");
    story.ask(&Anonymous, "POST", "/healthz");
    insta::assert_snapshot!(story.text());
}

#[test]
fn parameters() {
    let town = Town::new();
    let mut story = Story::new(&town);
    let (renter, operator) = (&town.renter, &town.operator);
    let (parameters, versions) = ("/v1/network/parameters", "/v1/network/parameters/versions");
    let fees = json!({ "fees": { "facilitation_usd_bp": 100, "nonrefundable_minutes": 30 } });
    story.say(operator, "PATCH", parameters, &json!({ "patch": fees }));
    story.say(renter, "PATCH", parameters, &json!({ "patch": fees }));
    story.note("changes that make no sense");
    for wrong in [
        json!({ "patch": { "fees": { "renter_reservation_bp": 9_999 } } }),
        json!({ "patch": { "fees": { "tips": 1 } } }),
        json!({ "patch": { "oracle": { "sources_min": null } } }),
        json!({ "patch": [] }),
    ] {
        story.say(operator, "PATCH", parameters, &wrong);
    }
    // A change that waits is named after the hour, which is another in each run: it is no part of the story.
    let patch = |body: &Value| town.send(Ask::patch(parameters).json(body).by(operator));
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let hour = u32::try_from(now.as_secs() / 3_600).unwrap();
    let next_week = units::Hour::from_number(hour).later(7 * 24).to_string();
    patch(&json!({ "patch": {}, "from": "2126-01-01T00:00:00" })).expect(422);
    let fees = json!({ "fees": { "renter_reservation_bp": 50 } });
    patch(&json!({ "patch": fees, "from": next_week })).expect(200);
    patch(&json!({ "patch": {} })).expect(422);
    story.note("every version is kept");
    story.ask(&Anonymous, "GET", versions);
    story.ask(&Anonymous, "GET", &format!("{versions}/7"));

    let now = town.get(&Anonymous, parameters).expect(200).json();
    assert_eq!((&now["version"], &now["waiting"][0]["version"]), (&json!(2), &json!(3)));
    assert_eq!(now["parameters"]["fees"]["nonrefundable_minutes"], 30);
    let one = town.get(&Anonymous, &format!("{versions}/2")).expect(200);
    assert_eq!(one.header("content-type"), "application/json");
    assert_eq!(one.json()["parameters"], now["parameters"]);
    assert_eq!(one.json()["digest"], now["digest"]);
    assert_eq!(one.json()["digest"], sha256_of_parameters(&one.text()), "anybody can check it");
    let first = town.get(&Anonymous, &format!("{versions}/0")).expect(200).json();
    assert_eq!(first["parameters"]["fees"]["nonrefundable_minutes"], 60);
    insta::assert_snapshot!(story.text());
}

#[test]
fn a_version_that_waits_is_withdrawn() {
    let town = Town::new();
    let (parameters, versions) = ("/v1/network/parameters", "/v1/network/parameters/versions");
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let hour = units::Hour::from_number(u32::try_from(now.as_secs() / 3_600).unwrap());
    let tell = |days: u32, fee: u16| {
        let fees = json!({ "fees": { "renter_reservation_bp": fee } });
        let body = json!({ "patch": fees, "from": hour.later(24 * days).to_string() });
        town.send(Ask::patch(parameters).json(&body).by(&town.operator)).expect(200).json()
    };
    let withdraw = |number: u32| {
        let ask = Ask::new("DELETE", &format!("{versions}/{number}"));
        town.send(ask.by(&town.operator).once(&format!("withdraw {number}")))
    };
    tell(1, 10);
    tell(2, 20);
    // The first version is the town's own.
    withdraw(2).expect_problem(422, "invalid");
    assert_eq!(withdraw(3).expect(200).json()["version"], 2, "what is the newest then");
    let done = town.journal_seq();
    withdraw(3).expect(200);
    assert_eq!(town.journal_seq(), done, "it was done twice");
    withdraw(4).expect_problem(422, "invalid");
    town.get(&Anonymous, &format!("{versions}/3")).expect_problem(404, "not-found");
    let listed = town.get(&Anonymous, versions).expect(200).json();
    assert_eq!(listed["items"].as_array().unwrap().len(), 3, "{listed}");
    // Its number is given again, to what is told next.
    let again = tell(3, 30);
    assert_eq!(again["version"], 3);
    let row = town.get(&Anonymous, &format!("{versions}/3")).expect(200).json();
    assert_eq!((&row["digest"], &row["patch"]), (&again["digest"], &again["patch"]));
}

/// The digest of what stands behind `"parameters":`, which is the last of a version's fields.
fn sha256_of_parameters(version: &str) -> String {
    use sha2::Digest;
    let (_, parameters) = version.split_once(r#""parameters":"#).unwrap();
    hex(&sha2::Sha256::digest(parameters.strip_suffix('}').unwrap()))
}

#[test]
fn prices_and_the_registry() {
    let town = Town::new();
    // Two models are enough to show what there is to show.
    let registry =
        town.get(&Anonymous, "/v1/network/parameters").json()["parameters"]["registry"].clone();
    let others = registry["models"].as_object().unwrap().keys();
    let others = others.filter(|key| !["h100-pcie", "rtx-4090"].contains(&key.as_str()));
    let mut gone: serde_json::Map<_, _> = others.map(|key| (key.clone(), Value::Null)).collect();
    gone.insert("rtx-4090".to_owned(), json!({ "listed": false }));
    town.patch(&json!({ "registry": { "models": gone } }));
    let mut story = Story::new(&town);
    story.ask(&Anonymous, "GET", "/v1/network/prices");
    let registry = "/v1/network/registry";
    story.ask(&Anonymous, "GET", &format!("{registry}?name=NVIDIA%20H100%20PCIe"));
    story.note("known and not listed; not known");
    story.ask(&Anonymous, "GET", &format!("{registry}?name=NVIDIA+GeForce+RTX+4090"));
    story.ask(&Anonymous, "GET", &format!("{registry}?name=rtx9999&vram_mib=30000"));
    story.ask(&Anonymous, "GET", &format!("{registry}?name=Some+CPU&threads=24"));
    story.ask(&Anonymous, "GET", &format!("{registry}?name=rtx9999"));
    story.ask(&Anonymous, "GET", registry);
    insta::assert_snapshot!(story.text());
}

#[test]
fn figures_name_no_one() {
    let town = Town::new();
    town.top_up("1");
    town.machine(1, &a_machine(4));
    town.get(&town.renter, "/v1/rentals/rnt_00000000000000000000000007").expect(404);
    let metrics = town.get(&Anonymous, "/metrics").expect(200);
    assert!(metrics.header("content-type").starts_with("application/openmetrics-text"));
    let text = metrics.text();
    for figure in [
        "iog_http_requests_total",
        "iog_http_request_seconds_bucket",
        "iog_journal_commands_total",
        "iog_workers_up 1",
        "iog_streams_open 0",
        "iog_parameters_version 1",
        "iog_blocks_closed 0",
        "iog_slashes_open 0",
        r#"route="/v1/rentals/{id}""#,
    ] {
        assert!(text.contains(figure), "{figure} is not in\n{text}");
    }
    assert!(text.ends_with("# EOF\n"));
    for id in ["rnt_", "wkr_", "acc_", "prj_"] {
        assert!(!text.contains(id), "{id} is no label");
    }
    assert!(!text.contains("iog_coin_rate_usd"), "no number is true where there is no rate");
}

#[test]
fn figures_of_the_economy_follow_it_and_each_is_explained() {
    let town = Town::new();
    let machine = town.machine(1, &a_machine(4));
    town.genesis();
    town.tell_rate("2.5");
    town.give_coins(&town.supplier.person.account, "200 IO");
    let stake = format!("/v1/io-staking/devices/{}/stake", machine.worker);
    town.post(&town.supplier, &stake, &json!({ "coins": "200" })).expect(200);
    let charge = super::staking::charge(&town, &machine);
    let slash = town.post(&town.operator, "/v1/slashes", &charge).expect(201).json();
    let text = town.get(&Anonymous, "/metrics").expect(200).text();
    let parameters = town.get(&Anonymous, "/v1/network/parameters").expect(200).json();
    let version = format!("iog_parameters_version {}", parameters["version"]);
    for figure in ["iog_coin_rate_usd 2.5", "iog_slashes_open 1", version.as_str()] {
        assert!(text.contains(figure), "{figure} is not in\n{text}");
    }
    let age = text.lines().find_map(|line| line.strip_prefix("iog_coin_rate_age_seconds "));
    assert!(age.unwrap().parse::<u64>().unwrap() < 600, "{text}");
    let place = format!("/v1/slashes/{}/decision", slash["id"].as_str().unwrap());
    let body = json!({ "uphold": false, "reason": "another machine's" });
    town.post(&town.operator, &place, &body).expect(200);
    let text = town.get(&Anonymous, "/metrics").expect(200).text();
    assert!(text.contains("iog_slashes_open 0"), "{text}");
    let page = std::fs::read_to_string("../../docs/reference/api.md").unwrap();
    for line in text.lines().filter_map(|line| line.strip_prefix("# TYPE ")) {
        let name = line.split(' ').next().unwrap();
        assert!(page.contains(&format!("| `{name}` |")), "{name} is not explained");
    }
}
