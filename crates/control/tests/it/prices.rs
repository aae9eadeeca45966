//! Prices follow what is rented, an hour at a time, and nobody moves them alone.

use control::{Command, Refusal};
use units::Credits;

use crate::town::{Town, account, order, project, worker};

/// What an hour of a card of this machine costs.
fn price(town: &Town, machine: &str) -> Credits {
    town.control.worker_price(town.control.worker(worker(machine)).unwrap()).unwrap().price
}

/// A town in which two suppliers make a market and ten cards are many.
fn market(machines: &[u32]) -> Town {
    let mut town = Town::with(machines);
    town.careful = false;
    town.patch(
        r#"{"pricing":{"thick_cards":1,"supplier_share_max_bp":10000,"renter_share_max_bp":10000,
            "short_window_hours":1,"long_window_hours":2,"supplier_swing_max_bp":10000,
            "withdrawn_max_bp":5000}}"#,
    );
    town
}

#[test]
fn a_price_rises_while_all_is_rented_and_falls_when_nothing_is() {
    let mut town = market(&[1, 1]);
    let before = price(&town, "m0");
    let order = order(2, 1);
    let (rental, project) = (crate::town::rental("a"), project("ann"));
    town.ok("ann", Command::Quote { rental, project, order, hours: 24, pay: None });
    town.rent("ann", "a", false).unwrap();
    for node in 0..2 {
        let machine = town.machine_of("a", node);
        town.says(&machine, &format!("a{node} ready"));
    }
    assert_eq!(town.stage("a"), "running");
    town.minutes(12 * 60);
    let busy = price(&town, "m0");
    assert!(busy > before, "{busy} is not above {before}");
    let machine = town.control.worker(worker("m0")).unwrap();
    let quote = town.control.worker_price(machine).unwrap();
    assert_eq!(quote.on_demand.last().unwrap().to, busy, "every quote explains itself");
    assert!(quote.spot_price <= quote.price);
    town.end("ann", "a").unwrap();
    town.minutes(12 * 60);
    assert!(price(&town, "m0") < busy);
}

#[test]
fn a_machine_that_is_not_on_offer_costs_what_its_model_does_and_is_read_back_so() {
    let mut town = market(&[1, 1, 1]);
    let mut machine = town.control.worker(worker("m2")).unwrap().machine.clone();
    machine.tier = units::Tier::UltraHigh;
    let (id, paused) = (worker("m2"), true);
    town.tell("sue", Command::SetPaused { worker: id, paused }).unwrap();
    town.tell("m2", Command::ChangeMachine { worker: id, machine, fingerprint: None }).unwrap();
    let before = price(&town, "m2");
    town.minutes(12 * 60);
    assert!(price(&town, "m2") < before, "nothing of its model is rented");
    let back = control::Control::from_snapshot(&town.control.snapshot()).unwrap();
    assert!(back == town.control, "a snapshot puts it on offer at another price");
}

#[test]
fn who_rents_from_himself_moves_nothing() {
    let mut town = market(&[1]);
    let before = price(&town, "m0");
    let (id, owner) = (project("sue"), account("sue"));
    let name = crate::town::name("sue");
    town.ok("sue", Command::OpenProject { project: id, owner, name });
    town.top_up("sue", "100");
    let (rental, order) = (crate::town::rental("a"), order(1, 1));
    town.ok("sue", Command::Quote { rental, project: id, order, hours: 24, pay: None });
    town.rent("sue", "a", false).unwrap();
    town.says("m0", "a0 ready");
    assert_eq!(town.stage("a"), "running");
    town.minutes(12 * 60);
    assert!(price(&town, "m0") <= before);
}

#[test]
fn only_what_is_really_missing_counts_as_turned_away() {
    let mut town = market(&[1]);
    let mut asked = order(1, 1);
    asked.filters.gpu_model = Some("Dollar 1".parse().unwrap());
    let turned_away = |asked: &control::OrderRecord| Command::TurnedAway {
        project: project("ann"),
        order: asked.clone(),
    };
    assert!(matches!(town.tell("bob", turned_away(&asked)), Err(Refusal::NotFound(_))));
    town.ok("ann", turned_away(&asked));
    assert!(town.control.economy().market.seen.is_empty(), "there is a machine for it");
    asked.nodes = 3;
    town.ok("ann", turned_away(&asked));
    assert_eq!(town.control.economy().market.seen.len(), 1);
}

