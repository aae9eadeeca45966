//! Health and figures.

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::problem::Refused;
use crate::app::Shared;
use crate::clock::now;

pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new().routes(routes!(healthz)).routes(routes!(readyz)).routes(routes!(metrics))
}

/// Whether the process runs
#[utoipa::path(get, path = "/healthz", tag = "service", responses((status = 200, body = String)))]
async fn healthz() -> &'static str {
    "ok\n"
}

/// Whether the server takes commands
///
/// 503 while it stops, or while its journal cannot be read.
#[utoipa::path(get, path = "/readyz", tag = "service", responses(
    (status = 200, body = String), (status = 503, description = "Not now"),
))]
async fn readyz(State(app): State<Shared>) -> Result<&'static str, Refused> {
    if *app.stopping.borrow() {
        return Err(Refused::new(
            "unavailable",
            StatusCode::SERVICE_UNAVAILABLE,
            "the server is stopping",
        ));
    }
    app.writer.look(|_| ()).await?;
    app.read(|reader| reader.head()).await?;
    Ok("ready\n")
}

/// Figures for Prometheus
#[utoipa::path(get, path = "/metrics", tag = "service", responses((status = 200, body = String)))]
async fn metrics(State(app): State<Shared>) -> impl IntoResponse {
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], app.metrics.text(now()))
}
