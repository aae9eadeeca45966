//! Groups as they are drawn, and pairs as they are found.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use units::{AccountId, Hour, Timestamp, WorkerId};

use super::*;
use crate::schedule::{Call, ProofRules};
use crate::{Matmul, Puzzle};

const SECRET: [u8; 32] = [7; 32];
const HOUR: u32 = 490_000;

fn worker(number: u128) -> WorkerId {
    WorkerId::from_bits(number)
}

fn at(hour: u32, minute: u64) -> Timestamp {
    Timestamp::from_millis(Hour::from_number(HOUR + hour).start().millis() + minute * 60_000)
}

fn traits(owner: u128, net: u8, model: &str, cards: u32) -> Traits {
    let net = Some(Net::V4([10, 0, net]));
    Traits { owner: AccountId::from_bits(owner), net, model: model.to_owned(), cards }
}

/// So many machines: of two owners, each in a net of three, of one model.
fn town(seats: &mut Seats, count: u8, now: Timestamp) {
    for number in 0..count {
        let traits = traits(u128::from(number % 2), number % 3, "rtx-4090", 1);
        seats.seen(worker(number.into()), traits, now);
    }
}

fn groups(seats: &Seats, count: u8, hour: u32, call: Call) -> BTreeSet<Vec<WorkerId>> {
    let hour = Hour::from_number(HOUR + hour);
    let group = |number: u8| seats.group(worker(number.into()), hour, call);
    (0..count).filter_map(group).map(|it| it.machines.iter().copied().collect()).collect()
}

#[test]
fn all_are_called_in_small_groups_at_one_instant_of_the_last_part_of_an_hour() {
    let (mut seats, rules) = (Seats::default(), ProofRules::default());
    town(&mut seats, 23, at(0, 38));
    seats.draw(&rules, &SECRET, std::iter::empty(), at(0, 38));
    assert_eq!(groups(&seats, 23, 0, Call::Last), BTreeSet::new(), "not yet");
    seats.draw(&rules, &SECRET, std::iter::empty(), at(0, 39));
    let drawn = groups(&seats, 23, 0, Call::Last);
    let seated: usize = drawn.iter().map(Vec::len).sum();
    assert!(seated >= 22, "all but one, at most: {drawn:?}");
    assert!(drawn.iter().all(|group| (2..=4).contains(&group.len())), "{drawn:?}");
    let group = seats.group(worker(1), Hour::from_number(HOUR), Call::Last).unwrap();
    assert!(at(0, 40) <= group.at && group.at < at(0, 55));
    assert!(groups(&seats, 23, 0, Call::First).is_empty());
}

#[test]
fn whoever_comes_too_late_for_the_draw_is_called_alone() {
    let (mut seats, rules) = (Seats::default(), ProofRules::default());
    town(&mut seats, 8, at(0, 41));
    seats.draw(&rules, &SECRET, std::iter::empty(), at(0, 41));
    assert!(groups(&seats, 8, 0, Call::Last).is_empty());
}

#[test]
fn who_was_not_heard_of_late_is_not_waited_for() {
    let (mut seats, rules) = (Seats::default(), ProofRules::default());
    town(&mut seats, 8, at(0, 20));
    town(&mut seats, 2, at(0, 38));
    seats.draw(&rules, &SECRET, std::iter::empty(), at(0, 39));
    assert_eq!(groups(&seats, 8, 0, Call::Last).len(), 1);
}

#[test]
fn over_days_all_of_an_owners_machines_meet() {
    let (mut seats, rules) = (Seats::default(), ProofRules::default());
    let mut met = BTreeSet::new();
    for hour in 0..72 {
        town(&mut seats, 20, at(hour, 38));
        seats.draw(&rules, &SECRET, std::iter::empty(), at(hour, 39));
        for group in groups(&seats, 20, hour, Call::Last) {
            for one in &group {
                met.extend(group.iter().map(|other| (*one, *other)));
            }
        }
    }
    let of_one_owner = (0..20_u128).flat_map(|one| {
        (0..20_u128)
            .filter(move |other| one != *other && one % 2 == other % 2)
            .map(move |it| (one, it))
    });
    for (one, other) in of_one_owner {
        assert!(met.contains(&(worker(one), worker(other))), "{one} and {other} never met");
    }
}

