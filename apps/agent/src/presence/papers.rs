//! What the control plane told a member of its network: every paper opened, and found to be for this member.
//!
//! # Invariants
//! - All of it is signed by the network's key as this side knows it, and holds now.
//! - What is about the member itself must be good; another member or a relay that is not is left out, and told of.
//! - What is told does not go back: who keeps papers of yesterday and shows them today is not believed.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use units::{MeshId, Timestamp};
use wire::paper::{
    Membership, MeshKey, NodeKey, Paper, PaperRefused, Pass, PolicyPaper, RelayRecord, SealedPaper,
};

use crate::tunnel::RelayAt;

/// For whom papers must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bearer {
    /// The private network.
    pub mesh: MeshId,
    /// The member.
    pub node: NodeKey,
    /// The key that packets to it are sealed for.
    pub x25519: MeshKey,
}

/// Of which revision a list of members is, and whether it has all of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listed {
    /// The revision.
    pub revision: u64,
    /// What tells it from another control plane's.
    pub epoch: u64,
    /// If only what is other than at this revision was told.
    pub since: Option<u64>,
    /// Who has gone since then.
    pub gone: Vec<NodeKey>,
}

/// What a control plane says, as it says it.
#[derive(Clone, Debug)]
pub struct Told {
    /// Which members it says that there are.
    pub listed: Listed,
    /// The member's own membership.
    pub membership: SealedPaper,
    /// What may pass at it, unless that is as it was.
    pub policy: Option<SealedPaper>,
    /// What it may do at relays.
    pub pass: SealedPaper,
    /// Memberships of all members, or of those that are others.
    pub members: Vec<SealedPaper>,
    /// Records of relays, best first.
    pub relays: Vec<SealedPaper>,
    /// By whom all of it should be signed.
    pub network_key: NodeKey,
}

/// What a member was told of its network.
#[derive(Clone, Debug)]
pub struct Papers {
    /// Its own membership.
    pub membership: Membership,
    /// What may pass at it.
    pub policy: PolicyPaper,
    /// Its pass, as it is shown to relays.
    pub pass: Vec<u8>,
    /// All members, its own membership included.
    pub members: Vec<Membership>,
    /// The revision and the epoch of which these are all members, if none of their papers was left out.
    pub complete: Option<(u64, u64)>,
    /// Relays, best first.
    pub relays: Vec<RelayRecord>,
    /// By whom all of it is signed.
    pub network: NodeKey,
}

/// Why a member cannot use what it was told. Checks run in the order of these variants.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// Another network signs.
    #[error(
        "the network signs with {found}, and this machine knows it by {known} \
         (hint: if its operator says that the key was changed, remove the file that holds the old one)"
    )]
    OtherNetwork {
        /// What signs.
        found: NodeKey,
        /// What is known.
        known: NodeKey,
    },
    /// A paper is worth nothing.
    #[error("its {kind} is worth nothing: {why}")]
    Refused {
        /// Which.
        kind: &'static str,
        /// Why.
        why: PaperRefused,
    },
    /// A paper is for somebody else.
    #[error("its {kind} is another member's")]
    Foreign {
        /// Which.
        kind: &'static str,
    },
    /// It is a difference from another list than the one that is held.
    #[error("what is told of members is since revision {since}, and that is not the one it has")]
    Elsewhere {
        /// The revision.
        since: u64,
    },
    /// A paper is not there, and none of before is meant.
    #[error("its {kind} is missing")]
    Missing {
        /// Which.
        kind: &'static str,
    },
    /// A paper is older than one that was told before and holds.
    #[error("its {kind} is older than the one it has: {told}, after {held}")]
    Older {
        /// Which.
        kind: &'static str,
        /// The number of the one it has.
        held: u64,
        /// The number of the one it was told.
        told: u64,
    },
}

