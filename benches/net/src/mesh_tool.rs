//! What carries packets between two machines: our mesh, its peers, or nothing.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use data_encoding::BASE64;
use mesh::PrivateKey;
use namespaces::{Peer, Place, Rig};

use crate::peers::Peers;
use crate::role::Role;
use crate::wire_tool::command;

const PORT: u16 = 51_820;
const MTU: &str = "1420";
/// The queue of a device: what Firezone found a single flow to need.
const QUEUE: &str = "4096";
const SIDES: [&str; 2] = ["a", "b"];
const PATIENCE: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// A tool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum MeshTool {
    /// The wire itself.
    Bare,
    /// Ours, as WireGuard speaks.
    ChaCha,
    /// Ours, among ourselves.
    Aes,
    Boringtun,
    Gotatun,
    WireguardGo,
}

impl MeshTool {
    pub(crate) const ALL: [Self; 6] =
        [Self::Bare, Self::ChaCha, Self::Aes, Self::Boringtun, Self::Gotatun, Self::WireguardGo];
    /// Those that others wrote.
    pub(crate) const STOCK: [Self; 3] = [Self::Boringtun, Self::Gotatun, Self::WireguardGo];

    pub(crate) const fn is_ours(self) -> bool {
        matches!(self, Self::ChaCha | Self::Aes)
    }

    /// Why it cannot be measured here.
    pub(crate) fn absence(self, peers: &Peers) -> Option<String> {
        match self {
            Self::Bare | Self::ChaCha | Self::Aes => None,
            Self::Boringtun => peers.program("boringtun-cli").err(),
            Self::Gotatun => peers.program("gotatun").err(),
            Self::WireguardGo => peers.program("wireguard-go").err(),
        }
    }
}

impl fmt::Display for MeshTool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Bare => "bare veth",
            Self::ChaCha => "iog ChaCha",
            Self::Aes => "iog AES",
            Self::Boringtun => "boringtun",
            Self::Gotatun => "gotatun",
            Self::WireguardGo => "wireguard-go",
        })
    }
}

/// How two ends are set up.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Setup {
    /// Our clock is so many times faster: sessions end sooner. 0 is as 1.
    pub(crate) faster: u32,
    /// `b` does not know where `a` is before `a` says something.
    pub(crate) only_a_knows: bool,
    /// Our threads stay awake for nothing.
    pub(crate) sleeps_at_once: bool,
}

/// Two ends that run, in the places `a` and `b`.
#[derive(Debug)]
pub(crate) struct Ends {
    tools: [MeshTool; 2],
    setup: Setup,
    peers: Vec<Option<Peer>>,
    folder: PathBuf,
}

/// The address of an end inside.
pub(crate) fn inner(side: usize) -> IpAddr {
    Ipv4Addr::new(10, 77, 0, if side == 0 { 1 } else { 2 }).into()
}

fn private(side: usize) -> [u8; 32] {
    // As WireGuard's tools clamp them, so that all read the same.
    let mut key = [if side == 0 { 41 } else { 42 }; 32];
    key[0] &= 248;
    key[31] = (key[31] & 127) | 64;
    key
}

/// Names of devices are names of files for WireGuard's tools, which all namespaces share.
fn interface(side: usize) -> String {
    format!("ib{}{}", std::process::id(), SIDES[side])
}

impl Ends {
    /// Starts both ends, and waits until they have devices.
    pub(crate) fn start(
        rig: &Rig,
        tools: [MeshTool; 2],
        setup: Setup,
        known: &Peers,
    ) -> Result<Self> {
        let folder = rig.new_file("ends")?;
        std::fs::create_dir_all(&folder).context("make a folder")?;
        let mut ends = Self { tools, setup, peers: vec![None, None], folder };
        ends.restart(rig, 0, known)?;
        ends.restart(rig, 1, known)?;
        Ok(ends)
    }

    /// Starts one end, anew if it runs: it forgets all sessions.
    pub(crate) fn restart(&mut self, rig: &Rig, side: usize, known: &Peers) -> Result<()> {
        self.peers[side] = None;
        let (tool, place) = (self.tools[side], rig.at(SIDES[side]));
        if tool == MeshTool::Bare {
            return Ok(());
        }
        let file = self.folder.join(format!("{}.conf", SIDES[side]));
        std::fs::write(&file, self.config(rig, side)).context("write a configuration")?;
        let interface = interface(side);
        let netns = place.netns();
        if tool.is_ours() {
            let role = Role::Mesh { interface, file };
            let mut peer = place.start("mesh", role.command()?)?;
            peer.line_with("ready", PATIENCE)?;
            self.peers[side] = Some(peer);
            return Ok(());
        }
        let mut peer = place.start(&tool.to_string(), stock(tool, &interface, known)?)?;
        eventually(|| match peer.is_running() {
            true => Ok(command("ip", &["-n", netns, "link", "show", &interface]).is_ok()),
            false => bail!("{tool} ended: {}", peer.log()),
        })?;
        let file = file.to_string_lossy();
        eventually(|| {
            Ok(command("ip", &["netns", "exec", netns, "wg", "setconf", &interface, &file]).is_ok())
        })?;
        let address = format!("{}/24", inner(side));
        command("ip", &["-n", netns, "address", "add", &address, "dev", &interface])?;
        command(
            "ip",
            &["-n", netns, "link", "set", "dev", &interface, "mtu", MTU, "txqueuelen", QUEUE, "up"],
        )?;
        self.peers[side] = Some(peer);
        Ok(())
    }

