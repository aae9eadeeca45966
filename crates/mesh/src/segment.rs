//! Cutting: from a super-packet of up to 64 KiB to packets that fit, with the checksums they need.
//!
//! Each packet is written straight into the place where it will be sealed, so that its bytes pass through the
//! processor's nearest cache once: copy, sum, seal.
//!
//! # Invariants
//! - The data of all packets in order is the data of the super-packet.
//! - All packets but the last are equally long, which lets one system call send them all.
//! - IPv4 identifications count up; FIN and PSH stand on the last packet only, CWR on the first only.

use std::net::IpAddr;

use crate::checksum::{Sum, pseudo_header};
use crate::guard::tcp_flags;
use crate::inner::{Inner, NotAPacket, TCP, Transport, UDP, len_u16};
use crate::vnet::{Checksum, Cut, UnknownOffload, VNET_LEN, Vnet};

const FIN_AND_PSH: u8 = 0x01 | 0x08;
const CWR: u8 = 0x80;
const UDP_HEADER_LEN: usize = 8;

/// A frame of the device, understood and ready to be cut.
#[derive(Debug)]
pub struct Cutter<'a> {
    /// What the packet is.
    pub inner: Inner,
    packet: &'a [u8],
    plan: Plan,
}

#[derive(Clone, Copy, Debug)]
enum Plan {
    Whole(Checksum),
    Pieces { header_len: usize, size: usize, count: usize, tcp: bool, base: Sum },
}

