//! The system calls of the data path: the only file of this shell that may be `unsafe`.
//!
//! Each function takes and returns owned or borrowed Rust values; no raw pointer leaves this file. What the kernel
//! writes is read only as far as it said that it wrote.
#![expect(unsafe_code, reason = "system calls that no safe library offers with offloads")]

use std::ffi::CStr;
use std::io;
use std::mem::{self, MaybeUninit};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::thread::JoinHandleExt as _;
use std::thread::JoinHandle;

use mesh::Ecn;

use crate::control::Control;
use crate::offloads::Offloads;

/// The families as addresses carry them.
const FAMILY_V4: libc::sa_family_t = 2;
const FAMILY_V6: libc::sa_family_t = 10;

/// One datagram, or several of one length, as received.
#[derive(Clone, Copy, Debug)]
pub struct Received {
    /// How many bytes.
    pub len: usize,
    /// How long each datagram is but the last.
    pub size: usize,
    /// Who sent them.
    pub from: SocketAddr,
    /// What they say of congestion.
    pub ecn: Ecn,
}

fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

fn check_len(result: libc::ssize_t) -> io::Result<usize> {
    usize::try_from(result).map_err(|_| io::Error::last_os_error())
}

/// Opens one queue of the TUN device `name`, which exchanges packets behind a virtio header.
pub(crate) fn open_tun(name: &str, several_queues: bool) -> io::Result<OwnedFd> {
    // SAFETY: the path is a C string; the returned descriptor is checked before it is owned.
    let fd = unsafe { libc::open(c"/dev/net/tun".as_ptr(), libc::O_RDWR | libc::O_CLOEXEC) };
    // SAFETY: `check` refused a negative number, and nobody else owns a descriptor just opened.
    let fd = unsafe { OwnedFd::from_raw_fd(check(fd)?) };
    let mut request = interface_request(name)?;
    let mut flags = libc::IFF_TUN | libc::IFF_NO_PI | libc::IFF_VNET_HDR;
    if several_queues {
        flags |= libc::IFF_MULTI_QUEUE;
    }
    request.ifr_ifru.ifru_flags =
        flags.try_into().map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
    // SAFETY: `request` is a whole `ifreq` that outlives the call.
    check(unsafe { libc::ioctl(fd.as_raw_fd(), libc::TUNSETIFF, &raw mut request) })?;
    Ok(fd)
}

/// Says which offloads the queue's owner handles.
pub(crate) fn set_offloads(tun: BorrowedFd<'_>, offloads: Offloads) -> io::Result<()> {
    let bits = libc::c_ulong::from(offloads.bits());
    // SAFETY: this request takes its argument by value.
    check(unsafe { libc::ioctl(tun.as_raw_fd(), libc::TUNSETOFFLOAD, bits) }).map(drop)
}

/// Lets the device outlive its queues: it ends with its network namespace.
pub(crate) fn keep_device(tun: BorrowedFd<'_>) -> io::Result<()> {
    let kept: libc::c_ulong = 1;
    // SAFETY: this request takes its argument by value.
    check(unsafe { libc::ioctl(tun.as_raw_fd(), libc::TUNSETPERSIST, kept) }).map(drop)
}

