//! Jobs' working folders, as the control plane keeps them: fetched, checked and kept for the next job.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use sha2::{Digest, Sha256};
use units::{BlobId, RentalId};

use crate::limits::{PACKAGE_BYTES_MAX, PACKAGE_KEPT_FOR, PACKAGES_KEPT_BYTES};
use crate::link::{Link, Trouble};

/// Why a package is not there.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Missing {
    /// The control plane was asked in vain.
    #[error(transparent)]
    Trouble(#[from] Trouble),
    /// What arrived is not what was asked for.
    #[error("fetch package {0}: it arrived broken")]
    Broken(BlobId),
    /// It is larger than a package may be.
    #[error("fetch package {0}: it is larger than {limit} bytes", limit = PACKAGE_BYTES_MAX)]
    TooLarge(BlobId),
    /// It could not be written.
    #[error("keep a package: {0}")]
    Disk(#[from] io::Error),
}

/// The packages this machine has.
#[derive(Debug)]
pub(crate) struct Packages {
    folder: PathBuf,
}

impl Packages {
    /// Opens the folder, and removes what was cut short.
    pub(crate) fn open(folder: &Path) -> io::Result<Self> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        for entry in fs::read_dir(folder)?.flatten() {
            if entry.path().extension().is_some_and(|ending| ending == "part") {
                fs::remove_file(entry.path())?;
            }
        }
        Ok(Self { folder: folder.to_owned() })
    }

    /// Where the package is on this machine, fetched if need be.
    pub(crate) fn get(
        &self,
        link: &Link,
        blob: BlobId,
        rental: RentalId,
    ) -> Result<PathBuf, Missing> {
        let path = self.folder.join(blob.to_string());
        if let Ok(file) = File::open(&path) {
            // Its age says when it was used last.
            file.set_modified(SystemTime::now())?;
            return Ok(path);
        }
        let answer = link.get(&format!("/v1/worker/blobs/{blob}"))?;
        // Two rentals may fetch the same package at once.
        let part = self.folder.join(format!("{blob}-{rental}.part"));
        let body = answer.into_body().into_with_config().limit(u64::MAX).reader();
        let written = keep(&part, body, blob).and_then(|()| Ok(fs::rename(&part, &path)?));
        if written.is_err() {
            let _ = fs::remove_file(&part);
        }
        written?;
        self.trim(PACKAGES_KEPT_BYTES, PACKAGE_KEPT_FOR);
        Ok(path)
    }

    /// Removes what was used longest ago until no more than `bytes_max` are kept, but nothing used recently.
    fn trim(&self, bytes_max: u64, recently: Duration) {
        let entries = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        let about = |entry: fs::DirEntry| {
            let about = entry.metadata().ok()?;
            Some((about.modified().ok()?, entry.path(), about.len()))
        };
        let mut kept: Vec<(SystemTime, PathBuf, u64)> = entries.filter_map(about).collect();
        kept.sort();
        let mut bytes: u64 = kept.iter().map(|(_, _, bytes)| bytes).sum();
        for (used, path, length) in kept {
            let fresh = used.elapsed().is_ok_and(|age| age < recently);
            if bytes <= bytes_max || fresh {
                return;
            }
            match fs::remove_file(&path) {
                Ok(()) => bytes -= length,
                Err(fault) => tracing::warn!(%fault, "an old package could not be removed"),
            }
        }
    }
}

fn keep(path: &Path, mut body: impl Read, blob: BlobId) -> Result<(), Missing> {
    let mut options = OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(path)?;
    let (mut hash, mut length) = (Sha256::new(), 0_u64);
    let mut part = vec![0; 64 << 10];
    loop {
        // A connection that breaks is weather, unlike a disk that is full.
        let count = body.read(&mut part).map_err(|fault| Trouble::Weather(fault.to_string()))?;
        if count == 0 {
            break;
        }
        length += u64::try_from(count).unwrap_or(u64::MAX);
        if length > PACKAGE_BYTES_MAX {
            return Err(Missing::TooLarge(blob));
        }
        hash.update(&part[..count]);
        file.write_all(&part[..count])?;
    }
    if hash.finalize().as_slice() != blob.sha256() {
        return Err(Missing::Broken(blob));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::scratch::Scratch;

    #[test]
    fn what_arrived_is_checked() {
        let scratch = Scratch::new("packages");
        let path = scratch.path().join("x.part");
        let blob = BlobId::from_sha256(Sha256::digest("zip").into());
        assert!(keep(&path, &b"zip"[..], blob).is_ok());
        assert!(matches!(keep(&path, &b"zap"[..], blob), Err(Missing::Broken(_))));
    }

    #[test]
    fn what_was_used_longest_ago_is_removed_first_and_what_is_in_use_is_not() {
        let scratch = Scratch::new("packages-trim");
        fs::write(scratch.path().join("cut.part"), "x").unwrap();
        let packages = Packages::open(scratch.path()).unwrap();
        for (name, age) in [("a", 300), ("b", 200), ("c", 0)] {
            let file = File::create(scratch.path().join(name)).unwrap();
            file.set_len(10).unwrap();
            file.set_modified(SystemTime::now() - Duration::from_secs(age)).unwrap();
        }
        packages.trim(20, Duration::from_secs(100));
        let names = || {
            let entries = fs::read_dir(scratch.path()).unwrap().flatten();
            let mut names: Vec<_> = entries.map(|entry| entry.file_name()).collect();
            names.sort();
            names
        };
        assert_eq!(names(), ["b", "c"]);
        packages.trim(0, Duration::from_secs(100));
        assert_eq!(names(), ["c"]);
    }
}
