//! The network as a whole.

use axum::extract::State;
use control::{Command, Parameters};
use market::Stage;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use wire::{BookView, NetworkView, Page, ParametersBody, PricesBody, Problem, TransferView};

use super::door::{Caller, Stranger};
use super::extract::{PageQuery, Query, Told};
use super::problem::Refused;
use super::rentals::page;
use crate::app::Shared;
use crate::views;

pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .routes(routes!(network))
        .routes(routes!(book))
        .routes(routes!(transfers))
        .routes(routes!(parameters, set_parameters))
        .routes(routes!(prices, set_prices))
}

/// What the network is now
///
/// Open to everyone.
#[utoipa::path(get, path = "/v1/network", tag = "network", responses(
    (status = 200, body = NetworkView),
    (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
))]
async fn network(
    _stranger: Stranger,
    State(app): State<Shared>,
) -> Result<axum::Json<NetworkView>, Refused> {
    let workers_up = app.beats.up().await? as u64;
    let look = move |state: &control::Control| {
        let live = |stage| matches!(stage, Stage::Deploying { .. } | Stage::Running { .. });
        NetworkView {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            workers_joined: state.inventory().len() as u64,
            workers_up,
            workers_open: state.inventory().open_len() as u64,
            rentals_live: state.rentals().filter(|rental| live(rental.stage)).count() as u64,
            journal_seq: state.head().seq,
            journal_hash: units::BlobId::from_sha256(state.head().hash).to_string(),
        }
    };
    Ok(axum::Json(app.writer.look(look).await?))
}

/// Where all the money is
///
/// Operator only.
#[utoipa::path(get, path = "/v1/network/book", tag = "network", security(("key" = [])), responses(
    (status = 200, body = BookView),
    (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
))]
async fn book(caller: Caller, State(app): State<Shared>) -> Result<axum::Json<BookView>, Refused> {
    caller.only_operator()?;
    Ok(axum::Json(app.writer.look(views::book).await?))
}

/// The network's own statement, newest first
///
/// What moves between its own purses, and what it keeps of rentals, without saying which.
#[utoipa::path(get, path = "/v1/network/transfers", tag = "network", params(PageQuery), security(("key" = [])),
    responses(
        (status = 200, body = Page<TransferView>),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ))]
async fn transfers(
    _caller: Caller,
    State(app): State<Shared>,
    Query(query): Query<PageQuery>,
) -> Result<axum::Json<Page<TransferView>>, Refused> {
    let owner = views::NETWORK.to_owned();
    Ok(axum::Json(page(&app, "transfer", owner, query.cursor, query.limit).await?))
}

fn parameters_body(parameters: Parameters) -> ParametersBody {
    let Parameters { renter_fee_bp, supplier_fee_bp, minimum_minutes } = parameters;
    ParametersBody { renter_fee_bp, supplier_fee_bp, minimum_minutes }
}

/// Fees and minimums of new quotes
#[utoipa::path(get, path = "/v1/network/parameters", tag = "network", security(("key" = [])), responses(
    (status = 200, body = ParametersBody),
    (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
))]
async fn parameters(
    _caller: Caller,
    State(app): State<Shared>,
) -> Result<axum::Json<ParametersBody>, Refused> {
    Ok(axum::Json(app.writer.look(|state| parameters_body(state.parameters())).await?))
}

/// Set fees and minimums of new quotes
///
/// Operator only. Quotes and rentals keep what they were promised.
#[utoipa::path(put, path = "/v1/network/parameters", tag = "network", request_body = ParametersBody,
    security(("key" = [])), responses(
        (status = 200, body = ParametersBody),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ))]
async fn set_parameters(
    caller: Caller,
    State(app): State<Shared>,
    told: Told<ParametersBody>,
) -> Result<axum::Json<ParametersBody>, Refused> {
    caller.only_operator()?;
    let ParametersBody { renter_fee_bp, supplier_fee_bp, minimum_minutes } = told.body;
    let parameters = Parameters { renter_fee_bp, supplier_fee_bp, minimum_minutes };
    app.writer.tell(told.command(&caller, Command::SetParameters { parameters })).await?;
    Ok(axum::Json(told.body))
}

/// Hourly prices
#[utoipa::path(get, path = "/v1/network/prices", tag = "network", security(("key" = [])), responses(
    (status = 200, body = PricesBody),
    (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
))]
async fn prices(
    _caller: Caller,
    State(app): State<Shared>,
) -> Result<axum::Json<PricesBody>, Refused> {
    Ok(axum::Json(app.writer.look(views::prices).await?))
}

/// Set hourly prices
///
/// Operator only. Quotes and rentals keep what they were promised.
#[utoipa::path(put, path = "/v1/network/prices", tag = "network", request_body = PricesBody,
    security(("key" = [])), responses(
        (status = 200, body = PricesBody),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ))]
async fn set_prices(
    caller: Caller,
    State(app): State<Shared>,
    told: Told<PricesBody>,
) -> Result<axum::Json<PricesBody>, Refused> {
    caller.only_operator()?;
    let prices = views::prices_record(told.body.clone());
    app.writer.tell(told.command(&caller, Command::SetPrices { prices })).await?;
    Ok(axum::Json(told.body))
}
