//! `iog relay`: meets what cannot meet.

use std::fs;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;

use ::relay::Ready;
use anyhow::{Context, anyhow};
use units::WorkerId;
use wire::paper::NodeKey;

use crate::client::Client;
use crate::failure::Failure;
use crate::role::relay_listed::{Listed, Place, network_key};
use crate::role::{Ties, worker};
use crate::screen::Screen;
use crate::session::Session;

/// Run a relay until it is told to stop (SIGTERM, Ctrl-C): machines that nobody can dial keep a line to it, and
/// visitors reach their services by its doors. The first start makes its key, in `relay.key` of the data folder.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  iog relay --network 9f64a747e1b97f131fabb6b447296c9b6f0201e79fb3c5356e6c77e89b6a806a
  iog relay --server https://iog.example --advertise 203.0.113.5:443 --listen 0.0.0.0:443
  iog --key-file relay.key relay --server https://iog.example --machine wkr_… \\
    --advertise 203.0.113.5:443 --listen 0.0.0.0:443
  iog relay --network 9f64a747e1b97f131fabb6b447296c9b6f0201e79fb3c5356e6c77e89b6a806a \\
    --listen 0.0.0.0:443 --domain relay.example --tcp-ports 20000-29999")]
pub(crate) struct Args {
    /// Where it keeps its key, and what its doors keep.
    #[arg(long, value_name = "FOLDER", default_value = "iog-relay")]
    data: PathBuf,
    /// Where machines and visitors come; port 0 takes a free one.
    #[arg(long, value_name = "ADDRESS", default_value = "0.0.0.0:4443")]
    listen: SocketAddr,
    /// The key of the network whose passes are good here, in hexadecimal; else the server is asked.
    #[arg(long, value_name = "KEY", required_unless_present = "advertise")]
    network: Option<NodeKey>,
    /// Where machines and visitors reach it: with this it is in the network's list, kept there with your key, and
    /// machines use it. Once for each address.
    #[arg(long, value_name = "ADDRESS")]
    advertise: Vec<SocketAddr>,
    /// Your machine whose stake backs it, one for each relay; the operator needs none.
    #[arg(long, value_name = "ID", requires = "advertise", conflicts_with = "domain")]
    machine: Option<WorkerId>,
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
    /// Keep a log of streams and of who was not let to what in this file, sealed by the relay's key: see
    /// `iog net audit`.
    #[arg(long, value_name = "FILE")]
    audit: Option<PathBuf>,
    /// Write the relay's key and address into this file once it runs, as in KEY@ADDRESS.
    #[arg(long, value_name = "FILE")]
    ready_file: Option<PathBuf>,
    #[command(flatten)]
    ties: Ties,
}

impl Args {
    pub(crate) fn run(
        &self,
        screen: Screen,
        session: impl FnOnce() -> Result<Session, Failure>,
    ) -> Result<(), Failure> {
        let _held = self.ties.bind()?;
        let client = match self.advertise.is_empty() {
            true => None,
            false => Some(session()?.client()?),
        };
        let network = match (self.network, &client) {
            (Some(network), _) => network,
            (None, Some(client)) => network_key(client)?,
            (None, None) => {
                let hint = "name it with --network, or the relay's addresses with --advertise";
                return Err(Failure::usage("the network's key is not known", hint));
            }
        };
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
            network,
            doors,
            metrics: self.metrics,
            audit: self.audit.clone(),
        };
        // Dropped at the end, when it says that it goes away.
        let mut listed = None;
        let mut refused = None;
        let ran = ::relay::run(&config, |ready| {
            let begun = client.map(|client| self.list(client, &ready)).transpose();
            listed = begun.map_err(|failure| {
                refused = Some(failure);
                anyhow!("it is not taken into the list")
            })?;
            let Some(file) = &self.ready_file else { return Ok(()) };
            let told = fs::write(file, format!("{}@{}\n", ready.key, ready.address));
            if let Err(fault) = told.context("write the ready file") {
                screen.note(&format!("could not {fault:#}"));
            }
            Ok(())
        });
        drop(listed);
        match refused {
            Some(failure) => Err(failure),
            None => Ok(ran?),
        }
    }

    fn list(&self, client: Client, ready: &Ready) -> Result<Listed, Failure> {
        let audit = self.audit.clone();
        Listed::begin(client, self.place(ready), audit, ready.standing.clone())
    }

    /// Where it is, as the list has it.
    fn place(&self, ready: &Ready) -> Place {
        let tcp = self.advertise.clone();
        let packets = |port| tcp.iter().map(|at| SocketAddr::new(at.ip(), port)).collect();
        let udp = ready.udp_port.map(packets).unwrap_or_default();
        Place { key: ready.key, worker: self.machine, udp, domain: self.domain.clone(), tcp }
    }
}
