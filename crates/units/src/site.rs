//! A place of machines that reach each other as if they were one.

use std::fmt;
use std::str::FromStr;

use crate::hardware::NotHardware;
use crate::id::as_text;

/// What a site's text starts with.
const PREFIX: &str = "site-";

/// A place whose machines reach each other within 2 ms. Whoever describes the machines makes it, so that two places
/// never have the same.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Site(u64);

impl Site {
    /// The site with these bits.
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// The bits, for hashing and for storage.
    pub const fn bits(self) -> u64 {
        self.0
    }
}

impl fmt::Display for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{:x}", self.0)
    }
}

impl fmt::Debug for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Site {
    type Err = NotHardware;

    fn from_str(text: &str) -> Result<Self, NotHardware> {
        let digits = text.strip_prefix(PREFIX).filter(|digits| !digits.starts_with('+'));
        let bits = digits.and_then(|digits| u64::from_str_radix(digits, 16).ok());
        bits.map(Self).ok_or_else(|| NotHardware {
            found: text.chars().take(40).collect(),
            expected: "a site: site- and up to 16 hexadecimal digits",
        })
    }
}

as_text!(Site, "site-2a".to_owned());

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_site_is_read_as_it_is_written() {
        for bits in [0, 42, u64::MAX] {
            let site = Site::from_bits(bits);
            assert_eq!(site.to_string().parse(), Ok(site));
        }
        for wrong in ["", "site-", "2a", "site-+2a", "site-g", "site-11111111111111111"] {
            assert!(wrong.parse::<Site>().is_err(), "{wrong}");
        }
    }
}
