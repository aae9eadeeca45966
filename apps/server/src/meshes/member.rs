//! One private network as its members have told of it, held against what the brain wants of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use control::NetworkWanted;
use ed25519_dalek::SigningKey;
use mesh::policy::Compiled;
use tokio::sync::watch;
use units::{AccountId, Name, Timestamp, WorkerId};
use wire::paper::{
    MEMBER_RELAYS_MAX, MEMBERSHIP_VALID_MAX, MESH_V4_CLIENTS_AT, MESH_V4_NODES_AT, Membership,
    MeshKey, NodeKey, PASS_VALID_MAX, PaperRefused, SealedPaper, SuiteName, mesh_v4, mesh_v6,
};
use wire::{ServedAt, ServiceSeen, Time, WAYS_MAX, Way};

use super::NotHeard;
use crate::limits::{MESH_CLIENTS_MAX, MESH_WORDS_BYTES_MAX, SERVED_AT_MAX};

/// Suites there are.
const SUITES_MAX: usize = 2;
/// Places of a mesh's block that clients have.
const CLIENT_PLACES: u16 = (1 << 12) - MESH_V4_CLIENTS_AT;

/// How often one member may have all others told of it, lasting: what it says meanwhile is told with the next.
const TELLS_EACH: Duration = Duration::from_secs(5);
/// How far it may be ahead of that: while it comes, it has news a few times within seconds.
const TELLS_AHEAD: Duration = Duration::from_secs(20);

/// Who a member is: a node by its number, or a client by its key. Nodes come first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Place {
    Node(u32),
    Client(NodeKey),
}

/// For whom a member is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Whose {
    /// A machine.
    Machine(WorkerId),
    /// A person; an operator is let in everywhere.
    Person { account: AccountId, is_operator: bool },
}

/// What a member says of itself.
#[derive(Clone, Debug)]
pub(crate) struct Said {
    pub(crate) place: Place,
    pub(crate) whose: Whose,
    pub(crate) key: NodeKey,
    /// Absent for a client that only visits.
    pub(crate) x25519: Option<MeshKey>,
    pub(crate) suites: Vec<SuiteName>,
    pub(crate) relays: Vec<NodeKey>,
    pub(crate) ways: Vec<Way>,
    pub(crate) services: BTreeMap<Name, ServiceSeen>,
}

/// A member of a private network, or a client that only visits.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) said: Said,
    pub(crate) since: Timestamp,
    pub(crate) heard: Timestamp,
    /// What it was called and where it was put, signed; absent for a client that only visits.
    pub(crate) paper: Option<(Membership, SealedPaper)>,
    /// When it was given a pass last.
    pub(crate) passed: Option<Timestamp>,
    /// Until when it has used its share of telling others.
    pub(crate) told_until: Timestamp,
}

impl Member {
    /// Whether it is time for another pass: an answer with one may get lost, more than once.
    pub(crate) fn is_pass_due(&self, now: Timestamp) -> bool {
        self.passed.is_none_or(|at| now.since(at) * 4 >= PASS_VALID_MAX)
    }

    fn is_paper_due(&self, now: Timestamp) -> bool {
        let issued = self.paper.as_ref().map(|(paper, _)| paper.issued.0);
        issued.is_some_and(|at| now.since(at) * 2 >= MEMBERSHIP_VALID_MAX)
    }
}

/// What a policy means, and the revision of which that is.
pub(crate) type CompiledAt = (u64, Arc<Compiled>);

/// One private network.
#[derive(Debug)]
pub(crate) struct Mesh {
    pub(crate) wanted: Arc<NetworkWanted>,
    pub(crate) made: Timestamp,
    /// The first revision there was of it.
    pub(crate) first: u64,
    /// Whether it was there before this server was: its members know each other already.
    pub(crate) is_known: bool,
    pub(crate) revision: watch::Sender<u64>,
    /// Whether something has changed that nobody was told yet.
    pub(crate) is_owed: bool,
    pub(crate) members: BTreeMap<Place, Member>,
    /// What the policy means for its members, as of a revision. Whoever works it out holds the lock: all others, who
    /// are woken at the same moment, wait for that.
    pub(crate) compiled: Arc<Mutex<Option<CompiledAt>>>,
}

impl Mesh {
    pub(crate) fn new(wanted: NetworkWanted, first: u64, now: Timestamp) -> Self {
        Self {
            wanted: Arc::new(wanted),
            made: now,
            first,
            is_known: false,
            revision: watch::channel(first).0,
            is_owed: false,
            members: BTreeMap::new(),
            compiled: Arc::default(),
        }
    }

