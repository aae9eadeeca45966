//! Carries bytes both ways between a visitor, or a program, and a stream, until both ways are over.

use std::future::poll_fn;
use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use crate::splice::splice;
use crate::stream::Stream;

/// What is read at a time. It is on the stack: who waits holds nothing.
const PIECE: usize = 64 << 10;
/// Pieces one way before others have their turn.
const PIECES_MAX: usize = 16;

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
    both.carried(is_whole, &stream)
}

/// As [`carry`], for a bare connection: where the stream is one, too, the kernel carries.
pub async fn carry_tcp(mut party: TcpStream, mut stream: Stream) -> Carried {
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
    if let Some((bare, bucket)) = bare.filter(|_| is_whole) {
        carried.way = Way::Kernel;
        let held = (both.into.rest(), both.out.rest());
        let (sent, received, is_whole) = splice(&party, &bare, bucket, held).await;
        carried.sent += sent;
        carried.received += received;
        carried.is_whole = is_whole;
        // What was held for the stream never went through it.
        stream.add(sent + held.0.len() as u64, received, is_whole);
        if !is_whole {
            let _ = bare.set_zero_linger();
        }
    }
    if !carried.is_whole {
        // Else what was broken off would look like an end.
        let _ = party.set_zero_linger();
    }
    carried
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
    is_to_flush: bool,
}

impl Both {
    fn carried(&self, is_whole: bool, stream: &Stream) -> Carried {
        let way = if stream.has_own_connection() { Way::Own } else { Way::Line };
        Carried { sent: self.into.carried, received: self.out.carried, is_whole, way }
    }

    /// Carries until both ways are over, or until it may stop while both are open.
    fn poll<P: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        party: &mut P,
        stream: &mut Stream,
        cx: &mut Context<'_>,
        may_stop: impl FnOnce(&mut Stream) -> bool,
    ) -> Poll<io::Result<()>> {
        let into = self.into.poll(party, stream, cx)?;
        let out = self.out.poll(stream, party, cx)?;
        if into.is_ready() && out.is_ready() {
            return Poll::Ready(Ok(()));
        }
        match !self.into.is_ending && !self.out.is_ending && may_stop(stream) {
            true => Poll::Ready(Ok(())),
            false => Poll::Pending,
        }
    }
}

impl Half {
    /// What was read and is not written.
    fn rest(&self) -> &[u8] {
        &self.held[self.gone..]
    }

    fn poll<R: AsyncRead + Unpin, W: AsyncWrite + Unpin>(
        &mut self,
        from: &mut R,
        to: &mut W,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        if self.is_over {
            return Poll::Ready(Ok(()));
        }
        for _ in 0..PIECES_MAX {
            ready!(self.poll_held(to, cx))?;
            if self.is_ending {
                ready!(Pin::new(&mut *to).poll_shutdown(cx))?;
                self.is_over = true;
                return Poll::Ready(Ok(()));
            }
            if self.poll_piece(from, to, cx)?.is_pending() {
                if self.is_to_flush {
                    ready!(Pin::new(&mut *to).poll_flush(cx))?;
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
    ) -> Poll<io::Result<()>> {
        let mut piece = [MaybeUninit::uninit(); PIECE];
        let mut piece = ReadBuf::uninit(&mut piece);
        ready!(Pin::new(&mut *from).poll_read(cx, &mut piece))?;
        let bytes = piece.filled();
        if bytes.is_empty() {
            self.is_ending = true;
            return Poll::Ready(Ok(()));
        }
        self.carried += bytes.len() as u64;
        self.is_to_flush = true;
        let many = match Pin::new(&mut *to).poll_write(cx, bytes) {
            Poll::Ready(many) => many?,
            Poll::Pending => 0,
        };
        self.held.extend_from_slice(&bytes[many..]);
        Poll::Ready(Ok(()))
    }
}
