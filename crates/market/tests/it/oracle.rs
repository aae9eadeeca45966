//! The oracle, and those who would like it to say something else.

use std::time::Duration;

use market::{NoRate, Oracle, OracleRules, RATE_MAX, Rate, Reading, Rejected, median};
use proptest::prelude::*;
use units::{Coins, Credits, Timestamp};

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_millis(1_000_000_000).after(Duration::from_secs(seconds))
}

/// What these sources say now: `a`, `b`, `c`… in order.
fn readings(rates: &[u64], now: Timestamp) -> Vec<Reading> {
    let source =
        |place: usize| char::from(b'a' + u8::try_from(place).expect("few sources")).to_string();
    let reading = |(place, rate): (usize, &u64)| Reading {
        source: source(place),
        usd_micros_per_coin: *rate,
        at: now,
    };
    rates.iter().enumerate().map(reading).collect()
}

/// What the sources say, with a last rate of 300,000 if there is one, → the rate or why not.
fn check(rates: &[u64], last: Option<u64>, expected: Result<u64, Rejected>) {
    let last = last.map(|rate| Rate { usd_micros_per_coin: rate, at: at(0) });
    let recent: Vec<Rate> = last.into_iter().collect();
    let got = median(&readings(rates, at(60)), &recent, at(60), &OracleRules::default());
    assert_eq!(got.map(|rate| rate.usd_micros_per_coin), expected, "{rates:?}");
}

#[test]
fn the_rate_is_the_median_of_those_that_agree() {
    check(&[300, 301, 302], None, Ok(301));
    check(&[300, 301], None, Ok(300));
    check(&[300_000, 309_000, 303_000], Some(300_000), Ok(303_000));
    check(&[300_000, 301_000, 900_000], Some(300_000), Ok(300_500));
    check(&[0, 300_000, 301_000, RATE_MAX + 1], Some(300_000), Ok(300_500));
}

#[test]
fn one_source_is_not_enough_and_two_that_disagree_are_none() {
    check(&[300_000], None, Err(Rejected::TooFew { usable: 1, needed: 2 }));
    check(&[], None, Err(Rejected::TooFew { usable: 0, needed: 2 }));
    check(&[300_000, 400_000], None, Err(Rejected::Disagree { low: 300_000, high: 400_000 }));
    let split = [100, 100, 300, 300];
    check(&split, None, Err(Rejected::Disagree { low: 100, high: 300 }));
    let half = [1, 300, 300, 900];
    check(&half, None, Err(Rejected::Disagree { low: 1, high: 900 }));
}

#[test]
fn a_spike_is_refused() {
    let jump = |to| Err(Rejected::Jump { from: 300_000, to });
    check(&[330_000, 330_000], Some(300_000), Ok(330_000));
    check(&[330_001, 330_001], Some(300_000), jump(330_001));
    check(&[3_000_000, 3_000_000, 3_000_000], Some(300_000), jump(3_000_000));
    check(&[269_999, 269_999], Some(300_000), jump(269_999));
}

#[test]
fn a_source_speaks_once_and_only_of_the_present() {
    let rules = OracleRules::default();
    let say = |source: &str, usd_micros_per_coin, seconds| Reading {
        source: source.to_owned(),
        usd_micros_per_coin,
        at: at(seconds),
    };
    let now = at(1_000);
    let told = [say("a", 300, 1_000), say("a", 299, 990), say("a", 298, 980)];
    let few = |usable| Err(Rejected::TooFew { usable, needed: 2 });
    assert_eq!(median(&told, &[], now, &rules), few(1));
    let old = [say("a", 300, 1_000), say("b", 300, 879)];
    assert_eq!(median(&old, &[], now, &rules), few(1));
    let ahead = [say("a", 300, 1_000), say("b", 300, 1_001)];
    assert_eq!(median(&ahead, &[], now, &rules), few(1));
    let fresh = [say("a", 300, 1_000), say("b", 300, 880), say("b", 900, 700)];
    assert_eq!(median(&fresh, &[], now, &rules), Ok(Rate { usd_micros_per_coin: 300, at: now }));
    let crowd = vec![say("a", 300, 1_000); 33];
    assert_eq!(median(&crowd, &[], now, &rules), Err(Rejected::TooMany { most: 32 }));
}

