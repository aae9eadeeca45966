//! Networks in virtual time: nodes and clients ask while the server restarts, its clock jumps, seats are lost and taken
//! by others, people are put out, and relays come and go. A seed decides a story, and nothing waits.

use std::collections::{BTreeMap, BTreeSet};

use control::{NetworkPolicy, NetworkWanted};
use ed25519_dalek::SigningKey;
use units::{AccountId, KeyId, MeshId, ProjectId, RentalId, Timestamp, WorkerId};
use wire::paper::{Membership, MeshKey, NodeKey, RelayRecord, SealedPaper, SuiteName};
use wire::{RelayLoad, RelayRequest};

use super::member::{Mesh, Place, Said, Whose};
use super::*;

const STORIES: u64 = 12;
/// How long the weather lasts, and then the sky is clear, in milliseconds.
const WEATHER: u64 = 900_000;
const CLEAR: u64 = 240_000;
/// Whoever is there asks at least so often.
const ASKS_EACH: u64 = 8_000;
const NODES: u32 = 5;
const CLIENTS: u32 = 3;
const OF: NetworkOf = NetworkOf::Rental(RentalId::from_bits(7));
const BEGINNING: u64 = 1_800_000_000_000;

struct Dice(u64);

impl Dice {
    fn below(&mut self, end: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }
}

fn network() -> SigningKey {
    SigningKey::from_bytes(&[7; 32])
}

/// Somebody who asks, as far as it matters here.
struct Asker {
    said: Said,
    known: Option<u64>,
    /// Keys of the members that it was told of.
    list: BTreeSet<NodeKey>,
    /// Their papers.
    papers: Vec<Arc<SealedPaper>>,
    asks_at: u64,
    cut_until: u64,
    /// Since when there is something that it was not told.
    waits_since: Option<u64>,
}

struct Story {
    dice: Dice,
    /// The true time, and what the server's clock shows beyond it.
    time: u64,
    ahead: i64,
    meshes: Meshes,
    wanted: NetworkWanted,
    open_keys: BTreeSet<KeyId>,
    askers: BTreeMap<Place, Asker>,
    made: u32,
    /// When this server opened the network, by the true time, and whether its clock has leaped ahead since.
    opened: u64,
    leaped: bool,
    /// Whether the clock has ever gone back: then revisions may, too.
    went_back: bool,
    relay_tells_at: u64,
    server_since: u64,
}

impl Story {
    fn new(seed: u64) -> Self {
        let wanted = NetworkWanted {
            mesh: MeshId::from_bits(7),
            project: Some(ProjectId::from_bits(1)),
            seats: BTreeMap::new(),
            services: BTreeMap::new(),
            policy: NetworkPolicy::default(),
        };
        let mut story = Self {
            dice: Dice(seed),
            time: 0,
            ahead: 0,
            meshes: Meshes::new(true),
            wanted,
            open_keys: BTreeSet::new(),
            askers: BTreeMap::new(),
            made: 0,
            opened: 0,
            leaped: false,
            went_back: false,
            relay_tells_at: 0,
            server_since: 0,
        };
        (0..NODES).for_each(|node| story.seat(node));
        (0..CLIENTS).for_each(|_| story.let_in());
        story
    }

    fn clock(&self) -> Timestamp {
        Timestamp::from_millis((BEGINNING + self.time).saturating_add_signed(self.ahead))
    }

    /// Keys that nobody had before.
    fn key(&mut self) -> NodeKey {
        self.made += 1;
        let mut bytes = [9; 32];
        bytes[..4].copy_from_slice(&self.made.to_be_bytes());
        NodeKey(SigningKey::from_bytes(&bytes).verifying_key().to_bytes())
    }

