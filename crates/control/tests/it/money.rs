//! Money that is not there, comes, and is asked for by those who may not.

use control::{Command, Needs, Noun, Refusal};

use crate::town::{Town, dollars, project};

#[test]
fn who_has_too_little_is_told_how_much_it_takes() {
    let mut town = Town::with(&[1]);
    town.ok(
        "ann",
        Command::OpenProject {
            project: project("poor"),
            owner: crate::town::account("ann"),
            name: crate::town::name("poor"),
        },
    );
    town.top_up("poor", "0.4");
    let order = crate::town::order(1, 1);
    let rental = crate::town::rental("a");
    town.ok("ann", Command::Quote { rental, project: project("poor"), order, hours: 1, pay: None });
    let refused =
        Refusal::Insufficient { available: dollars("0.4").into(), wanted: dollars("1").into() };
    assert_eq!(town.rent("ann", "a", false), Err(refused));
    assert_eq!((town.stage("a").as_str(), town.free("m0")), ("quoted", 1));
}

/// Ann has spent all she has on `a`.
fn broke(machines: &[u32]) -> Town {
    let mut town = Town::with(machines);
    let order = crate::town::order(1, 1);
    let rental = crate::town::rental("z");
    town.ok(
        "ann",
        Command::Quote { rental, project: project("ann"), order, hours: 100, pay: None },
    );
    town.rent("ann", "z", false).unwrap();
    let machine = town.machine_of("z", 0);
    town.says(&machine, "z0 ready");
    assert_eq!(town.purse("ann"), "0.000000");
    town
}

#[test]
fn money_that_comes_in_pays_what_waits() {
    let mut town = broke(&[1, 1]);
    town.quote("ann", "a", 1).unwrap();
    town.rent("ann", "a", true).unwrap();
    assert_eq!(town.stage("a"), "awaiting-payment");
    assert_eq!(town.control.inventory().free(crate::town::worker("m1")).unwrap().gpus, 0);
    town.top_up("ann", "0.9");
    assert_eq!(town.stage("a"), "awaiting-payment");
    town.top_up("ann", "0.2");
    assert_eq!((town.stage("a").as_str(), town.purse("ann").as_str()), ("deploying", "0.100000"));
}

#[test]
fn money_for_a_machine_that_has_gone_silent_goes_straight_back() {
    let mut town = broke(&[1, 1]);
    town.quote("ann", "a", 1).unwrap();
    town.rent("ann", "a", true).unwrap();
    let machine = town.machine_of("a", 0);
    town.silent(&machine);
    town.top_up("ann", "5");
    assert_eq!(
        (town.stage("a").as_str(), town.purse("ann").as_str()),
        ("ending failed", "5.000000")
    );
}

#[test]
fn who_waits_longest_is_paid_first() {
    let mut town = broke(&[1, 1, 1]);
    for late in ["b", "a"] {
        town.quote("ann", late, 1).unwrap();
        town.rent("ann", late, true).unwrap();
        town.minutes(1);
    }
    town.top_up("ann", "1");
    assert_eq!(
        (town.stage("b").as_str(), town.stage("a").as_str()),
        ("deploying", "awaiting-payment")
    );
}

#[test]
fn machines_are_kept_for_twenty_minutes_for_who_does_not_pay() {
    let mut town = broke(&[1, 1]);
    town.quote("ann", "a", 1).unwrap();
    town.rent("ann", "a", true).unwrap();
    town.minutes(19);
    assert_eq!(town.stage("a"), "awaiting-payment");
    town.minutes(1);
    assert_eq!(town.stage("a"), "ended unpaid");
    let free = ["m0", "m1"].iter().map(|machine| town.free(machine)).sum::<u32>();
    assert_eq!(free, 1, "one card is rented, the other is given back");
}

#[test]
fn who_waits_for_money_may_leave() {
    let mut town = broke(&[1, 1]);
    town.quote("ann", "a", 1).unwrap();
    town.rent("ann", "a", true).unwrap();
    town.end("ann", "a").unwrap();
    assert_eq!(town.stage("a"), "ended cancelled");
    town.top_up("ann", "5");
    assert_eq!(town.purse("ann"), "5.000000");
}

#[test]
fn only_the_operator_credits_and_only_what_makes_sense() {
    let mut town = Town::new();
    let top_up = |whose: &str, amount: &str, note: String| Command::TopUp {
        project: project(whose),
        amount: dollars(amount),
        note,
    };
    let told = town.tell("ann", top_up("ann", "1", String::new()));
    assert_eq!(told, Err(Refusal::Forbidden(Needs::Operator)));
    let told = town.tell("operator", top_up("nobody", "1", String::new()));
    assert_eq!(told, Err(Refusal::NotFound(Noun::Project)));
    let told = town.tell("operator", top_up("ann", "1", "x".repeat(201)));
    assert!(matches!(told, Err(Refusal::Invalid { field: "note", .. })));
    let told = town.tell("operator", top_up("ann", "0", String::new()));
    assert!(matches!(told, Err(Refusal::Invalid { field: "amount", .. })));
    let told = town.tell("operator", top_up("ann", "18446744073709.551615", String::new()));
    assert!(matches!(told, Err(Refusal::Invalid { field: "amount", .. })));
}

#[test]
fn parameters_that_make_no_sense_are_refused() {
    let mut town = Town::new();
    let set = |patch: &str| Command::SetParameters { patch: patch.to_owned(), from: None };
    for patch in [
        "",
        "[]",
        r#"{"fees":{"renter_reservation_bp":10001}}"#,
        r#"{"fees":{"renter_reservation_bp":-1}}"#,
        r#"{"fees":{"renter_reservation_bp":null}}"#,
        r#"{"fees":{"no_such_fee":1}}"#,
        r#"{"nothing":{}}"#,
        r#"{"emission":{"months":0}}"#,
    ] {
        let told = town.tell("operator", set(patch));
        assert!(matches!(told, Err(Refusal::Invalid { field: "patch", .. })), "{patch}: {told:?}");
    }
    let told = town.tell("ann", set("{}"));
    assert_eq!(told, Err(Refusal::Forbidden(Needs::Operator)));
}

#[test]
fn a_version_takes_effect_at_its_hour_and_not_before() {
    let mut town = Town::new();
    let hour = units::Hour::of(town.now);
    let fee = |bp: u16| format!(r#"{{"fees":{{"renter_reservation_bp":{bp}}}}}"#);
    let from = |town: &mut Town, patch: String, from| {
        town.tell("operator", Command::SetParameters { patch, from: Some(from) })
    };
    let before = town.control.version().number;
    from(&mut town, fee(30), hour.later(2)).unwrap();
    from(&mut town, fee(40), hour.later(3)).unwrap();
    let told = from(&mut town, fee(50), hour.later(2));
    assert!(matches!(told, Err(Refusal::Invalid { field: "from", .. })), "not before the others");
    let told = from(&mut town, fee(50), units::Hour::from_number(hour.number() - 1));
    assert!(matches!(told, Err(Refusal::Invalid { field: "from", .. })), "not in the past");
    assert_eq!(town.control.parameters().fees.renter_reservation_bp, 0);
    town.minutes(120);
    assert_eq!(town.control.parameters().fees.renter_reservation_bp, 30);
    town.minutes(60);
    assert_eq!(town.control.parameters().fees.renter_reservation_bp, 40);
    assert_eq!(town.control.version().number, before + 2);
}
