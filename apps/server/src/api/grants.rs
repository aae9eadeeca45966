//! Coins of genesis set aside for somebody, released by the schedule of their class.

use axum::extract::State;
use axum::http::StatusCode;
use control::{Command, Control, GrantRecord, Refusal, Reply};
use units::GrantId;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use wire::{GrantRequest, GrantView, Page, Problem};

use super::door::Caller;
use super::extract::{PageQuery, Path, Query, Told};
use super::people::listed;
use super::problem::Refused;
use crate::app::Shared;
use crate::clock::{fresh_bits, now};
use crate::views;

pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new().routes(routes!(open, grants)).routes(routes!(grant)).routes(routes!(claim))
}

async fn seen(
    app: &Shared,
    caller: &Caller,
    id: GrantId,
) -> Result<axum::Json<GrantView>, Refused> {
    let look = move |state: &Control| {
        state.economy().grants.get(&id).map(|grant| views::grant(id, grant, now()))
    };
    let found = app.writer.look(look).await?;
    let mine = found.filter(|view| caller.is_operator() || view.account == caller.account);
    mine.map(axum::Json).ok_or_else(|| Refused::not_found("grant"))
}

/// Set coins of genesis aside for somebody
///
/// Operator only. A class never gives more than genesis gave it.
#[utoipa::path(post, path = "/v1/io-token/grants", tag = "coin", request_body = GrantRequest,
    security(("key" = [])), responses(
        (status = 201, body = GrantView),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ))]
async fn open(
    caller: Caller,
    State(app): State<Shared>,
    told: Told<GrantRequest>,
) -> Result<(StatusCode, axum::Json<GrantView>), Refused> {
    caller.only_operator()?;
    let GrantRequest { account, class, coins } = told.body.clone();
    let grant = GrantId::from_bits(fresh_bits());
    let grant = GrantRecord { grant, account, class, coins };
    let told = told.command(&caller, Command::OpenGrant { grant });
    let Reply::Grant(id) = app.writer.tell(told).await? else {
        return Err(Refusal::IdReused.into());
    };
    Ok((StatusCode::CREATED, seen(&app, &caller, id).await?))
}

/// One's own grants
///
/// For the operator, all of them.
#[utoipa::path(get, path = "/v1/io-token/grants", tag = "coin", params(PageQuery), security(("key" = [])),
    responses(
        (status = 200, body = Page<GrantView>),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ))]
async fn grants(
    caller: Caller,
    State(app): State<Shared>,
    Query(query): Query<PageQuery>,
) -> Result<axum::Json<Page<GrantView>>, Refused> {
    let at = now();
    let look = move |state: &Control| {
        let all = state.economy().grants.iter().map(|(id, grant)| (*id, grant));
        let mine = all.filter(|(_, grant)| caller.is_operator() || grant.account == caller.account);
        listed(mine, &query, |id, grant| views::grant(id, grant, at))
    };
    Ok(axum::Json(app.writer.look(look).await?))
}

/// One grant
#[utoipa::path(get, path = "/v1/io-token/grants/{id}", tag = "coin", params(("id" = String, Path)),
    security(("key" = [])), responses(
        (status = 200, body = GrantView),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ))]
async fn grant(
    caller: Caller,
    State(app): State<Shared>,
    Path(id): Path<GrantId>,
) -> Result<axum::Json<GrantView>, Refused> {
    seen(&app, &caller, id).await
}

/// Claim what a grant has released
///
/// To the account it is for.
#[utoipa::path(post, path = "/v1/io-token/grants/{id}/claim", tag = "coin", params(("id" = String, Path)),
    security(("key" = [])), responses(
        (status = 200, body = GrantView),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ))]
async fn claim(
    caller: Caller,
    State(app): State<Shared>,
    Path(grant): Path<GrantId>,
    told: Told<()>,
) -> Result<axum::Json<GrantView>, Refused> {
    caller.may_write()?;
    app.writer.tell(told.command(&caller, Command::ClaimGrant { grant })).await?;
    seen(&app, &caller, grant).await
}
