//! Packages, logs and result files on disk.
//!
//! ```text
//! files/blobs/ab/abcd…          a package, named by its SHA-256
//! files/jobs/job_…/log          what the job printed, as far as it was handed over
//! files/jobs/job_…/results/…    what it wrote into its results folder
//! ```
//!
//! # Invariants
//! - A blob's name is the hash of its bytes; a file is there whole or not at all.
//! - No name from outside leads out of the job's folder.

use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use std::path::{Component, Path, PathBuf};

use sha2::{Digest, Sha256};
use units::{BlobId, JobId};
use wire::FileView;

use crate::clock::fresh_bits;
use crate::limits::{FILES_MAX, LOG_BYTES_MAX};
use crate::secrets::sync_folder_of;

/// The longest path of a result file, and the longest part of one, in bytes: the file system takes no longer parts.
const PATH_BYTES_MAX: usize = 512;
const PART_BYTES_MAX: usize = 255;

/// The last words of a log that was cut.
const LOG_CUT: &[u8] = b"\n[the log is cut here: it is longer than what is kept]\n";

/// Why a file could not be kept or given.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FileFailure {
    /// It is not there.
    #[error("there is no such file")]
    Missing,
    /// Its name would lead somewhere else.
    #[error("`{0}` is no path inside the job's results")]
    BadPath(String),
    /// Its bytes do not hash to its name.
    #[error("the bytes sent hash to {found}")]
    OtherBytes { found: BlobId },
    /// The piece of log does not join what is there.
    #[error("the log is {length} bytes long")]
    Gap { length: u64 },
    /// There are as many as there may be.
    #[error("no more than {FILES_MAX} files of one job")]
    TooMany,
    /// The disk failed.
    #[error("the disk failed")]
    Disk(#[from] std::io::Error),
}

impl FileFailure {
    fn is_about_the_name(&self) -> bool {
        if let Self::Disk(why) = self { is_in_the_way(why) } else { false }
    }
}

/// The folder of files.
#[derive(Clone, Debug)]
pub(crate) struct Files {
    root: PathBuf,
}

/// A file being received.
#[derive(Debug)]
pub(crate) struct Incoming {
    file: std::fs::File,
    half: PathBuf,
    hash: Sha256,
}

impl Incoming {
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<(), FileFailure> {
        self.hash.update(bytes);
        Ok(self.file.write_all(bytes)?)
    }

    /// Puts it in its place, durable and whole.
    fn keep(self, place: &Path) -> Result<(), FileFailure> {
        if let Some(folder) = place.parent() {
            std::fs::create_dir_all(folder)?;
        }
        self.file.sync_all()?;
        std::fs::rename(&self.half, place)?;
        sync_folder_of(place)?;
        Ok(())
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        // Gone already when it was kept.
        let _ = std::fs::remove_file(&self.half);
    }
}

impl Files {
    pub(crate) fn open(data: &Path) -> std::io::Result<Self> {
        let root = data.join("files");
        std::fs::create_dir_all(root.join("blobs"))?;
        std::fs::create_dir_all(root.join("jobs"))?;
        let half = root.join("half");
        // Halves of a server that was killed.
        let _ = std::fs::remove_dir_all(&half);
        std::fs::create_dir_all(&half)?;
        Ok(Self { root })
    }

    /// Begins to receive a file.
    pub(crate) fn receive(&self) -> Result<Incoming, FileFailure> {
        let half = self.root.join("half").join(format!("{:032x}", fresh_bits()));
        Ok(Incoming { file: std::fs::File::create(&half)?, half, hash: Sha256::new() })
    }

    /// Keeps what was received as the blob it must be.
    pub(crate) fn keep_blob(&self, incoming: Incoming, id: BlobId) -> Result<(), FileFailure> {
        let found = BlobId::from_sha256(incoming.hash.clone().finalize().into());
        if found != id {
            return Err(FileFailure::OtherBytes { found });
        }
        incoming.keep(&self.blob_path(id))
    }

    /// A blob, to be read.
    pub(crate) fn blob(&self, id: BlobId) -> Result<std::fs::File, FileFailure> {
        open(&self.blob_path(id))
    }

    /// Whether a blob is there.
    pub(crate) fn has_blob(&self, id: BlobId) -> bool {
        self.blob_path(id).is_file()
    }

