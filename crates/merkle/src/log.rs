//! Proofs about a log that only grows, from hashes of its full subtrees, wherever those are kept.

use sha2::{Digest, Sha256};
use units::BlobId;

use crate::node;

/// A full subtree: over the `2^height` leaves from leaf `index × 2^height` on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full {
    /// How many doublings above the leaves.
    pub height: u32,
    /// How many subtrees of this height are to its left.
    pub index: u64,
    /// Its root.
    pub hash: BlobId,
}

/// Leaves from `first` to before `end`; its length is a sum of full subtrees that lie one after another.
#[derive(Clone, Copy)]
struct Span {
    first: u64,
    end: u64,
}

impl Span {
    /// The two sides of its root; it has at least two leaves.
    fn halves(self) -> (Self, Self) {
        let left = 1 << (self.end - self.first - 1).ilog2();
        let middle = self.first + left;
        (Self { end: middle, ..self }, Self { first: middle, ..self })
    }

    /// Its root, from its full subtrees, the smallest first.
    fn hash(self, kept: &dyn Fn(u32, u64) -> Option<BlobId>) -> Option<BlobId> {
        let mut right: Option<[u8; 32]> = None;
        let mut end = self.end;
        while end > self.first {
            // No subtree is larger than what is left, nor than where it ends allows.
            let height = end.trailing_zeros().min((end - self.first).ilog2());
            let left = *kept(height, (end >> height) - 1)?.sha256();
            right = Some(right.map_or(left, |right| node(&left, &right)));
            end -= 1 << height;
        }
        right.map(BlobId::from_sha256)
    }
}

/// The root over the first `count` leaves. `kept` gives the root of a full subtree by height and index.
///
/// `None` if one that is needed is not kept.
pub fn root(count: u64, kept: &dyn Fn(u32, u64) -> Option<BlobId>) -> Option<BlobId> {
    match count {
        0 => Some(BlobId::from_sha256(Sha256::digest([]).into())),
        end => Span { first: 0, end }.hash(kept),
    }
}

/// The hashes that lead from leaf `index` to the root over the first `count` leaves, the nearest first (section 2.1.3.1
/// of RFC 9162).
///
/// `None` if there is no such leaf, or a subtree that is needed is not kept.
pub fn inclusion(
    index: u64,
    count: u64,
    kept: &dyn Fn(u32, u64) -> Option<BlobId>,
) -> Option<Vec<BlobId>> {
    let mut span = (index < count).then_some(Span { first: 0, end: count })?;
    let mut path = Vec::new();
    while span.end - span.first > 1 {
        let (left, right) = span.halves();
        let (inner, outer) = if index < left.end { (left, right) } else { (right, left) };
        path.push(outer.hash(kept)?);
        span = inner;
    }
    path.reverse();
    Some(path)
}

/// The hashes that show that the log of `count` leaves begins with its first `older` (section 2.1.4.1 of RFC 9162).
///
/// `None` if it was never that long, or a subtree that is needed is not kept.
pub fn consistency(
    older: u64,
    count: u64,
    kept: &dyn Fn(u32, u64) -> Option<BlobId>,
) -> Option<Vec<BlobId>> {
    if older == 0 || older >= count {
        return (older <= count).then(Vec::new);
    }
    let mut span = Span { first: 0, end: count };
    let mut path = Vec::new();
    while older != span.end {
        let (left, right) = span.halves();
        let (inner, outer) = if older <= left.end { (left, right) } else { (right, left) };
        path.push(outer.hash(kept)?);
        span = inner;
    }
    // The older root itself is known to whoever asks.
    if span.first > 0 {
        path.push(span.hash(kept)?);
    }
    path.reverse();
    Some(path)
}

/// Whether `proof` shows that the log of `count` leaves with this root begins with the `older` leaves that had the
/// other root (section 2.1.4.2 of RFC 9162). Every log begins with the empty one.
pub fn verify_consistency(
    (older, older_root): (u64, BlobId),
    (count, count_root): (u64, BlobId),
    proof: &[BlobId],
) -> bool {
    if older == 0 || older >= count {
        let empty = BlobId::from_sha256(Sha256::digest([]).into());
        let same = older == count && older_root == count_root;
        return proof.is_empty() && (same || older == 0 && count > 0 && older_root == empty);
    }
    let mut path = proof.iter().map(|hash| *hash.sha256());
    // A full tree is its own beginning: its root is left out of the path.
    let begin = if older.is_power_of_two() { Some(*older_root.sha256()) } else { path.next() };
    let Some(begin) = begin else { return false };
    let shift = (older - 1).trailing_ones();
    let (mut at, mut last) = ((older - 1) >> shift, (count - 1) >> shift);
    let (mut old, mut new) = (begin, begin);
    for hash in path {
        if last == 0 {
            return false;
        }
        if at & 1 == 1 || at == last {
            (old, new) = (node(&hash, &old), node(&hash, &new));
            // A last node without a partner is its own parent.
            while at & 1 == 0 && at != 0 {
                (at, last) = (at >> 1, last >> 1);
            }
        } else {
            new = node(&new, &hash);
        }
        (at, last) = (at >> 1, last >> 1);
    }
    last == 0 && old == *older_root.sha256() && new == *count_root.sha256()
}
