//! A node, as its visitors by SSH use it.

use std::io;
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use units::MeshId;
use wire::paper::{mesh_v4_block, mesh_v6_block};

use super::ssh::{Asked, Program, Room};
use super::switch::Switch;
use crate::tunnel::Behind;

/// How long a connection to another member may take.
const DIAL_PATIENCE: Duration = Duration::from_secs(10);

/// The node behind a switch, whenever it runs.
#[derive(Debug)]
pub(super) struct NodeRoom {
    /// What leads to it.
    pub(super) switch: Arc<Switch>,
    /// Its private network.
    pub(super) mesh: MeshId,
}

impl Room for NodeRoom {
    fn run(&self, asked: &Asked) -> Result<Program> {
        self.switch.net()?.run(asked)
    }

    fn dial(&self, host: &str, port: u16) -> io::Result<TcpStream> {
        match host.parse::<IpAddr>() {
            Ok(ip) if ip.is_loopback() => self.switch.dial(port),
            Err(_) if host == "localhost" => self.switch.dial(port),
            Ok(ip) if is_in_mesh(self.mesh, ip) => {
                self.switch.net()?.dial(SocketAddr::new(ip, port), DIAL_PATIENCE)
            }
            Ok(_) | Err(_) => Err(io::Error::other(
                "only the node itself and addresses of its network are reached",
            )),
        }
    }
}

/// Whether an address is of this private network.
fn is_in_mesh(mesh: MeshId, ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => {
            let (block, bits) = mesh_v4_block(mesh);
            (ip.to_bits() ^ block.to_bits()).checked_shr(32 - u32::from(bits)) == Some(0)
        }
        IpAddr::V6(ip) => {
            let (block, bits) = mesh_v6_block(mesh);
            (ip.to_bits() ^ block.to_bits()).checked_shr(128 - u32::from(bits)) == Some(0)
        }
    }
}

#[cfg(test)]
mod tests {
    use wire::paper::{NodeKey, mesh_v4, mesh_v6};

    use super::*;

    #[test]
    fn only_addresses_of_the_nodes_own_network_are_in_it() {
        let (mine, other) = (MeshId::from_bits(1), MeshId::from_bits(2));
        let key = NodeKey([3; 32]);
        assert!(is_in_mesh(mine, mesh_v4(mine, 16).unwrap().into()));
        assert!(is_in_mesh(mine, mesh_v6(mine, &key).into()));
        assert!(!is_in_mesh(mine, mesh_v4(other, 16).unwrap().into()));
        assert!(!is_in_mesh(mine, mesh_v6(other, &key).into()));
        for host in ["10.0.0.1", "192.0.2.1", "::1", "127.0.0.1", "2001:db8::1"] {
            assert!(!is_in_mesh(mine, host.parse().unwrap()), "{host}");
        }
    }
}
