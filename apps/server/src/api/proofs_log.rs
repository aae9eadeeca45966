//! What proofs came to, for everyone: by machine, and as a log that only grows.

use std::cell::RefCell;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use control::Control;
use data_encoding::HEXLOWER;
use proofs::log;
use proofs::message::veiled;
use serde::Deserialize;
use units::{AccountId, BlobId, Timestamp, WorkerId};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use wire::{
    LogConsistency, LogEntries, LogHead, Page, PowSummary, Problem, ProofInLog, ProofOwner,
    ProofView, Time,
};

use super::door::{Caller, Stranger};
use super::extract::{Path, Query, items};
use super::problem::Refused;
use super::uploads::send;
use crate::app::Shared;
use crate::clock::now;
use crate::journal::{JournalError, Reader};
use crate::limits::LOG_ENTRIES_MAX;
use crate::views::{
    self, LOCK_ROWS, PROOF_NODE_ROWS, PROOF_OUTCOME_ROWS, PROOF_ROWS, PROOF_SESSION_ROWS, ProofRow,
};
use crate::writer::Failure;

/// How far back a summary looks: 30 days.
const SUMMARY_MILLIS: u64 = 30 * 24 * 3_600_000;
/// Proofs of one outcome that a summary counts: two an hour, of a machine with many cards.
const SUMMARY_PROOFS_MAX: usize = 20_000;
/// Rows read at once for a summary.
const ROWS_AT_ONCE: usize = 1_000;

pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .routes(routes!(pow))
        .routes(routes!(pow_summary))
        .routes(routes!(head))
        .routes(routes!(entries))
        .routes(routes!(consistency))
        .routes(routes!(proof))
        .routes(routes!(transcript))
        .routes(routes!(owner))
}

/// Which proofs of a machine.
#[derive(Clone, Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct PowQuery {
    /// `pass`, `slow`, `fail` or `inconclusive`; all if absent.
    status: Option<String>,
    /// `next` of the page before; absent for the first.
    cursor: Option<String>,
    /// How many items, 1 to 200; 50 if absent.
    limit: Option<usize>,
}

/// A machine's proofs, newest first
///
/// Open to everyone, as blocks are.
#[utoipa::path(get, path = "/v1/io-blocks/devices/{id}/pow", tag = "blocks",
    params(("id" = String, Path), PowQuery), responses(
        (status = 200, body = Page<ProofView>),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ))]
async fn pow(
    _stranger: Stranger,
    State(app): State<Shared>,
    Path(id): Path<WorkerId>,
    Query(query): Query<PowQuery>,
) -> Result<axum::Json<Page<ProofView>>, Refused> {
    let limit = items(query.limit);
    let known = views::outcomes();
    if let Some(status) = query.status.as_ref().filter(|status| !known.contains(status)) {
        return Err(Refused::field("status", format!("{}, not `{status}`", known.join(", "))));
    }
    let cursor = query.cursor;
    let rows = app.read(move |reader| {
        let after = cursor.as_deref();
        match query.status {
            None => reader.rows(PROOF_ROWS, Some(&id.to_string()), after, true, limit + 1),
            Some(status) => {
                let owner = views::outcome_owner(id, &status);
                let found =
                    reader.rows(PROOF_OUTCOME_ROWS, Some(&owner), after, true, limit + 1)?;
                let mut rows = Vec::new();
                for (id, _) in found {
                    rows.extend(reader.row(PROOF_ROWS, &id)?.map(|body| (id, body)));
                }
                Ok(rows)
            }
        }
    });
    let rows = rows.await?;
    let more = rows.len() > limit;
    let shown = &rows[..rows.len().min(limit)];
    let next = shown.last().filter(|_| more).map(|(id, _)| id.clone());
    let read = |(_, body): &(String, Vec<u8>)| Some(views::proof(&views::proof_row(body)?));
    let page = Page { items: shown.iter().filter_map(read).collect(), next };
    known_or_has(&app, id, &page)?;
    Ok(axum::Json(page))
}

/// Refuses a machine that never was. One that has left is shown with what it did.
pub(super) fn known_or_has<T>(app: &Shared, id: WorkerId, page: &Page<T>) -> Result<(), Refused> {
    let has = !page.items.is_empty() || app.news.worker(id).is_some();
    if has { Ok(()) } else { Err(Refused::not_found("machine")) }
}

