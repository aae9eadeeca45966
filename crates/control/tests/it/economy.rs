//! The coin: born once, staked, earned hour by hour, claimed, taken away and given back.

use std::time::Duration;

use control::{Command, GrantRecord, Noun, OfferRecord, Purse, Refusal};
use ledger::Holder;
use stakes::{OfferRefusal, StakeRefusal};
use units::{Asset, Coins, GrantId, Hour, Money, Month, OfferId, SlashId};

use crate::town::{Town, account, coin_purse, coins, project, rental, slash, worker};

fn of(town: &Town, whose: &str) -> String {
    coin_purse(town, Holder::Account(account(whose)))
}

/// The coin is born at a full hour, Sue and Ann have coins, and Sue's machines are silent.
pub(crate) fn town(machines: &[u32]) -> Town {
    let mut town = Town::with(machines);
    town.now = "2025-06-15T18".parse::<Hour>().unwrap().start();
    for index in 0..machines.len() {
        town.silent(&format!("m{index}"));
    }
    let first_month = Hour::of(town.now).month();
    town.ok("operator", Command::Genesis { first_month });
    for person in ["sue", "ann"] {
        give(&mut town, person, "10000");
    }
    town
}

fn give(town: &mut Town, whose: &str, amount: &str) {
    let money = Money::from(coins(amount));
    let (from, to) = (Purse::Treasury, Purse::Account(account(whose)));
    town.ok("operator", Command::Transfer { from, to, money });
}

pub(crate) fn stake(town: &mut Town, machine: &str, amount: &str) {
    town.ok("sue", Command::Stake { worker: worker(machine), coins: coins(amount) });
}

fn claimable(town: &Town, whose: &str) -> String {
    town.control.economy().accruals.account_total(account(whose)).to_string()
}

fn claim(town: &mut Town, whose: &str) {
    let (account, wanted) = (account(whose), rewards::accruals::Wanted::All);
    town.ok(whose, Command::ClaimRewards { account, wanted });
}

#[test]
fn every_coin_is_born_once_and_the_hours_that_are_over_are_the_treasurys() {
    let mut town = Town::new();
    let first_month: Month = "2025-06".parse().unwrap();
    assert!(town.tell("ann", Command::Genesis { first_month }).is_err());
    town.ok("operator", Command::Genesis { first_month });
    assert_eq!(
        town.tell("operator", Command::Genesis { first_month }),
        Err(Refusal::Exists(Noun::Genesis))
    );
    let first = Hour::of(town.now);
    let rules = &town.control.parameters().emission;
    let schedule = rewards::emission::Emission::new(rules).unwrap();
    let past = schedule.emitted_through(Hour::from_number(first.number() - 1));
    assert_eq!(
        coin_purse(&town, Holder::Treasury),
        coins("500000000").checked_add(past).unwrap().to_string()
    );
    let left = rules.total.checked_sub(past).unwrap();
    assert_eq!(coin_purse(&town, Holder::Emission), left.to_string());
}

#[test]
fn a_machine_that_is_staked_and_up_earns_and_its_owner_claims() {
    let mut town = town(&[1]);
    stake(&mut town, "m0", "200");
    town.up("m0");
    // Judged at the beginning of an hour, it has not been up for five hours until the sixth.
    town.minutes(5 * 60);
    assert_eq!(claimable(&town, "sue"), "0.00000000");
    let ready = town.control.ready(worker("m0"), town.now).unwrap();
    assert!(rewards::checklist::is_ready(&ready), "{ready:?}");
    town.minutes(62);
    let summary = town.control.economy().blocks.closed.back().unwrap().clone();
    assert_eq!((summary.counts.nominated, summary.counts.succeeded), (1, 1));
    assert_eq!(claimable(&town, "sue"), summary.worker_emission.to_string());
    assert_eq!(coin_purse(&town, Holder::SafetyModule), "0.00000000", "it has no members");
    claim(&mut town, "sue");
    assert_eq!(
        of(&town, "sue"),
        coins("9800").checked_add(summary.worker_emission).unwrap().to_string()
    );
    assert_eq!(coin_purse(&town, Holder::Rewards), "0.00000000");
}

#[test]
fn an_hour_in_which_a_machine_was_away_too_long_is_failed() {
    let mut town = town(&[1]);
    stake(&mut town, "m0", "200");
    town.up("m0");
    town.minutes(6 * 60 + 2);
    let earned = claimable(&town, "sue");
    town.minutes(20);
    town.silent("m0");
    town.minutes(10);
    town.up("m0");
    town.minutes(30);
    let counts = town.control.economy().blocks.closed.back().unwrap().counts;
    assert_eq!((counts.nominated, counts.succeeded, counts.failed), (1, 0, 1));
    assert_eq!(claimable(&town, "sue"), earned);
    town.minutes(60);
    let counts = town.control.economy().blocks.closed.back().unwrap().counts;
    assert_eq!((counts.nominated, counts.missed), (0, 1), "five hours begin anew");
}

