//! Revenue that buys coins to be burned, and conversions at a quote.

use control::{BURNS_KEPT, BurnStep, Command, Noun, Purse, Refusal};
use ledger::Holder;
use market::{Exactly, NoRate, NotNow};
use units::{Asset, Hour, Money};

use crate::town::{Town, account, coins, project};

pub(crate) fn money(text: &str) -> Money {
    text.parse().unwrap()
}

/// The coin is born at a full hour; Ann's person has coins, and so has her project.
pub(crate) fn born(machines: &[u32]) -> Town {
    let mut town = Town::with(machines);
    town.now = "2025-06-15T18".parse::<Hour>().unwrap().start();
    town.careful = false;
    let first_month = Hour::of(town.now).month();
    town.ok("operator", Command::Genesis { first_month });
    for to in [Purse::Account(account("ann")), Purse::Project(project("ann"))] {
        moved(&mut town, Purse::Treasury, to, "1000 IO");
    }
    town
}

fn moved(town: &mut Town, from: Purse, to: Purse, amount: &str) {
    town.ok("operator", Command::Transfer { from, to, money: money(amount) });
}

/// Ann's project pays the network for something.
fn earn(town: &mut Town, amount: &str) {
    moved(town, Purse::Project(project("ann")), Purse::Fees, amount);
}

pub(crate) fn told_rate(town: &mut Town, micros: u64) {
    let reading = |source: &str| market::Reading {
        source: source.to_owned(),
        usd_micros_per_coin: micros,
        at: town.now,
    };
    let readings = vec![reading("one"), reading("two"), reading("three")];
    town.ok("operator", Command::ObserveRate { readings });
}

/// Almost a day passes, and the sources speak before it is over.
fn day(town: &mut Town, rate: Option<u64>) {
    town.minutes(24 * 60 - 1);
    if let Some(rate) = rate {
        told_rate(town, rate);
    }
    town.minutes(1);
}

fn has(town: &Town, holder: Holder, asset: Asset) -> String {
    town.control.available(holder, asset).amount()
}

fn burned(town: &Town) -> String {
    has(town, Holder::Burned, Asset::Io)
}

/// The steps of the newest record, in words.
fn steps(town: &Town) -> Vec<String> {
    let Some(record) = town.control.economy().burning.records.back() else { return Vec::new() };
    let words = |step: &BurnStep| match step {
        BurnStep::SetAside { revenue, share } => format!("{share} of {revenue}"),
        BurnStep::BurnedRevenue { revenue, coins } => format!("{coins} of {revenue} coins"),
        BurnStep::Bought { spend, coins, .. } => format!("{coins} bought for {spend}"),
        BurnStep::Burned { coins } => format!("{coins} burned"),
        BurnStep::Waits { why } => why.clone(),
    };
    record.steps.iter().map(words).collect()
}

#[test]
fn half_of_the_revenue_buys_coins_that_are_burned_once_a_day() {
    let mut town = born(&[]);
    moved(&mut town, Purse::Treasury, Purse::Exchange, "1000 IO");
    earn(&mut town, "40 USD");
    earn(&mut town, "1 IO");
    town.minutes(60);
    assert_eq!((burned(&town).as_str(), steps(&town).len()), ("0.00000000", 0));
    town.minutes(22 * 60 + 59);
    told_rate(&mut town, 250_000);
    town.minutes(1);
    let done = [
        "20.000000 USD of 40.000000 USD",
        "0.50000000 of 1.00000000 coins",
        "80.00000000 bought for 20.000000",
        "80.00000000 burned",
    ];
    assert_eq!(steps(&town), done);
    assert_eq!(burned(&town), "80.50000000");
    assert_eq!(has(&town, Holder::Fees, Asset::Usd), "20.000000");
    assert_eq!(has(&town, Holder::Exchange, Asset::Usd), "20.000000");
    assert_eq!(has(&town, Holder::Exchange, Asset::Io), "920.00000000");
    let burning = town.control.economy().burning.clone();
    assert!(burning.records[0].is_done());
    assert_eq!(
        (burning.burns.burned, burning.directly.to_string()),
        (coins("80"), "0.50000000".to_owned())
    );
    day(&mut town, Some(250_000));
    assert_eq!(town.control.economy().burning.records.len(), 1, "revenue is set aside once");
}

#[test]
fn it_waits_for_a_rate_and_for_coins_and_says_so() {
    let mut town = born(&[]);
    earn(&mut town, "100 USD");
    town.minutes(24 * 60);
    assert_eq!(town.control.next_burn(town.now), Err(NotNow::NoRate(NoRate::Never)));
    let set_aside = "50.000000 USD of 100.000000 USD";
    assert_eq!(steps(&town), [set_aside, &NoRate::Never.to_string()]);
    town.minutes(59);
    told_rate(&mut town, 500_000);
    town.minutes(1);
    assert_eq!(
        steps(&town),
        [set_aside, "0.00000000 coins are for sale, 100.00000000 would be bought"]
    );
    // What was set aside buys coins from whoever sells them to the exchange.
    town.ok("ann", convert("30 IO", None));
    town.minutes(59);
    told_rate(&mut town, 500_000);
    town.minutes(1);
    let done = [set_aside, "30.00000000 bought for 15.000000", "30.00000000 burned"];
    assert_eq!(steps(&town), done);
    assert_eq!(town.control.economy().burning.records.len(), 1);
    assert_eq!(town.control.economy().burning.burns.set_aside.to_string(), "35.000000");
    let soon = town.control.next_burn(town.now);
    assert!(matches!(soon, Err(NotNow::TooSoon { passed_s: 0, every_hours: 24 })));
}