/// What a machine's proofs came to
///
/// Open to everyone, as blocks are.
#[utoipa::path(get, path = "/v1/io-explorer/devices/{id}/pow-summary", tag = "blocks",
    params(("id" = String, Path)), responses(
        (status = 200, body = PowSummary),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ))]
async fn pow_summary(
    _stranger: Stranger,
    State(app): State<Shared>,
    Path(id): Path<WorkerId>,
) -> Result<axum::Json<PowSummary>, Refused> {
    let place = std::sync::Arc::clone(&app.statements).acquire_owned().await;
    let _place = place.map_err(|_| Failure::Stopping)?;
    let since = Timestamp::from_millis(now().millis().saturating_sub(SUMMARY_MILLIS));
    let count = move |reader: &mut dyn Reader| {
        let mut count = |outcome: &str| count(reader, id, outcome, since);
        let (passed, slow) = (count("pass")?, count("slow")?);
        let (failed, inconclusive) = (count("fail")?, count("inconclusive")?);
        let bad = slow.newest.max(failed.newest);
        let last = (passed.newest.is_some() || bad.is_some())
            .then(|| if passed.newest > bad { "succeeded" } else { "failed" });
        Ok(PowSummary {
            worker: id,
            last_challenge_status: last.map(str::to_owned),
            pow_jobs_passed: passed.number,
            pow_jobs_failed: slow.number + failed.number,
            pow_jobs_inconclusive: inconclusive.number,
        })
    };
    Ok(axum::Json(app.read(count).await?))
}

/// Proofs of one outcome.
#[derive(Debug, Default)]
struct Count {
    number: u64,
    /// The id of the newest of all.
    newest: Option<String>,
}

fn count(
    reader: &mut dyn Reader,
    worker: WorkerId,
    outcome: &str,
    since: Timestamp,
) -> Result<Count, JournalError> {
    let owner = views::outcome_owner(worker, outcome);
    let (mut all, mut after) = (Count::default(), None::<String>);
    for _ in 0..SUMMARY_PROOFS_MAX / ROWS_AT_ONCE {
        let rows =
            reader.rows(PROOF_OUTCOME_ROWS, Some(&owner), after.as_deref(), true, ROWS_AT_ONCE)?;
        let is_new = |body: &[u8]| {
            let at = serde_json::from_slice::<Time>(body);
            at.is_ok_and(|Time(at)| at >= since)
        };
        all.newest = all.newest.or_else(|| rows.first().map(|(id, _)| id.clone()));
        let new = rows.iter().take_while(|(_, body)| is_new(body)).count();
        all.number += new as u64;
        if new < ROWS_AT_ONCE {
            break;
        }
        after = rows.into_iter().next_back().map(|(id, _)| id);
    }
    Ok(all)
}

/// The log as it is now.
pub(super) async fn newest(app: &Shared) -> Result<log::Head, Failure> {
    app.writer.look(|state: &Control| state.economy().proofs.head()).await
}

/// The head of the log of proofs, signed
///
/// Open to everyone. Whoever keeps heads can tell if anything was changed or left out since.
#[utoipa::path(get, path = "/v1/proofs/log", tag = "Results Submission", responses(
    (status = 200, body = LogHead),
    (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
))]
async fn head(
    _stranger: Stranger,
    State(app): State<Shared>,
) -> Result<axum::Json<LogHead>, Refused> {
    Ok(axum::Json(app.signature.log_head(newest(&app).await?)))
}

/// From where in the log.
#[derive(Clone, Copy, Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct EntriesQuery {
    /// The place of the first entry, from 0; 0 if absent.
    from: Option<u64>,
    /// How many, 1 to 500; 50 if absent.
    limit: Option<usize>,
}