    /// A member says how it does. Whether others are to hear of it now.
    pub(crate) fn hear(
        &mut self,
        said: Said,
        serial: u64,
        key: &SigningKey,
        now: Timestamp,
    ) -> Result<bool, NotHeard> {
        let said = self.bounded(said);
        self.may_be(&said)?;
        let known = self.members.get(&said.place);
        let is_same = |known: &&Member| is_same_member(&known.said, &said);
        let kept = known.filter(is_same).filter(|known| !known.is_paper_due(now));
        let is_news = kept.is_none_or(|known| known.said.services != said.services);
        let paper = match kept.map(|known| known.paper.clone()) {
            Some(paper) => paper,
            None => self.sign(&said, serial, key, now)?,
        };
        let since = known.filter(is_same).map_or(now, |known| known.since);
        let passed = known.filter(is_same).and_then(|known| known.passed);
        let was_member = known.is_some_and(|known| known.paper.is_some());
        let is_told = is_news && (was_member || paper.is_some());
        let told_until = known.map_or(now, |known| known.told_until).max(now);
        let is_now = is_told && told_until.since(now) < TELLS_AHEAD;
        let told_until = if is_now { told_until.after(TELLS_EACH) } else { told_until };
        self.is_owed |= is_told && !is_now;
        let member = Member { said, since, heard: now, paper, passed, told_until };
        self.members.insert(member.said.place, member);
        Ok(is_now)
    }

    /// What it said, as far as it is kept.
    fn bounded(&self, mut said: Said) -> Said {
        let cut = |text: &mut String| text.truncate(text.floor_char_boundary(MESH_WORDS_BYTES_MAX));
        said.relays.truncate(MEMBER_RELAYS_MAX);
        said.suites.truncate(SUITES_MAX);
        said.ways.truncate(WAYS_MAX);
        said.ways.iter_mut().for_each(|way| cut(&mut way.why));
        let services = &self.wanted.services;
        let is_its = |label: &Name| {
            services.get(label).is_some_and(|it| said.place == Place::Node(it.record.node))
        };
        said.services.retain(|label, _| is_its(label));
        for service in said.services.values_mut() {
            service.at.truncate(SERVED_AT_MAX);
            service.why.iter_mut().for_each(cut);
        }
        said
    }

    /// Refuses who has no place here, and keys that another member has.
    fn may_be(&self, said: &Said) -> Result<(), NotHeard> {
        let has_seat = match (said.place, said.whose) {
            (Place::Node(node), Whose::Machine(worker)) => {
                self.wanted.seats.get(&node).is_some_and(|(seated, _)| *seated == worker)
            }
            (Place::Client(_), Whose::Person { .. }) => self.wanted.project.is_some(),
            (Place::Node(_), Whose::Person { .. }) | (Place::Client(_), Whose::Machine(_)) => false,
        };
        if !has_seat {
            return Err(NotHeard::NotWanted);
        }
        let others = || self.members.iter().filter(|(place, _)| **place != said.place);
        let has_key = |other: &Said| {
            other.key == said.key || (said.x25519.is_some() && other.x25519 == said.x25519)
        };
        if others().any(|(_, other)| has_key(&other.said)) {
            return Err(NotHeard::KeyTaken);
        }
        let is_client = |place: &Place| matches!(place, Place::Client(_));
        let clients = others().filter(|(place, _)| is_client(place)).count();
        if is_client(&said.place) && clients >= MESH_CLIENTS_MAX {
            return Err(NotHeard::Full);
        }
        Ok(())
    }

    /// Its membership, under the name and the address that it has or gets.
    fn sign(
        &self,
        said: &Said,
        serial: u64,
        key: &SigningKey,
        now: Timestamp,
    ) -> Result<Option<(Membership, SealedPaper)>, PaperRefused> {
        let Some(x25519) = said.x25519 else { return Ok(None) };
        let (name, at) = match said.place {
            Place::Node(0) => ("head".to_owned(), MESH_V4_NODES_AT),
            Place::Node(node) => {
                let at = MESH_V4_NODES_AT.saturating_add(u16::try_from(node).unwrap_or(u16::MAX));
                (format!("node-{node}"), at)
            }
            Place::Client(key) => self.client_place(&key),
        };
        let mesh = self.wanted.mesh;
        let (groups, tags) = match said.place {
            Place::Node(0) => ("group:nodes", Some("tag:head")),
            Place::Node(_) => ("group:nodes", Some("tag:worker")),
            Place::Client(_) => ("group:clients", None),
        };
        let paper = Membership {
            mesh,
            node: said.key,
            x25519,
            name: name.parse().expect("a short word of small letters"),
            v4: mesh_v4(mesh, at).expect("an order has at most 1,024 nodes"),
            v6: mesh_v6(mesh, &said.key),
            groups: BTreeSet::from([groups.to_owned()]),
            tags: tags.map(ToOwned::to_owned).into_iter().collect(),
            suites: said.suites.clone(),
            relays: said.relays.clone(),
            serial,
            issued: Time(now),
            expires: Time(now.after(MEMBERSHIP_VALID_MAX)),
        };
        let sealed = SealedPaper::seal(&paper, key)?;
        Ok(Some((paper, sealed)))
    }

