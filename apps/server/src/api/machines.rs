//! What agents say and are told.

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use control::{Actor, Command, JobSaid, MachineRecord, NodeSaid, PhaseSaid};
use ed25519_dalek::{Signature, VerifyingKey};
use serde::{Deserialize, Serialize};
use sha2::Digest;
use std::time::Duration;
use units::{BlobId, JobId, RentalId, WorkerId};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use wire::{
    Beat, BeatAnswer, Challenge, ChallengeRequest, JobPhase, JobWanted, JoinAnswer, JoinRequest,
    NodePhase, NodeWanted, Problem, Session, SessionRequest, Wanted,
};

use super::door::{Machine, Stranger};
use super::extract::{Json, Path, Query};
use super::problem::Refused;
use super::supply::invite_id;
use super::uploads::{blocking, receive, send};
use crate::app::Shared;
use crate::clock::now;
use crate::limits::{FILE_BYTES_MAX, LOG_PIECE_BYTES_MAX, SESSION_VALID, WANTED_WAIT_MAX};
use crate::news::Known;
use crate::secrets::{agree, sha256};
use crate::views;

/// When a machine should speak next at the latest.
const NEXT_BEAT_SECS: u64 = 10;

pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .routes(routes!(put_log))
        .routes(routes!(put_file))
        .routes(routes!(join))
        .routes(routes!(challenge))
        .routes(routes!(session))
        .routes(routes!(beat))
        .routes(routes!(wanted))
        .routes(routes!(package))
        .routes(routes!(change))
}

/// Join the network
///
/// The invitation's token is the secret; the signature shows that the machine has the private key.
#[utoipa::path(post, path = "/v1/worker/join", tag = "machines", request_body = JoinRequest, responses(
    (status = 201, body = JoinAnswer),
    (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
))]
async fn join(
    _stranger: Stranger,
    State(app): State<Shared>,
    Json(asked): Json<JoinRequest>,
) -> Result<(StatusCode, axum::Json<JoinAnswer>), Refused> {
    let text = format!("iog join 1\n{}\n{}\n{}", asked.token, asked.fingerprint, asked.name);
    verify(asked.public_key.sha256(), &text, &asked.signature)?;
    let refused = || Refused::not_found("invite").hint("make one with `iog worker invite`");
    let invite = invite_id(&asked.token).ok_or_else(refused)?;
    let known = app.writer.look(move |state| state.invite_of(invite).cloned()).await?;
    let known = known.filter(|known| agree(&known.secret_sha256, &sha256(&asked.token)));
    let replaces = known.ok_or_else(refused)?.replaces;
    // The id follows from the key and the invitation, so that joining twice is joining once.
    let digest: [u8; 32] = sha2::Sha256::digest(format!("{invite}\n{}", asked.public_key)).into();
    let mut bits = [0; 16];
    bits.copy_from_slice(&digest[..16]);
    let worker = replaces.unwrap_or(WorkerId::from_bits(u128::from_be_bytes(bits)));
    let has_key = |known: &Known| known.public_key == *asked.public_key.sha256();
    let same = app.news.worker(worker).as_ref().is_some_and(has_key);
    if !same {
        let command = Command::Join {
            invite,
            worker,
            name: asked.name,
            public_key: asked.public_key,
            fingerprint: asked.fingerprint,
            machine: views::machine_record(asked.machine),
        };
        app.writer.tell_as(Actor::Worker(worker), command).await?;
        // Whoever has its old key is it no more.
        app.sessions.close(worker);
    }
    Ok((StatusCode::CREATED, axum::Json(JoinAnswer { worker })))
}

fn verify(key: &[u8; 32], text: &str, signature: &str) -> Result<(), Refused> {
    let wrong = || {
        Refused::new(
            "unauthenticated",
            StatusCode::UNAUTHORIZED,
            "the signature does not fit the key",
        )
    };
    let key = VerifyingKey::from_bytes(key).map_err(|_| wrong())?;
    let bytes = data_encoding::HEXLOWER.decode(signature.as_bytes()).map_err(|_| wrong())?;
    let signature = Signature::from_slice(&bytes).map_err(|_| wrong())?;
    key.verify_strict(text.as_bytes(), &signature).map_err(|_| wrong())
}

