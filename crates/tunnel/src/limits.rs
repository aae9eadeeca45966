//! Where everything ends, and why there.

use std::time::Duration;

/// The longest name of a service: a label of a host name (RFC 1035, 2.3.4).
pub const NAME_MAX: usize = 63;
/// The longest payload of a frame: with its head and a TLS record's own byte it fits a record of 16 KiB.
pub const PAYLOAD_MAX: usize = 16_376;
/// The longest payload of a frame that is neither data nor a greeting.
pub const WORDS_MAX: usize = 4_608;
/// The longest pass, as bytes: one of 12 KiB, and its seal.
pub const PASS_MAX: usize = 12_544;
/// The longest text of a refusal, or of a visitor's subject.
pub const TEXT_MAX: usize = 200;
/// The longest policy of a service: fifteen keys of nodes, or thirty accounts.
pub const POLICY_MAX: usize = 1_024;
/// The longest host name (RFC 1035, 2.3.4).
pub const HOST_MAX: usize = 253;
/// Host names or ports of one service.
pub const PLACES_MAX: usize = 16;
/// The longest signal between two nodes.
pub const SIGNAL_MAX: usize = 1_024;
/// Tickets for dedicated connections in one frame.
pub const TICKETS_MAX: usize = 16;

/// What either side may send of a stream before it hears of it: most requests fit, and 10,000 such streams that
/// nobody reads take 640 MiB.
pub const WINDOW_FIRST: u32 = 64 << 10;
/// What either side may send of a stream that is read as fast as it comes: 100 Mbit/s over 80 ms.
pub const WINDOW_MAX: u32 = 1 << 20;
/// By how much the windows of a line's streams may have grown together.
pub const WINDOWS_GROWN_MAX: u32 = 16 << 20;
/// What a stream holds that has not gone out. More would only wait here instead of with who writes it.
pub const UNSENT_MAX: usize = 64 << 10;
/// What a line holds of answers that the other side does not take. Beyond, it is flooding us.
pub const ANSWERS_MAX: usize = 256 << 10;
/// Streams of one line, unless its pass says less.
pub const STREAMS_MAX: u32 = 4_096;
/// Signals and packets of one line that have not gone out, in bytes: some ninety packets as long as paths carry.
pub const SIGNALS_HELD_MAX: usize = 128 << 10;

/// After this long without a word a node says one: mappings of NATs and of carriers last 30 seconds and more.
pub const QUIET_NODE: Duration = Duration::from_secs(25);
/// After this long without a word a relay asks: a node speaks sooner.
pub const QUIET_RELAY: Duration = Duration::from_secs(35);
/// An answer to a question takes no longer on any path that is of use.
pub const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// After so long without a word while streams move, a side asks: then something is on its way, and its loss is noticed.
pub const PROBE_AFTER: Duration = Duration::from_millis(150);
/// What was sent may stay unacknowledged by the other system for so long before its path counts as cut, on short paths.
///
/// Linux counts from the first time that it sends again, 200 ms later; TCP has sent three times by then. With
/// [`PROBE_AFTER`] it is less than a second.
pub const PATIENCE_MIN: Duration = Duration::from_millis(500);
/// The same while it is not known how long the path is.
pub const PATIENCE_UNKNOWN: Duration = Duration::from_secs(3);

/// What a stream carries one way before a connection of its own is worth it: a move costs about as much processor time
/// as the mux spends on this much more than a dedicated connection does.
pub const BULK_AFTER: u64 = 256 << 10;

const _: () = assert!(WINDOW_FIRST <= WINDOW_MAX && WINDOW_MAX <= WINDOWS_GROWN_MAX);
const _: () = assert!(PROBE_AFTER.as_millis() + PATIENCE_MIN.as_millis() < 1_000);
const _: () = assert!(WORDS_MAX <= PAYLOAD_MAX && PASS_MAX + TEXT_MAX < PAYLOAD_MAX);
const _: () = assert!(QUIET_NODE.as_secs() + ANSWER_WITHIN.as_secs() <= QUIET_RELAY.as_secs());
