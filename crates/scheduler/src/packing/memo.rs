//! What was worked out before, as far as there is room.

use super::host::{Host, Model, WHOLE_MILLI};

/// Answers that are kept: 256 KiB.
const PLACES: usize = 1 << 14;

/// A number for what is free of a host, whatever the order of its cards. Two hosts that differ have the same one time
/// in 10^19.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Print(u64);

impl Print {
    /// That of a host's cards.
    #[inline]
    pub(crate) fn of(host: &Host) -> Self {
        Self(host.cards.free().iter().map(|free| of_card(*free)).fold(0, u64::wrapping_add))
    }

    /// When that many whole cards are taken.
    #[inline]
    pub(crate) fn without_cards(self, count: u8) -> Self {
        let one = of_card(0).wrapping_sub(of_card(WHOLE_MILLI));
        Self(self.0.wrapping_add(one.wrapping_mul(u64::from(count))))
    }

    /// When so much is taken of a card of which `free` is.
    #[inline]
    pub(crate) fn with_less(self, free: u16, milli: u16) -> Self {
        Self(self.0.wrapping_add(of_card(free - milli)).wrapping_sub(of_card(free)))
    }

    /// With processors, memory and the model of the cards.
    #[inline]
    pub(crate) fn with_rest(self, (cpu_milli, memory_mib): (u32, u32), model: Model) -> Self {
        let amounts = (u64::from(cpu_milli) << u32::BITS) | u64::from(memory_mib);
        Self(mixed(
            mixed(self.0.wrapping_add(amounts)) ^ (u64::from(model.number()) << 56) ^ amounts,
        ))
    }
}

/// A card of which nothing is free is no card.
fn of_card(free: u16) -> u64 {
    if free == 0 { 0 } else { mixed(u64::from(free)) }
}

/// `SplitMix64`'s.
fn mixed(word: u64) -> u64 {
    let mixed = word.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

#[derive(Clone, Copy, Debug)]
struct Kept {
    of: Print,
    edition: u32,
    answer: u32,
}

/// A number for each print of an edition. Of two that meet in one place the later stays.
#[derive(Clone, Debug)]
pub(crate) struct Memo {
    kept: Vec<Kept>,
    edition: u32,
}

impl Memo {
    pub(crate) fn new() -> Self {
        Self { kept: vec![Kept { of: Print(0), edition: 0, answer: 0 }; PLACES], edition: 1 }
    }

    /// What was worked out before holds no longer.
    pub(crate) fn forget(&mut self) {
        if self.edition == u32::MAX {
            *self = Self::new();
        } else {
            self.edition += 1;
        }
    }

    /// The answer for a host of that print, worked out if it must be.
    #[inline]
    pub(crate) fn get(&mut self, of: Print, work_out: impl FnOnce() -> u32) -> u32 {
        let edition = self.edition;
        let place = &mut self.kept[(of.0 >> 32) as usize % PLACES];
        if place.edition != edition || place.of != of {
            *place = Kept { of, edition, answer: work_out() };
        }
        place.answer
    }
}
