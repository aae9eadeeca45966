//! Policies and logs of private networks, checked by the binary alone.

use std::path::Path;

use ed25519_dalek::SigningKey;
use serde_json::Value;
use units::Timestamp;
use wire::Time;
use wire::audit::{
    AuditLog, End, FlowRecord, PathName, Record, Side, StreamRecord, Traffic, Verdict,
};
use wire::paper::{MeshKey, NodeKey};

use crate::program::{Home, Said, iog};

const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

fn run(home: &Home, arguments: &[&str]) -> Said {
    iog(home, &[], arguments)
}

/// The example beside the guide.
fn example() -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    std::fs::read_to_string(root.join("docs/examples/network/policy.hujson")).unwrap()
}

#[test]
fn the_example_of_the_guide_is_understood_and_its_tests_hold() {
    let home = Home::new("net-example");
    std::fs::write(home.0.join("policy.hujson"), example()).unwrap();
    let checked = run(&home, &["net", "policy", "check", "policy.hujson"]);
    assert_eq!((checked.code, checked.out.as_str()), (0, "understood: 4 grants, 3 tests\n"));
    let tested = run(&home, &["net", "policy", "test", "policy.hujson"]);
    assert_eq!((tested.code, tested.out.as_str()), (0, "3 tests hold\n"));
    let ask = |dst: &str, proto: &str| {
        let words = ["--src", "group:research", "--dst", dst, "--proto", proto];
        run(&home, &[&["net", "policy", "explain", "policy.hujson"], &words[..]].concat())
    };
    let allowed = ask("tag:head:8265", "tcp");
    assert_eq!(allowed.code, 0, "{}", allowed.err);
    assert!(allowed.err.contains("the grant of line 21 allows it"), "{}", allowed.err);
    let refused = ask("tag:gpu:8265", "tcp");
    assert_eq!(refused.code, 10);
    let expected = "grant  line  src  dst  ip\n    0    21  yes  no   yes\n";
    assert!(refused.out.starts_with(expected), "{}", refused.out);
    assert_eq!(ask("tag:gpu", "tcp").code, 2, "no port");
    assert_eq!(ask("tag:nobody:1", "tcp").code, 2);
}

#[test]
fn a_policy_that_does_not_do_says_where_and_why() {
    let home = Home::new("net-wrong");
    let check = |text: &str, verb: &str, code: i32, expected: &str| {
        std::fs::write(home.0.join("p.hujson"), text).unwrap();
        let said = run(&home, &["net", "policy", verb, "p.hujson"]);
        assert_eq!(said.code, code, "{}", said.err);
        assert!(format!("{}{}", said.out, said.err).contains(expected), "{}{}", said.out, said.err);
    };
    check("{\n  \"acls\": [],\n}", "check", 10, "p.hujson:2:3: there is no field `acls` here");
    check(
        "{\"grants\": [{]}",
        "test",
        10,
        "p.hujson:1:14: expected a name in quotes, or `}`, found `]`",
    );
    let failing = example().replace("\"tag:head:6379\"", "\"tag:router:6379\"");
    check(&failing, "check", 0, "understood");
    check(
        &failing,
        "test",
        10,
        "tag:gpu should reach tag:router:6379 by tcp, and no grant allows it",
    );
    check(&failing, "test", 10, "error: 1 target of 3 tests failed");
    assert_eq!(run(&home, &["net", "policy", "test", "missing"]).code, 2);
}

fn key() -> SigningKey {
    SigningKey::from_bytes(&[7; 32])
}

fn node() -> NodeKey {
    NodeKey(key().verifying_key().to_bytes())
}

