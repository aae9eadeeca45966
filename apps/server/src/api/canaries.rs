//! Renters' checks of what they rent, and what was measured of cards.

use std::collections::{BTreeMap, BTreeSet};

use axum::extract::State;
use axum::http::StatusCode;
use control::Role;
use data_encoding::HEXLOWER;
use units::{DeviceKind, RentalId, Timestamp, WorkerId};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use wire::{CanariesView, CanaryRequest, CanaryView, FingerprintView, Problem};

use super::door::{Caller, Stranger};
use super::extract::{Json, Path};
use super::problem::Refused;
use super::rentals::found;
use crate::app::Shared;
use crate::clock::{now, random};
use crate::journal::{JournalError, Reader};
use crate::proofs::{CardMeasured, NoCanary, Transcripts, of_transcript};
use crate::views::{self, PROOF_OUTCOME_ROWS, PROOF_RENTAL_ROWS, PROOF_ROWS, ProofRow};
use crate::writer::Failure;

/// Proofs of a rental that are shown.
const SHOWN_MAX: usize = 200;
/// Passed proofs of a machine among which the newest of each card is looked for.
const LOOKED_AT_MAX: usize = 64;
/// Cards whose transcripts are read for one answer: some megabytes each.
const READ_MAX: usize = 8;

pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new().routes(routes!(check)).routes(routes!(checks)).routes(routes!(fingerprint))
}

impl From<NoCanary> for Refused {
    fn from(why: NoCanary) -> Self {
        let detail = why.to_string();
        match why {
            NoCanary::NoRental => Self::not_found("rental"),
            NoCanary::NotRunning(_) | NoCanary::NotReady(_) | NoCanary::NoClass(_) => {
                Self::new("wrong-state", StatusCode::CONFLICT, detail)
                    .hint("a rental can be checked while it runs and all of its nodes are ready")
            }
            NoCanary::TooSoon { wait, .. } | NoCanary::Spent { wait, .. } => {
                Self::new("checked-lately", StatusCode::TOO_MANY_REQUESTS, detail)
                    .hint("a check takes card time that you pay for; wait, or look at the last one")
                    .retry(wait.as_secs().max(1))
            }
            NoCanary::Busy => Self::new("busy", StatusCode::SERVICE_UNAVAILABLE, detail).retry(60),
        }
    }
}

/// Check what you rent
///
/// Every card of the rental's nodes has to prove itself, inside the node, with about a second of its time. For those
/// who may end the rental. A wrong answer, or two that are too slow one after another, entitle to end it as if the
/// supply side had: only what was served is charged.
#[utoipa::path(post, path = "/v1/rentals/{id}/canary", tag = "rentals", params(("id" = String, Path)),
    request_body = CanaryRequest, security(("key" = [])), responses(
        (status = 200, body = CanaryView),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ))]
async fn check(
    caller: Caller,
    State(app): State<Shared>,
    Path(id): Path<RentalId>,
    Json(asked): Json<Option<CanaryRequest>>,
) -> Result<axum::Json<CanaryView>, Refused> {
    caller.may_write()?;
    let project = found(&app, &caller, id, "rental").await?.project;
    let role = app.news.role(project, caller.account);
    if !caller.is_operator() && !matches!(role, Some(Role::Owner | Role::Member)) {
        let detail = "not allowed: it takes a member of the project";
        return Err(Refused::new("forbidden", StatusCode::FORBIDDEN, detail));
    }
    let nonce = match asked.unwrap_or_default().nonce {
        Some(text) => {
            nonce(&text).ok_or_else(|| Refused::field("nonce", "64 hexadecimal digits"))?
        }
        None => random(),
    };
    let canary = app.proofs.ask_canary(id, nonce).await??;
    Ok(axum::Json(views::canary(&canary, now())))
}

fn nonce(text: &str) -> Option<[u8; 32]> {
    HEXLOWER.decode(text.to_ascii_lowercase().as_bytes()).ok()?.try_into().ok()
}

/// What checks of a rental came to
///
/// The last check, and the proofs of all of them. Each proof's transcript is at `/v1/proofs/{session}/transcript`.
#[utoipa::path(get, path = "/v1/rentals/{id}/canaries", tag = "rentals", params(("id" = String, Path)),
    security(("key" = [])), responses(
        (status = 200, body = CanariesView),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ))]
