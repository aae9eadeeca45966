//! The network of the operator's own machines: papers for them, what is seen of it, and what may pass in it.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use control::Command;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use wire::paper::{NodeKey, SuiteName, is_signed, operator_mesh, operator_statement};
use wire::{
    ClientNetwork, MeshView, NetworkPolicyRequest, NetworkPolicyView, OPERATOR_TAGS_MAX,
    OperatorNetworkRequest, Problem,
};

use super::door::Caller;
use super::extract::{Json, Path, Told};
use super::network_policies::{checked, view_of};
use super::problem::Refused;
use super::rental_networks::client_network;
use super::worker_networks::{heard, network_key, proven, told, unsigned};
use crate::app::Shared;
use crate::limits::OPERATOR_MEMBERS_MAX;
use crate::meshes::{Asked, Called, NetworkOf, Place, Said};

pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .routes(routes!(join, network))
        .routes(routes!(leave))
        .routes(routes!(policy, put, remove))
}

/// Ask for papers of the operator's network
///
/// Operator only. The machine becomes a member under the name and with the tags that it asks for. Answered at once for
/// who knows no revision; for others when there is another, or when papers are to be renewed; 204 after `wait_secs` if
/// there is nothing new. Who names the epoch of its revision, too, may be told of those members alone that are others
/// since; 204 at once for who only tells. Who does not ask for an hour has left, and whose key is taken back at once.
#[utoipa::path(post, path = "/v1/network/operator", tag = "network", request_body = OperatorNetworkRequest,
    security(("key" = [])), responses(
        (status = 200, body = ClientNetwork),
        (status = 204, description = "Nothing is new"),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ))]
async fn join(
    caller: Caller,
    State(app): State<Shared>,
    Json(asked): Json<OperatorNetworkRequest>,
) -> Result<Response, Refused> {
    caller.only_operator()?;
    let statement = operator_statement(&asked.x25519);
    if !is_signed(&asked.key, &statement, &asked.statement) {
        return Err(unsigned());
    }
    proven(&app, (&asked.key, &asked.x25519), &statement, &asked.proof)?;
    if asked.tags.len() > OPERATOR_TAGS_MAX {
        return Err(Refused::field("tags", format!("at most {OPERATOR_TAGS_MAX}")));
    }
    let (of, key) = (NetworkOf::Operator, asked.key);
    let place = Place::Client(key);
    let suites = if asked.suites.is_empty() { vec![SuiteName::Wireguard] } else { asked.suites };
    let said = Said {
        place,
        whose: caller.whose(),
        called: Some(Called { name: asked.name, tags: asked.tags }),
        key: asked.key,
        x25519: asked.x25519,
        shows: asked.membership,
        suites,
        relays: asked.relays,
        ways: asked.ways,
        services: BTreeMap::new(),
    };
    let is_let_in = || caller.is_still_known(&app);
    let heard = heard(&app, of, said, (asked.known, &is_let_in)).await?;
    if asked.tells_only {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let (waits, has) = ((asked.known, asked.wait_secs), asked.known.zip(asked.epoch));
    let Some(issued) = told(&app, Asked { of, place, key, has }, heard, waits).await? else {
        return Ok(StatusCode::NO_CONTENT.into_response());
    };
    Ok(client_network(&app, issued, Vec::new(), (None, None)))
}

/// The operator's network, as its members tell of it
///
/// Operator only: which machines are in it, under which addresses, and how each reaches the others.
#[utoipa::path(get, path = "/v1/network/operator", tag = "network", security(("key" = [])), responses(
    (status = 200, body = MeshView),
    (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
))]
async fn network(
    caller: Caller,
    State(app): State<Shared>,
) -> Result<axum::Json<MeshView>, Refused> {
    caller.only_operator()?;
    let version = app.writer.look(|state| state.operator_policy().version).await?;
    let mesh = operator_mesh(&network_key(&app));
    Ok(axum::Json(app.meshes.view(NetworkOf::Operator, Some(mesh), version)))
}

/// Let a machine leave the operator's network
///
/// Operator only. It is in no list from then on; leaving what is left changes nothing.
#[utoipa::path(delete, path = "/v1/network/operator/{key}", tag = "network", params(("key" = String, Path)),
    security(("key" = [])), responses(
        (status = 204, description = "It is not there"),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ))]
async fn leave(
    caller: Caller,
    State(app): State<Shared>,
    Path(key): Path<NodeKey>,
) -> Result<StatusCode, Refused> {
    caller.only_operator()?;
    app.meshes.leave(NetworkOf::Operator, key);
    Ok(StatusCode::NO_CONTENT)
}

async fn view(app: &Shared) -> Result<axum::Json<NetworkPolicyView>, Refused> {
    Ok(axum::Json(app.writer.look(|state| view_of(state.operator_policy())).await?))
}

/// The policy of the operator's network
///
/// Operator only. The usual one, as long as nobody has written another: its members reach each other, and nothing else
/// passes.
#[utoipa::path(get, path = "/v1/network/operator/policy", tag = "network", security(("key" = [])), responses(
    (status = 200, body = NetworkPolicyView),
    (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
))]
async fn policy(
    caller: Caller,
    State(app): State<Shared>,
) -> Result<axum::Json<NetworkPolicyView>, Refused> {
    caller.only_operator()?;
    view(&app).await
}

/// Write the policy of the operator's network
///
/// Operator only. A file that is not understood to its last word, or whose tests fail, is refused, with the line. It
/// holds within a second.
#[utoipa::path(put, path = "/v1/network/operator/policy", tag = "network", request_body = NetworkPolicyRequest,
    security(("key" = [])), responses(
        (status = 200, body = NetworkPolicyView),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ))]
async fn put(
    caller: Caller,
    State(app): State<Shared>,
    asked: Told<NetworkPolicyRequest>,
) -> Result<axum::Json<NetworkPolicyView>, Refused> {
    caller.only_operator()?;
    checked(asked.body.policy.clone(), OPERATOR_MEMBERS_MAX).await?;
    let command = Command::SetOperatorPolicy { file: Some(asked.body.policy.clone()) };
    app.writer.tell(asked.command(&caller, command)).await?;
    view(&app).await
}

/// Go back to the usual policy of the operator's network
#[utoipa::path(delete, path = "/v1/network/operator/policy", tag = "network", security(("key" = [])), responses(
    (status = 200, body = NetworkPolicyView),
    (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
))]
async fn remove(
    caller: Caller,
    State(app): State<Shared>,
    asked: Told<()>,
) -> Result<axum::Json<NetworkPolicyView>, Refused> {
    caller.only_operator()?;
    let command = Command::SetOperatorPolicy { file: None };
    app.writer.tell(asked.command(&caller, command)).await?;
    view(&app).await
}