/// The user namespace that a namespace belongs to, whose privileges count in it.
pub fn owner_of_namespace(namespace: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    // SAFETY: the request (`NS_GET_USERNS`) takes no argument; what it returns is checked before it is owned.
    let fd = check(unsafe { libc::ioctl(namespace.as_raw_fd(), 0xb701) })?;
    // SAFETY: nobody else owns a descriptor just opened.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Sets the device's longest packet and its queue, and switches it on.
pub(crate) fn raise_interface(name: &str, mtu: u16, queue_len: u16) -> io::Result<()> {
    let socket = std::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    let fd = socket.as_raw_fd();
    let mut request = interface_request(name)?;
    request.ifr_ifru.ifru_mtu = mtu.into();
    // SAFETY: `request` is a whole `ifreq` that outlives the call, here and below.
    check(unsafe { libc::ioctl(fd, libc::SIOCSIFMTU, &raw const request) })?;
    request.ifr_ifru.ifru_metric = queue_len.into();
    // SAFETY: see above.
    // In a namespace of an ordinary user it is refused: the queue is then as long as the kernel makes it.
    let _shorter = check(unsafe { libc::ioctl(fd, libc::SIOCSIFTXQLEN, &raw const request) });
    // SAFETY: see above; the kernel fills in the flags.
    check(unsafe { libc::ioctl(fd, libc::SIOCGIFFLAGS, &raw mut request) })?;
    // SAFETY: the flags are the member that the call before wrote.
    let flags = unsafe { request.ifr_ifru.ifru_flags };
    request.ifr_ifru.ifru_flags = flags | libc::c_short::try_from(libc::IFF_UP).unwrap_or(1);
    // SAFETY: see above.
    check(unsafe { libc::ioctl(fd, libc::SIOCSIFFLAGS, &raw const request) }).map(drop)
}

/// `linux/ipv6.h`, which `libc` lacks.
#[repr(C)]
struct AddressV6 {
    address: libc::in6_addr,
    prefix_len: u32,
    index: libc::c_int,
}

/// Gives the device an address, and with it the route to the block around it. The IPv4 one before replaces.
pub(crate) fn set_address(name: &str, ip: IpAddr, prefix_len: u8) -> io::Result<()> {
    let mut request = interface_request(name)?;
    match ip {
        IpAddr::V4(v4) => {
            let socket = std::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
            let mask =
                Ipv4Addr::from_bits(u32::MAX.checked_shl(32 - u32::from(prefix_len)).unwrap_or(0));
            for (order, value) in [(libc::SIOCSIFADDR, v4), (libc::SIOCSIFNETMASK, mask)] {
                let (address, _) = to_raw(SocketAddr::from((value, 0)));
                // SAFETY: an IPv4 address lies within the first 16 bytes, which is what a `sockaddr` is.
                request.ifr_ifru.ifru_addr =
                    unsafe { *(&raw const address).cast::<libc::sockaddr>() };
                // SAFETY: `request` is a whole `ifreq` that outlives the call.
                check(unsafe { libc::ioctl(socket.as_raw_fd(), order, &raw const request) })?;
            }
            Ok(())
        }
        IpAddr::V6(v6) => {
            let socket = std::net::UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0))?;
            // SAFETY: `request` is a whole `ifreq` that outlives the call; the kernel fills in the index.
            check(unsafe {
                libc::ioctl(socket.as_raw_fd(), libc::SIOCGIFINDEX, &raw mut request)
            })?;
            // SAFETY: the index is the member that the call before wrote.
            let index = unsafe { request.ifr_ifru.ifru_ifindex };
            let address = libc::in6_addr { s6_addr: v6.octets() };
            let order = AddressV6 { address, prefix_len: prefix_len.into(), index };
            // SAFETY: `order` is laid out as the kernel's `in6_ifreq` and outlives the call.
            check(unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFADDR, &raw const order) })
                .map(drop)
        }
    }
}

fn interface_request(name: &str) -> io::Result<libc::ifreq> {
    // SAFETY: all zeros is a valid `ifreq`.
    let mut request: libc::ifreq = unsafe { mem::zeroed() };
    // The last byte stays zero.
    if name.len() >= request.ifr_name.len() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    for (place, byte) in request.ifr_name.iter_mut().zip(name.bytes()) {
        *place = byte.cast_signed();
    }
    Ok(request)
}

/// Reads one packet, waiting for it if `wait`.
pub(crate) fn read(fd: BorrowedFd<'_>, into: &mut [u8], wait: bool) -> io::Result<usize> {
    let part = libc::iovec { iov_base: into.as_mut_ptr().cast(), iov_len: into.len() };
    let flags = if wait { 0 } else { libc::RWF_NOWAIT };
    // SAFETY: the part is of one exclusive slice that outlives the call; -1 reads where a device reads.
    check_len(unsafe { libc::preadv2(fd.as_raw_fd(), &raw const part, 1, -1, flags) })
}

