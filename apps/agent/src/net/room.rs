//! A node, as its visitors by SSH use it.

use std::io;
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use units::MeshId;
use wire::paper::{Membership, mesh_v4_block, mesh_v6_block};

use super::house::House;
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
    /// Who it is, and what it was told.
    pub(super) house: Arc<House>,
}

impl NodeRoom {
    /// Where this is in the node's network; nowhere if it is not in it.
    fn place(&self, host: &str) -> Option<IpAddr> {
        match host.parse::<IpAddr>() {
            Ok(ip) => Some(ip).filter(|ip| is_in_mesh(self.house.mesh, *ip)),
            Err(_) => {
                let papers = self.house.papers()?;
                named(host, &papers.papers.members).map(|member| member.v4.into())
            }
        }
    }
}

impl Room for NodeRoom {
    fn run(&self, asked: &Asked) -> Result<Program> {
        self.switch.net()?.run(asked)
    }

    fn dial(&self, host: &str, port: u16) -> io::Result<TcpStream> {
        match host.parse::<IpAddr>() {
            Ok(ip) if ip.is_loopback() => self.switch.dial(port),
            Err(_) if host == "localhost" => self.switch.dial(port),
            Ok(_) | Err(_) => match self.place(host) {
                Some(ip) => self.switch.net()?.dial(SocketAddr::new(ip, port), DIAL_PATIENCE),
                None => Err(io::Error::other("only the node itself and its network are reached")),
            },
        }
    }
}

/// The member that is called this: `NAME.mesh`, as in the node.
fn named<'a>(host: &str, members: &'a [Membership]) -> Option<&'a Membership> {
    let name = host.strip_suffix('.').unwrap_or(host).strip_suffix(".mesh")?;
    members.iter().find(|member| member.name.text() == name)
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
    use units::Timestamp;
    use wire::Time;
    use wire::paper::{MeshKey, NodeKey, mesh_v4, mesh_v6};

    use super::*;

    #[test]
    fn members_are_found_by_the_names_that_programs_of_the_node_use() {
        let mesh = MeshId::from_bits(1);
        let time = Time(Timestamp::from_millis(0));
        let member = |name: &str, at: u8| Membership {
            mesh,
            node: NodeKey([at; 32]),
            x25519: MeshKey([at; 32]),
            name: name.parse().unwrap(),
            v4: mesh_v4(mesh, at.into()).unwrap(),
            v6: mesh_v6(mesh, &NodeKey([at; 32])),
            groups: Default::default(),
            tags: Default::default(),
            suites: Vec::new(),
            relays: Vec::new(),
            serial: 1,
            issued: time,
            expires: time,
        };
        let members = [member("head", 16), member("node-1", 17)];
        let found = |host: &str| named(host, &members).map(|member| member.name.to_string());
        for (host, name) in [("head.mesh", "head"), ("node-1.mesh.", "node-1")] {
            assert_eq!(found(host).as_deref(), Some(name), "{host}");
        }
        for host in ["head", "mesh", ".mesh", "node-2.mesh", "head.mesh.example", "HEAD"] {
            assert_eq!(found(host), None, "{host}");
        }
    }

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
