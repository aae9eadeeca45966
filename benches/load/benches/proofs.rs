//! What proofs cost the verifier: sessions over HTTP against a real server, and its CPU time and memory for each.
//!
//! `cargo bench -p load --bench proofs [-- machines [sessions]]`; with 0 machines, whole sessions of the classes alone.
//!
//! Products of 8,192 rows take a prover seconds and a verifier milliseconds, so four things are played. Small products
//! that are right: what HTTP, signatures, and the journal cost. Large ones that are right, a few: what judging costs.
//! Large ones that are wrong, many: everything is hashed, signed, and opened right, and only the numbers are zeros, so
//! that the server makes and sums a whole matrix before it sees that. And a few whole sessions of each published class
//! of cards, right, one at a time: its products as they are, on this processor, which takes minutes; and of its memory
//! what a verifier sees, as many legs and steps of as much mixing, but one block and few walkers. A verifier makes
//! blocks anew whatever their number, so that it costs the same.

#![expect(clippy::print_stdout, reason = "a benchmark prints its table")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use data_encoding::HEXLOWER;
use ed25519_dalek::{SigningKey, VerifyingKey};
use load::{Connection, Server, join_as, serve_if_asked};
use proofs::matmul::Seeds;
use proofs::message::{Body, Chain, Message, SMALL_BYTES_MAX};
use proofs::schedule::{Class, ProofRules};
use proofs::session::{Channel, Prover};
use proofs::{Device, DeviceFault, Matmul, Memory, Outcome, Puzzle, Task, matmul};
use prover::cpu::Processor;
use serde_json::json;
use wire::{Beat, BinaryView, Session};

/// Connections at once; machines share them.
const CONNECTIONS: usize = 32;
/// SHA-256 of `cpu`.
const CARD: &str = "68ab84f7c6d0f5781585eb1b5289499fb29081b918f71ebddb5f72021c9ef9c5";
/// Sessions with right products of the large size: each takes the machine some seconds.
const LARGE_RIGHT: usize = 12;
/// Rows opened in each checked round of 8,192 rows.
const ROWS: u16 = 32;

/// Roots that an agent tells together.
const ROOTS_TOGETHER: usize = 16;
/// Sessions of each published class.
const OF_A_CLASS: usize = 3;
/// 2^5 walkers: a few, so that a processor walks for them within seconds.
const LOG_WALKERS: u8 = 5;
/// How long what a verdict sets off goes on after it: the journal, the log.
const SETTLES: Duration = Duration::from_millis(300);

/// A machine that has joined, and speaks.
struct Machine {
    key: SigningKey,
    session: Session,
}

/// The products that are asked for.
fn asked(log_n: u8, rounds: u16, checked: u8, rows: u16) -> serde_json::Value {
    let limit_ms = 1_700_000;
    json!({
        "log_n": log_n, "rounds": rounds, "checked": checked, "rows": rows, "limit_ms": limit_ms, "answer_ms": limit_ms,
    })
}

/// What a published class asks, with wide limits, one block, and few walkers.
fn as_published(class: &Class) -> anyhow::Result<serde_json::Value> {
    let limit_ms = 1_700_000;
    let (puzzle, matmul) = class.puzzle.zip(class.matmul).context("cards solve and multiply")?;
    let memory = class.memory.context("cards have memory")?;
    Ok(json!({
        "puzzle": { "bits": 12, "count": puzzle.count, "limit_ms": limit_ms },
        "matmul": asked(matmul.log_n, matmul.rounds, matmul.checked, matmul.rows),
        "memory": {
            "share_bp": memory.share_bp, "mix": memory.mix, "log_walkers": LOG_WALKERS, "legs": memory.legs,
            "steps": memory.steps, "opened": memory.opened,
            "fill_ms_per_gib": limit_ms, "walk_ms": limit_ms, "answer_ms": limit_ms,
        },
        "proof_ms": 1_000,
    }))
}

/// A class that multiplies, and does nothing else.
fn products(task: &serde_json::Value) -> serde_json::Value {
    json!({ "puzzle": null, "matmul": task, "proof_ms": 1_000 })
}

