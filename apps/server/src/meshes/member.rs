//! One private network as its members have told of it, held against what the brain wants of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use control::NetworkWanted;
use ed25519_dalek::SigningKey;
use tokio::sync::{Semaphore, watch};
use units::{AccountId, KeyId, Name, Timestamp, WorkerId};
use wire::paper::{
    MEMBER_RELAYS_MAX, MEMBERSHIP_VALID_MAX, MESH_V4_CLIENTS_AT, MESH_V4_NODES_AT, Membership,
    MeshKey, NodeKey, PASS_VALID_MAX, PaperRefused, SealedPaper, SuiteName, mesh_v4, mesh_v6,
};
use wire::{ServedAt, ServiceSeen, Time, WAYS_MAX, Way};

use super::gone::Gone;
use super::worked::Worked;
use super::{NetworkOf, NotHeard};
use crate::clock::random;
use crate::limits::{
    MESH_CLIENTS_MAX, MESH_CLIENTS_OF_ACCOUNT_MAX, MESH_WORDS_BYTES_MAX, OPERATOR_MEMBERS_MAX,
    SERVED_AT_MAX,
};

/// Suites there are.
const SUITES_MAX: usize = 2;
/// Places of a mesh's block that clients have.
const CLIENT_PLACES: u16 = (1 << 12) - MESH_V4_CLIENTS_AT;

const _: () = assert!(
    MESH_CLIENTS_MAX <= OPERATOR_MEMBERS_MAX && OPERATOR_MEMBERS_MAX < CLIENT_PLACES as usize,
    "each has an address of its own"
);

/// Numbers in JSON have 53 bits.
const EPOCH_SPARE_BITS: u32 = 64 - 53;

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
    /// A person, who has come with this key, and until when that opens anything.
    Person { account: AccountId, key: KeyId, until: Option<Timestamp> },
}

impl Whose {
    /// The key that it has come with.
    pub(crate) const fn key(self) -> Option<KeyId> {
        match self {
            Self::Machine(_) => None,
            Self::Person { key, .. } => Some(key),
        }
    }

    /// Whether it came with a key that opens nothing any more.
    fn is_over(self, now: Timestamp) -> bool {
        match self {
            Self::Machine(_) => false,
            Self::Person { until, .. } => until.is_some_and(|until| until <= now),
        }
    }
}

/// What one of the operator's machines asks to be called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Called {
    pub(crate) name: Name,
    pub(crate) tags: BTreeSet<Name>,
}

/// What a member says of itself.
#[derive(Clone, Debug)]
pub(crate) struct Said {
    pub(crate) place: Place,
    pub(crate) whose: Whose,
    /// What one of the operator's machines asks to be called; others are called what they are.
    pub(crate) called: Option<Called>,
    pub(crate) key: NodeKey,
    pub(crate) x25519: MeshKey,
    /// The last membership that it was given, as it says: by its serial a server goes on whose clock was set back.
    pub(crate) shows: Option<SealedPaper>,
    pub(crate) suites: Vec<SuiteName>,
    pub(crate) relays: Vec<NodeKey>,
    pub(crate) ways: Vec<Way>,
    pub(crate) services: BTreeMap<Name, ServiceSeen>,
}

/// A member of a private network.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) said: Said,
    pub(crate) since: Timestamp,
    pub(crate) heard: Timestamp,
    /// What it was called and where it was put.
    pub(crate) paper: Arc<Membership>,
    /// The same, signed.
    pub(crate) sealed: Arc<SealedPaper>,
    /// When it was given a pass last.
    pub(crate) passed: Option<Timestamp>,
    /// Until when it has used its share of telling others.
    pub(crate) told_until: Timestamp,
}

impl Member {
    /// Whether it is time for another pass: an answer with one may get lost, more than once.
    pub(crate) fn is_pass_due(&self, now: Timestamp) -> bool {
        self.passed.is_none_or(|at| at > now || now.since(at) * 4 >= PASS_VALID_MAX)
    }

    /// Whether it is time for another membership. Nobody believes one of a time to come, which was made while this
    /// server's clock was ahead.
    fn is_paper_due(&self, now: Timestamp) -> bool {
        let issued = self.paper.issued.0;
        issued > now || now.since(issued) * 2 >= MEMBERSHIP_VALID_MAX
    }
}

