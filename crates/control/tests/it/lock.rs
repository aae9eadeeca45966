//! Time-lock: what disturbs a node is not paid for, and records settle what was not said at the time.

use control::{
    Command, Control, DisturbedBy, DisturbedRecord, Effect, Follows, LockRecord, Locked, NodeSaid,
    PhaseSaid, Refusal, Reply,
};
use proofs::lock::{Break, Minutes, Summary};
use rewards::block::Proof;
use units::{Hour, SlashId, Timestamp};

use crate::economy::{stake, town as born};
use crate::town::{Town, digest, order, project, rental, worker};

/// Ann's rental `a` of one card for so many hours runs since seven past three.
fn booked(hours: u32) -> Town {
    booked_with(hours, 0)
}

/// As [`booked`], and at least so many minutes are charged.
fn booked_with(hours: u32, minimum_minutes: u32) -> Town {
    let mut town = Town::with(&[1]);
    town.fees(0, 0, minimum_minutes);
    town.now = "2025-06-15T15".parse::<Hour>().unwrap().start();
    town.minutes(7);
    let (rental, project) = (rental("a"), project("ann"));
    town.ok("ann", Command::Quote { rental, project, order: order(1, 1), hours, pay: None });
    town.rent("ann", "a", false).unwrap();
    town.says("m0", "a0 ready");
    town
}

/// `m0` says that it has the node, and since how many seconds it is disturbed, if it is.
fn says(town: &mut Town, disturbed: Option<u64>) {
    let revision = town.control.worker(worker("m0")).map(|worker| worker.revision);
    let head = Some(([10, 0, 0, 1], 6379).into());
    let disturbed = disturbed.map(|seconds| DisturbedRecord {
        why: DisturbedBy::Foreign,
        since: Timestamp::from_millis(town.now.millis() - seconds * 1_000),
    });
    let phase = PhaseSaid::Ready;
    let node = NodeSaid { rental: rental("a"), node: 0, phase, head, disturbed };
    let nodes = vec![node];
    town.ok("m0", Command::Observe { worker: worker("m0"), revision, nodes, jobs: Vec::new() });
}

fn seconds(town: &mut Town, seconds: u64) {
    town.now = Timestamp::from_millis(town.now.millis() + seconds * 1_000);
}

/// A record of an hour: what it touches, and what is broken in it for one reason.
fn record(hour: Hour, part: u32, summary: Summary) -> LockRecord {
    let is_rental = summary.rental;
    LockRecord {
        record: digest(u8::try_from(part).unwrap() + 100),
        hash: digest(u8::try_from(part).unwrap() + 1),
        rental: is_rental.then(|| rental("a")),
        node: 0,
        part,
        previous: digest(u8::try_from(part).unwrap()),
        hour,
        began: hour.start(),
        ended: hour.end(),
        over: false,
        cards: 1,
        summary,
        strangers: String::new(),
        kept: hour.end(),
        slash: SlashId::from_bits(77),
    }
}

fn broken(is_rental: bool, why: Break, from: u8, to: u8) -> Summary {
    Summary {
        rental: is_rental,
        touched: Minutes::ALL,
        broken: [(why, Minutes::between(from, to))].into(),
        strangers: u8::from(why == Break::Foreign),
    }
}

fn seal(town: &mut Town, lock: LockRecord) -> Result<Reply, Refusal> {
    town.tell("clock", Command::SealLock { worker: worker("m0"), lock })
}

/// What was last logged.
fn locked(town: &Town) -> &Locked {
    let of = |effect: &'_ Effect| matches!(effect, Effect::Locked(_));
    let Some(Effect::Locked(locked)) = town.effects.iter().rev().find(|it| of(it)) else {
        panic!("nothing was logged")
    };
    locked
}

/// The coin is there, and `m0` is up.
fn begun() -> Town {
    let mut town = born(&[1]);
    town.up("m0");
    town
}

fn hour(text: &str) -> Hour {
    text.parse().unwrap()
}

