//! What an agent is told when it starts.

use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;

use anyhow::{Result, ensure};
use units::{Country, Name};

use crate::link::is_address;
use crate::runtime::net::Egress;
use crate::runtime::ports::BLOCK;
use crate::runtime::sandbox::Choice;

/// What an agent is told when it starts. It reads no environment variables.
#[derive(Clone, Debug)]
pub struct Config {
    /// The agent's own folder: its identity, its nodes.
    pub data: PathBuf,
    /// Where the control plane is: `https://…`. Empty: where it was when this machine joined.
    pub server: String,
    /// What to call the machine; its host name unless named. Settled when it joins.
    pub name: Option<Name>,
    /// Which part of the machine this agent offers, when several agents share one machine; 0 when it has it alone.
    /// Each part joins as a worker of its own.
    pub part: u32,
    /// How much of the machine is on offer.
    pub offers: Offers,
    /// The country it stands in.
    pub country: Option<Country>,
    /// Where this machine's nodes can be reached by the others of a cluster.
    pub address: IpAddr,
    /// Ports that nodes may use, 200 each.
    pub ports: RangeInclusive<u16>,
    /// A folder that all agents of the machine share: the runtime's environment.
    pub runtimes: PathBuf,
    /// What nodes run in.
    pub sandbox: Choice,
    /// Whether nodes of a mesh get a network of their own, where this machine can give them one. Without, this machine
    /// serves no rental that has a mesh.
    pub own_network: bool,
    /// What nodes with a network of their own reach beside their mesh.
    pub egress: Egress,
    /// Whether processes that belong to nobody are stopped when they are on a card that is rented. They are named in
    /// any case.
    pub stop_foreign: bool,
    /// The graphics driver's management library, where it is not among the system's.
    pub driver: Option<PathBuf>,
    /// Where the kernel of a confidential virtual machine hands out quotes, where that is not
    /// `/sys/kernel/config/tsm/report`.
    pub reports: Option<PathBuf>,
}

/// How much of the machine is on offer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Offers {
    /// Hardware threads; all of them unless named.
    pub vcpus: Option<u32>,
    /// Main memory, in mebibytes; all but one gibibyte unless named.
    pub memory_mib: Option<u64>,
    /// Disk, in mebibytes; what is free when the machine joins, but for eight gibibytes, unless named.
    pub disk_mib: Option<u64>,
    /// Whether graphics cards stay out.
    pub no_gpus: bool,
}

impl Config {
    /// How many nodes the ports are enough for.
    pub fn nodes_max(&self) -> u32 {
        let ports = u32::from(*self.ports.end()) + 1;
        ports.saturating_sub(u32::from(*self.ports.start())) / u32::from(BLOCK)
    }

    /// Refuses what can never work.
    pub(crate) fn checked(&self) -> Result<()> {
        self.checked_server()?;
        self.checked_networks()?;
        self.checked_place()
    }

    /// Refuses to shut nodes off that have no network of their own to be shut off in.
    pub(crate) fn checked_networks(&self) -> Result<()> {
        ensure!(
            self.own_network || self.egress == Egress::Internet,
            "keep nodes from the Internet with --egress off: with --network host they have this machine's network, \
             and reach all that it reaches (hint: leave one of the two out)"
        );
        Ok(())
    }

    /// Refuses a server that is none. Where it is not named, the machine knows it.
    pub(crate) fn checked_server(&self) -> Result<()> {
        ensure!(
            self.server.is_empty() || is_address(&self.server),
            "use the server `{}`: it is no http(s) address (hint: write it as in --server https://iog.example)",
            self.server
        );
        Ok(())
    }

    /// Refuses an address and ports at which no node is reached.
    pub(crate) fn checked_place(&self) -> Result<()> {
        ensure!(
            self.nodes_max() > 0,
            "use ports {}-{}: a node takes {BLOCK} (hint: name a longer range)",
            self.ports.start(),
            self.ports.end()
        );
        ensure!(
            !self.address.is_unspecified() && !self.address.is_multicast(),
            "be reached at {}: that is no machine's address \
             (hint: say --address with the one by which others reach this machine)",
            self.address
        );
        Ok(())
    }
}

#[cfg(test)]
impl Config {
    /// What a test says less of than it could.
    pub(crate) fn of_test() -> Self {
        Self {
            data: PathBuf::new(),
            server: String::new(),
            name: None,
            part: 0,
            offers: Offers::default(),
            country: None,
            address: IpAddr::from([127, 0, 0, 1]),
            ports: 20_000..=20_399,
            runtimes: PathBuf::new(),
            sandbox: Choice::Plain,
            own_network: true,
            egress: Egress::Internet,
            stop_foreign: false,
            driver: None,
            reports: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_ports(ports: RangeInclusive<u16>) -> Config {
        Config { ports, ..Config::of_test() }
    }

    #[test]
    fn a_server_has_an_address_and_a_machine_has_one_of_its_own() {
        let told = |server: &str, address: [u8; 4]| {
            let mut config = with_ports(20_000..=20_399);
            (config.server, config.address) = (server.to_owned(), IpAddr::from(address));
            config.checked().map_err(|fault| fault.to_string())
        };
        for good in ["", "http://127.0.0.1:4870", "https://iog.example/"] {
            assert_eq!(told(good, [192, 0, 2, 7]), Ok(()));
        }
        for wrong in ["iog.example", "ftp://iog.example", "http://", "https://a b", "http:/x"] {
            assert!(told(wrong, [192, 0, 2, 7]).unwrap_err().contains("http(s)"), "{wrong}");
        }
        for wrong in [[0, 0, 0, 0], [224, 0, 0, 1]] {
            assert!(told("", wrong).unwrap_err().contains("--address"), "{wrong:?}");
        }
    }

    #[test]
    fn a_range_of_ports_is_enough_for_whole_nodes() {
        assert_eq!(with_ports(20_000..=20_399).nodes_max(), 2);
        assert_eq!(with_ports(20_000..=20_398).nodes_max(), 1);
        assert_eq!(with_ports(0..=u16::MAX).nodes_max(), 327);
        let fault = with_ports(20_000..=20_100).checked().unwrap_err().to_string();
        assert!(fault.contains("20000-20100") && fault.contains("hint"), "{fault}");
    }
}
