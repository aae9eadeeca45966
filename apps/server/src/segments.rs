//! Records of connections, as nodes of rentals and relays hand them over: sealed segments of their logs, on disk.
//!
//! ```text
//! files/audit/rnt_…/3-KEY-00000007.jsonl        node 3's eighth segment
//! files/audit/relay-KEY/0-KEY-00000007.jsonl    a relay's
//! ```
//!
//! # Invariants
//! - A segment is kept as it came, and only if it is whole and its seal holds.
//! - Who has handed a segment over cannot hand over another one in its place while it is kept, however many try at the
//!   same moment.
//! - A log has an end: of one rental, of one relay, and of all together the oldest segments of whoever has most go. So
//!   nobody makes room of another's by handing over much.

use std::collections::{BTreeMap, VecDeque};
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::SystemTime;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use units::RentalId;
use wire::audit::Verifier;
use wire::paper::NodeKey;

use crate::clock::fresh_bits;
use crate::limits::{
    AUDIT_BYTES_MAX, AUDIT_OWNER_BYTES_MAX, AUDIT_OWNER_FILES_MAX, AUDITS_AT_ONCE_MAX,
};
use crate::secrets::sync_folder_of;

/// After how many segments it is looked whether all together are too many.
const LOOK_EVERY: u64 = 64;
/// What a file is called in the end that is not written to its end yet.
const HALF: &str = ".half";
/// How often a folder is made for a segment: one that was empty may be removed at the same moment.
const FOLDER_TRIES: usize = 3;

/// Whose log it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Log {
    Node(RentalId, u32),
    Relay(NodeKey),
}

impl Log {
    fn folder(self) -> String {
        match self {
            Self::Node(rental, _) => rental.to_string(),
            Self::Relay(key) => format!("relay-{key}"),
        }
    }

    const fn node(self) -> u32 {
        match self {
            Self::Node(_, node) => node,
            Self::Relay(_) => 0,
        }
    }
}

/// Why a segment is not kept.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotKept {
    /// It is not one whole sealed segment.
    #[error("not one whole sealed segment: {0}")]
    NotASegment(String),
    /// It is another relay's.
    #[error("the segment is written by {0}")]
    Foreign(NodeKey),
    /// Another one stands in its place.
    #[error("another segment of this number was handed over before")]
    Other,
    /// The disk failed.
    #[error("the disk failed")]
    Disk(#[from] std::io::Error),
}

/// The folder of logs.
#[derive(Debug)]
pub(crate) struct Segments {
    root: PathBuf,
    kept: AtomicU64,
    /// Places for those who hand over: each holds a segment in memory.
    places: Arc<Semaphore>,
    /// Whose turn it is, by who hands over; of those who do or wait.
    turns: Mutex<BTreeMap<String, Weak<Semaphore>>>,
}

/// Leave to hand one segment over.
#[derive(Debug)]
pub(crate) struct Turn {
    _place: OwnedSemaphorePermit,
    _turn: OwnedSemaphorePermit,
}

/// A file of a log.
#[derive(Debug)]
struct Kept {
    path: PathBuf,
    /// The node's number, its key, and the segment's number: in this order a log is read.
    name: (u32, String, u64),
    bytes: u64,
    at: SystemTime,
}

impl Segments {
    pub(crate) fn open(data: &Path) -> std::io::Result<Self> {
        let root = data.join("files").join("audit");
        std::fs::create_dir_all(&root)?;
        sweep(&root)?;
        let (places, turns) = (Arc::new(Semaphore::new(AUDITS_AT_ONCE_MAX)), Mutex::default());
        Ok(Self { root, kept: AtomicU64::new(0), places, turns })
    }

    /// Waits for the turn of somebody who hands over one segment at a time, and for a place among all.
    pub(crate) async fn turn(&self, who: String) -> Turn {
        let turn = self.turn_of(who).acquire_owned().await.expect("turns are not closed");
        let place = Arc::clone(&self.places).acquire_owned().await.expect("places are not closed");
        Turn { _place: place, _turn: turn }
    }

    fn turn_of(&self, who: String) -> Arc<Semaphore> {
        let mut turns = self.turns.lock().expect("nobody panics with the turns in hand");
        turns.retain(|_, turn| turn.strong_count() > 0);
        let known = turns.get(&who).and_then(Weak::upgrade);
        known.unwrap_or_else(|| {
            let turn = Arc::new(Semaphore::new(1));
            turns.insert(who, Arc::downgrade(&turn));
            turn
        })
    }

