//! Every limit of a pass over the orders that wait, and why it is what it is.

/// Searches for room in one pass: a search of a full market of 100,000 machines takes some tens of microseconds, and a
/// pass a few milliseconds at most. Orders that ask for the same are searched for once.
pub const SEARCHES_PER_PASS_MAX: usize = 128;
/// Orders of one pass for which it is worked out when they could start: each costs as much as some dozen searches.
pub const FORECASTS_PER_PASS_MAX: usize = 8;
/// Ends of what runs that are looked at for one forecast, soonest first.
pub const ENDS_LOOKED_AT_MAX: usize = 8_192;
/// Of those, ends that an order could use and that are played through. An order of the most nodes there can be needs
/// as many ends if each gives back one node.
pub const ENDS_PLAYED_MAX: usize = 1_024;

const _: () = assert!(
    ENDS_PLAYED_MAX >= crate::limits::NODES_PER_ORDER_MAX as usize,
    "the largest order can be told when it starts"
);
