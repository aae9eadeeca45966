//! Membership records become peers: the newest holds, what ended is gone, and who did not change is left alone.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use mesh::{CallSign, Change, Contested, Member, Policy, PrivateKey, PublicKey, Roster, Suite};
use units::{MeshId, Timestamp};

use crate::pair::START;

const CLUSTER: MeshId = MeshId::from_bits(1);
const OPERATOR: MeshId = MeshId::from_bits(2);

fn sign(node: u8) -> CallSign {
    CallSign::of_node(&[node; 32])
}

fn key(number: u8) -> PublicKey {
    PrivateKey::from_bytes([number; 32]).public()
}

fn hour_later() -> Timestamp {
    START.after(Duration::from_secs(3600))
}

fn member(mesh: MeshId, node: u8, serial: u64) -> Member {
    let network = if mesh == CLUSTER { 64 } else { 65 };
    Member {
        mesh,
        node: [node; 32],
        key: key(node),
        addresses: vec![IpAddr::from(Ipv4Addr::new(100, network, 0, node))],
        opens_fast: true,
        relays: vec![sign(200)],
        serial,
        expires: hour_later(),
    }
}

fn roster() -> Roster {
    Roster::new([1; 32], Policy::ActiveBackup)
}

/// What changes, in words.
fn told(changes: &[Change]) -> Vec<String> {
    let word = |change: &Change| match change {
        Change::Remove(key) => format!("remove {}", name(key)),
        Change::Set(config) => {
            let blocks: Vec<String> = config.allowed.iter().map(ToString::to_string).collect();
            format!("set {} {}", name(&config.key), blocks.join(" "))
        }
    };
    let mut words: Vec<String> = changes.iter().map(word).collect();
    words.sort();
    words
}

fn name(found: &PublicKey) -> String {
    let number = (1..=20).find(|number| key(*number) == *found);
    number.map_or_else(|| found.to_string(), |number| number.to_string())
}

#[test]
fn only_what_changes_is_changed_and_nobody_is_a_peer_of_itself() {
    let mut roster = roster();
    let all = |serial| (1..=3).map(|node| member(CLUSTER, node, serial)).collect::<Vec<_>>();
    let first = roster.on_members(CLUSTER, all(1), START);
    assert_eq!(told(&first), ["set 2 100.64.0.2/32", "set 3 100.64.0.3/32"]);
    assert_eq!(roster.on_members(CLUSTER, all(2), START), []);
    let mut fewer = all(3);
    fewer.retain(|member| member.node != [2; 32]);
    fewer.push(member(CLUSTER, 4, 3));
    let changes = roster.on_members(CLUSTER, fewer, START);
    assert_eq!(told(&changes), ["remove 2", "set 4 100.64.0.4/32"]);
}

#[test]
fn a_node_in_two_networks_is_one_peer_until_it_left_both() {
    let mut roster = roster();
    roster.on_members(CLUSTER, vec![member(CLUSTER, 2, 1)], START);
    let both = roster.on_members(OPERATOR, vec![member(OPERATOR, 2, 1)], START);
    assert_eq!(told(&both), ["set 2 100.64.0.2/32 100.65.0.2/32"]);
    assert_eq!(told(&roster.on_members(CLUSTER, vec![], START)), ["set 2 100.65.0.2/32"]);
    assert_eq!(told(&roster.on_members(OPERATOR, vec![], START)), ["remove 2"]);
}

#[test]
fn an_older_record_changes_nothing_and_a_new_key_replaces_the_old_one() {
    let mut roster = roster();
    roster.on_members(CLUSTER, vec![member(CLUSTER, 2, 5)], START);
    let older = Member { key: key(9), ..member(CLUSTER, 2, 4) };
    assert_eq!(roster.on_members(CLUSTER, vec![older], START), []);
    let newer = Member { key: key(9), ..member(CLUSTER, 2, 6) };
    let changes = roster.on_members(CLUSTER, vec![newer], START);
    assert_eq!(told(&changes), ["remove 2", "set 9 100.64.0.2/32"]);
}

#[test]
fn a_record_that_ends_ends_its_peer() {
    let mut roster = roster();
    roster.on_members(CLUSTER, vec![member(CLUSTER, 1, 1), member(CLUSTER, 2, 1)], START);
    assert!(roster.opens_fast());
    assert_eq!(roster.wake_at(), Some(hour_later()));
    assert_eq!(told(&roster.on_wake(hour_later())), ["remove 2"]);
    assert!(!roster.opens_fast());
    assert_eq!(roster.wake_at(), None);
}

#[test]
fn the_record_decides_how_packets_are_sealed() {
    let mut roster = roster();
    let plain = Member { opens_fast: false, ..member(CLUSTER, 2, 1) };
    let changes = roster.on_members(CLUSTER, vec![plain, member(CLUSTER, 3, 1)], START);
    let suites: Vec<Suite> = changes
        .iter()
        .filter_map(|change| match change {
            Change::Set(config) => Some((name(&config.key), config.suite)),
            Change::Remove(_) => None,
        })
        .map(|(_, suite)| suite)
        .collect();
    let mut sorted = suites;
    sorted.sort_unstable();
    assert_eq!(sorted, [Suite::Standard, Suite::Fast]);
}

#[test]
fn who_names_the_key_of_another_is_left_out_and_told_of() {
    let mut roster = roster();
    roster.on_members(CLUSTER, vec![member(CLUSTER, 3, 1)], START);
    let taker = Member { key: key(3), ..member(CLUSTER, 2, 1) };
    let changes = roster.on_members(CLUSTER, vec![taker.clone(), member(CLUSTER, 3, 2)], START);
    assert_eq!(told(&changes), [""; 0], "what was promised to 3 stays with 3");
    let contested = Contested { mesh: CLUSTER, node: [2; 32], holder: [3; 32] };
    assert_eq!(roster.contested(), [contested]);
    // Nor can it be taken from another network.
    let elsewhere = Member { mesh: OPERATOR, ..taker };
    roster.on_members(CLUSTER, vec![member(CLUSTER, 3, 3)], START);
    assert_eq!(told(&roster.on_members(OPERATOR, vec![elsewhere], START)), [""; 0]);
    assert_eq!(roster.contested().len(), 1);
    let left = roster.on_members(CLUSTER, vec![], START);
    assert_eq!(told(&left), ["set 3 100.64.0.2/32"], "a key that nobody has is free");
    assert_eq!(roster.contested(), []);
}

#[test]
fn our_own_key_is_nobody_elses() {
    let mut roster = roster();
    let taker = Member { key: key(1), ..member(CLUSTER, 0, 1) };
    let changes = roster.on_members(CLUSTER, vec![member(CLUSTER, 1, 1), taker], START);
    assert_eq!(told(&changes), [""; 0]);
    assert_eq!(roster.contested().len(), 1);
}
