//! The matcher again, as slow and plain as can be: every machine is looked at, every place and every level is tried.

use std::collections::{BTreeMap, BTreeSet};

use scheduler::limits::{LEFT_COUNTED_MAX, SITE_RTT_MICROS};
use scheduler::{Apart, Inventory, Machine, Near, Order, Spread};
use units::{Credits, Resources};

/// Whether a machine serves one node.
pub(crate) fn serves(inventory: &Inventory, machine: &Machine, order: &Order) -> bool {
    serves_with(inventory, machine, inventory.free(machine.id).unwrap(), order)
}

/// Whether it would if so much of it were free.
pub(crate) fn serves_with(
    inventory: &Inventory,
    machine: &Machine,
    free: Resources,
    order: &Order,
) -> bool {
    tests(inventory, machine, free, order).into_iter().all(|passes| passes)
}

/// Whether a machine passes each single test, in the order of the rows of an explanation but the first and those
/// that are about several machines.
fn tests(inventory: &Inventory, machine: &Machine, free: Resources, order: &Order) -> [bool; 12] {
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
        !order.avoid.contains(&machine.id),
        inventory.taken(machine.id).unwrap().guests.admit(order.tenant, order.alone),
    ]
}

fn node_hour(machine: &Machine, order: &Order) -> Option<Credits> {
    match order.each.gpus {
        0 => machine.prices.vcpu_hour.checked_times(u64::from(order.each.vcpus)),
        gpus => machine.prices.gpu_hour.checked_times(u64::from(gpus)),
    }
}

fn apart(order: &Order) -> Apart {
    if order.nodes > 1 { order.apart } else { Apart::Nothing }
}

fn room(free: Resources, order: &Order) -> u32 {
    let mut left = free;
    let mut nodes = 0;
    let is_single = order.spread == Spread::Distinct || apart(order) != Apart::Nothing;
    let most = if is_single { 1 } else { order.nodes };
    while nodes < most {
        let Some(less) = left.checked_sub(&order.each) else { break };
        (left, nodes) = (less, nodes + 1);
    }
    nodes
}

/// What no other node may have; `None` where that is not known.
fn common(machine: &Machine, order: &Order) -> Option<(u8, u128)> {
    match apart(order) {
        Apart::Nothing => Some((0, machine.id.bits())),
        Apart::Suppliers => Some((1, machine.supplier.bits())),
        Apart::Sites => Some(match machine.site {
            Some(site) => (2, u128::from(site.bits())),
            None => (0, machine.id.bits()),
        }),
        Apart::Countries => {
            let number =
                |text: &str| text.bytes().fold(0, |sum, byte| sum * 256 + u128::from(byte));
            machine.country.map(|country| (3, number(&country.to_string())))
        }
    }
}

/// In which places nodes are near each other; a machine by itself is one of them in every case.
fn is_in(machine: &Machine, order: &Order) -> Vec<(u8, u128)> {
    let by_itself = (0, machine.id.bits());
    let site = machine.site.map(|site| (1, u128::from(site.bits())));
    let mut all = vec![by_itself];
    match order.near {
        _ if order.nodes == 1 => all.push((9, 0)),
        Near::Anywhere => all.push((9, 0)),
        Near::Site => all.extend(site),
        Near::Within(micros) => {
            all.extend(site.filter(|_| micros >= SITE_RTT_MICROS));
            let near = machine.rtts.iter().filter(|(_, to)| *to <= micros / 2);
            all.extend(near.map(|(anchor, _)| (2, u128::from(anchor))));
        }
        Near::Country => all.extend(machine.country.map(|country| {
            let text = country.to_string();
            (3, text.bytes().fold(0, |sum, byte| sum * 256 + u128::from(byte)))
        })),
    }
    all
}

/// The machines that fit in each place, best first.
fn by_place<'a>(
    inventory: &Inventory,
    open: &'a [Machine],
    order: &Order,
) -> BTreeMap<(u8, u128), Vec<&'a Machine>> {
    let mut fitting: Vec<_> =
        open.iter().filter(|machine| serves(inventory, machine, order)).collect();
    fitting.sort_by_key(|machine| fit(inventory, machine, order));
    let mut places: BTreeMap<_, Vec<&Machine>> = BTreeMap::new();
    for machine in fitting {
        is_in(machine, order)
            .into_iter()
            .for_each(|at| places.entry(at).or_default().push(machine));
    }
    places
}

