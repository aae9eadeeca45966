//! Rentals that go well: quoted, taken, paid, run, ended, cleared.

use control::{Command, Noun, Refusal};

use crate::town::{Town, order, project, rental};

#[test]
fn a_rental_is_paid_by_the_minute_and_the_rest_returns() {
    let mut town = Town::with(&[1]);
    town.take("ann", "a", 1);
    assert_eq!((town.stage("a").as_str(), town.purse("ann").as_str()), ("deploying", "99.000000"));
    town.says("m0", "a0 starting");
    town.says("m0", "a0 ready");
    assert_eq!(town.stage("a"), "running");
    town.minutes(30);
    town.end("ann", "a").unwrap();
    assert_eq!(town.stage("a"), "ending cancelled");
    assert_eq!((town.purse("ann").as_str(), town.purse("sue").as_str()), ("99.500000", "0.500000"));
    assert_eq!(town.free("m0"), 0, "the machine is still being cleared");
    town.says("m0", "");
    assert_eq!((town.stage("a").as_str(), town.free("m0")), ("ended cancelled", 1));
}

#[test]
fn fees_are_taken_on_both_sides_and_the_first_hour_is_not_returned() {
    let mut town = Town::with(&[1]);
    town.fees(25, 25, 60);
    town.running("ann", "a", 1);
    town.minutes(10);
    town.end("ann", "a").unwrap();
    assert_eq!(town.purse("ann"), "98.997500");
    assert_eq!((town.purse("sue").as_str(), town.purse("fees").as_str()), ("0.997500", "0.005000"));
}

#[test]
fn a_booking_that_runs_out_is_completed() {
    let mut town = Town::with(&[1]);
    town.running("ann", "a", 1);
    town.minutes(59);
    assert_eq!(town.stage("a"), "running");
    town.minutes(1);
    assert_eq!(town.stage("a"), "ending completed");
    assert_eq!((town.purse("ann").as_str(), town.purse("sue").as_str()), ("99.000000", "1.000000"));
}

#[test]
fn a_machine_that_does_not_confirm_is_given_back_after_its_time() {
    let mut town = Town::with(&[1]);
    town.running("ann", "a", 1);
    town.end("ann", "a").unwrap();
    town.minutes(2);
    assert_eq!((town.stage("a").as_str(), town.free("m0")), ("ending cancelled", 0));
    town.minutes(1);
    assert_eq!((town.stage("a").as_str(), town.free("m0")), ("ended cancelled", 1));
}

#[test]
fn a_machine_that_has_not_heard_of_the_end_confirms_nothing() {
    let mut town = Town::with(&[1]);
    town.running("ann", "a", 1);
    let before = town.control.wanted(crate::town::worker("m0")).revision;
    town.end("ann", "a").unwrap();
    town.says_at("m0", Some(before), "");
    town.says_at("m0", None, "");
    assert_eq!((town.stage("a").as_str(), town.free("m0")), ("ending cancelled", 0));
}

#[test]
fn the_last_card_goes_to_the_first_who_takes_it() {
    let mut town = Town::with(&[1]);
    town.quote("ann", "a", 1).unwrap();
    town.quote("bob", "b", 1).unwrap();
    town.rent("bob", "b", false).unwrap();
    assert!(matches!(town.rent("ann", "a", false), Err(Refusal::NoOffer(_))));
    assert_eq!((town.stage("a").as_str(), town.purse("ann").as_str()), ("quoted", "100.000000"));
}

#[test]
fn who_comes_second_gets_another_machine_at_no_higher_price() {
    let mut town = Town::with(&[1, 1]);
    town.quote("ann", "a", 1).unwrap();
    town.quote("bob", "b", 1).unwrap();
    town.rent("bob", "b", false).unwrap();
    town.rent("ann", "a", false).unwrap();
    assert_ne!(town.machine_of("a", 0), town.machine_of("b", 0));
}

#[test]
fn a_dearer_machine_is_not_put_under_an_old_quote() {
    let mut town = Town::with(&[1]);
    town.quote("ann", "a", 1).unwrap();
    town.take("bob", "b", 1);
    town.prices("2", "0.01");
    town.join("m1", 1).unwrap();
    assert_eq!(town.rent("ann", "a", false), Err(Refusal::Expired(Noun::Quote)));
}

#[test]
fn a_quote_holds_for_five_minutes_and_once() {
    let mut town = Town::with(&[1]);
    town.quote("ann", "a", 1).unwrap();
    town.minutes(4);
    town.rent("ann", "a", false).unwrap();
    assert_eq!(town.rent("ann", "a", false), Err(Refusal::Used(Noun::Quote)));
}

#[test]
fn an_old_quote_is_no_longer_valid_whether_or_not_the_clock_has_looked() {
    let mut town = Town::with(&[1]);
    town.quote("ann", "a", 1).unwrap();
    town.now = town.now.after(market::QUOTE_VALID);
    assert_eq!(town.rent("ann", "a", false), Err(Refusal::Expired(Noun::Quote)));
    town.minutes(1);
    assert_eq!(town.stage("a"), "ended lapsed");
    assert_eq!(town.rent("ann", "a", false), Err(Refusal::Expired(Noun::Quote)));
}

