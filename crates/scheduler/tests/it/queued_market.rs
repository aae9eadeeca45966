//! Orders that wait for machines of the market: the queue and the matcher together.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::time::Duration;

use scheduler::queue::{Amounts, Market, Pass, Plan, Room, Rules, Running, Waiting, plan};
use scheduler::{Inventory, Order, Seat};
use units::{ProjectId, Resources, Timestamp};

use crate::world::{machine, opened, order, told, worker};

const HOUR: u64 = 3_600_000;

fn waits(id: u32, ask: Order, hours: u64) -> Waiting<u32, Order> {
    Waiting {
        id,
        tenant: ProjectId::from_bits(id.into()),
        weight: NonZeroU32::MIN,
        ask,
        lasts: Duration::from_millis(hours * HOUR),
        is_spot: false,
        since: Timestamp::from_millis(id.into()),
        deadline: Timestamp::from_millis(u64::MAX),
    }
}

fn planned(
    inventory: &mut Inventory,
    waiting: &[Waiting<u32, Order>],
    running: &[Running<Vec<Seat>>],
) -> Plan<u32, Vec<Seat>> {
    let pass = Pass {
        waiting,
        promised: None,
        running,
        has: &BTreeMap::new(),
        whole: Amounts::from(Resources { gpus: 100, vcpus: 100, memory_mib: 0, disk_mib: 0 }),
        now: Timestamp::from_millis(1_000),
    };
    let before = inventory.clone();
    let planned = plan(&mut Market(inventory), &pass, &Rules::default());
    assert_eq!(*inventory, before, "asking changes nothing");
    planned
}

/// The order is placed, and ends then.
fn runs(inventory: &mut Inventory, text: &str, hours: u64) -> Running<Vec<Seat>> {
    runs_order(inventory, &order(text), hours)
}

fn runs_order(inventory: &mut Inventory, order: &Order, hours: u64) -> Running<Vec<Seat>> {
    let seats = inventory.place(order).unwrap().seats;
    inventory.take(&seats).unwrap();
    Running { seats, ends: Timestamp::from_millis(hours * HOUR), reclaim: None }
}

fn verdicts(planned: &Plan<u32, Vec<Seat>>) -> Vec<String> {
    let told = |(id, seats): (&u32, &Vec<Seat>)| {
        format!("{id}: {}", told(&scheduler::Placement { seats: seats.clone() }))
    };
    planned.starts().map(told).collect()
}

#[test]
fn a_gang_gets_the_machines_that_get_free_first_and_the_rest_is_for_others() {
    let mut inventory = opened((1..=3).map(|id| machine(&format!("{id} gpus=8"))));
    let running = [runs(&mut inventory, "gpus=8", 2), runs(&mut inventory, "gpus=8", 4)];
    let waiting = [
        waits(1, order("nodes=2 gpus=8"), 1),
        waits(2, order("gpus=4"), 1),
        waits(3, order("gpus=4"), 3),
    ];
    let planned = planned(&mut inventory, &waiting, &running);
    let kept = planned.kept.as_ref().unwrap();
    assert_eq!((kept.id, kept.from), (1, Timestamp::from_millis(2 * HOUR)));
    // The third machine is kept, and what is over in two hours may have it until then.
    assert_eq!(verdicts(&planned), ["2: 3[0,1,2,3]"]);
    let held = Market(&mut inventory).hold(kept.seats.as_ref().unwrap());
    assert_eq!(held.len(), 1, "of the two machines one is free");
    assert!(inventory.find(&order("gpus=1")).is_none(), "nothing is left for whoever asks now");
    Market(&mut inventory).give_back(&held);
    assert!(inventory.find(&order("gpus=8")).is_some());
}

#[test]
fn machines_that_take_no_new_orders_give_nothing_back() {
    let mut inventory = opened((1..=2).map(|id| machine(&format!("{id} gpus=8"))));
    let running = [runs(&mut inventory, "gpus=8", 2), runs(&mut inventory, "gpus=8", 4)];
    inventory.set_open(worker(1), false);
    let waiting = [waits(1, order("gpus=8"), 1)];
    let kept = planned(&mut inventory, &waiting, &running).kept.unwrap();
    assert_eq!(kept.from, Timestamp::from_millis(4 * HOUR));
    inventory.set_open(worker(2), false);
    assert_eq!(planned(&mut inventory, &waiting, &running).kept, None);
    inventory.remove(worker(1));
    assert_eq!(planned(&mut inventory, &waiting, &running).kept, None);
}

#[test]
fn machines_that_have_less_than_is_taken_of_them_give_nothing_back() {
    let mut inventory = opened([machine("1 gpus=8 vcpus=16"), machine("2 gpus=8 vcpus=16")]);
    let running =
        [runs(&mut inventory, "gpus=8 vcpus=16", 2), runs(&mut inventory, "gpus=8 vcpus=16", 4)];
    inventory.put(machine("1 gpus=8 vcpus=8"));
    let waiting = [waits(1, order("gpus=8"), 1)];
    let kept = planned(&mut inventory, &waiting, &running).kept.unwrap();
    assert_eq!(kept.from, Timestamp::from_millis(4 * HOUR));
}

#[test]
fn who_wants_a_machine_alone_has_all_of_it_kept() {
    let mut inventory = opened([machine("1 gpus=8")]);
    let mut guest = order("gpus=2");
    guest.tenant = Some(ProjectId::from_bits(77));
    let running = [runs_order(&mut inventory, &guest, 2)];
    let mut alone = order("gpus=2");
    (alone.tenant, alone.alone) = (Some(ProjectId::from_bits(1)), true);
    // Six cards are free, and the first could not have its two beside the guest.
    let seats = vec![Seat {
        worker: worker(1),
        gpus: [0, 1].into_iter().collect(),
        resources: alone.each,
        node_hour: units::Credits::from_units(0),
        tenant: alone.tenant,
        alone: true,
    }];
    assert_eq!(running[0].seats[0].gpus.len(), 2);
    let held = Market(&mut inventory).hold(&seats);
    assert_eq!(held.iter().map(|seat| seat.gpus.len()).sum::<u32>(), 6);
    assert!(inventory.find(&order("gpus=1")).is_none());
    Market(&mut inventory).give_back(&held);
    assert!(inventory.find(&order("gpus=6")).is_some());
}

#[test]
fn what_others_use_is_of_no_help() {
    let mut inventory = opened([machine("1 gpus=8 model=H100"), machine("2 gpus=8 model=A100")]);
    let running = [
        runs(&mut inventory, "gpus=8 model=A100", 1),
        runs(&mut inventory, "gpus=8 model=H100", 3),
    ];
    let waiting =
        [waits(1, order("gpus=8 model=H100"), 1), waits(2, order("gpus=8 model=B200"), 1)];
    let planned = planned(&mut inventory, &waiting, &running);
    assert_eq!(planned.kept.as_ref().unwrap().from, Timestamp::from_millis(3 * HOUR));
    let told: Vec<String> =
        planned.decisions.iter().map(|decision| decision.verdict.to_string()).collect();
    assert_eq!(
        told,
        [
            "waits: it is the first in line, and what gets free is kept for it; not before 1970-01-01 03:00 UTC",
            "waits: no machines would serve it if all that runs had ended",
        ]
    );
}
