//! Protocols and ports, as grants name them.

/// A protocol and ports of the one who is connected to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ports {
    /// The protocol's number (RFC 5237).
    pub protocol: u8,
    /// The first port; 0 where the protocol has none.
    pub first: u16,
    /// The last port, which belongs to it; 65535 where the protocol has none.
    pub last: u16,
}

/// Protocols with names, and whether they have ports that our classifier reads.
const NAMED: &[(&str, &[u8], bool)] = &[
    ("ah", &[51], false),
    ("esp", &[50], false),
    ("gre", &[47], false),
    ("icmp", &[1, 58], false),
    ("igmp", &[2], false),
    ("ipv6-icmp", &[58], false),
    ("sctp", &[132], false),
    ("tcp", &[6], true),
    ("udp", &[17], true),
];
const TCP_AND_UDP: &[u8] = &[6, 17];
/// What `*` stands for: what the classifier understands. Anything else must be named.
const KNOWN: &[u8] = &[1, 6, 17, 58];

/// What [`Ports::read`] could have read.
pub(super) const EXPECTED: &str =
    "`*`, a port, a range of ports, or a protocol with those, such as `tcp:22` or `icmp:*`";

impl Ports {
    /// Every port of a protocol, or the protocol itself if it has none.
    pub const fn all_of(protocol: u8) -> Self {
        Self { protocol, first: 0, last: u16::MAX }
    }

    /// Whether it has this port of this protocol.
    pub const fn contains(&self, protocol: u8, port: u16) -> bool {
        self.protocol == protocol && self.first <= port && port <= self.last
    }

    /// What an entry of `ip` says: `*`, `443`, `8000-8999`, `tcp:*`, `udp:53`, `icmp:*`, `47:*`. Ports alone are
    /// those of TCP and UDP.
    pub(super) fn read(text: &str) -> Option<Vec<Self>> {
        if text == "*" {
            return Some(KNOWN.iter().map(|protocol| Self::all_of(*protocol)).collect());
        }
        let Some((protocol, ports)) = text.split_once(':') else {
            return Some(of(TCP_AND_UDP, port_range(text)?));
        };
        let (numbers, has_ports) = protocol_of(protocol)?;
        match ports {
            "*" => Some(of(&numbers, (0, u16::MAX))),
            ports if has_ports => Some(of(&numbers, port_range(ports)?)),
            _ => None,
        }
    }
}

fn of(protocols: &[u8], (first, last): (u16, u16)) -> Vec<Ports> {
    protocols.iter().map(|protocol| Ports { protocol: *protocol, first, last }).collect()
}

fn port_range(text: &str) -> Option<(u16, u16)> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (number(first)?, number(last)?);
    (first <= last).then_some((first, last))
}

/// A port in decimal digits, and nothing else.
fn number(text: &str) -> Option<u16> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| is_plain)
}

/// The numbers that a protocol's name or number stands for, and whether it has ports.
pub(super) fn protocol_of(text: &str) -> Option<(Vec<u8>, bool)> {
    if let Some((_, numbers, has_ports)) = NAMED.iter().find(|(name, _, _)| *name == text) {
        return Some((numbers.to_vec(), *has_ports));
    }
    let number = u8::try_from(number(text)?).ok()?;
    Some((vec![number], TCP_AND_UDP.contains(&number)))
}

/// What a protocol is called, or its number.
pub fn protocol_name(protocol: u8) -> String {
    let is_this = |numbers: &[u8]| numbers.len() == 1 && numbers[0] == protocol;
    let named = NAMED.iter().find(|(_, numbers, _)| is_this(numbers));
    match (named, protocol) {
        (_, 1) => "icmp".to_owned(),
        (Some((name, _, _)), _) => (*name).to_owned(),
        (None, number) => number.to_string(),
    }
}
