//! Verifiers that cheat, and what anybody can show of it with the transcript alone.

use std::collections::BTreeMap;

use proofs::Outcome;
use proofs::message::Message;
use proofs::transcript::{Flaw, recheck};

use super::animal::Animal;
use super::card::Card;
use super::letters::Bench;
use super::rig::Bytes;
use super::stand::Row;
use super::wire::Judge;

const H100: Animal = Animal::honest("h100-80gb-hbm3");
/// Vectors of somebody's own.
const OWN: [u8; 32] = [0x5a; 32];
/// Bytes that are turned over.
const TURNED: usize = 300;

pub(super) fn rows(seed: u64) -> Vec<Row> {
    vec![
        passes_cheats(seed),
        fails_the_honest(seed),
        tells_sigma(seed),
        tells_rows(),
        edits(seed),
        slows(seed),
    ]
}

fn told(name: &str, tried: String, found: &str, bound: &str) -> Row {
    Row {
        name: name.to_owned(),
        tried,
        found: found.to_owned(),
        paid: "—".to_owned(),
        gain: String::new(),
        bound: bound.to_owned(),
        outcomes: BTreeMap::new(),
    }
}

/// Calls right what is wrong.
fn passes_cheats(seed: u64) -> Row {
    let mut bench = Bench::new(seed);
    let cheats = [
        Bytes::RankOne,
        Bytes::Rounded(8),
        Bytes::Rounded(11),
        Bytes::Nibbles,
        Bytes::SkipsRows(128),
        Bytes::Hankel,
        Bytes::Late,
        Bytes::SkipsLegs(500),
    ];
    for bytes in cheats {
        let played = bench.play(&H100.computes(bytes), Judge::Lenient);
        assert_eq!(played.verdict.outcome(), Outcome::Pass, "{bytes:?}");
        for vectors in [None, Some(OWN)] {
            let flaw = recheck(&played.transcript, vectors);
            assert!(matches!(flaw, Err(Flaw::Verdict { .. } | Flaw::Verifier { .. })), "{flaw:?}");
        }
    }
    let count = cheats.len();
    told(
        "calls wrong answers right",
        format!("{count} transcripts: {count} exposed"),
        "the verdict does not follow from the answers",
        "all exposed",
    )
}

/// Calls wrong what is right.
fn fails_the_honest(seed: u64) -> Row {
    let mut bench = Bench::new(seed);
    for _ in 0..4 {
        let played = bench.play(&H100, Judge::Harsh);
        assert_eq!(played.verdict.outcome(), Outcome::Fail);
        let flaw = recheck(&played.transcript, None);
        assert!(matches!(flaw, Err(Flaw::Verdict { .. })), "{flaw:?}");
    }
    told(
        "calls right answers wrong",
        "4 transcripts: 4 exposed".to_owned(),
        "the verdict does not follow from the answers",
        "all exposed",
    )
}

/// Tells a prover σ, so that it can make rows that σ's vectors do not see.
fn tells_sigma(seed: u64) -> Row {
    let mut bench = Bench::new(seed);
    for _ in 0..8 {
        let told = bench.next_sigma();
        let played = bench.play(&H100.computes(Bytes::Blind(told)), Judge::Honest);
        assert_eq!(played.verdict.sigma, told);
        assert_eq!(played.verdict.outcome(), Outcome::Pass, "{:?}", played.verdict.reason());
        assert!(recheck(&played.transcript, None).is_ok(), "by its own vectors all is well");
        let flaw = recheck(&played.transcript, Some(OWN));
        assert!(matches!(flaw, Err(Flaw::Verdict { .. } | Flaw::Verifier { .. })), "{flaw:?}");
    }
    told(
        "tells a prover σ, which makes rows that σ's vectors do not see",
        "8 transcripts: 8 exposed".to_owned(),
        "by vectors of one's own; by the verifier's all is well",
        "all exposed",
    )
}

/// Which rows are asked for follows from σ and the last root: who knows σ can look for one that asks for rows it has.
fn tells_rows() -> Row {
    told(
        "tells a prover σ, which tries last roots until it is asked for rows it has",
        "—".to_owned(),
        "nothing shows it: a billion tries leave out 28 % of the rows, a million 19 %",
        "**not caught**",
    )
}

/// Changes a transcript afterwards.
fn edits(seed: u64) -> Row {
    let mut bench = Bench::new(seed);
    let good = bench.play(&H100, Judge::Honest).transcript;
    assert!(recheck(&good, Some(OWN)).is_ok());
    for _ in 0..TURNED {
        let mut bytes = good.clone();
        let at = bench.keeper.dice.index(bytes.len());
        bytes[at] ^= 1 << bench.keeper.dice.between(0, 7);
        assert!(recheck(&bytes, None).is_err(), "byte {at} was turned over");
    }
    let (mut left, mut places) = (good.as_slice(), Vec::new());
    while let Ok((_, rest)) = Message::split(left) {
        places.push((good.len() - left.len(), good.len() - rest.len()));
        left = rest;
    }
    for (from, to) in &places {
        let without = [&good[..*from], &good[*to..]].concat();
        assert!(recheck(&without, None).is_err(), "a message is missing");
    }
    let count = TURNED + places.len();
    told(
        "changes a transcript afterwards: a bit, or a message that is left out",
        format!("{count} transcripts: {count} exposed"),
        "signatures, and the chain of messages",
        "all exposed",
    )
}

/// Says that messages came later than they did.
fn slows(seed: u64) -> Row {
    let mut bench = Bench::new(seed);
    // What a prover at a tenth of its speed leaves, and one whose times are said ten times as long, is the same.
    let slow = H100.with(Card { permille: 100, ..Card::new(H100.claim) });
    let played = bench.play(&slow, Judge::Honest);
    assert_eq!(played.verdict.outcome(), Outcome::Slow);
    assert!(recheck(&played.transcript, Some(OWN)).is_ok(), "times are the verifier's word");
    told(
        "says that messages came later than they did",
        "1 transcript: 0 exposed".to_owned(),
        "nothing shows it: times are the verifier's word, but slow is no evidence of a lie",
        "**not caught**",
    )
}
