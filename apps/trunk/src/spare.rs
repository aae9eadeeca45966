//! Dedicated connections that wait for a stream that is bulk.
//!
//! A line has none until a stream of it needs one: then the relay tells tickets, the node dials, and from then on a few
//! are kept warm for a while. The relay lets go of them first, so that none is chosen that the node has given up.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsStream;
use tunnel::{Ticket, TicketId};
use units::Timestamp;

use crate::alive::tcp_of;
use crate::awake::look_after;
use crate::peeked::Peeked;

/// What a dedicated connection without TLS begins with, before its ticket. No TLS and no SSH begins so.
pub const PLAIN_GREETING: [u8; 8] = *b"iogbulk1";

/// Connections kept warm beyond those asked for.
const WARM: usize = 2;
/// Tickets that are told and not shown yet, of one kind, at most.
const ASKED_MAX: usize = 8;
/// Dedicated connections that wait, at most.
const READY_MAX: usize = 16;
/// A ticket that is not shown within this is worth nothing: nobody dials that long.
const TICKET_LIFE: Duration = Duration::from_secs(30);
/// How long the side that chooses keeps a connection that nothing needs.
const IDLE_CHOOSER: Duration = Duration::from_secs(60);
/// How long the other side does: longer, so that what is chosen is there.
const IDLE_CHOSEN: Duration = Duration::from_secs(120);

/// A connection that will carry one stream.
pub enum Dedicated {
    /// Under TLS, by the keys of both ends.
    Tls(Box<TlsStream<Peeked>>),
    /// In the open, for what is sealed from end to end.
    Plain(TcpStream),
}

impl Dedicated {
    pub(crate) fn is_plain(&self) -> bool {
        match self {
            Self::Plain(_) => true,
            Self::Tls(_) => false,
        }
    }

    /// Threads that stay awake look after it, too.
    pub(crate) fn look_after(&self) {
        match self {
            Self::Tls(tls) => look_after(tcp_of(tls)),
            Self::Plain(tcp) => look_after(tcp),
        }
    }

    /// Whether it still waits: nothing came, not even its end.
    fn is_waiting(&mut self) -> bool {
        let mut cx = Context::from_waker(Waker::noop());
        let mut byte = [0];
        let mut byte = ReadBuf::new(&mut byte);
        let read = match self {
            Self::Tls(tls) => Pin::new(tls).poll_read(&mut cx, &mut byte),
            Self::Plain(tcp) => Pin::new(tcp).poll_read(&mut cx, &mut byte),
        };
        matches!(read, Poll::Pending)
    }
}

impl Dedicated {
    /// Says a few words on a new connection, which takes them at once.
    fn say(&mut self, words: &[u8]) -> io::Result<()> {
        let mut cx = Context::from_waker(Waker::noop());
        let (written, flushed) = match self {
            Self::Tls(tls) => {
                let written = Pin::new(&mut *tls).poll_write(&mut cx, words);
                (written, Pin::new(tls).poll_flush(&mut cx))
            }
            Self::Plain(tcp) => (Pin::new(tcp).poll_write(&mut cx, words), Poll::Ready(Ok(()))),
        };
        match (written, flushed) {
            (Poll::Ready(Ok(many)), Poll::Ready(Ok(()))) if many == words.len() => Ok(()),
            (Poll::Ready(Err(fault)), _) | (_, Poll::Ready(Err(fault))) => Err(fault),
            (Poll::Ready(Ok(_)) | Poll::Pending, _) => Err(io::ErrorKind::WriteZero.into()),
        }
    }
}

impl fmt::Debug for Dedicated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_plain() { "Plain" } else { "Tls" })
    }
}

/// The dedicated connections of a line that no stream has yet.
#[derive(Debug, Default)]
pub(crate) struct Spares(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    asked: BTreeMap<TicketId, Asked>,
    ready: BTreeMap<TicketId, Ready>,
    is_chosen: bool,
    is_closed: bool,
}