#[test]
fn too_little_is_collected_until_it_is_enough() {
    let mut town = born(&[]);
    moved(&mut town, Purse::Treasury, Purse::Exchange, "1000 IO");
    for expected in ["6.000000 USD are set aside, 10.000000 USD is the least", "12.00000000 burned"]
    {
        earn(&mut town, "12 USD");
        day(&mut town, Some(1_000_000));
        assert_eq!(steps(&town).last().unwrap(), expected);
    }
    assert_eq!(steps(&town)[0], "12.000000 USD of 24.000000 USD");
}

#[test]
fn what_is_no_revenue_buys_nothing() {
    let mut town = Town::new();
    let transfer = |amount| Command::Transfer {
        from: Purse::Project(project("ann")),
        to: Purse::Fees,
        money: money(amount),
    };
    town.ok("ann", transfer("10 USD"));
    drop(town);
    let mut town = born(&[]);
    let deposit = |to| Command::Deposit { to, money: money("100 USD"), reference: String::new() };
    town.ok("operator", deposit(Purse::Fees));
    town.ok("operator", deposit(Purse::Exchange));
    moved(&mut town, Purse::Exchange, Purse::Fees, "50 USD");
    day(&mut town, Some(250_000));
    assert_eq!(steps(&town).len(), 0);
}

#[test]
fn what_the_operator_spent_before_is_set_aside_of_the_next_revenue() {
    let mut town = born(&[]);
    moved(&mut town, Purse::Treasury, Purse::Exchange, "1000 IO");
    earn(&mut town, "60 USD");
    moved(&mut town, Purse::Fees, Purse::Treasury, "60 USD");
    day(&mut town, Some(1_000_000));
    assert_eq!(steps(&town).len(), 0);
    earn(&mut town, "40 USD");
    day(&mut town, Some(1_000_000));
    assert_eq!(steps(&town)[0], "20.000000 USD of 40.000000 USD");
    assert_eq!(town.control.economy().burning.revenue.usd, 60_000_000, "it is still owed");
}

#[test]
fn the_fees_of_a_rental_are_revenue() {
    let mut town = born(&[1]);
    town.fees(1_000, 1_000, 0);
    town.running("ann", "a", 1);
    town.minutes(60);
    assert_eq!(town.control.economy().burning.revenue.usd, 200_000);
    assert_eq!(has(&town, Holder::Fees, Asset::Usd), "0.200000");
}

#[test]
fn the_last_records_are_kept() {
    let mut town = born(&[]);
    town.patch(r#"{"burn":{"interval_hours":1}}"#);
    town.minutes(24 * 60);
    for _ in 0..BURNS_KEPT + 3 {
        earn(&mut town, "0.00000002 IO");
        town.minutes(60);
    }
    let burning = &town.control.economy().burning;
    assert_eq!(burning.records.len(), BURNS_KEPT);
    assert_eq!(burning.records.front().unwrap().number, 4);
    assert_eq!(burned(&town), "0.00000067");
    let back = control::Control::from_snapshot(&town.control.snapshot()).unwrap();
    assert!(back == town.control, "a snapshot is the state");
}

fn convert(give: &str, quoted_until_millis: Option<u64>) -> Command {
    let purse = Purse::Account(account("ann"));
    Command::Convert {
        purse,
        give: money(give),
        take: Asset::Usd,
        at_least: 0,
        quoted_until_millis,
    }
}

#[test]
fn a_conversion_holds_as_long_as_its_quote() {
    let mut town = born(&[]);
    let deposit =
        Command::Deposit { to: Purse::Exchange, money: money("100 USD"), reference: String::new() };
    town.ok("operator", deposit);
    let give = Exactly::Give(money("10 IO"));
    assert!(matches!(
        town.control.conversion(give, Asset::Usd, town.now),
        Err(Refusal::NoRate(NoRate::Never))
    ));
    told_rate(&mut town, 500_000);
    let quote = town.control.conversion(give, Asset::Usd, town.now).unwrap();
    assert_eq!(quote.get, money("5 USD"));
    assert_eq!(quote.expires.since(town.now).as_secs(), 60);
    let until = Some(quote.expires.millis());
    town.now = quote.expires;
    assert_eq!(town.tell("ann", convert("10 IO", until)), Err(Refusal::Expired(Noun::Quote)));
    town.now = units::Timestamp::from_millis(quote.expires.millis() - 1);
    town.ok("ann", convert("10 IO", until));
    town.minutes(20);
    assert!(matches!(
        town.tell("ann", convert("10 IO", None)),
        Err(Refusal::NoRate(NoRate::Stale { .. }))
    ));
}
