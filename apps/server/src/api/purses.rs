//! Money that comes in, goes out, moves between purses, and is changed for another asset.

use axum::extract::State;
use control::{Command, Control};
use serde::Deserialize;
use units::{Asset, Credits, Money};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use wire::{
    ConversionQuote, ConversionRequest, DepositRequest, Problem, PurseName, PurseView,
    TransferRequest, WithdrawalRequest,
};

use super::door::Caller;
use super::extract::{Query, Told};
use super::problem::Refused;
use crate::app::Shared;
use crate::clock::now;
use crate::views;

pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .routes(routes!(deposit))
        .routes(routes!(withdraw))
        .routes(routes!(transfer))
        .routes(routes!(convert))
        .routes(routes!(conversion_quote))
}

async fn purse(app: &Shared, name: PurseName) -> Result<axum::Json<PurseView>, Refused> {
    let look = move |state: &Control| views::purse(state, name);
    Ok(axum::Json(app.writer.look(look).await?))
}

/// Say what has arrived for somebody
///
/// Operator only. The answer is the purse it went to. Coins come in only as far as they went out before.
#[utoipa::path(post, path = "/v1/deposits", tag = "money", request_body = DepositRequest,
    security(("key" = [])), responses(
        (status = 200, body = PurseView),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ))]
async fn deposit(
    caller: Caller,
    State(app): State<Shared>,
    told: Told<DepositRequest>,
) -> Result<axum::Json<PurseView>, Refused> {
    caller.only_operator()?;
    let DepositRequest { to, money, reference, by_card } = told.body.clone();
    let purse_of = views::purse_of(to);
    let command = match (by_card, money.asset) {
        (false, _) => Command::Deposit { to: purse_of, money, reference },
        (true, Asset::Usd) => {
            Command::CardPaid { to: purse_of, paid: Credits::from_units(money.units), reference }
        }
        (true, Asset::Usdc | Asset::Io) => {
            return Err(Refused::field("money", "a card pays in USD"));
        }
    };
    app.writer.tell(told.command(&caller, command)).await?;
    purse(&app, to).await
}

/// Take money out
///
/// It leaves the book at once; what carries it to the address is the operator's. The answer is the account's purse.
#[utoipa::path(post, path = "/v1/withdrawals", tag = "money", request_body = WithdrawalRequest,
    security(("key" = [])), responses(
        (status = 200, body = PurseView),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ))]
async fn withdraw(
    caller: Caller,
    State(app): State<Shared>,
    told: Told<WithdrawalRequest>,
) -> Result<axum::Json<PurseView>, Refused> {
    caller.may_write()?;
    let WithdrawalRequest { account, money, to } = told.body.clone();
    let account = account.unwrap_or(caller.account);
    app.writer.tell(told.command(&caller, Command::Withdraw { account, money, to })).await?;
    purse(&app, PurseName::Account(account)).await
}

/// Move money between purses
///
/// From one's own account, from a project that one owns; the operator from the network's own purses too. The answer
/// is the purse it came from.
#[utoipa::path(post, path = "/v1/transfers", tag = "money", request_body = TransferRequest,
    security(("key" = [])), responses(
        (status = 200, body = PurseView),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ))]
async fn transfer(
    caller: Caller,
    State(app): State<Shared>,
    told: Told<TransferRequest>,
) -> Result<axum::Json<PurseView>, Refused> {
    caller.may_write()?;
    let TransferRequest { from, to, money } = told.body;
    let (source, target) = (views::purse_of(from), views::purse_of(to));
    let command = Command::Transfer { from: source, to: target, money };
    app.writer.tell(told.command(&caller, command)).await?;
    purse(&app, from).await
}

/// Change an asset for another
///
/// At the rate of the moment, through the exchange. The answer is the purse it was changed in.
#[utoipa::path(post, path = "/v1/conversions", tag = "money", request_body = ConversionRequest,
    security(("key" = [])), responses(
        (status = 200, body = PurseView),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ))]
async fn convert(
    caller: Caller,
    State(app): State<Shared>,
    told: Told<ConversionRequest>,
) -> Result<axum::Json<PurseView>, Refused> {
    caller.may_write()?;
    let ConversionRequest { purse: name, give, take, at_least, quoted_until } = told.body;
    if at_least.is_some_and(|least| least.asset != take) {
        return Err(Refused::field("at_least", format!("an amount of {take}")));
    }
    let at_least = at_least.map_or(0, |least| least.units);
    let (purse, quoted_until) = (views::purse_of(name), quoted_until.map(|time| time.0.millis()));
    let command =
        Command::Convert { purse, give, take, at_least, quoted_until_millis: quoted_until };
    app.writer.tell(told.command(&caller, command)).await?;
    self::purse(&app, name).await
}

/// What is to be changed for what.
#[derive(Clone, Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ConversionQuery {
    /// What would be given, as in `12.50 USD`.
    #[param(value_type = String)]
    give: Money,
    /// What is wanted for it.
    #[param(value_type = String)]
    take: Asset,
}

/// What a conversion would come to now
#[utoipa::path(get, path = "/v1/conversions/quote", tag = "money", params(ConversionQuery),
    security(("key" = [])), responses(
        (status = 200, body = ConversionQuote),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ))]
async fn conversion_quote(
    _caller: Caller,
    State(app): State<Shared>,
    Query(ConversionQuery { give, take }): Query<ConversionQuery>,
) -> Result<axum::Json<ConversionQuote>, Refused> {
    let look = move |state: &Control| views::conversion(state, give, take, now());
    Ok(axum::Json(app.writer.look(look).await??))
}
