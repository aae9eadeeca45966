//! The bound is one: no placement of any orders on any hosts gives away more.

use placement_bench::bound::bound_milli;
use placement_bench::{Contestant, Story};
use proptest::prelude::*;
use scheduler::packing::{Host, Model, Models, Need};

use crate::published::trace;

#[test]
fn a_bound_counts_what_cannot_meet() {
    let check = |host: Host, orders: &[Need], expected: u64| {
        assert_eq!(bound_milli(&[host; 2], orders).unwrap(), expected);
    };
    // Nothing fits beside 810 of a card but what nobody asks for.
    check(host(64_000, 2, 0), &[share(1_000, 810); 9], 4 * 810);
    check(host(64_000, 2, 0), &[share(1_000, 810), share(1_000, 190)], 1_000);
    // Processors for three cards of four.
    check(host(12_000, 2, 0), &[whole(8_000, 1); 9], 3_000);
    // Eight cards of one host are on no host of two.
    check(host(64_000, 2, 0), &[whole(8_000, 8); 9], 0);
    check(host(64_000, 0, 0), &[whole(8_000, 1); 9], 0);
    check(host(64_000, 2, 0), &[Need::of_processors(1_000, 1)], 0);
}

#[test]
fn no_policy_is_above_the_bound_and_ours_is_within_a_few_percent() {
    let trace = trace("default");
    let story = Story::of(&trace, 42, &[130]);
    let bound = bound_milli(&story.hosts, &story.orders).unwrap() as f64;
    let bound_pct = 100.0 * bound / trace.capacity_milli() as f64;
    let ours = Contestant::Foresight.play(&trace, 42, &[130])[0].unwrap();
    assert!(ours <= bound_pct && bound_pct <= 100.0, "{ours} of at most {bound_pct}");
    assert!(ours > 0.95 * bound_pct, "{ours} of at most {bound_pct}");
}

proptest! {
    #[test]
    fn no_placement_gives_away_more_than_the_bound(
        hosts in prop::collection::vec((1..=3_u32, 0..=2_u8, 0..2_u8), 1..=2),
        orders in prop::collection::vec((0..4_u32, 0..6_usize, 0..3_u8), 1..=6),
    ) {
        let hosts: Vec<Host> =
            hosts.iter().map(|(cpus, cards, model)| host(cpus * 4_000, *cards, *model)).collect();
        let orders: Vec<Need> = orders.iter().map(|(cpus, kind, models)| {
            let models = match models {
                0 => Models::NONE.and(Model::of(0).unwrap()),
                _ => Models::ANY,
            };
            let need = Need::of_processors(cpus * 1_000, 1_024);
            match [300, 500, 700, 810, 1_000, 2_000][*kind] {
                1_000 => need.with_cards(1, models).unwrap(),
                2_000 => need.with_cards(2, models).unwrap(),
                milli => need.with_share(milli, models).unwrap(),
            }
        }).collect();
        let best = best(&hosts, &orders);
        let bound = bound_milli(&hosts, &orders).unwrap();
        prop_assert!(best <= bound, "{best} are given away, the bound says {bound}");
    }
}

/// What the best placement of all gives away: every order on every card, or nowhere.
fn best(hosts: &[Host], orders: &[Need]) -> u64 {
    let Some((order, rest)) = orders.split_first() else { return 0 };
    let mut most = best(hosts, rest);
    for place in 0..hosts.len() {
        if !hosts[place].fits(order) {
            continue;
        }
        for card in 0..hosts[place].cards.free().len() {
            if hosts[place].cards.free()[card] < order.card_milli() {
                continue;
            }
            let mut hosts = hosts.to_vec();
            hosts[place] = hosts[place].with(order, card);
            most = most.max(u64::from(order.demand_milli()) + best(&hosts, rest));
        }
    }
    most
}

fn host(cpu_milli: u32, cards: u8, model: u8) -> Host {
    Host::new(cpu_milli, 65_536, cards, Model::of(model).unwrap()).unwrap()
}

fn share(cpu_milli: u32, milli: u32) -> Need {
    Need::of_processors(cpu_milli, 1_024).with_share(milli, Models::ANY).unwrap()
}

fn whole(cpu_milli: u32, cards: u32) -> Need {
    Need::of_processors(cpu_milli, 1_024).with_cards(cards, Models::ANY).unwrap()
}
