//! Transcripts on disk, by the hash of their bytes.
//!
//! ```text
//! files/proofs/good/ab/abcd…    of who passed, or of what came to nothing
//! files/proofs/bad/ab/abcd…     of who was wrong or too slow
//! ```
//!
//! # Invariants
//! - A transcript is there whole or not at all, and its name is the hash of its bytes.
//! - All together are no more than a named number of bytes: the oldest good ones go first, then the oldest bad ones.

use std::collections::VecDeque;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::SystemTime;

use units::BlobId;

use crate::clock::fresh_bits;
use crate::secrets::sync_folder_of;

const GOOD: &str = "good";
const BAD: &str = "bad";

/// What is kept, the oldest first.
#[derive(Debug, Default)]
struct Kept {
    good: VecDeque<(BlobId, u64)>,
    bad: VecDeque<(BlobId, u64)>,
    bytes: u64,
}

/// Writes a file anew: whoever reads it finds the old one, or this.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let half = path.with_extension("half");
    let write = || -> std::io::Result<()> {
        let mut file = std::fs::File::create(&half)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(&half, path)?;
        sync_folder_of(path)
    };
    write().inspect_err(|_| drop(std::fs::remove_file(&half)))
}

/// The folder of transcripts.
#[derive(Debug)]
pub(crate) struct Transcripts {
    root: PathBuf,
    bytes_max: u64,
    kept: Mutex<Kept>,
}

impl Transcripts {
    pub(crate) fn open(data: &Path, bytes_max: u64) -> std::io::Result<Self> {
        Self::at(data.join("files").join("proofs"), bytes_max)
    }

    /// As [`Transcripts::open`], in a folder of its own.
    pub(crate) fn at(root: PathBuf, bytes_max: u64) -> std::io::Result<Self> {
        let mut kept = Kept::default();
        for (folder, list) in [(GOOD, &mut kept.good), (BAD, &mut kept.bad)] {
            let folder = root.join(folder);
            std::fs::create_dir_all(&folder)?;
            let mut found = scan(&folder)?;
            found.sort();
            list.extend(found.into_iter().map(|(_, id, bytes)| (id, bytes)));
        }
        kept.bytes = kept.good.iter().chain(&kept.bad).map(|(_, bytes)| bytes).sum();
        Ok(Self { root, bytes_max, kept: Mutex::new(kept) })
    }

    /// A file beside them.
    pub(crate) fn beside(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    fn path(&self, folder: &str, id: BlobId) -> PathBuf {
        let name = id.to_string();
        self.root.join(folder).join(&name[..2]).join(name)
    }

    /// Keeps a transcript. It blocks.
    pub(crate) fn keep(&self, bytes: &[u8], id: BlobId, is_bad: bool) -> std::io::Result<()> {
        let place = self.path(if is_bad { BAD } else { GOOD }, id);
        if place.is_file() {
            return Ok(());
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
        for path in self.count(id, bytes.len() as u64, is_bad) {
            std::fs::remove_file(path)?;
        }
        Ok(())
    }

    /// Counts one more, and says what makes room for it.
    fn count(&self, id: BlobId, bytes: u64, is_bad: bool) -> Vec<PathBuf> {
        let mut kept = self.kept.lock().expect("nobody panics with the list in hand");
        let list = if is_bad { &mut kept.bad } else { &mut kept.good };
        list.push_back((id, bytes));
        kept.bytes += bytes;
        let mut gone = Vec::new();
        while kept.bytes > self.bytes_max {
            let (folder, oldest) = match kept.good.pop_front() {
                Some(oldest) => (GOOD, oldest),
                None => match kept.bad.pop_front() {
                    Some(oldest) => (BAD, oldest),
                    None => break,
                },
            };
            kept.bytes -= oldest.1;
            gone.push(self.path(folder, oldest.0));
        }
        gone
    }

    /// A transcript, to be read; nothing if it is not kept any more.
    pub(crate) fn read(&self, id: BlobId) -> Option<std::fs::File> {
        let paths = [GOOD, BAD].map(|folder| self.path(folder, id));
        paths.iter().find_map(|path| std::fs::File::open(path).ok())
    }
}

/// The transcripts of a folder, with when they were written. Halves of a server that was killed are not among them.
fn scan(folder: &Path) -> std::io::Result<Vec<(SystemTime, BlobId, u64)>> {
    let mut found = Vec::new();
    for part in std::fs::read_dir(folder)? {
        let part = part?;
        if !part.file_type()?.is_dir() {
            continue;
        }
        for file in std::fs::read_dir(part.path())? {
            let file = file?;
            let about = file.metadata()?;
            if let Some(id) = file.file_name().to_str().and_then(|name| name.parse().ok()) {
                found.push((about.modified()?, id, about.len()));
            }
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secrets::sha256;

    #[test]
    fn the_oldest_good_ones_make_room_and_bad_ones_stay() {
        let data = std::env::temp_dir().join(format!("iog-transcripts-{:032x}", fresh_bits()));
        let id = |byte: u8| sha256([byte; 100]);
        let all = [1, 2, 3, 4].map(id);
        let there = |kept: &Transcripts| all.map(|id| kept.read(id).is_some());
        let kept = Transcripts::open(&data, 250).unwrap();
        kept.keep(&[1; 100], id(1), true).unwrap();
        kept.keep(&[2; 100], id(2), false).unwrap();
        kept.keep(&[2; 100], id(2), false).unwrap();
        assert_eq!(there(&kept), [true, true, false, false]);
        kept.keep(&[3; 100], id(3), false).unwrap();
        assert_eq!(there(&kept), [true, false, true, false], "the oldest good one has gone");
        let kept = Transcripts::open(&data, 250).unwrap();
        kept.keep(&[4; 100], id(4), true).unwrap();
        assert_eq!(there(&kept), [true, false, false, true], "known again after a restart");
        std::fs::remove_dir_all(data).unwrap();
    }
}
