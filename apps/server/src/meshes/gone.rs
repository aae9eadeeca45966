//! Who went from a private network lately: what those must hear who have a list that names them.
//!
//! # Invariants
//! - It is bounded by [`GONE_MAX`]. From [`Gone::complete_from`] on nobody who went is missing.

use std::collections::VecDeque;

use wire::paper::NodeKey;

/// Who went is remembered of so many, some kilobytes for each network: who has missed more is told the whole list.
const GONE_MAX: usize = 1_024;

/// Who went lately, and of which revision lists may have named them last.
#[derive(Clone, Debug)]
pub(crate) struct Gone {
    /// From which revision on it is known who went.
    pub(crate) complete_from: u64,
    lately: VecDeque<(u64, NodeKey)>,
}

impl Gone {
    /// Nobody yet, of a network that begins with this revision.
    pub(crate) const fn beginning_with(first: u64) -> Self {
        Self { complete_from: first, lately: VecDeque::new() }
    }

    /// A member went, whom a list of this revision may name.
    pub(crate) fn goes(&mut self, key: NodeKey, revision: u64) {
        self.lately.push_back((revision, key));
        if self.lately.len() > GONE_MAX
            && let Some((revision, _)) = self.lately.pop_front()
        {
            self.complete_from = revision.saturating_add(1);
        }
    }

    /// Those that a list of this revision may name.
    pub(crate) fn since(&self, revision: u64) -> impl Iterator<Item = NodeKey> {
        let named = self.lately.iter().filter(move |(last, _)| *last >= revision);
        named.map(|(_, key)| *key)
    }
}
