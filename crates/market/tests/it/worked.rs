//! Worked time, against a clock that looks at every minute.

use std::collections::BTreeSet;
use std::time::Duration;

use market::{
    Currency, DurationType, Earned, HourMeter, Overdrawn, Receipt, Served, Terms, Worked,
    WorkedFault, WorkedRules,
};
use proptest::prelude::*;
use units::{AccountId, Asset, Credits, HOUR, MINUTE, Money, Timestamp, WorkerId};

fn at(minutes: u64) -> Timestamp {
    let minutes = u32::try_from(minutes).expect("a short story");
    Timestamp::from_millis(1_000_000_000).after(MINUTE * minutes)
}

fn minutes(span: Duration) -> u64 {
    span.as_secs() / 60
}

/// What happens to a node, in minutes: `+` it starts, `-` the renter stops it, `x` its supplier breaks, `?` it is
/// asked; → minutes that count.
fn check(story: &str, void_broken_hour: bool, expected: u64) {
    let mut meter = HourMeter::new(&WorkedRules { void_broken_hour, ..WorkedRules::default() });
    let mut now = 0;
    for word in story.split_whitespace() {
        let (minute, what) = word.split_at(word.len() - 1);
        now = minute.parse().expect("a minute");
        match what {
            "+" => meter.start(at(now)),
            "-" => meter.stop_by_renter(at(now)),
            "x" => meter.broken(at(now)),
            _ => {}
        }
    }
    assert_eq!(minutes(meter.total(at(now))), expected, "{story}");
}

#[test]
fn the_hour_that_a_supplier_broke_is_not_paid() {
    let rows = [
        ("10+ 40-", 30, 30),
        ("10+ 40x", 0, 30),
        ("10+ 40x 45+ 69-", 0, 54),
        ("10+ 40x 45+ 80-", 10, 65),
        ("10+ 70x", 60, 60),
        ("10+ 71x", 60, 61),
        ("10+ 250x", 240, 240),
        ("10+ 249x", 180, 239),
        ("10+ 100x 200+ 230-", 90, 120),
        ("10+ 20- 30x 40-", 10, 10),
        ("10+ 20x 21+ 22x 130+ 140?", 10, 21),
        ("10+ 10x 11+ 69- 71+ 72?", 1, 59),
        ("0+ 0x 60+ 61?", 1, 1),
    ];
    for (story, void, plain) in rows {
        check(story, true, void);
        check(story, false, plain);
    }
}

#[test]
fn only_hours_that_are_over_are_firm() {
    let mut meter = HourMeter::new(&WorkedRules::default());
    meter.start(at(0));
    assert_eq!(meter.firm(at(59)), Duration::ZERO);
    assert_eq!(meter.firm(at(60)), HOUR);
    assert_eq!(meter.firm(at(119)), HOUR);
    meter.broken(at(130));
    assert_eq!(meter.firm(at(179)), HOUR * 2);
    assert_eq!(meter.firm(at(600)), HOUR * 2);
    meter.start(at(610));
    meter.stop_by_renter(at(640));
    assert_eq!(meter.firm(at(659)), HOUR * 2);
    assert_eq!(meter.firm(at(660)), HOUR * 2 + MINUTE * 30);
}

#[test]
fn time_told_out_of_order_counts_as_none() {
    let mut meter = HourMeter::new(&WorkedRules::default());
    meter.start(at(100));
    meter.start(at(50));
    meter.stop_by_renter(at(130));
    meter.start(at(110));
    meter.stop_by_renter(at(120));
    assert_eq!(minutes(meter.total(at(200))), 30);
    let text = serde_json::to_string(&meter).unwrap();
    assert_eq!(serde_json::from_str::<HourMeter>(&text).unwrap(), meter);
}

#[test]
fn rules_of_worked_time_are_checked() {
    assert_eq!(WorkedRules::default().check(), Ok(()));
    assert_eq!(WorkedRules::default().every(), HOUR * 24);
    for record_every_hours in [0, market::BOOKED_HOURS_MAX + 1] {
        let wrong = WorkedRules { record_every_hours, void_broken_hour: true };
        assert_eq!(wrong.check(), Err(WorkedFault));
    }
}

fn terms(node_hour: u64, hours: u32, supplier_fee_bp: u16) -> Terms {
    Terms {
        hours,
        node_hours: vec![Credits::from_units(node_hour)],
        renter_fee_bp: 25,
        facilitation_bp: 200,
        supplier_fee_bp,
        payout_bp: supplier_fee_bp / 2,
        minimum_minutes: 60,
        currency: Currency::Usd,
        duration: DurationType::Hourly,
        duration_bp: 10_000,
        worked: WorkedRules::default(),
    }
}