#[test]
fn a_quote_keeps_its_price_when_prices_rise() {
    let mut town = Town::with(&[1]);
    town.minutes(1);
    town.quote("ann", "a", 1).unwrap();
    town.prices("9", "9");
    town.rent("ann", "a", false).unwrap();
    assert_eq!(town.purse("ann"), "99.000000");
}

#[test]
fn a_quote_is_not_for_a_machine_that_has_changed_since() {
    let mut town = Town::with(&[1]);
    let mut asked = order(1, 1);
    asked.filters.gpu_model = Some("Dollar 1".parse().unwrap());
    let command = Command::Quote {
        rental: rental("a"),
        project: project("ann"),
        order: asked,
        hours: 1,
        pay: None,
    };
    town.minutes(1);
    town.ok("ann", command);
    let mut machine = crate::town::machine(1);
    machine.gpu_model = Some("Penny 1".parse().unwrap());
    town.ok(
        "m0",
        Command::ChangeMachine { worker: crate::town::worker("m0"), machine, fingerprint: None },
    );
    assert!(matches!(town.rent("ann", "a", false), Err(Refusal::NoOffer(_))));
}

#[test]
fn a_booking_that_costs_nothing_runs_without_a_hold() {
    let mut town = Town::new();
    town.prices("0", "0");
    town.join("m0", 1).unwrap();
    town.running("ann", "a", 1);
    town.end("ann", "a").unwrap();
    assert_eq!(town.purse("ann"), "100.000000");
    assert!(town.control.rental(rental("a")).unwrap().holds.is_empty());
}

#[test]
fn an_ended_rental_is_forgotten_after_an_hour() {
    let mut town = Town::with(&[1]);
    town.running("ann", "a", 1);
    town.end("ann", "a").unwrap();
    town.says("m0", "");
    town.minutes(59);
    assert_eq!(town.stage("a"), "ended cancelled");
    town.minutes(1);
    assert_eq!(town.stage("a"), "forgotten");
    let hour_is_over = units::Hour::of(town.now).end();
    assert_eq!(town.control.wake_at(), Some(hour_is_over), "nothing but the hour is due");
}

#[test]
fn ending_twice_is_ending_once() {
    let mut town = Town::with(&[1]);
    town.running("ann", "a", 1);
    town.end("ann", "a").unwrap();
    town.end("ann", "a").unwrap();
    assert_eq!(town.stage("a"), "ending cancelled");
}

#[test]
fn others_learn_where_the_head_listens_as_soon_as_it_is_known() {
    let mut town = Town::with(&[1, 1]);
    town.take("ann", "a", 2);
    let (head, other) = (town.machine_of("a", 0), town.machine_of("a", 1));
    let other = crate::town::worker(&other);
    assert_eq!(town.control.wanted(other).nodes[0].head, None);
    let before = town.control.wanted(other).revision;
    town.says(&head, "a0 starting");
    let wanted = town.control.wanted(other);
    assert!(wanted.nodes[0].head.is_some() && wanted.revision > before);
    assert_eq!(wanted.nodes[0].nodes, 2);
}

#[test]
fn what_cannot_be_quoted_is_refused_in_order() {
    let mut town = Town::with(&[1]);
    let quote = |rented: &str, whose: &str, nodes, hours| Command::Quote {
        rental: rental(rented),
        project: project(whose),
        order: order(nodes, 1),
        hours,
        pay: None,
    };
    assert_eq!(town.tell("ann", quote("a", "bob", 1, 1)), Err(Refusal::NotFound(Noun::Project)));
    town.ok("ann", quote("a", "ann", 1, 1));
    assert_eq!(town.tell("ann", quote("a", "ann", 1, 1)), Err(Refusal::Exists(Noun::Quote)));
    for hours in [0, market::BOOKED_HOURS_MAX + 1] {
        let refused = town.tell("ann", quote("b", "ann", 1, hours));
        assert!(matches!(refused, Err(Refusal::Invalid { field: "hours", .. })));
    }
    assert!(matches!(town.tell("ann", quote("b", "ann", 0, 1)), Err(Refusal::NoOffer(_))));
    assert!(matches!(town.tell("ann", quote("b", "ann", 2, 1)), Err(Refusal::NoOffer(_))));
}

#[test]
fn a_price_beyond_all_measure_is_refused() {
    let mut town = Town::new();
    town.prices("18446744073709.551615", "0");
    town.join("m0", 1).unwrap();
    let order = order(1, 1);
    let command =
        Command::Quote { rental: rental("a"), project: project("ann"), order, hours: 2, pay: None };
    assert_eq!(town.tell("ann", command), Err(Refusal::TooMuch));
}

#[test]
fn quotes_that_lapsed_do_not_count_against_those_that_are_open() {
    let mut town = Town::with(&[1]);
    town.careful = false;
    let quote = |number: usize| Command::Quote {
        rental: units::RentalId::from_bits(u128::try_from(number).unwrap()),
        project: project("ann"),
        order: order(1, 1),
        hours: 1,
        pay: None,
    };
    (0..control::RENTALS_OPEN_MAX).for_each(|number| town.ok("ann", quote(number)));
    let next = control::RENTALS_OPEN_MAX;
    assert!(matches!(town.tell("ann", quote(next)), Err(Refusal::TooMany { .. })));
    town.minutes(5);
    town.ok("ann", quote(next));
}
