//! A tree of hashes over entries, as RFC 9162 builds it (and RFC 6962 before it): one hash stands for all, a short path
//! proves one of them, and another that a longer log begins with a shorter one.
//!
//! A leaf's hash is `SHA-256(0x00 ‖ bytes)`, a node's `SHA-256(0x01 ‖ left ‖ right)`, and the left side of a node is
//! the largest full tree that is smaller than the whole. The prefixes keep a node from passing for a leaf. The root of
//! no leaves is the hash of nothing.
//!
//! # Invariants
//! - The tree is a function of its leaves: told one by one or at once, kept here or elsewhere, the root is the same.
//! - A full subtree never changes: whoever keeps hashes of them only ever adds.
//! - A proof has exactly the hashes it needs; one more, or one less, is refused.

mod log;

pub use log::{Full, consistency, inclusion, root, verify_consistency};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use units::BlobId;

/// A tree over leaves, with all its nodes: twice 32 bytes per leaf.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tree {
    /// Leaves first. A last node without a partner is its own parent.
    levels: Vec<Vec<[u8; 32]>>,
}

/// The hash of a leaf.
pub fn leaf_hash(bytes: &[u8]) -> BlobId {
    BlobId::from_sha256(leaf(bytes))
}

fn leaf(bytes: &[u8]) -> [u8; 32] {
    let mut hash = Sha256::new_with_prefix([0]);
    hash.update(bytes);
    hash.finalize().into()
}

fn node(left: &[u8; 32], right: &[u8; 32]) -> [u8; 32] {
    let mut both = [1_u8; 65];
    both[1..33].copy_from_slice(left);
    both[33..].copy_from_slice(right);
    Sha256::digest(both).into()
}

impl Tree {
    /// The tree over hashes of leaves, in order.
    pub fn new(leaves: impl IntoIterator<Item = BlobId>) -> Self {
        let mut level: Vec<_> = leaves.into_iter().map(|leaf| *leaf.sha256()).collect();
        let mut levels = Vec::new();
        while level.len() > 1 {
            let pair = |pair: &[[u8; 32]]| match pair {
                [left, right] => node(left, right),
                alone => alone[0],
            };
            let above = level.chunks(2).map(pair).collect();
            levels.push(std::mem::replace(&mut level, above));
        }
        levels.push(level);
        Self { levels }
    }

    /// The hash that stands for all.
    pub fn root(&self) -> BlobId {
        let root = self.levels.last().and_then(|level| level.first()).copied();
        BlobId::from_sha256(root.unwrap_or_else(|| Sha256::digest([]).into()))
    }

    /// How many leaves it has.
    pub fn len(&self) -> usize {
        self.levels.first().map_or(0, Vec::len)
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The hashes that lead from a leaf to the root, the nearest first; `None` when there is no such leaf.
    pub fn proof(&self, leaf: usize) -> Option<Vec<BlobId>> {
        if leaf >= self.len() {
            return None;
        }
        let partner =
            |(height, level): (usize, &Vec<[u8; 32]>)| level.get((leaf >> height) ^ 1).copied();
        Some(self.levels.iter().enumerate().filter_map(partner).map(BlobId::from_sha256).collect())
    }
}

/// The root over leaves told one by one: as [`Tree`] computes it, in memory of one hash per doubling.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Roots {
    /// Roots of full trees, each smaller than the one before: one for each bit of `count`.
    full: Vec<BlobId>,
    count: u64,
}

impl Roots {
    /// The next leaf.
    pub fn push(&mut self, bytes: &[u8]) {
        self.append(leaf_hash(bytes), |_| ());
    }

    /// The next leaf, by its hash. Each full subtree that it completes is told to `keep`, the leaf itself first: with
    /// those, [`inclusion`] and [`consistency`] prove whatever is asked.
    pub fn append(&mut self, leaf: BlobId, mut keep: impl FnMut(Full)) {
        let mut full = Full { height: 0, index: self.count, hash: leaf };
        keep(full);
        for _ in 0..self.count.trailing_ones() {
            let Some(left) = self.full.pop() else { break };
            let hash = BlobId::from_sha256(node(left.sha256(), full.hash.sha256()));
            full = Full { height: full.height + 1, index: full.index >> 1, hash };
            keep(full);
        }
        self.full.push(full.hash);
        self.count += 1;
    }

    /// How many leaves there were.
    pub fn len(&self) -> u64 {
        self.count
    }

    /// Whether there was none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Whether it is one that leaves can have made: after reading it from outside.
    pub fn adds_up(&self) -> bool {
        self.full.len() == self.count.count_ones() as usize && self.count < u64::MAX
    }

    /// The hash that stands for all leaves so far.
    pub fn root(&self) -> BlobId {
        let hashes = self.full.iter().rev().map(|hash| *hash.sha256());
        let root = hashes.reduce(|right, left| node(&left, &right));
        BlobId::from_sha256(root.unwrap_or_else(|| Sha256::digest([]).into()))
    }
}

/// Whether `proof` leads from the leaf with these bytes, number `index` of `count`, to the root.
pub fn verify(bytes: &[u8], index: u64, count: u64, proof: &[BlobId], root: BlobId) -> bool {
    if index >= count {
        return false;
    }
    let (mut at, mut last) = (index, count - 1);
    let mut hash = leaf(bytes);
    let mut path = proof.iter();
    while last > 0 {
        // A last node without a partner is its own parent.
        if at & 1 == 1 || at < last {
            let Some(partner) = path.next() else { return false };
            hash = match at & 1 {
                1 => node(partner.sha256(), &hash),
                _ => node(&hash, partner.sha256()),
            };
        }
        (at, last) = (at >> 1, last >> 1);
    }
    path.next().is_none() && BlobId::from_sha256(hash) == root
}

#[cfg(test)]
mod tests;