#[test]
fn a_share_of_groups_meets_in_the_first_part_too() {
    let (mut seats, rules) = (Seats::default(), ProofRules::default());
    let mut drawn = 0;
    for hour in 0..40 {
        town(&mut seats, 8, at(hour, 0));
        seats.draw(&rules, &SECRET, std::iter::empty(), at(hour, 0));
        drawn += groups(&seats, 8, hour, Call::First).len();
    }
    // Two or three groups an hour, of which a quarter is kept.
    assert!((8..=45).contains(&drawn), "{drawn}");
}

#[test]
fn pairs_in_doubt_meet_in_every_second_hour() {
    let (mut seats, rules) = (Seats::default(), ProofRules::default());
    let pair = (worker(0), worker(19));
    let mut met = 0;
    for hour in 0..60 {
        town(&mut seats, 20, at(hour, 38));
        seats.draw(&rules, &SECRET, std::iter::once(pair), at(hour, 39));
        met += u32::from(groups(&seats, 20, hour, Call::Last).contains(&vec![pair.0, pair.1]));
    }
    assert!((20..=40).contains(&met), "{met}");
}

#[test]
fn a_group_has_no_more_cards_than_a_line_can_carry() {
    let (mut seats, rules) = (Seats::default(), ProofRules::default());
    for number in 0..12 {
        seats.seen(worker(number), traits(1, 1, "h100", 8), at(0, 38));
    }
    seats.draw(&rules, &SECRET, std::iter::empty(), at(0, 39));
    let drawn = groups(&seats, 12, 0, Call::Last);
    assert!(drawn.len() == 6 && drawn.iter().all(|group| group.len() == 2), "{drawn:?}");
}

#[test]
fn a_house_is_a_net() {
    let net = |text: &str| Net::of(text.parse::<IpAddr>().unwrap());
    assert_eq!(net("203.0.113.9"), net("203.0.113.200"));
    assert_eq!(net("203.0.113.9"), net("::ffff:203.0.113.10"));
    assert_ne!(net("203.0.113.9"), net("203.0.114.9"));
    assert_eq!(net("2001:db8:5::1"), net("2001:db8:5:ffff::1"));
    assert_ne!(net("2001:db8:5::1"), net("2001:db8:6::1"));
}

const FIT: Came = Came::Passed { number: Some(1), rate: 1_000 };
const SHARED: Came = Came::Passed { number: Some(1), rate: 500 };
const LATER: Came = Came::Passed { number: Some(2), rate: 1_000 };

/// Machines that have each passed alone so often.
fn known(machines: u128, times: usize) -> Pairs {
    let mut pairs = Pairs::default();
    for number in 0..machines {
        (0..times).for_each(|_| pairs.alone(worker(number), FIT, at(0, 0)));
    }
    pairs
}

fn meet(pairs: &mut Pairs, came: &[Came]) -> Vec<Found> {
    let showings = (0..).zip(came).map(|(number, came)| (worker(number), Showing(*came)));
    let showings: BTreeMap<_, _> = showings.collect();
    pairs.met(&showings, &CompanyRules::default(), at(1, 0))
}

/// After how many of such meetings the first two of known machines are suspected.
fn suspected_after(came: &[Came]) -> Option<usize> {
    let mut pairs = known(came.len() as u128, 30);
    (1..=40).find(|_| {
        let found = meet(&mut pairs, came);
        found.iter().any(|it| it.suspected && (it.one, it.other) == (worker(0), worker(1)))
    })
}

#[test]
fn who_never_passes_with_another_is_suspected_after_a_few_meetings() {
    assert_eq!(suspected_after(&[FIT, Came::Failed]), Some(8));
    assert_eq!(suspected_after(&[Came::Failed, Came::Failed]), Some(8));
    assert_eq!(suspected_after(&[FIT, LATER]), Some(8), "not at one time");
    assert_eq!(suspected_after(&[SHARED, SHARED]), Some(8), "at half of its speed");
    assert_eq!(suspected_after(&[FIT, SHARED]), Some(8));
    assert_eq!(suspected_after(&[FIT, FIT]), None);
    assert_eq!(suspected_after(&[FIT, Came::Excused]), None);
}

