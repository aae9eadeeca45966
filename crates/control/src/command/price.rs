//! Prices that follow supply and demand, an hour at a time.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use market::{PriceKey, PriceQuote, Region, Stage};
use scheduler::Prices;
use units::{
    AccountId, Certification, Coins, Credits, Hour, ProjectId, RentalId, Timestamp, WorkerId,
};

use super::Standing;
use crate::record::{Actor, MachineRecord, OrderRecord, Role};
use crate::refusal::Refusal;
use crate::state::{Control, MINUTE_MILLIS, Priced, Reply, Worker};

/// Minutes of an hour: what an order that was turned away could have paid for in it.
const HOUR_MINUTES: u64 = 60;

impl Control {
    /// What an hour of a machine's parts costs: a card's, and a thread's as its part of the processor's.
    pub(crate) fn prices_of(&self, priced: &Priced) -> Prices {
        let gpu_hour = self.card_hour(priced).map_or(Credits::ZERO, |quote| quote.price);
        Prices { gpu_hour, vcpu_hour: priced.vcpu_hour }
    }

    /// What an hour of one card of a worker costs now, step by step; `None` for a machine without cards.
    pub fn worker_price(&self, worker: &Worker) -> Option<PriceQuote> {
        self.card_hour(&worker.priced)
    }

    /// What an hour of one card of such a machine would cost now, whether or not one has joined.
    pub fn price_of(&self, machine: &MachineRecord) -> Option<PriceQuote> {
        self.card_hour(&self.priced(machine, machine.certifications.clone()))
    }

    fn card_hour(&self, priced: &Priced) -> Option<PriceQuote> {
        let (key, rules) = (priced.key.as_ref()?, &self.parameters().pricing);
        Some(self.economy.market.pricing.quote(key, priced.base, rules))
    }

    /// Which prices a machine that is listed with these certifications has, by the registry of the day.
    pub(crate) fn priced(
        &self,
        machine: &MachineRecord,
        certifications: BTreeSet<Certification>,
    ) -> Priced {
        let registry = &self.parameters().registry;
        let threads = machine.offers.vcpus;
        let cpu = registry.hour(&registry.classify_cpu(&machine.cpu_model, threads));
        let vcpu_hour = cpu.mul_div_floor(1, u64::from(threads)).unwrap_or(cpu);
        let base = machine.gpu_model.as_ref().map_or(Credits::ZERO, |model| {
            registry.hour(&registry.classify(model.text(), machine.vram_mib))
        });
        Priced { key: self.price_key(machine, certifications).map(Arc::new), base, vcpu_hour }
    }

    /// Which price a machine's cards have: all that drivers call differently and is one model has one.
    fn price_key(
        &self,
        machine: &MachineRecord,
        certifications: BTreeSet<Certification>,
    ) -> Option<PriceKey> {
        let model = machine.gpu_model.as_ref()?;
        let known = self.parameters().registry.find(model.text()).filter(|model| model.listed);
        let listed = known.and_then(|listed| listed.name.parse().ok());
        Some(PriceKey {
            model: listed.unwrap_or_else(|| model.clone()),
            tier: machine.tier,
            region: machine.country.map_or(Region::Elsewhere, Region::of),
            certifications,
        })
    }

    /// Prices begin to be observed.
    pub(crate) fn market_begins(&mut self, now: Timestamp) {
        self.economy.market.hour.get_or_insert(Hour::of(now));
    }

    /// When prices move next.
    pub(crate) fn prices_due(&self) -> Option<Timestamp> {
        self.economy.market.hour.map(Hour::end)
    }

    /// Moves prices by what the hour has shown, if it is over. An hour in which nobody looked shows nothing.
    pub(crate) fn move_prices(&mut self, now: Timestamp) {
        let Some(hour) = self.economy.market.hour.filter(|hour| hour.end() <= now) else { return };
        self.see_running(hour);
        self.see_free(hour, now);
        self.see_conduct(hour, now);
        let parameters = self.shared_parameters();
        let market = &mut self.economy.market;
        let seen = std::mem::take(&mut market.seen);
        market.rented.clear();
        market.hour = Some(Hour::of(now));
        let moved = market.pricing.step(hour, &seen, &parameters.pricing).unwrap_or_default();
        let keys: BTreeSet<PriceKey> = moved.into_iter().map(|moved| moved.key).collect();
        self.reprice(&keys);
        if !keys.is_empty() {
            self.outbid_spots(now);
        }
    }