#[derive(Debug)]
struct Asked {
    ticket: Ticket,
    is_plain: bool,
    at: Timestamp,
}

#[derive(Debug)]
struct Ready {
    dedicated: Dedicated,
    at: Timestamp,
}

impl Spares {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A connection that waits, the latest first; and how many tickets to tell so that the next one finds one, too.
    pub(crate) fn choose(&self, is_plain: bool) -> (Option<(TicketId, Dedicated)>, usize) {
        let mut inner = self.lock();
        let mut chosen = None;
        while chosen.is_none() {
            let fits = |(_, ready): &(&TicketId, &Ready)| ready.dedicated.is_plain() == is_plain;
            let Some((id, _)) = inner.ready.iter().filter(fits).max_by_key(|(_, ready)| ready.at)
            else {
                break;
            };
            let id = *id;
            let Some(mut ready) = inner.ready.remove(&id) else { break };
            chosen = ready.dedicated.is_waiting().then_some((id, ready.dedicated));
        }
        let asked = inner.asked.values().filter(|asked| asked.is_plain == is_plain).count();
        let ready =
            inner.ready.values().filter(|ready| ready.dedicated.is_plain() == is_plain).count();
        let wanted = WARM + usize::from(chosen.is_none());
        (chosen, wanted.saturating_sub(asked + ready).min(ASKED_MAX - asked.min(ASKED_MAX)))
    }

    /// These tickets were told.
    pub(crate) fn ask(&self, tickets: &[Ticket], is_plain: bool, at: Timestamp) {
        let mut inner = self.lock();
        for ticket in tickets {
            inner.asked.insert(ticket.id(), Asked { ticket: ticket.clone(), is_plain, at });
        }
    }

    /// Whether this ticket was told and not shown yet. It is worth nothing after.
    pub(crate) fn redeem(&self, shown: &Ticket, is_plain: bool, now: Timestamp) -> bool {
        let Some(asked) = self.lock().asked.remove(&shown.id()) else { return false };
        let is_fresh = now.since(asked.at) <= TICKET_LIFE;
        asked.ticket.is_proved_by(shown) && asked.is_plain == is_plain && is_fresh
    }

    /// Says words on a new connection, which waits from then on. Nobody looks for it between the two.
    pub(crate) fn offer(
        &self,
        id: TicketId,
        mut dedicated: Dedicated,
        words: &[u8],
        at: Timestamp,
    ) -> io::Result<()> {
        let mut inner = self.lock();
        dedicated.say(words)?;
        if !inner.is_closed && inner.ready.len() < READY_MAX {
            inner.ready.insert(id, Ready { dedicated, at });
        }
        Ok(())
    }

    /// A connection waits from now on.
    pub(crate) fn put(&self, id: TicketId, dedicated: Dedicated, at: Timestamp) {
        let mut inner = self.lock();
        if !inner.is_closed && inner.ready.len() < READY_MAX {
            inner.ready.insert(id, Ready { dedicated, at });
        }
    }

    /// This side is told which connection to use.
    pub(crate) fn is_chosen_for(&self) {
        self.lock().is_chosen = true;
    }

    /// The connection that the other side chose.
    pub(crate) fn take(&self, id: TicketId) -> Option<Dedicated> {
        self.lock().ready.remove(&id).map(|ready| ready.dedicated)
    }

    /// Lets go of what waited in vain.
    pub(crate) fn prune(&self, now: Timestamp) {
        let mut inner = self.lock();
        let idle = if inner.is_chosen { IDLE_CHOSEN } else { IDLE_CHOOSER };
        inner.asked.retain(|_, asked| now.since(asked.at) <= TICKET_LIFE);
        inner.ready.retain(|_, ready| now.since(ready.at) <= idle);
    }

    /// The line is over.
    pub(crate) fn close(&self) {
        let mut inner = self.lock();
        inner.is_closed = true;
        inner.asked.clear();
        inner.ready.clear();
    }
}
