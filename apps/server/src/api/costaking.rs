//! Sharing a machine's stake and its rewards: the marketplace, and one's own part in it.
//!
//! Neither side is told who the other is, and the marketplace names no one.

use axum::extract::State;
use axum::http::StatusCode;
use control::{Command, Control, OfferRecord, Refusal, Reply};
use serde::Deserialize;
use stakes::{OfferFilter, OfferStatus};
use units::{AccountId, Coins, OfferId, WorkerId};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use wire::{CoStakeOffer, CoStakeRequest, CoStakeView, OfferSide, Page, Problem};

use super::door::{Caller, Stranger};
use super::extract::{PageQuery, Path, Query, Told, items};
use super::people::listed;
use super::problem::Refused;
use crate::app::Shared;
use crate::clock::{fresh_bits, now};
use crate::views::{self, MarketFilter};

pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .routes(routes!(offers, offer))
        .routes(routes!(retract))
        .routes(routes!(accept))
        .routes(routes!(leave))
        .routes(routes!(withdraw))
        .routes(routes!(mine))
}

/// Which offers. What is absent narrows nothing, but that offers that are over are left out unless their state is
/// asked for.
#[derive(Clone, Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct OffersQuery {
    /// Of one machine.
    #[param(value_type = Option<String>)]
    device_id: Option<WorkerId>,
    /// Of machines whose model has this in its name.
    model: Option<String>,
    /// Of machines with so many cards.
    number_of_gpu: Option<u32>,
    /// With at least this share of the block rewards, in whole percent.
    block_reward_percent: Option<u8>,
    /// That ask for at least so many coins.
    #[param(value_type = Option<String>)]
    least_co_stake_amount: Option<Coins>,
    /// That ask for at most so many coins.
    #[param(value_type = Option<String>)]
    highest_co_stake_amount: Option<Coins>,
    /// In this state.
    status: Option<OfferStatus>,
    /// Of machines at least so reliable, in whole percent; those without a record are left out.
    minimum_reliability_score: Option<u8>,
    /// `next` of the page before; absent for the first.
    #[param(value_type = Option<String>)]
    cursor: Option<OfferId>,
    /// How many items, 1 to 200; 50 if absent.
    limit: Option<usize>,
}

impl OffersQuery {
    fn filter(self) -> MarketFilter {
        let in_bp = |percent: u8| u16::from(percent) * 100;
        let offers = OfferFilter {
            worker: self.device_id,
            model: self.model,
            share_min_bp: self.block_reward_percent.map(in_bp),
            amount_min: self.least_co_stake_amount,
            amount_max: self.highest_co_stake_amount,
            live: self.status.is_none(),
            status: self.status,
            reliability_min_bp: self.minimum_reliability_score.map(in_bp),
            after: self.cursor,
        };
        MarketFilter { offers, gpus: self.number_of_gpu }
    }
}

/// Offers to co-stake
///
/// Open to everyone. Whose they are is not shown. What they would earn is an estimate from recent blocks.
#[utoipa::path(get, path = "/v1/co-staking/offers", tag = "staking", params(OffersQuery), responses(
    (status = 200, body = Page<CoStakeOffer>),
    (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
))]
async fn offers(
    _stranger: Stranger,
    State(app): State<Shared>,
    Query(query): Query<OffersQuery>,
) -> Result<axum::Json<Page<CoStakeOffer>>, Refused> {
    let limit = items(query.limit);
    let filter = query.filter();
    let look = move |state: &Control| views::marketplace(state, &filter, limit + 1, now());
    let mut found = app.writer.look(look).await?;
    let is_more = found.len() > limit;
    found.truncate(limit);
    let next = found.last().filter(|_| is_more).map(|offer| offer.id.to_string());
    Ok(axum::Json(Page { items: found, next }))
}

/// The sides of an offer: its owner, and who took it last.
async fn sides(app: &Shared, id: OfferId) -> Result<(AccountId, Option<AccountId>), Refused> {
    let look = move |state: &Control| {
        let offer = state.economy().stakes.offer(id)?;
        Some((offer.owner, offer.claim.map(|claim| claim.account)))
    };
    app.writer.look(look).await?.ok_or_else(|| Refused::not_found("offer"))
}

/// An offer for the side on which an account stands.
async fn seen(app: &Shared, account: AccountId, id: OfferId) -> Result<CoStakeView, Refused> {
    let look = move |state: &Control| {
        let offer = state.economy().stakes.offer(id)?;
        let side = views::side(offer, account)?;
        Some(views::co_stake(state, (id, offer), side, now()))
    };
    app.writer.look(look).await?.ok_or_else(|| Refused::not_found("offer"))
}

/// Offer a share of a machine's rewards for a part of its stake
///
/// Its owner must hold the whole need first. Terms never change; to change them, retract the offer and make another.
#[utoipa::path(post, path = "/v1/co-staking/offers", tag = "staking", request_body = CoStakeRequest,
    security(("key" = [])), responses(
        (status = 201, body = CoStakeView),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ))]