    /// Puts the machines whose price has moved on offer at what they cost now. A price that is not remembered is that
    /// of its model's figures, and may have moved with them.
    fn reprice(&mut self, keys: &BTreeSet<PriceKey>) {
        let (rules, pricing) = (&self.parameters().pricing, &self.economy.market.pricing);
        let known: BTreeSet<&PriceKey> = pricing.keys().collect();
        // Machines of one price that begin at the same base cost the same: each is worked out once.
        let mut hours: BTreeMap<(Credits, &PriceKey), Option<Credits>> = BTreeMap::new();
        let prices = self.workers.iter().filter_map(|(id, worker)| {
            let Priced { key, base, vcpu_hour } = &worker.priced;
            let key = key.as_deref()?;
            let hour = hours.entry((*base, key)).or_insert_with(|| {
                let is_other = keys.contains(key) || !known.contains(key);
                is_other.then(|| pricing.quote(key, *base, rules).price)
            });
            Some((*id, Prices { gpu_hour: (*hour)?, vcpu_hour: *vcpu_hour }))
        });
        let prices: Vec<(WorkerId, Prices)> = prices.collect();
        self.inventory.reprice(prices);
        self.queue.renew();
    }

    /// Notes that a node has served from `since` until `at`, as far as that lies in the hour that is observed.
    pub(crate) fn see_served(&mut self, id: RentalId, index: u32, since: Timestamp, at: Timestamp) {
        let Some(hour) = self.economy.market.hour else { return };
        let Some(rental) = self.rentals.get(&id) else { return };
        let at_index = usize::try_from(index).ok();
        let Some(node) = at_index.and_then(|index| rental.nodes.get(index)) else { return };
        let (from, until) = (since.max(hour.start()), at.min(hour.end()));
        let minutes = until.millis().saturating_sub(from.millis()) / MINUTE_MILLIS;
        let card_minutes = minutes * u64::from(node.seat.resources.gpus);
        let (supplier, worker) = (node.supplier, node.seat.worker);
        let renter = self.payer(rental.project);
        let priced = self.workers.get(&worker).and_then(|worker| worker.priced.key.as_ref());
        let Some(key) = priced.map(|key| PriceKey::clone(key)) else { return };
        if card_minutes == 0 {
            return;
        }
        let market = &mut self.economy.market;
        market.seen.entry(key).or_default().rented(supplier, renter, card_minutes);
        *market.rented.entry(worker).or_default() += card_minutes;
    }

    /// What serves as the hour ends has served in it.
    fn see_running(&mut self, hour: Hour) {
        let running = self
            .rentals
            .values()
            .filter(|rental| matches!(rental.stage, Stage::Running { .. }))
            .flat_map(|rental| {
                let nodes = (0_u32..).zip(&rental.nodes);
                nodes.filter_map(|(index, node)| Some((rental.id, index, node.meter.since()?)))
            });
        let running: Vec<(RentalId, u32, Timestamp)> = running.collect();
        for (id, index, since) in running {
            self.see_served(id, index, since, hour.end());
        }
    }

    /// What was up, open and not rented was free.
    fn see_free(&mut self, hour: Hour, now: Timestamp) {
        // By account first: two numbers are compared sooner than two prices.
        let mut free: BTreeMap<(AccountId, &PriceKey), u64> = BTreeMap::new();
        for (id, worker) in &self.workers {
            let Some(key) = worker.priced.key.as_deref() else { continue };
            if worker.paused || worker.checks.is_shut_out() || !worker.onboarding.is_ready() {
                continue;
            }
            let minutes = worker.uptime.millis_in(hour, now.min(hour.end())) / MINUTE_MILLIS;
            let all = minutes * u64::from(worker.machine.offers.gpus);
            let rented = self.economy.market.rented.get(id).copied().unwrap_or_default();
            let sum = free.entry((worker.owner, key)).or_default();
            *sum = sum.saturating_add(all.saturating_sub(rented));
        }
        let seen = &mut self.economy.market.seen;
        for ((supplier, key), card_minutes) in free {
            match seen.get_mut(key) {
                Some(seen) => seen.free(supplier, card_minutes),
                None => seen.entry(key.clone()).or_default().free(supplier, card_minutes),
            }
        }
    }

