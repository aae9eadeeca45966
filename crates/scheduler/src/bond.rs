//! What ties a machine to others: whose nodes are on it, its site, and how near it is to an anchor.

use crate::column::places;

/// No tenant is on the machine, or its site is not known.
pub(crate) const NOBODY: u32 = 0;
/// Several tenants are on the machine; no tenant has this number.
pub(crate) const SEVERAL: u32 = u32::MAX;
/// It is near no anchor.
const OUT_OF_REACH: u8 = 33;

/// What ties a machine to others, in the numbers of the index.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Bond {
    /// The only tenant on it, [`NOBODY`] or [`SEVERAL`].
    pub(crate) tenant: u32,
    /// Its site, zero when it is not known.
    pub(crate) site: u32,
    /// The round trip to the nearest anchor, as [`reach`] tells it.
    pub(crate) reach: u8,
    /// Whether its tenant bears no other.
    pub(crate) alone: bool,
}

/// A round trip in so few steps that it fits a byte: each is twice as long as the one before.
pub(crate) fn reach(micros: Option<u32>) -> u8 {
    let bits = |micros: u32| u8::try_from(u32::BITS - micros.leading_zeros()).expect("at most 32");
    micros.map_or(OUT_OF_REACH, bits)
}

/// What an order asks of a machine's ties. The default asks nothing.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Ties {
    /// The number of whoever asks, if it has nodes anywhere.
    pub(crate) tenant: Option<u32>,
    /// Whether it bears no other tenant.
    pub(crate) alone: bool,
    /// The farthest that an anchor may be, as [`reach`] tells it.
    pub(crate) reach_max: Option<u8>,
}

impl Ties {
    pub(crate) fn passes(&self, bond: &Bond) -> bool {
        let is_mine = self.tenant == Some(bond.tenant);
        let is_free = bond.tenant == NOBODY || is_mine || !(self.alone || bond.alone);
        is_free && self.reach_max.is_none_or(|max| bond.reach <= max)
    }

    /// The places of `among` that pass, but for machines that somebody else has alone: no lane that an order sees has
    /// any.
    #[inline]
    pub(crate) fn of(&self, bonds: &[Bond], among: u64) -> u64 {
        if !self.alone && self.reach_max.is_none() {
            return among;
        }
        let passes = |place: &usize| self.passes(&bonds[*place]);
        places(among).filter(passes).fold(0, |mask, place| mask | 1 << place)
    }
}
