//! The matcher again, as slow and plain as can be: every machine is looked at, every level is tried.

use scheduler::{Inventory, Machine, Order, Spread};
use units::{Credits, Resources};

/// Whether a machine serves one node.
pub(crate) fn serves(machine: &Machine, free: Resources, order: &Order) -> bool {
    tests(machine, free, order).into_iter().all(|passes| passes)
}

/// Whether a machine passes each single test, in the order of the rows of an explanation but the first.
fn tests(machine: &Machine, free: Resources, order: &Order) -> [bool; 10] {
    let (filters, each) = (&order.filters, &order.each);
    let allows = |set_is_empty: bool, contains: bool| set_is_empty || contains;
    let country = machine.country.is_some_and(|country| filters.countries.contains(&country));
    let has_price = each.gpus == 0 || machine.total.gpus > 0;
    let affordable = node_hour(machine, order)
        .is_some_and(|cost| filters.node_hour_max.is_none_or(|max| cost <= max));
    [
        filters.gpu_model.is_none() || machine.gpu_model == filters.gpu_model,
        allows(filters.suppliers.is_empty(), filters.suppliers.contains(&machine.supplier)),
        allows(filters.countries.is_empty(), country),
        machine.tier >= filters.tier_min,
        filters.certifications.is_subset(&machine.certifications),
        !has_price || affordable,
        free.gpus >= each.gpus,
        free.vcpus >= each.vcpus,
        free.memory_mib >= each.memory_mib,
        free.disk_mib >= each.disk_mib,
    ]
}

fn node_hour(machine: &Machine, order: &Order) -> Option<Credits> {
    match order.each.gpus {
        0 => machine.prices.vcpu_hour.checked_times(u64::from(order.each.vcpus)),
        gpus => machine.prices.gpu_hour.checked_times(u64::from(gpus)),
    }
}

fn room(free: Resources, order: &Order) -> u32 {
    let mut left = free;
    let mut nodes = 0;
    let most = if order.spread == Spread::Distinct { 1 } else { order.nodes };
    while nodes < most {
        let Some(less) = left.checked_sub(&order.each) else { break };
        (left, nodes) = (less, nodes + 1);
    }
    nodes
}

/// Which machine each node goes to; as many nodes as there is room for.
pub(crate) fn places(inventory: &Inventory, open: &[Machine], order: &Order) -> Vec<u128> {
    let mut fitting: Vec<_> = open
        .iter()
        .map(|machine| (machine, inventory.free(machine.id).unwrap()))
        .filter(|(machine, free)| serves(machine, *free, order))
        .collect();
    fitting.sort_by_key(|(machine, free)| {
        let strands = machine.total.gpus > 0 && order.each.gpus == 0;
        (strands, node_hour(machine, order).unwrap(), free.gpus - order.each.gpus, machine.id)
    });
    let nodes = usize::try_from(order.nodes).unwrap();
    let seats = fitting.iter().flat_map(|(machine, free)| {
        std::iter::repeat_n(machine.id.bits(), usize::try_from(room(*free, order)).unwrap())
    });
    seats.take(nodes).collect()
}

/// How many of the nodes can be placed.
pub(crate) fn nodes_possible(inventory: &Inventory, open: &[Machine], order: &Order) -> u32 {
    u32::try_from(places(inventory, open, order).len()).unwrap()
}

/// How many machines each thing alone rules out, in the order of the rows of an explanation, and how many fit.
pub(crate) fn counts(inventory: &Inventory, open: &[Machine], order: &Order) -> ([u64; 15], u64) {
    let (mut excluded, mut fitting) = ([0; 15], 0);
    excluded[0] = u64::try_from(inventory.len() - open.len()).unwrap();
    for machine in open {
        let tests = tests(machine, inventory.free(machine.id).unwrap(), order);
        for (count, passes) in excluded[1..].iter_mut().zip(tests) {
            *count += u64::from(!passes);
        }
        fitting += u64::from(tests.iter().all(|passes| *passes));
    }
    (excluded, fitting)
}
