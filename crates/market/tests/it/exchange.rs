//! Revenue that becomes burned coins, and conversions.

use std::time::Duration;

use market::{
    BurnRefusal, BurnRules, Burns, Conversion, ConversionRules, Exactly, Lapsed, NoConversion,
    NoRate, NotNow, Rate, plan_burn,
};
use proptest::prelude::*;
use units::{Asset, Coins, Credits, HOUR, Money, Timestamp};

fn start() -> Timestamp {
    Timestamp::from_millis(1_000_000_000)
}

fn usd(text: &str) -> Credits {
    text.parse().expect("an amount")
}

fn coins(text: &str) -> Coins {
    text.parse().expect("an amount")
}

fn rate(usd_micros_per_coin: u64) -> Rate {
    Rate { usd_micros_per_coin, at: start() }
}

/// What is set aside, coins in the purse, rate → what is spent, coins, fewest coins; or why not.
#[test]
fn a_purchase_is_planned() {
    let rows = [
        ("100", "1000", 250_000, "100.000000 400.00000000 396.00000000"),
        ("100", "1000", 300_000, "100.000000 333.33333333 330.00000000"),
        ("100", "200", 250_000, "50.000000 200.00000000 198.00000000"),
        ("100", "33.33333333", 300_000, "10.000000 33.33333333 33.00000000"),
        ("100", "33.33333332", 300_000, "10.000000 33.33333332 32.99999999"),
        ("10", "1000", 1_000_000, "10.000000 10.00000000 9.90000000"),
        ("9.999999", "1000", 1_000_000, "9.999999 USD are set aside, 10.000000 USD is the least"),
        ("100", "0", 250_000, "0.00000000 coins are for sale, 400.00000000 would be bought"),
        (
            "18446744073709",
            "1000",
            1,
            "1000.00000000 coins are for sale, 184467440737.09551615 would be bought",
        ),
    ];
    for (budget, purse, price, expected) in rows {
        let plan = plan_burn(usd(budget), coins(purse), rate(price), &BurnRules::default());
        let got = match plan {
            Ok(burn) => format!("{} {} {}", burn.spend, burn.coins, burn.coins_min),
            Err(refused) => refused.to_string(),
        };
        assert_eq!(got, expected, "{budget} of {purse} at {price}");
    }
}

#[test]
fn revenue_is_set_aside_bought_with_and_burned() {
    let rules = BurnRules::default();
    let mut burns = Burns::default();
    assert_eq!(burns.on_revenue(usd("200.000001"), &rules), Ok(usd("100")));
    assert_eq!(burns.on_revenue(usd("0.000001"), &rules), Ok(usd("0.000001")));
    let burn = burns.plan(coins("1000"), Ok(rate(250_000)), start(), &rules).unwrap();
    let before = burns.clone();
    let slipped = BurnRefusal::Slipped { bought: coins("300"), least: burn.coins_min };
    assert_eq!(burns.done(&burn, coins("300"), start()), Err(slipped));
    assert_eq!(burns, before);
    assert_eq!(burns.done(&burn, burn.coins_min, start()), Ok(()));
    assert_eq!((burns.total(), burns.spent), (Credits::ZERO, usd("100.000001")));
    assert_eq!(burns.burned, burn.coins_min);
    let again = BurnRefusal::NotSetAside { spend: burn.spend, there: Credits::ZERO };
    assert_eq!(burns.done(&burn, burn.coins, start()), Err(again));
    assert_eq!(burns.audit(), Ok(()));
    let text = serde_json::to_string(&burns).unwrap();
    assert_eq!(serde_json::from_str::<Burns>(&text).unwrap(), burns);
}

#[test]
fn coins_are_bought_once_in_an_interval_and_at_a_rate_that_holds() {
    let rules = BurnRules::default();
    let mut burns = Burns { last_at: Some(start()), ..Burns::default() };
    burns.on_revenue(usd("200"), &rules).unwrap();
    let plan =
        |rate, hours: u32| burns.plan(coins("1000"), rate, start().after(HOUR * hours), &rules);
    let soon = NotNow::TooSoon { passed_s: 82_800, every_hours: 24 };
    assert_eq!(plan(Ok(rate(1)), 23), Err(soon));
    assert_eq!(plan(Err(NoRate::Never), 24), Err(NotNow::NoRate(NoRate::Never)));
    assert!(plan(Ok(rate(1_000_000)), 24).is_ok());
}

#[test]
fn rules_of_the_exchange_are_checked() {
    assert_eq!(BurnRules::default().check(), Ok(()));
    assert_eq!(ConversionRules::default().check(), Ok(()));
    let wrong = [
        BurnRules { share_of_revenue_bp: 10_001, ..BurnRules::default() },
        BurnRules { interval_hours: 0, ..BurnRules::default() },
        BurnRules { slippage_max_bp: 5_000, ..BurnRules::default() },
        BurnRules { minimum: Credits::ZERO, ..BurnRules::default() },
    ];
    for rules in wrong {
        assert!(rules.check().is_err(), "{rules:?}");
    }
    assert!(ConversionRules { quote_valid_s: 601 }.check().is_err());
}