/// A node of somebody who has one for each name.
fn served(supplier: u128, span: Duration) -> Served {
    let (worker, supplier) = (WorkerId::from_bits(supplier), AccountId::from_bits(supplier));
    Served { worker, supplier, span, cut_off_after: None }
}

fn last(terms: &Terms, served: &[Served]) -> Earned {
    let receipt = Receipt::compute(terms, served).expect("terms that were quoted");
    Earned::last(&receipt, &receipt.paid(terms).expect("terms that were quoted"))
}

fn all(earned: &Earned) -> u64 {
    earned.payouts.values().map(|money| money.units).sum()
}

#[test]
fn what_was_not_firm_is_not_taken_back() {
    let terms = terms(600_000, 48, 25);
    let nothing = Money::new(Asset::Usd, 0);
    let hour = Earned::firm(&terms, &[served(1, HOUR)]).unwrap();
    let first = Worked::after(&[], (at(0), at(60)), &hour, nothing).unwrap();
    let less = last(&terms, &[served(1, MINUTE * 30)]);
    let overdrawn = Overdrawn { recorded: first.amount, earned: less.amount };
    assert_eq!(Worked::after(&[first], (at(60), at(90)), &less, nothing), Err(overdrawn));
}

#[test]
fn two_fees_that_grow_at_once_take_nothing_back() {
    // 60 units are free of fees, 61 cost two: the last minute's unit is less than what it adds in fees.
    let two = Terms { payout_bp: 164, ..terms(60, 48, 164) };
    let one = Terms { payout_bp: 0, ..two.clone() };
    for (terms, kept) in [(two, 1), (one, 0)] {
        let firm = Earned::firm(&terms, &[served(1, HOUR)]).unwrap();
        assert_eq!((firm.amount.units(), all(&firm)), (60, 60 - kept));
        let last = last(&terms, &[served(1, MINUTE * 61)]);
        assert_eq!((last.amount.units(), all(&last)), (61, 60 - kept));
    }
}

#[test]
fn a_break_that_is_told_after_the_hour_was_settled_voids_the_next() {
    let mut meter = HourMeter::new(&WorkedRules::default());
    meter.start(at(0));
    assert_eq!(meter.settle(at(120)), HOUR * 2);
    assert_eq!(meter.since(), Some(at(0)));
    meter.broken(at(119));
    assert_eq!((meter.served(), meter.firm(at(130))), (HOUR * 2, HOUR * 2));
    meter.start(at(130));
    meter.stop_by_renter(at(190));
    assert_eq!(minutes(meter.served()), 130, "ten minutes of the fourth hour, none of the third");
}

#[test]
fn time_counts_again_when_the_broken_hour_is_over() {
    let mut meter = HourMeter::new(&WorkedRules::default());
    meter.start(at(0));
    assert_eq!(meter.counts_from(MINUTE * 10), MINUTE * 10);
    meter.broken(at(10));
    meter.start(at(12));
    assert_eq!(meter.counts_from(MINUTE * 20), HOUR);
    meter.stop_by_renter(at(70));
    assert_eq!(meter.counts_from(MINUTE * 70), MINUTE * 70);
}

/// Minutes from one event to the next, and what happens: 0 starts, 1 the renter stops, 2 the supplier breaks.
fn story() -> impl Strategy<Value = Vec<(u64, u8)>> {
    prop::collection::vec((0_u64..100, 0_u8..3), 0..40)
}

/// Minute by minute: whether it was served, and which hours of the node broke.
fn naive(story: &[(u64, u8)], void_broken_hour: bool, now: u64) -> u64 {
    let (mut served, mut broken) = (BTreeSet::new(), BTreeSet::new());
    let (mut minute, mut runs, mut first) = (0, false, None);
    let hour = |minute: u64, first: Option<u64>| (minute - first.unwrap_or(minute)) / 60;
    let rest = now - story.iter().map(|step| step.0).sum::<u64>();
    for (gap, what) in story.iter().copied().chain([(rest, 3)]) {
        if runs {
            served.extend(minute..minute + gap);
        }
        minute += gap;
        match what {
            0 => {
                runs = true;
                first.get_or_insert(minute);
            }
            1 => runs = false,
            2 if runs => {
                broken.insert(hour(minute, first));
                runs = false;
            }
            _ => {}
        }
    }
    served.retain(|minute| !(void_broken_hour && broken.contains(&hour(*minute, first))));
    served.len() as u64
}

