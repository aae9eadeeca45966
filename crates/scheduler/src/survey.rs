//! What an order met that was refused: what each of its filters alone rules out, and what single changes would give.
//!
//! Each change is asked of the lanes by itself, so an answer never differs from what the changed order would get.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use units::{Credits, Resources, Tier};

use crate::block::{Amount, Sieve};
use crate::column::places;
use crate::explain::{Change, Excluded, Explanation, Relaxation};
use crate::inventory::Inventory;
use crate::lane::Lane;
use crate::lanes::{LaneKey, Lanes};
use crate::limits::RELAXATIONS_MAX;
use crate::matcher::Fit;
use crate::matches::{Matches, Ranking};
use crate::order::{Order, Spread};
use crate::question::Question;

/// How many nodes become possible at which level of one quantity, as far as an order cares.
///
/// Invariant: without its lowest level it holds fewer nodes than are wanted, so its size is bounded.
#[derive(Debug, Default)]
pub(crate) struct Levels {
    at: BTreeMap<u64, u32>,
    nodes: u32,
}

impl Levels {
    /// Whether nodes at this level or below would change nothing.
    fn is_beyond(&self, level: u64, wanted: u32) -> bool {
        self.nodes >= wanted && self.at.first_key_value().is_some_and(|(low, _)| level <= *low)
    }

    /// The lowest level at which more nodes would change something.
    pub(crate) fn lowest_useful(&self, wanted: u32) -> u64 {
        match self.at.first_key_value() {
            Some((low, _)) if self.nodes >= wanted => low.saturating_add(1),
            Some(_) | None => 0,
        }
    }

    fn add(&mut self, level: u64, nodes: u32, wanted: u32) {
        *self.at.entry(level).or_default() += nodes;
        self.nodes += nodes;
        while let Some(lowest) = self.at.first_entry()
            && self.nodes - lowest.get() >= wanted
        {
            self.nodes -= lowest.remove();
        }
    }

    /// The highest level that gives all wanted, else the most there are; and how many that is.
    fn best(&self, wanted: u32) -> Option<(u64, u32)> {
        self.at.first_key_value().map(|(level, _)| (*level, self.nodes.min(wanted)))
    }
}

/// A refused order, and all that fits it.
#[derive(Debug)]
pub(crate) struct Survey<'a> {
    inventory: &'a Inventory,
    question: &'a Question<'a>,
    /// The machines of the suppliers it names, if they are few.
    few: Option<&'a Lanes>,
    /// The machines that fit: their prices, and what is free on them.
    fits: Vec<(u64, Resources)>,
    /// Nodes there is room for on them: fewer than wanted.
    possible: u32,
}

impl<'a> Survey<'a> {
    /// `fits` are all machines that fit, and have room for fewer nodes than wanted.
    pub(crate) fn new(
        inventory: &'a Inventory,
        question: &'a Question<'a>,
        few: Option<&'a Lanes>,
        fits: &[Fit],
    ) -> Self {
        let met = |fit: &Fit| (fit.price.units(), inventory.stand(fit.worker).free());
        let fits = fits.iter().map(met).collect();
        let mut survey = Self { inventory, question, few, fits, possible: 0 };
        survey.possible = survey.room(question.order.spread);
        survey
    }

    pub(crate) fn explanation(&self) -> Explanation {
        let mut relaxations = self.relaxations();
        relaxations.retain(|found| found.nodes > self.possible);
        if self.possible > 0 {
            let fewer = self.question.order.nodes - self.possible;
            let change = Change::FewerNodes { fewer };
            relaxations.push(Relaxation { change, nodes: self.possible });
        }
        relaxations.sort_by_key(|found| (Reverse(found.nodes), found.change));
        relaxations.truncate(RELAXATIONS_MAX);
        Explanation {
            machines: as_count(self.inventory.len()),
            excluded: self.excluded(),
            fitting: as_count(self.fits.len()),
            nodes_possible: self.possible,
            relaxations,
            nearest: Vec::new(),
        }
    }

    fn excluded(&self) -> Excluded {
        let (question, index) = (self.question, self.inventory.index());
        let (census, each) = (&index.census, &question.order.each);
        // The question's own sieve may leave the suppliers out.
        let sieve = index.sieve(&question.order.filters, &question.need);
        Excluded {
            closed: as_count(self.inventory.len() - self.inventory.open_len()),
            gpu_model: census.of_another_model(question.model),
            supplier: census.of_another_supplier(sieve.suppliers.as_ref()),
            country: census.in_another_country(sieve.countries.as_ref()),
            tier: census.slower_than(sieve.tier),
            certification: census.not_certified(sieve.certifications),
            price: census.dearer(question.need.per_gpu(), question.need.unit_max),
            gpus: census.fewer_gpus(each.gpus),
            vcpus: census.fewer_vcpus(each.vcpus),
            memory: census.less_memory(each.memory_mib),
            disk: census.less_disk(each.disk_mib),
            avoided: 0,
            tenants: 0,
            near: 0,
            apart: 0,
        }
    }

