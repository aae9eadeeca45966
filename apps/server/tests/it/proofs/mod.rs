//! Machines that prove over HTTP: what counts, what is refused, and what everyone can check again afterwards.

mod canaries;
mod prover;
mod retries;
mod zoo;

use std::time::{Duration, Instant};

use data_encoding::HEXLOWER;
use ed25519_dalek::{Signature, VerifyingKey};
use proofs::log::{Entry, Head, verify, verify_consistency};
use proofs::message::{Body, Message};
use proofs::{Outcome, Reason, transcript};
use serde_json::{Value, json};
use units::BlobId;

use crate::killed::Server;
use crate::town::{
    Anonymous, Ask, Client, Folder, Machine, Town, a_machine, open_doors, operator_of,
};
pub(crate) use prover::{
    Liar, Lie, Wire, ask, card, processor, prove, say, small_proofs, small_rules, verifier,
    with_cards,
};

/// Longer than anything here may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// A town that asks for proofs, and a machine without cards in it.
fn town() -> (Town, Machine) {
    let town = Town::new();
    small_proofs(&town);
    let machine = town.machine(1, &a_machine(4));
    (town, machine)
}

/// What the checklist says of proofs of work: whether the rule is fulfilled, and why.
fn work_rule(town: &Town, machine: &Machine) -> (bool, String) {
    let path = format!("/v1/io-blocks/devices/{}/ready", machine.worker);
    let ready = town.get(&town.supplier, &path).expect(200).json();
    let mut rules = ready["rules"].as_array().unwrap().iter();
    let rule = rules.find(|rule| rule["rule"] == "proof-of-work").unwrap();
    (rule["check"] == true, rule["reason"].as_str().unwrap().to_owned())
}

fn pow(town: &Town, machine: &Machine, query: &str) -> Vec<Value> {
    let path = format!("/v1/io-blocks/devices/{}/pow{query}", machine.worker);
    town.get(&Anonymous, &path).expect(200).json()["items"].as_array().unwrap().clone()
}

fn summary(town: &Town, machine: &Machine) -> Value {
    let path = format!("/v1/io-explorer/devices/{}/pow-summary", machine.worker);
    town.get(&Anonymous, &path).expect(200).json()
}

fn hex<const N: usize>(value: &Value) -> [u8; N] {
    HEXLOWER.decode(value.as_str().unwrap().as_bytes()).unwrap().try_into().unwrap()
}

fn hashes(value: &Value) -> Vec<BlobId> {
    let hashes = value.as_array().unwrap().iter();
    hashes.map(|hash| hash.as_str().unwrap().parse().unwrap()).collect()
}

/// The head that a view has, once its signature holds.
fn head(view: &Value, key: &VerifyingKey) -> Head {
    let head = Head {
        size: view["size"].as_u64().unwrap(),
        root: view["root"].as_str().unwrap().parse().unwrap(),
    };
    let signature = Signature::from_bytes(&hex(&view["signature"]));
    key.verify_strict(&head.digest(), &signature).unwrap();
    head
}

/// The log as it is now.
fn log(town: &Town) -> Head {
    let view = town.get(&Anonymous, "/v1/proofs/log").expect(200).json();
    head(&view, &verifier(&town.client))
}

/// Lets one card of a machine prove, with this device.
fn prove_with(town: &Town, machine: &Machine, card: &str, lie: Lie) -> (Vec<u8>, Outcome, Reason) {
    let challenge = ask(&town.client, machine, card, 0).expect(200).body;
    let mut wire = Wire::new(&town.client, machine);
    let number = machine_number(&challenge);
    let verdict = prove(&mut wire, &challenge, number, &mut Liar::new(lie));
    (wire.last, verdict.outcome(), verdict.reason())
}

/// Which of a town's machines a challenge is for.
fn machine_number(challenge: &[u8]) -> u8 {
    let Body::Challenge(challenge) = Message::read(challenge).unwrap().body else { panic!() };
    let is_of = |number: &u8| prover::key(*number).verifying_key().to_bytes() == challenge.prover;
    (0..=u8::MAX).find(is_of).unwrap()
}

