//! A rate that is ten times too high for a while.

use control::{Actor, Command, Purse};
use units::{Asset, Coins, MINUTE, Money};

use super::Told;
use super::stage::{COIN, Stage};

/// A quarter of a dollar, in millionths.
const RATE: u64 = 250_000;

pub(super) fn stories() -> Vec<Told> {
    vec![some(), all()]
}

/// An exchange with dollars, and a coin that has been worth a quarter for an hour.
fn exchange() -> (Stage, units::AccountId) {
    let mut stage = Stage::new();
    let thief = stage.holder("thief", 100);
    let money = Money::new(Asset::Usd, 1_000_000_000);
    let reference = String::new();
    let command = Command::Deposit { to: Purse::Exchange, money, reference };
    stage.network.must(Actor::Operator, command);
    for _ in 0..60 {
        stage.network.pass(MINUTE);
        stage.network.told_rates(&[("north", RATE), ("south", RATE), ("west", RATE)]);
    }
    (stage, thief)
}

/// What hundred coins fetch, in units of dollars; nothing when there is no rate.
fn sale(stage: &mut Stage, thief: units::AccountId) -> u64 {
    let give = Money::from(Coins::from_units(100 * COIN));
    let purse = Purse::Account(thief);
    let command =
        Command::Convert { purse, give, take: Asset::Usd, at_least: 0, quoted_until_millis: None };
    let _ = stage.network.tell(Actor::Account(thief), command);
    stage.network.control.available(ledger::Holder::Account(thief), Asset::Usd).units
}

fn some() -> Told {
    let (mut stage, thief) = exchange();
    stage.network.pass(MINUTE);
    stage.network.told_rates(&[("north", RATE), ("south", RATE), ("west", 10 * RATE)]);
    let got = sale(&mut stage, thief);
    assert_eq!(got, 100 * RATE, "a lone liar moves nothing");
    Told {
        tried: "one of three sources says ten times the rate, and its owner sells 100 IO"
            .to_owned(),
        cost: "a source".to_owned(),
        gain: "none: they fetch 25.00 USD".to_owned(),
        bound: "a source alone moves no rate",
    }
}

/// Every source says ten times the rate: for how many minutes nobody can sell at it.
fn all() -> Told {
    let (mut stage, thief) = exchange();
    let spike = [("north", 10 * RATE), ("south", 10 * RATE), ("west", 10 * RATE)];
    let mut minutes = 0;
    loop {
        stage.network.pass(MINUTE);
        stage.network.told_rates(&spike);
        minutes += 1;
        let rate = stage.network.control.rate(stage.network.now);
        match rate {
            Ok(rate) if rate.usd_micros_per_coin > RATE => break,
            Ok(_) | Err(_) => assert!(minutes < 120, "a rate that all tell is believed in the end"),
        }
    }
    assert!(minutes >= 30, "a spike was believed after {minutes} minutes");
    let got = sale(&mut stage, thief);
    assert_eq!(got, 1_000 * RATE, "by then it is the rate");
    Told {
        tried: "every source says ten times the rate".to_owned(),
        cost: "all sources at once".to_owned(),
        gain: format!(
            "nothing for {minutes} minutes, 20 of them without any rate; then it is the rate"
        ),
        bound: "no rate moves by more than 25 % in an hour unless all sources agree for 30 minutes",
    }
}
