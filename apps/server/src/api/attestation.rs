//! Where machines attest, and where everyone sees what came of it.

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use control::Control;
use data_encoding::BASE64;
use units::{BlobId, Timestamp, WorkerId};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use wire::{
    AttestationAnswer, AttestationData, AttestationFile, AttestationNonce, AttestationRequest,
    AttestationView, Problem, Time,
};

use super::door::{Caller, Machine, Stranger};
use super::extract::{Json, Path};
use super::problem::Refused;
use crate::app::Shared;
use crate::attestation::NotHeard;
use crate::clock::now;
use crate::secrets::sha256;
use crate::views;
use crate::writer::Failure;

/// When to ask again after too many nonces.
const NONCE_RETRY_SECS: u64 = 600;

pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .routes(routes!(nonce))
        .routes(routes!(attest))
        .routes(routes!(attestation))
        .routes(routes!(evidence))
        .routes(routes!(data))
}

impl From<NotHeard> for Refused {
    fn from(why: NotHeard) -> Self {
        let said = why.to_string();
        let clear = |said| {
            Self::new("attestation-refused", StatusCode::UNPROCESSABLE_ENTITY, said)
                .hint("the same evidence is always refused; see docs/concepts/attestation.md")
        };
        match why {
            NotHeard::Nonce => Self::new("nonce-unknown", StatusCode::CONFLICT, said)
                .hint("ask for a new nonce, and answer within five minutes"),
            NotHeard::Evidence(why) if why.is_doubt() => {
                Self::new("attestation-unclear", StatusCode::CONFLICT, said)
                    .hint("try again later: the operator must renew the reference data")
            }
            NotHeard::Evidence(_) | NotHeard::Incomplete(_) => clear(said),
            NotHeard::Gone => Self::not_found("worker"),
            NotHeard::Busy => Self::new("busy", StatusCode::SERVICE_UNAVAILABLE, said)
                .hint("try again soon, with a new nonce")
                .retry(1),
            NotHeard::Disk(_) => Self::new("internal", StatusCode::INTERNAL_SERVER_ERROR, said),
            NotHeard::Told(failure) => failure.into(),
        }
    }
}

/// Ask for a nonce to attest with
///
/// What this machine was given before is no longer good.
#[utoipa::path(post, path = "/v1/io-worker/attestation/nonce", tag = "Attestation", security(("key" = [])), responses(
    (status = 200, body = AttestationNonce),
    (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
))]
async fn nonce(
    Machine(worker): Machine,
    State(app): State<Shared>,
) -> Result<axum::Json<AttestationNonce>, Refused> {
    let stands = standing(&app, worker).await?;
    let is_due = stands.is_none_or(|(view, _)| renew_at(view.at.0, view.until.0) <= now());
    let (nonce, expires) = app.attestation.nonce(worker).ok_or_else(|| {
        let detail = "this machine has asked for too many nonces in this hour";
        Refused::new("rate-limited", StatusCode::TOO_MANY_REQUESTS, detail).retry(NONCE_RETRY_SECS)
    })?;
    Ok(axum::Json(AttestationNonce { nonce, expires: Time(expires), is_due }))
}

/// Attest
///
/// What is good stands when this is answered, and the machine is listed with it until it ends.
#[utoipa::path(post, path = "/v1/io-worker/attestation", tag = "Attestation", request_body = AttestationRequest,
    security(("key" = [])), responses(
        (status = 200, body = AttestationAnswer),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ))]
async fn attest(
    Machine(worker): Machine,
    State(app): State<Shared>,
    Json(request): Json<AttestationRequest>,
) -> Result<axum::Json<AttestationAnswer>, Refused> {
    let desk = app.attestation.clone();
    // Whoever shows it may be gone before it is judged; it counts all the same.
    let heard = tokio::spawn(async move { desk.hear(worker, request).await });
    let lost =
        |_| Refused::new("internal", StatusCode::INTERNAL_SERVER_ERROR, "the evidence was lost");
    heard.await.map_err(lost)??;
    let (view, _) = standing(&app, worker).await?.ok_or_else(none_stands)?;
    let renew_at = Time(renew_at(view.at.0, view.until.0));
    Ok(axum::Json(AttestationAnswer { attestation: view, renew_at }))
}

