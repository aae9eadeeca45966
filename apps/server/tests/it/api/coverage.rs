//! Tables of every endpoint, held against the OpenAPI document: an endpoint without its row fails here.
//!
//! WHEN ADDING AN ENDPOINT: give it a row in [`WHO_MAY`], in [`TOLD_TWICE`] if it writes, and in [`LISTS`] if it lists.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::blocks::Past;
use super::coverage_attestation as attestation;
use super::coverage_onboarding as onboarding;
use super::coverage_proofs as proofs;
use super::coverage_stakes as stakes;
use super::locks;
use super::networks;
use crate::town::{Anonymous, Ask, Caller, Machine, Story, Town, a_machine};

/// Method and path, filled in, body, and the statuses of [`WHO_MAY`].
pub(super) type MayRow = (&'static str, &'static str, &'static str, [u16; 7]);
/// Method and path, filled in, body, and how it is told apart.
pub(super) type TwiceRow = (&'static str, &'static str, &'static str, Once);

/// Who may: the status for nobody, a viewer, a stranger, the supplier, the renter, the operator, a machine, in this
/// order. Each row stands alone: it may only leave behind what no other row minds.
const WHO_MAY: &[MayRow] = &[
    // method and path, filled in, body
    ("GET /v1/me", "/v1/me", "", [401, 200, 200, 200, 200, 200, 401]),
    ("POST /v1/accounts", "/v1/accounts", r#"{"name":"new"}"#, [401, 403, 403, 403, 403, 201, 401]),
    ("GET /v1/accounts/{id}", "/v1/accounts/{renter}", "", [401, 404, 404, 404, 200, 200, 401]),
    (
        "GET /v1/accounts/{id}/transfers",
        "/v1/accounts/{renter}/transfers",
        "",
        [401, 404, 404, 404, 200, 200, 401],
    ),
    ("POST /v1/projects", "/v1/projects", r#"{"name":"new"}"#, [401, 201, 201, 201, 201, 201, 401]),
    ("GET /v1/projects", "/v1/projects", "", [401, 200, 200, 200, 200, 200, 401]),
    ("GET /v1/projects/{id}", "/v1/projects/{project}", "", [401, 200, 404, 404, 200, 200, 401]),
    (
        "PUT /v1/projects/{id}/members/{account}",
        "/v1/projects/{project}/members/{viewer}",
        r#"{"role":"viewer"}"#,
        [401, 403, 404, 404, 200, 200, 401],
    ),
    (
        "DELETE /v1/projects/{id}/members/{account}",
        "/v1/projects/{project}/members/{supplier}",
        "",
        [401, 403, 404, 404, 200, 200, 401],
    ),
    (
        "POST /v1/projects/{id}/top-ups",
        "/v1/projects/{project}/top-ups",
        r#"{"amount":"1"}"#,
        [401, 403, 403, 403, 403, 200, 401],
    ),
    (
        "GET /v1/projects/{id}/transfers",
        "/v1/projects/{project}/transfers",
        "",
        [401, 200, 404, 404, 200, 200, 401],
    ),
    (
        "POST /v1/keys",
        "/v1/keys",
        r#"{"label":"new","scopes":["read"]}"#,
        [401, 201, 201, 201, 201, 201, 401],
    ),
    ("GET /v1/keys", "/v1/keys", "", [401, 200, 200, 200, 200, 200, 401]),
    ("DELETE /v1/keys/{id}", "/v1/keys/{key}", "", [401, 404, 404, 404, 200, 200, 401]),
    ("GET /v1/offers", "/v1/offers", "", [401, 200, 200, 200, 200, 200, 401]),
    ("POST /v1/quotes", "/v1/quotes", "{order}", [401, 403, 404, 404, 201, 201, 401]),
    (
        "POST /v1/quotes/alternatives",
        "/v1/quotes/alternatives",
        "{order}",
        [401, 200, 404, 404, 200, 200, 401],
    ),
    ("GET /v1/quotes/{id}", "/v1/quotes/{quote}", "", [401, 200, 404, 404, 200, 200, 401]),
    ("POST /v1/orders", "/v1/orders", "{wait}", [401, 403, 404, 404, 201, 201, 401]),
    ("GET /v1/orders", "/v1/orders?project={project}", "", [401, 200, 404, 404, 200, 200, 401]),
    ("GET /v1/orders/{id}", "/v1/orders/{waiting}", "", [401, 200, 404, 404, 200, 200, 401]),
    ("DELETE /v1/orders/{id}", "/v1/orders/{waiting}", "", [401, 403, 404, 404, 200, 200, 401]),
    // The renter takes it first; then it is used.
    (
        "POST /v1/rentals",
        "/v1/rentals",
        r#"{"quote":"{quote}","name":"x"}"#,
        [401, 403, 404, 404, 201, 409, 401],
    ),
    ("GET /v1/rentals", "/v1/rentals?project={project}", "", [401, 200, 404, 404, 200, 200, 401]),
    ("GET /v1/rentals/{id}", "/v1/rentals/{rental}", "", [401, 200, 404, 404, 200, 200, 401]),
    (
        "GET /v1/rentals/{id}/extension-price",
        "/v1/rentals/{rental}/extension-price?hours=1",
        "",
        [401, 200, 404, 404, 200, 200, 401],
    ),
    (
        "POST /v1/rentals/{id}/extend",
        "/v1/rentals/{rental}/extend",
        r#"{"hours":1}"#,
        [401, 403, 404, 404, 200, 200, 401],
    ),
    // The same receipt for the renter's side and the supplier.
    (
        "GET /v1/rentals/{id}/receipt",
        "/v1/rentals/{ended}/receipt",
        "",
        [401, 200, 404, 200, 200, 200, 401],
    ),
    (
        "PUT /v1/blobs/{sha256}",
        "/v1/blobs/fb8e20fc2e4c3f248c60c39bd652f3c1347298bb977b8b4d5903b85055620603",
        "ab",
        [401, 204, 204, 204, 204, 204, 401],
    ),
    (
        "POST /v1/rentals/{id}/jobs",
        "/v1/rentals/{rental}/jobs",
        r#"{"entrypoint":"true"}"#,
        [401, 403, 404, 404, 201, 201, 401],
    ),
    (
        "GET /v1/rentals/{id}/jobs",
        "/v1/rentals/{rental}/jobs",
        "",
        [401, 200, 404, 404, 200, 200, 401],
    ),
    ("GET /v1/jobs/{id}", "/v1/jobs/{job}", "", [401, 200, 404, 404, 200, 200, 401]),
    ("POST /v1/jobs/{id}/stop", "/v1/jobs/{job}/stop", "", [401, 403, 404, 404, 200, 200, 401]),
    ("GET /v1/jobs/{id}/log", "/v1/jobs/{job}/log", "", [401, 200, 404, 404, 200, 200, 401]),
    ("GET /v1/jobs/{id}/files", "/v1/jobs/{job}/files", "", [401, 200, 404, 404, 200, 200, 401]),
    (
        "GET /v1/jobs/{id}/files/{path}",
        "/v1/jobs/{job}/files/out/result.txt",
        "",
        [401, 200, 404, 404, 200, 200, 401],
    ),
    ("POST /v1/invites", "/v1/invites", "{}", [401, 201, 201, 201, 201, 201, 401]),
    ("GET /v1/invites", "/v1/invites", "", [401, 200, 200, 200, 200, 200, 401]),
    ("GET /v1/workers", "/v1/workers", "", [401, 200, 200, 200, 200, 200, 401]),
    ("GET /v1/workers/{id}", "/v1/workers/{worker}", "", [401, 404, 404, 200, 404, 200, 401]),
    (
        "PUT /v1/workers/{id}/paused",
        "/v1/workers/{worker}/paused",
        r#"{"paused":false}"#,
        [401, 404, 404, 200, 404, 200, 401],
    ),
    // The supplier takes it out; then it is gone.
    ("DELETE /v1/workers/{id}", "/v1/workers/{spare}", "", [401, 404, 404, 204, 404, 404, 401]),
    // With a wrong place to go on from, so that the stream does not begin.
    ("GET /v1/events", "/v1/events?after=x", "", [401, 422, 422, 422, 422, 422, 401]),
    ("GET /v1/network", "/v1/network", "", [200, 200, 200, 200, 200, 200, 200]),
    ("GET /v1/network/book", "/v1/network/book", "", [401, 403, 403, 403, 403, 200, 401]),
    ("GET /v1/network/transfers", "/v1/network/transfers", "", [401, 200, 200, 200, 200, 200, 401]),
    ("GET /v1/network/parameters", "/v1/network/parameters", "", [200; 7]),
    (
        "PATCH /v1/network/parameters",
        "/v1/network/parameters",
        r#"{"patch":{}}"#,
        [401, 403, 403, 403, 403, 200, 401],
    ),
    ("GET /v1/network/parameters/versions", "/v1/network/parameters/versions", "", [200; 7]),
    (
        "GET /v1/network/parameters/versions/{version}",
        "/v1/network/parameters/versions/1",
        "",
        [200; 7],
    ),
    // The rows before have told versions, which are in effect: there is none to withdraw.
    (
        "DELETE /v1/network/parameters/versions/{version}",
        "/v1/network/parameters/versions/1",
        "",
        [401, 403, 403, 403, 403, 422, 401],
    ),
    ("GET /v1/network/prices", "/v1/network/prices", "", [200; 7]),
    ("GET /v1/network/registry", "/v1/network/registry?name=H100", "", [200; 7]),
    // It is there already.
    (
        "POST /v1/io-token/genesis",
        "/v1/io-token/genesis",
        "{}",
        [401, 403, 403, 403, 403, 409, 401],
    ),
    ("GET /v1/io-token/supply", "/v1/io-token/supply", "", [200; 7]),
    ("GET /v1/io-token/supply/total", "/v1/io-token/supply/total", "", [200; 7]),
    ("GET /v1/io-token/supply/circulating", "/v1/io-token/supply/circulating", "", [200; 7]),
    (
        "GET /v1/io-token/supply/total/plaintext",
        "/v1/io-token/supply/total/plaintext",
        "",
        [200; 7],
    ),
    (
        "GET /v1/io-token/supply/circulating/plaintext",
        "/v1/io-token/supply/circulating/plaintext",
        "",
        [200; 7],
    ),
    ("GET /v1/io-token/rate", "/v1/io-token/rate", "", [200; 7]),
    // Before the conversions, which need a rate.
    (
        "POST /v1/io-token/rate/readings",
        "/v1/io-token/rate/readings",
        r#"{"readings":[{"source":"a","usd_per_coin":"0.25"}]}"#,
        [401, 403, 403, 403, 403, 200, 401],
    ),
    (
        "POST /v1/deposits",
        "/v1/deposits",
        r#"{"to":"{project}","money":"1 USDC"}"#,
        [401, 403, 403, 403, 403, 200, 401],
    ),
    (
        "POST /v1/withdrawals",
        "/v1/withdrawals",
        r#"{"account":"{renter}","money":"1 USD","to":"bank"}"#,
        [401, 403, 403, 403, 200, 200, 401],
    ),
    (
        "POST /v1/transfers",
        "/v1/transfers",
        r#"{"from":"{project}","to":"{renter}","money":"1 USD"}"#,
        [401, 403, 404, 404, 200, 200, 401],
    ),
    (
        "GET /v1/conversions/quote",
        "/v1/conversions/quote?give=1%20USD&take=IO",
        "",
        [401, 200, 200, 200, 200, 200, 401],
    ),
    (
        "POST /v1/conversions",
        "/v1/conversions",
        r#"{"purse":"{project}","give":"1 USD","take":"USDC"}"#,
        [401, 403, 404, 404, 200, 200, 401],
    ),
    ("GET /v1/network/key", "/v1/network/key", "", [200; 7]),
    ("GET /v1/io-blocks/blocks/summary", "/v1/io-blocks/blocks/summary", "", [200; 7]),
    ("GET /v1/io-blocks/blocks", "/v1/io-blocks/blocks", "", [200; 7]),
    // No block has closed here; `api/blocks.rs` shows those that have.
    ("GET /v1/io-blocks/blocks/{hour}", "/v1/io-blocks/blocks/{hour}", "", [404; 7]),
    (
        "GET /v1/io-blocks/blocks/{hour}/workers",
        "/v1/io-blocks/blocks/{hour}/workers",
        "",
        [404; 7],
    ),
    (
        "GET /v1/io-blocks/blocks/{hour}/workers/{worker}",
        "/v1/io-blocks/blocks/{hour}/workers/{worker}",
        "",
        [404; 7],
    ),
    (
        "GET /v1/io-blocks/blocks/{hour}/statement",
        "/v1/io-blocks/blocks/{hour}/statement",
        "",
        [404; 7],
    ),
    (
        "GET /v1/io-blocks/blocks/{hour}/proof/{worker}",
        "/v1/io-blocks/blocks/{hour}/proof/{worker}",
        "",
        [404; 7],
    ),
    (
        "GET /v1/io-blocks/devices/{id}/ready",
        "/v1/io-blocks/devices/{worker}/ready",
        "",
        [401, 404, 404, 200, 404, 200, 401],
    ),
    (
        "GET /v1/io-blocks/devices/{id}/block-rewards",
        "/v1/io-blocks/devices/{worker}/block-rewards",
        "",
        [200; 7],
    ),
    (
        "GET /v1/io-blocks/devices/{id}/block-rewards-summary",
        "/v1/io-blocks/devices/{worker}/block-rewards-summary?from=2025-03-05T00&to=2025-03-06T00",
        "",
        [200; 7],
    ),
    (
        "POST /v1/io-blocks/devices/{id}/proofs",
        "/v1/io-blocks/devices/{worker}/proofs",
        r#"{"proof":"cluster","passed":true}"#,
        [401, 403, 403, 403, 403, 204, 401],
    ),
    (
        "POST /v1/io-blocks/devices/{id}/exemptions",
        "/v1/io-blocks/devices/{worker}/exemptions",
        r#"{"rules":["uptime"],"reason":"a test"}"#,
        [401, 403, 403, 403, 403, 204, 401],
    ),
    (
        "POST /v1/io-blocks/devices/{id}/blocked",
        "/v1/io-blocks/devices/{worker}/blocked",
        r#"{"reason":null}"#,
        [401, 403, 403, 403, 403, 204, 401],
    ),
    (
        "GET /v1/io-blocks/users/me/rewards",
        "/v1/io-blocks/users/me/rewards",
        "",
        [401, 200, 200, 200, 200, 200, 401],
    ),
    // Nobody has earned anything.
    (
        "POST /v1/io-blocks/users/me/rewards/claim",
        "/v1/io-blocks/users/me/rewards/claim",
        "{}",
        [401, 422, 422, 422, 422, 422, 401],
    ),
    ("GET /healthz", "/healthz", "", [200, 200, 200, 200, 200, 200, 200]),
    ("GET /readyz", "/readyz", "", [200, 200, 200, 200, 200, 200, 200]),
    ("GET /metrics", "/metrics", "", [200, 200, 200, 200, 200, 200, 200]),
    // Whoever knows an invitation's token may join; here, nobody does.
    ("POST /v1/worker/join", "/v1/worker/join", "{join}", [404, 404, 404, 404, 404, 404, 404]),
    (
        "POST /v1/worker/challenge",
        "/v1/worker/challenge",
        r#"{"worker":"{worker}"}"#,
        [200, 200, 200, 200, 200, 200, 200],
    ),
    (
        "POST /v1/worker/session",
        "/v1/worker/session",
        r#"{"worker":"{worker}","challenge":"x","signature":"x"}"#,
        [401, 401, 401, 401, 401, 401, 401],
    ),
    (
        "POST /v1/worker/beat",
        "/v1/worker/beat",
        r#"{"number":1,"nodes":[],"jobs":[]}"#,
        [401, 401, 401, 401, 401, 401, 200],
    ),
    ("GET /v1/worker/wanted", "/v1/worker/wanted", "", [401, 401, 401, 401, 401, 401, 200]),
    (
        "GET /v1/worker/blobs/{sha256}",
        "/v1/worker/blobs/{package}",
        "",
        [401, 401, 401, 401, 401, 401, 200],
    ),
    (
        "PUT /v1/worker/jobs/{job}/log",
        "/v1/worker/jobs/{job}/log?offset=0",
        "x",
        [401, 401, 401, 401, 401, 401, 200],
    ),
    (
        "PUT /v1/worker/jobs/{job}/files/{path}",
        "/v1/worker/jobs/{job}/files/x",
        "x",
        [401, 401, 401, 401, 401, 401, 204],
    ),
    // The machine is in use.
    (
        "PUT /v1/worker/machine",
        "/v1/worker/machine",
        "{machine}",
        [401, 401, 401, 401, 401, 401, 409],
    ),
    // Last, for it ends what others look at.
    (
        "POST /v1/rentals/{id}/end",
        "/v1/rentals/{rental}/end",
        "",
        [401, 403, 404, 404, 200, 200, 401],
    ),
];

/// Every write. With an idempotency key it is done once; machines have other means, and their row says which.
const TOLD_TWICE: &[TwiceRow] = &[
    ("POST /v1/accounts", "/v1/accounts", r#"{"name":"new"}"#, Once::Key),
    ("POST /v1/projects", "/v1/projects", r#"{"name":"new"}"#, Once::Key),
    (
        "PUT /v1/projects/{id}/members/{account}",
        "/v1/projects/{project}/members/{stranger}",
        r#"{"role":"viewer"}"#,
        Once::Key,
    ),
    (
        "DELETE /v1/projects/{id}/members/{account}",
        "/v1/projects/{project}/members/{stranger}",
        "",
        Once::Key,
    ),
    (
        "POST /v1/projects/{id}/top-ups",
        "/v1/projects/{project}/top-ups",
        r#"{"amount":"1"}"#,
        Once::Key,
    ),
    ("POST /v1/keys", "/v1/keys", r#"{"label":"new","scopes":["read"]}"#, Once::Key),
    ("DELETE /v1/keys/{id}", "/v1/keys/{key}", "", Once::Key),
    ("POST /v1/quotes", "/v1/quotes", "{order}", Once::Key),
    (
        "POST /v1/orders",
        "",
        "",
        Once::Otherwise("by the key too, which is tried elsewhere: the clock looks at what waits"),
    ),
    ("DELETE /v1/orders/{id}", "/v1/orders/{waiting}", "", Once::Key),
    ("POST /v1/rentals", "/v1/rentals", r#"{"quote":"{quote}","name":"x"}"#, Once::Key),
    (
        "POST /v1/rentals/{id}/jobs",
        "/v1/rentals/{rental}/jobs",
        r#"{"entrypoint":"true"}"#,
        Once::Key,
    ),
    ("POST /v1/jobs/{id}/stop", "/v1/jobs/{job}/stop", "", Once::Key),
    ("POST /v1/invites", "/v1/invites", "{}", Once::Key),
    ("PUT /v1/workers/{id}/paused", "/v1/workers/{worker}/paused", r#"{"paused":true}"#, Once::Key),
    ("DELETE /v1/workers/{id}", "/v1/workers/{spare}", "", Once::Key),
    (
        "PATCH /v1/network/parameters",
        "/v1/network/parameters",
        r#"{"patch":{"fees":{"nonrefundable_minutes":1}}}"#,
        Once::Key,
    ),
    (
        "DELETE /v1/network/parameters/versions/{version}",
        "",
        "",
        Once::Otherwise("by the key too, which is tried where a version waits"),
    ),
    ("POST /v1/rentals/{id}/extend", "/v1/rentals/{rental}/extend", r#"{"hours":1}"#, Once::Key),
    ("POST /v1/io-token/genesis", "", "", Once::Otherwise("a coin has one beginning")),
    (
        "POST /v1/io-token/rate/readings",
        "/v1/io-token/rate/readings",
        r#"{"readings":[{"source":"a","usd_per_coin":"0.25"}]}"#,
        Once::Key,
    ),
    ("POST /v1/deposits", "/v1/deposits", r#"{"to":"treasury","money":"1 USDC"}"#, Once::Key),
    (
        "POST /v1/withdrawals",
        "/v1/withdrawals",
        r#"{"account":"{renter}","money":"1 USD","to":"bank"}"#,
        Once::Key,
    ),
    (
        "POST /v1/transfers",
        "/v1/transfers",
        r#"{"from":"treasury","to":"fees","money":"1 USDC"}"#,
        Once::Key,
    ),
    (
        "POST /v1/conversions",
        "/v1/conversions",
        r#"{"purse":"{project}","give":"1 USD","take":"USDC"}"#,
        Once::Key,
    ),
    ("POST /v1/rentals/{id}/end", "/v1/rentals/{rental}/end", "", Once::Key),
    (
        "POST /v1/io-blocks/devices/{id}/proofs",
        "/v1/io-blocks/devices/{worker}/proofs",
        r#"{"proof":"cluster","passed":true}"#,
        Once::Key,
    ),
    (
        "POST /v1/io-blocks/devices/{id}/exemptions",
        "/v1/io-blocks/devices/{worker}/exemptions",
        r#"{"rules":["uptime"],"reason":"a test"}"#,
        Once::Key,
    ),
    (
        "POST /v1/io-blocks/devices/{id}/blocked",
        "/v1/io-blocks/devices/{worker}/blocked",
        r#"{"reason":"a test"}"#,
        Once::Key,
    ),
    (
        "POST /v1/io-blocks/users/me/rewards/claim",
        "",
        "",
        Once::Otherwise("by the key too, which is tried where blocks have paid somebody"),
    ),
    ("POST /v1/quotes/alternatives", "", "", Once::Otherwise("it keeps nothing")),
    ("PUT /v1/blobs/{sha256}", "", "", Once::Otherwise("its name is its contents")),
    ("POST /v1/worker/join", "", "", Once::Otherwise("the worker's id follows from its key")),
    ("POST /v1/worker/challenge", "", "", Once::Otherwise("a second challenge does no harm")),
    ("POST /v1/worker/session", "", "", Once::Otherwise("a challenge is good once")),
    ("POST /v1/worker/beat", "", "", Once::Otherwise("beats are numbered")),
    ("PUT /v1/worker/jobs/{job}/log", "", "", Once::Otherwise("pieces have offsets")),
    ("PUT /v1/worker/jobs/{job}/files/{path}", "", "", Once::Otherwise("a file is replaced whole")),
    ("PUT /v1/worker/machine", "", "", Once::Otherwise("what is the same already is no command")),
];

pub(super) enum Once {
    /// By `Idempotency-Key`.
    Key,
    /// By something else.
    Otherwise(&'static str),
}

/// Every list, and its path for the operator or the renter, with at least three items of it.
const LISTS: &[(&str, &str)] = &[
    ("GET /v1/accounts/{id}/transfers", "/v1/accounts/{supplier}/transfers?"),
    ("GET /v1/projects", "/v1/projects?"),
    ("GET /v1/projects/{id}/transfers", "/v1/projects/{project}/transfers?"),
    ("GET /v1/keys", "/v1/keys?"),
    ("GET /v1/offers", "/v1/offers?"),
    ("GET /v1/orders", "/v1/orders?project={project}&"),
    ("GET /v1/rentals", "/v1/rentals?project={project}&"),
    ("GET /v1/rentals/{id}/jobs", "/v1/rentals/{rental}/jobs?"),
    ("GET /v1/invites", "/v1/invites?"),
    ("GET /v1/workers", "/v1/workers?"),
    ("GET /v1/network/parameters/versions", "/v1/network/parameters/versions?"),
    ("GET /v1/io-blocks/blocks", "/v1/io-blocks/blocks?"),
    ("GET /v1/io-blocks/blocks/{hour}/workers", "/v1/io-blocks/blocks/{hour}/workers?"),
    (
        "GET /v1/io-blocks/devices/{id}/block-rewards",
        "/v1/io-blocks/devices/{rewarded}/block-rewards?",
    ),
    ("GET /v1/network/transfers", "/v1/network/transfers?"),
];

/// Lists that are always whole, and why that is no danger.
const WHOLE: &[(&str, &str)] = &[("GET /v1/jobs/{id}/files", "a job has at most 1,000 files")];

fn who_may() -> impl Iterator<Item = &'static MayRow> {
    let rows = WHO_MAY.iter().chain(stakes::WHO_MAY).chain(stakes::WHO_MAY_DECIDE);
    let rows = rows.chain(onboarding::WHO_MAY).chain(attestation::WHO_MAY);
    let rows = rows.chain(locks::WHO_MAY);
    // Before the rental is ended.
    networks::WHO_MAY.iter().chain(proofs::WHO_MAY).chain(rows)
}

fn told_twice() -> impl Iterator<Item = &'static TwiceRow> {
    let rows = TOLD_TWICE.iter().chain(stakes::TOLD_TWICE).chain(stakes::DECIDED_TWICE);
    let rows = rows.chain(attestation::TOLD_TWICE).chain(locks::TOLD_TWICE);
    let rows = rows.chain(proofs::TOLD_TWICE).chain(onboarding::TOLD_TWICE);
    networks::TOLD_TWICE.iter().chain(rows)
}

fn paged() -> impl Iterator<Item = &'static (&'static str, &'static str)> {
    LISTS
        .iter()
        .chain(stakes::LISTS)
        .chain(proofs::LISTS)
        .chain(locks::LISTS)
        .chain(networks::LISTS)
}

#[test]
fn everyone_gets_what_they_may_and_nothing_else() {
    let stage = Stage::new();
    let town = &stage.town;
    let callers: [&dyn Caller; 7] = [
        &Anonymous,
        &town.viewer,
        &town.stranger,
        &town.supplier,
        &town.renter,
        &town.operator,
        &stage.machine,
    ];
    let mut wrong = Vec::new();
    for (endpoint, path, body, expected) in who_may() {
        let method = endpoint.split(' ').next().unwrap();
        for (caller, status) in callers.iter().zip(expected) {
            let ask = Ask::new(method, &stage.fill(path)).bytes(stage.fill(body).as_bytes());
            let answer = town.send(ask.by(*caller));
            if answer.status >= 400 {
                answer.problem();
            }
            if answer.status != *status {
                wrong.push(format!(
                    "{endpoint} by {}: {} instead of {status}: {}",
                    caller.name(),
                    answer.status,
                    answer.text()
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let rows = who_may().map(|(endpoint, ..)| (*endpoint).to_owned()).collect();
    assert_covers("WHO_MAY", &all_endpoints(|_, _| true), &rows);
}

#[test]
fn a_write_told_twice_is_done_once() {
    let stage = Stage::new();
    let town = &stage.town;
    for (endpoint, path, body, once) in told_twice() {
        if let Once::Otherwise(why) = once {
            assert!(!why.is_empty());
            continue;
        }
        let method = endpoint.split(' ').next().unwrap();
        let key = format!("twice {endpoint}");
        let ask = Ask::new(method, &stage.fill(path)).bytes(stage.fill(body).as_bytes());
        let ask = ask.by(&town.operator).once(&key);
        let first = town.send(ask.clone());
        assert!(first.status < 300, "{endpoint}: {}", first.text());
        let done = town.journal_seq();
        let second = town.send(ask);
        assert_eq!(second.status, first.status, "{endpoint}: {}", second.text());
        assert_eq!(second.text(), first.text(), "{endpoint}");
        assert_eq!(town.journal_seq(), done, "{endpoint} was done twice");
        let other = Ask::post("/v1/projects").json(&json!({ "name": "something-else" }));
        town.send(other.by(&town.operator).once(&key)).expect_problem(422, "id-reused");
        // To somebody else it is their own key.
        let other = Ask::post("/v1/projects").json(&json!({ "name": "something-else" }));
        town.send(other.by(&town.stranger).once(&key)).expect(201);
    }
    let writes = all_endpoints(|method, _| method != "get");
    let rows = told_twice().map(|(endpoint, ..)| (*endpoint).to_owned()).collect();
    assert_covers("TOLD_TWICE", &writes, &rows);
}

#[test]
fn two_operators_never_share_an_idempotency_key() {
    let town = Town::new();
    let second = town.operator.open_account(&town.client, "second");
    let body = json!({ "label": "root", "scopes": ["operator"], "account": second.account });
    let issued = town.post(&town.operator, "/v1/keys", &body).expect(201).json();
    let second = crate::town::Operator { token: issued["secret"].as_str().unwrap().to_owned() };
    let ask = Ask::post("/v1/keys").json(&json!({ "label": "mine", "scopes": ["read"] }));
    let ask = ask.once("1");
    let first = town.send(ask.clone().by(&town.operator)).expect(201).json();
    let other = town.send(ask.by(&second)).expect(201).json();
    assert_ne!(
        first["secret"], other["secret"],
        "the same words of another person are another key"
    );
}

#[test]
fn a_list_read_page_by_page_is_the_whole_list() {
    let (town, past) = Past::town();
    let mut stage = Stage::in_town(town);
    stage.names.retain(|(name, _)| *name != "hour");
    stage.names.push(("hour", past.first_hour.to_string()));
    stage.names.push(("rewarded", past.machines[0].to_string()));
    let town = &stage.town;
    for (endpoint, path) in paged() {
        let path = stage.fill(path);
        let whole = town.get(&town.operator, &format!("{path}limit=200")).expect(200).json();
        let whole = whole["items"].as_array().unwrap().clone();
        assert!(whole.len() >= 3, "{endpoint}: the stage has only {} of them", whole.len());
        for limit in [1, 2] {
            let mut walked = Vec::new();
            let mut cursor = String::new();
            loop {
                let path = format!("{path}limit={limit}{cursor}");
                let page = town.get(&town.operator, &path).expect(200).json();
                let items = page["items"].as_array().unwrap();
                assert!(items.len() <= limit, "{endpoint}");
                walked.extend(items.iter().cloned());
                let Some(next) = page["next"].as_str() else { break };
                cursor = format!("&cursor={next}");
                assert!(walked.len() <= whole.len(), "{endpoint} goes round in circles");
            }
            assert_eq!(walked, whole, "{endpoint} by pages of {limit}");
        }
        town.get(&town.operator, &format!("{path}limit=many")).expect_problem(422, "invalid");
        town.get(&town.operator, &format!("{path}pages=2")).expect_problem(422, "invalid");
    }
    let lists = all_endpoints(|_, operation| {
        let answer = &operation["responses"]["200"]["content"]["application/json"]["schema"];
        answer["$ref"]
            .as_str()
            .is_some_and(|name| name.contains("/Page") || name.ends_with("/Offers"))
    });
    let rows = paged().chain(WHOLE).chain(stakes::WHOLE);
    let rows = rows.map(|(endpoint, _)| (*endpoint).to_owned()).collect();
    assert_covers("LISTS", &lists, &rows);
}

/// What tells a renter whom it has paid: the parties to a rental know each other.
const OF_ONES_OWN_RENTALS: &[&str] = &[
    "GET /v1/projects/{id}/transfers",
    "GET /v1/quotes/{id}",
    "GET /v1/rentals",
    "GET /v1/rentals/{id}",
    "GET /v1/rentals/{id}/receipt",
];

#[test]
fn no_page_leads_from_a_machine_to_its_owner() {
    let (town, past) = Past::town();
    let mut stage = Stage::in_town(town);
    stage.names.retain(|(name, _)| *name != "hour");
    stage.names.push(("hour", past.first_hour.to_string()));
    stage.names.push(("rewarded", past.machines[0].to_string()));
    let town = &stage.town;
    let owner = &town.supplier.person.account;
    let strangers: [(&dyn Caller, &str); 3] = [
        (&Anonymous, "nobody"),
        (&town.stranger, &town.stranger.person.account),
        (&town.renter, &town.renter.person.account),
    ];
    let mut machines_seen = 0;
    let singles = who_may().map(|(endpoint, path, ..)| (endpoint, path));
    let lists = paged().map(|(endpoint, path)| (endpoint, path));
    for (endpoint, path) in singles.chain(lists) {
        if !endpoint.starts_with("GET ") || endpoint.contains("/v1/events") {
            continue;
        }
        for (caller, own) in strangers {
            let answer = town.get(caller, &stage.fill(path));
            let text = answer.text().replace(own, "");
            if answer.status != 200 || OF_ONES_OWN_RENTALS.contains(endpoint) {
                continue;
            }
            let is_self = path.contains("{supplier}");
            assert!(is_self || !text.contains(owner.as_str()), "{endpoint}: {text}");
            assert!(!text.contains(r#""sam""#), "{endpoint} names the owner: {text}");
            let joins = text.contains("wkr_") && text.contains("acc_");
            assert!(!joins, "{endpoint} has machines beside accounts: {text}");
            machines_seen += usize::from(text.contains("wkr_"));
        }
    }
    assert!(machines_seen > 20, "offers, blocks and stakes show machines: {machines_seen}");
}

#[test]
fn nobody_finds_machines_by_naming_their_owner() {
    let stage = Stage::new();
    let town = &stage.town;
    let owner = &town.supplier.person.account;
    let asked = format!("/v1/offers?supplier={owner}");
    for caller in [&town.renter as &dyn Caller, &town.stranger] {
        town.get(caller, &asked).expect_problem(422, "invalid");
    }
    for caller in [&town.supplier as &dyn Caller, &town.operator] {
        let found = town.get(caller, &asked).expect(200).json();
        assert!(!found["items"].as_array().unwrap().is_empty());
    }
    let mut order = town.order(1);
    order["order"]["suppliers"] = json!([owner]);
    town.post(&town.renter, "/v1/quotes", &order).expect(201);
    order["order"]["suppliers"] = json!([owner, town.viewer.person.account]);
    town.post(&town.renter, "/v1/quotes", &order).expect_problem(422, "invalid");
    order["order"]["suppliers"] = json!([owner]);
    order["project"] = json!(town.stranger.project);
    town.post(&town.stranger, "/v1/quotes", &order).expect_problem(422, "invalid");
}

/// The endpoints of the document for which this holds, as `GET /v1/me`.
fn all_endpoints(which: impl Fn(&str, &Value) -> bool) -> BTreeSet<String> {
    let document: Value = serde_json::from_str(&server::openapi()).unwrap();
    let paths = document["paths"].as_object().unwrap();
    let mut found = BTreeSet::new();
    for (path, methods) in paths {
        for (method, operation) in methods.as_object().unwrap() {
            if which(method, operation) {
                found.insert(format!("{} {path}", method.to_uppercase()));
            }
        }
    }
    found
}

#[track_caller]
fn assert_covers(table: &str, endpoints: &BTreeSet<String>, rows: &BTreeSet<String>) {
    let missing: Vec<_> = endpoints.difference(rows).collect();
    assert!(missing.is_empty(), "endpoints without a row in {table}: {missing:?}");
    let dead: Vec<_> = rows.difference(endpoints).collect();
    assert!(dead.is_empty(), "rows of {table} for no endpoint: {dead:?}");
}

/// A town with one of everything, and at least three of what is listed.
struct Stage {
    town: Town,
    machine: Machine,
    names: Vec<(&'static str, String)>,
}

impl Stage {
    fn new() -> Self {
        Self::in_town(Town::new())
    }

    fn in_town(town: Town) -> Self {
        (0..3).for_each(|_| town.top_up("100"));
        town.deposit(&town.renter.project, "10 USD");
        let mut machine = town.machine(1, &networks::a_mesh_machine(4));
        let [ended, ..] = [0; 3].map(|_| {
            let ended = town.running_rental(&mut machine);
            town.send(Ask::post(&format!("/v1/rentals/{ended}/end")).by(&town.renter)).expect(200);
            machine.act(&town.client);
            ended
        });
        let rental = town.running_rental(&mut machine);
        let package = put_package(&town, b"a package");
        let jobs = format!("/v1/rentals/{rental}/jobs");
        let body = json!({ "entrypoint": "true", "package": package });
        let job = town.post(&town.renter, &jobs, &body).expect(201).json();
        let job = job["id"].as_str().unwrap().to_owned();
        (0..2).for_each(|_| drop(town.post(&town.renter, &jobs, &body).expect(201)));
        let file = format!("/v1/worker/jobs/{job}/files/out/result.txt");
        town.send(Ask::put(&file).bytes(b"42").by(&machine)).expect(204);
        machine.act(&town.client);
        let spare = town.machine(2, &a_machine(2)).worker;
        // No rental takes it.
        let pause = format!("/v1/workers/{spare}/paused");
        town.send(Ask::put(&pause).json(&json!({ "paused": true })).by(&town.supplier)).expect(200);
        town.machine(3, &a_machine(2));
        town.machine(4, &a_machine(2));
        let body = json!({ "label": "old", "scopes": ["read"] });
        let key = town.post(&town.renter, "/v1/keys", &body).expect(201).json();
        town.renter.person.project(&town.client, "third");
        town.patch(&json!({ "oracle": { "sources_min": 1 } }));
        town.deposit(&town.renter.person.account, "10 USD");
        town.deposit("exchange", "100 USDC");
        (1..=2).for_each(|minutes| {
            town.patch(&json!({ "fees": { "nonrefundable_minutes": minutes * 30 } }))
        });
        for _ in 0..3 {
            town.post(&town.operator, "/v1/invites", &json!({})).expect(201);
            town.post(&town.operator, "/v1/keys", &body).expect(201);
        }
        // The clock looks at what waits, whenever it likes: these wait no longer.
        let [waiting, ..] = [0; 3].map(|_| {
            let waiting = town.wait(1_000);
            let leave = Ask::delete(&format!("/v1/orders/{waiting}"));
            town.send(leave.by(&town.renter)).expect(200);
            waiting
        });
        let mut names = stakes::prepare(&town, &package);
        names.extend(proofs::prepare(&town));
        names.extend(locks::prepare(&town, &machine, &rental));
        let me = town.get(&town.operator, "/v1/me").expect(200).json();
        let operator = me["account"]["id"].as_str().unwrap_or_default();
        names.extend(networks::prepare(&town, &machine, &rental, operator));
        names.extend([
            ("hour", "2025-03-05T10:00:00".to_owned()),
            ("renter", town.renter.person.account.clone()),
            ("viewer", town.viewer.person.account.clone()),
            ("stranger", town.stranger.person.account.clone()),
            ("supplier", town.supplier.person.account.clone()),
            ("project", town.renter.project.clone()),
            ("quote", town.quote(1)),
            ("order", town.order(1).to_string()),
            ("wait", town.order_that_waits(1_000).to_string()),
            ("waiting", waiting),
            ("rental", rental),
            ("ended", ended),
            ("job", job),
            ("package", package),
            ("worker", machine.worker.clone()),
            ("spare", spare),
            ("key", key["key"]["id"].as_str().unwrap().to_owned()),
            ("machine", a_machine(8).to_string()),
            ("join", crate::town::join_request("inv_nobody", 9, &a_machine(2)).to_string()),
        ]);
        Self { town, machine, names }
    }

    fn fill(&self, text: &str) -> String {
        let fill = |text: String, (name, value): &(&str, String)| {
            text.replace(&format!("{{{name}}}"), value)
        };
        self.names.iter().fold(text.to_owned(), fill)
    }
}

/// Puts a package: its name.
pub(super) fn put_package(town: &Town, bytes: &[u8]) -> String {
    use sha2::Digest;
    let name = crate::town::hex(&sha2::Sha256::digest(bytes));
    town.send(Ask::put(&format!("/v1/blobs/{name}")).bytes(bytes).by(&town.renter)).expect(204);
    name
}

#[test]
fn a_key_for_reading_reads_and_no_more() {
    let town = Town::new();
    let body = json!({ "label": "dashboard", "scopes": ["read"] });
    let issued = town.post(&town.renter, "/v1/keys", &body).expect(201).json();
    let reader = crate::town::Person {
        account: town.renter.person.account.clone(),
        token: issued["secret"].as_str().unwrap().to_owned(),
    };
    town.get(&reader, "/v1/me").expect(200);
    let mut story = Story::new(&town);
    for (endpoint, path, body, once) in told_twice() {
        let Once::Key = once else { continue };
        let body = match *body {
            "{order}" => town.order(1).to_string(),
            body => body.to_owned(),
        };
        let path = path.replace("{project}", &town.renter.project);
        let body = body.replace("{project}", &town.renter.project);
        let body = body.replace("{renter}", &town.renter.person.account);
        if path.contains('{') || body.contains("\"{") || body.contains("{plan}") {
            continue;
        }
        let method = endpoint.split(' ').next().unwrap();
        let ask = Ask::new(method, &path).bytes(body.as_bytes()).by(&reader);
        story.record(endpoint, ask).expect_problem(403, "forbidden");
    }
    let key = issued["key"]["id"].as_str().unwrap();
    town.send(Ask::delete(&format!("/v1/keys/{key}")).by(&town.renter)).expect(200);
    town.get(&reader, "/v1/me").expect_problem(401, "unauthenticated");
}
