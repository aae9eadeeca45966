//! What carries connections from a customer over a relay to a worker: our tunnels, their peers, or the wire.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use data_encoding::BASE64;
use mesh::PrivateKey;
use namespaces::{Peer, Rig};

use crate::load::Server;
use crate::mesh_tool::eventually;
use crate::peers::Peers;
use crate::role::{Role, relay_from};
use crate::wire_tool::command;

/// Where the program listens on the worker.
const PROGRAM_PORT: u16 = 7_000;
/// Where peers' customers come.
const DOOR_PORT: u16 = 5_202;
/// Where OpenSSH's server is.
const SSH_PORT: u16 = 2_222;
const PATIENCE: Duration = Duration::from_secs(30);

/// A tool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum TunnelTool {
    /// Routed by the relay's machine, without any program.
    Bare,
    /// Ours, all under TLS.
    Tls,
    /// Ours, where the owner allowed bulk without TLS.
    Plain,
    Rathole,
    RatholeNoise,
    Bore,
    /// A remote forward of the system's OpenSSH.
    Ssh,
}

impl TunnelTool {
    pub(crate) const ALL: [Self; 7] = [
        Self::Bare,
        Self::Tls,
        Self::Plain,
        Self::Rathole,
        Self::RatholeNoise,
        Self::Bore,
        Self::Ssh,
    ];

    /// Why it cannot be measured here.
    pub(crate) fn absence(self, peers: &Peers) -> Option<String> {
        match self {
            Self::Bare | Self::Tls | Self::Plain => None,
            Self::Rathole | Self::RatholeNoise => peers.program("rathole").err(),
            Self::Bore => peers.program("bore").err(),
            Self::Ssh => {
                ["sshd", "ssh", "ssh-keygen"].into_iter().find_map(|name| peers.program(name).err())
            }
        }
    }
}

impl fmt::Display for TunnelTool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Bare => "routed veth",
            Self::Tls => "iog TLS leg",
            Self::Plain => "iog plain leg",
            Self::Rathole => "rathole",
            Self::RatholeNoise => "rathole noise",
            Self::Bore => "bore",
            Self::Ssh => "OpenSSH",
        })
    }
}

/// A tunnel that runs, and the program behind it.
#[derive(Debug)]
pub(crate) struct Tunnel {
    programs: Vec<Peer>,
    server: Option<Server>,
    /// Where customers come.
    pub(crate) door: SocketAddr,
}

impl Tunnel {
    pub(crate) fn start(rig: &Rig, tool: TunnelTool, known: &Peers) -> Result<Self> {
        let (worker, relay) = (rig.at("worker"), IpAddr::from(rig.at("relay").v4()));
        let inside = match tool == TunnelTool::Bare {
            true => Ipv4Addr::UNSPECIFIED,
            false => Ipv4Addr::LOCALHOST,
        };
        let server = Server::start(&worker, inside, PROGRAM_PORT)?;
        let target = server.address();
        let program = |name: &str| known.program(name).map_err(anyhow::Error::msg);
        let (programs, door) = match tool {
            TunnelTool::Bare => (Vec::new(), SocketAddr::from((worker.v4(), PROGRAM_PORT))),
            TunnelTool::Tls | TunnelTool::Plain => ours(rig, target, tool == TunnelTool::Plain)?,
            TunnelTool::Rathole | TunnelTool::RatholeNoise => {
                let (server, client) = rathole(relay, target, tool == TunnelTool::RatholeNoise);
                let start = |place: &str, name: &str, config: &str| -> Result<Peer> {
                    let file = rig.new_file(&format!("{name}.toml"))?;
                    std::fs::write(&file, config).context("write a configuration")?;
                    let mut command = Command::new(program("rathole")?);
                    command.arg(format!("--{name}")).arg(file);
                    rig.at(place).start(name, command)
                };
                let programs =
                    vec![start("relay", "server", &server)?, start("worker", "client", &client)?];
                (programs, SocketAddr::new(relay, DOOR_PORT))
            }
            TunnelTool::Bore => {
                let server = rig.at("relay").peer(program("bore")?, &["server"])?;
                std::thread::sleep(Duration::from_millis(200));
                let (port, to, door) =
                    (PROGRAM_PORT.to_string(), relay.to_string(), DOOR_PORT.to_string());
                let words =
                    ["local", &port, "--local-host", "127.0.0.1", "--to", &to, "--port", &door];
                let client = worker.peer(program("bore")?, &words)?;
                (vec![server, client], SocketAddr::new(relay, DOOR_PORT))
            }
            TunnelTool::Ssh => (openssh(rig, target, &program)?, SocketAddr::new(relay, DOOR_PORT)),
        };
        let tunnel = Self { programs, server: Some(server), door };
        let customer = rig.at("customer");
        eventually(|| Ok(crate::load::ask(&customer, door, 1).is_ok()))
            .with_context(|| format!("come through {tool}"))?;
        Ok(tunnel)
    }

