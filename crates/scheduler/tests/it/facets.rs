//! Facets against counting by hand: every machine is looked at for every value of every thing.

use std::collections::BTreeSet;

use proptest::collection::vec;
use proptest::prelude::*;
use scheduler::{Count, Facets, Filters, Inventory, Machine};
use units::{Certification, Credits, Resources, Tier};

use crate::oracle;
use crate::properties::{closed, filters, machines, network, orders, resources};
use crate::world::{machine, opened, order};

/// What each facet leaves out of what is asked.
#[derive(Clone, Copy, Debug)]
enum Without {
    Nothing,
    Model,
    Supplier,
    Country,
    Tier,
    Certification,
    Price,
}

struct World<'a> {
    inventory: &'a Inventory,
    open: &'a [Machine],
    filters: &'a Filters,
    each: Resources,
}

impl World<'_> {
    /// The machines that serve a node, a filter left out.
    fn serving(&self, without: Without) -> Vec<&Machine> {
        let mut filters = self.filters.clone();
        match without {
            Without::Nothing => {}
            Without::Model => filters.gpu_model = None,
            Without::Supplier => filters.suppliers.clear(),
            Without::Country => filters.countries.clear(),
            Without::Tier => filters.tier_min = Tier::None,
            Without::Certification => filters.certifications.clear(),
            Without::Price => filters.node_hour_max = None,
        }
        let asked = scheduler::Order { each: self.each, filters, ..order("") };
        let serves = |machine: &&Machine| oracle::serves(self.inventory, machine, &asked);
        self.open.iter().filter(serves).collect()
    }

    fn free(&self, machine: &Machine) -> Resources {
        self.inventory.free(machine.id).unwrap()
    }

    /// Those whose GPUs would do if there were more, or fewer, of them.
    fn serving_with_any_gpus(&self) -> Vec<&Machine> {
        let asked =
            scheduler::Order { each: self.each, filters: self.filters.clone(), ..order("") };
        let serves = |machine: &&Machine| {
            let free = Resources { gpus: self.each.gpus, ..self.free(machine) };
            let priced = self.each.gpus == 0 || self.free(machine).gpus > 0;
            priced && oracle::serves_with(self.inventory, machine, free, &asked)
        };
        self.open.iter().filter(serves).collect()
    }

    fn count(&self, machines: &[&Machine], keep: impl Fn(&Machine) -> bool) -> Count {
        let kept = machines.iter().filter(|machine| keep(machine));
        kept.fold(Count::default(), |sum, machine| Count {
            machines: sum.machines + 1,
            gpus: sum.gpus + u64::from(self.free(machine).gpus),
        })
    }

    fn check(&self) {
        let facets = self.inventory.facets(self.filters, &self.each);
        let of = |without| self.serving(without);
        assert_eq!(facets.total, self.count(&of(Without::Nothing), |_| true));
        let suppliers: BTreeSet<_> =
            of(Without::Supplier).iter().map(|machine| machine.supplier).collect();
        assert_eq!(facets.suppliers, u64::try_from(suppliers.len()).unwrap());
        self.check_each(&facets.models, &of(Without::Model), |machine| machine.gpu_model.clone());
        self.check_each(&facets.countries, &of(Without::Country), |machine| machine.country);
        self.check_each(&facets.tiers, &of(Without::Tier), |machine| machine.tier);
        self.check_each(&facets.free_gpus, &self.serving_with_any_gpus(), |machine| {
            self.free(machine).gpus
        });
        for certification in Certification::ALL {
            let has = |machine: &Machine| machine.certifications.contains(certification);
            let expected = self.count(&of(Without::Certification), has);
            let told = facets.certifications.get(certification).copied();
            assert_eq!(told.unwrap_or_default(), expected, "{certification}");
        }
        self.check_prices(&facets, &of(Without::Price));
    }

    /// A value has its count, and no other value is there.
    fn check_each<T: Ord + Clone + std::fmt::Debug>(
        &self,
        told: &std::collections::BTreeMap<T, Count>,
        machines: &[&Machine],
        value: impl Fn(&Machine) -> T,
    ) {
        let values: BTreeSet<T> = machines.iter().map(|machine| value(machine)).collect();
        assert_eq!(told.keys().cloned().collect::<BTreeSet<_>>(), values);
        for (of, count) in told {
            assert_eq!(*count, self.count(machines, |machine| value(machine) == *of), "{of:?}");
        }
    }

    fn check_prices(&self, facets: &Facets, machines: &[&Machine]) {
        let price = |machine: &Machine| match self.each.gpus {
            0 => machine.prices.vcpu_hour,
            _ => machine.prices.gpu_hour,
        };
        assert!(facets.prices.is_sorted_by_key(|band| band.from));
        for band in &facets.prices {
            let within = |at: Credits| at >= band.from && band.below.is_none_or(|end| at < end);
            assert_eq!(band.count, self.count(machines, |machine| within(price(machine))));
            assert!(band.count.machines > 0);
        }
        let all = facets.prices.iter().map(|band| band.count.machines).sum::<u64>();
        assert_eq!(all, u64::try_from(machines.len()).unwrap());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn facets_are_what_counting_by_hand_gives(
        machines in machines(0..30),
        served in vec(orders(), 0..4),
        closed in closed(),
        filters in filters(),
        each in resources(0),
        dear in any::<bool>(),
    ) {
        // Prices in their usual range are in more than one band.
        let scale = |price: Credits| price.checked_times(if dear { 1 } else { 700 }).unwrap_or(price);
        let machines: Vec<Machine> = machines.into_iter().map(|mut machine| {
            machine.prices.gpu_hour = scale(machine.prices.gpu_hour);
            machine.prices.vcpu_hour = scale(machine.prices.vcpu_hour);
            machine
        }).collect();
        let filters = Filters { node_hour_max: filters.node_hour_max.map(scale), ..filters };
        let (inventory, open) = network(&machines, &served, &closed);
        World { inventory: &inventory, open: &open, filters: &filters, each }.check();
    }

    #[test]
    fn facets_of_machines_that_came_and_went_are_those_of_the_machines_that_are_there(
        first in machines(1..40),
        later in machines(1..40),
        prices in vec((0_u128..40, 0_u64..9_000), 0..60),
        filters in filters(),
        each in resources(0),
    ) {
        let mut inventory = opened(first);
        later.iter().cloned().for_each(|machine| {
            let id = machine.id;
            inventory.put(machine);
            inventory.set_open(id, true);
        });
        inventory.reprice(prices.iter().map(|(number, price)| {
            let price = Credits::from_units(*price);
            (crate::world::worker(*number), scheduler::Prices { gpu_hour: price, vcpu_hour: price })
        }));
        let open: Vec<Machine> =
            (0..40).filter_map(|number| inventory.machine(crate::world::worker(number)).cloned()).collect();
        World { inventory: &inventory, open: &open, filters: &filters, each }.check();
    }
}

