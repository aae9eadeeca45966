//! Carries between two bare connections without the bytes ever coming here: `splice(2)` through a pipe each way.

use std::future::poll_fn;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex};

use rustix::net::{Shutdown, shutdown};
use rustix::pipe::{PipeFlags, SpliceFlags, fcntl_setpipe_size, pipe_with};
use tokio::io::Interest;
use tokio::net::TcpStream;
use tunnel::Bucket;

use crate::pace::Pace;

/// What a pipe holds: large, so that a system call carries much. The kernel takes pages as they fill.
const PIPE: usize = 1 << 20;

/// Carries both ways until both are over, first what is held each way. Returns the bytes each way but for those, and
/// whether both came to their end.
pub(crate) async fn splice(
    party: &TcpStream,
    bare: &TcpStream,
    bucket: Option<Arc<Mutex<Bucket>>>,
    held: (&[u8], &[u8]),
) -> (u64, u64, bool) {
    let (mut sent, mut received) = (0, 0);
    let pace = || bucket.clone().map(Pace::new);
    let into = async {
        write(bare, held.0).await?;
        one_way(party, bare, pace(), &mut sent).await
    };
    let out = async {
        write(party, held.1).await?;
        one_way(bare, party, pace(), &mut received).await
    };
    let both = tokio::try_join!(into, out);
    (sent, received, both.is_ok())
}

async fn write(to: &TcpStream, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        to.writable().await?;
        match to.try_write(bytes) {
            Ok(many) => bytes = &bytes[many..],
            Err(fault) if fault.kind() == io::ErrorKind::WouldBlock => {}
            Err(fault) => return Err(fault),
        }
    }
    Ok(())
}

async fn one_way(
    from: &TcpStream,
    to: &TcpStream,
    mut pace: Option<Pace>,
    carried: &mut u64,
) -> io::Result<()> {
    let (out, into) = pipe()?;
    loop {
        from.readable().await?;
        let flags = SpliceFlags::NONBLOCK | SpliceFlags::MOVE;
        let take = || Ok(rustix::pipe::splice(from, None, &into, None, PIPE, flags)?);
        match from.try_io(Interest::READABLE, take) {
            Ok(0) => break,
            Ok(many) => {
                *carried += many as u64;
                give(&out, to, many).await?;
                if let Some(pace) = &mut pace {
                    pace.draw(many as u64);
                    poll_fn(|cx| pace.poll(cx)).await;
                }
            }
            Err(fault) if fault.kind() == io::ErrorKind::WouldBlock => {}
            Err(fault) => return Err(fault),
        }
    }
    Ok(shutdown(to, Shutdown::Write)?)
}

async fn give(out: &OwnedFd, to: &TcpStream, mut many: usize) -> io::Result<()> {
    while many > 0 {
        let flags = SpliceFlags::NONBLOCK | SpliceFlags::MOVE;
        let give = || Ok(rustix::pipe::splice(out, None, to, None, many, flags)?);
        match to.try_io(Interest::WRITABLE, give) {
            Ok(given) => many -= given,
            Err(fault) if fault.kind() == io::ErrorKind::WouldBlock => to.writable().await?,
            Err(fault) => return Err(fault),
        }
    }
    Ok(())
}

fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let (out, into) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
    // Without it the pipe is smaller, which is slower and no worse.
    let _ = fcntl_setpipe_size(&into, PIPE);
    Ok((out, into))
}