    /// Nodes the machines that fit have room for, at most those wanted.
    fn room(&self, spread: Spread) -> u32 {
        let order = self.question.order;
        let room = self.fits.iter().map(|(_, free)| spread.room(free, &order.each));
        room.fold(0, u32::saturating_add).min(order.nodes)
    }

    fn relaxations(&self) -> Vec<Relaxation> {
        let shared = Relaxation { change: Change::ShareMachines, nodes: self.room(Spread::Pack) };
        let mut found = vec![shared];
        found.extend(self.without_one_filter().map(|change| self.asked(change)));
        found.extend(self.slower_tier());
        found.extend(self.pay_more());
        found.extend(Less::all(self.question.order).iter().filter_map(|less| {
            let (to, nodes) = self.levels(less).best(self.question.order.nodes)?;
            Some(Relaxation { change: less.change(to), nodes })
        }));
        found
    }

    /// The filters that can be left out altogether.
    fn without_one_filter(&self) -> impl Iterator<Item = Change> {
        let filters = &self.question.order.filters;
        let certifications = filters.certifications.iter();
        let without = certifications
            .map(|certification| Change::WithoutCertification { certification: *certification });
        [
            (!filters.countries.is_empty()).then_some(Change::AnyCountry),
            (!filters.suppliers.is_empty()).then_some(Change::AnySupplier),
            filters.gpu_model.is_some().then_some(Change::AnyGpuModel),
        ]
        .into_iter()
        .flatten()
        .chain(without)
    }

    /// How many nodes a change gives.
    fn asked(&self, change: Change) -> Relaxation {
        let order = change.apply(self.question.order);
        let few = if order.filters.suppliers.is_empty() { None } else { self.few };
        let nodes = Question::new(self.inventory.index(), &order, few).nodes();
        Relaxation { change, nodes }
    }

    /// The fastest tier that gives all nodes wanted, or else as many as the slowest.
    fn slower_tier(&self) -> Option<Relaxation> {
        let to = |tier: &Tier| self.asked(Change::SlowerTier { to: *tier });
        let mut slower =
            Tier::ALL.iter().filter(|tier| **tier < self.question.order.filters.tier_min);
        let slowest = to(slower.next()?);
        if slowest.nodes <= self.possible {
            return None;
        }
        let faster = slower.rev().map(to).find(|found| found.nodes == slowest.nodes);
        Some(faster.unwrap_or(slowest))
    }

    /// The lowest price that gives all nodes wanted, or else as many as any price.
    fn pay_more(&self) -> Option<Relaxation> {
        let Question { order, need, .. } = self.question;
        let max = order.filters.node_hour_max?;
        let sieve = Sieve { unit_max: need.unit_writable, ..self.question.sieve.clone() };
        let lanes = self.question.among.with(self.question.model, need, &sieve);
        let (mut nodes, mut unit) = (0_u32, need.unit_max);
        for fit in Matches::new(lanes, &sieve, Ranking::Price, None) {
            nodes = nodes.saturating_add(match order.spread {
                Spread::Distinct => 1,
                Spread::Pack => {
                    order.spread.room(&self.inventory.stand(fit.worker).free(), &order.each)
                }
            });
            unit = unit.max(fit.price.units());
            if nodes >= order.nodes {
                break;
            }
        }
        let to = Credits::from_units(unit * need.priced_count());
        let more = to.checked_sub(max).unwrap_or(Credits::ZERO);
        Some(Relaxation { change: Change::PayMore { more, to }, nodes: nodes.min(order.nodes) })
    }

    /// What is left of a quantity when less of it is asked for.
    fn levels(&self, less: &Less) -> Levels {
        let mut levels = Levels::default();
        for (unit, free) in &self.fits {
            self.note(&mut levels, less, *unit, free);
        }
        let mut need = self.question.need;
        let mut sieve = self.question.sieve.clone();
        self.ask_for(&mut sieve, less, less.least);
        if less.thing == Thing::Gpus {
            need.each.gpus = 1;
        }
        let mut lanes = self.question.among.with(self.question.model, &need, &sieve);
        lanes.sort_by_key(|(key, lane)| Reverse(less.most_in(key, lane)));
        for (key, lane) in lanes {
            if less.most_in(&key, lane) < levels.lowest_useful(self.question.order.nodes) {
                break;
            }
            self.walk(&mut levels, less, (&key, lane), &mut sieve);
        }
        levels
    }

    /// Notes the machines of a lane that would serve if less were asked for, as long as that tells more.
    fn walk(
        &self,
        levels: &mut Levels,
        less: &Less,
        (key, lane): (&LaneKey, &Lane),
        sieve: &mut Sieve,
    ) {
        for at in 0..lane.blocks_len() {
            let least = levels.lowest_useful(self.question.order.nodes).max(less.least);
            self.ask_for(sieve, less, least);
            if lane.first(at).0 > sieve.unit_max || less.most_in(key, lane) < least {
                return;
            }
            if less.may_help(lane, at) && sieve.may_pass(lane.summary(at)) {
                let helped = lane.passing(at, sieve) & !self.fitting(less, (key, lane), at);
                for place in places(helped) {
                    let entry = lane.block(at).entry(place, key.free_gpus);
                    self.note(levels, less, entry.unit, &entry.free);
                }
            }
        }
    }