#[test]
fn a_value_counts_what_choosing_it_instead_would_give() {
    let inventory = opened(
        [
            "1 gpus=8 model=H100 usd=2 in=DE tier=high by=1",
            "2 gpus=8 model=H100 usd=2.2 in=US tier=low by=2",
            "3 gpus=4 model=T4 usd=0.2 in=DE tier=high by=2",
            "4 in=DE by=3",
        ]
        .map(machine),
    );
    let asked = order("gpus=2 model=H100 in=DE");
    let facets = inventory.facets(&asked.filters, &asked.each);
    let one = |gpus| Count { machines: 1, gpus };
    assert_eq!(facets.total, one(8));
    assert_eq!(facets.suppliers, 1);
    let models: Vec<_> = facets
        .models
        .iter()
        .map(|(model, count)| (model.clone().unwrap().to_string(), *count))
        .collect();
    assert_eq!(models, [("H100".to_owned(), one(8)), ("T4".to_owned(), one(4))]);
    let countries: Vec<_> =
        facets.countries.iter().map(|(of, count)| (of.unwrap().to_string(), *count)).collect();
    assert_eq!(countries, [("DE".to_owned(), one(8)), ("US".to_owned(), one(8))]);
    assert_eq!(facets.free_gpus.into_iter().collect::<Vec<_>>(), [(8, one(8))]);
    let [band] = facets.prices[..] else { panic!("one machine, one band") };
    let usd = |text: &str| text.parse::<Credits>().unwrap();
    assert_eq!((band.from, band.below), (usd("2"), Some(usd("3"))));
}
