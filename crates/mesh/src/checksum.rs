//! The Internet checksum (RFC 1071): a sum of 16-bit words in one's complement.
//!
//! Sums are kept as 64-bit numbers in the byte order of the machine and swapped once at the end, which one's
//! complement permits. Partial sums of pieces may be added when every piece but the last has an even length.

use std::net::IpAddr;

/// A sum under way. Adding is associative and commutative.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sum(u64);

impl Sum {
    /// The sum of `bytes`; an odd last byte counts as the high half of its word.
    #[inline]
    pub fn of(bytes: &[u8]) -> Self {
        // Sixteen sums side by side: the compiler makes them a few wide registers. Words of 32 bits cannot overflow a
        // lane within 2^32 blocks, so wrapping additions, which need no check, are exact.
        let mut lanes = [0_u64; 16];
        let (blocks, rest) = bytes.as_chunks::<64>();
        for block in blocks {
            let (words, _) = block.as_chunks::<4>();
            for at in 0..lanes.len() {
                lanes[at] = lanes[at].wrapping_add(u64::from(u32::from_ne_bytes(words[at])));
            }
        }
        let mut sum = 0;
        for lane in lanes {
            sum += fold_32(lane);
        }
        let (words, last) = rest.as_chunks::<2>();
        for word in words {
            sum += u64::from(u16::from_ne_bytes(*word));
        }
        if let [odd] = last {
            sum += u64::from(u16::from_ne_bytes([*odd, 0]));
        }
        Self(sum)
    }

    /// The sum of this and another piece.
    #[inline]
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self(fold_32(self.0) + fold_32(other.0))
    }

    /// The sum with one more word, given as the number it is on the wire.
    #[inline]
    #[must_use]
    pub const fn plus_word(self, word: u16) -> Self {
        Self(fold_32(self.0) + u16::from_ne_bytes(word.to_be_bytes()) as u64)
    }

    /// The checksum to write into a packet: the complement of the sum.
    #[inline]
    pub fn finish(self) -> [u8; 2] {
        (!self.fold()).to_ne_bytes()
    }

    /// The sum as it stands in a packet whose checksum somebody else will complete.
    #[inline]
    pub fn partial(self) -> [u8; 2] {
        self.fold().to_ne_bytes()
    }

    /// Whether a packet that was summed with its checksum is whole.
    #[inline]
    pub fn is_whole(self) -> bool {
        self.fold() == 0xffff
    }

    #[inline]
    fn fold(self) -> u16 {
        let mut sum = fold_32(self.0);
        loop {
            match u16::try_from(sum) {
                Ok(folded) => return folded,
                Err(_) => sum = (sum & 0xffff) + (sum >> 16),
            }
        }
    }
}

#[inline]
const fn fold_32(sum: u64) -> u64 {
    (sum & 0xffff_ffff) + (sum >> 32)
}

/// What TCP and UDP add of the network layer: both addresses, the protocol, and the length of header and data.
#[inline]
pub fn pseudo_header(source: IpAddr, target: IpAddr, protocol: u8, len: u16) -> Sum {
    let addresses = match (source, target) {
        (IpAddr::V4(source), IpAddr::V4(target)) => {
            Sum::of(&source.octets()).plus(Sum::of(&target.octets()))
        }
        (IpAddr::V6(source), IpAddr::V6(target)) => {
            Sum::of(&source.octets()).plus(Sum::of(&target.octets()))
        }
        // A packet has addresses of one family; the classifier makes no other.
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => Sum::default(),
    };
    addresses.plus_word(u16::from(protocol)).plus_word(len)
}
