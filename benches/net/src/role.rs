//! Programs under measurement that are ours: this program, started again as one of them.

use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use agent::tunnel::{Exposed, RelayAt, Tunnels};
use anyhow::{Context as _, Result, bail, ensure};
use data_encoding::BASE64;
use ed25519_dalek::SigningKey;
use mesh_shell::{Config, Engine};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use trunk::{Dial, Dialed};
use tunnel::{Event, Proto, Service, ServiceName, Visibility};
use units::{AccountId, RentalId};
use wire::Time;
use wire::paper::{May, NodeKey, Pass, PassLimits, SealedPaper};

use crate::hiding::{Hiding, Member};

/// What the program is called with to be something else.
const ROLE: &str = "role-for-bench";
/// Lines that are dialed at once.
const DIALING: usize = 32;
const RENTAL: RentalId = RentalId::from_bits(35);
const ACCOUNT: AccountId = AccountId::from_bits(7);
/// How long a line may take to be of use.
const PATIENCE: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// What this program can be.
#[derive(Clone, Debug)]
pub enum Role {
    /// A relay with doors, which leases these ports.
    Relay { data: PathBuf, listen: SocketAddr, ports: (u16, u16) },
    /// A machine with lines to relays, which serves a program; and with a mesh device, if a file says how.
    Node {
        relays: Vec<RelayAt>,
        target: SocketAddr,
        is_plain: bool,
        mesh: Option<(String, PathBuf)>,
    },
    /// A node of a mesh.
    Mesh { interface: String, file: PathBuf },
    /// A node of a mesh whose members are found over a relay, and may hide what they send.
    Member(Member),
    /// Machines with a line each, that serve a program each which nobody visits.
    Crowd { relay: RelayAt, many: u32 },
}

impl Role {
    /// Starts this program again in the role.
    ///
    /// # Errors
    /// If it does not know its own path.
    pub fn command(&self) -> Result<Command> {
        let mut command = Command::new(std::env::current_exe().context("find this program")?);
        command.arg(ROLE);
        match self {
            Self::Relay { data, listen, ports: (from, to) } => {
                command.arg("relay").arg(data).args([
                    listen.to_string(),
                    from.to_string(),
                    to.to_string(),
                ]);
            }
            Self::Node { relays, target, is_plain, mesh } => {
                let relays: Vec<String> = relays.iter().map(text_of).collect();
                command.args([
                    "node",
                    &relays.join(","),
                    &target.to_string(),
                    &is_plain.to_string(),
                ]);
                if let Some((interface, file)) = mesh {
                    command.arg(interface).arg(file);
                }
            }
            Self::Mesh { interface, file } => {
                command.args(["mesh", interface]).arg(file);
            }
            Self::Member(Member { number, hiding, relay, key, asked }) => {
                let (number, hiding) = (number.to_string(), hiding.number().to_string());
                let key = BASE64.encode(key);
                command.args(["member", &number, &hiding, &relay.to_string(), &key]).arg(asked);
            }
            Self::Crowd { relay, many } => {
                command.args(["crowd", &text_of(relay), &many.to_string()]);
            }
        }
        Ok(command)
    }
}

/// Becomes what this process was started as, if it was; call it first in `main`.
///
/// # Errors
/// What keeps it from being that.
pub fn serve_if_asked() -> Result<bool> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let [ROLE, role, rest @ ..] = &words[..] else { return Ok(false) };
    // As the roles of `iog` do.
    let filter = tracing_subscriber::EnvFilter::new("info");
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .init();
    match (*role, rest) {
        ("relay", [data, listen, from, to]) => {
            serve_relay(Path::new(data), listen.parse()?, (from.parse()?, to.parse()?))?;
        }
        ("node", [relays, target, is_plain, mesh @ ..]) => {
            let relays: Result<Vec<RelayAt>> = relays.split(',').map(relay_of).collect();
            let _engine = match mesh {
                [interface, file] => Some(start_mesh(interface, file)?),
                _ => None,
            };
            serve_node(relays?, target.parse()?, is_plain.parse()?)?;
        }
        ("mesh", [interface, file]) => {
            let engine = start_mesh(interface, file)?;
            say("ready")?;
            while !engine.has_failed() {
                std::thread::sleep(Duration::from_millis(100));
            }
            engine.stop()?;
        }
        ("member", [number, hiding, relay, key, asked]) => {
            let key = BASE64.decode(key.as_bytes())?;
            let member = Member {
                number: number.parse()?,
                hiding: Hiding::from_number(hiding.parse()?)?,
                relay: relay.parse()?,
                key: key[..].try_into().context("read a key of 32 bytes")?,
                asked: PathBuf::from(asked),
            };
            member.serve(say)?;
        }
        ("crowd", [relay, many]) => {
            tokio::runtime::Runtime::new()?
                .block_on(serve_crowd(relay_of(relay)?, many.parse()?))?;
        }
        _ => bail!("understand what to be: {words:?}"),
    }
    Ok(true)
}

fn say(line: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")?;
    Ok(out.flush()?)
}

fn text_of(relay: &RelayAt) -> String {
    format!("{}@{}", relay.key, relay.address)
}

fn relay_of(text: &str) -> Result<RelayAt> {
    let (key, address) = text.split_once('@').context("find @")?;
    Ok(RelayAt { key: key.parse()?, address: address.parse()? })
}