#[test]
fn a_machine_that_proves_fulfils_the_rule_and_everyone_can_check_it_again() {
    let (town, machine) = town();
    assert!(!work_rule(&town, &machine).0);
    let challenge = ask(&town.client, &machine, &processor(), 20).expect(200);
    assert_eq!(challenge.header("content-type"), "application/octet-stream");
    let again = ask(&town.client, &machine, &processor(), 0).expect(200);
    assert_eq!(again.body, challenge.body, "one that was lost on the way is given again");
    let mut wire = Wire::new(&town.client, &machine);
    wire.stutters = true;
    let verdict = prove(&mut wire, &challenge.body, 1, &mut Liar::new(Lie::Nothing));
    assert_eq!((verdict.outcome(), verdict.reason()), (Outcome::Pass, Reason::None));
    let (fulfilled, why) = work_rule(&town, &machine);
    assert!(fulfilled, "{why}");
    ask(&town.client, &machine, &processor(), 0).expect(204);

    let [proof] = pow(&town, &machine, "?status=pass").try_into().unwrap();
    assert_eq!((&proof["status"], &proof["reason"]), (&json!("pass"), &json!("none")));
    assert!(proof["hash_rate"].as_u64().unwrap() > 0);
    assert!(proof["tasks"][1]["operations_per_second"].as_u64().unwrap() > 0, "{proof}");
    assert!(pow(&town, &machine, "?status=fail").is_empty());
    assert_eq!(summary(&town, &machine)["last_challenge_status"], "succeeded");
    assert_eq!(summary(&town, &machine)["pow_jobs_passed"], 1);

    let path = format!("/v1/proofs/{}", proof["session"].as_str().unwrap());
    let view = town.get(&Anonymous, &path).expect(200).json();
    assert_eq!((&view["proof"], &view["has_transcript"]), (&proof, &json!(true)));
    let bytes = HEXLOWER.decode(view["entry"].as_str().unwrap().as_bytes()).unwrap();
    let newest = head(&view["head"], &verifier(&town.client));
    let path_up = hashes(&view["path"]);
    assert!(verify(&bytes, 0, newest.size, &path_up, newest.root));
    let transcript = town.get(&Anonymous, &format!("{path}/transcript")).expect(200);
    assert_eq!(transcript.header("content-type"), "application/octet-stream");
    let report = transcript::recheck(&transcript.body, Some([3; 32])).unwrap();
    assert_eq!(report.challenge.verifier, verifier(&town.client).to_bytes());
    let entry = Entry::read(&bytes).unwrap();
    assert_eq!(Entry::of(&transcript.body, entry.sealed_ms), Ok(entry));
}

#[test]
fn a_transcript_does_not_say_whose_the_machine_is() {
    let (town, machine) = town();
    let (_, outcome, _) = prove_with(&town, &machine, &processor(), Lie::Nothing);
    assert_eq!(outcome, Outcome::Pass);
    let [proof] = pow(&town, &machine, "").try_into().unwrap();
    let path = format!("/v1/proofs/{}/transcript", proof["session"].as_str().unwrap());
    let transcript = town.get(&Anonymous, &path).expect(200).body;
    let report = transcript::recheck(&transcript, None).unwrap();
    let owner: units::AccountId = town.supplier.person.account.parse().unwrap();
    let owner = owner.bits().to_be_bytes();
    assert!(!transcript.windows(16).any(|bytes| bytes == owner));
    let unsalted = proofs::message::veiled(
        town.supplier.person.account.parse().unwrap(),
        &report.session,
        &[0; 32],
    );
    assert_ne!(report.challenge.owner, unsalted, "it takes the verifier's salt to know");
    assert_ne!(report.challenge.owner, [0; 16]);
    let path = format!("/v1/proofs/{}/owner", proof["session"].as_str().unwrap());
    town.get(&Anonymous, &path).expect_problem(401, "unauthenticated");
    town.get(&town.renter, &path).expect_problem(404, "not-found");
    let told = town.get(&town.supplier, &path).expect(200).json();
    let account = told["account"].as_str().unwrap().parse().unwrap();
    let salt = hex::<32>(&told["salt"]);
    let shown = proofs::message::veiled(account, &report.session, &salt);
    assert_eq!(
        (shown, hex::<16>(&told["owner"])),
        (report.challenge.owner, shown),
        "he can show it"
    );
    assert_eq!(told["account"], town.supplier.person.account);
}

