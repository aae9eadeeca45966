//! How many beats a second one server takes, and what a machine costs it in memory.
//!
//! `cargo bench -p load --bench beats [-- machines [seconds]]`

#![expect(clippy::print_stdout, reason = "a benchmark prints its table")]

use std::time::Duration;

use anyhow::Context;
use load::{Connection, Server, join, serve_if_asked, side_by_side};
use wire::{Beat, Session};

/// Connections at once; machines share them.
const CONNECTIONS: usize = 64;

#[expect(clippy::cast_precision_loss, reason = "counts of beats are far below 2^52")]
fn main() -> anyhow::Result<()> {
    if serve_if_asked()? {
        return Ok(());
    }
    let words: Vec<usize> = std::env::args().skip(1).filter_map(|word| word.parse().ok()).collect();
    let machines = words.first().copied().unwrap_or(10_000);
    let seconds = words.get(1).copied().unwrap_or(10);
    let server = Server::start()?;
    let empty = server.memory_bytes()?;
    let sessions = joined(&server, machines)?;
    let full = server.memory_bytes()?;
    let per_machine = full.saturating_sub(empty) as f64 / machines as f64;

    let cpu = server.cpu_seconds()?;
    let span = Duration::from_secs(u64::try_from(seconds)?);
    let measured = side_by_side(CONNECTIONS, span, |number, go_on, gauge| {
        let mut connection = Connection::open(server.address)?;
        let mine: Vec<&Session> = sessions.iter().skip(number).step_by(CONNECTIONS).collect();
        for round in 1.. {
            for session in &mine {
                if !go_on() {
                    return Ok(());
                }
                let beat = Beat {
                    number: session.beats_from + round,
                    revision: Some(1),
                    nodes: vec![],
                    jobs: vec![],
                };
                let body = serde_json::to_vec(&beat)?;
                let request = Connection::request("POST", "/v1/worker/beat", &session.token, &body);
                let answer = gauge.time(|| connection.send(&request))?;
                anyhow::ensure!(answer.status == 200, "{}", String::from_utf8_lossy(&answer.body));
            }
        }
        Ok(())
    })?;
    let micros = (server.cpu_seconds()? - cpu) * 1e6 / measured.count as f64;
    println!(
        "| machines | connections | beats/s | p50 ms | p99 ms | server CPU µs/beat | memory/machine |"
    );
    println!("|---|---|---|---|---|---|---|");
    println!(
        "| {machines} | {CONNECTIONS} | {:.0} | {:.2} | {:.2} | {micros:.1} | {:.1} KiB |",
        measured.per_second,
        measured.p50_millis,
        measured.p99_millis,
        per_machine / 1024.0
    );
    Ok(())
}

/// All machines join, side by side, so that their commands share commits, and each speaks once.
fn joined(server: &Server, machines: usize) -> anyhow::Result<Vec<Session>> {
    let threads = CONNECTIONS.min(machines);
    std::thread::scope(|scope| {
        let join_some = |number: usize| -> anyhow::Result<Vec<Session>> {
            let mut connection = Connection::open(server.address)?;
            let mut sessions = Vec::new();
            for index in (number..machines).step_by(threads) {
                let (_, session) = join(&mut connection, &server.operator, index)?;
                let beat = Beat {
                    number: session.beats_from + 1,
                    revision: Some(1),
                    nodes: vec![],
                    jobs: vec![],
                };
                let _: serde_json::Value =
                    connection.ask(("POST", "/v1/worker/beat"), &session.token, &beat)?;
                sessions.push(session);
            }
            Ok(sessions)
        };
        let running: Vec<_> =
            (0..threads).map(|number| scope.spawn(move || join_some(number))).collect();
        let mut all = Vec::new();
        for thread in running {
            all.extend(thread.join().ok().context("a caller died")??);
        }
        Ok(all)
    })
}
