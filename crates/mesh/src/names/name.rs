//! A name of a member, without the zone that it ends in.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use super::ZONE;

/// How long a label may be (RFC 1035).
const LABEL_LEN_MAX: usize = 63;
/// How long a name may be, so that it fits with its zone.
const NAME_LEN_MAX: usize = 240;
/// Labels of a name: a node, a rental, and some.
const LABELS_MAX: usize = 4;

/// A name of a member: labels of small letters, digits, `-` and `_`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct MeshName(String);

/// A text that is no such name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not a name of a member: up to four labels of 1 to 63 letters, digits, `-` or `_`, with dots between"
)]
pub struct NotAName(pub String);

impl MeshName {
    /// Reads a name, with or without the zone behind it.
    pub fn parse(text: &str) -> Result<Self, NotAName> {
        let small = text.trim_end_matches('.').to_ascii_lowercase();
        let bare = small.strip_suffix(ZONE).and_then(|rest| rest.strip_suffix('.'));
        let name = bare.unwrap_or(&small);
        let refused = || NotAName(text.chars().take(80).collect());
        let good = name.len() <= NAME_LEN_MAX
            && name.split('.').count() <= LABELS_MAX
            && name.split('.').all(is_label);
        if good { Ok(Self(name.to_owned())) } else { Err(refused()) }
    }

    /// As it is written, without the zone.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for MeshName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{ZONE}", self.0)
    }
}

impl FromStr for MeshName {
    type Err = NotAName;

    fn from_str(text: &str) -> Result<Self, NotAName> {
        Self::parse(text)
    }
}

fn is_label(label: &str) -> bool {
    let is_known = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let edges = !label.starts_with('-') && !label.ends_with('-');
    (1..=LABEL_LEN_MAX).contains(&label.len()) && label.bytes().all(is_known) && edges
}

/// The address that a name of the reverse zones stands for, if it is a whole one.
pub(super) fn reversed(name: &str) -> Option<IpAddr> {
    let name = name.to_ascii_lowercase();
    if let Some(octets) = name.strip_suffix(".in-addr.arpa") {
        let turned: Vec<&str> = octets.rsplit('.').collect();
        return turned.join(".").parse::<Ipv4Addr>().ok().map(IpAddr::from);
    }
    let nibbles = name.strip_suffix(".ip6.arpa")?;
    let mut bits = 0_u128;
    let mut count = 0;
    for nibble in nibbles.rsplit('.') {
        let digit = u8::from_str_radix(nibble, 16).ok().filter(|_| nibble.len() == 1)?;
        bits = bits.checked_mul(16)? | u128::from(digit);
        count += 1;
    }
    (count == 32).then(|| Ipv6Addr::from_bits(bits).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_with_and_without_their_zone() {
        for (text, name) in [
            ("node0", Some("node0")),
            ("Node0.Mesh.", Some("node0")),
            ("node0.rnt_7.mesh", Some("node0.rnt_7")),
            ("mesh", Some("mesh")),
            ("", None),
            ("a..b", None),
            ("-a", None),
            ("a.b.c.d.e", None),
            ("ü", None),
            ("a b", None),
        ] {
            let read = MeshName::parse(text).ok();
            assert_eq!(read.as_ref().map(MeshName::as_str), name, "{text:?}");
        }
        assert!(MeshName::parse(&"a".repeat(64)).is_err());
    }

    #[test]
    fn reversed_names_are_whole_addresses() {
        let v6 = format!("1.{}0.0.d.f.ip6.arpa", "0.".repeat(27));
        for (text, ip) in [
            ("1.0.64.100.in-addr.arpa", Some("100.64.0.1")),
            (v6.as_str(), Some("fd00::1")),
            ("0.64.100.in-addr.arpa", None),
            ("d.f.ip6.arpa", None),
            ("+1.0.64.100.in-addr.arpa", None),
            ("node0.mesh", None),
        ] {
            assert_eq!(reversed(text), ip.map(|ip| ip.parse().expect("an address")), "{text}");
        }
    }
}
