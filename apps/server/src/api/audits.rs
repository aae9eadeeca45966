//! Records of connections: handed over by machines and relays, read by those whom they concern.

use std::path::PathBuf;

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use serde::Deserialize;
use units::RentalId;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use wire::Problem;
use wire::paper::NodeKey;

use super::door::{Caller, Machine};
use super::extract::{Path, Query};
use super::problem::Refused;
use super::relays::Offers;
use super::rentals::found;
use crate::app::Shared;
use crate::limits::{AUDIT_BODY_WAIT, AUDIT_SEGMENT_BYTES_MAX, AUDIT_TURN_WAIT};
use crate::segments::{Log, NotKept};

/// Lines of JSON.
const LINES: &str = "application/x-ndjson";

pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .routes(routes!(of_node))
        .routes(routes!(of_rental))
        .routes(routes!(by_relay))
        .routes(routes!(of_relay))
}

impl From<NotKept> for Refused {
    fn from(why: NotKept) -> Self {
        match why {
            NotKept::NotASegment(_) | NotKept::Foreign(_) => {
                Self::new("record-refused", StatusCode::UNPROCESSABLE_ENTITY, why.to_string())
            }
            NotKept::Other => Self::new("already-exists", StatusCode::CONFLICT, why.to_string()),
            NotKept::Disk(_) => {
                let detail = "the segment could not be kept; nothing was changed";
                Self::new("unavailable", StatusCode::SERVICE_UNAVAILABLE, detail).retry(1)
            }
        }
    }
}

/// Keeps a segment of who hands it over: one at a time, and a few of all.
async fn keep(app: &Shared, who: String, log: Log, body: Body) -> Result<StatusCode, Refused> {
    let late = |detail: &str| {
        Refused::new("busy", StatusCode::SERVICE_UNAVAILABLE, detail)
            .hint("hand the segment over again")
            .retry(10)
    };
    let turn = tokio::time::timeout(AUDIT_TURN_WAIT, app.segments.turn(who)).await;
    let _turn = turn.map_err(|_| late("too many segments are handed over at this moment"))?;
    let received = tokio::time::timeout(AUDIT_BODY_WAIT, to_bytes(body, AUDIT_SEGMENT_BYTES_MAX));
    let received = received.await.map_err(|_| late("the segment did not arrive in time"))?;
    let bytes: Bytes = received.map_err(|_| {
        let detail = format!("a segment has at most {AUDIT_SEGMENT_BYTES_MAX} bytes");
        Refused::new("too-large", StatusCode::PAYLOAD_TOO_LARGE, detail)
    })?;
    let desk = app.clone();
    let kept = tokio::task::spawn_blocking(move || desk.segments.keep(log, &bytes)).await;
    let failed =
        |_| Refused::new("internal", StatusCode::INTERNAL_SERVER_ERROR, "the segment was lost");
    kept.map_err(failed)??;
    Ok(StatusCode::NO_CONTENT)
}

/// Files one after the other, each read when it is its turn.
async fn send(app: &Shared, log: Log, of_all: bool) -> Result<Response, Refused> {
    let desk = app.clone();
    let paths = tokio::task::spawn_blocking(move || desk.segments.paths(log, of_all)).await;
    let failed =
        |_| Refused::new("internal", StatusCode::INTERNAL_SERVER_ERROR, "the log was lost");
    let paths = paths.map_err(failed)?.map_err(NotKept::from)?;
    let pieces = stream::unfold(paths.into_iter(), |mut paths| async move {
        let path: PathBuf = paths.next()?;
        let read = tokio::task::spawn_blocking(move || match std::fs::read(path) {
            // The oldest may have made room meanwhile.
            Err(why) if why.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
            read => read,
        });
        let read = read.await.unwrap_or_else(|why| Err(std::io::Error::other(why)));
        Some((read.map(Bytes::from), paths))
    });
    Ok(([(header::CONTENT_TYPE, LINES)], Body::from_stream(pieces)).into_response())
}

