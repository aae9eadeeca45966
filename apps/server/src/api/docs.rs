//! The reference page: this server's own document, shown without asking anyone else for anything.

use std::sync::LazyLock;

use axum::Router;
use axum::extract::Path;
use axum::http::header;
use axum::response::{Html, IntoResponse, Redirect};
use axum::routing::get;

use super::problem::{CODES, Refused};
use crate::app::Shared;

/// What the page may load: its own style and script, and this server's answers.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; \
                      img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

pub(super) fn routes() -> Router<Shared> {
    Router::new()
        .route("/", get(async || Redirect::temporary("/docs")))
        .route("/docs", get(page))
        .route("/docs/errors/{code}", get(error))
        .route("/openapi.json", get(document))
}

async fn page() -> impl IntoResponse {
    ([(header::CONTENT_SECURITY_POLICY, POLICY)], Html(include_str!("docs.html")))
}

async fn document() -> impl IntoResponse {
    static DOCUMENT: LazyLock<String> = LazyLock::new(super::openapi);
    ([(header::CONTENT_TYPE, "application/json")], DOCUMENT.as_str())
}

async fn error(Path(code): Path<String>) -> Result<impl IntoResponse, Refused> {
    let known = CODES.iter().find(|(known, ..)| *known == code);
    let (.., page) = known.ok_or_else(|| Refused::not_found("error code"))?;
    Ok(([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], *page))
}
