//! What the server is told when it starts.

use std::net::SocketAddr;
use std::path::PathBuf;

use crate::oracle::RateSource;

/// How to run a server.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where it keeps its journal, keys, packages, logs and result files. `iog server --data`.
    pub data: PathBuf,
    /// Where its API listens; port 0 takes a free one. `iog server --listen`, default `127.0.0.1:4870`.
    pub listen: SocketAddr,
    /// Where the journal is: a path, `sqlite:…` or `postgres://…`; by default `iog.db` in `data`.
    /// `iog server --store`.
    pub store: Option<String>,
    /// The most the `SQLite` file may grow to, in bytes. `iog server --store-max-bytes`.
    pub store_max_bytes: Option<u64>,
    /// Become the writer although another server holds the journal. `iog server --take-over`.
    pub take_over: bool,
    /// Requests per second of one key or one unknown caller, in the long run. `iog server --rate`.
    pub rate_per_second: u32,
    /// Who says what a coin is worth; with none, only the operator does. `iog server --oracle-source`, none by
    /// default. A rate takes as many sources as the parameter `oracle.sources_min` says.
    pub oracle: Vec<RateSource>,
    /// The folder of what attestations are verified with; by default `attestation` in `data`.
    /// `iog server --attestation`.
    pub attestation: Option<PathBuf>,
    /// A folder of roots that are believed beside NVIDIA's and Intel's: for tests and networks for development. None
    /// by default. `iog server --attestation-extra-roots`.
    pub attestation_extra_roots: Option<PathBuf>,
    /// Whether relays of suppliers may be at addresses that are not of the public Internet: for networks within one
    /// organization. `iog server --private-relays`.
    pub private_relays: bool,
}

impl Config {
    /// What a server with this folder goes by that is told nothing else.
    pub fn new(data: PathBuf, listen: SocketAddr, rate_per_second: u32) -> Self {
        Self {
            data,
            listen,
            store: None,
            store_max_bytes: None,
            take_over: false,
            rate_per_second,
            oracle: Vec::new(),
            attestation: None,
            attestation_extra_roots: None,
            private_relays: false,
        }
    }

    /// The address of the journal.
    pub fn journal(&self) -> String {
        self.store.clone().unwrap_or_else(|| self.data.join("iog.db").display().to_string())
    }

    /// Where the data is that attestations are verified with.
    pub fn attestation(&self) -> PathBuf {
        self.attestation.clone().unwrap_or_else(|| self.data.join("attestation"))
    }
}
