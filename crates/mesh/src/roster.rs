//! Who belongs to our private networks, by verified membership records, and what that makes of our peers.
//!
//! Whoever calls has verified the records: their signatures, their times and their limits.
//!
//! # Invariants
//! - Of two records of one node in one network, the one with the higher serial holds; a record that ended does not.
//! - A node that is in several networks with us is one peer with the addresses of all of them.
//! - A change touches only the peers that it concerns: the others' sessions never notice.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use units::{MeshId, Timestamp};

use crate::key::{PresharedKey, PublicKey};
use crate::path::{CallSign, Policy};
use crate::peer::{Contact, PeerConfig};
use crate::routes::Prefix;
use crate::suite::Suite;

/// How many members all our networks may have: their keys and addresses are some 20 MB.
pub const MEMBERS_MAX: usize = 65_536;

/// What a membership record says of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// The private network.
    pub mesh: MeshId,
    /// What relays call the node: the call sign of its node key.
    pub sign: CallSign,
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
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Forget a peer.
    Remove(PublicKey),
    /// Add a peer, or change it.
    Set(PeerConfig),
}

/// The members that are known.
#[derive(Debug)]
pub struct Roster {
    me: CallSign,
    policy: Policy,
    members: BTreeMap<(MeshId, CallSign), Member>,
    peers: BTreeMap<PublicKey, PeerConfig>,
}

impl Roster {
    /// A roster of the node `me`, which uses ways to others by `policy`.
    pub const fn new(me: CallSign, policy: Policy) -> Self {
        Self { me, policy, members: BTreeMap::new(), peers: BTreeMap::new() }
    }

    /// The records that hold for `mesh`, all of them: who is not named is no longer a member. Says what changes.
    pub fn on_members(
        &mut self,
        mesh: MeshId,
        members: Vec<Member>,
        now: Timestamp,
    ) -> Vec<Change> {
        let named: Vec<CallSign> = members.iter().map(|member| member.sign).collect();
        self.members.retain(|(of, sign), _| *of != mesh || named.contains(sign));
        for member in members.into_iter().filter(|member| member.mesh == mesh) {
            let known = self.members.get(&(mesh, member.sign));
            let newer = known.is_none_or(|known| known.serial < member.serial);
            let room = known.is_some() || self.members.len() < MEMBERS_MAX;
            if newer && room {
                self.members.insert((mesh, member.sign), member);
            }
        }
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
        self.members.values().any(|member| member.sign == self.me && member.opens_fast)
    }

    /// The member of a network that has an address.
    pub fn owner(&self, ip: IpAddr) -> Option<&Member> {
        self.members.values().find(|member| member.addresses.contains(&ip))
    }

    /// One peer for each key of somebody else. Who changed its key is told apart by the newest record of it.
    fn wanted(&self) -> BTreeMap<PublicKey, PeerConfig> {
        let mut peers: BTreeMap<PublicKey, PeerConfig> = BTreeMap::new();
        for member in self.members.values().filter(|member| member.sign != self.me) {
            let peer = peers.entry(member.key).or_insert_with(|| self.peer(member));
            let blocks = member.addresses.iter().filter_map(|ip| host(*ip));
            let fresh: Vec<Prefix> = blocks.filter(|block| !peer.allowed.contains(block)).collect();
            peer.allowed.extend(fresh);
        }
        peers
    }

    fn peer(&self, member: &Member) -> PeerConfig {
        let (sign, relays) = (member.sign, member.relays.clone());
        PeerConfig {
            key: member.key,
            preshared: PresharedKey::default(),
            endpoint: None,
            allowed: Vec::new(),
            keepalive_every: None::<Duration>,
            suite: if member.opens_fast { Suite::Fast } else { Suite::Standard },
            contact: Some(Contact { sign, relays, policy: self.policy }),
        }
    }
}

/// The block of one address.
fn host(ip: IpAddr) -> Option<Prefix> {
    Prefix::new(ip, if ip.is_ipv4() { 32 } else { 128 })
}
