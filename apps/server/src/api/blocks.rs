//! Blocks, and what machines earn in them: open to everyone, for the books are. Never whose a machine is.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use control::{Command, Control};
use rewards::accruals::Wanted;
use serde::Deserialize;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use units::{DeviceKind, Hour, Tier, WorkerId};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use wire::{
    BlockProof, BlockView, BlockWorker, BlocksSummary, ClaimAnswer, ClaimRequest, NetworkKey, Page,
    Problem, RewardsView,
};

use super::door::{Caller, Stranger};
use super::extract::{PageQuery, Path, Query, Told, items};
use super::problem::Refused;
use crate::app::Shared;
use crate::clock::now;
use crate::journal::{JournalError, Reader};
use crate::statements::{LINES_AT_ONCE, block, machines, prove};
use crate::views::{self, BLOCK_ROWS, NETWORK, REWARD_ROWS, block_row, reward_id, reward_row};

/// The longest that handing out one statement may take: whoever reads slower than that asks for a part.
const STATEMENT_MAX: Duration = Duration::from_secs(600);
/// Lines looked through for one page when only some are asked for. A page may then be short, and still have a next.
const LOOKED_AT_MAX: usize = 10_000;

pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .routes(routes!(key))
        .routes(routes!(summary))
        .routes(routes!(blocks))
        .routes(routes!(one_block))
        .routes(routes!(workers))
        .routes(routes!(worker))
        .routes(routes!(statement))
        .routes(routes!(proof))
        .routes(routes!(rewards))
        .routes(routes!(claim))
}

/// The network's own key
///
/// Open to everyone. It signs the headers of blocks; whoever knows it can check statements without asking anybody.
#[utoipa::path(get, path = "/v1/network/key", tag = "blocks", responses(
    (status = 200, body = NetworkKey),
    (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
))]
async fn key(_stranger: Stranger, State(app): State<Shared>) -> axum::Json<NetworkKey> {
    axum::Json(app.signature.public())
}

/// All blocks together
///
/// Open to everyone.
#[utoipa::path(get, path = "/v1/io-blocks/blocks/summary", tag = "blocks", responses(
    (status = 200, body = BlocksSummary),
    (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
))]
async fn summary(
    _stranger: Stranger,
    State(app): State<Shared>,
) -> Result<axum::Json<BlocksSummary>, Refused> {
    let newest = |reader: &mut dyn Reader| reader.rows(BLOCK_ROWS, Some(NETWORK), None, true, 1);
    let last = app.read(newest).await?.pop();
    let last = last.and_then(|(_, body)| block_row(&body));
    let last = last.map(|(row, header)| views::closed_block(&row, &header));
    let summary = app.writer.look(|state| views::blocks_summary(state, now())).await?;
    Ok(axum::Json(BlocksSummary { last, ..summary }))
}

/// Which blocks.
#[derive(Clone, Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct BlocksQuery {
    /// Only those that are `in-progress`, `processing` or `completed`.
    status: Option<String>,
    /// `next` of the page before; absent for the first.
    cursor: Option<String>,
    /// How many items, 1 to 200; 50 if absent.
    limit: Option<usize>,
}

