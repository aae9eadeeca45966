//! Who has how much of a say: coins at stake that have been there for a while.

use std::collections::BTreeMap;

use units::{AccountId, Coins, Timestamp};

use crate::rules::StakeRules;
use crate::stakes::Stakes;

impl Stakes {
    /// What each account has at stake that votes at `now`: own and co-staked coins that count, and those in the
    /// safety module, each there for at least [`StakeRules::vote_age_days`]. Coins that cool down or are locked have
    /// no vote.
    pub fn voting_power(&self, now: Timestamp, rules: &StakeRules) -> BTreeMap<AccountId, Coins> {
        let age = rules.vote_age();
        let own = self.devices.values().map(|holding| (holding.owner, &holding.own));
        let co = self.devices.values().filter_map(|holding| holding.co.as_ref());
        let co = co.filter(|co| self.offers[&co.offer].state.counts(now));
        let co = co.map(|co| (co.account, &co.lots));
        let mut power = BTreeMap::new();
        for (account, lots) in own.chain(co).chain(self.safety.lots()) {
            let aged = lots.aged(age, now);
            if !aged.is_zero() {
                let has = power.entry(account).or_insert(Coins::ZERO);
                // Two purses of one asset never hold more than there is of it.
                *has = has.checked_add(aged).unwrap_or(Coins::from_units(u64::MAX));
            }
        }
        power
    }
}
