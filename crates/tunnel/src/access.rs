//! Who may visit a service: its visibility, its policy, and what a visitor proved.
//!
//! # Invariants
//! - What nobody was named for nobody may visit: a policy that cannot be read serves nothing.
//! - Whose a service is may always visit it.

use std::collections::BTreeSet;
use std::str::FromStr;

use units::{AccountId, RentalId};

use crate::service::{Service, Visibility};

/// Who a visitor proved to be. Nothing by default, which is anybody.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Who {
    /// Accounts that they act for.
    pub accounts: BTreeSet<AccountId>,
    /// Rentals whose services they may open.
    pub rentals: BTreeSet<RentalId>,
    /// The key of their node or client, if they proved one.
    pub key: Option<[u8; 32]>,
}

/// Whom a service that is for members is for, besides whose it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// The account of the machine that serves.
    has_account: bool,
    accounts: BTreeSet<AccountId>,
    keys: BTreeSet<[u8; 32]>,
}

/// Why a text is no policy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAPolicy {
    /// A word that names nobody.
    #[error(
        "`{0}` in the policy names nobody: it has `account`, ids of accounts, and keys in hexadecimal"
    )]
    Word(String),
    /// It would not be looked at.
    #[error("only a service for members has a policy")]
    Unused,
}

impl FromStr for Policy {
    type Err = NotAPolicy;

    fn from_str(text: &str) -> Result<Self, NotAPolicy> {
        let mut policy = Self::default();
        for word in text.split_ascii_whitespace() {
            if word == "account" {
                policy.has_account = true;
            } else if let Ok(account) = word.parse() {
                policy.accounts.insert(account);
            } else if let Some(key) = key(word) {
                policy.keys.insert(key);
            } else {
                return Err(NotAPolicy::Word(word.chars().take(64).collect()));
            }
        }
        Ok(policy)
    }
}

fn key(word: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    if word.len() != 64 || !word.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    for (at, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(word.get(2 * at..2 * at + 2)?, 16).ok()?;
    }
    Some(bytes)
}

/// Who may visit one service that is served for one account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access {
    /// How widely it is open.
    pub visibility: Visibility,
    /// Whom it is for besides, if it is for members.
    pub policy: Policy,
    /// The account of the machine that serves.
    pub account: AccountId,
    /// The rental that it belongs to.
    pub rental: Option<RentalId>,
}

impl Access {
    /// Who may visit this, served for this account.
    ///
    /// # Errors
    /// If its policy cannot be read, or nobody would look at it.
    pub fn of(service: &Service, account: AccountId) -> Result<Self, NotAPolicy> {
        let policy: Policy = service.policy.parse()?;
        if service.visibility != Visibility::Members && policy != Policy::default() {
            return Err(NotAPolicy::Unused);
        }
        Ok(Self { visibility: service.visibility, policy, account, rental: service.rental })
    }

    /// Whether anybody may visit.
    pub fn is_public(&self) -> bool {
        self.visibility == Visibility::Public
    }

    /// Whether this visitor may.
    pub fn admits(&self, who: &Who) -> bool {
        match self.visibility {
            Visibility::Public => true,
            Visibility::Owner => self.is_owner(who),
            Visibility::Members => self.is_owner(who) || self.names(who),
        }
    }

    /// Whose it is: who may open the rental's services, or the account that publishes it.
    fn is_owner(&self, who: &Who) -> bool {
        match self.rental {
            Some(rental) => who.rentals.contains(&rental),
            None => who.accounts.contains(&self.account),
        }
    }

    fn names(&self, who: &Who) -> bool {
        let Policy { has_account, accounts, keys } = &self.policy;
        (*has_account && who.accounts.contains(&self.account))
            || !accounts.is_disjoint(&who.accounts)
            || who.key.is_some_and(|key| keys.contains(&key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::Proto;

    const SUPPLIER: AccountId = AccountId::from_bits(1);
    const RENTER: AccountId = AccountId::from_bits(2);
    const FRIEND: AccountId = AccountId::from_bits(3);
    const RENTAL: RentalId = RentalId::from_bits(9);

    fn service(visibility: Visibility, policy: &str, rental: Option<RentalId>) -> Service {
        Service {
            name: "x-1".parse().unwrap(),
            proto: Proto::Http,
            visibility,
            is_plain_allowed: false,
            port_wished: 0,
            policy: policy.to_owned(),
            rental,
        }
    }

    fn of(account: AccountId) -> Who {
        Who { accounts: BTreeSet::from([account]), ..Who::default() }
    }

    /// Whether it admits nobody in particular, the supplier, the renter, a friend, and the bearer of key 7.
    #[track_caller]
    fn check(visibility: Visibility, policy: &str, expected: [bool; 5]) {
        let rented = Access::of(&service(visibility, policy, Some(RENTAL)), SUPPLIER).unwrap();
        let renter = Who { rentals: BTreeSet::from([RENTAL]), ..of(RENTER) };
        let bearer = Who { key: Some([7; 32]), ..of(AccountId::from_bits(4)) };
        let all = [Who::default(), of(SUPPLIER), renter, of(FRIEND), bearer];
        assert_eq!(all.map(|who| rented.admits(&who)), expected, "{visibility} `{policy}`");
    }

    #[test]
    fn a_service_of_a_rental_is_for_whom_its_visibility_and_its_policy_name() {
        let (owner, members) = (Visibility::Owner, Visibility::Members);
        check(Visibility::Public, "", [true; 5]);
        check(owner, "", [false, false, true, false, false]);
        check(members, "", [false, false, true, false, false]);
        check(members, "account", [false, true, true, false, false]);
        check(members, &FRIEND.to_string(), [false, false, true, true, false]);
        check(members, &"07".repeat(32), [false, false, true, false, true]);
        check(members, &format!("account {FRIEND}"), [false, true, true, true, false]);
    }

    #[test]
    fn what_an_account_publishes_is_its_own() {
        let published = Access::of(&service(Visibility::Owner, "", None), SUPPLIER).unwrap();
        assert!(published.admits(&of(SUPPLIER)));
        let renter = Who { rentals: BTreeSet::from([RENTAL]), ..of(RENTER) };
        assert!(!published.admits(&renter) && !published.admits(&Who::default()));
    }

    #[test]
    fn a_policy_that_says_nothing_or_would_not_be_looked_at_is_refused() {
        for bad in ["everybody", "acc_1", &"0g".repeat(32), &"07".repeat(31), "+7", "account,acc"] {
            let refused = Access::of(&service(Visibility::Members, bad, None), SUPPLIER);
            assert!(matches!(refused, Err(NotAPolicy::Word(_))), "{bad}: {refused:?}");
        }
        for visibility in [Visibility::Public, Visibility::Owner] {
            let refused = Access::of(&service(visibility, "account", None), SUPPLIER);
            assert_eq!(refused, Err(NotAPolicy::Unused));
        }
    }
}
