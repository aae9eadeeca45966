//! Messages of the file transfer protocol, version 3 (draft-ietf-secsh-filexfer-02), with OpenSSH's additions.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

/// The version that is spoken: every client speaks it.
pub(super) const VERSION: u32 = 3;

/// A message that is not understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the message is not of the protocol")]
pub(super) struct Garbled;

/// What is asked to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Request {
    /// To open a file.
    Open(PathBuf, Opening, Attributes),
    /// To close what a handle stands for.
    Close(u32),
    /// To read so much from there.
    Read(u32, u64, u32),
    /// To write this there.
    Write(u32, u64, Vec<u8>),
    /// What is known of a file, and not of what a link leads to.
    LinkAttributes(PathBuf),
    /// What is known of what a path leads to.
    PathAttributes(PathBuf),
    /// What is known of an open file.
    FileAttributes(u32),
    /// To change what a path leads to.
    SetPath(PathBuf, Attributes),
    /// To change an open file.
    SetFile(u32, Attributes),
    /// To open a folder.
    OpenFolder(PathBuf),
    /// What comes next in a folder.
    ReadFolder(u32),
    /// To remove a file.
    Remove(PathBuf),
    /// To make a folder.
    MakeFolder(PathBuf, Attributes),
    /// To remove an empty folder.
    RemoveFolder(PathBuf),
    /// The whole path of something.
    WholePath(PathBuf),
    /// To call something otherwise, where nothing is called so.
    Rename(PathBuf, PathBuf),
    /// To call something otherwise, in place of what is called so.
    Replace(PathBuf, PathBuf),
    /// Where a link leads.
    ReadLink(PathBuf),
    /// To make a link: where it leads, and what it is called.
    Link(PathBuf, PathBuf),
    /// To give a file a second name.
    HardLink(PathBuf, PathBuf),
    /// To have an open file on disk.
    Sync(u32),
    /// Something that this server does not do.
    Unknown,
}

/// How a file is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Opening(u32);

impl Opening {
    const fn has(self, flag: u32) -> bool {
        self.0 & flag != 0
    }

    /// Whether it is read.
    pub(super) const fn reads(self) -> bool {
        self.has(0x01)
    }

    /// Whether it is written.
    pub(super) const fn writes(self) -> bool {
        self.has(0x02)
    }

    /// Whether all that is written goes to its end.
    pub(super) const fn appends(self) -> bool {
        self.has(0x04)
    }

    /// Whether it is made if it is not there.
    pub(super) const fn makes(self) -> bool {
        self.has(0x08)
    }

    /// Whether it is emptied.
    pub(super) const fn empties(self) -> bool {
        self.has(0x10)
    }

    /// Whether it must not be there.
    pub(super) const fn is_new(self) -> bool {
        self.has(0x20)
    }
}

/// What is known of a file, or is to be so.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Attributes {
    /// How long it is, in bytes.
    pub(super) size: Option<u64>,
    /// Its user and its group.
    pub(super) owner: Option<(u32, u32)>,
    /// Its mode.
    pub(super) mode: Option<u32>,
    /// When it was read and changed last, in seconds of Unix.
    pub(super) times: Option<(u32, u32)>,
}

const SIZE: u32 = 1;
const OWNER: u32 = 2;
const MODE: u32 = 4;
const TIMES: u32 = 8;
const EXTENDED: u32 = 1 << 31;

/// Why something was not done, as the protocol counts it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
    /// It was done.
    Done = 0,
    /// There is no more.
    End = 1,
    /// There is no such file.
    NoSuchFile = 2,
    /// It may not be done.
    Denied = 3,
    /// It was not done, for another reason.
    Failure = 4,
    /// It was not understood.
    Garbled = 5,
    /// It is not done here.
    Unsupported = 8,
}

/// A file of a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Named {
    /// Its name.
    pub(super) name: OsString,
    /// A line about it, for people.
    pub(super) line: Vec<u8>,
    /// What is known of it.
    pub(super) attributes: Attributes,
}

/// What is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// How it went, with words.
    Status(Status, String),
    /// What an open file or folder goes by.
    Handle(u32),
    /// What was read.
    Data(Vec<u8>),
    /// Names.
    Names(Vec<Named>),
    /// What is known of a file.
    Attributes(Attributes),
}

