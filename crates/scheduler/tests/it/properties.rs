//! What holds for every small network and every order, against the oracle.

use std::collections::{BTreeMap, BTreeSet};

use proptest::collection::{btree_set, vec};
use proptest::option;
use proptest::prelude::*;
use scheduler::limits::{NEAR_RTTS_MICROS, NEAREST_MAX, RELAXATIONS_MAX};
use scheduler::{
    Alternative, Apart, Change, Filters, GpuSet, Inventory, Machine, Near, Order, Prices, Refusal,
    Rtts, Seat, Spread,
};
use units::{
    AccountId, Certification, Country, Credits, GpuModel, ProjectId, Resources, Site, Tier,
};

use crate::oracle;
use crate::world::{opened, worker};

fn models() -> impl Strategy<Value = GpuModel> {
    prop::sample::select(vec!["T4", "H100", "A100"]).prop_map(|name| name.parse().unwrap())
}

fn countries() -> impl Strategy<Value = Country> {
    prop::sample::select(vec!["DE", "US"]).prop_map(|name| name.parse().unwrap())
}

fn certifications() -> impl Strategy<Value = BTreeSet<Certification>> {
    btree_set(prop::sample::select(Certification::ALL), 0..=2)
}

fn tiers() -> impl Strategy<Value = Tier> {
    prop::sample::select(Tier::ALL)
}

pub(crate) fn resources(least: u32) -> impl Strategy<Value = Resources> {
    (prop_oneof![Just(0), 0_u32..=4], least..=6, 0_u64..=6, 0_u64..=3).prop_map(
        |(gpus, vcpus, memory_mib, disk_mib)| Resources { gpus, vcpus, memory_mib, disk_mib },
    )
}

/// Prices are few, so that ties are many; one is so high that some hours cannot be written down.
fn credits() -> impl Strategy<Value = Credits> {
    prop_oneof![9 => 0_u64..=4, 1 => Just(u64::MAX / 3)].prop_map(Credits::from_units)
}

/// A site or none, and how far some anchors are: few of each, so that many have them in common.
fn whereabouts() -> impl Strategy<Value = (Option<Site>, Rtts)> {
    let micros = prop::sample::select(vec![300_u32, 900, 2_000, 9_000]);
    let rtts = vec((0_u16..3, micros), 0..3).prop_map(Rtts::new);
    (option::weighted(0.7, (0_u64..3).prop_map(Site::from_bits)), rtts)
}

fn nears() -> impl Strategy<Value = Near> {
    let micros = prop::sample::select(vec![1_000_u32, 2_500, 4_000, 18_000]);
    let within = micros.prop_map(Near::Within);
    prop_oneof![3 => Just(Near::Anywhere), 1 => Just(Near::Site), 1 => Just(Near::Country), 1 => within]
}

fn aparts() -> impl Strategy<Value = Apart> {
    let all = vec![Apart::Suppliers, Apart::Sites, Apart::Countries];
    prop_oneof![2 => Just(Apart::Nothing), 1 => prop::sample::select(all)]
}

fn tenants() -> impl Strategy<Value = Option<ProjectId>> {
    option::weighted(0.8, (0_u128..3).prop_map(ProjectId::from_bits))
}

type Facts = (Resources, Option<GpuModel>, Option<Country>, Tier);
type Rest = (BTreeSet<Certification>, (Credits, Credits), u128);
type Described = (Facts, Rest, (Option<Site>, Rtts));

pub(crate) fn machines(count: std::ops::Range<usize>) -> impl Strategy<Value = Vec<Machine>> {
    let facts = (resources(0), option::weighted(0.9, models()), option::of(countries()), tiers());
    let rest = (certifications(), (credits(), credits()), 0_u128..3);
    let make = |(place, (facts, rest, (site, rtts))): (u128, Described)| {
        let ((total, gpu_model, country, tier), (certifications, prices, supplier)) = (facts, rest);
        Machine {
            id: worker(place),
            supplier: AccountId::from_bits(supplier),
            total,
            gpu_model,
            vram_mib: 1,
            country,
            site,
            rtts,
            tier,
            certifications,
            prices: Prices { gpu_hour: prices.0, vcpu_hour: prices.1 },
        }
    };
    vec((facts, rest, whereabouts()), count).prop_map(move |all| (0..).zip(all).map(make).collect())
}

