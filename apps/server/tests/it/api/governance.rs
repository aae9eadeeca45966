//! What holders decide, and reward programs, told as stories.

use serde_json::{Value, json};
use sha2::Sha256;

use super::coverage::put_package;
use crate::town::{Anonymous, Ask, Caller, Story, Town, a_machine, hex};

/// A town in which two hold coins in the safety module that vote at once.
pub(super) fn town() -> Town {
    let town = Town::new();
    town.genesis();
    let quick =
        json!({ "voting_delay_hours": 0, "propose_wait_hours": 0, "open_per_account_max": 9 });
    town.patch(&json!({ "stakes": { "vote_age_days": 0 }, "votes": quick }));
    for (holder, coins) in [(&town.renter.person, "600"), (&town.stranger.person, "400")] {
        town.give_coins(&holder.account, &format!("{coins} IO"));
        let body = json!({ "coins": coins });
        town.post(holder, "/v1/safety-module/stake", &body).expect(200);
    }
    town
}

const PROPOSALS: &str = "/v1/governance/proposals";

pub(super) fn patch() -> Value {
    json!({
        "kind": "parameters",
        "title": "A longer minimum",
        "body": "Suppliers ask for it.",
        "patch": { "fees": { "nonrefundable_minutes": 90 } },
    })
}

pub(super) fn propose(town: &Town, caller: &dyn Caller, body: &Value) -> String {
    let made = town.post(caller, PROPOSALS, body).expect(201).json();
    format!("{PROPOSALS}/{}", made["id"].as_str().unwrap())
}

#[test]
fn something_is_put_to_the_vote() {
    let town = town();
    let mut story = Story::new(&town);
    let (renter, stranger) = (&town.renter, &town.stranger);
    story.ask(renter, "GET", "/v1/governance/power");
    let made = story.say(renter, "POST", PROPOSALS, &patch()).json();
    let place = format!("{PROPOSALS}/{}", made["id"].as_str().unwrap());
    let votes = format!("{place}/votes");
    story.note("what cannot be");
    story.say(&town.supplier, "POST", PROPOSALS, &patch());
    story.say(&town.operator, "POST", PROPOSALS, &patch());
    for wrong in [
        json!({ "kind": "coup", "title": "x" }),
        json!({ "kind": "text", "title": "x", "patch": {} }),
        json!({ "kind": "registry", "title": "x", "patch": { "fees": {} } }),
        json!({ "kind": "parameters", "title": "x", "patch": { "fees": { "card_bp": 1.5 } } }),
        json!({ "kind": "appeal-jury", "title": "x", "slash": "sla_00000000000000000000000007" }),
    ] {
        story.say(renter, "POST", PROPOSALS, &wrong);
    }
    story.note("ballots");
    story.say(renter, "POST", &votes, &json!({ "choice": "maybe" }));
    story.say(&town.supplier, "POST", &votes, &json!({ "choice": "no" }));
    story.say(&town.operator, "POST", &votes, &json!({ "choice": "yes" }));
    story.say(renter, "POST", &votes, &json!({ "choice": "yes" }));
    story.say(stranger, "POST", &votes, &json!({ "choice": "no" }));
    story.ask(stranger, "GET", &votes);
    story.ask(&town.supplier, "GET", &votes);
    story.ask(&Anonymous, "GET", &place);
    story.note("who objects, and who takes it back");
    story.ask(stranger, "DELETE", &place);
    story.ask(stranger, "POST", &format!("{place}/veto"));
    story.ask(renter, "DELETE", &place);
    insta::assert_snapshot!(story.text());
}

