//! What the auditor counts of machines: every card and every share is in at most one live rental.

use std::collections::BTreeMap;

use control::{Control, Rental};
use market::Stage;
use units::{Resources, WorkerId};

use super::Belief;
use crate::broken::{Invariant, Step, must};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Used {
    cards: u64,
    gpus: u32,
    vcpus: u32,
    memory_mib: u64,
    disk_mib: u64,
    seats: usize,
}

impl Used {
    /// Adds a node; `None` when one of its cards is used already.
    fn with(mut self, cards: u64, takes: &Resources) -> Option<Self> {
        if self.cards & cards != 0 {
            return None;
        }
        self.cards |= cards;
        self.gpus += takes.gpus;
        self.vcpus += takes.vcpus;
        self.memory_mib += takes.memory_mib;
        self.disk_mib += takes.disk_mib;
        self.seats += 1;
        Some(self)
    }

    const fn fits(&self, total: &Resources) -> bool {
        self.gpus == self.cards.count_ones()
            && self.gpus <= total.gpus
            && self.vcpus <= total.vcpus
            && self.memory_mib <= total.memory_mib
            && self.disk_mib <= total.disk_mib
    }
}

const fn is_live(stage: Stage) -> bool {
    match stage {
        Stage::AwaitingPayment { .. }
        | Stage::Deploying { .. }
        | Stage::Running { .. }
        | Stage::Ending { .. } => true,
        Stage::Quoted { .. } | Stage::Ended { .. } => false,
    }
}

impl Belief {
    pub(super) fn seats_agree(&self, control: &Control) -> Step {
        let mut used: BTreeMap<WorkerId, Used> = BTreeMap::new();
        for rental in control.rentals().filter(|rental| is_live(rental.stage)) {
            count(rental, &mut used)?;
        }
        for (id, worker) in control.workers() {
            let used = used.get(&id).copied().unwrap_or_default();
            must(used.fits(&worker.machine.offers), Invariant::I2Seats, || {
                format!("{id} offers {:?}, and {used:?} is rented", worker.machine.offers)
            })?;
            let taken = control.inventory().taken(id);
            let agrees = taken.is_some_and(|taken| {
                taken.gpus.bits() == used.cards && taken.resources.vcpus == used.vcpus
            });
            must(agrees && worker.nodes.len() == used.seats, Invariant::I2Seats, || {
                format!("of {id} {used:?} is rented, and {taken:?} is taken")
            })?;
        }
        let known = used.keys().find(|id| control.worker(**id).is_none());
        must(known.is_none(), Invariant::I2Seats, || format!("{known:?} left while it was rented"))
    }
}

fn count(rental: &Rental, used: &mut BTreeMap<WorkerId, Used>) -> Step {
    for node in rental.nodes.iter().filter(|node| !node.cleared) {
        let place = used.entry(node.seat.worker).or_default();
        let with = place.with(node.seat.gpus.bits(), &node.seat.resources);
        must(with.is_some(), Invariant::I2Seats, || {
            format!("a card of {} is in {} and in another rental", node.seat.worker, rental.id)
        })?;
        *place = with.unwrap_or_default();
    }
    Ok(())
}
