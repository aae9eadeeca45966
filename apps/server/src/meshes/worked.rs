//! What all members of a network are told alike, worked out once for each revision: what the policy means, and who
//! belongs there, whole or as far as it is other than what somebody has.
//!
//! # Invariants
//! - Who has all members as of a revision, and does as it is told of the difference, has all as of the newer one.
//! - What is kept for that is bounded: a serial with each member, and the last who went. Who has a
//!   revision before that is told the whole list.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use control::NetworkPolicy;
use mesh::policy::Compiled;
use wire::paper::{NodeKey, SealedPaper};

use super::gone::Gone;
use super::member::Mesh;
use super::policy;

/// Differences that are kept as they are sent: those who ask at one moment know the same few revisions.
const DIFFERENCES_MAX: usize = 8;

/// Memberships, as a member is told of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Listed {
    /// If they are those alone that are others than at this revision.
    pub(crate) since: Option<u64>,
    /// Who has gone since then.
    pub(crate) gone: Vec<NodeKey>,
    /// A list in JSON.
    pub(crate) papers: Bytes,
}

/// A member's paper, and with which serial it was made: in no list of an earlier revision that was told.
#[derive(Debug)]
struct Paper {
    node: NodeKey,
    serial: u64,
    sealed: Arc<SealedPaper>,
}

/// What all members of a network are told alike, as of a revision.
#[derive(Debug)]
pub(crate) struct Worked {
    pub(super) revision: u64,
    policy: NetworkPolicy,
    members: Vec<mesh::policy::Member>,
    /// What the policy means for these members, and since which revision it means that.
    pub(super) compiled: (Arc<Compiled>, u64),
    papers: Vec<Paper>,
    gone: Gone,
    whole: OnceLock<Bytes>,
    differences: BTreeMap<u64, Listed>,
}

/// What is needed of a network to work it out.
#[derive(Debug)]
pub(super) struct Seen {
    revision: u64,
    policy: NetworkPolicy,
    members: Vec<mesh::policy::Member>,
    papers: Vec<Paper>,
    gone: Gone,
}

impl Seen {
    /// As it is now. The network is held for as long as it takes to count up references.
    pub(super) fn of(mesh: &Mesh) -> Self {
        let members = mesh.members.values();
        let paper = |member: &super::member::Member| Paper {
            node: member.said.key,
            serial: member.paper.serial,
            sealed: Arc::clone(&member.sealed),
        };
        Self {
            revision: *mesh.revision.borrow(),
            policy: mesh.wanted.policy.clone(),
            members: members
                .clone()
                .map(|member| {
                    policy::member(&member.paper, super::issue::user_of(member.said.whose))
                })
                .collect(),
            papers: members.map(paper).collect(),
            gone: mesh.gone.clone(),
        }
    }
}

impl Worked {
    /// Works it out. What the policy means is taken over, if it is about the same members.
    pub(super) fn out(seen: Seen, before: Option<Self>) -> Self {
        let Seen { revision, policy, members, papers, gone } = seen;
        let is_same = |known: &Self| known.policy == policy && known.members == members;
        let compiled = match before.filter(is_same) {
            Some(known) => known.compiled,
            None => (Arc::new(policy::compile(&policy, &members)), revision),
        };
        let (whole, differences) = (OnceLock::new(), BTreeMap::new());
        Self { revision, policy, members, compiled, papers, gone, whole, differences }
    }

    /// What somebody is told who has all members as of a revision, or has none.
    pub(super) fn listed(&mut self, known: Option<u64>) -> Listed {
        let Some(since) = known.filter(|since| self.follows(*since)) else { return self.whole() };
        if let Some(listed) = self.differences.get(&since) {
            return listed.clone();
        }
        let other: Vec<&SealedPaper> =
            self.papers.iter().filter(|it| it.serial > since).map(|it| &*it.sealed).collect();
        // Much that is other is told as one list that all share.
        let listed = if other.len() * 2 > self.papers.len() {
            self.whole()
        } else {
            let is_there = |key: &NodeKey| self.papers.iter().any(|it| it.node == *key);
            let gone = self.gone.since(since).filter(|key| !is_there(key)).collect();
            Listed { since: Some(since), gone, papers: list(&other) }
        };
        if self.differences.len() >= DIFFERENCES_MAX {
            // The newer are asked for by more.
            self.differences.pop_first();
        }
        self.differences.insert(since, listed.clone());
        listed
    }

    /// Whether it is known what is other than at this revision.
    fn follows(&self, since: u64) -> bool {
        (self.gone.complete_from..=self.revision).contains(&since)
    }

    fn whole(&self) -> Listed {
        let all = || list(&self.papers.iter().map(|it| &*it.sealed).collect::<Vec<_>>());
        let papers = self.whole.get_or_init(all).clone();
        Listed { since: None, gone: Vec::new(), papers }
    }
}

fn list(papers: &[&SealedPaper]) -> Bytes {
    Bytes::from(serde_json::to_vec(papers).expect("papers are plain data"))
}
