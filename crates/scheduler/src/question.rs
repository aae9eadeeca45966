//! An order as the lanes understand it, and how many of its nodes they have room for.

use std::collections::BTreeSet;

use units::Resources;

use crate::block::{Amount, Block, Entry, Sieve, Wanted};
use crate::column::places;
use crate::filling::{Candidate, Room};
use crate::index::{Index, entry};
use crate::inventory::Inventory;
use crate::lane::Lane;
use crate::lanes::{LaneKey, Lanes};
use crate::matcher::{Fit, Need};
use crate::near::{Count, Nearby};
use crate::order::{Apart, Order, Spread};

/// An order, and where it looks.
#[derive(Clone, Debug)]
pub(crate) struct Question<'a> {
    pub(crate) inventory: &'a Inventory,
    pub(crate) order: &'a Order,
    pub(crate) need: Need,
    pub(crate) sieve: Sieve,
    /// The number of the model asked for; `None` when any will do.
    pub(crate) model: Option<u32>,
    /// Lanes of all machines of the suppliers the order names, and of no other, if they are few.
    pub(crate) few: Option<&'a Lanes>,
}

impl<'a> Question<'a> {
    /// `few` are lanes of all machines of the suppliers the order names that it may see, and of no other.
    pub(crate) fn new(inventory: &'a Inventory, order: &'a Order, few: Option<&'a Lanes>) -> Self {
        let index = inventory.index();
        let need = Need::new(&order.filters, order.each);
        let mut sieve = index.sieve(&order.filters, &need);
        sieve.ties = index.ties(order);
        if few.is_some() {
            sieve.suppliers = None;
        }
        let model = index.model(&order.filters);
        Self { inventory, order, need, sieve, model, few }
    }

    pub(crate) fn index(&self) -> &'a Index {
        self.inventory.index()
    }

    pub(crate) fn lanes(&self) -> Vec<(LaneKey, &'a Lane)> {
        self.lanes_for(&self.need, &self.sieve)
    }

    /// The lanes in which it looks when it asks for something else.
    pub(crate) fn lanes_for(&self, need: &Need, sieve: &Sieve) -> Vec<(LaneKey, &'a Lane)> {
        let Some(few) = self.few else {
            let mut lanes = self.index().lanes.with(self.model, need, sieve);
            let private = self.index().private(&sieve.ties);
            lanes.extend(private.into_iter().flat_map(|own| own.with(self.model, need, sieve)));
            return lanes;
        };
        few.with(self.model, need, sieve)
    }

    /// The same in one country only.
    pub(crate) fn in_country(&self, number: u64) -> Self {
        let mut narrowed = self.clone();
        narrowed.sieve.countries = Some(Wanted::new(BTreeSet::from([number])));
        narrowed
    }

    /// The same for machines that have so many times as much; `None` where no machine has.
    pub(crate) fn times(&self, nodes: u32) -> Option<Self> {
        let each = self.order.each;
        let count = u64::from(nodes);
        let all = Resources {
            gpus: each.gpus.checked_mul(nodes)?,
            vcpus: each.vcpus.checked_mul(nodes)?,
            memory_mib: each.memory_mib.checked_mul(count)?,
            disk_mib: each.disk_mib.checked_mul(count)?,
        };
        let mut larger = self.clone();
        larger.need.each = all;
        larger.sieve.want(Amount::Vcpus, u64::from(all.vcpus));
        larger.sieve.want(Amount::Memory, all.memory_mib);
        larger.sieve.want(Amount::Disk, all.disk_mib);
        Some(larger)
    }

    pub(crate) fn fit(&self, has_gpus: bool, entry: &Entry) -> Fit {
        Fit {
            strands_gpus: has_gpus && !self.need.per_gpu(),
            price: units::Credits::from_units(entry.unit),
            loss: 0,
            free_gpus: entry.free.gpus,
            worker: entry.worker,
        }
    }

    /// How many of the nodes can be placed as near and as apart as they must be.
    pub(crate) fn possible(&self) -> u32 {
        if !self.order.minds_others() {
            return self.nodes();
        }
        let nodes = Nearby::new(self).most(Count::Nodes, u64::from(self.order.nodes));
        u32::try_from(nodes).expect("at most the nodes asked for")
    }

    /// How many of the nodes there is room for, wherever they are.
    pub(crate) fn nodes(&self) -> u32 {
        let nodes = self.nodes_up_to(u64::from(self.order.nodes));
        u32::try_from(nodes).expect("at most the nodes asked for")
    }

    /// How many nodes there is room for, wherever they are; counted up to `most`.
    pub(crate) fn nodes_up_to(&self, most: u64) -> u64 {
        let (spread, apart) = (self.order.spread, self.order.apart_of_many());
        if spread == Spread::Distinct && apart == Apart::Nothing {
            return self.machines_up_to(most);
        }
        let mut room = Room::default();
        self.each_passing(|key, block, place| {
            let entry = block.entry(place, key.free_gpus);
            let candidate = Candidate::new(self.order, self.fit(key.has_gpus, &entry), &entry);
            room.add(candidate.room, candidate.common);
            room.nodes() < most
        });
        room.nodes().min(most)
    }

    /// How many machines pass; counted up to `most`.
    pub(crate) fn machines_up_to(&self, most: u64) -> u64 {
        let avoided =
            self.order.avoid.iter().filter_map(|worker| self.inventory.open_stand(*worker));
        let per_gpu = self.need.per_gpu();
        let mut wrongly = 0_u64;
        for stand in avoided {
            let (prices, has_gpus) = (&stand.machine.prices, stand.machine.total.gpus > 0);
            let unit = if per_gpu { prices.gpu_hour } else { prices.vcpu_hour }.units();
            let entry = Entry { unit, ..entry(stand) };
            let each = &self.need.each;
            let fits = self.model.is_none_or(|wanted| wanted == stand.marks.model)
                && entry.free.gpus >= each.gpus
                && (has_gpus || !per_gpu)
                && self.sieve.passes(&entry)
                && self.is_in_few(&entry);
            wrongly += u64::from(fits);
        }
        let (mut machines, most_of_all) = (0_u64, most.saturating_add(wrongly));
        for (_, lane) in self.lanes() {
            for at in 0..lane.blocks_len() {
                if lane.first(at).0 > self.sieve.unit_max {
                    break;
                }
                if self.sieve.may_pass(lane.summary(at)) {
                    machines += u64::from(lane.passing(at, &self.sieve).count_ones());
                }
                if machines >= most_of_all {
                    return most;
                }
            }
        }
        machines - wrongly
    }

    /// Where few machines are looked at, whether this is one of them.
    fn is_in_few(&self, entry: &Entry) -> bool {
        let wanted = || self.index().sieve(&self.order.filters, &self.need).suppliers;
        self.few.is_none() || wanted().is_none_or(|wanted| wanted.has(entry.supplier))
    }

    /// Goes through the machines that pass, in no particular order, while `more` says so.
    pub(crate) fn each_passing(&self, mut more: impl FnMut(&LaneKey, &Block, usize) -> bool) {
        for (key, lane) in self.lanes() {
            for at in 0..lane.blocks_len() {
                if lane.first(at).0 > self.sieve.unit_max {
                    break;
                }
                if !self.sieve.may_pass(lane.summary(at)) {
                    continue;
                }
                let block = lane.block(at);
                for place in places(lane.passing(at, &self.sieve)) {
                    let is_avoided = self.order.avoid.contains(&block.key(place).1);
                    if !is_avoided && !more(&key, block, place) {
                        return;
                    }
                }
            }
        }
    }
}
