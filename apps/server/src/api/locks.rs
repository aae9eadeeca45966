//! Records of time-lock: handed over by machines, and read by those whom they concern; what everyone may know.

use axum::body::{Body, to_bytes};
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use control::Control;
use data_encoding::HEXLOWER;
use proofs::lock::limits::RECORD_BYTES_MAX;
use proofs::log;
use units::{BlobId, RentalId, WorkerId};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use wire::{DeviceProofOfTimeLock, LockInLog, LockKept, LockView, Page, Problem};

use super::door::{Caller, Machine, Stranger};
use super::extract::{PageQuery, Path, Query, items};
use super::problem::Refused;
use super::proofs_log::{Hashes, known_or_has, newest, torn};
use super::rentals::found;
use super::uploads::send;
use crate::app::Shared;
use crate::locks::{self, NotTaken};
use crate::views::{
    self, LOCK_HOUR_ROWS, LOCK_RENTAL_ROWS, LOCK_ROWS, LockRow, lock_hour, lock_row, lock_view,
};

pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .routes(routes!(hand_over))
        .routes(routes!(potl))
        .routes(routes!(of_rental))
        .routes(routes!(of_worker))
        .routes(routes!(one))
        .routes(routes!(bytes))
}

impl From<NotTaken> for Refused {
    fn from(why: NotTaken) -> Self {
        match why {
            NotTaken::Failed(failure) => failure.into(),
            NotTaken::Disk(_) => {
                let detail = "the record could not be kept; nothing was changed";
                Self::new("unavailable", StatusCode::SERVICE_UNAVAILABLE, detail).retry(1)
            }
            NotTaken::TooMany => {
                Self::new("rate-limited", StatusCode::TOO_MANY_REQUESTS, why.to_string())
                    .hint("hand the rest over later")
                    .retry(600)
            }
            NotTaken::NoRecord(_)
            | NotTaken::Foreign
            | NotTaken::NotItsRental
            | NotTaken::Ahead { .. }
            | NotTaken::Old { .. } => {
                Self::new("record-refused", StatusCode::UNPROCESSABLE_ENTITY, why.to_string())
                    .hint("drop it, and look at the machine's clock and its data folder")
            }
        }
    }
}

/// Hand over a record of time-lock
///
/// docs/reference/time-lock.md says what it is. The same record twice is one; when this answers, it is durable.
#[utoipa::path(post, path = "/v1/io-worker/time-lock", tag = "machines",
    request_body(content = Vec<u8>, content_type = "application/octet-stream"), security(("key" = [])), responses(
        (status = 200, body = LockKept),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ))]
async fn hand_over(
    Machine(worker): Machine,
    State(app): State<Shared>,
    body: Body,
) -> Result<axum::Json<LockKept>, Refused> {
    let bytes = to_bytes(body, RECORD_BYTES_MAX).await.map_err(|_| {
        let detail = format!("a record has at most {RECORD_BYTES_MAX} bytes");
        Refused::new("too-large", StatusCode::PAYLOAD_TOO_LARGE, detail)
    })?;
    let known = app.news.worker(worker).ok_or_else(|| Refused::not_found("worker"))?;
    let key = known.public_key;
    drop(known);
    let desk = app.clone();
    // Whoever handed it over may be gone before it is kept; it counts all the same.
    let taken = tokio::spawn(async move { locks::take(&desk, worker, key, bytes.to_vec()).await });
    let failed =
        |_| Refused::new("internal", StatusCode::INTERNAL_SERVER_ERROR, "the record was lost");
    let row = taken.await.map_err(failed)??;
    let summary = &row.lock.summary;
    Ok(axum::Json(LockKept {
        record: row.lock.record,
        index: row.index,
        up_minutes: summary.up().count(),
        broken_minutes: summary.broken().count(),
    }))
}

/// A machine's hours as its records of time-lock show them, newest first
///
/// Open to everyone: no more than how many minutes each hour had.
#[utoipa::path(get, path = "/v1/io-blocks/devices/{id}/potl", tag = "blocks",
    params(("id" = String, Path), PageQuery), responses(
        (status = 200, body = Page<DeviceProofOfTimeLock>),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ))]
async fn potl(
    _stranger: Stranger,
    State(app): State<Shared>,
    Path(id): Path<WorkerId>,
    Query(query): Query<PageQuery>,
) -> Result<axum::Json<Page<DeviceProofOfTimeLock>>, Refused> {
    let owner = id.to_string();
    let page = page(&app, LOCK_HOUR_ROWS, owner, query, lock_hour).await?;
    known_or_has(&app, id, &page)?;
    Ok(axum::Json(page))
}

/// A rental's records of time-lock, newest first
///
/// For the members of its project. One for each node and hour, and one more for each start of an agent.
#[utoipa::path(get, path = "/v1/rentals/{id}/time-lock", tag = "rentals", params(("id" = String, Path), PageQuery),
    security(("key" = [])), responses(
        (status = 200, body = Page<LockView>),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ))]
