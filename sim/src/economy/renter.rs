//! Renters: who wants what for how long.

use std::collections::BTreeSet;

use control::{FiltersRecord, OrderRecord};
use units::{AccountId, Credits, Resources};

use super::season;
use super::supplier::Class;
use crate::dice::Dice;

/// Cards of each class that are wanted in the first year at the usual price; processors for the last.
const USUAL: [u64; 3] = [30, 16, 4];
/// The part of it that is wanted by day alone, in thousandths.
const SHORT: u64 = 200;
/// The part of it that has time and bids for what is left over, in thousandths; nobody bids for processors.
const SPOT: u64 = 150;
/// What an hour of a card is worth to those who bid, from the least to the most, in thousandths of its usual price.
const WORTH: (u64, u64) = (250, 1_000);
/// The most that they bid, in thousandths of what it costs on demand: for more they would be sure of it.
const BID_MAX: u64 = 950;
/// How far price moves demand: at half the usual price so much is wanted, at twice so much, in thousandths.
const RESPONSE: (u64, u64) = (1_600, 500);

/// How something is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Manner {
    /// On demand, for days and weeks.
    Long,
    /// On demand, for hours, by day.
    Short,
    /// Whenever it is cheap, until somebody pays more.
    Spot,
}

impl Manner {
    pub(super) const ALL: [Self; 3] = [Self::Long, Self::Short, Self::Spot];
}

/// One thing that somebody wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wish {
    pub(super) class: Class,
    pub(super) manner: Manner,
    pub(super) parts: u32,
    pub(super) hours: u32,
    /// What is bid for an hour of a card, in millionths of a dollar.
    pub(super) bid: Option<u64>,
}

/// How many parts are wanted of a class at an hour, by manner. Price moves what is wanted on demand; those who bid
/// move with what they bid.
pub(super) fn wanted(class: Class, hour: u64, price_permille: u64) -> [u64; 3] {
    let response = (1_000_000 / price_permille.max(1)).clamp(RESPONSE.1, RESPONSE.0);
    // In thousandths of a part, until the end.
    let usual = USUAL[class.index()] * season::growth(hour);
    let spot = if class.model().is_some() { usual * SPOT / 1_000 } else { 0 };
    let all = usual * response / 1_000;
    let (short, spot_by_price) = (all * SHORT / 1_000, spot * response / 1_000);
    [(all - short - spot_by_price) / 1_000, short * season::daily(hour) / 1_000_000, spot / 1_000]
}

/// What somebody bids for a card that costs so much now and usually.
pub(super) fn bid((price, usual): (u64, u64), dice: &mut Dice) -> u64 {
    let worth = usual * dice.between(WORTH.0, WORTH.1) / 1_000;
    worth.min(price * BID_MAX / 1_000)
}

/// A wish for at most so many parts.
pub(super) fn wish(class: Class, manner: Manner, most: u64, dice: &mut Dice) -> Option<Wish> {
    let parts: &[u32] = match (class, manner) {
        (Class::Enterprise, Manner::Long) => &[8, 8, 4, 2],
        (Class::Enterprise, Manner::Short | Manner::Spot) => &[4, 2, 2, 1],
        (Class::Community, Manner::Long) => &[4, 4, 2],
        (Class::Community, Manner::Short | Manner::Spot) => &[2, 1, 1],
        (Class::Processor, Manner::Long | Manner::Short | Manner::Spot) => &[1],
    };
    let parts = *dice.pick(parts).filter(|parts| u64::from(**parts) <= most)?;
    let hours = match manner {
        Manner::Long => dice.between(72, 720),
        Manner::Short => dice.between(4, 12),
        Manner::Spot => dice.between(12, 96),
    };
    let hours = u32::try_from(hours).expect("at most a month");
    Some(Wish { class, manner, parts, hours, bid: None })
}

/// The wish as an order. Processors are asked of those who have nothing else.
pub(super) fn order(wish: &Wish, processors: &BTreeSet<AccountId>) -> OrderRecord {
    let class = wish.class;
    let gpu_model = class.model().map(|name| name.parse().expect("a short name"));
    let (gpus, vcpus) = if gpu_model.is_some() { (wish.parts, 4 * wish.parts) } else { (0, 14) };
    let each = Resources { gpus, vcpus, memory_mib: 8_192, disk_mib: 50_000 };
    let suppliers = if gpu_model.is_some() { BTreeSet::new() } else { processors.clone() };
    let filters = FiltersRecord { gpu_model, suppliers, ..FiltersRecord::default() };
    let spot = wish.bid.map(Credits::from_units);
    OrderRecord { nodes: 1, each, filters, spot, ..OrderRecord::default() }
}
