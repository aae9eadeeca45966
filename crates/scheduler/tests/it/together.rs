//! How nodes stand to each other and to those of others, as tables.

use scheduler::limits::{MATCHES_COMPARED_MAX, SITES_COMPARED_MAX};
use scheduler::{Inventory, Taken};
use units::Resources;

use crate::world::{machine, opened, order, told, worker};

/// Two sites of hosts, a cheaper host in each of two other places, and one that nobody measured.
const WORLD: &[&str] = &[
    "1 gpus=8 model=H100 usd=2.00 vcpus=64 in=DE site=1 by=1 rtt=1:300",
    "2 gpus=8 model=H100 usd=2.00 vcpus=64 in=DE site=1 by=2 rtt=1:400",
    "3 gpus=8 model=H100 usd=2.10 vcpus=64 in=DE site=1 by=3 rtt=1:400",
    "4 gpus=8 model=H100 usd=2.00 vcpus=64 in=US site=2 by=1 rtt=2:300",
    "5 gpus=8 model=H100 usd=2.00 vcpus=64 in=US site=2 by=1 rtt=2:300",
    "6 gpus=8 model=H100 usd=1.00 vcpus=64 in=US by=4 rtt=2:9000",
    "7 gpus=8 model=H100 usd=1.10 vcpus=64 in=FR site=3 by=5 rtt=1:8000",
    "8 gpus=16 model=H100 usd=3.00 vcpus=64 by=6",
];

fn world() -> Inventory {
    opened(WORLD.iter().copied().map(machine))
}

fn check(wanted: &str, outcome: &str) {
    let told = match world().place(&order(wanted)) {
        Ok(placement) => {
            placement.seats.iter().map(|seat| seat.worker.bits().to_string()).collect()
        }
        Err(refusal) => vec![refusal.to_string()],
    };
    assert_eq!(told.join(" ").split(": ").next(), Some(outcome), "{wanted}");
}

#[test]
fn a_gang_goes_to_the_cheapest_place_that_has_room_for_all() {
    check("nodes=2 gpus=8", "6 7");
    check("nodes=2 gpus=8 near=country", "6 4");
    // Both sites cost the same, and the second has room for no other node.
    check("nodes=2 gpus=8 near=site", "4 5");
    check("nodes=3 gpus=8 near=site", "1 2 3");
    check("nodes=4 gpus=8 near=site", "no offer");
    check("nodes=3 gpus=8 near=country", "6 4 5");
}

#[test]
fn a_round_trip_is_kept_round_one_anchor_or_in_one_site() {
    check("nodes=2 gpus=8 near=16000", "7 1");
    check("nodes=2 gpus=8 near=18000", "6 4");
    check("nodes=3 gpus=8 near=800", "1 2 3");
    check("nodes=3 gpus=8 near=799", "no offer");
    check("nodes=2 gpus=8 near=2000", "4 5");
}

/// In each of these sites the cheapest machine has no vCPUs to spare, so that it promises two nodes for less than they
/// cost; the last site is the cheapest.
#[test]
fn beyond_the_sites_that_are_compared_a_gang_is_whole_though_not_the_cheapest() {
    let of_site = |site: usize| {
        let number = site * 3;
        [
            format!("{number} gpus=1 usd=1.00 vcpus=1 site={site}"),
            format!("{} gpus=1 usd=3.00 vcpus=8 site={site}", number + 1),
            format!("{} gpus=1 usd=3.00 vcpus=8 site={site}", number + 2),
        ]
    };
    let dear = (1..=SITES_COMPARED_MAX).flat_map(of_site);
    let cheap = [1_000_001, 1_000_002]
        .map(|number| format!("{number} gpus=1 usd=2.40 vcpus=8 site=1000000"));
    let mut inventory = opened(dear.chain(cheap).map(|text| machine(&text)));
    let wanted = order("nodes=2 gpus=1 vcpus=8 near=site");
    assert_eq!(told(&inventory.place(&wanted).unwrap()), "4[0] 5[0]");
    // One site fewer, and all are compared.
    [4, 5].into_iter().for_each(|number| inventory.set_open(worker(number), false));
    assert_eq!(told(&inventory.place(&wanted).unwrap()), "1000001[0] 1000002[0]");
}

/// The gang round the second anchor costs less, and its dearer machine comes after those that are compared.
#[test]
fn beyond_the_machines_that_are_compared_a_gang_is_whole_though_not_the_cheapest() {
    let early = ["1 gpus=1 usd=2.00 rtt=1:300", "2 gpus=1 usd=3.00 rtt=1:300"];
    let late = ["3 gpus=1 usd=1.00 rtt=2:300", "4 gpus=1 usd=3.50 rtt=2:300"];
    let between = (10..10 + MATCHES_COMPARED_MAX)
        .map(|number| machine(&format!("{number} gpus=1 usd=3.20 rtt=1:300")));
    let mut inventory = opened(early.into_iter().chain(late).map(machine).chain(between));
    let wanted = order("nodes=2 gpus=1 near=600");
    assert_eq!(told(&inventory.place(&wanted).unwrap()), "1[0] 2[0]");
    inventory.set_open(worker(10), false);
    assert_eq!(told(&inventory.place(&wanted).unwrap()), "3[0] 4[0]");
}

