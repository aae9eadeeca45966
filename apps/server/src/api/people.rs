//! Accounts, projects, members, keys, statements.

use axum::extract::State;
use axum::http::StatusCode;
use control::{Command, Refusal, Reply};
use units::{AccountId, KeyId, ProjectId};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use wire::{
    AccountRequest, AccountView, KeyIssued, KeyRequest, KeyView, MeView, MemberRequest, Page,
    Problem, ProjectRequest, ProjectView, TopUpRequest, TransferView,
};

use super::door::{Caller, Holder};
use super::extract::{PageQuery, Path, Query, Told};
use super::problem::Refused;
use super::rentals::page;
use crate::app::Shared;
use crate::clock::{fresh_bits, now};
use crate::genesis::key_text;
use crate::secrets::sha256;
use crate::views;

pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .routes(routes!(me))
        .routes(routes!(open_account))
        .routes(routes!(account))
        .routes(routes!(account_transfers))
        .routes(routes!(open_project, projects))
        .routes(routes!(project))
        .routes(routes!(set_member, remove_member))
        .routes(routes!(top_up))
        .routes(routes!(transfers))
        .routes(routes!(issue_key, keys))
        .routes(routes!(revoke_key))
}

/// Whose key was sent
#[utoipa::path(get, path = "/v1/me", tag = "people", security(("key" = [])), responses(
    (status = 200, body = MeView),
    (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
))]
async fn me(
    Holder(caller): Holder,
    State(app): State<Shared>,
) -> Result<axum::Json<MeView>, Refused> {
    let (id, key) = (caller.account, caller.key);
    let look = move |state: &control::Control| {
        let person = state.person(id)?;
        let mine = state.projects().filter(|(_, project)| project.members.contains_key(&id));
        Some(MeView {
            account: views::account(state, id, person),
            scopes: views::key(KeyId::from_bits(0), &key).scopes,
            projects: mine.map(|(id, project)| views::project(state, id, project)).collect(),
        })
    };
    app.writer.look(look).await?.map(axum::Json).ok_or_else(|| Refused::not_found("account"))
}

/// Open an account
///
/// Operator only.
#[utoipa::path(post, path = "/v1/accounts", tag = "people", request_body = AccountRequest, security(("key" = [])),
    responses(
        (status = 201, body = AccountView),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ))]
async fn open_account(
    caller: Caller,
    State(app): State<Shared>,
    told: Told<AccountRequest>,
) -> Result<(StatusCode, axum::Json<AccountView>), Refused> {
    caller.may_write()?;
    let account = AccountId::from_bits(fresh_bits());
    let AccountRequest { name, email } = told.body.clone();
    let body = told.command(&caller, Command::OpenAccount { account, name, email });
    let Reply::Account(id) = app.writer.tell(body).await? else {
        return Err(Refusal::IdReused.into());
    };
    Ok((StatusCode::CREATED, axum::Json(account_view(&app, id).await?)))
}

async fn account_view(app: &Shared, id: AccountId) -> Result<AccountView, Refused> {
    let look = move |state: &control::Control| {
        state.person(id).map(|person| views::account(state, id, person))
    };
    app.writer.look(look).await?.ok_or_else(|| Refused::not_found("account"))
}

/// One account
///
/// One's own, or, for the operator, anyone's.
#[utoipa::path(get, path = "/v1/accounts/{id}", tag = "people", params(("id" = String, Path)),
    security(("key" = [])), responses(
        (status = 200, body = AccountView),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ))]
async fn account(
    caller: Caller,
    State(app): State<Shared>,
    Path(id): Path<AccountId>,
) -> Result<axum::Json<AccountView>, Refused> {
    caller.may_see_account(id)?;
    Ok(axum::Json(account_view(&app, id).await?))
}

/// An account's statement, newest first
///
/// One's own, or, for the operator, anyone's.
#[utoipa::path(get, path = "/v1/accounts/{id}/transfers", tag = "people",
    params(("id" = String, Path), PageQuery), security(("key" = [])), responses(
        (status = 200, body = Page<TransferView>),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ))]
async fn account_transfers(
    caller: Caller,
    State(app): State<Shared>,
    Path(id): Path<AccountId>,
    Query(query): Query<PageQuery>,
) -> Result<axum::Json<Page<TransferView>>, Refused> {
    caller.may_see_account(id)?;
    account_view(&app, id).await?;
    Ok(axum::Json(page(&app, "transfer", id.to_string(), query.cursor, query.limit).await?))
}

