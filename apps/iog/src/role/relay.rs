//! `iog relay`: meets what cannot meet.

use std::fs;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;

use anyhow::Context;
use wire::paper::NodeKey;

use crate::failure::Failure;
use crate::role::{Ties, worker};
use crate::screen::Screen;

/// Run a relay until it is told to stop (SIGTERM, Ctrl-C): machines that nobody can dial keep a line to it, and
/// visitors reach their services by its doors. The first start makes its key, in `relay.key` of the data folder.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  iog relay --network 9f64a747e1b97f131fabb6b447296c9b6f0201e79fb3c5356e6c77e89b6a806a
  iog relay --network 9f64a747e1b97f131fabb6b447296c9b6f0201e79fb3c5356e6c77e89b6a806a \\
    --listen 0.0.0.0:443 --domain relay.example --tcp-ports 20000-29999")]
pub(crate) struct Args {
    /// Where it keeps its key, and what its doors keep.
    #[arg(long, value_name = "FOLDER", default_value = "iog-relay")]
    data: PathBuf,
    /// Where machines and visitors come; port 0 takes a free one.
    #[arg(long, value_name = "ADDRESS", default_value = "0.0.0.0:4443")]
    listen: SocketAddr,
    /// The key of the network whose passes are good here, in hexadecimal.
    #[arg(long, value_name = "KEY")]
    network: NodeKey,
    /// The domain whose names are services, as in relay.example. Without one the relay has no doors for visitors.
    #[arg(long, value_name = "DOMAIN")]
    domain: Option<String>,
    /// The certificate that visitors are shown, in PEM: a chain that names *.DOMAIN. The relay makes one, which
    /// browsers do not know, unless it is named.
    #[arg(long, value_name = "FILE", requires_all = ["domain", "certificate_key"])]
    certificate: Option<PathBuf>,
    /// The certificate's private key, in PEM.
    #[arg(long, value_name = "FILE", requires = "certificate")]
    certificate_key: Option<PathBuf>,
    /// A port of its own for SSH, beside the one for all.
    #[arg(long, value_name = "ADDRESS", requires = "domain")]
    ssh_listen: Option<SocketAddr>,
    /// TCP ports that services can lease, as in 20000-29999.
    #[arg(long, value_name = "FROM-TO", value_parser = worker::ports, requires = "domain")]
    tcp_ports: Option<RangeInclusive<u16>>,
    /// UDP ports that services can lease.
    #[arg(long, value_name = "FROM-TO", value_parser = worker::ports, requires = "domain")]
    udp_ports: Option<RangeInclusive<u16>>,
    /// Where its figures are read, as Prometheus does.
    #[arg(long, value_name = "ADDRESS")]
    metrics: Option<SocketAddr>,
    /// Write the relay's key and address into this file once it runs, as in KEY@ADDRESS.
    #[arg(long, value_name = "FILE")]
    ready_file: Option<PathBuf>,
    #[command(flatten)]
    ties: Ties,
}

impl Args {
    pub(crate) fn run(&self, screen: Screen) -> Result<(), Failure> {
        let _held = self.ties.bind()?;
        let certificate = self.certificate.clone().zip(self.certificate_key.clone());
        let doors = self.domain.clone().map(|domain| ::relay::DoorsConfig {
            domain,
            certificate,
            ssh_listen: self.ssh_listen,
            ports_address: self.listen.ip(),
            tcp_ports: self.tcp_ports.clone(),
            udp_ports: self.udp_ports.clone(),
        });
        let config = ::relay::Config {
            data: self.data.clone(),
            listen: self.listen,
            network: self.network,
            doors,
            metrics: self.metrics,
        };
        ::relay::run(&config, |ready| {
            let Some(file) = &self.ready_file else { return };
            let told = fs::write(file, format!("{}@{}\n", ready.key, ready.address));
            if let Err(fault) = told.context("write the ready file") {
                screen.note(&format!("could not {fault:#}"));
            }
        })?;
        Ok(())
    }
}
