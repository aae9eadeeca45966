//! A full binary tree of BLAKE3 hashes: one root commits to all leaves, and a path of neighbors opens one.

/// A tree with all its nodes, leaves first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tree {
    levels: Vec<Vec<[u8; 32]>>,
}

fn node(left: &[u8; 32], right: &[u8; 32]) -> [u8; 32] {
    let mut both = [0; 64];
    both[..32].copy_from_slice(left);
    both[32..].copy_from_slice(right);
    *blake3::hash(&both).as_bytes()
}

impl Tree {
    /// The tree over these leaves; `None` unless their number is a power of two.
    pub fn new(leaves: Vec<[u8; 32]>) -> Option<Self> {
        if !leaves.len().is_power_of_two() {
            return None;
        }
        let mut levels = vec![leaves];
        while let Some(below) = levels.last().filter(|level| level.len() > 1) {
            let above = below.as_chunks::<2>().0.iter().map(|[left, right]| node(left, right));
            let above = above.collect();
            levels.push(above);
        }
        Some(Self { levels })
    }

    /// The hash that stands for all.
    pub fn root(&self) -> [u8; 32] {
        self.levels.last().and_then(|level| level.first()).copied().unwrap_or_default()
    }

    /// The nodes that lead from a leaf to the root, the leaf's neighbor first; `None` when there is no such leaf.
    pub fn path(&self, leaf: u32) -> Option<Vec<[u8; 32]>> {
        let leaf = usize::try_from(leaf).ok().filter(|leaf| *leaf < self.levels[0].len())?;
        let inner = self.levels.iter().take(self.levels.len() - 1).enumerate();
        Some(inner.map(|(height, level)| level[(leaf >> height) ^ 1]).collect())
    }
}

/// Where a path leads from a leaf: the root, if both are true.
pub fn climb(leaf: [u8; 32], index: u32, path: &[[u8; 32]]) -> [u8; 32] {
    path.iter().enumerate().fold(leaf, |below, (height, neighbor)| {
        if (index >> height) & 1 == 0 { node(&below, neighbor) } else { node(neighbor, &below) }
    })
}