/// Start a project
#[utoipa::path(post, path = "/v1/projects", tag = "people", request_body = ProjectRequest, security(("key" = [])),
    responses(
        (status = 201, body = ProjectView),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ))]
async fn open_project(
    caller: Caller,
    State(app): State<Shared>,
    told: Told<ProjectRequest>,
) -> Result<(StatusCode, axum::Json<ProjectView>), Refused> {
    caller.may_write()?;
    let project = ProjectId::from_bits(fresh_bits());
    let ProjectRequest { name, owner } = told.body.clone();
    let owner = owner.unwrap_or(caller.account);
    let body = told.command(&caller, Command::OpenProject { project, owner, name });
    let Reply::Project(id) = app.writer.tell(body).await? else {
        return Err(Refusal::IdReused.into());
    };
    Ok((StatusCode::CREATED, axum::Json(project_view(&app, id).await?)))
}

async fn project_view(app: &Shared, id: ProjectId) -> Result<ProjectView, Refused> {
    let look = move |state: &control::Control| {
        state.project(id).map(|project| views::project(state, id, project))
    };
    app.writer.look(look).await?.ok_or_else(|| Refused::not_found("project"))
}

/// Projects one has a role in
///
/// For the operator, all of them.
#[utoipa::path(get, path = "/v1/projects", tag = "people", params(PageQuery), security(("key" = [])), responses(
    (status = 200, body = Page<ProjectView>),
    (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
))]
async fn projects(
    caller: Caller,
    State(app): State<Shared>,
    Query(query): Query<PageQuery>,
) -> Result<axum::Json<Page<ProjectView>>, Refused> {
    let (all, account) = (caller.is_operator(), caller.account);
    let look = move |state: &control::Control| {
        let mine =
            state.projects().filter(|(_, project)| all || project.members.contains_key(&account));
        listed(mine, &query, |id, project| views::project(state, id, project))
    };
    Ok(axum::Json(app.writer.look(look).await?))
}

/// A page of things in memory, by id; the cursor is the last id of the page before. Only what is on the page is made
/// into views: the writer waits meanwhile.
pub(super) fn listed<Id: ToString, T, V>(
    all: impl Iterator<Item = (Id, T)>,
    query: &PageQuery,
    view: impl Fn(Id, T) -> V,
) -> Page<V> {
    let limit = super::extract::items(query.limit);
    let mut last = None;
    let mut items = Vec::new();
    for (id, item) in all {
        let text = id.to_string();
        if query.cursor.as_ref().is_some_and(|cursor| text <= *cursor) {
            continue;
        }
        if items.len() == limit {
            return Page { items, next: last };
        }
        items.push(view(id, item));
        last = Some(text);
    }
    Page { items, next: None }
}

/// One project
#[utoipa::path(get, path = "/v1/projects/{id}", tag = "people", params(("id" = String, Path)),
    security(("key" = [])), responses(
        (status = 200, body = ProjectView),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ))]
async fn project(
    caller: Caller,
    State(app): State<Shared>,
    Path(id): Path<ProjectId>,
) -> Result<axum::Json<ProjectView>, Refused> {
    caller.may_see(&app, id)?;
    Ok(axum::Json(project_view(&app, id).await?))
}

/// Give an account a role
#[utoipa::path(put, path = "/v1/projects/{id}/members/{account}", tag = "people",
    params(("id" = String, Path), ("account" = String, Path)), request_body = MemberRequest,
    security(("key" = [])), responses(
        (status = 200, body = ProjectView),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ))]
async fn set_member(
    caller: Caller,
    State(app): State<Shared>,
    Path((project, account)): Path<(ProjectId, AccountId)>,
    told: Told<MemberRequest>,
) -> Result<axum::Json<ProjectView>, Refused> {
    caller.may_write()?;
    let role = Some(views::role_of(told.body.role));
    app.writer.tell(told.command(&caller, Command::SetMember { project, account, role })).await?;
    Ok(axum::Json(project_view(&app, project).await?))
}

/// Take an account's role away
#[utoipa::path(delete, path = "/v1/projects/{id}/members/{account}", tag = "people",
    params(("id" = String, Path), ("account" = String, Path)), security(("key" = [])), responses(
        (status = 200, body = ProjectView),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ))]
