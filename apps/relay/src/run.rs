//! A relay from its start to its end.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, anyhow};
use data_encoding::HEXLOWER;
use ed25519_dalek::SigningKey;
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use wire::paper::{NodeKey, sign_statement};

use crate::audit::AuditTo;
use crate::config::{Config, DoorsConfig};
use crate::door::{
    Asked, CertificateSource, DoorConfig, DoorLimits, DoorMetrics, Doors, Papers, PortRanges,
};
use crate::figures;
use crate::gate::Gate;
use crate::limits::{DRAIN, END, LINES_MAX, LOOK_EVERY};
use crate::nodes::Nodes;
use crate::records::{Records, ToLog};
use crate::registry::Registry;

const KEY: &str = "relay.key";
/// What cookies of visitors are sealed with follows from the relay's key, under this name.
const COOKIES: &str = "iog relay 1 cookies";

/// Where a relay is, and who.
#[derive(Clone, Debug)]
pub struct Ready {
    /// Where nodes and visitors come.
    pub address: SocketAddr,
    /// At which port it takes packets of private networks, if it does.
    pub udp_port: Option<u16>,
    /// Its key, which nodes expect.
    pub key: NodeKey,
    /// What it can say of itself from now on.
    pub standing: Standing,
}

/// What a running relay can say of itself. Clones tell of the same one.
#[derive(Clone)]
pub struct Standing {
    registry: Arc<Registry>,
    key: SigningKey,
}

impl Standing {
    /// Lines that it holds.
    pub fn lines(&self) -> usize {
        self.registry.lines()
    }

    /// Lines that it takes at most.
    pub const fn lines_max(&self) -> usize {
        LINES_MAX
    }

    /// Streams that are open.
    pub fn streams(&self) -> usize {
        self.registry.streams()
    }

    /// Bytes of all streams that are over, both ways.
    pub fn bytes(&self) -> u64 {
        self.registry.bytes()
    }

    /// Whether it goes away.
    pub fn is_draining(&self) -> bool {
        self.registry.is_draining()
    }

    /// Its signature of a statement.
    pub fn sign(&self, statement: &str) -> String {
        sign_statement(&self.key, statement)
    }
}

impl std::fmt::Debug for Standing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Standing")
    }
}

/// Runs a relay until it is told to stop (SIGTERM, SIGINT). Then its nodes are asked to use other relays, and what is
/// open has a while to end; a second signal ends it at once.
///
/// # Errors
/// If it cannot start, or `ready` will not have it run.
pub fn run(config: &Config, ready: impl FnOnce(Ready) -> Result<()>) -> Result<()> {
    let key = key(&config.data)?;
    let records: Arc<dyn Records> = match &config.audit {
        Some(path) => Arc::new(AuditTo::open(path, key.clone())?),
        None => Arc::new(ToLog),
    };
    let runtime = runtime().context("start the threads of the relay")?;
    let ran = runtime.block_on(lead(config, (key, records.clone()), ready));
    // What is open ends with it, and has its record.
    runtime.shutdown_timeout(END);
    records.close();
    ran
}

fn runtime() -> io::Result<Runtime> {
    let mut builder = Builder::new_multi_thread();
    trunk::stay_awake(&mut builder)?;
    builder.enable_all().build()
}

async fn lead(
    config: &Config,
    (key, records): (SigningKey, Arc<dyn Records>),
    ready: impl FnOnce(Ready) -> Result<()>,
) -> Result<()> {
    let mut signals = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let running = Running::start(config, &key, records).await?;
    let public = NodeKey(key.verifying_key().to_bytes());
    tracing::info!(address = %running.address, key = %public, "the relay runs");
    let standing = Standing { registry: running.registry.clone(), key };
    let (address, udp_port) = (running.address, running.udp_port);
    ready(Ready { address, udp_port, key: public, standing })?;
    tokio::select! {
        _ = signals.0.recv() => {}
        _ = signals.1.recv() => {}
    }
    tracing::info!(seconds = DRAIN.as_secs(), "the relay goes away; its nodes are told");
    tokio::select! {
        () = running.drain() => {}
        _ = signals.0.recv() => {}
        _ = signals.1.recv() => {}
    }
    tracing::info!("the relay stops");
    Ok(())
}

/// A relay at work.
struct Running {
    address: SocketAddr,
    udp_port: Option<u16>,
    registry: Arc<Registry>,
    _doors: Option<Arc<Doors<Registry>>>,
    _tasks: JoinSet<()>,
}

