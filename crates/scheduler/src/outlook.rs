//! What the orders that came say of those to come, and machines of one price in the order in which they lose least by
//! an order.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};
use units::{GpuModel, Resources};

use crate::block::Entry;
use crate::matcher::Fit;
use crate::matches::{Match, Matches};
use crate::order::Order;
use crate::packing::{CARDS_PER_HOST_MAX, Host, MODELS_MAX, Model, Models, Need, Outlook};

/// Nodes of one order that are learnt from: a large order says no more than a row of small ones.
const NODES_LEARNT_MAX: u32 = 64;
/// Machines of one price that are compared by what they lose. Where more have it, the next as many come after these.
const COMPARED_MAX: usize = 64;
/// Thousandths of a processor in one.
const MILLI: u32 = 1_000;
/// The model of machines whose model no order named.
const UNNAMED: u8 = MODELS_MAX - 1;

/// What recent orders say of those to come.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MarketOutlook {
    orders: Outlook,
    /// Models that orders named, by their numbers.
    models: ModelNames,
}

/// At most as many as there are numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<GpuModel>", into = "Vec<GpuModel>")]
struct ModelNames(Vec<GpuModel>);

impl From<ModelNames> for Vec<GpuModel> {
    fn from(models: ModelNames) -> Self {
        models.0
    }
}

impl TryFrom<Vec<GpuModel>> for ModelNames {
    type Error = String;

    fn try_from(models: Vec<GpuModel>) -> Result<Self, String> {
        if models.len() > usize::from(UNNAMED) {
            return Err(format!("{} models are more than {UNNAMED}", models.len()));
        }
        Ok(Self(models))
    }
}

impl ModelNames {
    fn number(&self, name: &GpuModel) -> Option<Model> {
        let place = self.0.iter().position(|known| known == name)?;
        u8::try_from(place).ok().and_then(Model::of)
    }

    fn of(&self, name: Option<&GpuModel>) -> Model {
        let number = name.and_then(|name| self.number(name)).or(Model::of(UNNAMED));
        number.expect("it is below the number of models")
    }
}

impl MarketOutlook {
    /// Learns from an order that came, whether it was served or not.
    pub fn learn(&mut self, order: &Order) {
        let is_new = |name: &&GpuModel| self.models.number(name).is_none();
        let new = order.filters.gpu_model.as_ref().filter(is_new).cloned();
        let room = usize::from(UNNAMED) - self.models.0.len();
        self.models.0.extend(new.into_iter().take(room));
        let need = self.need(order);
        for _ in 0..order.nodes.min(NODES_LEARNT_MAX) {
            self.orders.learn(need);
        }
    }

    /// How many nodes it has learnt from since the start.
    pub fn came(&self) -> u64 {
        self.orders.came()
    }

    fn need(&self, order: &Order) -> Need {
        let Resources { gpus, vcpus, memory_mib, disk_mib: _ } = order.each;
        let need = Need::of_processors(vcpus.saturating_mul(MILLI), saturated(memory_mib));
        let named = order.filters.gpu_model.as_ref().and_then(|name| self.models.number(name));
        let models = named.map_or(Models::ANY, |model| Models::NONE.and(model));
        match cards(gpus) {
            0 => need,
            cards => need.with_cards(cards, models).expect("no more than a host has"),
        }
    }

    fn host(&self, free: &Resources, model: Option<&GpuModel>) -> Host {
        let cards = u8::try_from(cards(free.gpus)).expect("a host has few cards");
        let model = self.models.of(model);
        let (cpu, memory) = (free.vcpus.saturating_mul(MILLI), saturated(free.memory_mib));
        Host::new(cpu, memory, cards, model).expect("no more than a host has")
    }
}

/// Cards of one machine that are looked at: of more, all the others are as good.
fn cards(gpus: u32) -> u32 {
    gpus.min(u32::try_from(CARDS_PER_HOST_MAX).expect("it is small"))
}

fn saturated(amount: u64) -> u32 {
    u32::try_from(amount).unwrap_or(u32::MAX)
}

/// Matches, those of one price in the order in which the network loses least by them.
pub(crate) struct Foreseen<'a, M> {
    matches: Matches<'a>,
    outlook: &'a MarketOutlook,
    need: Need,
    model_of: M,
    /// The first match of the next price.
    next: Option<Match<'a>>,
    ready: VecDeque<(Fit, Entry)>,
    known: BTreeMap<(u32, u32, u64, Model), i32>,
}

impl<'a, M: Fn(&Fit) -> Option<&'a GpuModel>> Foreseen<'a, M> {
    pub(crate) fn new(
        matches: Matches<'a>,
        (outlook, order): (&'a MarketOutlook, &Order),
        model_of: M,
    ) -> Self {
        Self {
            matches,
            outlook,
            need: outlook.need(order),
            model_of,
            next: None,
            ready: VecDeque::new(),
            known: BTreeMap::new(),
        }
    }

    fn compare(&mut self) {
        let Some(first) = self.next.take().or_else(|| self.matches.next()) else { return };
        let price = |fit: &Fit| (fit.strands_gpus, fit.price);
        let mut compared = vec![self.foreseen(&first)];
        let most = if self.outlook.came() > 0 { COMPARED_MAX } else { 1 };
        while compared.len() < most {
            let Some(found) = self.matches.next() else { break };
            if price(&found.fit) != price(&first.fit) {
                self.next = Some(found);
                break;
            }
            compared.push(self.foreseen(&found));
        }
        compared.sort_by_key(|(fit, _)| *fit);
        self.ready = compared.into();
    }

    fn foreseen(&mut self, found: &Match<'_>) -> (Fit, Entry) {
        let entry = found.entry();
        let host = self.outlook.host(&entry.free, (self.model_of)(&found.fit));
        let Resources { gpus, vcpus, memory_mib, disk_mib: _ } = entry.free;
        let state = (gpus, vcpus, memory_mib, host.model);
        let loss = || self.outlook.orders.loss(&host, &self.need);
        let loss = *self.known.entry(state).or_insert_with(loss);
        (Fit { loss, ..found.fit }, entry)
    }
}

impl<'a, M: Fn(&Fit) -> Option<&'a GpuModel>> Iterator for Foreseen<'a, M> {
    type Item = (Fit, Entry);

    fn next(&mut self) -> Option<(Fit, Entry)> {
        if self.ready.is_empty() {
            self.compare();
        }
        self.ready.pop_front()
    }
}
