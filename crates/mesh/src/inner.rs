//! What is inside a packet of the private network: addresses, protocol, ports. Reads only what it needs, once.
//!
//! # Invariants
//! - Whatever the bytes, reading neither panics nor reads past them, and looks at [`EXTENSIONS_MAX`] extension headers
//!   at most.
//! - What is not understood is not guessed: a header chain that is cut off, too long or unknown has no ports, and
//!   [`Transport::is_known`] is false, so that a policy refuses it unless a rule names the protocol.
//! - A packet that is to pass other hosts first is of no protocol but that: neither its target nor its ports say whom
//!   it is for.
//! - A fragment that does not begin the packet has no ports either: its first bytes are data.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// How many extension headers an IPv6 packet may carry. Honest ones carry two.
pub const EXTENSIONS_MAX: usize = 6;

pub(crate) const TCP: u8 = 6;
pub(crate) const UDP: u8 = 17;
const ICMP: u8 = 1;
const ICMPV6: u8 = 58;
/// The header that names hosts to pass; also what a packet of IPv4 counts as that names some.
const ROUTING: u8 = 43;

/// Where in a TCP header its flags are.
pub(crate) const TCP_FLAGS_AT: usize = 13;

/// A length inside a packet, as its headers carry it.
///
/// # Panics
/// If it is 64 KiB or more, which no packet that was read is, and no packet made of read ones.
#[inline]
pub(crate) fn len_u16(len: usize) -> u16 {
    u16::try_from(len).expect("lengths inside a packet are below 64 KiB")
}

/// A packet of the private network, as far as routing and policy must know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Inner {
    /// Who sent it, as it says.
    pub source: IpAddr,
    /// Whom it is for.
    pub target: IpAddr,
    /// How long it is by its own account, in bytes; what follows is padding.
    pub len: usize,
    /// Where the transport header begins.
    pub transport_at: usize,
    /// What the transport is.
    pub transport: Transport,
}

/// What a packet carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// TCP, or the first fragment of it.
    Tcp { source: u16, target: u16 },
    /// UDP, or the first fragment of it.
    Udp { source: u16, target: u16 },
    /// ICMP of the packet's own family.
    Icmp { kind: u8, code: u8 },
    /// A later fragment: of the protocol, but without ports.
    Fragment { protocol: u8 },
    /// Another protocol, or a header that we do not know and cannot pass over.
    Other { protocol: u8 },
}

/// Why bytes are not a packet that may travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAPacket {
    /// It is neither IPv4 nor IPv6.
    #[error("not an IP packet")]
    Version,
    /// It ends before it should.
    #[error("the packet is cut off")]
    Short,
    /// Its headers contradict each other.
    #[error("the packet's headers do not fit")]
    Header,
    /// It has more extension headers than we follow.
    #[error("the packet has too many extension headers")]
    Extensions,
}

impl Transport {
    /// Whether a policy can judge it by what it is. Everything else is refused unless a rule names the protocol.
    pub const fn is_known(self) -> bool {
        match self {
            Self::Tcp { .. } | Self::Udp { .. } | Self::Icmp { .. } => true,
            Self::Fragment { protocol } => matches!(protocol, TCP | UDP | ICMP | ICMPV6),
            Self::Other { .. } => false,
        }
    }
}

impl Inner {
    /// Reads the packet that `bytes` begin with.
    #[inline]
    pub fn read(bytes: &[u8]) -> Result<Self, NotAPacket> {
        Self::read_as(bytes, Whole::Yes)
    }

    /// As above, of a packet that is cut off somewhere behind 8 bytes of its transport header.
    pub(crate) fn read_cut_off(bytes: &[u8]) -> Result<Self, NotAPacket> {
        Self::read_as(bytes, Whole::No)
    }

    #[inline]
    fn read_as(bytes: &[u8], whole: Whole) -> Result<Self, NotAPacket> {
        match bytes.first().map(|first| first >> 4) {
            Some(4) => read_v4(bytes, whole),
            Some(6) => read_v6(bytes, whole),
            Some(_) => Err(NotAPacket::Version),
            None => Err(NotAPacket::Short),
        }
    }
}

/// Whether a packet must be all there.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Whole {
    Yes,
    No,
}

/// As much of a packet of `len` bytes as must be there.
#[inline]
fn body(bytes: &[u8], len: usize, whole: Whole) -> Result<&[u8], NotAPacket> {
    match whole {
        Whole::Yes => bytes.get(..len).ok_or(NotAPacket::Short),
        Whole::No => Ok(&bytes[..len.min(bytes.len())]),
    }
}

