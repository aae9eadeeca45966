//! Machines come in over HTTP: measured, tried, judged, and joined again. They are played by script, without a cluster.

use proofs::lock::{NodeRef, Span};
use serde_json::{Value, json};
use units::RentalId;

use super::locks::{hand_over, now_ms, records, records_from};
use crate::town::{Ask, Machine, Town, a_machine, eventually, join_request};

/// A network in which machines come in: nothing but time is spared them.
fn strict() -> Town {
    let town = Town::new();
    town.patch(&json!({ "onboarding": {
        "required": true, "pending_minutes": 0, "trial_company_wait_minutes": 60, "trials_failed_max": 1,
        "memory_mib_min": 1, "disk_gib_min": 1, "down_mbps_min": 1, "up_mbps_min": 1,
    } }));
    town.patch(&json!({ "exempt": ["proof-of-work"] }));
    town
}

fn onboarding(town: &Town, machine: &Machine) -> Value {
    let path = format!("/v1/io-worker/devices/{}/onboarding", machine.worker);
    town.get(&town.supplier, &path).expect(200).json()
}

fn row(view: &Value, step: &str) -> Value {
    view["rows"].as_array().unwrap().iter().find(|row| row["step"] == step).unwrap().clone()
}

/// Plays a whole speed test, with little: what came of it.
fn measure(town: &Town, machine: &Machine) -> Value {
    let begun = town.send(Ask::post("/v1/io-worker/speed-tests").by(machine)).expect(201).json();
    let test = begun["test"].as_str().unwrap();
    let get = |bytes: u32, seen: &str| {
        let seen = if seen.is_empty() { String::new() } else { format!("&seen={seen}") };
        let path = format!("/v1/io-worker/speed-test?test={test}&bytes={bytes}{seen}");
        town.send(Ask::get(&path)).expect(200).text()
    };
    let mut seen = get(0, "");
    for _ in 0..3 {
        seen = get(0, &seen);
    }
    let path = format!("/v1/io-worker/speed-test?test={test}&bytes=4000000");
    let whole = town.send(Ask::get(&path)).expect(200).body;
    assert_eq!(whole.len(), 4_000_000 + 64);
    get(0, std::str::from_utf8(&whole[4_000_000..]).unwrap());
    let path = format!("/v1/io-worker/speed-test?test={test}");
    town.send(Ask::post(&path).bytes(&whole)).expect(204);
    let end = format!("/v1/io-worker/speed-tests/{test}/end");
    town.send(Ask::post(&end).by(machine)).expect(200).json()
}

#[test]
fn a_connection_is_as_it_was_measured_whatever_a_machine_says_of_itself() {
    let town = strict();
    let mut boast = a_machine(2);
    boast["tier"] = json!("ultra-high");
    let machine = town.machine(1, &boast);
    let path = format!("/v1/workers/{}", machine.worker);
    let view = town.get(&town.supplier, &path).expect(200).json();
    let shown = (&view["state"], &view["readiness"], &view["machine"]["tier"]);
    assert_eq!(shown, (&json!("pending"), &json!("pending"), &json!("none")));
    assert_eq!(row(&onboarding(&town, &machine), "connection")["state"], "waiting");

    let measured = measure(&town, &machine);
    let view = onboarding(&town, &machine);
    assert_eq!(view["connection"], measured);
    assert_eq!(row(&view, "connection")["state"], "met", "{view}");

    // What it says later changes nothing of it, either.
    let change = Ask::put("/v1/worker/machine").json(&boast).by(&machine);
    town.send(change).expect(204);
    assert_eq!(onboarding(&town, &machine)["connection"], measured);
}

#[test]
fn a_speed_test_is_its_callers_own_and_a_day_has_only_so_many() {
    let town = strict();
    let (machine, other) = (town.machine(1, &a_machine(2)), town.machine(2, &a_machine(2)));
    let begin = || town.send(Ask::post("/v1/io-worker/speed-tests").by(&machine));
    for _ in 0..8 {
        let test = begin().expect(201).json()["test"].as_str().unwrap().to_owned();
        let end = format!("/v1/io-worker/speed-tests/{test}/end");
        town.send(Ask::post(&end).by(&other)).expect_problem(404, "not-found");
        town.send(Ask::post(&end)).expect_problem(404, "not-found");
        town.send(Ask::post(&end).by(&machine)).expect_problem(409, "wrong-state");
        town.send(Ask::post(&end).by(&machine)).expect_problem(404, "not-found");
    }
    begin().expect_problem(429, "rate-limited");
    let too_much = "/v1/io-worker/speed-test?test=x&bytes=99999999999";
    town.send(Ask::get(too_much)).expect_problem(409, "too-many");
    assert_eq!(onboarding(&town, &machine)["connection"], Value::Null);
    // Others have their own, and who has not joined, too.
    let theirs = town.send(Ask::post("/v1/io-worker/speed-tests").by(&other)).expect(201);
    drop(theirs);
    town.send(Ask::post("/v1/io-worker/speed-tests")).expect(201);
    // These two go on.
    let third = town.machine(3, &a_machine(2));
    let busy = town.send(Ask::post("/v1/io-worker/speed-tests").by(&third));
    assert_eq!(busy.header("retry-after"), "5");
    busy.expect_problem(503, "busy");
}