/// Entries of the log of proofs, in order
///
/// Open to everyone.
#[utoipa::path(get, path = "/v1/proofs/log/entries", tag = "Results Submission", params(EntriesQuery), responses(
    (status = 200, body = LogEntries),
    (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
))]
async fn entries(
    _stranger: Stranger,
    State(app): State<Shared>,
    Query(query): Query<EntriesQuery>,
) -> Result<axum::Json<LogEntries>, Refused> {
    let from = query.from.unwrap_or(0);
    let limit = query.limit.unwrap_or(crate::limits::PAGE_ITEMS_DEFAULT).clamp(1, LOG_ENTRIES_MAX);
    let rows = app.read(move |reader| {
        let after = from.checked_sub(1).map(views::proof_id);
        let mut rows = reader.rows(PROOF_ROWS, None, after.as_deref(), false, limit + 1)?;
        rows.extend(reader.rows(LOCK_ROWS, None, after.as_deref(), false, limit + 1)?);
        rows.sort_by(|(one, _), (other, _)| one.cmp(other));
        rows.truncate(limit + 1);
        Ok(rows)
    });
    let rows = rows.await?;
    let read = |(_, body): &(String, Vec<u8>)| {
        let proof = views::proof_row(body).map(|row| row.entry.bytes());
        let lock = || views::lock_row(body).map(|row| row.entry().bytes());
        proof.or_else(lock).map(|bytes| HEXLOWER.encode(&bytes))
    };
    let entries: Vec<String> = rows.iter().take(limit).filter_map(read).collect();
    let next = rows.get(limit).and_then(|(id, _)| views::proof_index(id));
    Ok(axum::Json(LogEntries { from, entries, next }))
}

/// Two lengths of the log.
#[derive(Clone, Copy, Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ConsistencyQuery {
    /// Entries of the shorter one.
    from: u64,
    /// Entries of the longer one; as many as there are, if absent.
    to: Option<u64>,
}

/// Reads hashes of the log's tree, and keeps in mind why one could not be read.
pub(super) struct Hashes<'a> {
    reader: RefCell<&'a mut dyn Reader>,
    failed: RefCell<Option<JournalError>>,
}

impl<'a> Hashes<'a> {
    pub(super) fn with<T>(
        reader: &'a mut dyn Reader,
        ask: impl FnOnce(&dyn Fn(u32, u64) -> Option<BlobId>) -> Option<T>,
    ) -> Result<Option<T>, JournalError> {
        let hashes = Self { reader: RefCell::new(reader), failed: RefCell::default() };
        let answer = ask(&|height, index| hashes.read(height, index));
        hashes.failed.into_inner().map_or(Ok(answer), Err)
    }

    fn read(&self, height: u32, index: u64) -> Option<BlobId> {
        let id = views::node_id(height, index);
        match self.reader.borrow_mut().row(PROOF_NODE_ROWS, &id) {
            Ok(body) => views::node_hash(&body?),
            Err(why) => {
                *self.failed.borrow_mut() = Some(why);
                None
            }
        }
    }
}

/// That the log only grew
///
/// Open to everyone.
#[utoipa::path(get, path = "/v1/proofs/log/consistency", tag = "Results Submission",
    params(ConsistencyQuery), responses(
    (status = 200, body = LogConsistency),
    (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
))]
async fn consistency(
    _stranger: Stranger,
    State(app): State<Shared>,
    Query(ConsistencyQuery { from, to }): Query<ConsistencyQuery>,
) -> Result<axum::Json<LogConsistency>, Refused> {
    let size = newest(&app).await?.size;
    let to = to.unwrap_or(size);
    if to > size {
        return Err(Refused::field("to", format!("the log has {size} entries")));
    }
    if from > to {
        return Err(Refused::field("from", "at most `to`"));
    }
    let shown = move |reader: &mut dyn Reader| {
        Hashes::with(reader, |kept| {
            let (from_root, to_root) = (log::root(from, kept)?, log::root(to, kept)?);
            let path = log::consistency(from, to, kept)?;
            Some(LogConsistency { from, from_root, to, to_root, path })
        })
    };
    app.read(shown).await?.map(axum::Json).ok_or_else(torn)
}

pub(super) fn torn() -> Refused {
    let detail = "the log of proofs lacks a hash that it needs";
    Refused::new("internal", StatusCode::INTERNAL_SERVER_ERROR, detail)
}

