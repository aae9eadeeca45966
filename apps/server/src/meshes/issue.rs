//! Papers for one member of a private network: what it is, what it may do, who the others are.
//!
//! What all members are told alike is worked out once for each revision, and shared: a thousand of them wait for it at
//! the same moment.

use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError};

use bytes::Bytes;
use control::{NetworkWanted, ServiceProto};
use ed25519_dalek::SigningKey;
use mesh::policy::Compiled;
use units::{AccountId, Name, RentalId, Timestamp, WorkerId};
use wire::paper::{
    May, Membership, NodeKey, PASS_LABELS_MAX, PASS_VALID_MAX, POLICY_RANGES_MAX, POLICY_RULES_MAX,
    POLICY_VALID_MAX, PaperRefused, Pass, PassLimits, PolicyPaper, SealedPaper, rental_account,
};
use wire::{NodeNetwork, ServiceVisibility, ServiceWanted, Time};

use super::member::{Mesh, Place, Whose};
use super::worked::{Listed, Seen, Worked};
use super::{Meshes, NetworkOf, policy};
use crate::clock::now;
use crate::limits::RELAYS_TOLD_MAX;

/// Who asks for papers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked {
    pub(crate) of: NetworkOf,
    pub(crate) place: Place,
    /// With which key: while somebody waits, the place may become another's.
    pub(crate) key: NodeKey,
    /// All members of which revision it has, and of which epoch that is.
    pub(crate) has: Option<(u64, u64)>,
}

/// Somebody who visits a rental, and is no member of its network.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Visitor {
    pub(crate) rental: RentalId,
    pub(crate) key: NodeKey,
    pub(crate) account: AccountId,
}

/// The papers of one member, or of one who visits.
#[derive(Debug)]
pub(crate) struct Issued {
    pub(crate) revision: u64,
    pub(crate) epoch: u64,
    pub(crate) pass: SealedPaper,
    /// What only members get.
    pub(crate) member: Option<IssuedMember>,
    pub(crate) relays: Vec<SealedPaper>,
    /// The services that are a node's to publish.
    pub(crate) services: Vec<ServiceWanted>,
    /// What the brain wants of the network.
    pub(crate) wanted: Arc<NetworkWanted>,
}

/// What only members get.
#[derive(Debug)]
pub(crate) struct IssuedMember {
    pub(crate) membership: SealedPaper,
    /// What may pass at it, unless it has that.
    pub(crate) policy: Option<SealedPaper>,
    /// All members, or those that are others.
    pub(crate) members: Listed,
}

impl Issued {
    /// What a node is answered, and the list of members that goes with it. `None` for who only visits.
    pub(crate) fn for_node(
        self,
        network_key: NodeKey,
        renew_secs: u64,
    ) -> Option<(Bytes, NodeNetwork)> {
        let Self { revision, epoch, pass, member, relays, services, wanted: _ } = self;
        let IssuedMember { membership, policy, members: Listed { since, gone, papers } } = member?;
        let network = NodeNetwork {
            revision,
            epoch,
            since,
            gone,
            membership,
            policy,
            pass,
            members: Vec::new(),
            relays,
            services,
            network_key,
            renew_secs,
        };
        Some((papers, network))
    }
}

/// What is needed of the table.
struct Taken {
    revision: u64,
    epoch: u64,
    wanted: Arc<NetworkWanted>,
    whose: Whose,
    paper: Arc<Membership>,
    sealed: Arc<SealedPaper>,
    worked: Arc<std::sync::Mutex<Option<Worked>>>,
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
    let Some(((compiled, from), members)) = worked(meshes, asked, &taken) else { return Ok(None) };
    // Who was told that at a revision since which it is the same, with a membership that is no older, has it.
    let has_policy = |since: u64| since >= from && since >= taken.paper.serial;
    let policy = match members.since.is_some_and(has_policy) {
        true => None,
        false => {
            let user = user_of(taken.whose);
            let paper = policy_paper(&taken.paper, user, &compiled, (taken.revision, now));
            Some(seal_policy(&paper, key)?)
        }
    };
    Ok(Some(Issued {
        revision: taken.revision,
        epoch: taken.epoch,
        pass: SealedPaper::seal(&pass(asked, &taken, now), key)?,
        member: Some(IssuedMember {
            membership: SealedPaper::clone(&taken.sealed),
            policy,
            members,
        }),
        relays: meshes.relays.best(RELAYS_TOLD_MAX),
        services: services(&taken.wanted, asked.place),
        wanted: taken.wanted,
    }))
}

