//! A TCP connection whose first bytes were looked at, and that is read in large pieces.
//!
//! TLS reads four kibibytes at a time; from here it takes them out of one read of the socket. What is empty holds no
//! buffer.

use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// What is read of a socket at a time: four records of TLS.
const PIECE: usize = 64 << 10;

/// A TCP connection, and what was read of it and not taken.
#[derive(Debug)]
pub struct Peeked {
    tcp: TcpStream,
    held: Vec<u8>,
    /// How much of what is held was taken.
    taken: usize,
}

impl Peeked {
    /// A connection that nothing was read of.
    pub fn new(tcp: TcpStream) -> Self {
        Self { tcp, held: Vec::new(), taken: 0 }
    }

    /// A connection of which this was read.
    pub fn with(tcp: TcpStream, held: Vec<u8>) -> Self {
        Self { tcp, held, taken: 0 }
    }

    /// The connection itself.
    pub fn tcp(&self) -> &TcpStream {
        &self.tcp
    }

    /// What was read and not taken.
    pub fn held(&self) -> &[u8] {
        &self.held[self.taken..]
    }

    /// Reads more, and holds it. Returns how much; 0 at the end.
    ///
    /// # Errors
    /// If the connection broke.
    pub async fn peek_more(&mut self, most: usize) -> io::Result<usize> {
        let before = self.held.len();
        self.held.reserve_exact(most);
        (&mut self.tcp).take(most as u64).read_buf(&mut self.held).await?;
        Ok(self.held.len() - before)
    }

    /// Takes so many bytes of what is held.
    pub fn skip(&mut self, many: usize) {
        self.taken = (self.taken + many).min(self.held.len());
        self.let_go();
    }

    /// The connection, and what was read of it and not taken.
    pub fn into_parts(mut self) -> (TcpStream, Vec<u8>) {
        self.held.drain(..self.taken);
        (self.tcp, self.held)
    }

    fn let_go(&mut self) {
        if self.taken == self.held.len() {
            self.held = Vec::new();
            self.taken = 0;
        }
    }
}

impl AsyncRead for Peeked {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.held.is_empty() {
            if into.remaining() >= PIECE {
                return Pin::new(&mut this.tcp).poll_read(cx, into);
            }
            let mut piece = [MaybeUninit::uninit(); PIECE];
            let mut piece = ReadBuf::uninit(&mut piece);
            ready!(Pin::new(&mut this.tcp).poll_read(cx, &mut piece))?;
            let (now, later) = piece.filled().split_at(piece.filled().len().min(into.remaining()));
            into.put_slice(now);
            this.held.extend_from_slice(later);
            return Poll::Ready(Ok(()));
        }
        let many = into.remaining().min(this.held.len() - this.taken);
        into.put_slice(&this.held[this.taken..this.taken + many]);
        this.skip(many);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Peeked {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.tcp).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.tcp).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(cx)
    }
}
