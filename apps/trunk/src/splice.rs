//! Carries between two bare connections without the bytes ever coming here: `splice(2)` through a pipe each way.

use std::future::poll_fn;
use std::io;
use std::os::fd::OwnedFd;

use rustix::net::{Shutdown, shutdown};
use rustix::pipe::{PipeFlags, SpliceFlags, fcntl_setpipe_size, pipe_with};
use tokio::io::Interest;
use tokio::net::TcpStream;

use crate::pace::Pace;
use crate::stream::Bare;

/// What a pipe holds: large, so that a system call carries much. The kernel takes pages as they fill.
const PIPE: usize = 1 << 20;

/// What was carried each way, and whether it came to its end.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Spliced {
    /// Bytes that the connection took, those that were held included.
    pub(crate) sent: u64,
    /// Whether that way came to its end.
    pub(crate) is_sent_whole: bool,
    /// Bytes out of the connection.
    pub(crate) received: u64,
    /// Whether that way came to its end.
    pub(crate) is_received_whole: bool,
}

impl Spliced {
    /// Whether both ways came to their end.
    pub(crate) fn is_whole(&self) -> bool {
        self.is_sent_whole && self.is_received_whole
    }
}

/// Carries both ways, first what is held each way, until both are over, or one breaks where it is read, or the line is
/// over. A way that breaks where it is written ends alone: what the same end said before is still carried.
pub(crate) async fn splice(party: &TcpStream, bare: &Bare, held: (&[u8], &[u8])) -> Spliced {
    let (mut sent, mut received) = (Meter::new(bare), Meter::new(bare));
    let both = async {
        tokio::try_join!(
            one_way(held.0, (party, &bare.tcp), &mut sent),
            one_way(held.1, (&bare.tcp, party), &mut received)
        )
    };
    tokio::select! {
        _ = both => {}
        () = bare.tie.cut() => {}
    }
    Spliced {
        sent: sent.given,
        is_sent_whole: sent.is_whole,
        // Of what was held for the party the stream knows.
        received: received.taken,
        is_received_whole: received.is_whole,
    }
}

/// What one way came to, and how fast it may go on.
struct Meter<'b> {
    bare: &'b Bare,
    pace: Option<Pace>,
    taken: u64,
    given: u64,
    is_whole: bool,
}

impl<'b> Meter<'b> {
    fn new(bare: &'b Bare) -> Self {
        Self { bare, pace: bare.bucket.clone().map(Pace::new), taken: 0, given: 0, is_whole: false }
    }

    async fn pause_after(&mut self, many: usize) {
        self.bare.tie.stir();
        if let Some(pace) = &mut self.pace {
            pace.draw(many as u64);
            poll_fn(|cx| pace.poll(cx)).await;
        }
    }
}

/// Carries until the way comes to its end, or breaks where it is written.
///
/// # Errors
/// If it breaks where it is read.
async fn one_way(
    held: &[u8],
    (from, to): (&TcpStream, &TcpStream),
    meter: &mut Meter<'_>,
) -> io::Result<()> {
    let (out, into) = pipe()?;
    if write(to, held, meter).await.is_err() {
        return Ok(());
    }
    loop {
        from.readable().await?;
        let flags = SpliceFlags::NONBLOCK | SpliceFlags::MOVE;
        let take = || Ok(rustix::pipe::splice(from, None, &into, None, PIPE, flags)?);
        match from.try_io(Interest::READABLE, take) {
            Ok(0) => {
                meter.is_whole = shutdown(to, Shutdown::Write).is_ok();
                return Ok(());
            }
            Ok(many) => {
                meter.taken += many as u64;
                if give(&out, to, many, meter).await.is_err() {
                    return Ok(());
                }
                meter.pause_after(many).await;
            }
            Err(fault) if fault.kind() == io::ErrorKind::WouldBlock => {}
            Err(fault) => return Err(fault),
        }
    }
}

async fn write(to: &TcpStream, mut bytes: &[u8], meter: &mut Meter<'_>) -> io::Result<()> {
    while !bytes.is_empty() {
        to.writable().await?;
        match to.try_write(bytes) {
            Ok(many) => {
                meter.given += many as u64;
                bytes = &bytes[many..];
            }
            Err(fault) if fault.kind() == io::ErrorKind::WouldBlock => {}
            Err(fault) => return Err(fault),
        }
    }
    Ok(())
}

async fn give(
    out: &OwnedFd,
    to: &TcpStream,
    mut many: usize,
    meter: &mut Meter<'_>,
) -> io::Result<()> {
    while many > 0 {
        let flags = SpliceFlags::NONBLOCK | SpliceFlags::MOVE;
        let give = || Ok(rustix::pipe::splice(out, None, to, None, many, flags)?);
        match to.try_io(Interest::WRITABLE, give) {
            Ok(given) => {
                meter.given += given as u64;
                many -= given;
            }
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
