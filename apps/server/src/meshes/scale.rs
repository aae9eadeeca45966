//! What it takes to tell a large network that something of it has changed: prints figures, for `docs/benchmarks.md`.
//!
//! `cargo test --release -p server --lib meshes::scale -- --ignored --nocapture`

#![expect(clippy::print_stdout, reason = "figures are what it is for")]

use std::collections::BTreeMap;
use std::time::Instant;

use control::{NetworkPolicy, NetworkWanted};
use ed25519_dalek::SigningKey;
use units::{AccountId, MeshId, RentalId, Timestamp, WorkerId};
use wire::ServiceSeen;
use wire::paper::{MeshKey, NodeKey, SuiteName};

use super::member::{Mesh, Place, Said, Whose};
use super::*;

const NODES: u32 = 1_024;
const RENTAL: RentalId = RentalId::from_bits(7);
const OF: NetworkOf = NetworkOf::Rental(RENTAL);

fn network() -> SigningKey {
    SigningKey::from_bytes(&[7; 32])
}

fn key_of(node: u32) -> SigningKey {
    let mut bytes = [9; 32];
    bytes[..4].copy_from_slice(&node.to_be_bytes());
    SigningKey::from_bytes(&bytes)
}

fn node(at: u32, relays: usize) -> Said {
    let key = NodeKey(key_of(at).verifying_key().to_bytes());
    Said {
        place: Place::Node(at),
        whose: Whose::Machine(WorkerId::from_bits(u128::from(at))),
        called: None,
        key,
        x25519: MeshKey(key.0),
        shows: None,
        suites: vec![SuiteName::Aes256gcm, SuiteName::Wireguard],
        relays: vec![NodeKey([3; 32]); relays],
        ways: Vec::new(),
        services: BTreeMap::<_, ServiceSeen>::new(),
    }
}

fn hear(meshes: &Meshes, said: Said, now: Timestamp) {
    let hearing = Hearing { known: None, key: &network(), is_let_in: &|| true };
    meshes.hear_now(OF, said, &hearing, now).unwrap();
}

/// All papers of one node, as they are sent: the list of members, which all share, and the rest.
fn answer(meshes: &Meshes, at: u32, has: Option<(u64, u64)>) -> (bytes::Bytes, Vec<u8>) {
    let key = NodeKey(key_of(at).verifying_key().to_bytes());
    let asked = Asked { of: OF, place: Place::Node(at), key, has };
    let issued = issue(meshes, asked, &network()).unwrap().unwrap();
    let network_key = NodeKey(network().verifying_key().to_bytes());
    let (members, told) = issued.for_node(network_key, 1).unwrap();
    (members, serde_json::to_vec(&told).unwrap())
}

fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or_default()
}

fn millis(since: Instant) -> String {
    format!("{:.1} ms", since.elapsed().as_secs_f64() * 1e3)
}

#[test]
#[ignore = "a measurement: it asserts nothing"]
fn telling_a_thousand_members() {
    let (meshes, at) = (Meshes::new(false), Timestamp::from_millis(1_800_000_000_000));
    let seat = |node: u32| (node, (WorkerId::from_bits(u128::from(node)), AccountId::from_bits(1)));
    let wanted = NetworkWanted {
        mesh: MeshId::from_bits(RENTAL.bits()),
        project: None,
        seats: (0..NODES).map(seat).collect(),
        services: BTreeMap::new(),
        policy: NetworkPolicy::default(),
    };
    let mesh = Mesh::new((OF, wanted), 1, at);
    meshes.with(|table| table.insert(OF, Arc::new(Mutex::new(mesh))));

    let begun = Instant::now();
    (0..NODES).for_each(|at_node| hear(&meshes, node(at_node, 3), at));
    println!("{NODES} nodes come: {}", millis(begun));
    let begun = Instant::now();
    (0..NODES).for_each(|at_node| hear(&meshes, node(at_node, 3), at));
    println!("{NODES} nodes say the same again: {}", millis(begun));

    let begun = Instant::now();
    let (list, first) = answer(&meshes, 0, None);
    println!("the first is told: {}", millis(begun));
    println!("list of members: {} bytes, the rest of an answer: {}", list.len(), first.len());
    drop((list, first));
    for (words, follow) in [("told whole lists", false), ("told what is other", true)] {
        let known = meshes.in_mesh(OF, |mesh| (*mesh.revision.borrow(), mesh.epoch));
        println!("all are {words}:");
        tell_all(&meshes, known.filter(|_| follow), if follow { 1 } else { 2 }, at);
    }
}

/// One has other relays, and everybody is told.
fn tell_all(meshes: &Meshes, has: Option<(u64, u64)>, relays: usize, at: Timestamp) {
    let begun = Instant::now();
    hear(meshes, node(5, relays), at);
    let before = resident_kib();
    let all: Vec<_> = (0..NODES).map(|node| answer(meshes, node, has)).collect();
    println!("one has another relay, and all are told: {} on one core", millis(begun));
    let own: usize = all.iter().map(|(_, rest)| rest.len()).sum();
    let sent: usize = all.iter().map(|(list, rest)| list.len() + rest.len()).sum();
    println!("sent: {sent} bytes; of these, not shared in memory: {own}");
    println!("memory of all answers at one time: {} KiB", resident_kib().saturating_sub(before));
    let begun = Instant::now();
    let copies: Vec<Vec<u8>> = all.iter().map(|(list, _)| list.to_vec()).collect();
    println!(
        "as copies, the lists alone: {} in {}",
        copies.iter().map(Vec::len).sum::<usize>(),
        millis(begun)
    );
}
