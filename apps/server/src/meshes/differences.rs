//! Who follows differences has exactly the list that who asks for all of it has: in stories that seeds decide, with
//! members that come, go, move and change, a server that begins anew, and a clock that is set.

use std::collections::BTreeMap;

use control::NetworkPolicy;
use wire::paper::{Membership, MeshKey, PolicyPaper, PolicyRule, SealedPaper, SuiteName};

use super::worked::Listed;
use super::*;

const OF: NetworkOf = NetworkOf::Rental(RentalId::from_bits(7));
const STORIES: u64 = 5;
const TURNS: u32 = 160;
const NODES: u32 = 12;

struct Dice(u64);

impl Dice {
    fn below(&mut self, end: u32) -> u32 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        u32::try_from(self.0 >> 33).unwrap() % end
    }
}

/// Somebody who follows, and what it has.
#[derive(Clone)]
struct Follower {
    said: Said,
    has: Option<(u64, u64)>,
    list: BTreeMap<NodeKey, SealedPaper>,
    /// What may pass at it.
    rules: Vec<PolicyRule>,
}

struct World {
    dice: Dice,
    meshes: Meshes,
    wanted: NetworkWanted,
    now: Timestamp,
    made: u32,
    followers: BTreeMap<Place, Follower>,
    /// How often somebody was told a difference, and how often a whole list.
    told: [u32; 2],
}

fn network() -> SigningKey {
    SigningKey::from_bytes(&[7; 32])
}

fn public() -> NodeKey {
    NodeKey(network().verifying_key().to_bytes())
}

/// What is told of members, by their keys.
fn papers(listed: &Listed, now: Timestamp) -> BTreeMap<NodeKey, SealedPaper> {
    let network = public();
    let all: Vec<SealedPaper> = serde_json::from_slice(&listed.papers).unwrap();
    let key = |paper: &SealedPaper| {
        let paper: Membership = paper.open_of_any_time(&network).unwrap();
        assert!(paper.issued.0 <= now.after(Duration::from_secs(86_400)));
        paper.node
    };
    all.into_iter().map(|paper| (key(&paper), paper)).collect()
}

impl World {
    fn new(seed: u64) -> Self {
        let wanted = NetworkWanted {
            mesh: MeshId::from_bits(7),
            project: Some(ProjectId::from_bits(1)),
            seats: BTreeMap::new(),
            services: BTreeMap::new(),
            policy: NetworkPolicy::default(),
        };
        let mut world = Self {
            dice: Dice(seed),
            meshes: Meshes::new(true),
            wanted,
            now: Timestamp::from_millis(1_800_000_000_000),
            made: 0,
            followers: BTreeMap::new(),
            told: [0; 2],
        };
        world.begins();
        (0..NODES).for_each(|node| world.seats(node));
        world
    }

    /// A server begins to keep the network, and knows nobody.
    fn begins(&mut self) {
        self.meshes = Meshes::new(true);
        let first = self.meshes.next_serial(self.now);
        let mesh = Mesh::new((OF, self.wanted.clone()), first, self.now);
        self.meshes.with(|table| table.insert(OF, Arc::new(Mutex::new(mesh))));
    }

    fn comes(&mut self, place: impl FnOnce(NodeKey) -> Place, whose: Whose) {
        let mut bytes = [9; 32];
        bytes[..4].copy_from_slice(&self.made.to_be_bytes());
        let key = NodeKey(SigningKey::from_bytes(&bytes).verifying_key().to_bytes());
        let said = Said {
            place: place(key),
            whose,
            called: None,
            key,
            x25519: MeshKey(key.0),
            shows: None,
            suites: vec![SuiteName::Wireguard],
            relays: Vec::new(),
            ways: Vec::new(),
            services: BTreeMap::new(),
        };
        let (list, rules) = (BTreeMap::new(), Vec::new());
        let follower = Follower { said, has: None, list, rules };
        self.followers.insert(follower.said.place, follower);
    }

    fn seats(&mut self, node: u32) {
        self.made += 1;
        let worker = WorkerId::from_bits(u128::from(self.made));
        self.wanted.seats.insert(node, (worker, AccountId::from_bits(1)));
        self.comes(|_| Place::Node(node), Whose::Machine(worker));
        self.wants();
    }

    fn joins(&mut self) {
        self.made += 1;
        let (account, key) = (AccountId::from_bits(1), KeyId::from_bits(u128::from(self.made)));
        self.comes(Place::Client, Whose::Person { account, key, until: None });
    }

    fn wants(&self) {
        self.meshes.in_mesh(OF, |mesh| {
            if mesh.want(self.wanted.clone(), |_| true) {
                mesh.bump(self.meshes.next_serial(self.now));
            }
        });
    }

