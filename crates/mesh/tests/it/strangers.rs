//! What those who listen, and members who lie, cannot make a node do.

use std::net::SocketAddr;
use std::time::Duration;

use mesh::{CallSign, Effect, Note, Way, WayKind};

use crate::world::{Net, World};

const TICK: Duration = Duration::from_millis(20);
const SECOND: Duration = Duration::from_secs(1);
const DISCO: u8 = 0x85;

fn at(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

/// Two nodes with addresses of their own that talked for a while, and what was heard of it.
fn overheard() -> (World, Vec<(SocketAddr, Vec<u8>)>) {
    let mut world = World::new(&[Net::Open, Net::Open], 2, 7);
    world.listens = Some(Vec::new());
    world.pass(SECOND);
    world.talk(&[(0, 1)], TICK, SECOND * 3);
    let heard = world.listens.take().expect("somebody listens");
    (world, heard)
}

#[test]
fn what_was_said_about_ways_has_no_effect_when_it_is_played_again() {
    let (mut world, heard) = overheard();
    let disco: Vec<_> = heard.into_iter().filter(|(_, it)| it[0] == DISCO).collect();
    assert!(disco.len() > 20, "{}", disco.len());
    // Until nobody talks and nothing is due.
    world.pass(SECOND * 300);
    let (before, ways) = (world.carried, [world.view(0, 1), world.view(1, 0)].map(|it| it.ways));
    for (to, message) in disco {
        world.inject(at("192.0.2.66:666"), to, message);
    }
    assert_eq!(world.carried, before, "nobody answers");
    let after = [world.view(0, 1), world.view(1, 0)].map(|it| it.ways);
    assert_eq!(after.map(|it| it.len()), ways.map(|it| it.len()), "and nobody learned a way");
}

#[test]
fn a_member_leads_nobody_into_the_tunnel_itself_or_to_where_only_the_machine_is_meant() {
    let mut world = World::new(&[Net::Open, Net::Open], 2, 7);
    let lies = ["10.0.0.1:7000", "10.0.0.2:7000", "127.0.0.1:7000", "169.254.1.1:7000"];
    let more = ["[fe80::1]:7000", "[::1]:7000", "[::ffff:127.0.0.1]:7000", "0.0.0.7:7000"];
    let lies: Vec<SocketAddr> = lies.into_iter().chain(more).map(at).collect();
    world.nodes[0].mesh.set_local(lies, world.now);
    world.listens = Some(Vec::new());
    world.talk(&[(0, 1)], TICK, SECOND * 5);
    let named = world.view(1, 0).ways.into_iter().filter_map(|view| view.way.socket());
    let named: Vec<SocketAddr> = named.collect();
    let allowed = |at: &SocketAddr| {
        let text = at.to_string();
        text.starts_with("203.0.113.") || text.starts_with("198.51.100.")
    };
    assert!(named.iter().all(allowed), "{named:?}");
    let heard = world.listens.take().expect("somebody listens");
    assert!(heard.iter().all(|(to, _)| allowed(to)));
}

#[test]
fn what_comes_out_of_the_private_network_is_not_for_the_engine() {
    let mut world = World::new(&[Net::Open, Net::Open], 2, 7);
    for node in &mut world.nodes {
        node.mesh.set_inside(vec!["203.0.113.0/24".parse().expect("a block")]);
    }
    world.pass(SECOND);
    world.talk(&[(0, 1)], TICK, SECOND * 5);
    let way = world.view(0, 1).way.expect("they talk");
    assert_eq!(way.kind(), WayKind::Relayed, "their own addresses are inside");
}

#[test]
fn behind_a_relay_a_peer_is_heard_only_by_its_own_name() {
    let (mut world, heard) = overheard();
    let (_, ping) = heard.iter().find(|(_, it)| it[0] == DISCO).expect("they looked for ways");
    let relay = at("198.51.100.1:3478");
    let ways = world.view(1, 0).ways.len();
    for number in 0..30 {
        let from = Way::Relayed { relay, far: CallSign([number; 8]) };
        let note = Note::Disco { from, message: ping.clone() };
        world.nodes[1].mesh.on_note(note, world.now);
    }
    assert_eq!(world.view(1, 0).ways.len(), ways);
}

#[test]
fn who_has_no_way_to_a_peer_that_it_asks_waits_for_the_clock() {
    let mut world = World::new(&[Net::Symmetric, Net::Symmetric], 1, 7);
    world.pass(SECOND);
    world.cut_relay(0);
    world.send(0, 1);
    world.nodes[0].mesh.set_relays(Vec::new(), world.now);
    let mesh = &mut world.nodes[0].mesh;
    let (end, mut wakes) = (world.now.after(SECOND * 60), 0);
    while let Some(at) = mesh.wake_at().filter(|at| *at < end) {
        mesh.on_wake(at);
        while mesh.next_effect().is_some() {}
        wakes += 1;
    }
    assert!(wakes < 500, "{wakes} times in a minute");
}

#[test]
fn frames_that_wait_have_a_limit_in_all() {
    let mut world = World::new(&[Net::Open], 0, 7);
    let mesh = &mut world.nodes[0].mesh;
    let frame = vec![0; 60_000];
    for number in 1..=255_u8 {
        for block in 0..4_u8 {
            let mut config = crate::pair::peer(number, Default::default(), None, None);
            config.key.0[0] ^= block;
            config.key.0[31] ^= 1;
            let peer = mesh.set_peer(config, world.now);
            for _ in 0..2 {
                mesh.on_note(Note::Wanted { peer, frame: frame.clone() }, world.now);
            }
        }
    }
    let waiting = mesh.waiting_bytes();
    assert!(waiting <= mesh::WAITING_BYTES_TOTAL_MAX, "{waiting}");
    assert!(waiting > mesh::WAITING_BYTES_TOTAL_MAX - 60_000, "{waiting}");
    let keys: Vec<_> = mesh.peers().map(|(_, view)| view.key).collect();
    keys.iter().for_each(|key| mesh.remove_peer(key));
    assert_eq!(mesh.waiting_bytes(), 0);
}

#[test]
fn a_peer_heard_where_it_is_known_to_be_makes_no_new_picture() {
    let (mut world, _) = overheard();
    let now = world.now;
    let mesh = &mut world.nodes[1].mesh;
    let (peer, view) = mesh.peers().next().expect("there is one");
    let to = view.way.expect("they talk");
    while mesh.next_effect().is_some() {}
    mesh.on_note(Note::Roamed { peer, to }, now);
    let published = std::iter::from_fn(|| mesh.next_effect())
        .filter(|effect| matches!(effect, Effect::Publish(_)));
    assert_eq!(published.count(), 0);
}
