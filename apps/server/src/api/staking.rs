//! Coins at stake on machines, for their owners.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use control::Command;
use units::{AccountId, WorkerId};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use wire::{DeviceStakeView, OverflowRequest, Page, Problem, StakeRequest, StakingMetrics};

use super::door::{Caller, Stranger};
use super::extract::{PageQuery, Path, Query, Told};
use super::people::listed;
use super::problem::Refused;
use crate::app::Shared;
use crate::clock::now;
use crate::views::{self, Counted};

pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .routes(routes!(devices))
        .routes(routes!(device))
        .routes(routes!(stake))
        .routes(routes!(unstake))
        .routes(routes!(withdraw))
        .routes(routes!(withdraw_overflow))
        .routes(routes!(metrics))
        .layer(Extension(Arc::<Counted>::default()))
}

/// What is staked on one's own machines
///
/// Machines that have left the network are listed while anything was ever staked on them. For the operator, everyone's.
#[utoipa::path(get, path = "/v1/io-staking/devices", tag = "staking", params(PageQuery), security(("key" = [])),
    responses(
        (status = 200, body = Page<DeviceStakeView>),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ))]
async fn devices(
    caller: Caller,
    State(app): State<Shared>,
    Query(query): Query<PageQuery>,
) -> Result<axum::Json<Page<DeviceStakeView>>, Refused> {
    let (account, at) = ((!caller.is_operator()).then_some(caller.account), now());
    let look = move |state: &control::Control| {
        let mine = views::staked_devices(state, account);
        listed(mine, &query, |id, owner| views::device_stake(state, (id, owner), at))
    };
    Ok(axum::Json(app.writer.look(look).await?))
}

/// Whose stake on a machine it is; to others it does not exist.
async fn staker(app: &Shared, caller: &Caller, worker: WorkerId) -> Result<AccountId, Refused> {
    let owner = app.writer.look(move |state| views::staker(state, worker)).await?;
    let mine = owner.filter(|owner| caller.is_operator() || *owner == caller.account);
    mine.ok_or_else(|| Refused::not_found("worker"))
}

async fn seen(
    app: &Shared,
    caller: &Caller,
    worker: WorkerId,
) -> Result<axum::Json<DeviceStakeView>, Refused> {
    let owner = staker(app, caller, worker).await?;
    let look = move |state: &control::Control| views::device_stake(state, (worker, owner), now());
    Ok(axum::Json(app.writer.look(look).await?))
}

/// What is staked on one machine
#[utoipa::path(get, path = "/v1/io-staking/devices/{worker}", tag = "staking", params(("worker" = String, Path)),
    security(("key" = [])), responses(
        (status = 200, body = DeviceStakeView),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ))]
async fn device(
    caller: Caller,
    State(app): State<Shared>,
    Path(worker): Path<WorkerId>,
) -> Result<axum::Json<DeviceStakeView>, Refused> {
    seen(&app, &caller, worker).await
}

/// Stake coins on a machine
///
/// From its owner's account. What is beyond the need earns nothing and can be taken out at any time.
#[utoipa::path(post, path = "/v1/io-staking/devices/{worker}/stake", tag = "staking",
    params(("worker" = String, Path)), request_body = StakeRequest, security(("key" = [])), responses(
        (status = 200, body = DeviceStakeView),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ))]
async fn stake(
    caller: Caller,
    State(app): State<Shared>,
    Path(worker): Path<WorkerId>,
    told: Told<StakeRequest>,
) -> Result<axum::Json<DeviceStakeView>, Refused> {
    caller.may_write()?;
    let coins = told.body.coins;
    app.writer.tell(told.command(&caller, Command::Stake { worker, coins })).await?;
    seen(&app, &caller, worker).await
}

/// Unstake a machine
///
/// All of it, the co-staker's coins too. It stops counting at once and cools down; there is no way back but to withdraw
/// it and stake again.
#[utoipa::path(post, path = "/v1/io-staking/devices/{worker}/unstake", tag = "staking",
    params(("worker" = String, Path)), security(("key" = [])), responses(
        (status = 200, body = DeviceStakeView),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ))]
async fn unstake(
    caller: Caller,
    State(app): State<Shared>,
    Path(worker): Path<WorkerId>,
    told: Told<()>,
) -> Result<axum::Json<DeviceStakeView>, Refused> {
    caller.may_write()?;
    let account = staker(&app, &caller, worker).await?;
    app.writer.tell(told.command(&caller, Command::Unstake { account, worker })).await?;
    seen(&app, &caller, worker).await
}

/// Withdraw what has cooled down
///
/// To the account that staked it.
#[utoipa::path(post, path = "/v1/io-staking/devices/{worker}/withdraw", tag = "staking",
    params(("worker" = String, Path)), security(("key" = [])), responses(
        (status = 200, body = DeviceStakeView),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ))]
async fn withdraw(
    caller: Caller,
    State(app): State<Shared>,
    Path(worker): Path<WorkerId>,
    told: Told<()>,
) -> Result<axum::Json<DeviceStakeView>, Refused> {
    caller.may_write()?;
    let account = staker(&app, &caller, worker).await?;
    app.writer.tell(told.command(&caller, Command::WithdrawStake { account, worker })).await?;
    seen(&app, &caller, worker).await
}

/// Withdraw what a machine does not need
///
/// At once, without a cooldown. With `unstake`, asking for more unstakes the whole machine, which then stops earning.
#[utoipa::path(post, path = "/v1/io-staking/devices/{worker}/withdraw-overflow", tag = "staking",
    params(("worker" = String, Path)), request_body = OverflowRequest, security(("key" = [])), responses(
        (status = 200, body = DeviceStakeView),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ))]
async fn withdraw_overflow(
    caller: Caller,
    State(app): State<Shared>,
    Path(worker): Path<WorkerId>,
    told: Told<OverflowRequest>,
) -> Result<axum::Json<DeviceStakeView>, Refused> {
    caller.may_write()?;
    let account = staker(&app, &caller, worker).await?;
    let OverflowRequest { coins, unstake } = told.body;
    let command = Command::WithdrawOverflow { account, worker, coins, unstake };
    app.writer.tell(told.command(&caller, command)).await?;
    seen(&app, &caller, worker).await
}

/// All stakes on machines together
///
/// Open to everyone. In a network of more than a thousand machines the counts of machines may be a minute old.
#[utoipa::path(get, path = "/v1/io-staking/metrics", tag = "staking", responses(
    (status = 200, body = StakingMetrics),
    (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
))]
async fn metrics(
    _stranger: Stranger,
    State(app): State<Shared>,
    Extension(counted): Extension<Arc<Counted>>,
) -> Result<axum::Json<StakingMetrics>, Refused> {
    let look = move |state: &control::Control| views::staking_metrics(state, &counted, now());
    Ok(axum::Json(app.writer.look(look).await?))
}
