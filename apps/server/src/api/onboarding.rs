//! How far a machine has come in, for its owner.

use axum::extract::State;
use control::{Command, Control};
use units::WorkerId;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use wire::{OnboardingView, Problem};

use super::door::Caller;
use super::extract::{Path, Told};
use super::problem::Refused;
use crate::app::Shared;
use crate::clock::now;
use crate::views;

pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new().routes(routes!(onboarding)).routes(routes!(retry))
}

async fn seen(app: &Shared, caller: Caller, id: WorkerId) -> Result<OnboardingView, Refused> {
    let look = move |state: &Control| {
        let worker = state.worker(id)?;
        let mine = caller.is_operator() || worker.owner == caller.account;
        mine.then(|| views::onboarding(state, id, now())).flatten()
    };
    app.writer.look(look).await?.ok_or_else(|| Refused::not_found("worker"))
}

/// How far a machine has come in, and what is asked of it
///
/// For its owner. Each thing that is asked has a reason, and what to do.
#[utoipa::path(get, path = "/v1/io-worker/devices/{id}/onboarding", tag = "supply", params(("id" = String, Path)),
    security(("key" = [])), responses(
        (status = 200, body = OnboardingView),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ))]
async fn onboarding(
    caller: Caller,
    State(app): State<Shared>,
    Path(id): Path<WorkerId>,
) -> Result<axum::Json<OnboardingView>, Refused> {
    Ok(axum::Json(seen(&app, caller, id).await?))
}

/// Ask for another trial of a machine that has failed
///
/// As if it had not failed before.
#[utoipa::path(post, path = "/v1/io-worker/devices/{id}/retry-trial", tag = "supply", params(("id" = String, Path)),
    security(("key" = [])), responses(
        (status = 200, body = OnboardingView),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ))]
async fn retry(
    caller: Caller,
    State(app): State<Shared>,
    Path(worker): Path<WorkerId>,
    told: Told<()>,
) -> Result<axum::Json<OnboardingView>, Refused> {
    caller.may_write()?;
    app.writer.tell(told.command(&caller, Command::RetryTrial { worker })).await?;
    Ok(axum::Json(seen(&app, caller, worker).await?))
}
