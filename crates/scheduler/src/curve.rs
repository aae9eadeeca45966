//! What an order costs at every nearness it can be had at, and in every shape that has as many GPUs.

use std::collections::BTreeSet;

use units::{Credits, Resources};

use crate::inventory::Inventory;
use crate::limits::{NEAR_RTTS_MICROS, NODES_PER_ORDER_MAX, SITE_RTT_MICROS};
use crate::machine::Machine;
use crate::matcher::Placement;
use crate::order::{Near, Order};

/// One way to have an order: a whole placement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alternative {
    /// The order that is placed so: it differs in its nodes, what each has, and how near they are.
    pub order: Order,
    /// Where its nodes go.
    pub placement: Placement,
    /// What an hour of all of them costs.
    pub hour: Credits,
    /// The longest round trip that two of them may have, in microseconds; `None` when that is not known.
    pub span_micros: Option<u32>,
    /// How many suppliers they have between them.
    pub suppliers: u32,
}

impl Alternative {
    fn new(inventory: &Inventory, order: Order) -> Option<Self> {
        let placement = inventory.find(&order)?;
        let hours = placement.seats.iter().map(|seat| u128::from(seat.node_hour.units()));
        let hour = Credits::from_units(u64::try_from(hours.sum::<u128>()).unwrap_or(u64::MAX));
        let workers: BTreeSet<_> = placement.seats.iter().map(|seat| seat.worker).collect();
        let machines: Vec<_> =
            workers.iter().filter_map(|worker| inventory.machine(*worker)).collect();
        let suppliers: BTreeSet<_> = machines.iter().map(|machine| machine.supplier).collect();
        let suppliers = u32::try_from(suppliers.len()).expect("at most one for each node");
        let span_micros = span(&machines, order.near);
        Some(Self { order, placement, hour, span_micros, suppliers })
    }

    /// Whether the other costs no more and is as near, and is better in one of them. What is not known is farthest.
    fn is_dominated_by(&self, other: &Self) -> bool {
        let far = |it: &Self| it.span_micros.unwrap_or(u32::MAX);
        let (mine, others) = ((self.hour, far(self)), (other.hour, far(other)));
        others.0 <= mine.0 && others.1 <= mine.1 && mine != others
    }
}

/// The longest round trip that two of these machines may have; what the order asked for is known without a look.
fn span(machines: &[&Machine], near: Near) -> Option<u32> {
    let asked = match near {
        Near::Site => Some(SITE_RTT_MICROS),
        Near::Within(micros) => Some(micros),
        Near::Country | Near::Anywhere => None,
    };
    let mut span = Some(0);
    for (at, one) in machines.iter().enumerate() {
        for other in &machines[at + 1..] {
            span = span.zip(one.rtt_upper(other)).map(|(longest, rtt)| rtt.max(longest));
            if span.is_none() {
                return asked;
            }
        }
    }
    span
}

impl Inventory {
    /// The order at every nearness that it can be had at, and as near as it asks in other shapes of the same GPUs
    /// (half as many nodes twice as large, and so on, down to one GPU a node), nearest first. The order itself is
    /// always among them when it can be placed; of the others those are left out that cost more than another and are
    /// no nearer.
    pub fn curve(&self, order: &Order) -> Vec<Alternative> {
        let mut found: Vec<Alternative> = Vec::new();
        // From the widest: where that is placed nowhere, nothing nearer is.
        for near in nears(order.near).into_iter().rev() {
            let alternative = Alternative::new(self, Order { near, ..order.clone() });
            if alternative.is_none() && near == Near::Anywhere {
                break;
            }
            found.extend(alternative);
        }
        let shapes = shapes(order).into_iter();
        found.extend(shapes.filter_map(|shaped| Alternative::new(self, shaped)));
        let kept = |it: &Alternative| {
            it.order == *order || !found.iter().any(|other| it.is_dominated_by(other))
        };
        let mut kept: Vec<_> = found.iter().filter(|it| kept(it)).cloned().collect();
        let far = |it: &Alternative| it.span_micros.unwrap_or(u32::MAX);
        kept.sort_by_key(|it| {
            (far(it), it.hour, it.order.nodes, it.order != *order, it.order.near)
        });
        kept.dedup_by(|later, first| later.order != *order && is_same(later, first));
        kept
    }
}

/// Whether two cost the same, are as near and have the same shape: the first is told, which is the order itself where
/// it is one of them.
fn is_same(one: &Alternative, other: &Alternative) -> bool {
    (one.hour, one.span_micros, one.order.nodes)
        == (other.hour, other.span_micros, other.order.nodes)
}

/// Every nearness that is tried, nearest first.
fn nears(asked: Near) -> BTreeSet<Near> {
    let within = NEAR_RTTS_MICROS.iter().copied().map(Near::Within);
    within.chain([asked, Near::Site, Near::Country, Near::Anywhere]).collect()
}

/// The order in every other shape that has as many GPUs, from the largest nodes down to one GPU a node.
fn shapes(order: &Order) -> Vec<Order> {
    let mut all = Vec::new();
    let mut larger = order.clone();
    while let Some(next) = reshaped(&larger, true) {
        all.push(next.clone());
        larger = next;
    }
    let mut smaller = order.clone();
    while let Some(next) = reshaped(&smaller, false) {
        all.push(next.clone());
        smaller = next;
    }
    all
}

/// Half as many nodes twice as large, or twice as many half as large; `None` where the parts would not be whole, or
/// no machine is so large.
fn reshaped(order: &Order, larger: bool) -> Option<Order> {
    let each = &order.each;
    let max = order.filters.node_hour_max;
    let mut next = order.clone();
    if larger {
        if order.nodes < 2 || !order.nodes.is_multiple_of(2) || each.gpus == 0 {
            return None;
        }
        next.nodes = order.nodes / 2;
        next.each = Resources {
            gpus: each
                .gpus
                .checked_mul(2)
                .filter(|gpus| *gpus <= crate::limits::GPUS_PER_MACHINE_MAX)?,
            vcpus: each.vcpus.checked_mul(2)?,
            memory_mib: each.memory_mib.checked_mul(2)?,
            disk_mib: each.disk_mib.checked_mul(2)?,
        };
        next.filters.node_hour_max = max.map(|max| max.checked_times(2).unwrap_or(max));
    } else {
        if each.gpus < 2 || !each.gpus.is_multiple_of(2) || order.nodes > NODES_PER_ORDER_MAX / 2 {
            return None;
        }
        next.nodes = order.nodes * 2;
        // What cannot be halved is rounded up: nobody gets less than the whole had.
        next.each = Resources {
            gpus: each.gpus / 2,
            vcpus: each.vcpus.div_ceil(2),
            memory_mib: each.memory_mib.div_ceil(2),
            disk_mib: each.disk_mib.div_ceil(2),
        };
        next.filters.node_hour_max = max.map(|max| Credits::from_units(max.units() / 2));
    }
    Some(next)
}