/// Why a frame is not cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAFrame {
    /// It is shorter than the device's header.
    #[error("the frame is cut off")]
    Short,
    /// The device's header makes no sense.
    #[error(transparent)]
    Offload(#[from] UnknownOffload),
    /// What follows is no packet.
    #[error(transparent)]
    Packet(#[from] NotAPacket),
    /// The device's header does not fit the packet.
    #[error("the device's header does not fit the packet")]
    Mismatch,
}

impl<'a> Cutter<'a> {
    /// Understands one frame: device's header, then packet.
    #[inline]
    pub fn read(frame: &'a [u8]) -> Result<Self, NotAFrame> {
        let (header, packet) = frame.split_first_chunk::<VNET_LEN>().ok_or(NotAFrame::Short)?;
        let vnet = Vnet::read(header)?;
        let inner = Inner::read(packet)?;
        let packet = &packet[..inner.len];
        let plan = match vnet.cut {
            Cut::Whole => whole(&inner, packet, vnet.checksum)?,
            Cut::TcpV4 { size, .. } | Cut::TcpV6 { size, .. } => {
                pieces(&inner, packet, size, true)?
            }
            Cut::Udp { size, .. } => pieces(&inner, packet, size, false)?,
        };
        Ok(Self { inner, packet, plan })
    }

    /// How many packets it becomes.
    #[inline]
    pub const fn count(&self) -> usize {
        match self.plan {
            Plan::Whole(_) => 1,
            Plan::Pieces { count, .. } => count,
        }
    }

    /// How long all of them are together, in bytes.
    #[inline]
    pub const fn total(&self) -> usize {
        match self.plan {
            Plan::Whole(_) => self.packet.len(),
            Plan::Pieces { header_len, count, .. } => self.packet.len() + (count - 1) * header_len,
        }
    }

    /// The packet, as it was before it is cut.
    #[inline]
    pub(crate) const fn packet(&self) -> &[u8] {
        self.packet
    }

    /// The flags of a packet of TCP, else 0.
    #[inline]
    pub(crate) fn tcp_flags(&self) -> u8 {
        tcp_flags(self.packet, &self.inner)
    }

    /// How long the longest of them is, in bytes.
    #[inline]
    pub fn longest(&self) -> usize {
        match self.plan {
            Plan::Whole(_) => self.packet.len(),
            Plan::Pieces { header_len, size, .. } => (header_len + size).min(self.packet.len()),
        }
    }

    /// Cuts it so that no packet is longer than `mtu`. False if it may not be cut: only TCP does not mind where.
    pub fn shorten(&mut self, mtu: usize) -> bool {
        let Transport::Tcp { .. } = self.inner.transport else { return false };
        let tcp = &self.packet[self.inner.transport_at..];
        let header_len = self.inner.transport_at + usize::from((tcp[12] >> 4).max(5)) * 4;
        // SYN and RST carry no data that could be cut, URG counts from the packet's begin.
        let cuttable =
            tcp[13] & (0x02 | 0x04 | 0x20) == 0 && header_len < self.packet.len().min(mtu);
        if !cuttable || self.is_fragment() {
            return false;
        }
        let size = mtu - header_len;
        let count = (self.packet.len() - header_len).div_ceil(size);
        let base = pseudo_header(self.inner.source, self.inner.target, TCP, 0);
        self.plan = Plan::Pieces { header_len, size, count, tcp: true, base };
        true
    }

    fn is_fragment(&self) -> bool {
        match self.inner.source {
            IpAddr::V4(_) => u16::from_be_bytes([self.packet[6], self.packet[7]]) & 0x3fff != 0,
            IpAddr::V6(_) => self.inner.transport_at != 40,
        }
    }

    /// Writes packet number `index` to the front of `out` and says how long it is.
    ///
    /// # Panics
    /// If `index` is not below [`Cutter::count`] or `out` shorter than [`Cutter::longest`].
    #[inline]
    pub fn write(&self, index: usize, out: &mut [u8]) -> usize {
        match self.plan {
            Plan::Whole(checksum) => self.write_whole(checksum, out),
            Plan::Pieces { header_len, size, count, tcp, base } => {
                assert!(index < count, "there are as many packets as were counted");
                let from = header_len + index * size;
                let data = &self.packet[from..(from + size).min(self.packet.len())];
                let len = header_len + data.len();
                let out = &mut out[..len];
                out[..header_len].copy_from_slice(&self.packet[..header_len]);
                out[header_len..].copy_from_slice(data);
                self.set_network(out, index);
                let last = index + 1 == count;
                if tcp {
                    self.set_tcp(out, index, index * size, last, base);
                } else {
                    self.set_udp(out, base);
                }
                len
            }
        }
    }

    fn write_whole(&self, checksum: Checksum, out: &mut [u8]) -> usize {
        let out = &mut out[..self.packet.len()];
        out.copy_from_slice(self.packet);
        if let Checksum::Partial { start, offset } = checksum {
            let start = usize::from(start);
            let at = start + usize::from(offset);
            // The field holds the pseudo header's sum, so summing over it completes it.
            let mut sum = Sum::of(&out[start..]).finish();
            if self.is_udp() && sum == [0, 0] {
                sum = [0xff, 0xff];
            }
            out[at..at + 2].copy_from_slice(&sum);
        }
        out.len()
    }

    const fn is_udp(&self) -> bool {
        matches!(self.inner.transport, Transport::Udp { .. })
    }

    /// Sets length, identification and header checksum.
    #[inline]
    fn set_network(&self, out: &mut [u8], index: usize) {
        match self.inner.source {
            IpAddr::V4(_) => {
                let len = len_u16(out.len());
                let first = u16::from_be_bytes([out[4], out[5]]);
                let id = first.wrapping_add(len_u16(index));
                out[2..4].copy_from_slice(&len.to_be_bytes());
                out[4..6].copy_from_slice(&id.to_be_bytes());
                out[10..12].fill(0);
                let sum = Sum::of(&out[..self.inner.transport_at]).finish();
                out[10..12].copy_from_slice(&sum);
            }
            IpAddr::V6(_) => {
                let len = len_u16(out.len() - 40);
                out[4..6].copy_from_slice(&len.to_be_bytes());
            }
        }
    }

    #[inline]
    fn set_tcp(&self, out: &mut [u8], index: usize, sent: usize, last: bool, base: Sum) {
        let tcp = &mut out[self.inner.transport_at..];
        let first = u32::from_be_bytes([tcp[4], tcp[5], tcp[6], tcp[7]]);
        let sequence = first.wrapping_add(len_u16(sent).into());
        tcp[4..8].copy_from_slice(&sequence.to_be_bytes());
        if !last {
            tcp[13] &= !FIN_AND_PSH;
        }
        if index > 0 {
            tcp[13] &= !CWR;
        }
        tcp[16..18].fill(0);
        let len = len_u16(tcp.len());
        let sum = base.plus_word(len).plus(Sum::of(tcp)).finish();
        tcp[16..18].copy_from_slice(&sum);
    }

    #[inline]
    fn set_udp(&self, out: &mut [u8], base: Sum) {
        let udp = &mut out[self.inner.transport_at..];
        let len = len_u16(udp.len());
        udp[4..6].copy_from_slice(&len.to_be_bytes());
        udp[6..8].fill(0);
        let mut sum = base.plus_word(len).plus(Sum::of(udp)).finish();
        // Zero would mean that there is none.
        if sum == [0, 0] {
            sum = [0xff, 0xff];
        }
        udp[6..8].copy_from_slice(&sum);
    }
}

fn whole(inner: &Inner, packet: &[u8], checksum: Checksum) -> Result<Plan, NotAFrame> {
    if let Checksum::Partial { start, offset } = checksum {
        let at = usize::from(start) + usize::from(offset);
        // Behind what was read of it: addresses and ports stay as they will be judged.
        let judged = match inner.transport {
            Transport::Tcp { .. } | Transport::Udp { .. } => 4,
            Transport::Icmp { .. } => 2,
            Transport::Fragment { .. } | Transport::Other { .. } => 0,
        };
        if at < inner.transport_at + judged || at + 2 > packet.len() {
            return Err(NotAFrame::Mismatch);
        }
    }
    Ok(Plan::Whole(checksum))
}

fn pieces(inner: &Inner, packet: &[u8], size: u16, tcp: bool) -> Result<Plan, NotAFrame> {
    let header_len = match (inner.transport, tcp) {
        (Transport::Tcp { .. }, true) => {
            let words = packet[inner.transport_at + 12] >> 4;
            inner.transport_at + usize::from(words.max(5)) * 4
        }
        (Transport::Udp { .. }, false) => inner.transport_at + UDP_HEADER_LEN,
        (_, _) => return Err(NotAFrame::Mismatch),
    };
    if header_len >= packet.len() {
        return Err(NotAFrame::Mismatch);
    }
    let size = usize::from(size);
    let count = (packet.len() - header_len).div_ceil(size);
    let protocol = if tcp { TCP } else { UDP };
    let base = pseudo_header(inner.source, inner.target, protocol, 0);
    Ok(Plan::Pieces { header_len, size, count, tcp, base })
}
