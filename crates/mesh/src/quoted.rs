//! What an error of ICMP is about: it quotes the beginning of the packet that it answers.
//!
//! # Invariants
//! - A quote may be cut off behind 8 bytes of its transport header; what is cut off before is none.
//! - A quote of a packet that was not understood itself has no ports, so it belongs to no connection.

use std::net::IpAddr;

use crate::guard::Flow;
use crate::inner::{Inner, Transport};

/// How long an error's own header is.
const ERROR_HEADER_LEN: usize = 8;

/// The flow of the packet that an error quotes, if it is an error and its quote can be read.
#[inline]
pub(crate) fn quoted(packet: &[u8], inner: &Inner) -> Option<Flow> {
    let Transport::Icmp { kind, .. } = inner.transport else { return None };
    if !is_error(inner.source, kind) {
        return None;
    }
    let quote = packet.get(inner.transport_at + ERROR_HEADER_LEN..)?;
    Inner::read_cut_off(quote).ok().map(|inner| Flow::of(&inner))
}

/// Whether a kind of ICMP, of the family of the one who sends it, is an error.
pub(crate) const fn is_error(source: IpAddr, kind: u8) -> bool {
    match source {
        IpAddr::V4(_) => matches!(kind, 3 | 11 | 12),
        IpAddr::V6(_) => matches!(kind, 1..=4),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A packet of IPv4 between 10.0.0.`ends`, cut off behind `keep` bytes.
    fn v4(protocol: u8, ends: (u8, u8), body: &[u8], keep: usize) -> Vec<u8> {
        let mut packet = vec![0x45, 0, 0, 0, 0, 0, 0, 0, 64, protocol, 0, 0];
        packet.extend([10, 0, 0, ends.0, 10, 0, 0, ends.1]);
        packet[3] = u8::try_from(20 + body.len()).expect("a short packet");
        packet.extend(body);
        packet.truncate(keep);
        packet
    }

    fn about(quote: &[u8], kind: u8) -> Option<Flow> {
        let body = [&[kind, 0, 0, 0, 0, 0, 0, 0], quote].concat();
        let packet = v4(1, (2, 1), &body, 255);
        quoted(&packet, &Inner::read(&packet).expect("it is whole"))
    }

    #[test]
    fn an_error_says_what_it_is_about_as_far_as_it_quotes_it() {
        let mut tcp = vec![0x10, 1, 0, 22];
        tcp.resize(100, 0);
        let [source, target] = [1, 2].map(|last| IpAddr::from([10, 0, 0, last]));
        let ports = Transport::Tcp { source: 0x1001, target: 22 };
        for keep in [28, 48, 120] {
            let flow = Flow { source, target, transport: ports };
            assert_eq!(about(&v4(6, (1, 2), &tcp, keep), 3), Some(flow), "{keep} bytes");
        }
        assert_eq!(about(&v4(6, (1, 2), &tcp, 27), 3), None, "its ports are cut off");
        assert_eq!(about(&v4(6, (1, 2), &tcp, 28), 8), None, "an echo quotes nothing");
        assert_eq!(about(&[], 11), None);
        let nested = about(&v4(1, (1, 2), &[3, 0, 0, 0, 0, 0, 0, 0], 255), 12);
        let error = Transport::Icmp { kind: 3, code: 0 };
        assert_eq!(nested.map(|flow| flow.transport), Some(error));
    }
}