    fn config(&self, rig: &Rig, side: usize) -> String {
        let (tool, other) = (self.tools[side], 1 - side);
        let mut text = format!(
            "[Interface]\nPrivateKey = {}\nListenPort = {PORT}\n",
            BASE64.encode(&private(side))
        );
        if tool.is_ours() {
            text += &format!("MTU = {MTU}\nAddress = {}/24\n", inner(side));
            if tool == MeshTool::Aes {
                text += "Fast = on\n";
            }
            if self.setup.sleeps_at_once {
                text += "Awake = off\n";
            }
            if self.setup.faster > 1 {
                text += &format!("Faster = {}\n", self.setup.faster);
            }
        }
        let public = PrivateKey::from_bytes(private(other)).public();
        text += &format!("[Peer]\nPublicKey = {public}\nAllowedIPs = {}/32\n", inner(other));
        if tool == MeshTool::Aes {
            text += "Suite = fast\n";
        }
        if side == 0 || !self.setup.only_a_knows {
            text += &format!("Endpoint = {}:{PORT}\n", rig.at(SIDES[other]).v4());
        }
        text
    }

    /// Processor time of both so far.
    pub(crate) fn cpu(&self) -> Result<Duration> {
        self.peers.iter().flatten().map(Peer::cpu).sum()
    }

    /// Memory of both.
    pub(crate) fn resident_kib(&self) -> Result<u64> {
        self.peers.iter().flatten().map(Peer::resident_kib).sum()
    }

    /// Where `b` is for `a`.
    pub(crate) fn target(&self, rig: &Rig) -> IpAddr {
        match self.tools[1] == MeshTool::Bare {
            true => rig.at("b").v4().into(),
            false => inner(1),
        }
    }

    /// When a stock end last shook hands, by its own account, in seconds of the system's clock.
    pub(crate) fn last_handshake(&self, rig: &Rig) -> Result<u64> {
        let side =
            self.tools.iter().position(|tool| !tool.is_ours()).context("have a stock end")?;
        let mut wg = rig.at(SIDES[side]).exec("wg");
        let said =
            wg.args(["show", &interface(side), "latest-handshakes"]).output().context("run wg")?;
        let said = String::from_utf8_lossy(&said.stdout).into_owned();
        said.split_whitespace().last().context("find a time")?.parse().context("read a time")
    }
}

fn stock(tool: MeshTool, interface: &str, known: &Peers) -> Result<Command> {
    let program = |name: &str| known.program(name).map_err(anyhow::Error::msg);
    let mut command = match tool {
        MeshTool::Boringtun => Command::new(program("boringtun-cli")?),
        MeshTool::Gotatun => Command::new(program("gotatun")?),
        MeshTool::WireguardGo => Command::new(program("wireguard-go")?),
        MeshTool::Bare | MeshTool::ChaCha | MeshTool::Aes => bail!("start {tool} otherwise"),
    };
    command.arg("--foreground");
    if tool != MeshTool::WireguardGo {
        command.arg("--disable-drop-privileges");
    }
    command.arg(interface).env("WG_THREADS", "2").env("WG_PROCESS_FOREGROUND", "1");
    Ok(command)
}

/// Waits until it is so.
pub(crate) fn eventually(mut is_so: impl FnMut() -> Result<bool>) -> Result<()> {
    let until = Instant::now() + PATIENCE;
    while !is_so()? {
        if Instant::now() > until {
            bail!("wait any longer");
        }
        std::thread::sleep(LOOK_EVERY);
    }
    Ok(())
}

/// One datagram's way there and back, within a moment.
pub(crate) fn reaches(from: &Place<'_>, to: IpAddr, size: u16) -> bool {
    let size = size.to_string();
    let to = to.to_string();
    let words =
        ["netns", "exec", from.netns(), "ping", "-n", "-c", "1", "-W", "1", "-s", &size, &to];
    command("ip", &words).is_ok()
}