/// Papers for somebody who visits: nothing of that is kept. `None` if the network is over.
///
/// # Errors
/// What cannot be signed.
pub(crate) fn visit(
    meshes: &Meshes,
    visitor: Visitor,
    key: &SigningKey,
) -> Result<Option<Issued>, PaperRefused> {
    let Visitor { rental, key: holder, account } = visitor;
    let seen = |mesh: &mut Mesh| (*mesh.revision.borrow(), mesh.epoch, Arc::clone(&mesh.wanted));
    let Some((revision, epoch, wanted)) = meshes.in_mesh(NetworkOf::Rental(rental), seen) else {
        return Ok(None);
    };
    let may = May { dial: true, forward: [rental].into(), ..May::default() };
    let (issued, now) = (Time(now()), now());
    let expires = Time(now.after(PASS_VALID_MAX));
    let limits = PassLimits::default();
    let pass = Pass { holder, worker: None, account, may, limits, issued, expires };
    Ok(Some(Issued {
        revision,
        epoch,
        pass: SealedPaper::seal(&pass, key)?,
        member: None,
        relays: meshes.relays.best(RELAYS_TOLD_MAX),
        services: Vec::new(),
        wanted,
    }))
}

fn take(meshes: &Meshes, asked: Asked, now: Timestamp) -> Option<Taken> {
    let take = |mesh: &mut Mesh| {
        let revision = *mesh.revision.borrow();
        let member = mesh.members.get_mut(&asked.place).filter(|it| it.said.key == asked.key)?;
        member.passed = Some(now);
        Some(Taken {
            revision,
            epoch: mesh.epoch,
            wanted: Arc::clone(&mesh.wanted),
            whose: member.said.whose,
            paper: Arc::clone(&member.paper),
            sealed: Arc::clone(&member.sealed),
            worked: Arc::clone(&mesh.worked),
        })
    };
    meshes.in_mesh(asked.of, take)?
}

/// What is told to all at this revision, or at a newer one: the policy's meaning, and the members. It is worked out
/// once. `None` if the network is over.
fn worked(meshes: &Meshes, asked: Asked, taken: &Taken) -> Option<((Arc<Compiled>, u64), Listed)> {
    let mut known = taken.worked.lock().unwrap_or_else(PoisonError::into_inner);
    if known.as_ref().is_none_or(|known| known.revision < taken.revision) {
        let seen = meshes.in_mesh(asked.of, |mesh| Seen::of(mesh))?;
        *known = Some(Worked::out(seen, known.take()));
    }
    let known = known.as_mut()?;
    // A revision of another epoch is another server's, whatever its number.
    let has = asked.has.filter(|(_, epoch)| *epoch == taken.epoch).map(|(revision, _)| revision);
    Some((known.compiled.clone(), known.listed(has)))
}

/// As whom policies know a member.
pub(super) fn user_of(whose: Whose) -> Option<String> {
    match whose {
        Whose::Machine(_) => None,
        Whose::Person { account, .. } => Some(account.to_string()),
    }
}

fn pass(Asked { of, place, .. }: Asked, taken: &Taken, now: Timestamp) -> Pass {
    let rental = match of {
        NetworkOf::Operator => None,
        NetworkOf::Rental(rental) => Some(rental),
    };
    let (worker, account): (Option<WorkerId>, AccountId) = match taken.whose {
        Whose::Machine(worker) => {
            (Some(worker), rental_account(rental.expect("machines are in networks of rentals")))
        }
        Whose::Person { account, .. } => (None, account),
    };
    let is_node = worker.is_some();
    let rentals = |holds: bool| rental.filter(|_| holds).into_iter().collect();
    Pass {
        holder: taken.paper.node,
        worker,
        account,
        may: May {
            dial: true,
            publish: false,
            serve: rentals(is_node),
            labels: is_node.then(|| labels(&taken.wanted, place)),
            forward: rentals(!is_node),
            meshes: [taken.wanted.mesh].into(),
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