impl Papers {
    /// Reads what was told, and makes a whole of it and what is held.
    ///
    /// # Errors
    /// The first thing that is wrong with what is about the member itself.
    pub fn read(
        told: &Told,
        network: NodeKey,
        (bearer, held): (&Bearer, Option<&Self>),
        now: Timestamp,
    ) -> Result<Self, Unfit> {
        if told.network_key != network {
            return Err(Unfit::OtherNetwork { found: told.network_key, known: network });
        }
        let membership: Membership = opened(&told.membership, &network, now)?;
        let is_mine = (membership.mesh, membership.node, membership.x25519)
            == (bearer.mesh, bearer.node, bearer.x25519);
        is_its(is_mine, Membership::KIND)?;
        let base = base(&told.listed, held)?;
        let policy: PolicyPaper = match (&told.policy, base) {
            (Some(told), _) => opened(told, &network, now)?,
            (None, Some(held)) => held.policy.clone(),
            (None, None) => return Err(Unfit::Missing { kind: PolicyPaper::KIND }),
        };
        is_its((policy.mesh, policy.node) == (bearer.mesh, bearer.node), PolicyPaper::KIND)?;
        let pass: Pass = opened(&told.pass, &network, now)?;
        is_its(pass.holder == bearer.node, Pass::KIND)?;
        let (members, complete) = all_members(told, (&network, bearer.mesh), base, now);
        Ok(Self {
            membership,
            policy,
            pass: told.pass.to_bytes(),
            members,
            complete,
            relays: those_that_hold(&told.relays, &network, now),
            network,
        })
    }

    /// These, if nothing in them is older than what is held and holds now.
    ///
    /// # Errors
    /// The first that is.
    pub fn after(self, held: &Self, now: Timestamp) -> Result<Self, Unfit> {
        if held.policy.expires.0 > now {
            in_order(PolicyPaper::KIND, held.policy.version, self.policy.version)?;
        }
        let of_mine = (&held.membership, &self.membership);
        let told: BTreeMap<NodeKey, &Membership> =
            self.members.iter().map(|member| (member.node, member)).collect();
        let of_others = held.members.iter().filter_map(|held| Some((held, *told.get(&held.node)?)));
        for (held, told) in [of_mine].into_iter().chain(of_others) {
            if held.expires.0 > now {
                in_order(Membership::KIND, held.serial, told.serial)?;
            }
        }
        Ok(self)
    }

    /// Whether they make their bearer a member now.
    pub fn hold(&self, now: Timestamp) -> bool {
        self.membership.expires.0 > now && self.policy.expires.0 > now
    }

    /// Relays, best first, and where each is.
    pub fn relays_at(&self) -> Vec<RelayAt> {
        relays_at(&self.relays)
    }

    /// Relays that lead to other members, and where each is.
    pub fn relays_of_peers(&self) -> Vec<RelayAt> {
        let known: BTreeMap<NodeKey, &RelayRecord> =
            self.relays.iter().map(|relay| (relay.relay, relay)).collect();
        let peers = self.members.iter().filter(|member| member.node != self.membership.node);
        let mut seen = BTreeSet::new();
        let keys = peers.flat_map(|peer| &peer.relays).filter(|key| seen.insert(**key));
        keys.filter_map(|key| known.get(key)).flat_map(|record| doors(record)).collect()
    }

    /// Where a relay takes packets, as its record says.
    pub fn udp_of(&self, relay: NodeKey) -> Vec<SocketAddr> {
        let record = self.relays.iter().find(|record| record.relay == relay);
        record.map(|record| record.udp.clone()).unwrap_or_default()
    }
}

/// Where these relays are dialed.
pub fn relays_at(relays: &[RelayRecord]) -> Vec<RelayAt> {
    relays.iter().flat_map(doors).collect()
}

/// Where a relay is dialed: its first address of each family, for who has only one of them. A relay that is gone is
/// not dialed at all it ever named.
fn doors(record: &RelayRecord) -> impl Iterator<Item = RelayAt> {
    let first = record.tcp.first().map(SocketAddr::is_ipv4);
    let other = record.tcp.iter().find(|address| Some(address.is_ipv4()) != first);
    let both = record.tcp.first().into_iter().chain(other);
    both.map(|address| RelayAt { key: record.relay, address: *address })
}

fn opened<P: Paper>(sealed: &SealedPaper, network: &NodeKey, now: Timestamp) -> Result<P, Unfit> {
    sealed.open(network, now).map_err(|why| Unfit::Refused { kind: P::KIND, why })
}

/// What is held, if what is told is a difference from that. Nothing if all is told.
fn base<'h>(listed: &Listed, held: Option<&'h Papers>) -> Result<Option<&'h Papers>, Unfit> {
    let Some(since) = listed.since else { return Ok(None) };
    let base = held.filter(|held| held.complete == Some((since, listed.epoch)));
    base.map(Some).ok_or(Unfit::Elsewhere { since })
}