/// A sealed session by its id.
fn sealed(reader: &mut dyn Reader, session: &str) -> Result<Option<ProofRow>, JournalError> {
    let Some(index) = reader.row(PROOF_SESSION_ROWS, session)? else { return Ok(None) };
    let Ok(index) = serde_json::from_slice(&index) else { return Ok(None) };
    let row = reader.row(PROOF_ROWS, &views::proof_id(index))?;
    Ok(row.and_then(|body| views::proof_row(&body)))
}

fn no_such_proof() -> Refused {
    Refused::not_found("proof").hint("a proof is here once its verdict was given")
}

/// A proof, and that it is in the log
///
/// Open to everyone.
#[utoipa::path(get, path = "/v1/proofs/{session}", tag = "Results Submission",
    params(("session" = String, Path)), responses(
    (status = 200, body = ProofInLog),
    (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
))]
async fn proof(
    _stranger: Stranger,
    State(app): State<Shared>,
    Path(session): Path<String>,
) -> Result<axum::Json<ProofInLog>, Refused> {
    let head = newest(&app).await?;
    let found = app.read(move |reader| {
        let Some(row) = sealed(reader, &session)? else { return Ok(None) };
        let path = Hashes::with(reader, |kept| log::inclusion(row.index, head.size, kept))?;
        Ok(Some((row, path)))
    });
    let (row, path) = found.await?.ok_or_else(no_such_proof)?;
    let (id, transcripts) = (row.entry.transcript, app.proofs.transcripts().clone());
    let there = tokio::task::spawn_blocking(move || transcripts.read(id).is_some()).await;
    Ok(axum::Json(ProofInLog {
        proof: views::proof(&row),
        entry: HEXLOWER.encode(&row.entry.bytes()),
        head: app.signature.log_head(head),
        path: path.ok_or_else(torn)?,
        has_transcript: there.unwrap_or(false),
    }))
}

/// A proof's transcript
///
/// Open to everyone: all its messages, to be checked again. It does not say whose the machine is.
#[utoipa::path(get, path = "/v1/proofs/{session}/transcript", tag = "Results Submission",
    params(("session" = String, Path)), responses(
        (status = 200, body = Vec<u8>, content_type = "application/octet-stream"),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ))]
async fn transcript(
    _stranger: Stranger,
    State(app): State<Shared>,
    Path(session): Path<String>,
) -> Result<Response, Refused> {
    let row = app.read(move |reader| sealed(reader, &session)).await?;
    let id = row.ok_or_else(no_such_proof)?.entry.transcript;
    let transcripts = app.proofs.transcripts().clone();
    let found = tokio::task::spawn_blocking(move || transcripts.read(id)).await.ok().flatten();
    let Some(file) = found else {
        let gone =
            Refused::not_found("transcript any more: old ones of proofs that passed are dropped");
        return Err(gone.hint(format!("whoever kept it can show it: its SHA-256 is {id}")));
    };
    let kind = [(header::CONTENT_TYPE, "application/octet-stream")];
    Ok((kind, send(file)).into_response())
}

/// What veils the owner in a proof's transcript
///
/// For the machine's owner and the operator. With it the owner shows that the machine was theirs, to whom they like.
#[utoipa::path(get, path = "/v1/proofs/{session}/owner", tag = "Results Submission",
    params(("session" = String, Path)), security(("key" = [])), responses(
    (status = 200, body = ProofOwner),
    (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
))]
async fn owner(
    caller: Caller,
    State(app): State<Shared>,
    Path(session): Path<String>,
) -> Result<axum::Json<ProofOwner>, Refused> {
    let row = app.read(move |reader| sealed(reader, &session)).await?.ok_or_else(no_such_proof)?;
    let worker = row.entry.worker;
    let look = move |state: &Control| state.worker(worker).map(|worker| worker.owner);
    let account = app.writer.look(look).await?;
    let mine = |account: &AccountId| caller.is_operator() || *account == caller.account;
    let account = account.filter(mine).ok_or_else(no_such_proof)?;
    let session = row.entry.session;
    let salt = app.proofs.salt(&session);
    Ok(axum::Json(ProofOwner {
        session: HEXLOWER.encode(&session),
        account,
        salt: HEXLOWER.encode(&salt),
        owner: HEXLOWER.encode(&veiled(account, &session, &salt)),
    }))
}
