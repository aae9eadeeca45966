//! What the agent and its processes in nodes say to each other: JSON, one message at a time, with open files beside it.
//!
//! # Invariants
//! - A message arrives whole or not at all, and is bounded.
//! - A file that arrives is inherited by nobody.
//! - Whoever is gone is noticed: the kernel closes its end.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags,
    SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags, SocketType,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// The longest message: a program's environment is the longest thing told.
const MESSAGE_BYTES_MAX: usize = 64 << 10;
/// Files beside one message: the three streams of a program.
const FILES_MAX: usize = 3;

/// One end.
#[derive(Debug)]
pub(super) struct Desk(OwnedFd);

impl Desk {
    /// Two ends; the second is for a process to be started.
    pub(super) fn pair() -> io::Result<(Self, OwnedFd)> {
        let (family, kind) = (AddressFamily::UNIX, SocketType::SEQPACKET);
        let (ours, theirs) = rustix::net::socketpair(family, kind, SocketFlags::CLOEXEC, None)?;
        Ok((Self(ours), theirs))
    }

    /// This end.
    #[cfg(test)]
    pub(super) const fn of(end: OwnedFd) -> Self {
        Self(end)
    }

    /// The end that this process was started with: its standard input.
    pub(super) fn inherited() -> Result<Self> {
        let own = io::stdin().as_fd().try_clone_to_owned().context("hear the agent")?;
        Ok(Self(own))
    }

    /// From here on, waits no longer than this for a word; as long as it takes if absent.
    pub(super) fn wait_at_most(&self, patience: Option<Duration>) -> io::Result<()> {
        Ok(set_socket_timeout(&self.0, Timeout::Recv, patience)?)
    }

    /// Says something.
    pub(super) fn say<T: Serialize>(&self, what: &T, files: &[BorrowedFd<'_>]) -> Result<()> {
        let text = serde_json::to_vec(what).context("put a message into words")?;
        ensure!(
            text.len() <= MESSAGE_BYTES_MAX && files.len() <= FILES_MAX,
            "say it at once: {} bytes and {} files are too many",
            text.len(),
            files.len()
        );
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(FILES_MAX))];
        let mut beside = SendAncillaryBuffer::new(&mut space);
        ensure!(
            files.is_empty() || beside.push(SendAncillaryMessage::ScmRights(files)),
            "put {} files beside a message",
            files.len()
        );
        let text = [IoSlice::new(&text)];
        let said = rustix::net::sendmsg(&self.0, &text, &mut beside, SendFlags::NOSIGNAL);
        said.map(drop).context("say it")
    }

    /// Hears something, and what came beside it; `None` when the other end is gone.
    pub(super) fn hear<T: DeserializeOwned>(&self) -> Result<Option<(T, Vec<OwnedFd>)>> {
        let mut text = vec![0; MESSAGE_BYTES_MAX];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(FILES_MAX))];
        let mut beside = RecvAncillaryBuffer::new(&mut space);
        let mut into = [IoSliceMut::new(&mut text)];
        let flags = RecvFlags::CMSG_CLOEXEC;
        let heard = loop {
            match rustix::net::recvmsg(&self.0, &mut into, &mut beside, flags) {
                Err(rustix::io::Errno::INTR) => {}
                // Whatever was not read when the other end went resets this one.
                Err(rustix::io::Errno::CONNRESET) => return Ok(None),
                heard => break heard.context("hear it")?,
            }
        };
        let files = beside.drain().filter_map(|message| {
            if let RecvAncillaryMessage::ScmRights(files) = message { Some(files) } else { None }
        });
        let files: Vec<OwnedFd> = files.flatten().collect();
        if heard.bytes == 0 {
            return Ok(None);
        }
        ensure!(!heard.flags.contains(ReturnFlags::TRUNC), "hear all of it: it is too long");
        let what = serde_json::from_slice(&text[..heard.bytes]).context("understand it")?;
        Ok(Some((what, files)))
    }
}

impl AsFd for Desk {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Seek, Write};

    use super::*;
    use crate::runtime::scratch::Scratch;

    #[test]
    fn a_file_arrives_with_its_message_and_an_end_is_noticed() {
        let scratch = Scratch::new("desk");
        let (ours, theirs) = Desk::pair().unwrap();
        let theirs = Desk(theirs);
        let mut file = std::fs::File::create_new(scratch.path().join("a")).unwrap();
        ours.say(&("hello", 7), &[file.as_fd()]).unwrap();
        let ((text, number), files) = theirs.hear::<(String, u32)>().unwrap().unwrap();
        assert_eq!((text.as_str(), number, files.len()), ("hello", 7, 1));
        let mut same = std::fs::File::from(files.into_iter().next().unwrap());
        same.write_all(b"x").unwrap();
        assert_eq!(file.stream_position().unwrap(), 1, "it is the same open file");
        assert!(ours.say(&"x".repeat(MESSAGE_BYTES_MAX), &[]).is_err());
        drop(ours);
        assert!(theirs.hear::<()>().unwrap().is_none());
    }

    #[test]
    fn nobody_is_waited_for_longer_than_said() {
        let (ours, _theirs) = Desk::pair().unwrap();
        ours.wait_at_most(Some(Duration::from_millis(10))).unwrap();
        assert!(ours.hear::<()>().is_err());
    }
}
