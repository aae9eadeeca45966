//! What the rules of a policy say about how packets to other members travel: under which cover, through whom, and for
//! whom we are the one that they go through.
//!
//! # Invariants
//! - Terms hold for a pair of members, whichever began.
//! - Who is to be reached through members only is reached in no other way, be it that none of them is known.
//! - We hand on packets only between members of one rule that names us as the one between them.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use units::MeshId;

use crate::cover::Cover;
use crate::key::PublicKey;
use crate::path::CallSign;
use crate::peer::PeerConfig;
use crate::policy::{Range, Rule};
use crate::roster::Member;

/// The rules that say something about how packets travel.
#[derive(Debug, Default)]
pub(crate) struct Terms {
    rules: BTreeMap<MeshId, Vec<Rule>>,
}

impl Terms {
    /// The rules of a network, all of them.
    pub(crate) fn set(&mut self, mesh: MeshId, rules: Vec<Rule>) {
        let says = |rule: &Rule| !rule.via.is_empty() || rule.cover() > Some(Cover::None);
        self.rules.insert(mesh, rules.into_iter().filter(says).collect());
    }

    /// Writes the terms into peers, as their members have addresses and keys. `me`: our own node key.
    pub(crate) fn apply<'m>(
        &self,
        me: &[u8; 32],
        members: &(impl Iterator<Item = &'m Member> + Clone),
        peers: &mut BTreeMap<PublicKey, PeerConfig>,
    ) {
        for (mesh, rules) in &self.rules {
            let here: Vec<&Member> =
                members.clone().filter(|member| member.mesh == *mesh).collect();
            let Some(own) = here.iter().find(|member| member.node == *me) else { continue };
            for rule in rules {
                apply_rule(rule, own, &here, peers);
            }
        }
    }
}

fn apply_rule(
    rule: &Rule,
    own: &Member,
    members: &[&Member],
    peers: &mut BTreeMap<PublicKey, PeerConfig>,
) {
    let within = |ranges: &[Range]| -> Vec<&Member> {
        members.iter().copied().filter(|member| has(member, ranges)).collect()
    };
    let others = within(&rule.remote);
    if rule.via.contains(&own.key) {
        let ours = within(&rule.local);
        return carry(&others, &ours, own, peers);
    }
    if !has(own, &rule.local) {
        return;
    }
    let hops: Vec<CallSign> = members
        .iter()
        .filter(|member| rule.via.contains(&member.key))
        .map(|member| member.sign())
        .collect();
    for other in others {
        let Some(peer) = peers.get_mut(&other.key) else { continue };
        peer.cover = peer.cover.max(rule.cover().unwrap_or_default());
        // A hop itself is reached as it comes.
        if let (Some(contact), false) =
            (&mut peer.contact, rule.via.is_empty() || rule.via.contains(&other.key))
        {
            contact.via.get_or_insert_default().extend(&hops);
        }
    }
}

/// We stand between these and those.
fn carry(
    one: &[&Member],
    other: &[&Member],
    own: &Member,
    peers: &mut BTreeMap<PublicKey, PeerConfig>,
) {
    for (from, to) in [(one, other), (other, one)] {
        let signs: BTreeSet<CallSign> =
            to.iter().filter(|member| member.key != own.key).map(|member| member.sign()).collect();
        for member in from {
            let peer = peers.get_mut(&member.key);
            if let Some(contact) = peer.and_then(|peer| peer.contact.as_mut()) {
                contact.carries.extend(signs.iter().filter(|sign| **sign != member.sign()));
            }
        }
    }
}

fn has(member: &Member, ranges: &[Range]) -> bool {
    let within = |ip: &IpAddr| ranges.iter().any(|range| range.contains(*ip));
    member.addresses.iter().any(within)
}
