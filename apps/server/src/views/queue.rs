//! Orders that wait.

use std::collections::BTreeMap;

use control::{Control, QueuedOrder, QueuedStage};
use units::OrderId;
use wire::{OrderView, Time};

use super::nouns::order;

/// An order as it stands, without its place: that changes with every order before it.
pub(crate) fn queued(queued: &QueuedOrder) -> OrderView {
    let (why, rental) = match &queued.stage {
        QueuedStage::Waiting { obstacle } => (Some(obstacle.to_string()), None),
        QueuedStage::Served { .. } => (None, Some(queued.rental())),
        QueuedStage::Lapsed { .. } | QueuedStage::Left { .. } => (None, None),
    };
    OrderView {
        id: queued.id,
        project: queued.project,
        name: queued.name.clone(),
        state: queued.stage.text().to_owned(),
        order: order(&queued.order),
        hours: queued.hours,
        pay: queued.pay,
        since: Time(queued.since),
        until: Time(queued.until),
        ended_at: queued.stage.ended_at().map(Time),
        rental,
        place: None,
        why,
        explanation: None,
        relaxations: Vec::new(),
        earliest_start: None,
    }
}

/// As [`queued`], with its place, what the matcher says of it now, and when it starts at the earliest.
pub(crate) fn queued_now(state: &Control, id: OrderId) -> Option<OrderView> {
    let known = state.queued(id)?;
    let mut view = queued(known);
    view.place = state.place_in_queue(id);
    view.earliest_start = state.earliest_start(id).map(Time);
    if let Some(explanation) = state.why_it_waits(id) {
        view.explanation = Some(explanation.to_string());
        view.relaxations = explanation.relaxations.iter().map(ToString::to_string).collect();
    }
    Some(view)
}

/// Which places these orders have, and when they start at the earliest.
pub(crate) fn places(
    state: &Control,
    ids: &[OrderId],
) -> BTreeMap<OrderId, (Option<u32>, Option<Time>)> {
    let start = |id| state.earliest_start(id).map(Time);
    ids.iter().map(|id| (*id, (state.place_in_queue(*id), start(*id)))).collect()
}