#[test]
fn who_lies_fails_and_it_is_recorded_why() {
    let (town, _) = town();
    let lies = [
        (Lie::Numbers, Outcome::Fail, "puzzle"),
        (Lie::Rows, Outcome::Fail, "path"),
        (Lie::Products, Outcome::Fail, "row"),
        (Lie::Walks, Outcome::Fail, "walk"),
        (Lie::Broken, Outcome::Inconclusive, "unable"),
    ];
    for (number, (lie, expected, word)) in (2_u8..).zip(lies) {
        let machine = town.machine(number, &with_cards(1));
        let (last, outcome, _) = prove_with(&town, &machine, &card(number), lie);
        assert_eq!(outcome, expected, "{lie:?}");
        say(&town.client, &machine, &last).expect(200);
        let [proof] = pow(&town, &machine, "").try_into().unwrap();
        assert_eq!(
            (&proof["reason"], &proof["status"]),
            (&json!(word), &json!(outcome.to_string()))
        );
        let path = format!("/v1/proofs/{}/transcript", proof["session"].as_str().unwrap());
        let transcript = town.get(&Anonymous, &path).expect(200).body;
        transcript::recheck(&transcript, None).unwrap();
        let (fulfilled, why) = work_rule(&town, &machine);
        assert!(!fulfilled);
        let is_bad = outcome == Outcome::Fail;
        assert_eq!(why.contains("was wrong"), is_bad, "{why}");
        assert_eq!(summary(&town, &machine)["pow_jobs_failed"], u64::from(is_bad));
        ask(&town.client, &machine, &card(number), 0).expect(204);
    }
    assert_eq!(log(&town).size, 5);
}

#[test]
fn all_cards_of_a_machine_are_called_at_one_time() {
    let (town, _) = town();
    let machine = town.machine(2, &with_cards(2));
    ask(&town.client, &machine, &processor(), 0).expect_problem(422, "invalid");
    let challenges = [1, 2].map(|number| {
        let given = ask(&town.client, &machine, &card(number), 20).expect(200).body;
        let Body::Challenge(challenge) = Message::read(&given).unwrap().body else { panic!() };
        assert_eq!(challenge.card, hex::<32>(&json!(card(number))));
        (given, challenge)
    });
    ask(&town.client, &machine, &card(3), 0).expect(204);
    let [(first, one), (second, other)] = challenges;
    assert_eq!((one.barrier, one.hour), (other.barrier, other.hour));
    assert_ne!(one.barrier, [0; 16]);
    // Neither walks before the memory of both is full, so one after the other they would never end.
    let proves = |challenge: &[u8]| {
        let mut wire = Wire::new(&town.client, &machine);
        prove(&mut wire, challenge, 2, &mut Liar::new(Lie::Nothing)).outcome()
    };
    std::thread::scope(|scope| {
        let one = scope.spawn(|| proves(&first));
        assert_eq!((proves(&second), one.join().unwrap()), (Outcome::Pass, Outcome::Pass));
    });
    assert!(work_rule(&town, &machine).0, "all cards have passed");
    assert_eq!(pow(&town, &machine, "").len(), 2);
}

#[test]
fn roots_may_be_told_together_and_again_when_their_answer_was_lost() {
    for stutters in [false, true] {
        let (town, machine) = town();
        let challenge = ask(&town.client, &machine, &processor(), 20).expect(200).body;
        let mut wire = Wire::new(&town.client, &machine);
        (wire.gathers, wire.stutters) = (true, stutters);
        let verdict = prove(&mut wire, &challenge, 1, &mut Liar::new(Lie::Nothing));
        assert_eq!((verdict.outcome(), verdict.reason()), (Outcome::Pass, Reason::None));
        assert!(work_rule(&town, &machine).0);
    }
}

#[test]
fn roots_before_one_that_is_refused_stay_heard() {
    let (town, machine) = town();
    let challenge = ask(&town.client, &machine, &processor(), 20).expect(200).body;
    let mut wire = Wire::new(&town.client, &machine);
    (wire.gathers, wire.overdoes) = (true, true);
    let verdict = prove(&mut wire, &challenge, 1, &mut Liar::new(Lie::Nothing));
    assert_eq!((verdict.outcome(), verdict.reason()), (Outcome::Pass, Reason::None));
}

