//! The page and this crate agree: a verifier in plain Python, written from the page alone, accepts what
//! [`recheck`] accepts, and refuses what it refuses.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use ed25519_dalek::{Signer, SigningKey};
use proofs::log::{Entry, Writer, inclusion};
use proofs::session::{Channel, Prover, Reply};
use proofs::transcript::recheck;
use proofs::{Device, Matmul, Memory, Reason, Task, matmul};

use crate::cheats::Bent;
use crate::plain::Plain;
use crate::table::{MATMUL, MEMORY, PUZZLE, Table, prover_key, verifier_key};

/// Reads transcripts, each after its length, and says of each in one line whether it holds.
const DRIVER: &str = r#"
import struct, sys, verify
data, at = sys.stdin.buffer.read(), 0
while at < len(data):
    (length,) = struct.unpack_from("<I", data, at)
    at += 4 + length
    try:
        verify.checked(data[at - length : at], bytes(range(32)))
        print("holds")
    except verify.Refused as refused:
        print("refused:", refused)
"#;

/// Small enough for an interpreter: products with rounds that are not checked, walks with legs that are not.
const SMALL: [Task; 3] = [
    PUZZLE,
    Task::Matmul(Matmul { rows: 4, ..MATMUL }),
    Task::Memory(Memory { opened: 2, ..MEMORY }),
];

fn folder() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/examples/proofs"))
}

/// What Python says of each transcript.
fn python(transcripts: &[Vec<u8>]) -> Vec<String> {
    let mut child = Command::new("python3")
        .args(["-c", DRIVER])
        .env("PYTHONPATH", folder())
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("PYTHONIOENCODING", "utf-8")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python3 is installed");
    let mut stdin = child.stdin.take().unwrap();
    for transcript in transcripts {
        stdin.write_all(&u32::try_from(transcript.len()).unwrap().to_le_bytes()).unwrap();
        stdin.write_all(transcript).unwrap();
    }
    drop(stdin);
    let out = child.wait_with_output().unwrap();
    assert!(out.status.success(), "the verifier in Python fell over");
    String::from_utf8(out.stdout).unwrap().lines().map(str::to_owned).collect()
}

/// Both say the same of all of these: how many hold.
fn agree(cases: &[(String, Vec<u8>)]) -> usize {
    let transcripts: Vec<Vec<u8>> = cases.iter().map(|(_, bytes)| bytes.clone()).collect();
    let said = python(&transcripts);
    assert_eq!(said.len(), cases.len());
    let mut odd = String::new();
    let mut holding = 0;
    for ((name, bytes), said) in cases.iter().zip(said) {
        let own = recheck(bytes, Some([5; 32]));
        holding += usize::from(own.is_ok());
        if own.is_ok() != (said == "holds") {
            let own = own.map(|report| report.verdict.reason());
            writeln!(odd, "{name}: {own:?} here, and in Python {said}").unwrap();
        }
    }
    assert!(odd.is_empty(), "they disagree:\n{odd}");
    holding
}

fn played(table: &mut Table, device: &mut dyn Device) -> Vec<u8> {
    table.play(device).unwrap();
    table.verifier.transcript()
}

/// A table whose verifier stops after so many messages of the prover.
struct Cut {
    table: Table,
    left: usize,
    reason: Reason,
}

impl Channel for Cut {
    fn tell(&mut self, message: &[u8]) -> Result<Option<Vec<u8>>, String> {
        if self.left == 0 {
            self.table.verifier.stop(self.reason);
            return Err("it has stopped".to_owned());
        }
        self.left -= 1;
        self.table.tell(message)
    }

    fn send(&mut self, message: &[u8]) -> Result<(), String> {
        self.tell(message).map(|_| ())
    }
}

fn prove(table: &Table, device: &mut dyn Device, channel: &mut dyn Channel) {
    let (challenge, key) = (table.verifier.challenge(), prover_key());
    let prover = Prover::new(&challenge, verifier_key().verifying_key(), &key, [3; 32]).unwrap();
    drop(prover.prove(device, channel));
}

fn cut_after(count: usize, reason: Reason) -> Vec<u8> {
    let mut cut = Cut { table: Table::new(&SMALL), left: count, reason };
    let prover = Table::new(&SMALL);
    prove(&prover, &mut Plain::default(), &mut cut);
    cut.table.verifier.transcript()
}

