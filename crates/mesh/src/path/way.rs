//! A way to a peer: where its datagrams are handed over. The same value says where something came from, and so how to
//! answer it.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use blake2::{Blake2s256, Digest};
use data_encoding::HEXLOWER;

use crate::relay::RELAYED_HEADER_LEN;

/// What relays call a node: the first bytes of a hash of its node key. Known to all who know the key, and telling
/// nobody else who it is.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallSign(pub [u8; 8]);

/// A way to a peer. Its order breaks ties: direct first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Way {
    /// Straight to an address.
    Direct(SocketAddr),
    /// Over a relay's UDP port, which hands it on to who bears the call sign.
    Relayed {
        /// Where the relay takes datagrams.
        relay: SocketAddr,
        /// The far end.
        far: CallSign,
    },
    /// Over our connection to a relay: when nothing else gets through.
    Stream {
        /// The relay, by its own call sign.
        relay: CallSign,
        /// The far end.
        far: CallSign,
    },
    /// Through another member, which sees neither what is inside nor where the far end's packets come from.
    Hop {
        /// The member, by its call sign.
        hop: CallSign,
        /// The far end.
        far: CallSign,
    },
}

/// What kind of way it is: what people are told, and what flow records keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum WayKind {
    /// Straight.
    Direct,
    /// Over a relay's UDP port.
    Relayed,
    /// Over a connection to a relay.
    Stream,
    /// Through another member.
    Hop,
}

impl CallSign {
    /// What relays call the node of this ed25519 key.
    pub fn of_node(key: &[u8; 32]) -> Self {
        let hash = Blake2s256::new().chain_update(b"iog call sign 1").chain_update(key).finalize();
        let mut sign = [0; 8];
        sign.copy_from_slice(&hash[..8]);
        Self(sign)
    }
}

impl Way {
    /// What kind it is.
    pub const fn kind(&self) -> WayKind {
        match self {
            Self::Direct(_) => WayKind::Direct,
            Self::Relayed { .. } => WayKind::Relayed,
            Self::Stream { .. } => WayKind::Stream,
            Self::Hop { .. } => WayKind::Hop,
        }
    }

    /// The far end's name, where a relay is between.
    pub const fn far(&self) -> Option<CallSign> {
        match self {
            Self::Direct(_) => None,
            Self::Relayed { far, .. } | Self::Stream { far, .. } | Self::Hop { far, .. } => {
                Some(*far)
            }
        }
    }

    /// Where a UDP socket sends what goes this way, if one does.
    pub const fn socket(&self) -> Option<SocketAddr> {
        match self {
            Self::Direct(at) | Self::Relayed { relay: at, .. } => Some(*at),
            Self::Stream { .. } | Self::Hop { .. } => None,
        }
    }

    /// How many bytes stand before each datagram.
    #[inline]
    pub const fn header_len(&self) -> usize {
        match self {
            Self::Relayed { .. } => RELAYED_HEADER_LEN,
            Self::Direct(_) | Self::Stream { .. } | Self::Hop { .. } => 0,
        }
    }

    /// A datagram with what stands before it on this way.
    pub fn wrap(&self, datagram: &[u8]) -> Vec<u8> {
        let header_len = self.header_len();
        let mut out = vec![0; header_len];
        crate::departure::write_way(*self, &mut out);
        out.extend_from_slice(datagram);
        out
    }

    /// What counts as the sender's address where senders are told apart: behind a relay each has one of its own.
    pub(crate) fn sender(&self) -> SocketAddr {
        match self {
            Self::Direct(at) => *at,
            Self::Relayed { far, .. } | Self::Stream { far, .. } | Self::Hop { far, .. } => {
                // fdff::/16, the call sign where a network's 64 bits are: limits count by those.
                let sign = u128::from(u64::from_be_bytes(far.0)) >> 16 << 64;
                let ip = Ipv6Addr::from_bits(0xfdff_u128 << 112 | sign);
                (IpAddr::from(ip), 0).into()
            }
        }
    }
}

impl FromStr for CallSign {
    type Err = data_encoding::DecodeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bytes = HEXLOWER.decode(text.as_bytes())?;
        let wrong_length = || data_encoding::DecodeError {
            position: bytes.len(),
            kind: data_encoding::DecodeKind::Length,
        };
        bytes.as_slice().try_into().map(Self).map_err(|_| wrong_length())
    }
}

impl fmt::Display for CallSign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER.encode(&self.0))
    }
}

impl fmt::Debug for CallSign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Direct(at) => write!(f, "direct {at}"),
            Self::Relayed { relay, .. } => write!(f, "relay {relay}"),
            Self::Stream { relay, .. } => write!(f, "stream {relay}"),
            Self::Hop { hop, .. } => write!(f, "hop {hop}"),
        }
    }
}

impl fmt::Display for WayKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Direct => "direct",
            Self::Relayed => "relay",
            Self::Stream => "stream",
            Self::Hop => "hop",
        })
    }
}
