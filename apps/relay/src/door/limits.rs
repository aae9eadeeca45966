//! Where everything that a visitor can make a relay do ends, and why there.

use std::time::Duration;

/// What one relay allows its visitors, whoever they are and wherever they go. What the services of an account may carry
/// stands in its pass. The defaults suit a relay of two cores.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DoorLimits {
    /// From the first moment of a connection until it is known what it is, and then for the handshake of TLS. A phone
    /// on a bad line needs three seconds; whoever needs more than this holds a place and says nothing.
    pub opening_time: Duration,
    /// For an SSH login: a person may have to type a passphrase, or to touch a key.
    pub login_time: Duration,
    /// For the whole head of a request, and for the first one to begin.
    pub head_time: Duration,
    /// The largest head of a request. Cookies of notebooks reach 8 KiB, and servers behind us stop at 16 to 64.
    pub head_bytes: usize,
    /// For a service to say that it takes a connection to itself as something else (a WebSocket).
    pub answer_time: Duration,
    /// A connection on which no byte moved for this long, either way, is closed.
    pub quiet_time: Duration,
    /// Connections of visitors at once, all together.
    pub connections: usize,
    /// Connections at once from one address; of IPv6, from one /64.
    pub connections_per_address: usize,
    /// Channels of one SSH connection at once.
    pub ssh_channels: usize,
    /// Visitors (address and port) of one leased UDP port at once.
    pub udp_flows: usize,
    /// The same of all UDP ports together. They take no places of other visitors.
    pub udp_flows_all: usize,
    /// A visitor of a UDP port from whom and to whom nothing came for this long is forgotten. Two minutes are what
    /// RFC 4787 (REQ-5) asks of NATs.
    pub udp_quiet_time: Duration,
    /// How often a certificate given as a file is looked at.
    pub certificate_every: Duration,
}

impl Default for DoorLimits {
    fn default() -> Self {
        Self {
            opening_time: Duration::from_secs(10),
            login_time: Duration::from_mins(1),
            head_time: Duration::from_secs(10),
            head_bytes: 32 * 1024,
            answer_time: Duration::from_secs(60),
            quiet_time: Duration::from_hours(1),
            connections: 20_000,
            connections_per_address: 256,
            ssh_channels: 16,
            udp_flows: 1_024,
            udp_flows_all: 8_192,
            udp_quiet_time: Duration::from_mins(2),
            certificate_every: Duration::from_secs(10),
        }
    }
}

/// The longest `ClientHello`: RFC 8446 allows a record of 16 KiB, and with keys of quantum-safe exchanges 2 KiB
/// are usual.
pub(crate) const HELLO_BYTES: usize = 16 * 1024 + 5;
/// How much is read at once.
pub(crate) const CHUNK_BYTES: usize = 16 * 1024;
/// Headers of one request.
pub(crate) const HEADERS: usize = 100;
/// The size line of a chunk of a request's body, with its extensions.
pub(crate) const CHUNK_LINE_BYTES: usize = 1_024;
/// The longest token that is looked at: a pass with a hundred rentals, in base 64, fits.
pub(crate) const TOKEN_BYTES: usize = 20 * 1024;
/// A visitor who showed a token once is let in by a cookie for this long at most.
pub(crate) const COOKIE_TIME: Duration = Duration::from_hours(12);
/// Certificates that a relay makes itself and keeps, for names under a name; past that it forgets all.
pub(crate) const CERTIFICATES_MADE: usize = 256;
/// Datagrams of one visitor that wait for the node. More are dropped, as a full router would.
pub(crate) const DATAGRAMS_WAITING: usize = 64;
/// Their bytes: as many of the longest that are usual.
pub(crate) const DATAGRAM_BYTES_WAITING: usize = 128 * 1024;
/// The same of all visitors of one port.
pub(crate) const DATAGRAM_BYTES_WAITING_ALL: usize = 4 * 1024 * 1024;
/// A visitor of a UDP port whom nothing answers is forgotten after this: its address may not be where it comes from.
pub(crate) const UNANSWERED_TIME: Duration = Duration::from_secs(10);
/// How long a port that was leased is kept for the service that had it: who has its address in a file comes back to no
/// other.
pub(crate) const PORT_KEPT: Duration = Duration::from_hours(6);
/// Ports of one account: this many in any case, or a part of all.
pub(crate) const PORTS_PER_ACCOUNT_MIN: usize = 16;
/// Which part: one in so many.
pub(crate) const PORTS_PER_ACCOUNT_PART: usize = 4;
/// When a connection goes on to another service, what the one before still says is heard until it says nothing for so
/// long.
pub(crate) const ANSWER_QUIET: Duration = Duration::from_secs(10);
/// What is read and thrown away after an answer that ends a connection, so that the answer is not lost to a reset.
pub(crate) const LINGER_BYTES: usize = 256 * 1024;
/// For how long.
pub(crate) const LINGER_TIME: Duration = Duration::from_secs(2);
/// After a failed accept (no file descriptors left), so that the loop does not spin.
pub(crate) const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

const _: () = assert!(HELLO_BYTES > CHUNK_BYTES, "a whole record and its head fit");
