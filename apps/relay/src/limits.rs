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
/// Lines of one relay, unless its owner says otherwise.
pub(crate) const LINES_MAX: usize = 20_000;
/// After its pass has expired, a node has so long to show a new one before its line ends.
pub(crate) const PASS_GRACE: Duration = Duration::from_secs(60);
/// How long what is open may take to end when a relay goes away.
pub(crate) const DRAIN: Duration = Duration::from_secs(30);
/// How often it looks whether nothing is open any more.
pub(crate) const LOOK_EVERY: Duration = Duration::from_millis(200);
