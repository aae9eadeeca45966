//! What a policy says about cover and hops becomes part of peers, on all three sides.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};

use mesh::policy::{self, Rule};
use mesh::{CallSign, Change, Contact, Cover, Member, PeerConfig, PrivateKey, Roster};
use units::{MeshId, Timestamp};

const MESH: MeshId = MeshId::from_bits(1);
const NOW: Timestamp = Timestamp::from_millis(1000);

/// Ada on a laptop (1), two machines (2, 3), and what stands between them (4).
const FILE: &str = r#"{
  "tagOwners": {"tag:gpu": [], "tag:head": [], "tag:hop": []},
  "grants": [
    {"src": ["ada@example.org"], "dst": ["tag:head"], "ip": ["*"], "app": {"iog/cap/padding": [{"level": 3}]}},
    {"src": ["ada@example.org"], "dst": ["tag:head"], "ip": ["873"], "app": {"iog/cap/padding": [{"level": 0}]}},
    {"src": ["ada@example.org"], "dst": ["tag:gpu"], "ip": ["*"], "via": ["tag:hop"]},
    {"src": ["tag:head"], "dst": ["tag:gpu"], "ip": ["*"], "app": {"iog/cap/padding": [{"level": 1}]}},
    {"src": ["*"], "dst": ["tag:hop"], "ip": ["*"]},
  ],
}"#;

fn ip(number: u8) -> IpAddr {
    Ipv4Addr::new(100, 64, 0, number).into()
}

fn sign(number: u8) -> CallSign {
    CallSign::of_node(&[number; 32])
}

fn member(number: u8) -> Member {
    Member {
        mesh: MESH,
        node: [number; 32],
        key: PrivateKey::from_bytes([number; 32]).public(),
        addresses: vec![ip(number)],
        opens_fast: true,
        relays: vec![],
        serial: 1,
        expires: Timestamp::from_millis(10_000),
    }
}

fn named(number: u8, user: Option<&str>, tags: &[&str]) -> policy::Member {
    policy::Member {
        key: PrivateKey::from_bytes([number; 32]).public(),
        name: format!("m{number}"),
        user: user.map(ToOwned::to_owned),
        groups: BTreeSet::new(),
        tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
        addresses: vec![ip(number)],
    }
}

fn rules_of(number: usize) -> Vec<Rule> {
    let members = [
        named(1, Some("ada@example.org"), &[]),
        named(2, None, &["tag:head"]),
        named(3, None, &["tag:gpu"]),
        named(4, None, &["tag:hop"]),
    ];
    let policy = policy::Policy::parse(FILE).expect("it is a policy");
    policy.compile(&members).expect("it has no tests").rules_of(&members[number - 1])
}

/// The peers of a member, by their numbers.
fn peers_of(number: u8) -> BTreeMap<u8, PeerConfig> {
    let mut roster = Roster::new([number; 32], mesh::Policy::default());
    assert!(roster.on_rules(MESH, rules_of(number.into()), NOW).is_empty(), "nobody is known");
    let changes = roster.on_members(MESH, (1..=4).map(member).collect(), NOW);
    let set = changes.into_iter().map(|change| match change {
        Change::Set(config) => config,
        Change::Remove(key) => panic!("{key} was never there"),
    });
    let number_of = |config: &PeerConfig| {
        (1..=4).find(|number| member(*number).key == config.key).expect("it is a member")
    };
    set.map(|config| (number_of(&config), config)).collect()
}

fn contact(config: &PeerConfig) -> &Contact {
    config.contact.as_ref().expect("it is a node of ours")
}

#[test]
fn cover_holds_between_two_whoever_begins_and_the_highest_level_counts() {
    for (one, other, cover) in
        [(1, 2, Cover::Rate), (2, 3, Cover::Size), (1, 3, Cover::None), (1, 4, Cover::None)]
    {
        assert_eq!(peers_of(one)[&other].cover, cover, "{one} to {other}");
        assert_eq!(peers_of(other)[&one].cover, cover, "{other} to {one}");
    }
}

#[test]
fn who_is_to_be_met_through_a_hop_is_met_in_no_other_way() {
    for (one, other) in [(1, 3), (3, 1)] {
        let via = contact(&peers_of(one)[&other]).via.clone();
        assert_eq!(via, Some([sign(4)].into()), "{one} to {other}");
    }
    for (one, other) in [(1, 2), (2, 3), (1, 4), (3, 4), (4, 1)] {
        assert_eq!(contact(&peers_of(one)[&other]).via, None, "{one} to {other}");
    }
}

#[test]
fn a_hop_hands_on_between_those_whose_hop_it_is() {
    let peers = peers_of(4);
    let carries: Vec<BTreeSet<CallSign>> =
        (1..=3).map(|number| contact(&peers[&number]).carries.clone()).collect();
    assert_eq!(carries, [[sign(3)].into(), BTreeSet::new(), [sign(1)].into()]);
    for other in [1, 2, 3] {
        let nobody = peers_of(other).values().all(|peer| contact(peer).carries.is_empty());
        assert!(nobody, "{other} is nobody's hop");
    }
}

#[test]
fn without_its_hop_a_member_is_not_met_at_all() {
    let mut roster = Roster::new([1; 32], mesh::Policy::default());
    roster.on_rules(MESH, rules_of(1), NOW);
    let changes = roster.on_members(MESH, [1, 3].map(member).into(), NOW);
    let [Change::Set(config)] = changes.as_slice() else { panic!("one peer: {changes:?}") };
    assert_eq!(contact(config).via, Some(BTreeSet::new()));
}

#[test]
fn a_level_that_does_not_exist_is_refused_with_its_place() {
    for value in ["{\"level\": 4}", "{\"levels\": 1}", "1", "{\"level\": \"1\"}"] {
        let file = format!(
            "{{\"grants\": [{{\"src\": [\"*\"], \"dst\": [\"*\"], \"ip\": [\"*\"],\n \
             \"app\": {{\"iog/cap/padding\": [{value}]}}}}]}}"
        );
        let wrong = policy::Policy::parse(&file).expect_err("there is no such level");
        assert_eq!(wrong.at.line, 2, "{value}: {wrong}");
    }
}