impl Running {
    async fn start(config: &Config, key: &SigningKey, records: Arc<dyn Records>) -> Result<Self> {
        let registry = Arc::new(Registry::new(records));
        let nodes = Nodes::new(registry.clone(), Gate::new(config.network), key)?;
        let mut metrics = prometheus_client::registry::Registry::default();
        let mut tasks = JoinSet::new();
        let (address, doors) = match &config.doors {
            Some(doors) => {
                let metrics = DoorMetrics::registered(&mut metrics);
                let asked = Asked {
                    opener: registry.clone(),
                    directory: registry.clone(),
                    admission: Arc::new(Papers::new(config.network)),
                    nodes: Arc::new(nodes.clone()),
                };
                let config = door_config(config, doors, key);
                let doors = Arc::new(Doors::open(config, asked, metrics).await?);
                nodes.place_at(doors.clone());
                (doors.address(), Some(doors))
            }
            None => {
                let listener = TcpListener::bind(config.listen).await;
                let listener = listener.with_context(|| format!("listen at {}", config.listen))?;
                let address = listener.local_addr().context("ask for the relay's address")?;
                tasks.spawn(nodes.clone().accept(listener));
                (address, None)
            }
        };
        let forwarded = nodes.forward_packets(address.port());
        match &forwarded {
            Ok(port) => tracing::info!(port, "packets of private networks are forwarded"),
            Err(fault) => {
                tracing::warn!(
                    fault = format!("{fault:#}"),
                    "no packets are forwarded, only streams"
                );
            }
        }
        if let Some(at) = config.metrics {
            let listener =
                TcpListener::bind(at).await.with_context(|| format!("listen at {at}"))?;
            figures::register(&mut metrics, &registry);
            tasks.spawn(figures::serve(listener, Arc::new(metrics)));
        }
        let udp_port = forwarded.ok();
        Ok(Self { address, udp_port, registry, _doors: doors, _tasks: tasks })
    }

    /// Asks all nodes to go, and waits until nothing is open, but not for long.
    async fn drain(&self) {
        let until = Instant::now() + DRAIN;
        self.registry.drain(u32::try_from(DRAIN.as_secs()).unwrap_or(u32::MAX));
        // A moment in any case, in which the nodes hear of it.
        loop {
            sleep(LOOK_EVERY).await;
            if self.registry.streams() == 0 || Instant::now() > until {
                return;
            }
        }
    }
}

fn door_config(config: &Config, doors: &DoorsConfig, key: &SigningKey) -> DoorConfig {
    let certificate = match &doors.certificate {
        Some((chain, key)) => CertificateSource::Files { chain: chain.clone(), key: key.clone() },
        None => CertificateSource::Made { folder: config.data.clone() },
    };
    // An empty range.
    #[expect(clippy::reversed_empty_ranges, reason = "no port is leased")]
    let none = 1..=0;
    DoorConfig {
        domain: doors.domain.clone(),
        listen: config.listen,
        ssh_listen: doors.ssh_listen,
        certificate,
        host_key: config.data.join("ssh_host_ed25519_key"),
        ports: PortRanges {
            address: doors.ports_address,
            tcp: doors.tcp_ports.clone().unwrap_or(none.clone()),
            udp: doors.udp_ports.clone().unwrap_or(none),
        },
        cookie_key: blake3::derive_key(COOKIES, key.as_bytes()),
        limits: DoorLimits::default(),
    }
}

/// The relay's key; made when it first starts.
fn key(data: &Path) -> Result<SigningKey> {
    fs::create_dir_all(data).with_context(|| format!("make {}", data.display()))?;
    let path = data.join(KEY);
    if !path.exists() {
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).map_err(|fault| anyhow!("make a key: {fault}"))?;
        crate::door::secret_file::write(&path, HEXLOWER.encode(&seed).as_bytes())?;
    }
    let text = fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
    let seed = HEXLOWER.decode(text.trim().as_bytes()).ok();
    let seed: Option<[u8; 32]> = seed.and_then(|seed| seed.try_into().ok());
    Ok(SigningKey::from_bytes(&seed.with_context(|| format!("understand {}", path.display()))?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_relay_keeps_its_key() {
        let folder = std::env::temp_dir().join(format!("iog-relay-key-{}", std::process::id()));
        let first = key(&folder).unwrap();
        assert_eq!(key(&folder).unwrap().to_bytes(), first.to_bytes());
        fs::write(folder.join(KEY), "damaged").unwrap();
        assert!(key(&folder).unwrap_err().to_string().contains("understand"));
        fs::remove_dir_all(folder).unwrap();
    }
}