/// The relay that said that it is ready, as others find it under this address.
pub(crate) fn relay_from(line: &str, ip: IpAddr) -> Result<RelayAt> {
    let told = line.split_whitespace().last().context("find where the relay is")?;
    let mut relay = relay_of(told)?;
    relay.address.set_ip(ip);
    Ok(relay)
}

fn network() -> SigningKey {
    SigningKey::from_bytes(&[1; 32])
}

fn node_key(number: u32) -> SigningKey {
    let mut seed = [2; 32];
    seed[..4].copy_from_slice(&number.to_le_bytes());
    SigningKey::from_bytes(&seed)
}

fn public(key: &SigningKey) -> NodeKey {
    NodeKey(key.verifying_key().to_bytes())
}

fn pass(holder: &SigningKey, account: AccountId, rental: RentalId) -> Result<Vec<u8>> {
    let now = trunk::now();
    let pass = Pass {
        holder: public(holder),
        worker: None,
        account,
        may: May { dial: true, serve: [rental].into(), ..May::default() },
        limits: PassLimits {
            streams: 4_000,
            streams_per_second: 1_000_000,
            bytes_per_second: 1 << 40,
        },
        issued: Time(now),
        expires: Time(now.after(Duration::from_secs(3_000))),
    };
    Ok(SealedPaper::seal(&pass, &network())?.to_bytes())
}

fn service(rental: RentalId, is_plain_allowed: bool, proto: Proto) -> Result<Service> {
    Ok(Service {
        name: ServiceName::of_rental("bench", rental)?,
        proto,
        visibility: Visibility::Public,
        is_plain_allowed,
        port_wished: 0,
        policy: String::new(),
        rental: Some(rental),
    })
}

fn serve_relay(data: &Path, listen: SocketAddr, (from, to): (u16, u16)) -> Result<()> {
    raise_files()?;
    let doors = relay::DoorsConfig {
        domain: "relay.test".to_owned(),
        certificate: None,
        ssh_listen: None,
        ports_address: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        tcp_ports: Some(from..=to),
        udp_ports: None,
    };
    let network = public(&network());
    let config = relay::Config {
        data: data.to_owned(),
        listen,
        network,
        doors: Some(doors),
        audit: None,
        metrics: None,
    };
    relay::run(&config, |ready| {
        // Who started it waits for this, and gives up if it does not come.
        let _unheard = say(&format!("the relay is ready at {}@{}", ready.key, ready.address));
        Ok(())
    })
}

/// As many files as the system allows: a relay of ten thousand lines has a socket for each.
fn raise_files() -> Result<()> {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).context("have enough files")
}

fn serve_node(relays: Vec<RelayAt>, target: SocketAddr, is_plain: bool) -> Result<()> {
    let key = node_key(0);
    let tunnels = Tunnels::start(key.clone())?;
    let service = service(RENTAL, is_plain, Proto::Tcp)?;
    let name = service.name.clone();
    tunnels.set_exposed(vec![Exposed {
        service,
        target: target.into(),
        wants_proxy_header: false,
    }]);
    let count = relays.len();
    tunnels.set_relays(relays);
    tunnels.set_pass(pass(&key, ACCOUNT, RENTAL)?);
    let until = Instant::now() + PATIENCE;
    let ports = loop {
        let lines = tunnels.lines();
        let served = lines.iter().filter_map(|line| {
            let served = line.services.get(&name)?.as_ref().ok()?;
            Some(format!("{}:{}", line.relay.address.ip(), served.ports.first()?))
        });
        let served: Vec<String> = served.collect();
        if served.len() == count {
            break served;
        }
        if Instant::now() > until {
            bail!("be served: {lines:?}");
        }
        std::thread::sleep(LOOK_EVERY);
    };
    say(&format!("served at {}", ports.join(",")))?;
    loop {
        std::thread::park();
    }
}

fn start_mesh(interface: &str, file: &str) -> Result<Engine> {
    let text = std::fs::read_to_string(file).with_context(|| format!("read {file}"))?;
    Engine::start(Config::parse(interface, &text)?)
}

async fn serve_crowd(relay: RelayAt, many: u32) -> Result<()> {
    raise_files()?;
    let dialing = Arc::new(Semaphore::new(DIALING));
    let mut lines = JoinSet::new();
    for number in 0..many {
        let place = dialing.clone().acquire_owned().await?;
        let key = node_key(1 + number);
        let dial = Dial { key: key.clone(), relay: relay.key, address: relay.address };
        lines.spawn(async move {
            let rental = RentalId::from_bits(u128::from(number) + 1_000);
            // Of owners of their own: a relay takes no ten thousand of one.
            let account = AccountId::from_bits(u128::from(number) + 1_000);
            let mut dialed = dial.line(pass(&key, account, rental)?).await?;
            dialed.line.say(&tunnel::Frame::Serve(service(rental, false, Proto::Http)?));
            let event = dialed.driver.next().await?;
            drop(place);
            ensure!(matches!(event, Event::Served(_)), "be served: {event:?}");
            // What keeps a quiet line alive goes on.
            tokio::spawn(async move {
                let Dialed { line, mut driver, .. } = dialed;
                while driver.next().await.is_ok() {}
                drop(line);
            });
            anyhow::Ok(())
        });
    }
    let mut up = 0;
    while let Some(line) = lines.join_next().await {
        line??;
        up += 1;
    }
    say(&format!("up {up}"))?;
    std::future::pending::<()>().await;
    Ok(())
}
