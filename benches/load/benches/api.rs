//! Reads and durable commands per second over HTTP, at 64 connections.
//!
//! `cargo bench -p load --bench api [-- seconds]`

#![expect(clippy::print_stdout, reason = "a benchmark prints its table")]

use std::time::Duration;

use load::{Connection, Measured, Server, join, serve_if_asked, side_by_side};
use serde_json::json;
use wire::{Beat, MeView, Order, ProjectRequest, ProjectView, QuoteRequest, RentalView};

/// Connections at once.
const CONNECTIONS: usize = 64;
/// Machines on offer.
const MACHINES: usize = 200;

fn main() -> anyhow::Result<()> {
    if serve_if_asked()? {
        return Ok(());
    }
    let seconds = std::env::args().skip(1).find_map(|word| word.parse().ok()).unwrap_or(5);
    let span = Duration::from_secs(seconds);
    let server = Server::start()?;
    let mut connection = Connection::open(server.address)?;
    for number in 0..MACHINES {
        let (_, session) = join(&mut connection, &server.operator, number)?;
        let beat =
            Beat { number: session.beats_from + 1, revision: Some(1), nodes: vec![], jobs: vec![] };
        let _: serde_json::Value =
            connection.ask(("POST", "/v1/worker/beat"), &session.token, &beat)?;
    }
    let me: MeView =
        connection.send(&Connection::request("GET", "/v1/me", &server.operator, b""))?.json()?;
    let project = ProjectRequest { name: "bench".parse()?, owner: Some(me.account.id) };
    let project: ProjectView =
        connection.ask(("POST", "/v1/projects"), &server.operator, &project)?;
    let quote = QuoteRequest { project: project.id, order: order()?, hours: 1, pay: None };
    let quoted: RentalView = connection.ask(("POST", "/v1/quotes"), &server.operator, &quote)?;

    println!("| request | connections | per second | p50 ms | p99 ms | server CPU µs each |");
    println!("|---|---|---|---|---|---|");
    let reads = [
        ("GET /v1/network", "/v1/network".to_owned()),
        ("GET /v1/offers, a page of 20", "/v1/offers?limit=20".to_owned()),
        ("GET /v1/quotes/{id}", format!("/v1/quotes/{}", quoted.quote)),
        ("GET /healthz", "/healthz".to_owned()),
    ];
    for (name, path) in reads {
        let request = Connection::request("GET", &path, &server.operator, b"");
        row(&server, name, span, |_, _| request.clone())?;
    }
    let path = format!("/v1/projects/{}/top-ups", project.id);
    row(&server, "POST …/top-ups, durable", span, |number, round| {
        let body = json!({ "amount": "0.000001", "note": format!("{number}.{round}") }).to_string();
        Connection::request("POST", &path, &server.operator, body.as_bytes())
    })
}

fn order() -> anyhow::Result<Order> {
    Ok(serde_json::from_value(json!({
        "nodes": 3, "each": { "gpus": 0, "vcpus": 2, "memory_mib": 1024, "disk_mib": 0 },
    }))?)
}

fn row(
    server: &Server,
    name: &str,
    span: Duration,
    request: impl Fn(usize, usize) -> Vec<u8> + Sync,
) -> anyhow::Result<()> {
    let cpu = server.cpu_seconds()?;
    let measured = side_by_side(CONNECTIONS, span, |number, go_on, gauge| {
        let mut connection = Connection::open(server.address)?;
        let mut round = 0;
        while go_on() {
            let request = request(number, round);
            let answer = gauge.time(|| connection.send(&request))?;
            anyhow::ensure!(answer.status == 200, "{}", String::from_utf8_lossy(&answer.body));
            round += 1;
        }
        Ok(())
    })?;
    show(name, &measured, server.cpu_seconds()? - cpu);
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "counts of requests are far below 2^52")]
fn show(name: &str, measured: &Measured, cpu_seconds: f64) {
    let micros = cpu_seconds * 1e6 / measured.count as f64;
    println!(
        "| {name} | {CONNECTIONS} | {:.0} | {:.2} | {:.2} | {micros:.0} |",
        measured.per_second, measured.p50_millis, measured.p99_millis
    );
}
