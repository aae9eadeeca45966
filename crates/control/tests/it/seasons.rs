//! Reward programs: planned, earned by machines and by quests, paid to the unit, and those who would earn too much.

use std::collections::BTreeMap;

use control::{Command, Control, Noun, Purse, Refusal, Reply, SeasonRecord, Subject};
use ledger::Holder;
use rewards::season::{
    Basis, PointRules, Points, PrizePool, Quest, QuestRefusal, Season, SeasonPlan, SeasonRefusal,
};
use stakes::votes::Switch;
use units::{Coins, Hour, Money, Name, SeasonId};

use crate::town::{Town, account, coin_purse, coins, name, project, worker};

const HOUR: u64 = 60;

fn id(id: u128) -> SeasonId {
    SeasonId::from_bits(id)
}

fn quest_name() -> Name {
    name("first-cluster")
}

/// The coin is born at a full hour, and machines with so many cards are silent.
fn town(machines: &[u32]) -> Town {
    let mut town = Town::with(machines);
    town.now = "2025-06-15T18".parse::<Hour>().unwrap().start();
    for index in 0..machines.len() {
        town.silent(&format!("m{index}"));
    }
    let first_month = Hour::of(town.now).month();
    town.ok("operator", Command::Genesis { first_month });
    town
}

/// A season of so many hours from the next on: 1,000 coins for work, 100 for quests.
fn plan(town: &Town, hours: u32) -> SeasonPlan {
    let from = Hour::of(town.now).next();
    let rules = &town.control.parameters().seasons;
    let mut plan = SeasonPlan::new("Summer".to_owned(), from, from.later(hours), rules);
    // Who is nominated is a story of its own.
    plan.points.nominated_only = false;
    plan.pools = BTreeMap::from([
        (name("work"), PrizePool { prize: coins("1000"), basis: Basis::Work }),
        (name("quests"), PrizePool { prize: coins("100"), basis: Basis::Quests }),
    ]);
    let quest = Quest { title: "Rent a cluster".to_owned(), points: 5, completions_max: 2 };
    plan.quests = BTreeMap::from([(quest_name(), quest)]);
    plan
}

fn open(town: &mut Town, season: u128, plan: SeasonPlan) -> Result<Reply, Refusal> {
    town.tell("operator", Command::OpenSeason { season: SeasonRecord { season: id(season), plan } })
}

fn opened(town: &mut Town, hours: u32) {
    let plan = plan(town, hours);
    assert_eq!(open(town, 1, plan), Ok(Reply::Season(id(1))));
}

fn done(who: &str, proof: &str) -> Command {
    let (season, account, proof) = (id(1), account(who), proof.to_owned());
    Command::CompleteQuest { season, quest: quest_name(), account, proof }
}

fn season(town: &Town) -> &Season {
    town.control.economy().seasons.season(id(1)).unwrap()
}

fn of(town: &Town, whose: &str) -> String {
    coin_purse(town, Holder::Account(account(whose)))
}

fn treasury(town: &Town) -> Coins {
    coin_purse(town, Holder::Treasury).parse().unwrap()
}

/// Points for work of an account.
fn work(town: &Town, who: &str) -> Points {
    season(town).standing(account(who)).map_or(Points::ZERO, |standing| standing.work)
}

#[test]
fn prizes_are_set_aside_and_come_back_until_a_season_begins() {
    let mut town = Town::new();
    let early = plan(&town, 2);
    assert_eq!(open(&mut town, 1, early), Err(Refusal::NotFound(Noun::Genesis)));
    let mut town = self::town(&[]);
    let before = treasury(&town);
    let told = SeasonRecord { season: id(1), plan: plan(&town, 2) };
    let told = Command::OpenSeason { season: told };
    assert!(town.tell("ann", told).is_err(), "only the operator");
    let mut rich = plan(&town, 2);
    let all = PrizePool { prize: coins("799999999"), basis: Basis::All };
    rich.pools.insert(name("all"), all);
    assert!(matches!(open(&mut town, 1, rich), Err(Refusal::Insufficient { .. })));
    let mut short = plan(&town, 2);
    short.until = short.from;
    assert!(matches!(open(&mut town, 1, short), Err(Refusal::Plan(_))));
    opened(&mut town, 2);
    let again = plan(&town, 2);
    assert_eq!(open(&mut town, 1, again), Err(Refusal::Exists(Noun::Season)));
    assert_eq!(coin_purse(&town, Holder::Season(id(1))), "1100.00000000");
    assert!(town.tell("ann", Command::WithdrawSeason { season: id(1) }).is_err());
    town.ok("operator", Command::WithdrawSeason { season: id(1) });
    assert_eq!((treasury(&town), coin_purse(&town, Holder::Season(id(1)))), (before, zero()));
    opened(&mut town, 2);
    town.minutes(HOUR);
    let refused = town.tell("operator", Command::WithdrawSeason { season: id(1) });
    assert_eq!(refused, Err(Refusal::Season(SeasonRefusal::Begun { stage: "running" })));
    let unknown = town.tell("operator", Command::WithdrawSeason { season: id(2) });
    assert_eq!(unknown, Err(Refusal::NotFound(Noun::Season)));
}

