//! Worked time: paid day by day, but not the hours that a supplier broke; and longer bookings.

use std::collections::BTreeMap;

use control::{Command, OrderRecord, Purse};
use proptest::prelude::*;
use units::{AccountId, Asset};

use crate::burn::{born, money, told_rate};
use crate::town::{Town, dollars, order, project, rental, worker};

fn quoted(town: &mut Town, order: OrderRecord, hours: u32, pay: Option<Asset>) -> bool {
    let (rental, project) = (rental("a"), project("ann"));
    town.tell("ann", Command::Quote { rental, project, order, hours, pay }).is_ok()
}

/// Ann's rental `a` of one card for so many hours runs.
fn booked(town: &mut Town, hours: u32) {
    town.careful = false;
    assert!(quoted(town, order(1, 1), hours, None));
    town.rent("ann", "a", false).unwrap();
    town.says("m0", "a0 ready");
}

/// The records: minutes and what suppliers were paid.
fn records(town: &Town) -> Vec<(u64, String)> {
    let rental = town.control.rental(rental("a")).unwrap();
    rental.worked.iter().map(|record| (record.minutes, record.paid.amount())).collect()
}

fn silent_since(town: &mut Town, machine: &str, seconds: u64) {
    let heard_millis = town.now.millis() - 1_000 * seconds;
    town.ok("clock", Command::WorkerSilent { worker: worker(machine), heard_millis });
}

fn back(town: &mut Town, machine: &str, says: &str) {
    town.up(machine);
    town.says(machine, says);
}

#[test]
fn a_record_is_made_every_day_and_at_the_end() {
    for (hours, expected) in [(3, vec![180]), (24, vec![1_440]), (48, vec![1_440; 2])] {
        let mut town = Town::with(&[1]);
        booked(&mut town, hours);
        town.minutes(60 * u64::from(hours));
        assert_eq!(town.stage("a"), "ending completed");
        let minutes: Vec<u64> = records(&town).iter().map(|record| record.0).collect();
        assert_eq!(minutes, expected, "{hours} h");
        let sue = Some(town.purse("sue"));
        assert_eq!(sue, dollars("1").checked_times(u64::from(hours)).map(|all| all.to_string()));
    }
}

#[test]
fn a_supplier_is_paid_day_by_day_and_the_rest_returns() {
    let mut town = Town::with(&[1]);
    booked(&mut town, 72);
    town.minutes(24 * 60);
    assert_eq!((town.purse("sue").as_str(), town.purse("ann").as_str()), ("0.000000", "28.000000"));
    town.minutes(1);
    assert_eq!(town.purse("sue"), "24.000000");
    assert_eq!(town.control.rental(rental("a")).unwrap().holds, []);
    town.ok("ann", Command::Extend { rental: rental("a"), hours: 3 });
    assert_eq!(town.purse("ann"), "25.000000");
    town.minutes(6 * 60 - 1);
    town.end("ann", "a").unwrap();
    let paid = |minutes, text: &str| (minutes, text.to_owned());
    assert_eq!(records(&town), [paid(1_440, "24.000000"), paid(360, "6.000000")]);
    assert_eq!(
        (town.purse("sue").as_str(), town.purse("ann").as_str()),
        ("30.000000", "70.000000")
    );
}

#[test]
fn an_hour_that_a_supplier_broke_is_neither_charged_nor_paid() {
    let mut town = Town::with(&[1]);
    town.fees(0, 0, 60);
    booked(&mut town, 4);
    town.minutes(70);
    town.silent("m0");
    town.minutes(2);
    back(&mut town, "m0", "a0 ready");
    town.minutes(60);
    town.end("ann", "a").unwrap();
    // Hours one and three: the second counts for nothing, before and after the break.
    assert_eq!((town.purse("sue").as_str(), town.purse("ann").as_str()), ("1.200000", "98.800000"));
}