/// Writes one packet from its parts.
pub(crate) fn write_parts(fd: BorrowedFd<'_>, parts: &[io::IoSlice<'_>]) -> io::Result<usize> {
    let count = parts.len().try_into().unwrap_or(libc::c_int::MAX);
    // SAFETY: `IoSlice` is promised to be laid out as `iovec`, and the slices are borrowed for the call.
    check_len(unsafe { libc::writev(fd.as_raw_fd(), parts.as_ptr().cast(), count) })
}

/// Opens a UDP socket on `port`: IPv6 that also speaks IPv4, or IPv4 alone where there is no IPv6.
/// Says whether it is the former.
pub(crate) fn open_udp(port: u16, shared: bool) -> io::Result<(OwnedFd, bool)> {
    let (v6, v4) = (Ipv6Addr::UNSPECIFIED, Ipv4Addr::UNSPECIFIED);
    open_udp_family(libc::AF_INET6, SocketAddr::from((v6, port)), shared)
        .map(|fd| (fd, true))
        .or_else(|_| {
            open_udp_family(libc::AF_INET, SocketAddr::from((v4, port)), shared)
                .map(|fd| (fd, false))
        })
}

fn open_udp_family(family: libc::c_int, at: SocketAddr, shared: bool) -> io::Result<OwnedFd> {
    // SAFETY: no pointer is passed; the returned descriptor is checked before it is owned.
    let fd = unsafe { libc::socket(family, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0) };
    // SAFETY: `check` refused a negative number, and nobody else owns a descriptor just opened.
    let fd = unsafe { OwnedFd::from_raw_fd(check(fd)?) };
    if family == libc::AF_INET6 {
        set_option(&fd, libc::IPPROTO_IPV6, libc::IPV6_V6ONLY, 0)?;
    }
    if shared {
        set_option(&fd, libc::SOL_SOCKET, libc::SO_REUSEPORT, 1)?;
    }
    let (address, len) = to_raw(at);
    // SAFETY: `address` holds `len` valid bytes.
    check(unsafe { libc::bind(fd.as_raw_fd(), (&raw const address).cast(), len) })?;
    Ok(fd)
}

/// Asks for large socket buffers: what a burst of super-packets needs. Where we may not, the system's limit holds.
pub(crate) fn set_buffers(fd: &OwnedFd, bytes: libc::c_int) {
    for (forced, asked) in
        [(libc::SO_RCVBUFFORCE, libc::SO_RCVBUF), (libc::SO_SNDBUFFORCE, libc::SO_SNDBUF)]
    {
        let forced = set_option(fd, libc::SOL_SOCKET, forced, bytes);
        // Smaller buffers cost throughput, not correctness.
        let _smaller = forced.or_else(|_| set_option(fd, libc::SOL_SOCKET, asked, bytes));
    }
}

/// The addresses of this machine's interfaces that are switched on, each with the interface's name.
pub(crate) fn interface_addresses() -> io::Result<Vec<(String, IpAddr)>> {
    let mut first: *mut libc::ifaddrs = std::ptr::null_mut();
    // SAFETY: the pointer is exclusive for the call; what it is set to is freed below, once.
    check(unsafe { libc::getifaddrs(&raw mut first) })?;
    let mut found = Vec::new();
    let mut next = first;
    // SAFETY: the list and what it points to stay as they are until freed; each name is a C string, and an address of
    // these families is as long as its type.
    unsafe {
        while let Some(entry) = next.as_ref() {
            next = entry.ifa_next;
            let is_up = entry.ifa_flags & libc::IFF_UP.cast_unsigned() != 0;
            let Some(address) = entry.ifa_addr.as_ref().filter(|_| is_up) else { continue };
            let ip = match libc::c_int::from(address.sa_family) {
                libc::AF_INET => {
                    let raw = entry.ifa_addr.cast::<libc::sockaddr_in>().read_unaligned();
                    IpAddr::from(raw.sin_addr.s_addr.to_ne_bytes())
                }
                libc::AF_INET6 => {
                    let raw = entry.ifa_addr.cast::<libc::sockaddr_in6>().read_unaligned();
                    IpAddr::from(raw.sin6_addr.s6_addr)
                }
                _ => continue,
            };
            let name = CStr::from_ptr(entry.ifa_name).to_string_lossy().into_owned();
            found.push((name, ip));
        }
        libc::freeifaddrs(first);
    }
    Ok(found)
}