/// Ask for a challenge
#[utoipa::path(post, path = "/v1/worker/challenge", tag = "machines", request_body = ChallengeRequest, responses(
    (status = 200, body = Challenge),
    (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
))]
async fn challenge(
    _stranger: Stranger,
    State(app): State<Shared>,
    Json(asked): Json<ChallengeRequest>,
) -> Result<axum::Json<Challenge>, Refused> {
    app.news.worker(asked.worker).ok_or_else(unknown_worker)?;
    Ok(axum::Json(Challenge { challenge: app.sessions.challenge(asked.worker, now()) }))
}

fn unknown_worker() -> Refused {
    Refused::not_found("worker")
        .hint("it was retired, or joined another network; join again with a new invitation")
}

/// Answer a challenge
#[utoipa::path(post, path = "/v1/worker/session", tag = "machines", request_body = SessionRequest, responses(
    (status = 200, body = Session),
    (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
))]
async fn session(
    _stranger: Stranger,
    State(app): State<Shared>,
    Json(asked): Json<SessionRequest>,
) -> Result<axum::Json<Session>, Refused> {
    let known = app.news.worker(asked.worker).ok_or_else(unknown_worker)?;
    let at = now();
    if !app.sessions.use_up(&asked.challenge, asked.worker, at) {
        let detail = "this challenge is unknown, used or too old";
        return Err(Refused::new("unauthenticated", StatusCode::UNAUTHORIZED, detail));
    }
    let text = format!("iog session 1\n{}\n{}", asked.worker, asked.challenge);
    verify(&known.public_key, &text, &asked.signature).map_err(|refused| {
        refused.hint("if the machine has come again since, run its agent from the newer folder")
    })?;
    let token = app.sessions.open(asked.worker, at);
    let valid_secs = SESSION_VALID.as_secs();
    Ok(axum::Json(Session { token, valid_secs, beats_from: at.millis() }))
}

/// Say what runs
#[utoipa::path(post, path = "/v1/worker/beat", tag = "machines", request_body = Beat, security(("key" = [])),
    responses(
        (status = 200, body = BeatAnswer),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ))]
async fn beat(
    Machine(worker): Machine,
    State(app): State<Shared>,
    Json(beat): Json<Beat>,
) -> Result<axum::Json<BeatAnswer>, Refused> {
    let said = digest(&beat);
    let known = app.news.worker(worker).ok_or_else(unknown_worker)?;
    if let control::Beat::News { back } = app.beats.on_beat(worker, beat.number, said).await? {
        if back {
            app.writer.tell_as(Actor::Clock, Command::WorkerUp { worker }).await?;
        }
        app.writer.tell_as(Actor::Worker(worker), observed(worker, beat)).await?;
        app.beats.on_told(worker, said)?;
    }
    let revision = *known.revision.borrow();
    Ok(axum::Json(BeatAnswer { next_beat_secs: NEXT_BEAT_SECS, revision }))
}

/// What a beat says, apart from its number, in 64 bits.
fn digest(beat: &Beat) -> u64 {
    let said = views::json(&(beat.revision, &beat.nodes, &beat.jobs));
    let digest: [u8; 32] = sha2::Sha256::digest(said).into();
    let mut bits = [0; 8];
    bits.copy_from_slice(&digest[..8]);
    u64::from_be_bytes(bits)
}

