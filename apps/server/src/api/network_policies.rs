//! What may pass in the private networks of a project.

use axum::extract::State;
use axum::http::StatusCode;
use control::{Command, NetworkPolicy};
use units::ProjectId;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use wire::{NetworkPolicyRequest, NetworkPolicyView, Problem, Time};

use super::door::Caller;
use super::extract::{Path, Told};
use super::problem::Refused;
use crate::app::Shared;
use crate::meshes::{USUAL, check};

/// A policy is for networks of so many nodes at least, however small those are that there are.
const NODES_SUPPOSED_MIN: usize = 64;

pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new().routes(routes!(policy, put, remove))
}

async fn view(app: &Shared, project: ProjectId) -> Result<NetworkPolicyView, Refused> {
    let look = move |state: &control::Control| Some(view_of(&state.project(project)?.policy));
    app.writer.look(look).await?.ok_or_else(|| Refused::not_found("project"))
}

/// The policy of a project's private networks
///
/// The usual one, as long as nobody has written another: members of a network reach each other, and
/// nothing else passes.
#[utoipa::path(get, path = "/v1/projects/{id}/network-policy", tag = "people", params(("id" = String, Path)),
    security(("key" = [])), responses(
        (status = 200, body = NetworkPolicyView),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ))]
async fn policy(
    caller: Caller,
    State(app): State<Shared>,
    Path(project): Path<ProjectId>,
) -> Result<axum::Json<NetworkPolicyView>, Refused> {
    caller.may_see(&app, project)?;
    Ok(axum::Json(view(&app, project).await?))
}

/// Write the policy of a project's private networks
///
/// A file that is not understood to its last word, or whose tests fail, is refused, with the line; so is one that comes
/// to too much in the project's largest network. It holds in every network of the project within a second.
#[utoipa::path(put, path = "/v1/projects/{id}/network-policy", tag = "people", params(("id" = String, Path)),
    request_body = NetworkPolicyRequest, security(("key" = [])), responses(
        (status = 200, body = NetworkPolicyView),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ))]
async fn put(
    caller: Caller,
    State(app): State<Shared>,
    Path(project): Path<ProjectId>,
    told: Told<NetworkPolicyRequest>,
) -> Result<axum::Json<NetworkPolicyView>, Refused> {
    caller.may_write()?;
    caller.may_see(&app, project)?;
    let largest = move |state: &control::Control| {
        let rentals = state.project(project).into_iter().flat_map(|project| &project.rentals);
        let nodes = rentals.filter_map(|rental| Some(state.rental(*rental)?.nodes.len()));
        nodes.max().unwrap_or_default()
    };
    let nodes = app.writer.look(largest).await?.max(NODES_SUPPOSED_MIN);
    checked(told.body.policy.clone(), nodes).await?;
    let file = Some(told.body.policy.clone());
    app.writer.tell(told.command(&caller, Command::SetNetworkPolicy { project, file })).await?;
    Ok(axum::Json(view(&app, project).await?))
}

/// Refuses what is no policy, or comes to too much in a network of so many nodes.
pub(super) async fn checked(text: String, nodes: usize) -> Result<(), Refused> {
    // What is too long is refused by itself.
    if text.len() > control::NETWORK_POLICY_BYTES_MAX {
        return Ok(());
    }
    let checked = tokio::task::spawn_blocking(move || check(&text, nodes)).await;
    let failed =
        |_| Refused::new("internal", StatusCode::INTERNAL_SERVER_ERROR, "the policy was lost");
    checked.map_err(failed)?.map_err(|why| {
        Refused::field("policy", why)
            .hint("`iog net policy test` says most of it without a network")
    })
}

/// A policy as it is shown.
pub(super) fn view_of(policy: &NetworkPolicy) -> NetworkPolicyView {
    NetworkPolicyView {
        policy: policy.file.as_deref().unwrap_or(USUAL).to_owned(),
        version: policy.version,
        changed: (policy.version > 0).then_some(Time(policy.changed)),
    }
}

/// Go back to the usual policy
#[utoipa::path(delete, path = "/v1/projects/{id}/network-policy", tag = "people", params(("id" = String, Path)),
    security(("key" = [])), responses(
        (status = 200, body = NetworkPolicyView),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ))]
async fn remove(
    caller: Caller,
    State(app): State<Shared>,
    Path(project): Path<ProjectId>,
    told: Told<()>,
) -> Result<axum::Json<NetworkPolicyView>, Refused> {
    caller.may_write()?;
    let command = Command::SetNetworkPolicy { project, file: None };
    app.writer.tell(told.command(&caller, command)).await?;
    Ok(axum::Json(view(&app, project).await?))
}
