//! Services of rentals: what of a cluster can be visited through tunnels. What stands for itself in
//! [`super::service`] is the server.

use axum::extract::State;
use axum::http::StatusCode;
use control::{Command, ServiceProto as Proto, ServiceRecord};
use units::{Name, RentalId};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use wire::{Page, Problem, ServiceProto, ServiceRequest, ServiceView, ServiceVisibility};

use super::door::Caller;
use super::extract::{PageQuery, Path, Query, Told, items};
use super::problem::Refused;
use super::rental_networks::services_of;
use super::rentals::found;
use crate::app::Shared;

pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new().routes(routes!(services)).routes(routes!(open, close))
}

/// A rental's services, by label
///
/// Every rental with a private network has `dashboard`, `ssh` for its head, and `ssh-N` for its other nodes.
#[utoipa::path(get, path = "/v1/rentals/{id}/services", tag = "rentals", params(("id" = String, Path), PageQuery),
    security(("key" = [])), responses(
        (status = 200, body = Page<ServiceView>),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ))]
async fn services(
    caller: Caller,
    State(app): State<Shared>,
    Path(rental): Path<RentalId>,
    Query(query): Query<PageQuery>,
) -> Result<axum::Json<Page<ServiceView>>, Refused> {
    found(&app, &caller, rental, "rental").await?;
    let all = services_of(&app, rental).await?;
    let limit = items(query.limit);
    let is_after =
        |it: &ServiceView| query.cursor.as_deref().is_none_or(|after| it.label.text() > after);
    let mut rest: Vec<ServiceView> = all.into_iter().filter(is_after).collect();
    let has_more = rest.len() > limit;
    rest.truncate(limit);
    let next = rest.last().filter(|_| has_more).map(|last| last.label.to_string());
    Ok(axum::Json(Page { items: rest, next }))
}

/// Open a service of a rental, or change it
///
/// The node publishes it at relays within seconds: watch `state`.
#[utoipa::path(put, path = "/v1/rentals/{id}/services/{label}", tag = "rentals",
    params(("id" = String, Path), ("label" = String, Path)), request_body = ServiceRequest, security(("key" = [])),
    responses(
        (status = 200, body = ServiceView),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ))]
async fn open(
    caller: Caller,
    State(app): State<Shared>,
    Path((rental, label)): Path<(RentalId, Name)>,
    told: Told<ServiceRequest>,
) -> Result<axum::Json<ServiceView>, Refused> {
    caller.may_write()?;
    let ServiceRequest { node, port, proto, visibility, wants_proxy_header } = told.body;
    let is_public = match visibility {
        ServiceVisibility::Private => false,
        ServiceVisibility::Public => true,
    };
    let proto = record_proto(proto);
    let service = ServiceRecord { node, port, proto, is_public, wants_proxy_header };
    let opened = label.clone();
    let command = Command::OpenService { rental, label: opened, service };
    app.writer.tell(told.command(&caller, command)).await?;
    found(&app, &caller, rental, "rental").await?;
    let all = services_of(&app, rental).await?;
    let view = all.into_iter().find(|view| view.label == label);
    view.map(axum::Json).ok_or_else(|| Refused::not_found("service any more"))
}

/// Close a service of a rental
///
/// Closing what is closed changes nothing.
#[utoipa::path(delete, path = "/v1/rentals/{id}/services/{label}", tag = "rentals",
    params(("id" = String, Path), ("label" = String, Path)), security(("key" = [])), responses(
        (status = 204, description = "It is not there"),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ))]
async fn close(
    caller: Caller,
    State(app): State<Shared>,
    Path((rental, label)): Path<(RentalId, Name)>,
    told: Told<()>,
) -> Result<StatusCode, Refused> {
    caller.may_write()?;
    app.writer.tell(told.command(&caller, Command::CloseService { rental, label })).await?;
    Ok(StatusCode::NO_CONTENT)
}

const fn record_proto(proto: ServiceProto) -> Proto {
    match proto {
        ServiceProto::Http => Proto::Http,
        ServiceProto::Tls => Proto::Tls,
        ServiceProto::Ssh => Proto::Ssh,
        ServiceProto::Tcp => Proto::Tcp,
        ServiceProto::Udp => Proto::Udp,
    }
}
