//! A stream of bytes to a service, whatever carries it.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tunnel::{Bucket, Code, Frame, Gone, Placement, Read, Side, StreamId, Ticket, TicketId};

use crate::clock::now;
use crate::line::Shared;
use crate::own::Tie;
use crate::pace::Pace;
use crate::spare::Dedicated;
use crate::splice::Spliced;

/// A stream that found no connection of its own looks for one again after this many bytes.
const LOOK_EVERY: u64 = 64 << 10;

/// What can carry a stream.
pub trait Carrier: AsyncRead + AsyncWrite + Send + Unpin + 'static {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin + 'static> Carrier for T {}

/// A stream of bytes to a service. Shut it down to say that nothing more comes; drop it to break it off.
pub struct Stream(Kind);

enum Kind {
    Line(Box<OnLine>),
    Other(Box<dyn Carrier>),
}

/// A stream that began on a line, and may have left it.
struct OnLine {
    shared: Arc<Shared>,
    id: StreamId,
    side: Side,
    is_plain_allowed: bool,
    placement: Placement,
    look_at: u64,
    /// The connection that it has for itself.
    own: Option<Dedicated>,
    /// What ends it with its line while it has one.
    tie: Option<Tie>,
    is_read_there: bool,
    is_written_there: bool,
    is_read_over: bool,
    is_write_over: bool,
    /// Whether the line knows nothing of it any more.
    is_forgotten: bool,
    sent: u64,
    received: u64,
    pace: Option<Pace>,
    at_end: Option<AtEnd>,
}

/// What is done when a stream is let go of: with the bytes into it, those out of it, and whether both ways came to
/// their end.
type AtEnd = Box<dyn FnOnce(u64, u64, bool) + Send>;

impl Stream {
    /// A stream over something else that carries bytes.
    pub fn over(carrier: impl Carrier) -> Self {
        Self(Kind::Other(Box::new(carrier)))
    }

    pub(crate) fn of_line(shared: Arc<Shared>, id: StreamId, is_plain_allowed: bool) -> Self {
        let side = shared.lock().mux.side();
        Self(Kind::Line(Box::new(OnLine {
            shared,
            id,
            side,
            is_plain_allowed,
            placement: Placement::default(),
            look_at: 0,
            own: None,
            tie: None,
            is_read_there: false,
            is_written_there: false,
            is_read_over: false,
            is_write_over: false,
            is_forgotten: false,
            sent: 0,
            received: 0,
            pace: None,
            at_end: None,
        })))
    }

    /// Does this when the stream is let go of: with the bytes into it, those out of it, and whether both ways came to
    /// their end.
    #[must_use]
    pub fn at_end(mut self, what: impl FnOnce(u64, u64, bool) + Send + 'static) -> Self {
        if let Kind::Line(on_line) = &mut self.0 {
            on_line.at_end = Some(Box::new(what));
        }
        self
    }

    /// Whether it may leave TLS when it is bulk. Unless this is said, it may not.
    #[must_use]
    pub fn may_be_plain(mut self, is_plain_allowed: bool) -> Self {
        if let Kind::Line(on_line) = &mut self.0 {
            on_line.is_plain_allowed = is_plain_allowed;
        }
        self
    }

    /// Goes no faster than this bucket, which it may share, allows.
    #[must_use]
    pub fn at_pace(mut self, bucket: Arc<Mutex<Bucket>>) -> Self {
        if let Kind::Line(on_line) = &mut self.0 {
            on_line.pace = Some(Pace::new(bucket));
        }
        self
    }

    /// Carried beside the stream, over the connection that was taken out of it.
    pub(crate) fn add(&mut self, spliced: Spliced) {
        if let Kind::Line(on_line) = &mut self.0 {
            on_line.sent += spliced.sent;
            on_line.received += spliced.received;
            on_line.is_write_over = spliced.is_sent_whole;
            on_line.is_read_over = spliced.is_received_whole;
        }
    }

    /// Its number on its line, if it has one.
    pub fn id(&self) -> Option<StreamId> {
        match &self.0 {
            Kind::Line(on_line) => Some(on_line.id),
            Kind::Other(_) => None,
        }
    }

    /// Whether it has a connection of its own.
    pub fn has_own_connection(&self) -> bool {
        match &self.0 {
            Kind::Line(on_line) => on_line.own.is_some(),
            Kind::Other(_) => false,
        }
    }

    /// The bare connection that it has for itself both ways, if that is all it is, the bucket it shares, and what ties
    /// it to its line. The stream is of no use after.
    pub(crate) fn take_bare(&mut self) -> Option<Bare> {
        let Kind::Line(on_line) = &mut self.0 else { return None };
        let is_all_there = on_line.is_read_there && on_line.is_written_there;
        let is_used = on_line.is_read_over || on_line.is_write_over;
        if !is_all_there || is_used || !on_line.own.as_ref().is_some_and(Dedicated::is_plain) {
            return None;
        }
        match (on_line.own.take(), on_line.tie.take()) {
            (Some(Dedicated::Plain(tcp)), Some(tie)) => {
                Some(Bare { tcp, bucket: on_line.pace.as_ref().map(Pace::bucket), tie })
            }
            (Some(Dedicated::Plain(_) | Dedicated::Tls(_)) | None, _) => None,
        }
    }
}

