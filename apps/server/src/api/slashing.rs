//! Slashes: charged by the operator, answered by the accused, seen by both.

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use control::{Command, Control, Refusal, Reply, SlashRecord};
use stakes::{Evidence, EvidenceKind, Offence, Side};
use units::{BlobId, SlashId};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use wire::{
    DecisionRequest, EvidenceItem, OffencesView, Page, Problem, SlashRequest, SlashView,
    StatementRequest,
};

use super::door::{Caller, Stranger};
use super::extract::{PageQuery, Path, Query, Told};
use super::history::{Whose, page, row};
use super::problem::Refused;
use super::uploads::{blocking, send};
use crate::app::Shared;
use crate::clock::fresh_bits;
use crate::views::{self, SLASH_ROWS, SLASH_SIDE_ROWS, side_id};

pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .routes(routes!(offences))
        .routes(routes!(charge, slashes))
        .routes(routes!(slash))
        .routes(routes!(decide))
        .routes(routes!(appeal))
        .routes(routes!(state_on))
        .routes(routes!(file))
}

/// What is punished, and how
///
/// Open to everyone. How much each offence costs, what proves it, and how long there is to appeal.
#[utoipa::path(get, path = "/v1/slashing/offences", tag = "slashing", responses(
    (status = 200, body = OffencesView),
    (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
))]
async fn offences(
    _stranger: Stranger,
    State(app): State<Shared>,
) -> Result<axum::Json<OffencesView>, Refused> {
    Ok(axum::Json(app.writer.look(views::offences).await?))
}

/// A slash as the caller may see it, of any age: whole for the operator, else from the side it takes coins of.
async fn seen(app: &Shared, caller: &Caller, id: SlashId) -> Result<SlashView, Refused> {
    let found = match caller.is_operator() {
        true => row(app, SLASH_ROWS, id.to_string()).await?,
        false => row(app, SLASH_SIDE_ROWS, side_id(&id, caller.account)).await?,
    };
    found.ok_or_else(|| Refused::not_found("slash"))
}

fn kept(app: &Shared, field: &str, blob: BlobId) -> Result<(), Refused> {
    if app.files.has_blob(blob) {
        return Ok(());
    }
    let why = format!("no file {blob} was put");
    Err(Refused::field(field, why).hint("PUT it to /v1/blobs/{sha256} first"))
}

fn evidence(app: &Shared, item: &EvidenceItem) -> Result<Evidence, Refused> {
    let EvidenceItem { kind, blob, summary } = item;
    let kind: Option<EvidenceKind> = views::of_word(kind);
    let kind = kind.ok_or_else(|| Refused::field("kind", "no kind of evidence"))?;
    kept(app, "blob", *blob)?;
    Ok(Evidence { kind, blob: *blob, summary: summary.clone() })
}

/// Charge a machine with an offence
///
/// Operator only. What its rule asks for is locked at once, as far as it is there; the accused has a month to appeal.
#[utoipa::path(post, path = "/v1/slashes", tag = "slashing", request_body = SlashRequest, security(("key" = [])),
    responses(
        (status = 201, body = SlashView),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ))]
async fn charge(
    caller: Caller,
    State(app): State<Shared>,
    told: Told<SlashRequest>,
) -> Result<(StatusCode, axum::Json<SlashView>), Refused> {
    caller.only_operator()?;
    let request = &told.body;
    let offence: Option<Offence> = views::of_word(&request.offence);
    let worker = request.worker;
    let look = move |state: &Control| state.worker(worker).map(|it| it.listing.quantity);
    let cards = app.writer.look(look).await?;
    let slash = SlashRecord {
        slash: SlashId::from_bits(fresh_bits()),
        worker,
        offence: offence
            .ok_or_else(|| Refused::field("offence", "see /v1/slashing/offences for those"))?,
        offended_at: request.offended_at.0,
        cards: request.cards.or(cards).unwrap_or(1),
        evidence: request.evidence.iter().map(|it| evidence(&app, it)).collect::<Result<_, _>>()?,
    };
    let told = told.command(&caller, Command::Slash { slash });
    let Reply::Slash(id) = app.writer.tell(told).await? else {
        return Err(Refusal::IdReused.into());
    };
    Ok((StatusCode::CREATED, axum::Json(seen(&app, &caller, id).await?)))
}

/// Slashes that take from one's own coins
///
/// Newest first, with those that are over. For the operator, all of them.
#[utoipa::path(get, path = "/v1/slashes", tag = "slashing", params(PageQuery), security(("key" = [])), responses(
    (status = 200, body = Page<SlashView>),
    (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
))]
async fn slashes(
    caller: Caller,
    State(app): State<Shared>,
    Query(query): Query<PageQuery>,
) -> Result<axum::Json<Page<SlashView>>, Refused> {
    let page = match caller.is_operator() {
        true => page(&app, SLASH_ROWS, Whose::Everyones, query).await?,
        false => page(&app, SLASH_SIDE_ROWS, Whose::Side(caller.account), query).await?,
    };
    Ok(axum::Json(page))
}

