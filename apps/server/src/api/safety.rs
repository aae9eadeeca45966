//! The safety module: what it is, and what one has in it.

use axum::extract::State;
use control::Command;
use units::AccountId;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use wire::{Problem, SafetyMetrics, SafetyView, StakeRequest};

use super::door::{Caller, Stranger};
use super::extract::Told;
use super::problem::Refused;
use crate::app::Shared;
use crate::clock::now;
use crate::views;

pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .routes(routes!(metrics))
        .routes(routes!(me))
        .routes(routes!(stake))
        .routes(routes!(unstake))
        .routes(routes!(withdraw))
        .routes(routes!(claim))
}

/// What the safety module is
///
/// Open to everyone. The yearly rate is an estimate: the last seven days, 365/7 times, over what is staked now.
#[utoipa::path(get, path = "/v1/safety-module/metrics", tag = "staking", responses(
    (status = 200, body = SafetyMetrics),
    (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
))]
async fn metrics(
    _stranger: Stranger,
    State(app): State<Shared>,
) -> Result<axum::Json<SafetyMetrics>, Refused> {
    let look = move |state: &control::Control| views::safety_metrics(state, now());
    Ok(axum::Json(app.writer.look(look).await?))
}

async fn seen(app: &Shared, account: AccountId) -> Result<axum::Json<SafetyView>, Refused> {
    let look = move |state: &control::Control| views::safety(state, account, now());
    Ok(axum::Json(app.writer.look(look).await?))
}

/// What one has in the safety module
#[utoipa::path(get, path = "/v1/safety-module/me", tag = "staking", security(("key" = [])), responses(
    (status = 200, body = SafetyView),
    (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
))]
async fn me(caller: Caller, State(app): State<Shared>) -> Result<axum::Json<SafetyView>, Refused> {
    seen(&app, caller.account).await
}

/// Stake coins in the safety module
#[utoipa::path(post, path = "/v1/safety-module/stake", tag = "staking", request_body = StakeRequest,
    security(("key" = [])), responses(
        (status = 200, body = SafetyView),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ))]
async fn stake(
    caller: Caller,
    State(app): State<Shared>,
    told: Told<StakeRequest>,
) -> Result<axum::Json<SafetyView>, Refused> {
    caller.may_write()?;
    let (account, coins) = (caller.account, told.body.coins);
    app.writer.tell(told.command(&caller, Command::SafetyStake { account, coins })).await?;
    seen(&app, account).await
}

/// Unstake coins of the safety module
///
/// They earn nothing from then on, and cool down.
#[utoipa::path(post, path = "/v1/safety-module/unstake", tag = "staking", request_body = StakeRequest,
    security(("key" = [])), responses(
        (status = 200, body = SafetyView),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ))]
async fn unstake(
    caller: Caller,
    State(app): State<Shared>,
    told: Told<StakeRequest>,
) -> Result<axum::Json<SafetyView>, Refused> {
    caller.may_write()?;
    let (account, coins) = (caller.account, told.body.coins);
    app.writer.tell(told.command(&caller, Command::SafetyUnstake { account, coins })).await?;
    seen(&app, account).await
}

/// Withdraw what has cooled down in the safety module
#[utoipa::path(post, path = "/v1/safety-module/withdraw", tag = "staking", security(("key" = [])), responses(
    (status = 200, body = SafetyView),
    (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
))]
async fn withdraw(
    caller: Caller,
    State(app): State<Shared>,
    told: Told<()>,
) -> Result<axum::Json<SafetyView>, Refused> {
    caller.may_write()?;
    let account = caller.account;
    app.writer.tell(told.command(&caller, Command::SafetyWithdraw { account })).await?;
    seen(&app, account).await
}

/// Claim what the safety module has paid
#[utoipa::path(post, path = "/v1/safety-module/claim", tag = "staking", security(("key" = [])), responses(
    (status = 200, body = SafetyView),
    (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
))]
async fn claim(
    caller: Caller,
    State(app): State<Shared>,
    told: Told<()>,
) -> Result<axum::Json<SafetyView>, Refused> {
    caller.may_write()?;
    let account = caller.account;
    app.writer.tell(told.command(&caller, Command::SafetyClaim { account })).await?;
    seen(&app, account).await
}