#[test]
fn the_hour_that_is_not_returned_is_not_one_that_a_supplier_broke() {
    let mut town = Town::with(&[1]);
    town.fees(0, 0, 90);
    booked(&mut town, 4);
    town.minutes(10);
    town.says("m0", "a0 starting");
    town.says("m0", "a0 ready");
    town.minutes(10);
    town.end("ann", "a").unwrap();
    assert_eq!(town.purse("sue"), "0.500000", "half an hour after the broken one");
}

#[test]
fn who_had_fallen_silent_when_the_day_was_over_is_not_paid_for_its_last_hour() {
    let mut town = Town::with(&[1]);
    booked(&mut town, 72);
    town.minutes(24 * 60);
    town.now = town.now.after(std::time::Duration::from_secs(35));
    silent_since(&mut town, "m0", 40);
    town.minutes(1);
    assert_eq!(town.purse("sue"), "23.000000");
    // Whoever tells it later than that voids the next hour: what is paid stays paid.
    back(&mut town, "m0", "a0 ready");
    town.minutes(24 * 60 + 1);
    assert_eq!(town.purse("sue"), "46.966666", "all of the second day but its first 95 seconds");
    silent_since(&mut town, "m0", 3_600);
    town.end("ann", "a").unwrap();
    assert_eq!(town.purse("sue"), "46.966666");
}

#[test]
fn a_day_that_was_over_while_nobody_looked_is_paid_when_the_silent_are_known() {
    let mut town = Town::with(&[1]);
    booked(&mut town, 72);
    // The control plane is away for a day and a half, and the machine since its tenth hour.
    town.now = town.now.after(units::HOUR * 36);
    town.ok("clock", Command::Wake {});
    assert_eq!(town.purse("sue"), "0.000000");
    silent_since(&mut town, "m0", 26 * 3_600);
    town.minutes(1);
    assert_eq!(town.purse("sue"), "10.000000");
}