#[test]
fn minutes_in_which_a_node_is_disturbed_are_not_paid_for() {
    let mut town = booked(2);
    town.minutes(10);
    says(&mut town, Some(30));
    town.minutes(4);
    seconds(&mut town, 20);
    says(&mut town, None);
    town.minutes(18);
    seconds(&mut town, 40);
    town.end("ann", "a").unwrap();
    let rental = town.control.rental(rental("a")).unwrap();
    assert_eq!(rental.nodes[0].lock.disturbed_for.as_secs(), 6 * 60, "15:16 to 15:22");
    assert_eq!(rental.receipt().unwrap().lines[0].minutes_charged, 9 + 18);
    assert_eq!((town.purse("sue").as_str(), town.purse("ann").as_str()), ("0.450000", "99.550000"));
}

#[test]
fn a_node_that_is_disturbed_and_then_breaks_has_broken_its_hour() {
    let mut town = booked(2);
    town.minutes(10);
    says(&mut town, Some(1));
    town.minutes(3);
    town.silent("m0");
    town.up("m0");
    town.says("m0", "a0 ready");
    town.minutes(60);
    town.end("ann", "a").unwrap();
    let minutes = town.control.rental(rental("a")).unwrap().receipt().unwrap().lines[0].clone();
    assert_eq!(minutes.minutes_charged, 13, "of the second hour");
}

#[test]
fn a_renter_who_ends_a_disturbed_rental_owes_no_minimum_for_it() {
    let mut town = booked_with(2, 60);
    town.minutes(10);
    says(&mut town, Some(0));
    town.minutes(5);
    town.end("ann", "a").unwrap();
    let receipt = town.control.rental(rental("a")).unwrap().receipt().unwrap();
    assert_eq!(receipt.lines[0].minutes_charged, 10);
}

#[test]
fn what_a_record_takes_while_the_rental_runs_is_not_charged() {
    let mut town = booked(3);
    town.minutes(60);
    let of = hour("2025-06-15T15");
    // Before it ran, and ten minutes of its first hour.
    seal(&mut town, record(of, 0, broken(true, Break::Foreign, 0, 17))).unwrap();
    assert_eq!(locked(&town).refunded_minutes, 10);
    seal(&mut town, record(of, 0, broken(true, Break::CardLost, 10, 20))).unwrap();
    assert_eq!((locked(&town).refunded_minutes, locked(&town).follows), (3, Follows::Other));
    town.minutes(60);
    town.end("ann", "a").unwrap();
    assert_eq!(town.purse("sue"), "1.783333", "two hours without thirteen minutes");
    let back = town.control.rental(rental("a")).unwrap();
    assert_eq!((back.refunded, back.refund_short), (0, 0));
}

#[test]
fn what_a_record_takes_after_the_settlement_is_refunded_once_and_as_far_as_it_is_there() {
    let mut town = booked(2);
    town.minutes(33);
    town.end("ann", "a").unwrap();
    assert_eq!(town.purse("sue"), "0.550000");
    let of = hour("2025-06-15T15");
    let mut told = record(of, 0, broken(true, Break::Foreign, 20, 23));
    told.ended = of.start().after(units::MINUTE * 45);
    seal(&mut town, told.clone()).unwrap();
    assert_eq!((town.purse("sue").as_str(), town.purse("ann").as_str()), ("0.500000", "99.500000"));
    told.part = 1;
    told.previous = digest(1);
    seal(&mut town, told).unwrap();
    assert_eq!((locked(&town).refunded_minutes, town.purse("sue").as_str()), (0, "0.500000"));
    let money = units::Money::new(units::Asset::Usd, 490_000);
    let (from, to) = (account_purse(), control::Purse::Project(project("bob")));
    town.ok("sue", Command::Transfer { from, to, money });
    town.minutes(20);
    seal(&mut town, record(of, 2, broken(true, Break::CardLost, 20, 30))).unwrap();
    let back = town.control.rental(rental("a")).unwrap();
    assert_eq!((back.refunded, back.refund_short), (60_000, 106_667), "of seven minutes more");
    assert_eq!((town.purse("sue").as_str(), back.nodes[0].lock.refunded), ("0.000000", 10));
}

fn account_purse() -> control::Purse {
    control::Purse::Account(crate::town::account("sue"))
}