#[inline]
fn read_v4(bytes: &[u8], whole: Whole) -> Result<Inner, NotAPacket> {
    let header: &[u8; 20] = bytes.first_chunk().ok_or(NotAPacket::Short)?;
    let header_len = usize::from(header[0] & 0x0f) * 4;
    let len = usize::from(u16::from_be_bytes([header[2], header[3]]));
    if header_len < 20 || len < header_len {
        return Err(NotAPacket::Header);
    }
    let packet = body(bytes, len, whole)?;
    let options = packet.get(20..header_len).ok_or(NotAPacket::Short)?;
    let fragment = u16::from_be_bytes([header[6], header[7]]);
    let (protocol, offset) = (header[9], fragment & 0x1fff);
    let transport = match (offset, protocol) {
        (_, _) if !options.is_empty() && has_source_route(options) => {
            Transport::Other { protocol: ROUTING }
        }
        (0, ICMPV6) => Transport::Other { protocol },
        (0, _) => transport(protocol, &packet[header_len..], whole)?,
        // A fragment that would overwrite the first one's ports (RFC 1858).
        (1, TCP) => return Err(NotAPacket::Header),
        (_, _) => Transport::Fragment { protocol },
    };
    let source = Ipv4Addr::new(header[12], header[13], header[14], header[15]).into();
    let target = Ipv4Addr::new(header[16], header[17], header[18], header[19]).into();
    Ok(Inner { source, target, len, transport_at: header_len, transport })
}

/// Whether options of IPv4 name hosts that the packet must pass (RFC 791): who it is really for, its header does not
/// say. Options that cannot be followed are taken for such.
#[cold]
fn has_source_route(options: &[u8]) -> bool {
    /// Loose and strict source routes.
    const ROUTES: [u8; 2] = [131, 137];
    let mut at = 0;
    while let Some(option) = options.get(at) {
        match (option, options.get(at + 1)) {
            (0, _) => return false,
            (1, _) => at += 1,
            (option, _) if ROUTES.contains(option) => return true,
            (_, Some(len)) if *len >= 2 => at += usize::from(*len),
            (_, _) => return true,
        }
    }
    false
}

#[inline]
fn read_v6(bytes: &[u8], whole: Whole) -> Result<Inner, NotAPacket> {
    let header: &[u8; 40] = bytes.first_chunk().ok_or(NotAPacket::Short)?;
    let len = 40 + usize::from(u16::from_be_bytes([header[4], header[5]]));
    let packet = body(bytes, len, whole)?;
    let (transport_at, transport) = follow(header[6], packet, whole)?;
    let address = |at: usize| -> IpAddr {
        let octets: [u8; 16] = header[at..at + 16].try_into().expect("the range is 16 long");
        Ipv6Addr::from(octets).into()
    };
    Ok(Inner { source: address(8), target: address(24), len, transport_at, transport })
}

/// Follows the chain of headers to the transport.
#[inline]
fn follow(first: u8, packet: &[u8], whole: Whole) -> Result<(usize, Transport), NotAPacket> {
    let (mut next, mut at) = (first, 40);
    for _ in 0..=EXTENSIONS_MAX {
        match next {
            // With hosts left to pass, the packet is not for its target.
            ROUTING if *packet.get(at + 3).ok_or(NotAPacket::Short)? != 0 => {
                return Ok((at, Transport::Other { protocol: ROUTING }));
            }
            // Hop by hop, routing, destination options, mobility, HIP, shim6: length in 8 bytes beyond the first 8.
            0 | ROUTING | 60 | 135 | 139 | 140 => {
                let header = packet.get(at..at + 2).ok_or(NotAPacket::Short)?;
                (next, at) = (header[0], at + 8 + usize::from(header[1]) * 8);
            }
            // Authentication: length in 4 bytes beyond the first 8.
            51 => {
                let header = packet.get(at..at + 2).ok_or(NotAPacket::Short)?;
                (next, at) = (header[0], at + 8 + usize::from(header[1]) * 4);
            }
            44 => {
                let header = packet.get(at..at + 8).ok_or(NotAPacket::Short)?;
                let offset = u16::from_be_bytes([header[2], header[3]]) >> 3;
                (next, at) = (header[0], at + 8);
                if offset != 0 {
                    return Ok((at, Transport::Fragment { protocol: next }));
                }
            }
            ICMP => return Ok((at, Transport::Other { protocol: ICMP })),
            protocol => {
                let rest = packet.get(at..).ok_or(NotAPacket::Short)?;
                return Ok((at, transport(protocol, rest, whole)?));
            }
        }
    }
    Err(NotAPacket::Extensions)
}

#[inline]
fn transport(protocol: u8, header: &[u8], whole: Whole) -> Result<Transport, NotAPacket> {
    let word = |at: usize| u16::from_be_bytes([header[at], header[at + 1]]);
    let tcp_len = if whole == Whole::Yes { 20 } else { 8 };
    match protocol {
        TCP if header.len() < tcp_len => Err(NotAPacket::Short),
        UDP if header.len() < 8 => Err(NotAPacket::Short),
        ICMP | ICMPV6 if header.len() < 4 => Err(NotAPacket::Short),
        TCP => Ok(Transport::Tcp { source: word(0), target: word(2) }),
        UDP => Ok(Transport::Udp { source: word(0), target: word(2) }),
        ICMP | ICMPV6 => Ok(Transport::Icmp { kind: header[0], code: header[1] }),
        protocol => Ok(Transport::Other { protocol }),
    }
}
