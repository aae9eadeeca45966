//! The PROXY protocol, version 2: who a connection comes from, said to a program before its first byte.
//!
//! The format is that of `HAProxy`'s specification of 2020, section 2.2.

use std::net::{IpAddr, SocketAddr};

const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
/// Version 2, command PROXY.
const VERSION_AND_COMMAND: u8 = 0x21;
const STREAM_OVER_V4: u8 = 0x11;
const STREAM_OVER_V6: u8 = 0x21;

/// The header that says that a stream came from `visitor` to `local`.
pub(super) fn of_stream(visitor: SocketAddr, local: SocketAddr) -> Vec<u8> {
    let mut out = SIGNATURE.to_vec();
    out.push(VERSION_AND_COMMAND);
    match (visitor.ip(), local.ip()) {
        (IpAddr::V4(visitor), IpAddr::V4(local)) => {
            out.extend([STREAM_OVER_V4, 0, 12]);
            out.extend(visitor.octets());
            out.extend(local.octets());
        }
        (visitor, local) => {
            out.extend([STREAM_OVER_V6, 0, 36]);
            out.extend(as_v6(visitor));
            out.extend(as_v6(local));
        }
    }
    out.extend(visitor.port().to_be_bytes());
    out.extend(local.port().to_be_bytes());
    out
}

/// Of two kinds, the older is written as the newer (RFC 4291, 2.5.5.2).
fn as_v6(ip: IpAddr) -> [u8; 16] {
    match ip {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
        IpAddr::V6(v6) => v6.octets(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_as_the_specification_writes_it() {
        let header =
            of_stream("192.0.2.1:56324".parse().unwrap(), "192.0.2.9:443".parse().unwrap());
        let rest = [0x21, 0x11, 0, 12, 192, 0, 2, 1, 192, 0, 2, 9, 0xdc, 0x04, 0x01, 0xbb];
        assert_eq!(header, [&SIGNATURE[..], &rest].concat());
        let mixed = of_stream("[2001:db8::1]:1".parse().unwrap(), "192.0.2.9:443".parse().unwrap());
        assert_eq!(mixed.len(), 16 + 36);
        assert_eq!(mixed[13], 0x21);
        assert_eq!(mixed[42..48], [0xff, 0xff, 192, 0, 2, 9]);
    }
}
