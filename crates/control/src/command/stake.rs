//! Coins at stake: on machines by their owners, beside them by co-stakers, and taken for offences.

use ledger::Holder;
use rewards::accruals::Taken as TakenRewards;
use stakes::votes::Switch;
use stakes::{Beyond, Charge, Device, NewOffer, Side, Statement, Taken, Unstaked, Verdict};
use units::{AccountId, Asset, Coins, Money, OfferId, SlashId, Timestamp, WorkerId};

use super::coin::io;
use crate::effect::Subject;
use crate::record::{Actor, OfferRecord, SlashRecord};
use crate::refusal::{Noun, Refusal};
use crate::state::{Control, Reply};

impl Control {
    pub(crate) fn stake(
        &mut self,
        by: Actor,
        id: WorkerId,
        coins: Coins,
        now: Timestamp,
    ) -> Result<Reply, Refusal> {
        self.only_owner(by, id)?;
        let owner = self.known_worker(id)?.owner;
        self.can_pay(owner, coins)?;
        let offers = self.live_offers(id, now);
        self.economy.stakes.stake(id, owner, coins, now)?;
        self.stakes_take(owner, coins);
        self.offers_moved(&offers, now);
        self.changed(Subject::Worker(id));
        Ok(Reply::Done)
    }

    pub(crate) fn unstake(
        &mut self,
        by: Actor,
        account: AccountId,
        id: WorkerId,
        now: Timestamp,
    ) -> Result<Reply, Refusal> {
        Self::only_account(by, account)?;
        let (device, rules) = (self.staked(id), self.parameters().stakes.clone());
        let offers = self.live_offers(id, now);
        let unstaked = self.economy.stakes.unstake(&device, account, now, &rules)?;
        self.were_unstaked(account, &unstaked, now);
        self.offers_moved(&offers, now);
        self.changed(Subject::Worker(id));
        Ok(Reply::Done)
    }

    pub(crate) fn withdraw_overflow(
        &mut self,
        by: Actor,
        account: AccountId,
        id: WorkerId,
        (coins, unstake): (Coins, bool),
        now: Timestamp,
    ) -> Result<Reply, Refusal> {
        Self::only_account(by, account)?;
        let (device, rules) = (self.staked(id), self.parameters().stakes.clone());
        let beyond = if unstake { Beyond::Unstake } else { Beyond::Refuse };
        let offers = self.live_offers(id, now);
        let stakes = &mut self.economy.stakes;
        match stakes.withdraw_overflow(&device, account, (coins, beyond), now, &rules)? {
            Taken::Overflow(coins) => {
                self.stakes_give(account, coins);
                self.power_shrank(&[account], now);
            }
            Taken::Unstaked(unstaked) => self.were_unstaked(account, &unstaked, now),
        }
        self.offers_moved(&offers, now);
        self.changed(Subject::Worker(id));
        Ok(Reply::Done)
    }

    /// Pays coins out whose cooldown is over: an owner's or a co-staker's.
    pub(crate) fn withdraw_stake(
        &mut self,
        by: Actor,
        account: AccountId,
        id: WorkerId,
        now: Timestamp,
    ) -> Result<Reply, Refusal> {
        Self::only_account(by, account)?;
        let offers = self.live_offers(id, now);
        let coins = self.economy.stakes.withdraw(id, account, now)?;
        self.stakes_give(account, coins);
        self.offers_moved(&offers, now);
        self.changed(Subject::Worker(id));
        Ok(Reply::Done)
    }

    pub(crate) fn offer_co_stake(
        &mut self,
        by: Actor,
        record: &OfferRecord,
        now: Timestamp,
    ) -> Result<Reply, Refusal> {
        let OfferRecord { offer, worker, portion_bp, share_bp } = *record;
        self.only_owner(by, worker)?;
        let owner = self.known_worker(worker)?.owner;
        let (device, rules) = (self.staked(worker), self.parameters().stakes.clone());
        let new = NewOffer { id: offer, owner, portion_bp, share_bp };
        self.economy.stakes.create_offer(&device, &new, now, &rules)?;
        self.offer_changed(offer, worker);
        Ok(Reply::Offer(offer))
    }

    pub(crate) fn retract_offer(
        &mut self,
        by: Actor,
        id: OfferId,
        now: Timestamp,
    ) -> Result<Reply, Refusal> {
        let offer = self.known_offer(id)?;
        let (owner, worker) = (offer.owner, offer.worker);
        Self::only_account(by, owner)?;
        self.economy.stakes.retract_offer(id, owner, now)?;
        self.offer_changed(id, worker);
        Ok(Reply::Done)
    }