    /// Appends a piece of log that begins at `offset`, and says how long the log is then. What was told before is
    /// not told again; beyond [`LOG_BYTES_MAX`] nothing is kept.
    pub(crate) fn append_log(
        &self,
        job: JobId,
        offset: u64,
        piece: &[u8],
    ) -> Result<u64, FileFailure> {
        let folder = self.job_path(job);
        std::fs::create_dir_all(&folder)?;
        let place = folder.join("log");
        let mut log = std::fs::OpenOptions::new();
        let log = log.write(true).create(true).truncate(false).open(place)?;
        let length = log.metadata()?.len();
        let end = offset.saturating_add(piece.len() as u64);
        // A worker past the limit is told that all of its log is here.
        if length >= LOG_BYTES_MAX {
            return Ok(LOG_BYTES_MAX.max(end));
        }
        let known = length.checked_sub(offset).ok_or(FileFailure::Gap { length })?;
        let news =
            usize::try_from(known).ok().and_then(|known| piece.get(known..)).unwrap_or_default();
        let room = usize::try_from(LOG_BYTES_MAX - length).unwrap_or(usize::MAX);
        let kept = &news[..news.len().min(room)];
        // At its place and not at the end: the same piece told twice at once is written once.
        log.write_all_at(kept, length)?;
        if kept.len() == room {
            log.write_all_at(LOG_CUT, LOG_BYTES_MAX)?;
        }
        Ok(length.max(end))
    }

    /// Up to `limit` bytes of a log from `offset` on; none when there is no more, or no log.
    pub(crate) fn read_log(
        &self,
        job: JobId,
        offset: u64,
        limit: usize,
    ) -> Result<Vec<u8>, FileFailure> {
        let mut log = match std::fs::File::open(self.job_path(job).join("log")) {
            Ok(log) => log,
            Err(why) if why.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(why) => return Err(why.into()),
        };
        if offset >= log.metadata()?.len() {
            return Ok(Vec::new());
        }
        log.seek(SeekFrom::Start(offset))?;
        let mut piece = Vec::new();
        log.take(limit as u64).read_to_end(&mut piece)?;
        Ok(piece)
    }

    /// Keeps what was received as a result file of a job; one of the same name is replaced.
    pub(crate) fn keep_result(
        &self,
        incoming: Incoming,
        job: JobId,
        path: &str,
    ) -> Result<(), FileFailure> {
        let place = self.result_path(job, path)?;
        if !place.exists() && self.results(job)?.len() >= FILES_MAX {
            return Err(FileFailure::TooMany);
        }
        incoming
            .keep(&place)
            .map_err(|failure| if failure.is_about_the_name() { bad_path(path) } else { failure })
    }

    /// A result file of a job, to be read.
    pub(crate) fn result(&self, job: JobId, path: &str) -> Result<std::fs::File, FileFailure> {
        open(&self.result_path(job, path)?)
    }

    /// The result files of a job, by path.
    pub(crate) fn results(&self, job: JobId) -> Result<Vec<FileView>, FileFailure> {
        let root = self.job_path(job).join("results");
        let mut found = Vec::new();
        let mut folders = vec![root.clone()];
        while let Some(folder) = folders.pop() {
            let entries = match std::fs::read_dir(&folder) {
                Ok(entries) => entries,
                Err(why) if why.kind() == std::io::ErrorKind::NotFound => continue,
                Err(why) => return Err(why.into()),
            };
            for entry in entries {
                let entry = entry?;
                if entry.file_type()?.is_dir() {
                    folders.push(entry.path());
                } else if let Ok(path) = entry.path().strip_prefix(&root) {
                    let path = path.to_string_lossy().into_owned();
                    found.push(FileView { path, bytes: entry.metadata()?.len() });
                }
            }
        }
        found.sort_by(|one, other| one.path.cmp(&other.path));
        Ok(found)
    }

