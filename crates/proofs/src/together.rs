//! Roots that are told together: one after another, as one piece.
//!
//! A prover does not wait for an answer to a root, and only when the last one comes is timed. Told one by one, as many
//! round trips as there are rounds would be timed where the way is long.

use crate::message::{HEAD_BYTES, SIGNATURE_BYTES};

/// Where a message says of which kind it is.
const KIND_AT: usize = 5;
/// The kind of a Root.
const ROOT: u8 = 7;
/// How long a Root is: with its task, its round, and the hash.
const ROOT_BYTES: usize = HEAD_BYTES + 1 + 2 + 32 + SIGNATURE_BYTES;

/// How many roots may be told together.
pub const ROOTS_TOGETHER_MAX: usize = 64;
/// Their bytes: what is let in where nothing long is due.
pub const TOGETHER_BYTES_MAX: usize = ROOTS_TOGETHER_MAX * ROOT_BYTES;

/// Whether these bytes look like a Root, which may be told together with others.
pub fn is_root(bytes: &[u8]) -> bool {
    bytes.len() == ROOT_BYTES && bytes[KIND_AT] == ROOT
}

/// The messages of a piece: roots, or else one message, for whoever reads it to refuse if it is none.
pub fn messages(told: &[u8]) -> Vec<&[u8]> {
    let roots = told.chunks(ROOT_BYTES);
    if roots.len() > 1 && roots.len() <= ROOTS_TOGETHER_MAX && roots.clone().all(is_root) {
        roots.collect()
    } else {
        vec![told]
    }
}

#[cfg(test)]
mod tests {
    use ed25519_dalek::SigningKey;

    use super::*;
    use crate::message::{Body, Chain};

    #[test]
    fn roots_are_told_apart_and_anything_else_is_one_message() {
        let say =
            |body: &Body<'_>| Chain::new([1; 16], 0).say(body, &SigningKey::from_bytes(&[2; 32]));
        let root = say(&Body::Root { task: 0, round: 1, root: [3; 32] });
        let other = say(&Body::Pong(0));
        assert!(is_root(&root) && !is_root(&other) && !is_root(&[]));
        let count = |told: &[u8]| messages(told).len();
        for together in [1, 2, ROOTS_TOGETHER_MAX] {
            let told = root.repeat(together);
            assert_eq!(count(&told), together);
            assert!(told.len() <= TOGETHER_BYTES_MAX);
            assert!(messages(&told).iter().all(|message| **message == root));
        }
        assert_eq!(count(&root.repeat(ROOTS_TOGETHER_MAX + 1)), 1);
        assert_eq!(count(&[root.clone(), other.clone()].concat()), 1);
        assert_eq!(count(&[root.repeat(2), vec![0]].concat()), 1);
        assert_eq!(count(&other.repeat(3)), 1);
        assert_eq!(count(&[]), 1);
    }
}
