//! Renters who have what they rent checked, over HTTP: honest machines, lying ones, and renters who ask too often.

use proofs::message::{Body, Challenge, Message};
use proofs::{Outcome, Reason, Task, transcript};
use serde_json::{Value, json};
use units::RentalId;

use super::{Liar, Lie, Wire, ask, card, hex, machine_number, processor, prove, town, with_cards};
use crate::town::{Anonymous, Answer, Ask, Caller, Machine, Town};

const NONCE: [u8; 32] = [0xA7; 32];

fn nonce() -> String {
    crate::town::hex(&NONCE)
}

/// A town with a machine that somebody rents: its id.
fn rented() -> (Town, Machine, String) {
    let (town, mut machine) = town();
    town.top_up("100");
    let rental = town.running_rental(&mut machine);
    (town, machine, rental)
}

fn check(town: &Town, rental: &str, body: &Value) -> Answer {
    town.post(&town.renter, &format!("/v1/rentals/{rental}/canary"), body)
}

fn checks(town: &Town, rental: &str) -> Value {
    town.get(&town.renter, &format!("/v1/rentals/{rental}/canaries")).expect(200).json()
}

fn rental_view(town: &Town, rental: &str) -> Value {
    town.get(&town.renter, &format!("/v1/rentals/{rental}")).expect(200).json()
}

/// What the machine is asked now.
fn asked(town: &Town, machine: &Machine, card: &str) -> (Vec<u8>, Challenge) {
    let bytes = ask(&town.client, machine, card, 10).expect(200).body;
    let Body::Challenge(challenge) = Message::read(&bytes).unwrap().body else { panic!() };
    (bytes, challenge)
}

/// Lets the machine prove with this device: what came of it.
fn answer(town: &Town, machine: &Machine, challenge: &[u8], lie: Lie) -> (Outcome, Reason) {
    let mut wire = Wire::new(&town.client, machine);
    let number = machine_number(challenge);
    let verdict = prove(&mut wire, challenge, number, &mut Liar::new(lie));
    (verdict.outcome(), verdict.reason())
}

/// What the renter was charged and what went back, in millionths, once the rental is ended.
fn ended(town: &Town, rental: &str) -> (Value, u64) {
    town.send(Ask::post(&format!("/v1/rentals/{rental}/end")).by(&town.renter)).expect(200);
    let receipt =
        town.get(&town.renter, &format!("/v1/rentals/{rental}/receipt")).expect(200).json();
    let minutes = receipt["lines"][0]["minutes_charged"].as_u64().unwrap();
    (receipt, minutes)
}

/// A check speaks for the rental and not for the machine, because the renter could have answered wrongly: once nobody
/// rents it, the machine has its own proof to give.
fn counts_for_nothing_else(town: &Town, machine: &mut Machine) {
    machine.act(&town.client);
    let (_, challenge) = asked(town, machine, &processor());
    assert_eq!((challenge.rental, challenge.barrier), (None, [0; 16]));
}