    /// Every machine that was there all hour was up in it, or was not, and had its stake, or had not.
    fn see_conduct(&mut self, hour: Hour, now: Timestamp) {
        let enough = u64::from(self.parameters().checklist.time_lock_minutes_min) * MINUTE_MILLIS;
        // Both are in the order of machines: no stake is looked up.
        let mut stakes = self.economy.stakes.haves(now).peekable();
        for (id, worker) in &mut self.workers {
            while stakes.next_if(|(of, _)| of < id).is_some() {}
            let has = stakes.next_if(|(of, _)| of == id).map_or(Coins::ZERO, |(_, coins)| coins);
            if worker.described < hour.start() {
                let up = worker.uptime.millis_in(hour, now.min(hour.end())) >= enough;
                worker.week.hour(hour, up, has >= worker.listing.stake_needed);
            }
        }
    }

    /// How reliable a machine was in its last week, in ten-thousandths.
    pub fn reliability_bp(&self, id: WorkerId) -> Option<u16> {
        let worker = self.workers.get(&id)?;
        let stand = self.economy.stakes.slashes_of(id).filter(|(_, slash)| slash.stands()).count();
        let slashes = u32::try_from(stand).unwrap_or(u32::MAX);
        Some(stakes::reliability_bp(&worker.week.conduct(slashes), &self.parameters().reliability))
    }

    /// Who is taken for the renter of a project: its first owner.
    fn payer(&self, project: ProjectId) -> AccountId {
        let members = self.projects.get(&project).map(|project| &project.members);
        let owner = members
            .and_then(|members| members.iter().find(|(_, role)| **role == Role::Owner))
            .map(|(account, _)| *account);
        owner.unwrap_or(AccountId::from_bits(0))
    }

    /// An order was turned away for want of machines: that is demand, if it could have been paid for. What machines
    /// can serve after all is not.
    pub(crate) fn turned_away(
        &mut self,
        by: Actor,
        project: ProjectId,
        order: &OrderRecord,
        now: Timestamp,
    ) -> Result<Reply, Refusal> {
        self.only_in_project(by, project, Standing::Member)?;
        self.market_begins(now);
        let Some(model) = order.filters.gpu_model.clone() else { return Ok(Reply::Done) };
        let wanted = self.asked(project, order);
        if self.inventory.place(&wanted).is_ok() {
            return Ok(Reply::Done);
        }
        self.inventory.learn(&wanted);
        let renter = self.payer(project);
        self.reclaim_for(project, order, now);
        let card_minutes = u64::from(order.nodes) * u64::from(order.each.gpus) * HOUR_MINUTES;
        let payable = self.payable(project, card_minutes);
        let is_asked = |worker: &&Worker| self.counts_as(worker).gpu_model.as_ref() == Some(&model);
        let machines = self.workers.values().filter(is_asked);
        let keys: BTreeSet<PriceKey> =
            machines.filter_map(|it| it.priced.key.as_deref().cloned()).collect();
        let Some(each) = u64::try_from(keys.len()).ok().and_then(|keys| payable.checked_div(keys))
        else {
            return Ok(Reply::Done);
        };
        for key in keys {
            self.economy.market.seen.entry(key).or_default().refused(renter, each);
        }
        Ok(Reply::Done)
    }

    /// Wants back what spot rentals hold, as far as the project could pay for it.
    fn reclaim_for(&mut self, project: ProjectId, order: &OrderRecord, now: Timestamp) {
        let cards = u64::from(order.nodes) * u64::from(order.each.gpus);
        let payable = self.payable(project, cards * HOUR_MINUTES) / HOUR_MINUTES;
        let cards = u32::try_from(payable).unwrap_or(u32::MAX);
        self.reclaim_spots(project, (order, cards), now);
    }

    /// As many of these card-minutes as the project has money for, at a dollar an hour at least.
    fn payable(&self, project: ProjectId, card_minutes: u64) -> u64 {
        let dollars = self.purse(ledger::Holder::Project(project)).available() / 1_000_000;
        card_minutes.min(dollars.saturating_mul(HOUR_MINUTES))
    }
}
