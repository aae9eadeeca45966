//! Nodes that must be near each other: all in one machine, one site, round one anchor, or in one country.
//!
//! Of the places that have room for all, the one in which they cost least is taken; of those that cost the same, the
//! one in which least room is left over, and then the first. Places are passed over only for what they cost at
//! least, so the cost is the least there is; see [`SITES_COMPARED_MAX`] and [`MATCHES_COMPARED_MAX`] for the two
//! places where very many are not all compared.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use units::Site;

use crate::block::{Entry, Sieve};
use crate::bond::reach;
use crate::filling::{Candidate, Cost, Filling, Place, Rank, Room, Whole};
use crate::limits::{LEFT_COUNTED_MAX, MATCHES_COMPARED_MAX, SITE_RTT_MICROS, SITES_COMPARED_MAX};
use crate::matches::{Matches, Ranking};
use crate::order::{Near, Order};
use crate::question::Question;
use crate::sites::{Group, Wants};

/// What is counted of a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Count {
    /// The nodes it has room for.
    Nodes,
    /// The machines that fit, how many nodes each has room for and what they have in common aside.
    Machines,
}

/// An order whose nodes must be near each other.
pub(crate) struct Nearby<'q, 'a> {
    question: &'q Question<'a>,
    /// What it asks for, the suppliers among it.
    sieve: Sieve,
}

impl<'q, 'a> Nearby<'q, 'a> {
    pub(crate) fn new(question: &'q Question<'a>) -> Self {
        let mut sieve = question.sieve.clone();
        if question.few.is_some() {
            let full = question.index().sieve(&question.order.filters, &question.need);
            sieve.suppliers = full.suppliers;
        }
        Self { question, sieve }
    }

