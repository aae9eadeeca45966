//! The UDP socket: many datagrams per call where the kernel can, one by one where it cannot.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use mesh::Ecn;

use crate::sys::{self, Received};

/// Room for several bursts of super-packets while a thread is not scheduled.
const BUFFER_BYTES: i32 = 7 << 20;

/// A bound UDP socket, shared by the threads of a shard and the brain's.
#[derive(Debug)]
pub struct UdpPort {
    fd: OwnedFd,
    v6: bool,
    sends_many: AtomicBool,
}

/// What became of datagrams that were given to [`UdpPort::send`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// They left.
    All,
    /// They left one by one, because they are longer than the way allows: the brain should know.
    TooLong,
    /// The system would not take them now; as on any way, they are lost.
    Lost,
}

impl UdpPort {
    /// Binds `port` on all addresses. `shared`: other shards bind it too.
    pub fn open(port: u16, shared: bool, offloads: bool) -> io::Result<Self> {
        let (fd, v6) = sys::open_udp(port, shared)?;
        sys::set_buffers(&fd, BUFFER_BYTES);
        sys::allow_fragments(&fd)?;
        sys::receive_ecn(&fd);
        let sends_many = offloads && sys::can_send_many(&fd);
        if offloads {
            // Without it datagrams come one by one, which works too.
            sys::receive_many(&fd);
        }
        Ok(Self { fd, v6, sends_many: AtomicBool::new(sends_many) })
    }

    /// Where it is bound.
    pub fn local_address(&self) -> io::Result<SocketAddr> {
        UdpSocket::from(self.fd.try_clone()?).local_addr()
    }

    /// Lets [`UdpPort::receive`] wait no longer than this.
    pub fn set_patience(&self, patience: Duration) -> io::Result<()> {
        UdpSocket::from(self.fd.try_clone()?).set_read_timeout(Some(patience))
    }

    /// Sends datagrams of `size` bytes each, the last perhaps shorter.
    pub fn send(&self, to: SocketAddr, datagrams: &[u8], size: usize) -> Sent {
        self.send_marked(to, datagrams, size, Ecn::Deaf)
    }

    /// As above, of datagrams that say something of congestion.
    pub fn send_marked(&self, to: SocketAddr, datagrams: &[u8], size: usize, ecn: Ecn) -> Sent {
        let to = self.of_family(to);
        if datagrams.len() <= size || self.sends_many.load(Relaxed) {
            match sys::send(self.fd.as_fd(), to, datagrams, size, ecn) {
                Ok(()) => return Sent::All,
                Err(error) if datagrams.len() <= size => return lost(&error),
                Err(error) => match error.raw_os_error() {
                    Some(libc::EIO) => self.sends_many.store(false, Relaxed),
                    Some(libc::EMSGSIZE | libc::EINVAL) => {
                        self.send_each(to, datagrams, size, ecn);
                        return Sent::TooLong;
                    }
                    Some(_) | None => return Sent::Lost,
                },
            }
        }
        self.send_each(to, datagrams, size, ecn)
    }

    fn send_each(&self, to: SocketAddr, datagrams: &[u8], size: usize, ecn: Ecn) -> Sent {
        let mut all = Sent::All;
        for datagram in datagrams.chunks(size) {
            if let Err(error) = sys::send(self.fd.as_fd(), to, datagram, datagram.len(), ecn) {
                all = lost(&error);
            }
        }
        all
    }

