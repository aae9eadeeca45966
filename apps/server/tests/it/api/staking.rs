//! Coins at stake, told as stories: on machines, beside others, in the safety module, taken for offences; and grants.

use serde_json::{Value, json};

use super::coverage::put_package;
use crate::town::{Anonymous, Ask, Caller, Machine, Story, Town, a_machine};

/// A town with a coin, in which a machine that needs 200 IO has joined, and its owner and a renter have coins.
pub(super) fn town() -> (Town, Machine) {
    let town = Town::new();
    town.genesis();
    town.give_coins(&town.supplier.person.account, "1000 IO");
    town.give_coins(&town.renter.person.account, "500 IO");
    let machine = town.machine(1, &a_machine(4));
    (town, machine)
}

pub(super) fn now_without_cooldown(town: &Town) {
    let rules = json!({ "cooldown_days": 0, "wait_days": 0 });
    town.patch(&json!({ "stakes": rules, "safety": { "cooldown_days": 0 } }));
}

fn balance(town: &Town, caller: &dyn Caller) -> Value {
    town.get(caller, "/v1/me").expect(200).json()["account"]["balances"].clone()
}

#[test]
fn a_machine_is_staked_and_unstaked() {
    let (town, machine) = town();
    let mut story = Story::new(&town);
    let supplier = &town.supplier;
    let place = format!("/v1/io-staking/devices/{}", machine.worker);
    let at = |what: &str| format!("{place}/{what}");
    story.ask(supplier, "GET", "/v1/io-staking/devices");
    story.say(supplier, "POST", &at("stake"), &json!({ "coins": "150" }));
    story.say(supplier, "POST", &at("stake"), &json!({ "coins": "5000" }));
    story.say(&town.renter, "POST", &at("stake"), &json!({ "coins": "1" }));
    story.ask(&town.renter, "GET", &place);
    story.say(supplier, "POST", &at("stake"), &json!({ "coins": "100" }));
    story.ask(&Anonymous, "GET", "/v1/io-staking/metrics");

    story.note("what is beyond the need");
    story.say(supplier, "POST", &at("withdraw-overflow"), &json!({ "coins": "51" }));
    story.say(supplier, "POST", &at("withdraw-overflow"), &json!({ "coins": "50" }));

    story.note("all of it, which takes two weeks");
    story.ask(supplier, "POST", &at("withdraw"));
    story.ask(&town.stranger, "POST", &at("unstake"));
    story.ask(supplier, "POST", &at("unstake"));
    story.ask(supplier, "POST", &at("withdraw"));
    story.say(supplier, "POST", &at("stake"), &json!({ "coins": "200" }));
    insta::assert_snapshot!(story.text());
}

#[test]
fn what_has_cooled_down_comes_back_also_when_the_machine_has_left() {
    let (town, machine) = town();
    now_without_cooldown(&town);
    let supplier = &town.supplier;
    let place = format!("/v1/io-staking/devices/{}", machine.worker);
    let tell = |what: &str, body: Value| {
        town.post(supplier, &format!("{place}/{what}"), &body).expect(200).json()
    };
    tell("stake", json!({ "coins": "200" }));
    let all = tell("withdraw-overflow", json!({ "coins": "200", "unstake": true }));
    assert_eq!(
        (&all["have"], &all["withdrawable"]),
        (&json!("0.00000000"), &json!("200.00000000"))
    );
    town.send(Ask::delete(&format!("/v1/workers/{}", machine.worker)).by(supplier)).expect(204);
    let left = town.get(supplier, "/v1/io-staking/devices").expect(200).json();
    assert_eq!(left["items"][0]["name"], Value::Null);
    assert_eq!(left["items"][0]["withdrawable"], "200.00000000");
    assert_eq!(tell("withdraw", Value::Null)["cooling"], json!([]));
    assert_eq!(balance(&town, supplier)[1], "1000.00000000 IO");
    town.post(supplier, &format!("{place}/withdraw"), &Value::Null)
        .expect_problem(409, "stake-refused");
    assert_eq!(town.book()["balanced"], true);
}