async fn remove_member(
    caller: Caller,
    State(app): State<Shared>,
    Path((project, account)): Path<(ProjectId, AccountId)>,
    told: Told<()>,
) -> Result<axum::Json<ProjectView>, Refused> {
    caller.may_write()?;
    app.writer
        .tell(told.command(&caller, Command::SetMember { project, account, role: None }))
        .await?;
    Ok(axum::Json(project_view(&app, project).await?))
}

/// Credit a project
///
/// Operator only.
#[utoipa::path(post, path = "/v1/projects/{id}/top-ups", tag = "people", params(("id" = String, Path)),
    request_body = TopUpRequest, security(("key" = [])), responses(
        (status = 200, body = ProjectView),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ))]
async fn top_up(
    caller: Caller,
    State(app): State<Shared>,
    Path(project): Path<ProjectId>,
    told: Told<TopUpRequest>,
) -> Result<axum::Json<ProjectView>, Refused> {
    caller.only_operator()?;
    let TopUpRequest { amount, note } = told.body.clone();
    app.writer.tell(told.command(&caller, Command::TopUp { project, amount, note })).await?;
    Ok(axum::Json(project_view(&app, project).await?))
}

/// A project's statement, newest first
#[utoipa::path(get, path = "/v1/projects/{id}/transfers", tag = "people",
    params(("id" = String, Path), PageQuery), security(("key" = [])), responses(
        (status = 200, body = Page<TransferView>),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ))]
async fn transfers(
    caller: Caller,
    State(app): State<Shared>,
    Path(id): Path<ProjectId>,
    Query(query): Query<PageQuery>,
) -> Result<axum::Json<Page<TransferView>>, Refused> {
    caller.may_see(&app, id)?;
    Ok(axum::Json(page(&app, "transfer", id.to_string(), query.cursor, query.limit).await?))
}

/// Make a key
///
/// Its secret is shown this once.
#[utoipa::path(post, path = "/v1/keys", tag = "people", request_body = KeyRequest, security(("key" = [])),
    responses(
        (status = 201, body = KeyIssued),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ))]
async fn issue_key(
    caller: Caller,
    State(app): State<Shared>,
    told: Told<KeyRequest>,
) -> Result<(StatusCode, axum::Json<KeyIssued>), Refused> {
    caller.may_write()?;
    let key = KeyId::from_bits(fresh_bits());
    let KeyRequest { label, scopes, valid_days, account } = told.body.clone();
    let day = std::time::Duration::from_secs(24 * 3600);
    let command = Command::IssueKey {
        key,
        account: account.unwrap_or(caller.account),
        label,
        scopes: scopes.into_iter().map(views::scope_of).collect(),
        secret_sha256: sha256(key_text(&app.secret, key)),
        expires_millis: valid_days.map(|days| now().after(day * days).millis()),
    };
    let Reply::Key(id) = app.writer.tell(told.command(&caller, command)).await? else {
        return Err(Refusal::IdReused.into());
    };
    let key = key_view(&app, id).await?;
    Ok((StatusCode::CREATED, axum::Json(KeyIssued { secret: key_text(&app.secret, id), key })))
}

async fn key_view(app: &Shared, id: KeyId) -> Result<KeyView, Refused> {
    let look = move |state: &control::Control| state.key(id).map(|key| views::key(id, key));
    app.writer.look(look).await?.ok_or_else(|| Refused::not_found("key"))
}

/// One's own keys
#[utoipa::path(get, path = "/v1/keys", tag = "people", params(PageQuery), security(("key" = [])), responses(
    (status = 200, body = Page<KeyView>),
    (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
))]
async fn keys(
    caller: Caller,
    State(app): State<Shared>,
    Query(query): Query<PageQuery>,
) -> Result<axum::Json<Page<KeyView>>, Refused> {
    let look = move |state: &control::Control| {
        let mine = state.keys().filter(|(_, key)| key.account == caller.account);
        listed(mine, &query, views::key)
    };
    Ok(axum::Json(app.writer.look(look).await?))
}

/// Revoke a key
#[utoipa::path(delete, path = "/v1/keys/{id}", tag = "people", params(("id" = String, Path)),
    security(("key" = [])), responses(
        (status = 200, body = KeyView),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ))]
async fn revoke_key(
    caller: Caller,
    State(app): State<Shared>,
    Path(key): Path<KeyId>,
    told: Told<()>,
) -> Result<axum::Json<KeyView>, Refused> {
    caller.may_write()?;
    app.writer.tell(told.command(&caller, Command::RevokeKey { key })).await?;
    Ok(axum::Json(key_view(&app, key).await?))
}
