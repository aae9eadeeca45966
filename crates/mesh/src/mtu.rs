//! When a packet is too long for the way: say so to its sender, in the words of its own protocol.
//!
//! Long TCP packets are cut shorter instead ([`crate::segment::Cutter::shorten`]); this is for the rest. The answer
//! comes from the packet's own target, the only address that is sure to be routed here.

use std::net::IpAddr;

use crate::checksum::{Sum, pseudo_header};
use crate::inner::{Inner, Transport, len_u16};

/// How much of the packet the answer repeats: enough for every transport's ports, in the least a network must carry.
const QUOTE_V4: usize = 28;
const QUOTE_V6: usize = 1232;
/// What IPv6 guarantees: no way is told to be shorter.
const V6_MTU_MIN: usize = 1280;

/// The answer to `packet`, or nothing if it may not have one: an error about an error would never end. An IPv4 packet
/// that may be fragmented has one, too: nobody on this way fragments, and who hears of it sends shorter fragments.
pub(crate) fn too_big(packet: &[u8], mtu: usize) -> Option<Vec<u8>> {
    let inner = Inner::read(packet).ok()?;
    if let Transport::Icmp { kind, .. } = inner.transport
        && is_error(inner.source, kind)
    {
        return None;
    }
    let packet = &packet[..inner.len];
    match (inner.source, inner.target) {
        (IpAddr::V4(_), IpAddr::V4(_)) if is_first(packet) => Some(answer_v4(packet, mtu)),
        (IpAddr::V6(_), IpAddr::V6(_)) => Some(answer_v6(packet, &inner, mtu.max(V6_MTU_MIN))),
        (IpAddr::V4(_) | IpAddr::V6(_), IpAddr::V4(_) | IpAddr::V6(_)) => None,
    }
}

/// Whether it is whole, or the fragment that tells whose it is.
fn is_first(packet: &[u8]) -> bool {
    u16::from_be_bytes([packet[6], packet[7]]) & 0x1fff == 0
}

fn is_error(source: IpAddr, kind: u8) -> bool {
    match source {
        IpAddr::V4(_) => matches!(kind, 3 | 4 | 5 | 11 | 12),
        IpAddr::V6(_) => kind < 128,
    }
}

/// Destination unreachable, fragmentation needed (RFC 1191).
fn answer_v4(packet: &[u8], mtu: usize) -> Vec<u8> {
    let quote = &packet[..packet.len().min(QUOTE_V4)];
    let len = len_u16(28 + quote.len());
    let mut out = vec![0; 28];
    out[0] = 0x45;
    out[2..4].copy_from_slice(&len.to_be_bytes());
    (out[8], out[9]) = (64, 1);
    out[12..16].copy_from_slice(&packet[16..20]);
    out[16..20].copy_from_slice(&packet[12..16]);
    let sum = Sum::of(&out[..20]).finish();
    out[10..12].copy_from_slice(&sum);
    (out[20], out[21]) = (3, 4);
    out[26..28].copy_from_slice(&u16::try_from(mtu).unwrap_or(u16::MAX).to_be_bytes());
    out.extend_from_slice(quote);
    let sum = Sum::of(&out[20..]).finish();
    out[22..24].copy_from_slice(&sum);
    out
}

/// Packet too big (RFC 4443).
fn answer_v6(packet: &[u8], inner: &Inner, mtu: usize) -> Vec<u8> {
    let quote = &packet[..packet.len().min(QUOTE_V6)];
    let len = len_u16(8 + quote.len());
    let mut out = vec![0; 48];
    out[0] = 0x60;
    out[4..6].copy_from_slice(&len.to_be_bytes());
    (out[6], out[7]) = (58, 64);
    out[8..24].copy_from_slice(&packet[24..40]);
    out[24..40].copy_from_slice(&packet[8..24]);
    out[40] = 2;
    out[44..48].copy_from_slice(&u32::try_from(mtu).unwrap_or(u32::MAX).to_be_bytes());
    out.extend_from_slice(quote);
    let sum = pseudo_header(inner.target, inner.source, 58, len).plus(Sum::of(&out[40..])).finish();
    out[42..44].copy_from_slice(&sum);
    out
}
