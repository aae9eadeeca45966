//! Fees, and what a longer booking saves.

use market::{
    Currency, DurationRules, DurationType, FeeRules, Receipt, Served, Terms, TooLittle, WorkedRules,
};
use proptest::prelude::*;
use units::{AccountId, Amount, Coins, Credits, Denomination, HOUR, WorkerId};

/// An amount as a page shows it: rounded to so many places, half up.
fn shown<A: Denomination>(amount: Amount<A>, places: u32) -> String {
    let unit = 10_u64.pow(A::ASSET.decimals() - places);
    let rounded = (amount.units() + unit / 2) / unit;
    let one = 10_u64.pow(places);
    format!("{}.{:0width$}", rounded / one, rounded % one, width = places as usize)
}

/// The receipt of nodes that served one hour, by the default fees, paid in this.
fn receipt(node_hours: &[&str], currency: Currency) -> (Terms, Receipt) {
    let fees = FeeRules::default();
    let terms = Terms {
        hours: 1,
        node_hours: node_hours.iter().map(|hour| hour.parse().expect("a price")).collect(),
        renter_fee_bp: fees.renter_reservation_bp,
        facilitation_bp: fees.facilitation_bp(currency.asset()),
        supplier_fee_bp: fees.supplier_reservation_bp,
        payout_bp: fees.payout_bp(currency.asset()),
        minimum_minutes: 0,
        currency,
        duration: DurationType::Hourly,
        duration_bp: 10_000,
        worked: WorkedRules::default(),
    };
    let served = Served {
        worker: WorkerId::from_bits(1),
        supplier: AccountId::from_bits(1),
        span: HOUR,
        cut_off_after: None,
    };
    let receipt = Receipt::compute(&terms, &vec![served; node_hours.len()]).expect("small");
    (terms, receipt)
}

#[test]
fn four_cards_for_an_hour_as_io_net_quoted_them() {
    let (_, receipt) = receipt(&["0.115"; 4], Currency::Usd);
    assert_eq!(receipt.charged.to_string(), "0.470350");
    let page = [
        shown(receipt.subtotal, 2),
        shown(receipt.facilitation_fee, 2),
        shown(receipt.renter_fee, 3),
        shown(receipt.charged, 2),
    ];
    assert_eq!(page, ["0.46", "0.01", "0.001", "0.47"]);
}

#[test]
fn eight_cards_for_a_week_in_coins_as_io_net_quoted_them() {
    // A coin is a dollar here, so that the page's coins are the receipt's dollars.
    let currency = Currency::Io { usd_micros_per_coin: 1_000_000 };
    let (terms, receipt) = receipt(&["2833.457"], currency);
    assert!(receipt.facilitation_fee.is_zero());
    let charged = Coins::from_units(receipt.paid(&terms).unwrap().charged.units);
    assert_eq!([shown(receipt.renter_fee, 3), shown(charged, 3)], ["7.084", "2840.541"]);
    // The page rounds what a card's hour comes to upward.
    let thousandth = 100_000;
    assert_eq!(charged.units().div_ceil(8 * 168 * thousandth), 2_114);
}

/// What a machine earned → what is paid out, by the asset it is paid in.
#[test]
fn a_supplier_is_paid_less_the_fees() {
    let coin = Currency::Io { usd_micros_per_coin: 1_000_000 };
    let rows = [(Currency::Usd, "99.750000"), (Currency::Usdc, "97.750000"), (coin, "99.750000")];
    for (currency, payout) in rows {
        let (_, receipt) = receipt(&["100"], currency);
        assert_eq!(receipt.lines[0].payout.to_string(), payout, "{currency:?}");
    }
}

/// What a card paid → the provider's fee, the credits.
#[test]
fn a_card_payment_becomes_credits() {
    let rules = FeeRules::default();
    let rows = [
        ("20", "0.700000 19.300000"),
        ("100", "3.500000 96.500000"),
        ("400", "14.000000 386.000000"),
        ("14.285714", "0.500000 13.785714"),
        ("14.285715", "0.500001 13.785714"),
        ("5", "0.500000 4.500000"),
        ("1.5", "0.500000 1.000000"),
    ];
    for (paid, expected) in rows {
        let top_up = rules.card_top_up(paid.parse().unwrap()).unwrap();
        assert_eq!(format!("{} {}", top_up.fee, top_up.credits), expected, "{paid}");
    }
    for (paid, left) in [("1.499999", "0.999999"), ("0.3", "0"), ("0", "0")] {
        let refused = TooLittle { left: left.parse().unwrap(), least: rules.credits_min };
        assert_eq!(rules.card_top_up(paid.parse().unwrap()), Err(refused), "{paid}");
    }
}

#[test]
fn rules_of_fees_are_checked() {
    assert_eq!(FeeRules::default().check(), Ok(()));
    let rules = FeeRules { payout_io_bp: 3_334, ..FeeRules::default() };
    assert_eq!(rules.check().unwrap_err().field, "payout_io_bp");
    let rules = FeeRules { nonrefundable_minutes: 1_441, ..FeeRules::default() };
    assert_eq!(rules.check().unwrap_err().field, "nonrefundable_minutes");
    let unknown = r#"{"renter_reservation": 25}"#;
    assert!(serde_json::from_str::<FeeRules>(unknown).is_err());
}

/// Hours booked → the unit they are counted in, and what a dollar's hour costs then.
#[test]
fn a_longer_booking_costs_less_by_the_hour() {
    let rules = DurationRules::default();
    assert_eq!(rules.check(), Ok(()));
    let rows = [
        (0, "1.000000"),
        (1, "1.000000"),
        (23, "1.000000"),
        (24, "0.900000"),
        (167, "0.900000"),
        (168, "0.800000"),
        (719, "0.800000"),
        (720, "0.750000"),
        (8_760, "0.750000"),
    ];
    for (hours, expected) in rows {
        let hour = rules.hour("1".parse().unwrap(), DurationType::of_hours(hours));
        assert_eq!(hour.to_string(), expected, "{hours} h");
    }
    let dearer = DurationRules { weekly_bp: 9_500, ..rules };
    assert_eq!(dearer.check().unwrap_err().field, "weekly_bp");
}

fn any_rules() -> impl Strategy<Value = FeeRules> {
    prop::array::uniform9(0_u16..=3_333).prop_map(|bp| FeeRules {
        renter_reservation_bp: bp[0],
        supplier_reservation_bp: bp[1],
        facilitation_usd_bp: bp[2],
        facilitation_usdc_bp: bp[3],
        facilitation_io_bp: bp[4],
        payout_usd_bp: bp[5],
        payout_usdc_bp: bp[6],
        payout_io_bp: bp[7],
        card_bp: bp[8],
        ..FeeRules::default()
    })
}

proptest! {
    #[test]
    fn a_card_payment_is_a_fee_and_credits(units: u64, rules in any_rules()) {
        if let Ok(top_up) = rules.card_top_up(Credits::from_units(units)) {
            prop_assert_eq!(top_up.fee.units() + top_up.credits.units(), units);
            prop_assert!(top_up.credits >= rules.credits_min && top_up.fee >= rules.card_min);
        }
    }
}