#[test]
fn who_is_seldom_there_for_anybody_is_not_suspected_with_one() {
    let mut pairs = known(14, 30);
    // Machine 0 breaks off in all company.
    for round in 0..120 {
        let other = 1 + round % 13;
        let showings =
            BTreeMap::from([(worker(0), Showing(Came::Failed)), (worker(other), Showing(FIT))]);
        let found = pairs.met(&showings, &CompanyRules::default(), at(1, 0));
        assert!(found.iter().all(|it| !it.suspected), "{found:?}");
    }
}

#[test]
fn a_suspicion_goes_when_they_do_pass_together() {
    let mut pairs = known(2, 30);
    (0..10).for_each(|_| drop(meet(&mut pairs, &[FIT, Came::Failed])));
    assert_eq!((pairs.all_suspected().count(), pairs.in_doubt().count()), (1, 1));
    (0..3).for_each(|_| assert_eq!(meet(&mut pairs, &[FIT, FIT]), []));
    assert_eq!(pairs.in_doubt().count(), 1, "once could be a card that was borrowed");
    assert!(!meet(&mut pairs, &[FIT, FIT])[0].suspected);
    // Whether they are above doubt shows when they meet next.
    assert_eq!(meet(&mut pairs, &[FIT, FIT]), []);
    assert_eq!((pairs.all_suspected().count(), pairs.in_doubt().count()), (0, 0));
}

#[test]
fn what_is_kept_is_read_again() {
    let mut pairs = known(3, 12);
    (0..5).for_each(|_| drop(meet(&mut pairs, &[FIT, Came::Failed, SHARED])));
    let text = serde_json::to_string(&Kept::from(&pairs)).unwrap();
    assert_eq!(Pairs::from(serde_json::from_str::<Kept>(&text).unwrap()), pairs);
}

#[test]
fn a_machine_shows_what_all_of_its_cards_do_at_one_time() {
    let of = |came: &[Came]| Showing::of(came, 2).0;
    assert_eq!(of(&[FIT, SHARED]), SHARED);
    assert_eq!(of(&[FIT, LATER]), Came::Failed);
    assert_eq!(of(&[FIT]), Came::Failed, "a card is missing");
    assert_eq!(of(&[]), Came::Failed);
    assert_eq!(of(&[Came::Excused, Came::Failed]), Came::Excused);
}

#[test]
fn a_session_shows_by_its_reasons_whether_company_was_to_blame() {
    let memory = ProofRules::default().classes["gpu"].memory.unwrap().task(8_192);
    let puzzle = Puzzle { bits: 4, count: 1, limit_ms: 9 };
    let matmul = Matmul { log_n: 8, rounds: 1, checked: 1, rows: 1, limit_ms: 9, answer_ms: 9 };
    let tasks = [Task::Puzzle(puzzle), Task::Matmul(matmul), Task::Memory(memory)];
    let judged = |reason, elapsed_us, rate| Judged { reason, elapsed_us, rate };
    let with = |last: Judged| {
        let passed = judged(Reason::None, 9, 55);
        came(&tasks, &[passed, passed, last], Some(3))
    };
    assert_eq!(
        with(judged(Reason::None, 9, 77)),
        Came::Passed { number: Some(3), rate: 77 },
        "the walk tells"
    );
    let fill_us = u64::from(memory.fill_ms) * 1_000;
    assert_eq!(with(judged(Reason::Answer, fill_us + 1, 77)), Came::Failed, "it filled too late");
    assert_eq!(with(judged(Reason::Answer, fill_us, 77)), Came::Excused, "its line is slow");
    assert_eq!(with(judged(Reason::Verifier, 9, 77)), Came::Excused);
    assert_eq!(with(judged(Reason::Late, 9, 77)), Came::Failed);
    assert_eq!(with(judged(Reason::Unable, 9, 0)), Came::Failed);
}