async fn checks(
    caller: Caller,
    State(app): State<Shared>,
    Path(id): Path<RentalId>,
) -> Result<axum::Json<CanariesView>, Refused> {
    found(&app, &caller, id, "rental").await?;
    let rows = app.read(move |reader| {
        let found = reader.rows(PROOF_RENTAL_ROWS, Some(&id.to_string()), None, true, SHOWN_MAX)?;
        proofs_of(reader, found.into_iter().map(|(id, _)| id))
    });
    let proofs = rows.await?.iter().map(views::proof).collect();
    let last = app.proofs.canary(id).map(|canary| views::canary(&canary, now()));
    Ok(axum::Json(CanariesView { last, proofs }))
}

/// The proofs with these ids.
fn proofs_of(
    reader: &mut dyn Reader,
    ids: impl Iterator<Item = String>,
) -> Result<Vec<ProofRow>, JournalError> {
    let mut rows = Vec::new();
    for id in ids {
        rows.extend(reader.row(PROOF_ROWS, &id)?.and_then(|body| views::proof_row(&body)));
    }
    Ok(rows)
}

/// What was measured of a machine's cards
///
/// By the clock of whoever verified, from the machine's own proofs: each rate is of the newest that has it. A claim is
/// judged by how the rates stand to each other more than by how large they are. Open to everyone.
#[utoipa::path(get, path = "/v1/proofs/devices/{id}/fingerprint", tag = "Results Submission",
    params(("id" = String, Path)), responses(
    (status = 200, body = FingerprintView),
    (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
))]
async fn fingerprint(
    _stranger: Stranger,
    State(app): State<Shared>,
    Path(id): Path<WorkerId>,
) -> Result<axum::Json<FingerprintView>, Refused> {
    if let Some(known) = app.proofs.fingerprints(id) {
        return Ok(axum::Json(views::fingerprint(id, &known)));
    }
    let look = move |state: &control::Control| {
        let worker = state.worker(id)?;
        let kind = match worker.machine.gpu_model {
            Some(_) => DeviceKind::Gpu,
            None => DeviceKind::Cpu,
        };
        Some((kind, crate::proofs::claimed(state, worker)))
    };
    let machine = app.writer.look(look).await?.ok_or_else(|| Refused::not_found("machine"))?;
    let place = std::sync::Arc::clone(&app.statements).acquire_owned().await;
    let _place = place.map_err(|_| Failure::Stopping)?;
    let rows = app.read(move |reader| {
        let owner = views::outcome_owner(id, "pass");
        let found = reader.rows(PROOF_OUTCOME_ROWS, Some(&owner), None, true, LOOKED_AT_MAX)?;
        proofs_of(reader, found.into_iter().map(|(id, _)| id))
    });
    let (rows, transcripts) = (rows.await?, std::sync::Arc::clone(app.proofs.transcripts()));
    let read = move || newest(&rows, &transcripts, &machine);
    let known = tokio::task::spawn_blocking(read).await;
    let known = known.map_err(|_| Failure::Stopping)?;
    app.proofs.remember(id, &known);
    Ok(axum::Json(views::fingerprint(id, &known)))
}

/// What the newest of these proofs measured of each card, as far as their transcripts are kept. It blocks.
fn newest(
    rows: &[ProofRow],
    transcripts: &Transcripts,
    (kind, claimed): &(DeviceKind, Option<String>),
) -> BTreeMap<[u8; 32], CardMeasured> {
    let mut seen = BTreeSet::new();
    let own = rows.iter().filter(|row| row.rental.is_none() && seen.insert(row.entry.card));
    let measured = |row: &ProofRow| {
        let mut bytes = Vec::new();
        std::io::Read::read_to_end(&mut transcripts.read(row.entry.transcript)?, &mut bytes)
            .ok()?;
        let measured = of_transcript(*kind, &bytes).filter(|it| !it.rates.is_empty())?;
        let at = Timestamp::from_millis(row.entry.sealed_ms);
        Some((row.entry.card, CardMeasured { claimed: claimed.clone(), at, measured }))
    };
    own.take(READ_MAX).filter_map(measured).collect()
}
