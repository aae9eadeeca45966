//! Bytes of strangers: the committed corpus, run through the entry functions that the fuzzer runs.
//!
//! The corpus is what [`made`] makes, to the byte. After a change of a format:
//! `IOG_WRITE=1 cargo test -p proofs the_corpus`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use ed25519_dalek::Signer;
use proofs::lock::{
    Card, Effect, Machine, NodeRef, Owner, Process, Reading, Sample, Span, Subject, Watch,
};
use proofs::log::{Entry, Writer, inclusion};
use proofs::message::Message;
use proofs::{Matmul, Memory, Reason, Task};
use units::{RentalId, Timestamp, WorkerId};

use crate::inputs::{Inputs, committed, must_be, run};
use crate::mutate::{Chance, mutated};
use crate::plain::Plain;
use crate::strangers as entry;
use crate::table::{MATMUL, MEMORY, PUZZLE, Table, prover_key};

/// All of it, in a checkout.
const CORPUS_BYTES_MAX: usize = 300 << 10;
/// KiB by which the most memory that these tests ever have in use may grow over the corpus.
const ROOM_MAX_KIB: u64 = 64 << 10;
/// Inputs that are changed by chance for each entry function in an ordinary test.
const CHANGED: usize = 100;
type EntryFunction = (&'static str, fn(&[u8]));
/// All of them.
const ENTRIES: [EntryFunction; 9] = [
    ("message", entry::message),
    ("transcript", entry::transcript),
    ("signed", entry::signed),
    ("entry", entry::entry),
    ("walks", entry::walks),
    ("rows", entry::rows),
    ("reference", entry::reference),
    ("record", entry::record),
    ("tree", entry::tree),
];

fn folder() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/corpus"))
}

fn played(tasks: &[Task]) -> Vec<u8> {
    let mut table = Table::new(tasks);
    table.play(&mut Plain::default()).unwrap();
    table.verifier.transcript()
}

fn stranger() -> Process {
    Process {
        pid: 4242,
        started: 9,
        name: "miner".to_owned(),
        program: "/opt/miner".to_owned(),
        place: "/user.slice".to_owned(),
        owner: Owner::Foreign,
        memory_mib: 512,
    }
}

/// An hour's record, with somebody on a card that a renter has.
fn record() -> Vec<u8> {
    let key = prover_key();
    let machine = Machine {
        key: key.verifying_key().to_bytes(),
        worker: WorkerId::from_bits(3),
        agent: 900,
        stop_foreign: true,
    };
    let span = Span::Rental(NodeRef { rental: RentalId::from_bits(5), node: 0 });
    let subjects = [Subject { span, cards: vec![[1; 32]] }];
    let mut watch = Watch::new(machine, BTreeMap::new());
    let sign = |digest: &[u8; 32]| key.sign(digest).to_bytes();
    for second in 0..200 {
        let processes = if second < 60 { Vec::new() } else { vec![stranger()] };
        let reading =
            Reading { busy_pct: Some(4), processes: Some(processes), ..Reading::default() };
        let sample = Sample {
            at: Timestamp::from_millis(490_000 * 3_600_000 + second * 1000),
            steady_ms: second * 1000,
            cpu_pct: 3,
            nodes_cpu_pct: 0,
            proving: false,
            cards: vec![Card { card: [1; 32], reading: Some(reading) }],
        };
        watch.on_sample(&sample, &subjects, &sign);
    }
    watch.on_end(&sign);
    let effects = std::iter::from_fn(|| watch.next_effect());
    let sealed = effects.filter_map(|effect| match effect {
        Effect::Sealed { sealed, .. } => Some(sealed.bytes),
        Effect::Name { .. }
        | Effect::Gone { .. }
        | Effect::Stop { .. }
        | Effect::Disturbed(_)
        | Effect::Keep { .. } => None,
    });
    sealed.last().unwrap()
}

/// Inputs of [`entry::tree`]: a path of inclusion as it is.
fn path(entry: &Entry) -> Vec<u8> {
    let (mut writer, mut stored) = (Writer::default(), Vec::new());
    (0..7).for_each(|_| stored.extend(writer.append(entry).1));
    let kept = |height, index| {
        let found = stored.iter().find(|full| (full.height, full.index) == (height, index));
        found.map(|full| full.hash)
    };
    let head = writer.head();
    let mut bytes = [4_u64.to_le_bytes(), head.size.to_le_bytes()].concat();
    bytes.extend([0; 32]);
    bytes.extend(head.root.sha256());
    inclusion(4, head.size, &kept).unwrap().iter().for_each(|hash| bytes.extend(hash.sha256()));
    bytes
}

/// What is right, by name.
fn right() -> Inputs {
    let matmul = Task::Matmul(Matmul { rounds: 2, checked: 1, rows: 2, ..MATMUL });
    let memory = Task::Memory(Memory { steps: 2, opened: 2, ..MEMORY });
    let mut stopped = Table::new(&[PUZZLE]);
    stopped.verifier.stop(Reason::Expired).unwrap();
    let all = played(&[PUZZLE, matmul, memory]);
    let record_entry = Entry::of(&all, 7).unwrap();
    let mut right = BTreeMap::from([
        ("stopped".to_owned(), stopped.verifier.transcript()),
        ("puzzle".to_owned(), played(&[PUZZLE])),
        ("memory".to_owned(), played(&[memory])),
        ("all".to_owned(), all.clone()),
        ("entry".to_owned(), record_entry.bytes()),
        ("record".to_owned(), record()),
        ("path".to_owned(), path(&record_entry)),
        ("walks".to_owned(), [vec![9, 0, 0, 0, 0], vec![3; 128]].concat()),
        ("rows".to_owned(), vec![7; 33 + 8 * (4 * 256 + 8 * 32)]),
    ]);
    let (mut left, mut number) = (&all[..], 0);
    while let Ok((_, rest)) = Message::split(left) {
        right.insert(format!("message-{number:02}"), left[..left.len() - rest.len()].to_vec());
        (left, number) = (rest, number + 1);
    }
    right
}

/// The corpus: what is right, the same cut off, and the same changed by chance.
fn made() -> Inputs {
    let right = right();
    let mut made = right.clone();
    for (seed, (name, bytes)) in (1..).zip(&right) {
        let mut chance = Chance(seed);
        let at = chance.below(bytes.len());
        made.insert(format!("{name}.cut"), bytes[..at].to_vec());
        // A length that lies: a message's where there is one.
        let mut lie = bytes.clone();
        let place = 71.min(lie.len() - 1);
        lie[place] ^= 0xff;
        made.insert(format!("{name}.lie"), lie);
        made.insert(format!("{name}.chance"), mutated(bytes, &right["all"], &mut chance));
    }
    made
}

#[test]
fn the_corpus_is_what_its_generator_makes() {
    // Records are young: those of an older format stay what strangers may send.
    must_be(&folder(), &made(), CORPUS_BYTES_MAX, |name| name.starts_with("record"));
}

#[test]
fn no_bytes_of_strangers_make_a_reader_panic_or_take_much_room() {
    let committed = committed(&folder());
    let before = most_in_use_kib();
    let mut chance = Chance(2);
    for (name, entry) in ENTRIES {
        run(&committed, CHANGED, &mut chance, entry);
        let grown = most_in_use_kib() - before;
        assert!(grown <= ROOM_MAX_KIB, "{name}: {grown} KiB more");
    }
}

/// The most memory that this process ever had in use.
fn most_in_use_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}
