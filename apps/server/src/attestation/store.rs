//! Evidence on disk, by the hash of its bytes: `files/evidence/ab/abcd…`.
//!
//! # Invariants
//! - Evidence is there whole or not at all, and its name is the hash of its bytes.
//! - All together is no more than a named number of bytes: the oldest goes first.

use std::collections::VecDeque;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use units::BlobId;

use crate::clock::fresh_bits;
use crate::secrets::{sha256, sync_folder_of};

/// The folder of evidence.
#[derive(Debug)]
pub(crate) struct Store {
    root: PathBuf,
    bytes_max: u64,
    kept: Mutex<Kept>,
}

/// What is kept, the oldest first.
#[derive(Debug, Default)]
struct Kept {
    all: VecDeque<(BlobId, u64)>,
    bytes: u64,
}

impl Store {
    pub(crate) fn open(data: &Path, bytes_max: u64) -> std::io::Result<Self> {
        let root = data.join("files").join("evidence");
        std::fs::create_dir_all(&root)?;
        let mut found = Vec::new();
        for part in std::fs::read_dir(&root)?.flatten().filter(|part| part.path().is_dir()) {
            for file in std::fs::read_dir(part.path())?.flatten() {
                let about = file.metadata()?;
                if let Some(id) = file.file_name().to_str().and_then(|name| name.parse().ok()) {
                    found.push((about.modified()?, id, about.len()));
                }
            }
        }
        found.sort();
        let all: VecDeque<(BlobId, u64)> =
            found.into_iter().map(|(_, id, bytes)| (id, bytes)).collect();
        let bytes = all.iter().map(|(_, bytes)| bytes).sum();
        Ok(Self { root, bytes_max, kept: Mutex::new(Kept { all, bytes }) })
    }

    fn path(&self, id: BlobId) -> PathBuf {
        let name = id.to_string();
        self.root.join(&name[..2]).join(name)
    }

    /// Keeps evidence. It blocks.
    pub(crate) fn keep(&self, bytes: &[u8]) -> std::io::Result<BlobId> {
        let id = sha256(bytes);
        let place = self.path(id);
        if place.is_file() {
            return Ok(id);
        }
        let half = self.root.join(format!("{:032x}.half", fresh_bits()));
        let write = || -> std::io::Result<()> {
            let mut file = std::fs::File::create(&half)?;
            file.write_all(bytes)?;
            file.sync_all()?;
            place.parent().map_or(Ok(()), std::fs::create_dir_all)?;
            std::fs::rename(&half, &place)?;
            sync_folder_of(&place)
        };
        write().inspect_err(|_| drop(std::fs::remove_file(&half)))?;
        for old in self.count(id, bytes.len() as u64) {
            // One that is gone already makes as much room.
            let _ = std::fs::remove_file(self.path(old));
        }
        Ok(id)
    }

    /// Counts one more, and says what makes room for it.
    fn count(&self, id: BlobId, bytes: u64) -> Vec<BlobId> {
        let mut kept = self.kept.lock().expect("nobody panics with the list in hand");
        kept.all.push_back((id, bytes));
        kept.bytes += bytes;
        let mut gone = Vec::new();
        while kept.bytes > self.bytes_max {
            let Some((oldest, bytes)) = kept.all.pop_front() else { break };
            kept.bytes -= bytes;
            gone.push(oldest);
        }
        gone
    }

    /// Evidence; nothing if it is not kept any more. It blocks.
    pub(crate) fn read(&self, id: BlobId) -> Option<Vec<u8>> {
        std::fs::read(self.path(id)).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_evidence_makes_room() {
        let data = std::env::temp_dir().join(format!("iog-evidence-{:032x}", fresh_bits()));
        let all = [1_u8, 2, 3].map(|byte| [byte; 100]);
        let there = |store: &Store| {
            all.map(|bytes| store.read(sha256(bytes)).is_some_and(|it| it == bytes))
        };
        let store = Store::open(&data, 250).unwrap();
        store.keep(&all[0]).unwrap();
        store.keep(&all[1]).unwrap();
        store.keep(&all[1]).unwrap();
        assert_eq!(there(&store), [true, true, false]);
        let store = Store::open(&data, 250).unwrap();
        store.keep(&all[2]).unwrap();
        assert_eq!(there(&store), [false, true, true], "known again after a restart");
        std::fs::remove_dir_all(data).unwrap();
    }
}
