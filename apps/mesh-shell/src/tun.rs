//! The TUN device: packets of the private network, behind the header that says what the kernel left to do.

use std::io;
use std::net::IpAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use anyhow::Context as _;

use crate::config::Config;
use crate::offloads::Offloads;
use crate::sys;

/// Long enough that a burst of the kernel's waits rather than drops.
const QUEUE_PACKETS: u16 = 4096;

/// One queue of the device.
#[derive(Debug)]
pub(crate) struct Tun {
    fd: OwnedFd,
    offloads: Offloads,
    can_look: AtomicBool,
}

impl Tun {
    /// Opens the device with as many queues as there are shards, gives it its addresses, and switches it on.
    pub(crate) fn open(config: &Config) -> anyhow::Result<Vec<Arc<Self>>> {
        let name = &config.interface;
        let open_one = |_| -> anyhow::Result<Arc<Self>> {
            let fd = sys::open_tun(name, config.shards > 1).context("open TUN device")?;
            Self::attach(fd, config.offloads)
        };
        let queues = (0..config.shards).map(open_one).collect::<anyhow::Result<_>>()?;
        raise(name, config.mtu, &config.addresses)?;
        Ok(queues)
    }

    /// The queue of a device that is there already.
    pub(crate) fn attach(fd: OwnedFd, offloads: bool) -> anyhow::Result<Arc<Self>> {
        let wanted = if offloads { Offloads::TcpAndUdp } else { Offloads::None };
        let set = [wanted, Offloads::Tcp, Offloads::None]
            .into_iter()
            .find(|tried| sys::set_offloads(fd.as_fd(), *tried).is_ok());
        let offloads = set.context("set offloads of TUN device")?;
        Ok(Arc::new(Self { fd, offloads, can_look: AtomicBool::new(true) }))
    }

    /// Whether it takes UDP super-packets.
    pub(crate) fn takes_udp(&self) -> bool {
        self.offloads == Offloads::TcpAndUdp
    }

    /// Whether it takes super-packets at all.
    pub(crate) fn takes_many(&self) -> bool {
        self.offloads != Offloads::None
    }

    /// Whether the kernel can say that there is no frame now.
    pub(crate) fn can_look(&self) -> bool {
        self.can_look.load(Relaxed)
    }

    /// Reads one frame, waiting for it if `wait`. `None`: there is none now.
    pub(crate) fn read(&self, into: &mut [u8], wait: bool) -> io::Result<Option<usize>> {
        match sys::read(self.fd.as_fd(), into, wait) {
            Ok(len) => Ok(Some(len)),
            Err(error) if is_passing(&error) => Ok(None),
            // A kernel that cannot read without waiting: then frames leave one by one.
            Err(error) if !wait && error.raw_os_error() == Some(libc::EOPNOTSUPP) => {
                self.can_look.store(false, Relaxed);
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Writes one frame from its parts. A frame that the kernel refuses is lost, as on any network.
    pub(crate) fn write(&self, parts: &[io::IoSlice<'_>]) -> io::Result<()> {
        match sys::write_parts(self.fd.as_fd(), parts) {
            Err(error) if error.raw_os_error() == Some(libc::EBADFD) => Err(error),
            Ok(_) | Err(_) => Ok(()),
        }
    }
}

/// Makes a device in this process's network namespace, with its addresses and the routes to the blocks around them.
///
/// If it is there already, it is taken up again. It stays as long as the namespace; [`crate::Engine::start_on`] takes
/// what is returned, in whatever process.
///
/// # Errors
/// If the system does not let this process make it.
pub fn make_device(name: &str, mtu: u16, addresses: &[(IpAddr, u8)]) -> anyhow::Result<OwnedFd> {
    let fd = sys::open_tun(name, false).context("open TUN device")?;
    sys::keep_device(fd.as_fd()).context("keep TUN device")?;
    raise(name, mtu, addresses)?;
    Ok(fd)
}

fn raise(name: &str, mtu: u16, addresses: &[(IpAddr, u8)]) -> anyhow::Result<()> {
    sys::raise_interface(name, mtu, QUEUE_PACKETS).context("configure TUN device")?;
    for (ip, len) in addresses {
        if ip.is_ipv6() {
            allow_ipv6(name);
        }
        match sys::set_address(name, *ip, *len) {
            Err(error) if ip.is_ipv6() && is_harmless(&error) => {}
            set => set.with_context(|| format!("give TUN device the address {ip}/{len}"))?,
        }
    }
    Ok(())
}

/// Where IPv6 is switched off for new devices, ours has it nonetheless: nothing of it leaves but through the tunnel.
fn allow_ipv6(device: &str) {
    let switch = format!("/proc/sys/net/ipv6/conf/{device}/disable_ipv6");
    // Where it cannot be written, setting the address tells.
    let _unwritten = std::fs::write(switch, "0");
}

/// A system without IPv6 has a private network without it; a device that was there may have its address.
fn is_harmless(error: &io::Error) -> bool {
    let known = [libc::EAFNOSUPPORT, libc::EADDRNOTAVAIL, libc::EACCES, libc::EEXIST];
    error.raw_os_error().is_some_and(|code| known.contains(&code))
}

/// `EIO`: the device is switched off, and may be switched on again.
fn is_passing(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EAGAIN | libc::EINTR | libc::EIO))
}