pub(crate) fn filters() -> impl Strategy<Value = Filters> {
    (
        option::weighted(0.3, models()),
        prop_oneof![3 => Just(BTreeSet::new()), 1 => btree_set((0_u128..3).prop_map(AccountId::from_bits), 0..=2)],
        prop_oneof![3 => Just(BTreeSet::new()), 1 => btree_set(countries(), 0..=2)],
        prop_oneof![2 => Just(Tier::None), 1 => tiers()],
        prop_oneof![2 => Just(BTreeSet::new()), 1 => certifications()],
        option::weighted(0.4, (0_u64..12).prop_map(Credits::from_units)),
    )
        .prop_map(|(gpu_model, suppliers, countries, tier_min, certifications, node_hour_max)| Filters {
            gpu_model,
            suppliers,
            countries,
            tier_min,
            certifications,
            node_hour_max,
        })
}

pub(crate) fn orders() -> impl Strategy<Value = Order> {
    let spread = prop::sample::select(vec![Spread::Distinct, Spread::Pack]);
    let avoid = prop_oneof![3 => Just(BTreeSet::new()), 1 => btree_set((0_u128..10).prop_map(worker), 0..3)];
    let others = (nears(), aparts(), avoid, tenants(), prop::bool::weighted(0.25));
    let all = (1_u32..=5, resources(1), filters(), spread, others);
    all.prop_map(|(nodes, each, filters, spread, (near, apart, avoid, tenant, alone))| Order {
        nodes,
        each,
        filters,
        spread,
        near,
        apart,
        avoid,
        tenant,
        alone: alone && tenant.is_some(),
    })
}

/// A network on which some machines are closed and some orders have been served, and who is open on it.
pub(crate) fn network(
    machines: &[Machine],
    served: &[Order],
    closed: &BTreeSet<u128>,
) -> (Inventory, Vec<Machine>) {
    let mut inventory = opened(machines.iter().cloned());
    for order in served {
        if let Ok(placement) = inventory.place(order) {
            inventory.take(&placement.seats).unwrap();
        }
    }
    closed.iter().for_each(|number| inventory.set_open(worker(*number), false));
    let open =
        machines.iter().filter(|machine| !closed.contains(&machine.id.bits())).cloned().collect();
    (inventory, open)
}

pub(crate) fn closed() -> impl Strategy<Value = BTreeSet<u128>> {
    btree_set(0_u128..10, 0..3)
        .prop_map(|numbers| numbers.into_iter().filter(|n| n % 3 == 0).collect())
}

/// Changes smaller than the one told must give fewer nodes.
fn smaller(change: Change, order: &Order) -> Vec<Order> {
    let with = |change: Change| change.apply(order);
    match change {
        Change::FewerVcpus { fewer, to } => {
            let less = (to + 1..order.each.vcpus).map(|to| with(Change::FewerVcpus { fewer, to }));
            less.collect()
        }
        Change::FewerGpus { fewer, to } => {
            (to + 1..order.each.gpus).map(|to| with(Change::FewerGpus { fewer, to })).collect()
        }
        Change::LessMemory { fewer_mib, to_mib } => {
            let less = to_mib + 1..order.each.memory_mib;
            less.map(|to_mib| with(Change::LessMemory { fewer_mib, to_mib })).collect()
        }
        Change::LessDisk { fewer_mib, to_mib } => {
            let less = to_mib + 1..order.each.disk_mib;
            less.map(|to_mib| with(Change::LessDisk { fewer_mib, to_mib })).collect()
        }
        Change::PayMore { more, to } if to.units() < 1_000 => {
            let max = order.filters.node_hour_max.unwrap();
            let less = max.units()..to.units();
            less.map(|to| with(Change::PayMore { more, to: Credits::from_units(to) })).collect()
        }
        Change::SlowerTier { to } => {
            let faster = Tier::ALL.iter().filter(|tier| **tier > to);
            faster.map(|to| with(Change::SlowerTier { to: *to })).collect()
        }
        Change::Farther { to } => {
            let nearer = NEAR_RTTS_MICROS.iter().copied().map(Near::Within).chain([Near::Country]);
            let nearer = nearer.filter(|near| order.near < *near && *near < to);
            nearer.map(|to| with(Change::Farther { to })).collect()
        }
        Change::LessApart { to } => {
            let more = [Apart::Sites, Apart::Suppliers].into_iter();
            let more = more.filter(|apart| to < *apart && *apart < order.apart);
            more.map(|to| with(Change::LessApart { to })).collect()
        }
        Change::PayMore { .. }
        | Change::ShareMachines
        | Change::Beside
        | Change::WithoutCertification { .. }
        | Change::AnyCountry
        | Change::AnySupplier
        | Change::AnyGpuModel
        | Change::FewerNodes { .. } => Vec::new(),
    }
}