/// One private network.
#[derive(Debug)]
pub(crate) struct Mesh {
    pub(crate) of: NetworkOf,
    pub(crate) wanted: Arc<NetworkWanted>,
    pub(crate) made: Timestamp,
    /// By chance, so that no other server's revisions are taken for those of this one.
    pub(crate) epoch: u64,
    /// The first revision that members were told: what one knows that is older, a server before this one told.
    pub(crate) first: u64,
    /// Whether it was there before this server was: its members know each other already.
    pub(crate) is_known: bool,
    pub(crate) revision: watch::Sender<u64>,
    /// Whether something has changed that nobody was told yet.
    pub(crate) is_owed: bool,
    pub(crate) members: BTreeMap<Place, Member>,
    /// Who went.
    pub(crate) gone: Gone,
    /// What all members are told alike, as of a revision. Whoever works it out holds the lock: all others, who are
    /// woken at the same moment, wait for that.
    pub(crate) worked: Arc<Mutex<Option<Worked>>>,
    /// The turn of who has papers of it made: one at a time, so that those who wait for what is worked out take no
    /// places of other networks.
    pub(crate) turn: Arc<Semaphore>,
}

impl Mesh {
    pub(crate) fn new(
        (of, wanted): (NetworkOf, NetworkWanted),
        first: u64,
        now: Timestamp,
    ) -> Self {
        Self {
            of,
            wanted: Arc::new(wanted),
            made: now,
            epoch: u64::from_le_bytes(random()) >> EPOCH_SPARE_BITS,
            first,
            is_known: false,
            revision: watch::channel(first).0,
            is_owed: false,
            members: BTreeMap::new(),
            gone: Gone::beginning_with(first),
            worked: Arc::default(),
            turn: Arc::new(Semaphore::new(1)),
        }
    }

    /// Tells everybody in it that something is other than it was.
    pub(crate) fn bump(&mut self, serial: u64) {
        self.is_owed = false;
        self.revision.send_modify(|newest| *newest = serial.max(newest.saturating_add(1)));
    }

    /// A member says how it does, and which revision it was told last. Others are told, if it is news for them.
    pub(crate) fn hear(
        &mut self,
        said: Said,
        (serial, known): (u64, Option<u64>),
        key: &SigningKey,
        now: Timestamp,
    ) -> Result<(), NotHeard> {
        // A clock that went back would have members wait for others until it is there again.
        self.made = self.made.min(now);
        let said = self.bounded(said);
        let shown = self.shown(&said, key);
        let said = Said { shows: None, ..said };
        self.may_be(&said)?;
        if let Some(paper) = shown {
            self.catch_up(paper.serial, known);
        }
        let serial = serial.max(self.revision.borrow().saturating_add(1));
        let known =
            self.members.get(&said.place).filter(|known| is_same_member(&known.said, &said));
        let kept = known.filter(|known| !known.is_paper_due(now));
        let is_told = kept.is_none_or(|known| known.said.services != said.services);
        let (paper, sealed) = match kept {
            Some(known) => (Arc::clone(&known.paper), Arc::clone(&known.sealed)),
            None => self.sign(&said, serial, key, now)?,
        };
        let (since, passed) = known.map_or((now, None), |known| (known.since, known.passed));
        let told_until = self.members.get(&said.place).map_or(now, |known| known.told_until);
        // One that is further ahead was set while the clock was.
        let is_sound = told_until < now.after(TELLS_AHEAD + TELLS_EACH);
        let told_until = if is_sound { told_until.max(now) } else { now };
        let is_now = is_told && told_until.since(now) < TELLS_AHEAD;
        let told_until = if is_now { told_until.after(TELLS_EACH) } else { told_until };
        self.is_owed |= is_told && !is_now;
        let key = said.key;
        let member = Member { said, since, heard: now, paper, sealed, passed, told_until };
        let before = self.members.insert(member.said.place, member);
        if let Some(other) = before.filter(|before| before.said.key != key) {
            self.gone.goes(other.said.key, *self.revision.borrow());
        }
        if is_now {
            self.bump(serial);
        }
        Ok(())
    }

    /// The membership of this network with the keys that it names, if it shows one, of whatever time.
    fn shown(&self, said: &Said, key: &SigningKey) -> Option<Membership> {
        let network = NodeKey(key.verifying_key().to_bytes());
        let paper: Membership = said.shows.as_ref()?.open_of_any_time(&network).ok()?;
        let keys = (paper.mesh, paper.node, paper.x25519);
        (keys == (self.wanted.mesh, said.key, said.x25519)).then_some(paper)
    }