/// Blocks, newest first
///
/// Open to everyone. First those that are open.
#[utoipa::path(get, path = "/v1/io-blocks/blocks", tag = "blocks", params(BlocksQuery), responses(
    (status = 200, body = Page<BlockView>),
    (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
))]
async fn blocks(
    _stranger: Stranger,
    State(app): State<Shared>,
    Query(BlocksQuery { status, cursor, limit }): Query<BlocksQuery>,
) -> Result<axum::Json<Page<BlockView>>, Refused> {
    let limit = items(limit);
    let wanted = |view: &BlockView| status.as_ref().is_none_or(|status| *status == view.status);
    one_of("status", status.as_deref(), &["in-progress", "processing", "completed"])?;
    let open = app.writer.look(|state| views::open_blocks(state, now())).await?;
    let past = cursor.clone();
    let closed = app
        .read(move |reader| {
            reader.rows(BLOCK_ROWS, Some(NETWORK), past.as_deref(), true, limit + 1)
        })
        .await?;
    // A block may have closed between the two questions.
    let newest = closed.first().map(|(hour, _)| hour.clone());
    let is_here = |view: &BlockView| {
        let hour = view.hour.to_string();
        cursor.as_ref().is_none_or(|cursor| hour < *cursor)
            && newest.as_ref().is_none_or(|newest| hour > *newest)
    };
    let shown = closed.iter().filter_map(|(_, body)| block_row(body));
    let shown = shown.map(|(row, header)| views::closed_block(&row, &header));
    let mut items: Vec<BlockView> =
        open.into_iter().filter(is_here).chain(shown).filter(wanted).take(limit + 1).collect();
    let more = items.len() > limit;
    items.truncate(limit);
    let next = items.last().filter(|_| more).map(|last| last.hour.to_string());
    Ok(axum::Json(Page { items, next }))
}

/// Refuses a word that is none of these.
fn one_of(field: &str, word: Option<&str>, known: &[&str]) -> Result<(), Refused> {
    if word.is_none_or(|word| known.contains(&word)) {
        return Ok(());
    }
    Err(Refused::field(field, format!("one of {}", known.join(", "))))
}

/// One block
///
/// Open to everyone.
#[utoipa::path(get, path = "/v1/io-blocks/blocks/{hour}", tag = "blocks", params(("hour" = String, Path)),
    responses(
        (status = 200, body = BlockView),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ))]
async fn one_block(
    _stranger: Stranger,
    State(app): State<Shared>,
    Path(hour): Path<Hour>,
) -> Result<axum::Json<BlockView>, Refused> {
    let open = app.writer.look(|state| views::open_blocks(state, now())).await?;
    let closed = app.read(move |reader| block(reader, hour)).await?;
    let closed = closed.map(|(row, header)| views::closed_block(&row, &header));
    let found = closed.or_else(|| open.into_iter().find(|block| block.hour == hour));
    found.map(axum::Json).ok_or_else(|| Refused::not_found("block"))
}

/// Which machines of a block.
#[derive(Clone, Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct WorkersQuery {
    /// Only those that `earned`, `failed` or `missed`.
    status: Option<String>,
    /// Only `gpu` or `cpu`.
    #[param(value_type = Option<String>)]
    device_type: Option<DeviceKind>,
    /// Only of this tier.
    #[param(value_type = Option<String>)]
    connectivity_tier: Option<Tier>,
    /// `next` of the page before; absent for the first.
    cursor: Option<String>,
    /// How many items, 1 to 200; 50 if absent.
    limit: Option<usize>,
}

impl WorkersQuery {
    fn takes(&self, worker: &BlockWorker) -> bool {
        self.status.as_ref().is_none_or(|status| *status == worker.status)
            && self.device_type.is_none_or(|kind| kind == worker.device_type)
            && self.connectivity_tier.is_none_or(|tier| tier == worker.connectivity_tier)
    }

    /// The page after the cursor.
    fn page(
        &self,
        reader: &mut dyn Reader,
        hour: Hour,
    ) -> Result<Option<Page<BlockWorker>>, JournalError> {
        if block(reader, hour)?.is_none() {
            return Ok(None);
        }
        let limit = items(self.limit);
        let (mut items, mut after) = (Vec::new(), self.cursor.clone().unwrap_or_default());
        let mut looked_at = 0;
        while looked_at < LOOKED_AT_MAX {
            let page = machines(reader, hour, &after, LINES_AT_ONCE)?;
            looked_at += page.len();
            let was_last = page.len() < LINES_AT_ONCE;
            for (worker, row) in page {
                let Some(view) = views::block_worker(hour, row) else { continue };
                if self.takes(&view) {
                    if items.len() == limit {
                        return Ok(Some(Page { items, next: Some(after) }));
                    }
                    items.push(view);
                }
                after = worker;
            }
            if was_last {
                return Ok(Some(Page { items, next: None }));
            }
        }
        Ok(Some(Page { items, next: Some(after) }))
    }
}

