//! Invitations and machines, for their owners.

use axum::extract::State;
use axum::http::StatusCode;
use control::{Command, INVITE_VALID, Refusal, Reply};
use units::{InviteId, WorkerId};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use wire::{InviteIssued, InviteRequest, InviteView, Page, PauseRequest, Problem, WorkerView};

use super::door::Caller;
use super::extract::{PageQuery, Path, Query, Told};
use super::people::listed;
use super::problem::Refused;
use crate::app::Shared;
use crate::clock::{fresh_bits, now};
use crate::limits::INVITE_HOURS_MAX;
use crate::secrets::{Secret, sha256};
use crate::views;

pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .routes(routes!(invite, invites))
        .routes(routes!(workers))
        .routes(routes!(worker, retire))
        .routes(routes!(pause))
}

/// What `iog worker join` is given: the invitation's id, and a secret that follows from the server's own.
pub(super) fn token(secret: &Secret, invite: InviteId) -> String {
    format!("{invite}_{}", secret.derive("invite", &invite.to_string()))
}

/// The invitation that a token names.
pub(super) fn invite_id(token: &str) -> Option<InviteId> {
    token.rsplit_once('_').and_then(|(id, _)| id.parse().ok())
}

/// Invite a machine
///
/// The token is shown this once and is good for one machine.
#[utoipa::path(post, path = "/v1/invites", tag = "supply", request_body = InviteRequest, security(("key" = [])),
    responses(
        (status = 201, body = InviteIssued),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ))]
async fn invite(
    caller: Caller,
    State(app): State<Shared>,
    told: Told<InviteRequest>,
) -> Result<(StatusCode, axum::Json<InviteIssued>), Refused> {
    caller.may_write()?;
    if let Some(hours) = told.body.valid_hours.filter(|it| *it > INVITE_HOURS_MAX) {
        let why = format!("at most {INVITE_HOURS_MAX}, not {hours}");
        return Err(Refused::field("valid_hours", why));
    }
    let invite = InviteId::from_bits(fresh_bits());
    let hour = std::time::Duration::from_secs(3600);
    let valid = told.body.valid_hours.map_or(INVITE_VALID, |hours| hour * hours);
    let command = Command::Invite {
        invite,
        account: told.body.account.unwrap_or(caller.account),
        secret_sha256: sha256(token(&app.secret, invite)),
        expires_millis: now().after(valid).millis(),
        replaces: told.body.replace,
    };
    let Reply::Invite(id) = app.writer.tell(told.command(&caller, command)).await? else {
        return Err(Refusal::IdReused.into());
    };
    let look =
        move |state: &control::Control| state.invite_of(id).map(|invite| views::invite(id, invite));
    let invite = app.writer.look(look).await?.ok_or_else(|| Refused::not_found("invite"))?;
    Ok((StatusCode::CREATED, axum::Json(InviteIssued { token: token(&app.secret, id), invite })))
}

/// One's own invitations
#[utoipa::path(get, path = "/v1/invites", tag = "supply", params(PageQuery), security(("key" = [])), responses(
    (status = 200, body = Page<InviteView>),
    (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
))]
async fn invites(
    caller: Caller,
    State(app): State<Shared>,
    Query(query): Query<PageQuery>,
) -> Result<axum::Json<Page<InviteView>>, Refused> {
    let look = move |state: &control::Control| {
        let mine = state.invites().filter(|(_, invite)| invite.account == caller.account);
        listed(mine, &query, views::invite)
    };
    Ok(axum::Json(app.writer.look(look).await?))
}

/// One's own machines
///
/// For the operator, all of them.
#[utoipa::path(get, path = "/v1/workers", tag = "supply", params(PageQuery), security(("key" = [])), responses(
    (status = 200, body = Page<WorkerView>),
    (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
))]
async fn workers(
    caller: Caller,
    State(app): State<Shared>,
    Query(query): Query<PageQuery>,
) -> Result<axum::Json<Page<WorkerView>>, Refused> {
    let look = move |state: &control::Control| {
        let mine = state
            .workers()
            .filter(|(_, worker)| caller.is_operator() || worker.owner == caller.account);
        listed(mine, &query, |id, worker| views::worker(state, id, worker))
    };
    Ok(axum::Json(app.writer.look(look).await?))
}

async fn seen(app: &Shared, caller: &Caller, id: WorkerId) -> Result<WorkerView, Refused> {
    let look = move |state: &control::Control| {
        state.worker(id).map(|worker| views::worker(state, id, worker))
    };
    let view = app.writer.look(look).await?;
    let mine = view.filter(|view| caller.is_operator() || view.owner == caller.account);
    mine.ok_or_else(|| Refused::not_found("worker"))
}

/// One machine
#[utoipa::path(get, path = "/v1/workers/{id}", tag = "supply", params(("id" = String, Path)),
    security(("key" = [])), responses(
        (status = 200, body = WorkerView),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ))]
async fn worker(
    caller: Caller,
    State(app): State<Shared>,
    Path(id): Path<WorkerId>,
) -> Result<axum::Json<WorkerView>, Refused> {
    Ok(axum::Json(seen(&app, &caller, id).await?))
}

/// Take a machine off the market, or put it back
///
/// Rentals it serves go on.
#[utoipa::path(put, path = "/v1/workers/{id}/paused", tag = "supply", params(("id" = String, Path)),
    request_body = PauseRequest, security(("key" = [])), responses(
        (status = 200, body = WorkerView),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ))]
async fn pause(
    caller: Caller,
    State(app): State<Shared>,
    Path(worker): Path<WorkerId>,
    told: Told<PauseRequest>,
) -> Result<axum::Json<WorkerView>, Refused> {
    caller.may_write()?;
    let paused = told.body.paused;
    app.writer.tell(told.command(&caller, Command::SetPaused { worker, paused })).await?;
    Ok(axum::Json(seen(&app, &caller, worker).await?))
}

/// Take a machine out of the network
///
/// Refused while it serves rentals.
#[utoipa::path(delete, path = "/v1/workers/{id}", tag = "supply", params(("id" = String, Path)),
    security(("key" = [])), responses(
        (status = 204, description = "It is out"),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ))]
async fn retire(
    caller: Caller,
    State(app): State<Shared>,
    Path(worker): Path<WorkerId>,
    told: Told<()>,
) -> Result<StatusCode, Refused> {
    caller.may_write()?;
    app.writer.tell(told.command(&caller, Command::Retire { worker })).await?;
    app.beats.forget(worker)?;
    Ok(StatusCode::NO_CONTENT)
}
