//! Congestion marks (RFC 3168) across a tunnel, as RFC 6040 has it: what a packet says goes on the outside of the
//! datagram that carries it, and what the way says there is carried over to the packet.

use crate::checksum::Sum;

/// What the two bits of a packet say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ecn {
    /// Its ends do not understand marks.
    #[default]
    Deaf,
    /// They do, in the way of newer experiments: ECT(1).
    One,
    /// They do: ECT(0).
    Zero,
    /// A router on the way was congested.
    Congested,
}

/// What becomes of a packet that came out of a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Combined {
    /// It stays as it is.
    Stays,
    /// It is to say this.
    Says(Ecn),
    /// It is lost: the way was congested, and its ends understand nothing else.
    Lost,
}

impl Ecn {
    /// What the last two bits of a byte say.
    #[inline]
    pub const fn of_bits(bits: u8) -> Self {
        match bits & 3 {
            0 => Self::Deaf,
            1 => Self::One,
            2 => Self::Zero,
            _ => Self::Congested,
        }
    }

    /// As it stands in a packet.
    #[inline]
    pub const fn bits(self) -> u8 {
        match self {
            Self::Deaf => 0,
            Self::One => 1,
            Self::Zero => 2,
            Self::Congested => 3,
        }
    }

    /// What a packet says, which was read before.
    #[inline]
    pub(crate) fn of_packet(packet: &[u8]) -> Self {
        match packet {
            [first, second, ..] if first >> 4 == 6 => Self::of_bits(second >> 4),
            [_, second, ..] => Self::of_bits(*second),
            _ => Self::Deaf,
        }
    }

    /// What a packet that says `self` is to say behind a tunnel on which its datagram came to say `outside`.
    #[inline]
    pub(crate) const fn combined(self, outside: Self) -> Combined {
        match (self, outside) {
            (Self::Deaf, Self::Congested) => Combined::Lost,
            (Self::One | Self::Zero, Self::Congested) => Combined::Says(Self::Congested),
            (Self::Zero, Self::One) => Combined::Says(Self::One),
            (Self::Deaf, Self::Deaf | Self::One | Self::Zero)
            | (Self::Zero, Self::Deaf | Self::Zero)
            | (Self::One, Self::Deaf | Self::One | Self::Zero)
            | (Self::Congested, _) => Combined::Stays,
        }
    }

    /// Writes it into a packet, which was read before.
    #[cold]
    pub(crate) fn write(self, packet: &mut [u8]) {
        if packet.first().is_some_and(|first| first >> 4 == 6) {
            if let Some(byte) = packet.get_mut(1) {
                *byte = *byte & !0x30 | self.bits() << 4;
            }
            return;
        }
        let len = packet.first().map_or(0, |first| usize::from(first & 0x0f) * 4);
        let Some(header) = packet.get_mut(..len.max(12)) else { return };
        header[1] = header[1] & !3 | self.bits();
        header[10..12].fill(0);
        let sum = Sum::of(header).finish();
        header[10..12].copy_from_slice(&sum);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Section 4.2 of RFC 6040, row by row: what the packet says, and what becomes of it by what its datagram says.
    #[test]
    fn marks_are_combined_as_the_standard_has_it() {
        use Ecn::{Congested, Deaf, One, Zero};
        let outsides = [Deaf, Zero, One, Congested];
        for (inside, expected) in [
            (Deaf, [Some(Deaf), Some(Deaf), Some(Deaf), None]),
            (Zero, [Some(Zero), Some(Zero), Some(One), Some(Congested)]),
            (One, [Some(One), Some(One), Some(One), Some(Congested)]),
            (Congested, [Some(Congested), Some(Congested), Some(Congested), Some(Congested)]),
        ] {
            let found = outsides.map(|outside| match inside.combined(outside) {
                Combined::Stays => Some(inside),
                Combined::Says(says) => Some(says),
                Combined::Lost => None,
            });
            assert_eq!(found, expected, "{inside:?}");
        }
    }

    #[test]
    fn what_is_written_is_read_and_nothing_else_changes() {
        let v4 = {
            let mut packet = vec![0x45, 0xb8, 0, 20, 1, 2, 0x40, 0, 64, 6, 0, 0];
            packet.extend([10, 0, 0, 1, 10, 0, 0, 2]);
            let sum = Sum::of(&packet).finish();
            packet[10..12].copy_from_slice(&sum);
            packet
        };
        let mut v6 = vec![0x6b, 0x8f, 0xff, 0xff];
        v6.resize(40, 7);
        for packet in [v4, v6] {
            for ecn in [Ecn::One, Ecn::Zero, Ecn::Congested, Ecn::Deaf] {
                let mut marked = packet.clone();
                ecn.write(&mut marked);
                assert_eq!(Ecn::of_packet(&marked), ecn);
                if packet[0] == 0x45 {
                    assert_eq!(Sum::of(&marked).finish(), [0, 0], "the header's sum is right");
                }
                Ecn::of_packet(&packet).write(&mut marked);
                assert_eq!(marked, packet);
            }
        }
    }
}
