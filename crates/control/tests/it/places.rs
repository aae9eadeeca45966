//! Orders that say how their nodes stand to each other and to those of others: near, apart, away, alone.

use std::time::Duration;

use control::{Command, Noun, OrderRecord, Refusal};
use scheduler::{Apart, Near};
use units::InviteId;

use crate::town::{Town, account, bits, invite_of, joining, name, order, project, rental, worker};

impl Town {
    /// A machine of somebody's with so many cards joins, in this country.
    fn stands(&mut self, whose: &str, machine: &str, gpus: u32, of: &str) {
        let (id, until) =
            (InviteId::from_bits(bits(machine)), self.now.after(Duration::from_secs(60)));
        let mut invite = invite_of(machine, until);
        if let Command::Invite { account: of, .. } = &mut invite {
            *of = account(whose);
        }
        self.ok(whose, invite);
        let mut joins = joining(machine, id, gpus);
        if let Command::Join { machine, .. } = &mut joins {
            machine.country = Some(of.parse().unwrap());
        }
        self.ok(machine, joins);
        self.ok("clock", Command::WorkerUp { worker: worker(machine) });
        let (at, worker) = (self.now, worker(machine));
        let connection =
            control::ConnectionRecord { at, down_mbps: 800, up_mbps: 600, ping_ms: 20 };
        self.ok("clock", Command::MeasureConnection { worker, connection });
    }

    /// Asks for a quote of an order for an hour, and rents it: on which machines.
    fn rents(&mut self, who: &str, of: &str, order: OrderRecord) -> Result<Vec<String>, Refusal> {
        let (id, project, nodes) = (rental(of), project(who), order.nodes);
        self.tell(who, Command::Quote { rental: id, project, order, hours: 1, pay: None })?;
        self.tell(who, Command::Rent { rental: id, name: name(of), may_wait: false })?;
        Ok((0..nodes).map(|node| self.machine_of(of, node)).collect())
    }
}

/// The countries of machines, by their names: `m0` and `m1` in DE, `m2` in SE, `m3` in SE and another supplier's.
fn town() -> Town {
    let mut town = Town::new();
    for (whose, machine, of) in
        [("sue", "m0", "DE"), ("sue", "m1", "DE"), ("sue", "m2", "SE"), ("bob", "m3", "SE")]
    {
        town.stands(whose, machine, 2, of);
    }
    town
}

#[track_caller]
fn refused(told: Result<Vec<String>, Refusal>) {
    let why = told.unwrap_err();
    assert!(matches!(why, Refusal::NoOffer(_)), "{why}");
}

#[test]
fn nodes_near_each_other_are_in_one_country() {
    let mut town = town();
    let near = |nodes| OrderRecord { near: Near::Country, ..order(nodes, 1) };
    refused(town.rents("ann", "a", near(3)));
    let on = town.rents("ann", "b", near(2)).unwrap();
    let mut on: Vec<&str> = on.iter().map(String::as_str).collect();
    on.sort_unstable();
    assert!(on == ["m0", "m1"] || on == ["m2", "m3"], "{on:?}");
    let unmeasured = OrderRecord { near: Near::Within(5_000), ..order(2, 1) };
    refused(town.rents("ann", "c", unmeasured));
}

#[test]
fn nodes_apart_have_no_supplier_or_country_in_common() {
    let mut town = town();
    for (named, apart) in [("a", Apart::Suppliers), ("b", Apart::Countries)] {
        let apart = |nodes| OrderRecord { apart, ..order(nodes, 1) };
        refused(town.rents("ann", "c", apart(3)));
        let on = town.rents("ann", named, apart(2)).unwrap();
        let one = |of: &[&str]| on.iter().filter(|on| of.contains(&on.as_str())).count();
        match named {
            "a" => assert_eq!(one(&["m3"]), 1, "{on:?}"),
            _ => assert_eq!(one(&["m2", "m3"]), 1, "{on:?}"),
        }
    }
}

#[test]
fn an_order_keeps_away_from_a_rental_of_its_project_and_knows_no_other() {
    let mut town = town();
    let first = town.rents("ann", "a", order(2, 1)).unwrap();
    let away = |nodes| OrderRecord { away_from: [rental("a")].into(), ..order(nodes, 1) };
    refused(town.rents("ann", "b", away(3)));
    let second = town.rents("ann", "c", away(2)).unwrap();
    assert!(second.iter().all(|on| !first.contains(on)), "{first:?} {second:?}");
    let strange = town.rents("bob", "d", away(1)).unwrap_err();
    assert!(matches!(strange, Refusal::NotFound(Noun::Rental)), "{strange}");
}

#[test]
fn nobody_else_is_put_on_a_machine_of_an_order_that_is_alone() {
    let mut town = town();
    let alone = |nodes| OrderRecord { alone: true, ..order(nodes, 1) };
    let bobs = town.rents("bob", "b", order(1, 1)).unwrap();
    refused(town.rents("ann", "a", alone(4)));
    let anns = town.rents("ann", "c", alone(3)).unwrap();
    assert!(!anns.contains(&bobs[0]), "{anns:?} {bobs:?}");
    refused(town.rents("bob", "d", order(2, 1)));
    assert_eq!(town.rents("bob", "e", order(1, 1)).unwrap(), bobs, "where it is already");
    assert_eq!(town.rents("ann", "f", order(3, 1)).unwrap().len(), 3, "its own project may");
    town.end("ann", "c").unwrap();
    town.end("ann", "f").unwrap();
    for machine in &anns {
        town.says(machine, "");
    }
    assert_eq!(town.rents("bob", "g", order(3, 1)).unwrap().len(), 3, "once it has ended");
}
