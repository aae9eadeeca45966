//! Who has how much of a say: coins at stake that have been there for a while.

use std::collections::BTreeMap;

use units::{AccountId, Coins, Timestamp};

use crate::rules::StakeRules;
use crate::stakes::Stakes;

impl Stakes {
    /// What each account has at stake that votes at `now`: own and co-staked coins that count, and those in the
    /// safety module, each there for at least [`StakeRules::vote_age_days`]. Coins that cool down or are locked have
    /// no vote.
    ///
    /// It costs as much as there are accounts, members of the safety module and coins too young to vote, however many
    /// devices there are.
    pub fn voting_power(&self, now: Timestamp, rules: &StakeRules) -> BTreeMap<AccountId, Coins> {
        let mut units = self.devices.totals().of.clone();
        for (account, young) in self.without_vote(now, rules) {
            if let Some(all) = units.get_mut(&account) {
                *all -= young;
            }
        }
        for (account, lots) in self.safety.lots() {
            *units.entry(account).or_default() +=
                u128::from(lots.aged(rules.vote_age(), now).units());
        }
        units.retain(|_, units| *units > 0);
        units.into_iter().map(|(account, units)| (account, coins(units))).collect()
    }

    /// What one account votes with: what [`Stakes::voting_power`] has of it.
    pub fn voting_power_of(&self, account: AccountId, now: Timestamp, rules: &StakeRules) -> Coins {
        let all = self.devices.totals().of.get(&account).copied().unwrap_or(0);
        let without = self.without_vote(now, rules).filter(|(whose, _)| *whose == account);
        let staked = all - without.map(|(_, units)| units).sum::<u128>();
        let safe = self.safety.aged(account, rules.vote_age(), now);
        coins(staked + u128::from(safe.units()))
    }

    /// What stands for devices and has no vote, of whom, in parts: the young, and the older coins of co-stakers whose
    /// wait is over.
    fn without_vote(
        &self,
        now: Timestamp,
        rules: &StakeRules,
    ) -> impl Iterator<Item = (AccountId, u128)> {
        let age = rules.vote_age();
        let newest_first = self.devices.totals().since.iter().rev();
        let young = newest_first.take_while(move |((since, _), _)| since.after(age) > now);
        let young = young.map(|((_, account), units)| (*account, *units));
        let over = self.over(now);
        young.chain(over.map(move |co| (co.account, u128::from(co.lots.aged(age, now).units()))))
    }
}

/// Two purses of one asset never hold more than there is of it.
fn coins(units: u128) -> Coins {
    Coins::from_units(u64::try_from(units).unwrap_or(u64::MAX))
}
