//! A tree of hashes over lines, as RFC 6962 builds it: one hash stands for all, and a short path proves one of them.
//!
//! A leaf's hash is `SHA-256(0x00 ‖ bytes)`, a node's `SHA-256(0x01 ‖ left ‖ right)`, and the left side of a node is
//! the largest full tree that is smaller than the whole. The prefixes keep a node from passing for a leaf. The root of
//! no leaves is the hash of nothing.

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
#[derive(Clone, Debug, Default)]
pub struct Roots {
    /// Roots of full trees, each smaller than the one before: one for each bit of `count`.
    full: Vec<[u8; 32]>,
    count: u64,
}

impl Roots {
    /// The next leaf.
    pub fn push(&mut self, bytes: &[u8]) {
        let mut hash = leaf(bytes);
        for _ in 0..self.count.trailing_ones() {
            let left = self.full.pop().expect("a full tree for each bit of the count");
            hash = node(&left, &hash);
        }
        self.full.push(hash);
        self.count += 1;
    }

    /// The hash that stands for all leaves so far.
    pub fn root(&self) -> BlobId {
        let root = self.full.iter().rev().copied().reduce(|right, left| node(&left, &right));
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
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn leaves(count: u32) -> Vec<Vec<u8>> {
        (0..count).map(|number| number.to_le_bytes().to_vec()).collect()
    }

    fn tree(leaves: &[Vec<u8>]) -> Tree {
        Tree::new(leaves.iter().map(|bytes| leaf_hash(bytes)))
    }

    /// The definition of RFC 6962, section 2.1, word for word.
    fn defined(leaves: &[Vec<u8>]) -> [u8; 32] {
        match leaves {
            [] => Sha256::digest([]).into(),
            [only] => leaf(only),
            many => {
                let half = many.len().next_power_of_two() / 2;
                node(&defined(&many[..half]), &defined(&many[half..]))
            }
        }
    }

    #[test]
    fn roots_are_those_of_the_test_vectors_of_certificate_transparency() {
        // The vectors that implementations of RFC 6962 share.
        let hex = |text: &str| -> Vec<u8> {
            let digits = text.as_bytes().chunks(2);
            digits
                .map(|two| u8::from_str_radix(std::str::from_utf8(two).unwrap(), 16).unwrap())
                .collect()
        };
        let leaves: Vec<_> = [
            "",
            "00",
            "10",
            "2021",
            "3031",
            "40414243",
            "5051525354555657",
            "606162636465666768696a6b6c6d6e6f",
        ]
        .map(hex)
        .into();
        let rows = [
            (0, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
            (1, "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"),
            (2, "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"),
            (3, "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77"),
            (5, "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4"),
            (8, "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"),
        ];
        for (count, root) in rows {
            assert_eq!(tree(&leaves[..count]).root().to_string(), root, "{count} leaves");
        }
    }

    #[test]
    fn a_proof_of_a_tree_of_one_is_empty_and_there_is_none_beyond_it() {
        let one = tree(&leaves(1));
        assert_eq!(one.proof(0), Some(vec![]));
        assert_eq!(one.proof(1), None);
        assert!(verify(&0_u32.to_le_bytes(), 0, 1, &[], one.root()));
        assert!(!verify(&0_u32.to_le_bytes(), 1, 1, &[], one.root()));
        assert!(!verify(&[], 0, 0, &[], tree(&[]).root()));
    }

    proptest! {
        #[test]
        fn every_leaf_is_proven_and_nothing_else(
            count in 1_u32..70,
            pick: prop::sample::Index,
            other: prop::sample::Index,
        ) {
            let leaves = leaves(count);
            let tree = tree(&leaves);
            let mut roots = Roots::default();
            leaves.iter().for_each(|bytes| roots.push(bytes));
            prop_assert_eq!(tree.root(), BlobId::from_sha256(defined(&leaves)));
            prop_assert_eq!(tree.root(), roots.root());
            let (index, other) = (pick.index(leaves.len()), other.index(leaves.len()));
            let proof = tree.proof(index).unwrap();
            let proves = |leaf: usize, at: usize, proof: &[BlobId]| {
                verify(&leaves[leaf], at as u64, u64::from(count), proof, tree.root())
            };
            prop_assert!(proves(index, index, &proof));
            prop_assert!(index == other || !proves(other, index, &proof));
            prop_assert!(index == other || !proves(index, other, &proof));
            let longer = [proof.clone(), vec![tree.root()]].concat();
            prop_assert!(!proves(index, index, &longer));
            prop_assert!(proof.is_empty() || !proves(index, index, &proof[1..]));
        }
    }
}
