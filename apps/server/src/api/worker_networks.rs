//! Networks of rented nodes: machines ask for their nodes' papers, and hear when others are needed.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use ed25519_dalek::SigningKey;
use futures_util::stream;
use mesh::{PrivateKey, PublicKey};
use serde::Serialize;
use units::RentalId;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use wire::paper::{MeshKey, NodeKey, PaperRefused, is_signed, is_x25519_proven, node_statement};
use wire::{NodeNetwork, NodeNetworkRequest, Problem, RELAYS_SEEN_MAX};

use super::door::Machine;
use super::extract::{Json, Path};
use super::problem::Refused;
use crate::app::Shared;
use crate::clock::now;
use crate::limits::WANTED_WAIT_MAX;
use crate::meshes::{
    Asked, Heard, Hearing, Issued, NetworkOf, NotHeard, Place, Said, Whose, issue,
};

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
            NotHeard::NameTaken => {
                Self::new("already-exists", StatusCode::CONFLICT, why.to_string()).hint(
                    "ask for another name; one that left without a word is free after an hour",
                )
            }
            NotHeard::NotLetIn => Self::new("forbidden", StatusCode::FORBIDDEN, why.to_string()),
            NotHeard::Full { .. } => Self::new("too-many", StatusCode::CONFLICT, why.to_string())
                .hint("let a client leave with `iog net leave`, or wait an hour"),
            NotHeard::Paper(why) => Self::field("body", why.to_string()),
        }
    }
}

/// Ask for a node's papers
///
/// Answered at once for who knows no revision. For others when there is another, or when papers are to be renewed; 204
/// after `wait_secs` if there is nothing new. Who names the epoch of its revision, too, may be told of those members
/// alone that are others since. 204 at once for who only tells.
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
    proven(&app, (&asked.key, &asked.x25519), &statement, &asked.proof)?;
    let place = Place::Node(node);
    let said = Said {
        place,
        whose: Whose::Machine(worker),
        called: None,
        key: asked.key,
        x25519: asked.x25519,
        shows: asked.membership,
        suites: asked.suites,
        relays: asked.relays,
        ways: asked.ways,
        services: asked.services,
    };
    let (waits, has) = ((asked.known, asked.wait_secs), asked.known.zip(asked.epoch));
    // Who has no seat is refused here, and has no say about relays.
    let (of, key) = (NetworkOf::Rental(rental), asked.key);
    let heard = heard(&app, of, said, (asked.known, &|| true)).await?;
    let seen = asked.seen.get(..RELAYS_SEEN_MAX).unwrap_or(&asked.seen);
    if !seen.is_empty() {
        let look = move |state: &control::Control| state.worker(worker).map(|known| known.owner);
        if let Some(owner) = app.writer.look(look).await? {
            app.meshes.relays.note(owner, seen, now());
        }
    }
    if asked.tells_only {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let Some(issued) = told(&app, Asked { of, place, key, has }, heard, waits).await? else {
        return Ok(StatusCode::NO_CONTENT.into_response());
    };
    let (members, network) =
        issued.for_node(network_key(&app), RENEW_SECS).ok_or(NotHeard::NotWanted)?;
    Ok(with_members(members, &network))
}

/// An answer in JSON with its field `members`, which all members of a network are told alike: it is written once for
/// all of them, and lies in memory once, however many are told at the same moment.
pub(super) fn with_members(members: Bytes, rest: &impl Serialize) -> Response {
    let mut rest = serde_json::to_vec(rest).expect("papers are plain data");
    // The brace with which the rest begins: what follows are its fields.
    if let Some(first) = rest.first_mut() {
        *first = b',';
    }
    let pieces = [Bytes::from_static(br#"{"members":"#), members, Bytes::from(rest)];
    let length: usize = pieces.iter().map(Bytes::len).sum();
    let body = Body::from_stream(stream::iter(pieces.map(Ok::<_, Infallible>)));
    let head = [
        (header::CONTENT_TYPE, "application/json".to_owned()),
        (header::CONTENT_LENGTH, length.to_string()),
    ];
    (head, body).into_response()
}

pub(super) fn unsigned() -> Refused {
    Refused::field("statement", "not the signature of this statement by this key")
}

/// Refuses who does not show that it has the other half of the key for packets that it names: nobody else could name a
/// member's.
pub(super) fn proven(
    app: &Shared,
    (key, x25519): (&NodeKey, &MeshKey),
    statement: &str,
    proof: &str,
) -> Result<(), Refused> {
    let network = PrivateKey::from_bytes(app.signature.signing_key().to_scalar_bytes());
    let agreed = network.agree(&PublicKey(x25519.0));
    if agreed.is_some_and(|agreed| is_x25519_proven(&agreed, key, statement, proof)) {
        return Ok(());
    }
    let why = "does not show that the private half of `x25519` is there, to this network";
    Err(Refused::field("proof", why))
}

pub(super) fn network_key(app: &Shared) -> NodeKey {
    NodeKey(app.signature.signing_key().verifying_key().to_bytes())
}

/// Hears what a member says. Who has no place in the network is refused, and who may not ask any more.
pub(super) async fn heard(
    app: &Shared,
    of: NetworkOf,
    said: Said,
    (known, is_let_in): (Option<u64>, &(dyn Fn() -> bool + Sync)),
) -> Result<Heard, Refused> {
    let key = app.signature.signing_key();
    let hearing = Hearing { known, key: &key, is_let_in };
    Ok(app.meshes.hear(&app.writer, of, said, &hearing).await??)
}

/// Waits for news, and makes the papers of who was heard.
pub(super) async fn told(
    app: &Shared,
    asked: Asked,
    heard: Heard,
    waits: (Option<u64>, u64),
) -> Result<Option<Issued>, Refused> {
    if !has_news(app, asked.of, heard, waits).await {
        return Ok(None);
    }
    made(app, asked.of, move |app, key| issue(&app.meshes, asked, key)).await.map(Some)
}

/// Waits for news, not for longer than who asks wants to.
pub(super) async fn has_news(
    app: &Shared,
    of: NetworkOf,
    mut heard: Heard,
    (known, wait_secs): (Option<u64>, u64),
) -> bool {
    let wait = Duration::from_secs(wait_secs).min(WANTED_WAIT_MAX);
    let mut stopping = app.stopping.clone();
    let _poll = app.metrics.poll();
    tokio::select! {
        has_news = app.meshes.has_news(of, &mut heard, known, wait) => has_news,
        _ = stopping.changed() => false,
    }
}

/// Makes papers of a network, away from the threads that answer: those of large networks take some milliseconds.
pub(super) async fn made(
    app: &Shared,
    of: NetworkOf,
    make: impl FnOnce(&Shared, &SigningKey) -> Result<Option<Issued>, PaperRefused> + Send + 'static,
) -> Result<Issued, Refused> {
    let place = app.meshes.place(of).await.ok_or(NotHeard::NotWanted)?;
    let (desk, key) = (Shared::clone(app), app.signature.signing_key());
    let make = move || {
        let made = make(&desk, &key);
        drop(place);
        made
    };
    let failed =
        |_| Refused::new("internal", StatusCode::INTERNAL_SERVER_ERROR, "the papers were lost");
    let issued =
        tokio::task::spawn_blocking(make).await.map_err(failed)?.map_err(NotHeard::from)?;
    issued.ok_or_else(|| NotHeard::NotWanted.into())
}