    fn order(&self) -> &'a Order {
        self.question.order
    }

    /// The best whole placement.
    pub(crate) fn whole(&self) -> Option<Whole> {
        let mut best = None;
        self.on_one_machine(&mut best);
        match self.order().near {
            Near::Site => self.in_sites(&mut best),
            Near::Within(micros) => {
                if micros >= SITE_RTT_MICROS {
                    self.in_sites(&mut best);
                }
                self.round_anchors(micros / 2, &mut best);
            }
            Near::Country => self.in_countries(&mut best),
            Near::Anywhere => {}
        }
        best
    }

    /// The most that one place has of what is counted; counted up to `most`.
    pub(crate) fn most(&self, count: Count, most: u64) -> u64 {
        let mut best = self.most_on_one_machine(count, most);
        match self.order().near {
            Near::Site => self.most_in_sites(count, most, &mut best),
            Near::Within(micros) => {
                if micros >= SITE_RTT_MICROS {
                    self.most_in_sites(count, most, &mut best);
                }
                self.most_round_anchors(count, most, micros / 2, &mut best);
            }
            Near::Country => self.most_in_countries(count, most, &mut best),
            Near::Anywhere => best = best.max(self.question.nodes_up_to(most)),
        }
        best.min(most)
    }

    fn rank(&self, cost: Cost, room: u64, place: Place) -> Rank {
        let left = room.saturating_sub(u64::from(self.order().nodes));
        let left = u32::try_from(left).unwrap_or(u32::MAX).min(LEFT_COUNTED_MAX);
        Rank { cost, left, place }
    }

    /// How far room is counted: what is wanted, and what counts as left over.
    fn counted_max(&self) -> u64 {
        u64::from(self.order().nodes) + u64::from(LEFT_COUNTED_MAX)
    }

    fn on_one_machine(&self, best: &mut Option<Whole>) {
        let nodes = self.order().nodes;
        let larger = self.question.times(nodes).filter(|_| self.order().nodes_on_one() >= nodes);
        let Some(larger) = larger else { return };
        let Some(found) = Matches::new(&larger, Ranking::Fit, None).next() else { return };
        let cost = Cost::of(nodes, &found.fit, &self.question.need);
        // Of a machine no more room is counted than the order has nodes.
        let rank = self.rank(cost, u64::from(nodes), Place::Machine(found.fit.worker));
        Whole::or_better(best, Whole { rank, picks: vec![(found.fit, nodes)] });
    }

    fn most_on_one_machine(&self, count: Count, most: u64) -> u64 {
        let has = |nodes: u32| {
            let larger = self.question.times(nodes);
            larger
                .is_some_and(|larger| Matches::new(&larger, Ranking::Price, None).next().is_some())
        };
        if !has(1) {
            return 0;
        }
        let on_one = match count {
            Count::Nodes => u64::from(self.order().nodes_on_one()).min(most),
            Count::Machines => 1,
        };
        let (mut enough, mut too_many) = (1_u32, u32::try_from(on_one).unwrap_or(u32::MAX) + 1);
        while too_many - enough > 1 {
            let middle = enough + (too_many - enough) / 2;
            if has(middle) { enough = middle } else { too_many = middle }
        }
        u64::from(enough)
    }

    /// The machines of a site that fit.
    fn fitting(&self, groups: &[(Site, &Group)], per_gpu: bool, into: &mut Vec<Candidate>) {
        let gpus = self.order().each.gpus;
        let avoid = &self.order().avoid;
        into.clear();
        for member in groups.iter().flat_map(|(_, group)| group.members()) {
            if member.gpus() < gpus || (per_gpu && !member.has_gpus) {
                continue;
            }
            let entry = member.entry(per_gpu);
            if self.sieve.passes(&entry) && !avoid.contains(&entry.worker) {
                let fit = self.question.fit(member.has_gpus, &entry);
                into.push(Candidate::new(self.order(), fit, &entry));
            }
        }
    }

    /// What nodes cost at least in a site, and for how many it has room at most, as far as it is counted.
    fn bound(&self, groups: &[(Site, &Group)], distinct: bool, room_max: u64) -> (Cost, u64) {
        let (order, need) = (self.order(), &self.question.need);
        if !need.per_gpu() {
            let least = groups.iter().map(|(_, group)| group.least(false)).min();
            let of = |group: &Group| group.room_most(order.each.gpus, distinct);
            let room = groups.iter().map(|(_, group)| of(group)).fold(0, u64::saturating_add);
            return (Cost::least(order.nodes, least.unwrap_or(u64::MAX), need), room.min(room_max));
        }
        let wants = Wants {
            nodes: u64::from(order.nodes),
            gpus: u64::from(order.each.gpus),
            is_distinct: distinct,
            unit_max: self.sieve.unit_max,
            tier: self.sieve.tier,
            certifications: self.sieve.certifications,
            room_max,
        };
        let (units, room) = wants.of_site(groups);
        (Cost::of_units(units, need), room)
    }

    fn groups(&self) -> Vec<(Site, &'a Group)> {
        self.question.index().sites.groups(self.question.model, self.order().each.gpus)
    }

    /// The sites that may have room for all nodes, with what these cost there at least: those first where it is least,
    /// and then those with the least room. Asks are read only where the summary says that no other may cost less.
    fn by_cost_least<'g>(
        &self,
        groups: &'g [(Site, &'g Group)],
    ) -> impl Iterator<Item = (Cost, &'g [(Site, &'g Group)])> {
        let (order, need) = (self.order(), &self.question.need);
        let (nodes, distinct) = (u64::from(order.nodes), order.nodes_on_one() == 1);
        let room_most = |site: &[(Site, &Group)]| {
            let of = |group: &Group| group.room_most(order.each.gpus, distinct);
            site.iter().map(|(_, group)| of(group)).fold(0, u64::saturating_add)
        };
        let least = |site: &[(Site, &Group)]| {
            let unit = site.iter().map(|(_, group)| group.least(need.per_gpu())).min();
            Cost::least(order.nodes, unit.unwrap_or(u64::MAX), need)
        };
        let of_sites = groups.chunk_by(|one, next| one.0 == next.0);
        let roomy = of_sites.filter(|site| room_most(site) >= nodes);
        let mut sites: Vec<_> = roomy.map(|site| (least(site), site)).collect();
        sites.sort_unstable_by_key(|(least, _)| *least);
        let (mut at, mut bounds) = (0, BinaryHeap::<Reverse<(Cost, u64, Site, usize)>>::new());
        std::iter::from_fn(move || {
            while let Some((least, site)) = sites.get(at) {
                if bounds.peek().is_some_and(|Reverse((first, ..))| first < least) {
                    break;
                }
                let (cost, room) = self.bound(site, distinct, self.counted_max());
                if room >= nodes {
                    bounds.push(Reverse((cost, room, site[0].0, at)));
                }
                at += 1;
            }
            let Reverse((cost, _, _, at)) = bounds.pop()?;
            Some((cost, sites[at].1))
        })
    }

    fn in_sites(&self, best: &mut Option<Whole>) {
        let (nodes, groups) = (u64::from(self.order().nodes), self.groups());
        let (mut candidates, mut compared) = (Vec::new(), 0_usize);
        for (cost_least, groups) in self.by_cost_least(&groups) {
            let place = Place::Site(groups[0].0);
            let is_over =
                |best: &Whole| compared >= SITES_COMPARED_MAX || best.rank.cost < cost_least;
            if best.as_ref().is_some_and(is_over) {
                return;
            }
            let rank_least = Rank { cost: cost_least, left: 0, place };
            if best.as_ref().is_some_and(|best| best.rank <= rank_least) {
                continue;
            }
            compared += 1;
            self.fitting(groups, self.question.need.per_gpu(), &mut candidates);
            let room: u64 = candidates.iter().map(|it| u64::from(it.room)).sum();
            if room < nodes {
                continue;
            }
            candidates.sort_unstable_by_key(|it| it.fit);
            if let Some(filling) = self.filled(candidates.iter().copied(), best.as_ref()) {
                let rank = self.rank(filling.cost(), room, place);
                Whole::or_better(best, Whole { rank, picks: filling.picks });
            }
        }
    }

    /// All nodes on these machines, unless there is no room or it costs more than the best.
    fn filled(
        &self,
        candidates: impl Iterator<Item = Candidate>,
        best: Option<&Whole>,
    ) -> Option<Filling> {
        let need = &self.question.need;
        let mut filling = Filling::new(self.order().nodes);
        for candidate in candidates {
            let cost_least = filling.cost_least(&candidate.fit, need);
            if best.is_some_and(|best| best.rank.cost < cost_least) {
                return None;
            }
            filling.add(&candidate, need);
            if filling.is_whole() {
                return Some(filling);
            }
        }
        None
    }

    fn most_in_sites(&self, count: Count, most: u64, best: &mut u64) {
        let (order, groups) = (self.order(), self.groups());
        let distinct = count == Count::Machines || order.nodes_on_one() == 1;
        let mut candidates = Vec::new();
        for site in groups.chunk_by(|one, next| one.0 == next.0) {
            let room_most = |group: &Group| match count {
                Count::Nodes => group.room_most(order.each.gpus, distinct),
                Count::Machines => group.len(),
            };
            let room = site.iter().map(|(_, group)| room_most(group)).fold(0, u64::saturating_add);
            if room <= *best || self.bound(site, distinct, *best + 1).1 <= *best {
                continue;
            }
            self.fitting(site, self.question.need.per_gpu(), &mut candidates);
            *best = (*best).max(counted(&candidates, count));
            if *best >= most {
                return;
            }
        }
    }

    /// The countries in which an order may find its machines, by number, with how many machines are there.
    fn countries(&self) -> impl Iterator<Item = (u64, u64)> {
        let wanted = self.question.sieve.countries.as_ref();
        let all = self.question.index().census.countries();
        all.filter(move |(number, _)| *number != 0 && wanted.is_none_or(|it| it.has(*number)))
    }

    fn in_countries(&self, best: &mut Option<Whole>) {
        let order = self.order();
        for (number, machines) in self.countries() {
            if order.nodes_on_one() == 1 && machines < u64::from(order.nodes) {
                continue;
            }
            let narrowed = self.question.in_country(number);
            let found = Matches::new(&narrowed, Ranking::Fit, None);
            let found = found.map(|it| Candidate::new(order, it.fit, &it.entry()));
            let Some(filling) = self.filled(found, best.as_ref()) else { continue };
            let inventory = self.question.inventory;
            let place = inventory.stand(filling.picks[0].0.worker).machine.country;
            let place = place.map_or(Place::Anywhere, Place::Country);
            let room = self.room(&narrowed);
            let rank = self.rank(filling.cost(), room, place);
            Whole::or_better(best, Whole { rank, picks: filling.picks });
        }
    }

    /// Nodes that machines have room for, what they have in common aside; as far as they are counted.
    fn room(&self, question: &Question) -> u64 {
        let (mut room, most) = (0_u64, self.counted_max());
        question.each_passing(|key, block, place| {
            let entry = block.entry(place, key.free_gpus);
            let on_it = self.order().spread.room(&entry.free, &self.order().each);
            room += u64::from(on_it.min(self.order().nodes_on_one()));
            room < most
        });
        room
    }

    fn most_in_countries(&self, count: Count, most: u64, best: &mut u64) {
        for (number, machines) in self.countries() {
            if self.order().nodes_on_one() == 1 && machines <= *best {
                continue;
            }
            let narrowed = self.question.in_country(number);
            let found = match count {
                Count::Nodes => narrowed.nodes_up_to(most),
                Count::Machines => narrowed.machines_up_to(most),
            };
            *best = (*best).max(found);
            if *best >= most {
                return;
            }
        }
    }

    /// The anchors that a machine is near enough to.
    fn anchors(&self, entry: &Entry, micros: u32) -> impl Iterator<Item = u16> {
        let rtts = &self.question.inventory.stand(entry.worker).machine.rtts;
        rtts.iter().filter(move |(_, to)| *to <= micros).map(|(anchor, _)| anchor)
    }

    /// The same for machines only that are near enough to an anchor, or almost.
    fn in_reach(&self, micros: u32) -> Question<'a> {
        let mut narrowed = self.question.clone();
        narrowed.sieve.ties.reach_max = Some(reach(Some(micros)));
        narrowed
    }

    fn round_anchors(&self, micros: u32, best: &mut Option<Whole>) {
        let narrowed = self.in_reach(micros);
        let before = best.as_ref().map(|best| best.rank.cost);
        let mut fillings = self.anchors_filled(&narrowed, micros, before);
        let whole = fillings.values().filter(|filling| filling.is_whole());
        let least = whole.map(Filling::cost).chain(before).min();
        fillings.retain(|_, filling| filling.is_whole() && Some(filling.cost()) == least);
        let is_tied = fillings.len() > 1 || before == least;
        let mut rooms: BTreeMap<u16, u64> = fillings.keys().map(|anchor| (*anchor, 0)).collect();
        if is_tied {
            self.count_round_anchors(&narrowed, micros, &mut rooms);
        }
        for (anchor, filling) in fillings {
            let rank = self.rank(filling.cost(), rooms[&anchor], Place::Anchor(anchor));
            Whole::or_better(best, Whole { rank, picks: filling.picks });
        }
    }

    /// One walk for all anchors: it ends when none that still lacks nodes could cost less than the least there is.
    fn anchors_filled(
        &self,
        narrowed: &Question,
        micros: u32,
        mut least: Option<Cost>,
    ) -> BTreeMap<u16, Filling> {
        let (nodes, need) = (self.order().nodes, &self.question.need);
        let mut fillings: BTreeMap<u16, Filling> = BTreeMap::new();
        let (mut unit, mut compared) = (None, 0_usize);
        for found in Matches::new(narrowed, Ranking::Fit, None) {
            let fit = found.fit;
            let is_dearer =
                unit.replace((fit.strands_gpus, fit.price)) != Some((fit.strands_gpus, fit.price));
            if let (true, Some(least)) = (is_dearer, least) {
                let may = |filling: &Filling| {
                    !filling.is_whole() && filling.cost_least(&fit, need) <= least
                };
                if !may(&Filling::new(nodes)) && !fillings.values().any(may) {
                    break;
                }
            }
            compared += usize::from(least.is_some());
            if compared > MATCHES_COMPARED_MAX {
                break;
            }
            let entry = found.entry();
            let candidate = Candidate::new(self.order(), fit, &entry);
            for anchor in self.anchors(&entry, micros) {
                let filling = fillings.entry(anchor).or_insert_with(|| Filling::new(nodes));
                if !filling.is_whole() {
                    filling.add(&candidate, need);
                }
                if filling.is_whole() {
                    least = Some(least.map_or(filling.cost(), |least| least.min(filling.cost())));
                }
            }
        }
        fillings
    }

    /// Nodes that there is room for round each of these anchors, as far as they are counted.
    fn count_round_anchors(
        &self,
        narrowed: &Question,
        micros: u32,
        rooms: &mut BTreeMap<u16, u64>,
    ) {
        let (most, mut open) = (self.counted_max(), rooms.len());
        narrowed.each_passing(|key, block, place| {
            let entry = block.entry(place, key.free_gpus);
            let candidate = Candidate::new(self.order(), narrowed.fit(false, &entry), &entry);
            for anchor in self.anchors(&entry, micros) {
                let Some(room) = rooms.get_mut(&anchor).filter(|room| **room < most) else {
                    continue;
                };
                *room += u64::from(candidate.room);
                open -= usize::from(*room >= most);
            }
            open > 0
        });
    }

    fn most_round_anchors(&self, count: Count, most: u64, micros: u32, best: &mut u64) {
        let order = self.order();
        let mut rooms: BTreeMap<u16, (Room, u64)> = BTreeMap::new();
        let narrowed = self.in_reach(micros);
        narrowed.each_passing(|key, block, place| {
            let entry = block.entry(place, key.free_gpus);
            let candidate = Candidate::new(order, narrowed.fit(key.has_gpus, &entry), &entry);
            for anchor in self.anchors(&entry, micros) {
                let (room, machines) = rooms.entry(anchor).or_default();
                room.add(candidate.room, candidate.common);
                *machines += 1;
                *best = (*best).max(match count {
                    Count::Nodes => room.nodes(),
                    Count::Machines => *machines,
                });
            }
            *best < most
        });
    }
}

fn counted(candidates: &[Candidate], count: Count) -> u64 {
    let mut room = Room::default();
    match count {
        Count::Machines => u64::try_from(candidates.len()).expect("a count"),
        Count::Nodes => {
            candidates.iter().for_each(|it| room.add(it.room, it.common));
            room.nodes()
        }
    }
}
