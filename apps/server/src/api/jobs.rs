//! Jobs, their packages, logs and files.

use axum::body::Body;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use control::{Command, Refusal, Reply};
use serde::Deserialize;
use units::{BlobId, JobId, ProjectId, RentalId};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use wire::{FileView, JobRequest, JobView, Page, Problem};

use super::door::Caller;
use super::extract::{PageQuery, Path, Query, Told};
use super::problem::Refused;
use super::rentals::{found, page, view};
use super::uploads::{blocking, receive, send};
use crate::app::Shared;
use crate::clock::fresh_bits;
use crate::limits::{BLOB_BYTES_MAX, LOG_PIECE_BYTES_MAX, STREAMS_PER_CALLER_MAX};
use crate::streams::{Full, Stream};
use crate::writer::Failure;

pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .routes(routes!(put_blob))
        .routes(routes!(submit, jobs))
        .routes(routes!(job))
        .routes(routes!(stop))
        .routes(routes!(log))
        .routes(routes!(files))
        .routes(routes!(file))
}

/// Put a package
///
/// The zip file of a job's working folder, under its SHA-256, at most 256 MiB. Putting it twice changes nothing.
#[utoipa::path(put, path = "/v1/blobs/{sha256}", tag = "jobs", params(("sha256" = String, Path)),
    request_body(content = Vec<u8>, content_type = "application/zip"), security(("key" = [])), responses(
        (status = 204, description = "It is there"),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ))]
async fn put_blob(
    caller: Caller,
    State(app): State<Shared>,
    Path(id): Path<BlobId>,
    body: Body,
) -> Result<StatusCode, Refused> {
    caller.may_write()?;
    let incoming = receive(&app, body, BLOB_BYTES_MAX).await?;
    let files = app.files.clone();
    blocking(move || files.keep_blob(incoming, id)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Submit a job to a running rental
#[utoipa::path(post, path = "/v1/rentals/{id}/jobs", tag = "jobs", params(("id" = String, Path)),
    request_body = JobRequest, security(("key" = [])), responses(
        (status = 201, body = JobView),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ))]
async fn submit(
    caller: Caller,
    State(app): State<Shared>,
    Path(rental): Path<RentalId>,
    told: Told<JobRequest>,
) -> Result<(StatusCode, axum::Json<JobView>), Refused> {
    caller.may_write()?;
    let JobRequest { entrypoint, package, env } = told.body.clone();
    if package.is_some_and(|package| !app.files.has_blob(package)) {
        return Err(Refused::field("package", "no such package was put")
            .hint("PUT it to /v1/blobs/{sha256} first"));
    }
    let job = JobId::from_bits(fresh_bits());
    let body = told.command(&caller, Command::SubmitJob { job, rental, entrypoint, package, env });
    let Reply::Job(id) = app.writer.tell(body).await? else { return Err(Refusal::IdReused.into()) };
    Ok((StatusCode::CREATED, axum::Json(seen(&app, &caller, id).await?)))
}

/// A job as its view, if the caller may see the project that pays for it.
async fn seen(app: &Shared, caller: &Caller, id: JobId) -> Result<JobView, Refused> {
    let job = stored(app, id).await?;
    found(app, caller, job.rental, "job").await?;
    Ok(job)
}

async fn stored(app: &Shared, id: JobId) -> Result<JobView, Refused> {
    let row = app.read(move |reader| reader.row("job", &id.to_string())).await?;
    row.as_deref().and_then(view).ok_or_else(|| Refused::not_found("job"))
}

/// Jobs of a rental, newest first
#[utoipa::path(get, path = "/v1/rentals/{id}/jobs", tag = "jobs", params(("id" = String, Path), PageQuery),
    security(("key" = [])), responses(
        (status = 200, body = Page<JobView>),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ))]
async fn jobs(
    caller: Caller,
    State(app): State<Shared>,
    Path(rental): Path<RentalId>,
    Query(query): Query<PageQuery>,
) -> Result<axum::Json<Page<JobView>>, Refused> {
    found(&app, &caller, rental, "rental").await?;
    Ok(axum::Json(page(&app, "job", rental.to_string(), query.cursor, query.limit).await?))
}

/// One job
#[utoipa::path(get, path = "/v1/jobs/{id}", tag = "jobs", params(("id" = String, Path)), security(("key" = [])),
    responses(
        (status = 200, body = JobView),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ))]
async fn job(
    caller: Caller,
    State(app): State<Shared>,
    Path(id): Path<JobId>,
) -> Result<axum::Json<JobView>, Refused> {
    Ok(axum::Json(seen(&app, &caller, id).await?))
}

/// Stop a job
///
/// Stopping one that is over changes nothing.
#[utoipa::path(post, path = "/v1/jobs/{id}/stop", tag = "jobs", params(("id" = String, Path)),
    security(("key" = [])), responses(
        (status = 200, body = JobView),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ))]
async fn stop(
    caller: Caller,
    State(app): State<Shared>,
    Path(job): Path<JobId>,
    told: Told<()>,
) -> Result<axum::Json<JobView>, Refused> {
    caller.may_write()?;
    let told = app.writer.tell(told.command(&caller, Command::StopJob { job })).await;
    let view = seen(&app, &caller, job).await;
    match told {
        Ok(_) => Ok(axum::Json(view?)),
        // One whose rental ended long ago is known to the tables alone.
        Err(Failure::Refused(Refusal::NotFound(_))) if view.as_ref().is_ok_and(is_over) => {
            Ok(axum::Json(view?))
        }
        Err(why) => Err(why.into()),
    }
}