#[test]
fn nodes_on_one_machine_are_as_near_as_can_be_and_a_single_node_minds_nobody() {
    check("nodes=2 gpus=8 near=1 pack", "8 8");
    check("nodes=1 gpus=8 near=site", "6");
    check("nodes=1 gpus=16 near=country apart=countries", "8");
}

#[test]
fn nodes_that_are_apart_have_nothing_in_common() {
    check("nodes=2 gpus=8 near=site apart=suppliers", "1 2");
    check("nodes=4 gpus=8 apart=countries", "no offer");
    check("nodes=3 gpus=8 apart=countries", "6 7 1");
    check("nodes=5 gpus=8 apart=sites", "6 7 1 4 8");
    check("nodes=2 gpus=8 avoid=6,7", "1 2");
    check("nodes=2 gpus=8 near=site apart=sites", "no offer");
}

#[test]
fn who_is_alone_bears_nobody_and_is_seen_by_nobody() {
    let mut inventory = world();
    let place = |inventory: &Inventory, wanted: &str| {
        inventory.place(&order(wanted)).map_or_else(|no| no.to_string(), |it| told(&it))
    };
    let mine = inventory.place(&order("gpus=1 vcpus=1 tenant=1 alone")).unwrap().seats;
    inventory.take(&mine).unwrap();
    let theirs = inventory.place(&order("gpus=1 vcpus=1 tenant=2")).unwrap().seats;
    inventory.take(&theirs).unwrap();
    assert_eq!((mine[0].worker, theirs[0].worker), (worker(6), worker(7)));
    assert_eq!(place(&inventory, "gpus=1 vcpus=1 tenant=1"), "6[1]", "one's own are no others");
    assert_eq!(place(&inventory, "gpus=1 vcpus=1 tenant=3"), "7[1]");
    assert_eq!(place(&inventory, "gpus=1 vcpus=1 tenant=3 alone"), "1[0]", "others are on 7");
    assert_eq!(place(&inventory, "gpus=1 vcpus=1 tenant=2 alone"), "7[1]");
    let wanted = order("gpus=1 vcpus=1");
    let offers = inventory.search(&wanted.filters, &wanted.each, None, 9);
    assert!(offers.iter().all(|offer| offer.worker != worker(6)));
    let stray = scheduler::Seat { worker: worker(6), ..theirs[0].clone() };
    let gpus = inventory.machine(worker(6)).map(|_| scheduler::GpuSet::from_bits(2)).unwrap();
    let stray = scheduler::Seat { gpus, ..stray };
    assert_eq!(inventory.take(&[stray]), Err(Taken::NotFree { worker: worker(6) }));
    inventory.give_back(&mine[0]);
    assert_eq!(place(&inventory, "gpus=1 vcpus=1 tenant=3"), "6[0]");
    assert_eq!(inventory.free(worker(6)).map(|free| free.gpus), Some(8));
}

#[test]
fn a_refusal_names_what_nearness_and_company_cost() {
    let says = |wanted: &str| {
        let refusal = world().place(&order(wanted)).unwrap_err().to_string();
        refusal.split("; ").map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(
        says("nodes=4 gpus=8 near=site avoid=8"),
        [
            "no offer: 3 nodes possible on 8 machines, 1 excluded by being avoided, 4 by nearness",
            "being within 20.000 ms gives 4 nodes",
            "asking for 1 node fewer gives 3 nodes",
        ]
    );
    assert_eq!(
        says("nodes=4 gpus=8 apart=countries"),
        [
            "no offer: 3 nodes possible on 8 machines, 5 excluded by being apart",
            "being apart by site only gives 4 nodes",
            "asking for 1 node fewer gives 3 nodes",
        ]
    );
}

#[test]
fn the_nearest_offers_are_what_the_first_relaxations_would_get() {
    let refusal = world().place(&order("nodes=4 gpus=8 apart=countries")).unwrap_err();
    let scheduler::Refusal::NoCapacity(told) = refusal else { panic!("{refusal}") };
    let offers: Vec<_> = told.nearest.iter().map(|it| (it.nodes, it.hour.to_string())).collect();
    assert_eq!(offers, [(4, "48.800000".to_owned()), (3, "32.800000".to_owned())]);
}

#[test]
fn a_curve_goes_from_near_and_dear_to_far_and_cheap() {
    let inventory = world();
    let curve = inventory.curve(&order("nodes=2 gpus=8 vcpus=8"));
    let told: Vec<_> = curve
        .iter()
        .map(|it| (it.order.nodes, it.order.each.gpus, it.hour.to_string(), it.span_micros))
        .collect();
    assert_eq!(
        told,
        [
            (1, 16, "48.000000".to_owned(), Some(0)),
            (2, 8, "32.000000".to_owned(), Some(600)),
            (2, 8, "24.000000".to_owned(), Some(9_300)),
            (2, 8, "16.800000".to_owned(), None),
        ]
    );
    let each = Resources { gpus: 16, vcpus: 16, memory_mib: 0, disk_mib: 0 };
    assert_eq!(curve[0].order.each, each);
}
