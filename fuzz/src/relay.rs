//! What the doors of a relay read before anything is known of a visitor: first bytes of connections, requests of HTTP,
//! and names of hosts. The relay's own tests run the same functions over the committed corpus.

pub use relay::door::strangers::{host, opening, request};