#[test]
fn without_the_stake_nothing_is_earned_and_the_reason_says_how_much() {
    let mut town = town(&[1]);
    stake(&mut town, "m0", "199.99999999");
    town.up("m0");
    town.minutes(7 * 60);
    assert_eq!(claimable(&town, "sue"), "0.00000000");
    let ready = town.control.ready(worker("m0"), town.now).unwrap();
    let missed: Vec<&str> =
        ready.iter().filter(|row| !row.check).map(|row| row.reason.as_str()).collect();
    assert_eq!(missed, ["199.99999999 of 200.00000000 coins are staked: stake 0.00000001 more"]);
}

#[test]
fn a_block_counts_who_was_hired_by_a_stranger_and_not_who_hired_himself() {
    let mut town = town(&[1, 1]);
    town.careful = false;
    stake(&mut town, "m0", "200");
    stake(&mut town, "m1", "200");
    town.up("m0");
    town.up("m1");
    town.minutes(6 * 60 + 2);
    town.running("ann", "a", 1);
    town.minutes(61);
    let (_, block) = town.control.economy().blocks.last.clone().unwrap();
    let hired: Vec<bool> = block.rows.iter().map(|row| row.device.hired).collect();
    assert_eq!(hired.iter().filter(|hired| **hired).count(), 1);
    // Sue is a member of the project that rents from her.
    let (project, account) = (project("bob"), account("sue"));
    let role = Some(control::Role::Viewer);
    town.ok("bob", Command::SetMember { project, account, role });
    town.end("ann", "a").unwrap_or(control::Reply::Done);
    town.minutes(58);
    town.running("bob", "b", 1);
    town.minutes(60);
    let (_, block) = town.control.economy().blocks.last.clone().unwrap();
    assert!(block.rows.iter().all(|row| !row.device.hired));
}

#[test]
fn what_is_unstaked_cools_down_and_a_hired_machine_keeps_its_stake() {
    let mut town = town(&[1]);
    stake(&mut town, "m0", "300");
    town.up("m0");
    let worker = worker("m0");
    let overflow = |coins| Command::WithdrawOverflow {
        account: account("sue"),
        worker,
        coins,
        unstake: false,
    };
    town.ok("sue", overflow(coins("100")));
    assert_eq!(of(&town, "sue"), "9800.00000000");
    assert!(town.tell("sue", overflow(coins("1"))).is_err());
    town.running("ann", "a", 1);
    let unstake = Command::Unstake { account: account("sue"), worker };
    assert_eq!(town.tell("sue", unstake.clone()), Err(Refusal::Stake(StakeRefusal::Hired)));
    town.end("ann", "a").unwrap();
    town.says("m0", "");
    town.ok("sue", unstake);
    let withdraw = Command::WithdrawStake { account: account("sue"), worker };
    town.careful = false;
    town.minutes(14 * 24 * 60 - 1);
    assert!(town.tell("sue", withdraw.clone()).is_err());
    town.minutes(1);
    town.ok("sue", withdraw);
    assert_eq!(of(&town, "sue"), "10000.00000000");
    assert_eq!(coin_purse(&town, Holder::Stakes), "0.00000000");
}

#[test]
fn a_co_staker_shares_what_a_machine_earns() {
    let mut town = town(&[1]);
    stake(&mut town, "m0", "200");
    town.up("m0");
    let offer = OfferId::from_bits(1);
    let record = OfferRecord { offer, worker: worker("m0"), portion_bp: 5_000, share_bp: 4_000 };
    town.ok("sue", Command::OfferCoStake { offer: record });
    let own = Command::AcceptOffer { account: account("sue"), offer };
    assert_eq!(town.tell("sue", own), Err(Refusal::Offer(OfferRefusal::OwnDevice)));
    town.ok("ann", Command::AcceptOffer { account: account("ann"), offer });
    assert_eq!(of(&town, "ann"), "9900.00000000");
    town.minutes(6 * 60 + 2);
    let block = town.control.economy().blocks.closed.back().unwrap().clone();
    let ann = block.worker_emission.share_floor(4_000);
    assert_eq!(claimable(&town, "ann"), ann.to_string());
    assert_eq!(
        claimable(&town, "sue"),
        block.worker_emission.checked_sub(ann).unwrap().to_string()
    );
}

