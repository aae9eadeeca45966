//! Where things end at a relay, and why there. The doors have limits of their own.

use std::time::Duration;

/// How long a connection may take to greet: on any path that is of use, handshakes take less.
pub(crate) const GREET_WITHIN: Duration = Duration::from_secs(10);
/// How long a node may take to take a stream. After that it is taken to be cut off, and its visitor may go to the other
/// relay.
pub(crate) const OPEN_WITHIN: Duration = Duration::from_secs(3);
/// Connections that have not greeted yet, of all nodes together.
pub(crate) const GREETING_MAX: usize = 1_024;
/// Services of one line.
pub(crate) const SERVICES_MAX: usize = 256;
/// Serving and withdrawing that one line asked for and that is not done: all its services, several times over.
pub(crate) const ASKED_MAX: usize = 1_024;
/// Lines of one key. A machine has one, and for a moment two; a person may forward from several terminals.
pub(crate) const LINES_PER_KEY_MAX: usize = 4;
/// Lines of one account: every machine of a large supplier has one for each node that it rents out.
pub(crate) const LINES_PER_ACCOUNT_MAX: usize = 4_096;
/// Of an account's streams the visitors by UDP have one in so many: where they come from may be a lie.
pub(crate) const FLOWS_PART: u32 = 4;
/// Connections that have not greeted yet, of one address (of IPv6, one /64).
pub(crate) const GREETING_PER_ADDRESS_MAX: usize = 128;
/// How long a dedicated connection without TLS may take to show its ticket, which is there with its first bytes.
pub(crate) const TICKET_WITHIN: Duration = Duration::from_secs(3);
/// How long a node may take to hear why its line ends.
pub(crate) const FAREWELL_WITHIN: Duration = Duration::from_secs(2);
/// How often it is looked whether a pass has expired: the system's clock may have been set.
pub(crate) const PASS_LOOK_EVERY: Duration = Duration::from_secs(60);
/// Lines of one relay, unless its owner says otherwise.
pub(crate) const LINES_MAX: usize = 20_000;
/// After its pass has expired, a node has so long to show a new one before its line ends.
pub(crate) const PASS_GRACE: Duration = Duration::from_secs(60);
/// How long what is open may take to end when a relay goes away.
pub(crate) const DRAIN: Duration = Duration::from_secs(30);
/// How long it waits at its end for threads that are busy.
pub(crate) const END: Duration = Duration::from_secs(5);
/// How often it looks whether nothing is open any more.
pub(crate) const LOOK_EVERY: Duration = Duration::from_millis(200);
