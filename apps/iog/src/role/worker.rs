//! `iog worker join`, `run` and `check`: this machine as a supplier's.

use std::net::{IpAddr, Ipv4Addr};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use agent::{Depth, Egress, Offers, Sandbox};
use anyhow::Context;
use signal_hook::consts::{SIGINT, SIGTERM};
use units::{Country, Name};

use crate::failure::Failure;
use crate::role::{Ties, checked};
use crate::session::Session;
use crate::size::Mebibytes;

/// Where nodes are reached unless another place is named: from this machine alone.
const ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
/// Ports that nodes use unless others are named.
const PORTS: RangeInclusive<u16> = 20_000..=29_999;

/// What a machine does for itself.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Verb {
    /// Join a network with the token of an invitation. Makes this machine's own key.
    #[command(after_help = "\
Examples:
  iog worker join TOKEN --server https://iog.example --data /var/lib/iog-worker
  iog worker join TOKEN --server http://127.0.0.1:4870 --vcpus 4 --memory 16GiB --no-gpus")]
    Join {
        /// The token of the invitation: `iog worker invite` prints it.
        token: String,
        /// Measure neither the disk nor the line before joining.
        #[arg(long)]
        quick: bool,
        /// Join although something is missing, where the network lets it in. It takes no rentals until nothing is.
        #[arg(long)]
        anyway: bool,
        #[command(flatten)]
        machine: MachineArgs,
        #[command(flatten)]
        ties: Ties,
    },
    /// Serve rentals until it is told to stop (SIGTERM, Ctrl-C). What runs goes on; the next start finds it again.
    #[command(after_help = "\
Examples:
  iog worker run --data /var/lib/iog-worker --address 192.0.2.7
  iog worker run --stop-nodes        end what runs here when it stops")]
    Run {
        /// End every node that runs here when the agent is told to stop.
        #[arg(long)]
        stop_nodes: bool,
        #[command(flatten)]
        machine: MachineArgs,
        #[command(flatten)]
        ties: Ties,
    },
    /// Look whether this machine can serve, what it would offer, and how it compares with what a network asks for: the
    /// one of --server, or the one it has joined. Measures its disk and its line; nothing that is written stays.
    #[command(after_help = "\
Examples:
  iog worker check --server https://iog.example --data /var/lib/iog-worker
  iog worker check --quick
  iog worker check --json | jq '.findings[] | select(.verdict != \"good\")'")]
    Check {
        /// Measure neither the disk nor the line.
        #[arg(long)]
        quick: bool,
        #[command(flatten)]
        machine: MachineArgs,
    },
}

/// The network of a machine's nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum NodeNetwork {
    Own,
    Host,
}

/// What of this machine is on offer, and where.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Machine")]
pub(crate) struct MachineArgs {
    /// The agent's own folder: its key, its nodes.
    #[arg(long, value_name = "FOLDER", default_value = "iog-worker")]
    data: PathBuf,
    /// What to call the machine; its host name unless named. Settled when it joins.
    #[arg(long, value_name = "NAME")]
    name: Option<Name>,
    /// Which part of the machine this agent offers, when several share one: 1, 2, …; each is a worker of its own.
    /// Settled when it joins.
    #[arg(long, value_name = "N", default_value_t = 0)]
    part: u32,
    /// vCPUs on offer; all of them unless named.
    #[arg(long, value_name = "N")]
    vcpus: Option<u32>,
    /// Memory on offer, as in 16GiB; all but one gibibyte unless named.
    #[arg(long, value_name = "SIZE")]
    memory: Option<Mebibytes>,
    /// Disk on offer, as in 100GiB; what is free but for eight gibibytes unless named.
    #[arg(long, value_name = "SIZE")]
    disk: Option<Mebibytes>,
    /// Keep the GPUs.
    #[arg(long)]
    no_gpus: bool,
    /// The country it stands in, as in DE.
    #[arg(long, value_name = "CC")]
    country: Option<Country>,
    /// Where its nodes are reached by the others of a cluster.
    #[arg(long, value_name = "IP", default_value = "127.0.0.1")]
    address: IpAddr,
    /// Ports that nodes may use, 200 each.
    #[arg(long, value_name = "FROM-TO", default_value = "20000-29999", value_parser = ports)]
    ports: RangeInclusive<u16>,
    /// The folder of runtimes, which all agents of a machine share; `runtimes` in the data folder unless named.
    #[arg(long, value_name = "FOLDER")]
    runtimes: Option<PathBuf>,
    /// What nodes run in: auto, bubblewrap, plain.
    #[arg(long, value_name = "WORD", default_value = "auto", value_parser = sandbox)]
    sandbox: Sandbox,
    /// The network of nodes: own, which is their rental's private network where this machine can give them one, or
    /// host, which is this machine's.
    #[arg(long, value_name = "WORD", default_value = "own", value_parser = network)]
    network: NodeNetwork,
    /// What nodes with a network of their own reach beside it: internet, but nothing of this machine's own network, or
    /// off.
    #[arg(long, value_name = "WORD", default_value = "internet", value_parser = egress)]
    egress: Egress,
    /// Stop processes that belong to nobody when they are on a card that is rented: ask them to end, and end them after
    /// ten seconds. Without it they are only named in the log.
    #[arg(long)]
    stop_foreign: bool,
}

