//! What idle lines take: memory of a relay's process that holds so many of them, by the line.
//!
//! `cargo run --release -p trunk --example idle [LINES]`. It runs itself once more as the relay.

#![expect(clippy::print_stdout, reason = "what it finds is for whoever runs it")]

use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};
use ed25519_dalek::SigningKey;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_rustls::{TlsAcceptor, TlsStream};
use trunk::{Dial, Driver, Peeked, relay_tls};
use tunnel::{Event, Frame, Settings, Side, Welcome};
use wire::paper::NodeKey;

/// Lines that are dialed at once.
const DIALING: usize = 32;

fn main() -> Result<()> {
    let runtime = tokio::runtime::Runtime::new()?;
    match std::env::args().nth(1).as_deref() {
        Some("relay") => runtime.block_on(relay()),
        many => runtime.block_on(nodes(many.map_or(Ok(10_000), str::parse)?)),
    }
}

fn key(number: u8) -> SigningKey {
    SigningKey::from_bytes(&[number; 32])
}

async fn relay() -> Result<()> {
    let tls = TlsAcceptor::from(relay_tls(&key(1))?);
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?);
    loop {
        let (tcp, from) = listener.accept().await?;
        let tls = tls.clone();
        tokio::spawn(async move {
            let connection = TlsStream::Server(tls.accept(Peeked::new(tcp)).await?);
            let settings = Settings { side: Side::Relay, streams_max: 100 };
            let (line, mut driver) = Driver::new(connection, settings);
            let Event::Hello(_) = driver.next().await? else { bail!("no greeting") };
            let (session, time) = ([5; 16], trunk::now());
            let welcome = Welcome { session, streams_max: 100, observed: from, time, udp: None };
            line.say(&Frame::Welcome(welcome));
            while driver.next().await.is_ok() {}
            Ok(())
        });
    }
}

async fn nodes(many: usize) -> Result<()> {
    let program = std::env::current_exe()?;
    let mut child = Command::new(program).arg("relay").stdout(Stdio::piped()).spawn()?;
    let mut told = String::new();
    let out = child.stdout.take().context("hear the relay")?;
    std::io::BufRead::read_line(&mut std::io::BufReader::new(out), &mut told)?;
    let address: SocketAddr = told.trim().parse()?;
    let relay = NodeKey(key(1).verifying_key().to_bytes());
    let dialing = Arc::new(Semaphore::new(DIALING));
    let before = memory(child.id())?;
    let mut lines = JoinSet::new();
    for _ in 0..many {
        let (dialing, dial) = (dialing.clone(), Dial { key: key(2), relay, address });
        lines.spawn(async move {
            let place = dialing.acquire_owned().await?;
            let dialed = dial.line(Vec::new()).await;
            drop(place);
            dialed
        });
    }
    let mut up = Vec::new();
    while let Some(line) = lines.join_next().await {
        up.push(line??);
    }
    ensure!(up.len() == many, "all lines are up");
    let after = memory(child.id())?;
    println!("lines\t{many}\tbytes a line\t{}", (after - before) / many as u64);
    child.kill()?;
    child.wait()?;
    Ok(())
}

/// What a process has in memory, in bytes.
fn memory(process: u32) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("find it")?;
    let kibibytes: u64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kibibytes << 10)
}