fn is_over(job: &JobView) -> bool {
    matches!(job.state.as_str(), "succeeded" | "failed" | "stopped")
}

/// From where, and whether to wait for more.
#[derive(Clone, Copy, Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct LogQuery {
    /// Skip so many bytes.
    offset: Option<u64>,
    /// Go on until the job is over.
    follow: Option<bool>,
}

/// What a job printed
///
/// With `follow=true` the answer goes on as the job prints, and ends with it.
#[utoipa::path(get, path = "/v1/jobs/{id}/log", tag = "jobs", params(("id" = String, Path), LogQuery),
    security(("key" = [])), responses(
        (status = 200, body = String, content_type = "text/plain"),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ))]
async fn log(
    caller: Caller,
    State(app): State<Shared>,
    Path(id): Path<JobId>,
    Query(query): Query<LogQuery>,
) -> Result<Response, Refused> {
    let job = stored(&app, id).await?;
    let project = found(&app, &caller, job.rental, "job").await?.project;
    let stream = open_stream(&app, &caller)?;
    let follow = query.follow.unwrap_or(false);
    let reading = Reading {
        app: app.clone(),
        caller,
        project,
        id,
        offset: query.offset.unwrap_or(0),
        follow,
        over: false,
        stream,
    };
    let pieces = futures_util::stream::unfold(reading, |mut reading| async move {
        let piece = reading.next().await?;
        Some((piece, reading))
    });
    Ok(([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], Body::from_stream(pieces))
        .into_response())
}

/// A log being read.
struct Reading {
    app: Shared,
    caller: Caller,
    project: ProjectId,
    id: JobId,
    offset: u64,
    follow: bool,
    over: bool,
    #[expect(dead_code, reason = "it counts as open while it lives")]
    stream: Stream,
}

impl Reading {
    async fn next(&mut self) -> Option<Result<Bytes, std::io::Error>> {
        let mut bell = self.app.news.bell();
        let mut stopping = self.app.stopping.clone();
        loop {
            // A key that was revoked, or a role that was taken away, ends the stream.
            if !self.caller.is_still_known(&self.app)
                || self.caller.may_see(&self.app, self.project).is_err()
            {
                return None;
            }
            // Whether it is over is read before the log: what was handed over before the end is not missed.
            let over = !self.follow || self.over || self.is_over().await;
            let (files, id, offset) = (self.app.files.clone(), self.id, self.offset);
            let piece = blocking(move || files.read_log(id, offset, LOG_PIECE_BYTES_MAX)).await;
            let Ok(piece) = piece else {
                return Some(Err(std::io::Error::other("the log cannot be read")));
            };
            if !piece.is_empty() {
                self.offset += piece.len() as u64;
                self.over = over;
                return Some(Ok(Bytes::from(piece)));
            }
            if over || *stopping.borrow() {
                return None;
            }
            tokio::select! {
                _ = bell.changed() => {}
                _ = stopping.changed() => return None,
            }
        }
    }

    async fn is_over(&self) -> bool {
        let job = stored(&self.app, self.id).await;
        job.as_ref().is_ok_and(is_over)
    }
}

/// One of the streams that may be open at once.
pub(super) fn open_stream(app: &Shared, caller: &Caller) -> Result<Stream, Refused> {
    app.streams.open(caller.account, &app.metrics).map_err(|full| match full {
        Full::Caller => {
            let detail = format!("no more than {STREAMS_PER_CALLER_MAX} streams of one account");
            Refused::new("too-many", StatusCode::CONFLICT, detail).hint("close one")
        }
        Full::Server => {
            let detail = "too many streams are open";
            Refused::new("unavailable", StatusCode::SERVICE_UNAVAILABLE, detail).retry(5)
        }
    })
}

/// Files a job wrote into its results folder
#[utoipa::path(get, path = "/v1/jobs/{id}/files", tag = "jobs", params(("id" = String, Path)),
    security(("key" = [])), responses(
        (status = 200, body = Page<FileView>),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ))]
async fn files(
    caller: Caller,
    State(app): State<Shared>,
    Path(id): Path<JobId>,
) -> Result<axum::Json<Page<FileView>>, Refused> {
    seen(&app, &caller, id).await?;
    let files = app.files.clone();
    let items = blocking(move || files.results(id)).await?;
    Ok(axum::Json(Page { items, next: None }))
}

/// One of these files
#[utoipa::path(get, path = "/v1/jobs/{id}/files/{*path}", tag = "jobs",
    params(("id" = String, Path), ("path" = String, Path, description = "May have slashes")),
    security(("key" = [])), responses(
        (status = 200, body = Vec<u8>, content_type = "application/octet-stream"),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ))]
async fn file(
    caller: Caller,
    State(app): State<Shared>,
    Path((id, path)): Path<(JobId, String)>,
) -> Result<Response, Refused> {
    seen(&app, &caller, id).await?;
    let files = app.files.clone();
    let file = blocking(move || files.result(id, &path)).await?;
    let headers = [
        (header::CONTENT_TYPE, "application/octet-stream"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    Ok((headers, send(file)).into_response())
}
