//! An order as the lanes understand it, and how many of its nodes they have room for.

use crate::block::Sieve;
use crate::column::places;
use crate::index::Index;
use crate::lane::Lane;
use crate::lanes::{LaneKey, Lanes};
use crate::matcher::Need;
use crate::order::{Order, Spread};

/// An order, and where it looks.
#[derive(Clone, Debug)]
pub(crate) struct Question<'a> {
    pub(crate) order: &'a Order,
    pub(crate) need: Need,
    pub(crate) sieve: Sieve,
    /// The number of the model asked for; `None` when any will do.
    pub(crate) model: Option<u32>,
    pub(crate) among: &'a Lanes,
}

impl<'a> Question<'a> {
    /// `few` are lanes of all machines of the suppliers the order names, and of no other.
    pub(crate) fn new(index: &'a Index, order: &'a Order, few: Option<&'a Lanes>) -> Self {
        let need = Need::new(&order.filters, order.each);
        let mut sieve = index.sieve(&order.filters, &need);
        if few.is_some() {
            sieve.suppliers = None;
        }
        let model = index.model(&order.filters);
        Self { order, need, sieve, model, among: few.unwrap_or(&index.lanes) }
    }

    pub(crate) fn lanes(&self) -> Vec<(LaneKey, &'a Lane)> {
        self.among.with(self.model, &self.need, &self.sieve)
    }

    /// How many of the nodes there is room for.
    pub(crate) fn nodes(&self) -> u32 {
        let wanted = self.order.nodes;
        let mut nodes = 0_u32;
        for (key, lane) in self.lanes() {
            for at in 0..lane.blocks_len() {
                if lane.first(at).0 > self.sieve.unit_max {
                    break;
                }
                if self.sieve.may_pass(lane.summary(at)) {
                    nodes = nodes.saturating_add(self.nodes_of(&key, lane, at)).min(wanted);
                }
                if nodes == wanted {
                    return nodes;
                }
            }
        }
        nodes
    }

    fn nodes_of(&self, key: &LaneKey, lane: &Lane, at: usize) -> u32 {
        let (spread, each) = (self.order.spread, &self.order.each);
        let passing = lane.passing(at, &self.sieve);
        let room = |place| {
            let free = lane.block(at).entry(place, key.free_gpus).free;
            spread.room(&free, each).min(self.order.nodes)
        };
        match spread {
            Spread::Distinct => passing.count_ones(),
            Spread::Pack => places(passing).map(room).fold(0, u32::saturating_add),
        }
    }
}
