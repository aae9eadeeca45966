//! What those who watch over a node want to hear of, as it happens.

use crate::key::PublicKey;
use crate::path::Way;

/// How much is kept until it is asked for; then the oldest goes.
pub(crate) const NEWS_MAX: usize = 1024;

/// What changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum News {
    /// Packets to a peer go another way.
    Way {
        /// To whom.
        peer: PublicKey,
        /// Which way, if any.
        way: Option<Way>,
    },
    /// There is a session with a peer again, or a newer one: it is there.
    Session {
        /// With whom.
        peer: PublicKey,
    },
    /// A peer did not answer for as long as it is asked.
    Silent {
        /// Who.
        peer: PublicKey,
    },
    /// We are reached at other addresses.
    Addresses,
}