/// A verifier that has no room for judging, and stops while the openings lie before it.
struct NoRoom(Table);

impl Channel for NoRoom {
    fn tell(&mut self, message: &[u8]) -> Result<Option<Vec<u8>>, String> {
        self.0.now_us += 300;
        match self.0.verifier.hear(message.into(), self.0.now_us).unwrap() {
            Reply::Judge(_) => {
                self.0.verifier.stop(Reason::Verifier);
                Err("there is no room".to_owned())
            }
            Reply::Wait => Ok(None),
            Reply::Say(message) | Reply::Sealed(message, _) => Ok(Some(message.to_vec())),
        }
    }

    fn send(&mut self, message: &[u8]) -> Result<(), String> {
        self.tell(message).map(|_| ())
    }
}

fn without_room(tasks: &[Task]) -> Vec<u8> {
    let (mut channel, prover) = (NoRoom(Table::new(tasks)), Table::new(tasks));
    prove(&prover, &mut Plain::default(), &mut channel);
    channel.0.verifier.transcript()
}

#[test]
fn both_accept_every_way_a_session_can_go() {
    let mut cases =
        vec![("pass".to_owned(), played(&mut Table::new(&SMALL), &mut Plain::default()))];
    for (name, way_us, tasks) in [
        ("a slow product", 600_000, &SMALL[1..]),
        ("late openings, or a slow walk", 501_000, &SMALL[2..]),
        ("a late fill", 1_001_000, &SMALL[2..]),
        ("a puzzle at its limit", 1_000_000, &SMALL[..1]),
    ] {
        // The shortest ping takes no time, so nothing is taken off.
        let mut table = Table::new(tasks);
        (table.way_us, table.quick) = (way_us, 2);
        cases.push((name.to_owned(), played(&mut table, &mut Plain::default())));
    }
    let mut far = Table::new(&SMALL[1..]);
    far.way_us = 400_000;
    cases.push((
        "pings longer than what is taken off".to_owned(),
        played(&mut far, &mut Plain::default()),
    ));
    for (at, task) in SMALL.iter().enumerate() {
        let mut bent = Bent(|rows| rows.iter_mut().flatten().for_each(|entry| *entry ^= 1));
        let bytes = played(&mut Table::new(&[*task, PUZZLE]), &mut bent);
        cases.push((format!("wrong at {at}"), bytes));
        cases.push((format!("no room for {at}"), without_room(&[*task, PUZZLE])));
    }
    for count in 0..13 {
        for reason in [Reason::Expired, Reason::Verifier] {
            cases.push((format!("stopped after {count}: {reason}"), cut_after(count, reason)));
        }
    }
    for held_us in [Some(0), Some(20_000_000), None] {
        let mut table = Table::in_barrier(&SMALL, held_us);
        cases
            .push((format!("a barrier of {held_us:?}"), played(&mut table, &mut Plain::default())));
    }
    cases.push(("unable".to_owned(), played(&mut Table::new(&SMALL), &mut Unable(0))));
    cases.push(("unable later".to_owned(), played(&mut Table::new(&SMALL), &mut Unable(1))));
    assert_eq!(agree(&cases), cases.len());
}

/// A device that does not start, or that breaks at its first product.
struct Unable(usize);

impl Device for Unable {
    fn name(&self) -> String {
        "broken".to_owned()
    }

    fn prepare(&mut self, _: &[Task]) -> Result<(), proofs::DeviceFault> {
        if self.0 == 0 {
            Err(proofs::DeviceFault::Driver("µ is broken".to_owned()))
        } else {
            Ok(())
        }
    }

    fn solve(
        &mut self,
        seed: &[u8; 32],
        puzzle: &proofs::Puzzle,
    ) -> Result<Vec<u64>, proofs::DeviceFault> {
        Plain::default().solve(seed, puzzle)
    }

    fn multiply(
        &mut self,
        _: &matmul::Seeds,
        _: u8,
        _: u16,
    ) -> Result<Vec<[u8; 32]>, proofs::DeviceFault> {
        Err(proofs::DeviceFault::Driver("out of memory".to_owned()))
    }

