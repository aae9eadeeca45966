//! Where others may reach this machine: the addresses of its interfaces.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use mesh::Prefix;

use crate::sys;

/// How often interfaces are looked at: a cable or a radio that changes is noticed by pings first.
pub(crate) const LOOK_EVERY: Duration = Duration::from_secs(5);

/// The addresses to tell peers, with the port. Those of our own device, and others of the blocks `inside`, lead into
/// the private network; loopback and link-local ones lead nowhere.
pub(crate) fn of_interfaces(own_device: &str, port: u16, inside: &[Prefix]) -> Vec<SocketAddr> {
    // Without them, relays still tell where they see us.
    let found = sys::interface_addresses().unwrap_or_default();
    let is_outside = |ip: &IpAddr| !inside.iter().any(|block| block.contains(*ip));
    let theirs = found
        .into_iter()
        .filter(|(name, ip)| name != own_device && is_reachable(*ip) && is_outside(ip));
    let mut addresses: Vec<SocketAddr> = theirs.map(|(_, ip)| (ip, port).into()).collect();
    addresses.sort_unstable();
    addresses.dedup();
    addresses
}

fn is_reachable(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(v4) => !v4.is_loopback() && !v4.is_link_local() && !v4.is_unspecified(),
        IpAddr::V6(v6) => !v6.is_loopback() && !v6.is_unicast_link_local() && !v6.is_unspecified(),
    }
}
