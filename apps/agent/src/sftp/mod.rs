//! Files of a node, for visitors by SSH: what `sftp` and `scp` talk to. It runs in the node, as the node's user, and
//! can do what any program there can: nothing is checked here that the system does not check.
//!
//! # Invariants
//! - One message is answered before the next is read; what is held of both is bounded.
//! - What is open ends with the visitor.
//!
//! Absent on purpose: file systems' sizes, names of users, and copies made by the server.

mod folder;
mod words;

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Timespec, Timestamps};

use folder::{Folder, attributes};
use words::{Answer, Attributes, Named, Opening, Request, Status};

/// The longest message: what OpenSSH takes and gives.
const MESSAGE_BYTES_MAX: usize = 256 << 10;
/// What is read of a file at once. With its head it fits a message.
const READ_BYTES_MAX: u32 = 255 << 10;
/// Files and folders that are open at a time.
const OPEN_MAX: usize = 256;
/// The mode of what a visitor makes without saying one, before the process's mask.
const FILE_MODE: u32 = 0o666;
const FOLDER_MODE: u32 = 0o777;

/// What is open.
enum Opened {
    File(File),
    Folder(Folder),
}

/// One visitor's conversation.
#[derive(Default)]
struct Server {
    opened: BTreeMap<u32, Opened>,
    next: u32,
}

/// Serves files until the visitor says nothing more.
///
/// # Errors
/// If it says what is none of the protocol's, or hears nothing more.
pub(crate) fn serve(mut from: impl Read, mut to: impl Write) -> io::Result<()> {
    let mut server = Server::default();
    while let Some(message) = next_message(&mut from)? {
        let answer = match words::understood(&message) {
            Ok(None) => words::greeting(),
            Ok(Some((number, request))) => words::written(number, &server.answer(request)),
            Err(garbled) => {
                let Some(number) = message.get(1..5).and_then(|bytes| bytes.try_into().ok()) else {
                    return Err(io::Error::new(ErrorKind::InvalidData, garbled));
                };
                let answer = Answer::Status(Status::Garbled, garbled.to_string());
                words::written(u32::from_be_bytes(number), &answer)
            }
        };
        let length = u32::try_from(answer.len()).map_err(io::Error::other)?;
        to.write_all(&[&length.to_be_bytes(), answer.as_slice()].concat())?;
        to.flush()?;
    }
    Ok(())
}

/// The next message; none at the end between two.
fn next_message(from: &mut impl Read) -> io::Result<Option<Vec<u8>>> {
    let mut length = [0; 4];
    match from.read_exact(&mut length) {
        Ok(()) => {}
        Err(fault) if fault.kind() == ErrorKind::UnexpectedEof => return Ok(None),
        Err(fault) => return Err(fault),
    }
    let length = usize::try_from(u32::from_be_bytes(length)).map_err(io::Error::other)?;
    if length > MESSAGE_BYTES_MAX {
        return Err(io::Error::new(ErrorKind::InvalidData, "a message is too long"));
    }
    let mut message = vec![0; length];
    from.read_exact(&mut message)?;
    Ok(Some(message))
}

fn done() -> Answer {
    Answer::Status(Status::Done, String::new())
}

/// Why something was not done.
fn failed(fault: &io::Error) -> Answer {
    let statuses = [
        (ErrorKind::NotFound, Status::NoSuchFile),
        (ErrorKind::PermissionDenied, Status::Denied),
        (ErrorKind::UnexpectedEof, Status::End),
        (ErrorKind::Unsupported, Status::Unsupported),
    ];
    let status = statuses.into_iter().find(|(kind, _)| *kind == fault.kind());
    Answer::Status(status.map_or(Status::Failure, |(_, status)| status), fault.to_string())
}

impl Server {
    fn answer(&mut self, request: Request) -> Answer {
        self.act(request).unwrap_or_else(|fault| failed(&fault))
    }

