//! Sockets for whole frames of one interface, as they cross it.

use std::os::fd::{AsRawFd, OwnedFd};

use anyhow::Context;
use nix::sys::socket::{AddressFamily, LinkAddr, SockFlag, SockProtocol, SockType};

/// A burst of a fast sender fits while the thread waits for a processor.
const SOCKET_BUFFER_BYTES: usize = 16 << 20;
/// A socket for all frames of one interface of the calling thread's namespace, which does not
/// wait, and is not told what it sent itself.
pub(crate) fn packet_socket(interface: &str) -> anyhow::Result<OwnedFd> {
    let all = nix::ifaddrs::getifaddrs().context("list interfaces")?;
    let links = all.filter(|entry| entry.interface_name == interface);
    let address: LinkAddr = links
        .filter_map(|entry| entry.address?.as_link_addr().copied())
        .next()
        .with_context(|| format!("there is no interface {interface}"))?;
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let socket =
        nix::sys::socket::socket(AddressFamily::Packet, SockType::Raw, flags, SockProtocol::EthAll)
            .context("open a packet socket")?;
    nix::sys::socket::bind(socket.as_raw_fd(), &address)
        .with_context(|| format!("bind to {interface}"))?;
    rustix::net::sockopt::set_socket_recv_buffer_size_force(&socket, SOCKET_BUFFER_BYTES)
        .context("enlarge a receive buffer")?;
    Ok(socket)
}
