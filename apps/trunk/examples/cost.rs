//! What carrying costs: CPU seconds of relay and node together for a gigabyte, by the way that it goes, and
//! microseconds of them for a short connection.
//!
//! `cargo run --release -p trunk --example cost [MEBIBYTES]`. Relay, node, and load are threads of one process, told
//! apart by their names; what the kernel does for a socket is counted for the thread that uses it.

#![expect(clippy::print_stdout, reason = "what it finds is for whoever runs it")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Result, bail, ensure};
use ed25519_dalek::SigningKey;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};
use tokio_rustls::{TlsAcceptor, TlsStream};
use trunk::{
    BULK_ALPN, Dedicated, Dial, Dialed, Driver, Line, PLAIN_GREETING, Peeked, carry_tcp, relay_tls,
};
use tunnel::limits::STREAMS_MAX;
use tunnel::{Event, Frame, Open, Proto, Service, Settings, Side, Ticket, Visibility, Welcome};
use wire::paper::NodeKey;

const SESSION: [u8; 16] = [5; 16];
const SHORT: u32 = 2_000;
const ROUNDS: usize = 3;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    /// All on the line.
    Line,
    /// On a connection of its own, under TLS.
    Own,
    /// On one without TLS, spliced.
    Plain,
}

fn main() -> Result<()> {
    let mebibytes = std::env::args().nth(1).map_or(Ok(512), |text| text.parse::<u64>())?;
    let threads = |name: &str| {
        Builder::new_multi_thread().worker_threads(2).thread_name(name).enable_all().build()
    };
    let (relay, node, load) = (threads("relay")?, threads("node")?, threads("load")?);
    println!(
        "way   up_cpu_s_per_gb down_cpu_s_per_gb up_mbit_s down_mbit_s short_cpu_us short_per_s"
    );
    for round in 0..ROUNDS {
        for mode in [Mode::Line, Mode::Own, Mode::Plain] {
            let door = start(&relay, &node, &load, mode)?;
            // The first moves ask for the connections that the later ones find.
            load.block_on(up(door, 8 << 20))?;
            let up = measured(|| load.block_on(up(door, mebibytes << 20)))?;
            let down = measured(|| load.block_on(down(door, mebibytes << 20)))?;
            let short = measured(|| load.block_on(short(door)))?;
            let giga = mebibytes as f64 * 1.048_576e-3;
            println!(
                "{mode:?}\t{:.2}\t{:.2}\t{:.0}\t{:.0}\t{:.0}\t{:.0}\t(round {round})",
                up.0 / giga,
                down.0 / giga,
                giga * 8e3 / up.1,
                giga * 8e3 / down.1,
                short.0 * 1e6 / f64::from(SHORT),
                f64::from(SHORT) / short.1,
            );
        }
    }
    Ok(())
}

/// CPU seconds of relay and node, and seconds.
fn measured(work: impl FnOnce() -> Result<()>) -> Result<(f64, f64)> {
    let (cpu, begun) = (cpu()?, Instant::now());
    work()?;
    Ok((self::cpu()? - cpu, begun.elapsed().as_secs_f64()))
}

fn cpu() -> Result<f64> {
    let mut nanos = 0_u64;
    for task in std::fs::read_dir("/proc/self/task")? {
        let task = task?.path();
        let name = std::fs::read_to_string(task.join("comm"))?;
        if matches!(name.trim(), "relay" | "node") {
            let stat = std::fs::read_to_string(task.join("schedstat"))?;
            nanos += stat.split(' ').next().unwrap_or_default().parse::<u64>()?;
        }
    }
    Ok(nanos as f64 / 1e9)
}

fn key(number: u8) -> SigningKey {
    SigningKey::from_bytes(&[number; 32])
}

/// A relay, a node, and a service. Returns where visitors come.
fn start(relay: &Runtime, node: &Runtime, load: &Runtime, mode: Mode) -> Result<SocketAddr> {
    let listener = relay.block_on(TcpListener::bind("127.0.0.1:0"))?;
    let door = relay.block_on(TcpListener::bind("127.0.0.1:0"))?;
    let service = load.block_on(TcpListener::bind("127.0.0.1:0"))?;
    let (at, visited, target) = (listener.local_addr()?, door.local_addr()?, service.local_addr()?);
    load.spawn(serve_program(service));
    relay.spawn(async move { serve_relay(listener, door, mode).await });
    let dial = Dial { key: key(2), relay: NodeKey(key(1).verifying_key().to_bytes()), address: at };
    let dialed = node.block_on(dial.line(Vec::new()))?;
    node.spawn(serve_node(dial, dialed, target, mode));
    Ok(visited)
}

