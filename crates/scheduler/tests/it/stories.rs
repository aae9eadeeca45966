//! What is placed where, as tables.

use scheduler::limits::SUPPLIERS_MACHINES_MAX;
use scheduler::{Inventory, Seat, Taken};
use units::{Credits, Resources};

use crate::world::{machine, opened, order, told, worker};

/// Two hosts of eight, one half as dear per GPU in Germany, and two machines without GPUs.
const MARKET: &[&str] = &[
    "1 gpus=8 model=H100 usd=2.00 vcpus=64 mem=512 disk=900 in=US tier=high has=soc2 by=1 vcpu_usd=0.01",
    "2 gpus=8 model=H100 usd=1.00 vcpus=64 mem=256 disk=900 in=DE tier=medium by=2 vcpu_usd=0.01",
    "3 gpus=2 model=H100 usd=1.00 vcpus=16 mem=128 disk=900 in=FR tier=low has=soc2,hipaa by=2 vcpu_usd=0.01",
    "4 gpus=1 model=T4 usd=0.20 vcpus=8 mem=64 disk=100 by=3 vcpu_usd=0.01",
    "5 vcpus=32 mem=128 disk=500 in=DE tier=high by=1 vcpu_usd=0.05",
    "6 vcpus=4 mem=16 disk=100 in=DE tier=ultra-high by=3 vcpu_usd=0.02",
];

fn market() -> Inventory {
    opened(MARKET.iter().copied().map(machine))
}

fn check(wanted: &str, outcome: &str) {
    let told = match market().place(&order(wanted)) {
        Ok(placement) => told(&placement),
        Err(refusal) => refusal.to_string(),
    };
    assert_eq!(told.split(':').next(), Some(outcome), "{wanted}");
}

#[test]
fn the_cheapest_machine_serves_and_a_tight_fit_breaks_the_tie() {
    check("gpus=1", "4[0]");
    check("gpus=1 model=H100", "3[0]");
    check("gpus=4 model=H100", "2[0,1,2,3]");
    check("gpus=8 nodes=2", "2[0,1,2,3,4,5,6,7] 1[0,1,2,3,4,5,6,7]");
}

#[test]
fn every_filter_holds() {
    check("gpus=1 in=US", "1[0]");
    check("gpus=1 in=US,FR", "3[0]");
    check("gpus=1 tier=medium", "2[0]");
    check("gpus=1 tier=ultra-high", "no offer");
    check("gpus=1 has=soc2", "3[0]");
    check("gpus=8 has=soc2", "1[0,1,2,3,4,5,6,7]");
    check("gpus=1 has=soc2,hipaa", "3[0]");
    check("gpus=1 by=1", "1[0]");
    check("gpus=1 by=1,3", "4[0]");
    check("gpus=2 max=1.999999", "no offer");
    check("gpus=2 max=2.00", "3[0,1]");
    check("gpus=1 model=A100", "no offer");
    check("gpus=1 mem=300", "1[0]");
    check("vcpus=1 model=H100", "3[]");
}

#[test]
fn work_without_gpus_leaves_machines_with_gpus_alone_while_others_fit() {
    check("vcpus=2", "6[]");
    check("vcpus=8", "5[]");
    check("vcpus=4 nodes=2", "6[] 5[]");
    check("vcpus=4 nodes=3", "6[] 5[] 4[]");
    check("vcpus=33", "1[]");
    check("vcpus=4 nodes=8 pack", "6[] 5[] 5[] 5[] 5[] 5[] 5[] 5[]");
}

#[test]
fn nodes_share_a_machine_only_when_they_may() {
    check("gpus=2 nodes=3", "3[0,1] 2[0,1] 1[0,1]");
    check("gpus=2 nodes=3 pack", "3[0,1] 2[0,1] 2[2,3]");
    check("gpus=2 nodes=4", "no offer");
    check("gpus=2 nodes=9 pack", "3[0,1] 2[0,1] 2[2,3] 2[4,5] 2[6,7] 1[0,1] 1[2,3] 1[4,5] 1[6,7]");
    check("gpus=2 nodes=10 pack", "no offer");
    check("gpus=2 mem=100 nodes=4 pack", "3[0,1] 2[0,1] 2[2,3] 1[0,1]");
}

#[test]
fn an_order_for_nothing_or_too_much_is_refused_before_any_look() {
    check("nodes=0 gpus=1", "the order asks for nothing");
    check("nodes=1 mem=64", "the order asks for nothing");
    check("nodes=2000", "the order asks for nothing");
    check("nodes=1025 gpus=1", "an order is for at most 1024 nodes");
}