/// The machines of a block, by id
///
/// Open to everyone. With filters a page may be short, and still have a `next`.
#[utoipa::path(get, path = "/v1/io-blocks/blocks/{hour}/workers", tag = "blocks",
    params(("hour" = String, Path), WorkersQuery), responses(
        (status = 200, body = Page<BlockWorker>),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ))]
async fn workers(
    _stranger: Stranger,
    State(app): State<Shared>,
    Path(hour): Path<Hour>,
    Query(query): Query<WorkersQuery>,
) -> Result<axum::Json<Page<BlockWorker>>, Refused> {
    one_of("status", query.status.as_deref(), &["earned", "failed", "missed"])?;
    let page = app.read(move |reader| query.page(reader, hour)).await?;
    page.map(axum::Json).ok_or_else(|| Refused::not_found("closed block"))
}

/// One machine in a block
///
/// Open to everyone.
#[utoipa::path(get, path = "/v1/io-blocks/blocks/{hour}/workers/{worker}", tag = "blocks",
    params(("hour" = String, Path), ("worker" = String, Path)), responses(
        (status = 200, body = BlockWorker),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ))]
async fn worker(
    _stranger: Stranger,
    State(app): State<Shared>,
    Path((hour, worker)): Path<(Hour, WorkerId)>,
) -> Result<axum::Json<BlockWorker>, Refused> {
    let id = reward_id(hour, &worker.to_string());
    let row = app.read(move |reader| reader.row(REWARD_ROWS, &id)).await?;
    let view = row.and_then(|body| views::block_worker(hour, reward_row(&body)?));
    view.map(axum::Json).ok_or_else(|| Refused::not_found("machine in that block"))
}

/// A place among those who walk a whole block at the moment.
fn place(statements: &Arc<Semaphore>) -> Result<OwnedSemaphorePermit, Refused> {
    Arc::clone(statements).try_acquire_owned().map_err(|_| {
        let detail = "too many statements are read at the moment";
        Refused::new("unavailable", StatusCode::SERVICE_UNAVAILABLE, detail).retry(1)
    })
}

/// A block's statement
///
/// Open to everyone. Text: the signature of the header, the header, and a line for each machine; `iog audit FILE`
/// computes all of it again.
#[utoipa::path(get, path = "/v1/io-blocks/blocks/{hour}/statement", tag = "blocks",
    params(("hour" = String, Path)), responses(
        (status = 200, body = String, content_type = "text/plain"),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ))]
async fn statement(
    _stranger: Stranger,
    State(app): State<Shared>,
    Path(hour): Path<Hour>,
) -> Result<Response, Refused> {
    let place = place(&app.statements)?;
    let found = app.read(move |reader| block(reader, hour)).await?;
    let (row, _) = found.ok_or_else(|| Refused::not_found("closed block"))?;
    let head = app.signature.head(&row.header);
    let reading = Lines {
        app,
        hour,
        head: Some(head),
        after: Some(String::new()),
        begun: Instant::now(),
        place,
    };
    let pieces = futures_util::stream::unfold(reading, |mut reading| async move {
        let piece = reading.next().await?;
        Some((piece, reading))
    });
    let kind = [(header::CONTENT_TYPE, "text/plain; charset=utf-8")];
    Ok((kind, Body::from_stream(pieces)).into_response())
}

/// A statement being handed out.
struct Lines {
    app: Shared,
    hour: Hour,
    head: Option<String>,
    /// The machine whose line was the last; none at the end.
    after: Option<String>,
    begun: Instant,
    #[expect(dead_code, reason = "it counts as open while it lives")]
    place: OwnedSemaphorePermit,
}

