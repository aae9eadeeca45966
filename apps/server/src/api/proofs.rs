//! Where machines prove: they ask for challenges, answer them, and check their own programs.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Extension;
use axum::body::{Body, HttpBody};
use axum::extract::{ConnectInfo, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use data_encoding::HEXLOWER;
use futures_util::StreamExt;
use proofs::limits::{OPENINGS_BYTES_MAX, PUZZLE_BITS_MAX};
use proofs::message::MESSAGE_BYTES_MAX;
use proofs::puzzle;
use proofs::together::TOGETHER_BYTES_MAX;
use serde::Deserialize;
use units::{BlobId, RentalId, WorkerId};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use wire::{BinaryView, Problem, PuzzleAnswer, PuzzleRequest};

use super::door::{Machine, Stranger};
use super::extract::{Json, Query};
use super::problem::Refused;
use crate::app::Shared;
use crate::limits::{PROOF_BODY_WAIT, PROOF_JOIN, WANTED_WAIT_MAX};
use crate::proofs::{Asks, Called, NotHeard, Way};

/// Where a message says of which session it is.
const SESSION_AT: std::ops::Range<usize> = 8..24;
/// Versions of the protocol that are spoken.
const VERSIONS: [u8; 1] = [1];

pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .routes(routes!(challenge))
        .routes(routes!(result))
        .routes(routes!(binary))
        .routes(routes!(check))
}

impl From<NotHeard> for Refused {
    fn from(why: NotHeard) -> Self {
        let (code, status, hint) = match &why {
            NotHeard::Over => {
                let hint = "ask for a new challenge; what was going on when the server stopped counts for nothing";
                ("session-over", StatusCode::CONFLICT, hint)
            }
            NotHeard::Refused(_) => {
                let hint = "it has changed nothing: send the message that is due";
                ("message-refused", StatusCode::UNPROCESSABLE_ENTITY, hint)
            }
            NotHeard::Busy => {
                let busy = Self::new("busy", StatusCode::SERVICE_UNAVAILABLE, why.to_string());
                return busy.hint("send the same message again").retry(1);
            }
        };
        Self::new(code, status, why.to_string()).hint(hint)
    }
}

/// Which card asks, and how long it waits.
#[derive(Clone, Copy, Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ChallengeQuery {
    /// SHA-256 of the card's UUID as its driver reports it, or of `cpu`, in hexadecimal.
    card: BlobId,
    /// The rental whose node has this card, if one has: then its renter may have it checked. A processor says none.
    #[param(value_type = Option<String>)]
    rental: Option<RentalId>,
    /// Answer after so many seconds at the latest, at most 30.
    wait_secs: Option<u64>,
}

/// A message as an answer; nothing is said where there is none.
fn said(message: Option<Arc<[u8]>>) -> Response {
    match message {
        Some(message) => {
            let kind = [(header::CONTENT_TYPE, "application/octet-stream")];
            (kind, message.to_vec()).into_response()
        }
        None => StatusCode::NO_CONTENT.into_response(),
    }
}

/// Wait for a challenge
///
/// One for each card. All cards of a machine are challenged at one time.
#[utoipa::path(get, path = "/v1/io-worker/challenge", tag = "Challenges", params(ChallengeQuery),
    security(("key" = [])), responses(
        (status = 200, body = Vec<u8>, content_type = "application/octet-stream",
            description = "The first message of a session: docs/reference/proofs.md"),
        (status = 204, description = "There is nothing to prove yet; ask again"),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ))]
async fn challenge(
    Machine(worker): Machine,
    State(app): State<Shared>,
    from: Option<Extension<ConnectInfo<SocketAddr>>>,
    Query(query): Query<ChallengeQuery>,
) -> Result<Response, Refused> {
    let from = from.map(|Extension(ConnectInfo(from))| from.ip());
    let wait = Duration::from_secs(query.wait_secs.unwrap_or(0)).min(WANTED_WAIT_MAX);
    let _poll = app.metrics.poll();
    let asks = Asks { card: *query.card.sha256(), from, rental: query.rental };
    match app.proofs.call(worker, asks, wait).await? {
        Called::Challenge(message) => Ok(said(Some(message))),
        Called::Nothing => Ok(said(None)),
        Called::NoSuchCard => {
            let why = "a machine with cards proves with them: the SHA-256 of a card's UUID; one without, of `cpu`";
            Err(Refused::field("card", why))
        }
    }
}

/// Say what came of it
///
/// One message of a session, or up to 64 roots one after another; the answer is the verifier's next message.
#[utoipa::path(post, path = "/v1/io-worker/challenge/result", tag = "Results Submission",
    request_body(content = Vec<u8>, content_type = "application/octet-stream"), security(("key" = [])), responses(
        (status = 200, body = Vec<u8>, content_type = "application/octet-stream",
            description = "The verifier's next message: docs/reference/proofs.md"),
        (status = 204, description = "Go on"),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ))]
