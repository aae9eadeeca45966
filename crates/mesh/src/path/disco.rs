//! What two nodes tell each other about the ways between them: pings, answers, and calls that name addresses.
//!
//! ```text
//! 0x85 0 0 0 │ tag 8 │ nonce 24 │ sealed: kind 1, version 1, count 1, flags 1, then by kind, tag 16
//!   ping   id 8, number 8, zeros 28                               100 bytes in all
//!   pong   id 8, address 18, zeros 2, packets heard 8, bytes heard 8   as long: no answer is longer than its question
//!   call   number 8, address 18 × count
//! ```
//! Numbers rise from message to message, and begin at milliseconds since 1970: what is played again has no effect.
//! A pong answers a ping that waits, once, by its id.
//!
//! Tag and key follow from the two nodes' X25519 keys, another pair for each direction: the tag tells the receiver who
//! speaks and tells others nothing, and nothing can be thrown back at who said it.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use blake2::{Blake2s256, Digest};
use chacha20poly1305::XChaCha20Poly1305;
use chacha20poly1305::aead::{AeadInPlace, KeyInit};
use x25519_dalek::StaticSecret;
use zeroize::{Zeroize, ZeroizeOnDrop};

use super::delivery::Heard;
use crate::key::{PrivateKey, PublicKey};
use crate::suite::TAG_LEN;

/// The first byte of every message.
pub(crate) const DISCO: u8 = 0x85;
/// What stands before the sealed part: type 4, tag 8, nonce 24.
const HEADER_LEN: usize = 36;
/// How long pings and pongs are inside.
const PING_LEN: usize = 48;
/// How long a call is inside that names no address.
const CALL_LEN: usize = 12;
/// How long pings and pongs are in all, in bytes.
pub const PING_DATAGRAM_LEN: usize = HEADER_LEN + PING_LEN + TAG_LEN;
/// How many addresses one call names: a machine has few, a call fits any network's least packet.
pub const CALLED_MAX: usize = 12;
/// The shortest message, in bytes: a call that names no address.
pub const DISCO_LEN_MIN: usize = HEADER_LEN + CALL_LEN + TAG_LEN;
/// The longest message, in bytes.
pub const DISCO_LEN_MAX: usize = HEADER_LEN + CALL_LEN + CALLED_MAX * ADDRESS_LEN + TAG_LEN;
/// An address: 16 bytes of IPv6 (IPv4 by its IPv6 name), 2 of port.
pub(crate) const ADDRESS_LEN: usize = 18;
const VERSION: u8 = 1;
const WANTS_CALL: u8 = 1;

/// Who speaks to whom, as written on the outside.
pub(crate) type Tag = u64;

/// What one node tells another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Disco {
    /// Does this way work?
    Ping { id: u64, number: u64 },
    /// It does, you came from `seen`, and so much of your data was heard, by all ways.
    Pong { id: u64, seen: SocketAddr, heard: Heard },
    /// Try me at these addresses; `answer` if I have not heard of yours.
    Call { number: u64, at: Vec<SocketAddr>, answer: bool },
}

/// The keys of both directions between two nodes.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub(crate) struct DiscoKeys {
    sending: [u8; 32],
    receiving: [u8; 32],
}

impl DiscoKeys {
    /// `None` for a peer whose key is a point of low order: everybody would know what they share.
    pub(crate) fn new(me: &PrivateKey, peer: &PublicKey) -> Option<Self> {
        let shared = StaticSecret::from(*me.bytes()).diffie_hellman(&peer.0.into());
        let towards = |from: &PublicKey, to: &PublicKey| -> [u8; 32] {
            Blake2s256::new()
                .chain_update(b"iog disco 1")
                .chain_update(shared.as_bytes())
                .chain_update(from.0)
                .chain_update(to.0)
                .finalize()
                .into()
        };
        let mine = me.public();
        let keys = Self { sending: towards(&mine, peer), receiving: towards(peer, &mine) };
        shared.was_contributory().then_some(keys)
    }

    /// What the peer writes on what it sends us.
    pub(crate) fn tag(&self) -> Tag {
        tag(&self.receiving)
    }

    /// The datagram that tells the peer.
    pub(crate) fn seal(&self, message: &Disco, nonce: [u8; 24]) -> Vec<u8> {
        let mut datagram = vec![DISCO, 0, 0, 0];
        datagram.extend_from_slice(&tag(&self.sending).to_le_bytes());
        datagram.extend_from_slice(&nonce);
        let mut plain = write(message);
        let cipher = XChaCha20Poly1305::new(&self.sending.into());
        let code = cipher
            .encrypt_in_place_detached(&nonce.into(), &datagram[..12], &mut plain)
            .expect("a message is far below the cipher's limit");
        datagram.extend_from_slice(&plain);
        datagram.extend_from_slice(&code);
        datagram
    }