/// Every change of a kind that could help, at its loosest.
fn loosest(order: &Order) -> Vec<Order> {
    let (each, mut all) = (order.each, Vec::new());
    let mut with = |change: Change| all.push(change.apply(order));
    with(Change::ShareMachines);
    with(Change::LessApart { to: Apart::Nothing });
    with(Change::Farther { to: Near::Anywhere });
    with(Change::Beside);
    with(Change::AnyCountry);
    with(Change::AnySupplier);
    with(Change::AnyGpuModel);
    with(Change::SlowerTier { to: Tier::None });
    for certification in Certification::ALL {
        with(Change::WithoutCertification { certification: *certification });
    }
    if order.filters.node_hour_max.is_some() {
        with(Change::PayMore { more: Credits::ZERO, to: Credits::from_units(u64::MAX) });
    }
    with(Change::FewerVcpus { fewer: 0, to: each.vcpus.min(1) });
    with(Change::FewerGpus { fewer: 0, to: each.gpus.min(1) });
    with(Change::LessMemory { fewer_mib: 0, to_mib: each.memory_mib.min(1) });
    with(Change::LessDisk { fewer_mib: 0, to_mib: 0 });
    all
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn an_order_goes_where_the_oracle_says_or_is_refused_as_it_says(
        machines in machines(0..10),
        served in vec(orders(), 0..4),
        closed in closed(),
        order in orders(),
    ) {
        let (inventory, open) = network(&machines, &served, &closed);
        let expected = oracle::places(&inventory, &open, &order);
        prop_assert_eq!(inventory.find(&order), inventory.place(&order).ok());
        match inventory.place(&order) {
            Ok(placement) => {
                let found: Vec<_> = placement.seats.iter().map(|seat| seat.worker.bits()).collect();
                prop_assert_eq!(Some(found), expected);
            }
            Err(Refusal::NoCapacity(told)) => {
                let possible = oracle::nodes_possible(&inventory, &open, &order);
                let (excluded, fitting) = oracle::counts(&inventory, &open, &order);
                prop_assert!(possible < order.nodes);
                prop_assert_eq!((told.nodes_possible, told.fitting), (possible, fitting));
                prop_assert_eq!(told.excluded.rows().map(|(_, count)| count), excluded);
                prop_assert!(excluded.iter().sum::<u64>() + fitting >= told.machines);
                for (offer, found) in told.nearest.iter().zip(&told.relaxations) {
                    prop_assert_eq!((offer.misses, offer.nodes), (found.change, found.nodes));
                }
                prop_assert_eq!(told.nearest.len(), told.relaxations.len().min(NEAREST_MAX));
            }
            Err(other) => prop_assert!(false, "{other}"),
        }
    }

    #[test]
    fn every_relaxation_gives_what_it_says_and_nothing_smaller_does(
        machines in machines(0..10),
        served in vec(orders(), 0..3),
        closed in closed(),
        order in orders(),
    ) {
        let (inventory, open) = network(&machines, &served, &closed);
        let Err(Refusal::NoCapacity(told)) = inventory.place(&order) else { return Ok(()) };
        for found in &told.relaxations {
            let mut relaxed = found.change.apply(&order);
            let possible = oracle::nodes_possible(&inventory, &open, &relaxed);
            prop_assert_eq!(possible, found.nodes, "{}", found);
            let fewer = matches!(found.change, Change::FewerNodes { .. });
            prop_assert!(fewer || possible > told.nodes_possible);
            relaxed.nodes = found.nodes;
            prop_assert!(inventory.place(&relaxed).is_ok(), "{}", found);
            for smaller in smaller(found.change, &order) {
                prop_assert!(oracle::nodes_possible(&inventory, &open, &smaller) < found.nodes, "{}", found);
            }
        }
        if told.relaxations.len() < RELAXATIONS_MAX {
            let best = loosest(&order).iter().map(|order| oracle::nodes_possible(&inventory, &open, order)).max();
            let most = told.relaxations.iter().map(|found| found.nodes).max().unwrap_or(0);
            prop_assert_eq!(Some(most), best, "some single change gives more");
        }
    }

    #[test]
    fn nothing_is_given_twice_and_giving_back_restores(
        machines in machines(1..10),
        served in vec(orders(), 1..12),
    ) {
        let mut inventory = opened(machines.iter().cloned());
        let fresh = inventory.clone();
        let mut held: Vec<Seat> = Vec::new();
        for order in &served {
            let Ok(placement) = inventory.place(order) else { continue };
            prop_assert_eq!(inventory.take(&placement.seats), Ok(()));
            held.extend(placement.seats);
        }
        let mut cards: BTreeMap<_, GpuSet> = BTreeMap::new();
        for seat in &held {
            let before = cards.entry(seat.worker).or_default();
            prop_assert!(!before.overlaps(seat.gpus) && seat.gpus.len() == seat.resources.gpus);
            *before = before.with(seat.gpus);
        }
        for machine in &machines {
            let of_it = held.iter().filter(|seat| seat.worker == machine.id);
            let sum = of_it.fold(Resources::default(), |sum, seat| sum.checked_add(&seat.resources).unwrap());
            prop_assert_eq!(machine.total.checked_sub(&sum), inventory.free(machine.id));
            let taken = inventory.taken(machine.id).unwrap();
            prop_assert_eq!(taken.resources, sum);
            let seats: Vec<_> = held.iter().filter(|seat| seat.worker == machine.id).collect();
            for tenant in (0..4).map(ProjectId::from_bits).map(Some).chain([None]) {
                for alone in [false, true] {
                    let bears = |seat: &&&Seat| seat.tenant == tenant || !(alone || seat.alone);
                    prop_assert_eq!(taken.guests.admit(tenant, alone), seats.iter().all(|seat| bears(&seat)));
                }
            }
            let tenants: BTreeSet<_> = seats.iter().map(|seat| seat.tenant).collect();
            prop_assert!(tenants.len() <= 1 || seats.iter().all(|seat| !seat.alone));
        }
        for seat in held.iter().rev() {
            if !seat.gpus.is_empty() {
                prop_assert!(inventory.take(std::slice::from_ref(seat)).is_err());
            }
            inventory.give_back(seat);
        }
        prop_assert_eq!(&inventory, &fresh);
        for order in &served {
            prop_assert_eq!(inventory.place(order), fresh.place(order));
        }
    }

    #[test]
    fn the_order_in_which_machines_were_told_does_not_matter(
        machines in machines(0..10).prop_flat_map(|machines| (Just(machines.clone()), Just(machines).prop_shuffle())),
        orders in vec(orders(), 1..6),
        stray in machines(1..4),
    ) {
        let (told, shuffled) = (opened(machines.0), machines.1);
        let mut again = opened(stray.iter().cloned());
        stray.iter().for_each(|machine| again.remove(machine.id));
        for machine in shuffled {
            let id = machine.id;
            again.put(machine);
            again.set_open(id, true);
        }
        prop_assert_eq!(&told, &again);
        for order in &orders {
            prop_assert_eq!(told.place(order), again.place(order));
        }
    }

    #[test]
    fn facts_that_change_while_a_machine_is_open_are_as_if_told_at_first(
        first in machines(1..8),
        later in machines(1..8),
        served in vec(orders(), 0..4),
        orders in vec(orders(), 1..6),
    ) {
        let mut changed = opened(first.iter().cloned());
        later.iter().cloned().for_each(|machine| changed.put(machine));
        let known: BTreeSet<_> = first.iter().map(|machine| machine.id).collect();
        let unchanged = first.iter().skip(later.len());
        let mut fresh = opened(later.iter().filter(|machine| known.contains(&machine.id)).chain(unchanged).cloned());
        later.iter().cloned().for_each(|machine| fresh.put(machine));
        for order in &served {
            if let Ok(placement) = changed.place(order) {
                changed.take(&placement.seats).unwrap();
                fresh.take(&placement.seats).unwrap();
            }
        }
        prop_assert_eq!(&changed, &fresh);
        for order in &orders {
            prop_assert_eq!(changed.place(order), fresh.place(order));
        }
    }

    #[test]
    fn prices_that_change_together_are_as_if_told_one_by_one(
        machines in machines(1..90),
        served in vec(orders(), 0..4),
        shut in 0_usize..4,
        rounds in vec(vec((0_u128..95, credits(), credits()), 0..200), 1..3),
        orders in vec(orders(), 1..8),
    ) {
        let mut together = opened(machines.iter().cloned());
        machines.iter().take(shut).for_each(|machine| together.set_open(machine.id, false));
        for order in &served {
            if let Ok(placement) = together.place(order) {
                together.take(&placement.seats).unwrap();
            }
        }
        let mut each = together.clone();
        for round in rounds {
            let priced = |(number, gpu_hour, vcpu_hour)| (worker(number), Prices { gpu_hour, vcpu_hour });
            let prices: Vec<_> = round.into_iter().map(priced).collect();
            for (id, prices) in &prices {
                if let Some(machine) = each.machine(*id).cloned() {
                    each.put(Machine { prices: *prices, ..machine });
                }
            }
            together.reprice(prices);
            prop_assert_eq!(&together, &each);
            for order in &orders {
                prop_assert_eq!(together.place(order), each.place(order));
                let page = |inventory: &Inventory| inventory.search(&order.filters, &order.each, None, 5);
                prop_assert_eq!(page(&together), page(&each));
            }
        }
    }

    #[test]
    fn one_machine_more_never_makes_an_order_unplaceable(machines in machines(1..10), order in orders()) {
        let (last, others) = machines.split_last().unwrap();
        let mut inventory = opened(others.iter().cloned());
        let before = inventory.place(&order);
        inventory.put(last.clone());
        prop_assert_eq!(&inventory.place(&order).is_ok(), &before.is_ok());
        inventory.set_open(last.id, true);
        if before.is_ok() {
            prop_assert!(inventory.place(&order).is_ok());
        }
    }

    #[test]
    fn every_alternative_can_be_placed_and_none_is_dearer_and_no_nearer_than_another(
        machines in machines(0..10),
        served in vec(orders(), 0..3),
        order in orders(),
    ) {
        let (inventory, open) = network(&machines, &served, &BTreeSet::new());
        let curve = inventory.curve(&order);
        prop_assert_eq!(curve.iter().any(|it| it.order == order), inventory.find(&order).is_some());
        let far = |it: &Alternative| (it.hour, it.span_micros.unwrap_or(u32::MAX));
        for it in &curve {
            prop_assert_eq!(inventory.find(&it.order), Some(it.placement.clone()));
            let gpus = |order: &Order| order.nodes * order.each.gpus;
            prop_assert_eq!(gpus(&it.order), gpus(&order));
            let hours = it.placement.seats.iter().map(|seat| u128::from(seat.node_hour.units()));
            let hour = u64::try_from(hours.sum::<u128>()).unwrap_or(u64::MAX);
            prop_assert_eq!(it.hour.units(), hour);
            let of = |seat: &Seat| open.iter().find(|machine| machine.id == seat.worker).unwrap();
            let seats = &it.placement.seats;
            let suppliers: BTreeSet<_> = seats.iter().map(|seat| of(seat).supplier).collect();
            prop_assert_eq!(suppliers.len(), usize::try_from(it.suppliers).unwrap());
            let pairs = seats.iter().flat_map(|one| seats.iter().map(move |other| (one, other)));
            for (one, other) in pairs {
                let rtt = of(one).rtt_upper(of(other));
                prop_assert!(it.span_micros.is_none_or(|span| rtt.is_some_and(|rtt| rtt <= span)));
            }
            let better = |other: &Alternative| {
                far(other).0 <= far(it).0 && far(other).1 <= far(it).1 && far(other) != far(it)
            };
            prop_assert!(it.order == order || !curve.iter().any(better));
        }
    }

    #[test]
    fn a_search_finds_what_the_oracle_finds_page_by_page(
        machines in machines(0..12),
        served in vec(orders(), 0..4),
        order in orders(),
        page in 1_usize..5,
    ) {
        let (inventory, open) = network(&machines, &served, &BTreeSet::new());
        let order = Order { nodes: 1, each: order.each, filters: order.filters, ..Order::default() };
        let serves = |machine: &&Machine| oracle::serves(&inventory, machine, &order);
        let price = |machine: &Machine| match order.each.gpus {
            0 => machine.prices.vcpu_hour,
            _ => machine.prices.gpu_hour,
        };
        let mut expected: Vec<_> = open.iter().filter(serves).map(|machine| (price(machine), machine.id)).collect();
        expected.sort_unstable();
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let offers = inventory.search(&order.filters, &order.each, after, page);
            found.extend(offers.iter().map(|offer| (offer.cursor.price, offer.worker)));
            let Some(last) = offers.last() else { break };
            after = Some(last.cursor);
        }
        prop_assert_eq!(found, expected);
    }
}