#[test]
fn a_rate_holds_until_it_is_stale_and_then_nothing_is_paid_in_coins() {
    let rules = OracleRules::default();
    let mut oracle = Oracle::default();
    assert_eq!(oracle.rate(at(0), &rules), Err(NoRate::Never));
    oracle.on_readings(&readings(&[300_000; 3], at(0)), at(0), &rules).unwrap();
    let refused = oracle.on_readings(&readings(&[900_000; 3], at(300)), at(300), &rules);
    assert_eq!(refused, Err(Rejected::Jump { from: 300_000, to: 900_000 }));
    assert_eq!(oracle.rate(at(600), &rules).unwrap().usd_micros_per_coin, 300_000);
    let stale = NoRate::Stale { age_s: 601, most_s: 600 };
    assert_eq!(oracle.rate(at(601), &rules), Err(stale));
}

#[test]
fn many_small_steps_go_no_further_than_an_hour_may() {
    let rules = OracleRules::default();
    let mut oracle = Oracle::default();
    let mut told = 100_000;
    for minute in 0..60 {
        let now = at(minute * 60);
        let _ = oracle.on_readings(&readings(&[told; 3], now), now, &rules);
        if let Ok(rate) = oracle.rate(now, &rules) {
            assert!(rate.usd_micros_per_coin <= 125_000, "minute {minute}");
        }
        told += told / 50;
    }
}

/// Tells every minute, from a first rate of 300,000 on, what three sources say; returns when the rate has moved.
fn minutes_until_believed(told: impl Fn(u64) -> [u64; 3]) -> Option<u64> {
    let rules = OracleRules::default();
    let mut oracle = Oracle::default();
    oracle.on_readings(&readings(&[300_000; 3], at(0)), at(0), &rules).expect("a first rate");
    (1..120).find(|minute| {
        let now = at(minute * 60);
        let _ = oracle.on_readings(&readings(&told(*minute), now), now, &rules);
        assert_eq!(oracle.audit(), Ok(()));
        oracle.rate(now, &rules).is_ok_and(|rate| rate.usd_micros_per_coin != 300_000)
    })
}

#[test]
fn a_crash_that_lasts_is_believed_after_half_an_hour() {
    assert_eq!(minutes_until_believed(|_| [150_000; 3]), Some(31));
}

#[test]
fn what_was_believed_after_a_crash_is_where_the_next_steps_begin() {
    let rules = OracleRules::default();
    let mut oracle = Oracle::default();
    for minute in 0..40 {
        let now = at(minute * 60);
        let told = if minute == 0 { 300_000 } else { 150_000 + minute };
        let believed = oracle.on_readings(&readings(&[told; 3], now), now, &rules);
        assert_eq!(believed.is_ok(), minute == 0 || minute > 30, "minute {minute}");
    }
}

#[test]
fn a_crash_with_a_long_silence_in_it_begins_anew() {
    let rules = OracleRules::default();
    let mut oracle = Oracle::default();
    let mut tell = |told: u64, minute: u64| {
        let now = at(minute * 60);
        oracle.on_readings(&readings(&[told; 3], now), now, &rules).is_ok()
    };
    assert!(tell(300_000, 0));
    assert!((1..=20).all(|minute| !tell(150_000, minute)));
    assert!((31..61).all(|minute| !tell(150_000, minute)));
    assert!(tell(150_000, 61));
}

#[test]
fn a_spike_that_is_interrupted_is_never_believed() {
    let wavering =
        |minute: u64| if minute.is_multiple_of(29) { [300_000; 3] } else { [900_000; 3] };
    assert_eq!(minutes_until_believed(wavering), None);
    let quarrel = |minute: u64| {
        if minute.is_multiple_of(29) { [300_000, 900_000, 600_000] } else { [900_000; 3] }
    };
    assert_eq!(minutes_until_believed(quarrel), None);
}

#[test]
fn an_oracle_is_read_back_as_it_was_written_and_audited() {
    let rules = OracleRules::default();
    assert_eq!(rules.check(), Ok(()));
    let mut oracle = Oracle::default();
    oracle.on_readings(&readings(&[300_000; 3], at(0)), at(0), &rules).unwrap();
    oracle.on_readings(&readings(&[900_000; 3], at(60)), at(60), &rules).unwrap_err();
    let text = serde_json::to_string(&oracle).unwrap();
    assert_eq!(serde_json::from_str::<Oracle>(&text).unwrap(), oracle);
    oracle.recent.push(oracle.recent[0]);
    assert_eq!(oracle.audit().unwrap_err().field, "recent");
    oracle.recent[0].usd_micros_per_coin = 0;
    assert_eq!(oracle.audit().unwrap_err().field, "recent and doubt");
}