async fn of_rental(
    caller: Caller,
    State(app): State<Shared>,
    Path(id): Path<RentalId>,
    Query(query): Query<PageQuery>,
) -> Result<axum::Json<Page<LockView>>, Refused> {
    found(&app, &caller, id, "rental").await?;
    Ok(axum::Json(page(&app, LOCK_RENTAL_ROWS, id.to_string(), query, view).await?))
}

/// A machine's records of time-lock, newest first
///
/// For its owner and the operator.
#[utoipa::path(get, path = "/v1/workers/{id}/time-lock", tag = "supply", params(("id" = String, Path), PageQuery),
    security(("key" = [])), responses(
        (status = 200, body = Page<LockView>),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ))]
async fn of_worker(
    caller: Caller,
    State(app): State<Shared>,
    Path(id): Path<WorkerId>,
    Query(query): Query<PageQuery>,
) -> Result<axum::Json<Page<LockView>>, Refused> {
    if !owns(&app, &caller, id).await? {
        return Err(Refused::not_found("worker"));
    }
    Ok(axum::Json(page(&app, LOCK_ROWS, id.to_string(), query, view).await?))
}

fn view(body: &[u8]) -> Option<LockView> {
    Some(lock_view(&lock_row(body)?))
}

async fn page<T>(
    app: &Shared,
    kind: &'static str,
    owner: String,
    query: PageQuery,
    view: impl Fn(&[u8]) -> Option<T>,
) -> Result<Page<T>, Refused> {
    let limit = items(query.limit);
    let cursor = query.cursor;
    let rows = app
        .read(move |reader| reader.rows(kind, Some(&owner), cursor.as_deref(), true, limit + 1))
        .await?;
    let next = rows.get(limit).and_then(|_| rows.get(limit - 1)).map(|(id, _)| id.clone());
    Ok(Page { items: rows.iter().take(limit).filter_map(|(_, body)| view(body)).collect(), next })
}

async fn owns(app: &Shared, caller: &Caller, worker: WorkerId) -> Result<bool, Refused> {
    let (account, is_operator) = (caller.account, caller.is_operator());
    let look = move |state: &Control| {
        state.worker(worker).is_some_and(|known| is_operator || known.owner == account)
    };
    Ok(app.writer.look(look).await? || is_operator)
}

/// A record, for those whom it concerns; to everybody else there is none.
async fn seen(app: &Shared, caller: &Caller, record: BlobId) -> Result<LockRow, Refused> {
    let none = || Refused::not_found("record of time-lock");
    let row = locks::kept(app, record).await?.ok_or_else(none)?;
    if owns(app, caller, row.worker).await? {
        return Ok(row);
    }
    let rental = row.lock.rental.ok_or_else(none)?;
    found(app, caller, rental, "record of time-lock").await?;
    Ok(row)
}

/// A record of time-lock, and that it is in the log of proofs
///
/// For the machine's owner, the members of the renter's project, and the operator.
#[utoipa::path(get, path = "/v1/time-lock/{record}", tag = "rentals", params(("record" = String, Path)),
    security(("key" = [])), responses(
        (status = 200, body = LockInLog),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ))]
async fn one(
    caller: Caller,
    State(app): State<Shared>,
    Path(record): Path<BlobId>,
) -> Result<axum::Json<LockInLog>, Refused> {
    let head = newest(&app).await?;
    let row = seen(&app, &caller, record).await?;
    let index = row.index;
    let path = app.read(move |reader| {
        Hashes::with(reader, |kept| log::inclusion(index, head.size.max(index + 1), kept))
    });
    let path = path.await?.ok_or_else(torn)?;
    let known = app.clone();
    let there = tokio::task::spawn_blocking(move || open(&known, record).is_some()).await;
    Ok(axum::Json(LockInLog {
        lock: views::lock_view(&row),
        entry: HEXLOWER.encode(&row.entry().bytes()),
        head: app.signature.log_head(head),
        path,
        has_record: there.unwrap_or(false),
    }))
}

/// A record's bytes, while they are kept: as evidence of a slash for ever.
fn open(app: &Shared, record: BlobId) -> Option<std::fs::File> {
    app.locks.read(record).or_else(|| app.files.blob(record).ok())
}

/// A record of time-lock, byte by byte
///
/// For the machine's owner, the members of the renter's project, and the operator.
#[utoipa::path(get, path = "/v1/time-lock/{record}/record", tag = "rentals", params(("record" = String, Path)),
    security(("key" = [])), responses(
        (status = 200, body = Vec<u8>, content_type = "application/octet-stream"),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ))]
async fn bytes(
    caller: Caller,
    State(app): State<Shared>,
    Path(record): Path<BlobId>,
) -> Result<Response, Refused> {
    seen(&app, &caller, record).await?;
    let known = app.clone();
    let file = tokio::task::spawn_blocking(move || open(&known, record)).await.ok().flatten();
    let gone = || {
        let gone = Refused::not_found("record any more: old ones that show nothing are dropped");
        gone.hint("whoever kept it can show it: its SHA-256 is its id")
    };
    let kind = [(header::CONTENT_TYPE, "application/octet-stream")];
    Ok((kind, send(file.ok_or_else(gone)?)).into_response())
}