/// A bare connection that a stream had for itself.
pub(crate) struct Bare {
    pub(crate) tcp: TcpStream,
    /// The bucket that its bytes are drawn from.
    pub(crate) bucket: Option<Arc<Mutex<Bucket>>>,
    pub(crate) tie: Tie,
}

fn broken_off(code: Code) -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionReset, code)
}

impl OnLine {
    /// Moves to a connection of its own, if it is bulk and one waits; else asks for one.
    fn consider(&mut self) {
        let is_mover = self.side == Side::Relay && self.own.is_none() && !self.is_write_over;
        if !is_mover || !self.placement.is_bulk() || self.sent + self.received < self.look_at {
            return;
        }
        self.look_at = self.sent + self.received + LOOK_EVERY;
        let (chosen, wanted) = self.shared.spares.choose(self.is_plain_allowed);
        if wanted > 0 {
            self.ask(wanted);
        }
        if let Some((id, dedicated)) = chosen {
            self.shared.with(|state| state.mux.move_to(self.id, id));
            self.has(dedicated);
            self.is_written_there = true;
            self.forget_if_over();
        }
    }

    fn has(&mut self, own: Dedicated) {
        own.look_after();
        self.own = Some(own);
        self.tie = Some(Tie::new(&self.shared.own));
    }

    /// Whether its line is over, and with it the connection that it has for itself.
    fn check_tie(&mut self, cx: &mut Context<'_>, is_writer: bool) -> io::Result<()> {
        match self.tie.as_mut().is_some_and(|tie| tie.is_cut(cx, is_writer)) {
            true => Err(io::ErrorKind::ConnectionAborted.into()),
            false => Ok(()),
        }
    }

    fn ask(&self, wanted: usize) {
        let ticket = || {
            let mut bytes = [0; Ticket::BYTES];
            getrandom::fill(&mut bytes).ok().map(|()| Ticket::from_bytes(bytes))
        };
        let tickets: Vec<_> = (0..wanted).map_while(|_| ticket()).collect();
        let is_plain = self.is_plain_allowed;
        self.shared.spares.ask(&tickets, is_plain, now());
        self.shared.with(|state| state.mux.say(&Frame::Spare { is_plain, tickets }));
    }

    /// What comes from here on comes on the connection of this ticket.
    fn follow(&mut self, ticket: TicketId) -> io::Result<()> {
        if self.own.is_none() {
            let own = self.shared.spares.take(ticket);
            // Whether bytes may go in the open is not for the other side to say.
            let own = own.filter(|own| self.is_plain_allowed || !own.is_plain());
            self.has(own.ok_or_else(|| broken_off(Code::Other))?);
            if !self.is_write_over {
                self.shared.with(|state| state.mux.move_to(self.id, ticket));
                self.is_written_there = true;
            }
        }
        self.is_read_there = true;
        self.forget_if_over();
        Ok(())
    }

    /// Once both directions are over or elsewhere, the line need not know of it.
    fn forget_if_over(&mut self) {
        let is_over = (self.is_read_there || self.is_read_over)
            && (self.is_written_there || self.is_write_over);
        if is_over {
            self.forget();
        }
    }

    fn forget(&mut self) {
        if !std::mem::replace(&mut self.is_forgotten, true) {
            let seat = self.shared.with(|state| {
                state.mux.forget(self.id);
                state.seats.remove(&self.id)
            });
            // Who waits for room on the line may find it elsewhere.
            if let Some(seat) = seat {
                [seat.reader, seat.writer].into_iter().flatten().for_each(Waker::wake);
            }
        }
    }

    fn received(&mut self, many: usize) {
        self.received += many as u64;
        self.stir();
        self.placement.on_down(many as u64);
        self.draw(many);
    }

    fn sent(&mut self, many: usize) {
        self.sent += many as u64;
        self.stir();
        self.placement.on_up(many as u64);
        self.draw(many);
    }

    fn stir(&self) {
        if let Some(tie) = &self.tie {
            tie.stir();
        }
    }

    fn draw(&mut self, many: usize) {
        if let Some(pace) = &mut self.pace {
            pace.draw(many as u64);
        }
    }

    /// Waits until its pace allows more.
    fn poll_pace(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match &mut self.pace {
            Some(pace) => pace.poll(cx),
            None => Poll::Ready(()),
        }
    }

    fn poll_read(&mut self, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.is_read_over {
            return Poll::Ready(Ok(()));
        }
        ready!(self.poll_pace(cx));
        match self.is_read_there {
            true => self.poll_read_own(cx, into),
            false => self.poll_read_line(cx, into),
        }
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        ready!(self.poll_pace(cx));
        match self.is_written_there {
            true => self.poll_write_own(cx, bytes),
            false => self.poll_write_line(cx, bytes),
        }
    }

