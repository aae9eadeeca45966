//! Proofs: what a verdict does to a machine, and what the log says of it.

use control::{Command, Noun, Refusal, SealedRecord};
use proofs::log::{Entry, Writer};
use proofs::{Judged, Matmul, Memory, Reason, Task};
use units::{BlobId, Timestamp};

use crate::town::{Town, worker};

const MATMUL: Task = Task::Matmul(Matmul {
    log_n: 9,
    rounds: 8,
    checked: 1,
    rows: 64,
    limit_ms: 20_000,
    answer_ms: 20_000,
});
const MEMORY: Task = Task::Memory(Memory {
    blocks: 64,
    mix: 8,
    log_walkers: 3,
    legs: 1,
    steps: 2,
    opened: 1,
    fill_ms: 1,
    walk_ms: 1,
    answer_ms: 1,
});

/// What the log says of a session of these outcomes.
fn entry(of: &str, session: u8, reasons: &[Reason]) -> Entry {
    Entry {
        session: [session; 16],
        worker: worker(of),
        card: [1; 32],
        hour: 500_000,
        sealed_ms: 1_800_000_000_000,
        transcript: BlobId::from_sha256([session; 32]),
        challenge: [2; 32],
        roots: [3; 32],
        openings: [4; 32],
        verifier: [5; 32],
        sigma: [6; 32],
        tasks: reasons.iter().map(|reason| Judged::ended(*reason)).collect(),
    }
}

fn sealed(of: &str, session: u8, reasons: &[Reason], at: Timestamp) -> Command {
    let tasks = [MATMUL, MEMORY][..reasons.len()].to_vec();
    let entry = entry(of, session, reasons);
    let (rental, fingerprint, slash) = (None, None, None);
    let proof = SealedRecord { at, cards: 1, tasks, entry, rental, fingerprint, slash };
    Command::SealProof { worker: worker(of), proof }
}

fn now(town: &Town) -> Timestamp {
    town.control.head().at
}

/// Whether the last proof was good, and how many tests of memory failed in a row.
fn standing(town: &Town) -> (Option<bool>, u32) {
    let checks = &town.control.worker(worker("m0")).unwrap().checks;
    (checks.work.map(|work| work.valid), checks.vram_failures)
}

/// What came of a session, and how the machine stands then.
type Step = (&'static [Reason], (Option<bool>, u32));

#[test]
fn a_verdict_counts_for_or_against_a_machine_and_what_is_inconclusive_does_not() {
    let steps: [Step; 7] = [
        (&[Reason::Expired], (None, 0)),
        (&[Reason::None], (Some(true), 0)),
        (&[Reason::None, Reason::Late], (Some(false), 1)),
        (&[Reason::None, Reason::Walk], (Some(false), 2)),
        (&[Reason::None, Reason::Answer], (Some(false), 2)),
        (&[Reason::Row, Reason::Skipped], (Some(false), 2)),
        (&[Reason::None, Reason::None], (Some(true), 0)),
    ];
    let mut town = Town::with(&[1]);
    for (number, (reasons, expected)) in (1..).zip(steps) {
        let at = now(&town);
        town.ok("clock", sealed("m0", number, reasons, at));
        assert_eq!(standing(&town), expected, "{reasons:?}");
        let last = town.control.worker(worker("m0")).unwrap().checks.last.clone().unwrap();
        assert_eq!((last.session, last.at), ([number; 16], at));
        town.minutes(5);
    }
}

#[test]
fn every_card_of_a_machine_has_to_pass_at_one_time() {
    let mut town = Town::with(&[2]);
    let at = now(&town);
    let mut card = |number: u8, reason: Reason, at: Timestamp| {
        let mut command = sealed("m0", number, &[reason], at);
        if let Command::SealProof { proof, .. } = &mut command {
            (proof.cards, proof.entry.card) = (2, [number; 32]);
        }
        town.ok("clock", command);
        standing(&town).0
    };
    assert_eq!(card(1, Reason::None, at), None);
    assert_eq!(card(1, Reason::None, at), None, "the same card twice is one card");
    assert_eq!(card(2, Reason::None, at), Some(true));
    let later = Timestamp::from_millis(at.millis() + 1);
    assert_eq!(card(1, Reason::None, later), Some(true), "the other is still at work");
    assert_eq!(card(2, Reason::Row, later), Some(false));
    assert_eq!(card(2, Reason::None, later), Some(false), "what was bad at a time stays bad");
}

#[test]
fn the_log_is_what_anybody_makes_of_its_entries() {
    let mut town = Town::with(&[1]);
    let mut own = Writer::default();
    for session in 1..=9 {
        let at = now(&town);
        town.ok("clock", sealed("m0", session, &[Reason::None], at));
        own.append(&entry("m0", session, &[Reason::None]));
        assert_eq!(town.control.economy().proofs.head(), own.head());
    }
    assert_eq!(own.head().size, 9);
}

#[test]
fn only_the_verifier_seals_and_only_what_belongs_together() {
    let mut town = Town::with(&[1, 1]);
    let at = now(&town);
    for who in ["op", "sue", "m0"] {
        let refused = town.tell(who, sealed("m0", 1, &[Reason::None], at));
        assert!(matches!(refused, Err(Refusal::Forbidden(_))), "{who}: {refused:?}");
    }
    let mut foreign = sealed("m0", 1, &[Reason::None], at);
    if let Command::SealProof { proof, .. } = &mut foreign {
        proof.entry.worker = worker("m1");
    }
    let mut torn = sealed("m0", 1, &[Reason::None], at);
    if let Command::SealProof { proof, .. } = &mut torn {
        proof.tasks.push(MEMORY);
    }
    for wrong in [foreign, torn] {
        let refused = town.tell("clock", wrong);
        assert!(matches!(refused, Err(Refusal::Invalid { .. })), "{refused:?}");
    }
    let stranger = town.tell("clock", sealed("nobody", 1, &[Reason::None], at));
    assert_eq!(stranger, Err(Refusal::NotFound(Noun::Worker)));
    assert_eq!(town.control.economy().proofs.head().size, 0);
}