    /// Somebody, by chance.
    fn one(&mut self) -> Place {
        let at = self.dice.below(u32::try_from(self.followers.len()).unwrap());
        *self.followers.keys().nth(usize::try_from(at).unwrap()).unwrap()
    }

    fn happens(&mut self) {
        self.now = self.now.after(Duration::from_millis(self.dice.below(4_000).into()));
        let place = self.one();
        match self.dice.below(80) {
            0 => self.begins(),
            1 => {
                // Numbers of revisions come again.
                self.now = Timestamp::from_millis(self.now.millis() - 60_000);
                self.begins();
            }
            2..=3 => {
                let node = self.dice.below(NODES);
                self.seats(node);
            }
            4..=7 if self.followers.len() < 20 => self.joins(),
            8..=10 => {
                if let Place::Client(key) = place {
                    self.followers.remove(&place);
                    self.meshes.in_mesh(OF, |mesh| {
                        mesh.leaves(key);
                        mesh.bump(self.meshes.next_serial(self.now));
                    });
                }
            }
            11..=13 => {
                let relays = vec![NodeKey([3; 32]); usize::try_from(self.dice.below(4)).unwrap()];
                self.followers.entry(place).and_modify(|it| it.said.relays = relays);
            }
            14 => self.meshes.tell_owed(),
            _ => self.asks(place),
        }
    }

    /// It is told what is other than what it has, and somebody with its keys all.
    fn asks(&mut self, place: Place) {
        let Some(follower) = self.followers.get(&place).cloned() else { return };
        let Follower { said, has, mut list, rules } = follower;
        let (key, known) = (said.key, has.map(|(revision, _)| revision));
        let hearing = Hearing { known, key: &network(), is_let_in: &|| true };
        self.meshes.hear_now(OF, said, &hearing, self.now).unwrap();
        let issued = |has| {
            let asked = Asked { of: OF, place, key, has };
            let issued = issue(&self.meshes, asked, &network()).unwrap().unwrap();
            let member = issued.member.unwrap();
            let policy =
                member.policy.map(|it| it.open_of_any_time::<PolicyPaper>(&public()).unwrap());
            ((issued.revision, issued.epoch), member.members, policy.map(|it| it.rules))
        };
        let ((has, listed, policy), (_, whole, rules_now)) = (issued(has), issued(None));
        let rules = policy.unwrap_or(rules);
        assert_eq!(Some(&rules), rules_now.as_ref(), "{place:?}");
        if listed.since.is_none() {
            list.clear();
        }
        self.told[usize::from(listed.since.is_none())] += 1;
        listed.gone.iter().for_each(|key| drop(list.remove(key)));
        list.extend(papers(&listed, self.now));
        assert_eq!((whole.since, &whole.gone), (None, &Vec::new()));
        assert_eq!(list, papers(&whole, self.now), "{place:?}");
        self.followers.entry(place).and_modify(|it| {
            (it.has, it.list, it.rules) = (Some(has), list, rules);
        });
    }
}

#[test]
fn who_follows_differences_has_what_who_asks_for_all_has() {
    let mut told = [0; 2];
    for seed in 0..STORIES {
        let mut world = World::new(seed);
        (0..TURNS).for_each(|_| world.happens());
        world.followers.keys().copied().collect::<Vec<_>>().into_iter().for_each(|place| {
            world.asks(place);
        });
        told = [told[0] + world.told[0], told[1] + world.told[1]];
    }
    assert!(told[0] > 100 && told[1] > 100, "both are told: {told:?}");
}

#[test]
fn who_has_missed_more_than_is_remembered_is_told_the_whole_list() {
    let mut world = World::new(1);
    (0..NODES).for_each(|node| world.asks(Place::Node(node)));
    let before = world.followers.clone();
    for _ in 0..1_100 {
        world.joins();
        let (place, follower) = world.followers.last_key_value().unwrap();
        let (place, said) = (*place, follower.said.clone());
        let hearing = Hearing { known: None, key: &network(), is_let_in: &|| true };
        world.meshes.hear_now(OF, said, &hearing, world.now).unwrap();
        let Place::Client(key) = place else { panic!("clients come last") };
        world.meshes.in_mesh(OF, |mesh| {
            mesh.leaves(key);
            mesh.bump(world.meshes.next_serial(world.now));
        });
        world.followers.remove(&place);
        world.now = world.now.after(Duration::from_millis(10));
    }
    (world.followers, world.told) = (before, [0; 2]);
    world.asks(Place::Node(3));
    assert_eq!(world.told, [0, 1]);
    world.asks(Place::Node(3));
    assert_eq!(world.told, [1, 1]);
}
