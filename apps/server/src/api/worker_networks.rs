//! Networks of rented nodes: machines ask for their nodes' papers, and hear when others are needed.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use std::time::Duration;
use units::RentalId;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use wire::paper::{NodeKey, is_signed, node_statement};
use wire::{NodeNetwork, NodeNetworkRequest, Problem, RELAYS_SEEN_MAX};

use super::door::Machine;
use super::extract::{Json, Path};
use super::problem::Refused;
use crate::app::Shared;
use crate::clock::now;
use crate::limits::WANTED_WAIT_MAX;
use crate::meshes::{Asked, Heard, Issued, NotHeard, Place, Said, Whose, issue};

/// Ask again after so many seconds, to have papers renewed: a quarter of the time that a pass holds.
pub(super) const RENEW_SECS: u64 = wire::paper::PASS_VALID_MAX.as_secs() / 4;

pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new().routes(routes!(network))
}

impl From<NotHeard> for Refused {
    fn from(why: NotHeard) -> Self {
        match why {
            NotHeard::NotWanted => Self::not_found("node any more"),
            NotHeard::KeyTaken => {
                Self::new("already-exists", StatusCode::CONFLICT, why.to_string())
                    .hint("make keys of its own for each node and each client")
            }
            NotHeard::Full => Self::new("too-many", StatusCode::CONFLICT, why.to_string())
                .hint("let a client leave with `iog net leave`, or wait an hour"),
            NotHeard::Paper(why) => Self::field("body", why.to_string()),
        }
    }
}

/// Ask for a node's papers
///
/// Answered at once for who knows no revision. For others when there is another, or when papers are to be renewed; 204
/// after `wait_secs` if there is nothing new.
#[utoipa::path(put, path = "/v1/worker/nodes/{rental}/{node}/network", tag = "machines",
    params(("rental" = String, Path), ("node" = u32, Path)), request_body = NodeNetworkRequest,
    security(("key" = [])), responses(
        (status = 200, body = NodeNetwork),
        (status = 204, description = "Nothing is new"),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ))]
async fn network(
    Machine(worker): Machine,
    State(app): State<Shared>,
    Path((rental, node)): Path<(RentalId, u32)>,
    Json(asked): Json<NodeNetworkRequest>,
) -> Result<Response, Refused> {
    let statement = node_statement(worker, rental, node, &asked.x25519);
    if !is_signed(&asked.key, &statement, &asked.statement) {
        return Err(unsigned());
    }
    let place = Place::Node(node);
    let said = Said {
        place,
        whose: Whose::Machine(worker),
        key: asked.key,
        x25519: Some(asked.x25519),
        suites: asked.suites,
        relays: asked.relays,
        ways: asked.ways,
        services: asked.services,
    };
    let waits = (asked.known, asked.wait_secs);
    // Who has no seat is refused here, and has no say about relays.
    let heard = heard(&app, rental, said, asked.known).await?;
    let seen = asked.seen.get(..RELAYS_SEEN_MAX).unwrap_or(&asked.seen);
    if !seen.is_empty() {
        let look = move |state: &control::Control| state.worker(worker).map(|known| known.owner);
        if let Some(owner) = app.writer.look(look).await? {
            app.meshes.relays.note(owner, seen, now());
        }
    }
    let Some(issued) = told(&app, Asked { rental, place }, heard, waits).await? else {
        return Ok(StatusCode::NO_CONTENT.into_response());
    };
    let Issued { revision, pass, membership, policy, members, relays, services } = issued;
    let torn = || Refused::not_found("node any more");
    let network = NodeNetwork {
        revision,
        membership: membership.ok_or_else(torn)?,
        policy: policy.ok_or_else(torn)?,
        pass,
        members,
        relays,
        services,
        network_key: network_key(&app),
        renew_secs: RENEW_SECS,
    };
    Ok(axum::Json(network).into_response())
}

pub(super) fn unsigned() -> Refused {
    Refused::field("statement", "not the signature of this statement by this key")
}

pub(super) fn network_key(app: &Shared) -> NodeKey {
    NodeKey(app.signature.signing_key().verifying_key().to_bytes())
}

/// Hears what a member says, waits for news, and makes its papers. `None` if there is nothing new.
pub(super) async fn held(
    app: &Shared,
    asked: Asked,
    said: Said,
    waits: (Option<u64>, u64),
) -> Result<Option<Issued>, Refused> {
    let heard = heard(app, asked.rental, said, waits.0).await?;
    told(app, asked, heard, waits).await
}

/// Hears what a member says. Who has no place in the network is refused.
async fn heard(
    app: &Shared,
    id: RentalId,
    said: Said,
    known: Option<u64>,
) -> Result<Heard, Refused> {
    let key = app.signature.signing_key();
    Ok(app.meshes.hear(&app.writer, id, said, (known, &key)).await??)
}

/// Waits for news, and makes the papers of who was heard.
async fn told(
    app: &Shared,
    asked: Asked,
    mut heard: Heard,
    (known, wait_secs): (Option<u64>, u64),
) -> Result<Option<Issued>, Refused> {
    let key = app.signature.signing_key();
    let wait = Duration::from_secs(wait_secs).min(WANTED_WAIT_MAX);
    let mut stopping = app.stopping.clone();
    let _poll = app.metrics.poll();
    let has_news = tokio::select! {
        has_news = app.meshes.has_news(asked.rental, &mut heard, known, wait) => has_news,
        _ = stopping.changed() => false,
    };
    if !has_news {
        return Ok(None);
    }
    let meshes = std::sync::Arc::clone(&app.meshes);
    // Large networks take some milliseconds to work out.
    let issued = tokio::task::spawn_blocking(move || issue(&meshes, asked, &key)).await;
    let failed =
        |_| Refused::new("internal", StatusCode::INTERNAL_SERVER_ERROR, "the papers were lost");
    let issued = issued.map_err(failed)?.map_err(NotHeard::from)?;
    issued.map(Some).ok_or_else(|| NotHeard::NotWanted.into())
}
