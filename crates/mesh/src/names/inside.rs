//! Questions as they come out of a device: packets of the private network to the resolver's address.

use std::net::Ipv4Addr;

use super::{Answer, Names};
use crate::checksum::{Sum, pseudo_header};
use crate::inner::{Inner, Transport, UDP, len_u16};

/// The port of DNS.
pub const DNS_PORT: u16 = 53;
const IP_HEADER_LEN: usize = 20;
const HEADERS_LEN: usize = IP_HEADER_LEN + 8;
/// Far enough for anything that stays on the machine.
const HOPS: u8 = 64;

/// A question that came out of the device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// Who asks.
    pub source: (Ipv4Addr, u16),
    /// The message.
    pub message: Vec<u8>,
}

/// Whether a packet goes to the resolver. Cheap: asked about every packet.
#[inline]
pub fn is_for(resolver: Ipv4Addr, packet: &[u8]) -> bool {
    packet.first().is_some_and(|first| first >> 4 == 4)
        && packet.get(16..20).is_some_and(|target| target == resolver.octets())
}

/// The question that a packet to the resolver holds, if it holds one.
pub fn asked(packet: &[u8]) -> Option<Asked> {
    let inner = Inner::read(packet).ok()?;
    let Transport::Udp { source: port, target: DNS_PORT } = inner.transport else { return None };
    let std::net::IpAddr::V4(source) = inner.source else { return None };
    let message = packet.get(inner.transport_at + 8..inner.len)?.to_vec();
    Some(Asked { source: (source, port), message })
}

impl Names {
    /// What becomes of a question.
    pub fn answer_asked(&self, asked: &Asked) -> Answer {
        self.answer(&asked.message, true)
    }
}

/// The packet that carries an answer back from the resolver.
pub fn answered(
    resolver: Ipv4Addr,
    (to, port): (Ipv4Addr, u16),
    message: &[u8],
) -> Option<Vec<u8>> {
    let mut out = vec![0; HEADERS_LEN + message.len()];
    let len = u16::try_from(out.len()).ok()?;
    out[0] = 0x45;
    out[2..4].copy_from_slice(&len.to_be_bytes());
    (out[8], out[9]) = (HOPS, UDP);
    out[12..16].copy_from_slice(&resolver.octets());
    out[16..20].copy_from_slice(&to.octets());
    let sum = Sum::of(&out[..IP_HEADER_LEN]).finish();
    out[10..12].copy_from_slice(&sum);
    let udp_len = len - len_u16(IP_HEADER_LEN);
    let udp = &mut out[IP_HEADER_LEN..];
    udp[..2].copy_from_slice(&DNS_PORT.to_be_bytes());
    udp[2..4].copy_from_slice(&port.to_be_bytes());
    udp[4..6].copy_from_slice(&udp_len.to_be_bytes());
    udp[8..].copy_from_slice(message);
    let pseudo = pseudo_header(resolver.into(), to.into(), UDP, udp_len);
    let mut sum = pseudo.plus(Sum::of(udp)).finish();
    // Zero would mean that there is none.
    if sum == [0, 0] {
        sum = [0xff, 0xff];
    }
    udp[6..8].copy_from_slice(&sum);
    Some(out)
}
