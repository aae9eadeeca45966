//! What was opened is judged by this: it stands alone, and can be done on any thread.

use crate::verdict::Reason;
use crate::{matmul, memory};

/// What a set of openings must show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Brief {
    /// Rows of products, in the order of their rounds.
    Matmul(matmul::Products),
    /// Ends of walks.
    Memory(memory::Walks),
}

impl Brief {
    /// Judges openings: what is wrong with them, if anything.
    pub fn judge(&self, openings: &[u8]) -> Option<Reason> {
        match self {
            Self::Matmul(products) => products.check(openings).err().map(|wrong| match wrong {
                matmul::Wrong::Length(_) | matmul::Wrong::Path { .. } => Reason::Path,
                matmul::Wrong::Product { .. } => Reason::Row,
            }),
            Self::Memory(walks) => walks.check(openings).err().map(|wrong| match wrong {
                memory::Wrong::Bytes(_) | memory::Wrong::Path { .. } => Reason::Path,
                memory::Wrong::Walk { .. } => Reason::Walk,
            }),
        }
    }
}
