//! Who belongs to our private networks, by verified membership records, and what that makes of our peers.
//!
//! Whoever calls has verified the records: their signatures, their times and their limits.
//!
//! # Invariants
//! - Of two records of one node in one network, the one with the higher serial holds; a record that ended does not.
//! - A node that is in several networks with us is one peer with the addresses of all of them.
//! - A change touches only the peers that it concerns: the others' sessions never notice.
//! - A key and a call sign belong to one node each. Who names one that another has is left out, and told of.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use units::{MeshId, Timestamp};

use crate::cover::Cover;
use crate::key::{PresharedKey, PublicKey};
use crate::path::{CallSign, Policy};
use crate::peer::{Contact, PeerConfig};
use crate::policy::Rule;
use crate::routes::Prefix;
use crate::suite::Suite;
use crate::terms::Terms;

/// How many members all our networks may have: their keys and addresses are some 20 MB.
pub const MEMBERS_MAX: usize = 65_536;

/// What a membership record says of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// The private network.
    pub mesh: MeshId,
    /// The node's own key (ed25519).
    pub node: [u8; 32],
    /// The key that packets to it are sealed for.
    pub key: PublicKey,
    /// Its addresses.
    pub addresses: Vec<IpAddr>,
    /// Whether it opens [`Suite::Fast`].
    pub opens_fast: bool,
    /// Call signs of relays that it is reached through.
    pub relays: Vec<CallSign>,
    /// Which record this is, of all that were made for the node.
    pub serial: u64,
    /// From when on it no longer holds.
    pub expires: Timestamp,
}

/// What is to be changed of the peers.
#[expect(
    clippy::large_enum_variant,
    reason = "changes are few, and taken as soon as they are made"
)]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Forget a peer.
    Remove(PublicKey),
    /// Add a peer, or change it.
    Set(PeerConfig),
}

/// A member that is left out, because what its record names belongs to another node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Contested {
    /// Of which private network.
    pub mesh: MeshId,
    /// Who is left out, by its node key.
    pub node: [u8; 32],
    /// Who has the key or the call sign, by its node key.
    pub holder: [u8; 32],
}

/// The members that are known.
#[derive(Debug)]
pub struct Roster {
    me: [u8; 32],
    policy: Policy,
    members: BTreeMap<(MeshId, [u8; 32]), Member>,
    peers: BTreeMap<PublicKey, PeerConfig>,
    holders: Holders,
    contested: Vec<Contested>,
    terms: Terms,
}

/// Which node has a key or a call sign.
#[derive(Debug, Default)]
struct Holders {
    keys: BTreeMap<PublicKey, [u8; 32]>,
    signs: BTreeMap<CallSign, [u8; 32]>,
}

impl Member {
    /// What relays call the node.
    pub fn sign(&self) -> CallSign {
        CallSign::of_node(&self.node)
    }
}

impl Roster {
    /// A roster of the node with the node key `me`, which uses ways to others by `policy`.
    pub fn new(me: [u8; 32], policy: Policy) -> Self {
        let holders = Holders::default();
        let (members, peers) = (BTreeMap::new(), BTreeMap::new());
        Self { me, policy, members, peers, holders, contested: Vec::new(), terms: Terms::default() }
    }

    /// Who is left out at the moment, because another has what it names: somebody should be told.
    pub fn contested(&self) -> &[Contested] {
        &self.contested
    }

    /// The records that hold for `mesh`, all of them: who is not named is no longer a member. Says what changes.
    pub fn on_members(
        &mut self,
        mesh: MeshId,
        members: Vec<Member>,
        now: Timestamp,
    ) -> Vec<Change> {
        let named: BTreeSet<[u8; 32]> = members.iter().map(|member| member.node).collect();
        self.members.retain(|(of, node), _| *of != mesh || named.contains(node));
        for member in members.into_iter().filter(|member| member.mesh == mesh) {
            let known = self.members.get(&(mesh, member.node));
            let newer = known.is_none_or(|known| known.serial < member.serial);
            let room = known.is_some() || self.members.len() < MEMBERS_MAX;
            if newer && room {
                self.members.insert((mesh, member.node), member);
            }
        }
        self.on_wake(now)
    }