/// Hundreds of machines of a few kinds, so that lanes grow, split and shrink.
fn crowds() -> impl Strategy<Value = Vec<Machine>> {
    let one = (any::<prop::sample::Index>(), 0_u64..40, 1_u32..=6, 0_u64..=6);
    (machines(1..4), vec(one, 200..450)).prop_map(|(kinds, all)| {
        let make =
            |(number, (kind, price, vcpus, memory_mib)): (u128, (prop::sample::Index, _, _, _))| {
                let mut machine = kind.get(&kinds).clone();
                machine.id = worker(number);
                machine.total = Resources { vcpus, memory_mib, ..machine.total };
                machine.prices.gpu_hour = Credits::from_units(price);
                machine
            };
        (0..).zip(all).map(make).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn a_crowd_is_served_as_the_oracle_says_while_it_comes_and_goes(
        machines in crowds(),
        orders in vec(orders(), 20),
        leavers in 1_u128..4,
    ) {
        let mut inventory = opened(machines.iter().cloned());
        for order in &orders {
            let expected = oracle::places(&inventory, &machines, order);
            let Ok(placement) = inventory.place(order) else {
                prop_assert_eq!(expected, None);
                continue;
            };
            let found: Vec<_> = placement.seats.iter().map(|seat| seat.worker.bits()).collect();
            prop_assert_eq!(Some(found), expected);
            inventory.take(&placement.seats).unwrap();
        }
        let leaves = |machine: &&Machine| machine.id.bits() % 4 < leavers;
        machines.iter().filter(leaves).for_each(|machine| inventory.remove(machine.id));
        let left: Vec<_> = machines.iter().filter(|machine| !leaves(machine)).cloned().collect();
        prop_assert_eq!((inventory.len(), inventory.open_len()), (left.len(), left.len()));
        for order in &orders {
            let wanted = Order { nodes: order.nodes * 40, ..order.clone() };
            let (excluded, fitting) = oracle::counts(&inventory, &left, &wanted);
            let expected = oracle::places(&inventory, &left, &wanted);
            match inventory.place(&wanted) {
                Ok(placement) => {
                    let found: Vec<_> = placement.seats.iter().map(|seat| seat.worker.bits()).collect();
                    prop_assert_eq!(Some(found), expected);
                }
                Err(Refusal::NoCapacity(told)) => {
                    let rows = told.excluded.rows().map(|(_, count)| count);
                    prop_assert_eq!((rows, told.fitting), (excluded, fitting));
                    for relaxation in &told.relaxations {
                        let relaxed = relaxation.change.apply(&wanted);
                        let possible = oracle::nodes_possible(&inventory, &left, &relaxed);
                        prop_assert_eq!(possible, relaxation.nodes, "{}", relaxation);
                    }
                }
                Err(other) => prop_assert!(false, "{other}"),
            }
        }
    }
}