#[test]
fn a_closed_machine_serves_nobody_and_keeps_what_is_taken() {
    let mut inventory = market();
    let seats = inventory.place(&order("gpus=2 model=H100")).unwrap().seats;
    inventory.take(&seats).unwrap();
    inventory.set_open(worker(3), false);
    assert_eq!(inventory.free(worker(3)).unwrap().gpus, 0);
    assert_eq!(inventory.take(&seats), Err(Taken::Closed { worker: worker(3) }));
    inventory.give_back(&seats[0]);
    assert_eq!(told(&inventory.place(&order("gpus=2")).unwrap()), "2[0,1]");
    inventory.set_open(worker(3), true);
    assert_eq!(told(&inventory.place(&order("gpus=2")).unwrap()), "3[0,1]");
    assert_eq!((inventory.len(), inventory.open_len()), (6, 6));
}

#[test]
fn changed_facts_apply_at_once_and_keep_what_is_taken() {
    let mut inventory = market();
    let seats = inventory.place(&order("gpus=4 model=H100")).unwrap().seats;
    inventory.take(&seats).unwrap();
    inventory.put(machine("2 gpus=2 model=A100 usd=0.10 vcpus=9 mem=1"));
    assert_eq!(
        inventory.free(worker(2)).unwrap(),
        Resources { gpus: 0, vcpus: 9, memory_mib: 1, disk_mib: 100 }
    );
    inventory.give_back(&seats[0]);
    assert_eq!(told(&inventory.place(&order("gpus=2")).unwrap()), "2[0,1]");
    inventory.remove(worker(2));
    assert_eq!(told(&inventory.place(&order("gpus=2")).unwrap()), "3[0,1]");
    assert_eq!((inventory.free(worker(2)), inventory.len()), (None, 5));
}

#[test]
fn a_refused_take_changes_nothing() {
    let mut inventory = market();
    let seats = inventory.place(&order("gpus=2 nodes=2")).unwrap().seats;
    let before = inventory.clone();
    let twice = [seats.clone(), seats.clone()].concat();
    assert_eq!(inventory.take(&twice), Err(Taken::NotFree { worker: worker(3) }));
    let unknown = Seat { worker: worker(99), ..seats[0].clone() };
    assert_eq!(
        inventory.take(&[seats[0].clone(), unknown]),
        Err(Taken::Gone { worker: worker(99) })
    );
    let miscounted =
        Seat { resources: Resources { gpus: 1, ..seats[0].resources }, ..seats[0].clone() };
    assert_eq!(inventory.take(&[miscounted]), Err(Taken::NotFree { worker: worker(3) }));
    assert_eq!(inventory, before);
}

#[test]
#[should_panic(expected = "the cards of a seat were taken")]
fn giving_back_what_was_not_taken_is_a_bug() {
    let mut inventory = market();
    let seats = inventory.place(&order("gpus=1")).unwrap().seats;
    inventory.give_back(&seats[0]);
}

#[test]
fn a_supplier_of_very_many_machines_is_served_as_any_other() {
    let many = u128::from(SUPPLIERS_MACHINES_MAX) + 9;
    let theirs = (0..many).map(|number| machine(&format!("{number} gpus=1 vcpus=8 by=1")));
    let others = (many..many + 9).map(|number| machine(&format!("{number} gpus=1 vcpus=9 by=2")));
    let inventory = opened(theirs.chain(others));
    assert_eq!(told(&inventory.place(&order("gpus=1 by=1")).unwrap()), "0[0]");
    assert_eq!(told(&inventory.place(&order("gpus=1 by=2")).unwrap()), format!("{many}[0]"));
    assert_eq!(
        inventory.place(&order("gpus=1 vcpus=9 by=1")).unwrap_err().to_string(),
        "no offer: 0 nodes possible on 1042 machines, 9 excluded by supplier, 1033 by vCPUs; \
         1 vCPU fewer per node gives 1 node; any supplier gives 1 node"
    );
}

#[test]
fn a_search_turns_its_pages_from_cheap_to_dear() {
    let inventory = market();
    let wanted = order("gpus=2 in=US,DE,FR");
    let page = |after, limit| inventory.search(&wanted.filters, &wanted.each, after, limit);
    let all = page(None, 10);
    let told: Vec<_> = all
        .iter()
        .map(|offer| (offer.worker.bits(), offer.node_hour.units(), offer.nodes))
        .collect();
    assert_eq!(told, [(2, 2_000_000, 4), (3, 2_000_000, 1), (1, 4_000_000, 4)]);
    let first = page(None, 1);
    assert_eq!(page(Some(first[0].cursor), 10), all[1..]);
    assert_eq!(page(Some(all[2].cursor), 10), []);
    assert_eq!(page(None, 0), []);
}

#[test]
fn an_hour_that_cannot_be_written_down_is_too_dear() {
    let dear = machine("1 gpus=2 usd=18446744073709.551615");
    let inventory = opened([dear]);
    let one = inventory.place(&order("gpus=1")).unwrap();
    assert_eq!(one.seats[0].node_hour, Credits::from_units(u64::MAX));
    assert_eq!(
        inventory.place(&order("gpus=2")).unwrap_err().to_string(),
        "no offer: 0 nodes possible on 1 machine, 1 excluded by price; 1 GPU fewer per node gives 1 node"
    );
}
