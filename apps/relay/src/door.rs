//! The doors: how visitors with tools of their own (browsers, curl, ssh, anything that speaks TCP or UDP) come to
//! services of machines that nobody can dial.
//!
//! ```text
//!   TLS, by host name ──┐ front door, one TCP port      ┌─► the service's node
//!   ssh -J ─────────────┤ told apart by first bytes ────┤   through an Opener
//!   leased TCP ports ───┘                               │
//!   leased UDP ports ───────────────────────────────────┘
//! ```
//!
//! # Invariants
//! - Before anything is known of a visitor, time, bytes and places are bounded ([`DoorLimits`]).
//! - No first bytes, whatever they are, stop a door.
//! - A service that is not public is opened for nobody whom [`Admission`] did not let in.

mod access;
mod admission;
mod alive;
mod answer;
mod authority;
mod body;
mod carried;
mod certificate;
mod clock;
mod front;
mod head;
mod host;
mod house;
mod http;
mod limits;
mod metrics;
mod opening;
mod papers;
mod pool;
mod ports;
mod requests;
mod seats;
pub(crate) mod secret_file;
mod ssh;
#[doc(hidden)]
pub mod strangers;
mod tcp_port;
mod tls;
mod udp_port;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tunnel::ServiceName;

use self::access::Cookies;
pub use self::admission::{Admission, Admitted, Denied, Directory, Nobody, Offered};
pub use self::certificate::CertificateSource;
use self::certificate::Certificates;
pub use self::front::NodeDoor;
use self::front::{Front, Spoken};
use self::house::House;
pub use self::limits::DoorLimits;
pub use self::metrics::DoorMetrics;
pub use self::papers::Papers;
pub use self::pool::NoPort;
use self::ports::Ports;
pub use self::ports::{Lease, NoLease, PortRanges};
pub(crate) use self::seats::{Seats, neighborhood};
use crate::opener::Opener;

/// What doors for SSH say that they are.
const SSH_SERVER: &str = "SSH-2.0-iog_relay";

/// How the doors of a relay are set up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DoorConfig {
    /// The domain whose names are services: `relay.example`, lower case, without a dot at either end.
    pub domain: String,
    /// Where the front door is.
    pub listen: SocketAddr,
    /// Where SSH has a port of its own, beside the front door.
    pub ssh_listen: Option<SocketAddr>,
    /// The certificate that visitors are shown.
    pub certificate: CertificateSource,
    /// The SSH host key; made when there is none.
    pub host_key: PathBuf,
    /// The ports that may be leased.
    pub ports: PortRanges,
    /// A secret of the relay: cookies that were made with it are good as long as it stays the same.
    pub cookie_key: [u8; 32],
    /// What visitors may do.
    pub limits: DoorLimits,
}

/// Whom the doors ask.
pub struct Asked<O> {
    /// Opens streams.
    pub opener: Arc<O>,
    /// Knows what is served.
    pub directory: Arc<dyn Directory>,
    /// Knows who may visit.
    pub admission: Arc<dyn Admission>,
    /// Takes connections of nodes.
    pub nodes: Arc<dyn NodeDoor>,
}

impl<O> std::fmt::Debug for Asked<O> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Asked")
    }
}

/// The open doors of a relay. Dropping them closes them; streams that are open stay open.
pub struct Doors<O> {
    address: SocketAddr,
    ssh_address: Option<SocketAddr>,
    house: Arc<House<O>>,
    ports: Ports<O>,
    _running: JoinSet<()>,
}

impl<O> std::fmt::Debug for Doors<O> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Doors({})", self.address)
    }
}

impl<O: Opener> Doors<O> {
    /// Opens the doors.
    ///
    /// # Errors
    /// A file cannot be used, or an address is not to be had.
    pub async fn open(config: DoorConfig, asked: Asked<O>, metrics: DoorMetrics) -> Result<Self> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let certificates =
            Arc::new(Certificates::from(&config.certificate, &config.domain, &provider)?);
        let tls = tls::config(Arc::clone(&certificates), provider)?;
        let host_key = ssh::host_key(&config.host_key)?;
        let ssh = trunk::ssh_config(SSH_SERVER, host_key, config.limits.quiet_time);
        let limits = config.limits;
        let house = Arc::new(House {
            opener: asked.opener,
            directory: asked.directory,
            admission: asked.admission,
            domain: config.domain,
            metrics,
            cookies: Cookies::new(config.cookie_key),
            addresses: Seats::new(limits.connections_per_address),
            all: Seats::new(limits.connections),
            udp_addresses: Seats::new(limits.connections_per_address),
            udp_all: Seats::new(limits.udp_flows_all),
            limits,
        });
        let front = Arc::new(Front { house: Arc::clone(&house), nodes: asked.nodes, tls, ssh });
        let mut running = JoinSet::new();
        let listener = bound(config.listen).await?;
        let address = listener.local_addr().context("ask for the front door's address")?;
        running.spawn(front::accept(Arc::clone(&front), listener, Spoken::Any));
        let mut ssh_address = None;
        if let Some(listen) = config.ssh_listen {
            let listener = bound(listen).await?;
            ssh_address = Some(listener.local_addr().context("ask for the SSH door's address")?);
            running.spawn(front::accept(front, listener, Spoken::Ssh));
        }
        running.spawn(watch(certificates, house.limits.certificate_every));
        let ports = Ports::new(Arc::clone(&house), &config.ports);
        Ok(Self { address, ssh_address, house, ports, _running: running })
    }

    /// Where the front door is.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where SSH has a port of its own.
    pub fn ssh_address(&self) -> Option<SocketAddr> {
        self.ssh_address
    }

    /// The host names of a service.
    pub fn hosts(&self, service: &ServiceName) -> Vec<String> {
        vec![format!("{service}.{}", self.house.domain)]
    }

    /// Leases a port to a service that speaks TCP or UDP: the wished one (0 for none), or the one that it had before,
    /// if they are free. It is the service's until the lease is dropped.
    ///
    /// # Errors
    /// Why it gets none.
    pub async fn lease(
        &self,
        service: &ServiceName,
        offered: &Offered,
        wished: u16,
    ) -> Result<Lease, NoLease> {
        self.ports.lease(service, offered, wished).await
    }
}

async fn bound(address: SocketAddr) -> Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| format!("listen at {address}"))
}

/// Looks at certificates given as files from time to time.
async fn watch(certificates: Arc<Certificates>, every: std::time::Duration) {
    loop {
        tokio::time::sleep(every).await;
        match certificates.look_again() {
            Ok(true) => tracing::info!("the certificate was read again"),
            Ok(false) => {}
            Err(error) => {
                tracing::warn!(error = format!("{error:#}"), "the new certificate cannot be used")
            }
        }
    }
}