async fn result(
    Machine(worker): Machine,
    State(app): State<Shared>,
    body: Body,
) -> Result<Response, Refused> {
    let received = tokio::time::timeout(PROOF_BODY_WAIT, receive(&app, worker, body)).await;
    let broke_off = |_| {
        let detail = "the message did not come whole in time";
        Refused::new("bad-request", StatusCode::BAD_REQUEST, detail)
    };
    let (way, message) = received.map_err(broke_off)??;
    let at = Instant::now();
    let desk = Arc::clone(&app.proofs);
    // Whoever said it may be gone before it is judged; it counts all the same.
    let heard = tokio::spawn(async move { desk.hear(way, message, at).await });
    let failed =
        |_| Refused::new("internal", StatusCode::INTERNAL_SERVER_ERROR, "the message was lost");
    Ok(said(heard.await.map_err(failed)??))
}

/// Receives a message, which is as long as its session lets it be.
async fn receive(app: &Shared, worker: WorkerId, body: Body) -> Result<(Way, Arc<[u8]>), Refused> {
    let promised = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    if promised > MESSAGE_BYTES_MAX {
        return Err(too_long(MESSAGE_BYTES_MAX));
    }
    let mut stream = body.into_data_stream();
    let (mut bytes, mut way) = (Vec::new(), None::<Way>);
    while let Some(piece) = stream.next().await {
        let piece = piece.map_err(|_| {
            Refused::new("bad-request", StatusCode::BAD_REQUEST, "the body broke off")
        })?;
        let length = bytes.len() + piece.len();
        if let Some(way) = &mut way {
            fits(app, way, length).await?;
        }
        bytes.extend_from_slice(&piece);
        let Some(id) = bytes.get(SESSION_AT).filter(|_| way.is_none()) else { continue };
        let id = id.try_into().map_err(|_| NotHeard::Over)?;
        let mut found = app.proofs.way(worker, &id)?;
        // Who says beforehand that it is too much need not send it.
        fits(app, &mut found, length.max(promised)).await?;
        way = Some(found);
    }
    let short = || {
        let detail = format!("{} bytes are no message", bytes.len());
        Refused::new("message-refused", StatusCode::UNPROCESSABLE_ENTITY, detail)
    };
    Ok((way.ok_or_else(short)?, bytes.into()))
}

/// Whether so many bytes may come this way; if they are many, with room for them.
async fn fits(app: &Shared, way: &mut Way, length: usize) -> Result<(), Refused> {
    if length > way.bytes_max {
        return Err(too_long(way.bytes_max));
    }
    if length > TOGETHER_BYTES_MAX {
        app.proofs.make_room(way).await?;
    }
    Ok(())
}

fn too_long(bytes_max: usize) -> Refused {
    let detail = format!("a message that may come now has at most {bytes_max} bytes");
    Refused::new("too-large", StatusCode::PAYLOAD_TOO_LARGE, detail)
}

/// What a prover must know of the verifier
///
/// Open to everyone.
#[utoipa::path(get, path = "/v1/io-worker/challenge/binary", tag = "Binary Checker", responses(
    (status = 200, body = BinaryView),
    (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
))]
async fn binary(_stranger: Stranger, State(app): State<Shared>) -> axum::Json<BinaryView> {
    axum::Json(BinaryView {
        versions: VERSIONS.to_vec(),
        verifier: HEXLOWER.encode(&app.proofs.verifier()),
        message_bytes_max: MESSAGE_BYTES_MAX as u64,
        openings_bytes_max: OPENINGS_BYTES_MAX as u64,
        wait_secs_max: WANTED_WAIT_MAX.as_secs(),
        join_secs: PROOF_JOIN.as_secs(),
    })
}

/// Check a candidate for a puzzle
///
/// Open to everyone: a device checks its own program with it before it proves.
#[utoipa::path(post, path = "/v1/io-worker/challenge/binary", tag = "Binary Checker", request_body = PuzzleRequest,
    responses(
        (status = 200, body = PuzzleAnswer),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ))]
async fn check(
    _stranger: Stranger,
    Json(asked): Json<PuzzleRequest>,
) -> Result<axum::Json<PuzzleAnswer>, Refused> {
    let PuzzleRequest { seed, index, bits, number } = asked;
    let seed = HEXLOWER.decode(seed.as_bytes()).ok().and_then(|seed| seed.try_into().ok());
    let seed: [u8; 32] = seed.ok_or_else(|| Refused::field("seed", "64 hexadecimal digits"))?;
    if !(1..=PUZZLE_BITS_MAX).contains(&bits) {
        return Err(Refused::field("bits", format!("1 to {PUZZLE_BITS_MAX}")));
    }
    let leading_zeros = puzzle::zeros(&seed, index, number);
    let solves = leading_zeros >= u32::from(bits);
    Ok(axum::Json(PuzzleAnswer { leading_zeros, solves }))
}
