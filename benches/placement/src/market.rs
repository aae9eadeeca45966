//! The trace's tasks for whole GPUs as orders of the market, where machines of one price are told apart by what recent
//! orders say: how much more is given away by it.

use std::collections::BTreeSet;

use scheduler::packing::{Host, Model, Need};
use scheduler::{Inventory, Machine, Order, Prices, Rtts, Spread};
use units::{AccountId, Credits, GpuModel, Resources, Tier, WorkerId};

use crate::replay::Story;
use crate::trace::Trace;

/// Thousandths of a processor in one.
const MILLI: u32 = 1_000;
/// The price of each GPU: all machines cost the same, so that nothing but what is lost tells them apart.
const GPU_HOUR: u64 = 1_000_000;

/// What came of one story.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Given {
    /// GPUs that there are.
    pub gpus: u64,
    /// GPUs that were given away in the end.
    pub given: u64,
    /// Orders for all GPUs of a machine of eight that came.
    pub gangs: u64,
    /// How many of them were served.
    pub gangs_served: u64,
}

/// The tasks of a trace for whole GPUs of any model.
#[must_use]
pub fn whole_tasks(trace: &Trace) -> Trace {
    let tasks = trace.tasks.iter().filter(|task| task.cards() > 0 && !task.is_share());
    Trace { hosts: trace.hosts.clone(), tasks: tasks.copied().collect() }
}

/// Orders come until they asked for that many percent of all GPUs; each is placed at once or turned away.
#[must_use]
pub fn sell(trace: &Trace, seed: u64, percent: u32, learns: bool) -> Given {
    let story = Story::of(trace, seed, &[percent]);
    let mut market = Inventory::default();
    for (number, host) in (1..).zip(&story.hosts) {
        let machine = machine(number, host);
        let id = machine.id;
        market.put(machine);
        market.set_open(id, true);
    }
    let gpus = trace.capacity_milli() / u64::from(MILLI);
    let mut told = Given { gpus, given: 0, gangs: 0, gangs_served: 0 };
    let mut asked = 0;
    for need in &story.orders {
        asked += u64::from(need.cards());
        if asked * 100 > gpus * u64::from(percent) {
            break;
        }
        let order = order(need);
        if learns {
            market.learn(&order);
        }
        let seats = market.find(&order).map(|placement| placement.seats);
        let is_served = seats.is_some_and(|seats| market.take(&seats).is_ok());
        told.given += u64::from(is_served) * u64::from(need.cards());
        told.gangs += u64::from(need.cards() == 8);
        told.gangs_served += u64::from(is_served && need.cards() == 8);
    }
    told
}

fn machine(number: u64, host: &Host) -> Machine {
    let model = (0..).map_while(Model::of).position(|model| model == host.model);
    let model: Option<GpuModel> = model.and_then(|model| format!("model {model}").parse().ok());
    Machine {
        id: WorkerId::from_bits(u128::from(number)),
        supplier: AccountId::from_bits(1),
        total: Resources {
            gpus: u32::try_from(host.cards.free().len()).unwrap_or(u32::MAX),
            vcpus: host.cpu_milli / MILLI,
            memory_mib: u64::from(host.memory_mib),
            disk_mib: u64::from(MILLI),
        },
        gpu_model: model,
        vram_mib: 0,
        country: None,
        site: None,
        rtts: Rtts::default(),
        tier: Tier::None,
        certifications: BTreeSet::new(),
        prices: Prices {
            gpu_hour: Credits::from_units(GPU_HOUR),
            vcpu_hour: Credits::from_units(GPU_HOUR),
        },
    }
}

fn order(need: &Need) -> Order {
    Order {
        nodes: 1,
        each: Resources {
            gpus: u32::from(need.cards()),
            vcpus: need.cpu_milli.div_ceil(MILLI),
            memory_mib: u64::from(need.memory_mib),
            disk_mib: 0,
        },
        spread: Spread::Pack,
        ..Order::default()
    }
}