fn zero() -> String {
    Coins::ZERO.to_string()
}

#[test]
fn hours_of_machines_become_points_and_points_become_coins() {
    let mut town = town(&[1, 1]);
    town.up("m0");
    opened(&mut town, 3);
    town.minutes(HOUR);
    // In the first hour the machine is up; half of the second it serves Ann; then it is away.
    town.minutes(HOUR + 1);
    // A machine with a card of multiplier one, at the third of four speeds: three quarters of a point an hour.
    assert_eq!(work(&town, "sue"), Points::from_thousandths(750));
    town.minutes(14);
    town.running("ann", "a", 1);
    town.minutes(30);
    town.end("ann", "a").unwrap();
    town.says("m0", "");
    town.minutes(15 + 1);
    assert_eq!(work(&town, "sue"), Points::from_thousandths(750 + 750 + 3 * 750 / 2));
    town.silent("m0");
    town.effects.clear();
    town.minutes(HOUR);
    let points = work(&town, "sue").thousandths();
    assert_eq!(points, 750 + 750 + 1_125 + 12, "a minute of the third hour");
    assert_eq!(season(&town).stage.text(), "running");
    let before = treasury(&town);
    let emitted = |town: &Town| town.control.economy().blocks.emitted;
    let so_far = emitted(&town);
    // Six hours later all is counted: Sue has all points for work, and nobody any for quests.
    town.minutes(6 * HOUR);
    assert_eq!(season(&town).stage.text(), "paid");
    assert_eq!(of(&town, "sue"), "1000.00000000");
    assert_eq!(coin_purse(&town, Holder::Season(id(1))), zero());
    let back = treasury(&town).checked_sub(before).unwrap();
    let unearned = emitted(&town).checked_sub(so_far).unwrap();
    assert_eq!(back, unearned.checked_add(coins("100")).unwrap(), "what is unspent");
    let changed = |subject| town.effects.contains(&control::Effect::Changed(subject));
    assert!(changed(Subject::Season(id(1))) && changed(Subject::Account(account("sue"))));
}

#[test]
fn who_rents_from_himself_has_no_job_hours_and_who_is_shut_out_none_at_all() {
    let mut town = town(&[1, 1]);
    town.careful = false;
    town.up("m0");
    opened(&mut town, 3);
    town.minutes(HOUR);
    let (project, account) = (project("ann"), account("sue"));
    let role = Some(control::Role::Viewer);
    town.ok("ann", Command::SetMember { project, account, role });
    town.running("ann", "a", 1);
    town.minutes(HOUR + 1);
    assert_eq!(work(&town, "sue"), Points::from_thousandths(750));
    let reason = Some("forged proofs".to_owned());
    town.ok("operator", Command::SetBlocked { worker: worker("m0"), reason, kind: None });
    town.minutes(HOUR);
    assert_eq!(work(&town, "sue"), Points::from_thousandths(750));
}

#[test]
fn a_machine_that_serves_two_at_once_serves_each_minute_once() {
    let mut town = town(&[2]);
    town.up("m0");
    opened(&mut town, 2);
    town.minutes(HOUR);
    town.running("ann", "a", 1);
    town.minutes(10);
    town.take("bob", "b", 1);
    town.says("m0", "a0 ready, b0 ready");
    town.minutes(10);
    town.end("bob", "b").unwrap();
    town.says("m0", "a0 ready");
    town.minutes(10);
    town.end("ann", "a").unwrap();
    town.says("m0", "");
    town.minutes(31);
    // Two cards: three quarters of a point an hour each, and three times that for half of it.
    assert_eq!(work(&town, "sue"), Points::from_thousandths(2 * (750 + 1_125)));
}