#[test]
fn a_stake_is_shared() {
    let (town, machine) = town();
    let mut story = Story::new(&town);
    let (supplier, renter) = (&town.supplier, &town.renter);
    let offers = "/v1/co-staking/offers";
    let body = json!({ "worker": machine.worker, "portion_bp": 2_500, "share_bp": 4_000 });
    story.say(supplier, "POST", offers, &body);
    let stake = format!("/v1/io-staking/devices/{}/stake", machine.worker);
    town.post(supplier, &stake, &json!({ "coins": "200" })).expect(200);
    let made = story.say(supplier, "POST", offers, &body).json();
    let place = format!("{offers}/{}", made["offer"]["id"].as_str().unwrap());
    let at = |what: &str| format!("{place}/{what}");
    story.say(renter, "POST", offers, &body);
    story.note("everyone sees the offer, and not whose it is");
    let listed = story.ask(&Anonymous, "GET", &format!("{offers}?block_reward_percent=40")).text();
    assert!(!listed.contains("acc_"), "{listed}");
    for (filter, found) in [
        ("block_reward_percent=41", 0),
        ("model=script", 1),
        ("model=h100", 0),
        ("number_of_gpu=0", 1),
        ("number_of_gpu=8", 0),
        ("least_co_stake_amount=50", 1),
        ("least_co_stake_amount=50.1", 0),
        ("highest_co_stake_amount=49", 0),
        ("status=sufficient-waiting", 1),
        ("status=closed", 0),
        ("minimum_reliability_score=50", 1),
        ("minimum_reliability_score=51", 0),
        (format!("device_id={}", machine.worker).as_str(), 1),
    ] {
        let page = town.get(&Anonymous, &format!("{offers}?{filter}")).expect(200).json();
        assert_eq!(page["items"].as_array().unwrap().len(), found, "{filter}");
    }

    story.note("somebody takes it");
    story.ask(supplier, "POST", &at("accept"));
    story.ask(&town.stranger, "POST", &at("accept"));
    story.ask(renter, "POST", &at("leave"));
    story.ask(renter, "POST", &at("accept"));
    story.ask(supplier, "DELETE", &place);
    story.ask(renter, "POST", &at("withdraw"));
    story.ask(supplier, "POST", &at("withdraw"));

    story.note("and leaves");
    story.ask(renter, "POST", &at("leave"));
    let seen = story.ask(supplier, "GET", "/v1/users/me/co-staking").text();
    assert!(!seen.contains("acc_"), "{seen}");
    story.ask(&town.stranger, "GET", "/v1/users/me/co-staking");
    insta::assert_snapshot!(story.text());
}

#[test]
fn a_co_staker_gets_the_coins_back_and_an_offer_can_be_taken_back() {
    let (town, machine) = town();
    now_without_cooldown(&town);
    let (supplier, renter) = (&town.supplier, &town.renter);
    let stake = format!("/v1/io-staking/devices/{}", machine.worker);
    town.post(supplier, &format!("{stake}/stake"), &json!({ "coins": "200" })).expect(200);
    let body = json!({ "worker": machine.worker, "portion_bp": 5_000, "share_bp": 10_000 });
    let offer = || {
        let made = town.post(supplier, "/v1/co-staking/offers", &body).expect(201).json();
        format!("/v1/co-staking/offers/{}", made["offer"]["id"].as_str().unwrap())
    };
    let first = offer();
    let open = town.post(supplier, &format!("{stake}/unstake"), &Value::Null);
    open.expect_problem(409, "stake-refused");
    let closed = town.send(Ask::delete(&first).by(supplier)).expect(200).json();
    assert_eq!(closed["offer"]["status"], "closed");
    let listed = town.get(&Anonymous, "/v1/co-staking/offers").expect(200).json();
    assert_eq!(listed["items"], json!([]), "what is over is asked for by its state");
    let second = offer();
    town.post(renter, &format!("{second}/accept"), &Value::Null).expect(200);
    let view = town.get(supplier, &stake).expect(200).json();
    assert_eq!(
        (&view["co_staked"], &view["overflow"]),
        (&json!("100.00000000"), &json!("100.00000000"))
    );
    town.post(supplier, &format!("{stake}/unstake"), &Value::Null).expect(200);
    town.post(supplier, &format!("{stake}/withdraw"), &Value::Null).expect(200);
    assert_eq!(balance(&town, supplier)[1], "1000.00000000 IO", "each gets back what is theirs");
    let out = town.post(renter, &format!("{second}/withdraw"), &Value::Null).expect(200).json();
    assert_eq!((&out["offer"]["status"], &out["side"]), (&json!("withdrawn"), &json!("co-staker")));
    assert_eq!(balance(&town, renter)[1], "500.00000000 IO");
    assert_eq!(town.book()["balanced"], true);
}

