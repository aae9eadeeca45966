//! A node's log of connections and streams, as files: sealed segments, and one that is open.
//!
//! ```text
//!   data/net/<rental>-<node>/audit/  00000000.jsonl  00000001.jsonl  …  open.jsonl
//!                                    sealed, handed over in order       written to
//! ```
//!
//! # Invariants
//! - A segment gets its number as its name when it is sealed, and is not changed after that.
//! - The newest sealed segment stays, handed over or not: the next one follows it.
//! - An agent that crashed goes on behind the last seal; what was written behind it is sealed anew.
//! - No number is given twice: behind a segment that is damaged a new chain begins, and what was sealed stays.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use ed25519_dalek::SigningKey;
use units::Timestamp;
use wire::audit::{AuditLog, Record, Verified, Verifier};
use wire::paper::NodeKey;

use super::limits::AUDIT_BYTES_MAX;

const OPEN: &str = "open.jsonl";
/// Says up to which number segments were handed over.
const HANDED: &str = "handed-over";
/// Here is what was refused for good, for whoever looks into it.
const REFUSED: &str = "refused";
/// So many segments of it, the newest.
const REFUSED_MAX: usize = 8;

/// A log on disk.
#[derive(Debug)]
pub(super) struct AuditFiles {
    folder: PathBuf,
    key: SigningKey,
    log: AuditLog,
    open: Option<File>,
    /// Of the segment that is open, or comes next.
    number: u64,
    /// Records that could not be written.
    lost: u64,
}

impl AuditFiles {
    /// The log in this folder, which goes on where it ended.
    pub(super) fn kept_in(folder: &Path, key: SigningKey, now: Timestamp) -> Result<Self> {
        let mut builder = fs::DirBuilder::new();
        let made = builder.recursive(true).mode(0o700).create(folder);
        made.context("make the folder of a log")?;
        let node = NodeKey(key.verifying_key().to_bytes());
        let (log, number) = behind_last(folder, node);
        let mut files = Self { folder: folder.to_owned(), key, log, open: None, number, lost: 0 };
        for record in unsealed(&folder.join(OPEN)) {
            files.record(record, now);
        }
        Ok(files)
    }

    /// Writes a record down.
    pub(super) fn record(&mut self, record: Record, now: Timestamp) {
        if self.lost > 0 {
            let lost = std::mem::take(&mut self.lost);
            self.write(Record::Lost(lost), lost, now);
        }
        self.write(record, 1, now);
    }

    fn write(&mut self, record: Record, stands_for: u64, now: Timestamp) {
        let mut text = String::new();
        for line in self.log.record(record, now) {
            text.push_str(&line);
            text.push('\n');
        }
        if let Err(fault) = self.append(&text) {
            // A line that is missing would break the chain: what is open is given up, and counted.
            tracing::warn!(fault = format!("{fault:#}"), "a node's log could not be written");
            self.lost = self.lost.saturating_add(stands_for);
            self.give_up();
        }
    }

    fn append(&mut self, text: &str) -> Result<()> {
        if self.open.is_none() {
            let mut options = OpenOptions::new();
            options.write(true).create(true).truncate(true).mode(0o600);
            let path = self.folder.join(OPEN);
            self.open = Some(options.open(path).context("open a segment")?);
        }
        let file = self.open.as_mut().context("have a segment open")?;
        file.write_all(text.as_bytes()).context("write a record")
    }

    /// Begins anew behind the last segment that was sealed.
    fn give_up(&mut self) {
        self.open = None;
        let _ = fs::remove_file(self.folder.join(OPEN));
        let node = NodeKey(self.key.verifying_key().to_bytes());
        self.log = behind_last(&self.folder, node).0;
    }

    /// Seals what was open long enough.
    pub(super) fn on_wake(&mut self, now: Timestamp) {
        if self.log.is_due(now) {
            self.seal(now);
        }
    }

