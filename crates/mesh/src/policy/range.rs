//! Ranges of addresses: what blocks, hosts and members come down to.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use crate::routes::Prefix;

/// Addresses of one family from one through another.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Range {
    first: IpAddr,
    last: IpAddr,
}

/// Why a text is neither an address, nor a block, nor a range.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{found}` is not an address, a block such as 10.0.0.0/24, or a range such as 10.0.0.1-10.0.0.9"
)]
pub struct NotARange {
    /// What was given, cut to a readable length.
    pub found: String,
}

impl Range {
    /// The addresses from `first` through `last`. `None` if they are of two families, or the wrong way round.
    pub fn new(first: IpAddr, last: IpAddr) -> Option<Self> {
        (first.is_ipv4() == last.is_ipv4() && first <= last).then_some(Self { first, last })
    }

    /// One address.
    pub const fn one(address: IpAddr) -> Self {
        Self { first: address, last: address }
    }

    /// The addresses of a block.
    pub fn of_block(block: Prefix) -> Self {
        let last = match block.address() {
            IpAddr::V4(v4) => {
                let host = u32::MAX.checked_shr(block.bits().into()).unwrap_or(0);
                Ipv4Addr::from_bits(v4.to_bits() | host).into()
            }
            IpAddr::V6(v6) => {
                let host = u128::MAX.checked_shr(block.bits().into()).unwrap_or(0);
                Ipv6Addr::from_bits(v6.to_bits() | host).into()
            }
        };
        Self { first: block.address(), last }
    }

    /// The first.
    pub const fn first(&self) -> IpAddr {
        self.first
    }

    /// The last, which belongs to it.
    pub const fn last(&self) -> IpAddr {
        self.last
    }

    /// Whether an address lies in it.
    pub fn contains(&self, address: IpAddr) -> bool {
        address.is_ipv4() == self.first.is_ipv4() && self.first <= address && address <= self.last
    }

    /// Whether nothing lies between its end and what begins at `next`.
    fn touches(&self, next: IpAddr) -> bool {
        match (self.last, next) {
            (IpAddr::V4(last), IpAddr::V4(next)) => {
                last.to_bits().saturating_add(1) >= next.to_bits()
            }
            (IpAddr::V6(last), IpAddr::V6(next)) => {
                last.to_bits().saturating_add(1) >= next.to_bits()
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }
}

/// The same addresses, in order, in as few ranges as will do.
pub(super) fn merged(mut ranges: Vec<Range>) -> Vec<Range> {
    ranges.sort_unstable();
    let mut merged: Vec<Range> = Vec::with_capacity(ranges.len());
    for range in ranges {
        match merged.last_mut() {
            Some(before) if before.touches(range.first) => {
                before.last = before.last.max(range.last)
            }
            Some(_) | None => merged.push(range),
        }
    }
    merged
}

/// Whether an address lies in one of these ranges, which are [`merged`].
pub(super) fn is_in(ranges: &[Range], address: IpAddr) -> bool {
    let behind = ranges.partition_point(|range| range.first <= address);
    behind > 0 && ranges[behind - 1].contains(address)
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.first == self.last {
            return write!(f, "{}", self.first);
        }
        write!(f, "{}-{}", self.first, self.last)
    }
}

impl fmt::Debug for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Range {
    type Err = NotARange;

    fn from_str(text: &str) -> Result<Self, NotARange> {
        let refused = || NotARange { found: text.chars().take(90).collect() };
        if text.contains('/') {
            return text.parse().map(Self::of_block).map_err(|_| refused());
        }
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let first = first.parse().map_err(|_| refused())?;
        let last = last.parse().map_err(|_| refused())?;
        Self::new(first, last).ok_or_else(refused)
    }
}