    /// The name and the place that a client has, or the first ones that are free.
    fn client_place(&self, key: &NodeKey) -> (String, u16) {
        let block = mesh_v4(self.wanted.mesh, 0).expect("a block has a first address").to_bits();
        let own = self.members.get(&Place::Client(*key)).and_then(|known| known.paper.as_ref());
        if let Some((paper, _)) = own {
            let at = u16::try_from(paper.v4.to_bits() - block).expect("a block has 4,096 places");
            return (paper.name.to_string(), at);
        }
        let papers = || self.members.values().filter_map(|member| member.paper.as_ref());
        let names: BTreeSet<&str> = papers().map(|(paper, _)| paper.name.text()).collect();
        let taken: BTreeSet<u32> = papers().map(|(paper, _)| paper.v4.to_bits()).collect();
        let name = (1..).map(|number| format!("client-{number}"));
        let name = name.into_iter().find(|name| !names.contains(name.as_str()));
        let first = u16::from_be_bytes([key.0[0], key.0[1]]) % CLIENT_PLACES;
        let places = (0..CLIENT_PLACES).map(|step| (first + step) % CLIENT_PLACES);
        let free = |at: &u16| !taken.contains(&(block + u32::from(MESH_V4_CLIENTS_AT + at)));
        let at = places.into_iter().find(free).expect("there are more places than clients");
        (name.expect("numbers do not end"), MESH_V4_CLIENTS_AT + at)
    }

    /// Whether members that know each other are still telling a server that has just begun who they are.
    pub(crate) fn gathers(&self, now: Timestamp) -> bool {
        let age = now.since(self.made);
        let has_come = |node: &u32| self.members.contains_key(&Place::Node(*node));
        let all = self.wanted.seats.keys().all(has_come);
        self.is_known && (age < super::GATHERS_MIN || (!all && age < super::GATHERS_MAX))
    }

    /// The brain wants something else: who has no place any more is out. Whether anything is other than it was.
    pub(crate) fn want(
        &mut self,
        wanted: NetworkWanted,
        is_let_in: impl Fn(Whose) -> bool,
    ) -> bool {
        let is_other = *self.wanted != wanted;
        if is_other {
            self.wanted = Arc::new(wanted);
        }
        let seats = Arc::clone(&self.wanted);
        let count = self.members.len();
        self.members.retain(|place, member| match (place, member.said.whose) {
            (Place::Node(node), Whose::Machine(worker)) => {
                seats.seats.get(node).is_some_and(|(seated, _)| *seated == worker)
            }
            (Place::Client(_), whose) => is_let_in(whose),
            (Place::Node(_), Whose::Person { .. }) => false,
        });
        is_other || self.members.len() != count
    }

    /// Memberships of all members: nodes by number, then clients.
    pub(crate) fn papers(&self) -> impl Iterator<Item = (&Member, &Membership, &SealedPaper)> {
        self.members.values().filter_map(|member| {
            member.paper.as_ref().map(|(paper, sealed)| (member, paper, sealed))
        })
    }

    /// Where a service stands, as its node says.
    pub(crate) fn seen(&self, label: &Name, node: u32) -> Option<(&Member, Option<&ServiceSeen>)> {
        let member = self.members.get(&Place::Node(node))?;
        Some((member, member.said.services.get(label)))
    }

    /// Relays that serve something of it, as its nodes say.
    pub(crate) fn served_at(&self) -> BTreeSet<NodeKey> {
        let services = self.members.values().flat_map(|member| member.said.services.values());
        services.flat_map(|service| &service.at).map(|ServedAt { relay, .. }| *relay).collect()
    }
}

/// Whether what others know of a member is the same.
fn is_same_member(one: &Said, other: &Said) -> bool {
    let shown = |it: &Said| (it.key, it.x25519, it.suites.clone(), it.relays.clone());
    one.whose == other.whose && shown(one) == shown(other)
}
