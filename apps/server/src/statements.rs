//! Statements of blocks as they are handed out: signed by the network, a line for each machine, provable line by line.
//!
//! # Invariants
//! - What is signed is the header's text alone: with its root, it stands for every line.
//! - A statement is its rows, joined; nothing of it is computed anew.
//! - A block that is closed never changes, so neither does its tree: one that is kept needs no second look.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::{Arc, Mutex};

use anyhow::{Context, bail};
use data_encoding::HEXLOWER;
use ed25519_dalek::{Signer, SigningKey};
use rewards::merkle::{Tree, leaf_hash};
use rewards::statement::Header;
use units::{Hour, WorkerId};
use wire::{BlockProof, LogHead, NetworkKey};

use crate::clock::random;
use crate::journal::{JournalError, Reader};
use crate::limits::PROOF_LINES_KEPT_MAX;
use crate::secrets::write_private;
use crate::views::{
    BLOCK_ROWS, BlockRow, REWARD_ROWS, RewardRow, block_row, reward_id, reward_row,
};

/// Where the network's key is kept: 32 bytes in hexadecimal.
pub(crate) const NETWORK_KEY: &str = "network.key";
/// Lines read at once.
pub(crate) const LINES_AT_ONCE: usize = 1_000;
/// Statements and proofs that are read at the same time. Both walk a whole block, and anybody may ask for them.
pub(crate) const READ_AT_ONCE_MAX: usize = 4;

/// The network's own key.
pub(crate) struct Signature(SigningKey);

impl std::fmt::Debug for Signature {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Signature(…)")
    }
}

impl Signature {
    /// Reads the key from its file, which is made when there is none.
    pub(crate) fn open(path: &Path) -> anyhow::Result<Self> {
        match std::fs::read_to_string(path) {
            Ok(text) => {
                let bytes = HEXLOWER.decode(text.trim().as_bytes()).ok();
                let Some(bytes) = bytes.and_then(|bytes| <[u8; 32]>::try_from(bytes).ok()) else {
                    bail!("{}: 32 bytes in hexadecimal expected", path.display());
                };
                Ok(Self(SigningKey::from_bytes(&bytes)))
            }
            Err(missing) if missing.kind() == std::io::ErrorKind::NotFound => {
                let bytes: [u8; 32] = random();
                write_private(path, format!("{}\n", HEXLOWER.encode(&bytes)).as_bytes())?;
                Ok(Self(SigningKey::from_bytes(&bytes)))
            }
            Err(why) => Err(why).with_context(|| format!("read {}", path.display())),
        }
    }

    /// The public half.
    pub(crate) fn public(&self) -> NetworkKey {
        NetworkKey { algorithm: "ed25519".to_owned(), public_key: self.public_text() }
    }

    fn public_text(&self) -> String {
        HEXLOWER.encode(self.0.verifying_key().as_bytes())
    }

    /// The key itself, for whoever signs in the network's name.
    pub(crate) fn signing_key(&self) -> SigningKey {
        self.0.clone()
    }

    /// The head of the log of proofs, signed.
    pub(crate) fn log_head(&self, head: proofs::log::Head) -> LogHead {
        LogHead {
            size: head.size,
            root: head.root,
            signature: HEXLOWER.encode(&self.0.sign(&head.digest()).to_bytes()),
            public_key: self.public_text(),
        }
    }

    fn sign(&self, header: &str) -> String {
        HEXLOWER.encode(&self.0.sign(header.as_bytes()).to_bytes())
    }

    /// What a statement begins with: who signed it, the signature, and the header.
    pub(crate) fn head(&self, header: &str) -> String {
        let (key, signature) = (self.public_text(), self.sign(header));
        format!("iog statement 1\nkey {key}\nsignature {signature}\n{header}")
    }

    /// The proof with the signature that it needs.
    pub(crate) fn signed(&self, found: Found, hour: Hour, worker: WorkerId) -> BlockProof {
        BlockProof {
            hour,
            worker,
            line: found.line,
            index: found.index,
            path: found.path,
            signature: self.sign(&found.header),
            header: found.header,
            public_key: self.public_text(),
        }
    }
}

/// A closed block.
pub(crate) fn block(
    reader: &mut dyn Reader,
    hour: Hour,
) -> Result<Option<(BlockRow, Header)>, JournalError> {
    let row = reader.row(BLOCK_ROWS, &hour.to_string())?;
    Ok(row.and_then(|body| block_row(&body)))
}

/// A page of a block's machines after the one that is named, by id; with the id of each.
pub(crate) fn machines(
    reader: &mut dyn Reader,
    hour: Hour,
    after: &str,
    limit: usize,
) -> Result<Vec<(String, RewardRow)>, JournalError> {
    let begins = reward_id(hour, "");
    let after = reward_id(hour, after);
    let rows = reader.rows(REWARD_ROWS, None, Some(&after), false, limit)?;
    let of_hour = rows.into_iter().map_while(|(id, body)| {
        let worker = id.strip_prefix(&begins)?.to_owned();
        Some((worker, reward_row(&body)?))
    });
    Ok(of_hour.collect())
}

/// A line's place in its tree, and the way from there to the root.
pub(crate) struct Found {
    header: String,
    line: String,
    index: u64,
    path: Vec<String>,
}