    /// Removes what a job left: its log and its results.
    pub(crate) fn forget_job(&self, job: JobId) -> std::io::Result<()> {
        match std::fs::remove_dir_all(self.job_path(job)) {
            Err(why) if why.kind() != std::io::ErrorKind::NotFound => Err(why),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    fn blob_path(&self, id: BlobId) -> PathBuf {
        let name = id.to_string();
        self.root.join("blobs").join(&name[..2]).join(name)
    }

    fn job_path(&self, job: JobId) -> PathBuf {
        self.root.join("jobs").join(job.to_string())
    }

    fn result_path(&self, job: JobId, path: &str) -> Result<PathBuf, FileFailure> {
        let plain = Path::new(path).components().all(|part| matches!(part, Component::Normal(_)));
        let short = path.len() <= PATH_BYTES_MAX
            && path.split('/').all(|part| part.len() <= PART_BYTES_MAX);
        if path.is_empty() || !short || !plain || path.contains('\0') {
            return Err(bad_path(path));
        }
        Ok(self.job_path(job).join("results").join(path))
    }
}

fn open(path: &Path) -> Result<std::fs::File, FileFailure> {
    let file = std::fs::File::open(path).map_err(|why| {
        let missing = why.kind() == std::io::ErrorKind::NotFound || is_in_the_way(&why);
        if missing { FileFailure::Missing } else { why.into() }
    })?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(FileFailure::Missing) }
}

fn bad_path(path: &str) -> FileFailure {
    FileFailure::BadPath(path.chars().take(80).collect())
}

/// Whether a file stands where a folder should be, or a folder where a file should be.
fn is_in_the_way(why: &std::io::Error) -> bool {
    use std::io::ErrorKind as K;
    matches!(
        why.kind(),
        K::NotADirectory | K::IsADirectory | K::AlreadyExists | K::DirectoryNotEmpty
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files() -> (Files, PathBuf) {
        let root = std::env::temp_dir().join(format!("iog-files-{:032x}", fresh_bits()));
        (Files::open(&root).unwrap(), root)
    }

    fn received(files: &Files, bytes: &[u8]) -> Incoming {
        let mut incoming = files.receive().unwrap();
        incoming.write(bytes).unwrap();
        incoming
    }

    #[test]
    fn a_log_grows_only_by_what_is_new() {
        let (files, root) = files();
        let job = JobId::from_bits(1);
        assert_eq!(files.append_log(job, 0, b"one ").unwrap(), 4);
        assert_eq!(files.append_log(job, 0, b"one two").unwrap(), 7);
        assert_eq!(files.append_log(job, 2, b"e").unwrap(), 7);
        assert!(matches!(files.append_log(job, 9, b"x"), Err(FileFailure::Gap { length: 7 })));
        assert_eq!(files.read_log(job, 4, 100).unwrap(), b"two");
        assert_eq!(files.read_log(job, u64::MAX, 100).unwrap(), b"", "past its end");
        std::fs::remove_dir_all(root).unwrap();
    }

    #[test]
    fn a_log_past_the_limit_is_cut_and_taken_as_told() {
        let (files, root) = files();
        let job = JobId::from_bits(1);
        files.append_log(job, 0, b"").unwrap();
        let log = std::fs::OpenOptions::new().write(true).open(files.job_path(job).join("log"));
        log.unwrap().set_len(LOG_BYTES_MAX - 2).unwrap();
        assert_eq!(files.append_log(job, LOG_BYTES_MAX - 2, b"four").unwrap(), LOG_BYTES_MAX + 2);
        assert_eq!(files.append_log(job, LOG_BYTES_MAX + 2, b"more").unwrap(), LOG_BYTES_MAX + 6);
        let end = files.read_log(job, LOG_BYTES_MAX - 2, 100).unwrap();
        assert_eq!(end, [b"fo", LOG_CUT].concat());
        std::fs::remove_dir_all(root).unwrap();
    }

    #[test]
    fn a_blob_is_what_its_name_says() {
        let (files, root) = files();
        let id = BlobId::from_sha256(Sha256::digest(b"abc").into());
        assert!(matches!(
            files.keep_blob(received(&files, b"abd"), id),
            Err(FileFailure::OtherBytes { .. })
        ));
        assert!(!files.has_blob(id));
        files.keep_blob(received(&files, b"abc"), id).unwrap();
        assert!(files.has_blob(id));
        std::fs::remove_dir_all(root).unwrap();
    }

    #[test]
    fn no_result_leaves_its_folder() {
        let (files, root) = files();
        let job = JobId::from_bits(1);
        let long = "x".repeat(256);
        for path in ["", "/etc/passwd", "../x", "a/../../x", "a/./../b", "nul\0", &long] {
            let kept = files.keep_result(received(&files, b"x"), job, path);
            assert!(matches!(kept, Err(FileFailure::BadPath(_))), "{path}");
        }
        files.keep_result(received(&files, b"x"), job, "deep/er/file").unwrap();
        assert_eq!(
            files.results(job).unwrap(),
            [FileView { path: "deep/er/file".to_owned(), bytes: 1 }]
        );
        for path in ["deep/er", "deep/er/file/x"] {
            let kept = files.keep_result(received(&files, b"x"), job, path);
            assert!(matches!(kept, Err(FileFailure::BadPath(_))), "{path} is in the way");
            assert!(matches!(files.result(job, path), Err(FileFailure::Missing)), "{path}");
        }
        std::fs::remove_dir_all(root).unwrap();
    }
}
