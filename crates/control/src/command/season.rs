//! Reward programs: planned by the operator, earned hour by hour and quest by quest, paid at their end.

use std::collections::BTreeMap;

use ledger::Holder;
use rewards::season::{Activity, GPUS_MAX, PlanRefusal, Stage};
use stakes::votes::Switch;
use units::{AccountId, Asset, Coins, Hour, Money, Name, SeasonId, Timestamp, WorkerId};

use super::coin::io;
use crate::effect::Subject;
use crate::record::{Actor, SeasonRecord};
use crate::refusal::{Noun, Refusal};
use crate::state::{Control, MINUTE_MILLIS, Reply};

/// Payouts are told to the book so many at a time: it takes no batch of any length.
const PAYOUTS_AT_ONCE: usize = 1_000;

impl Control {
    /// Plans a season; its prizes are set aside from the treasury.
    pub(crate) fn open_season(
        &mut self,
        by: Actor,
        record: SeasonRecord,
        now: Timestamp,
    ) -> Result<Reply, Refusal> {
        Self::only_operator(by)?;
        let SeasonRecord { season: id, plan } = record;
        if self.economy.genesis.is_none() {
            return Err(Refusal::NotFound(Noun::Genesis));
        }
        if self.economy.seasons.season(id).is_some() {
            return Err(Refusal::Exists(Noun::Season));
        }
        let prizes = plan.prizes().ok_or(PlanRefusal::TooMuchPrize)?;
        let available = self.available(Holder::Treasury, Asset::Io);
        if available.units < prizes.units() {
            return Err(Refusal::Insufficient { available, wanted: Money::from(prizes) });
        }
        let rules = self.parameters().seasons;
        self.economy.seasons.plan(id, plan, now, &rules)?;
        self.move_coins(&[(io(Holder::Treasury), io(Holder::Season(id)), prizes)])
            .expect("it was there a moment ago");
        self.changed(Subject::Season(id));
        self.changed(Subject::Coin);
        Ok(Reply::Season(id))
    }

    /// Takes back a season that has not begun, and its prizes.
    pub(crate) fn withdraw_season(
        &mut self,
        by: Actor,
        id: SeasonId,
        now: Timestamp,
    ) -> Result<Reply, Refusal> {
        Self::only_operator(by)?;
        self.known_season(id)?;
        let prizes = self.economy.seasons.withdraw(id, now)?;
        self.move_coins(&[(io(Holder::Season(id)), io(Holder::Treasury), prizes)])
            .expect("the prizes of an unpaid season lie in its purse");
        self.changed(Subject::Season(id));
        self.changed(Subject::Coin);
        Ok(Reply::Done)
    }

    /// A quest is done, as whoever the operator trusts has verified. Told twice is told once.
    pub(crate) fn complete_quest(
        &mut self,
        by: Actor,
        id: SeasonId,
        (quest, account): (&Name, AccountId),
        proof: &str,
        now: Timestamp,
    ) -> Result<Reply, Refusal> {
        Self::only_operator(by)?;
        self.known_season(id)?;
        if !self.people.contains_key(&account) {
            return Err(Refusal::NotFound(Noun::Account));
        }
        self.economy.seasons.complete(id, quest, account, proof, now)?;
        self.changed(Subject::Season(id));
        Ok(Reply::Done)
    }

    /// What machines did in an hour counts for the seasons that the hour belongs to.
    pub(crate) fn record_activity(&mut self, hour: Hour, now: Timestamp) {
        let seasons: Vec<SeasonId> = self.economy.seasons.running_in(hour, now).collect();
        if seasons.is_empty() {
            return;
        }
        let ids = self.workers.keys();
        let all: Vec<Activity> = ids.filter_map(|id| self.activity(*id, hour, now)).collect();
        let of_nominated = all.iter().filter(|activity| self.is_nominated(activity.worker, hour));
        let nominated: Vec<Activity> = of_nominated.copied().collect();
        for id in seasons {
            let seasons = &mut self.economy.seasons;
            let plan = seasons.season(id).map(|season| &season.plan);
            let only = plan.is_some_and(|plan| plan.points.nominated_only);
            seasons
                .record(id, hour, if only { &nominated } else { &all }, now)
                .expect("an hour is counted once, when it is over");
            self.changed(Subject::Season(id));
        }
    }