#[test]
fn a_slash_is_burned_after_a_month_or_given_back_to_the_unit() {
    let mut town = town(&[1]);
    stake(&mut town, "m0", "200");
    town.up("m0");
    town.minutes(7 * 60);
    let earned = claimable(&town, "sue");
    let told = slash(&town, 1, 1);
    assert!(town.tell("sue", told.clone()).is_err(), "only the operator");
    town.ok("operator", told);
    let first = town.control.economy().stakes.slash(SlashId::from_bits(1)).unwrap().clone();
    assert!(first.locked() > Coins::ZERO && first.stake() <= coins("200"));
    // She appeals and is believed: all of it is back.
    let appeal = Command::Appeal {
        account: account("sue"),
        slash: SlashId::from_bits(1),
        text: "it was my neighbour".to_owned(),
        blob: None,
    };
    town.ok("sue", appeal);
    let judge =
        Command::Judge { slash: SlashId::from_bits(1), uphold: false, reason: "it was".to_owned() };
    town.ok("operator", judge);
    assert_eq!(claimable(&town, "sue"), earned);
    let unstake = Command::Unstake { account: account("sue"), worker: worker("m0") };
    // The second time she runs: what cools down answers too, and nobody appeals.
    let told = slash(&town, 2, 1);
    town.minutes(1);
    town.ok("sue", unstake);
    town.ok("operator", told);
    let second = town.control.economy().stakes.slash(SlashId::from_bits(2)).unwrap().clone();
    assert_eq!(second.stake(), first.stake(), "unstaking first gains nothing");
    town.careful = false;
    town.minutes(31 * 24 * 60);
    assert_eq!(coin_purse(&town, Holder::Burned), second.total().to_string());
}

#[test]
fn a_grant_is_released_by_its_schedule() {
    let mut town = town(&[]);
    let grant = GrantId::from_bits(1);
    let record = |class: &str, amount| GrantRecord {
        grant,
        account: account("bob"),
        class: class.to_owned(),
        coins: coins(amount),
    };
    let open = |town: &mut Town, class, amount| {
        town.tell("operator", Command::OpenGrant { grant: record(class, amount) })
    };
    assert!(open(&mut town, "friends", "1").is_err());
    assert!(open(&mut town, "seed", "100000000.00000001").is_err());
    open(&mut town, "seed", "240").unwrap();
    let claim = Command::ClaimGrant { grant };
    assert!(town.tell("bob", claim.clone()).is_err(), "a year's wait");
    assert_eq!(town.tell("ann", claim.clone()), Err(Refusal::NotFound(Noun::Grant)));
    town.careful = false;
    town.minutes(366 * 24 * 60);
    town.ok("bob", claim);
    assert_eq!(of(&town, "bob"), "10.00000000");
}

#[test]
fn coins_come_back_only_from_where_they_went() {
    let mut town = town(&[]);
    let deposit = |amount| Command::Deposit {
        to: Purse::Account(account("sue")),
        money: Money::from(coins(amount)),
        reference: "5Xy…:0".to_owned(),
    };
    assert!(matches!(town.tell("operator", deposit("1")), Err(Refusal::NotOutside { .. })));
    let (account, money, to) = (account("sue"), Money::from(coins("5")), "8tvk…".to_owned());
    town.ok("sue", Command::Withdraw { account, money, to });
    town.ok("operator", deposit("4"));
    assert!(town.tell("operator", deposit("1.00000001")).is_err());
    assert_eq!(of(&town, "sue"), "9999.00000000");
}

fn told_rate(town: &mut Town, micros: u64) {
    let reading = |source: &str| market::Reading {
        source: source.to_owned(),
        usd_micros_per_coin: micros,
        at: town.now,
    };
    let readings = vec![reading("one"), reading("two"), reading("three")];
    town.ok("operator", Command::ObserveRate { readings });
}