#[test]
fn fees_that_are_refunded_are_no_revenue() {
    let mut town = crate::burn::born(&[1]);
    town.fees(1_000, 1_000, 0);
    town.running("ann", "a", 1);
    let of = Hour::of(town.now);
    town.minutes(60);
    let revenue = |town: &Town| town.control.economy().burning.revenue.usd;
    let fees = |town: &Town| town.control.available(ledger::Holder::Fees, units::Asset::Usd).units;
    let before = (revenue(&town), fees(&town));
    assert_eq!(before.0, before.1);
    seal(&mut town, record(of, 0, broken(true, Break::Foreign, 0, 60))).unwrap();
    assert!(locked(&town).refunded_minutes > 0);
    assert!(fees(&town) < before.1, "they give their part back");
    assert_eq!(revenue(&town), fees(&town));
}

#[test]
fn what_was_paid_for_certain_is_refunded_at_the_end() {
    let mut town = booked(48);
    town.careful = false;
    town.minutes(25 * 60);
    assert_eq!(town.purse("sue"), "24.000000");
    // Of the hour that is not paid yet one is struck, and of those that are, another.
    for (part, of) in [(0, "2025-06-16T13"), (1, "2025-06-16T14")] {
        seal(&mut town, record(hour(of), part, broken(true, Break::Foreign, 0, 60))).unwrap();
    }
    town.silent("m0");
    town.minutes(15);
    assert_eq!(town.stage("a"), "ended failed");
    let rental = town.control.rental(rental("a")).unwrap();
    assert_eq!((rental.refunded, rental.nodes[0].lock.refunded), (1_000_000, 60));
    assert_eq!(
        (town.purse("sue").as_str(), town.purse("ann").as_str()),
        ("23.000000", "77.000000")
    );
}

#[test]
fn a_record_takes_back_for_two_days_after_the_end_and_says_how_much_it_came_too_late_for() {
    let mut town = booked(2);
    town.minutes(33);
    town.end("ann", "a").unwrap();
    town.says("m0", "");
    let of = hour("2025-06-15T15");
    let told = |part, from, to| {
        let mut told = record(of, part, broken(true, Break::Foreign, from, to));
        told.slash = SlashId::from_bits(u128::from(part) + 80);
        told
    };
    town.minutes(30 * 60);
    assert!(town.control.rentals().next().is_none(), "it is over for long");
    seal(&mut town, told(0, 20, 23)).unwrap();
    assert_eq!((locked(&town).refunded_minutes, locked(&town).too_late_minutes), (3, 0));
    assert_eq!((town.purse("sue").as_str(), town.purse("ann").as_str()), ("0.500000", "99.500000"));
    let back = town.control.rental(rental("a")).unwrap();
    assert_eq!((back.refunded, back.nodes[0].lock.refunded), (50_000, 3));
    let again = Control::from_snapshot(&town.control.snapshot()).unwrap();
    assert_eq!(again.rental(rental("a")), Some(back), "a server that starts anew knows it, too");
    assert!(town.tell("ann", Command::EndRental { rental: rental("a") }).is_err());

    town.minutes(18 * 60 - 1);
    seal(&mut town, told(1, 20, 24)).unwrap();
    assert_eq!(locked(&town).refunded_minutes, 1);
    town.minutes(2);
    seal(&mut town, told(2, 20, 30)).unwrap();
    assert_eq!((locked(&town).refunded_minutes, locked(&town).too_late_minutes), (0, 10));
    assert_eq!(town.control.rental(rental("a")), None);
    assert_eq!(town.purse("sue"), "0.483333");
}

#[test]
fn nothing_is_kept_of_a_rental_that_cost_nothing() {
    let mut town = booked(2);
    town.silent("m0");
    town.minutes(15);
    assert_eq!(
        (town.stage("a").as_str(), town.purse("sue").as_str()),
        ("ended failed", "0.000000")
    );
    town.minutes(70);
    assert_eq!(town.control.rental(rental("a")), None);
}

