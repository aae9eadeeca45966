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
use super::history::{Whose, page, row};
use super::problem::Refused;
use super::rentals::view;
use crate::app::Shared;
use crate::clock::{fresh_bits, now};
use crate::journal::limits::PAGE_ROWS_MAX;
use crate::journal::{JournalError, Reader};
use crate::views::{self, MarketFilter, OFFER_ROWS, OFFER_SIDE_ROWS, side_id};

/// Pages of rows looked through for one page of offers that are over and pass the filters.
const PAGES_LOOKED_THROUGH_MAX: usize = 10;

pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .routes(routes!(offers, offer))
        .routes(routes!(one, retract))
        .routes(routes!(accept))
        .routes(routes!(leave))
        .routes(routes!(withdraw))
        .routes(routes!(mine))
        .routes(routes!(my_one))
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
/// Open to everyone. Whose they are is not shown. What they would earn is an estimate from recent blocks; those that
/// are over show what was known when they ended. With filters a page of those may be short, and still have a `next`.
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
    if let Some(status @ (OfferStatus::Withdrawn | OfferStatus::Closed)) = filter.offers.status {
        let read = move |reader: &mut dyn Reader| over(reader, status, &filter, limit);
        return Ok(axum::Json(app.read(read).await?));
    }
    let look = move |state: &Control| views::marketplace(state, &filter, limit + 1, now());
    let mut found = app.writer.look(look).await?;
    let is_more = found.len() > limit;
    found.truncate(limit);
    let next = found.last().filter(|_| is_more).map(|offer| offer.id.to_string());
    Ok(axum::Json(Page { items: found, next }))
}

/// A page of the offers that ended this way, by id: from their rows, for the brain forgets them.
fn over(
    reader: &mut dyn Reader,
    status: OfferStatus,
    filter: &MarketFilter,
    limit: usize,
) -> Result<Page<CoStakeOffer>, JournalError> {
    let ended = views::word(&status);
    let (mut items, mut after) = (Vec::new(), filter.offers.after.map(|id| id.to_string()));
    for _ in 0..PAGES_LOOKED_THROUGH_MAX {
        let rows = reader.rows(OFFER_ROWS, Some(&ended), after.as_deref(), false, PAGE_ROWS_MAX)?;
        let was_last = rows.len() < PAGE_ROWS_MAX;
        for (id, body) in rows {
            if let Some(CoStakeView { offer, .. }) = view(&body)
                && filter.takes(&offer)
            {
                if items.len() == limit {
                    return Ok(Page { items, next: after });
                }
                items.push(offer);
            }
            after = Some(id);
        }
        if was_last {
            return Ok(Page { items, next: None });
        }
    }
    Ok(Page { items, next: after })
}

/// One offer to co-stake
///
/// Open to everyone. One that is over shows what was known when it ended.
#[utoipa::path(get, path = "/v1/co-staking/offers/{id}", tag = "staking", params(("id" = String, Path)), responses(
    (status = 200, body = CoStakeOffer),
    (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
))]
async fn one(
    _stranger: Stranger,
    State(app): State<Shared>,
    Path(id): Path<OfferId>,
) -> Result<axum::Json<CoStakeOffer>, Refused> {
    let look = move |state: &Control| {
        let offer = state.economy().stakes.offer(id)?;
        Some(views::co_stake(state, (id, offer), OfferSide::Owner, now()))
    };
    let found = match app.writer.look(look).await? {
        Some(live) => Some(live),
        None => row(&app, OFFER_ROWS, id.to_string()).await?,
    };
    let found = found.ok_or_else(|| Refused::not_found("offer"))?;
    Ok(axum::Json(found.offer))
}

/// Who took an offer last, while it is not long over.
async fn taker(app: &Shared, id: OfferId) -> Result<Option<AccountId>, Refused> {
    let look = move |state: &Control| {
        let offer = state.economy().stakes.offer(id)?;
        offer.claim.map(|claim| claim.account)
    };
    Ok(app.writer.look(look).await?)
}

/// As whom a caller sees offers, and whether it may look on.
fn own(caller: &Caller) -> (AccountId, bool) {
    (caller.account, caller.is_operator())
}

/// An offer for the side on which an account stands; who looks on does so from the owner's.
async fn seen(
    app: &Shared,
    (account, looks_on): (AccountId, bool),
    id: OfferId,
) -> Result<CoStakeView, Refused> {
    let look = move |state: &Control| live(state, id, account, looks_on);
    if let Some(live) = app.writer.look(look).await? {
        return Ok(live);
    }
    let mut found = row(app, OFFER_SIDE_ROWS, side_id(&id, account)).await?;
    if found.is_none() && looks_on {
        found = row(app, OFFER_ROWS, id.to_string()).await?;
    }
    found.ok_or_else(|| Refused::not_found("offer"))
}

/// An offer as it is at this moment, while it is remembered.
fn live(state: &Control, id: OfferId, account: AccountId, looks_on: bool) -> Option<CoStakeView> {
    let offer = state.economy().stakes.offer(id)?;
    let side = views::side(offer, account).or(looks_on.then_some(OfferSide::Owner))?;
    Some(views::co_stake(state, (id, offer), side, now()))
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
    Ok((StatusCode::CREATED, axum::Json(seen(&app, own(&caller), id).await?)))
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
    Ok(axum::Json(seen(&app, own(&caller), offer).await?))
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
    Ok(axum::Json(seen(&app, own(&caller), offer).await?))
}

/// The co-staker as whom one acts: oneself, or, for the operator, whoever took the offer.
async fn co_staker(app: &Shared, caller: &Caller, offer: OfferId) -> Result<AccountId, Refused> {
    let taker = taker(app, offer).await?;
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
    Ok(axum::Json(seen(&app, (account, false), offer).await?))
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
    let view = seen(&app, (account, false), offer).await?;
    if view.side == OfferSide::Owner {
        return Err(Refused::not_found("co-stake of yours in this offer"));
    }
    let worker = view.offer.worker;
    app.writer.tell(told.command(&caller, Command::WithdrawStake { account, worker })).await?;
    Ok(axum::Json(seen(&app, (account, false), offer).await?))
}

/// One's own offers, and those that one has taken
///
/// Newest first, with those that are over. For the operator, everyone's, from the owner's side.
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
    let (account, looks_on) = own(&caller);
    let Page { items, next } = match looks_on {
        true => page(&app, OFFER_ROWS, Whose::Everyones, query).await?,
        false => page(&app, OFFER_SIDE_ROWS, Whose::Side(account), query).await?,
    };
    // What a machine earns and how reliable it is moves on without its offers.
    let look = move |state: &Control| {
        let today =
            |view: CoStakeView| live(state, view.offer.id, account, looks_on).unwrap_or(view);
        Page { items: items.into_iter().map(today).collect(), next }
    };
    Ok(axum::Json(app.writer.look(look).await?))
}

/// One's own offer, or one that one has taken
///
/// Also when it is long over. For the operator, anyone's, from the owner's side.
#[utoipa::path(get, path = "/v1/users/me/co-staking/{id}", tag = "staking", params(("id" = String, Path)),
    security(("key" = [])), responses(
        (status = 200, body = CoStakeView),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ))]
async fn my_one(
    caller: Caller,
    State(app): State<Shared>,
    Path(id): Path<OfferId>,
) -> Result<axum::Json<CoStakeView>, Refused> {
    Ok(axum::Json(seen(&app, own(&caller), id).await?))
}
