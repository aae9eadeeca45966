//! Carries bytes both ways between a visitor, or a program, and a stream, until both ways are over.

use std::future::poll_fn;
use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::awake::look_after;
use crate::splice::splice;
use crate::stream::Stream;

/// What is read at a time. It is on the stack: who waits holds nothing.
const PIECE: usize = 64 << 10;
/// Pieces one way before others have their turn.
const PIECES_MAX: usize = 16;
/// What is read at a time only to be thrown away,
const LINGER_PIECE: usize = 16 << 10;
/// and for how long: whoever still speaks to one who has said all and left hears so.
const LINGER_TIME: Duration = Duration::from_secs(2);
/// The most that is thrown away of what a service says to a visitor who is gone: bulk that nobody hears is not carried.
const LINGER_BYTES_MAX: u64 = 1 << 20;

/// What was carried, and whether both ways came to their end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Carried {
    /// Bytes into the stream.
    pub sent: u64,
    /// Bytes out of the stream.
    pub received: u64,
    /// Whether both ways came to their end. Else it was broken off.
    pub is_whole: bool,
    /// How it went in the end.
    pub way: Way,
}

/// How a stream was carried in the end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Way {
    /// Among others, on a line.
    #[default]
    Line,
    /// On a connection of its own.
    Own,
    /// On one of its own, by the kernel.
    Kernel,
}

/// Carries between somebody and a stream.
pub async fn carry<P: AsyncRead + AsyncWrite + Unpin>(mut party: P, mut stream: Stream) -> Carried {
    let mut both = Both::default();
    let is_whole = poll_fn(|cx| both.poll(&mut party, &mut stream, cx, |_| false)).await.is_ok();
    both.linger(&mut party, &mut stream).await;
    both.carried(is_whole, &stream)
}

/// As [`carry`], for a bare connection: where the stream is one, too, the kernel carries.
pub async fn carry_tcp(mut party: TcpStream, mut stream: Stream) -> Carried {
    look_after(&party);
    let mut both = Both::default();
    let mut bare = None;
    let outcome = poll_fn(|cx| {
        both.poll(&mut party, &mut stream, cx, |stream| {
            bare = stream.take_bare();
            bare.is_some()
        })
    });
    let is_whole = outcome.await.is_ok();
    let mut carried = both.carried(is_whole, &stream);
    if let Some(bare) = bare.filter(|_| is_whole) {
        carried.way = Way::Kernel;
        let held = (both.into.rest(), both.out.rest());
        let spliced = splice(&party, &bare, held).await;
        carried.sent += spliced.sent.saturating_sub(held.0.len() as u64);
        carried.received += spliced.received;
        carried.is_whole = spliced.is_whole();
        // What was held for the stream never went through it.
        stream.add(spliced);
        let is_whole = spliced.is_whole();
        end(party, spliced.is_received_whole, is_whole, u64::MAX).await;
        end(bare.tcp, spliced.is_sent_whole, is_whole, LINGER_BYTES_MAX).await;
        return carried;
    }
    both.linger(&mut party, &mut stream).await;
    end(party, both.out.is_whole(), true, u64::MAX).await;
    carried
}

/// Ends a connection: what it was told to its end arrives, and what was broken off does not look like an end.
async fn end(mut connection: TcpStream, is_told_whole: bool, is_heard_whole: bool, most: u64) {
    match (is_told_whole, is_heard_whole) {
        (true, true) => {}
        (true, false) => linger(&mut connection, most).await,
        (false, _) => drop(connection.set_zero_linger()),
    }
}

/// Reads on for a while, and throws it away: a connection that is closed with something unread takes back what was said
/// on it before.
async fn linger<R: AsyncRead + Unpin>(from: &mut R, most: u64) {
    let mut piece = vec![0; LINGER_PIECE];
    let mut from = from.take(most);
    let reading = async { while from.read(&mut piece).await.is_ok_and(|many| many > 0) {} };
    let _ = timeout(LINGER_TIME, reading).await;
}

#[derive(Debug, Default)]
struct Both {
    into: Half,
    out: Half,
}

/// One way.
#[derive(Debug, Default)]
struct Half {
    held: Vec<u8>,
    gone: usize,
    carried: u64,
    is_ending: bool,
    is_over: bool,
    /// Whether it ended before its end, because nothing can be written any more.
    is_broken: bool,
    is_to_flush: bool,
}

/// Where one way broke.
enum Break {
    /// Where it is read: that end is gone.
    Read(io::Error),
    /// Where it is written: that end takes no more, and may have said something before.
    Write,
}