    /// Seals what is open.
    pub(super) fn seal(&mut self, now: Timestamp) {
        let Some(line) = self.log.seal(&self.key, now) else { return };
        let sealed = self.append(&format!("{line}\n")).and_then(|()| {
            if let Some(file) = self.open.take() {
                file.sync_all().context("keep a segment")?;
            }
            let name = self.folder.join(format!("{:08}.jsonl", self.number));
            fs::rename(self.folder.join(OPEN), name).context("name a segment")
        });
        match sealed {
            Ok(()) => {
                self.number += 1;
                self.make_room();
            }
            Err(fault) => {
                tracing::warn!(fault = format!("{fault:#}"), "a node's log could not be sealed");
                self.give_up();
            }
        }
    }

    /// Removes what was handed over, and the oldest of what takes too much room.
    fn make_room(&self) {
        let handed = handed_over(&self.folder);
        let mut all = segments(&self.folder);
        let Some((newest, _)) = all.pop() else { return };
        let length = |path: &Path| fs::metadata(path).map_or(0, |about| about.len());
        let mut bytes: u64 = all.iter().map(|(_, path)| length(path)).sum();
        for (number, path) in all {
            let is_handed = handed.is_some_and(|handed| number <= handed);
            if is_handed || bytes > AUDIT_BYTES_MAX {
                if !is_handed {
                    tracing::warn!(number, newest, "a segment of a node's log is removed unread");
                }
                bytes -= length(&path).min(bytes);
                let _ = fs::remove_file(path);
            }
        }
    }
}

/// The log that goes on behind the last sealed segment in this folder, and the number that comes next.
fn behind_last(folder: &Path, node: NodeKey) -> (AuditLog, u64) {
    let last = segments(folder).pop();
    let handed = handed_over(folder).map_or(0, |number| number + 1);
    let next = last.as_ref().map_or(0, |(number, _)| number + 1).max(handed);
    let log = match last.and_then(|(_, path)| verified(&path, node)) {
        Some(last) => AuditLog::resume(node, last.next, last.previous),
        None => {
            if next > 0 {
                tracing::warn!(
                    number = next,
                    "the last segment of a node's log is damaged: a new chain begins"
                );
            }
            AuditLog::new(node)
        }
    };
    (log, next)
}

/// The oldest sealed segment of the log in this folder that was not handed over.
pub(super) fn next_to_hand_over(folder: &Path) -> Option<(u64, PathBuf)> {
    let handed = handed_over(folder);
    let is_new = |(number, _): &(u64, PathBuf)| handed.is_none_or(|handed| *number > handed);
    segments(folder).into_iter().find(is_new)
}

/// Notes that a segment was handed over.
pub(super) fn note_handed_over(folder: &Path, number: u64) -> Result<()> {
    let new = folder.join("handed-over.new");
    fs::write(&new, number.to_string()).context("note what was handed over")?;
    fs::rename(new, folder.join(HANDED)).context("note what was handed over")
}

/// Keeps a segment that is refused for good where it stops no other.
pub(super) fn set_aside(folder: &Path, number: u64) -> Result<()> {
    let aside = folder.join(REFUSED);
    let name = format!("{number:08}.jsonl");
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(&aside);
    // Told twice, it is there already.
    let _ = made.and_then(|()| fs::hard_link(folder.join(&name), aside.join(name)));
    let mut all = segments(&aside);
    all.truncate(all.len().saturating_sub(REFUSED_MAX));
    for (_, path) in all {
        let _ = fs::remove_file(path);
    }
    note_handed_over(folder, number)
}

fn handed_over(folder: &Path) -> Option<u64> {
    fs::read_to_string(folder.join(HANDED)).ok()?.trim().parse().ok()
}

/// The sealed segments, by number.
fn segments(folder: &Path) -> Vec<(u64, PathBuf)> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let numbered = entries.filter_map(|entry| {
        let name = entry.file_name();
        let number = name.to_str()?.strip_suffix(".jsonl")?.parse().ok()?;
        Some((number, entry.path()))
    });
    let mut all: Vec<(u64, PathBuf)> = numbered.collect();
    all.sort();
    all
}