    /// What the peer tells us, if it does.
    pub(crate) fn open(&self, datagram: &[u8]) -> Option<Disco> {
        let (header, sealed) = datagram.split_at_checked(HEADER_LEN)?;
        let at = sealed.len().checked_sub(TAG_LEN)?;
        let (plain, code) = sealed.split_at(at);
        let nonce: [u8; 24] = header[12..].try_into().ok()?;
        let mut plain = plain.to_vec();
        let cipher = XChaCha20Poly1305::new(&self.receiving.into());
        cipher
            .decrypt_in_place_detached(&nonce.into(), &header[..12], &mut plain, code.into())
            .ok()?;
        read(&plain)
    }
}

/// The tag of a datagram, which says who speaks.
pub(crate) fn tag_of(datagram: &[u8]) -> Option<Tag> {
    let tag = datagram.get(4..12)?.try_into().ok()?;
    Some(Tag::from_le_bytes(tag))
}

fn tag(key: &[u8; 32]) -> Tag {
    let hash: [u8; 32] = Blake2s256::new().chain_update(key).chain_update(b"tag").finalize().into();
    let [a, b, c, d, e, f, g, h, ..] = hash;
    Tag::from_le_bytes([a, b, c, d, e, f, g, h])
}

fn write(message: &Disco) -> Vec<u8> {
    let mut plain = vec![0, VERSION, 0, 0];
    match message {
        Disco::Ping { id, number } => {
            plain[0] = 1;
            plain.extend_from_slice(&id.to_le_bytes());
            plain.extend_from_slice(&number.to_le_bytes());
            plain.resize(PING_LEN, 0);
        }
        Disco::Pong { id, seen, heard } => {
            plain[0] = 2;
            plain.extend_from_slice(&id.to_le_bytes());
            plain.extend_from_slice(&write_address(*seen));
            plain.extend_from_slice(&[0; 2]);
            plain.extend_from_slice(&heard.packets.to_le_bytes());
            plain.extend_from_slice(&heard.bytes.to_le_bytes());
            plain.resize(PING_LEN, 0);
        }
        Disco::Call { number, at, answer } => {
            let at = &at[..at.len().min(CALLED_MAX)];
            plain[0] = 3;
            plain[2] = u8::try_from(at.len()).expect("a call names few addresses");
            plain[3] = if *answer { WANTS_CALL } else { 0 };
            plain.extend_from_slice(&number.to_le_bytes());
            plain.extend(at.iter().flat_map(|at| write_address(*at)));
        }
    }
    plain
}

/// What follows what we know is for later versions.
pub(crate) fn read(plain: &[u8]) -> Option<Disco> {
    let (&[kind, version, count, flags], rest) = plain.split_first_chunk()?;
    let word = |at: usize| Some(u64::from_le_bytes(*rest.get(at..)?.first_chunk()?));
    if version != VERSION {
        return None;
    }
    match kind {
        1 => Some(Disco::Ping { id: word(0)?, number: word(8)? }),
        2 => {
            let (id, seen) = (word(0)?, read_address(rest.get(8..)?)?);
            let heard = Heard { packets: word(28)?, bytes: word(36)? };
            Some(Disco::Pong { id, seen, heard })
        }
        3 if usize::from(count) <= CALLED_MAX => {
            let addresses = rest.get(8..8 + usize::from(count) * ADDRESS_LEN)?;
            let at = addresses.chunks_exact(ADDRESS_LEN).filter_map(read_address).collect();
            Some(Disco::Call { number: word(0)?, at, answer: flags & WANTS_CALL != 0 })
        }
        _ => None,
    }
}

/// An address as it travels.
pub(crate) fn write_address(at: SocketAddr) -> [u8; ADDRESS_LEN] {
    let ip = match at.ip() {
        IpAddr::V4(v4) => v4.to_ipv6_mapped(),
        IpAddr::V6(v6) => v6,
    };
    let mut out = [0; ADDRESS_LEN];
    out[..16].copy_from_slice(&ip.octets());
    out[16..].copy_from_slice(&at.port().to_le_bytes());
    out
}

/// Reads an address.
pub(crate) fn read_address(bytes: &[u8]) -> Option<SocketAddr> {
    let ip = Ipv6Addr::from(*bytes.first_chunk::<16>()?);
    let port = u16::from_le_bytes([*bytes.get(16)?, *bytes.get(17)?]);
    Some((ip.to_canonical(), port).into())
}

impl std::fmt::Debug for DiscoKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DiscoKeys(secret)")
    }
}