#[test]
fn a_vote_is_lent_until_it_is_cast() {
    let town = town();
    let (renter, stranger) = (&town.renter, &town.stranger);
    let to = json!({ "to": renter.person.account });
    let ask = |body: &Value| Ask::put("/v1/governance/delegate").json(body).by(stranger);
    town.send(ask(&json!({ "to": "acc_00000000000000000000000007" })))
        .expect_problem(404, "not-found");
    let power = town.send(ask(&to)).expect(200).json();
    assert_eq!(power["delegate"], renter.person.account.as_str());
    let lent = town.get(renter, "/v1/governance/power").expect(200).json();
    assert_eq!(
        (&lent["own"], &lent["entrusted"]),
        (&json!("600.00000000"), &json!("400.00000000"))
    );
    let place = propose(&town, renter, &json!({ "kind": "text", "title": "Shall we meet?" }));
    let votes = format!("{place}/votes");
    town.post(renter, &votes, &json!({ "choice": "yes" })).expect(200);
    let yes = || town.get(&Anonymous, &place).expect(200).json()["yes"].clone();
    assert_eq!(yes(), "1000.00000000");
    town.post(stranger, &votes, &json!({ "choice": "no" })).expect(200);
    assert_eq!(yes(), "600.00000000", "its owner's again");
    let power = town.send(ask(&json!({}))).expect(200).json();
    assert_eq!(power["delegate"], Value::Null);
}

#[test]
fn enough_of_them_stop_what_is_voted_on() {
    let town = town();
    let place = propose(&town, &town.stranger, &patch());
    let veto = format!("{place}/veto");
    let vetoed = town.post(&town.renter, &veto, &Value::Null).expect(200).json();
    assert_eq!(vetoed["state"], "vetoed");
    town.post(&town.renter, &veto, &Value::Null).expect_problem(409, "vote-refused");
}

#[test]
fn holders_are_asked_about_a_slash() {
    let town = town();
    let machine = town.machine(1, &a_machine(4));
    town.give_coins(&town.supplier.person.account, "200 IO");
    let stake = format!("/v1/io-staking/devices/{}/stake", machine.worker);
    town.post(&town.supplier, &stake, &json!({ "coins": "200" })).expect(200);
    let blob = put_package(&town, b"the transcript");
    let evidence = json!([{ "kind": "proof-transcript", "blob": blob, "summary": "it is wrong" }]);
    let charge = json!({
        "worker": machine.worker,
        "offence": "forged-proof",
        "offended_at": "2026-01-01T00:00:00Z",
        "evidence": evidence,
    });
    let slash = town.post(&town.operator, "/v1/slashes", &charge).expect(201).json();
    let body = json!({ "kind": "appeal-jury", "title": "It was right", "slash": slash["id"] });
    let place = propose(&town, &town.renter, &body);
    let votes = format!("{place}/votes");
    let own = town.post(&town.supplier, &votes, &json!({ "choice": "yes" }));
    own.expect_problem(409, "vote-refused");
    town.post(&town.renter, &votes, &json!({ "choice": "yes" })).expect(200);
}

#[test]
fn the_brake() {
    let town = town();
    let mut story = Story::new(&town);
    let (operator, renter) = (&town.operator, &town.renter);
    let brakes = "/v1/governance/brakes";
    let body =
        json!({ "what": ["withdrawals", "claims"], "reason": "a bug in payouts", "hours": 24 });
    story.say(renter, "POST", brakes, &body);
    for (field, value) in [("what", json!(["everything"])), ("hours", json!(9_999))] {
        let mut wrong = body.clone();
        wrong[field] = value;
        story.say(operator, "POST", brakes, &wrong);
    }
    story.say(operator, "POST", brakes, &body);
    story.say(operator, "POST", brakes, &body);
    story.ask(renter, "POST", "/v1/safety-module/claim");
    story.ask(&town.supplier, "POST", &format!("{brakes}/veto"));
    story.ask(&Anonymous, "GET", brakes);
    story.note("holders lift it, and it is not pulled again at once");
    story.ask(renter, "POST", &format!("{brakes}/veto"));
    story.ask(operator, "DELETE", brakes);
    let again = town.post(operator, brakes, &body);
    again.expect_problem(409, "vote-refused");
    insta::assert_snapshot!(story.text());
}

