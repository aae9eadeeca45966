//! What a node serves, and where a relay put it.

use std::fmt;
use std::str::FromStr;

use units::RentalId;

use crate::name::ServiceName;

/// What a service's visitors speak: decides by which doors they come.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum Proto {
    /// HTTP by host name; the relay ends TLS.
    Http,
    /// TLS by host name; the service ends TLS, and the relay sees none of it.
    Tls,
    /// SSH by jump host.
    Ssh,
    /// TCP on a leased port.
    Tcp,
    /// UDP on a leased port, each datagram with its length before it.
    Udp,
}

impl Proto {
    /// All of them, in order of their numbers.
    pub const ALL: [Self; 5] = [Self::Http, Self::Tls, Self::Ssh, Self::Tcp, Self::Udp];

    /// Whether what visitors say is already sealed from end to end, so that a leg without TLS gives nothing away.
    pub const fn is_sealed(self) -> bool {
        match self {
            Self::Tls | Self::Ssh => true,
            Self::Http | Self::Tcp | Self::Udp => false,
        }
    }

    pub(crate) fn number(self) -> u8 {
        match self {
            Self::Http => 0,
            Self::Tls => 1,
            Self::Ssh => 2,
            Self::Tcp => 3,
            Self::Udp => 4,
        }
    }

    const fn word(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Tls => "tls",
            Self::Ssh => "ssh",
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        }
    }
}

/// Who may visit a service.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum Visibility {
    /// Anybody who knows where it is.
    Public,
    /// Whom its policy names.
    Members,
    /// Its owner.
    Owner,
}

impl Visibility {
    /// All of them, in order of their numbers.
    pub const ALL: [Self; 3] = [Self::Public, Self::Members, Self::Owner];

    pub(crate) fn number(self) -> u8 {
        match self {
            Self::Public => 0,
            Self::Members => 1,
            Self::Owner => 2,
        }
    }

    const fn word(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Members => "members",
            Self::Owner => "owner",
        }
    }
}

/// Why a text is none of a few words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is none of {expected}")]
pub struct NotAWord {
    /// The words that are.
    pub expected: &'static str,
}

impl fmt::Display for Proto {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl FromStr for Proto {
    type Err = NotAWord;

    fn from_str(text: &str) -> Result<Self, NotAWord> {
        let found = Self::ALL.into_iter().find(|proto| proto.word() == text);
        found.ok_or(NotAWord { expected: "http, tls, ssh, tcp, udp" })
    }
}

impl fmt::Display for Visibility {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl FromStr for Visibility {
    type Err = NotAWord;

    fn from_str(text: &str) -> Result<Self, NotAWord> {
        let found = Self::ALL.into_iter().find(|visibility| visibility.word() == text);
        found.ok_or(NotAWord { expected: "public, members, owner" })
    }
}

/// A service that a node offers at a relay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// What it is called.
    pub name: ServiceName,
    /// What its visitors speak.
    pub proto: Proto,
    /// Who may visit.
    pub visibility: Visibility,
    /// Whether bulk may leave TLS, because its owner said that what it carries is sealed or no secret.
    pub is_plain_allowed: bool,
    /// The port that the node would like, where ports are leased; 0 for any.
    pub port_wished: u16,
    /// Whom a service for members is for, besides whose it is: a [`crate::Policy`] as text.
    pub policy: String,
    /// The rental that it belongs to; none for what its node publishes in its account's name.
    pub rental: Option<RentalId>,
}

/// Where a relay put a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Served {
    /// Which service.
    pub name: ServiceName,
    /// The host names that visitors may use.
    pub hosts: Vec<String>,
    /// The ports that visitors may use.
    pub ports: Vec<u16>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_as_they_are_written() {
        for proto in Proto::ALL {
            assert_eq!(proto.to_string().parse(), Ok(proto));
            assert_eq!(Proto::ALL[usize::from(proto.number())], proto);
        }
        for visibility in Visibility::ALL {
            assert_eq!(visibility.to_string().parse(), Ok(visibility));
            assert_eq!(Visibility::ALL[usize::from(visibility.number())], visibility);
        }
        assert!("quic".parse::<Proto>().is_err());
        assert!("all".parse::<Visibility>().is_err());
    }
}