/// Ann rents a card as spot, for at most so much an hour.
fn spot(town: &mut Town, id: &str, bid: &str) -> Result<control::Reply, Refusal> {
    let (rental, project) = (crate::town::rental(id), project("ann"));
    let mut order = order(1, 1);
    order.spot = Some(bid.parse().unwrap());
    town.tell("ann", Command::Quote { rental, project, order, hours: 2, pay: None })
}

#[test]
fn a_spot_rental_is_cheaper_and_goes_when_its_machine_is_wanted_on_demand() {
    let mut town = market(&[1]);
    assert!(matches!(spot(&mut town, "a", "0.01"), Err(Refusal::Outbid { .. })));
    spot(&mut town, "a", "0.9").unwrap();
    town.rent("ann", "a", false).unwrap();
    town.says("m0", "a0 ready");
    assert_eq!(town.stage("a"), "running");
    let hour = town.control.rental(crate::town::rental("a")).unwrap().terms.node_hours[0];
    assert!(hour < price(&town, "m0"), "{hour}");
    // Bob finds nothing, and can pay for it.
    let mut asked = order(1, 1);
    asked.filters.gpu_model = Some("Dollar 1".parse().unwrap());
    town.ok("bob", Command::TurnedAway { project: project("bob"), order: asked });
    let told = town.control.rental(crate::town::rental("a")).unwrap();
    assert!(told.wanted_back.is_some() && told.reason.is_some());
    town.minutes(4);
    assert_eq!(town.stage("a"), "running", "five minutes to go");
    town.minutes(1);
    assert_eq!(town.stage("a"), "ending reclaimed");
    town.says("m0", "");
    town.quote("bob", "b", 1).unwrap();
    // She pays for what she had, and no minimum.
    let receipt = town.control.rental(crate::town::rental("a")).unwrap().receipt().unwrap();
    assert_eq!(receipt.lines[0].minutes_charged, 5);
}

#[test]
fn a_spot_rental_whose_machine_never_clears_is_over_when_its_time_for_that_is() {
    let mut town = market(&[1]);
    spot(&mut town, "a", "0.9").unwrap();
    town.rent("ann", "a", false).unwrap();
    town.says("m0", "a0 ready");
    let mut asked = order(1, 1);
    asked.filters.gpu_model = Some("Dollar 1".parse().unwrap());
    town.ok("bob", Command::TurnedAway { project: project("bob"), order: asked });
    town.minutes(5);
    assert_eq!(town.stage("a"), "ending reclaimed");
    town.minutes(60);
    assert_eq!(town.stage("a"), "ended reclaimed");
}

#[test]
fn a_spot_rental_costs_no_more_than_its_renter_pays_for_a_node() {
    let mut town = market(&[1]);
    let mut dear = order(1, 1);
    dear.spot = Some("0.9".parse().unwrap());
    dear.filters.node_hour_max = Some("0.01".parse().unwrap());
    let (rental, project) = (crate::town::rental("a"), project("ann"));
    let quote = Command::Quote { rental, project, order: dear, hours: 2, pay: None };
    assert!(matches!(town.tell("ann", quote), Err(Refusal::Outbid { .. })));
}

#[test]
fn nobody_drives_spot_rentals_out_without_the_money_or_twice_in_an_hour() {
    let mut town = market(&[1, 1]);
    for (id, machine) in [("a", 0), ("b", 1)] {
        spot(&mut town, id, "0.9").unwrap();
        town.rent("ann", id, false).unwrap();
        let seated = town.machine_of(id, 0);
        town.says(&seated, &format!("{id}0 ready"));
        assert_eq!(town.stage(id), "running", "{machine}");
    }
    let mut asked = order(1, 1);
    asked.filters.gpu_model = Some("Dollar 1".parse().unwrap());
    let going = |town: &Town| town.control.rentals().filter(|it| it.wanted_back.is_some()).count();
    let (id, owner) = (project("poor"), account("bob"));
    let name = crate::town::name("poor");
    town.ok("bob", Command::OpenProject { project: id, owner, name });
    town.ok("bob", Command::TurnedAway { project: id, order: asked.clone() });
    assert_eq!(going(&town), 0);
    town.ok("bob", Command::TurnedAway { project: project("bob"), order: asked.clone() });
    town.ok("bob", Command::TurnedAway { project: project("bob"), order: asked });
    assert_eq!(going(&town), 1);
}
