//! Merging: consecutive packets of one flow become one super-packet, so that the kernel handles them once.
//!
//! Nothing is copied: a super-packet is the first packet with its header changed, and pieces of data that stay where
//! they were opened.
//!
//! # Invariants
//! - Cutting a merged packet ([`crate::segment`]) gives back the packets it was made of, byte for byte.
//! - A packet is merged only after its checksum was verified: what merging writes would hide a wrong one.
//! - Packets of one flow leave in the order they came. What cannot be merged leaves alone, unchanged.

use std::net::IpAddr;
use std::ops::Range;

use crate::checksum::{Sum, pseudo_header};
use crate::inner::{Inner, TCP, Transport, UDP, len_u16};
use crate::vnet::{Checksum, Cut, VNET_LEN, Vnet};

/// How many packets are merged into one: as many UDP packets as every kernel takes, more TCP than fit 64 KiB unless
/// they are short.
pub const PARTS_MAX: usize = 64;
/// Among how many of the newest runs a packet looks for its own. More flows than this in 64 KiB do not merge anyway.
const LOOK_BACK: usize = 8;

const TCP_HEADER_MIN: usize = 20;
const ACK: u8 = 0x10;
const PSH: u8 = 0x08;
const MORE_FRAGMENTS_OR_OFFSET: u16 = 0x3fff;
const DONT_FRAGMENT: u16 = 0x4000;

/// Merges the packets of one batch. Kept from batch to batch for its memory.
#[derive(Debug, Default)]
pub struct Merger {
    runs: Vec<Run>,
    used: usize,
    /// Whether the device takes TCP super-packets.
    merge_tcp: bool,
    /// Whether the device takes UDP super-packets.
    merge_udp: bool,
}

/// Packets that leave as one.
#[derive(Debug, Default)]
struct Run {
    /// The first packet whole, then the data of the others.
    parts: Vec<Range<usize>>,
    flow: Option<Flow>,
    /// Whether the checksum of its only packet was verified.
    verified: bool,
    /// Length of all data, in bytes.
    data_len: usize,
    /// Whether another packet may follow.
    open: bool,
    pushed: bool,
}

/// What the packets of a run have in common.
#[derive(Clone, Copy, Debug)]
struct Flow {
    inner: Inner,
    header_len: usize,
    /// Length of the first packet's data, which no other exceeds.
    size: usize,
    next_sequence: u32,
}

impl Merger {
    /// A merger for a device that does, or does not, take super-packets of TCP and of UDP.
    pub fn new(merge_tcp: bool, merge_udp: bool) -> Self {
        Self { merge_tcp, merge_udp, ..Self::default() }
    }

    /// Adds the packet at `at` of `buffer`, which `inner` describes.
    #[inline]
    pub fn push(&mut self, buffer: &[u8], at: Range<usize>, inner: Inner) {
        let packet = &buffer[at.clone()];
        let flow = self.flow_of(packet, inner);
        let verified = flow.is_some();
        let newest = self.used.saturating_sub(LOOK_BACK);
        let same = |run: &&mut Run| run.flow.is_some_and(|head| is_same_flow(&head.inner, &inner));
        // Only the flow's newest run may grow, and none past a packet that must leave alone: it would overtake.
        if let Some(run) = self.runs[newest..self.used].iter_mut().rev().find(same) {
            if run.open && flow.is_some_and(|flow| run.take(buffer, packet, &at, &flow)) {
                return;
            }
            run.open = false;
        }
        self.start(packet, at, flow, verified);
    }

    /// Hands out what was pushed, merged: the device's header, and where in `buffer` the parts lie.
    #[inline]
    pub fn finish(
        &mut self,
        buffer: &mut [u8],
        mut emit: impl FnMut(&[u8; VNET_LEN], &[u8], &[Range<usize>]),
    ) {
        for run in &self.runs[..self.used] {
            let vnet = run.seal_head(buffer).write();
            emit(&vnet, buffer, &run.parts);
        }
        self.used = 0;
    }