    /// The machines that have enough of it already, among those that pass all else.
    fn fitting(&self, less: &Less, (key, lane): (&LaneKey, &Lane), at: usize) -> u64 {
        let enough = match less.thing {
            Thing::Gpus if u64::from(key.free_gpus) < less.wanted => 0,
            Thing::Gpus => u64::MAX,
            Thing::Of(amount) => lane.block(at).at_least(amount, less.wanted),
        };
        if less.priced { enough & lane.priced(at, self.question.sieve.unit_max) } else { enough }
    }

    /// Changes a sieve to ask for no more than `least` of something, at a price at which that much is affordable.
    fn ask_for(&self, sieve: &mut Sieve, less: &Less, least: u64) {
        if let Thing::Of(amount) = less.thing {
            sieve.want(amount, least);
        }
        if less.priced {
            sieve.unit_max = self.question.need.node_hour_max / least.max(1);
        }
    }

    fn note(&self, levels: &mut Levels, less: &Less, unit: u64, free: &Resources) {
        let affordable = match unit {
            0 => u64::MAX,
            _ if !less.priced => u64::MAX,
            unit => self.question.need.node_hour_max / unit,
        };
        let has = match less.thing {
            Thing::Gpus => u64::from(free.gpus),
            Thing::Of(Amount::Vcpus) => u64::from(free.vcpus),
            Thing::Of(Amount::Memory) => free.memory_mib,
            Thing::Of(Amount::Disk) => free.disk_mib,
        };
        let most = affordable.min(less.wanted);
        note_levels(levels, self.question.order, free, &less.rest, (has, most, less.least));
    }
}

/// Something of which less may be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Thing {
    Gpus,
    Of(Amount),
}

/// Asking for less of one thing.
#[derive(Clone, Copy, Debug)]
struct Less {
    thing: Thing,
    wanted: u64,
    /// The least that is worth asking for.
    least: u64,
    /// What the nodes pay for: fewer of it cost less, too.
    priced: bool,
    /// What a node needs besides.
    rest: Resources,
}

impl Less {
    /// Everything of which an order may ask for less.
    fn all(order: &Order) -> Vec<Self> {
        let each = order.each;
        let per_gpu = each.gpus > 0;
        let less = |thing, wanted, least, priced, rest| Self { thing, wanted, least, priced, rest };
        let of = |amount, wanted, least, rest| less(Thing::Of(amount), wanted, least, false, rest);
        let all = [
            less(Thing::Gpus, u64::from(each.gpus), 1, true, Resources { gpus: 0, ..each }),
            less(
                Thing::Of(Amount::Vcpus),
                u64::from(each.vcpus),
                1,
                !per_gpu,
                Resources { vcpus: 0, ..each },
            ),
            of(Amount::Memory, each.memory_mib, 1, Resources { memory_mib: 0, ..each }),
            of(Amount::Disk, each.disk_mib, 0, Resources { disk_mib: 0, ..each }),
        ];
        all.into_iter().filter(|less| less.wanted > less.least).collect()
    }

    fn change(&self, to: u64) -> Change {
        let fewer = self.wanted - to;
        let small = |of: u64| u32::try_from(of).expect("at most what was asked");
        match self.thing {
            Thing::Gpus => Change::FewerGpus { fewer: small(fewer), to: small(to) },
            Thing::Of(Amount::Vcpus) => Change::FewerVcpus { fewer: small(fewer), to: small(to) },
            Thing::Of(Amount::Memory) => Change::LessMemory { fewer_mib: fewer, to_mib: to },
            Thing::Of(Amount::Disk) => Change::LessDisk { fewer_mib: fewer, to_mib: to },
        }
    }

    /// The most a machine of a lane has of it.
    fn most_in(&self, key: &LaneKey, lane: &Lane) -> u64 {
        match self.thing {
            Thing::Gpus => u64::from(key.free_gpus),
            Thing::Of(amount) => u64::from(lane.summary_of_all().span(amount).max),
        }
    }

    /// Whether a block may hold a machine that has too little of it, or could cost less.
    fn may_help(&self, lane: &Lane, at: usize) -> bool {
        match self.thing {
            Thing::Gpus => true,
            Thing::Of(amount) => {
                self.priced || u64::from(lane.summary(at).span(amount).min) < self.wanted
            }
        }
    }
}

/// Adds, for each node that `rest` leaves room for, the most of one quantity it could get.
///
/// `of` is how much is free of it, the most that counts and the least that is worth asking for.
fn note_levels(
    levels: &mut Levels,
    order: &Order,
    free: &Resources,
    rest: &Resources,
    (has, most, least): (u64, u64, u64),
) {
    let wanted = order.nodes;
    for nodes in 1..=order.spread.room(free, rest).min(wanted) {
        let level = (has / u64::from(nodes)).min(most);
        if level < least || levels.is_beyond(level, wanted) {
            return;
        }
        levels.add(level, 1, wanted);
    }
}

fn as_count(machines: usize) -> u64 {
    u64::try_from(machines).expect("a count of machines fits 64 bits")
}