fn observed(worker: WorkerId, beat: Beat) -> Command {
    let node = |node: wire::NodeSeen| {
        let phase = match node.phase {
            NodePhase::Starting => PhaseSaid::Starting,
            NodePhase::Ready => PhaseSaid::Ready,
            NodePhase::Gone { reason } => PhaseSaid::Gone { reason },
        };
        let disturbed = node.disturbed.as_ref().map(views::disturbed_record);
        NodeSaid { rental: node.rental, node: node.node, phase, head: node.head, disturbed }
    };
    let job = |job: wire::JobSeen| {
        let phase = match job.phase {
            JobPhase::Pending => PhaseSaid::Starting,
            JobPhase::Running => PhaseSaid::Running,
            JobPhase::Succeeded => PhaseSaid::Succeeded,
            JobPhase::Failed { message } => PhaseSaid::Failed { message },
            JobPhase::Stopped => PhaseSaid::Stopped,
        };
        JobSaid { job: job.job, phase }
    };
    let nodes = beat.nodes.into_iter().map(node).collect();
    Command::Observe {
        worker,
        revision: beat.revision,
        nodes,
        jobs: beat.jobs.into_iter().map(job).collect(),
    }
}

/// From where to wait for news, and how long.
#[derive(Clone, Copy, Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct WantedQuery {
    /// Answer when there is something newer than this.
    revision: Option<u64>,
    /// Or after so many seconds, at most 30.
    wait_secs: Option<u64>,
}

/// Hear what should run
#[utoipa::path(get, path = "/v1/worker/wanted", tag = "machines", params(WantedQuery), security(("key" = [])),
    responses(
        (status = 200, body = Wanted),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ))]
async fn wanted(
    Machine(worker): Machine,
    State(app): State<Shared>,
    Query(query): Query<WantedQuery>,
) -> Result<axum::Json<Wanted>, Refused> {
    let known = app.news.worker(worker).ok_or_else(unknown_worker)?;
    let mut revision = known.revision.subscribe();
    // The board holds the sender; kept here too, it would never be seen to close.
    drop(known);
    let mut stopping = app.stopping.clone();
    let wait = Duration::from_secs(query.wait_secs.unwrap_or(0)).min(WANTED_WAIT_MAX);
    if let Some(seen) = query.revision {
        let _poll = app.metrics.poll();
        tokio::select! {
            _ = tokio::time::timeout(wait, revision.wait_for(|newest| *newest > seen)) => {}
            _ = stopping.changed() => {}
        }
    }
    let wanted = app.writer.look(move |state| state.wanted(worker)).await?;
    let node = |node: control::NodeWanted| NodeWanted {
        cluster_token: app.secret.cluster_token(node.rental),
        rental: node.rental,
        node: node.node,
        nodes: node.nodes,
        resources: node.resources,
        gpus: node.gpus,
        head: node.head,
        mesh: node.mesh,
        jobs: node.jobs.into_iter().map(job_wanted).collect(),
    };
    Ok(axum::Json(Wanted {
        revision: wanted.revision,
        nodes: wanted.nodes.into_iter().map(node).collect(),
    }))
}

fn job_wanted(job: control::JobWanted) -> JobWanted {
    let control::JobWanted { job, entrypoint, package, env, stop } = job;
    JobWanted { job, entrypoint, package, env, stop }
}

/// Fetch a package
///
/// Only for a job that this machine drives.
#[utoipa::path(get, path = "/v1/worker/blobs/{sha256}", tag = "machines", params(("sha256" = String, Path)),
    security(("key" = [])), responses(
        (status = 200, body = Vec<u8>, content_type = "application/zip"),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ))]
async fn package(
    Machine(worker): Machine,
    State(app): State<Shared>,
    Path(id): Path<BlobId>,
) -> Result<Response, Refused> {
    let wants = move |state: &control::Control| {
        let wanted = state.wanted(worker);
        wanted.nodes.iter().flat_map(|node| &node.jobs).any(|job| job.package == Some(id))
    };
    if !app.writer.look(wants).await? {
        return Err(Refused::not_found("package"));
    }
    let files = app.files.clone();
    let file = blocking(move || files.blob(id)).await?;
    Ok(send(file).into_response())
}

/// Refuses a machine that does not drive the job.
async fn drives(app: &Shared, worker: WorkerId, job: JobId) -> Result<(), Refused> {
    let drives = move |state: &control::Control| {
        // A trial's stress job has its bits.
        let trial = state.trial(RentalId::from_bits(job.bits()));
        if let Some(trial) = trial.filter(|trial| trial.ended.is_none()) {
            return trial.nodes.first().is_some_and(|head| head.worker == worker);
        }
        let rental = state.job(job).and_then(|job| state.rental(job.rental));
        rental
            .and_then(|rental| rental.nodes.first())
            .is_some_and(|head| head.seat.worker == worker)
    };
    if app.writer.look(drives).await? { Ok(()) } else { Err(Refused::not_found("job")) }
}