/// Two machines in one trial, with its job running at the head: the head and the other.
fn in_a_trial(town: &Town) -> (Machine, Machine) {
    let mut machines = [town.machine(1, &a_machine(2)), town.machine(2, &a_machine(2))];
    eventually("the stress job of a trial", || {
        machines.iter_mut().for_each(|machine| machine.act(&town.client));
        machines.iter().any(|machine| !machine.jobs.is_empty()).then_some(())
    });
    let [one, two] = machines;
    if one.jobs.is_empty() { (two, one) } else { (one, two) }
}

/// The head hands over what the stress job left, and says that it failed.
fn leave(town: &Town, head: &mut Machine, result: &str) {
    let job = head.jobs[0]["job"].as_str().unwrap().to_owned();
    let path = format!("/v1/worker/jobs/{job}/files/stress.json");
    town.send(Ask::put(&path).bytes(result.as_bytes()).by(head)).expect(204);
    head.all_jobs(&town.client, &json!({ "failed": { "message": "not every node did its part" } }));
}

/// Waits until nothing of its trial runs on a machine.
fn cleared(town: &Town, machine: &mut Machine) {
    eventually("an idle machine", || {
        machine.act(&town.client);
        let begun = town.send(Ask::post("/v1/io-worker/speed-tests").by(machine));
        let test = begun.json()["test"].as_str()?.to_owned();
        let end = format!("/v1/io-worker/speed-tests/{test}/end");
        Some(town.send(Ask::post(&end).by(machine)))
    });
}

/// How the trial went for a machine, once it is over.
fn outcome(town: &Town, machine: &mut Machine) -> (Value, Value) {
    eventually("the end of a trial", || {
        machine.act(&town.client);
        let trial = onboarding(town, machine)["trials"][0].clone();
        let is_over = trial["ended"] != Value::Null;
        is_over.then(|| (trial["passed"].clone(), trial["note"].clone()))
    })
}

#[test]
fn each_newcomer_is_judged_by_its_own_part_of_the_stress_job() {
    let mut town = strict();
    let (mut head, mut other) = in_a_trial(&town);
    assert!(!town.get(&town.renter, "/v1/offers").expect(200).text().contains(&head.worker));
    // Only the head hands anything over.
    let job = head.jobs[0]["job"].as_str().unwrap().to_owned();
    let path = format!("/v1/worker/jobs/{job}/files/stress.json");
    town.send(Ask::put(&path).bytes(b"{}").by(&other)).expect_problem(404, "not-found");
    // It is not measured under load.
    let begin = Ask::post("/v1/io-worker/speed-tests").by(&other);
    town.send(begin).expect_problem(409, "in-use");

    let result = json!({ "nodes": {
        "0": { "ok": true, "note": "2 threads under load" },
        "1": { "ok": false, "note": "disk: it does not give back what was written" },
    } });
    leave(&town, &mut head, &result.to_string());
    // A server that is restarted goes on where it was.
    town.stop();
    town.start();
    [&mut head, &mut other].into_iter().for_each(|machine| machine.open_session(&town.client));

    assert_eq!(outcome(&town, &mut head), (json!(true), json!("2 threads under load")));
    let (passed, note) = outcome(&town, &mut other);
    assert_eq!((passed, note.as_str().unwrap().contains("give back")), (json!(false), true));
    let failed = onboarding(&town, &other);
    let shown = (&failed["readiness"], &row(&failed, "trial")["state"]);
    assert_eq!(shown, (&json!("not-block-reward-ready"), &json!("missing")));

    // Measured, the head is ready and on offer; the other asks for another trial.
    cleared(&town, &mut head);
    measure(&town, &head);
    let ready = onboarding(&town, &head);
    assert_eq!(ready["stage"], "ready", "{ready}");
    let offers = town.get(&town.renter, "/v1/offers").expect(200).text();
    assert!(offers.contains(&head.worker) && !offers.contains(&other.worker), "{offers}");
    let retry = format!("/v1/io-worker/devices/{}/retry-trial", other.worker);
    assert_eq!(
        town.post(&town.supplier, &retry, &Value::Null).expect(200).json()["readiness"],
        "pending"
    );
}