#[test]
fn a_rental_is_paid_in_coins_at_the_rate_of_its_quote() {
    let mut town = town(&[1]);
    town.up("m0");
    let quote = |town: &mut Town, id: &str| {
        let (rental, project) = (rental(id), project("ann"));
        let order = crate::town::order(1, 1);
        let pay = Some(Asset::Io);
        town.tell("ann", Command::Quote { rental, project, order, hours: 1, pay })
    };
    assert!(matches!(quote(&mut town, "a"), Err(Refusal::NoRate(_))));
    told_rate(&mut town, 250_000);
    quote(&mut town, "a").unwrap();
    let refused = town.rent("ann", "a", false).unwrap_err();
    assert_eq!(refused.to_string(), "the balance is too small: 4.00 IO needed, 0.00 IO available");
    let (from, to) = (Purse::Account(account("ann")), Purse::Project(project("ann")));
    town.ok("ann", Command::Transfer { from, to, money: Money::from(coins("6")) });
    town.rent("ann", "a", false).unwrap();
    town.says("m0", "a0 ready");
    town.minutes(30);
    // Another hour at the quote's rate, but not when the coin has fallen.
    told_rate(&mut town, 249_000);
    let extend = Command::Extend { rental: rental("a"), hours: 1 };
    assert!(matches!(town.tell("ann", extend.clone()), Err(Refusal::Insufficient { .. })));
    town.ok("ann", Command::Transfer { from, to, money: Money::from(coins("2")) });
    town.ok("ann", extend.clone());
    told_rate_later(&mut town, 240_000);
    assert!(matches!(town.tell("ann", extend), Err(Refusal::Fallen { .. })));
    town.minutes(60);
    town.end("ann", "a").unwrap();
    // 91 minutes at a dollar an hour, four coins a dollar.
    assert_eq!(of(&town, "sue"), "10006.06666400");
    assert_eq!(coin_purse(&town, Holder::Fees), "0.00000000");
    assert_eq!(coin_purse(&town, Holder::Project(project("ann"))), "1.93333600");
}

fn told_rate_later(town: &mut Town, micros: u64) {
    town.minutes(1);
    told_rate(town, micros);
}

#[test]
fn assets_are_changed_at_the_rate_as_far_as_the_exchange_goes() {
    let mut town = town(&[]);
    told_rate(&mut town, 500_000);
    let convert = |give: Money, take, at_least| Command::Convert {
        purse: Purse::Account(account("ann")),
        give,
        take,
        at_least,
        quoted_until_millis: None,
    };
    let ten = Money::from(coins("10"));
    assert!(matches!(
        town.tell("ann", convert(ten, Asset::Usd, 0)),
        Err(Refusal::NoLiquidity { .. })
    ));
    let money = Money::new(Asset::Usd, 20_000_000);
    let reference = String::new();
    town.ok("operator", Command::Deposit { to: Purse::Exchange, money, reference });
    assert!(matches!(
        town.tell("ann", convert(ten, Asset::Usd, 5_000_001)),
        Err(Refusal::RateMoved { .. })
    ));
    town.ok("ann", convert(ten, Asset::Usd, 5_000_000));
    let holder = Holder::Account(account("ann"));
    assert_eq!(town.control.available(holder, Asset::Usd).to_string(), "5.000000 USD");
    assert_eq!(of(&town, "ann"), "9990.00000000");
}

#[test]
fn members_of_the_safety_module_share_in_every_block() {
    let mut town = town(&[]);
    let (ann, sue) = (account("ann"), account("sue"));
    town.ok("ann", Command::SafetyStake { account: ann, coins: coins("300") });
    town.ok("sue", Command::SafetyStake { account: sue, coins: coins("100") });
    town.minutes(61);
    let block = town.control.economy().blocks.closed.back().unwrap().clone();
    let owed = |town: &Town, who| town.control.economy().stakes.safety.owed(who);
    // The index is rounded down; what it leaves over stays in the module.
    let ideal = block.safety_module_emission.mul_div_floor(3, 4).unwrap();
    assert!(ideal.checked_sub(owed(&town, ann)).unwrap() < coins("0.0000001"));
    town.ok("ann", Command::SafetyUnstake { account: ann, coins: coins("300") });
    let before = owed(&town, ann);
    town.minutes(60);
    assert_eq!(owed(&town, ann), before, "what cools down earns nothing");
    town.ok("ann", Command::SafetyClaim { account: ann });
    assert!(town.tell("ann", Command::SafetyWithdraw { account: ann }).is_err());
    town.careful = false;
    town.minutes(14 * 24 * 60);
    town.ok("ann", Command::SafetyWithdraw { account: ann });
    assert_eq!(of(&town, "ann"), coins("10000").checked_add(before).unwrap().to_string());
}