/// Where a piece of log begins.
#[derive(Clone, Copy, Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct LogPiece {
    /// In bytes from the log's beginning.
    offset: u64,
}

/// How long a log is.
#[derive(Clone, Copy, Debug, Serialize, utoipa::ToSchema)]
struct LogLength {
    /// In bytes.
    length: u64,
}

/// Hand over a piece of a job's log
///
/// What overlaps is not told again; an empty piece asks for the length.
#[utoipa::path(put, path = "/v1/worker/jobs/{job}/log", tag = "machines", params(("job" = String, Path), LogPiece),
    request_body(content = Vec<u8>, content_type = "text/plain"), security(("key" = [])), responses(
        (status = 200, body = LogLength),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ))]
async fn put_log(
    Machine(worker): Machine,
    State(app): State<Shared>,
    Path(job): Path<JobId>,
    Query(piece): Query<LogPiece>,
    body: Body,
) -> Result<axum::Json<LogLength>, Refused> {
    drives(&app, worker, job).await?;
    let bytes: Bytes = axum::body::to_bytes(body, LOG_PIECE_BYTES_MAX).await.map_err(|_| {
        let detail = format!("a piece of log is at most {} KiB", LOG_PIECE_BYTES_MAX / 1024);
        Refused::new("too-large", StatusCode::PAYLOAD_TOO_LARGE, detail)
    })?;
    let files = app.files.clone();
    let length = blocking(move || files.append_log(job, piece.offset, &bytes)).await?;
    app.news.ring();
    Ok(axum::Json(LogLength { length }))
}

/// Hand over a result file of a job
#[utoipa::path(put, path = "/v1/worker/jobs/{job}/files/{*path}", tag = "machines",
    params(("job" = String, Path), ("path" = String, Path, description = "May have slashes")),
    request_body(content = Vec<u8>, content_type = "application/octet-stream"), security(("key" = [])), responses(
        (status = 204, description = "It is there"),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ))]
async fn put_file(
    Machine(worker): Machine,
    State(app): State<Shared>,
    Path((job, path)): Path<(JobId, String)>,
    body: Body,
) -> Result<StatusCode, Refused> {
    drives(&app, worker, job).await?;
    let incoming = receive(&app, body, FILE_BYTES_MAX).await?;
    let files = app.files.clone();
    blocking(move || files.keep_result(incoming, job, &path)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// What hardware hashes to.
#[derive(Clone, Copy, Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct FingerprintQuery {
    /// What its hardware hashes to, in hexadecimal; as before if absent.
    fingerprint: Option<BlobId>,
}

/// Say that the hardware is other than it was
#[utoipa::path(put, path = "/v1/worker/machine", tag = "machines", params(FingerprintQuery),
    request_body = wire::Machine, security(("key" = [])), responses(
        (status = 204, description = "Noted"),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ))]
async fn change(
    Machine(worker): Machine,
    State(app): State<Shared>,
    Query(FingerprintQuery { fingerprint }): Query<FingerprintQuery>,
    Json(machine): Json<wire::Machine>,
) -> Result<StatusCode, Refused> {
    let record = views::machine_record(machine);
    let same = {
        let record = record.clone();
        move |state: &control::Control| {
            // Whatever it says of its connection is passed over.
            let same = |known: &control::Worker| {
                fingerprint.is_none_or(|said| said == known.fingerprint)
                    && known.machine == MachineRecord { tier: known.machine.tier, ..record }
            };
            state.worker(worker).is_some_and(same)
        }
    };
    if !app.writer.look(same).await? {
        let command = Command::ChangeMachine { worker, machine: record, fingerprint };
        app.writer.tell_as(Actor::Worker(worker), command).await?;
    }
    Ok(StatusCode::NO_CONTENT)
}
