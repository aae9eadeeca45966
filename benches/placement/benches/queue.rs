//! How long a pass over the orders that wait takes, on a market that is full.
//!
//! `cargo bench -p placement-bench --bench queue`

#![expect(clippy::print_stdout, reason = "a benchmark prints its table")]

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use scheduler::packing::Dice;
use scheduler::queue::{Amounts, Market, Pass, Rules, Running, Waiting, plan};
use scheduler::{Filters, Inventory, Machine, Order, Prices, Rtts, Seat};
use units::{AccountId, Credits, GpuModel, ProjectId, Resources, Tier, Timestamp, WorkerId};

const MACHINES: [u32; 3] = [1_000, 10_000, 100_000];
const WAITING: u32 = 1_000;
const PASSES: usize = 20;
const HOUR_MILLIS: u64 = 3_600_000;
const MODELS: [&str; 4] = ["H100", "A100", "L40S", "RTX4090"];

fn main() {
    println!("| machines | running | waiting | kinds of orders | median pass, ms | longest, ms |");
    println!("|---:|---:|---:|---:|---:|---:|");
    for machines in MACHINES {
        for kinds in [20, 1_000] {
            let mut market = full(machines);
            let waiting = waiting(kinds);
            let mut took: Vec<Duration> =
                (0..PASSES).map(|_| pass(&mut market, &waiting)).collect();
            took.sort_unstable();
            let millis = |place: usize| took[place].as_secs_f64() * 1e3;
            let running = market.running.len();
            println!(
                "| {machines} | {running} | {WAITING} | {kinds} | {:.2} | {:.2} |",
                millis(PASSES / 2),
                millis(PASSES - 1)
            );
        }
    }
}

struct Full {
    inventory: Inventory,
    running: Vec<Running<Vec<Seat>>>,
}

/// Machines of eight cards, all but one in fifty of them let to their last two.
fn full(machines: u32) -> Full {
    let mut dice = Dice::new(1);
    let mut inventory = Inventory::default();
    for id in 0..machines {
        let machine = machine(id, &mut dice);
        let id = machine.id;
        inventory.put(machine);
        inventory.set_open(id, true);
    }
    let mut running = Vec::new();
    for id in 0..machines {
        let gpus = if id % 50 == 0 { 6 } else { 8 };
        let seat = Seat {
            worker: WorkerId::from_bits(id.into()),
            gpus: (0..gpus).collect(),
            resources: Resources { gpus, vcpus: gpus, memory_mib: 1, disk_mib: 1 },
            node_hour: Credits::from_units(0),
            tenant: None,
            alone: false,
        };
        inventory.take(std::slice::from_ref(&seat)).expect("it is free");
        let ends = Timestamp::from_millis(HOUR_MILLIS + dice.below(200 * HOUR_MILLIS));
        running.push(Running { seats: vec![seat], ends, reclaim: None });
    }
    running.sort_by_key(|running| running.ends);
    Full { inventory, running }
}

fn machine(id: u32, dice: &mut Dice) -> Machine {
    Machine {
        id: WorkerId::from_bits(id.into()),
        supplier: AccountId::from_bits(dice.below(500).into()),
        total: Resources { gpus: 8, vcpus: 128, memory_mib: 1 << 20, disk_mib: 1 << 22 },
        gpu_model: Some(model(dice)),
        vram_mib: 80_000,
        country: None,
        site: None,
        rtts: Rtts::default(),
        tier: Tier::None,
        certifications: BTreeSet::new(),
        prices: Prices {
            gpu_hour: Credits::from_units(1_000_000 + dice.below(1_000_000)),
            vcpu_hour: Credits::from_units(10_000),
        },
    }
}

fn model(dice: &mut Dice) -> GpuModel {
    MODELS[dice.place_among(MODELS.len())].parse().expect("it is a model's name")
}

fn waiting(kinds: u32) -> Vec<Waiting<u32, Order>> {
    let mut dice = Dice::new(2);
    let of_kind = |kind: u32, dice: &mut Dice| Order {
        nodes: 1 + kind % 16,
        each: Resources { gpus: 8, vcpus: 8 + kind, memory_mib: 1_024, disk_mib: 1_024 },
        filters: Filters { gpu_model: Some(model(dice)), ..Filters::default() },
        ..Order::default()
    };
    let kinds: Vec<Order> = (0..kinds).map(|kind| of_kind(kind % 100, &mut dice)).collect();
    let waits = |id: u32| Waiting {
        id,
        tenant: ProjectId::from_bits(u128::from(id % 50)),
        weight: NonZeroU32::MIN,
        ask: kinds[dice.place_among(kinds.len())].clone(),
        lasts: Duration::from_secs(3_600 * (1 + dice.below(48))),
        is_spot: false,
        since: Timestamp::from_millis(u64::from(id)),
        deadline: Timestamp::from_millis(u64::MAX),
    };
    (0..WAITING).map(waits).collect()
}

fn pass(market: &mut Full, waiting: &[Waiting<u32, Order>]) -> Duration {
    let pass = Pass {
        waiting,
        promised: None,
        running: &market.running,
        has: &BTreeMap::new(),
        whole: Amounts([8_000, 0, 0, 0]),
        now: Timestamp::from_millis(HOUR_MILLIS / 2),
    };
    let start = Instant::now();
    let planned = plan(&mut Market(&mut market.inventory), &pass, &Rules::default());
    let took = start.elapsed();
    assert!(planned.kept.is_some(), "the market is full");
    took
}
