//! Rentals and receipts.

use axum::extract::State;
use axum::http::StatusCode;
use control::{Command, Refusal, Reply};
use market::Stage;
use serde::Deserialize;
use units::{ProjectId, RentalId};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use wire::{ExtendRequest, ExtensionPrice, Page, Problem, ReceiptView, RentRequest, RentalView};

use super::door::Caller;
use super::extract::{Path, Query, Told, items};
use super::problem::Refused;
use crate::app::Shared;
use crate::views;
use crate::writer::Failure;

pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .routes(routes!(rent, rentals))
        .routes(routes!(rental))
        .routes(routes!(end))
        .routes(routes!(extend))
        .routes(routes!(extension_price))
        .routes(routes!(receipt))
}

/// One row as its view, if the caller may see its project.
pub(super) async fn found(
    app: &Shared,
    caller: &Caller,
    id: RentalId,
    what: &'static str,
) -> Result<RentalView, Refused> {
    let row = app.read(move |reader| reader.row("rental", &id.to_string())).await?;
    let view: RentalView = row.as_deref().and_then(view).ok_or_else(|| Refused::not_found(what))?;
    caller.may_see(app, view.project).map_err(|_| Refused::not_found(what))?;
    Ok(view)
}

/// A row's body as its view. What a newer program wrote and this one cannot read is not shown.
pub(super) fn view<T: serde::de::DeserializeOwned>(body: &[u8]) -> Option<T> {
    serde_json::from_slice(body).ok()
}

/// Take a quote
///
/// The money for the whole booking is set aside, the machines are kept, and the cluster comes up: watch the rental
/// until its state is `running`. If it cannot come up, everything goes back.
#[utoipa::path(post, path = "/v1/rentals", tag = "rentals", request_body = RentRequest, security(("key" = [])),
    responses(
        (status = 201, body = RentalView),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ))]
async fn rent(
    caller: Caller,
    State(app): State<Shared>,
    told: Told<RentRequest>,
) -> Result<(StatusCode, axum::Json<RentalView>), Refused> {
    caller.may_write()?;
    let RentRequest { quote, name, may_wait } = told.body.clone();
    let rental = RentalId::from_bits(quote.bits());
    let body = told.command(&caller, Command::Rent { rental, name, may_wait });
    let Reply::Rental(id) = app.writer.tell(body).await? else {
        return Err(Refusal::IdReused.into());
    };
    Ok((StatusCode::CREATED, axum::Json(found(&app, &caller, id, "rental").await?)))
}

/// Whose rentals, and which page of them.
#[derive(Clone, Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct RentalsQuery {
    /// The project that pays.
    #[param(value_type = String)]
    project: ProjectId,
    /// `next` of the page before; absent for the first.
    cursor: Option<String>,
    /// How many items, 1 to 200; 50 if absent.
    limit: Option<usize>,
}

/// Quotes and rentals of a project, newest first
#[utoipa::path(get, path = "/v1/rentals", tag = "rentals", params(RentalsQuery), security(("key" = [])), responses(
    (status = 200, body = Page<RentalView>),
    (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
))]
async fn rentals(
    caller: Caller,
    State(app): State<Shared>,
    Query(query): Query<RentalsQuery>,
) -> Result<axum::Json<Page<RentalView>>, Refused> {
    caller.may_see(&app, query.project)?;
    let page = page(&app, "rental", query.project.to_string(), query.cursor, query.limit).await?;
    Ok(axum::Json(page))
}

/// A page of rows, newest first; the cursor is the last id of the page before.
pub(super) async fn page<T: serde::de::DeserializeOwned + Send + 'static>(
    app: &Shared,
    kind: &'static str,
    owner: String,
    cursor: Option<String>,
    limit: Option<usize>,
) -> Result<Page<T>, Refused> {
    let limit = items(limit);
    let rows = app
        .read(move |reader| reader.rows(kind, Some(&owner), cursor.as_deref(), true, limit + 1))
        .await?;
    let next =
        if rows.len() > limit { rows.get(limit - 1).map(|(id, _)| id.clone()) } else { None };
    let items = rows.iter().take(limit).filter_map(|(_, body)| view(body)).collect();
    Ok(Page { items, next })
}

/// One rental
#[utoipa::path(get, path = "/v1/rentals/{id}", tag = "rentals", params(("id" = String, Path)),
    security(("key" = [])), responses(
        (status = 200, body = RentalView),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ))]
async fn rental(
    caller: Caller,
    State(app): State<Shared>,
    Path(id): Path<RentalId>,
) -> Result<axum::Json<RentalView>, Refused> {
    Ok(axum::Json(found(&app, &caller, id, "rental").await?))
}

