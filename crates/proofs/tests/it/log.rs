//! Sessions in the log: the entry says what the transcript says.

use proofs::log::{Entry, NoEntry, Writer, inclusion, verify};
use proofs::message::{Body, Message};
use proofs::transcript::recheck;
use proofs::{Outcome, Task};

use crate::plain::Plain;
use crate::table::{MATMUL, MEMORY, PUZZLE, Table, verifier_key};

fn played() -> Vec<u8> {
    let mut table = Table::new(&[PUZZLE, Task::Matmul(MATMUL), Task::Memory(MEMORY)]);
    table.play(&mut Plain::default()).expect("an honest prover comes to a verdict");
    table.verifier.transcript()
}

#[test]
fn an_entry_says_of_a_session_what_its_transcript_says() {
    let bytes = played();
    let report = recheck(&bytes, None).unwrap();
    let entry = Entry::of(&bytes, 7).unwrap();
    assert_eq!(entry.session, report.session);
    assert_eq!((entry.worker, entry.card), (report.challenge.worker, report.challenge.card));
    assert_eq!((entry.hour, entry.sealed_ms), (report.challenge.hour, 7));
    assert_eq!(entry.sigma, report.verdict.sigma);
    assert_eq!(entry.tasks, report.verdict.tasks);
    assert!(entry.tasks.iter().all(|task| task.outcome() == Outcome::Pass));
    assert_eq!(entry.verifier, verifier_key().verifying_key().to_bytes());
    assert_eq!(Entry::read(&entry.bytes()), Ok(entry));
}

#[test]
fn roots_and_openings_are_hashed_as_the_page_says() {
    let bytes = played();
    let (mut roots, mut openings) = (Vec::new(), Vec::new());
    let mut left = &bytes[..];
    while !left.is_empty() {
        let (message, rest) = Message::split(left).unwrap();
        if let Body::Root { root, .. } = message.body {
            roots.extend(root);
        }
        if let Body::Openings { bytes, .. } = message.body {
            openings.extend(bytes);
        }
        left = rest;
    }
    let entry = Entry::of(&bytes, 0).unwrap();
    assert_eq!(entry.roots, *blake3::hash(&roots).as_bytes());
    assert_eq!(entry.openings, *blake3::hash(&openings).as_bytes());
}

#[test]
fn a_transcript_without_its_verdict_has_no_entry_and_a_whole_one_is_proven() {
    let bytes = played();
    let (first, _) = Message::split(&bytes).unwrap();
    assert!(matches!(first.body, Body::Challenge(_)));
    let length = bytes.len() - Message::split(&bytes).unwrap().1.len();
    assert_eq!(Entry::of(&bytes[..length], 0), Err(NoEntry::Torn));
    assert_eq!(Entry::of(&bytes[length..], 0), Err(NoEntry::Torn));

    let (mut writer, entry) = (Writer::default(), Entry::of(&bytes, 0).unwrap());
    let (place, stored) = writer.append(&entry);
    let kept = |height, index| {
        let found = stored.iter().find(|full| (full.height, full.index) == (height, index));
        found.map(|full| full.hash)
    };
    let head = writer.head();
    let path = inclusion(place, head.size, &kept).unwrap();
    assert!(verify(&entry.bytes(), place, head.size, &path, head.root));
}