    /// The rules of `mesh`'s policy for this node, all of them: what they say about cover, and about members that
    /// packets go through, becomes part of peers. Says what changes.
    pub fn on_rules(&mut self, mesh: MeshId, rules: Vec<Rule>, now: Timestamp) -> Vec<Change> {
        self.terms.set(mesh, rules);
        self.on_wake(now)
    }

    /// Which peers are to be changed because records ended.
    pub fn on_wake(&mut self, now: Timestamp) -> Vec<Change> {
        self.members.retain(|_, member| now < member.expires);
        let wanted = self.wanted();
        let gone = self.peers.keys().filter(|key| !wanted.contains_key(key)).copied();
        let mut changes: Vec<Change> = gone.map(Change::Remove).collect();
        let differs = |(key, config): &(&PublicKey, &PeerConfig)| {
            self.peers.get(key).is_none_or(|known| known != *config)
        };
        let set = wanted.iter().filter(differs).map(|(_, config)| Change::Set(config.clone()));
        changes.extend(set);
        self.peers = wanted;
        changes
    }

    /// When [`Roster::on_wake`] next has something to do.
    pub fn wake_at(&self) -> Option<Timestamp> {
        self.members.values().map(|member| member.expires).min()
    }

    /// Whether we may open [`Suite::Fast`] by our own records: any of them says so.
    pub fn opens_fast(&self) -> bool {
        self.members.values().any(|member| member.node == self.me && member.opens_fast)
    }

    /// The member of a network that has an address.
    pub fn owner(&self, ip: IpAddr) -> Option<&Member> {
        self.members.values().find(|member| member.addresses.contains(&ip))
    }

    /// One peer for each key of somebody else. Who changed its key is told apart by the newest record of it.
    fn wanted(&mut self) -> BTreeMap<PublicKey, PeerConfig> {
        self.holders = self.holders.of(&self.me, self.members.values());
        self.contested.clear();
        let mut peers: BTreeMap<PublicKey, PeerConfig> = BTreeMap::new();
        for member in self.members.values() {
            let holder = self.holders.other_than(member);
            if let Some(holder) = holder {
                let Member { mesh, node, .. } = *member;
                self.contested.push(Contested { mesh, node, holder });
            }
            if member.node == self.me || holder.is_some() {
                continue;
            }
            let peer = peers.entry(member.key).or_insert_with(|| self.peer(member));
            let blocks = member.addresses.iter().filter_map(|ip| host(*ip));
            let fresh: Vec<Prefix> = blocks.filter(|block| !peer.allowed.contains(block)).collect();
            peer.allowed.extend(fresh);
        }
        self.terms.apply(&self.me, &self.members.values(), &mut peers);
        peers
    }

    fn peer(&self, member: &Member) -> PeerConfig {
        let (sign, relays) = (member.sign(), member.relays.clone());
        PeerConfig {
            key: member.key,
            preshared: PresharedKey::default(),
            endpoint: None,
            allowed: Vec::new(),
            keepalive_every: None::<Duration>,
            suite: if member.opens_fast { Suite::Fast } else { Suite::Standard },
            contact: Some(Contact { sign, relays, policy: self.policy, ..Contact::default() }),
            cover: Cover::None,
        }
    }
}

impl Holders {
    /// Who has what: we ourselves, those who had it and name it still, and then the first who name it.
    fn of<'m>(&self, me: &[u8; 32], members: impl Iterator<Item = &'m Member> + Clone) -> Self {
        let mut holders = Self::default();
        let had = |member: &&Member| {
            let held = self.keys.get(&member.key) == Some(&member.node)
                && self.signs.get(&member.sign()) == Some(&member.node);
            held || member.node == *me
        };
        let new = |member: &&Member| !had(member);
        for member in members.clone().filter(had).chain(members.filter(new)) {
            if holders.other_than(member).is_none() {
                holders.keys.insert(member.key, member.node);
                holders.signs.insert(member.sign(), member.node);
            }
        }
        holders
    }

    /// Who else has what a member names.
    fn other_than(&self, member: &Member) -> Option<[u8; 32]> {
        let holders = [self.keys.get(&member.key), self.signs.get(&member.sign())];
        holders.into_iter().flatten().find(|node| **node != member.node).copied()
    }
}

/// The block of one address.
fn host(ip: IpAddr) -> Option<Prefix> {
    Prefix::new(ip, if ip.is_ipv4() { 32 } else { 128 })
}