impl MachineArgs {
    fn config(&self, server: Option<String>) -> agent::Config {
        agent::Config {
            data: self.data.clone(),
            server: server.unwrap_or_default(),
            name: self.name.clone(),
            part: self.part,
            offers: Offers {
                vcpus: self.vcpus,
                memory_mib: self.memory.map(|size| size.0),
                disk_mib: self.disk.map(|size| size.0),
                no_gpus: self.no_gpus,
            },
            country: self.country,
            address: self.address,
            ports: self.ports.clone(),
            runtimes: self.runtimes.clone().unwrap_or_else(|| self.data.join("runtimes")),
            sandbox: self.sandbox,
            own_network: self.network == NodeNetwork::Own,
            egress: self.egress,
            stop_foreign: self.stop_foreign,
            driver: None,
            reports: None,
        }
    }
}

impl MachineArgs {
    /// What was said of the machine, to be said again: what is not would be offered whole.
    fn words(&self) -> String {
        let said = [
            ("--data", Some(self.data.display().to_string())),
            ("--part", Some(self.part).filter(|part| *part > 0).map(|part| part.to_string())),
            ("--vcpus", self.vcpus.map(|vcpus| vcpus.to_string())),
            ("--memory", self.memory.map(|size| size.to_string())),
            ("--disk", self.disk.map(|size| size.to_string())),
            ("--no-gpus", self.no_gpus.then(String::new)),
            ("--country", self.country.map(|country| country.to_string())),
            ("--address", Some(self.address).filter(|it| *it != ADDRESS).map(|it| it.to_string())),
            ("--ports", Some(&self.ports).filter(|it| **it != PORTS).map(ports_text)),
            ("--runtimes", self.runtimes.as_ref().map(|folder| folder.display().to_string())),
            ("--sandbox", sandbox_text(self.sandbox).map(str::to_owned)),
            ("--network", (self.network == NodeNetwork::Host).then(|| "host".to_owned())),
            ("--egress", (self.egress == Egress::Off).then(|| "off".to_owned())),
            ("--stop-foreign", self.stop_foreign.then(String::new)),
        ];
        let said = said.into_iter().filter_map(|(flag, value)| Some((flag, value?)));
        said.map(|(flag, value)| match value.as_str() {
            "" => format!(" {flag}"),
            value if value.contains(char::is_whitespace) => format!(" {flag} '{value}'"),
            value => format!(" {flag} {value}"),
        })
        .collect()
    }
}

