//! Renters: who wants what for how long.

use std::collections::BTreeSet;

use control::{FiltersRecord, OrderRecord};
use units::{AccountId, Resources};

use super::season;
use super::supplier::Class;
use crate::dice::Dice;

/// Cards of each class that are wanted in the first year at the usual price; processors for the last.
const USUAL: [u64; 3] = [30, 16, 4];
/// The part of it that is wanted by day alone, in thousandths.
const SHORT: u64 = 200;
/// How far price moves demand: at half the usual price so much is wanted, at twice so much, in thousandths.
const RESPONSE: (u64, u64) = (1_600, 500);

/// One thing that somebody wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wish {
    pub(super) class: Class,
    pub(super) parts: u32,
    pub(super) hours: u32,
    pub(super) is_short: bool,
}

/// How many parts are wanted of a class at an hour, for long and for short.
pub(super) fn wanted(class: Class, hour: u64, price_permille: u64) -> [u64; 2] {
    let response = (1_000_000 / price_permille.max(1)).clamp(RESPONSE.1, RESPONSE.0);
    // In thousandths of a part, until the end.
    let all = USUAL[class.index()] * season::growth(hour) * response / 1_000;
    let short = all * SHORT / 1_000;
    [(all - short) / 1_000, short * season::daily(hour) / 1_000_000]
}

/// A wish for at most so many parts.
pub(super) fn wish(class: Class, is_short: bool, most: u64, dice: &mut Dice) -> Option<Wish> {
    let parts: &[u32] = match (class, is_short) {
        (Class::Enterprise, false) => &[8, 8, 4, 2],
        (Class::Enterprise, true) => &[4, 2, 2, 1],
        (Class::Community, false) => &[4, 4, 2],
        (Class::Community, true) => &[2, 1, 1],
        (Class::Processor, _) => &[1],
    };
    let parts = *dice.pick(parts).filter(|parts| u64::from(**parts) <= most)?;
    let hours = if is_short { dice.between(4, 12) } else { dice.between(72, 720) };
    let hours = u32::try_from(hours).expect("at most a month");
    Some(Wish { class, parts, hours, is_short })
}

/// The wish as an order. Processors are asked of those who have nothing else.
pub(super) fn order(wish: &Wish, processors: &BTreeSet<AccountId>) -> OrderRecord {
    let class = wish.class;
    let gpu_model = class.model().map(|name| name.parse().expect("a short name"));
    let (gpus, vcpus) = if gpu_model.is_some() { (wish.parts, 4 * wish.parts) } else { (0, 14) };
    let each = Resources { gpus, vcpus, memory_mib: 8_192, disk_mib: 50_000 };
    let suppliers = if gpu_model.is_some() { BTreeSet::new() } else { processors.clone() };
    let filters = FiltersRecord { gpu_model, suppliers, ..FiltersRecord::default() };
    OrderRecord { nodes: 1, each, filters, pack: false, spot: None }
}
