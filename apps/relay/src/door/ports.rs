//! Leased ports: TCP and UDP for services that have no host name to be told by.
//!
//! # Invariants
//! - A port is one service's at a time, from the lease until the lease is dropped.
//! - A service that may not be visited by anybody gets no port: nothing on it could tell who comes.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::net::{TcpListener, UdpSocket};
use tokio::task::JoinHandle;
use tunnel::{Proto, ServiceName};

use super::admission::Offered;
use super::clock::now;
use super::house::House;
use super::pool::{NoPort, Pool};
use super::{tcp_port, udp_port};
use crate::opener::{Entry, Opener};

/// The ports that a relay may lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortRanges {
    /// On which of the relay's addresses.
    pub address: IpAddr,
    /// For TCP; an empty range (`1..=0`) for none.
    pub tcp: RangeInclusive<u16>,
    /// For UDP; an empty range (`1..=0`) for none.
    pub udp: RangeInclusive<u16>,
}

/// Why a service has no port. Checks run in the order of these variants.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoLease {
    /// It is not visited by ports.
    #[error("a service that speaks {0} is visited by its name, not by a port")]
    ByName(Proto),
    /// Nothing on a port could tell who comes.
    #[error("only public services get a port; others are reached with `iog forward`")]
    NotPublic,
    /// There is none.
    #[error(transparent)]
    NoPort(#[from] NoPort),
}

/// Leases ports. Clones share the pools.
pub(crate) struct Ports<O> {
    house: Arc<House<O>>,
    address: IpAddr,
    tcp: Shared,
    udp: Shared,
}

type Shared = Arc<Mutex<Half>>;

/// The ports of one protocol.
#[derive(Debug)]
struct Half {
    pool: Pool,
    /// Leases that somebody has.
    leases: BTreeMap<ServiceName, Weak<Leased>>,
    /// Sockets of leases that were dropped, about to be closed.
    closing: Vec<JoinHandle<()>>,
}

/// A port that is a service's. Clones are the same port, and so is what its service leases again meanwhile. Dropping
/// the last gives the port back and closes it; streams that are open stay open.
#[derive(Clone, Debug)]
pub struct Lease(Arc<Leased>);

#[derive(Debug)]
struct Leased {
    port: u16,
    entry: Entry,
    half: Shared,
    metrics: super::metrics::DoorMetrics,
    serving: Option<JoinHandle<()>>,
}

impl Lease {
    /// Which port.
    pub fn port(&self) -> u16 {
        self.0.port
    }
}

impl Drop for Leased {
    fn drop(&mut self) {
        let mut half = self.half.lock().unwrap_or_else(PoisonError::into_inner);
        half.pool.release(self.port, now());
        half.leases.retain(|_, leased| leased.strong_count() > 0);
        self.metrics.ports_leased(self.entry, half.pool.leased());
        if let Some(serving) = self.serving.take() {
            serving.abort();
            half.closing.retain(|closing| !closing.is_finished());
            half.closing.push(serving);
        }
    }
}

/// A socket on a port.
enum Socket {
    Tcp(TcpListener),
    Udp(UdpSocket),
}

impl<O: Opener> Ports<O> {
    pub(crate) fn new(house: Arc<House<O>>, ranges: &PortRanges) -> Self {
        let half = |range: &RangeInclusive<u16>| {
            let (pool, leases) = (Pool::new(range.clone()), BTreeMap::new());
            Arc::new(Mutex::new(Half { pool, leases, closing: Vec::new() }))
        };
        Self { house, address: ranges.address, tcp: half(&ranges.tcp), udp: half(&ranges.udp) }
    }

    /// Leases a port to a service, the wished one (0 for none) or the one that it had before, if they are free.
    pub(crate) async fn lease(
        &self,
        service: &ServiceName,
        offered: &Offered,
        wished: u16,
    ) -> Result<Lease, NoLease> {
        let (half, entry) = match offered.proto {
            Proto::Tcp => (&self.tcp, Entry::Tcp),
            Proto::Udp => (&self.udp, Entry::Udp),
            proto @ (Proto::Http | Proto::Tls | Proto::Ssh) => return Err(NoLease::ByName(proto)),
        };
        if !offered.access.is_public() {
            return Err(NoLease::NotPublic);
        }
        let held = || half.lock().unwrap_or_else(PoisonError::into_inner);
        // It may come back by another line before the relay knows that the first is over.
        if let Some(leased) = held().leases.get(service).and_then(Weak::upgrade) {
            return Ok(Lease(leased));
        }
        // A service that comes back at once finds its port closed, and not about to be.
        let closing = std::mem::take(&mut held().closing);
        for closed in closing {
            let _ = closed.await;
        }
        let account = offered.access.account;
        let candidates = held().pool.candidates(service, account, wished, now())?;
        for port in candidates {
            let Ok(socket) = self.bound(entry, port).await else {
                continue;
            };
            let mut held = held();
            // Meanwhile it may have leased one elsewhere.
            if let Some(leased) = held.leases.get(service).and_then(Weak::upgrade) {
                return Ok(Lease(leased));
            }
            held.pool.lease(port, service.clone(), account);
            self.house.metrics.ports_leased(entry, held.pool.leased());
            let serving = Some(self.serve(socket, service));
            let (half, metrics) = (Arc::clone(half), self.house.metrics.clone());
            let leased = Arc::new(Leased { port, entry, half, metrics, serving });
            held.leases.insert(service.clone(), Arc::downgrade(&leased));
            return Ok(Lease(leased));
        }
        Err(NoPort::NotGiven.into())
    }

    async fn bound(&self, entry: Entry, port: u16) -> std::io::Result<Socket> {
        let address = SocketAddr::new(self.address, port);
        match entry {
            Entry::Udp => UdpSocket::bind(address).await.map(Socket::Udp),
            Entry::Tcp | Entry::Https | Entry::Passthrough | Entry::Ssh | Entry::Forward => {
                TcpListener::bind(address).await.map(Socket::Tcp)
            }
        }
    }

    fn serve(&self, socket: Socket, service: &ServiceName) -> JoinHandle<()> {
        let (house, service) = (Arc::clone(&self.house), service.clone());
        match socket {
            Socket::Tcp(listener) => tokio::spawn(tcp_port::serve(house, listener, service)),
            Socket::Udp(socket) => tokio::spawn(udp_port::serve(house, socket, service)),
        }
    }
}
