//! What the network goes by: its parameters, version by version, and the prices that follow from them.

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use control::{Command, Control, Parameters};
use serde::Deserialize;
use serde_json::Value;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use wire::{
    Page, ParametersPatch, ParametersView, PricesView, Problem, RegistryAnswer, VersionView,
    WholeVersion,
};

use super::door::{Caller, Stranger};
use super::extract::{PageQuery, Path, Query, Told, items};
use super::problem::Refused;
use super::rentals::view;
use crate::app::Shared;
use crate::views::{self, NETWORK, VERSION_ROWS};

pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .routes(routes!(parameters, set_parameters))
        .routes(routes!(versions))
        .routes(routes!(version, withdraw_version))
        .routes(routes!(prices))
        .routes(routes!(registry))
}

/// What the network goes by
///
/// Open to everyone. All parameters of the version in effect, and the versions that wait for their hour.
#[utoipa::path(get, path = "/v1/network/parameters", tag = "network", responses(
    (status = 200, body = ParametersView<Parameters>),
    (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
))]
async fn parameters(
    _stranger: Stranger,
    State(app): State<Shared>,
) -> Result<axum::Json<ParametersView<Parameters>>, Refused> {
    Ok(axum::Json(app.writer.look(views::parameters).await?))
}

/// Change what the network goes by
///
/// Operator only. The answer is the newest version. Quotes and rentals keep what they were promised.
#[utoipa::path(patch, path = "/v1/network/parameters", tag = "network", request_body = ParametersPatch,
    security(("key" = [])), responses(
        (status = 200, body = VersionView),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ))]
async fn set_parameters(
    caller: Caller,
    State(app): State<Shared>,
    told: Told<ParametersPatch>,
) -> Result<axum::Json<VersionView>, Refused> {
    caller.only_operator()?;
    let ParametersPatch { patch, from } = told.body.clone();
    let patch = Value::Object(patch).to_string();
    app.writer.tell(told.command(&caller, Command::SetParameters { patch, from })).await?;
    Ok(axum::Json(app.writer.look(views::newest_version).await?))
}

/// Every version of the parameters, newest first
///
/// Open to everyone. Each as what it changed.
#[utoipa::path(get, path = "/v1/network/parameters/versions", tag = "network", params(PageQuery), responses(
    (status = 200, body = Page<VersionView>),
    (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
))]
async fn versions(
    _stranger: Stranger,
    State(app): State<Shared>,
    Query(query): Query<PageQuery>,
) -> Result<axum::Json<Page<VersionView>>, Refused> {
    let (limit, cursor, first) = (items(query.limit), query.cursor, views::version_id(0));
    let was_last = cursor.as_ref().is_some_and(|cursor| *cursor <= first);
    let read = move |reader: &mut dyn crate::journal::Reader| {
        reader.rows(VERSION_ROWS, Some(NETWORK), cursor.as_deref(), true, limit + 1)
    };
    let mut rows = app.read(read).await?;
    // What a network starts with was never told, so that it has no row.
    if rows.len() <= limit && !was_last {
        rows.push((first, views::whole_version(Control::new().version())));
    }
    let last = rows.get(limit.wrapping_sub(1)).map(|(id, _)| id.clone());
    let next = last.filter(|_| rows.len() > limit);
    let items = rows.iter().take(limit).filter_map(|(_, body)| view(body)).collect();
    Ok(axum::Json(Page { items, next }))
}

/// One version of the parameters, whole
///
/// Open to everyone. The parameters are as they were written when their digest was made.
#[utoipa::path(get, path = "/v1/network/parameters/versions/{version}", tag = "network",
    params(("version" = u32, Path)), responses(
        (status = 200, body = WholeVersion<Parameters>),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ))]
async fn version(
    _stranger: Stranger,
    State(app): State<Shared>,
    Path(number): Path<u32>,
) -> Result<Response, Refused> {
    let id = views::version_id(number);
    let row = app.read(move |reader| reader.row(VERSION_ROWS, &id)).await?;
    let first = || (number == 0).then(|| views::whole_version(Control::new().version()));
    let body = row.or_else(first).ok_or_else(|| Refused::not_found("version"))?;
    Ok(([(header::CONTENT_TYPE, "application/json")], body).into_response())
}

/// Withdraw a version that waits
///
/// Operator only, and only the newest, which no other rests on; what holders decided only holders undo. The answer is
/// the version that is the newest then. The next one that is told has the number of the one that is gone.
#[utoipa::path(delete, path = "/v1/network/parameters/versions/{version}", tag = "network",
    params(("version" = u32, Path)), security(("key" = [])), responses(
        (status = 200, body = VersionView),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ))]
async fn withdraw_version(
    caller: Caller,
    State(app): State<Shared>,
    Path(version): Path<u32>,
    told: Told<()>,
) -> Result<axum::Json<VersionView>, Refused> {
    caller.only_operator()?;
    app.writer.tell(told.command(&caller, Command::WithdrawVersion { version })).await?;
    Ok(axum::Json(app.writer.look(views::newest_version).await?))
}

/// What devices cost an hour
///
/// Open to everyone. Before supply and demand; with what each model counts for in a block, and what must be staked on
/// one.
#[utoipa::path(get, path = "/v1/network/prices", tag = "network", responses(
    (status = 200, body = PricesView),
    (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
))]
async fn prices(
    _stranger: Stranger,
    State(app): State<Shared>,
) -> Result<axum::Json<PricesView>, Refused> {
    Ok(axum::Json(app.writer.look(views::prices).await?))
}

/// A device, as its driver or its operating system names it.
#[derive(Clone, Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct RegistryQuery {
    /// What the driver calls the card, or the operating system the processor.
    name: String,
    /// For a card: its memory in mebibytes.
    vram_mib: Option<u64>,
    /// For a processor: its hardware threads.
    threads: Option<u32>,
}

/// What a device is taken for
///
/// Open to everyone. With its memory or its threads the answer says what it costs even when no model is found.
#[utoipa::path(get, path = "/v1/network/registry", tag = "network", params(RegistryQuery), responses(
    (status = 200, body = RegistryAnswer),
    (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
))]
async fn registry(
    _stranger: Stranger,
    State(app): State<Shared>,
    Query(RegistryQuery { name, vram_mib, threads }): Query<RegistryQuery>,
) -> Result<axum::Json<RegistryAnswer>, Refused> {
    if name.len() > market::NAME_BYTES_MAX {
        let why = format!("at most {} bytes", market::NAME_BYTES_MAX);
        return Err(Refused::field("name", why));
    }
    let look = move |state: &Control| views::registry_answer(state, name, vram_mib, threads);
    Ok(axum::Json(app.writer.look(look).await?))
}