    /// Keeps a segment: when this returns, it is durable.
    pub(crate) fn keep(&self, log: Log, bytes: &[u8]) -> Result<(), NotKept> {
        let (key, number) = read(bytes)?;
        if let Log::Relay(relay) = log
            && relay != key
        {
            return Err(NotKept::Foreign(key));
        }
        let folder = self.root.join(log.folder());
        let place = folder.join(format!("{}-{key}-{number:08}.jsonl", log.node()));
        if place.exists() {
            return is_it(&place, bytes);
        }
        let (half, mut file) = begin(&folder)?;
        let written = file.write_all(bytes).and_then(|()| file.sync_all());
        // Of two that come at the same moment, one is there first.
        let named = written.and_then(|()| std::fs::hard_link(&half, &place));
        std::fs::remove_file(&half)?;
        match named {
            Err(why) if why.kind() == std::io::ErrorKind::AlreadyExists => {
                return is_it(&place, bytes);
            }
            named => named?,
        }
        sync_folder_of(&place)?;
        let all = files(&folder)?;
        prune(all, |kept| kept.name.0, AUDIT_OWNER_BYTES_MAX, AUDIT_OWNER_FILES_MAX)?;
        if self.kept.fetch_add(1, Ordering::Relaxed).is_multiple_of(LOOK_EVERY) {
            self.prune_all()?;
        }
        Ok(())
    }

    /// Files of a log in the order in which they are read: of one node, or of all of them.
    pub(crate) fn paths(&self, log: Log, of_all: bool) -> std::io::Result<Vec<PathBuf>> {
        let mut all = files(&self.root.join(log.folder()))?;
        all.retain(|kept| of_all || kept.name.0 == log.node());
        all.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(all.into_iter().map(|kept| kept.path).collect())
    }

    fn prune_all(&self) -> std::io::Result<()> {
        let mut all = Vec::new();
        for entry in std::fs::read_dir(&self.root)? {
            let folder = entry?.path();
            // One that emptied.
            let _ = std::fs::remove_dir(&folder);
            all.extend(files(&folder)?);
        }
        let folder = |kept: &Kept| kept.path.parent().map(Path::to_path_buf);
        prune(all, folder, AUDIT_BYTES_MAX, usize::MAX)
    }
}

/// Whether what stands there is this.
fn is_it(place: &Path, bytes: &[u8]) -> Result<(), NotKept> {
    if std::fs::read(place)? == bytes { Ok(()) } else { Err(NotKept::Other) }
}

/// A file that is written to, and its folder.
fn begin(folder: &Path) -> std::io::Result<(PathBuf, File)> {
    let half = folder.join(format!("{:032x}{HALF}", fresh_bits()));
    for _ in 1..FOLDER_TRIES {
        std::fs::create_dir_all(folder)?;
        match File::create(&half) {
            Err(why) if why.kind() == std::io::ErrorKind::NotFound => {}
            file => return Ok((half, file?)),
        }
    }
    std::fs::create_dir_all(folder)?;
    let file = File::create(&half)?;
    Ok((half, file))
}

/// Removes what a server before this one did not write to its end.
fn sweep(root: &Path) -> std::io::Result<()> {
    for folder in std::fs::read_dir(root)? {
        let folder = folder?;
        if !folder.file_type()?.is_dir() {
            continue;
        }
        for file in std::fs::read_dir(folder.path())? {
            let path = file?.path();
            if path.to_string_lossy().ends_with(HALF) {
                std::fs::remove_file(path)?;
            }
        }
    }
    Ok(())
}

/// The key and the number of one whole sealed segment.
fn read(bytes: &[u8]) -> Result<(NodeKey, u64), NotKept> {
    let wrong = |why: String| NotKept::NotASegment(why);
    let text = std::str::from_utf8(bytes).map_err(|why| wrong(why.to_string()))?;
    let mut verifier = Verifier::new(None);
    for line in text.lines() {
        verifier.line(line).map_err(|why| wrong(why.to_string()))?;
    }
    let found = verifier.so_far();
    let is_one = found.segments == 1 && found.unsealed == 0 && found.next == found.first + 1;
    let key = found.node.filter(|_| is_one && text.ends_with('\n'));
    let key = key.ok_or_else(|| wrong("it has more, or less, than one seal at its end".to_owned()));
    Ok((key?, found.first))
}

/// The files of a folder; none where there is no folder.
fn files(folder: &Path) -> std::io::Result<Vec<Kept>> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(why) if why.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(why) => return Err(why),
    };
    let mut all = Vec::new();
    for entry in entries {
        let entry = entry?;
        let Some(name) = named(&entry.file_name().to_string_lossy()) else { continue };
        // It may be pruned by somebody else at this moment.
        let Ok(about) = entry.metadata() else { continue };
        let (path, bytes) = (entry.path(), about.len());
        all.push(Kept { path, name, bytes, at: about.modified()? });
    }
    Ok(all)
}

