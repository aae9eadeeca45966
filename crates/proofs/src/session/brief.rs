//! What was opened is judged by this: it stands alone, and can be done on any thread.

use crate::verdict::Reason;
use crate::{matmul, memory};

/// What a set of openings must show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Brief {
    /// Rows of products, in the order of their rounds.
    Matmul(Vec<matmul::Round>),
    /// Ends of walks.
    Memory(memory::Walks),
}

impl Brief {
    /// Judges openings: what is wrong with them, if anything.
    pub fn judge(&self, openings: &[u8]) -> Option<Reason> {
        match self {
            Self::Matmul(rounds) => rows(rounds, openings),
            Self::Memory(walks) => walks.check(openings).err().map(|wrong| match wrong {
                memory::Wrong::Bytes(_) | memory::Wrong::Path { .. } => Reason::Path,
                memory::Wrong::Walk { .. } => Reason::Walk,
            }),
        }
    }
}

fn rows(rounds: &[matmul::Round], mut openings: &[u8]) -> Option<Reason> {
    for round in rounds {
        let Some((mine, rest)) = openings.split_at_checked(round.openings_bytes()) else {
            return Some(Reason::Path);
        };
        if let Err(wrong) = round.check(mine) {
            return Some(match wrong {
                matmul::Wrong::Length(_) | matmul::Wrong::Path { .. } => Reason::Path,
                matmul::Wrong::Product { .. } => Reason::Row,
            });
        }
        openings = rest;
    }
    (!openings.is_empty()).then_some(Reason::Path)
}