    /// Receives one datagram, or several of one length. `None`: there is none, and we were not to wait.
    pub fn receive(&self, into: &mut [u8], wait: bool) -> io::Result<Option<Received>> {
        match sys::receive(self.fd.as_fd(), into, wait) {
            Ok(received) => Ok(Some(received)),
            Err(error) if is_passing(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// A socket of IPv6 calls IPv4 addresses by their IPv6 names.
    fn of_family(&self, to: SocketAddr) -> SocketAddr {
        match to {
            SocketAddr::V4(v4) if self.v6 => {
                SocketAddr::from((v4.ip().to_ipv6_mapped(), v4.port()))
            }
            SocketAddr::V4(_) | SocketAddr::V6(_) => to,
        }
    }
}

/// Nothing there, a signal, or an error that belongs to a datagram sent before: the socket itself is well.
fn is_passing(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(
            libc::EAGAIN
                | libc::EINTR
                | libc::ECONNREFUSED
                | libc::EHOSTUNREACH
                | libc::ENETUNREACH
                | libc::ENETDOWN
        )
    )
}

fn lost(error: &io::Error) -> Sent {
    if error.raw_os_error() == Some(libc::EMSGSIZE) { Sent::TooLong } else { Sent::Lost }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use super::*;

    /// Everything that arrives until all `bytes` did, as datagrams.
    fn receive_all(port: &UdpPort, bytes: usize) -> Vec<Vec<u8>> {
        let (mut datagrams, mut got, mut buffer) = (Vec::new(), 0, vec![0; 65_536]);
        while got < bytes {
            let received = port.receive(&mut buffer, true).expect("the socket is well");
            let received = received.expect("there is something");
            got += received.len;
            datagrams.extend(buffer[..received.len].chunks(received.size).map(<[u8]>::to_vec));
        }
        datagrams
    }

    fn port_of(port: &UdpPort) -> u16 {
        port.local_address().expect("bound").port()
    }

    #[test]
    fn datagrams_sent_together_arrive_apart_with_offloads_and_without() {
        let sent: Vec<u8> =
            (0..10_u8).flat_map(|number| vec![number; 1000]).chain([77; 300]).collect();
        for (from_offloads, to_offloads) in
            [(true, true), (true, false), (false, true), (false, false)]
        {
            let from = UdpPort::open(0, false, from_offloads).expect("a socket");
            let to = UdpPort::open(0, false, to_offloads).expect("a socket");
            for ip in [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()] {
                if !to.v6 && SocketAddr::new(ip, 0).is_ipv6() {
                    continue;
                }
                let target = SocketAddr::new(ip, port_of(&to));
                assert_eq!(from.send(target, &sent, 1000), Sent::All);
                let expected: Vec<Vec<u8>> = sent.chunks(1000).map(<[u8]>::to_vec).collect();
                assert_eq!(receive_all(&to, sent.len()), expected);
            }
        }
    }

    #[test]
    fn marks_of_congestion_are_sent_and_heard() {
        for offloads in [true, false] {
            let (from, to) = (UdpPort::open(0, false, offloads), UdpPort::open(0, false, true));
            let (from, to) = (from.expect("a socket"), to.expect("a socket"));
            for ip in [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()] {
                let target = SocketAddr::new(ip, port_of(&to));
                if !to.v6 && target.is_ipv6() {
                    continue;
                }
                for ecn in [Ecn::Zero, Ecn::Deaf, Ecn::Congested, Ecn::One] {
                    assert_eq!(from.send_marked(target, &[7; 2500], 1000, ecn), Sent::All);
                    let (mut got, mut buffer) = (0, vec![0; 65_536]);
                    while got < 2500 {
                        let received = to.receive(&mut buffer, true).expect("the socket is well");
                        let received = received.expect("there is something");
                        assert_eq!(received.ecn, ecn, "to {ip}");
                        got += received.len;
                    }
                }
            }
        }
    }

    #[test]
    fn an_address_of_ipv4_is_called_so() {
        let (from, to) = (UdpPort::open(0, false, true), UdpPort::open(0, false, true));
        let (from, to) = (from.expect("a socket"), to.expect("a socket"));
        let target = SocketAddr::from((Ipv4Addr::LOCALHOST, port_of(&to)));
        assert_eq!(from.send(target, b"text", 4), Sent::All);
        let received = to.receive(&mut vec![0; 65_536], true).expect("well").expect("something");
        assert_eq!(received.from, SocketAddr::from((Ipv4Addr::LOCALHOST, port_of(&from))));
    }

    #[test]
    fn with_nothing_there_nobody_waits_who_was_not_to() {
        let port = UdpPort::open(0, false, true).expect("a socket");
        assert!(port.receive(&mut [0; 2000], false).expect("the socket is well").is_none());
    }
}