#[test]
fn the_treasury_adds_what_blocks_leave_short_of_the_least_yield_and_no_more_than_its_part() {
    let mut town = town(&[]);
    let ann = account("ann");
    give(&mut town, "ann", "80000000");
    town.ok("ann", Command::SafetyStake { account: ann, coins: coins("80000000") });
    let purse = |town: &Town| coins(&coin_purse(town, Holder::SafetyModule));
    let hour = |town: &mut Town| {
        let before = purse(town);
        town.minutes(60);
        purse(town).checked_sub(before).unwrap()
    };
    town.minutes(1);
    // 3 % a year of 80 M is 273.97 an hour; the block gives less than half of that.
    let block = |town: &Town| town.control.economy().blocks.closed.back().unwrap().clone();
    assert_eq!(hour(&mut town), coins("273.97260273"));
    assert!(block(&town).safety_module_emission < coins("140"));
    // A ten-thousandth of the treasury in a year is a few coins an hour.
    town.patch(r#"{"safety":{"treasury_year_max_bp":1}}"#);
    let treasury = coins(&coin_purse(&town, Holder::Treasury));
    let given = hour(&mut town);
    let closed = block(&town);
    let added = given.checked_sub(closed.safety_module_emission).unwrap();
    // What nobody earned in the hour is the treasury's by then.
    let had = treasury.checked_add(closed.unearned).unwrap();
    assert_eq!(added, had.mul_div_floor(1, 10_000 * 8_760).unwrap());
    // Where the block gives more, nothing is added.
    town.patch(r#"{"safety":{"treasury_year_max_bp":10000,"yield_min_bp":100}}"#);
    assert_eq!(hour(&mut town), block(&town).safety_module_emission);
}

#[test]
fn a_card_pays_its_provider_first() {
    let mut town = town(&[]);
    let paid = |amount: &str| Command::CardPaid {
        to: Purse::Project(project("ann")),
        paid: amount.parse().unwrap(),
        reference: "ch_1".to_owned(),
    };
    assert!(town.tell("ann", paid("100")).is_err());
    assert!(matches!(
        town.tell("operator", paid("1.49")),
        Err(Refusal::Invalid { field: "paid", .. })
    ));
    town.ok("operator", paid("100"));
    assert_eq!(town.purse("ann"), "196.500000", "3.5 % of a hundred stay outside");
}

#[test]
fn a_machine_that_stays_up_is_more_reliable_than_one_that_does_not() {
    let mut town = town(&[1, 1]);
    town.careful = false;
    town.patch(r#"{"time_lock":{"missing_hours_max":8760}}"#);
    for machine in ["m0", "m1"] {
        stake(&mut town, machine, "200");
        town.up(machine);
    }
    let reliability = |town: &Town, machine| town.control.reliability_bp(worker(machine)).unwrap();
    assert_eq!(reliability(&town, "m0"), 5_000, "nothing is known of a newcomer");
    for _ in 0..48 {
        town.minutes(50);
        town.silent("m1");
        town.minutes(10);
        town.up("m1");
    }
    assert!(reliability(&town, "m0") > 6_000);
    assert!(reliability(&town, "m1") < 5_000);
    let week = &town.control.worker(worker("m0")).unwrap().week;
    assert_eq!(week.earned().to_string(), claimable(&town, "sue"));
}

#[test]
fn a_silence_that_is_told_after_its_hour_leaves_what_the_machine_was_up_in_it() {
    let mut town = Town::with(&[1]);
    town.up("m0");
    town.top_up("ann", "10");
    town.quote("ann", "r0", 1).unwrap();
    town.minutes(125);
    // Nobody was awake as the hour ended, half a minute ago.
    let end = Hour::of(town.now).end();
    town.now = end.after(Duration::from_secs(30));
    let heard_millis = end.millis() - 1_000;
    town.ok("clock", Command::WorkerSilent { worker: worker("m0"), heard_millis });
    town.ok("clock", Command::Wake {});
    let conduct = town.control.worker(worker("m0")).unwrap().week.conduct(0);
    assert!(conduct.hours >= 2);
    assert_eq!(conduct.hours_up, conduct.hours);
}

#[test]
fn what_the_operator_gave_a_project_is_spent_first_and_does_not_leave() {
    let mut town = town(&[1]);
    town.up("m0");
    let (from, to) = (Purse::Project(project("ann")), Purse::Account(account("ann")));
    let take = |amount: &str| {
        let money = Money::from(amount.parse::<units::Credits>().unwrap());
        Command::Transfer { from, to, money }
    };
    assert!(matches!(town.tell("ann", take("0.000001")), Err(Refusal::Granted { .. })));
    let money = Money::from("5".parse::<units::Credits>().unwrap());
    let reference = String::new();
    town.ok("operator", Command::Deposit { to: from, money, reference });
    town.running("ann", "a", 1);
    town.minutes(60);
    town.says("m0", "");
    assert_eq!(town.purse("ann"), "104.000000", "a dollar of what was given is spent");
    assert!(matches!(town.tell("ann", take("5.000001")), Err(Refusal::Granted { .. })));
    town.ok("ann", take("5"));
}