fn set_rules(server: &Server, class: &serde_json::Value) -> anyhow::Result<()> {
    let patch = json!({ "patch": {
        "checklist": { "proof_of_work_required": true },
        "proofs": { "session_secs": 1800, "pings": 1, "company": { "machines": 0 }, "classes": {
            "cpu": class,
        } },
    } });
    let mut connection = Connection::open(server.address)?;
    let path = ("PATCH", "/v1/network/parameters");
    let _: serde_json::Value = connection.ask(path, &server.operator, &patch)?;
    Ok(())
}

fn machines(server: &Server, count: usize) -> anyhow::Result<Vec<Machine>> {
    let threads = CONNECTIONS.min(count.max(1));
    std::thread::scope(|scope| {
        let some = |number: usize| -> anyhow::Result<Vec<Machine>> {
            let mut connection = Connection::open(server.address)?;
            let mut joined = Vec::new();
            for index in (number..count).step_by(threads) {
                let mut secret = [0; 32];
                getrandom::fill(&mut secret).context("roll dice")?;
                let key = SigningKey::from_bytes(&secret);
                let (_, session) = join_as(&key, &mut connection, &server.operator, index)?;
                beat(&mut connection, &session, 1)?;
                joined.push(Machine { key, session });
            }
            Ok(joined)
        };
        let handles: Vec<_> =
            (0..threads).map(|number| scope.spawn(move || some(number))).collect();
        let all: anyhow::Result<Vec<Vec<Machine>>> =
            handles.into_iter().map(|it| it.join().expect("it does not panic")).collect();
        Ok(all?.into_iter().flatten().collect())
    })
}

fn beat(connection: &mut Connection, session: &Session, number: u64) -> anyhow::Result<()> {
    let number = session.beats_from + number;
    let beat = Beat { number, revision: Some(1), nodes: vec![], jobs: vec![] };
    let body = serde_json::to_vec(&beat)?;
    let request = Connection::request("POST", "/v1/worker/beat", &session.token, &body);
    let answer = connection.send(&request)?;
    ensure!(answer.status == 200, "{}", String::from_utf8_lossy(&answer.body));
    Ok(())
}

fn verifier(server: &Server) -> anyhow::Result<VerifyingKey> {
    let mut connection = Connection::open(server.address)?;
    let path = "/v1/io-worker/challenge/binary";
    let view: BinaryView = connection.send(&Connection::request("GET", path, "", b""))?.json()?;
    let bytes = HEXLOWER.decode(view.verifier.as_bytes()).ok();
    let key = bytes.and_then(|bytes| VerifyingKey::from_bytes(&bytes.try_into().ok()?).ok());
    key.context("the verifier's key is none")
}

/// The first message of a machine's session.
fn challenge(connection: &mut Connection, machine: &Machine) -> anyhow::Result<Vec<u8>> {
    // Whoever has been silent for some time is not called.
    beat(connection, &machine.session, 2)?;
    let path = format!("/v1/io-worker/challenge?card={CARD}&wait_secs=20");
    let request = Connection::request("GET", &path, &machine.session.token, b"");
    let answer = connection.send(&request)?;
    ensure!(answer.status == 200, "{}: {}", answer.status, String::from_utf8_lossy(&answer.body));
    Ok(answer.body)
}

/// The way to the server, which times what has to be judged.
struct Wire<'a> {
    connection: &'a mut Connection,
    token: &'a str,
    judged: Duration,
}

impl Channel for Wire<'_> {
    fn tell(&mut self, message: &[u8]) -> Result<Option<Vec<u8>>, String> {
        let path = "/v1/io-worker/challenge/result";
        let request = Connection::request("POST", path, self.token, message);
        let begun = Instant::now();
        let answer = self.connection.send(&request).map_err(|why| format!("{why:#}"))?;
        if message.len() > SMALL_BYTES_MAX {
            self.judged = begun.elapsed();
        }
        match answer.status {
            200 => Ok(Some(answer.body)),
            204 => Ok(None),
            _ => Err(String::from_utf8_lossy(&answer.body).into_owned()),
        }
    }

    fn send(&mut self, message: &[u8]) -> Result<(), String> {
        self.tell(message).map(drop)
    }
}