fn fit(inventory: &Inventory, machine: &Machine, order: &Order) -> (bool, Credits, u32, u128) {
    let strands = machine.total.gpus > 0 && order.each.gpus == 0;
    let free = inventory.free(machine.id).unwrap().gpus;
    (strands, node_hour(machine, order).unwrap(), free, machine.id.bits())
}

/// The machine of each node that there is room for in a place.
fn filled<'a>(
    inventory: &Inventory,
    (place, fitting): (&(u8, u128), &[&'a Machine]),
    order: &Order,
) -> Vec<&'a Machine> {
    let (mut taken, mut nodes) = (BTreeSet::new(), Vec::new());
    for machine in fitting {
        let free = inventory.free(machine.id).unwrap();
        let is_single = apart(order) != Apart::Nothing;
        let count = match common(machine, order) {
            _ if place.0 == 0 && is_single => 1,
            None => 0,
            Some(thing) if is_single => u32::from(taken.insert(thing)),
            Some(_) => room(free, order),
        };
        nodes.extend(std::iter::repeat_n(*machine, usize::try_from(count).unwrap()));
    }
    nodes.truncate(usize::try_from(order.nodes).unwrap());
    nodes
}

/// Which machine each node goes to; `None` when they cannot all be placed.
pub(crate) fn places(inventory: &Inventory, open: &[Machine], order: &Order) -> Option<Vec<u128>> {
    let places = by_place(inventory, open, order);
    let is_anywhere = order.near == Near::Anywhere || order.nodes == 1;
    // Where nodes may be anywhere, places are no matter.
    let places = places.iter().filter(|(place, _)| !is_anywhere || place.0 == 9);
    let whole = places.filter_map(|(place, fitting)| {
        let nodes = filled(inventory, (place, fitting), order);
        if nodes.len() < usize::try_from(order.nodes).unwrap() {
            return None;
        }
        let fits = nodes.iter().map(|machine| fit(inventory, machine, order));
        let strands = fits.clone().filter(|fit| fit.0).count();
        let cost: u128 = fits.clone().map(|fit| u128::from(fit.1.units())).sum();
        let all = fitting.iter().map(|machine| room(inventory.free(machine.id).unwrap(), order));
        let left = (all.sum::<u32>().saturating_sub(order.nodes)).min(LEFT_COUNTED_MAX);
        // Of single machines the best by itself is the best place.
        let alone = (place.0 == 0).then(|| fits.clone().next());
        Some(((strands, cost, left, place.0, alone, place.1), nodes))
    });
    let ids = |nodes: Vec<&Machine>| nodes.iter().map(|machine| machine.id.bits()).collect();
    whole.min_by_key(|(rank, _)| *rank).map(|(_, nodes)| ids(nodes))
}

/// How many of the nodes can be placed.
pub(crate) fn nodes_possible(inventory: &Inventory, open: &[Machine], order: &Order) -> u32 {
    let places = by_place(inventory, open, order);
    let most =
        places.iter().map(|(place, fitting)| filled(inventory, (place, fitting), order).len());
    u32::try_from(most.max().unwrap_or(0)).unwrap()
}

/// How many machines each thing alone rules out, in the order of the rows of an explanation, and how many fit.
pub(crate) fn counts(inventory: &Inventory, open: &[Machine], order: &Order) -> ([u64; 15], u64) {
    let (mut excluded, mut fitting) = ([0; 15], 0);
    excluded[0] = u64::try_from(inventory.len() - open.len()).unwrap();
    let mut things = BTreeSet::new();
    for machine in open {
        let tests = tests(inventory, machine, inventory.free(machine.id).unwrap(), order);
        for (count, passes) in excluded[1..].iter_mut().zip(tests) {
            *count += u64::from(!passes);
        }
        if tests.iter().all(|passes| *passes) {
            fitting += 1;
            things.extend(common(machine, order));
        }
    }
    let count = |len: usize| u64::try_from(len).unwrap();
    let places = by_place(inventory, open, order);
    if order.near != Near::Anywhere && order.nodes > 1 {
        excluded[13] = fitting - count(places.values().map(Vec::len).max().unwrap_or(0));
    }
    excluded[14] = fitting - count(things.len());
    (excluded, fitting)
}