async fn offer(
    caller: Caller,
    State(app): State<Shared>,
    told: Told<CoStakeRequest>,
) -> Result<(StatusCode, axum::Json<CoStakeView>), Refused> {
    caller.may_write()?;
    let CoStakeRequest { worker, portion_bp, share_bp } = told.body;
    let offer = OfferId::from_bits(fresh_bits());
    let offer = OfferRecord { offer, worker, portion_bp, share_bp };
    let told = told.command(&caller, Command::OfferCoStake { offer });
    let Reply::Offer(id) = app.writer.tell(told).await? else {
        return Err(Refusal::IdReused.into());
    };
    let (owner, _) = sides(&app, id).await?;
    Ok((StatusCode::CREATED, axum::Json(seen(&app, owner, id).await?)))
}

/// Take an offer back
///
/// While nobody has taken it.
#[utoipa::path(delete, path = "/v1/co-staking/offers/{id}", tag = "staking", params(("id" = String, Path)),
    security(("key" = [])), responses(
        (status = 200, body = CoStakeView),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ))]
async fn retract(
    caller: Caller,
    State(app): State<Shared>,
    Path(offer): Path<OfferId>,
    told: Told<()>,
) -> Result<axum::Json<CoStakeView>, Refused> {
    caller.may_write()?;
    app.writer.tell(told.command(&caller, Command::RetractOffer { offer })).await?;
    let (owner, _) = sides(&app, offer).await?;
    Ok(axum::Json(seen(&app, owner, offer).await?))
}

/// Take an offer
///
/// The coins it asks for are staked from one's account. From the next full hour on, its share of the rewards is one's
/// own.
#[utoipa::path(post, path = "/v1/co-staking/offers/{id}/accept", tag = "staking", params(("id" = String, Path)),
    security(("key" = [])), responses(
        (status = 200, body = CoStakeView),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ))]
async fn accept(
    caller: Caller,
    State(app): State<Shared>,
    Path(offer): Path<OfferId>,
    told: Told<()>,
) -> Result<axum::Json<CoStakeView>, Refused> {
    caller.may_write()?;
    let account = caller.account;
    app.writer.tell(told.command(&caller, Command::AcceptOffer { account, offer })).await?;
    Ok(axum::Json(seen(&app, account, offer).await?))
}

/// The co-staker as whom one acts: oneself, or, for the operator, whoever took the offer.
async fn co_staker(app: &Shared, caller: &Caller, offer: OfferId) -> Result<AccountId, Refused> {
    let (_, taker) = sides(app, offer).await?;
    Ok(taker.filter(|_| caller.is_operator()).unwrap_or(caller.account))
}

/// Leave an offer that one has taken
///
/// The coins go on counting for the machine through the wait, earn nothing, and then cool down.
#[utoipa::path(post, path = "/v1/co-staking/offers/{id}/leave", tag = "staking", params(("id" = String, Path)),
    security(("key" = [])), responses(
        (status = 200, body = CoStakeView),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ))]
async fn leave(
    caller: Caller,
    State(app): State<Shared>,
    Path(offer): Path<OfferId>,
    told: Told<()>,
) -> Result<axum::Json<CoStakeView>, Refused> {
    caller.may_write()?;
    let account = co_staker(&app, &caller, offer).await?;
    app.writer.tell(told.command(&caller, Command::LeaveOffer { account, offer })).await?;
    Ok(axum::Json(seen(&app, account, offer).await?))
}

/// Withdraw a co-stake that has cooled down
#[utoipa::path(post, path = "/v1/co-staking/offers/{id}/withdraw", tag = "staking", params(("id" = String, Path)),
    security(("key" = [])), responses(
        (status = 200, body = CoStakeView),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ))]
async fn withdraw(
    caller: Caller,
    State(app): State<Shared>,
    Path(offer): Path<OfferId>,
    told: Told<()>,
) -> Result<axum::Json<CoStakeView>, Refused> {
    caller.may_write()?;
    let account = co_staker(&app, &caller, offer).await?;
    let view = seen(&app, account, offer).await?;
    if view.side == OfferSide::Owner {
        return Err(Refused::not_found("co-stake of yours in this offer"));
    }
    let worker = view.offer.worker;
    app.writer.tell(told.command(&caller, Command::WithdrawStake { account, worker })).await?;
    Ok(axum::Json(seen(&app, account, offer).await?))
}

/// One's own offers, and those that one has taken
///
/// Offers that are over are kept for a while. For the operator, everyone's, from the owner's side.
#[utoipa::path(get, path = "/v1/users/me/co-staking", tag = "staking", params(PageQuery), security(("key" = [])),
    responses(
        (status = 200, body = Page<CoStakeView>),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ))]
async fn mine(
    caller: Caller,
    State(app): State<Shared>,
    Query(query): Query<PageQuery>,
) -> Result<axum::Json<Page<CoStakeView>>, Refused> {
    let at = now();
    let look = move |state: &Control| {
        let all = state.economy().stakes.offers();
        let mine = all.filter_map(|(id, offer)| {
            let side = views::side(offer, caller.account);
            let side = side.or(caller.is_operator().then_some(OfferSide::Owner))?;
            Some((id, (offer, side)))
        });
        listed(mine, &query, |id, (offer, side)| views::co_stake(state, (id, offer), side, at))
    };
    Ok(axum::Json(app.writer.look(look).await?))
}