#[test]
fn a_card_that_breaks_off_holds_no_other_and_all_have_to_pass() {
    let (town, _) = town();
    let machine = town.machine(2, &with_cards(2));
    let challenges = [1, 2].map(|it| ask(&town.client, &machine, &card(it), 20).expect(200).body);
    let proves = |challenge: &[u8], lie| {
        let mut wire = Wire::new(&town.client, &machine);
        prove(&mut wire, challenge, 2, &mut Liar::new(lie)).outcome()
    };
    std::thread::scope(|scope| {
        let waits = scope.spawn(|| proves(&challenges[0], Lie::Nothing));
        assert_eq!(proves(&challenges[1], Lie::Broken), Outcome::Inconclusive);
        assert_eq!(waits.join().unwrap(), Outcome::Pass);
    });
    assert!(!work_rule(&town, &machine).0, "one of them has not passed");
}

#[test]
fn whoever_has_seen_the_log_can_tell_that_it_only_grew() {
    let (town, machine) = town();
    let machines: Vec<Machine> =
        (2..7).map(|number| town.machine(number, &a_machine(2))).chain([machine]).collect();
    let mut heads = vec![log(&town)];
    for machine in &machines {
        prove_with(&town, machine, &processor(), Lie::Broken);
        heads.push(log(&town));
    }
    let page = |query: &str| {
        let path = format!("/v1/proofs/log/entries{query}");
        town.get(&Anonymous, &path).expect(200).json()
    };
    let whole = page("");
    let entries = whole["entries"].as_array().unwrap().clone();
    assert_eq!((entries.len(), &whole["next"]), (6, &Value::Null));
    let part = page("?from=2&limit=3");
    assert_eq!(
        (part["entries"].as_array().unwrap().as_slice(), &part["next"]),
        (&entries[2..5], &json!(5))
    );
    assert!(page("?from=6")["entries"].as_array().unwrap().is_empty());
    for older in &heads {
        for newer in heads.iter().filter(|newer| newer.size >= older.size) {
            let path = format!("/v1/proofs/log/consistency?from={}&to={}", older.size, newer.size);
            let shown = town.get(&Anonymous, &path).expect(200).json();
            assert_eq!(shown["from_root"], older.root.to_string());
            assert_eq!(shown["to_root"], newer.root.to_string());
            let (older, newer) = ((older.size, older.root), (newer.size, newer.root));
            assert!(verify_consistency(older, newer, &hashes(&shown["path"])), "{path}");
        }
    }
    let refused = |query: &str| {
        let path = format!("/v1/proofs/log/consistency?{query}");
        town.get(&Anonymous, &path).expect_problem(422, "invalid")
    };
    refused("from=1&to=7");
    refused("from=3&to=2");
    for entry in &entries {
        let bytes = HEXLOWER.decode(entry.as_str().unwrap().as_bytes()).unwrap();
        let session = HEXLOWER.encode(&Entry::read(&bytes).unwrap().session);
        let view = town.get(&Anonymous, &format!("/v1/proofs/{session}")).expect(200).json();
        let head = head(&view["head"], &verifier(&town.client));
        let index = view["proof"]["index"].as_u64().unwrap();
        assert!(verify(&bytes, index, head.size, &hashes(&view["path"]), head.root));
    }
    town.get(&Anonymous, "/v1/proofs/0123").expect_problem(404, "not-found");
    town.get(&Anonymous, "/v1/proofs/0123/transcript").expect_problem(404, "not-found");
}

#[test]
fn what_is_not_due_is_refused_and_changes_nothing() {
    let (town, machine) = town();
    let other = town.machine(2, &a_machine(2));
    let challenge = ask(&town.client, &machine, &processor(), 0).expect(200).body;
    let done = town.journal_seq();
    let refused = |by: &Machine, message: &[u8], status, code: &str| {
        say(&town.client, by, message).expect_problem(status, code)
    };
    refused(&machine, b"", 422, "message-refused");
    refused(&machine, b"short", 422, "message-refused");
    refused(&machine, &[7; 100], 409, "session-over");
    refused(&other, &challenge, 409, "session-over");
    let said = refused(&machine, &challenge, 422, "message-refused");
    assert!(said["detail"].as_str().unwrap().contains("counter"), "{said}");
    let mut garbage = challenge.clone();
    garbage[4] = 9;
    refused(&machine, &garbage, 422, "message-refused");
    refused(&machine, &challenge.repeat(200), 413, "too-large");
    // Who says beforehand that it is too much need not send it.
    let head = Ask::post("/v1/io-worker/challenge/result").by(&machine);
    assert!(town.client.send_head(&head, 1 << 40).starts_with("HTTP/1.1 413"));
    let mut nobody = Ask::post("/v1/io-worker/challenge/result").bytes(&challenge);
    town.send(nobody.clone()).expect_problem(401, "session-unknown");
    nobody = nobody.by(&town.supplier);
    town.send(nobody).expect_problem(401, "session-unknown");
    for card in ["", "cpu", "00"] {
        ask(&town.client, &machine, card, 0).expect_problem(422, "invalid");
    }
    assert_eq!(town.journal_seq(), done);

    let mut wire = Wire::new(&town.client, &machine);
    let verdict = prove(&mut wire, &challenge, 1, &mut Liar::new(Lie::Nothing));
    assert_eq!(verdict.outcome(), Outcome::Pass, "it goes on where it stood");
    say(&town.client, &machine, &wire.last).expect(200);
    wire.last[70] ^= 1;
    refused(&machine, &wire.last, 409, "session-over");
    assert_eq!(log(&town).size, 1);
}

