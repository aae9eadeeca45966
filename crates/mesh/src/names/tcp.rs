//! Questions over TCP, for answers that are too long for UDP: without a socket and without memory.
//!
//! The connection is between a program on this machine and us, over the device: nothing is lost there but where memory
//! ends, and the program's own system sends anew what we do not confirm. So each packet is answered by what it says
//! itself. A question is confirmed only when it is whole, together with its answer; a piece of one is not, and comes
//! again with the rest.

use std::net::{IpAddr, Ipv4Addr};

use super::inside::DNS_PORT;
use crate::checksum::{Sum, pseudo_header};
use crate::inner::{Inner, TCP, TCP_FLAGS_AT, Transport, len_u16};

const IP_HEADER_LEN: usize = 20;
const TCP_HEADER_LEN: usize = 20;
/// What stands before each message over TCP (RFC 1035, 4.2.2), in bytes.
const LEN_LEN: usize = 2;
/// The longest answer: a system takes so much at once before it has heard anything else.
pub const TCP_ANSWER_MAX: usize = 32_768;
/// How much a program may say before we confirm: more than any question.
const WINDOW: u16 = 16_384;
/// What our own numbers begin with. Only programs of this machine speak to us, so nobody has to guess it.
const FIRST_NUMBER: u32 = 1;
/// Far enough for anything that stays on the machine.
const HOPS: u8 = 64;

const FIN: u8 = 0x01;
const SYN: u8 = 0x02;
const RST: u8 = 0x04;
const PUSH: u8 = 0x08;
const ACK: u8 = 0x10;
const DONE: u8 = FIN | ACK;

/// A packet of a connection, as far as it matters.
struct Segment<'p> {
    source: (Ipv4Addr, u16),
    number: u32,
    confirms: u32,
    flags: u8,
    data: &'p [u8],
}

/// What we say.
struct Reply<'r> {
    flags: u8,
    number: u32,
    confirms: u32,
    data: &'r [u8],
}

/// The packet that answers one to the resolver, if it is of a connection and one does; `answer` makes of a question
/// what is to be said, if anything.
pub fn conversed(
    resolver: Ipv4Addr,
    packet: &[u8],
    answer: impl FnOnce(&[u8]) -> Option<Vec<u8>>,
) -> Option<Vec<u8>> {
    let segment = read(packet)?;
    let Segment { number, confirms, flags, data, .. } = segment;
    let mut said = Vec::new();
    // A question that ends what the program says is answered first; the end comes again.
    let bits = flags & (SYN | FIN | RST | ACK);
    let bits = if data.is_empty() { bits } else { bits & !FIN };
    let reply = match bits {
        SYN => Reply {
            flags: SYN | ACK,
            number: FIRST_NUMBER,
            confirms: number.wrapping_add(1),
            data: &[],
        },
        ACK if !data.is_empty() => {
            let answered = answer(whole(data)?).filter(|message| message.len() <= TCP_ANSWER_MAX);
            let end = number.wrapping_add(u32::try_from(data.len()).ok()?);
            match answered {
                Some(message) => {
                    said.extend(len_u16(message.len()).to_be_bytes());
                    said.extend(message);
                    Reply { flags: ACK | PUSH, number: confirms, confirms: end, data: &said }
                }
                None => Reply { flags: ACK | RST, number: confirms, confirms: end, data: &[] },
            }
        }
        // The program is done; so are we.
        DONE => {
            Reply { flags: DONE, number: confirms, confirms: number.wrapping_add(1), data: &[] }
        }
        _ => return None,
    };
    Some(write(resolver, segment.source, &reply))
}

fn read(packet: &[u8]) -> Option<Segment<'_>> {
    let inner = Inner::read(packet).ok()?;
    let Transport::Tcp { source: port, target: DNS_PORT } = inner.transport else { return None };
    let IpAddr::V4(source) = inner.source else { return None };
    let segment = packet.get(inner.transport_at..inner.len)?;
    let header: &[u8; TCP_HEADER_LEN] = segment.first_chunk()?;
    let data = segment.get(usize::from(header[12] >> 4) * 4..)?;
    let word = |at: usize| {
        u32::from_be_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]])
    };
    Some(Segment {
        source: (source, port),
        number: word(4),
        confirms: word(8),
        flags: header[TCP_FLAGS_AT],
        data,
    })
}

/// The question, if it is there from its first byte to its last.
fn whole(data: &[u8]) -> Option<&[u8]> {
    let (len, message) = data.split_first_chunk::<LEN_LEN>()?;
    (usize::from(u16::from_be_bytes(*len)) == message.len()).then_some(message)
}

fn write(resolver: Ipv4Addr, (to, port): (Ipv4Addr, u16), reply: &Reply<'_>) -> Vec<u8> {
    let mut out = vec![0; IP_HEADER_LEN + TCP_HEADER_LEN];
    out.extend(reply.data);
    let len = len_u16(out.len());
    out[0] = 0x45;
    out[2..4].copy_from_slice(&len.to_be_bytes());
    (out[8], out[9]) = (HOPS, TCP);
    out[12..16].copy_from_slice(&resolver.octets());
    out[16..20].copy_from_slice(&to.octets());
    let sum = Sum::of(&out[..IP_HEADER_LEN]).finish();
    out[10..12].copy_from_slice(&sum);
    let segment = &mut out[IP_HEADER_LEN..];
    segment[..2].copy_from_slice(&DNS_PORT.to_be_bytes());
    segment[2..4].copy_from_slice(&port.to_be_bytes());
    segment[4..8].copy_from_slice(&reply.number.to_be_bytes());
    segment[8..12].copy_from_slice(&reply.confirms.to_be_bytes());
    segment[12] = len_u16(TCP_HEADER_LEN / 4).to_be_bytes()[1] << 4;
    segment[TCP_FLAGS_AT] = reply.flags;
    segment[14..16].copy_from_slice(&WINDOW.to_be_bytes());
    let pseudo = pseudo_header(resolver.into(), to.into(), TCP, len - len_u16(IP_HEADER_LEN));
    let sum = pseudo.plus(Sum::of(segment)).finish();
    segment[16..18].copy_from_slice(&sum);
    out
}
