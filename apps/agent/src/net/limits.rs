//! How long and how many, in the networks of nodes.

use std::time::Duration;

/// How long the control plane may hold a question for a node's network until there is news: it holds none longer than
/// half a minute.
pub(super) const NETWORK_WAIT: Duration = Duration::from_secs(25);
/// A question that brings no news is not asked again sooner than this.
pub(super) const NETWORK_EVERY_MIN: Duration = Duration::from_secs(1);
/// Other ways to peers are told no sooner than this after what was told last, so that a way that flaps costs little.
pub(super) const WAYS_EVERY_MIN: Duration = Duration::from_secs(2);
/// How often a node's network is tended: papers that end, relays, and what is to be told and written down.
pub(super) const TEND_EVERY: Duration = Duration::from_secs(1);
/// Sealed segments of one node's log that wait to be handed over, in bytes: what the control plane keeps of a rental.
pub(super) const AUDIT_BYTES_MAX: u64 = 64 << 20;
/// How often it is looked for segments to hand over. One is sealed after ten minutes at the latest.
pub(super) const HAND_OVER_EVERY: Duration = Duration::from_secs(15);
/// Relays of which a node tells where they are to its peers: as many as a membership names.
pub(super) const RELAYS_TOLD_MAX: usize = 8;
/// Services of one node: as many as the control plane keeps of a rental.
pub(super) const SERVICES_MAX: usize = 64;
/// How often it is tried again to hand over what is left of nodes that are gone.
pub(super) const CLEAR_EVERY: Duration = Duration::from_secs(600);
/// Records of streams that wait to be written down: more are counted, and left out.
pub(super) const RECORDS_WAIT_MAX: usize = 4_096;
/// Streams that a node takes at once, over all lines together. Each takes two files of the agent, which all rentals of
/// a machine share.
pub(super) const STREAMS_MAX: usize = 512;
/// How long an agent that stops waits for what is known of connections to be written down.
pub(super) const FAREWELL: Duration = Duration::from_secs(3);
/// How long a node's network that ends waits for threads that carry streams: their records go into the log before it is
/// sealed. Less than the time for all of it.
pub(super) const STREAMS_END: Duration = Duration::from_secs(1);
/// How often an agent that stops looks whether that is done.
pub(super) const NAP: Duration = Duration::from_millis(20);