    fn act(&mut self, request: Request) -> io::Result<Answer> {
        match request {
            Request::Open(path, opening, wanted) => {
                let file = open(&path, opening, wanted)?;
                return self.keep(Opened::File(file));
            }
            Request::OpenFolder(path) => {
                let folder = Folder::open(path)?;
                return self.keep(Opened::Folder(folder));
            }
            Request::Close(handle) => drop(self.opened.remove(&handle).ok_or_else(unknown)?),
            Request::Read(handle, at, many) => return self.read(handle, at, many),
            Request::Write(handle, at, data) => self.file(handle)?.write_all_at(&data, at)?,
            Request::ReadFolder(handle) => return self.read_folder(handle),
            Request::LinkAttributes(path) => {
                return Ok(Answer::Attributes(attributes(&fs::symlink_metadata(path)?)));
            }
            Request::PathAttributes(path) => {
                return Ok(Answer::Attributes(attributes(&fs::metadata(path)?)));
            }
            Request::FileAttributes(handle) => {
                return Ok(Answer::Attributes(attributes(&self.file(handle)?.metadata()?)));
            }
            Request::SetPath(path, wanted) => set_path(&path, wanted)?,
            Request::SetFile(handle, wanted) => set_file(self.file(handle)?, wanted)?,
            Request::Sync(handle) => self.file(handle)?.sync_all()?,
            Request::Remove(path) => fs::remove_file(path)?,
            Request::MakeFolder(path, wanted) => {
                DirBuilder::new().mode(wanted.mode.unwrap_or(FOLDER_MODE) & 0o7777).create(path)?;
            }
            Request::RemoveFolder(path) => fs::remove_dir(path)?,
            Request::WholePath(path) => return Ok(named(whole(&path)?)),
            Request::ReadLink(path) => return Ok(named(fs::read_link(path)?)),
            Request::Rename(from, to) => rename(&from, &to)?,
            Request::Replace(from, to) => fs::rename(from, to)?,
            Request::Link(leads, path) => std::os::unix::fs::symlink(leads, path)?,
            Request::HardLink(from, to) => fs::hard_link(from, to)?,
            Request::Unknown => return Err(ErrorKind::Unsupported.into()),
        }
        Ok(done())
    }

    fn keep(&mut self, opened: Opened) -> io::Result<Answer> {
        if self.opened.len() >= OPEN_MAX {
            return Err(io::Error::other(format!("more than {OPEN_MAX} files are open")));
        }
        while self.opened.contains_key(&self.next) {
            self.next = self.next.wrapping_add(1);
        }
        let handle = self.next;
        self.next = self.next.wrapping_add(1);
        self.opened.insert(handle, opened);
        Ok(Answer::Handle(handle))
    }

    fn file(&self, handle: u32) -> io::Result<&File> {
        match self.opened.get(&handle) {
            Some(Opened::File(file)) => Ok(file),
            Some(Opened::Folder(_)) | None => Err(unknown()),
        }
    }

    fn read(&self, handle: u32, at: u64, many: u32) -> io::Result<Answer> {
        let many = usize::try_from(many.min(READ_BYTES_MAX)).unwrap_or_default();
        let mut data = vec![0; many];
        let read = self.file(handle)?.read_at(&mut data, at)?;
        if read == 0 && many > 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        data.truncate(read);
        Ok(Answer::Data(data))
    }

    fn read_folder(&mut self, handle: u32) -> io::Result<Answer> {
        let Some(Opened::Folder(folder)) = self.opened.get_mut(&handle) else {
            return Err(unknown());
        };
        match folder.more()? {
            names if names.is_empty() => Err(ErrorKind::UnexpectedEof.into()),
            names => Ok(Answer::Names(names)),
        }
    }
}

fn unknown() -> io::Error {
    io::Error::other("nothing is open by this handle")
}

fn named(path: PathBuf) -> Answer {
    let name = path.into_os_string();
    let line = name.as_encoded_bytes().to_vec();
    Answer::Names(vec![Named { name, line, attributes: Attributes::default() }])
}

fn open(path: &Path, opening: Opening, wanted: Attributes) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(opening.reads());
    if opening.writes() {
        options.write(true).append(opening.appends());
        options.truncate(opening.empties() && !opening.appends());
        options.create(opening.makes()).create_new(opening.makes() && opening.is_new());
    }
    options.mode(wanted.mode.unwrap_or(FILE_MODE) & 0o7777);
    options.open(path)
}