    fn start(&mut self, packet: &[u8], at: Range<usize>, flow: Option<Flow>, verified: bool) {
        if self.used == self.runs.len() {
            self.runs.push(Run::default());
        }
        let run = &mut self.runs[self.used];
        self.used += 1;
        run.parts.clear();
        run.parts.push(at);
        run.pushed = flow.is_some_and(|flow| flow.is_pushed(packet));
        run.open = flow.is_some() && !run.pushed;
        run.data_len = flow.map_or(0, |flow| flow.size);
        (run.flow, run.verified) = (flow, verified);
    }

    /// What `packet` may be merged by, or nothing if it must leave alone.
    #[inline]
    fn flow_of(&self, packet: &[u8], inner: Inner) -> Option<Flow> {
        let (protocol, header_len, next_sequence) = match inner.transport {
            Transport::Tcp { .. } if self.merge_tcp => {
                let tcp = &packet[inner.transport_at..];
                let header_len = inner.transport_at + usize::from(tcp[12] >> 4) * 4;
                let is_short = header_len < inner.transport_at + TCP_HEADER_MIN;
                if is_short || tcp[13] & !PSH != ACK {
                    return None;
                }
                (TCP, header_len, u32::from_be_bytes([tcp[4], tcp[5], tcp[6], tcp[7]]))
            }
            Transport::Udp { .. } if self.merge_udp => {
                let udp = &packet[inner.transport_at..];
                let len = usize::from(u16::from_be_bytes([udp[4], udp[5]]));
                if [udp[6], udp[7]] == [0, 0] || len != udp.len() {
                    return None;
                }
                (UDP, inner.transport_at + 8, 0)
            }
            Transport::Tcp { .. }
            | Transport::Udp { .. }
            | Transport::Icmp { .. }
            | Transport::Fragment { .. }
            | Transport::Other { .. } => return None,
        };
        let size = packet.len().checked_sub(header_len).filter(|size| *size > 0)?;
        if !is_plain(packet, &inner) {
            return None;
        }
        let body = &packet[inner.transport_at..];
        let len = u16::try_from(body.len()).ok()?;
        let sum = pseudo_header(inner.source, inner.target, protocol, len).plus(Sum::of(body));
        let next_sequence = next_sequence.wrapping_add(len_u16(size).into());
        sum.is_whole().then_some(Flow { inner, header_len, size, next_sequence })
    }
}

impl Flow {
    fn is_tcp(&self) -> bool {
        matches!(self.inner.transport, Transport::Tcp { .. })
    }

    fn is_pushed(&self, packet: &[u8]) -> bool {
        self.is_tcp() && packet[self.inner.transport_at + 13] & PSH != 0
    }
}

impl Run {
    /// Takes one more packet, if it continues the run.
    #[inline]
    fn take(&mut self, buffer: &[u8], packet: &[u8], at: &Range<usize>, flow: &Flow) -> bool {
        let Some(head) = &mut self.flow else { return false };
        let first = &buffer[self.parts[0].clone()];
        let fits = flow.size <= head.size && head.header_len + self.data_len + flow.size <= 0xffff;
        let count = self.parts.len();
        let begins = flow.next_sequence.wrapping_sub(len_u16(flow.size).into());
        let in_order = !head.is_tcp() || head.next_sequence == begins;
        if count >= PARTS_MAX
            || !fits
            || !in_order
            || !is_continued(first, packet, head, flow, count)
        {
            return false;
        }
        self.parts.push(at.start + flow.header_len..at.end);
        self.data_len += flow.size;
        head.next_sequence = flow.next_sequence;
        self.pushed = flow.is_pushed(packet);
        self.open = !self.pushed && flow.size == head.size;
        true
    }

