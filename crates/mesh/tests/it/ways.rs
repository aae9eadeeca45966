//! Ways to peers: found through NATs, left when they are cut, and not left without reason.

use std::time::Duration;

use mesh::path::WAYS_MAX;
use mesh::{Policy, WayKind};
use proptest::prelude::*;

use crate::world::{Net, World};

const TICK: Duration = Duration::from_millis(20);

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn kind(world: &World, a: usize, b: usize) -> Option<WayKind> {
    world.view(a, b).way.map(|way| way.kind())
}

/// Two nodes that talked for three seconds.
fn acquainted(a: Net, b: Net) -> World {
    let mut world = World::new(&[a, b], 2, 7);
    world.pass(seconds(1));
    world.talk(&[(0, 1)], TICK, seconds(3));
    world
}

#[test]
fn every_pair_of_networks_meets_directly_where_that_is_possible() {
    use Net::{Blocked, Easy, FullCone, Open, Symmetric};
    for (a, b, expected) in [
        (Open, Open, WayKind::Direct),
        (Open, FullCone, WayKind::Direct),
        (Open, Easy, WayKind::Direct),
        (Open, Symmetric, WayKind::Direct),
        (FullCone, FullCone, WayKind::Direct),
        (FullCone, Easy, WayKind::Direct),
        (FullCone, Symmetric, WayKind::Direct),
        (Easy, Easy, WayKind::Direct),
        (Easy, Symmetric, WayKind::Relayed),
        (Symmetric, Symmetric, WayKind::Relayed),
        (Blocked, Open, WayKind::Stream),
        (Blocked, Symmetric, WayKind::Stream),
        (Blocked, Blocked, WayKind::Stream),
    ] {
        for (a, b) in [(a, b), (b, a)] {
            let world = acquainted(a, b);
            // Who has only a connection is met over it, by the others over the relay's port.
            let of = |net| match (expected, net) {
                (WayKind::Stream, Blocked) => WayKind::Stream,
                (WayKind::Stream, _) => WayKind::Relayed,
                (direct_or_relayed, _) => direct_or_relayed,
            };
            assert_eq!(kind(&world, 0, 1), Some(of(a)), "{a:?} to {b:?}");
            assert_eq!(kind(&world, 1, 0), Some(of(b)), "{b:?} from {a:?}");
            for (to, from) in [(0, 1), (1, 0)] {
                let last = world.longest_silence(to, from, world.now);
                assert_eq!(last, Duration::ZERO);
                let first = world.nodes[to].delivered.first().expect("something came").0;
                let took = first.since(crate::pair::START);
                assert!(took < seconds(2), "{a:?} to {b:?}: the first packet took {took:?}");
            }
        }
    }
}

#[test]
fn a_node_that_only_has_a_connection_is_reached_though_it_has_nothing_to_say() {
    for net in [Net::Open, Net::Easy, Net::Symmetric] {
        let mut world = World::new(&[Net::Blocked, net], 1, 7);
        world.pass(seconds(1));
        for _ in 0..100 {
            world.send(1, 0);
            world.pass(TICK);
        }
        let came = world.nodes[0].delivered.len();
        assert!(came > 90, "{came} of 100 came from {net:?}");
    }
}

#[test]
fn a_direct_way_that_is_cut_is_left_for_a_relay_within_a_second() {
    let mut world = acquainted(Net::Easy, Net::Easy);
    world.cut(0, 1);
    let cut_at = world.now;
    world.talk(&[(0, 1)], TICK, seconds(5));
    assert_eq!(kind(&world, 0, 1), Some(WayKind::Relayed));
    for (to, from) in [(0, 1), (1, 0)] {
        let silence = world.longest_silence(to, from, cut_at);
        assert!(silence < seconds(1), "nothing came for {silence:?}");
    }
}

#[test]
fn a_relay_that_dies_is_left_for_the_other_within_a_second() {
    let mut world = acquainted(Net::Symmetric, Net::Symmetric);
    world.pass(seconds(1));
    let relay = |world: &World| world.view(0, 1).way.and_then(|way| way.socket());
    let first = relay(&world).expect("a relay");
    let dead = usize::from(first.ip() == std::net::IpAddr::from([198, 51, 100, 2]));
    world.cut_relay(dead);
    let cut_at = world.now;
    world.talk(&[(0, 1)], TICK, seconds(5));
    assert_ne!(relay(&world), Some(first));
    for (to, from) in [(0, 1), (1, 0)] {
        let silence = world.longest_silence(to, from, cut_at);
        assert!(silence < seconds(1), "nothing came for {silence:?}");
    }
}

#[test]
fn a_nat_that_forgets_interrupts_for_less_than_a_second() {
    for net in [Net::Easy, Net::Symmetric, Net::FullCone] {
        let mut world = acquainted(net, Net::Easy);
        world.rebind(0);
        let cut_at = world.now;
        world.talk(&[(0, 1)], TICK, seconds(5));
        for (to, from) in [(0, 1), (1, 0)] {
            let silence = world.longest_silence(to, from, cut_at);
            assert!(silence < seconds(1), "{net:?}: nothing came for {silence:?}");
        }
    }
}

#[test]
fn a_way_that_heals_is_taken_again() {
    let mut world = acquainted(Net::Open, Net::Easy);
    world.cut(0, 1);
    world.talk(&[(0, 1)], TICK, seconds(10));
    assert_eq!(kind(&world, 0, 1), Some(WayKind::Relayed));
    world.heal();
    world.talk(&[(0, 1)], TICK, seconds(40));
    assert_eq!(kind(&world, 0, 1), Some(WayKind::Direct));
}

