//! Networks of rentals, for who rents: papers for clients, and what is seen of a network.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use control::{Role, Service};
use units::{MeshId, Name, ProjectId, RentalId};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use wire::paper::{MeshKey, NodeKey, PASS_VALID_MAX, SuiteName, client_statement, is_signed};
use wire::{ClientNetwork, ClientNetworkRequest, MeshView, Problem, ServiceView};

use super::door::Caller;
use super::extract::{Json, Path};
use super::problem::Refused;
use super::rentals::found;
use super::worker_networks::{
    RENEW_SECS, has_news, heard, made, network_key, proven, told, unsigned, with_members,
};
use crate::app::Shared;
use crate::clock::{now, random};
use crate::meshes::{
    Asked, Certified, Issued, IssuedMember, Listed, NetworkOf, Place, Said, SshKey, Visitor,
    certificate, visit,
};

pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new().routes(routes!(join, network)).routes(routes!(leave))
}

/// What of a rental concerns its network.
struct Facts {
    mesh: Option<MeshId>,
    policy_version: u64,
    /// Whether its nodes should run.
    is_live: bool,
}

async fn facts(app: &Shared, rental: RentalId, project: ProjectId) -> Result<Facts, Refused> {
    let look = move |state: &control::Control| {
        let known = state.rental(rental);
        let policy = state.project(project).map(|project| project.policy.version);
        Facts {
            mesh: known.and_then(control::Rental::mesh),
            policy_version: policy.unwrap_or_default(),
            is_live: known.is_some_and(|it| it.stage.wants_nodes()),
        }
    };
    Ok(app.writer.look(look).await?)
}

/// A rental's services by label, for who may see the rental; none once it is long over.
pub(super) async fn services_of(
    app: &Shared,
    rental: RentalId,
) -> Result<Vec<ServiceView>, Refused> {
    let look = move |state: &control::Control| -> BTreeMap<Name, Service> {
        state.rental(rental).map(|it| it.all_services().collect()).unwrap_or_default()
    };
    let services = app.writer.look(look).await?;
    Ok(app.meshes.services(rental, &services))
}

/// Whether somebody may be in the networks of a project at this moment.
fn is_let_in(app: &Shared, caller: &Caller, project: ProjectId) -> bool {
    let role = app.news.role(project, caller.account);
    let has_role = matches!(role, Some(Role::Owner | Role::Member));
    caller.is_still_known(app) && (has_role || caller.is_operator())
}

/// Refuses who may only look: papers open what runs.
fn may_visit(app: &Shared, caller: &Caller, project: ProjectId) -> Result<(), Refused> {
    caller.may_write()?;
    if is_let_in(app, caller, project) {
        return Ok(());
    }
    let detail = "not allowed: it takes an owner or a member of the project";
    Err(Refused::new("forbidden", StatusCode::FORBIDDEN, detail))
}

/// Ask for a client's papers
///
/// For owners and members of the rental's project. With `x25519`, the client becomes a member of the rental's private
/// network. Answered at once for who knows no revision; for others when there is another, or when papers are to be
/// renewed; 204 after `wait_secs` if there is nothing new. A member that names the epoch of its revision, too, may be
/// told of those members alone that are others since; 204 at once if it only tells. A client that does not ask for an
/// hour has left.
#[utoipa::path(post, path = "/v1/rentals/{id}/network", tag = "rentals", params(("id" = String, Path)),
    request_body = ClientNetworkRequest, security(("key" = [])), responses(
        (status = 200, body = ClientNetwork),
        (status = 204, description = "Nothing is new"),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ))]
async fn join(
    caller: Caller,
    State(app): State<Shared>,
    Path(rental): Path<RentalId>,
    Json(asked): Json<ClientNetworkRequest>,
) -> Result<Response, Refused> {
    let project = found(&app, &caller, rental, "rental").await?.project;
    may_visit(&app, &caller, project)?;
    let statement = client_statement(rental, asked.x25519.as_ref());
    if !is_signed(&asked.key, &statement, &asked.statement) {
        return Err(unsigned());
    }
    if let Some(x25519) = &asked.x25519 {
        proven(&app, (&asked.key, x25519), &statement, &asked.proof)?;
    }
    let ssh_key = asked.ssh_key.as_deref().map(ssh_key).transpose()?;
    let facts = facts(&app, rental, project).await?;
    if facts.mesh.is_none() || !facts.is_live {
        let detail = match facts.is_live {
            true => "not now: the rental is without a private network",
            false => "not now: the rental's nodes do not run",
        };
        return Err(Refused::new("wrong-state", StatusCode::CONFLICT, detail));
    }
    let waits = (asked.known, asked.wait_secs);
    let issued = match asked.x25519 {
        Some(x25519) => as_member(&app, &caller, (rental, project), (x25519, asked)).await?,
        None => as_visitor(&app, &caller, (rental, project), (asked.key, waits)).await?,
    };
    let Some(issued) = issued else { return Ok(StatusCode::NO_CONTENT.into_response()) };
    // Whoever was put out while waiting gets no token and no certificate either.
    may_visit(&app, &caller, project)?;
    let services = app.meshes.services(rental, &issued.wanted.services);
    let ssh_certificate = ssh_key.map(|key| certify(&app, &caller, rental, &key));
    let opens = (Some(app.secret.cluster_token(rental)), ssh_certificate);
    Ok(client_network(&app, issued, services, opens))
}