/// One slash
///
/// With its evidence, everything that was said, and each step.
#[utoipa::path(get, path = "/v1/slashes/{id}", tag = "slashing", params(("id" = String, Path)),
    security(("key" = [])), responses(
        (status = 200, body = SlashView),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ))]
async fn slash(
    caller: Caller,
    State(app): State<Shared>,
    Path(id): Path<SlashId>,
) -> Result<axum::Json<SlashView>, Refused> {
    Ok(axum::Json(seen(&app, &caller, id).await?))
}

/// Decide a slash
///
/// Operator only. An appeal that is lost burns the coins; a slash that was wrong gives them back, before an appeal too.
#[utoipa::path(post, path = "/v1/slashes/{id}/decision", tag = "slashing", params(("id" = String, Path)),
    request_body = DecisionRequest, security(("key" = [])), responses(
        (status = 200, body = SlashView),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ))]
async fn decide(
    caller: Caller,
    State(app): State<Shared>,
    Path(slash): Path<SlashId>,
    told: Told<DecisionRequest>,
) -> Result<axum::Json<SlashView>, Refused> {
    caller.only_operator()?;
    let DecisionRequest { uphold, reason } = told.body.clone();
    app.writer.tell(told.command(&caller, Command::Judge { slash, uphold, reason })).await?;
    Ok(axum::Json(seen(&app, &caller, slash).await?))
}

/// What somebody says about a slash that they may see, with a file that is here.
async fn statement(
    app: &Shared,
    caller: &Caller,
    slash: SlashId,
    told: &Told<StatementRequest>,
) -> Result<StatementRequest, Refused> {
    caller.may_write()?;
    seen(app, caller, slash).await?;
    told.body.blob.map_or(Ok(()), |blob| kept(app, "blob", blob))?;
    Ok(told.body.clone())
}

/// Appeal against a slash
///
/// Once, within the time for it, by anyone whose coins it takes. They stay locked until it is decided.
#[utoipa::path(post, path = "/v1/slashes/{id}/appeal", tag = "slashing", params(("id" = String, Path)),
    request_body = StatementRequest, security(("key" = [])), responses(
        (status = 200, body = SlashView),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ))]
async fn appeal(
    caller: Caller,
    State(app): State<Shared>,
    Path(slash): Path<SlashId>,
    told: Told<StatementRequest>,
) -> Result<axum::Json<SlashView>, Refused> {
    let StatementRequest { text, blob } = statement(&app, &caller, slash, &told).await?;
    let account = caller.account;
    app.writer.tell(told.command(&caller, Command::Appeal { account, slash, text, blob })).await?;
    Ok(axum::Json(seen(&app, &caller, slash).await?))
}

/// Say something about a slash
///
/// The operator speaks for the network, everyone else for the accused; while the coins are locked.
#[utoipa::path(post, path = "/v1/slashes/{id}/statements", tag = "slashing", params(("id" = String, Path)),
    request_body = StatementRequest, security(("key" = [])), responses(
        (status = 200, body = SlashView),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ))]
async fn state_on(
    caller: Caller,
    State(app): State<Shared>,
    Path(slash): Path<SlashId>,
    told: Told<StatementRequest>,
) -> Result<axum::Json<SlashView>, Refused> {
    let StatementRequest { text, blob } = statement(&app, &caller, slash, &told).await?;
    let account = caller.account;
    let side = if caller.is_operator() { Side::Network } else { Side::Accused(account) };
    let command = Command::StateOnSlash { side, slash, text, blob };
    app.writer.tell(told.command(&caller, command)).await?;
    Ok(axum::Json(seen(&app, &caller, slash).await?))
}

/// A file of a slash
///
/// Evidence, or what goes with a statement: for the operator, and for everyone whose coins the slash takes.
#[utoipa::path(get, path = "/v1/slashes/{id}/files/{sha256}", tag = "slashing",
    params(("id" = String, Path), ("sha256" = String, Path)), security(("key" = [])), responses(
        (status = 200, body = Vec<u8>, content_type = "application/octet-stream"),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ))]
async fn file(
    caller: Caller,
    State(app): State<Shared>,
    Path((id, blob)): Path<(SlashId, BlobId)>,
) -> Result<impl IntoResponse, Refused> {
    let view = seen(&app, &caller, id).await?;
    let evidence = view.evidence.iter().map(|evidence| evidence.blob);
    let mut blobs = evidence.chain(view.statements.iter().filter_map(|said| said.blob));
    if !blobs.any(|known| known == blob) {
        return Err(Refused::not_found("file"));
    }
    let files = app.files.clone();
    let file = blocking(move || files.blob(blob)).await?;
    Ok(([(header::CONTENT_TYPE, "application/octet-stream")], send(file)))
}
