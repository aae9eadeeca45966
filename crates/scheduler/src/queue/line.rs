//! In which order the orders that wait are looked at.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};
use std::num::NonZeroU32;
use std::time::Duration;

use units::{ProjectId, Timestamp};

use super::decision::Turn;
use super::room::Amounts;

/// An order that waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting<Id, Ask> {
    /// Decides between two that came at the same moment: the lower goes first.
    pub id: Id,
    /// Whose it is.
    pub tenant: ProjectId,
    /// How much its tenant should have beside others: twice the weight, twice the share.
    pub weight: NonZeroU32,
    /// What is asked for.
    pub ask: Ask,
    /// How long it will run.
    pub lasts: Duration,
    /// Whether it may be told to go again: then nobody is told to go for it.
    pub is_spot: bool,
    /// Since when it waits.
    pub since: Timestamp,
    /// Until when it waits at most.
    pub deadline: Timestamp,
}

/// The orders that wait, the next one first.
///
/// First the one that room was kept for, then who waited too long, then by turns: the tenant that has least for its
/// weight, and of its orders the oldest.
pub(crate) struct Line<'a, Id, Ask> {
    waiting: &'a [Waiting<Id, Ask>],
    first: VecDeque<(usize, Turn<Id>)>,
    of_tenants: BTreeMap<ProjectId, VecDeque<usize>>,
    /// Made when `first` is empty.
    turns: Option<BinaryHeap<Reverse<Standing>>>,
    has: BTreeMap<ProjectId, Amounts>,
    whole: Amounts,
}

/// How a tenant stands in the line. The lowest goes first; fields are compared top to bottom.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Standing {
    /// The largest share it has of anything, for its weight.
    share: u128,
    /// Since when its next order waits.
    since: Option<Timestamp>,
    tenant: ProjectId,
}

impl<'a, Id: Copy + Ord, Ask> Line<'a, Id, Ask> {
    /// `places` are of those in `waiting` that wait on; `overdue` since that moment or before.
    pub(crate) fn new(
        waiting: &'a [Waiting<Id, Ask>],
        mut places: Vec<usize>,
        promised: Option<Id>,
        overdue: Option<Timestamp>,
        (has, whole): (BTreeMap<ProjectId, Amounts>, Amounts),
    ) -> Self {
        places.sort_by_key(|place| (waiting[*place].since, waiting[*place].id));
        let mut line = Self {
            waiting,
            first: VecDeque::new(),
            of_tenants: BTreeMap::new(),
            turns: None,
            has,
            whole,
        };
        for place in places {
            let order = &waiting[place];
            if promised == Some(order.id) {
                line.first.push_front((place, Turn::Promised));
            } else if overdue.is_some_and(|overdue| order.since <= overdue) {
                line.first.push_back((place, Turn::Overdue));
            } else {
                line.of_tenants.entry(order.tenant).or_default().push_back(place);
            }
        }
        line
    }

    pub(crate) fn next(&mut self) -> Option<(usize, Turn<Id>)> {
        if let Some(first) = self.first.pop_front() {
            return Some(first);
        }
        if self.turns.is_none() {
            let turns = self.of_tenants.keys().map(|tenant| Reverse(self.standing(*tenant)));
            self.turns = Some(turns.collect());
        }
        let Reverse(Standing { tenant, .. }) = self.turns.as_mut()?.pop()?;
        let place = self.of_tenants.get_mut(&tenant)?.pop_front()?;
        // Its tenant is back in the line once it is known what it got: see `done`.
        Some((place, Turn::SmallestShare))
    }

    /// The order at that place, which came by [`next`](Self::next), has got that much.
    pub(crate) fn done(&mut self, place: usize, got: Amounts) {
        let tenant = self.waiting[place].tenant;
        let has = self.has.entry(tenant).or_default();
        *has = has.plus(got);
        if let Some(mut turns) = self.turns.take() {
            if self.of_tenants.get(&tenant).is_some_and(|rest| !rest.is_empty()) {
                turns.push(Reverse(self.standing(tenant)));
            }
            self.turns = Some(turns);
        }
    }

    fn standing(&self, tenant: ProjectId) -> Standing {
        let has = self.has.get(&tenant).copied().unwrap_or_default();
        let next = self.of_tenants.get(&tenant).and_then(VecDeque::front);
        let next = next.map(|next| &self.waiting[*next]);
        let weight = next.map_or(1, |next| next.weight.get());
        Standing {
            share: has.dominant_share(&self.whole) / u128::from(weight),
            since: next.map(|next| next.since),
            tenant,
        }
    }
}
