//! Coins of genesis set aside for somebody, released by the schedule of their class.

use ledger::Holder;
use units::{Coins, GrantId, Timestamp};

use super::coin::io;
use crate::effect::Subject;
use crate::record::{Actor, GrantRecord};
use crate::refusal::{Noun, Refusal};
use crate::state::{Control, Grant, Reply};

impl Control {
    /// Sets coins of a class aside for an account. A class never gives more than genesis gave it.
    pub(crate) fn open_grant(&mut self, by: Actor, record: GrantRecord) -> Result<Reply, Refusal> {
        Self::only_operator(by)?;
        let GrantRecord { grant, account, class, coins } = record;
        let genesis = self.economy.genesis.as_ref().ok_or(Refusal::NotFound(Noun::Genesis))?.at;
        if !self.people.contains_key(&account) {
            return Err(Refusal::NotFound(Noun::Account));
        }
        if self.economy.grants.contains_key(&grant) {
            return Err(Refusal::Exists(Noun::Grant));
        }
        let classes = self.parameters().genesis.classes();
        let known = classes.iter().find(|(name, _)| *name == class);
        let Some((_, allocation)) = known else {
            let names = classes.map(|(name, _)| name).join(", ");
            return Err(Refusal::Invalid { field: "class", why: format!("one of {names}") });
        };
        let schedule = allocation.schedule;
        let of_class = self.economy.grants.values().filter(|grant| grant.class == class);
        let granted: u64 = of_class.map(|grant| grant.coins.units()).sum();
        let left = Coins::from_units(allocation.amount.units().saturating_sub(granted));
        if coins.is_zero() || coins > left {
            let why = format!("above zero, and at most the {left:#} IO that {class} has left");
            return Err(Refusal::Invalid { field: "coins", why });
        }
        self.move_coins(&[(io(Holder::Treasury), io(Holder::Grant(grant)), coins)])?;
        let record = Grant { account, class, coins, schedule, from: genesis, claimed: Coins::ZERO };
        self.economy.grants.insert(grant, record);
        self.changed(Subject::Grant(grant));
        self.changed(Subject::Coin);
        Ok(Reply::Grant(grant))
    }

    pub(crate) fn claim_grant(
        &mut self,
        by: Actor,
        id: GrantId,
        now: Timestamp,
    ) -> Result<Reply, Refusal> {
        let grant = self.economy.grants.get(&id).ok_or(Refusal::NotFound(Noun::Grant))?;
        let account = grant.account;
        Self::only_account(by, account).map_err(|_| Refusal::NotFound(Noun::Grant))?;
        let claimable = grant.claimable(now);
        if claimable.is_zero() {
            let why = "nothing of it is released that was not claimed: see its dates".to_owned();
            return Err(Refusal::Invalid { field: "grant", why });
        }
        self.move_coins(&[(io(Holder::Grant(id)), io(Holder::Account(account)), claimable)])
            .expect("what is not claimed lies in the grant");
        if let Some(grant) = self.economy.grants.get_mut(&id) {
            grant.claimed = grant.claimed.checked_add(claimable).expect("parts of the grant");
        }
        self.changed(Subject::Grant(id));
        self.changed(Subject::Account(account));
        self.changed(Subject::Coin);
        Ok(Reply::Done)
    }
}

impl Grant {
    /// How much of it is released.
    pub fn released(&self, now: Timestamp) -> Coins {
        self.schedule.released(self.coins, self.from, now)
    }

    /// How much of it can be claimed now.
    pub fn claimable(&self, now: Timestamp) -> Coins {
        self.released(now).checked_sub(self.claimed).unwrap_or(Coins::ZERO)
    }
}