/// The way to the server, which tells roots only when something else is told, sixteen together as an agent does, and
/// meanwhile beats: so that what the server does for the session lies in few spans, between which the prover works.
struct Spans<'a> {
    wire: Wire<'a>,
    roots: Vec<Vec<u8>>,
    server: &'a Server,
    machine: &'a Machine,
    beats: u64,
    /// What the server spent in them.
    nanos: u64,
}

impl Channel for Spans<'_> {
    fn tell(&mut self, message: &[u8]) -> Result<Option<Vec<u8>>, String> {
        let nanos = || self.server.cpu_nanos().map_err(|why| format!("{why:#}"));
        let before = nanos()?;
        let mut roots = std::mem::take(&mut self.roots);
        // What is told now is the last root, or no root, and then there are none before it.
        roots.push(message.to_vec());
        let pieces: Vec<Vec<u8>> = roots.chunks(ROOTS_TOGETHER).map(<[_]>::concat).collect();
        let mut told = Ok(None);
        for piece in pieces {
            told = self.wire.tell(&piece);
        }
        self.nanos += nanos()?.saturating_sub(before);
        told
    }

    fn send(&mut self, message: &[u8]) -> Result<(), String> {
        self.roots.push(message.to_vec());
        self.beats += 1;
        beat(self.wire.connection, &self.machine.session, self.beats)
            .map_err(|why| format!("{why:#}"))
    }
}

/// A device that commits to zeros, and opens what it committed to.
struct Zeros(Arc<Vec<Vec<[u8; 32]>>>);

impl Zeros {
    fn new(task: &Matmul) -> Self {
        let zeros = vec![0; task.n()];
        let leaves = |round| (0..task.n()).map(|row| row_leaf(&zeros, row, round)).collect();
        Self(Arc::new((0..task.rounds).map(leaves).collect()))
    }
}

fn row_leaf(row: &[i32], index: usize, round: u16) -> [u8; 32] {
    matmul::leaf(row, u32::try_from(index).unwrap_or(u32::MAX), round)
}

impl Device for Zeros {
    fn name(&self) -> String {
        "zeros".to_owned()
    }

    fn prepare(&mut self, _: &[Task]) -> Result<(), DeviceFault> {
        Ok(())
    }

    fn solve(&mut self, _: &[u8; 32], _: &Puzzle) -> Result<Vec<u64>, DeviceFault> {
        Ok(Vec::new())
    }

    fn multiply(&mut self, _: &Seeds, _: u8, round: u16) -> Result<Vec<[u8; 32]>, DeviceFault> {
        Ok(self.0[usize::from(round)].clone())
    }

    fn rows(&mut self, _: &Seeds, log_n: u8, rows: &[u32]) -> Result<Vec<i32>, DeviceFault> {
        Ok(vec![0; rows.len() << log_n])
    }

    fn fill(&mut self, _: &[u8; 32], _: &Memory) -> Result<(), DeviceFault> {
        Ok(())
    }

    fn walk(&mut self, _: &[u8; 32], _: &Memory) -> Result<Vec<[u32; 32]>, DeviceFault> {
        Ok(Vec::new())
    }
}

/// What was measured of one kind of session.
struct Measured {
    count: usize,
    per_second: f64,
    cpu_ms: f64,
    p50_ms: f64,
    p99_ms: f64,
}