async fn serve_relay(listener: TcpListener, door: TcpListener, mode: Mode) -> Result<()> {
    let tls = TlsAcceptor::from(relay_tls(&key(1))?);
    let (tcp, from) = listener.accept().await?;
    tcp.set_nodelay(true)?;
    let connection = TlsStream::Server(tls.accept(Peeked::new(tcp)).await?);
    let settings = Settings { side: Side::Relay, streams_max: STREAMS_MAX };
    let (line, mut driver) = Driver::new(connection, settings);
    let Event::Hello(_) = driver.next().await? else { bail!("no greeting") };
    let time = trunk::now();
    line.say(&Frame::Welcome(Welcome {
        session: SESSION,
        streams_max: 4_000,
        observed: from,
        time,
        udp: None,
    }));
    tokio::spawn(async move { while driver.next().await.is_ok() {} });
    tokio::spawn(keep_spares(listener, tls, line.clone()));
    let service = Service {
        name: "bench".parse()?,
        proto: Proto::Tcp,
        visibility: Visibility::Public,
        is_plain_allowed: mode == Mode::Plain,
        port_wished: 0,
        policy: String::new(),
        rental: None,
    };
    let service = Arc::new(service);
    loop {
        let (tcp, visitor) = door.accept().await?;
        tcp.set_nodelay(true)?;
        let (line, service) = (line.clone(), service.clone());
        tokio::spawn(async move {
            let (name, local) = (service.name.clone(), visitor);
            let open =
                Open { service: name, proto: Proto::Tcp, visitor, local, subject: String::new() };
            if let Ok(stream) = line.open(&open, Some(&service)).await {
                carry_tcp(tcp, stream).await;
            }
        });
    }
}

async fn keep_spares(listener: TcpListener, tls: TlsAcceptor, line: Line) -> Result<()> {
    loop {
        let (tcp, _) = listener.accept().await?;
        tcp.set_nodelay(true)?;
        let mut peeked = Peeked::new(tcp);
        peeked.peek_more(1_024).await?;
        if peeked.held().starts_with(&PLAIN_GREETING) {
            peeked.skip(PLAIN_GREETING.len());
            let ticket = ticket(&mut peeked).await?;
            ensure!(line.redeem(&ticket, true), "a strange ticket");
            line.keep_spare(ticket.id(), Dedicated::Plain(peeked.into_parts().0));
            continue;
        }
        let mut tls = tls.accept(peeked).await?;
        ensure!(tls.get_ref().1.alpn_protocol() == Some(BULK_ALPN), "a strange connection");
        let ticket = ticket(&mut tls).await?;
        ensure!(line.redeem(&ticket, false), "a strange ticket");
        line.keep_spare(ticket.id(), Dedicated::Tls(Box::new(TlsStream::Server(tls))));
    }
}

async fn ticket<R: AsyncReadExt + Unpin>(from: &mut R) -> Result<Ticket> {
    let mut words = [0; 48];
    from.read_exact(&mut words).await?;
    Ok(Ticket::from_bytes(words[16..].try_into()?))
}

async fn serve_node(dial: Dial, dialed: Dialed, target: SocketAddr, mode: Mode) -> Result<()> {
    let Dialed { line, mut driver, welcome } = dialed;
    loop {
        let event = driver.next().await?;
        if let Event::Opened(id, _) = event {
            let (stream, line) = (line.take(id).may_be_plain(true), line.clone());
            tokio::spawn(async move {
                let program = TcpStream::connect(target).await?;
                program.set_nodelay(true)?;
                line.accept(id);
                carry_tcp(program, stream).await;
                anyhow::Ok(())
            });
        } else if let Event::Spare(is_plain, tickets) = event
            && mode != Mode::Line
        {
            for ticket in tickets {
                dial.spare(&line, welcome.session, &ticket, is_plain).await?;
            }
        }
    }
}

/// A program that takes all (`u`), says so many bytes (`d` and their number), or says a byte back.
async fn serve_program(listener: TcpListener) -> Result<()> {
    loop {
        let (mut tcp, _) = listener.accept().await?;
        tcp.set_nodelay(true)?;
        tokio::spawn(async move {
            match tcp.read_u8().await? {
                b'u' => {
                    let mut room = vec![0; 1 << 18];
                    while tcp.read(&mut room).await? > 0 {}
                    tcp.write_u8(1).await?;
                }
                b'd' => {
                    let (mut left, bytes) = (tcp.read_u64().await?, vec![7; 1 << 18]);
                    while left > 0 {
                        let many = bytes.len().min(usize::try_from(left)?);
                        tcp.write_all(&bytes[..many]).await?;
                        left -= many as u64;
                    }
                }
                byte => tcp.write_u8(byte).await?,
            }
            anyhow::Ok(())
        });
    }
}

async fn up(door: SocketAddr, mut left: u64) -> Result<()> {
    let mut tcp = TcpStream::connect(door).await?;
    tcp.write_u8(b'u').await?;
    let bytes = vec![7; 1 << 18];
    while left > 0 {
        let many = bytes.len().min(usize::try_from(left)?);
        tcp.write_all(&bytes[..many]).await?;
        left -= many as u64;
    }
    tcp.shutdown().await?;
    ensure!(tcp.read_u8().await? == 1, "all was taken");
    Ok(())
}

async fn down(door: SocketAddr, many: u64) -> Result<()> {
    let mut tcp = TcpStream::connect(door).await?;
    tcp.write_u8(b'd').await?;
    tcp.write_u64(many).await?;
    let (mut room, mut heard) = (vec![0; 1 << 18], 0);
    while heard < many {
        let some = tcp.read(&mut room).await?;
        ensure!(some > 0, "{heard} of {many} bytes came");
        heard += some as u64;
    }
    Ok(())
}

/// Short connections, sixteen at once.
async fn short(door: SocketAddr) -> Result<()> {
    let visits = (0..16).map(|_| {
        tokio::spawn(async move {
            for _ in 0..SHORT / 16 {
                let mut tcp = TcpStream::connect(door).await?;
                tcp.write_u8(1).await?;
                ensure!(tcp.read_u8().await? == 1, "it came back");
            }
            anyhow::Ok(())
        })
    });
    for visit in visits.collect::<Vec<_>>() {
        visit.await??;
    }
    Ok(())
}
