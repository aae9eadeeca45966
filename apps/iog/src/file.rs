//! Files that are named on the command line: read up to a limit, written whole or not at all.
//!
//! # Invariants
//! - A name that cannot be right is a wrong command line. Of what is to be written, that is said before the work.
//! - What was there stays until what takes its place is whole.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

use anyhow::anyhow;

use crate::failure::Failure;

/// The longest text that is read: the statement of a block with a hundred thousand machines has a tenth of it.
pub(crate) const TEXT_BYTES_MAX: u64 = 256 << 20;

/// Reads a file that has at most so many bytes.
pub(crate) fn read(path: &Path, bytes_max: u64) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    let whole = File::open(path).and_then(|file| {
        // One more shows that there is more.
        file.take(bytes_max.saturating_add(1)).read_to_end(&mut bytes)
    });
    whole.map_err(|fault| unread(path, &fault))?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > bytes_max {
        let what = format!("{} has more than {bytes_max} bytes", path.display());
        return Err(Failure::refused(
            what,
            "nothing of the kind is that long: is it the right file?",
        ));
    }
    Ok(bytes)
}

/// Reads a file of text.
pub(crate) fn read_text(path: &Path) -> Result<String, Failure> {
    String::from_utf8(read(path, TEXT_BYTES_MAX)?).map_err(|_| {
        let what = format!("{} is no text", path.display());
        Failure::usage(what, "is it the right file? A text is in UTF-8")
    })
}

/// Why a file could not be read.
pub(crate) fn unread(path: &Path, fault: &std::io::Error) -> Failure {
    let (name, is) = (path.display(), |kind| fault.kind() == kind);
    if is(ErrorKind::NotFound) || is(ErrorKind::NotADirectory) {
        return Failure::usage(format!("there is no file {name}"), "is the name right?");
    }
    if is(ErrorKind::IsADirectory) {
        return Failure::usage(format!("{name} is a folder"), "name a file in it");
    }
    if is(ErrorKind::PermissionDenied) {
        let hint = format!("run this as its owner; `ls -l {name}` shows who that is");
        return Failure::usage(format!("{name} may not be read by this user"), hint);
    }
    Failure::Fault(anyhow!("read {name}: {fault}"))
}

/// A place where a file can be written.
#[derive(Debug)]
pub(crate) struct Output {
    path: PathBuf,
    /// Where it is written before it takes its place; none where the place is no file, as `/dev/stdout`.
    half: Option<PathBuf>,
}

impl Output {
    /// Looks whether a file can be written here, and leaves everything as it is.
    pub(crate) fn at(path: &Path) -> Result<Self, Failure> {
        let name = path.display();
        // Where a link leads, so that the link stays.
        let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let known = fs::metadata(&path).ok();
        if known.as_ref().is_some_and(fs::Metadata::is_dir) {
            let hint = format!("name a file, as in {}", path.join("file").display());
            return Err(Failure::usage(format!("{name} is a folder"), hint));
        }
        if known.is_some_and(|known| !known.is_file()) {
            return Ok(Self { path, half: None });
        }
        let Some(file) = path.file_name() else {
            return Err(Failure::usage(format!("`{name}` is no name of a file"), "name a file"));
        };
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let folder = folder.unwrap_or(Path::new("."));
        if !folder.is_dir() {
            let folder = folder.display();
            let hint = format!("make it with `mkdir -p {folder}`, or name another file");
            return Err(Failure::usage(format!("there is no folder {folder}"), hint));
        }
        let mut beside = file.to_owned();
        beside.push(format!(".{}.half", std::process::id()));
        let half = folder.join(beside);
        OpenOptions::new().write(true).create_new(true).open(&half).map_err(|fault| {
            let what = format!("nothing can be written in {}: {fault}", folder.display());
            Failure::usage(what, "name a file in a folder of yours")
        })?;
        let _ = fs::remove_file(&half);
        Ok(Self { path, half: Some(half) })
    }

    /// Writes it.
    pub(crate) fn write(&self, bytes: &[u8]) -> Result<(), Failure> {
        let target = self.half.as_ref().unwrap_or(&self.path);
        let written = OpenOptions::new()
            .write(true)
            .create(self.half.is_some())
            .truncate(self.half.is_some())
            .open(target)
            .and_then(|mut file| file.write_all(bytes))
            .and_then(|()| self.half.as_ref().map_or(Ok(()), |half| fs::rename(half, &self.path)));
        written.map_err(|fault| {
            if let Some(half) = &self.half {
                let _ = fs::remove_file(half);
            }
            let what = format!("write {}: {fault}", self.path.display());
            if matches!(fault.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded) {
                return Failure::ended(
                    what,
                    "free some space there, or name a file on another disk",
                );
            }
            Failure::Fault(anyhow!(what))
        })
    }
}

/// Makes a folder in which files can be written, those above it too.
pub(crate) fn make_folder(path: &Path) -> Result<(), Failure> {
    fs::create_dir_all(path).map_err(|fault| {
        let what = format!("the folder {} cannot be made: {fault}", path.display());
        Failure::usage(what, "name another folder")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("iog-file-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        folder
    }

    fn code<T: std::fmt::Debug>(result: Result<T, Failure>) -> u8 {
        result.unwrap_err().exit().number()
    }

    #[test]
    fn what_cannot_be_read_is_a_wrong_command_line_and_what_is_too_long_is_refused() {
        let folder = folder("read");
        let file = folder.join("five");
        fs::write(&file, b"12345").unwrap();
        assert_eq!(read(&file, 5).unwrap(), b"12345");
        assert_eq!(code(read(&file, 4)), 10);
        assert_eq!(code(read(&folder, 4)), 2);
        assert_eq!(code(read(&folder.join("none"), 4)), 2);
        assert_eq!(code(read(&file.join("below"), 4)), 2);
        assert_eq!(code(read(Path::new("/dev/zero"), 4)), 10);
        fs::write(&file, [0xff]).unwrap();
        assert_eq!(code(read_text(&file)), 2);
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_place_that_takes_no_file_is_found_before_the_work_and_a_disk_that_is_full_after_it() {
        let folder = folder("write");
        assert_eq!(code(Output::at(&folder)), 2);
        assert_eq!(code(Output::at(&folder.join("none/file"))), 2);
        assert_eq!(code(Output::at(Path::new("/"))), 2);
        assert_eq!(code(Output::at(Path::new("/dev/full")).unwrap().write(b"x")), 1);
        let file = folder.join("file");
        let output = Output::at(&file).unwrap();
        assert!(!file.exists(), "it is only looked");
        output.write(b"first").unwrap();
        Output::at(&file).unwrap().write(b"2nd").unwrap();
        assert_eq!(fs::read(&file).unwrap(), b"2nd");
        let link = folder.join("link");
        std::os::unix::fs::symlink(&file, &link).unwrap();
        Output::at(&link).unwrap().write(b"third").unwrap();
        assert_eq!(fs::read(&file).unwrap(), b"third");
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 2, "nothing else stays");
        fs::remove_dir_all(folder).unwrap();
    }
}
