//! What a visitor sends, cut into heads and bodies.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

use super::body::Body;
use super::carried::{Activity, read_more};
use super::head::{self, BadHead, Head};
use super::limits::DoorLimits;

/// The requests of one connection, one after the other.
pub(crate) struct Requests<R> {
    from: R,
    /// What was read and not yet used.
    ahead: Vec<u8>,
    head_bytes: usize,
    head_time: Duration,
    activity: Activity,
}

/// Why no further request came.
#[derive(Debug)]
pub(crate) enum NoHead {
    /// It is refused.
    Bad(BadHead),
    /// It began, and did not end in time.
    Slow,
    /// The visitor went.
    Gone,
}

impl<R: AsyncRead + Unpin> Requests<R> {
    pub(crate) fn new(from: R, limits: &DoorLimits, activity: Activity) -> Self {
        Self {
            from,
            ahead: Vec::new(),
            head_bytes: limits.head_bytes,
            head_time: limits.head_time,
            activity,
        }
    }

    /// The first request: it has as long to begin and to end as any other has to end.
    pub(crate) async fn first(&mut self) -> Result<Head, NoHead> {
        timeout(self.head_time, self.head()).await.unwrap_or(Err(NoHead::Slow))
    }

    /// A further request. How long it may take to begin is for whoever watches over the connection.
    pub(crate) async fn next(&mut self) -> Result<Head, NoHead> {
        if self.ahead.is_empty() {
            self.read().await.map_err(|_| NoHead::Gone)?;
        }
        self.first().await
    }

    async fn head(&mut self) -> Result<Head, NoHead> {
        let mut looked = 0;
        loop {
            // Only an end of line can end a head: looking at each byte anew would be work that a visitor can cause.
            if self.ahead[looked..].contains(&b'\n')
                && let Some((head, length)) = head::read(&self.ahead).map_err(NoHead::Bad)?
            {
                self.use_up(length);
                return Ok(head);
            }
            looked = self.ahead.len();
            if looked >= self.head_bytes {
                return Err(NoHead::Bad(BadHead::TooLong));
            }
            self.read().await.map_err(|_| NoHead::Gone)?;
        }
    }

    /// Passes on the body of the request whose head was read last. `Ok(false)` when the visitor went or its chunks are
    /// malformed: the service must not take what came for a whole request.
    pub(crate) async fn pass_body<W: AsyncWrite + Unpin>(
        &mut self,
        mut body: Body,
        to: &mut W,
    ) -> io::Result<bool> {
        while !body.is_over() {
            if self.ahead.is_empty() && self.read().await.is_err() {
                return Ok(false);
            }
            let Ok(some) = body.on_bytes(&self.ahead) else {
                return Ok(false);
            };
            to.write_all(&self.ahead[..some]).await?;
            self.use_up(some);
        }
        to.flush().await?;
        Ok(true)
    }

    fn use_up(&mut self, bytes: usize) {
        match bytes == self.ahead.len() {
            // Between two requests a connection holds nothing.
            true => self.ahead = Vec::new(),
            false => drop(self.ahead.drain(..bytes)),
        }
    }

    /// Waits until the visitor says something or goes.
    pub(crate) async fn stirs(&mut self) {
        if self.ahead.is_empty() {
            let _ = self.read().await;
        }
    }

    /// Passes on whatever comes. When the visitor has said all, so has this, and waits to be dropped; it ends when
    /// either side broke.
    pub(crate) async fn pass_all<W: AsyncWrite + Unpin>(&mut self, mut to: W) {
        loop {
            if to.write_all(&self.ahead).await.is_err() || to.flush().await.is_err() {
                return;
            }
            self.ahead = Vec::new();
            match self.read().await {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => break,
                Err(_) => return,
            }
        }
        if to.shutdown().await.is_ok() {
            std::future::pending::<()>().await;
        }
    }

    /// Reads and throws away, so that the visitor's side is not cut off before it has read the answer.
    pub(crate) async fn drain(&mut self, bytes_max: usize) {
        let mut drained = 0;
        while drained < bytes_max {
            self.ahead.clear();
            match self.read().await {
                Ok(()) => drained += self.ahead.len(),
                Err(_) => return,
            }
        }
    }

    async fn read(&mut self) -> io::Result<()> {
        match read_more(&mut self.from, &mut self.ahead).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => {
                self.activity.touch();
                Ok(())
            }
        }
    }
}