fn named(file: &str) -> Option<(u32, String, u64)> {
    let mut parts = file.strip_suffix(".jsonl")?.splitn(3, '-');
    let (node, key, number) = (parts.next()?, parts.next()?, parts.next()?);
    Some((node.parse().ok()?, key.to_owned(), number.parse().ok()?))
}

/// Removes the oldest of whoever has most until there are no more than these.
fn prune<Owner: Ord>(
    mut all: Vec<Kept>,
    owner: impl Fn(&Kept) -> Owner,
    bytes_max: u64,
    files_max: usize,
) -> std::io::Result<()> {
    let (mut bytes, mut count) = (all.iter().map(|kept| kept.bytes).sum::<u64>(), all.len());
    all.sort_by_key(|kept| kept.at);
    let mut owners: BTreeMap<Owner, (u64, VecDeque<Kept>)> = BTreeMap::new();
    for kept in all {
        let (bytes, files) = owners.entry(owner(&kept)).or_default();
        *bytes += kept.bytes;
        files.push_back(kept);
    }
    while bytes > bytes_max || count > files_max {
        let has = |(of, files): &(u64, VecDeque<Kept>)| match bytes > bytes_max {
            true => *of,
            false => files.len() as u64,
        };
        let Some((of, files)) = owners.values_mut().max_by_key(|owner| has(owner)) else { break };
        let Some(kept) = files.pop_front() else { break };
        *of -= kept.bytes;
        match std::fs::remove_file(&kept.path) {
            Err(why) if why.kind() != std::io::ErrorKind::NotFound => return Err(why),
            Ok(()) | Err(_) => {}
        }
        (bytes, count) = (bytes - kept.bytes, count - 1);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use ed25519_dalek::SigningKey;
    use units::Timestamp;
    use wire::audit::{AuditLog, Record};

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    fn key(number: u8) -> SigningKey {
        SigningKey::from_bytes(&[number; 32])
    }

    fn node(number: u8) -> NodeKey {
        NodeKey(key(number).verifying_key().to_bytes())
    }

    /// So many segments of a log, of a record each.
    fn segments(of: u8, count: u64) -> Vec<Vec<u8>> {
        let mut log = AuditLog::new(node(of));
        let segment = |lost| {
            let mut lines = log.record(Record::Lost(lost), NOW);
            lines.extend(log.seal(&key(of), NOW));
            lines.iter().flat_map(|line| format!("{line}\n").into_bytes()).collect()
        };
        (1..=count).map(segment).collect()
    }

    fn scratch() -> (Segments, PathBuf) {
        let root = std::env::temp_dir().join(format!("iog-segments-{:032x}", fresh_bits()));
        (Segments::open(&root).unwrap(), root)
    }

    #[test]
    fn segments_are_kept_once_and_read_in_order() {
        let (kept, root) = scratch();
        let rental = RentalId::from_bits(1);
        let one = segments(1, 3);
        for segment in one.iter().rev().chain(&one) {
            kept.keep(Log::Node(rental, 10), segment).unwrap();
        }
        kept.keep(Log::Node(rental, 2), &segments(2, 1)[0]).unwrap();
        let read = |of_all| {
            let paths = kept.paths(Log::Node(rental, 10), of_all).unwrap();
            paths.iter().flat_map(|path| std::fs::read(path).unwrap()).collect::<Vec<u8>>()
        };
        assert_eq!(read(false), one.concat());
        assert_eq!(read(true), [segments(2, 1).concat(), one.concat()].concat());
        assert!(kept.paths(Log::Relay(node(1)), true).unwrap().is_empty());
        std::fs::remove_dir_all(root).unwrap();
    }

    #[test]
    fn what_is_no_segment_is_not_kept() {
        let (kept, root) = scratch();
        let log = Log::Relay(node(1));
        let all = segments(1, 2);
        let cut = &all[0][..all[0].len() - 1];
        let changed =
            String::from_utf8(all[0].clone()).unwrap().replace("\"lost\":1", "\"lost\":2");
        for wrong in [b"".as_slice(), b"\xff\n", cut, changed.as_bytes(), &all.concat()] {
            assert!(matches!(kept.keep(log, wrong), Err(NotKept::NotASegment(_))));
        }
        let foreign = kept.keep(log, &segments(2, 1)[0]);
        assert!(matches!(foreign, Err(NotKept::Foreign(_))));
        kept.keep(log, &all[0]).unwrap();
        let mut rewritten = AuditLog::new(node(1));
        let mut lines = rewritten.record(Record::Lost(9), NOW);
        lines.extend(rewritten.seal(&key(1), NOW));
        let rewritten = lines.join("\n") + "\n";
        assert!(matches!(kept.keep(log, rewritten.as_bytes()), Err(NotKept::Other)));
        std::fs::remove_dir_all(root).unwrap();
    }

    #[test]
    fn of_several_at_one_moment_one_is_kept() {
        let (kept, root) = scratch();
        let log = Log::Relay(node(1));
        let all: Vec<Vec<u8>> = (1..=8)
            .map(|lost| {
                let mut log = AuditLog::new(node(1));
                let mut lines = log.record(Record::Lost(lost), NOW);
                lines.extend(log.seal(&key(1), NOW));
                (lines.join("\n") + "\n").into_bytes()
            })
            .collect();
        let begin = std::sync::Barrier::new(all.len());
        let taken = std::thread::scope(|scope| {
            let keep = |segment: &Vec<u8>| {
                begin.wait();
                kept.keep(log, segment).is_ok()
            };
            let all: Vec<_> =
                all.iter().map(|segment| scope.spawn(move || keep(segment))).collect();
            all.into_iter().map(|one| one.join().unwrap()).filter(|is_kept| *is_kept).count()
        });
        assert_eq!(taken, 1);
        std::fs::remove_dir_all(root).unwrap();
    }

    #[test]
    fn what_a_crash_left_is_swept_away() {
        let (kept, root) = scratch();
        let log = Log::Relay(node(1));
        kept.keep(log, &segments(1, 1)[0]).unwrap();
        let folder = kept.root.join(log.folder());
        std::fs::write(folder.join("7.half"), "x").unwrap();
        let kept = Segments::open(&root).unwrap();
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 1);
        assert_eq!(kept.paths(log, true).unwrap().len(), 1);
        std::fs::remove_dir_all(root).unwrap();
    }

    #[tokio::test]
    async fn who_hands_over_does_so_one_at_a_time() {
        let (kept, root) = scratch();
        let one = kept.turn("a".to_owned()).await;
        let now = std::time::Duration::from_millis(1);
        let second = tokio::time::timeout(now, kept.turn("a".to_owned())).await;
        assert!(second.is_err(), "its first is not over");
        let mut others = Vec::new();
        for number in 1..AUDITS_AT_ONCE_MAX {
            others.push(kept.turn(number.to_string()).await);
        }
        assert!(
            tokio::time::timeout(now, kept.turn("b".to_owned())).await.is_err(),
            "all are taken"
        );
        drop(one);
        let _again = kept.turn("a".to_owned()).await;
        drop(others);
        drop(kept.turn("b".to_owned()).await);
        assert_eq!(kept.turns.lock().unwrap().len(), 2, "who is done is forgotten");
        std::fs::remove_dir_all(root).unwrap();
    }

    #[test]
    fn the_oldest_make_room() {
        let (kept, root) = scratch();
        let log = Log::Relay(node(1));
        segments(1, 5).iter().for_each(|segment| kept.keep(log, segment).unwrap());
        let all = || files(&kept.root.join(log.folder())).unwrap();
        prune(all(), |_| (), u64::MAX, 3).unwrap();
        assert_eq!(all().len(), 3);
        let bytes = all()[0].bytes;
        prune(all(), |_| (), bytes + 1, 3).unwrap();
        let left: Vec<u64> = all().iter().map(|kept| kept.name.2).collect();
        assert_eq!(left, [4]);
        std::fs::remove_dir_all(root).unwrap();
    }

    #[test]
    fn who_hands_over_much_makes_room_of_its_own() {
        let (kept, root) = scratch();
        let rental = RentalId::from_bits(1);
        kept.keep(Log::Node(rental, 0), &segments(1, 1)[0]).unwrap();
        let junk = segments(2, 5);
        junk.iter().for_each(|segment| kept.keep(Log::Node(rental, 1), segment).unwrap());
        let all = || files(&kept.root.join(Log::Node(rental, 0).folder())).unwrap();
        prune(all(), |kept| kept.name.0, u64::MAX, 3).unwrap();
        let bytes = all().iter().map(|kept| kept.bytes).sum::<u64>();
        prune(all(), |kept| kept.name.0, bytes - 1, usize::MAX).unwrap();
        let mut left: Vec<(u32, u64)> =
            all().iter().map(|kept| (kept.name.0, kept.name.2)).collect();
        left.sort_unstable();
        assert_eq!(left, [(0, 0), (1, 4)]);
        std::fs::remove_dir_all(root).unwrap();
    }
}