/// After two thirds of its time there is a third left for what goes wrong.
fn renew_at(at: Timestamp, until: Timestamp) -> Timestamp {
    at.after(until.since(at) * 2 / 3)
}

fn none_stands() -> Refused {
    let detail = "nothing that this machine attested stands";
    Refused::new("not-found", StatusCode::NOT_FOUND, detail)
        .hint("it is shown while it stands: for a day at most, and only of machines whose chips can attest")
}

/// What a machine's attestation came to, and who rents it, by account.
async fn standing(
    app: &Shared,
    id: WorkerId,
) -> Result<Option<(AttestationView, Standing)>, Failure> {
    let look = move |state: &Control| {
        let worker = state.worker(id)?;
        let view = views::attestation(id, worker.attestation.as_ref()?);
        let projects = worker.nodes.iter().filter_map(|(rental, _)| state.rental(*rental));
        let projects = projects.filter_map(|rental| state.project(rental.project));
        let renters = projects.flat_map(|project| project.members.keys().copied()).collect();
        Some((view, Standing { owner: worker.owner, renters }))
    };
    app.writer.look(look).await
}

/// Who may know all of it.
struct Standing {
    owner: units::AccountId,
    renters: std::collections::BTreeSet<units::AccountId>,
}

impl Standing {
    fn may_know(&self, caller: &Caller) -> bool {
        caller.is_operator()
            || caller.account == self.owner
            || self.renters.contains(&caller.account)
    }
}

/// What a machine has attested
///
/// For everyone with a key. The serial numbers of its cards are for its owner, those who rent it, and the operator.
#[utoipa::path(get, path = "/v1/workers/{id}/attestation", tag = "Attestation", params(("id" = String, Path)),
    security(("key" = [])), responses(
        (status = 200, body = AttestationView),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ))]
async fn attestation(
    caller: Caller,
    State(app): State<Shared>,
    Path(id): Path<WorkerId>,
) -> Result<axum::Json<AttestationView>, Refused> {
    let (mut view, of) = standing(&app, id).await?.ok_or_else(none_stands)?;
    if !of.may_know(&caller) {
        view.cards.iter_mut().for_each(|card| card.serial = None);
    }
    Ok(axum::Json(view))
}

/// The evidence of a machine, to be checked again
///
/// For its owner, those who rent it, and the operator: `docs/reference/attestation.md`.
#[utoipa::path(get, path = "/v1/workers/{id}/attestation/evidence", tag = "Attestation",
    params(("id" = String, Path)), security(("key" = [])), responses(
        (status = 200, body = Vec<u8>, content_type = "application/json"),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ))]
async fn evidence(
    caller: Caller,
    State(app): State<Shared>,
    Path(id): Path<WorkerId>,
) -> Result<Response, Refused> {
    let (view, of) = standing(&app, id).await?.ok_or_else(none_stands)?;
    if !of.may_know(&caller) {
        let detail = "not allowed: it takes who rents the machine, its owner, or the operator";
        return Err(Refused::new("forbidden", StatusCode::FORBIDDEN, detail));
    }
    let desk = app.attestation.clone();
    let read = tokio::task::spawn_blocking(move || desk.evidence(view.evidence)).await;
    let bytes = read.ok().flatten().ok_or_else(|| {
        Refused::not_found("evidence any more").hint("the machine shows it anew within a day")
    })?;
    Ok(([(header::CONTENT_TYPE, "application/json")], bytes).into_response())
}

/// What evidence is verified with
///
/// Open to everyone: with it and the evidence anybody comes to the same answer.
#[utoipa::path(get, path = "/v1/attestation/data", tag = "Attestation", responses(
    (status = 200, body = AttestationData),
    (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
))]
async fn data(
    _stranger: Stranger,
    State(app): State<Shared>,
) -> Result<axum::Json<AttestationData>, Refused> {
    let desk = app.attestation.clone();
    let read = move || {
        let problems = desk.data().problems;
        let file = |(name, bytes): (String, Vec<u8>)| AttestationFile {
            name,
            sha256: sha256(&bytes) as BlobId,
            bytes: BASE64.encode(&bytes),
        };
        AttestationData { files: desk.files().into_iter().map(file).collect(), problems }
    };
    let failed =
        |_| Refused::new("internal", StatusCode::INTERNAL_SERVER_ERROR, "the files were not read");
    tokio::task::spawn_blocking(read).await.map(axum::Json).map_err(failed)
}