/// Every machine proves once, over so many connections.
#[expect(clippy::cast_precision_loss, reason = "counts of sessions are far below 2^52")]
fn prove_all(
    server: &Server,
    machines: &[Machine],
    (connections, expected): (usize, Outcome),
    device: &(dyn Fn() -> Box<dyn Device> + Sync),
) -> anyhow::Result<Measured> {
    let (key, cpu, next) = (verifier(server)?, server.cpu_seconds()?, AtomicUsize::new(0));
    let begun = Instant::now();
    let one = |connection: &mut Connection, machine: &Machine| -> anyhow::Result<Duration> {
        let first = challenge(connection, machine)?;
        let token = machine.session.token.as_str();
        let mut wire = Wire { connection, token, judged: Duration::ZERO };
        let prover = Prover::new(&first, key, &machine.key, [7; 32])?;
        let verdict = prover.prove(device().as_mut(), &mut wire)?;
        let (outcome, reason) = (verdict.outcome(), verdict.reason());
        ensure!(outcome == expected, "{outcome} ({reason}), where {expected} was due");
        Ok(wire.judged)
    };
    let some = || -> anyhow::Result<Vec<Duration>> {
        let mut connection = Connection::open(server.address)?;
        let mut judged = Vec::new();
        while let Some(machine) = machines.get(next.fetch_add(1, Ordering::Relaxed)) {
            judged.push(one(&mut connection, machine)?);
        }
        Ok(judged)
    };
    let all: anyhow::Result<Vec<Vec<Duration>>> = std::thread::scope(|scope| {
        let handles: Vec<_> = (0..connections).map(|_| scope.spawn(some)).collect();
        handles.into_iter().map(|it| it.join().expect("it does not panic")).collect()
    });
    let took = begun.elapsed().as_secs_f64();
    let mut judged: Vec<Duration> = all?.into_iter().flatten().collect();
    judged.sort_unstable();
    let at = |share: usize| judged[(judged.len() * share / 100).min(judged.len() - 1)];
    let count = judged.len();
    Ok(Measured {
        count,
        per_second: count as f64 / took,
        cpu_ms: (server.cpu_seconds()? - cpu) * 1e3 / count as f64,
        p50_ms: at(50).as_secs_f64() * 1e3,
        p99_ms: at(99).as_secs_f64() * 1e3,
    })
}

/// So many machines prove one after another what a published class asks. Each joins when it is its turn, since minutes
/// lie between them.
#[expect(clippy::cast_precision_loss, reason = "nanoseconds of minutes are far below 2^52")]
fn prove_class(server: &Server, count: usize) -> anyhow::Result<Measured> {
    let (key, begun) = (verifier(server)?, Instant::now());
    let mut connection = Connection::open(server.address)?;
    let (mut nanos, mut judged) = (0, Duration::ZERO);
    for _ in 0..count {
        let joined = machines(server, 1)?;
        let machine = joined.first().context("one joins")?;
        let before = server.cpu_nanos()?;
        let first = challenge(&mut connection, machine)?;
        nanos += server.cpu_nanos()?.saturating_sub(before);
        let token = machine.session.token.as_str();
        let wire = Wire { connection: &mut connection, token, judged: Duration::ZERO };
        let mut spans = Spans { wire, roots: Vec::new(), server, machine, beats: 2, nanos: 0 };
        let prover = Prover::new(&first, key, &machine.key, [7; 32])?;
        let verdict = prover.prove(&mut Processor::default(), &mut spans)?;
        ensure!(verdict.outcome() == Outcome::Pass, "{}", verdict.reason());
        nanos += spans.nanos;
        judged = judged.max(spans.wire.judged);
        let before = server.cpu_nanos()?;
        std::thread::sleep(SETTLES);
        nanos += server.cpu_nanos()?.saturating_sub(before);
    }
    Ok(Measured {
        count,
        per_second: count as f64 / begun.elapsed().as_secs_f64(),
        cpu_ms: nanos as f64 / 1e6 / count as f64,
        p50_ms: judged.as_secs_f64() * 1e3,
        p99_ms: judged.as_secs_f64() * 1e3,
    })
}

/// How much the server grows by for each session that is open, and has been taken up.
#[expect(clippy::cast_precision_loss, reason = "bytes are far below 2^52")]
fn open_sessions(server: &Server, machines: &[Machine]) -> anyhow::Result<f64> {
    let key = verifier(server)?;
    let before = server.memory_bytes()?;
    let mut connection = Connection::open(server.address)?;
    for machine in machines {
        let first = challenge(&mut connection, machine)?;
        let message = Message::read(&first)?;
        let mut chain = Chain::new(message.session, message.expires_ms);
        chain.hear(&message, &key)?;
        let ready = chain.say(&Body::Ready { salt: [7; 32] }, &machine.key);
        let path = "/v1/io-worker/challenge/result";
        let request = Connection::request("POST", path, &machine.session.token, &ready);
        let answer = connection.send(&request)?;
        ensure!(answer.status == 200, "{}", String::from_utf8_lossy(&answer.body));
    }
    let grown = server.memory_bytes()?.saturating_sub(before);
    Ok(grown as f64 / machines.len() as f64)
}