#[test]
fn what_a_head_says_of_nothing_that_can_be_read_blames_as_beats_do() {
    let town = strict();
    let (mut head, mut other) = in_a_trial(&town);
    leave(&town, &mut head, "{\"nodes\": 5}");
    for machine in [&mut head, &mut other] {
        let (passed, note) = outcome(&town, machine);
        assert_eq!(passed, json!(false));
        assert!(note.as_str().unwrap().contains("not every node did its part"), "{note}");
    }
}

#[test]
fn records_of_a_trial_are_taken_while_it_goes_on_and_after_it_is_forgotten() {
    let town = strict();
    let (mut head, mut other) = in_a_trial(&town);
    let trial: RentalId = head.nodes[0]["rental"].as_str().unwrap().parse().unwrap();
    let span = Span::Rental(NodeRef { rental: trial, node: 0 });
    let number = |machine: &Machine| {
        (1..=2).find(|number| Machine::new(*number, "x").has_key_of(machine)).unwrap()
    };
    let [of_before] = records(number(&head), &head.worker, span, &[3]).try_into().unwrap();
    hand_over(&town, &head, &of_before).expect_problem(422, "record-refused");
    let begins = [now_ms() - 20_000, now_ms() - 10_000];
    let all = records_from(number(&head), &head.worker, span, &begins);
    hand_over(&town, &head, &all[0]).expect(200);
    leave(&town, &mut head, "{}");
    for machine in [&mut head, &mut other] {
        cleared(&town, machine);
    }
    hand_over(&town, &head, &all[1]).expect(200);
    let path = format!("/v1/workers/{}/time-lock", head.worker);
    let kept = town.get(&town.supplier, &path).expect(200).json()["items"].clone();
    let shown = |place: usize| (&kept[place]["rental"], &kept[place]["too_late_minutes"]);
    assert_eq!([shown(0), shown(1)], [(&json!(trial), &json!(0)); 2]);
    assert_eq!(kept[0].get("slash"), None, "there was no renter whom it would harm");

    let never = Span::Rental(NodeRef { rental: RentalId::from_bits(9), node: 0 });
    let [stranger] = records(number(&head), &head.worker, never, &[1]).try_into().unwrap();
    hand_over(&town, &head, &stranger).expect_problem(422, "record-refused");
}

#[test]
fn a_machine_comes_again_under_its_id_and_its_old_key_opens_nothing() {
    let town = strict();
    let old = town.machine(1, &a_machine(2));
    let invite = |by: &dyn crate::town::Caller| {
        town.post(by, "/v1/invites", &json!({ "replace": old.worker }))
    };
    invite(&town.renter).expect_problem(404, "not-found");
    let issued = invite(&town.supplier).expect(201).json();
    assert_eq!(issued["invite"]["replaces"], old.worker);
    let token = issued["token"].as_str().unwrap();
    // The same hardware with another key: as 1 it was set up with, as 2 it signs.
    let asked = join_request(token, 2, &a_machine(2));
    let joined = town.send(Ask::post("/v1/worker/join").json(&asked)).expect(201).json();
    assert_eq!(joined["worker"], old.worker);
    let again = town.send(Ask::post("/v1/worker/join").json(&asked)).expect(201).json();
    assert_eq!(again, joined, "joining twice is joining once");

    town.send(Ask::get("/v1/worker/wanted").by(&old)).expect_problem(401, "session-unknown");
    let stale = old.session_request(&old.challenge(&town.client));
    let problem = town.send(Ask::post("/v1/worker/session").json(&stale));
    let problem = problem.expect_problem(401, "unauthenticated");
    assert!(problem["hint"].as_str().unwrap().contains("newer folder"), "{problem}");
    let mut new = Machine::new(2, &old.worker);
    new.open_session(&town.client);
    new.beat(&town.client).expect(200);
    let used = town.send(Ask::post("/v1/worker/join").json(&join_request(token, 3, &a_machine(2))));
    used.expect_problem(409, "used");
}

#[test]
fn a_machine_can_ask_what_is_asked_of_it_before_it_joins() {
    let town = strict();
    let view = town.send(Ask::get("/v1/io-worker/requirements")).expect(200).json();
    assert_eq!(view["requirements"]["memory_mib"], 1);
    assert_eq!(view["requirements"]["trials"], 1);
    town.patch(&json!({ "onboarding": { "required": false } }));
    let view = town.send(Ask::get("/v1/io-worker/requirements")).expect(200).json();
    assert_eq!(view["requirements"]["trials"], 0);
}