    fn rows(
        &mut self,
        _: &matmul::Seeds,
        _: u8,
        _: &[u32],
    ) -> Result<Vec<i32>, proofs::DeviceFault> {
        Ok(Vec::new())
    }

    fn fill(&mut self, _: &[u8; 32], _: &Memory) -> Result<(), proofs::DeviceFault> {
        Ok(())
    }

    fn walk(&mut self, _: &[u8; 32], _: &Memory) -> Result<Vec<[u32; 32]>, proofs::DeviceFault> {
        Ok(Vec::new())
    }
}

/// The messages of a transcript, as kind and body, by the page's framing.
fn bodies(mut bytes: &[u8]) -> Vec<(u8, Vec<u8>)> {
    let mut all = Vec::new();
    while !bytes.is_empty() {
        let length = u32::from_le_bytes(bytes[68..72].try_into().unwrap());
        let length = usize::try_from(length).unwrap();
        all.push((bytes[5], bytes[72..72 + length].to_vec()));
        bytes = &bytes[72 + length + 64..];
    }
    all
}

/// A transcript of these bodies, framed, chained, and signed by whoever should.
fn framed(bytes: &[u8], bodies: &[(u8, Vec<u8>)]) -> Vec<u8> {
    let (mut out, mut previous) = (Vec::new(), [0; 32]);
    for (counter, (kind, body)) in (0_u32..).zip(bodies) {
        let mut message = [b"IOGP", &[1, *kind, 0, 0][..], &bytes[8..24]].concat();
        message.extend(counter.to_le_bytes());
        message.extend(&bytes[28..36]);
        message.extend(previous);
        message.extend(u32::try_from(body.len()).unwrap().to_le_bytes());
        message.extend(body);
        let digest = blake3::derive_key("iog proof 1 message", &message);
        let is_verifiers = [1, 3, 5, 8, 11, 12].contains(kind);
        let key: SigningKey = if is_verifiers { verifier_key() } else { prover_key() };
        let signature = key.sign(&digest).to_bytes();
        previous = *blake3::hash(&[&digest[..], &signature].concat()).as_bytes();
        out.extend(message);
        out.extend(signature);
    }
    out
}

/// Where a liar turns a bit: spread over a body, the same in every run.
fn places(length: usize, count: usize) -> impl Iterator<Item = usize> {
    (0..count).map(move |nth| (nth * 7919 + length / 3) % length.max(1))
}

#[test]
fn both_refuse_what_was_touched_and_signed_again() {
    let bytes = played(&mut Table::new(&SMALL), &mut Plain::default());
    let all = bodies(&bytes);
    assert_eq!(framed(&bytes, &all), bytes);
    let mut cases = Vec::new();
    for (number, (kind, body)) in all.iter().enumerate() {
        // The verdict says most, and what is wrong with it is cheap to find.
        for at in places(body.len(), if *kind == 12 { 20 } else { 1 }) {
            let mut touched = all.clone();
            touched[number].1[at] ^= 1 << (at % 8);
            cases.push((
                format!("message {number} of kind {kind}, byte {at}"),
                framed(&bytes, &touched),
            ));
        }
        let mut missing = all.clone();
        missing.remove(number);
        cases.push((format!("message {number} is missing"), framed(&bytes, &missing)));
        let mut short = all.clone();
        short[number].1.pop();
        cases.push((format!("message {number} is short"), framed(&bytes, &short)));
    }
    assert_eq!(agree(&cases), 0);
}

/// The results in a verdict's body: where they begin, and how long each is.
const RESULTS: (usize, usize) = (41, 19);

#[test]
fn both_expose_a_verifier_that_lies_in_its_verdict() {
    let bytes = played(&mut Table::new(&SMALL[1..]), &mut Plain::default());
    let all = bodies(&bytes);
    let codes = [
        (1_u8, 0_u8),
        (2, 1),
        (4, 2),
        (3, 3),
        (3, 4),
        (3, 5),
        (3, 6),
        (4, 7),
        (4, 8),
        (4, 9),
        (4, 10),
        (1, 1),
    ];
    let mut cases = Vec::new();
    for task in 0..2 {
        for (outcome, reason) in codes {
            let mut lie = all.clone();
            let at = RESULTS.0 + task * RESULTS.1;
            let verdict = &mut lie.last_mut().unwrap().1;
            (verdict[at], verdict[at + 1]) = (outcome, reason);
            cases.push((format!("task {task} ended with {reason}"), framed(&bytes, &lie)));
        }
    }
    // Two are the truth. The last task's openings may lie unjudged, for want of room; those of the first may not, since
    // the second was started.
    assert_eq!(agree(&cases), 3);
}