fn row(what: &str, it: &Measured) {
    println!(
        "| {what} | {} | {:.0} | {:.2} | {:.1} | {:.1} |",
        it.count, it.per_second, it.cpu_ms, it.p50_ms, it.p99_ms
    );
}

fn main() -> anyhow::Result<()> {
    if serve_if_asked()? {
        return Ok(());
    }
    let words: Vec<usize> = std::env::args().skip(1).filter_map(|word| word.parse().ok()).collect();
    let count = words.first().copied().unwrap_or(2_000);
    let of_a_class = words.get(1).copied().unwrap_or(OF_A_CLASS);
    println!(
        "| sessions | count | per second | server CPU ms each | answer to verdict p50, ms | p99, ms |"
    );
    println!("|---|---:|---:|---:|---:|---:|");
    if count > 0 {
        parts(count)?;
    }
    let dearest = classes(of_a_class)?;
    println!(
        "\n100,000 devices an hour, each with two sessions of the dearest published class, take {:.0} % of two cores.",
        2.0 * dearest * 1e5 / 1e3 / 7_200.0 * 100.0
    );
    Ok(())
}

/// What small and large products cost, and an open session.
fn parts(count: usize) -> anyhow::Result<()> {
    let server = Server::start()?;
    set_rules(&server, &products(&asked(8, 2, 2, 16)))?;
    let small = machines(&server, count)?;
    let processor = || -> Box<dyn Device> { Box::new(Processor::new(std::num::NonZeroUsize::MIN)) };
    let measured = prove_all(&server, &small, (CONNECTIONS, Outcome::Pass), &processor)?;
    row("right, two rounds of 256 rows", &measured);
    let waiting = machines(&server, count.min(4_000))?;
    let per_session = open_sessions(&server, &waiting)?;
    drop(server);

    let server = Server::start()?;
    set_rules(&server, &products(&asked(13, 2, 2, ROWS)))?;
    let large = machines(&server, LARGE_RIGHT)?;
    let processor = || -> Box<dyn Device> { Box::new(Processor::default()) };
    let right = prove_all(&server, &large, (1, Outcome::Pass), &processor)?;
    row("right, two rounds of 8,192 rows, one at a time", &right);
    drop(server);

    let server = Server::start()?;
    set_rules(&server, &products(&asked(13, 2, 1, ROWS)))?;
    let wrong = machines(&server, count)?;
    let task = Matmul { log_n: 13, rounds: 2, checked: 1, rows: ROWS, limit_ms: 1, answer_ms: 1 };
    let leaves = Zeros::new(&task);
    let zeros = || -> Box<dyn Device> { Box::new(Zeros(Arc::clone(&leaves.0))) };
    let measured = prove_all(&server, &wrong, (CONNECTIONS, Outcome::Fail), &zeros)?;
    row("wrong, one checked round of 8,192 rows", &measured);
    println!("| (an open session takes {:.1} KiB) | | | | | |", per_session / 1024.0);
    Ok(())
}

/// What whole sessions of the published classes of cards cost: the dearest, in milliseconds.
fn classes(count: usize) -> anyhow::Result<f64> {
    let mut dearest: f64 = 0.0;
    for (name, class) in ProofRules::default().classes.iter().filter(|_| count > 0) {
        if class.memory.is_some() {
            let server = Server::start()?;
            set_rules(&server, &as_published(class)?)?;
            let measured = prove_class(&server, count)?;
            row(&format!("right, as published for `{name}`, one at a time"), &measured);
            dearest = dearest.max(measured.cpu_ms);
        }
    }
    Ok(dearest)
}