#[test]
fn the_safety_module() {
    let (town, _machine) = town();
    let mut story = Story::new(&town);
    let renter = &town.renter;
    let at = |what: &str| format!("/v1/safety-module/{what}");
    story.ask(&Anonymous, "GET", &at("metrics"));
    story.ask(renter, "GET", &at("me"));
    story.say(renter, "POST", &at("stake"), &json!({ "coins": "100" }));
    story.say(renter, "POST", &at("stake"), &json!({ "coins": "1000" }));
    story.say(renter, "POST", &at("unstake"), &json!({ "coins": "99.5" }));
    story.say(renter, "POST", &at("unstake"), &json!({ "coins": "40" }));
    story.ask(renter, "POST", &at("withdraw"));
    story.ask(renter, "POST", &at("claim"));
    story.ask(&Anonymous, "GET", &at("metrics"));
    story.note("without a cooldown");
    now_without_cooldown(&town);
    story.say(renter, "POST", &at("unstake"), &json!({ "coins": "60" }));
    story.ask(renter, "POST", &at("withdraw"));
    insta::assert_snapshot!(story.text());
}

/// A charge of failing a proof, with evidence that was put.
pub(super) fn charge(town: &Town, machine: &Machine) -> Value {
    let blob = put_package(town, b"the transcript");
    json!({
        "worker": machine.worker,
        "offence": "forged-proof",
        "offended_at": "2026-01-01T00:00:00Z",
        "evidence": [{ "kind": "proof-transcript", "blob": blob, "summary": "the seed was of another hour" }],
    })
}

#[test]
fn an_offence_is_charged_appealed_and_decided() {
    let (town, machine) = town();
    let stake = format!("/v1/io-staking/devices/{}/stake", machine.worker);
    let (operator, supplier) = (&town.operator, &town.supplier);
    let mut body = charge(&town, &machine);
    let mut story = Story::new(&town);
    story.ask(&Anonymous, "GET", "/v1/slashing/offences");
    story.say(operator, "POST", "/v1/slashes", &body);
    town.post(supplier, &stake, &json!({ "coins": "200" })).expect(200);
    story.say(supplier, "POST", "/v1/slashes", &body);
    let made = story.say(operator, "POST", "/v1/slashes", &body).json();
    let place = format!("/v1/slashes/{}", made["id"].as_str().unwrap());
    let at = |what: &str| format!("{place}/{what}");
    story.note("what is no charge");
    for (field, value) in [("offence", json!("rudeness")), ("evidence", json!([]))] {
        let good = std::mem::replace(&mut body[field], value);
        story.say(operator, "POST", "/v1/slashes", &body);
        body[field] = good;
    }
    body["evidence"][0]["blob"] = json!("0".repeat(64));
    story.say(operator, "POST", "/v1/slashes", &body);

    story.note("the accused sees it, and nobody else");
    story.ask(supplier, "GET", &place);
    story.ask(&town.renter, "GET", &place);
    let file = at(&format!("files/{}", made["evidence"][0]["blob"].as_str().unwrap()));
    story.ask(supplier, "GET", &file);
    story.ask(&town.renter, "GET", &file);
    story.ask(supplier, "GET", &at(&format!("files/{}", "0".repeat(64))));

    story.note("and answers");
    let words = json!({ "text": "the clock of the verifier was wrong" });
    story.say(&town.renter, "POST", &at("appeal"), &words);
    story.say(supplier, "POST", &at("appeal"), &words);
    story.say(supplier, "POST", &at("appeal"), &words);
    story.say(operator, "POST", &at("statements"), &json!({ "text": "it was not" }));
    story.say(supplier, "POST", &at("decision"), &json!({ "uphold": false, "reason": "x" }));
    let reason = json!({ "uphold": true, "reason": "three clocks agree" });
    story.say(operator, "POST", &at("decision"), &reason);
    story.say(operator, "POST", &at("decision"), &reason);
    story.say(supplier, "POST", &at("statements"), &words);
    let all = town.get(supplier, "/v1/slashes").expect(200).json();
    assert_eq!(all["items"][0]["state"], "upheld");
    assert_eq!(town.get(&town.renter, "/v1/slashes").expect(200).json()["items"], json!([]));
    assert_eq!(town.book()["balanced"], true);
    insta::assert_snapshot!(story.text());
}

