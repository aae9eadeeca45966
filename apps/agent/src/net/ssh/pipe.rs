//! An end of a program's pipe, or its terminal, on tokio.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::Errno;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// One end.
#[derive(Debug)]
pub(super) struct Pipe(AsyncFd<OwnedFd>);

impl Pipe {
    /// Reads and writes this without waiting from here on.
    pub(super) fn new(end: OwnedFd) -> io::Result<Self> {
        let flags = fcntl_getfl(end.as_fd())?;
        fcntl_setfl(end.as_fd(), flags | OFlags::NONBLOCK)?;
        #[expect(
            deprecated,
            reason = "an owned descriptor is the same one for as long as it is owned"
        )]
        AsyncFd::new(end).map(Self)
    }

    /// Reads what there is. 0: that was all. A terminal whose program is gone says so by an error, which is its end.
    pub(super) async fn read(&self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.0.async_io(Interest::READABLE, |end| {
            rustix::io::read(end.as_fd(), &mut *into).map_err(io::Error::from)
        });
        match read.await {
            Err(fault) if fault.raw_os_error() == Some(Errno::IO.raw_os_error()) => Ok(0),
            read => read,
        }
    }

    /// Writes all of it.
    pub(super) async fn write_all(&self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let written = self.0.async_io(Interest::WRITABLE, |end| {
                rustix::io::write(end.as_fd(), bytes).map_err(io::Error::from)
            });
            bytes = &bytes[written.await?..];
        }
        Ok(())
    }
}
