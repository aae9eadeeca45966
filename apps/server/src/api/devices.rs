//! A machine and the blocks: what it lacks to be nominated, what it earned, and what the operator says of it.

use axum::extract::State;
use axum::http::StatusCode;
use control::{Command, Control, ExemptionRecord, ProofSaid, VerdictRecord};
use rewards::checklist::Exemption;
use rewards::rule::{Rule, RuleSet};
use serde::Deserialize;
use units::{Coins, Hour, WorkerId};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use wire::{
    BlockWorker, BlockedRequest, DayRewards, ExemptionRequest, Page, Problem, ProofRequest,
    ReadyView, WorkerRewards,
};

use super::door::{Caller, Stranger};
use super::extract::{PageQuery, Path, Query, Told, items};
use super::problem::Refused;
use crate::app::Shared;
use crate::clock::now;
use crate::journal::{JournalError, Reader};
use crate::views::{self, REWARD_ROWS, reward_row};

/// The longest span of a summary: thirty-one days of hours.
const SUMMARY_HOURS_MAX: u32 = 31 * 24;

pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .routes(routes!(ready))
        .routes(routes!(block_rewards))
        .routes(routes!(block_rewards_summary))
        .routes(routes!(proofs))
        .routes(routes!(exemptions))
        .routes(routes!(blocked))
}

/// Whether a machine would be nominated now
///
/// For its owner and the operator. Every rule, with why it is fulfilled or not, and what to do.
#[utoipa::path(get, path = "/v1/io-blocks/devices/{id}/ready", tag = "blocks", params(("id" = String, Path)),
    security(("key" = [])), responses(
        (status = 200, body = ReadyView),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ))]
async fn ready(
    caller: Caller,
    State(app): State<Shared>,
    Path(id): Path<WorkerId>,
) -> Result<axum::Json<ReadyView>, Refused> {
    let look = move |state: &Control| {
        let worker = state.worker(id)?;
        let mine = caller.is_operator() || worker.owner == caller.account;
        mine.then(|| views::ready(state, id, now())).flatten()
    };
    let view = app.writer.look(look).await?;
    let mut view = view.ok_or_else(|| Refused::not_found("worker"))?;
    if let Some(found) = app.proofs.suspicion(id) {
        views::suspect(&mut view, &found);
    }
    Ok(axum::Json(view))
}

/// The hour that a row's id begins with.
fn hour_of(id: &str) -> Option<Hour> {
    id.split_once('/')?.0.parse().ok()
}

/// What a machine's hours brought it, newest first
///
/// Open to everyone, as blocks are.
#[utoipa::path(get, path = "/v1/io-blocks/devices/{id}/block-rewards", tag = "blocks",
    params(("id" = String, Path), PageQuery), responses(
        (status = 200, body = Page<BlockWorker>),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ))]
async fn block_rewards(
    _stranger: Stranger,
    State(app): State<Shared>,
    Path(id): Path<WorkerId>,
    Query(query): Query<PageQuery>,
) -> Result<axum::Json<Page<BlockWorker>>, Refused> {
    let (limit, owner) = (items(query.limit), id.to_string());
    // A cursor is an hour; what follows it are the rows before that hour's.
    let cursor = query.cursor;
    let rows = app
        .read(move |reader| {
            reader.rows(REWARD_ROWS, Some(&owner), cursor.as_deref(), true, limit + 1)
        })
        .await?;
    let more = rows.len() > limit;
    let view =
        |(id, body): &(String, Vec<u8>)| views::block_worker(hour_of(id)?, reward_row(body)?);
    let items: Vec<BlockWorker> = rows.iter().take(limit).filter_map(view).collect();
    let next = items.last().filter(|_| more).map(|last| last.hour.to_string());
    Ok(axum::Json(Page { items, next }))
}

/// A span of hours.
#[derive(Clone, Copy, Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct SpanQuery {
    /// The first hour, as in `2025-03-05T00:00:00`.
    #[param(value_type = String)]
    from: Hour,
    /// The hour after the last; at most 31 days later.
    #[param(value_type = String)]
    to: Hour,
}

/// What a machine's hours brought it, added up by day
///
/// Open to everyone, as blocks are.
#[utoipa::path(get, path = "/v1/io-blocks/devices/{id}/block-rewards-summary", tag = "blocks",
    params(("id" = String, Path), SpanQuery), responses(
        (status = 200, body = WorkerRewards),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ))]
async fn block_rewards_summary(
    _stranger: Stranger,
    State(app): State<Shared>,
    Path(id): Path<WorkerId>,
    Query(SpanQuery { from, to }): Query<SpanQuery>,
) -> Result<axum::Json<WorkerRewards>, Refused> {
    if to <= from || to.since(from) > SUMMARY_HOURS_MAX {
        return Err(Refused::field("to", "after `from`, and at most 31 days later"));
    }
    Ok(axum::Json(app.read(move |reader| sum(reader, id, from, to)).await?))
}

