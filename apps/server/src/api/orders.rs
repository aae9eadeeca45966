//! Orders that wait for machines.

use axum::extract::State;
use axum::http::StatusCode;
use control::{Command, Refusal, Reply};
use serde::Deserialize;
use units::{MINUTE, OrderId, ProjectId};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use wire::{OrderView, Page, Problem, WaitRequest};

use super::door::Caller;
use super::extract::{Path, Query, Told};
use super::market::knows;
use super::problem::Refused;
use super::rentals::{page, view};
use crate::app::Shared;
use crate::clock::{fresh_bits, now};
use crate::views;
use crate::writer::Failure;

pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new().routes(routes!(wait, orders)).routes(routes!(order, leave))
}

/// One row as its view, if the caller may see its project; what waits, as it is now.
async fn found(app: &Shared, caller: &Caller, id: OrderId) -> Result<OrderView, Refused> {
    let row = app.read(move |reader| reader.row("order", &id.to_string())).await?;
    let kept: OrderView =
        row.as_deref().and_then(view).ok_or_else(|| Refused::not_found("order"))?;
    caller.may_see(app, kept.project).map_err(|_| Refused::not_found("order"))?;
    if kept.state != "waiting" {
        return Ok(kept);
    }
    let now = app.writer.look(move |state| views::queued_now(state, id)).await?;
    Ok(now.unwrap_or(kept))
}

/// Wait for machines
///
/// For orders that find none now. As soon as there are enough, they are rented at the price of that moment, and at
/// most at the order's `node_hour_max`: as a quote that is taken at once. Nothing is set aside before.
#[utoipa::path(post, path = "/v1/orders", tag = "market", request_body = WaitRequest, security(("key" = [])),
    responses(
        (status = 201, body = OrderView),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ))]
async fn wait(
    caller: Caller,
    State(app): State<Shared>,
    told: Told<WaitRequest>,
) -> Result<(StatusCode, axum::Json<OrderView>), Refused> {
    caller.may_write()?;
    let WaitRequest { project, order, hours, pay, name, wait_minutes } = told.body.clone();
    knows(&app, &caller, project, &order).await?;
    let command = Command::Wait {
        waiting: OrderId::from_bits(fresh_bits()),
        project,
        order: views::order_record(order),
        hours,
        pay,
        name,
        until_millis: now().after(MINUTE * wait_minutes).millis(),
    };
    let Reply::Order(id) = app.writer.tell(told.command(&caller, command)).await? else {
        return Err(Refusal::IdReused.into());
    };
    Ok((StatusCode::CREATED, axum::Json(found(&app, &caller, id).await?)))
}

/// Whose orders, and which page of them.
#[derive(Clone, Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct OrdersQuery {
    /// The project that pays.
    #[param(value_type = String)]
    project: ProjectId,
    /// `next` of the page before; absent for the first.
    cursor: Option<String>,
    /// How many items, 1 to 200; 50 if absent.
    limit: Option<usize>,
}

/// Orders of a project that wait or waited, newest first
#[utoipa::path(get, path = "/v1/orders", tag = "market", params(OrdersQuery), security(("key" = [])), responses(
    (status = 200, body = Page<OrderView>),
    (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
))]
async fn orders(
    caller: Caller,
    State(app): State<Shared>,
    Query(query): Query<OrdersQuery>,
) -> Result<axum::Json<Page<OrderView>>, Refused> {
    caller.may_see(&app, query.project)?;
    let owner = query.project.to_string();
    let mut kept: Page<OrderView> = page(&app, "order", owner, query.cursor, query.limit).await?;
    let ids: Vec<OrderId> =
        kept.items.iter().filter(|it| it.state == "waiting").map(|it| it.id).collect();
    if ids.is_empty() {
        return Ok(axum::Json(kept));
    }
    let places = app.writer.look(move |state| views::places(state, &ids)).await?;
    for item in &mut kept.items {
        let place = places.get(&item.id).copied();
        (item.place, item.earliest_start) = place.unwrap_or_default();
    }
    Ok(axum::Json(kept))
}

/// One order: where it stands, and why it waits
#[utoipa::path(get, path = "/v1/orders/{id}", tag = "market", params(("id" = String, Path)), security(("key" = [])),
    responses(
        (status = 200, body = OrderView),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ))]
async fn order(
    caller: Caller,
    State(app): State<Shared>,
    Path(id): Path<OrderId>,
) -> Result<axum::Json<OrderView>, Refused> {
    Ok(axum::Json(found(&app, &caller, id).await?))
}

/// Wait no longer
///
/// An order that is over already stays as it is; one that was served is a rental, which is ended as rentals are.
#[utoipa::path(delete, path = "/v1/orders/{id}", tag = "market", params(("id" = String, Path)),
    security(("key" = [])), responses(
        (status = 200, body = OrderView),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ))]
async fn leave(
    caller: Caller,
    State(app): State<Shared>,
    Path(waiting): Path<OrderId>,
    told: Told<()>,
) -> Result<axum::Json<OrderView>, Refused> {
    caller.may_write()?;
    let told = app.writer.tell(told.command(&caller, Command::Leave { waiting })).await;
    let view = found(&app, &caller, waiting).await;
    match told {
        Ok(_) => Ok(axum::Json(view?)),
        // One that ended long ago is known to the tables alone.
        Err(Failure::Refused(Refusal::NotFound(_))) if view.as_ref().is_ok_and(is_over) => {
            Ok(axum::Json(view?))
        }
        Err(why) => Err(why.into()),
    }
}

fn is_over(view: &OrderView) -> bool {
    matches!(view.state.as_str(), "lapsed" | "left")
}