#[test]
fn rules_of_an_oracle_are_checked() {
    let wrong = [
        OracleRules { update_min_s: 9, ..OracleRules::default() },
        OracleRules { staleness_max_s: 59, ..OracleRules::default() },
        OracleRules { sources_min: 0, ..OracleRules::default() },
        OracleRules { deviation_max_bp: 5_000, ..OracleRules::default() },
        OracleRules { hour_jump_max_bp: 999, ..OracleRules::default() },
        OracleRules { settle_s: 599, ..OracleRules::default() },
    ];
    for rules in wrong {
        assert!(rules.check().is_err(), "{rules:?}");
    }
}

#[test]
fn a_conversion_that_cannot_be_written_down_is_none() {
    let rate = |usd_micros_per_coin| Rate { usd_micros_per_coin, at: at(0) };
    let most = Credits::from_units(u64::MAX);
    assert_eq!(rate(1).coins_to_charge(most), None);
    assert_eq!(rate(0).coins_to_charge(Credits::ZERO), None);
    assert_eq!(rate(0).usd_to_pay(Coins::ZERO), None);
    assert_eq!(rate(RATE_MAX).usd_to_pay(Coins::from_units(u64::MAX)), None);
    let ten: Credits = "10".parse().unwrap();
    assert_eq!(rate(300_000).coins_to_charge(ten).unwrap().to_string(), "33.33333334");
    assert_eq!(rate(300_000).coins_to_pay(ten).unwrap().to_string(), "33.33333333");
}

proptest! {
    #[test]
    fn there_and_back_never_gains(units in 0_u64..1 << 50, rate in 1_u64..=RATE_MAX) {
        let rate = Rate { usd_micros_per_coin: rate, at: at(0) };
        let (usd, coins) = (Credits::from_units(units), Coins::from_units(units));
        if let Some(back) = rate.coins_to_pay(usd).and_then(|coins| rate.usd_to_pay(coins)) {
            prop_assert!(back <= usd);
        }
        if let Some(back) = rate.usd_to_pay(coins).and_then(|usd| rate.coins_to_pay(usd)) {
            prop_assert!(back <= coins);
        }
        if let (Some(charged), Some(paid)) = (rate.coins_to_charge(usd), rate.coins_to_pay(usd)) {
            prop_assert!(paid <= charged && charged.units() - paid.units() <= 1);
            prop_assert!(rate.usd_to_charge(charged).is_none_or(|worth| worth >= usd));
        }
    }

    #[test]
    fn a_minority_moves_a_rate_no_further_than_honest_sources_lie_apart(
        honest in prop::collection::vec(295_000_u64..=305_000, 4..8),
        lies in prop::collection::vec(any::<u64>(), 0..4),
    ) {
        let all: Vec<u64> = honest.iter().chain(&lies).copied().collect();
        let rules = OracleRules { deviation_max_bp: 400, ..OracleRules::default() };
        let rate = median(&readings(&all, at(0)), &[], at(0), &rules).unwrap();
        prop_assert!((283_000..=318_000).contains(&rate.usd_micros_per_coin), "{rate:?}");
    }

    #[test]
    fn a_rate_never_leaves_its_bounds(
        steps in prop::collection::vec((1_u64..900, prop::array::uniform3(1_u64..1_000_000)), 1..60),
    ) {
        let rules = OracleRules { deviation_max_bp: 4_999, ..OracleRules::default() };
        let mut oracle = Oracle::default();
        let (mut now, mut taken): (_, Vec<Rate>) = (at(0), Vec::new());
        for (gap, told) in steps {
            now = now.after(Duration::from_secs(gap));
            let doubted = oracle.doubt.is_some();
            if let Ok(rate) = oracle.on_readings(&readings(&told, now), now, &rules) {
                let last = taken.last().map_or(rate.usd_micros_per_coin, |last| last.usd_micros_per_coin);
                let moved = rate.usd_micros_per_coin.abs_diff(last) * 10_000;
                prop_assert!(doubted || moved <= last * u64::from(rules.jump_max_bp));
                taken.push(rate);
            }
            prop_assert_eq!(oracle.audit(), Ok(()));
            prop_assert!(oracle.recent.len() <= 61);
        }
    }
}
