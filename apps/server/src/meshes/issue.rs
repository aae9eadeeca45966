//! Papers for one member of a private network: what it is, what it may do, who the others are.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use control::{NetworkWanted, ServiceProto};
use ed25519_dalek::SigningKey;
use mesh::policy::Compiled;
use units::{AccountId, Name, RentalId, Timestamp, WorkerId};
use wire::paper::{
    May, Membership, NodeKey, PASS_LABELS_MAX, PASS_VALID_MAX, POLICY_RANGES_MAX, POLICY_RULES_MAX,
    POLICY_VALID_MAX, PaperRefused, Pass, PassLimits, PolicyPaper, SealedPaper, rental_account,
};
use wire::{ServiceVisibility, ServiceWanted, Time};

use super::member::{CompiledAt, Mesh, Place, Whose};
use super::{Meshes, policy};
use crate::clock::now;
use crate::limits::RELAYS_TOLD_MAX;

/// Who asks for papers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked {
    pub(crate) rental: RentalId,
    pub(crate) place: Place,
}

/// The papers of one member.
#[derive(Debug)]
pub(crate) struct Issued {
    pub(crate) revision: u64,
    pub(crate) pass: SealedPaper,
    /// Absent for a client that only visits.
    pub(crate) membership: Option<SealedPaper>,
    pub(crate) policy: Option<SealedPaper>,
    pub(crate) members: Vec<SealedPaper>,
    pub(crate) relays: Vec<SealedPaper>,
    /// The services that are a node's to publish.
    pub(crate) services: Vec<ServiceWanted>,
}

/// What is needed of the table.
struct Taken {
    revision: u64,
    wanted: Arc<NetworkWanted>,
    key: NodeKey,
    whose: Whose,
    own: Option<(Membership, SealedPaper)>,
    members: Vec<SealedPaper>,
    compiled: Arc<Mutex<Option<CompiledAt>>>,
}

/// Papers for somebody who was heard. `None` if they are wanted no more.
///
/// # Errors
/// What cannot be signed.
pub(crate) fn issue(
    meshes: &Meshes,
    asked: Asked,
    key: &SigningKey,
) -> Result<Option<Issued>, PaperRefused> {
    let now = now();
    let Some(taken) = take(meshes, asked, now) else { return Ok(None) };
    let policy = match &taken.own {
        Some((own, _)) => {
            let Some(compiled) = compiled(meshes, asked.rental, &taken) else { return Ok(None) };
            let user = user_of(taken.whose);
            Some(policy_paper(own, user, &compiled, (taken.revision, now)))
        }
        None => None,
    };
    Ok(Some(Issued {
        revision: taken.revision,
        pass: SealedPaper::seal(&pass(asked, &taken, now), key)?,
        policy: policy.map(|policy| seal_policy(&policy, key)).transpose()?,
        membership: taken.own.map(|(_, sealed)| sealed),
        members: taken.members,
        relays: meshes.relays.best(RELAYS_TOLD_MAX),
        services: services(&taken.wanted, asked.place),
    }))
}

fn take(meshes: &Meshes, asked: Asked, now: Timestamp) -> Option<Taken> {
    meshes.with(|table| {
        let mesh = table.meshes.get_mut(&asked.rental)?;
        let revision = *mesh.revision.borrow();
        let member = mesh.members.get_mut(&asked.place)?;
        member.passed = Some(now);
        let (key, whose, own) = (member.said.key, member.said.whose, member.paper.clone());
        let members = match own {
            Some(_) => mesh.papers().map(|(_, _, sealed)| sealed.clone()).collect(),
            None => Vec::new(),
        };
        let (wanted, compiled) = (Arc::clone(&mesh.wanted), Arc::clone(&mesh.compiled));
        Some(Taken { revision, wanted, key, whose, own, members, compiled })
    })
}

fn all_members(mesh: &Mesh) -> Vec<mesh::policy::Member> {
    let member = |(member, paper, _): (&super::member::Member, &Membership, &SealedPaper)| {
        policy::member(paper, user_of(member.said.whose))
    };
    mesh.papers().map(member).collect()
}

