//! Ranges of addresses, as policies for one node have them.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Addresses of one family from one through another. In text, `100.64.0.1` or `100.64.0.1-100.64.0.9`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AddressRange {
    first: IpAddr,
    last: IpAddr,
}

/// Why a text is not a range of addresses.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{found}` is not a range of addresses such as 100.64.0.1-100.64.0.9")]
pub struct NotARange {
    /// What was given, cut to a readable length.
    pub found: String,
}

impl AddressRange {
    /// The addresses from `first` through `last`. `None` if they are of two families, or the wrong way round.
    pub fn new(first: IpAddr, last: IpAddr) -> Option<Self> {
        (first.is_ipv4() == last.is_ipv4() && first <= last).then_some(Self { first, last })
    }

    /// One address.
    pub const fn one(address: IpAddr) -> Self {
        Self { first: address, last: address }
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
        address.is_ipv4() == self.first.is_ipv4() && (self.first..=self.last).contains(&address)
    }
}

impl fmt::Display for AddressRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.first == self.last {
            return write!(f, "{}", self.first);
        }
        write!(f, "{}-{}", self.first, self.last)
    }
}

impl fmt::Debug for AddressRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for AddressRange {
    type Err = NotARange;

    fn from_str(text: &str) -> Result<Self, NotARange> {
        let refused = || NotARange { found: text.chars().take(90).collect() };
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let first = first.parse().map_err(|_| refused())?;
        let last = last.parse().map_err(|_| refused())?;
        Self::new(first, last).ok_or_else(refused)
    }
}

impl Serialize for AddressRange {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for AddressRange {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(input)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

super::kind::text_schema!(AddressRange, "100.64.0.1-100.64.0.9");