/// End a rental
///
/// It is settled at once; what was not used goes back. Ending what has ended changes nothing.
#[utoipa::path(post, path = "/v1/rentals/{id}/end", tag = "rentals", params(("id" = String, Path)),
    security(("key" = [])), responses(
        (status = 200, body = RentalView),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ))]
async fn end(
    caller: Caller,
    State(app): State<Shared>,
    Path(rental): Path<RentalId>,
    told: Told<()>,
) -> Result<axum::Json<RentalView>, Refused> {
    caller.may_write()?;
    let told = app.writer.tell(told.command(&caller, Command::EndRental { rental })).await;
    let view = found(&app, &caller, rental, "rental").await;
    match told {
        Ok(_) => Ok(axum::Json(view?)),
        // One that ended long ago is known to the tables alone.
        Err(Failure::Refused(Refusal::NotFound(_))) if view.as_ref().is_ok_and(has_ended) => {
            Ok(axum::Json(view?))
        }
        Err(why) => Err(why.into()),
    }
}

fn has_ended(view: &RentalView) -> bool {
    view.state == "ended"
}

/// How many more hours.
#[derive(Clone, Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ExtensionQuery {
    /// How many.
    hours: u32,
}

/// What more hours would cost
///
/// At the price of the quote, and at its rate where it is paid in coins.
#[utoipa::path(get, path = "/v1/rentals/{id}/extension-price", tag = "rentals",
    params(("id" = String, Path), ExtensionQuery), security(("key" = [])), responses(
        (status = 200, body = ExtensionPrice),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ))]
async fn extension_price(
    caller: Caller,
    State(app): State<Shared>,
    Path(id): Path<RentalId>,
    Query(ExtensionQuery { hours }): Query<ExtensionQuery>,
) -> Result<axum::Json<ExtensionPrice>, Refused> {
    let stage = found(&app, &caller, id, "rental").await?.state;
    let look = move |state: &control::Control| {
        let running = |rental: &&control::Rental| matches!(rental.stage, Stage::Running { .. });
        let rental = state.rental(id).filter(running).ok_or_else(|| wrong_stage(&stage))?;
        let most = market::BOOKED_HOURS_MAX.saturating_sub(rental.terms.hours);
        if hours == 0 || hours > most {
            return Err(Refused::field("hours", format!("from 1 to {most}")));
        }
        views::extension_price(&rental.terms, hours).ok_or_else(|| Refusal::TooMuch.into())
    };
    app.writer.look(look).await?.map(axum::Json)
}

fn wrong_stage(stage: &str) -> Refused {
    Refused::new("wrong-state", StatusCode::CONFLICT, format!("not now: the rental is {stage}"))
}

/// Book more hours
///
/// Of a rental that runs, at the price of its quote. The money for them is set aside at once.
#[utoipa::path(post, path = "/v1/rentals/{id}/extend", tag = "rentals", params(("id" = String, Path)),
    request_body = ExtendRequest, security(("key" = [])), responses(
        (status = 200, body = RentalView),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ))]
async fn extend(
    caller: Caller,
    State(app): State<Shared>,
    Path(rental): Path<RentalId>,
    told: Told<ExtendRequest>,
) -> Result<axum::Json<RentalView>, Refused> {
    caller.may_write()?;
    let ExtendRequest { hours } = told.body;
    app.writer.tell(told.command(&caller, Command::Extend { rental, hours })).await?;
    Ok(axum::Json(found(&app, &caller, rental, "rental").await?))
}

/// What a rental came to
///
/// There once the rental is settled. The same receipt is shown to the renter and to each supplier.
#[utoipa::path(get, path = "/v1/rentals/{id}/receipt", tag = "rentals", params(("id" = String, Path)),
    security(("key" = [])), responses(
        (status = 200, body = ReceiptView),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ))]
async fn receipt(
    caller: Caller,
    State(app): State<Shared>,
    Path(id): Path<RentalId>,
) -> Result<axum::Json<ReceiptView>, Refused> {
    let row = app.read(move |reader| reader.row("rental", &id.to_string())).await?;
    let view: RentalView =
        row.as_deref().and_then(view).ok_or_else(|| Refused::not_found("rental"))?;
    let receipt = view.receipt;
    let supplies =
        |receipt: &ReceiptView| receipt.lines.iter().any(|line| line.supplier == caller.account);
    if !receipt.as_ref().is_some_and(supplies) {
        caller.may_see(&app, view.project).map_err(|_| Refused::not_found("rental"))?;
    }
    receipt
        .map(axum::Json)
        .ok_or_else(|| Refused::not_found("receipt: the rental is not settled yet"))
}
