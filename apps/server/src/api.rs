//! The HTTP API. Every handler here is in the OpenAPI document, because both are made from one list.

mod attestation;
mod audits;
mod blocks;
mod canaries;
mod coin;
mod costaking;
mod devices;
mod docs;
mod door;
mod events;
mod extract;
mod grants;
mod history;
mod jobs;
mod locks;
mod machines;
mod market;
mod network;
mod network_policies;
mod onboarding;
mod operator_network;
mod orders;
mod parameters;
mod people;
mod problem;
mod proofs;
mod proofs_log;
mod purses;
mod relays;
mod rental_networks;
mod rentals;
mod safety;
mod seasons;
mod service;
mod services;
mod slashing;
mod speed;
mod staking;
mod supply;
mod uploads;
mod votes;
mod worker_networks;

use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::body::HttpBody;
use axum::extract::{DefaultBodyLimit, MatchedPath, Request, State};
use axum::http::{HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::Response;
use utoipa::OpenApi;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa_axum::router::OpenApiRouter;

use crate::app::{App, Shared};
use crate::limits::BODY_BYTES_MAX;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "iog",
        description = "An open network of GPUs: offers, rentals, jobs, machines, money.",
        license(name = "Apache-2.0", identifier = "Apache-2.0"),
    ),
    tags(
        (name = "market", description = "Offers and quotes"),
        (name = "rentals", description = "Rentals and receipts"),
        (name = "jobs", description = "Jobs, logs, files"),
        (name = "people", description = "Accounts, projects, keys, statements"),
        (name = "money", description = "Deposits, withdrawals, transfers, conversions"),
        (name = "coin", description = "The network's coin: supply and rate"),
        (name = "supply", description = "Invitations and machines, for their owners"),
        (name = "blocks", description = "Blocks: what each hour's coins came to, machine by machine"),
        (name = "network", description = "The network as a whole"),
        (name = "staking", description = "Coins at stake: on machines, beside others, in the safety module"),
        (name = "slashing", description = "What is punished, charges, appeals"),
        (name = "governance", description = "Proposals, ballots, delegates, the brake"),
        (name = "seasons", description = "Reward programs, leaderboards, quests"),
        (name = "machines", description = "What agents say and are told"),
        (name = "Challenges", description = "What machines are to prove"),
        (name = "Binary Checker", description = "What a prover needs to check itself"),
        (name = "Results Submission", description = "Answers to challenges, and the public log of what came of them"),
        (name = "Attestation", description = "What machines' own chips say of them"),
        (name = "service", description = "Health, metrics, this document"),
    ),
)]
struct Document;

/// All routes and their document.
fn routes() -> (Router<Shared>, utoipa::openapi::OpenApi) {
    let all = OpenApiRouter::with_openapi(Document::openapi())
        .merge(market::routes())
        .merge(orders::routes())
        .merge(rentals::routes())
        .merge(rental_networks::routes())
        .merge(services::routes())
        .merge(network_policies::routes())
        .merge(operator_network::routes())
        .merge(jobs::routes())
        .merge(people::routes())
        .merge(purses::routes())
        .merge(coin::routes())
        .merge(supply::routes())
        .merge(network::routes())
        .merge(blocks::routes())
        .merge(devices::routes())
        .merge(parameters::routes())
        .merge(staking::routes())
        .merge(costaking::routes())
        .merge(safety::routes())
        .merge(slashing::routes())
        .merge(grants::routes())
        .merge(votes::routes())
        .merge(seasons::routes())
        .merge(machines::routes())
        .merge(worker_networks::routes())
        .merge(relays::routes())
        .merge(audits::routes())
        .merge(speed::routes())
        .merge(onboarding::routes())
        .merge(canaries::routes())
        .merge(proofs::routes())
        .merge(proofs_log::routes())
        .merge(locks::routes())
        .merge(attestation::routes())
        .merge(events::routes())
        .merge(service::routes());
    let (router, mut document) = all.split_for_parts();
    let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
    let components = document.components.get_or_insert_with(Default::default);
    components.add_security_scheme("key", SecurityScheme::Http(bearer));
    // `{*path}` is the router's way to say that a path may have slashes; OpenAPI has no word for it.
    let paths = std::mem::take(&mut document.paths.paths);
    document.paths.paths =
        paths.into_iter().map(|(path, item)| (path.replace("{*", "{"), item)).collect();
    (router, document)
}

/// The OpenAPI 3.1 document, as JSON with a last newline: what `openapi/server.json` holds.
///
/// # Panics
/// Never: the document is plain data.
pub fn openapi() -> String {
    let (_, document) = routes();
    let mut text = document.to_pretty_json().expect("the document is plain data");
    text.push('\n');
    text
}

pub(crate) fn router(app: Arc<App>) -> Router {
    let (router, _) = routes();
    router
        .merge(docs::routes())
        .fallback(problem::no_such_route)
        .method_not_allowed_fallback(problem::no_such_method)
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(axum::middleware::from_fn_with_state(Arc::clone(&app), measure))
        .with_state(app)
}

/// The method, if it is one that this API has: a caller's own words are no labels.
fn known(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        _ => "other",
    }
}

/// Gives every request an id, counts it and logs it.
async fn measure(State(app): State<Shared>, request: Request, next: Next) -> Response {
    let begun = Instant::now();
    let id = format!("{:026x}", crate::clock::fresh_bits() & ((1 << 104) - 1));
    let method = known(request.method());
    let sends = !request.body().is_end_stream();
    let route =
        request.extensions().get::<MatchedPath>().map_or("none", MatchedPath::as_str).to_owned();
    let mut response = problem::REQUEST_ID.scope(id.clone(), next.run(request)).await;
    let status = response.status().as_u16();
    let took = begun.elapsed();
    app.metrics.requested(&route, method, status, took);
    let millis = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    if status >= 500 {
        tracing::warn!(target: "server::http", %method, %route, status, millis, request_id = %id, "answered");
    } else {
        tracing::debug!(target: "server::http", %method, %route, status, millis, request_id = %id, "answered");
    }
    // A refusal may leave the body unread; then the connection is of no more use, and the caller is told so.
    if sends && status >= 400 {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    if let Ok(value) = id.parse() {
        response.headers_mut().insert("x-request-id", value);
    }
    response
}
