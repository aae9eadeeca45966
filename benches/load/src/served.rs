//! The server under load, and machines that serve it: this same program, started again.

use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::Context;

use crate::http::Connection;

/// What the program is called with to be the server.
const SERVE: &str = "serve-for-bench";
/// What the program is called with to be an agent, and the token that ends its nodes instead.
const WORK: &str = "work-for-bench";
const STOP: &str = "stop";
/// More requests than any caller here makes.
const RATE_UNLIMITED: u32 = 1_000_000;

/// Becomes the server, or a machine's agent, if this process was started as one; call it first in `main`.
///
/// # Errors
/// What keeps it from running.
pub fn serve_if_asked() -> anyhow::Result<bool> {
    let mut words = std::env::args().skip(1);
    match words.next().as_deref() {
        Some(SERVE) => serve(words),
        Some(WORK) => work(words),
        _ => Ok(false),
    }
}

fn serve(mut words: impl Iterator<Item = String>) -> anyhow::Result<bool> {
    let data = PathBuf::from(words.next().context("a data folder")?);
    let config = server::Config {
        store: words.next(),
        ..server::Config::new(data, SocketAddr::from(([127, 0, 0, 1], 0)), RATE_UNLIMITED)
    };
    server::run(&config, |address| {
        let mut out = std::io::stdout();
        // Nobody to tell: the parent is gone, and its guard ends this process.
        let _ = writeln!(out, "{address}").and_then(|()| out.flush());
    })?;
    Ok(true)
}

/// One of several agents that share this machine: joins, and works until it is killed.
fn work(mut words: impl Iterator<Item = String>) -> anyhow::Result<bool> {
    let mut word = |what: &'static str| words.next().context(what);
    let (data, server, token) =
        (PathBuf::from(word("a folder")?), word("a server")?, word("a token")?);
    let part: u8 = word("a part")?.parse()?;
    let from = 12_000 + u16::from(part) * 2_000;
    let config = agent::Config {
        runtimes: data.parent().context("a folder of folders")?.join("runtimes"),
        data,
        server,
        name: Some(format!("bench-{part}").parse()?),
        part: u32::from(part),
        offers: agent::Offers {
            vcpus: Some(1),
            memory_mib: Some(4_096),
            disk_mib: Some(4_096),
            no_gpus: true,
        },
        country: None,
        address: std::net::IpAddr::from([127, 78, 0, part]),
        ports: from..=from + 1_999,
        sandbox: agent::Sandbox::Auto,
        own_network: false,
        egress: agent::Egress::Internet,
        stop_foreign: false,
        driver: None,
        reports: None,
    };
    if token == STOP {
        agent::stop_nodes(&config)?;
        return Ok(true);
    }
    agent::join(&config, &token)?;
    agent::run(&config, &std::sync::atomic::AtomicBool::new(false))?;
    Ok(true)
}

/// An agent in a process of its own; its nodes end with it when it is dropped.
#[derive(Debug)]
pub struct Worker {
    child: Child,
    words: [String; 4],
}

impl Worker {
    /// Starts one that joins with an invitation's token; `part` tells it from the others of this machine.
    ///
    /// # Errors
    /// When this program cannot be started again.
    pub fn start(server: &Server, token: &str, part: u8) -> anyhow::Result<Self> {
        let data = server.data.join(format!("worker-{part}")).display().to_string();
        let words =
            [data, format!("http://{}", server.address), token.to_owned(), part.to_string()];
        let child = Command::new(std::env::current_exe()?).arg(WORK).args(&words).spawn()?;
        Ok(Self { child, words })
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // Killing what has ended already is what was wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
        self.words[2] = STOP.to_owned();
        if let Ok(program) = std::env::current_exe() {
            let _ = Command::new(program).arg(WORK).args(&self.words).status();
        }
    }
}

/// A server that runs until it is dropped, with its data folder.
#[derive(Debug)]
pub struct Server {
    child: Child,
    data: PathBuf,
    /// Where it answers.
    pub address: SocketAddr,
    /// The operator's key.
    pub operator: String,
}

impl Server {
    /// Starts one on a fresh data folder.
    ///
    /// # Errors
    /// What keeps it from starting.
    pub fn start() -> anyhow::Result<Self> {
        let mut chance = [0; 8];
        getrandom::fill(&mut chance).context("roll dice")?;
        let data =
            std::env::temp_dir().join(format!("iog-bench-{:016x}", u64::from_be_bytes(chance)));
        let program = std::env::current_exe().context("find this program")?;
        let mut child =
            Command::new(program).arg(SERVE).arg(&data).stdout(Stdio::piped()).spawn()?;
        let out = child.stdout.take().context("its output")?;
        let mut line = String::new();
        BufReader::new(out).read_line(&mut line).context("wait for the server")?;
        let address = line.trim().parse().context("the server did not start")?;
        let operator = std::fs::read_to_string(data.join("operator.key"))?.trim().to_owned();
        // Machines are open as soon as they speak: what they go through before is not what is measured.
        let patch = br#"{"patch":{"onboarding":{"required":false}}}"#;
        let path = "/v1/network/parameters";
        let request = Connection::request("PATCH", path, &operator, patch);
        Connection::open(address)?.send(&request)?;
        Ok(Self { child, data, address, operator })
    }

    /// The folder of everything that is kept.
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// CPU time it has used, in seconds.
    ///
    /// # Errors
    /// When it is gone.
    pub fn cpu_seconds(&self) -> anyhow::Result<f64> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        let fields = stat.rsplit_once(')').context("read its statistics")?.1;
        let ticks: Vec<f64> =
            fields.split_whitespace().skip(11).take(2).filter_map(|it| it.parse().ok()).collect();
        Ok(ticks.iter().sum::<f64>() / 100.0)
    }

    /// Processor time its threads have used, in nanoseconds: for spans too short for the kernel's ticks. What a thread
    /// used that has ended is not in it.
    ///
    /// # Errors
    /// When it is gone.
    pub fn cpu_nanos(&self) -> anyhow::Result<u64> {
        let mut nanos = 0;
        for thread in std::fs::read_dir(format!("/proc/{}/task", self.child.id()))? {
            let stat =
                std::fs::read_to_string(thread?.path().join("schedstat")).unwrap_or_default();
            let ran = stat.split(' ').next().and_then(|it| it.parse::<u64>().ok());
            nanos += ran.unwrap_or_default();
        }
        Ok(nanos)
    }

    /// Memory it holds, in bytes.
    ///
    /// # Errors
    /// When it is gone.
    pub fn memory_bytes(&self) -> anyhow::Result<u64> {
        let statm = std::fs::read_to_string(format!("/proc/{}/statm", self.child.id()))?;
        let pages: u64 =
            statm.split(' ').nth(1).and_then(|it| it.parse().ok()).context("read its memory")?;
        Ok(pages * 4096)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Killing what has ended already is what was wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.data);
    }
}