/// Trees of the blocks that proofs were asked of last, at most [`PROOF_LINES_KEPT_MAX`] lines of them.
#[derive(Debug)]
pub(crate) struct Trees {
    lines_max: usize,
    /// The last used first.
    kept: Mutex<VecDeque<(Hour, Arc<Tree>)>>,
}

impl Default for Trees {
    fn default() -> Self {
        Self::of(PROOF_LINES_KEPT_MAX)
    }
}

impl Trees {
    fn of(lines_max: usize) -> Self {
        Self { lines_max, kept: Mutex::default() }
    }

    /// The tree of a block, if it is kept.
    pub(crate) fn get(&self, hour: Hour) -> Option<Arc<Tree>> {
        let mut kept = self.kept.lock().expect("nobody panics with the trees in hand");
        let at = kept.iter().position(|(known, _)| *known == hour)?;
        let found = kept.remove(at)?;
        let tree = Arc::clone(&found.1);
        kept.push_front(found);
        Some(tree)
    }

    /// Keeps a tree; those that were not used for longest make room.
    fn keep(&self, hour: Hour, tree: &Arc<Tree>) {
        if tree.len() > self.lines_max {
            return;
        }
        let mut kept = self.kept.lock().expect("nobody panics with the trees in hand");
        // Two may have made the same one at the same time.
        kept.retain(|(known, _)| *known != hour);
        kept.push_front((hour, Arc::clone(tree)));
        while kept.iter().map(|(_, tree)| tree.len()).sum::<usize>() > self.lines_max {
            kept.pop_back();
        }
    }
}

/// The tree over all lines of a block, which is walked.
fn tree(reader: &mut dyn Reader, hour: Hour) -> Result<Tree, JournalError> {
    let mut leaves = Vec::new();
    let mut after = String::new();
    loop {
        let page = machines(reader, hour, &after, LINES_AT_ONCE)?;
        leaves.extend(page.iter().map(|(_, row)| leaf_hash(row.line.as_bytes())));
        let Some((last, _)) = page.into_iter().next_back() else { break };
        after = last;
    }
    Ok(Tree::new(leaves))
}

/// Finds a machine's line in a block and proves that it is there, by the block's tree if that is kept.
pub(crate) fn prove(
    reader: &mut dyn Reader,
    (trees, kept): (&Trees, Option<Arc<Tree>>),
    hour: Hour,
    worker: WorkerId,
) -> Result<Option<Found>, JournalError> {
    let Some((block, _)) = block(reader, hour)? else { return Ok(None) };
    let Some(body) = reader.row(REWARD_ROWS, &reward_id(hour, &worker.to_string()))? else {
        return Ok(None);
    };
    let Some(row) = reward_row(&body) else { return Ok(None) };
    let tree = match kept {
        Some(tree) => tree,
        None => {
            let made = Arc::new(tree(reader, hour)?);
            trees.keep(hour, &made);
            made
        }
    };
    let index = usize::try_from(row.index).unwrap_or(usize::MAX);
    let path = tree.proof(index);
    Ok(path.map(|path| Found {
        header: block.header,
        line: row.line,
        index: row.index,
        path: path.iter().map(ToString::to_string).collect(),
    }))
}

#[cfg(test)]
mod tests {
    use ed25519_dalek::{Signature as Bytes, Verifier, VerifyingKey};

    use super::*;

    fn kept(trees: &Trees, hours: &[u32]) -> Vec<bool> {
        hours.iter().map(|hour| trees.get(Hour::from_number(*hour)).is_some()).collect()
    }

    #[test]
    fn trees_are_kept_as_far_as_there_is_room_for_their_lines() {
        let trees = Trees::of(10);
        let keep = |hour: u32, lines: usize| {
            let tree = Tree::new(vec![leaf_hash(b"line"); lines]);
            trees.keep(Hour::from_number(hour), &Arc::new(tree));
        };
        keep(1, 4);
        keep(2, 4);
        assert_eq!(kept(&trees, &[2, 1]), [true, true]);
        keep(3, 4);
        assert_eq!(kept(&trees, &[1, 2, 3]), [true, false, true], "the one least lately used");
        keep(3, 4);
        assert_eq!(kept(&trees, &[1, 3]), [true, true], "the same one takes no room twice");
        keep(4, 11);
        assert_eq!(kept(&trees, &[1, 3, 4]), [true, true, false], "one that is too large is not");
    }

    #[test]
    fn a_statement_begins_with_a_signature_of_its_header() {
        let key = Signature(SigningKey::from_bytes(&[7; 32]));
        let head = key.head("iog block 1\n");
        let lines: Vec<&str> = head.lines().collect();
        let hex = |text: &str| HEXLOWER.decode(text.as_bytes()).unwrap();
        let public: [u8; 32] = hex(lines[1].strip_prefix("key ").unwrap()).try_into().unwrap();
        let signature: [u8; 64] =
            hex(lines[2].strip_prefix("signature ").unwrap()).try_into().unwrap();
        let public = VerifyingKey::from_bytes(&public).unwrap();
        public.verify(b"iog block 1\n", &Bytes::from_bytes(&signature)).unwrap();
        assert_eq!((lines[0], lines[3]), ("iog statement 1", "iog block 1"));
        assert!(!format!("{key:?}").contains('7'));
    }
}
