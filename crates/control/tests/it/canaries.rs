//! What a renter's own check of a rented machine does to the rental, and to nothing else.

use control::{Command, Control, SealedRecord};
use proofs::log::Entry;
use proofs::{Judged, Puzzle, Reason, Task};
use units::BlobId;

use crate::town::{Town, rental, worker};

/// What came of a card's session in a rental.
fn canary(town: &Town, of: &str, rented: Option<&str>, card: u8, reason: Reason) -> Command {
    let now = town.control.head().at;
    let entry = Entry {
        session: [card; 16],
        worker: worker(of),
        card: [card; 32],
        hour: 500_000,
        sealed_ms: now.millis(),
        transcript: BlobId::from_sha256([9; 32]),
        challenge: [2; 32],
        roots: [3; 32],
        openings: [4; 32],
        verifier: [5; 32],
        sigma: [6; 32],
        tasks: vec![Judged::ended(reason)],
    };
    let tasks = vec![Task::Puzzle(Puzzle { bits: 1, count: 1, limit_ms: 1 })];
    let rental = rented.map(rental);
    let (fingerprint, slash) = (None, Some(units::SlashId::from_bits(7)));
    let proof = SealedRecord { at: now, cards: 1, tasks, entry, rental, fingerprint, slash };
    Command::SealProof { worker: worker(of), proof }
}

/// A rental of so many machines that has run ten minutes, where the first hour is paid in any case.
fn town(machines: usize) -> Town {
    let mut town = Town::with(&vec![1; machines]);
    town.fees(0, 0, 60);
    let nodes = u32::try_from(machines).unwrap();
    town.running("ann", "a", nodes);
    town.minutes(10);
    town
}

#[test]
fn who_gets_what_was_rented_pays_as_agreed_and_who_does_not_pays_what_was_served() {
    let (agreed, served) = ("99.000000", "99.833334");
    let cases: [(&[(u8, Reason)], &str); 9] = [
        (&[], agreed),
        (&[(1, Reason::None), (1, Reason::None)], agreed),
        (&[(1, Reason::Expired), (1, Reason::Unable), (1, Reason::Answer)], agreed),
        (&[(1, Reason::Row)], served),
        (&[(1, Reason::Walk), (1, Reason::None)], served),
        (&[(1, Reason::Late)], agreed),
        (&[(1, Reason::Late), (1, Reason::Expired), (1, Reason::Late)], served),
        (&[(1, Reason::Late), (1, Reason::None), (1, Reason::Late)], agreed),
        (&[(1, Reason::Late), (2, Reason::Late)], agreed),
    ];
    for (sessions, expected) in cases {
        let mut town = town(1);
        for (card, reason) in sessions {
            town.ok("clock", canary(&town, "m0", Some("a"), *card, *reason));
        }
        let unfit = town.control.rental(rental("a")).unwrap().unfit();
        assert_eq!(unfit.is_some(), expected == served, "{sessions:?}");
        town.end("ann", "a").unwrap();
        assert_eq!(town.purse("ann"), expected, "{sessions:?}");
        let again = Control::from_snapshot(&town.control.snapshot()).unwrap();
        assert_eq!(again.rental(rental("a")), town.control.rental(rental("a")));
    }
}

#[test]
fn one_machine_that_is_not_what_was_rented_is_enough() {
    let mut town = town(2);
    let bad = town.machine_of("a", 1);
    town.ok("clock", canary(&town, &bad, Some("a"), 1, Reason::Row));
    let (machine, unfit) = town.control.rental(rental("a")).unwrap().unfit().unwrap();
    assert_eq!((machine, unfit.reason), (worker(&bad), Reason::Row));
    town.end("ann", "a").unwrap();
    assert_eq!(town.purse("ann"), "99.666668");
}

#[test]
fn a_canary_speaks_for_its_rental_only() {
    let mut town = town(1);
    town.join("m1", 1).unwrap();
    town.ok("clock", canary(&town, "m1", Some("a"), 1, Reason::Row));
    town.ok("clock", canary(&town, "m0", Some("b"), 1, Reason::Row));
    assert_eq!(town.control.rental(rental("a")).unwrap().unfit(), None);
    town.ok("clock", canary(&town, "m0", Some("a"), 1, Reason::Row));
    for machine in ["m0", "m1"] {
        let checks = &town.control.worker(worker(machine)).unwrap().checks;
        assert_eq!(checks.last, None, "{machine}: the renter could have answered wrongly");
        assert!(checks.charged.is_none());
    }
    assert_eq!(town.control.economy().proofs.head().size, 3, "everyone sees all of them");
}

#[test]
fn what_is_said_after_the_end_changes_nothing() {
    let mut town = town(1);
    town.end("ann", "a").unwrap();
    town.ok("clock", canary(&town, "m0", Some("a"), 1, Reason::Row));
    assert_eq!(town.purse("ann"), "99.000000");
    assert_eq!(town.control.rental(rental("a")).unwrap().unfit(), None);
}