#[test]
fn both_refuse_any_bit_that_is_flipped() {
    let bytes = played(&mut Table::new(&[PUZZLE]), &mut Plain::default());
    let touched = places(bytes.len(), 60).map(|at| {
        let mut touched = bytes.clone();
        touched[at] ^= 1 << (at % 8);
        (format!("byte {at}"), touched)
    });
    let cuts =
        [0, 1, 71, 72, bytes.len() - 1].map(|at| (format!("cut at {at}"), bytes[..at].to_vec()));
    let longer = ("one more".to_owned(), [bytes.clone(), vec![0]].concat());
    let cases: Vec<_> = touched.chain(cuts).chain([longer]).collect();
    assert_eq!(agree(&cases), 0);
}

/// What the server gives for a proof, as far as the log is concerned.
fn in_log(entry: &Entry, before: u64, after: u64) -> serde_json::Value {
    let (mut writer, mut stored) = (Writer::default(), Vec::new());
    let mut index = 0;
    for number in 0..=before + after {
        let is_it = number == before;
        let (place, full) =
            writer.append(&Entry { hour: entry.hour + number - before, ..entry.clone() });
        stored.extend(full);
        index = if is_it { place } else { index };
    }
    let kept = |height, index| {
        let found = stored.iter().find(|full| (full.height, full.index) == (height, index));
        found.map(|full| full.hash)
    };
    let head = writer.head();
    let key = verifier_key();
    serde_json::json!({
        "proof": { "index": index },
        "entry": entry,
        "head": {
            "size": head.size,
            "root": head.root,
            "signature": format!("{:x}", key.sign(&head.digest())),
            "public_key": data_encoding::HEXLOWER.encode(key.verifying_key().as_bytes()),
        },
        "path": inclusion(index, head.size, &kept).unwrap(),
    })
}

#[test]
fn the_program_says_by_its_exit_code_whether_a_proof_holds_and_is_in_the_log() {
    let bytes = played(&mut Table::new(&[PUZZLE]), &mut Plain::default());
    let entry = Entry::of(&bytes, 1_700_000_000_000).unwrap();
    let folder = std::env::temp_dir().join(format!("iog-proofs-python-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let (transcript, proof) = (folder.join("x.iogproof"), folder.join("proof.json"));
    std::fs::write(&transcript, &bytes).unwrap();
    let run = |shown: &serde_json::Value| {
        std::fs::write(&proof, shown.to_string()).unwrap();
        let program = self::folder().join("verify.py");
        let args =
            [program.as_os_str(), transcript.as_os_str(), "--proof".as_ref(), proof.as_os_str()];
        let out =
            Command::new("python3").args(args).env("PYTHONIOENCODING", "utf-8").output().unwrap();
        (out.status.code(), String::from_utf8(out.stderr).unwrap())
    };
    for (before, after) in [(0, 0), (3, 0), (2, 4)] {
        assert_eq!(
            run(&in_log(&entry, before, after)),
            (Some(0), String::new()),
            "{before}, {after}"
        );
    }
    let right = in_log(&entry, 2, 4);
    for (field, wrong) in [
        ("/proof/index", serde_json::json!(3)),
        ("/head/size", serde_json::json!(8)),
        ("/head/signature", serde_json::json!("00".repeat(64))),
        ("/path", serde_json::json!([])),
        ("/entry", serde_json::json!(Entry { hour: 1, ..entry })),
    ] {
        let mut shown = right.clone();
        *shown.pointer_mut(field).unwrap() = wrong;
        let (code, why) = run(&shown);
        assert_eq!(code, Some(10), "{field}: {why}");
        assert!(why.starts_with("refused: "), "{field}: {why}");
    }
    std::fs::remove_dir_all(&folder).unwrap();
}
