//! What becomes of a machine that lets a session expire: nobody is blamed, it waits, and is called again.

use std::time::Duration;

use serde_json::{Value, json};
use units::{Hour, MINUTE};

use super::{Liar, Lie, Wire, ask, processor, prove, say, small_rules};
use crate::killed::{Server, shown};
use crate::town::{
    Anonymous, Ask, Client, Folder, Machine, Operator, a_machine, eventually, open_doors,
    operator_of,
};
use proofs::Outcome;

fn patch(client: &Client, operator: &Operator, patch: &Value) {
    let asked = Ask::patch("/v1/network/parameters").json(&json!({ "patch": patch }));
    client.send(asked.by(operator)).expect(200);
}

/// What everyone may see of a machine's sessions, the newest first: what each came to, and why.
fn sessions(client: &Client, machine: &Machine) -> Vec<(String, String)> {
    let path = format!("/v1/io-blocks/devices/{}/pow", machine.worker);
    let all = client.send(Ask::get(&path).by(&Anonymous)).expect(200).json();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let of = |proof: &Value| (text(&proof["status"]), text(&proof["reason"]));
    all["items"].as_array().unwrap().iter().map(of).collect()
}

fn pair(status: &str, reason: &str) -> (String, String) {
    (status.to_owned(), reason.to_owned())
}

#[test]
fn a_session_that_expires_is_tried_again_after_its_wait_and_passes() {
    let folder = Folder::new();
    let mut server = Server::start(&folder, None);
    let client = Client::new(server.address);
    // Five minutes past a full hour: far from where the first call ends and the last begins.
    let now = shown(&client);
    server.leap(&client, Hour::of(now).end().after(MINUTE * 5).since(now));
    let operator = operator_of(folder.path());
    open_doors(&client, &operator);
    let sam = operator.open_account(&client, "sam");
    patch(&client, &operator, &small_rules());
    let few = json!({ "session_secs": 5, "classes": { "gpu-24": null, "gpu-80": null } });
    patch(&client, &operator, &json!({ "proofs": few }));
    let invite = client.send(Ask::post("/v1/invites").json(&json!({})).by(&sam)).expect(201).json();
    let mut machine = Machine::join(&client, invite["token"].as_str().unwrap(), 1, &a_machine(2));
    machine.open_session(&client);
    machine.beat(&client).expect(200);

    // It hears what to do, and nothing more is heard of it.
    let given = ask(&client, &machine, &processor(), 0).expect(200).body;
    let silent = vec![pair("inconclusive", "expired")];
    eventually("an expired session", || (sessions(&client, &machine) == silent).then_some(()));
    patch(&client, &operator, &json!({ "proofs": { "session_secs": 60 } }));
    say(&client, &machine, &given).expect_problem(409, "session-over");
    machine.beat(&client).expect(200);
    ask(&client, &machine, &processor(), 0).expect(204);

    // The first wait is a minute: a little before it is over there is nothing to do, and after it there is.
    server.leap(&client, Duration::from_secs(30));
    machine.beat(&client).expect(200);
    ask(&client, &machine, &processor(), 0).expect(204);
    server.leap(&client, Duration::from_secs(30));
    machine.beat(&client).expect(200);
    let again = ask(&client, &machine, &processor(), 20).expect(200).body;
    assert_ne!(again, given, "it is another challenge");
    let mut wire = Wire::new(&client, &machine);
    let verdict = prove(&mut wire, &again, 1, &mut Liar::new(Lie::Nothing));
    assert_eq!(verdict.outcome(), Outcome::Pass);
    assert_eq!(
        sessions(&client, &machine),
        [pair("pass", "none"), pair("inconclusive", "expired")]
    );
    machine.beat(&client).expect(200);
    ask(&client, &machine, &processor(), 0).expect(204);
    server.end();
}
