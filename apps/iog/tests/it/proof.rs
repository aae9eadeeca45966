//! Proofs made and checked by the binary alone.

use std::io::{Read, Write};
use std::process::{Command, Stdio};

use proofs::Device;
use proofs::matmul::Seeds;
use prover::cpu::Processor;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::program::{Home, Said, iog};

fn run(home: &Home, arguments: &[&str]) -> Said {
    iog(home, &[], arguments)
}

#[test]
fn what_is_proved_here_is_checked_anywhere_and_what_was_altered_is_not() {
    let home = Home::new("proof");
    let prove = [
        "proof",
        "prove",
        "--device",
        "cpu",
        "--n",
        "256",
        "--rounds",
        "2",
        "--memory-mib",
        "1",
        "--puzzle-bits",
        "4",
        "--out",
        "a.iogproof",
        "--json",
    ];
    let made = run(&home, &prove);
    assert_eq!(made.code, 0, "{}", made.err);
    let made: Value = serde_json::from_str(&made.out).unwrap();
    assert_eq!(made["outcome"], "pass");
    let kinds: Vec<&str> =
        made["tasks"].as_array().unwrap().iter().filter_map(|it| it["task"].as_str()).collect();
    assert_eq!(kinds, ["puzzle", "matmul", "memory"]);

    let checked = run(&home, &["proof", "verify", "a.iogproof", "--json"]);
    assert_eq!(checked.code, 0, "{}", checked.err);
    let checked: Value = serde_json::from_str(&checked.out).unwrap();
    assert_eq!(checked["tasks"], made["tasks"]);
    let key = checked["verifier"].as_str().unwrap();
    assert_eq!(run(&home, &["proof", "verify", "a.iogproof", "--key", key]).code, 0);

    let stranger = "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c";
    let other = run(&home, &["proof", "verify", "a.iogproof", "--key", stranger]);
    assert_eq!((other.code, other.err.contains("another key verified")), (10, true));

    let file = home.0.join("a.iogproof");
    let whole = std::fs::read(&file).unwrap();
    for at in [4, 100, whole.len() / 2, whole.len() - 1] {
        let mut altered = whole.clone();
        altered[at] ^= 4;
        std::fs::write(&file, altered).unwrap();
        let refused = run(&home, &["proof", "verify", "a.iogproof"]);
        let says_so = refused.err.contains("the transcript does not hold");
        assert_eq!((refused.code, says_so), (10, true), "byte {at}: {}", refused.err);
    }
}

#[test]
fn what_cannot_be_proved_is_said_before_it_is_tried() {
    let home = Home::new("proof-wrong");
    let check = |arguments: &[&str], code, said: &str| {
        let Said { code: found, err, .. } = run(&home, arguments);
        assert_eq!((found, err.contains(said)), (code, true), "{arguments:?}: {err}");
    };
    check(&["proof", "prove", "--n", "1000"], 2, "no power of two");
    check(&["proof", "prove", "--n", "128"], 2, "--n 128");
    check(&["proof", "prove", "--n", "256", "--rows", "257"], 2, "rows");
    check(&["proof", "prove", "--device", "gpu"], 2, "gpu");
    check(&["proof", "prove", "--device", "cuda:99"], 10, "cannot prove");
    check(&["proof", "verify", "nowhere"], 2, "nowhere");
    check(&["proof", "verify", "nowhere", "--key", "5"], 2, "--key has not 32 bytes");
}

#[test]
fn what_can_prove_here_is_listed_and_the_processor_always_can() {
    let home = Home::new("proof-devices");
    let found = run(&home, &["proof", "devices", "--json"]);
    let found: Value = serde_json::from_str(&found.out).unwrap();
    let devices = found.as_array().unwrap();
    assert!(devices.iter().any(|device| device["device"] == "cpu"), "{found}");
}

/// What the agent's process in a node answers to these questions, as the agent asks them.
fn in_node(questions: &[Value]) -> Vec<(u8, Vec<u8>)> {
    let mut child = Command::new(env!("CARGO_BIN_EXE_iog"))
        .args(["worker", "prove-in-node"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut to, mut from) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let mut say = |what: &Value| {
        let text = what.to_string();
        let length = u32::try_from(text.len()).unwrap();
        to.write_all(&[&length.to_le_bytes(), text.as_bytes()].concat()).unwrap();
    };
    let card = data_encoding::HEXLOWER.encode(&Sha256::digest("cpu"));
    say(&json!({ "way": { "first": null, "user": null }, "card": card, "threads": 1 }));
    let mut answers = Vec::new();
    for question in questions {
        say(question);
        let mut head = [0; 5];
        from.read_exact(&mut head).unwrap();
        let [kind, length @ ..] = head;
        let mut bytes = vec![0; u32::from_le_bytes(length).try_into().unwrap()];
        from.read_exact(&mut bytes).unwrap();
        answers.push((kind, bytes));
    }
    drop(to);
    assert!(child.wait().unwrap().success(), "it ends when nobody asks any more");
    answers
}

#[test]
fn what_proves_in_a_node_computes_what_any_device_does() {
    let matmul = json!({
        "log_n": 8, "rounds": 1, "checked": 1, "rows": 1, "limit_ms": 1, "answer_ms": 1,
    });
    let seed = [7_u8; 32];
    let seeds = json!({ "left": seed, "right": seed });
    let multiply = json!({ "Multiply": { "seeds": seeds, "log_n": 8, "round": 0 } });
    let rows = json!({ "Rows": { "seeds": seeds, "log_n": 8, "rows": [3, 200] } });
    let answers = in_node(&[json!({ "Prepare": [{ "matmul": matmul }] }), multiply, rows]);
    let mut device = Processor::default();
    let leaves = device.multiply(&Seeds::first(seed), 8, 0).unwrap().into_flattened();
    let entries = device.rows(&Seeds::first(seed), 8, &[3, 200]).unwrap();
    let entries: Vec<u8> = entries.into_iter().flat_map(i32::to_le_bytes).collect();
    assert_eq!(answers, [(0, Vec::new()), (0, leaves), (0, entries)]);
}
