//! Messages that are not what they should be: said before, by somebody else, torn, or far too long.

use std::collections::BTreeMap;
use std::sync::Arc;

use ed25519_dalek::SigningKey;
use proofs::limits::OPENINGS_BYTES_MAX;
use proofs::message::{Body, Chain, Message, SMALL_BYTES_MAX};
use proofs::session::{Reply, Verifier};
use proofs::{Outcome, Reason};
use units::WorkerId;

use super::animal::{Animal, Keeper};
use super::rig::{Clock, Rig};
use super::stand::Row;
use super::wire::{Judge, Net, Played, Setup, Wire, bytes32, prover_key, verifier_key};

const H100: Animal = Animal::honest("h100-80gb-hbm3");
/// Torn messages that are tried.
const TORN: usize = 4_000;
/// Strangers who sign.
const STRANGERS: usize = 64;

/// A keeper for sessions of an H100 without hours.
pub(super) struct Bench {
    pub(super) keeper: Keeper,
}

impl Bench {
    pub(super) fn new(seed: u64) -> Self {
        Self { keeper: Keeper::new(&H100, seed).0 }
    }

    fn setup(&self, judge: Judge) -> Setup<'_> {
        let worker = WorkerId::from_bits(5);
        let asked = &self.keeper.asked;
        Setup { asked, worker, card: [1; 32], hour: 490_000, net: Net::GOOD, judge }
    }

    /// A session that nobody has said anything in.
    fn open(&mut self) -> Verifier {
        let mut dice = self.keeper.dice.apart();
        let _ = self.keeper.dice.next();
        Wire::open(&self.setup(Judge::Honest), &Clock::default(), &mut dice).verifier
    }

    /// A session of this animal with this judge.
    pub(super) fn play(&mut self, animal: &Animal, judge: Judge) -> Played {
        let mut dice = self.keeper.dice.apart();
        let _ = self.keeper.dice.next();
        let clock = Clock::default();
        let wire = Wire::open(&self.setup(judge), &clock, &mut dice);
        let pace = animal.card.pace(&self.keeper.reference, &self.keeper.asked.real);
        let mut rig = Rig::new(clock, pace, &mut dice);
        rig.bytes = animal.bytes;
        wire.play(&mut rig, [3; 32])
    }

    /// The σ of the next session.
    pub(super) fn next_sigma(&self) -> [u8; 32] {
        bytes32(&mut self.keeper.dice.apart())
    }
}

pub(super) fn rows(seed: u64) -> Vec<Row> {
    vec![replayed(seed), strangers(seed), torn(seed), long(seed)]
}

fn refused(name: &str, count: usize, by: &str, gain: &str) -> Row {
    Row {
        name: name.to_owned(),
        tried: format!("{count} messages: {count} refused"),
        found: by.to_owned(),
        paid: "0 of 1".to_owned(),
        gain: gain.to_owned(),
        bound: "all refused".to_owned(),
        outcomes: BTreeMap::new(),
    }
}

/// What the prover said in a session that it passed, in another.
fn replayed(seed: u64) -> Row {
    let mut bench = Bench::new(seed);
    let played = bench.play(&H100, Judge::Honest);
    assert_eq!(played.verdict.outcome(), Outcome::Pass);
    let (mut count, mut left) = (0, played.transcript.as_slice());
    let mut verifier = bench.open();
    while let Ok((message, rest)) = Message::split(left) {
        let bytes = &left[..left.len() - rest.len()];
        left = rest;
        if message.is_by(&prover_key().verifying_key()) {
            let heard = verifier.hear(Arc::from(bytes), 1_000);
            assert!(heard.is_err(), "message {count} of another session is heard");
            count += 1;
        }
    }
    assert!(count > 8 && !verifier.is_over());
    refused(
        "all that was said in a session that was passed, in the next",
        count,
        "they are of another session",
        "nothing: the session comes to nothing",
    )
}

/// Another machine's key, or one that was made for it.
fn strangers(seed: u64) -> Row {
    let mut bench = Bench::new(seed);
    for _ in 0..STRANGERS {
        let mut verifier = bench.open();
        let key = SigningKey::from_bytes(&bytes32(&mut bench.keeper.dice));
        let challenge = verifier.challenge();
        let first = Message::read(&challenge).expect("it was just written");
        let mut chain = Chain::new(first.session, first.expires_ms);
        chain.hear(&first, &verifier_key().verifying_key()).expect("it is the first");
        let ready = chain.say(&Body::Ready { salt: [4; 32] }, &key);
        assert!(verifier.hear(ready.into(), 1_000).is_err(), "a stranger is heard");
    }
    refused(
        "somebody else answers, with a key of his own",
        STRANGERS,
        "not signed by whom it should be",
        "nothing; with the machine's key it is a relay, see above",
    )
}

/// Noise, pieces of a good message, and good messages with a bit turned over. Afterwards the session is as good as new.
fn torn(seed: u64) -> Row {
    let mut bench = Bench::new(seed);
    let mut verifier = bench.open();
    let challenge = verifier.challenge();
    let first = Message::read(&challenge).expect("it was just written");
    let mut chain = Chain::new(first.session, first.expires_ms);
    chain.hear(&first, &verifier_key().verifying_key()).expect("it is the first");
    let good = chain.say(&Body::Ready { salt: [4; 32] }, &prover_key());
    let dice = &mut bench.keeper.dice;
    for number in 0..TORN {
        let mut bytes = good.clone();
        match number % 3 {
            0 => bytes = (0..dice.between(0, 900)).map(|_| dice.next().to_le_bytes()[0]).collect(),
            1 => bytes.truncate(dice.index(good.len())),
            _ => {
                let at = dice.index(good.len());
                bytes[at] ^= 1 << dice.between(0, 7);
            }
        }
        assert!(verifier.hear(bytes.into(), 1_000).is_err(), "message {number} is heard");
    }
    let heard = verifier.hear(good.into(), 1_000);
    assert!(matches!(heard, Ok(Reply::Say(_))), "the good one is heard: {heard:?}");
    refused(
        "noise, pieces of a message, and bits turned over",
        TORN,
        "malformed, or not signed",
        "nothing; the session goes on with the next good message",
    )
}

/// How much the verifier has to hold for somebody, at most.
fn long(seed: u64) -> Row {
    let mut bench = Bench::new(seed);
    let mut verifier = bench.open();
    assert_eq!(verifier.due_bytes_max(), SMALL_BYTES_MAX);
    for task in &bench.keeper.asked.real {
        assert!(task.openings_bytes() <= OPENINGS_BYTES_MAX);
    }
    let heard = verifier.hear(vec![0x49; OPENINGS_BYTES_MAX].into(), 1_000);
    assert!(heard.is_err());
    let stopped = verifier.stop(Reason::Expired);
    assert!(matches!(stopped, Some(Reply::Sealed(..))));
    let largest = bench.keeper.asked.real.iter().map(proofs::Task::openings_bytes).max();
    let kib = largest.unwrap_or(0) / 1024;
    Row {
        name: "64 MiB where a short message is due".to_owned(),
        tried: "1 message: 1 refused".to_owned(),
        found: format!("{SMALL_BYTES_MAX} bytes are let in, and {kib} KiB where openings are due"),
        paid: "0 of 1".to_owned(),
        gain: "nothing".to_owned(),
        bound: "as said".to_owned(),
        outcomes: BTreeMap::new(),
    }
}