#[test]
fn who_rents_has_it_checked_and_can_check_that_again() {
    let (town, mut machine, rental) = rented();
    ask(&town.client, &machine, &processor(), 0).expect(204);
    let view = check(&town, &rental, &json!({ "nonce": nonce() })).expect(200).json();
    assert_eq!((&view["state"], &view["nonce"]), (&json!("proving"), &json!(nonce())));
    assert_eq!(
        view["cards"],
        json!([{
            "nodes": [0], "worker": machine.worker, "worker_name": "rack-1", "status": "waiting", "tries": 0,
        }])
    );
    let (bytes, challenge) = asked(&town, &machine, &processor());
    let id: RentalId = rental.parse().unwrap();
    assert_eq!(challenge.rental, Some(id));
    assert_eq!(
        challenge.barrier,
        proofs::canary::barrier(&NONCE, id),
        "it was made after the nonce"
    );
    assert_eq!(challenge.barrier, hex::<16>(&view["barrier"]));
    assert!(challenge.tasks.iter().all(|task| !matches!(task, Task::Puzzle(_))));
    let again = asked(&town, &machine, &processor()).0;
    assert_eq!(again, bytes, "one that was lost on the way is given again");
    assert_eq!(answer(&town, &machine, &bytes, Lie::Nothing), (Outcome::Pass, Reason::None));
    ask(&town.client, &machine, &processor(), 0).expect(204);

    let told = checks(&town, &rental);
    assert_eq!(told["last"]["state"], "over");
    let (last, proof) = (&told["last"]["cards"][0], &told["proofs"][0]);
    assert_eq!((&last["status"], &last["tries"]), (&json!("pass"), &json!(1)));
    assert_eq!((&proof["rental"], &proof["session"]), (&json!(rental), &last["session"]));
    let path = format!("/v1/proofs/{}/transcript", last["session"].as_str().unwrap());
    let transcript = town.get(&Anonymous, &path).expect(200).body;
    let report = transcript::recheck(&transcript, Some([3; 32])).unwrap();
    assert_eq!((report.challenge, report.verdict.outcome()), (challenge, Outcome::Pass));
    assert_eq!(rental_view(&town, &rental)["unfit"], Value::Null);
    let (_, minutes) = ended(&town, &rental);
    assert_eq!(minutes, 60, "the first hour is not returned");
    counts_for_nothing_else(&town, &mut machine);
}

#[test]
fn who_was_given_something_else_ends_without_the_first_hour() {
    let (town, mut machine, rental) = rented();
    check(&town, &rental, &Value::Null).expect(200);
    let (bytes, _) = asked(&town, &machine, &processor());
    assert_eq!(answer(&town, &machine, &bytes, Lie::Products), (Outcome::Fail, Reason::Row));
    let unfit = rental_view(&town, &rental)["unfit"].clone();
    assert_eq!(
        (&unfit["worker"], &unfit["session"]),
        (&json!(machine.worker), &checks(&town, &rental)["proofs"][0]["session"],)
    );
    assert!(unfit["why"].as_str().unwrap().contains("row"), "{unfit}");
    let (receipt, minutes) = ended(&town, &rental);
    assert!(minutes < 60, "{receipt}");
    counts_for_nothing_else(&town, &mut machine);
}

#[test]
fn checks_are_seldom_and_the_same_nonce_is_the_same_check() {
    let (town, machine, rental) = rented();
    let first = check(&town, &rental, &json!({ "nonce": nonce() })).expect(200).json();
    let again =
        check(&town, &rental, &json!({ "nonce": nonce().to_uppercase() })).expect(200).json();
    assert_eq!(first, again);
    let refused = check(&town, &rental, &json!({}));
    let wait: u64 = refused.header("retry-after").parse().unwrap();
    refused.expect_problem(429, "checked-lately");
    assert!((500..=900).contains(&wait), "{wait}");
    let (bytes, _) = asked(&town, &machine, &processor());
    answer(&town, &machine, &bytes, Lie::Nothing);
    check(&town, &rental, &json!({})).expect_problem(429, "checked-lately");
    for wrong in ["", "zz", &nonce()[1..]] {
        check(&town, &rental, &json!({ "nonce": wrong })).expect_problem(422, "invalid");
    }
}

#[test]
fn only_who_may_end_a_rental_checks_it_and_only_while_it_runs() {
    let (town, mut machine, rental) = rented();
    let path = format!("/v1/rentals/{rental}/canary");
    town.post(&town.viewer, &path, &Value::Null).expect_problem(403, "forbidden");
    for caller in [&town.stranger as &dyn Caller, &town.supplier] {
        town.post(caller, &path, &Value::Null).expect_problem(404, "not-found");
    }
    machine.nodes[0]["phase"] = json!("starting");
    machine.beat(&town.client).expect(200);
    let said = check(&town, &rental, &Value::Null).expect_problem(409, "wrong-state");
    assert_eq!(said["detail"], "not now: node 0 is not ready");
    machine.nodes[0]["phase"] = json!("ready");
    machine.beat(&town.client).expect(200);
    ended(&town, &rental);
    check(&town, &rental, &Value::Null).expect_problem(409, "wrong-state");
    assert_eq!(checks(&town, &rental), json!({ "proofs": [] }));
}