/// Lets routers fragment what is too long for them, as WireGuard does: no way is then a black hole.
pub(crate) fn allow_fragments(fd: &OwnedFd) -> io::Result<()> {
    let v4 = set_option(fd, libc::IPPROTO_IP, libc::IP_MTU_DISCOVER, libc::IP_PMTUDISC_DONT);
    let v6 = set_option(fd, libc::IPPROTO_IPV6, libc::IPV6_MTU_DISCOVER, libc::IPV6_PMTUDISC_DONT);
    v4.or(v6)
}

/// Asks the kernel to hand over several datagrams of one length at once. False if it cannot.
pub(crate) fn receive_many(fd: &OwnedFd) -> bool {
    set_option(fd, libc::SOL_UDP, libc::UDP_GRO, 1).is_ok()
}

/// Whether the kernel cuts one long send into datagrams.
pub(crate) fn can_send_many(fd: &OwnedFd) -> bool {
    set_option(fd, libc::SOL_UDP, libc::UDP_SEGMENT, 0).is_ok()
}

fn set_option(
    fd: &OwnedFd,
    level: libc::c_int,
    option: libc::c_int,
    value: libc::c_int,
) -> io::Result<()> {
    let len = socklen(mem::size_of_val(&value));
    // SAFETY: the pointer and the length are of one integer that outlives the call.
    let result =
        unsafe { libc::setsockopt(fd.as_raw_fd(), level, option, (&raw const value).cast(), len) };
    check(result).map(drop)
}

/// Asks the kernel what datagrams say of congestion. Where it cannot tell, they say nothing.
pub(crate) fn receive_ecn(fd: &OwnedFd) {
    let _silent = set_option(fd, libc::IPPROTO_IP, libc::IP_RECVTOS, 1);
    let _silent = set_option(fd, libc::IPPROTO_IPV6, libc::IPV6_RECVTCLASS, 1);
}

/// Sends datagrams of `size` bytes each, the last perhaps shorter, in one call. `to` must be of the socket's family.
pub(crate) fn send(
    fd: BorrowedFd<'_>,
    to: SocketAddr,
    datagrams: &[u8],
    size: usize,
    ecn: Ecn,
) -> io::Result<()> {
    let (address, address_len) = to_raw(to);
    let mut part =
        libc::iovec { iov_base: datagrams.as_ptr().cast_mut().cast(), iov_len: datagrams.len() };
    let mut control = Control([0; 64]);
    // SAFETY: all zeros is a valid `msghdr`.
    let mut message: libc::msghdr = unsafe { mem::zeroed() };
    message.msg_name = (&raw const address).cast_mut().cast();
    message.msg_namelen = address_len;
    message.msg_iov = &raw mut part;
    message.msg_iovlen = 1;
    let mut used = 0;
    if size < datagrams.len() {
        let size = u16::try_from(size).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
        used += control.put(used, (libc::SOL_UDP, libc::UDP_SEGMENT), &size.to_ne_bytes());
    }
    if ecn != Ecn::Deaf {
        let kind = match to.ip().to_canonical() {
            IpAddr::V4(_) => (libc::IPPROTO_IP, libc::IP_TOS),
            IpAddr::V6(_) => (libc::IPPROTO_IPV6, libc::IPV6_TCLASS),
        };
        let mark = libc::c_int::from(ecn.bits());
        used += control.put(used, kind, &mark.to_ne_bytes());
    }
    if used > 0 {
        message.msg_control = (&raw mut control).cast();
        message.msg_controllen = used;
    }
    // SAFETY: name, part and control outlive the call; the kernel only reads them.
    check_len(unsafe { libc::sendmsg(fd.as_raw_fd(), &raw const message, 0) }).map(drop)
}