#[test]
fn what_was_wrongly_taken_goes_back() {
    let (town, machine) = town();
    let place = format!("/v1/io-staking/devices/{}", machine.worker);
    town.post(&town.supplier, &format!("{place}/stake"), &json!({ "coins": "200" })).expect(200);
    let made = town.post(&town.operator, "/v1/slashes", &charge(&town, &machine)).expect(201);
    let locked = town.get(&town.supplier, &place).expect(200).json();
    assert_eq!(
        (&locked["have"], &locked["locked"], &locked["sufficient"]),
        (&json!("150.00000000"), &json!("50.00000000"), &json!(false))
    );
    let slash = format!("/v1/slashes/{}", made.json()["id"].as_str().unwrap());
    let body = json!({ "uphold": false, "reason": "another machine's" });
    let over = town.post(&town.operator, &format!("{slash}/decision"), &body).expect(200).json();
    assert_eq!((&over["state"], &over["burned"]), (&json!("overturned"), &json!(false)));
    let back = town.get(&town.supplier, &place).expect(200).json();
    assert_eq!((&back["have"], &back["locked"]), (&json!("200.00000000"), &json!("0.00000000")));
}

#[test]
fn coins_of_genesis_are_granted_and_claimed() {
    let town = Town::new();
    let mut story = Story::new(&town);
    let (operator, renter) = (&town.operator, &town.renter);
    let grants = "/v1/io-token/grants";
    let body = |class: &str, coins: &str| json!({ "account": renter.person.account, "class": class, "coins": coins });
    story.say(operator, "POST", grants, &body("community", "100"));
    town.genesis();
    let made = story.say(operator, "POST", grants, &body("community", "100")).json();
    story.say(operator, "POST", grants, &body("seed", "2400"));
    story.say(operator, "POST", grants, &body("friends", "1"));
    story.say(operator, "POST", grants, &body("core", "999999999"));
    story.say(renter, "POST", grants, &body("core", "1"));
    let place = format!("{grants}/{}", made["id"].as_str().unwrap());
    story.ask(&town.stranger, "GET", &place);
    story.ask(&town.stranger, "POST", &format!("{place}/claim"));
    story.ask(renter, "POST", &format!("{place}/claim"));
    story.ask(renter, "POST", &format!("{place}/claim"));
    let mine = town.get(renter, grants).expect(200).json();
    assert_eq!(mine["items"].as_array().unwrap().len(), 2);
    assert_eq!(town.get(&town.stranger, grants).expect(200).json()["items"], json!([]));
    assert_eq!(balance(&town, renter)[1], "56.00000000 IO");
    assert_eq!(town.book()["balanced"], true);
    insta::assert_snapshot!(story.text());
}

#[test]
fn owners_hear_of_their_offers_and_slashes() {
    let (town, machine) = town();
    let stake = format!("/v1/io-staking/devices/{}/stake", machine.worker);
    town.post(&town.supplier, &stake, &json!({ "coins": "200" })).expect(200);
    let seq = town.journal_seq();
    let body = json!({ "worker": machine.worker, "portion_bp": 2_500, "share_bp": 4_000 });
    town.post(&town.supplier, "/v1/co-staking/offers", &body).expect(201);
    town.post(&town.operator, "/v1/slashes", &charge(&town, &machine)).expect(201);
    let ask = Ask::get(&format!("/v1/events?after={seq}.4294967295")).by(&town.supplier);
    let mut events = std::io::BufReader::new(town.client.stream(ask));
    let mut heard = std::collections::BTreeSet::new();
    let mut line = String::new();
    while !(heard.contains("offer") && heard.contains("slash")) {
        line.clear();
        std::io::BufRead::read_line(&mut events, &mut line).unwrap();
        let Some(kind) = line.strip_prefix("event:") else { continue };
        heard.insert(kind.trim().to_owned());
    }
    assert!(heard.contains("worker"), "{heard:?}");
}
