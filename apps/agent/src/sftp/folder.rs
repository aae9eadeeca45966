//! Folders of a node, told piece by piece, and what is known of files.

use std::ffi::OsString;
use std::fs::{self, Metadata, ReadDir};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use units::Timestamp;
use wire::Time;

use super::words::{Attributes, Named};

/// Names that are told at a time. Of the longest there are (255 bytes, twice with what is told of each) they fit a
/// message.
const NAMES_MAX: usize = 128;

/// A folder that is read.
pub(super) struct Folder {
    path: PathBuf,
    /// Names that no folder lists and every client expects.
    own: Vec<&'static str>,
    entries: ReadDir,
}

impl Folder {
    /// The folder at this path.
    ///
    /// # Errors
    /// If there is none, or it cannot be read.
    pub(super) fn open(path: PathBuf) -> io::Result<Self> {
        let entries = fs::read_dir(&path)?;
        Ok(Self { path, own: vec!["..", "."], entries })
    }

    /// What comes next; nothing at its end. What went meanwhile is left out.
    ///
    /// # Errors
    /// If it cannot be read.
    pub(super) fn more(&mut self) -> io::Result<Vec<Named>> {
        let mut names = Vec::new();
        while names.len() < NAMES_MAX {
            let name = match self.own.pop() {
                Some(own) => OsString::from(own),
                None => match self.entries.next().transpose()? {
                    Some(entry) => entry.file_name(),
                    None => break,
                },
            };
            if let Ok(about) = fs::symlink_metadata(self.path.join(&name)) {
                let line = [line(&about).as_bytes(), name.as_bytes()].concat();
                names.push(Named { name, line, attributes: attributes(&about) });
            }
        }
        Ok(names)
    }
}

/// What is known of a file.
pub(super) fn attributes(about: &Metadata) -> Attributes {
    let seconds = |time: i64| u32::try_from(time.max(0)).unwrap_or(u32::MAX);
    Attributes {
        size: Some(about.size()),
        owner: Some((about.uid(), about.gid())),
        mode: Some(about.mode()),
        times: Some((seconds(about.atime()), seconds(about.mtime()))),
    }
}

/// A line about a file, as `ls -l` has it, up to its name.
fn line(about: &Metadata) -> String {
    let seconds = u64::try_from(about.mtime()).unwrap_or_default();
    let changed = Time(Timestamp::from_millis(seconds.saturating_mul(1_000)));
    let (mode, links) = (mode_in_letters(about.mode()), about.nlink());
    let (user, group, size) = (about.uid(), about.gid(), about.size());
    format!("{mode} {links:>4} {user:<8} {group:<8} {size:>12} {changed} ")
}

fn mode_in_letters(mode: u32) -> String {
    let kind = match mode & 0o170_000 {
        0o040_000 => 'd',
        0o120_000 => 'l',
        0o100_000 => '-',
        0o140_000 => 's',
        0o010_000 => 'p',
        0o020_000 => 'c',
        _ => 'b',
    };
    let may =
        |bit: u32| if mode & (1 << bit) == 0 { '-' } else { ['x', 'w', 'r'][bit as usize % 3] };
    [kind].into_iter().chain((0..9).rev().map(may)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::scratch::Scratch;

    #[test]
    fn modes_read_as_everywhere() {
        for (mode, letters) in [
            (0o100_644, "-rw-r--r--"),
            (0o040_755, "drwxr-xr-x"),
            (0o120_777, "lrwxrwxrwx"),
            (0o010_000, "p---------"),
        ] {
            assert_eq!(mode_in_letters(mode), letters);
        }
    }

    #[test]
    fn a_large_folder_is_told_piece_by_piece_and_whole() {
        let scratch = Scratch::new("sftp-folder");
        for number in 0..2 * NAMES_MAX {
            fs::write(scratch.path().join(number.to_string()), "").unwrap();
        }
        let mut folder = Folder::open(scratch.path().to_owned()).unwrap();
        let mut told = Vec::new();
        loop {
            let names = folder.more().unwrap();
            assert!(names.len() <= NAMES_MAX);
            if names.is_empty() {
                break;
            }
            told.extend(names.into_iter().map(|named| named.name));
        }
        told.sort();
        told.dedup();
        assert_eq!(told.len(), 2 * NAMES_MAX + 2);
    }
}
