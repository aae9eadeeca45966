//! The safety module: coins of holders that share in every block.

use ledger::Holder;
use units::{AccountId, Coins, Timestamp};

use super::coin::io;
use crate::effect::Subject;
use crate::record::Actor;
use crate::refusal::Refusal;
use crate::state::{Control, Reply};

impl Control {
    pub(crate) fn safety_stake(
        &mut self,
        by: Actor,
        account: AccountId,
        coins: Coins,
        now: Timestamp,
    ) -> Result<Reply, Refusal> {
        Self::only_account(by, account)?;
        self.can_pay(account, coins)?;
        let rules = self.parameters().safety.clone();
        self.economy.stakes.safety.stake(account, coins, now, &rules)?;
        self.move_coins(&[(io(Holder::Account(account)), io(Holder::SafetyModule), coins)])
            .expect("it was there a moment ago");
        self.changed(Subject::Account(account));
        Ok(Reply::Done)
    }

    pub(crate) fn safety_unstake(
        &mut self,
        by: Actor,
        account: AccountId,
        coins: Coins,
        now: Timestamp,
    ) -> Result<Reply, Refusal> {
        Self::only_account(by, account)?;
        let rules = self.parameters().safety.clone();
        self.economy.stakes.safety.unstake(account, coins, now, &rules)?;
        self.power_shrank(&[account], now);
        self.changed(Subject::Account(account));
        Ok(Reply::Done)
    }

    pub(crate) fn safety_withdraw(
        &mut self,
        by: Actor,
        account: AccountId,
        now: Timestamp,
    ) -> Result<Reply, Refusal> {
        Self::only_account(by, account)?;
        let coins = self.economy.stakes.safety.withdraw(account, now)?;
        self.safety_pays(account, coins);
        Ok(Reply::Done)
    }

    pub(crate) fn safety_claim(&mut self, by: Actor, account: AccountId) -> Result<Reply, Refusal> {
        Self::only_account(by, account)?;
        let coins = self.economy.stakes.safety.claim(account)?;
        self.safety_pays(account, coins);
        Ok(Reply::Done)
    }

    fn safety_pays(&mut self, account: AccountId, coins: Coins) {
        self.move_coins(&[(io(Holder::SafetyModule), io(Holder::Account(account)), coins)])
            .expect("what is in the module lies in its purse");
        self.changed(Subject::Account(account));
    }
}
