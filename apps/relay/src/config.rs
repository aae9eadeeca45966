//! What a relay is told when it starts.

use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::PathBuf;

use wire::paper::NodeKey;

/// How to run a relay. It reads no environment variables.
#[derive(Clone, Debug)]
pub struct Config {
    /// Its own folder: its key, and what its doors keep. `iog relay --data`.
    pub data: PathBuf,
    /// Where nodes and visitors come; port 0 takes a free one. `iog relay --listen`, default `0.0.0.0:4443`.
    pub listen: SocketAddr,
    /// The key of the network whose passes are good here. `iog relay --network`.
    pub network: NodeKey,
    /// What its doors need; without it, services are reached by nodes of their own only.
    pub doors: Option<DoorsConfig>,
    /// Where its figures are read, as Prometheus does. `iog relay --metrics`, nowhere by default.
    pub metrics: Option<SocketAddr>,
    /// Where its log of streams and refusals is kept, sealed by its key. `iog relay --audit`, nowhere by default.
    pub audit: Option<PathBuf>,
}

/// What the doors of a relay need.
#[derive(Clone, Debug)]
pub struct DoorsConfig {
    /// The domain whose names are services. `iog relay --domain`.
    pub domain: String,
    /// The certificate that visitors are shown: a chain and a key in PEM; made by the relay itself without.
    /// `iog relay --certificate` and `--certificate-key`.
    pub certificate: Option<(PathBuf, PathBuf)>,
    /// A port of its own for SSH. `iog relay --ssh-listen`.
    pub ssh_listen: Option<SocketAddr>,
    /// On which address ports are leased. `iog relay --ports-address`, that of `--listen` by default.
    pub ports_address: IpAddr,
    /// TCP ports that are leased. `iog relay --tcp-ports`, none by default.
    pub tcp_ports: Option<RangeInclusive<u16>>,
    /// UDP ports that are leased. `iog relay --udp-ports`, none by default.
    pub udp_ports: Option<RangeInclusive<u16>>,
}
