//! Canaries on a table without a server.

use std::sync::Arc;

use control::Parameters;
use ed25519_dalek::SigningKey;
use proofs::{Judged, Reason, Verdict};
use sha2::{Digest, Sha256};
use units::AccountId;

use super::rented::Part;
use super::*;
use crate::proofs::standing::Standing;
use crate::proofs::table::Table;

const MINUTE_MS: u64 = 60_000;
/// The beginning of a day.
const DAWN: u64 = 20_000 * 24 * 60 * MINUTE_MS;

fn at(minute: u64) -> Timestamp {
    Timestamp::from_millis(DAWN + minute * MINUTE_MS)
}

fn processor() -> [u8; 32] {
    Sha256::digest("cpu").into()
}

/// One machine without cards.
fn wanted() -> Wanted {
    let parameters = Arc::new(Parameters::default());
    let rules = &parameters.proofs;
    let tasks = rules.classes["cpu"].canary(0, &rules.canary);
    let standing = Standing {
        owner: AccountId::from_bits(1),
        key: SigningKey::from_bytes(&[2; 32]).verifying_key().to_bytes(),
        kind: DeviceKind::Cpu,
        claimed: None,
        cards: 1,
        tasks,
        up_since: None,
        concluded: None,
        parameters: Arc::clone(&parameters),
    };
    let (worker, name) = (WorkerId::from_bits(3), "rack".parse().unwrap());
    let part = Part { worker, name, nodes: vec![0], cards: 1, asked: Vec::new(), standing };
    Wanted { parts: vec![part], parameters }
}

struct Scene {
    table: Table,
    rental: RentalId,
}

impl Scene {
    fn new() -> Self {
        Self { table: Table::default(), rental: RentalId::from_bits(4) }
    }

    fn ask(&mut self, nonce: u8, minute: u64) -> Result<Canary, NoCanary> {
        self.table.canaries.ask(self.rental, [nonce; 32], wanted(), at(minute))
    }

    fn place(&mut self, minute: u64) -> Option<Result<Arc<[u8]>, Timestamp>> {
        let key = SigningKey::from_bytes(&[5; 32]);
        let desk = Desk { key: &key, secret: &[6; 32], salt: &|_| [7; 32] };
        let of = (WorkerId::from_bits(3), processor());
        self.table.place_canary(&desk, of, None, at(minute)).map(|place| match place {
            Place::Given(challenge) => Ok(challenge),
            Place::Wait(until) => Err(until),
        })
    }

    /// The card's session comes to this, after so many seconds of its time.
    fn end(&mut self, reason: Reason, secs: u64, minute: u64) {
        let canary = self.table.canaries.of(self.rental).unwrap();
        let session = self.table.session(&canary.parts[0].asked[0].session).unwrap();
        let judged = Judged { elapsed_us: secs * 1_000_000, ..Judged::ended(reason) };
        let verdict = Verdict {
            sigma: [0; 32],
            shortest_ping_us: 0,
            tasks: vec![judged],
            times_us: Vec::new(),
        };
        self.table.ended(&session, &verdict.tasks, at(minute));
        self.table.canary_ended(&session, &verdict, at(minute));
    }

    fn is_over(&self, minute: u64) -> bool {
        self.table.canaries.of(self.rental).unwrap().is_over(at(minute))
    }
}

#[test]
fn what_comes_to_nothing_is_tried_twice_more_and_what_counts_is_not() {
    let mut scene = Scene::new();
    assert!(scene.place(0).is_none(), "nobody asked");
    scene.ask(1, 0).unwrap();
    let first = scene.place(0).unwrap().unwrap();
    assert_eq!(scene.place(0), Some(Ok(first.clone())), "it may have been lost on the way");
    scene.end(Reason::Unable, 1, 0);
    assert_eq!(scene.place(0), Some(Err(at(1))));
    let second = scene.place(1).unwrap().unwrap();
    assert_ne!(first, second);
    scene.end(Reason::Expired, 1, 2);
    assert_eq!(scene.place(2), Some(Err(at(5))));
    assert!(!scene.is_over(2));
    scene.place(5).unwrap().unwrap();
    scene.end(Reason::Expired, 1, 6);
    assert!(scene.place(7).is_none() && scene.is_over(7));

    for reason in [Reason::None, Reason::Late, Reason::Row] {
        let mut scene = Scene::new();
        scene.ask(1, 0).unwrap();
        scene.place(0).unwrap().unwrap();
        scene.end(reason, 1, 0);
        assert!(scene.place(1).is_none() && scene.is_over(1), "{reason:?}");
    }
}

#[test]
fn a_check_ends_although_nobody_answers() {
    let mut scene = Scene::new();
    scene.ask(1, 0).unwrap();
    assert!(!scene.is_over(14) && scene.is_over(15));
    assert!(scene.place(15).is_none());
    let waits = |scene: &Scene, minute| {
        scene.table.canaries.waits_for(WorkerId::from_bits(3), &processor(), None, at(minute))
    };
    assert!(waits(&scene, 14) && !waits(&scene, 15));
    scene.table.canaries.forget(at(15));
    assert!(scene.table.canaries.going.is_empty());
    assert!(scene.table.canaries.of(scene.rental).is_some(), "it still counts");
    scene.table.canaries.forget(at(24 * 60));
    assert!(scene.table.canaries.of(scene.rental).is_none());
}

#[test]
fn checks_are_seldom_and_take_little_of_a_day() {
    let mut scene = Scene::new();
    scene.ask(1, 0).unwrap();
    let wait = Duration::from_secs(14 * 60);
    let ago = Duration::from_secs(60);
    assert_eq!(scene.ask(2, 1).unwrap_err(), NoCanary::TooSoon { ago, wait }, "it goes on");
    scene.place(1).unwrap().unwrap();
    scene.end(Reason::None, 29, 2);
    assert!(matches!(scene.ask(2, 9), Err(NoCanary::TooSoon { .. })));
    assert_eq!(scene.ask(1, 9).unwrap().at, at(0), "the same nonce is the same check");
    scene.ask(2, 10).unwrap();
    scene.place(10).unwrap().unwrap();
    scene.end(Reason::None, 1, 10);
    let spent = scene.ask(3, 30).unwrap_err();
    let wait = Duration::from_secs((24 * 60 - 30) * 60);
    assert_eq!(spent, NoCanary::Spent { secs: 30, wait });
    scene.ask(3, 24 * 60).unwrap();
}

#[test]
fn a_machine_is_asked_for_one_rental_and_not_for_another_with_its_cards() {
    let mut scene = Scene::new();
    let mut cards = wanted();
    (cards.parts[0].standing.kind, cards.parts[0].cards) = (DeviceKind::Gpu, 1);
    scene.table.canaries.ask(scene.rental, [1; 32], cards, at(0)).unwrap();
    let (worker, other) = (WorkerId::from_bits(3), RentalId::from_bits(9));
    let canaries = &scene.table.canaries;
    let waits = |card: [u8; 32], held| canaries.waits_for(worker, &card, held, at(0));
    assert!(waits([1; 32], Some(scene.rental)));
    assert!(!waits([1; 32], Some(other)) && !waits([1; 32], None));
    assert!(!waits(processor(), Some(scene.rental)), "it has cards");
}
