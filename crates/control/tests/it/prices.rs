//! Prices follow what is rented, an hour at a time, and nobody moves them alone.

use control::{Command, Refusal};
use units::Credits;

use crate::town::{Town, account, order, project, worker};

/// What an hour of a card of this machine costs.
fn price(town: &Town, machine: &str) -> Credits {
    let machine = &town.control.worker(worker(machine)).unwrap().machine;
    town.control.price_of(machine).unwrap().price
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
    let machine = &town.control.worker(worker("m0")).unwrap().machine;
    let quote = town.control.price_of(machine).unwrap();
    assert_eq!(quote.on_demand.last().unwrap().to, busy, "every quote explains itself");
    assert!(quote.spot_price <= quote.price);
    town.end("ann", "a").unwrap();
    town.minutes(12 * 60);
    assert!(price(&town, "m0") < busy);
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
