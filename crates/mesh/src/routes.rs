//! Which peer an address belongs to: the longest allowed prefix wins.
//!
//! One binary trie per family, in an arena; a look-up follows at most 32 or 128 links and stops at the first missing
//! one. The same table answers both questions: where does a packet go, and may this peer have sent it.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// A block of addresses.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Prefix {
    address: IpAddr,
    len: u8,
}

/// Why a text is not a block of addresses.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{found}` is not an address with a prefix length, such as 10.0.0.0/24 or fd00::/64")]
pub struct NotAPrefix {
    /// What was given, cut to a readable length.
    pub found: String,
}

impl Prefix {
    /// The block of the first `len` bits of `address`; the other bits are ignored. `None` if there are not so many.
    pub fn new(address: IpAddr, len: u8) -> Option<Self> {
        let address = match address {
            IpAddr::V4(v4) if len <= 32 => Ipv4Addr::from_bits(keep_v4(v4.to_bits(), len)).into(),
            IpAddr::V6(v6) if len <= 128 => Ipv6Addr::from_bits(keep_v6(v6.to_bits(), len)).into(),
            IpAddr::V4(_) | IpAddr::V6(_) => return None,
        };
        Some(Self { address, len })
    }

    /// The block's first address.
    pub const fn address(&self) -> IpAddr {
        self.address
    }

    /// How many bits all its addresses share.
    pub const fn bits(&self) -> u8 {
        self.len
    }

    /// Whether `ip` lies in it.
    pub fn contains(&self, ip: IpAddr) -> bool {
        Self::new(ip, self.len).is_some_and(|block| block.address == self.address)
    }
}

fn keep_v4(bits: u32, len: u8) -> u32 {
    if len == 0 { 0 } else { bits >> (32 - len) << (32 - len) }
}

fn keep_v6(bits: u128, len: u8) -> u128 {
    if len == 0 { 0 } else { bits >> (128 - len) << (128 - len) }
}

impl FromStr for Prefix {
    type Err = NotAPrefix;

    fn from_str(text: &str) -> Result<Self, NotAPrefix> {
        let refuse = || NotAPrefix { found: text.chars().take(64).collect() };
        let (address, len) = text.split_once('/').ok_or_else(refuse)?;
        let address = address.parse().map_err(|_| refuse())?;
        let len = len.parse().map_err(|_| refuse())?;
        Self::new(address, len).ok_or_else(refuse)
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.len)
    }
}

impl fmt::Debug for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// From blocks of addresses to owners.
#[derive(Clone, Debug)]
pub struct Routes<T> {
    v4: Trie<T>,
    v6: Trie<T>,
}

impl<T> Default for Routes<T> {
    fn default() -> Self {
        Self { v4: Trie::default(), v6: Trie::default() }
    }
}

impl<T: Copy> Routes<T> {
    /// Gives `block` to `owner`, and takes it from whoever had exactly this block.
    pub fn insert(&mut self, block: Prefix, owner: T) -> Option<T> {
        let (trie, bits) = match block.address {
            IpAddr::V4(v4) => (&mut self.v4, left_v4(v4)),
            IpAddr::V6(v6) => (&mut self.v6, v6.to_bits()),
        };
        trie.insert(bits, block.len, owner)
    }

    /// Who owns `ip`.
    #[inline]
    pub fn owner(&self, ip: IpAddr) -> Option<T> {
        match ip {
            IpAddr::V4(v4) => self.v4.longest(left_v4(v4), 32),
            IpAddr::V6(v6) => self.v6.longest(v6.to_bits(), 128),
        }
    }
}

/// Both families are walked from the highest of 128 bits.
fn left_v4(v4: Ipv4Addr) -> u128 {
    u128::from(v4.to_bits()) << 96
}

#[derive(Clone, Debug)]
struct Trie<T> {
    nodes: Vec<Node<T>>,
}

/// `0` is no child: the root is nobody's.
#[derive(Clone, Copy, Debug)]
struct Node<T> {
    children: [u32; 2],
    owner: Option<T>,
}

impl<T> Default for Trie<T> {
    fn default() -> Self {
        Self { nodes: vec![Node { children: [0; 2], owner: None }] }
    }
}

impl<T: Copy> Trie<T> {
    fn insert(&mut self, bits: u128, len: u8, owner: T) -> Option<T> {
        let mut at = 0;
        for depth in 0..len {
            let side = side(bits, depth);
            if self.nodes[at].children[side] == 0 {
                let fresh = u32::try_from(self.nodes.len())
                    .expect("a trie of 2^32 nodes fits in no memory");
                self.nodes.push(Node { children: [0; 2], owner: None });
                self.nodes[at].children[side] = fresh;
            }
            at = self.nodes[at].children[side] as usize;
        }
        self.nodes[at].owner.replace(owner)
    }

    #[inline]
    fn longest(&self, bits: u128, len: u8) -> Option<T> {
        let mut at = 0;
        let mut best = self.nodes[0].owner;
        for depth in 0..len {
            at = self.nodes[at].children[side(bits, depth)] as usize;
            if at == 0 {
                break;
            }
            best = self.nodes[at].owner.or(best);
        }
        best
    }
}

#[inline]
const fn side(bits: u128, depth: u8) -> usize {
    (bits >> (127 - depth) & 1) as usize
}