#[test]
fn a_record_that_cannot_be_is_refused_whoever_tells_it() {
    let mut town = booked(1);
    town.minutes(53);
    let good = record(hour("2025-06-15T15"), 0, broken(true, Break::Foreign, 10, 12));
    let tell = |town: &mut Town, change: fn(&mut LockRecord)| {
        let mut lock = good.clone();
        change(&mut lock);
        seal(town, lock).is_err()
    };
    assert!(tell(&mut town, |lock| lock.node = 1));
    assert!(tell(&mut town, |lock| lock.hour = lock.hour.next()));
    assert!(tell(&mut town, |lock| lock.ended = lock.hour.end().after(units::MINUTE)));
    assert!(tell(&mut town, |lock| lock.summary.touched = Minutes::NONE));
    assert!(tell(&mut town, |lock| lock.summary.rental = false));
    town.minutes(0);
    for who in ["sue", "m0", "operator"] {
        let command = Command::SealLock { worker: worker("m0"), lock: good.clone() };
        assert!(matches!(town.tell(who, command), Err(Refusal::Forbidden(_))), "{who}");
    }
    seal(&mut town, good).unwrap();
    assert_eq!(town.control.economy().proofs.head().size, 1);
}

#[test]
fn a_stranger_in_a_record_opens_one_slash_and_busy_idle_cards_another() {
    let mut town = begun();
    stake(&mut town, "m0", "400");
    let of = Hour::of(town.now);
    town.minutes(60);
    let told = record(of, 0, broken(false, Break::BusyCard, 0, 29));
    seal(&mut town, told).unwrap();
    assert_eq!(locked(&town).slash, None, "not for long enough");
    let mut told = record(of, 1, broken(false, Break::BusyCard, 0, 30));
    told.slash = SlashId::from_bits(5);
    seal(&mut town, told).unwrap();
    let open = |town: &Town| -> Vec<(u128, &'static str)> {
        let slashes = town.control.economy().stakes.slashes();
        slashes.map(|(id, slash)| (id.bits(), slash.offence.text())).collect()
    };
    assert_eq!(open(&town), [(5, "utilization-breach")]);
    let mut told = record(of, 2, broken(false, Break::BusyCard, 0, 60));
    told.slash = SlashId::from_bits(6);
    seal(&mut town, told).unwrap();
    assert_eq!(open(&town).len(), 1, "once a day");
    let mut told = record(of, 3, broken(true, Break::Foreign, 3, 5));
    told.slash = SlashId::from_bits(7);
    told.strangers = "miner (process 4242) in 2 minutes".to_owned();
    seal(&mut town, told).unwrap();
    assert_eq!(open(&town), [(5, "utilization-breach"), (7, "foreign-process")]);
    let slash = town.control.economy().stakes.slash(SlashId::from_bits(7)).unwrap();
    assert_eq!(
        slash.evidence[0].summary,
        format!("2 minutes of {of}, on a rented card: miner (process 4242) in 2 minutes")
    );
}

/// Minutes of the block's row of `m0`, and whether its time-lock held.
fn time_lock(control: &Control) -> (u8, bool) {
    let (_, row) = control.economy().last_row(worker("m0")).unwrap();
    (row.device.proofs.up_minutes, row.device.proofs.time_lock == Proof::Passed)
}

#[test]
fn a_block_counts_no_more_minutes_than_a_record_has() {
    let mut town = begun();
    let of = Hour::of(town.now);
    town.minutes(60);
    seal(&mut town, record(of, 0, broken(false, Break::Silence, 0, 7))).unwrap();
    assert_eq!(locked(&town).hour_up, Some(53));
    town.minutes(1);
    assert_eq!(time_lock(&town.control), (53, false));
    // There is none of the next hour, and its beats count.
    town.minutes(60);
    assert_eq!(time_lock(&town.control), (60, true));
    // For a day; then its records are missing.
    town.minutes(24 * 60);
    assert_eq!(time_lock(&town.control), (60, true));
    town.minutes(60);
    assert_eq!(time_lock(&town.control), (0, false));
    let of = Hour::of(town.now);
    town.minutes(59);
    seal(&mut town, record(of, 5, broken(false, Break::Silence, 0, 0))).unwrap();
    assert_eq!(locked(&town).follows, Follows::Gap);
    town.minutes(1);
    assert_eq!(time_lock(&town.control), (60, true));
}