/// All members of a network, and of which revision that is, if no paper is left out.
fn all_members(
    told: &Told,
    (network, mesh): (&NodeKey, MeshId),
    base: Option<&Papers>,
    now: Timestamp,
) -> (Vec<Membership>, Option<(u64, u64)>) {
    let held = base.iter().flat_map(|held| &held.members);
    let mut all: BTreeMap<NodeKey, Membership> =
        held.map(|member| (member.node, member.clone())).collect();
    told.listed.gone.iter().for_each(|key| drop(all.remove(key)));
    let mut came: Vec<Membership> = those_that_hold(&told.members, network, now);
    came.retain(|member| member.mesh == mesh);
    let is_complete = came.len() == told.members.len();
    all.extend(came.into_iter().map(|member| (member.node, member)));
    // One that is told of no more, as nobody renews it, ends by itself.
    all.retain(|_, member| member.expires.0 > now);
    let complete = is_complete.then_some((told.listed.revision, told.listed.epoch));
    (all.into_values().collect(), complete)
}

fn is_its(is_mine: bool, kind: &'static str) -> Result<(), Unfit> {
    if is_mine { Ok(()) } else { Err(Unfit::Foreign { kind }) }
}

fn in_order(kind: &'static str, held: u64, told: u64) -> Result<(), Unfit> {
    if told >= held { Ok(()) } else { Err(Unfit::Older { kind, held, told }) }
}

/// The papers that hold; those that do not are told of.
fn those_that_hold<P: Paper>(sealed: &[SealedPaper], network: &NodeKey, now: Timestamp) -> Vec<P> {
    let opened = sealed.iter().filter_map(|paper| match paper.open::<P>(network, now) {
        Ok(paper) => Some(paper),
        Err(why) => {
            tracing::warn!(kind = P::KIND, %why, "a paper of a node's network is left out");
            None
        }
    });
    opened.collect()
}

#[cfg(test)]
mod tests {
    use ed25519_dalek::SigningKey;
    use units::{AccountId, MINUTE};
    use wire::Time;
    use wire::paper::{May, PassLimits, SuiteName, mesh_v4, mesh_v6};

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(10_000_000);

    fn key(number: u8) -> SigningKey {
        SigningKey::from_bytes(&[number; 32])
    }

    fn public(number: u8) -> NodeKey {
        NodeKey(key(number).verifying_key().to_bytes())
    }

    fn bearer() -> Bearer {
        Bearer { mesh: MeshId::from_bits(1), node: public(2), x25519: MeshKey([3; 32]) }
    }

    fn membership(node: NodeKey, at: u16) -> Membership {
        let mesh = bearer().mesh;
        Membership {
            mesh,
            node,
            x25519: MeshKey([3; 32]),
            name: "node-0".parse().unwrap(),
            v4: mesh_v4(mesh, at).unwrap(),
            v6: mesh_v6(mesh, &node),
            groups: Default::default(),
            tags: Default::default(),
            suites: vec![SuiteName::Wireguard],
            relays: vec![public(9)],
            serial: 1,
            issued: Time(NOW),
            expires: Time(NOW.after(MINUTE)),
        }
    }

    fn told(signer: u8, holder: NodeKey) -> Told {
        let (mesh, node) = (bearer().mesh, bearer().node);
        let (issued, expires) = (Time(NOW), Time(NOW.after(MINUTE)));
        let policy = PolicyPaper { mesh, node, version: 1, rules: Vec::new(), issued, expires };
        let pass = Pass {
            holder,
            worker: None,
            account: AccountId::from_bits(4),
            may: May::default(),
            limits: PassLimits::default(),
            issued,
            expires,
        };
        let relay = RelayRecord {
            relay: public(9),
            owner: None,
            tcp: vec!["[::1]:1".parse().unwrap(), "127.0.0.1:2".parse().unwrap()],
            udp: vec!["127.0.0.1:3".parse().unwrap()],
            domain: None,
            score: 1,
            issued,
            expires,
        };
        let (mine, other) = (membership(node, 16), membership(public(5), 17));
        let strange = SealedPaper::seal(&membership(public(6), 18), &key(7)).unwrap();
        let seal = |paper: &Membership| SealedPaper::seal(paper, &key(signer)).unwrap();
        Told {
            listed: Listed { revision: 5, epoch: 1, ..Listed::default() },
            membership: seal(&mine),
            policy: Some(SealedPaper::seal(&policy, &key(signer)).unwrap()),
            pass: SealedPaper::seal(&pass, &key(signer)).unwrap(),
            members: vec![seal(&mine), seal(&other), strange],
            relays: vec![SealedPaper::seal(&relay, &key(signer)).unwrap()],
            network_key: public(signer),
        }
    }

