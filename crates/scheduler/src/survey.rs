//! What an order met that was refused: what each of its filters alone rules out, and what single changes would give.
//!
//! Each change is asked of the lanes by itself, so an answer never differs from what the changed order would get.

use std::cmp::Reverse;

use units::{Credits, Resources, Tier};

use crate::block::{Amount, Sieve};
use crate::column::places;
use crate::explain::{Change, Excluded, Explanation, NearestOffer, Relaxation};
use crate::filling::{Room, common};
use crate::inventory::Inventory;
use crate::lane::Lane;
use crate::lanes::LaneKey;
use crate::less::{Less, Levels, Thing, note_levels};
use crate::limits::{NEAR_RTTS_MICROS, NEAREST_MAX, RELAXATIONS_MAX};
use crate::matcher::Fit;
use crate::matches::{Matches, Ranking};
use crate::near::{Count, Nearby};
use crate::order::{Apart, Near, Order, Spread};
use crate::question::Question;

/// A refused order, and all that fits it.
#[derive(Debug)]
pub(crate) struct Survey<'a> {
    inventory: &'a Inventory,
    question: &'a Question<'a>,
    /// The machines that fit: their prices, and what is free on them. None where more than their number decides.
    fits: Vec<(u64, Resources)>,
    /// How many machines fit.
    fitting: u64,
    /// Nodes there is room for on them: fewer than wanted.
    pub(crate) possible: u32,
}

impl<'a> Survey<'a> {
    /// `fits` are all machines that fit, and have room for fewer nodes than wanted.
    pub(crate) fn new(question: &'a Question<'a>, fits: &[Fit]) -> Self {
        let inventory = question.inventory;
        let met = |fit: &Fit| (fit.price.units(), inventory.stand(fit.worker).free());
        let mut survey = Self { inventory, question, fits: Vec::new(), fitting: 0, possible: 0 };
        if question.order.minds_others() {
            survey.fitting = question.machines_up_to(u64::MAX);
            survey.possible = question.possible();
        } else {
            survey.fits = fits.iter().map(met).collect();
            survey.fitting = as_count(fits.len());
            survey.possible = survey.room(question.order.spread);
        }
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
        let nearest = relaxations.iter().take(NEAREST_MAX);
        let nearest = nearest.filter_map(|found| self.offer(found)).collect();
        Explanation {
            machines: as_count(self.inventory.len()),
            excluded: self.excluded(),
            fitting: self.fitting,
            nodes_possible: self.possible,
            relaxations,
            nearest,
        }
    }

    /// What a relaxed order gets.
    fn offer(&self, found: &Relaxation) -> Option<NearestOffer> {
        let relaxed = Order { nodes: found.nodes, ..found.change.apply(self.question.order) };
        let seats = self.inventory.find(&relaxed)?.seats;
        let hour: u128 = seats.iter().map(|seat| u128::from(seat.node_hour.units())).sum();
        Some(NearestOffer {
            misses: found.change,
            nodes: found.nodes,
            hour: Credits::from_units(u64::try_from(hour).unwrap_or(u64::MAX)),
            worker: seats.first()?.worker,
        })
    }