#[test]
fn who_is_excused_paused_shut_out_or_hired_is_not_called() {
    let (town, machine) = town();
    let device = |rest: &str| format!("/v1/io-blocks/devices/{}/{rest}", machine.worker);
    let nothing = || ask(&town.client, &machine, &processor(), 0).expect(204);
    let body = json!({ "rules": ["proof-of-work"], "reason": "a test" });
    town.post(&town.operator, &device("exemptions"), &body).expect(204);
    nothing();
    let body = json!({ "rules": [], "reason": "a test" });
    town.post(&town.operator, &device("exemptions"), &body).expect(204);
    town.post(&town.operator, &device("blocked"), &json!({ "reason": "a test" })).expect(204);
    nothing();
    town.post(&town.operator, &device("blocked"), &json!({ "reason": null })).expect(204);
    let pause = Ask::put(&format!("/v1/workers/{}/paused", machine.worker));
    let pause = |is: bool| pause.clone().json(&json!({ "paused": is })).by(&town.supplier);
    town.send(pause(true)).expect(200);
    nothing();
    town.send(pause(false)).expect(200);
    town.top_up("100");
    let mut machine = machine;
    let rental = town.running_rental(&mut machine);
    ask(&town.client, &machine, &processor(), 0).expect(204);
    town.send(Ask::post(&format!("/v1/rentals/{rental}/end")).by(&town.renter)).expect(200);
    machine.act(&town.client);
    ask(&town.client, &machine, &processor(), 0).expect(200);
}

/// Asks until there is a challenge.
fn wait_for_challenge(client: &Client, machine: &Machine) -> Vec<u8> {
    let begun = Instant::now();
    loop {
        let answer = ask(client, machine, &processor(), 1);
        if answer.status == 200 {
            return answer.body;
        }
        assert!(begun.elapsed() < PATIENCE, "{}", answer.status);
    }
}

#[test]
fn a_server_that_stops_blames_nobody_and_the_next_one_calls_again() {
    let (mut town, mut machine) = town();
    let challenge = ask(&town.client, &machine, &processor(), 0).expect(200).body;
    town.stop();
    town.start();
    machine.open_session(&town.client);
    machine.beat(&town.client).expect(200);
    say(&town.client, &machine, &challenge).expect_problem(409, "session-over");
    let [proof] = pow(&town, &machine, "").try_into().unwrap();
    assert_eq!((&proof["status"], &proof["reason"]), (&json!("inconclusive"), &json!("verifier")));
    assert_eq!(summary(&town, &machine)["last_challenge_status"], Value::Null);
    assert_eq!(summary(&town, &machine)["pow_jobs_inconclusive"], 1);
    let challenge = wait_for_challenge(&town.client, &machine);
    let mut wire = Wire::new(&town.client, &machine);
    let verdict = prove(&mut wire, &challenge, 1, &mut Liar::new(Lie::Nothing));
    assert_eq!(verdict.outcome(), Outcome::Pass);
    assert!(work_rule(&town, &machine).0);
    assert_eq!(log(&town).size, 2, "the log goes on");
}