/// What a segment came to, if it is whole.
fn verified(path: &Path, node: NodeKey) -> Option<Verified> {
    let text = fs::read_to_string(path).ok()?;
    let mut verifier = Verifier::new(Some(node));
    for line in text.lines() {
        verifier.line(line).ok()?;
    }
    let verified = verifier.finish();
    (verified.segments > 0).then_some(verified)
}

/// The records of a segment that was not sealed.
fn unsealed(path: &Path) -> Vec<Record> {
    let text = fs::read_to_string(path).unwrap_or_default();
    let mut verifier = Verifier::new(None);
    // The last line may have been cut short.
    let records = text.lines().map_while(|line| verifier.line(line).ok());
    records.flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::scratch::Scratch;

    const NOW: Timestamp = Timestamp::from_millis(1_000_000);

    fn key() -> SigningKey {
        SigningKey::from_bytes(&[5; 32])
    }

    /// All sealed segments as one log, and what it came to.
    fn whole(folder: &Path) -> Verified {
        let mut verifier = Verifier::new(None);
        for (_, path) in segments(folder) {
            for line in fs::read_to_string(path).unwrap().lines() {
                verifier.line(line).unwrap();
            }
        }
        verifier.finish()
    }

    #[test]
    fn a_log_goes_on_behind_its_seal_after_a_crash_and_loses_nothing() {
        let scratch = Scratch::new("audit");
        let folder = scratch.path().join("audit");
        let mut first = AuditFiles::kept_in(&folder, key(), NOW).unwrap();
        first.record(Record::Lost(1), NOW);
        first.seal(NOW);
        first.record(Record::Lost(2), NOW);
        first.record(Record::Lost(3), NOW);
        drop(first);
        // Cut short in the middle of a line.
        let mut open = OpenOptions::new().append(true).open(folder.join(OPEN)).unwrap();
        open.write_all(b"{\"rec").unwrap();
        let mut second = AuditFiles::kept_in(&folder, key(), NOW).unwrap();
        second.record(Record::Lost(4), NOW);
        second.seal(NOW);
        let log = whole(&folder);
        assert_eq!((log.segments, log.sealed, log.lost), (2, 4, 10));
    }

    #[test]
    fn a_log_whose_last_segment_is_damaged_loses_nothing_that_was_sealed() {
        let scratch = Scratch::new("audit-damaged");
        let folder = scratch.path();
        let mut first = AuditFiles::kept_in(folder, key(), NOW).unwrap();
        for number in 0..2 {
            first.record(Record::Lost(number), NOW);
            first.seal(NOW);
            note_handed_over(folder, number).unwrap();
        }
        fs::write(folder.join("00000001.jsonl"), "{\"segm").unwrap();
        let mut second = AuditFiles::kept_in(folder, key(), NOW).unwrap();
        assert_eq!(second.number, 2);
        second.record(Record::Lost(7), NOW);
        second.seal(NOW);
        let (number, path) = next_to_hand_over(folder).unwrap();
        let node = NodeKey(key().verifying_key().to_bytes());
        assert_eq!((number, verified(&path, node).unwrap().lost), (2, 7));
    }

    #[test]
    fn segments_are_handed_over_in_order_and_the_newest_stays() {
        let scratch = Scratch::new("audit-handed");
        let folder = scratch.path();
        let mut files = AuditFiles::kept_in(folder, key(), NOW).unwrap();
        for number in 0..3 {
            files.record(Record::Lost(number), NOW);
            files.seal(NOW);
        }
        for expected in 0..3 {
            let (number, _) = next_to_hand_over(folder).unwrap();
            assert_eq!(number, expected);
            note_handed_over(folder, number).unwrap();
        }
        assert_eq!(next_to_hand_over(folder), None);
        files.record(Record::Lost(9), NOW);
        files.seal(NOW);
        let kept: Vec<u64> = segments(folder).into_iter().map(|(number, _)| number).collect();
        assert_eq!(kept, [3]);
        assert_eq!(next_to_hand_over(folder).unwrap().0, 3);
    }
}