/// What the policy means at this revision, or at a newer one: worked out once. `None` if the network is over.
fn compiled(meshes: &Meshes, id: RentalId, taken: &Taken) -> Option<Arc<Compiled>> {
    let mut known = taken.compiled.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, compiled)) = known.as_ref().filter(|(of, _)| *of >= taken.revision) {
        return Some(Arc::clone(compiled));
    }
    let (revision, wanted, members) = meshes.with(|table| {
        let mesh = table.meshes.get(&id)?;
        let revision = *mesh.revision.borrow();
        Some((revision, Arc::clone(&mesh.wanted), all_members(mesh)))
    })?;
    let compiled = Arc::new(policy::compile(&wanted.policy, &members));
    *known = Some((revision, Arc::clone(&compiled)));
    Some(compiled)
}

/// As whom policies know a member.
fn user_of(whose: Whose) -> Option<String> {
    match whose {
        Whose::Machine(_) => None,
        Whose::Person { account, .. } => Some(account.to_string()),
    }
}

fn pass(Asked { rental, place }: Asked, taken: &Taken, now: Timestamp) -> Pass {
    let (worker, account, is_node): (Option<WorkerId>, AccountId, bool) = match taken.whose {
        Whose::Machine(worker) => (Some(worker), rental_account(rental), true),
        Whose::Person { account, .. } => (None, account, false),
    };
    let rentals = |holds: bool| holds.then_some(rental).into_iter().collect();
    Pass {
        holder: taken.key,
        worker,
        account,
        may: May {
            dial: true,
            publish: false,
            serve: rentals(is_node),
            labels: is_node.then(|| labels(&taken.wanted, place)),
            forward: rentals(!is_node),
            meshes: taken.own.iter().map(|_| taken.wanted.mesh).collect(),
        },
        limits: PassLimits::default(),
        issued: Time(now),
        expires: Time(now.after(PASS_VALID_MAX)),
    }
}

/// What a node may serve: its own services, and not those of another supplier's node.
fn labels(wanted: &NetworkWanted, place: Place) -> BTreeSet<Name> {
    services(wanted, place).into_iter().map(|service| service.label).take(PASS_LABELS_MAX).collect()
}

/// A policy that says more than a node takes lets nothing pass there.
fn policy_paper(
    own: &Membership,
    user: Option<String>,
    compiled: &Compiled,
    (version, now): (u64, Timestamp),
) -> PolicyPaper {
    let member = policy::member(own, user);
    let rules = compiled.rules_within(&member, POLICY_RULES_MAX, POLICY_RANGES_MAX);
    let rules = rules.unwrap_or_else(|| {
        tracing::warn!(mesh = %own.mesh, "a policy says more than a node takes; nothing passes there");
        Vec::new()
    });
    PolicyPaper {
        mesh: own.mesh,
        node: own.node,
        version,
        rules: rules.iter().map(policy::rule).collect(),
        issued: Time(now),
        expires: Time(now.after(POLICY_VALID_MAX)),
    }
}

/// A policy that is longer than a node takes lets nothing pass there.
fn seal_policy(paper: &PolicyPaper, key: &SigningKey) -> Result<SealedPaper, PaperRefused> {
    SealedPaper::seal(paper, key).or_else(|why| {
        tracing::warn!(mesh = %paper.mesh, error = %why, "a policy is too large for a node; nothing passes there");
        SealedPaper::seal(&PolicyPaper { rules: Vec::new(), ..paper.clone() }, key)
    })
}

fn services(wanted: &NetworkWanted, place: Place) -> Vec<ServiceWanted> {
    let Place::Node(node) = place else { return Vec::new() };
    let its = wanted.services.iter().filter(|(_, service)| service.record.node == node);
    let wanted = its.map(|(label, service)| ServiceWanted {
        label: label.clone(),
        port: service.record.port,
        proto: proto(service.record.proto),
        visibility: visibility(service.record.is_public),
        wants_proxy_header: service.record.wants_proxy_header,
    });
    wanted.collect()
}

pub(super) const fn proto(proto: ServiceProto) -> wire::ServiceProto {
    match proto {
        ServiceProto::Http => wire::ServiceProto::Http,
        ServiceProto::Tls => wire::ServiceProto::Tls,
        ServiceProto::Ssh => wire::ServiceProto::Ssh,
        ServiceProto::Tcp => wire::ServiceProto::Tcp,
        ServiceProto::Udp => wire::ServiceProto::Udp,
    }
}

pub(super) const fn visibility(is_public: bool) -> ServiceVisibility {
    if is_public { ServiceVisibility::Public } else { ServiceVisibility::Private }
}
