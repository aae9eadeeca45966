//! Fees, and what a longer booking saves.

use market::{DurationRules, DurationType, FeeRules, TooLittle};
use proptest::prelude::*;
use units::{Amount, Coins, Credits, Denomination, Io, Usd, Usdc};

/// An amount as a page shows it: rounded to so many places, half up.
fn shown<A: Denomination>(amount: Amount<A>, places: u32) -> String {
    let unit = 10_u64.pow(A::ASSET.decimals() - places);
    let rounded = (amount.units() + unit / 2) / unit;
    let one = 10_u64.pow(places);
    format!("{}.{:0width$}", rounded / one, rounded % one, width = places as usize)
}

#[test]
fn four_cards_for_an_hour_as_io_net_quoted_them() {
    let cost = Credits::from_units(115_000).checked_times(4).unwrap();
    let asked = FeeRules::default().ask(cost).unwrap();
    assert_eq!(asked.total.to_string(), "0.470350");
    let page = [
        shown(asked.cost, 2),
        shown(asked.facilitation, 2),
        shown(asked.reservation, 3),
        shown(asked.total, 2),
    ];
    assert_eq!(page, ["0.46", "0.01", "0.001", "0.47"]);
}

#[test]
fn eight_cards_for_a_week_in_coins_as_io_net_quoted_them() {
    let cost: Coins = "2833.457".parse().unwrap();
    let asked = FeeRules::default().ask(cost).unwrap();
    assert!(asked.facilitation.is_zero());
    assert_eq!([shown(asked.reservation, 3), shown(asked.total, 3)], ["7.084", "2840.541"]);
    // The page rounds what a card's hour comes to upward.
    let thousandth = 100_000;
    assert_eq!(asked.total.units().div_ceil(8 * 168 * thousandth), 2_114);
}

/// What a machine earned → what is paid out, by the asset it is paid in.
#[test]
fn a_supplier_is_paid_less_the_fees() {
    let rules = FeeRules::default();
    let earned = "100".parse::<Credits>().unwrap();
    assert_eq!(rules.pay_out(earned).paid.to_string(), "99.750000");
    assert_eq!(
        rules.pay_out(Amount::<Usdc>::from_units(100_000_000)).paid.to_string(),
        "97.750000"
    );
    assert_eq!(rules.pay_out("100".parse::<Coins>().unwrap()).paid.to_string(), "99.75000000");
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
    fn every_unit_of_a_payment_is_accounted_for(units in 0_u64..1 << 62, rules in any_rules()) {
        prop_assert_eq!(rules.check(), Ok(()));
        let asked = rules.ask(Amount::<Usd>::from_units(units)).unwrap();
        let parts = asked.cost.units() + asked.reservation.units() + asked.facilitation.units();
        prop_assert_eq!(asked.total.units(), parts);
        let paid = rules.pay_out(Amount::<Io>::from_units(units));
        let parts = paid.paid.units() + paid.reservation.units() + paid.facilitation.units();
        prop_assert_eq!(paid.earned.units(), parts);
    }

    #[test]
    fn a_card_payment_is_a_fee_and_credits(units: u64, rules in any_rules()) {
        if let Ok(top_up) = rules.card_top_up(Credits::from_units(units)) {
            prop_assert_eq!(top_up.fee.units() + top_up.credits.units(), units);
            prop_assert!(top_up.credits >= rules.credits_min && top_up.fee >= rules.card_min);
        }
    }
}