/// Papers for a client that is a member of the network.
async fn as_member(
    app: &Shared,
    caller: &Caller,
    (rental, project): (RentalId, ProjectId),
    (x25519, asked): (MeshKey, ClientNetworkRequest),
) -> Result<Option<Issued>, Refused> {
    let (of, key) = (NetworkOf::Rental(rental), asked.key);
    let place = Place::Client(key);
    let suites = if asked.suites.is_empty() { vec![SuiteName::Wireguard] } else { asked.suites };
    let said = Said {
        place,
        whose: caller.whose(),
        called: None,
        key: asked.key,
        x25519,
        shows: asked.membership,
        suites,
        relays: asked.relays,
        ways: asked.ways,
        services: BTreeMap::new(),
    };
    let is_let_in = || is_let_in(app, caller, project);
    let heard = heard(app, of, said, (asked.known, &is_let_in)).await?;
    if asked.tells_only {
        return Ok(None);
    }
    let has = asked.known.zip(asked.epoch);
    told(app, Asked { of, place, key, has }, heard, (asked.known, asked.wait_secs)).await
}

/// Papers for a client that only visits: it takes nobody's place.
async fn as_visitor(
    app: &Shared,
    caller: &Caller,
    (rental, project): (RentalId, ProjectId),
    (key, waits): (NodeKey, (Option<u64>, u64)),
) -> Result<Option<Issued>, Refused> {
    let of = NetworkOf::Rental(rental);
    let network = app.signature.signing_key();
    let heard = app.meshes.watch(&app.writer, of, &network).await??;
    if !has_news(app, of, heard, waits).await {
        return Ok(None);
    }
    may_visit(app, caller, project)?;
    let visitor = Visitor { rental, key, account: caller.account };
    made(app, of, move |app, key| visit(&app.meshes, visitor, key)).await.map(Some)
}

/// What a client is answered. `opens` is what opens the rental's own services: a token and a certificate.
pub(super) fn client_network(
    app: &Shared,
    issued: Issued,
    services: Vec<ServiceView>,
    (cluster_token, ssh_certificate): (Option<String>, Option<String>),
) -> Response {
    let Issued { revision, epoch, pass, member, relays, services: _, wanted: _ } = issued;
    let mut network = ClientNetwork {
        revision,
        epoch,
        since: None,
        gone: Vec::new(),
        pass,
        membership: None,
        policy: None,
        members: Vec::new(),
        relays,
        services,
        ssh_certificate,
        cluster_token,
        network_key: network_key(app),
        renew_secs: RENEW_SECS,
    };
    let Some(IssuedMember { membership, policy, members }) = member else {
        return axum::Json(network).into_response();
    };
    (network.membership, network.policy) = (Some(membership), policy);
    let Listed { since, gone, papers } = members;
    (network.since, network.gone) = (since, gone);
    with_members(papers, &network)
}

fn ssh_key(text: &str) -> Result<SshKey, Refused> {
    let why = "a public key as OpenSSH writes it: ed25519, ECDSA, RSA of 2048 bits or more, or a security key's";
    SshKey::read(text).ok_or_else(|| Refused::field("ssh_key", why))
}

fn certify(app: &Shared, caller: &Caller, rental: RentalId, key: &SshKey) -> String {
    let (issued, account) = (now(), caller.account);
    let expires = issued.after(PASS_VALID_MAX);
    let certified = Certified { account, rental, issued, expires, nonce: random() };
    certificate(key, &certified, &app.signature.signing_key())
}

/// A rental's network, as its members tell of it
///
/// Who is in it, under which addresses, and how each reaches the others.
#[utoipa::path(get, path = "/v1/rentals/{id}/network", tag = "rentals", params(("id" = String, Path)),
    security(("key" = [])), responses(
        (status = 200, body = MeshView),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ))]
async fn network(
    caller: Caller,
    State(app): State<Shared>,
    Path(rental): Path<RentalId>,
) -> Result<axum::Json<MeshView>, Refused> {
    let project = found(&app, &caller, rental, "rental").await?.project;
    let facts = facts(&app, rental, project).await?;
    let of = NetworkOf::Rental(rental);
    Ok(axum::Json(app.meshes.view(of, facts.mesh, facts.policy_version)))
}

/// Let a client leave a rental's network
///
/// It is in no list from then on; leaving what is left changes nothing.
#[utoipa::path(delete, path = "/v1/rentals/{id}/network/{key}", tag = "rentals",
    params(("id" = String, Path), ("key" = String, Path)), security(("key" = [])), responses(
        (status = 204, description = "It is not there"),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ))]
async fn leave(
    caller: Caller,
    State(app): State<Shared>,
    Path((rental, key)): Path<(RentalId, NodeKey)>,
) -> Result<StatusCode, Refused> {
    let project = found(&app, &caller, rental, "rental").await?.project;
    may_visit(&app, &caller, project)?;
    app.meshes.leave(NetworkOf::Rental(rental), key);
    Ok(StatusCode::NO_CONTENT)
}
