//! How long papers may be, and how long they hold.

use std::time::Duration;

/// How far ahead of ours the clock of whoever signed may be. Nodes keep time by NTP; two minutes is a bad clock.
pub const CLOCK_SKEW_MAX: Duration = Duration::from_secs(120);

/// A record of a relay, in bytes: a dozen addresses fit many times.
pub const RELAY_BYTES_MAX: usize = 4 * 1024;
/// Addresses of each kind of one relay.
pub const RELAY_ADDRESSES_MAX: usize = 16;
/// A relay is measured anew every hour; a day bridges a control plane that is away.
pub const RELAY_VALID_MAX: Duration = Duration::from_secs(24 * 3600);
/// The best score.
pub const RELAY_SCORE_MAX: u16 = 1000;

/// A pass, in bytes: with its seal it fits one frame of a relay's connection, which has 16,376.
pub const PASS_BYTES_MAX: usize = 12 * 1024;
/// What is taken from somebody must end soon, because no relay asks whether a pass still holds.
pub const PASS_VALID_MAX: Duration = Duration::from_secs(3600);
/// Rentals or meshes that one pass names, of each kind: so many fit [`PASS_BYTES_MAX`].
pub const PASS_NAMES_MAX: usize = 100;
/// Labels of services that one pass names: a rental has 32, and one node some that every rental has. So many of 36
/// bytes fit [`PASS_BYTES_MAX`] beside full lists of the others.
pub const PASS_LABELS_MAX: usize = 40;

/// A membership, in bytes.
pub const MEMBERSHIP_BYTES_MAX: usize = 8 * 1024;
/// A rental outlives a control plane that is away for a day.
pub const MEMBERSHIP_VALID_MAX: Duration = Duration::from_secs(24 * 3600);
/// Groups and tags of one member, of each.
pub const LABELS_MAX: usize = 32;
/// A group's or tag's name, in bytes.
pub const LABEL_BYTES_MAX: usize = 64;
/// Relays that a member is reached through.
pub const MEMBER_RELAYS_MAX: usize = 8;

/// A policy for one node, in bytes.
pub const POLICY_BYTES_MAX: usize = 4 * 1024 * 1024;
/// As long as memberships: without the one, the other is worth nothing.
pub const POLICY_VALID_MAX: Duration = MEMBERSHIP_VALID_MAX;
/// Rules that concern one node.
pub const POLICY_RULES_MAX: usize = 4 * 1024;
/// Ranges of addresses and ports in all rules of one node.
pub const POLICY_RANGES_MAX: usize = 32 * 1024;

/// The greatest number that every reader of JSON takes for what it is.
pub const WHOLE_MAX: u64 = (1 << 53) - 1;
