//! How connections are kept, as far as the system does it: whether the other end still lives, and how soon it shows.

use std::os::fd::AsFd;
use std::time::Duration;

use rustix::net::sockopt::{
    set_socket_keepalive, set_tcp_keepcnt, set_tcp_keepidle, set_tcp_keepintvl,
    set_tcp_user_timeout,
};
use tokio::io::DuplexStream;
use tokio::net::TcpStream;
use tokio_rustls::TlsStream;

use crate::awake::look_after;
use crate::peeked::Peeked;
use crate::stream::Carrier;

/// After this long without a byte the system asks whether the other end still lives,
const ASK_AFTER: Duration = Duration::from_secs(25);
/// and asks again as often,
const ASK_EVERY: Duration = Duration::from_secs(5);
/// and ends the connection when so many questions found no answer.
const ASK_TIMES: u32 = 4;

/// Finds out when the other end is gone without a word. What a system does not have is done without.
pub fn keep_alive(connection: &TcpStream) {
    let _ = set_tcp_keepidle(connection, ASK_AFTER);
    let _ = set_tcp_keepintvl(connection, ASK_EVERY);
    let _ = set_tcp_keepcnt(connection, ASK_TIMES);
    let _ = set_socket_keepalive(connection, true);
}

/// A connection that a line goes over.
pub trait Connection: Carrier {
    /// From now on the connection ends when what was sent stays unacknowledged for so long. It is the other system that
    /// acknowledges: a program that is slow to be scheduled does not end it.
    fn set_patience(&self, patience: Duration);

    /// Threads that stay awake look after it, too.
    fn look_after(&self);
}

impl Connection for TlsStream<Peeked> {
    fn set_patience(&self, patience: Duration) {
        let millis = u32::try_from(patience.as_millis()).unwrap_or(u32::MAX);
        let _ = set_tcp_user_timeout(tcp_of(self).as_fd(), millis);
    }

    fn look_after(&self) {
        look_after(tcp_of(self));
    }
}

/// What is below TLS.
pub(crate) fn tcp_of(tls: &TlsStream<Peeked>) -> &TcpStream {
    match tls {
        TlsStream::Client(tls) => tls.get_ref().0.tcp(),
        TlsStream::Server(tls) => tls.get_ref().0.tcp(),
    }
}

/// A pipe in memory is never cut.
impl Connection for DuplexStream {
    fn set_patience(&self, _: Duration) {}

    fn look_after(&self) {}
}
