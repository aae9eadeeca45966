//! The PROXY protocol, version 2: who a connection comes from, said to a service before its first byte.
//!
//! The format is that of `HAProxy`'s specification of 2020, section 2.2.

use std::net::{IpAddr, SocketAddr};

const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
/// Version 2, command PROXY.
const VERSION_AND_COMMAND: u8 = 0x21;
const INET: u8 = 0x10;
const INET6: u8 = 0x20;

/// What the visitor's connection is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// TCP, or what comes instead of it.
    Stream = 1,
    /// UDP.
    Datagrams = 2,
}

/// The header that says that a connection came from `source` to `destination`. It stands before the first byte of a
/// connection, and before the bytes of each datagram.
pub fn proxy_header(source: SocketAddr, destination: SocketAddr, transport: Transport) -> Vec<u8> {
    let mut out = SIGNATURE.to_vec();
    out.push(VERSION_AND_COMMAND);
    let (family, length) = match (source.ip(), destination.ip()) {
        (IpAddr::V4(_), IpAddr::V4(_)) => (INET, 12_u16),
        // Where the two differ, the one of version 4 is written as one of version 6 (RFC 4291, 2.5.5.2).
        (IpAddr::V6(_), _) | (_, IpAddr::V6(_)) => (INET6, 36),
    };
    out.push(family | transport as u8);
    out.extend_from_slice(&length.to_be_bytes());
    for address in [source.ip(), destination.ip()] {
        match address {
            IpAddr::V4(v4) if family == INET => out.extend_from_slice(&v4.octets()),
            IpAddr::V4(v4) => out.extend_from_slice(&v4.to_ipv6_mapped().octets()),
            IpAddr::V6(v6) => out.extend_from_slice(&v6.octets()),
        }
    }
    out.extend_from_slice(&source.port().to_be_bytes());
    out.extend_from_slice(&destination.port().to_be_bytes());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_as_the_specification_has_it() {
        let source = "192.0.2.7:4660".parse().unwrap();
        let wanted =
            b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x07\xc6\x33\x64\x01\x12\x34\x01\xbb";
        assert_eq!(
            proxy_header(source, "198.51.100.1:443".parse().unwrap(), Transport::Stream),
            wanted
        );
    }

    #[test]
    fn addresses_of_version_6_and_mixed_ones_are_written_as_version_6() {
        let v6 = proxy_header(
            "[2001:db8::1]:1".parse().unwrap(),
            "[::1]:2".parse().unwrap(),
            Transport::Datagrams,
        );
        assert_eq!((v6.len(), v6[13], &v6[14..16]), (52, 0x22, &[0, 36][..]));
        assert_eq!(&v6[16..20], &[0x20, 0x01, 0x0d, 0xb8]);
        let mixed =
            proxy_header("192.0.2.7:1".parse().unwrap(), "[::1]:2".parse().unwrap(), Transport::Stream);
        assert_eq!(&mixed[16..32], &[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2, 7]);
    }
}
