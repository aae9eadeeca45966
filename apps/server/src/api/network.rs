//! The network as a whole.

use axum::extract::State;
use market::Stage;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use wire::{BookView, NetworkView, Page, Problem, TransferView};

use super::door::{Caller, Stranger};
use super::extract::{PageQuery, Query};
use super::problem::Refused;
use super::rentals::page;
use crate::app::Shared;
use crate::views;

pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new().routes(routes!(network)).routes(routes!(book)).routes(routes!(transfers))
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