#[test]
fn loss_alone_makes_nobody_go_to_and_fro() {
    for loss_permille in [20, 50] {
        let mut world = World::new(&[Net::Easy, Net::Easy], 2, 7);
        world.loss_permille = loss_permille;
        world.talk(&[(0, 1)], Duration::from_millis(250), seconds(300));
        for (a, b) in [(0, 1), (1, 0)] {
            let switches = world.view(a, b).switches;
            assert!(switches <= 10, "{loss_permille} of 1000 lost: {switches} switches");
        }
    }
}

/// Near each other, a round trip says little for the direct way; what was late or lost in the beginning must not be
/// held against it for long.
#[test]
fn near_nodes_on_busy_machines_meet_directly_soon_after_all_is_well() {
    for seed in 1..=40 {
        let mut world = World::new(&[Net::Easy, Net::Easy], 2, seed);
        world.delay_millis = (0, 2);
        (world.loss_permille, world.late_permille) = (100, 300);
        world.talk(&[(0, 1)], TICK, seconds(2));
        (world.loss_permille, world.late_permille) = (0, 0);
        world.talk(&[(0, 1)], TICK, seconds(40));
        for (a, b) in [(0, 1), (1, 0)] {
            let view = world.view(a, b);
            assert_eq!(kind(&world, a, b), Some(WayKind::Direct), "seed {seed}: {view:#?}");
        }
    }
}

#[test]
fn who_does_not_talk_sends_nothing_but_to_relays() {
    let mut world = acquainted(Net::Easy, Net::Easy);
    world.pass(seconds(200));
    let before = world.carried;
    world.pass(seconds(150));
    // Two nodes ask two relays every 15 seconds, and each answers.
    assert_eq!(world.carried - before, 2 * 2 * 2 * 10);
}

#[test]
fn copies_over_several_ways_arrive_once_and_without_a_gap_when_one_is_cut() {
    let mut world = World::new(&[Net::Easy, Net::Easy], 2, 7);
    world.introduce(Policy::Broadcast);
    world.pass(seconds(1));
    world.talk(&[(0, 1)], TICK, seconds(3));
    let (before, cut_at) = (world.nodes[1].delivered.len(), world.now);
    world.cut(0, 1);
    world.talk(&[(0, 1)], TICK, seconds(2));
    world.pass(seconds(1));
    let silence = world.longest_silence(1, 0, cut_at);
    assert!(world.nodes[1].delivered.len() - before <= 100 + 3);
    assert!(silence <= seconds(1) + TICK, "only the end is silent: {silence:?}");
    let came = world.nodes[1].delivered.iter().filter(|(at, _)| *at >= cut_at).count();
    assert!(came >= 100, "all that was sent came: {came}");
}

#[derive(Clone, Debug)]
enum Weather {
    Cut(usize, usize),
    CutRelay(usize),
    Rebind(usize),
    Heal,
    Loss(u64),
    Pass(u64),
}

fn weather(nodes: usize) -> impl Strategy<Value = Weather> {
    prop_oneof![
        (0..nodes, 0..nodes).prop_map(|(a, b)| Weather::Cut(a, b)),
        (0..2_usize).prop_map(Weather::CutRelay),
        (0..nodes).prop_map(Weather::Rebind),
        Just(Weather::Heal),
        (0..150_u64).prop_map(Weather::Loss),
        (1..20_u64).prop_map(Weather::Pass),
    ]
}

fn net() -> impl Strategy<Value = Net> {
    prop_oneof![
        Just(Net::Open),
        Just(Net::FullCone),
        Just(Net::Easy),
        Just(Net::Symmetric),
        Just(Net::Blocked)
    ]
}

fn story() -> impl Strategy<Value = (Vec<Net>, Vec<Weather>, u64)> {
    proptest::collection::vec(net(), 2..=8).prop_flat_map(|nets| {
        let weather = proptest::collection::vec(weather(nets.len()), 0..8);
        (Just(nets), weather, any::<u64>())
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(5))]

    /// After any weather, once it is fine, every pair talks within seconds; and nothing ever grew beyond its limit.
    #[test]
    fn when_the_weather_is_fine_every_pair_connects((nets, weather, seed) in story()) {
        let mut world = World::new(&nets, 2, seed);
        let count = nets.len();
        let pairs: Vec<(usize, usize)> =
            (0..count).flat_map(|a| (a + 1..count).map(move |b| (a, b))).collect();
        let every = Duration::from_millis(250);
        world.talk(&pairs, every, seconds(2));
        for event in weather {
            match event {
                Weather::Cut(a, b) if a != b => world.cut(a, b),
                Weather::Cut(_, _) | Weather::Heal => world.heal(),
                Weather::CutRelay(relay) => world.cut_relay(relay),
                Weather::Rebind(node) => world.rebind(node),
                Weather::Loss(permille) => world.loss_permille = permille,
                Weather::Pass(span) => world.talk(&pairs, every, seconds(span)),
            }
        }
        world.heal();
        world.loss_permille = 0;
        // As long as a node that was given up takes to be asked anew.
        world.talk(&pairs, every, seconds(16));
        let fine = world.now;
        world.talk(&pairs, every, seconds(3));
        for (a, b) in &pairs {
            for (to, from) in [(*a, *b), (*b, *a)] {
                let silence = world.longest_silence(to, from, fine);
                let view = world.view(from, to);
                prop_assert!(silence < seconds(1), "{from} to {to}: {silence:?} {view:?}");
                prop_assert!(world.view(to, from).ways.len() <= WAYS_MAX);
            }
        }
    }
}