#[test]
fn only_cards_of_the_node_are_asked_and_each_of_them_once() {
    let (town, _) = town();
    let mut machine = town.machine(2, &with_cards(3));
    town.top_up("100");
    let mut order = town.order(1);
    order["order"]["each"]["gpus"] = json!(2);
    let quote = town.post(&town.renter, "/v1/quotes", &order).expect(201).json()["quote"].clone();
    let body = json!({ "quote": quote, "name": "cards" });
    let rental = town.post(&town.renter, "/v1/rentals", &body).expect(201).json();
    let rental = rental["id"].as_str().unwrap().to_owned();
    machine.act(&town.client);
    check(&town, &rental, &json!({ "nonce": nonce() })).expect(200);
    let of = |number: u8, held: &str| {
        let path = format!("/v1/io-worker/challenge?card={}{held}", card(number));
        town.send(Ask::get(&path).by(&machine))
    };
    let held = format!("&rental={rental}");
    of(1, "").expect(204);
    of(1, "&rental=rnt_00000000000000000000000000").expect(204);
    let given = [1, 2].map(|number| of(number, &held).expect(200).body);
    of(3, &held).expect(204);
    let status = |at: usize| {
        let view = checks(&town, &rental);
        let card = &view["last"]["cards"][at];
        (view["last"]["state"].clone(), card["status"].clone(), card["why"].clone())
    };
    let verdicts = [Lie::Nothing, Lie::Broken].map(|lie| lie);
    for (bytes, lie) in given.iter().zip(verdicts) {
        answer(&town, &machine, bytes, lie);
    }
    assert_eq!(status(0).1, "pass");
    assert_eq!((status(1).0, status(1).1), (json!("proving"), json!("inconclusive")));
    assert!(status(1).2.as_str().unwrap().contains("could not"), "{:?}", status(1));
    of(1, &held).expect(204);
    of(2, &held).expect(204);
    assert_eq!(rental_view(&town, &rental)["unfit"], Value::Null);
}

#[test]
fn what_was_measured_of_cards_is_shown_to_everyone() {
    let (mut town, machine) = town();
    let path = format!("/v1/proofs/devices/{}/fingerprint", machine.worker);
    let cards = |town: &Town| town.get(&Anonymous, &path).expect(200).json()["cards"].clone();
    assert_eq!(cards(&town), json!([]));
    let matmul = json!({
        "log_n": 8, "rounds": 40, "checked": 2, "rows": 16, "limit_ms": 60_000, "answer_ms": 60_000,
    });
    // Without pings no time is too short to be told from the network's.
    town.patch(&json!({ "proofs": { "pings": 0, "classes": { "cpu": { "matmul": matmul } } } }));
    let challenge = ask(&town.client, &machine, &processor(), 20).expect(200).body;
    assert_eq!(answer(&town, &machine, &challenge, Lie::Nothing).0, Outcome::Pass);
    let known = cards(&town);
    assert_eq!((&known[0]["card"], &known[0]["verdict"]), (&json!(processor()), &json!("unknown")));
    assert!(known[0]["rates"]["matmul-8"].as_f64().unwrap() > 0.0, "{known}");
    town.stop();
    town.start();
    assert_eq!(cards(&town)[0]["rates"], known[0]["rates"], "made again from the transcript");
    let nobody = "/v1/proofs/devices/wkr_00000000000000000000000000/fingerprint";
    town.get(&Anonymous, nobody).expect_problem(404, "not-found");
}