#[test]
fn a_server_that_is_killed_forgets_what_was_going_on_and_the_next_one_calls_again() {
    let folder = Folder::new();
    let mut server = Server::start(&folder, None);
    let client = Client::new(server.address);
    let operator = operator_of(folder.path());
    open_doors(&client, &operator);
    let sam = operator.open_account(&client, "sam");
    let patch = json!({ "patch": small_rules() });
    let ask_for = Ask::patch("/v1/network/parameters").json(&patch);
    client.send(ask_for.by(&operator)).expect(200);
    let invite = client.send(Ask::post("/v1/invites").json(&json!({})).by(&sam)).expect(201).json();
    let mut machine = Machine::join(&client, invite["token"].as_str().unwrap(), 1, &a_machine(2));
    machine.open_session(&client);
    machine.beat(&client).expect(200);
    let challenge = ask(&client, &machine, &processor(), 0).expect(200).body;
    server.kill();

    let server = Server::start(&folder, None);
    let client = Client::new(server.address);
    machine.open_session(&client);
    machine.beat(&client).expect(200);
    say(&client, &machine, &challenge).expect_problem(409, "session-over");
    let size = || {
        let log = client.send(Ask::get("/v1/proofs/log").by(&Anonymous)).expect(200).json();
        head(&log, &verifier(&client)).size
    };
    assert_eq!(size(), 0, "it is gone, and nobody is blamed");
    let challenge = wait_for_challenge(&client, &machine);
    let mut wire = Wire::new(&client, &machine);
    let verdict = prove(&mut wire, &challenge, 1, &mut Liar::new(Lie::Nothing));
    assert_eq!((verdict.outcome(), size()), (Outcome::Pass, 1));
    server.end();
}

/// The barrier of a challenge.
fn barrier(challenge: &[u8]) -> [u8; 16] {
    let Body::Challenge(challenge) = Message::read(challenge).unwrap().body else { panic!() };
    challenge.barrier
}

#[test]
fn a_card_that_waits_is_woken_when_another_of_its_machine_is_called() {
    let (town, _) = town();
    let machine = town.machine(2, &with_cards(2));
    let device = format!("/v1/io-blocks/devices/{}/exemptions", machine.worker);
    let body = json!({ "rules": ["proof-of-work"], "reason": "a test" });
    town.post(&town.operator, &device, &body).expect(204);
    let waiting = || {
        let text = town.get(&Anonymous, "/metrics").expect(200).text();
        text.contains("iog_polls_open 1")
    };
    std::thread::scope(|scope| {
        let waits = scope.spawn(|| ask(&town.client, &machine, &card(2), 30).expect(200).body);
        let begun = Instant::now();
        while !waiting() {
            assert!(begun.elapsed() < PATIENCE, "nobody waits");
            std::thread::sleep(Duration::from_millis(5));
        }
        let body = json!({ "rules": [], "reason": "a test" });
        town.post(&town.operator, &device, &body).expect(204);
        let called = ask(&town.client, &machine, &card(1), 0).expect(200).body;
        assert_eq!(barrier(&called), barrier(&waits.join().unwrap()));
    });
}

#[test]
fn a_device_can_check_its_own_program() {
    let town = Town::new();
    let path = "/v1/io-worker/challenge/binary";
    let view = town.get(&Anonymous, path).expect(200).json();
    assert_eq!(view["versions"], json!([1]));
    let seed = [5; 32];
    let number = (0..).find(|x| proofs::puzzle::solves(&seed, 2, 6, *x)).unwrap();
    let seed_text = HEXLOWER.encode(&seed);
    let ask = |bits: u64, number: u64| json!({ "seed": seed_text, "index": 2, "bits": bits, "number": number });
    let answer = town.post(&Anonymous, path, &ask(6, number)).expect(200).json();
    assert_eq!(answer["solves"], true);
    assert!(answer["leading_zeros"].as_u64().unwrap() >= 6);
    let answer = town.post(&Anonymous, path, &ask(48, number)).expect(200).json();
    assert_eq!(answer["solves"], false);
    town.post(&Anonymous, path, &ask(0, number)).expect_problem(422, "invalid");
    let short = json!({ "seed": "00", "index": 0, "bits": 6, "number": 0 });
    town.post(&Anonymous, path, &short).expect_problem(422, "invalid");
}

#[test]
fn proofs_are_counted() {
    let (town, machine) = town();
    prove_with(&town, &machine, &processor(), Lie::Nothing);
    let text = town.get(&Anonymous, "/metrics").expect(200).text();
    for line in [
        "iog_proofs_open 0",
        "iog_workers_failed 0",
        "iog_proof_judged_seconds_count 1",
        r#"iog_proofs_sealed_total{outcome="pass"} 1"#,
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
}
