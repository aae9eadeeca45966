//! Messages of PCP and NAT-PMP. Numbers are big endian.

use std::net::{Ipv4Addr, Ipv6Addr};

/// Where routers listen for both.
pub const SERVER_PORT: u16 = 5351;

const PCP_VERSION: u8 = 2;
const PCP_MAP: u8 = 1;
const PCP_MAP_LEN: usize = 60;
const PMP_VERSION: u8 = 0;
const PMP_OUTSIDE: u8 = 0;
const PMP_MAP_UDP: u8 = 1;
/// Set in the operation of an answer.
const IS_ANSWER: u8 = 0x80;
const UDP: u8 = 17;

/// A port outside that leads to one inside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mapping {
    pub(super) inner: u16,
    pub(super) outer: u16,
    pub(super) outside: Option<Ipv4Addr>,
    /// For how many seconds.
    pub(super) lifetime: u32,
}

/// What a router says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    Outside(Ipv4Addr),
    Mapped(Mapping),
}

/// Asks for a mapping by PCP: header of 24 bytes, then number, protocol, ports, and the address that we would like.
pub(super) fn map_by_pcp(mapping: &Mapping, own: Ipv4Addr, number: &[u8; 12]) -> [u8; PCP_MAP_LEN] {
    let mut out = [0; PCP_MAP_LEN];
    (out[0], out[1]) = (PCP_VERSION, PCP_MAP);
    out[4..8].copy_from_slice(&mapping.lifetime.to_be_bytes());
    out[8..24].copy_from_slice(&own.to_ipv6_mapped().octets());
    out[24..36].copy_from_slice(number);
    out[36] = UDP;
    out[40..42].copy_from_slice(&mapping.inner.to_be_bytes());
    out[42..44].copy_from_slice(&mapping.outer.to_be_bytes());
    out[44..60].copy_from_slice(&Ipv4Addr::UNSPECIFIED.to_ipv6_mapped().octets());
    out
}

/// Asks for the router's own address by NAT-PMP.
pub(super) const fn outside_by_pmp() -> [u8; 2] {
    [PMP_VERSION, PMP_OUTSIDE]
}

/// Asks for a mapping by NAT-PMP. To give one back, its outer port is 0.
pub(super) fn map_by_pmp(mapping: &Mapping) -> [u8; 12] {
    let mut out = [0; 12];
    (out[0], out[1]) = (PMP_VERSION, PMP_MAP_UDP);
    let outer = if mapping.lifetime == 0 { 0 } else { mapping.outer };
    out[4..6].copy_from_slice(&mapping.inner.to_be_bytes());
    out[6..8].copy_from_slice(&outer.to_be_bytes());
    out[8..12].copy_from_slice(&mapping.lifetime.to_be_bytes());
    out
}

/// Reads an answer. Refusals are nothing: whoever refuses is asked again later.
pub(super) fn read(message: &[u8], number: &[u8; 12]) -> Option<Heard> {
    const PCP_MAPPED: u8 = PCP_MAP | IS_ANSWER;
    const PMP_OUTSIDE_IS: u8 = PMP_OUTSIDE | IS_ANSWER;
    const PMP_MAPPED: u8 = PMP_MAP_UDP | IS_ANSWER;
    match *message {
        [PCP_VERSION, PCP_MAPPED, _, 0, ..] if message.len() >= PCP_MAP_LEN => {
            let is_ours = message[24..36] == *number && message[36] == UDP;
            let outside: [u8; 16] = message[44..60].try_into().ok()?;
            let mapping = Mapping {
                lifetime: long(message, 4)?,
                inner: short(message, 40)?,
                outer: short(message, 42)?,
                outside: Some(Ipv6Addr::from(outside).to_ipv4_mapped()?),
            };
            is_ours.then_some(Heard::Mapped(mapping))
        }
        [PMP_VERSION, PMP_OUTSIDE_IS, 0, 0, ..] if message.len() >= 12 => {
            Some(Heard::Outside(Ipv4Addr::from_bits(long(message, 8)?)))
        }
        [PMP_VERSION, PMP_MAPPED, 0, 0, ..] if message.len() >= 16 => {
            let (inner, outer) = (short(message, 8)?, short(message, 10)?);
            let lifetime = long(message, 12)?;
            Some(Heard::Mapped(Mapping { inner, outer, outside: None, lifetime }))
        }
        _ => None,
    }
}

fn short(message: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(message.get(at..at + 2)?.try_into().ok()?))
}

fn long(message: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(message.get(at..at + 4)?.try_into().ok()?))
}
