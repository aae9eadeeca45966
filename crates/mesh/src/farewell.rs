//! What is remembered of peers that are gone: when they come back, their old messages must not count as new.

use std::collections::BTreeMap;

use crate::key::PublicKey;
use crate::noise::TIMESTAMP_LEN;
use crate::peer::Peer;
use crate::roster::MEMBERS_MAX;
use crate::search::{Numbers, Search};

/// How many are remembered.
const FAREWELLS_MAX: usize = MEMBERS_MAX;

/// Where a peer's messages stood when it went.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Farewell {
    /// The latest question for a session that was taken from it.
    pub(crate) last_hello: [u8; TIMESTAMP_LEN],
    /// The messages about ways.
    pub(crate) numbers: Numbers,
}

/// All that are remembered.
#[derive(Debug, Default)]
pub(crate) struct Farewells(BTreeMap<PublicKey, Farewell>);

impl Farewells {
    /// A peer goes.
    pub(crate) fn say(&mut self, peer: &Peer) {
        if self.0.len() >= FAREWELLS_MAX {
            self.0.pop_first();
        }
        let numbers = peer.search.as_ref().map(Search::numbers).unwrap_or_default();
        self.0.insert(peer.config.key, Farewell { last_hello: peer.last_hello, numbers });
    }

    /// A peer comes, perhaps back.
    pub(crate) fn take(&mut self, key: &PublicKey) -> Farewell {
        self.0.remove(key).unwrap_or_default()
    }
}
