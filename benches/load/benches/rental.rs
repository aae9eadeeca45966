//! How long a renter waits for a Ray cluster of three nodes, and for the first result of a task on it.
//!
//! `cargo bench -p load --bench rental [-- rentals]`; the first rental finds Ray installed, no rental builds it.

#![expect(clippy::print_stdout, reason = "a benchmark prints its table")]

use std::time::{Duration, Instant};

use agent::runtime::environment::{Environment, Found};
use anyhow::{Context, ensure};
use load::{Connection, Server, Worker, serve_if_asked};
use serde_json::{Value, json};
use wire::{InviteIssued, InviteRequest, JobView, MeView, ProjectRequest, ProjectView, RentalView};

/// Nodes of the cluster, each on an agent of its own.
const NODES: u8 = 3;
/// How often something that is awaited is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// How long anything is awaited: Ray is installed within it, the first time.
const PATIENCE: Duration = Duration::from_secs(600);

/// Prints when the first task has given its result.
const ENTRYPOINT: &str = "python -c \"import ray; ray.init(); \
                          print(ray.get(ray.remote(lambda: 'first result').remote()), flush=True)\"";

fn main() -> anyhow::Result<()> {
    if serve_if_asked()? {
        return Ok(());
    }
    let rentals: usize = std::env::args().skip(1).find_map(|word| word.parse().ok()).unwrap_or(5);
    let server = Server::start()?;
    let mut bench =
        Bench { connection: Connection::open(server.address)?, key: server.operator.clone() };
    let mut workers = Vec::new();
    for part in 1..=NODES {
        let issued: InviteIssued = bench.post("/v1/invites", &InviteRequest::default())?;
        workers.push(Worker::start(&server, &issued.token, part)?);
    }
    let begun = Instant::now();
    let environment = Environment::under(&server.data().join("runtimes"));
    until("Ray is installed", || Ok((environment.found() == Found::Whole).then_some(())))?;
    println!("Ray installed in {:.1} s", begun.elapsed().as_secs_f64());
    until("three offers", || {
        let page: Value = bench.get("/v1/offers")?;
        Ok((page["items"].as_array().map_or(0, Vec::len) == usize::from(NODES)).then_some(()))
    })?;
    let project = bench.project()?;
    println!(
        "| rental | rented to cluster ready, s | job submitted to first result, s | ended to cleared, s |"
    );
    println!("|---|---|---|---|");
    for number in 1..=rentals {
        bench.rental(&project, number)?;
    }
    Ok(())
}

fn until<T>(what: &str, mut look: impl FnMut() -> anyhow::Result<Option<T>>) -> anyhow::Result<T> {
    let begun = Instant::now();
    loop {
        if let Some(found) = look()? {
            return Ok(found);
        }
        ensure!(begun.elapsed() < PATIENCE, "waited too long for: {what}");
        std::thread::sleep(LOOK_EVERY);
    }
}

struct Bench {
    connection: Connection,
    key: String,
}

impl Bench {
    fn post<T: serde::de::DeserializeOwned>(
        &mut self,
        path: &str,
        body: &impl serde::Serialize,
    ) -> anyhow::Result<T> {
        self.connection.ask(("POST", path), &self.key, body)
    }

    fn get<T: serde::de::DeserializeOwned>(&mut self, path: &str) -> anyhow::Result<T> {
        self.connection.send(&Connection::request("GET", path, &self.key, b""))?.json()
    }

    fn project(&mut self) -> anyhow::Result<ProjectView> {
        let me: MeView = self.get("/v1/me")?;
        let project = ProjectRequest { name: "bench".parse()?, owner: Some(me.account.id) };
        let project: ProjectView = self.post("/v1/projects", &project)?;
        let path = format!("/v1/projects/{}/top-ups", project.id);
        self.post(&path, &json!({ "amount": "100", "note": "bench" }))
    }

    fn rental(&mut self, project: &ProjectView, number: usize) -> anyhow::Result<()> {
        let order = json!({ "nodes": NODES, "each": { "gpus": 0, "vcpus": 1, "memory_mib": 2048, "disk_mib": 0 } });
        let quote = json!({ "project": project.id, "order": order, "hours": 1 });
        let quoted: RentalView = self.post("/v1/quotes", &quote)?;
        let begun = Instant::now();
        let rent = json!({ "quote": quoted.quote, "name": format!("bench-{number}") });
        let rented: RentalView = self.post("/v1/rentals", &rent)?;
        self.await_state(&rented, "running")?;
        let ready = begun.elapsed();

        let begun = Instant::now();
        let job: JobView = self.post(
            &format!("/v1/rentals/{}/jobs", rented.id),
            &json!({ "entrypoint": ENTRYPOINT }),
        )?;
        let log = Connection::request("GET", &format!("/v1/jobs/{}/log", job.id), &self.key, b"");
        until("the first result", || {
            let mut connection = self.connection.another()?;
            let printed = connection.send_to_end(&log)?;
            Ok(printed.windows(12).any(|words| words == b"first result").then_some(()))
        })?;
        let first = begun.elapsed();
        until("the job's end", || {
            let seen: JobView = self.get(&format!("/v1/jobs/{}", job.id))?;
            Ok((seen.state == "succeeded").then_some(()))
        })?;

        let begun = Instant::now();
        let _: RentalView = self.post(&format!("/v1/rentals/{}/end", rented.id), &Value::Null)?;
        self.await_state(&rented, "ended")?;
        let cleared = begun.elapsed();
        println!(
            "| {number} | {:.1} | {:.1} | {:.1} |",
            ready.as_secs_f64(),
            first.as_secs_f64(),
            cleared.as_secs_f64()
        );
        Ok(())
    }

    fn await_state(&mut self, rental: &RentalView, state: &'static str) -> anyhow::Result<()> {
        let path = format!("/v1/rentals/{}", rental.id);
        until(state, || {
            let view: RentalView = self.get(&path)?;
            let failed = view.ending.as_deref() == Some("failed");
            ensure!(!failed, "the rental failed: {}", view.reason.context("no reason given")?);
            Ok((view.state == state).then_some(()))
        })
    }
}
