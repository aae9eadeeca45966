//! One card that is several, and a card that is there only sometimes.

use proofs::Outcome;
use proofs::schedule::Call;

use super::animal::{Animal, Keeper, Life, live_as};
use super::card::Card;
use super::stand::{Row, row};

const H100: Animal = Animal::honest("h100-80gb-hbm3");
const HOURS: u32 = 6;
/// Machines that one card stands for.
const MANY: u64 = 4;

pub(super) fn rows(seed: u64) -> Vec<Row> {
    vec![
        apart(seed),
        together(seed),
        one_at_a_time(seed),
        gone_after_the_first(seed),
        weaker_after_the_first(seed),
        every_third_hour(seed),
    ]
}

/// Several machines by name, with one card, each called at a moment of its own; who is called while the card is at work
/// for another says that it cannot, and is called again.
fn apart(seed: u64) -> Row {
    let mut busy: Vec<(u64, u64)> = Vec::new();
    let mut sum = Life::default();
    for identity in 0..MANY {
        let (mut keeper, mut house) = Keeper::new(&H100, seed + identity);
        let mut mine = Vec::new();
        let tally = house.live(HOURS, |called| {
            // A minute is more than a proof takes.
            let (from, to) = (called.at.millis(), called.at.millis() + 60_000);
            let is_busy = busy.iter().any(|(begun, ended)| from < *ended && *begun < to);
            let animal = if is_busy { H100.away() } else { H100 };
            let played = keeper.play(&animal, called, 1);
            if !is_busy {
                mine.push((from, from + played.took_us / 1_000));
            }
            sum.note(called, &played);
            vec![played]
        });
        busy.append(&mut mine);
        sum.add(&tally);
    }
    let tally = &sum.tally;
    assert!(tally.of(Outcome::Fail) + tally.of(Outcome::Slow) == 0 && tally.paid > 0, "{sum:?}");
    row(
        "four machines by name with one H100, were each called at its own moment only",
        &sum,
        "paid; so they are called in company, below".to_owned(),
        "four times the pay, for four times the stake",
    )
}

/// Two cards of one machine that are one: both are asked at one time.
fn together(seed: u64) -> Row {
    let half = Card { permille: 500, memory_mib: Some(40_779), ..Card::new(H100.claim) };
    let half = H100.with(half);
    let life = live_as(&H100, HOURS, seed, |_| vec![half; 2]);
    let first = life.slow.as_ref().map(|(hour, _)| *hour);
    assert!(first == Some(1) && life.tally.paid == 0, "{life:?}");
    row(
        "two cards of one machine are one, asked at one time; it serves both",
        &life,
        "slow by hour 1, never paid".to_owned(),
        "nothing: no hour counts",
    )
}

/// The same, and it serves one of them well, and for the other says that it cannot.
fn one_at_a_time(seed: u64) -> Row {
    let mut turn = false;
    let life = live_as(&H100, HOURS, seed, |_| {
        turn = !turn;
        if turn { vec![H100, H100.away()] } else { vec![H100.away(), H100] }
    });
    assert!(life.tally.paid == 0 && life.tally.of(Outcome::Pass) > 0, "{life:?}");
    row(
        "the same; it serves them in turn, and says of the other that it cannot",
        &life,
        "never paid".to_owned(),
        "nothing: all cards have to pass at one time",
    )
}

/// Passes the first call of an hour, and then the card does something else until the next.
fn gone_after_the_first(seed: u64) -> Row {
    let there = |call| if call == Call::First { H100 } else { H100.away() };
    let life = live_as(&H100, HOURS, seed, |called| vec![there(called.call)]);
    assert!(life.tally.of(Outcome::Fail) + life.tally.of(Outcome::Slow) == 0, "{life:?}");
    let silent = life.silent.filter(|hour| *hour <= 4);
    assert!(silent.is_some_and(|hour| life.tally.paid < hour), "{life:?}");
    row(
        "passes an hour's first call; then its card is elsewhere, and at the last it says that it cannot",
        &life,
        "reported by hour 4, and not paid from then on".to_owned(),
        "the card for most of the first hours",
    )
}

/// The same, with a weaker card that answers in its place.
fn weaker_after_the_first(seed: u64) -> Row {
    let weaker = Animal::honest("rtx-4090").claims(H100.claim);
    let there = |call| if call == Call::First { H100 } else { weaker };
    let life = live_as(&H100, HOURS, seed, |called| vec![there(called.call)]);
    let first = life.slow.as_ref().map(|(hour, _)| *hour);
    assert!(first == Some(1) && life.tally.paid == 0, "{life:?}");
    row(
        "the same, with an RTX 4090 that answers in its place",
        &life,
        "slow by hour 1, never paid".to_owned(),
        "nothing: no hour counts",
    )
}

/// There in one hour of three.
fn every_third_hour(seed: u64) -> Row {
    let life = live_as(&H100, HOURS, seed, |called| {
        vec![if called.number % 3 == 1 { H100 } else { H100.away() }]
    });
    assert!(life.tally.paid * 3 <= life.tally.hours && life.silent.is_some(), "{life:?}");
    row(
        "a card that is there in one hour of three",
        &life,
        "at most one hour of three, until it is reported".to_owned(),
        "nothing: it is paid for when it is there",
    )
}