    pub(crate) fn accept_offer(
        &mut self,
        by: Actor,
        account: AccountId,
        id: OfferId,
        now: Timestamp,
    ) -> Result<Reply, Refusal> {
        Self::only_account(by, account)?;
        let offer = self.known_offer(id)?;
        let (worker, amount) = (offer.worker, offer.amount);
        self.can_pay(account, amount)?;
        let (device, rules) = (self.staked(worker), self.parameters().stakes.clone());
        let coins = self.economy.stakes.accept_offer(id, account, device.need, now, &rules)?;
        self.stakes_take(account, coins);
        self.offer_changed(id, worker);
        Ok(Reply::Done)
    }

    pub(crate) fn leave_offer(
        &mut self,
        by: Actor,
        account: AccountId,
        id: OfferId,
        now: Timestamp,
    ) -> Result<Reply, Refusal> {
        Self::only_account(by, account)?;
        let worker = self.known_offer(id)?.worker;
        let rules = self.parameters().stakes.clone();
        self.economy.stakes.leave_offer(id, account, now, &rules)?;
        self.offer_changed(id, worker);
        Ok(Reply::Done)
    }

    /// Charges a machine with an offence: what its rule asks for is locked until it is burned or given back.
    pub(crate) fn slash(
        &mut self,
        by: Actor,
        record: SlashRecord,
        now: Timestamp,
    ) -> Result<Reply, Refusal> {
        Self::only_operator(by)?;
        self.charge_machine(record, now)
    }

    /// As [`Control::slash`], by whoever has found out.
    pub(crate) fn charge_machine(
        &mut self,
        record: SlashRecord,
        now: Timestamp,
    ) -> Result<Reply, Refusal> {
        let SlashRecord { slash, worker, offence, offended_at, cards, evidence } = record;
        let rules = self.parameters().slashing.clone();
        let need = self.staked(worker).need;
        let hours = u64::from(rules.of(offence).reward_hours);
        let hourly =
            self.economy.last_row(worker).map_or(Coins::ZERO, |(_, row)| row.outcome.payout());
        let limit = hourly.checked_times(hours).unwrap_or(Coins::ZERO);
        let taken = self.economy.accruals.take_for_slash(worker, limit);
        let rewards = taken.parts.iter().copied().collect();
        let offers = self.live_offers(worker, now);
        let charge =
            Charge { id: slash, worker, offence, offended_at, need, cards, rewards, evidence };
        let locked = match self.economy.stakes.charge(&charge, now, &rules) {
            Ok(locked) => locked,
            Err(refusal) => {
                self.economy.accruals.give_back(&taken).expect("it was there a moment ago");
                return Err(refusal.into());
            }
        };
        self.move_coins(&[(io(Holder::Rewards), io(Holder::Stakes), locked.rewards)])
            .expect("what is not claimed lies with the rewards");
        let pieces = self.economy.stakes.slash(slash).map(|slash| slash.pieces.iter());
        let touched: Vec<AccountId> =
            pieces.into_iter().flatten().map(|piece| piece.account).collect();
        self.power_shrank(&touched, now);
        self.offers_moved(&offers, now);
        self.slash_changed(slash, worker);
        Ok(Reply::Slash(slash))
    }

    /// Whose coins are locked appeals, within the time for it.
    pub(crate) fn appeal(
        &mut self,
        by: Actor,
        account: AccountId,
        id: SlashId,
        statement: (String, Option<units::BlobId>),
        now: Timestamp,
    ) -> Result<Reply, Refusal> {
        Self::only_account(by, account)?;
        let worker = self.known_slash(id)?;
        let (text, blob) = statement;
        let statement = Statement { by: Side::Accused(account), text, blob };
        let rules = self.parameters().slashing.clone();
        self.economy.stakes.appeal(id, statement, now, &rules)?;
        self.slash_changed(id, worker);
        Ok(Reply::Done)
    }

    /// Either side adds to what it has said.
    pub(crate) fn state_on_slash(
        &mut self,
        by: Actor,
        side: Side,
        id: SlashId,
        statement: (String, Option<units::BlobId>),
        now: Timestamp,
    ) -> Result<Reply, Refusal> {
        match side {
            Side::Accused(account) => Self::only_account(by, account)?,
            Side::Network => Self::only_operator(by)?,
        }
        let worker = self.known_slash(id)?;
        let (text, blob) = statement;
        self.economy.stakes.state(id, Statement { by: side, text, blob }, now)?;
        self.slash_changed(id, worker);
        Ok(Reply::Done)
    }

    pub(crate) fn judge(
        &mut self,
        by: Actor,
        id: SlashId,
        (uphold, reason): (bool, String),
        now: Timestamp,
    ) -> Result<Reply, Refusal> {
        Self::only_operator(by)?;
        self.decide_slash(id, uphold, reason, now)?;
        Ok(Reply::Done)
    }