    /// Whether a machine passed the checklist as the hour began, the last that was judged.
    fn is_nominated(&self, id: WorkerId, hour: Hour) -> bool {
        let nomination = self.workers.get(&id).and_then(|worker| worker.nominated);
        nomination.is_some_and(|judged| judged.hour == hour && judged.missing.is_empty())
    }

    /// What a machine did in an hour, unless it is shut out.
    fn activity(&self, id: WorkerId, hour: Hour, now: Timestamp) -> Option<Activity> {
        let worker = self.workers.get(&id).filter(|worker| !worker.checks.is_shut_out())?;
        let now = now.min(hour.end());
        let minutes = |millis: u64| u8::try_from(millis / MINUTE_MILLIS).unwrap_or(60).min(60);
        let uptime_minutes = minutes(worker.uptime.millis_in(hour, now));
        let served = worker.hired.millis_in(hour, self.hired_since(worker), now);
        let listing = worker.listing;
        Some(Activity {
            account: worker.owner,
            worker: id,
            // A machine that is not heard serves nobody.
            job_minutes: minutes(served).min(uptime_minutes),
            uptime_minutes,
            tier: worker.machine.tier,
            multiplier: listing.multiplier,
            quantity: u16::try_from(listing.quantity).unwrap_or(GPUS_MAX).min(GPUS_MAX),
        })
    }

    /// When something about seasons must be looked at next.
    pub(crate) fn seasons_due(&self) -> Option<Timestamp> {
        let now = self.head().at;
        let pays = self.unpaid_season().is_some() && !self.is_braked(Switch::Claims, now);
        [pays.then_some(now), self.economy.seasons.wake_at()].into_iter().flatten().min()
    }

    /// Seasons begin and end; whose are over are paid, unless the brake stops what is taken out.
    pub(crate) fn wake_seasons(&mut self, now: Timestamp) {
        for (id, _) in self.economy.seasons.on_wake(now) {
            self.changed(Subject::Season(id));
        }
        while let Some(id) = self.unpaid_season().filter(|_| !self.is_braked(Switch::Claims, now)) {
            self.pay_season(id, now);
        }
    }

    /// A season that has ended and is not paid.
    fn unpaid_season(&self) -> Option<SeasonId> {
        let ended = |season: &rewards::season::Season| matches!(season.stage, Stage::Ended { .. });
        self.economy.seasons.seasons().find(|(_, season)| ended(season)).map(|(id, _)| id)
    }

    /// Pays everybody by points; what nobody has points for goes back to the treasury.
    fn pay_season(&mut self, id: SeasonId, now: Timestamp) {
        let payout = self.economy.seasons.pay(id, now).expect("it has ended");
        let mut parts: BTreeMap<Holder, u64> = BTreeMap::new();
        for pool in payout.pools.values() {
            let paid = pool.paid.iter().map(|(account, coins)| (Holder::Account(*account), *coins));
            for (holder, coins) in paid.chain([(Holder::Treasury, pool.unspent)]) {
                *parts.entry(holder).or_default() += coins.units();
            }
        }
        let purse = io(Holder::Season(id));
        let moves: Vec<_> = parts
            .iter()
            .map(|(holder, units)| (purse, io(*holder), Coins::from_units(*units)))
            .collect();
        for batch in moves.chunks(PAYOUTS_AT_ONCE) {
            self.move_coins(batch).expect("the prizes of an unpaid season lie in its purse");
        }
        for account in payout.pools.values().flat_map(|pool| pool.paid.keys()) {
            self.changed(Subject::Account(*account));
        }
        self.changed(Subject::Season(id));
        self.changed(Subject::Coin);
    }

    fn known_season(&self, id: SeasonId) -> Result<(), Refusal> {
        let known = self.economy.seasons.season(id);
        known.map(|_| ()).ok_or(Refusal::NotFound(Noun::Season))
    }
}