/// Receives one datagram, or several of one length, waiting for them if `wait`.
pub(crate) fn receive(fd: BorrowedFd<'_>, into: &mut [u8], wait: bool) -> io::Result<Received> {
    let mut address = MaybeUninit::<libc::sockaddr_storage>::zeroed();
    let mut part = libc::iovec { iov_base: into.as_mut_ptr().cast(), iov_len: into.len() };
    let mut control = Control([0; 64]);
    // SAFETY: all zeros is a valid `msghdr`.
    let mut message: libc::msghdr = unsafe { mem::zeroed() };
    message.msg_name = address.as_mut_ptr().cast();
    message.msg_namelen = socklen(mem::size_of_val(&address));
    message.msg_iov = &raw mut part;
    message.msg_iovlen = 1;
    message.msg_control = (&raw mut control).cast();
    message.msg_controllen = mem::size_of_val(&control);
    let flags = if wait { 0 } else { libc::MSG_DONTWAIT };
    // SAFETY: name, part and control are exclusive, as long as told, and outlive the call.
    let len = check_len(unsafe { libc::recvmsg(fd.as_raw_fd(), &raw mut message, flags) })?;
    // SAFETY: the kernel left `message` describing valid control messages inside `control`.
    let (size, ecn) = unsafe { told(&message) };
    // SAFETY: zeroed, then perhaps written by the kernel: initialized either way.
    let from = from_raw(unsafe { address.assume_init_ref() });
    let from = from.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))?;
    Ok(Received { len, size: size.unwrap_or(len), from, ecn })
}

/// The length of each datagram, if there are several, and what they say of congestion.
///
/// # Safety
/// `message` must be as `recvmsg` left it, its control buffer still alive.
unsafe fn told(message: &libc::msghdr) -> (Option<usize>, Ecn) {
    let (mut size, mut ecn) = (None, Ecn::Deaf);
    // SAFETY: the macros stay inside the control buffer that the kernel described; headers of these kinds have an
    // integer, and that of IPv4's a byte.
    unsafe {
        let mut header = libc::CMSG_FIRSTHDR(message);
        while let Some(found) = header.as_ref() {
            let data = libc::CMSG_DATA(header);
            match (found.cmsg_level, found.cmsg_type) {
                (libc::SOL_UDP, libc::UDP_GRO) => {
                    let found = usize::try_from(data.cast::<libc::c_int>().read_unaligned());
                    size = found.ok().filter(|size| *size > 0);
                }
                (libc::IPPROTO_IP, libc::IP_TOS) => ecn = Ecn::of_bits(data.read()),
                (libc::IPPROTO_IPV6, libc::IPV6_TCLASS) => {
                    let class = data.cast::<libc::c_int>().read_unaligned();
                    ecn = Ecn::of_bits(class.to_le_bytes()[0]);
                }
                (_, _) => {}
            }
            header = libc::CMSG_NXTHDR(message, header);
        }
    }
    (size, ecn)
}

/// The longest packet that the system knows to fit on the way to `to`, header and all.
pub(crate) fn path_mtu(to: SocketAddr) -> io::Result<usize> {
    let unspecified = match to {
        SocketAddr::V4(_) => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
        SocketAddr::V6(_) => SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
    };
    let socket = std::net::UdpSocket::bind(unspecified)?;
    socket.connect(to)?;
    let (level, option) = match to {
        SocketAddr::V4(_) => (libc::IPPROTO_IP, libc::IP_MTU),
        SocketAddr::V6(_) => (libc::IPPROTO_IPV6, libc::IPV6_MTU),
    };
    let mut mtu: libc::c_int = 0;
    let mut len = socklen(mem::size_of_val(&mtu));
    // SAFETY: the pointers are of one integer and its length, both exclusive for the call.
    let result = unsafe {
        libc::getsockopt(socket.as_raw_fd(), level, option, (&raw mut mtu).cast(), &raw mut len)
    };
    check(result)?;
    usize::try_from(mtu).map_err(|_| io::ErrorKind::InvalidData.into())
}

/// Milliseconds since the machine started, time asleep included.
pub(crate) fn millis_since_boot() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: one whole `timespec`, exclusive for the call.
    let result = unsafe { libc::clock_gettime(libc::CLOCK_BOOTTIME, &raw mut time) };
    assert!(result == 0, "every kernel that has TUN devices has this clock");
    time.tv_sec.unsigned_abs() * 1000 + time.tv_nsec.unsigned_abs() / 1_000_000
}

