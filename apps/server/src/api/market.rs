//! Offers and quotes.

use axum::extract::State;
use axum::http::StatusCode;
use control::{Command, Refusal, Reply};
use scheduler::{Cursor, Filters};
use serde::Deserialize;
use units::{
    AccountId, Certification, Country, Credits, GpuModel, ProjectId, QuoteId, RentalId, Resources,
    Tier, WorkerId,
};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use wire::{Alternatives, Near, Offers, Order, Problem, QuoteRequest, RentalView};

use super::door::Caller;
use super::extract::{Json, Path, Query, Told, items};
use super::problem::Refused;
use super::rentals::{found, view};
use crate::app::Shared;
use crate::clock::fresh_bits;
use crate::views;
use crate::writer::{Failure, own};

/// How many of a project's latest rentals are looked through for suppliers it knows.
const DEALINGS_MAX: usize = 1_000;

pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .routes(routes!(offers))
        .routes(routes!(quote))
        .routes(routes!(quoted))
        .routes(routes!(alternatives))
}

/// What a node should have, and which machines will do.
#[derive(Clone, Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct OfferQuery {
    /// Whole cards a node needs.
    gpus: Option<u32>,
    /// Hardware threads a node needs; 1 if absent.
    vcpus: Option<u32>,
    /// Memory a node needs, in mebibytes.
    memory_mib: Option<u64>,
    /// Disk a node needs, in mebibytes.
    disk_mib: Option<u64>,
    /// Only this model of card.
    #[param(value_type = Option<String>)]
    gpu_model: Option<GpuModel>,
    /// Only one's own machines: the id of one's account. The operator may name anyone.
    #[param(value_type = Option<String>)]
    supplier: Option<AccountId>,
    /// Only machines in this country.
    #[param(value_type = Option<String>)]
    country: Option<Country>,
    /// Only machines connected at least so fast.
    #[param(value_type = Option<String>)]
    tier_min: Option<Tier>,
    /// Only machines with this certification.
    #[param(value_type = Option<String>)]
    certification: Option<Certification>,
    /// Only nodes that cost at most so much an hour.
    #[param(value_type = Option<String>)]
    node_hour_max: Option<Credits>,
    /// Whether to count what there is to choose from, too.
    facets: Option<bool>,
    /// `next` of the page before; absent for the first.
    cursor: Option<String>,
    /// How many items, 1 to 200; 50 if absent.
    limit: Option<usize>,
}

impl OfferQuery {
    fn each(&self) -> Resources {
        Resources {
            gpus: self.gpus.unwrap_or(0),
            vcpus: self.vcpus.unwrap_or(1),
            memory_mib: self.memory_mib.unwrap_or(0),
            disk_mib: self.disk_mib.unwrap_or(0),
        }
    }

    fn filters(self) -> Filters {
        Filters {
            gpu_model: self.gpu_model,
            suppliers: self.supplier.into_iter().collect(),
            countries: self.country.into_iter().collect(),
            tier_min: self.tier_min.unwrap_or(Tier::None),
            certifications: self.certification.into_iter().collect(),
            node_hour_max: self.node_hour_max,
        }
    }
}

/// Machines that could serve a node now
///
/// Cheapest first. A machine shows what is free on it, and not whose it is. With `facets=true` the answer also counts,
/// for each thing that can be asked for, how many machines there are of each value: of the same moment as the page, so
/// that the two never contradict each other, and each as if that one thing were not asked.
#[utoipa::path(get, path = "/v1/offers", tag = "market", params(OfferQuery), security(("key" = [])), responses(
    (status = 200, body = Offers),
    (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
))]
async fn offers(
    caller: Caller,
    State(app): State<Shared>,
    Query(query): Query<OfferQuery>,
) -> Result<axum::Json<Offers>, Refused> {
    if query.supplier.is_some_and(|supplier| !is_self(&caller, supplier)) {
        let why = "one's own account only: offers do not say whose a machine is";
        return Err(Refused::field("supplier", why));
    }
    let after = query.cursor.as_deref().map(cursor).transpose()?;
    let limit = items(query.limit);
    let counted = query.facets.unwrap_or(false);
    let (each, filters) = (query.each(), query.filters());
    let look = move |state: &control::Control| {
        let found = state.inventory().search(&filters, &each, after, limit);
        let next = if found.len() == limit { found.last().map(|last| last.cursor) } else { None };
        let items = found.iter().filter_map(|offer| views::offer(state, offer)).collect();
        let next = next.map(|next| format!("{}.{}", next.price.units(), next.worker));
        let facets = counted.then(|| views::facets(&state.inventory().facets(&filters, &each)));
        Offers { items, next, facets }
    };
    Ok(axum::Json(app.writer.look(look).await?))
}

/// Whether a caller may ask which machines are this account's.
fn is_self(caller: &Caller, supplier: AccountId) -> bool {
    caller.is_operator() || caller.account == supplier
}