#[test]
fn a_longer_booking_costs_less_by_the_hour_and_more_hours_cost_the_same() {
    let mut town = Town::with(&[1]);
    town.patch(r#"{"durations":{"daily_bp":9000,"weekly_bp":8000,"monthly_bp":7500}}"#);
    // At most 90 cents are paid for what costs a dollar by the hour.
    let mut cheap = order(1, 1);
    cheap.filters.node_hour_max = Some(dollars("0.9"));
    assert!(!quoted(&mut town, cheap.clone(), 23, None));
    assert!(quoted(&mut town, cheap, 24, None));
    let terms = town.control.rental(rental("a")).unwrap().terms.clone();
    assert_eq!((terms.duration, terms.duration_bp), (market::DurationType::Daily, 9_000));
    assert_eq!(terms.node_hours, [dollars("0.9")]);
    town.rent("ann", "a", false).unwrap();
    town.says("m0", "a0 ready");
    town.ok("ann", Command::Extend { rental: rental("a"), hours: 1 });
    assert_eq!(town.purse("ann"), "77.500000");
}

#[derive(Clone, Debug)]
enum Happens {
    Minutes(u64),
    Silent(usize, u64),
    Back(usize),
    Starting(usize),
    Gone,
    Extend(u32),
    End,
}

fn happens() -> impl Strategy<Value = Happens> {
    prop_oneof![
        8 => (1_u64..150).prop_map(Happens::Minutes),
        2 => (0_usize..2, 0_u64..9_000).prop_map(|(node, ago)| Happens::Silent(node, ago)),
        4 => (0_usize..2).prop_map(Happens::Back),
        1 => (0_usize..2).prop_map(Happens::Starting),
        1 => Just(Happens::Gone),
        2 => (1_u32..4).prop_map(Happens::Extend),
        1 => Just(Happens::End),
    ]
}

fn settled(town: &Town) -> bool {
    town.control.rental(rental("a")).unwrap().settled.is_some()
}

/// Minutes pass, but not so many after the end that the rental is forgotten.
fn pass(town: &mut Town, minutes: u64) {
    for _ in 0..minutes.div_ceil(15) {
        if !settled(town) {
            town.minutes(15);
        }
    }
}

fn play(town: &mut Town, machines: &[String; 2], event: &Happens) {
    match *event {
        Happens::Minutes(minutes) => pass(town, minutes),
        Happens::Silent(node, ago) => silent_since(town, &machines[node], ago),
        Happens::Back(node) => back(town, &machines[node], &format!("a{node} ready")),
        Happens::Starting(node) => town.says(&machines[node], &format!("a{node} starting")),
        Happens::Gone => town.says(&machines[1], "a1 gone"),
        Happens::Extend(hours) => {
            told_rate(town, 250_000);
            drop(town.tell("ann", Command::Extend { rental: rental("a"), hours }));
        }
        Happens::End => drop(town.end("ann", "a")),
    }
}

/// No supplier's pay has fallen. Returns what each has.
fn rises(town: &Town, before: &BTreeMap<AccountId, u64>) -> BTreeMap<AccountId, u64> {
    let paid = town.control.rental(rental("a")).unwrap().paid_out.clone();
    assert!(before.iter().all(|(supplier, units)| paid[supplier] >= *units));
    paid
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn whatever_breaks_what_was_paid_is_never_more_than_the_receipt(
        story in prop::collection::vec(happens(), 0..16), fees in (0_u16..3_000, 0_u16..3_000, 0_u32..200),
        payout_bp in 0_u16..3_000, void: bool, every in 1_u32..4, hours in 1_u32..12,
        pay in prop::sample::select(vec![Asset::Usd, Asset::Usdc, Asset::Io]), price in 1_u64..2_000_000,
    ) {
        let mut town = born(&[1, 1]);
        town.prices(&units::Credits::from_units(price).to_string(), "0.01");
        town.fees(fees.0, fees.1, fees.2);
        town.patch(&format!(
            r#"{{"fees":{{"payout_usd_bp":{payout_bp},"payout_io_bp":{payout_bp}}},
                "worked":{{"record_every_hours":{every},"void_broken_hour":{void}}}}}"#
        ));
        let to = Purse::Project(project("ann"));
        let (money, reference) = (money("100 USDC"), String::new());
        town.ok("operator", Command::Deposit { to, money, reference });
        told_rate(&mut town, 250_000);
        prop_assert!(quoted(&mut town, order(2, 1), hours, Some(pay)));
        prop_assume!(town.rent("ann", "a", false).is_ok());
        let machines = [town.machine_of("a", 0), town.machine_of("a", 1)];
        back(&mut town, &machines[0], "a0 ready");
        back(&mut town, &machines[1], "a1 ready");
        let mut paid = BTreeMap::new();
        for event in &story {
            if settled(&town) {
                break;
            }
            play(&mut town, &machines, event);
            paid = rises(&town, &paid);
        }
        while !settled(&town) {
            pass(&mut town, 15);
            paid = rises(&town, &paid);
        }
        let rental = town.control.rental(rental("a")).unwrap();
        let (receipt, all) = (rental.receipt().unwrap(), rental.paid().unwrap());
        let sum = |pick: fn(&market::Worked) -> u64| rental.worked.iter().map(pick).sum::<u64>();
        let payouts: u64 = all.payouts.values().map(|money| money.units).sum();
        prop_assert_eq!(sum(|record| record.paid.units), payouts);
        prop_assert_eq!(paid.values().sum::<u64>(), payouts);
        prop_assert_eq!(sum(|record| record.amount.units()), receipt.subtotal.units());
        let minutes: u64 = receipt.lines.iter().map(|line| line.minutes_charged).sum();
        prop_assert_eq!(sum(|record| record.minutes), minutes);
        prop_assert!(rental.worked.windows(2).all(|pair| pair[0].until == pair[1].from));
        prop_assert_eq!(town.control.book().audit(), Ok(()));
    }
}