    /// Processor time of relay and worker so far.
    pub(crate) fn cpu(&self) -> Result<Duration> {
        self.programs.iter().map(Peer::cpu).sum()
    }

    pub(crate) fn resident_kib(&self) -> Result<u64> {
        self.programs.iter().map(Peer::resident_kib).sum()
    }

    pub(crate) fn stop(mut self, rig: &Rig) {
        self.programs.clear();
        if let Some(server) = self.server.take() {
            server.stop(&rig.at("worker"));
        }
    }
}

fn ours(rig: &Rig, target: SocketAddr, is_plain: bool) -> Result<(Vec<Peer>, SocketAddr)> {
    let data = rig.new_file("relay")?;
    let role = Role::Relay {
        data,
        listen: SocketAddr::from((Ipv4Addr::UNSPECIFIED, 4_443)),
        ports: (20_000, 20_009),
    };
    let mut relay = rig.at("relay").start("relay", role.command()?)?;
    let ready = relay.line_with("ready at", PATIENCE)?;
    let relays = vec![relay_from(&ready, rig.at("relay").v4().into())?];
    let role = Role::Node { relays, target, is_plain, mesh: None };
    let mut node = rig.at("worker").start("node", role.command()?)?;
    let door = served_at(&mut node)?.first().copied().context("be served somewhere")?;
    Ok((vec![relay, node], door))
}

/// Where the relays of a machine serve its program.
pub(crate) fn served_at(node: &mut Peer) -> Result<Vec<SocketAddr>> {
    let line = node.line_with("served at", PATIENCE)?;
    let Some((_, doors)) = line.rsplit_once(' ') else { bail!("read where it is served: {line}") };
    doors.split(',').map(|door| door.parse().with_context(|| format!("read {door}"))).collect()
}

/// A server at the relay, and a worker that has its program forwarded from there.
fn openssh(
    rig: &Rig,
    target: SocketAddr,
    program: &dyn Fn(&str) -> Result<PathBuf>,
) -> Result<Vec<Peer>> {
    let folder = rig.new_file("ssh")?;
    std::fs::create_dir_all(&folder).context("make a folder")?;
    let at = |name: &str| folder.join(name).to_string_lossy().into_owned();
    for key in ["host", "user"] {
        let keygen = program("ssh-keygen")?;
        let words = ["-q", "-t", "ed25519", "-N", "", "-f", &at(key)];
        command(&keygen.to_string_lossy(), &words)?;
    }
    let config = format!(
        "ListenAddress 0.0.0.0:{SSH_PORT}\nHostKey {}\nAuthorizedKeysFile {}\nPidFile none\nUsePAM no\n\
         StrictModes no\nGatewayPorts yes\nPermitRootLogin prohibit-password\nUseDNS no\n",
        at("host"),
        at("user.pub")
    );
    std::fs::write(at("sshd.conf"), config).context("write a configuration")?;
    let mut sshd = Command::new(program("sshd")?);
    sshd.args(["-D", "-e", "-f", &at("sshd.conf")]);
    let mut sshd = rig.at("relay").start("sshd", sshd)?;
    sshd.line_with("listening", PATIENCE)?;
    let mut ssh = Command::new(program("ssh")?);
    let forward = format!("0.0.0.0:{DOOR_PORT}:{target}");
    ssh.args(["-N", "-F", "none", "-i", &at("user"), "-p", &SSH_PORT.to_string(), "-R", &forward]);
    for option in ["StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "BatchMode=yes"] {
        ssh.args(["-o", option]);
    }
    // What its peers are measured with, too, and the cheapest of its ciphers.
    ssh.args(["-c", "aes256-gcm@openssh.com", &format!("root@{}", rig.at("relay").v4())]);
    let ssh = rig.at("worker").start("ssh", ssh)?;
    // The client first: its end of the connection ends the server's.
    Ok(vec![ssh, sshd])
}

/// Configurations of server and client.
fn rathole(relay: IpAddr, target: SocketAddr, is_noise: bool) -> (String, String) {
    let key = [43; 32];
    let public = PrivateKey::from_bytes(key).public();
    let (server_key, client_key, kind) = match is_noise {
        true => (
            format!("[server.transport.noise]\nlocal_private_key = \"{}\"\n", BASE64.encode(&key)),
            format!("[client.transport.noise]\nremote_public_key = \"{public}\"\n"),
            "noise",
        ),
        false => (String::new(), String::new(), "tcp"),
    };
    let server = format!(
        "[server]\nbind_addr = \"0.0.0.0:2333\"\ndefault_token = \"bench\"\n[server.transport]\ntype = \"{kind}\"\n\
         {server_key}[server.services.bench]\nbind_addr = \"0.0.0.0:{DOOR_PORT}\"\n"
    );
    let client = format!(
        "[client]\nremote_addr = \"{relay}:2333\"\ndefault_token = \"bench\"\n[client.transport]\ntype = \"{kind}\"\n\
         {client_key}[client.services.bench]\nlocal_addr = \"{target}\"\n"
    );
    (server, client)
}
