//! The 10 bytes that stand before each packet a TUN device exchanges with offloads on (`struct virtio_net_hdr`).
//!
//! They say what the kernel left for us to do, or what we leave to it: a checksum to complete, a super-packet to cut.
//! Numbers are in the byte order of the machine.

/// How long the header is.
pub const VNET_LEN: usize = 10;

const NEEDS_CHECKSUM: u8 = 1;
const CHECKSUM_VALID: u8 = 2;
const CUT_TCP_V4: u8 = 1;
const CUT_TCP_V6: u8 = 4;
const CUT_UDP: u8 = 5;
/// May be set beside the kind of cut; the cutter handles the flag it stands for in any case.
const ECN: u8 = 0x80;

/// What is left to do to a packet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Vnet {
    /// Whether, and how, the checksum is to be completed.
    pub checksum: Checksum,
    /// Whether, and how, the packet is to be cut.
    pub cut: Cut,
}

/// The state of a packet's transport checksum.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Checksum {
    /// As the packet says.
    #[default]
    Unknown,
    /// It was verified.
    Valid,
    /// It holds a part: the sum of everything from `start` belongs to it, at `start + offset`.
    Partial { start: u16, offset: u16 },
}

/// How a super-packet is cut.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Cut {
    /// It is an ordinary packet.
    #[default]
    Whole,
    /// TCP over IPv4, at most `size` bytes of data each, behind headers of `header_len`.
    TcpV4 { header_len: u16, size: u16 },
    /// TCP over IPv6.
    TcpV6 { header_len: u16, size: u16 },
    /// UDP over either.
    Udp { header_len: u16, size: u16 },
}

/// A header that asks for something that does not exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the device's header asks for an unknown offload")]
pub struct UnknownOffload;

impl Vnet {
    /// Reads what the device says.
    #[inline]
    pub fn read(bytes: &[u8; VNET_LEN]) -> Result<Self, UnknownOffload> {
        let word = |at: usize| u16::from_ne_bytes([bytes[at], bytes[at + 1]]);
        let checksum = match bytes[0] {
            flags if flags & NEEDS_CHECKSUM != 0 => {
                Checksum::Partial { start: word(6), offset: word(8) }
            }
            flags if flags & CHECKSUM_VALID != 0 => Checksum::Valid,
            _ => Checksum::Unknown,
        };
        let (header_len, size) = (word(2), word(4));
        let cut = match bytes[1] & !ECN {
            0 => Cut::Whole,
            _ if size == 0 => return Err(UnknownOffload),
            CUT_TCP_V4 => Cut::TcpV4 { header_len, size },
            CUT_TCP_V6 => Cut::TcpV6 { header_len, size },
            CUT_UDP => Cut::Udp { header_len, size },
            _ => return Err(UnknownOffload),
        };
        Ok(Self { checksum, cut })
    }

    /// Says it to the device.
    #[inline]
    pub fn write(&self) -> [u8; VNET_LEN] {
        let mut out = [0; VNET_LEN];
        let (kind, header_len, size) = match self.cut {
            Cut::Whole => (0, 0, 0),
            Cut::TcpV4 { header_len, size } => (CUT_TCP_V4, header_len, size),
            Cut::TcpV6 { header_len, size } => (CUT_TCP_V6, header_len, size),
            Cut::Udp { header_len, size } => (CUT_UDP, header_len, size),
        };
        let (flags, start, offset) = match self.checksum {
            Checksum::Unknown => (0, 0, 0),
            Checksum::Valid => (CHECKSUM_VALID, 0, 0),
            Checksum::Partial { start, offset } => (NEEDS_CHECKSUM, start, offset),
        };
        (out[0], out[1]) = (flags, kind);
        for (at, word) in [(2, header_len), (4, size), (6, start), (8, offset)] {
            out[at..at + 2].copy_from_slice(&word.to_ne_bytes());
        }
        out
    }
}