fn quote(exactly: Exactly, other: Asset) -> Result<Conversion, NoConversion> {
    Conversion::quote(exactly, other, Ok(rate(300_000)), start(), &ConversionRules::default())
}

/// `give` or `get`, an amount, the other asset → the other amount.
#[test]
fn a_conversion_rounds_to_the_good_of_the_network() {
    let rows = [
        ("give", "10 USD", Asset::Io, "33.33333333 IO"),
        ("get", "10 USD", Asset::Io, "33.33333334 IO"),
        ("give", "33.33333333 IO", Asset::Usd, "9.999999 USD"),
        ("get", "33.33333333 IO", Asset::Usd, "10.000000 USD"),
        ("give", "10 USDC", Asset::Io, "33.33333333 IO"),
        ("give", "10 USDC", Asset::Usd, "10.000000 USD"),
        ("get", "10 USDC", Asset::Usd, "10.000000 USD"),
        ("give", "10 USD", Asset::Usd, "both sides are USD: there is nothing to convert"),
        (
            "give",
            "0.00000001 IO",
            Asset::Usd,
            "this is less than the smallest unit of the other asset: convert more",
        ),
    ];
    for (side, amount, other, expected) in rows {
        let known: Money = amount.parse().unwrap();
        let exactly = if side == "give" { Exactly::Give(known) } else { Exactly::Get(known) };
        let got = match quote(exactly, other) {
            Ok(done) if side == "give" => done.get.to_string(),
            Ok(done) => done.give.to_string(),
            Err(refused) => refused.to_string(),
        };
        assert_eq!(got, expected, "{side} {amount}");
    }
}

#[test]
fn a_quote_holds_for_a_minute_and_dollars_need_no_rate() {
    let give = Exactly::Give("10 USD".parse().unwrap());
    let done = quote(give, Asset::Io).unwrap();
    assert_eq!(done.check_valid(start().after(Duration::from_secs(59))), Ok(()));
    assert_eq!(done.check_valid(start().after(Duration::from_secs(60))), Err(Lapsed));
    let rules = ConversionRules::default();
    let without = |other| Conversion::quote(give, other, Err(NoRate::Never), start(), &rules);
    assert_eq!(without(Asset::Io), Err(NoConversion::NoRate(NoRate::Never)));
    assert_eq!(without(Asset::Usdc).unwrap().rate, None);
    let text = serde_json::to_string(&done).unwrap();
    assert_eq!(serde_json::from_str::<Conversion>(&text).unwrap(), done);
}

proptest! {
    #[test]
    fn a_conversion_there_and_back_never_gains(
        units in 1_u64..1 << 50, price in 1_u64..1 << 40, coin_first: bool, exact_get: bool,
    ) {
        let (first, second) =
            if coin_first { (Asset::Io, Asset::Usd) } else { (Asset::Usd, Asset::Io) };
        let quote = |exactly, other| {
            Conversion::quote(exactly, other, Ok(rate(price)), start(), &ConversionRules::default())
        };
        let known = Money::new(if exact_get { second } else { first }, units);
        let there = if exact_get {
            quote(Exactly::Get(known), first)
        } else {
            quote(Exactly::Give(known), second)
        };
        if let Ok(there) = there
            && let Ok(back) = quote(Exactly::Give(there.get), first)
        {
            prop_assert!(back.get.units <= there.give.units);
        }
    }

    #[test]
    fn what_is_set_aside_is_a_share_of_all_revenue(
        revenues in prop::collection::vec(0_u64..100_000, 0..40), share in 0_u16..=10_000,
    ) {
        let rules = BurnRules { share_of_revenue_bp: share, ..BurnRules::default() };
        let mut burns = Burns::default();
        let mut told = 0;
        for revenue in &revenues {
            told += burns.on_revenue(Credits::from_units(*revenue), &rules).unwrap().units();
        }
        let all = Credits::from_units(revenues.iter().sum());
        prop_assert_eq!(burns.set_aside, all.share_floor(share));
        prop_assert_eq!(told, burns.total().units());
        prop_assert_eq!(burns.audit(), Ok(()));
    }

    #[test]
    fn a_purchase_stays_within_what_is_there(
        budget: u64, purse: u64, price in 1_u64..1 << 40, slippage_max_bp in 0_u16..5_000,
    ) {
        let rules = BurnRules { slippage_max_bp, ..BurnRules::default() };
        let (budget, purse) = (Credits::from_units(budget), Coins::from_units(purse));
        if let Ok(burn) = plan_burn(budget, purse, rate(price), &rules) {
            prop_assert!(burn.spend <= budget && burn.spend >= rules.minimum);
            prop_assert!(burn.coins <= purse && burn.coins_min <= burn.coins);
            prop_assert!(burn.rate.usd_to_pay(burn.coins).unwrap() <= burn.spend);
        }
    }
}