/// What is left of a message.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn take(&mut self, many: usize) -> Result<&'a [u8], Garbled> {
        let (taken, rest) = self.0.split_at_checked(many).ok_or(Garbled)?;
        self.0 = rest;
        Ok(taken)
    }

    fn u8(&mut self) -> Result<u8, Garbled> {
        self.take(1).map(|bytes| bytes[0])
    }

    fn u32(&mut self) -> Result<u32, Garbled> {
        let bytes = self.take(4)?.try_into().map_err(|_| Garbled)?;
        Ok(u32::from_be_bytes(bytes))
    }

    fn u64(&mut self) -> Result<u64, Garbled> {
        let bytes = self.take(8)?.try_into().map_err(|_| Garbled)?;
        Ok(u64::from_be_bytes(bytes))
    }

    fn text(&mut self) -> Result<&'a [u8], Garbled> {
        let many = usize::try_from(self.u32()?).map_err(|_| Garbled)?;
        self.take(many)
    }

    fn path(&mut self) -> Result<PathBuf, Garbled> {
        let text = self.text()?;
        let text = if text.is_empty() { b"." } else { text };
        Ok(OsString::from_vec(text.to_vec()).into())
    }

    fn handle(&mut self) -> Result<u32, Garbled> {
        let bytes = self.text()?.try_into().map_err(|_| Garbled)?;
        Ok(u32::from_be_bytes(bytes))
    }

    fn attributes(&mut self) -> Result<Attributes, Garbled> {
        let flags = self.u32()?;
        let has = |flag: u32| flags & flag != 0;
        let size = has(SIZE).then(|| self.u64()).transpose()?;
        let owner = has(OWNER).then(|| Ok((self.u32()?, self.u32()?))).transpose()?;
        let mode = has(MODE).then(|| self.u32()).transpose()?;
        let times = has(TIMES).then(|| Ok((self.u32()?, self.u32()?))).transpose()?;
        if has(EXTENDED) {
            // More of them than there are bytes ends at the first that is missing.
            for _ in 0..self.u32()? {
                self.text()?;
                self.text()?;
            }
        }
        Ok(Attributes { size, owner, mode, times })
    }
}

/// The number of a message, and what it asks for; none for the greeting.
///
/// # Errors
/// If it is none of the protocol's.
pub(super) fn understood(message: &[u8]) -> Result<Option<(u32, Request)>, Garbled> {
    let mut rest = Rest(message);
    let kind = rest.u8()?;
    let number = rest.u32()?;
    if kind == 1 {
        return Ok(None);
    }
    Ok(Some((number, request(kind, &mut rest)?)))
}

fn request(kind: u8, rest: &mut Rest<'_>) -> Result<Request, Garbled> {
    Ok(match kind {
        3 => Request::Open(rest.path()?, Opening(rest.u32()?), rest.attributes()?),
        4 => Request::Close(rest.handle()?),
        5 => Request::Read(rest.handle()?, rest.u64()?, rest.u32()?),
        6 => Request::Write(rest.handle()?, rest.u64()?, rest.text()?.to_vec()),
        7 => Request::LinkAttributes(rest.path()?),
        8 => Request::FileAttributes(rest.handle()?),
        9 => Request::SetPath(rest.path()?, rest.attributes()?),
        10 => Request::SetFile(rest.handle()?, rest.attributes()?),
        11 => Request::OpenFolder(rest.path()?),
        12 => Request::ReadFolder(rest.handle()?),
        13 => Request::Remove(rest.path()?),
        14 => Request::MakeFolder(rest.path()?, rest.attributes()?),
        15 => Request::RemoveFolder(rest.path()?),
        16 => Request::WholePath(rest.path()?),
        17 => Request::PathAttributes(rest.path()?),
        18 => Request::Rename(rest.path()?, rest.path()?),
        19 => Request::ReadLink(rest.path()?),
        // OpenSSH has the two the other way round than the draft says, and everybody follows OpenSSH.
        20 => Request::Link(rest.path()?, rest.path()?),
        200 => match rest.text()? {
            b"posix-rename@openssh.com" => Request::Replace(rest.path()?, rest.path()?),
            b"hardlink@openssh.com" => Request::HardLink(rest.path()?, rest.path()?),
            b"fsync@openssh.com" => Request::Sync(rest.handle()?),
            // As other programs write them, a path begins in the home folder: so does this server.
            b"expand-path@openssh.com" => Request::WholePath(at_home(&rest.path()?)),
            _ => Request::Unknown,
        },
        _ => Request::Unknown,
    })
}