    /// Decides a slash: by the operator, or by a jury of holders.
    pub(crate) fn decide_slash(
        &mut self,
        id: SlashId,
        uphold: bool,
        reason: String,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        let verdict = if uphold { Verdict::Uphold } else { Verdict::Overturn };
        let reason = Statement { by: Side::Network, text: reason, blob: None };
        let effect = self.economy.stakes.decide(id, verdict, reason, now)?;
        self.stakes_did(effect, now);
        Ok(())
    }

    /// What stakes have to do because time passes.
    pub(crate) fn wake_stakes(&mut self, now: Timestamp) {
        // While slashing is stopped nothing is burned for want of an appeal: what is due waits for the brake.
        if self.is_braked(Switch::Slashing, now) {
            return;
        }
        for effect in self.economy.stakes.on_wake(now) {
            if let stakes::Effect::CoStakeCools { account, .. } = &effect {
                self.power_shrank(&[*account], now);
            }
            self.stakes_did(effect, now);
        }
    }

    /// Coins that an owner unstaked, and a co-staker's with them, have no vote from here on.
    fn were_unstaked(&mut self, owner: AccountId, unstaked: &Unstaked, now: Timestamp) {
        let co = unstaked.co.map(|(account, _)| account);
        let accounts: Vec<AccountId> = std::iter::once(owner).chain(co).collect();
        self.power_shrank(&accounts, now);
    }

    /// Moves the coins of what happened to stakes.
    fn stakes_did(&mut self, effect: stakes::Effect, now: Timestamp) {
        let stakes = io(Holder::Stakes);
        match effect {
            stakes::Effect::CoStakeCools { offer, worker, .. } => {
                self.offer_changed(offer, worker);
            }
            stakes::Effect::Burned { slash, worker, stake, rewards } => {
                let burned = io(Holder::Burned);
                self.move_coins(&[(stakes, burned, stake), (stakes, burned, rewards)])
                    .expect("what is locked lies with the stakes");
                self.slash_changed(slash, worker);
                self.slash_ended(slash, worker, now);
                self.changed(Subject::Coin);
            }
            stakes::Effect::Restored { slash, worker, rewards, .. } => {
                let parts: Vec<(AccountId, Coins)> = rewards.into_iter().collect();
                let units = parts.iter().map(|(_, coins)| coins.units()).sum();
                let amount = Coins::from_units(units);
                self.move_coins(&[(stakes, io(Holder::Rewards), amount)])
                    .expect("what is locked lies with the stakes");
                self.economy
                    .accruals
                    .give_back(&TakenRewards { worker, amount, parts })
                    .expect("coins are under the cap");
                self.slash_changed(slash, worker);
                self.slash_ended(slash, worker, now);
            }
        }
    }

    /// A machine as the stakes know it. One that is gone needs nothing.
    fn staked(&self, id: WorkerId) -> Device {
        let worker = self.workers.get(&id);
        let need = worker.map_or(Coins::ZERO, |worker| worker.listing.stake_needed);
        let hired = worker.is_some_and(|worker| !worker.nodes.is_empty());
        Device { worker: id, need, hired }
    }

    pub(crate) fn can_pay(&self, account: AccountId, coins: Coins) -> Result<(), Refusal> {
        let available = self.available(Holder::Account(account), Asset::Io);
        if available.units < coins.units() {
            let wanted = Money::from(coins);
            return Err(Refusal::Insufficient { available, wanted });
        }
        Ok(())
    }

    fn stakes_take(&mut self, account: AccountId, coins: Coins) {
        self.move_coins(&[(io(Holder::Account(account)), io(Holder::Stakes), coins)])
            .expect("it was there a moment ago");
        self.changed(Subject::Account(account));
    }

    fn stakes_give(&mut self, account: AccountId, coins: Coins) {
        self.move_coins(&[(io(Holder::Stakes), io(Holder::Account(account)), coins)])
            .expect("what is staked lies with the stakes");
        self.changed(Subject::Account(account));
    }

    fn known_offer(&self, id: OfferId) -> Result<&stakes::Offer, Refusal> {
        self.economy.stakes.offer(id).ok_or(Refusal::NotFound(Noun::Offer))
    }

    fn known_slash(&self, id: SlashId) -> Result<WorkerId, Refusal> {
        let slash = self.economy.stakes.slash(id).ok_or(Refusal::NotFound(Noun::Slash))?;
        Ok(slash.worker)
    }

    fn offer_changed(&mut self, offer: OfferId, worker: WorkerId) {
        self.changed(Subject::Offer(offer));
        self.changed(Subject::Worker(worker));
    }

    fn slash_changed(&mut self, slash: SlashId, worker: WorkerId) {
        self.changed(Subject::Slash(slash));
        self.changed(Subject::Worker(worker));
    }
}