/// What interrupts a thread that waits in a system call: a signal that nobody else uses, and that does nothing.
fn nudge_signal() -> libc::c_int {
    libc::SIGRTMIN() + 7
}

extern "C" fn do_nothing(_: libc::c_int) {}

/// Makes [`nudge`] interrupt instead of end the process. Without it nobody may nudge.
pub(crate) fn prepare_nudge() -> io::Result<()> {
    // SAFETY: all zeros is a valid `sigaction`: no flags (so that calls are interrupted), nothing blocked.
    let mut action: libc::sigaction = unsafe { mem::zeroed() };
    action.sa_sigaction = do_nothing as *const () as usize;
    // SAFETY: the handler does nothing, which is safe at any moment; `action` outlives the call.
    check(unsafe { libc::sigaction(nudge_signal(), &raw const action, std::ptr::null_mut()) })
        .map(drop)
}

/// Interrupts the system call that a thread waits in, if it does.
pub(crate) fn nudge<T>(thread: &JoinHandle<T>) {
    // SAFETY: a handle that was not joined yet names a thread that is there, ended or not.
    unsafe { libc::pthread_kill(thread.as_pthread_t(), nudge_signal()) };
}

fn socklen(len: usize) -> libc::socklen_t {
    libc::socklen_t::try_from(len).expect("lengths here are below a hundred")
}

fn to_raw(at: SocketAddr) -> (libc::sockaddr_storage, libc::socklen_t) {
    // SAFETY: all zeros is a valid address of no family.
    let mut storage: libc::sockaddr_storage = unsafe { mem::zeroed() };
    let len = match at {
        SocketAddr::V4(at) => {
            let raw = libc::sockaddr_in {
                sin_family: FAMILY_V4,
                sin_port: at.port().to_be(),
                sin_addr: libc::in_addr { s_addr: u32::from_ne_bytes(at.ip().octets()) },
                sin_zero: [0; 8],
            };
            // SAFETY: `sockaddr_storage` is made to hold this, aligned.
            unsafe { (&raw mut storage).cast::<libc::sockaddr_in>().write(raw) };
            mem::size_of::<libc::sockaddr_in>()
        }
        SocketAddr::V6(at) => {
            let raw = libc::sockaddr_in6 {
                sin6_family: FAMILY_V6,
                sin6_port: at.port().to_be(),
                sin6_flowinfo: at.flowinfo(),
                sin6_addr: libc::in6_addr { s6_addr: at.ip().octets() },
                sin6_scope_id: at.scope_id(),
            };
            // SAFETY: `sockaddr_storage` is made to hold this, aligned.
            unsafe { (&raw mut storage).cast::<libc::sockaddr_in6>().write(raw) };
            mem::size_of::<libc::sockaddr_in6>()
        }
    };
    (storage, socklen(len))
}

fn from_raw(storage: &libc::sockaddr_storage) -> Option<SocketAddr> {
    match libc::c_int::from(storage.ss_family) {
        libc::AF_INET => {
            // SAFETY: the family says what it is, and the storage is long enough and aligned for it.
            let raw = unsafe { &*(&raw const *storage).cast::<libc::sockaddr_in>() };
            let ip = Ipv4Addr::from(raw.sin_addr.s_addr.to_ne_bytes());
            Some(SocketAddrV4::new(ip, u16::from_be(raw.sin_port)).into())
        }
        libc::AF_INET6 => {
            // SAFETY: as above.
            let raw = unsafe { &*(&raw const *storage).cast::<libc::sockaddr_in6>() };
            let (ip, port) = (Ipv6Addr::from(raw.sin6_addr.s6_addr), u16::from_be(raw.sin6_port));
            Some(match ip.to_ipv4_mapped() {
                Some(v4) => SocketAddrV4::new(v4, port).into(),
                None => SocketAddrV6::new(ip, port, 0, raw.sin6_scope_id).into(),
            })
        }
        _ => None,
    }
}