/// A season that begins in a hundred years.
pub(super) fn plan() -> Value {
    let multipliers = ["none", "low", "medium", "high", "ultra_high"];
    let mut points = json!({ "uptime_weight": 1, "job_weight": 3 });
    for name in multipliers {
        points[format!("tier_{name}")] = json!("1.00");
    }
    json!({
        "title": "Ignition",
        "from": "2126-01-01T00:00:00",
        "until": "2126-02-01T00:00:00",
        "closing_hours": 6,
        "points": points,
        "pools": {
            "machines": { "prize": "1000", "basis": "work" },
            "people": { "prize": "500", "basis": "quests" },
        },
        "quests": { "join-the-forum": { "title": "Join the forum", "points": 100, "completions_max": 1000 } },
    })
}

#[test]
fn a_season_is_planned_and_taken_back() {
    let town = Town::new();
    let mut story = Story::new(&town);
    let operator = &town.operator;
    story.say(operator, "POST", "/v1/seasons", &plan());
    // A schedule that begins late has emitted nothing yet, whenever this is read.
    let late = json!({ "first_month": "2126-01" });
    town.post(operator, "/v1/io-token/genesis", &late).expect(201);
    story.say(&town.renter, "POST", "/v1/seasons", &plan());
    let made = story.say(operator, "POST", "/v1/seasons", &plan()).json();
    let mut past = plan();
    past["from"] = json!("2024-01-01T00:00:00");
    story.say(operator, "POST", "/v1/seasons", &past);
    let mut dear = plan();
    dear["pools"]["people"]["prize"] = json!("900000000");
    story.say(operator, "POST", "/v1/seasons", &dear);
    let place = format!("/v1/seasons/{}", made["season"]["id"].as_str().unwrap());
    story.ask(&Anonymous, "GET", "/v1/seasons");
    story.ask(&Anonymous, "GET", &format!("{place}/leaderboard?basis=work"));
    story.ask(&Anonymous, "GET", &format!("{place}/leaderboard?basis=beauty"));
    assert_eq!(town.book()["balanced"], true);
    story.ask(operator, "DELETE", &place);
    story.ask(&Anonymous, "GET", &place);
    story.ask(&Anonymous, "GET", &format!("{place}/leaderboard"));
    insta::assert_snapshot!(story.text());
}

#[test]
fn only_who_has_a_quests_secret_says_that_it_is_done() {
    use hmac::Mac;
    let town = Town::new();
    town.genesis();
    let made = town.post(&town.operator, "/v1/seasons", &plan()).expect(201).json();
    let secret = made["secrets"]["join-the-forum"].as_str().unwrap();
    let season = made["season"]["id"].as_str().unwrap();
    let place = format!("/v1/seasons/{season}/quests/join-the-forum/webhook");
    let body = json!({ "account": town.renter.person.account, "proof": "forum-7" }).to_string();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let call = |seconds: u64, signed: &str, secret: &str| {
        let mut mac = hmac::Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
        mac.update(format!("{seconds}.{signed}").as_bytes());
        let mac = hex(&mac.finalize().into_bytes());
        let ask = Ask::post(&place).bytes(body.as_bytes());
        town.send(ask.header("x-iog-signature", &format!("t={seconds},v1={mac}")))
    };
    let none = town.send(Ask::post(&place).bytes(body.as_bytes()));
    none.expect_problem(401, "unauthenticated");
    call(now, &body, "another secret").expect_problem(401, "unauthenticated");
    call(now, "another body", secret).expect_problem(401, "unauthenticated");
    call(now - 3_600, &body, secret).expect_problem(401, "unauthenticated");
    let seq = town.journal_seq();
    let good = call(now, &body, secret).expect_problem(409, "season-refused");
    assert!(good["detail"].as_str().unwrap().contains("planned"), "{good}");
    assert_eq!(town.journal_seq(), seq, "a season that has not begun counts nothing");
}
