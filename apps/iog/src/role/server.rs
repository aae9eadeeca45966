//! `iog server`: the control plane.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::Context;
use server::RateSource;

use crate::config::write_secret;
use crate::failure::Failure;
use crate::role::Ties;
use crate::screen::Screen;

/// Where the API listens unless it is told otherwise.
pub(crate) const LISTEN: &str = "127.0.0.1:4870";

/// Run a control plane until it is told to stop (SIGTERM, Ctrl-C). The first start makes the operator's key, in
/// `operator.key` of the data folder.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  iog server --data /var/lib/iog
  iog server --data /var/lib/iog --listen 0.0.0.0:4870 --store postgres://iog@db/iog --log-json
  iog login --server http://127.0.0.1:4870 --key-file /var/lib/iog/operator.key")]
pub(crate) struct Args {
    /// Where it keeps its journal, packages, logs and result files.
    #[arg(long, value_name = "FOLDER", default_value = "iog-server")]
    data: PathBuf,
    /// Where the API listens; port 0 takes a free one.
    #[arg(long, value_name = "ADDRESS", default_value = LISTEN)]
    listen: SocketAddr,
    /// Where the journal is: a path, sqlite:… or postgres://…; by default a file in the data folder.
    #[arg(long, value_name = "URL")]
    store: Option<String>,
    /// The most the file of the journal may grow to, in bytes.
    #[arg(long, value_name = "BYTES")]
    store_max_bytes: Option<u64>,
    /// Become the writer although another server holds the journal.
    #[arg(long)]
    take_over: bool,
    /// Requests a second of one key, in the long run.
    #[arg(long, value_name = "N", default_value_t = 100)]
    rate: u32,
    /// Who says what a coin is worth: a price, as in fixed:0.25, or a file with one, as in <file:price.txt>. May be
    /// repeated.
    #[arg(long, value_name = "SOURCE")]
    oracle_source: Vec<RateSource>,
    /// The folder of what attestations are verified with; `attestation` in the data folder unless named.
    #[arg(long, value_name = "FOLDER")]
    attestation: Option<PathBuf>,
    /// Believe the roots in this folder beside NVIDIA's and Intel's: for tests and networks for development.
    #[arg(long, value_name = "FOLDER")]
    attestation_extra_roots: Option<PathBuf>,
    /// Let relays of suppliers be at any address, and not of the public Internet alone: for networks within one
    /// organization, whose machines and renters may be sent to any of its addresses.
    #[arg(long)]
    private_relays: bool,
    /// Write the API's address into this file once it answers.
    #[arg(long, value_name = "FILE")]
    ready_file: Option<PathBuf>,
    #[command(flatten)]
    ties: Ties,
}

impl Args {
    pub(crate) fn run(&self, screen: Screen) -> Result<(), Failure> {
        let _held = self.ties.bind()?;
        let config = server::Config {
            data: self.data.clone(),
            listen: self.listen,
            store: self.store.clone(),
            store_max_bytes: self.store_max_bytes,
            take_over: self.take_over,
            rate_per_second: self.rate,
            oracle: self.oracle_source.clone(),
            attestation: self.attestation.clone(),
            attestation_extra_roots: self.attestation_extra_roots.clone(),
            private_relays: self.private_relays,
        };
        let ready_file = self.ready_file.clone();
        server::run(&config, |address| {
            if let Some(fault) = ready_file.and_then(|file| told(&file, address).err()) {
                screen.note(&format!("could not {fault:#}"));
            }
        })?;
        Ok(())
    }
}

fn told(file: &Path, address: SocketAddr) -> anyhow::Result<()> {
    write_secret(file, format!("{address}\n").as_bytes()).context("write the ready file")
}