/// Hand over a segment of a node's records of connections
///
/// One sealed segment, as docs/reference/audit.md describes it. The same one twice is one. Taken for an hour after the
/// rental is over, too.
#[utoipa::path(put, path = "/v1/worker/nodes/{rental}/{node}/audit", tag = "machines",
    params(("rental" = String, Path), ("node" = u32, Path)),
    request_body(content = Vec<u8>, content_type = "application/x-ndjson"), security(("key" = [])), responses(
        (status = 204, description = "It is kept"),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ))]
async fn of_node(
    Machine(worker): Machine,
    State(app): State<Shared>,
    Path((rental, node)): Path<(RentalId, u32)>,
    body: Body,
) -> Result<StatusCode, Refused> {
    let had = move |state: &control::Control| {
        let index = usize::try_from(node).unwrap_or(usize::MAX);
        let of_rental = state.rental(rental).and_then(|rental| rental.nodes.get(index));
        let of_trial = state.trial(rental).and_then(|trial| trial.nodes.get(index));
        of_rental.map(|node| node.seat.worker).or(of_trial.map(|node| node.worker))
    };
    if app.writer.look(had).await? != Some(worker) {
        return Err(Refused::not_found("node"));
    }
    keep(&app, worker.to_string(), Log::Node(rental, node), body).await
}

/// Of which node.
#[derive(Clone, Copy, Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct AuditQuery {
    /// Of this node; of all nodes, one after the other, if absent.
    node: Option<u32>,
}

/// Records of connections of a rental's nodes
///
/// For the members of its project: lines of JSON, whole logs that `iog net audit verify` checks, a node's at a time.
/// The oldest segments go when there are 64 MiB of a rental.
#[utoipa::path(get, path = "/v1/rentals/{id}/audit", tag = "rentals", params(("id" = String, Path), AuditQuery),
    security(("key" = [])), responses(
        (status = 200, body = Vec<u8>, content_type = "application/x-ndjson"),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ))]
async fn of_rental(
    caller: Caller,
    State(app): State<Shared>,
    Path(rental): Path<RentalId>,
    Query(query): Query<AuditQuery>,
) -> Result<Response, Refused> {
    found(&app, &caller, rental, "rental").await?;
    let log = Log::Node(rental, query.node.unwrap_or_default());
    send(&app, log, query.node.is_none()).await
}

/// Hand over a segment of a relay's records of streams
///
/// By whoever may register relays. The relay is the one that sealed the segment. It is in the list, or was within the
/// last hour.
#[utoipa::path(put, path = "/v1/network/relays/me/audit", tag = "network",
    request_body(content = Vec<u8>, content_type = "application/x-ndjson"), params(RelayQuery),
    security(("key" = [])), responses(
        (status = 204, description = "It is kept"),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ))]
async fn by_relay(
    offers: Offers,
    State(app): State<Shared>,
    Query(query): Query<RelayQuery>,
    body: Body,
) -> Result<StatusCode, Refused> {
    if !app.meshes.relays.is_told_by(&query.relay, offers.account()) {
        return Err(Refused::not_found("relay of yours"));
    }
    keep(&app, offers.account().to_string(), Log::Relay(query.relay), body).await
}

/// Which relay.
#[derive(Clone, Copy, Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct RelayQuery {
    /// Its key.
    #[param(value_type = String)]
    relay: NodeKey,
}

/// A relay's records of streams
///
/// Operator only: they name visitors of many rentals.
#[utoipa::path(get, path = "/v1/network/relays/{key}/audit", tag = "network", params(("key" = String, Path)),
    security(("key" = [])), responses(
        (status = 200, body = Vec<u8>, content_type = "application/x-ndjson"),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ))]
async fn of_relay(
    caller: Caller,
    State(app): State<Shared>,
    Path(key): Path<NodeKey>,
) -> Result<Response, Refused> {
    caller.only_operator()?;
    send(&app, Log::Relay(key), true).await
}