/// Refuses an order that says one thing twice, or names suppliers whom its project does not know.
///
/// A quote tells which machines it is for, so that naming accounts one by one would tell whose every machine is.
pub(super) async fn knows(
    app: &Shared,
    caller: &Caller,
    project: ProjectId,
    order: &Order,
) -> Result<(), Refused> {
    if order.rtt_max_micros.is_some() && order.near != Near::Anywhere {
        let why = "`near` says it already: leave out one of the two";
        return Err(Refused::field("order.rtt_max_micros", why));
    }
    let mut unknown = order.suppliers.clone();
    unknown.retain(|supplier| !is_self(caller, *supplier));
    if unknown.is_empty() {
        return Ok(());
    }
    caller.may_see(app, project)?;
    let project = project.to_string();
    let rows =
        app.read(move |reader| reader.rows("rental", Some(&project), None, true, DEALINGS_MAX));
    for (_, body) in rows.await? {
        let receipt = view::<RentalView>(&body).and_then(|rental| rental.receipt);
        for line in receipt.into_iter().flat_map(|receipt| receipt.lines) {
            unknown.remove(&line.supplier);
        }
    }
    let Some(stranger) = unknown.first() else { return Ok(()) };
    let why = format!("none of this project's latest receipts is from {stranger}");
    let hint = "name suppliers that the project has paid; receipts have their ids";
    Err(Refused::field("order.suppliers", why).hint(hint))
}

fn cursor(text: &str) -> Result<Cursor, Refused> {
    let parts = text.split_once('.').and_then(|(price, worker)| {
        let price = price.parse().ok().map(Credits::from_units)?;
        Some(Cursor { price, worker: worker.parse::<WorkerId>().ok()? })
    });
    parts.ok_or_else(|| Refused::field("cursor", "not a `next` of this list"))
}

/// Ask for a price
///
/// It holds for five minutes. Machines are kept only once it is taken.
#[utoipa::path(post, path = "/v1/quotes", tag = "market", request_body = QuoteRequest, security(("key" = [])),
    responses(
        (status = 201, body = RentalView),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ))]
async fn quote(
    caller: Caller,
    State(app): State<Shared>,
    told: Told<QuoteRequest>,
) -> Result<(StatusCode, axum::Json<RentalView>), Refused> {
    caller.may_write()?;
    knows(&app, &caller, told.body.project, &told.body.order).await?;
    let rental = RentalId::from_bits(fresh_bits());
    let QuoteRequest { project, order, hours, pay } = told.body.clone();
    let order = views::order_record(order);
    let asked = order.clone();
    let body = told.command(&caller, Command::Quote { rental, project, order, hours, pay });
    let answer = app.writer.tell(body).await;
    if let Err(Failure::Refused(Refusal::NoOffer(scheduler::Refusal::NoCapacity(_)))) = &answer {
        // Who is turned away is demand, too. The refusal is the answer, whatever becomes of this.
        let command = Command::TurnedAway { project, order: asked };
        let _ = app.writer.tell(own(caller.actor(), command)).await;
    }
    let Reply::Rental(id) = answer? else {
        return Err(Refusal::IdReused.into());
    };
    Ok((StatusCode::CREATED, axum::Json(found(&app, &caller, id, "quote").await?)))
}

/// The same cards nearer together or farther apart, on fewer machines or on more
///
/// Cheapest first. Nothing is kept: to have one, ask for a quote of its order.
#[utoipa::path(post, path = "/v1/quotes/alternatives", tag = "market", request_body = QuoteRequest,
    security(("key" = [])), responses(
        (status = 200, body = Alternatives),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ))]
async fn alternatives(
    caller: Caller,
    State(app): State<Shared>,
    Json(request): Json<QuoteRequest>,
) -> Result<axum::Json<Alternatives>, Refused> {
    caller.may_see(&app, request.project)?;
    let QuoteRequest { project, order, hours, pay: _ } = request;
    knows(&app, &caller, project, &order).await?;
    let order = views::order_record(order);
    let look = move |state: &control::Control| {
        let found = state.alternatives(project, order, hours)?;
        Ok::<_, Refusal>(found.iter().map(views::alternative).collect())
    };
    let items = app.writer.look(look).await?.map_err(Refused::from)?;
    Ok(axum::Json(Alternatives { items }))
}

/// One quote
#[utoipa::path(get, path = "/v1/quotes/{id}", tag = "market", params(("id" = String, Path)), security(("key" = [])),
    responses(
        (status = 200, body = RentalView),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ))]
async fn quoted(
    caller: Caller,
    State(app): State<Shared>,
    Path(id): Path<QuoteId>,
) -> Result<axum::Json<RentalView>, Refused> {
    Ok(axum::Json(found(&app, &caller, RentalId::from_bits(id.bits()), "quote").await?))
}
