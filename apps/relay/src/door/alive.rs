//! How a visitor's connection is kept, as far as the system does it.

use std::time::Duration;

use rustix::net::sockopt::{
    set_socket_keepalive, set_tcp_keepcnt, set_tcp_keepidle, set_tcp_keepintvl, set_tcp_nodelay,
};
use tokio::net::TcpStream;

/// After this long without a byte the system asks whether the visitor still lives,
const ASK_AFTER: Duration = Duration::from_mins(1);
/// and asks again as often,
const ASK_EVERY: Duration = Duration::from_secs(20);
/// and ends the connection when so many questions found no answer.
const ASK_TIMES: u32 = 6;

/// Sends small pieces at once, and finds out when the visitor is gone without a word. What a system does not have is
/// done without.
pub(crate) fn keep_alive(connection: &TcpStream) {
    let _ = set_tcp_nodelay(connection, true);
    let _ = set_tcp_keepidle(connection, ASK_AFTER);
    let _ = set_tcp_keepintvl(connection, ASK_EVERY);
    let _ = set_tcp_keepcnt(connection, ASK_TIMES);
    let _ = set_socket_keepalive(connection, true);
}