/// A path that may begin with `~`. This server is at home where it begins.
fn at_home(path: &Path) -> PathBuf {
    match path.strip_prefix("~") {
        Ok(rest) => Path::new(".").join(rest),
        Err(_) => path.to_owned(),
    }
}

/// The answer to a greeting.
pub(super) fn greeting() -> Vec<u8> {
    let mut out = vec![2];
    out.extend(VERSION.to_be_bytes());
    let known = ["posix-rename", "hardlink", "fsync", "expand-path"];
    for name in known {
        put(&mut out, format!("{name}@openssh.com").as_bytes());
        put(&mut out, b"1");
    }
    out
}

/// An answer to the message with this number.
pub(super) fn written(number: u32, answer: &Answer) -> Vec<u8> {
    let kind = match answer {
        Answer::Status(..) => 101,
        Answer::Handle(_) => 102,
        Answer::Data(_) => 103,
        Answer::Names(_) => 104,
        Answer::Attributes(_) => 105,
    };
    let mut out = vec![kind];
    out.extend(number.to_be_bytes());
    match answer {
        Answer::Status(status, words) => {
            out.extend((*status as u32).to_be_bytes());
            put(&mut out, words.as_bytes());
            put(&mut out, b"en");
        }
        Answer::Handle(handle) => put(&mut out, &handle.to_be_bytes()),
        Answer::Data(data) => put(&mut out, data),
        Answer::Names(names) => {
            out.extend(u32::try_from(names.len()).unwrap_or(u32::MAX).to_be_bytes());
            for Named { name, line, attributes } in names {
                put(&mut out, name.as_bytes());
                put(&mut out, line);
                put_attributes(&mut out, attributes);
            }
        }
        Answer::Attributes(attributes) => put_attributes(&mut out, attributes),
    }
    out
}

fn put(out: &mut Vec<u8>, text: &[u8]) {
    out.extend(u32::try_from(text.len()).unwrap_or(u32::MAX).to_be_bytes());
    out.extend(text);
}

fn put_attributes(out: &mut Vec<u8>, attributes: &Attributes) {
    let Attributes { size, owner, mode, times } = attributes;
    let flag = |is_there: bool, flag: u32| if is_there { flag } else { 0 };
    let flags = flag(size.is_some(), SIZE)
        | flag(owner.is_some(), OWNER)
        | flag(mode.is_some(), MODE)
        | flag(times.is_some(), TIMES);
    out.extend(flags.to_be_bytes());
    out.extend(size.iter().flat_map(|size| size.to_be_bytes()));
    let pairs = [*owner, mode.map(|mode| (mode, 0)), *times];
    for (at, pair) in pairs.into_iter().enumerate() {
        let Some((one, other)) = pair else { continue };
        out.extend(one.to_be_bytes());
        if at != 1 {
            out.extend(other.to_be_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_known_of_a_file_is_read_as_it_is_written() {
        let whole = Attributes {
            size: Some(1 << 40),
            owner: Some((1, 2)),
            mode: Some(0o644),
            times: Some((3, 4)),
        };
        let parts = [
            Attributes::default(),
            Attributes { mode: None, ..whole },
            Attributes { size: None, times: None, ..whole },
            whole,
        ];
        for attributes in parts {
            let mut out = Vec::new();
            put_attributes(&mut out, &attributes);
            let mut rest = Rest(&out);
            assert_eq!((rest.attributes(), rest.0.len()), (Ok(attributes), 0));
        }
    }

    #[test]
    fn a_path_from_home_begins_where_the_server_is() {
        assert_eq!(at_home(Path::new("~/a/b")), Path::new("./a/b"));
        assert_eq!(at_home(Path::new("/a")), Path::new("/a"));
    }

    proptest! {
        #[test]
        fn nothing_that_comes_stops_the_server(message: Vec<u8>, kind in 0_u8..=255) {
            let _ = understood(&message);
            let _ = understood(&[&[kind], message.as_slice()].concat());
        }
    }
}