/// The whole path, also of what is not there yet in a folder that is.
fn whole(path: &Path) -> io::Result<PathBuf> {
    match path.canonicalize() {
        Err(fault) if fault.kind() == ErrorKind::NotFound => {
            let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
                return Err(fault);
            };
            let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
            Ok(folder.canonicalize()?.join(name))
        }
        whole => whole,
    }
}

/// Calls something otherwise, where nothing is called so.
fn rename(from: &Path, to: &Path) -> io::Result<()> {
    match fs::symlink_metadata(to) {
        Ok(_) => Err(ErrorKind::AlreadyExists.into()),
        Err(_) => fs::rename(from, to),
    }
}

fn timestamps((read, changed): (u32, u32)) -> Timestamps {
    let at = |seconds: u32| Timespec { tv_sec: seconds.into(), tv_nsec: 0 };
    Timestamps { last_access: at(read), last_modification: at(changed) }
}

fn set_path(path: &Path, wanted: Attributes) -> io::Result<()> {
    if let Some(size) = wanted.size {
        OpenOptions::new().write(true).open(path)?.set_len(size)?;
    }
    if let Some((user, group)) = wanted.owner {
        std::os::unix::fs::chown(path, Some(user), Some(group))?;
    }
    if let Some(mode) = wanted.mode {
        fs::set_permissions(path, Permissions::from_mode(mode & 0o7777))?;
    }
    if let Some(times) = wanted.times {
        rustix::fs::utimensat(CWD, path, &timestamps(times), AtFlags::empty())?;
    }
    Ok(())
}

fn set_file(file: &File, wanted: Attributes) -> io::Result<()> {
    if let Some(size) = wanted.size {
        file.set_len(size)?;
    }
    if let Some((user, group)) = wanted.owner {
        std::os::unix::fs::fchown(file, Some(user), Some(group))?;
    }
    if let Some(mode) = wanted.mode {
        file.set_permissions(Permissions::from_mode(mode & 0o7777))?;
    }
    if let Some(times) = wanted.times {
        rustix::fs::futimens(file, &timestamps(times))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::scratch::Scratch;

    fn answers(server: &mut Server, request: Request) -> Answer {
        server.answer(request)
    }

    #[test]
    fn so_many_files_are_open_and_no_more() {
        let scratch = Scratch::new("sftp-open");
        let mut server = Server::default();
        let open = || Request::OpenFolder(scratch.path().to_owned());
        for _ in 0..OPEN_MAX {
            assert!(matches!(answers(&mut server, open()), Answer::Handle(_)));
        }
        let refused = answers(&mut server, open());
        assert!(matches!(refused, Answer::Status(Status::Failure, _)), "{refused:?}");
        assert_eq!(answers(&mut server, Request::Close(7)), done());
        assert!(matches!(answers(&mut server, open()), Answer::Handle(_)));
    }

    #[test]
    fn a_message_that_is_too_long_ends_the_conversation() {
        let mut heard = Vec::new();
        let length = u32::try_from(MESSAGE_BYTES_MAX + 1).unwrap();
        assert!(serve(length.to_be_bytes().as_slice(), &mut heard).is_err());
        assert!(heard.is_empty());
        assert!(serve([0, 0, 0, 0].as_slice(), &mut heard).is_err(), "nor one without a number");
    }

    #[test]
    fn a_file_that_is_there_is_renamed_over_only_by_who_asks_for_that() {
        let scratch = Scratch::new("sftp-rename");
        let (from, to) = (scratch.path().join("from"), scratch.path().join("to"));
        fs::write(&from, "1").unwrap();
        fs::write(&to, "2").unwrap();
        let mut server = Server::default();
        let refused = answers(&mut server, Request::Rename(from.clone(), to.clone()));
        assert!(matches!(refused, Answer::Status(Status::Failure, _)));
        assert_eq!(answers(&mut server, Request::Replace(from, to.clone())), done());
        assert_eq!(fs::read_to_string(to).unwrap(), "1");
    }
}