proptest! {
    #[test]
    fn a_meter_counts_what_a_look_at_every_minute_counts(
        story in story(), void_broken_hour: bool, more in 0_u64..200,
    ) {
        let mut meter = HourMeter::new(&WorkedRules { void_broken_hour, ..WorkedRules::default() });
        let mut now = 0;
        for (gap, what) in &story {
            now += gap;
            match what {
                0 => meter.start(at(now)),
                1 => meter.stop_by_renter(at(now)),
                _ => meter.broken(at(now)),
            }
        }
        now += more;
        prop_assert_eq!(minutes(meter.total(at(now))), naive(&story, void_broken_hour, now));
    }

    #[test]
    fn what_is_firm_never_shrinks(story in story(), void_broken_hour: bool) {
        let mut meter = HourMeter::new(&WorkedRules { void_broken_hour, ..WorkedRules::default() });
        let (mut now, mut firm) = (0, Duration::ZERO);
        for (gap, what) in story {
            for _ in 0..gap {
                now += 1;
                let next = meter.firm(at(now));
                prop_assert!(firm <= next && next <= meter.total(at(now)));
                firm = next;
            }
            match what {
                0 => meter.start(at(now)),
                1 => meter.stop_by_renter(at(now)),
                _ => meter.broken(at(now)),
            }
            prop_assert!(firm <= meter.total(at(now)));
        }
    }

    #[test]
    fn what_was_settled_is_never_taken_back(
        story in story(), void_broken_hour: bool, every in 1_u64..200, late in 0_u64..200,
    ) {
        let mut meter = HourMeter::new(&WorkedRules { void_broken_hour, ..WorkedRules::default() });
        let (mut now, mut firm) = (0_u64, Duration::ZERO);
        for (gap, what) in story {
            for _ in 0..gap {
                now += 1;
                if now.is_multiple_of(every) {
                    let settled = meter.settle(at(now));
                    prop_assert!(firm <= settled);
                    firm = settled;
                }
            }
            match what {
                0 => meter.start(at(now)),
                1 => meter.stop_by_renter(at(now)),
                // It is told late that it broke.
                _ => meter.broken(at(now.saturating_sub(late))),
            }
            prop_assert!(firm <= meter.served() && firm <= meter.total(at(now)));
        }
    }

    #[test]
    fn the_records_of_a_rental_sum_to_its_receipt_and_no_payout_falls(
        steps in prop::collection::vec((0_u64..400, 0_u64..400, 0_u32..3), 0..12),
        node_hours in (0_u64..400, prop_oneof![0_u64..400, 0_u64..10_000_000]),
        supplier_fee_bp in 0_u16..=3_333, payout_bp in 0_u16..=3_333, same: bool,
        rate in prop_oneof![Just(0_u64), 1_u64..100_000_000],
    ) {
        let node_hours = [node_hours.0, node_hours.1].map(Credits::from_units).to_vec();
        let currency = match rate {
            0 => Currency::Usdc,
            usd_micros_per_coin => Currency::Io { usd_micros_per_coin },
        };
        let mut terms = Terms { node_hours, currency, payout_bp, ..terms(0, 1, supplier_fee_bp) };
        let (mut spans, mut records) = ([Duration::ZERO; 2], Vec::new());
        let mut paid: std::collections::BTreeMap<AccountId, u64> = std::collections::BTreeMap::new();
        let mut pay = |earned: &Earned| {
            let mut sum = 0;
            for (supplier, money) in &earned.payouts {
                let before = paid.entry(*supplier).or_default();
                let due = money.units.saturating_sub(*before);
                *before += due;
                sum += due;
            }
            Money::new(currency.asset(), sum)
        };
        let nodes = |spans: [Duration; 2]| {
            [served(1, spans[0]), served(if same { 1 } else { 2 }, spans[1])]
        };
        let mut from = 0;
        for (one, two, more) in steps {
            spans = [spans[0] + MINUTE * u32::try_from(one).unwrap(), spans[1] + MINUTE * u32::try_from(two).unwrap()];
            terms.hours += more;
            let earned = Earned::firm(&terms, &nodes(spans)).unwrap();
            let paid = pay(&earned);
            records.push(Worked::after(&records, (at(from), at(from + 60)), &earned, paid).unwrap());
            from += 60;
        }
        let earned = last(&terms, &nodes(spans));
        let paid_now = pay(&earned);
        records.push(Worked::after(&records, (at(from), at(from + 1)), &earned, paid_now).unwrap());
        for (supplier, money) in &earned.payouts {
            prop_assert_eq!(paid[supplier], money.units, "nobody was paid more than the receipt says");
        }
        let sum = |pick: fn(&Worked) -> u64| records.iter().map(pick).sum::<u64>();
        prop_assert_eq!(sum(|worked| worked.amount.units()), earned.amount.units());
        prop_assert_eq!(sum(|worked| worked.minutes), earned.minutes);
        prop_assert_eq!(sum(|worked| worked.paid.units), all(&earned));
    }
}