impl Verb {
    pub(crate) fn run(&self, session: &Session) -> Result<(), Failure> {
        match self {
            Self::Join { token, quick, anyway, machine, ties } => {
                let _held = ties.bind()?;
                let config = machine.config(session.server());
                agent::may_join(&config, token)?;
                checked::before_joining(&config, depth(*quick), *anyway, session.screen)?;
                let worker = agent::join(&config, token)?;
                session.screen.note(&format!("This machine joined as {worker}."));
                session.screen.note(&format!("Serve with: iog worker run{}", machine.words()));
                Ok(())
            }
            Self::Run { stop_nodes, machine, ties } => {
                let _held = ties.bind()?;
                let config = machine.config(session.named_server());
                agent::may_run(&config).map_err(Failure::told)?;
                let ran = served(&config);
                if *stop_nodes {
                    agent::stop_nodes(&config)?;
                }
                ran
            }
            Self::Check { quick, machine } => {
                let config = machine.config(session.named_server());
                checked::show(session, &checked::looked(&config, depth(*quick), session.screen))
            }
        }
    }
}

const fn depth(quick: bool) -> Depth {
    if quick { Depth::Look } else { Depth::Measure }
}

fn served(config: &agent::Config) -> Result<(), Failure> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGTERM, SIGINT] {
        signal_hook::flag::register(signal, Arc::clone(&stop)).context("listen for signals")?;
    }
    Ok(agent::run(config, &stop)?)
}

/// Reads a range of ports, as in `20000-29999`.
pub(crate) fn ports(text: &str) -> Result<RangeInclusive<u16>, String> {
    let wrong = || "write it as in 20000-29999".to_owned();
    let (from, to) = text.split_once('-').ok_or_else(wrong)?;
    let number = |text: &str| text.trim().parse::<u16>().map_err(|_| wrong());
    let (from, to) = (number(from)?, number(to)?);
    if from == 0 || from > to { Err(wrong()) } else { Ok(from..=to) }
}

fn ports_text(ports: &RangeInclusive<u16>) -> String {
    format!("{}-{}", ports.start(), ports.end())
}

/// How a sandbox is named; nothing for the one that is taken anyway.
const fn sandbox_text(sandbox: Sandbox) -> Option<&'static str> {
    match sandbox {
        Sandbox::Auto => None,
        Sandbox::Bubblewrap => Some("bubblewrap"),
        Sandbox::Plain => Some("plain"),
    }
}

fn sandbox(text: &str) -> Result<Sandbox, String> {
    match text {
        "auto" => Ok(Sandbox::Auto),
        "bubblewrap" => Ok(Sandbox::Bubblewrap),
        "plain" => Ok(Sandbox::Plain),
        _ => Err("it is one of auto, bubblewrap, plain".to_owned()),
    }
}

fn network(text: &str) -> Result<NodeNetwork, String> {
    match text {
        "own" => Ok(NodeNetwork::Own),
        "host" => Ok(NodeNetwork::Host),
        _ => Err("it is one of own, host".to_owned()),
    }
}

fn egress(text: &str) -> Result<Egress, String> {
    match text {
        "internet" => Ok(Egress::Internet),
        "off" => Ok(Egress::Off),
        _ => Err("it is one of internet, off".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_said_of_a_machine_when_it_joined_is_what_it_serves_with() {
        #[derive(clap::Parser)]
        struct Line {
            #[command(flatten)]
            machine: MachineArgs,
        }
        let words = |line: &str| {
            <Line as clap::Parser>::parse_from(format!("iog {line}").split_whitespace())
                .machine
                .words()
        };
        assert_eq!(words(""), " --data iog-worker");
        let all = " --data w --part 2 --vcpus 4 --memory 16GiB --disk 100GiB --no-gpus --country DE \
                   --address 192.0.2.7 --ports 20000-20999 --runtimes r --sandbox plain --network host --egress off \
                   --stop-foreign";
        assert_eq!(words(all), all);
    }

    #[test]
    fn a_range_of_ports_has_two_ends() {
        assert_eq!(ports("20000-20999"), Ok(20_000..=20_999));
        for wrong in ["", "20000", "2-1", "0-5", "a-b", "1-70000"] {
            assert!(ports(wrong).is_err(), "{wrong}");
        }
    }
}