    fn excluded(&self) -> Excluded {
        let (question, index) = (self.question, self.inventory.index());
        let (census, each) = (&index.census, &question.order.each);
        let avoided = question.order.avoid.iter();
        let avoided = avoided.filter(|worker| self.inventory.open_stand(**worker).is_some());
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
            avoided: as_count(avoided.count()),
            tenants: census.of_other_tenants(&question.sieve.ties),
            near: self.outside_the_best_place(),
            apart: self.too_much_in_common(),
        }
    }

    /// Of the machines that fit, those outside the place that has most of them.
    fn outside_the_best_place(&self) -> u64 {
        let order = self.question.order;
        if !order.minds_others() || order.near == Near::Anywhere {
            return 0;
        }
        self.fitting - Nearby::new(self.question).most(Count::Machines, self.fitting)
    }

    /// Of the machines that fit, those that have in common with another what no two nodes may have.
    fn too_much_in_common(&self) -> u64 {
        let apart = self.question.order.apart_of_many();
        if apart == Apart::Nothing {
            return 0;
        }
        let mut room = Room::default();
        self.question.each_passing(|key, block, place| {
            room.add(1, common(apart, &block.entry(place, key.free_gpus)));
            true
        });
        self.fitting - room.nodes()
    }

    /// Nodes the machines that fit have room for, at most those wanted.
    fn room(&self, spread: Spread) -> u32 {
        let order = self.question.order;
        let room = self.fits.iter().map(|(_, free)| spread.room(free, &order.each));
        room.fold(0, u32::saturating_add).min(order.nodes)
    }

    fn relaxations(&self) -> Vec<Relaxation> {
        let order = self.question.order;
        let minds_others = order.minds_others();
        let shared = Change::ShareMachines;
        let mut found = vec![match minds_others {
            true => self.asked(shared),
            false => Relaxation { change: shared, nodes: self.room(Spread::Pack) },
        }];
        found.extend(self.without_one_filter().map(|change| self.asked(change)));
        found.extend(order.alone.then(|| self.asked(Change::Beside)));
        found.extend(self.slower_tier());
        let less = Less::all(order);
        if minds_others {
            found.extend(self.first_as_good(&farther(order.near)));
            found.extend(self.first_as_good(&less_apart(order.apart)));
            found.extend(self.pay_more_together());
            found.extend(less.iter().filter_map(|less| self.less_together(less)));
        } else {
            found.extend(self.pay_more());
            found.extend(less.iter().filter_map(|less| {
                let (to, nodes) = self.levels(less).best(order.nodes)?;
                Some(Relaxation { change: less.change(to), nodes })
            }));
        }
        found
    }

    /// Of changes of which the last gives most, the first that gives as many.
    fn first_as_good(&self, changes: &[Change]) -> Option<Relaxation> {
        let (last, others) = changes.split_last()?;
        let last = self.asked(*last);
        if last.nodes <= self.possible {
            return None;
        }
        let first = others.iter().map(|change| self.asked(*change));
        Some(first.into_iter().find(|found| found.nodes == last.nodes).unwrap_or(last))
    }

    /// The least that must be left out of one quantity for as many nodes as any less of it gives.
    fn less_together(&self, less: &Less) -> Option<Relaxation> {
        let gives = |to: u64| self.asked(less.change(to));
        let mut best = gives(less.least);
        if best.nodes <= self.possible {
            return None;
        }
        let (mut enough, mut too_much) = (less.least, less.wanted);
        while too_much - enough > 1 {
            let middle = enough + (too_much - enough) / 2;
            let found = gives(middle);
            if found.nodes == best.nodes {
                (enough, best) = (middle, found);
            } else {
                too_much = middle;
            }
        }
        Some(best)
    }

    /// The lowest price that gives as many nodes as any price.
    fn pay_more_together(&self) -> Option<Relaxation> {
        let Question { order, need, .. } = self.question;
        let max = order.filters.node_hour_max?;
        let census = &self.inventory.index().census;
        let gives = |rank: u64| {
            let unit = census.price(need.per_gpu(), rank)?;
            let to = Credits::from_units(unit.checked_mul(need.priced_count())?);
            let more = to.checked_sub(max).unwrap_or(Credits::ZERO);
            Some(self.asked(Change::PayMore { more, to }))
        };
        let (first, after) =
            census.prices_between(need.per_gpu(), need.unit_max, need.unit_writable);
        let mut best = gives(after.checked_sub(1)?).filter(|best| best.nodes > self.possible)?;
        let (mut too_few, mut enough) = (first, after - 1);
        while too_few < enough {
            let middle = too_few + (enough - too_few) / 2;
            match gives(middle).filter(|found| found.nodes == best.nodes) {
                Some(found) => (enough, best) = (middle, found),
                None => too_few = middle + 1,
            }
        }
        Some(best)
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
        let few = if order.filters.suppliers.is_empty() { None } else { self.question.few };
        let nodes = Question::new(self.inventory, &order, few).possible();
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
        let lanes = self.question.lanes_for(need, &sieve);
        let (mut nodes, mut unit) = (0_u32, need.unit_max);
        for found in Matches::among(lanes, &sieve, &order.avoid, (Ranking::Price, None)) {
            let fit = found.fit;
            nodes = nodes.saturating_add(match order.spread {
                Spread::Distinct => 1,
                Spread::Pack => order.spread.room(&found.entry().free, &order.each),
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
        let mut lanes = self.question.lanes_for(&need, &sieve);
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
                    if self.question.order.avoid.contains(&entry.worker) {
                        continue;
                    }
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

/// How nodes may be farther from each other, nearest first; anywhere is last, and gives most.
fn farther(near: Near) -> Vec<Change> {
    let nearer = [Near::Site].into_iter().chain(NEAR_RTTS_MICROS.iter().copied().map(Near::Within));
    let all = nearer.chain([Near::Country, Near::Anywhere]);
    all.filter(|to| *to > near).map(|to| Change::Farther { to }).collect()
}

/// How nodes may have more in common, least first; all is last, and gives most.
fn less_apart(apart: Apart) -> Vec<Change> {
    let all = [Apart::Sites, Apart::Suppliers, Apart::Nothing];
    all.into_iter().filter(|to| *to < apart).map(|to| Change::LessApart { to }).collect()
}

fn as_count(machines: usize) -> u64 {
    u64::try_from(machines).expect("a count of machines fits 64 bits")
}
