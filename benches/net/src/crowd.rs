//! Memory: of a relay that holds ten thousand idle tunnels, and of a machine's networking.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Context as _, Result};
use namespaces::{Peer, Rig};

use crate::contest::Effort;
use crate::goals::{Goal, Row};
use crate::load;
use crate::role::{Role, relay_from};
use crate::tunnel_tool::served_at;
use crate::wire_tool;

const PATIENCE: Duration = Duration::from_secs(20);
/// Ten thousand handshakes at both ends on two busy cores.
const CROWD_PATIENCE: Duration = Duration::from_secs(400);
/// Peers of the mesh that a machine of a large cluster knows.
const MESH_PEERS: u8 = 200;

/// A relay at a place, and how others dial it.
pub(crate) fn relay(rig: &Rig, name: &str) -> Result<(Peer, agent::tunnel::RelayAt)> {
    let data = rig.new_file(&format!("data-{name}"))?;
    let role = Role::Relay {
        data,
        listen: SocketAddr::from((Ipv4Addr::UNSPECIFIED, 4_443)),
        ports: (20_000, 20_009),
    };
    let place = rig.at(name);
    let mut relay = place.start("relay", role.command()?)?;
    let ready = relay.line_with("ready at", PATIENCE)?;
    let at = relay_from(&ready, place.v4().into())?;
    Ok((relay, at))
}

/// What an idle tunnel takes of a relay's memory (RSS; what the kernel keeps for a socket is not in it): a line under
/// TLS of a node of its own, with a service that has a name.
///
/// # Errors
/// If one is not let in.
pub fn idle_tunnels(effort: &Effort) -> Result<Row> {
    let rig = wire_tool::triple()?;
    let (relay, at) = relay(&rig, "relay")?;
    let before = relay.resident_kib()?;
    let many = effort.crowd;
    let mut crowd = rig.at("worker").start("crowd", Role::Crowd { relay: at, many }.command()?)?;
    crowd.line_with(&format!("up {many}"), CROWD_PATIENCE)?;
    let each = (relay.resident_kib()? - before) as f64 * 1.024 / f64::from(many);
    Ok(Row::alone(&format!("KB an idle tunnel at a relay with {many}"), each, Goal::AtMost(50.0)))
}

/// Memory of a machine's networking: lines to two relays, and a mesh of a large cluster, after bulk through the one and
/// packets through the other.
///
/// # Errors
/// If something does not start.
pub fn agent_memory(effort: &Effort) -> Result<Row> {
    let rig = wire_tool::two_relays()?;
    let (first, second) = (relay(&rig, "relay-1")?, relay(&rig, "relay-2")?);
    let worker = rig.at("worker");
    let server = load::Server::start(&worker, IpAddr::V4(Ipv4Addr::LOCALHOST), 7_000)?;
    let file = rig.new_file("mesh.conf")?;
    std::fs::write(&file, mesh_file()).context("write a configuration")?;
    let mesh = Some(("mesh0".to_owned(), file));
    let role = Role::Node {
        relays: vec![first.1, second.1],
        target: server.address(),
        is_plain: false,
        mesh,
    };
    let mut node = worker.start("node", role.command()?)?;
    let doors = served_at(&mut node)?;
    let customer = rig.at("customer");
    for door in &doors {
        load::up(&customer, *door, effort.bulk)?;
        load::down(&customer, *door, effort.bulk)?;
        load::short(&customer, *door, effort.short)?;
    }
    let megabytes = node.resident_kib()? as f64 * 1.024e-3;
    drop(node);
    server.stop(&worker);
    Ok(Row::alone("MB of agent networking", megabytes, Goal::AtMost(30.0)))
}

fn mesh_file() -> String {
    let key = |number: u8| data_encoding::BASE64.encode(&[number; 32]);
    let mut text = format!("[Interface]\nPrivateKey = {}\nAddress = 10.9.0.1/16\n", key(255));
    for number in 1..=MESH_PEERS {
        text += &format!(
            "[Peer]\nPublicKey = {}\nAllowedIPs = 10.9.1.{number}/32\nSuite = fast\n",
            key(number)
        );
    }
    text
}