    fn comes(&mut self, place: Place, whose: Whose, key: NodeKey) {
        let said = Said {
            place,
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
        let asks_at = self.time + self.dice.below(ASKS_EACH);
        let asker = Asker {
            said,
            known: None,
            list: BTreeSet::new(),
            papers: Vec::new(),
            asks_at,
            cut_until: 0,
            waits_since: None,
        };
        self.askers.insert(place, asker);
    }

    /// A node is on another machine from now on.
    fn seat(&mut self, node: u32) {
        let key = self.key();
        let worker = WorkerId::from_bits(u128::from(self.made));
        self.wanted.seats.insert(node, (worker, AccountId::from_bits(1)));
        self.comes(Place::Node(node), Whose::Machine(worker), key);
    }

    fn let_in(&mut self) {
        let key = self.key();
        let id = KeyId::from_bits(u128::from(self.made));
        self.open_keys.insert(id);
        let whose = Whose::Person {
            account: AccountId::from_bits(u128::from(self.made)),
            key: id,
            until: None,
        };
        self.comes(Place::Client(key), whose, key);
    }

    /// The brain wants something else, as the writer tells it at a commit.
    fn changes(&mut self) {
        let (wanted, keys, now) = (self.wanted.clone(), self.open_keys.clone(), self.clock());
        self.meshes.in_mesh(OF, |mesh| {
            if mesh.want(wanted.clone(), |key| keys.contains(&key)) {
                mesh.bump(self.meshes.next_serial(now));
            }
            let has_place = |member: &member::Member| match member.said.whose {
                Whose::Machine(worker) => {
                    wanted.seats.values().any(|(seated, _)| *seated == worker)
                }
                Whose::Person { key, .. } => keys.contains(&key),
            };
            assert!(mesh.members.values().all(has_place), "who is wanted no more is out at once");
        });
    }

    /// One thing happens.
    fn happens(&mut self) {
        match self.dice.below(100) {
            0..=2 => {
                self.meshes = Meshes::new(true);
                self.server_since = self.time;
            }
            3..=4 => {
                let jump = i64::try_from(self.dice.below(1_200_000)).unwrap() - 600_000;
                self.ahead += jump;
                self.leaped |= jump > 0;
                self.went_back |= jump < 0;
                self.nobody_waited();
            }
            5..=8 => {
                let places: Vec<Place> = self.askers.keys().copied().collect();
                let place = places[usize::try_from(self.dice.below(places.len() as u64)).unwrap()];
                let until = self.time + self.dice.below(150_000);
                self.askers.entry(place).and_modify(|asker| asker.cut_until = until);
            }
            9..=10 => self.moves(),
            11..=12 => self.put_out(),
            13 => self.wanted.policy.version += 1,
            14 => {
                // The agent starts anew, and finds its node.
                let node = Place::Node(u32::try_from(self.dice.below(NODES.into())).unwrap());
                self.askers.entry(node).and_modify(|asker| {
                    (asker.known, asker.waits_since) = (None, None);
                    asker.list.clear();
                });
            }
            _ => {}
        }
        self.changes();
    }

    /// A node's seat is another machine's; the first knows nothing of it, and asks once more.
    fn moves(&mut self) {
        let node = u32::try_from(self.dice.below(NODES.into())).unwrap();
        let before = self.askers.remove(&Place::Node(node)).unwrap();
        self.seat(node);
        self.changes();
        self.opens();
        let heard = self.hear(before.said, before.known);
        assert!(matches!(heard, Err(NotHeard::NotWanted)), "its seat is another's");
    }

    /// Somebody is put out of the project while asking, and somebody else comes.
    fn put_out(&mut self) {
        let is_client = |place: &&Place| matches!(place, Place::Client(_));
        let Some(place) = self.askers.keys().find(is_client).copied() else { return };
        let out = self.askers.remove(&place).unwrap();
        self.open_keys.remove(&out.said.whose.key().unwrap());
        self.changes();
        self.opens();
        let heard = self.hear(out.said, out.known);
        assert!(matches!(heard, Err(NotHeard::NotLetIn)), "it has no say any more");
        self.let_in();
    }

    /// The first who asks has the server keep the network.
    fn opens(&mut self) {
        if self.meshes.is_open(OF) {
            return;
        }
        let mesh = Mesh::new(
            (OF, self.wanted.clone()),
            self.meshes.next_serial(self.clock()),
            self.clock(),
        );
        self.meshes.with(|table| table.insert(OF, Arc::new(Mutex::new(mesh))));
        (self.opened, self.leaped) = (self.time, false);
        self.nobody_waited();
    }

    /// From now on it takes as long as after a restart until everybody has come.
    fn nobody_waited(&mut self) {
        self.askers.values_mut().for_each(|asker| asker.waits_since = None);
    }

    fn hear(&self, said: Said, known: Option<u64>) -> Result<Heard, NotHeard> {
        let key = said.whose.key();
        let is_let_in = || key.is_none_or(|key| self.open_keys.contains(&key));
        let hearing = Hearing { known, key: &network(), is_let_in: &is_let_in };
        self.meshes.hear_now(OF, said, &hearing, self.clock())
    }

    /// Somebody asks, and is told if there is something to tell, as [`Meshes::has_news`] has it.
    fn asks(&mut self, place: Place) {
        self.opens();
        let now = self.clock();
        let (said, known) = (self.askers[&place].said.clone(), self.askers[&place].known);
        let heard = self.hear(said, known).expect("it is wanted there");
        let revision = *heard.revision.borrow();
        let gathers = self.meshes.in_mesh(OF, |mesh| mesh.gathers(now)).unwrap();
        let is_new = heard.is_pass_due || known != Some(revision);
        let time = self.time;
        let asker = self.askers.get_mut(&place).unwrap();
        asker.asks_at = time + 1 + self.dice.below(ASKS_EACH);
        if is_new && (known.is_none() || !gathers) {
            self.is_told(place, revision);
        } else if is_new {
            let since = *asker.waits_since.get_or_insert(time);
            let longest = u64::try_from(GATHERS_MAX.as_millis()).unwrap() + 3 * ASKS_EACH;
            assert!(time - since <= longest, "{place:?} was told nothing for {} ms", time - since);
        }
    }

    fn is_told(&mut self, place: Place, revision: u64) {
        let now = self.clock();
        let told: BTreeMap<NodeKey, Place> = self
            .meshes
            .in_mesh(OF, |mesh| {
                mesh.members.get_mut(&place).unwrap().passed = Some(now);
                are_apart(mesh);
                mesh.members.values().map(|member| (member.said.key, member.said.place)).collect()
            })
            .unwrap();
        let papers = self.meshes.in_mesh(OF, |mesh| {
            mesh.members.values().map(|member| Arc::clone(&member.sealed)).collect()
        });
        let is_early = self.time - self.opened < u64::try_from(GATHERS_MAX.as_millis()).unwrap();
        let seated: BTreeSet<NodeKey> = self
            .askers
            .values()
            .filter(|asker| matches!(asker.said.place, Place::Node(_)))
            .map(|asker| asker.said.key)
            .collect();
        let asker = self.askers.get_mut(&place).unwrap();
        let missed = asker.list.intersection(&seated).find(|key| !told.contains_key(*key));
        let is_half = missed.is_some() && asker.known.is_some() && is_early && !self.leaped;
        assert!(!is_half, "{place:?} was told half a list, {} ms after", self.time - self.opened);
        let is_back = asker.known.is_some_and(|known| revision < known);
        assert!(
            !is_back || self.went_back,
            "{place:?} was told {revision} after {:?}",
            asker.known
        );
        asker.list = told.into_keys().collect();
        asker.papers = papers.unwrap();
        (asker.known, asker.waits_since) = (Some(revision), None);
    }

    /// A relay tells every twenty seconds, and the list is looked at every five.
    fn relays(&mut self) {
        let (key, now) = (network(), self.clock());
        if self.time >= self.relay_tells_at {
            let by = Teller { account: AccountId::from_bits(9), backed_by: None };
            self.meshes.relays.tell(by, relay(), &key, now).unwrap();
            self.relay_tells_at = self.time + RELAY_TELLS_SECS * 1_000;
        }
        if self.time.is_multiple_of(5_000) {
            self.meshes.relays.renew(&key, now);
            self.meshes.drop_silent(now);
            self.meshes.tell_owed();
        }
        let is_there = self.meshes.relays.views().iter().any(|it| it.key == relay().key);
        let has_told = self.time - self.server_since > RELAY_TELLS_SECS * 1_000;
        assert!(is_there || !has_told, "a relay that tells is in the list, whatever clocks do");
    }

    fn plays(&mut self, until: u64) {
        while self.time < until {
            self.time += 500;
            self.relays();
            let is_due = |asker: &&Asker| asker.asks_at.max(asker.cut_until) <= self.time;
            let due: Vec<Place> =
                self.askers.values().filter(is_due).map(|asker| asker.said.place).collect();
            due.into_iter().for_each(|place| self.asks(place));
            if self.time < WEATHER && self.time.is_multiple_of(2_000) {
                self.happens();
            }
        }
    }
}

fn relay() -> RelayRequest {
    RelayRequest {
        key: NodeKey([3; 32]),
        statement: String::new(),
        worker: None,
        tcp: vec!["8.9.10.11:443".parse().unwrap()],
        udp: Vec::new(),
        domain: None,
        load: RelayLoad::default(),
        drains: false,
    }
}

/// Nobody has another's key, name or address.
fn are_apart(mesh: &Mesh) {
    let count = mesh.members.len();
    let papers = || mesh.members.values().map(|member| &member.paper);
    let (names, v4, keys): (BTreeSet<_>, BTreeSet<_>, BTreeSet<_>) = (
        papers().map(|paper| paper.name.clone()).collect(),
        papers().map(|paper| paper.v4).collect(),
        papers().map(|paper| paper.node).collect(),
    );
    assert_eq!((names.len(), v4.len(), keys.len()), (count, count, count));
}

#[test]
fn nobody_is_told_half_a_list_whatever_restarts_jumps_or_goes() {
    for seed in 0..STORIES {
        let mut story = Story::new(seed);
        story.plays(WEATHER);
        story.askers.values_mut().for_each(|asker| asker.cut_until = 0);
        // The server's clock is set right.
        (story.ahead, story.leaped, story.went_back) = (0, true, true);
        story.nobody_waited();
        story.plays(WEATHER + CLEAR);
        let (key, now) = (NodeKey(network().verifying_key().to_bytes()), story.clock());
        let relays = story.meshes.relays.best(1);
        assert!(relays.iter().all(|paper| paper.open::<RelayRecord>(&key, now).is_ok()));
        let all: BTreeSet<NodeKey> = story.askers.values().map(|asker| asker.said.key).collect();
        for asker in story.askers.values() {
            assert_eq!(asker.list, all, "{:?} of story {seed} knows all", asker.said.place);
            let is_read = |paper: &Arc<SealedPaper>| paper.open::<Membership>(&key, now).is_ok();
            assert!(asker.papers.iter().all(is_read), "and believes their papers");
        }
    }
}
