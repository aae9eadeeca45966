//! The configuration file: WireGuard's, with a few words of our own.
//!
//! Our own words: `Shards`, `Offloads = off`, `Fast = on`, `Resolver`, `MapPorts = on`, `Awake = off` and `Faster` in
//! `[Interface]`, `Suite = fast` and `Padding = 1` in `[Peer]`.

use std::net::{IpAddr, Ipv4Addr, ToSocketAddrs as _};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use mesh::{
    CallSign, Cover, Gate, PeerConfig, Prefix, PresharedKey, PrivateKey, PublicKey, Suite, Timing,
};

use crate::streams::Streams;

/// How a node is set up.
#[derive(Debug)]
pub struct Config {
    /// The device's name.
    pub interface: String,
    /// Its addresses, each with the length of the block around it.
    pub addresses: Vec<(IpAddr, u8)>,
    /// The UDP port; 0 for any.
    pub port: u16,
    /// The longest packet of the private network.
    pub mtu: u16,
    /// How many queues and sockets.
    pub shards: usize,
    /// Whether super-packets are used.
    pub offloads: bool,
    /// Whether threads that carry stay awake a moment for the next packet where that pays: shorter round trips, for
    /// processor time that nobody else wants.
    pub stays_awake: bool,
    /// What the brain is told.
    pub mesh: mesh::Config,
    /// What carries packets over connections to relays, if anything does.
    pub streams: Option<Arc<dyn Streams>>,
    /// Where programs on this node ask for names of members, if anywhere: an address that the device leads to and that
    /// is nobody's. See [`crate::Engine::set_names`].
    pub resolver: Option<Ipv4Addr>,
    /// Whether routers are asked to let peers in: on networks that a person runs, not in a data center.
    pub maps_ports: bool,
    /// Who else there is.
    pub peers: Vec<PeerConfig>,
}

#[derive(Default)]
struct Interface {
    private: Option<PrivateKey>,
    addresses: Vec<(IpAddr, u8)>,
    port: u16,
    mtu: Option<u16>,
    shards: Option<usize>,
    offloads_off: bool,
    fast: bool,
    gate: Gate,
    timing: Timing,
    resolver: Option<Ipv4Addr>,
    maps_ports: bool,
    sleeps_at_once: bool,
}

#[derive(Clone, Copy)]
enum Section {
    None,
    Interface,
    Peer,
}

impl Config {
    /// Reads a file's text.
    pub fn parse(interface: &str, text: &str) -> anyhow::Result<Self> {
        let mut node = Interface::default();
        let mut peers: Vec<PeerConfig> = Vec::new();
        let mut section = Section::None;
        for (number, line) in text.lines().enumerate() {
            let line = line.split('#').next().unwrap_or_default().trim();
            let read = match (line, section) {
                ("", _) => Ok(()),
                ("[Interface]", _) => {
                    section = Section::Interface;
                    Ok(())
                }
                ("[Peer]", _) => {
                    section = Section::Peer;
                    peers.push(unknown_peer());
                    Ok(())
                }
                (line, Section::Interface) => read_interface(&mut node, line),
                (line, Section::Peer) => peers
                    .last_mut()
                    .context("begin with [Peer]")
                    .and_then(|peer| read_peer(peer, line)),
                (_, Section::None) => Err(anyhow::anyhow!("expected [Interface] or [Peer]")),
            };
            read.with_context(|| format!("read line {}", number + 1))?;
        }
        let private = node.private.context("find PrivateKey in [Interface]")?;
        let mtu = node.mtu.unwrap_or(1420);
        let mesh = mesh::Config {
            private,
            sign: CallSign::default(),
            timing: node.timing,
            mtu: mtu.into(),
            opens_fast: node.fast,
            gate: node.gate,
            guard: None,
            inside: Vec::new(),
        };
        let (shards, offloads) = (node.shards.unwrap_or(1).max(1), !node.offloads_off);
        Ok(Self {
            interface: interface.into(),
            addresses: node.addresses,
            port: node.port,
            mtu,
            shards,
            offloads,
            stays_awake: !node.sleeps_at_once,
            mesh,
            streams: None,
            resolver: node.resolver,
            maps_ports: node.maps_ports,
            peers,
        })
    }
}

fn unknown_peer() -> PeerConfig {
    PeerConfig {
        key: PublicKey([0; 32]),
        preshared: PresharedKey::default(),
        endpoint: None,
        allowed: Vec::new(),
        keepalive_every: None,
        suite: Suite::Standard,
        contact: None,
        cover: Cover::None,
    }
}

