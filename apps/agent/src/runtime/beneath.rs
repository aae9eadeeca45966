//! Files in a folder that somebody else writes.
//!
//! A workload may put links, pipes and devices where the agent expects a file, to make it read or write elsewhere.
//!
//! # Invariants
//! - Nothing outside the folder is opened or made: links are not followed, at any depth.
//! - Only regular files are read, and no open waits for a writer.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Dir, FileType, Gid, Mode, OFlags, ResolveFlags, Uid};

/// How deep a tree is walked; deeper folders are left out.
const DEPTH_MAX: usize = 16;
/// How many files of one tree are listed; the rest is left out.
pub const FILES_MAX: usize = 10_000;

/// A file of a listing.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FileSeen {
    /// Where it lies, from the folder that was listed, with `/` between the parts.
    pub path: String,
    /// How long it was, in bytes.
    pub bytes: u64,
}

/// An open folder whose contents are not trusted.
#[derive(Debug)]
pub struct Untrusted(OwnedFd);

impl Untrusted {
    /// Opens the folder. The path to it is trusted, all but its last part.
    pub fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(Self(rustix::fs::openat(CWD, path, flags, Mode::empty())?))
    }

    fn open_beneath(&self, path: &Path, flags: OFlags) -> io::Result<OwnedFd> {
        let flags = flags | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
        let resolve =
            ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
        Ok(rustix::fs::openat2(&self.0, path, flags, Mode::empty(), resolve)?)
    }

    /// A folder in it.
    pub fn folder(&self, path: &Path) -> io::Result<Self> {
        self.open_beneath(path, OFlags::DIRECTORY).map(Self)
    }

    /// A regular file in it, for reading.
    pub fn file(&self, path: &Path) -> io::Result<File> {
        let file = File::from(self.open_beneath(path, OFlags::RDONLY)?);
        if file.metadata()?.is_file() { Ok(file) } else { Err(io::ErrorKind::InvalidInput.into()) }
    }

    /// Makes a folder in it, directly, unless there is one, and gives it to `owner`.
    pub fn make_folder(&self, name: &str, owner: Option<u32>) -> io::Result<Self> {
        match rustix::fs::mkdirat(&self.0, name, Mode::RWXU) {
            Ok(()) | Err(rustix::io::Errno::EXIST) => {}
            Err(fault) => return Err(fault.into()),
        }
        let folder = self.folder(Path::new(name))?;
        if let Some(id) = owner {
            let (user, group) = (Some(Uid::from_raw(id)), Some(Gid::from_raw(id)));
            rustix::fs::chownat(&folder.0, "", user, group, AtFlags::EMPTY_PATH)?;
        }
        Ok(folder)
    }

    /// The names in it and what each is.
    fn entries(&self) -> io::Result<Vec<(String, FileType)>> {
        let mut names = Vec::new();
        for entry in Dir::read_from(&self.0)? {
            let entry = entry?;
            match entry.file_name().to_str() {
                Ok(name) if name != "." && name != ".." => {
                    names.push((name.to_owned(), entry.file_type()))
                }
                // A name that is no text cannot be told over the wire.
                Ok(_) | Err(_) => {}
            }
            if names.len() >= FILES_MAX {
                break;
            }
        }
        names.sort_by(|one, other| one.0.cmp(&other.0));
        Ok(names)
    }

    /// The names of the folders in it, in order.
    pub fn folders(&self) -> io::Result<Vec<String>> {
        let is_folder = |(name, kind)| (kind == FileType::Directory).then_some(name);
        Ok(self.entries()?.into_iter().filter_map(is_folder).collect())
    }

    /// The regular files in it and below, in order of their paths; at most [`FILES_MAX`].
    pub fn files(&self) -> io::Result<Vec<FileSeen>> {
        let mut found = Vec::new();
        let mut folders = vec![PathBuf::new()];
        while let Some(at) = folders.pop() {
            let here = if at.as_os_str().is_empty() { Path::new(".") } else { &at };
            // What the workload removes while it is listed is left out.
            let Ok(here) = self.folder(here) else { continue };
            for (name, kind) in here.entries()? {
                let path = at.join(&name);
                if kind == FileType::Directory && path.components().count() < DEPTH_MAX {
                    folders.push(path);
                } else if kind == FileType::RegularFile && found.len() < FILES_MAX {
                    let Ok(file) = here.file(Path::new(&name)) else { continue };
                    let bytes = file.metadata()?.len();
                    found.push(FileSeen { path: path.to_string_lossy().into_owned(), bytes });
                }
            }
        }
        found.sort();
        Ok(found)
    }
}

/// At most `limit` bytes of a file from `offset`.
pub fn read_at(file: &mut File, offset: u64, limit: usize) -> io::Result<Vec<u8>> {
    file.seek(SeekFrom::Start(offset))?;
    let mut bytes = Vec::new();
    file.take(u64::try_from(limit).unwrap_or(u64::MAX)).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::scratch::Scratch;
    use std::fs;
    use std::os::unix::fs::symlink;

    #[test]
    fn what_a_workload_wrote_is_listed_and_links_are_not_followed() {
        let scratch = Scratch::new("beneath-list");
        let root = scratch.path().join("box");
        fs::create_dir_all(root.join("a/b")).unwrap();
        fs::write(root.join("a/b/out.txt"), "hello").unwrap();
        fs::write(root.join("z"), "").unwrap();
        fs::write(scratch.path().join("secret"), "key").unwrap();
        symlink("../secret", root.join("link")).unwrap();
        symlink("/", root.join("root")).unwrap();
        let folder = Untrusted::open(&root).unwrap();
        let seen = |path: &str, bytes| FileSeen { path: path.to_owned(), bytes };
        assert_eq!(folder.files().unwrap(), [seen("a/b/out.txt", 5), seen("z", 0)]);
        for wrong in ["link", "root/etc/passwd", "../secret", "/etc/passwd", "a"] {
            assert!(folder.file(Path::new(wrong)).is_err(), "{wrong}");
        }
        let mut file = folder.file(Path::new("a/b/out.txt")).unwrap();
        assert_eq!(read_at(&mut file, 1, 3).unwrap(), b"ell");
        assert_eq!(read_at(&mut file, 9, 3).unwrap(), b"");
    }

    #[test]
    fn a_folder_is_not_made_through_a_link() {
        let scratch = Scratch::new("beneath-make");
        fs::create_dir(scratch.path().join("box")).unwrap();
        fs::create_dir(scratch.path().join("elsewhere")).unwrap();
        symlink("../elsewhere", scratch.path().join("box/results")).unwrap();
        let folder = Untrusted::open(&scratch.path().join("box")).unwrap();
        assert!(folder.make_folder("results", None).is_err());
        assert!(folder.make_folder("fresh", None).unwrap().make_folder("job", None).is_ok());
        assert!(folder.make_folder("fresh", None).is_ok());
    }
}