    #[test]
    fn papers_of_the_network_for_this_node_are_taken_and_strangers_left_out() {
        let papers = Papers::read(&told(1, public(2)), public(1), (&bearer(), None), NOW).unwrap();
        let members: Vec<NodeKey> = papers.members.iter().map(|member| member.node).collect();
        assert_eq!(members.into_iter().collect::<BTreeSet<_>>(), [public(2), public(5)].into());
        assert_eq!(papers.complete, None, "one was left out");
        let at = |address: &str| RelayAt { key: public(9), address: address.parse().unwrap() };
        let both = vec![at("[::1]:1"), at("127.0.0.1:2")];
        assert_eq!((papers.relays_at(), papers.relays_of_peers()), (both.clone(), both));
        assert_eq!(papers.udp_of(public(9)), ["127.0.0.1:3".parse().unwrap()]);
    }

    #[test]
    fn what_is_other_since_makes_a_whole_with_what_is_held() {
        let read = |told: &Told, held| Papers::read(told, public(1), (&bearer(), held), NOW);
        let mut whole = told(1, public(2));
        whole.members.truncate(2);
        let held = read(&whole, None).unwrap();
        assert_eq!(held.complete, Some((5, 1)));
        let mut later = told(1, public(2));
        let came = Membership { serial: 6, ..membership(public(6), 18) };
        later.members = vec![SealedPaper::seal(&came, &key(1)).unwrap()];
        later.listed = Listed { revision: 6, epoch: 1, since: Some(5), gone: vec![public(5)] };
        later.policy = None;
        let now_held = read(&later, Some(&held)).unwrap();
        assert_eq!(now_held.policy, held.policy);
        let keys: BTreeSet<NodeKey> = now_held.members.iter().map(|member| member.node).collect();
        assert_eq!((keys, now_held.complete), ([public(2), public(6)].into(), Some((6, 1))));
        let elsewhere = Unfit::Elsewhere { since: 5 };
        assert_eq!(read(&later, None).unwrap_err(), elsewhere);
        let other_epoch = Papers { complete: Some((5, 2)), ..held.clone() };
        assert_eq!(read(&later, Some(&other_epoch)).unwrap_err(), elsewhere);
        let half = Papers { complete: None, ..held.clone() };
        assert_eq!(read(&later, Some(&half)).unwrap_err(), elsewhere);
        later.listed.since = None;
        let missing = Unfit::Missing { kind: "policy" };
        assert_eq!(read(&later, Some(&held)).unwrap_err(), missing, "it is not the same list");
    }

    #[test]
    fn papers_of_before_are_refused_while_the_later_ones_hold() {
        let read = || Papers::read(&told(1, public(2)), public(1), (&bearer(), None), NOW).unwrap();
        assert!(read().after(&read(), NOW).is_ok(), "the same are no older");
        let mut later = read();
        later.policy.version = 2;
        let older = Unfit::Older { kind: "policy", held: 2, told: 1 };
        assert_eq!(read().after(&later, NOW).unwrap_err(), older);
        for at in [0, 1] {
            let mut later = read();
            later.members[at].serial = 7;
            let older = Unfit::Older { kind: "membership", held: 7, told: 1 };
            assert_eq!(read().after(&later, NOW).unwrap_err(), older);
            assert!(read().after(&later, NOW.after(MINUTE)).is_ok(), "what is over binds nobody");
        }
        assert!(read().hold(NOW) && !read().hold(NOW.after(MINUTE)));
    }

    #[test]
    fn another_network_another_node_and_another_time_are_refused() {
        let read = |told: Told, now| Papers::read(&told, public(1), (&bearer(), None), now);
        let other = read(told(7, public(2)), NOW).unwrap_err();
        assert!(matches!(other, Unfit::OtherNetwork { .. }), "{other}");
        let mut forged = told(7, public(2));
        forged.network_key = public(1);
        assert!(matches!(read(forged, NOW), Err(Unfit::Refused { kind: "membership", .. })));
        let foreign = read(told(1, public(5)), NOW);
        assert!(matches!(foreign, Err(Unfit::Foreign { kind: "pass" })));
        let late = read(told(1, public(2)), NOW.after(MINUTE));
        assert!(matches!(late, Err(Unfit::Refused { kind: "membership", .. })));
        let mine = Bearer { x25519: MeshKey([4; 32]), ..bearer() };
        let foreign = Papers::read(&told(1, public(2)), public(1), (&mine, None), NOW);
        assert!(matches!(foreign, Err(Unfit::Foreign { kind: "membership" })));
    }
}