/// Adds up the rows of a machine in a span, which has fewer hours than a page has rows.
fn sum(
    reader: &mut dyn Reader,
    worker: WorkerId,
    from: Hour,
    to: Hour,
) -> Result<WorkerRewards, JournalError> {
    let hours = usize::try_from(to.since(from)).unwrap_or(usize::MAX);
    let (owner, begin) = (worker.to_string(), from.to_string());
    let rows = reader.rows(REWARD_ROWS, Some(&owner), Some(&begin), false, hours)?;
    let view = |(id, body): &(String, Vec<u8>)| {
        let hour = hour_of(id).filter(|hour| *hour < to)?;
        views::block_worker(hour, reward_row(body)?)
    };
    let mut days: Vec<DayRewards> = Vec::new();
    for row in rows.iter().map_while(view) {
        let day = row.hour.to_string().split('T').next().unwrap_or_default().to_owned();
        if days.last().is_none_or(|last| last.day != day) {
            days.push(DayRewards { day, earned: 0, failed: 0, missed: 0, payout: Coins::ZERO });
        }
        let Some(today) = days.last_mut() else { continue };
        match row.status.as_str() {
            "earned" => today.earned += 1,
            "failed" => today.failed += 1,
            _ => today.missed += 1,
        }
        today.payout = today.payout.checked_add(row.payout).unwrap_or(today.payout);
    }
    let count = |pick: fn(&DayRewards) -> u32| days.iter().map(pick).sum();
    let payout = days.iter().map(|day| day.payout.units()).sum();
    Ok(WorkerRewards {
        worker,
        from,
        to,
        earned: count(|day| day.earned),
        failed: count(|day| day.failed),
        missed: count(|day| day.missed),
        payout: Coins::from_units(payout),
        days,
    })
}

/// Say what came of a machine's proof
///
/// Operator only.
#[utoipa::path(post, path = "/v1/io-blocks/devices/{id}/proofs", tag = "blocks", params(("id" = String, Path)),
    request_body = ProofRequest, security(("key" = [])), responses(
        (status = 204, description = "It is known"),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ))]
async fn proofs(
    caller: Caller,
    State(app): State<Shared>,
    Path(worker): Path<WorkerId>,
    told: Told<ProofRequest>,
) -> Result<StatusCode, Refused> {
    caller.only_operator()?;
    let ProofRequest { proof, passed, at, note } = told.body.clone();
    let proof = match proof.as_str() {
        "cluster" => ProofSaid::Cluster,
        "work" => ProofSaid::Work,
        "vram" => ProofSaid::Vram,
        _ => return Err(Refused::field("proof", "cluster, work or vram")),
    };
    let at = at.map_or_else(now, |at| at.0);
    let verdict = VerdictRecord { proof, at, passed, note };
    app.writer.tell(told.command(&caller, Command::RecordProof { worker, verdict })).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Excuse a machine from rules for a time
///
/// Operator only. With no rules, all that it was excused from is taken back.
#[utoipa::path(post, path = "/v1/io-blocks/devices/{id}/exemptions", tag = "blocks", params(("id" = String, Path)),
    request_body = ExemptionRequest, security(("key" = [])), responses(
        (status = 204, description = "It is known"),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ))]
async fn exemptions(
    caller: Caller,
    State(app): State<Shared>,
    Path(worker): Path<WorkerId>,
    told: Told<ExemptionRequest>,
) -> Result<StatusCode, Refused> {
    caller.only_operator()?;
    let ExemptionRequest { rules, from, until, reason } = told.body.clone();
    let named = |name: &String| Rule::ALL.iter().copied().find(|rule| rule.text() == name);
    let Some(rules) = rules.iter().map(named).collect::<Option<RuleSet>>() else {
        let known: Vec<&str> = Rule::ALL.iter().map(|rule| rule.text()).collect();
        return Err(Refused::field("rules", format!("of {}", known.join(", "))));
    };
    let exemption = Exemption {
        rules,
        from: from.map_or_else(now, |from| from.0),
        until: until.map(|until| until.0),
    };
    let exemption = ExemptionRecord { exemption, reason };
    app.writer.tell(told.command(&caller, Command::Exempt { worker, exemption })).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Shut a machine out, or let it in again
///
/// Operator only. What runs on it goes on; it takes nothing new, and earns in no block.
#[utoipa::path(post, path = "/v1/io-blocks/devices/{id}/blocked", tag = "blocks", params(("id" = String, Path)),
    request_body = BlockedRequest, security(("key" = [])), responses(
        (status = 204, description = "It is known"),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ))]
async fn blocked(
    caller: Caller,
    State(app): State<Shared>,
    Path(worker): Path<WorkerId>,
    told: Told<BlockedRequest>,
) -> Result<StatusCode, Refused> {
    caller.only_operator()?;
    let reason = told.body.reason.clone();
    app.writer
        .tell(told.command(&caller, Command::SetBlocked { worker, reason, kind: None }))
        .await?;
    Ok(StatusCode::NO_CONTENT)
}