    /// Changes the first packet's header to stand for all of them, and says what is left to do.
    #[inline]
    fn seal_head(&self, buffer: &mut [u8]) -> Vnet {
        let Some(flow) = self.flow.filter(|_| self.parts.len() > 1) else {
            let checksum = if self.verified { Checksum::Valid } else { Checksum::Unknown };
            return Vnet { checksum, cut: Cut::Whole };
        };
        let header = &mut buffer[self.parts[0].clone()][..flow.header_len];
        let total = flow.header_len + self.data_len;
        set_total_len(header, &flow.inner, total);
        let transport_at = flow.inner.transport_at;
        let transport_len = len_u16(total - transport_at);
        let transport = &mut header[transport_at..];
        let (protocol, offset) = if flow.is_tcp() { (TCP, 16) } else { (UDP, 6) };
        if self.pushed {
            transport[13] |= PSH;
        }
        if !flow.is_tcp() {
            transport[4..6].copy_from_slice(&transport_len.to_be_bytes());
        }
        let sum =
            pseudo_header(flow.inner.source, flow.inner.target, protocol, transport_len).partial();
        transport[usize::from(offset)..usize::from(offset) + 2].copy_from_slice(&sum);
        let (header_len, size) = (len_u16(flow.header_len), len_u16(flow.size));
        let cut = match (flow.is_tcp(), flow.inner.source) {
            (true, IpAddr::V4(_)) => Cut::TcpV4 { header_len, size },
            (true, IpAddr::V6(_)) => Cut::TcpV6 { header_len, size },
            (false, _) => Cut::Udp { header_len, size },
        };
        Vnet { checksum: Checksum::Partial { start: len_u16(transport_at), offset }, cut }
    }
}

#[inline]
fn is_same_flow(one: &Inner, other: &Inner) -> bool {
    (one.transport, one.source, one.target) == (other.transport, other.source, other.target)
}

/// Whether the packet has nothing that cutting would not restore: options, fragments, extension headers.
#[inline]
fn is_plain(packet: &[u8], inner: &Inner) -> bool {
    match inner.source {
        IpAddr::V4(_) => {
            let fragment = u16::from_be_bytes([packet[6], packet[7]]);
            inner.transport_at == 20
                && fragment & MORE_FRAGMENTS_OR_OFFSET == 0
                && Sum::of(&packet[..20]).is_whole()
        }
        IpAddr::V6(_) => inner.transport_at == 40,
    }
}

/// Whether two packets of one flow differ only in what cutting restores.
#[inline]
fn is_continued(first: &[u8], packet: &[u8], head: &Flow, flow: &Flow, index: usize) -> bool {
    let network = match head.inner.source {
        IpAddr::V4(_) => {
            let id = |packet: &[u8]| u16::from_be_bytes([packet[4], packet[5]]);
            // The kernel counts identifications up when it cuts.
            let counted = id(packet) == id(first).wrapping_add(len_u16(index));
            let fragment = u16::from_be_bytes([packet[6], packet[7]]);
            // What may not be fragmented needs no identification (RFC 6864).
            first[1] == packet[1]
                && first[6..9] == packet[6..9]
                && (counted || fragment & DONT_FRAGMENT != 0)
        }
        IpAddr::V6(_) => first[..4] == packet[..4] && first[7] == packet[7],
    };
    if !network || flow.header_len != head.header_len {
        return false;
    }
    if !head.is_tcp() {
        return true;
    }
    let at = head.inner.transport_at;
    let (first, packet) = (&first[at..head.header_len], &packet[at..head.header_len]);
    // Acknowledgement, length and reserved bits; window; urgent pointer and options.
    first[8..13] == packet[8..13] && first[14..16] == packet[14..16] && first[18..] == packet[18..]
}

fn set_total_len(header: &mut [u8], inner: &Inner, total: usize) {
    match inner.source {
        IpAddr::V4(_) => {
            header[2..4].copy_from_slice(&len_u16(total).to_be_bytes());
            header[10..12].fill(0);
            let sum = Sum::of(&header[..20]).finish();
            header[10..12].copy_from_slice(&sum);
        }
        IpAddr::V6(_) => header[4..6].copy_from_slice(&len_u16(total - 40).to_be_bytes()),
    }
}