    fn poll_read_line(
        &mut self,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let room = into.initialize_unfilled();
        if room.is_empty() {
            return Poll::Ready(Ok(()));
        }
        let read = self.shared.with(|state| {
            let read = state.mux.read(self.id, room);
            if read != Read::Wait {
                return Some(read);
            }
            let seat = state.seats.get_mut(&self.id)?;
            seat.reader = Some(cx.waker().clone());
            Some(read)
        });
        match read {
            Some(Read::Bytes(many)) => {
                into.advance(many);
                self.received(many);
                self.consider();
                Poll::Ready(Ok(()))
            }
            Some(Read::Wait) => Poll::Pending,
            Some(Read::End) => {
                self.is_read_over = true;
                self.forget_if_over();
                Poll::Ready(Ok(()))
            }
            Some(Read::Elsewhere(ticket)) => {
                self.follow(ticket)?;
                self.poll_read_own(cx, into)
            }
            Some(Read::Broken(code)) => Poll::Ready(Err(broken_off(code))),
            None => Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into())),
        }
    }

    fn poll_read_own(
        &mut self,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.check_tie(cx, false)?;
        let before = into.filled().len();
        let read = match &mut self.own {
            Some(Dedicated::Tls(tls)) => Pin::new(tls).poll_read(cx, into),
            Some(Dedicated::Plain(tcp)) => Pin::new(tcp).poll_read(cx, into),
            None => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        };
        if let Poll::Ready(Ok(())) = read {
            let many = into.filled().len() - before;
            self.is_read_over |= many == 0;
            self.received(many);
        }
        read
    }

    fn poll_write_line(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let sent = self.shared.with(|state| {
            let sent = state.mux.send(self.id, bytes);
            if sent != Ok(0) || bytes.is_empty() {
                return Some(sent);
            }
            let seat = state.seats.get_mut(&self.id)?;
            seat.writer = Some(cx.waker().clone());
            Some(sent)
        });
        match sent {
            Some(Ok(0)) if !bytes.is_empty() => Poll::Pending,
            Some(Ok(many)) => {
                self.sent(many);
                self.consider();
                Poll::Ready(Ok(many))
            }
            Some(Err(Gone::Stream(code))) => Poll::Ready(Err(broken_off(code))),
            Some(Err(Gone::Ended | Gone::Full | Gone::Exhausted)) => {
                Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()))
            }
            None => Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into())),
        }
    }

    fn poll_write_own(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.check_tie(cx, true)?;
        let written = match &mut self.own {
            Some(Dedicated::Tls(tls)) => Pin::new(tls).poll_write(cx, bytes),
            Some(Dedicated::Plain(tcp)) => Pin::new(tcp).poll_write(cx, bytes),
            None => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        };
        if let Poll::Ready(Ok(many)) = &written {
            self.sent(*many);
        }
        written
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.own {
            Some(Dedicated::Tls(tls)) if self.is_written_there => Pin::new(tls).poll_flush(cx),
            // What goes over the line goes as soon as it can.
            Some(Dedicated::Tls(_) | Dedicated::Plain(_)) | None => Poll::Ready(Ok(())),
        }
    }

    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.is_written_there {
            self.check_tie(cx, true)?;
            let shut = match &mut self.own {
                Some(Dedicated::Tls(tls)) => Pin::new(tls).poll_shutdown(cx),
                Some(Dedicated::Plain(tcp)) => Pin::new(tcp).poll_shutdown(cx),
                None => Poll::Ready(Ok(())),
            };
            self.is_write_over |= shut.is_ready();
            return shut;
        }
        self.shared.with(|state| state.mux.finish(self.id));
        self.is_write_over = true;
        self.forget_if_over();
        Poll::Ready(Ok(()))
    }
}

impl Drop for OnLine {
    fn drop(&mut self) {
        self.forget();
        let is_whole = self.is_read_over && self.is_write_over;
        if let Some(at_end) = self.at_end.take() {
            at_end(self.sent, self.received, is_whole);
        }
        if let Some(Dedicated::Plain(tcp)) = &self.own
            && !self.is_write_over
        {
            // Else what was broken off would look like an end.
            let _ = tcp.set_zero_linger();
        }
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Stream")
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut self.0 {
            Kind::Line(on_line) => on_line.poll_read(cx, into),
            Kind::Other(carrier) => Pin::new(&mut **carrier).poll_read(cx, into),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.0 {
            Kind::Line(on_line) => on_line.poll_write(cx, bytes),
            Kind::Other(carrier) => Pin::new(&mut **carrier).poll_write(cx, bytes),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.0 {
            Kind::Line(on_line) => on_line.poll_flush(cx),
            Kind::Other(carrier) => Pin::new(&mut **carrier).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.0 {
            Kind::Line(on_line) if on_line.is_write_over => Poll::Ready(Ok(())),
            Kind::Line(on_line) => on_line.poll_shutdown(cx),
            Kind::Other(carrier) => Pin::new(&mut **carrier).poll_shutdown(cx),
        }
    }
}