#[test]
fn a_quest_counts_once_with_a_proof_of_its_own() {
    let mut town = town(&[]);
    opened(&mut town, 2);
    let early = town.tell("operator", done("ann", "tx-1"));
    assert!(matches!(early, Err(Refusal::Quest(QuestRefusal::NotRunning { .. }))), "{early:?}");
    town.minutes(HOUR);
    assert!(town.tell("ann", done("ann", "tx-1")).is_err(), "nobody says so of himself");
    let refused = town.tell("operator", done("zoe", "tx-1"));
    assert_eq!(refused, Err(Refusal::NotFound(Noun::Account)));
    town.ok("operator", done("ann", "tx-1"));
    town.ok("operator", done("ann", "tx-1"));
    let refused = town.tell("operator", done("bob", "tx-1"));
    assert_eq!(refused, Err(Refusal::Quest(QuestRefusal::ProofReused)));
    town.ok("operator", done("bob", "tx-2"));
    let full = town.tell("operator", done("sue", "tx-3"));
    assert!(matches!(full, Err(Refusal::Quest(QuestRefusal::Full { .. }))), "{full:?}");
    town.minutes(2 * HOUR + 6 * HOUR);
    assert_eq!((of(&town, "ann"), of(&town, "bob")), ("50.00000000".into(), "50.00000000".into()));
    assert_eq!(coin_purse(&town, Holder::Season(id(1))), zero());
}

#[test]
fn payouts_wait_while_claims_are_stopped() {
    let mut town = town(&[]);
    opened(&mut town, 1);
    town.minutes(HOUR);
    town.ok("operator", done("ann", "tx-1"));
    town.minutes(6 * HOUR);
    let brake = control::BrakeRecord {
        what: [Switch::Claims].into_iter().collect(),
        reason: "points are counted wrong".to_owned(),
        by: account("bob"),
        hours: 72,
    };
    town.ok("operator", Command::PullBrake { brake });
    town.minutes(2 * HOUR);
    assert_eq!((season(&town).stage.text(), of(&town, "ann")), ("ended", zero()));
    town.ok("operator", Command::LiftBrake {});
    assert_eq!(town.control.wake_at(), Some(town.now));
    town.minutes(0);
    assert_eq!((season(&town).stage.text(), of(&town, "ann").as_str()), ("paid", "100.00000000"));
}

#[test]
fn after_an_outage_hours_are_counted_late_and_only_those_that_were_served() {
    let mut town = town(&[1]);
    town.careful = false;
    town.up("m0");
    opened(&mut town, 4);
    town.minutes(3 * HOUR);
    let before = work(&town, "sue");
    // Nobody wakes anything for hours; the machine was last heard when it all stopped.
    let heard_millis = town.now.millis();
    town.now = Hour::of(town.now).later(5).start();
    let silent = Command::WorkerSilent { worker: worker("m0"), heard_millis };
    town.ok("clock", silent);
    town.minutes(1);
    assert_eq!(season(&town).recorded, Some(before_it(season(&town).plan.until)));
    assert_eq!(work(&town, "sue"), before.plus(Points::from_thousandths(750)));
}

fn before_it(hour: Hour) -> Hour {
    Hour::from_number(hour.number() - 1)
}

#[test]
fn a_snapshot_whose_purses_do_not_add_up_is_no_state() {
    let mut town = town(&[]);
    opened(&mut town, 1);
    let snapshot = String::from_utf8(town.control.snapshot()).unwrap();
    let forged = snapshot.replace(r#""prize":"100.00000000""#, r#""prize":"200.00000000""#);
    assert_ne!(forged, snapshot);
    let refused = Control::from_snapshot(forged.as_bytes()).err().unwrap().to_string();
    assert!(
        refused.ends_with("1100.00000000 IO are there, and 1200.00000000 should be"),
        "{refused}"
    );
}

#[test]
fn an_hour_counts_for_machines_that_were_nominated_as_it_began() {
    let mut town = town(&[1, 1]);
    town.careful = false;
    let (from, to) = (Purse::Treasury, Purse::Account(account("sue")));
    let money = Money::from(coins("200"));
    town.ok("operator", Command::Transfer { from, to, money });
    town.up("m0");
    town.up("m1");
    town.ok("sue", Command::Stake { worker: worker("m0"), coins: coins("200") });
    // Neither has been up for five hours until the sixth; then the one without a stake is still not nominated.
    let mut asked = plan(&town, 8);
    asked.points = PointRules::default();
    assert!(asked.points.nominated_only, "unless a plan says otherwise");
    open(&mut town, 1, asked).unwrap();
    let work = |town: &Town| {
        let standing = season(town).standing(account("sue"));
        standing.map_or(Points::ZERO, |standing| standing.work)
    };
    town.minutes(5 * 60 + 2);
    assert_eq!(work(&town), Points::ZERO);
    town.minutes(2 * 60);
    let each = PointRules::default().uptime_weight * 750;
    let hours = town.control.economy().blocks.closed.iter().filter(|it| it.counts.nominated == 1);
    let hours = u64::try_from(hours.count()).unwrap();
    assert!(hours > 0);
    assert_eq!(work(&town), Points::from_thousandths(u64::from(each) * hours));
}