fn flow(verdict: Verdict) -> Record {
    let traffic = Traffic { packets: 1, bytes: 50 };
    Record::Flow(FlowRecord {
        by: End::Source,
        start: Time(NOW),
        end: Time(NOW),
        source_key: MeshKey([1; 32]),
        target_key: MeshKey([2; 32]),
        protocol: 6,
        source: "100.64.0.1".parse().unwrap(),
        source_port: 4000,
        target: "100.64.0.2".parse().unwrap(),
        target_port: 22,
        forth: traffic,
        back: traffic,
        verdict,
        grant: None,
        line: None,
        policy: 1,
        path: PathName::Direct,
        part: 0,
    })
}

fn stream(side: Side, to_service: u64) -> Record {
    Record::Stream(StreamRecord {
        side,
        relay: NodeKey([8; 32]),
        node: NodeKey([9; 32]),
        worker: None,
        session: "0a".to_owned(),
        stream: 2,
        service: "ssh-1".to_owned(),
        visitor: "192.0.2.1:5".parse().unwrap(),
        subject: String::new(),
        opened: Time(NOW),
        closed: Time(NOW),
        to_service,
        to_visitor: 7,
        is_whole: true,
    })
}

/// Writes a log of these records.
fn log(home: &Home, name: &str, records: Vec<Record>) {
    let mut log = AuditLog::new(node());
    let mut lines: Vec<String> =
        records.into_iter().flat_map(|record| log.record(record, NOW)).collect();
    lines.extend(log.seal(&key(), NOW));
    std::fs::write(home.0.join(name), lines.join("\n") + "\n").unwrap();
}

#[test]
fn a_log_is_checked_exported_and_found_out_if_it_was_altered() {
    let home = Home::new("net-audit");
    log(
        &home,
        "a.jsonl",
        vec![flow(Verdict::Closed), flow(Verdict::Stopped), stream(Side::Node, 3)],
    );
    let verify =
        |more: &[&str]| run(&home, &[&["net", "audit", "verify", "a.jsonl"], more].concat());
    let verified = verify(&["--json"]);
    assert_eq!(verified.code, 0, "{}", verified.err);
    let figures: Value = serde_json::from_str(&verified.out).unwrap();
    assert_eq!(
        (&figures["records"], &figures["stopped"], &figures["bytes"]),
        (&3.into(), &1.into(), &110.into())
    );
    assert_eq!(verify(&["--node", &node().to_string()]).code, 0);
    assert_eq!(verify(&["--node", &"0".repeat(64)]).code, 10);
    let exported = run(&home, &["net", "audit", "export", "a.jsonl"]);
    let request: Value = serde_json::from_str(&exported.out).unwrap();
    let records = &request["resourceLogs"][0]["scopeLogs"][0]["logRecords"];
    assert_eq!(records.as_array().unwrap().len(), 3);
    let text = std::fs::read_to_string(home.0.join("a.jsonl")).unwrap();
    std::fs::write(home.0.join("a.jsonl"), text.replace("\"bytes\":50", "\"bytes\":51")).unwrap();
    let altered = verify(&[]);
    assert_eq!(altered.code, 10);
    assert!(altered.err.contains("a.jsonl: line 5: the seal does not fit"), "{}", altered.err);
}

const EQUAL: &str = "\
streams      1 equal, with 10 bytes
connections  0 equal, 0 with 0 bytes lost on their way, 0 open
";

#[test]
fn two_sides_of_streams_are_compared() {
    let home = Home::new("net-compare");
    log(&home, "relay.jsonl", vec![stream(Side::Relay, 3)]);
    log(&home, "node.jsonl", vec![stream(Side::Node, 3)]);
    log(&home, "liar.jsonl", vec![stream(Side::Node, 4)]);
    let compare = |node: &str| run(&home, &["net", "audit", "compare", "relay.jsonl", node]);
    let same = compare("node.jsonl");
    assert_eq!((same.code, same.out.as_str()), (0, EQUAL));
    let differ = compare("liar.jsonl");
    assert_eq!(differ.code, 10);
    assert!(differ.out.contains("the relay says 3 bytes to ssh-1"), "{}", differ.out);
}
