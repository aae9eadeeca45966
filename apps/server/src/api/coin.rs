//! The network's coin: its beginning, its supply, its rate.

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use control::{Command, Control};
use market::{Reading, Rejected};
use units::{Coins, Hour};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use wire::{
    CoinRate, GenesisRequest, Problem, RateView, ReadingsRequest, SupplyFigure, SupplyView,
};

use super::door::{Caller, Stranger};
use super::extract::Told;
use super::problem::Refused;
use crate::app::Shared;
use crate::clock::now;
use crate::oracle;
use crate::views;

pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .routes(routes!(genesis))
        .routes(routes!(supply))
        .routes(routes!(total))
        .routes(routes!(circulating))
        .routes(routes!(total_as_text))
        .routes(routes!(circulating_as_text))
        .routes(routes!(rate))
        .routes(routes!(observe))
}

/// Bring the coin into the world
///
/// Operator only, and once: every coin under the cap is made, those of all hours to come among them.
#[utoipa::path(post, path = "/v1/io-token/genesis", tag = "coin", request_body = GenesisRequest,
    security(("key" = [])), responses(
        (status = 201, body = SupplyView),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ))]
async fn genesis(
    caller: Caller,
    State(app): State<Shared>,
    told: Told<GenesisRequest>,
) -> Result<(StatusCode, axum::Json<SupplyView>), Refused> {
    caller.only_operator()?;
    let first_month = told.body.first_month.unwrap_or_else(|| Hour::of(now()).month());
    app.writer.tell(told.command(&caller, Command::Genesis { first_month })).await?;
    Ok((StatusCode::CREATED, axum::Json(supply_view(&app).await?)))
}

async fn supply_view(app: &Shared) -> Result<SupplyView, Refused> {
    app.writer.look(|state| views::supply(state, now())).await?.map_err(|why| {
        tracing::error!(error = %why, "the supply does not add up");
        let detail = "the supply does not add up";
        Refused::new("internal", StatusCode::INTERNAL_SERVER_ERROR, detail)
    })
}

/// How many coins there are
///
/// Open to everyone.
#[utoipa::path(get, path = "/v1/io-token/supply", tag = "coin", responses(
        (status = 200, body = SupplyView),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ))]
async fn supply(
    _stranger: Stranger,
    State(app): State<Shared>,
) -> Result<axum::Json<SupplyView>, Refused> {
    Ok(axum::Json(supply_view(&app).await?))
}

/// How many coins exist
///
/// Open to everyone.
#[utoipa::path(get, path = "/v1/io-token/supply/total", tag = "coin", responses(
        (status = 200, body = SupplyFigure),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ))]
async fn total(
    _stranger: Stranger,
    State(app): State<Shared>,
) -> Result<axum::Json<SupplyFigure>, Refused> {
    Ok(axum::Json(SupplyFigure { coins: supply_view(&app).await?.total }))
}

/// How many coins are in anybody's hands
///
/// Open to everyone.
#[utoipa::path(get, path = "/v1/io-token/supply/circulating", tag = "coin", responses(
        (status = 200, body = SupplyFigure),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ))]
async fn circulating(
    _stranger: Stranger,
    State(app): State<Shared>,
) -> Result<axum::Json<SupplyFigure>, Refused> {
    Ok(axum::Json(SupplyFigure { coins: supply_view(&app).await?.circulating }))
}

/// How many coins exist, as a number and nothing else
///
/// Open to everyone: for those who list coins.
#[utoipa::path(get, path = "/v1/io-token/supply/total/plaintext", tag = "coin", responses(
        (status = 200, body = String, content_type = "text/plain"),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ))]
async fn total_as_text(
    _stranger: Stranger,
    State(app): State<Shared>,
) -> Result<impl IntoResponse, Refused> {
    Ok(plain(supply_view(&app).await?.total))
}

/// How many coins are in anybody's hands, as a number and nothing else
///
/// Open to everyone: for those who list coins.
#[utoipa::path(get, path = "/v1/io-token/supply/circulating/plaintext", tag = "coin", responses(
        (status = 200, body = String, content_type = "text/plain"),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ))]
async fn circulating_as_text(
    _stranger: Stranger,
    State(app): State<Shared>,
) -> Result<impl IntoResponse, Refused> {
    Ok(plain(supply_view(&app).await?.circulating))
}

fn plain(coins: Coins) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], coins.to_string())
}

/// What a coin is worth
///
/// Open to everyone. The last rate that sources agreed on, and whether it can still be used.
#[utoipa::path(get, path = "/v1/io-token/rate", tag = "coin", responses(
        (status = 200, body = RateView),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ))]
async fn rate(
    _stranger: Stranger,
    State(app): State<Shared>,
) -> Result<axum::Json<RateView>, Refused> {
    Ok(axum::Json(app.writer.look(|state| views::rate(state, now())).await?))
}

/// Say what sources tell of the coin
///
/// Operator only, for sources that the server does not read itself. All of one request are looked at together. A jump
/// is refused and remembered: it is believed once it has been told for long enough.
#[utoipa::path(post, path = "/v1/io-token/rate/readings", tag = "coin", request_body = ReadingsRequest,
    security(("key" = [])), responses(
        (status = 200, body = CoinRate),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ))]
async fn observe(
    caller: Caller,
    State(app): State<Shared>,
    told: Told<ReadingsRequest>,
) -> Result<axum::Json<CoinRate>, Refused> {
    caller.only_operator()?;
    let at = now();
    let reading = |it: &wire::ReadingBody| Reading {
        source: it.source.clone(),
        usd_micros_per_coin: it.usd_per_coin.units(),
        at: it.at.map_or(at, |time| time.0),
    };
    let readings: Vec<Reading> = told.body.readings.iter().map(reading).collect();
    let body = told.command(&caller, Command::ObserveRate { readings: readings.clone() });
    let id = body.id;
    let look = move |state: &Control| match state.told_before(id) {
        Some(_) => oracle::Verdict::known(),
        None => oracle::verdict(state, &readings, at),
    };
    let verdict = app.writer.look(look).await?;
    if verdict.is_worth_telling || verdict.rejected.is_none() {
        app.writer.tell(body).await?;
    }
    if let Some(why) = verdict.rejected {
        return Err(rejected(&why));
    }
    let last = |state: &Control| {
        let last = state.economy().oracle.recent.last();
        last.map(|rate| views::coin_rate(state, *rate))
    };
    let taken = app.writer.look(last).await?;
    taken.map(axum::Json).ok_or_else(|| Refused::not_found("rate"))
}

fn rejected(why: &Rejected) -> Refused {
    Refused::new("rate-rejected", StatusCode::CONFLICT, why.to_string())
        .hint("the last rate stands as long as it is fresh")
}
