//! What one request tells a session: a message, or several roots.

use std::sync::Arc;

use proofs::message::SMALL_BYTES_MAX;
use proofs::session::{Rejected, Reply, Verifier};
use proofs::together;

/// Roots that are told together are heard one after another, unless they were heard before: then only their answer was
/// lost. Those before the last have none, or one that is given when they are said again.
///
/// # Errors
/// The first that is not good. Those before it stay heard: each is signed, and where it stands in the chain.
pub(super) fn hear_all(
    verifier: &mut Verifier,
    told: Arc<[u8]>,
    at_us: u64,
) -> Result<Reply, Rejected> {
    let each = together::messages(&told);
    match each.split_last() {
        Some((last, before)) if !before.is_empty() => {
            // Signatures of many take milliseconds.
            tokio::task::block_in_place(|| {
                if !verifier.heard_last(last) {
                    for root in before {
                        verifier.hear((*root).into(), at_us)?;
                    }
                }
                verifier.hear((*last).into(), at_us)
            })
        }
        Some(_) | None => hear_one(verifier, told, at_us),
    }
}

/// A long message is hashed before it is looked at, which takes its time.
fn hear_one(verifier: &mut Verifier, message: Arc<[u8]>, at_us: u64) -> Result<Reply, Rejected> {
    if message.len() > SMALL_BYTES_MAX {
        tokio::task::block_in_place(|| verifier.hear(message, at_us))
    } else {
        verifier.hear(message, at_us)
    }
}