impl Both {
    fn carried(&self, is_whole: bool, stream: &Stream) -> Carried {
        let way = if stream.has_own_connection() { Way::Own } else { Way::Line };
        Carried { sent: self.into.carried, received: self.out.carried, is_whole, way }
    }

    /// Where only one way came to its end, sees that it arrives.
    async fn linger<P: AsyncRead + Unpin>(&self, party: &mut P, stream: &mut Stream) {
        if self.out.is_whole() && self.into.is_broken {
            linger(party, u64::MAX).await;
        }
        if self.into.is_whole() && self.out.is_broken {
            linger(stream, LINGER_BYTES_MAX).await;
        }
    }

    /// Carries until both ways are over, or until it may stop while both are open.
    fn poll<P: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        party: &mut P,
        stream: &mut Stream,
        cx: &mut Context<'_>,
        may_stop: impl FnOnce(&mut Stream) -> bool,
    ) -> Poll<io::Result<()>> {
        let into = self.into.poll_to_end(party, stream, cx)?;
        let out = self.out.poll_to_end(stream, party, cx)?;
        if into.is_ready() && out.is_ready() {
            let is_whole = !self.into.is_broken && !self.out.is_broken;
            return Poll::Ready(match is_whole {
                true => Ok(()),
                false => Err(io::ErrorKind::BrokenPipe.into()),
            });
        }
        let is_open = |half: &Half| !half.is_ending && !half.is_over;
        match is_open(&self.into) && is_open(&self.out) && may_stop(stream) {
            true => Poll::Ready(Ok(())),
            false => Poll::Pending,
        }
    }
}

impl Half {
    /// Whether it came to its end.
    fn is_whole(&self) -> bool {
        self.is_over && !self.is_broken
    }

    /// What was read and is not written.
    fn rest(&self) -> &[u8] {
        &self.held[self.gone..]
    }

    /// Carries until the way is over, well or not: one that cannot be written any more is over, and the other goes on.
    ///
    /// # Errors
    /// If who is read is gone: then nobody is there for the other way, either.
    fn poll_to_end<R: AsyncRead + Unpin, W: AsyncWrite + Unpin>(
        &mut self,
        from: &mut R,
        to: &mut W,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        if self.is_over {
            return Poll::Ready(Ok(()));
        }
        match ready!(self.poll(from, to, cx)) {
            Err(Break::Read(fault)) => return Poll::Ready(Err(fault)),
            Err(Break::Write) => self.is_broken = true,
            Ok(()) => {}
        }
        self.is_over = true;
        Poll::Ready(Ok(()))
    }

    fn poll<R: AsyncRead + Unpin, W: AsyncWrite + Unpin>(
        &mut self,
        from: &mut R,
        to: &mut W,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Break>> {
        let written = |outcome: io::Result<()>| outcome.map_err(|_| Break::Write);
        for _ in 0..PIECES_MAX {
            written(ready!(self.poll_held(to, cx)))?;
            if self.is_ending {
                return Pin::new(&mut *to).poll_shutdown(cx).map(written);
            }
            if self.poll_piece(from, to, cx)?.is_pending() {
                if self.is_to_flush {
                    written(ready!(Pin::new(&mut *to).poll_flush(cx)))?;
                    self.is_to_flush = false;
                }
                return Poll::Pending;
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Writes what is held.
    fn poll_held<W: AsyncWrite + Unpin>(
        &mut self,
        to: &mut W,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        while self.gone < self.held.len() {
            let many = ready!(Pin::new(&mut *to).poll_write(cx, &self.held[self.gone..]))?;
            if many == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.gone += many;
        }
        if !self.held.is_empty() {
            self.held = Vec::new();
            self.gone = 0;
        }
        Poll::Ready(Ok(()))
    }

    /// Reads once, writes what it can, and holds the rest.
    fn poll_piece<R: AsyncRead + Unpin, W: AsyncWrite + Unpin>(
        &mut self,
        from: &mut R,
        to: &mut W,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Break>> {
        let mut piece = [MaybeUninit::uninit(); PIECE];
        let mut piece = ReadBuf::uninit(&mut piece);
        ready!(Pin::new(&mut *from).poll_read(cx, &mut piece)).map_err(Break::Read)?;
        let bytes = piece.filled();
        if bytes.is_empty() {
            self.is_ending = true;
            return Poll::Ready(Ok(()));
        }
        self.carried += bytes.len() as u64;
        self.is_to_flush = true;
        let many = match Pin::new(&mut *to).poll_write(cx, bytes) {
            Poll::Ready(many) => many.map_err(|_| Break::Write)?,
            Poll::Pending => 0,
        };
        self.held.extend_from_slice(&bytes[many..]);
        Poll::Ready(Ok(()))
    }
}