    /// A member shows a membership of a serial that is yet to come: it was made while a server's clock was ahead.
    /// Members believe no older papers than they have, so that revisions go on from there.
    fn catch_up(&mut self, serial: u64, known: Option<u64>) {
        if serial <= *self.revision.borrow() {
            return;
        }
        // The policy that it holds may be newer than its membership, by what nobody has signed for: not by more than a
        // membership holds.
        let ahead = u64::try_from(MEMBERSHIP_VALID_MAX.as_millis()).unwrap_or(u64::MAX);
        let newest = known.unwrap_or(serial).clamp(serial, serial.saturating_add(ahead));
        self.first = newest.saturating_add(1);
        self.revision.send_replace(self.first);
    }

    /// What it said, as far as it is kept.
    fn bounded(&self, mut said: Said) -> Said {
        let cut = |text: &mut String| {
            text.retain(is_plain);
            text.truncate(text.floor_char_boundary(MESH_WORDS_BYTES_MAX));
        };
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
            (Place::Client(_), Whose::Person { .. }) => match self.of {
                NetworkOf::Operator => said.called.is_some(),
                NetworkOf::Rental(_) => self.wanted.project.is_some() && said.called.is_none(),
            },
            (Place::Node(_), Whose::Person { .. }) | (Place::Client(_), Whose::Machine(_)) => false,
        };
        if !has_seat {
            return Err(NotHeard::NotWanted);
        }
        let others = || self.members.iter().filter(|(place, _)| **place != said.place);
        let has_key = |other: &Said| other.key == said.key || other.x25519 == said.x25519;
        if others().any(|(_, other)| has_key(&other.said)) {
            return Err(NotHeard::KeyTaken);
        }
        let has_name = |called: &Called| others().any(|(_, other)| other.paper.name == called.name);
        if said.called.as_ref().is_some_and(has_name) {
            return Err(NotHeard::NameTaken);
        }
        self.has_room(said)
    }

    /// Refuses one more than there may be.
    fn has_room(&self, said: &Said) -> Result<(), NotHeard> {
        let Whose::Person { account, .. } = said.whose else { return Ok(()) };
        let others = || self.members.values().filter(|other| other.said.place != said.place);
        let is_client = |other: &&Member| matches!(other.said.place, Place::Client(_));
        let is_of_account = |other: &&Member| match other.said.whose {
            Whose::Person { account: of, .. } => of == account,
            Whose::Machine(_) => false,
        };
        let (clients, mine) =
            (others().filter(is_client).count(), others().filter(is_of_account).count());
        let full = |what, max| Err(NotHeard::Full { what, max });
        match self.of {
            NetworkOf::Operator if clients >= OPERATOR_MEMBERS_MAX => {
                full("members of the operator's network", OPERATOR_MEMBERS_MAX)
            }
            NetworkOf::Rental(_) if clients >= MESH_CLIENTS_MAX => {
                full("clients of a rental", MESH_CLIENTS_MAX)
            }
            NetworkOf::Rental(_) if mine >= MESH_CLIENTS_OF_ACCOUNT_MAX => {
                full("clients of one person in a rental", MESH_CLIENTS_OF_ACCOUNT_MAX)
            }
            NetworkOf::Operator | NetworkOf::Rental(_) => Ok(()),
        }
    }

    /// Its membership, under the name and the address that it has or gets.
    fn sign(
        &self,
        said: &Said,
        serial: u64,
        key: &SigningKey,
        now: Timestamp,
    ) -> Result<(Arc<Membership>, Arc<SealedPaper>), PaperRefused> {
        let (name, at) = match (said.place, &said.called) {
            (Place::Node(0), _) => ("head".to_owned(), MESH_V4_NODES_AT),
            (Place::Node(node), _) => {
                let at = MESH_V4_NODES_AT.saturating_add(u16::try_from(node).unwrap_or(u16::MAX));
                (format!("node-{node}"), at)
            }
            (Place::Client(key), Some(called)) => {
                (called.name.to_string(), self.address_place(&key))
            }
            (Place::Client(key), None) => (self.client_name(&key), self.address_place(&key)),
        };
        let mesh = self.wanted.mesh;
        let its_tags = said.called.iter().flat_map(|called| &called.tags);
        let (group, tags): (_, BTreeSet<String>) = match (said.place, &said.called) {
            (Place::Node(0), _) => (Some("group:nodes"), ["tag:head".to_owned()].into()),
            (Place::Node(_), _) => (Some("group:nodes"), ["tag:worker".to_owned()].into()),
            (Place::Client(_), None) => (Some("group:clients"), BTreeSet::new()),
            (Place::Client(_), Some(_)) => {
                (None, its_tags.map(|tag| format!("tag:{tag}")).collect())
            }
        };
        let paper = Membership {
            mesh,
            node: said.key,
            x25519: said.x25519,
            name: name.parse().expect("a short word of small letters"),
            v4: mesh_v4(mesh, at).expect("an order has at most 1,024 nodes"),
            v6: mesh_v6(mesh, &said.key),
            groups: group.map(ToOwned::to_owned).into_iter().collect(),
            tags,
            suites: said.suites.clone(),
            relays: said.relays.clone(),
            serial,
            issued: Time(now),
            expires: Time(now.after(MEMBERSHIP_VALID_MAX)),
        };
        let sealed = SealedPaper::seal(&paper, key)?;
        Ok((Arc::new(paper), Arc::new(sealed)))
    }

    /// The name that a client has, or the first that is free.
    fn client_name(&self, key: &NodeKey) -> String {
        if let Some(own) = self.members.get(&Place::Client(*key)) {
            return own.paper.name.to_string();
        }
        let names: BTreeSet<&str> =
            self.members.values().map(|member| member.paper.name.text()).collect();
        let mut free = (1..).map(|number| format!("client-{number}"));
        free.find(|name| !names.contains(name.as_str())).expect("numbers do not end")
    }

    /// The place of its IPv4 address that a client has, or the first that is free.
    fn address_place(&self, key: &NodeKey) -> u16 {
        let block = mesh_v4(self.wanted.mesh, 0).expect("a block has a first address").to_bits();
        let place = |paper: &Membership| paper.v4.to_bits() - block;
        if let Some(own) = self.members.get(&Place::Client(*key)) {
            return u16::try_from(place(&own.paper)).expect("a block has 4,096 places");
        }
        let taken: BTreeSet<u32> =
            self.members.values().map(|member| place(&member.paper)).collect();
        let first = u16::from_be_bytes([key.0[0], key.0[1]]) % CLIENT_PLACES;
        let mut places =
            (0..CLIENT_PLACES).map(|step| MESH_V4_CLIENTS_AT + (first + step) % CLIENT_PLACES);
        places.find(|at| !taken.contains(&u32::from(*at))).expect("there are more than clients")
    }

    /// Forgets clients that ask no more, and those whose key has expired. Whether there were any.
    pub(crate) fn drop_silent(&mut self, now: Timestamp) -> bool {
        self.keep(|place, member| match place {
            Place::Node(_) => true,
            Place::Client(_) => {
                now.since(member.heard) < PASS_VALID_MAX && !member.said.whose.is_over(now)
            }
        })
    }

    /// A client leaves. Whether it was there.
    pub(crate) fn leaves(&mut self, client: NodeKey) -> bool {
        self.keep(|place, _| *place != Place::Client(client))
    }

    /// Keeps those members alone of which this holds. Whether others were there.
    fn keep(&mut self, which: impl Fn(&Place, &Member) -> bool) -> bool {
        let revision = *self.revision.borrow();
        let count = self.members.len();
        let gone = self.members.extract_if(.., |place, member| !which(place, member));
        gone.for_each(|(_, member)| self.gone.goes(member.said.key, revision));
        self.members.len() != count
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
        is_let_in: impl Fn(KeyId) -> bool,
    ) -> bool {
        let is_other = *self.wanted != wanted;
        if is_other {
            self.wanted = Arc::new(wanted);
        }
        let seats = Arc::clone(&self.wanted);
        let has_gone = self.keep(|place, member| match (place, member.said.whose) {
            (Place::Node(node), Whose::Machine(worker)) => {
                seats.seats.get(node).is_some_and(|(seated, _)| *seated == worker)
            }
            (Place::Client(_), Whose::Person { key, .. }) => is_let_in(key),
            (Place::Node(_), Whose::Person { .. }) | (Place::Client(_), Whose::Machine(_)) => false,
        });
        is_other || has_gone
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
    let who = |it: &Said| (it.whose, it.key, it.x25519);
    let how =
        (&one.called, &one.suites, &one.relays) == (&other.called, &other.suites, &other.relays);
    who(one) == who(other) && how
}

/// Whether a character stands for itself: no control, and nothing that turns what follows around. What members say is
/// shown in terminals.
fn is_plain(letter: char) -> bool {
    let turns = matches!(letter, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}');
    !letter.is_control() && !turns
}