impl Lines {
    async fn next(&mut self) -> Option<Result<Bytes, std::io::Error>> {
        if let Some(head) = self.head.take() {
            return Some(Ok(Bytes::from(head)));
        }
        let (hour, after) = (self.hour, self.after.take()?);
        if self.begun.elapsed() > STATEMENT_MAX {
            return Some(Err(std::io::Error::other("the statement was read too slowly")));
        }
        let read = move |reader: &mut dyn Reader| machines(reader, hour, &after, LINES_AT_ONCE);
        let Ok(page) = self.app.read(read).await else {
            return Some(Err(std::io::Error::other("the statement cannot be read")));
        };
        self.after = Some(page.last()?.0.clone());
        let mut text = String::new();
        for (_, row) in page {
            text.push_str(&row.line);
            text.push('\n');
        }
        Some(Ok(Bytes::from(text)))
    }
}

/// Proof that a machine's line is in a block
///
/// Open to everyone. The line, the hashes from it to the root of the block's tree, and the signed header that names
/// the root.
#[utoipa::path(get, path = "/v1/io-blocks/blocks/{hour}/proof/{worker}", tag = "blocks",
    params(("hour" = String, Path), ("worker" = String, Path)), responses(
        (status = 200, body = BlockProof),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ))]
async fn proof(
    _stranger: Stranger,
    State(app): State<Shared>,
    Path((hour, worker)): Path<(Hour, WorkerId)>,
) -> Result<axum::Json<BlockProof>, Refused> {
    let kept = app.trees.get(hour);
    let place = kept.is_none().then(|| place(&app.statements)).transpose()?;
    let known = Arc::clone(&app);
    let found = app
        .read(move |reader| {
            let _place = place;
            prove(reader, (&known.trees, kept), hour, worker)
        })
        .await?;
    let found = found.ok_or_else(|| Refused::not_found("machine in that block"))?;
    Ok(axum::Json(app.signature.signed(found, hour, worker)))
}

/// What one has earned in blocks and not claimed
///
/// Machine by machine.
#[utoipa::path(get, path = "/v1/io-blocks/users/me/rewards", tag = "blocks", params(PageQuery),
    security(("key" = [])), responses(
        (status = 200, body = RewardsView),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ))]
async fn rewards(
    caller: Caller,
    State(app): State<Shared>,
    Query(query): Query<PageQuery>,
) -> Result<axum::Json<RewardsView>, Refused> {
    let not = |_| Refused::field("cursor", "the id of a machine");
    let after = query.cursor.as_deref().map(str::parse).transpose().map_err(not)?;
    let look =
        move |state: &Control| views::unclaimed(state, caller.account, after, items(query.limit));
    Ok(axum::Json(app.writer.look(look).await?))
}

/// Claim what one has earned in blocks
///
/// All of it, so many coins, or what one machine has earned; they are then one's own to spend.
#[utoipa::path(post, path = "/v1/io-blocks/users/me/rewards/claim", tag = "blocks", request_body = ClaimRequest,
    security(("key" = [])), responses(
        (status = 200, body = ClaimAnswer),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ))]
async fn claim(
    caller: Caller,
    State(app): State<Shared>,
    told: Told<ClaimRequest>,
) -> Result<axum::Json<ClaimAnswer>, Refused> {
    caller.may_write()?;
    let wanted = match told.body {
        ClaimRequest { amount: Some(_), worker: Some(_) } => {
            return Err(Refused::field("amount", "an amount or a machine, not both"));
        }
        ClaimRequest { amount: Some(amount), worker: None } => Wanted::Amount(amount),
        ClaimRequest { amount: None, worker: Some(worker) } => Wanted::Worker(worker),
        ClaimRequest { amount: None, worker: None } => Wanted::All,
    };
    let account = caller.account;
    app.writer.tell(told.command(&caller, Command::ClaimRewards { account, wanted })).await?;
    let look = move |state: &Control| ClaimAnswer {
        claimable: state.economy().accruals.account_total(account),
        balance: state.available(ledger::Holder::Account(account), units::Asset::Io),
    };
    Ok(axum::Json(app.writer.look(look).await?))
}
