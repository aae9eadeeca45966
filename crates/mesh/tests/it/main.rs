//! The brain's stories and properties: two nodes in one process, a clock of their own, no network.

#![expect(
    clippy::cast_possible_truncation,
    reason = "lengths here are chosen below 64 KiB, and sums are folded"
)]

mod classify;
mod cover;
mod doors;
mod gathering;
mod guarding;
mod mapping;
mod marks;
mod names;
mod narrow;
mod pair;
mod relays;
mod rosters;
mod routing;
mod sessions;
mod shapes;
mod storms;
mod strangers;
mod superpackets;
mod tables;
mod terms;
mod warden;
mod ways;
mod weather;
mod world;