fn read_interface(node: &mut Interface, line: &str) -> anyhow::Result<()> {
    let (name, value) = split(line)?;
    match name.as_str() {
        "privatekey" => node.private = Some(value.parse()?),
        "listenport" => node.port = value.parse()?,
        "mtu" => node.mtu = Some(value.parse()?),
        "shards" => node.shards = Some(value.parse()?),
        "offloads" => node.offloads_off = !is_on(value)?,
        "fast" => node.fast = is_on(value)?,
        "anyprotocol" => node.gate = if is_on(value)? { Gate::Any } else { Gate::Known },
        "resolver" => node.resolver = Some(value.parse()?),
        "awake" => node.sleeps_at_once = !is_on(value)?,
        "mapports" => node.maps_ports = is_on(value)?,
        "faster" => node.timing = Timing::faster(value.parse()?),
        "address" => {
            for address in value.split(',') {
                let (ip, len) = address.trim().split_once('/').context("find `/` in address")?;
                let (ip, len) = (ip.parse()?, len.parse()?);
                // Only to see that the family has so many bits.
                Prefix::new(ip, len).context("find a prefix length of the address's family")?;
                node.addresses.push((ip, len));
            }
        }
        _ => bail!("`{name}` is not a setting of [Interface]"),
    }
    Ok(())
}

fn read_peer(peer: &mut PeerConfig, line: &str) -> anyhow::Result<()> {
    let (name, value) = split(line)?;
    match name.as_str() {
        "publickey" => peer.key = value.parse()?,
        "presharedkey" => peer.preshared = value.parse()?,
        "endpoint" => {
            let mut found = value.to_socket_addrs().context("resolve endpoint")?;
            peer.endpoint = found.next();
        }
        "allowedips" => {
            for block in value.split(',') {
                peer.allowed.push(block.trim().parse()?);
            }
        }
        "persistentkeepalive" => {
            let seconds: u16 = value.parse()?;
            peer.keepalive_every = (seconds > 0).then(|| Duration::from_secs(seconds.into()));
        }
        "padding" => peer.cover = Cover::try_from(value.parse::<u8>()?)?,
        "suite" if value == "fast" => peer.suite = Suite::Fast,
        "suite" if value == "standard" => peer.suite = Suite::Standard,
        _ => bail!("`{name}` is not a setting of [Peer]"),
    }
    Ok(())
}

fn split(line: &str) -> anyhow::Result<(String, &str)> {
    let (name, value) = line.split_once('=').context("find `=`")?;
    Ok((name.trim().to_lowercase(), value.trim()))
}

fn is_on(value: &str) -> anyhow::Result<bool> {
    match value {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => bail!("`{value}` is neither on nor off"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";

    fn refusal(text: &str) -> String {
        format!("{:#}", Config::parse("mesh0", text).expect_err("it does not read"))
    }

    #[test]
    fn a_file_of_wireguards_reads_with_our_own_words_beside() {
        let text = format!(
            "# a comment\n[Interface]\nPrivateKey = {KEY}\nAddress = 10.0.0.1/24, fd00::1/64\nListenPort=51820\n\
             Fast = on\n\n[Peer]\nPublicKey = {KEY}\nAllowedIPs = 10.0.0.2/32, fd00::2/128 # both\n\
             Endpoint = [::1]:7\nPersistentKeepalive = 25\nSuite = fast\n[Peer]\nPublicKey = {KEY}\n"
        );
        let config = Config::parse("mesh0", &text).expect("it reads");
        assert_eq!((config.port, config.mtu, config.shards), (51820, 1420, 1));
        assert_eq!(config.addresses.len(), 2);
        assert!(config.mesh.opens_fast && config.offloads && config.stays_awake);
        let [first, second] = &config.peers[..] else { panic!("two peers") };
        assert_eq!((first.allowed.len(), first.suite), (2, Suite::Fast));
        assert_eq!(first.keepalive_every, Some(Duration::from_secs(25)));
        assert_eq!(first.endpoint, Some("[::1]:7".parse().expect("an address")));
        assert_eq!((second.endpoint, second.suite), (None, Suite::Standard));
    }

    #[test]
    fn threads_stay_awake_unless_they_are_told_not_to() {
        for (word, stays_awake) in [("", true), ("Awake = on", true), ("Awake = off", false)] {
            let text = format!("[Interface]\nPrivateKey = {KEY}\n{word}");
            assert_eq!(Config::parse("mesh0", &text).expect("it reads").stays_awake, stays_awake);
        }
    }

    #[test]
    fn what_does_not_read_is_refused_with_its_line() {
        for (text, line) in [
            ("PrivateKey = x", "read line 1"),
            ("[Interface]\nPrivateKey = short", "read line 2"),
            ("[Interface]\nListenPort = 70000", "read line 2"),
            ("[Interface]\nAddress = 10.0.0.1/33", "read line 2"),
            ("[Interface]\nFast = perhaps", "read line 2"),
            ("[Interface]\nAwake = never", "read line 2"),
            ("[Interface]\n[Peer]\nAllowedIPs = 10.0.0.0", "read line 3"),
            ("[Interface]\n[Peer]\nSuite = best", "read line 3"),
            ("[Interface]", "find PrivateKey"),
        ] {
            let refusal = refusal(text);
            assert!(refusal.starts_with(line), "{text:?}: {refusal}");
        }
    }
}
