//! The matcher again, as slow and plain as can be: every machine is looked at, every level is tried.

use scheduler::{Excluded, Inventory, Machine, Order, Spread};
use units::{Credits, Resources};

/// The name of the first thing that excludes a machine, or `None` when it serves.
pub(crate) fn excluded_by(
    machine: &Machine,
    free: Resources,
    order: &Order,
) -> Option<&'static str> {
    let (filters, each) = (&order.filters, &order.each);
    let allows = |set_is_empty: bool, contains: bool| set_is_empty || contains;
    let country = machine.country.is_some_and(|country| filters.countries.contains(&country));
    let has_price = each.gpus == 0 || machine.total.gpus > 0;
    let affordable = node_hour(machine, order)
        .is_some_and(|cost| filters.node_hour_max.is_none_or(|max| cost <= max));
    let checks = [
        ("GPU model", filters.gpu_model.is_none() || machine.gpu_model == filters.gpu_model),
        (
            "supplier",
            allows(filters.suppliers.is_empty(), filters.suppliers.contains(&machine.supplier)),
        ),
        ("country", allows(filters.countries.is_empty(), country)),
        ("tier", machine.tier >= filters.tier_min),
        ("certification", filters.certifications.is_subset(&machine.certifications)),
        ("price", !has_price || affordable),
        ("GPUs", free.gpus >= each.gpus),
        ("vCPUs", free.vcpus >= each.vcpus),
        ("memory", free.memory_mib >= each.memory_mib),
        ("disk", free.disk_mib >= each.disk_mib),
    ];
    checks.iter().find(|(_, passes)| !passes).map(|(name, _)| *name)
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
        .filter(|(machine, free)| excluded_by(machine, *free, order).is_none())
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

/// Machines by what excludes them, and how many fit.
pub(crate) fn counts(inventory: &Inventory, open: &[Machine], order: &Order) -> (Excluded, u64) {
    let closed = u64::try_from(inventory.len() - open.len()).unwrap();
    let (mut excluded, mut fitting) = (Excluded { closed, ..Excluded::default() }, 0);
    for machine in open {
        let row = match excluded_by(machine, inventory.free(machine.id).unwrap(), order) {
            None => &mut fitting,
            Some("GPU model") => &mut excluded.gpu_model,
            Some("supplier") => &mut excluded.supplier,
            Some("country") => &mut excluded.country,
            Some("tier") => &mut excluded.tier,
            Some("certification") => &mut excluded.certification,
            Some("price") => &mut excluded.price,
            Some("GPUs") => &mut excluded.gpus,
            Some("vCPUs") => &mut excluded.vcpus,
            Some("memory") => &mut excluded.memory,
            Some(_) => &mut excluded.disk,
        };
        *row += 1;
    }
    (excluded, fitting)
}
