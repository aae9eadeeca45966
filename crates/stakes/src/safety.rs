//! The safety module: a pool that any holder may stake into, and that earns a part of every block.
//!
//! # Invariants
//! - What is held is what is staked, what cools down, and rewards nobody has claimed; dust of rounding stays among
//!   the last.
//! - Claims never pay more than was given, and each member's part follows from the stakes at each giving alone.
//! - A reward costs one sum, however many members there are.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use units::{AccountId, Coins, FullMinute, Hour, Timestamp};

use crate::limits::SAFETY_COOLING_MAX;
use crate::lots::{Lot, Lots, sum};
use crate::rules::{BadRules, at_most_a_year, days, must};
use crate::yields::{Mark, Yields};

/// Hours that the estimate of a yield looks back: a week, as published for co-staking.
const ESTIMATE_HOURS: u32 = 168;

/// Hours of a year, as yields are told: 365 days.
const YEAR_HOURS: u64 = 8_760;

/// Constants of the safety module. io.net publishes that it exists and takes a share of each block; its times and
/// amounts are chosen here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SafetyRules {
    /// Days from unstaking to withdrawing: 14, as for devices.
    pub cooldown_days: u16,
    /// The least a member stakes: one coin, so that a member is worth remembering.
    pub stake_min: Coins,
    /// What members earn in a year at least, in ten-thousandths of what is staked: where an hour's share of its block
    /// is less, the treasury adds. 300, below which holders are taken to leave.
    pub yield_min_bp: u16,
    /// How much of the treasury that may take in a year at most, in ten-thousandths. 100: after twenty years four
    /// fifths of it would be left.
    pub treasury_year_max_bp: u16,
}

impl Default for SafetyRules {
    fn default() -> Self {
        Self {
            cooldown_days: 14,
            stake_min: Coins::from_units(100_000_000),
            yield_min_bp: 300,
            treasury_year_max_bp: 100,
        }
    }
}

impl SafetyRules {
    /// Refuses rules that make no sense.
    pub fn check(&self) -> Result<(), BadRules> {
        must(!self.stake_min.is_zero(), "stake_min", "must be above zero")?;
        must(self.yield_min_bp <= 10_000, "yield_min_bp", "must be at most 10000")?;
        let most = self.treasury_year_max_bp;
        must(most <= 10_000, "treasury_year_max_bp", "must be at most 10000")?;
        at_most_a_year(self.cooldown_days, "cooldown_days")
    }

    /// What the treasury adds to what an hour's block gave to members who stake so much. Rounded down: never more than
    /// is missing, and never more than the hour's part of the treasury.
    pub fn top_up(&self, staked: Coins, given: Coins, treasury: Coins) -> Coins {
        let an_hour = |coins: Coins, year_bp: u16| {
            let part = coins.mul_div_floor(u64::from(year_bp.min(10_000)), 10_000 * YEAR_HOURS);
            part.expect("a part of what can be written down")
        };
        let least = an_hour(staked, self.yield_min_bp);
        let missing = least.checked_sub(given).unwrap_or(Coins::ZERO);
        missing.min(an_hour(treasury, self.treasury_year_max_bp))
    }
}

/// Everything in the safety module.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Safety {
    members: BTreeMap<AccountId, Member>,
    yields: Yields,
    /// What all members stake.
    staked: Coins,
    /// What was given and not claimed.
    rewards: Coins,
    /// What came in less what went out.
    held: Coins,
    /// What each of the last hours gave.
    given: BTreeMap<Hour, Coins>,
}

impl Default for Safety {
    fn default() -> Self {
        Self {
            members: BTreeMap::new(),
            yields: Yields::default(),
            staked: Coins::ZERO,
            rewards: Coins::ZERO,
            held: Coins::ZERO,
            given: BTreeMap::new(),
        }
    }
}

/// What one account has in the safety module.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Member {
    lots: Lots,
    /// Where the index stood when this member was last settled.
    settled: Mark,
    /// What was owed then.
    owed: Coins,
    cooling: Vec<Lot>,
}

impl Member {
    fn is_gone(&self) -> bool {
        self.lots.is_empty() && self.owed.is_zero() && self.cooling.is_empty()
    }
}

/// What an account has in the safety module, to be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SafetyView {
    /// What it stakes.
    pub staked: Coins,
    /// What it may claim.
    pub owed: Coins,
    /// What cools down; `since` is when it can be withdrawn.
    pub cooling: Vec<Lot>,
}

/// What an estimate of the yearly yield rests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct YieldBasis {
    /// Rewards given in the last seven days.
    pub given_week: Coins,
    /// What is staked.
    pub staked: Coins,
}

impl YieldBasis {
    /// What a year like the last week would give, in ten-thousandths of what is staked; `None` while nothing is.
    pub fn yearly_bp(&self) -> Option<u64> {
        let yearly = self.given_week.mul_div_floor(365, 7)?;
        yearly.mul_div_floor(10_000, self.staked.units()).map(Coins::units)
    }
}

/// Why the safety module did nothing. Checks run in the order of these variants.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SafetyRefusal {
    /// Zero coins.
    #[error("no coins are named: say how many")]
    Nothing,
    /// A member would stake less than the least.
    #[error(
        "a member stakes at least {min:#} IO, or nothing: unstake all of it, or leave that much"
    )]
    BelowMin {
        /// The least.
        min: Coins,
    },
    /// The account stakes less than that.
    #[error("{staked:#} IO are staked by this account, not {wanted:#}")]
    NotThatMuch {
        /// What it stakes.
        staked: Coins,
        /// What was asked for.
        wanted: Coins,
    },
    /// The account unstaked too often without withdrawing.
    #[error("{SAFETY_COOLING_MAX} parts cool down already: withdraw what is ripe first")]
    TooManyCooling,
    /// Nothing of the account's cools down.
    #[error("this account has nothing unstaked: unstake first")]
    NothingCooling,
    /// The coins cool down.
    #[error("the coins cool down until {}: withdraw them then", FullMinute(*.withdrawable_at))]
    NotYet {
        /// When the first of them can be withdrawn.
        withdrawable_at: Timestamp,
    },
    /// The account is owed nothing.
    #[error("this account has nothing to claim")]
    NothingOwed,
    /// A reward came while nobody stakes.
    #[error("nobody stakes in the safety module: the reward has nobody to go to")]
    NobodyStakes,
    /// More than can be written down.
    #[error("more coins than there are")]
    TooMuch,
}

impl Safety {
    /// An account stakes coins. Returns all it then stakes.
    pub fn stake(
        &mut self,
        account: AccountId,
        amount: Coins,
        now: Timestamp,
        rules: &SafetyRules,
    ) -> Result<Coins, SafetyRefusal> {
        if amount.is_zero() {
            return Err(SafetyRefusal::Nothing);
        }
        let before = self.members.get(&account).map_or(Coins::ZERO, |member| member.lots.total());
        let after = before.checked_add(amount).ok_or(SafetyRefusal::TooMuch)?;
        if after < rules.stake_min {
            return Err(SafetyRefusal::BelowMin { min: rules.stake_min });
        }
        self.held = self.held.checked_add(amount).ok_or(SafetyRefusal::TooMuch)?;
        self.staked = sum([self.staked, amount]);
        self.settle(account).lots.put(Lot { since: now, amount });
        Ok(after)
    }

    /// An account unstakes some of its coins: they earn nothing from now on and cool down. Returns until when.
    pub fn unstake(
        &mut self,
        account: AccountId,
        amount: Coins,
        now: Timestamp,
        rules: &SafetyRules,
    ) -> Result<Timestamp, SafetyRefusal> {
        if amount.is_zero() {
            return Err(SafetyRefusal::Nothing);
        }
        let member = self.members.get(&account);
        let staked = member.map_or(Coins::ZERO, |member| member.lots.total());
        let refused = SafetyRefusal::NotThatMuch { staked, wanted: amount };
        let left = staked.checked_sub(amount).ok_or(refused)?;
        if !left.is_zero() && left < rules.stake_min {
            return Err(SafetyRefusal::BelowMin { min: rules.stake_min });
        }
        if member.is_some_and(|member| member.cooling.len() >= SAFETY_COOLING_MAX) {
            return Err(SafetyRefusal::TooManyCooling);
        }
        let withdrawable_at = now.after(days(rules.cooldown_days));
        let member = self.settle(account);
        member.lots.take(amount);
        member.cooling.push(Lot { since: withdrawable_at, amount });
        self.staked = self.staked.checked_sub(amount).expect("a part of what is staked");
        Ok(withdrawable_at)
    }

    /// Pays an account's coins out whose cooldown is over.
    pub fn withdraw(&mut self, account: AccountId, now: Timestamp) -> Result<Coins, SafetyRefusal> {
        let member = self.members.get_mut(&account).ok_or(SafetyRefusal::NothingCooling)?;
        let first = member.cooling.iter().map(|coins| coins.since).min();
        let withdrawable_at = first.ok_or(SafetyRefusal::NothingCooling)?;
        if now < withdrawable_at {
            return Err(SafetyRefusal::NotYet { withdrawable_at });
        }
        let ripe = member.cooling.extract_if(.., |coins| coins.since <= now);
        let amount = sum(ripe.map(|coins| coins.amount));
        self.pay_out(amount);
        self.forget_if_gone(account);
        Ok(amount)
    }

    /// A reward comes in and is shared among all that is staked. Refused while nobody stakes: the first to come would
    /// get what nobody earned.
    pub fn give(&mut self, reward: Coins, hour: Hour) -> Result<(), SafetyRefusal> {
        if reward.is_zero() {
            return Err(SafetyRefusal::Nothing);
        }
        if self.staked.is_zero() {
            return Err(SafetyRefusal::NobodyStakes);
        }
        let held = self.held.checked_add(reward).ok_or(SafetyRefusal::TooMuch)?;
        let shared = self.yields.share(reward.units(), self.staked.units());
        shared.ok_or(SafetyRefusal::TooMuch)?;
        self.held = held;
        self.rewards = sum([self.rewards, reward]);
        let given = self.given.entry(hour).or_insert(Coins::ZERO);
        *given = sum([*given, reward]);
        let newest = *self.given.keys().next_back().expect("one was just added");
        self.given.retain(|hour, _| newest.since(*hour) < ESTIMATE_HOURS);
        Ok(())
    }

    /// Pays out what an account earned.
    pub fn claim(&mut self, account: AccountId) -> Result<Coins, SafetyRefusal> {
        if self.owed(account).is_zero() {
            return Err(SafetyRefusal::NothingOwed);
        }
        let member = self.settle(account);
        let amount = std::mem::replace(&mut member.owed, Coins::ZERO);
        self.rewards = self.rewards.checked_sub(amount).expect("what is owed was given");
        self.pay_out(amount);
        self.forget_if_gone(account);
        Ok(amount)
    }

    /// What an account may claim.
    pub fn owed(&self, account: AccountId) -> Coins {
        self.members.get(&account).map_or(Coins::ZERO, |member| self.owed_to(member))
    }

    /// What an account has in it.
    pub fn view(&self, account: AccountId) -> Option<SafetyView> {
        let member = self.members.get(&account)?;
        Some(SafetyView {
            staked: member.lots.total(),
            owed: self.owed_to(member),
            cooling: member.cooling.clone(),
        })
    }

    /// What an estimate of the yearly yield rests on, at `now`.
    pub fn yield_basis(&self, now: Timestamp) -> YieldBasis {
        let hour = Hour::of(now);
        let week = self.given.iter().filter(|(given, _)| hour.since(**given) < ESTIMATE_HOURS);
        YieldBasis { given_week: sum(week.map(|(_, amount)| *amount)), staked: self.staked }
    }

    /// What all members stake.
    pub const fn staked(&self) -> Coins {
        self.staked
    }

    /// Everything that is held: staked, cooling down, and rewards nobody has claimed.
    pub const fn total(&self) -> Coins {
        self.held
    }

    /// What an account has staked for at least `age`.
    pub(crate) fn aged(&self, account: AccountId, age: Duration, now: Timestamp) -> Coins {
        let member = self.members.get(&account);
        member.map_or(Coins::ZERO, |member| member.lots.aged(age, now))
    }

    /// Each member with its coins.
    pub(crate) fn lots(&self) -> impl Iterator<Item = (AccountId, &Lots)> {
        self.members.iter().map(|(account, member)| (*account, &member.lots))
    }

    /// Whether everything adds up.
    pub(crate) fn sound(&self) -> bool {
        let units = |all: &mut dyn Iterator<Item = Coins>| -> u128 {
            all.map(|coins| u128::from(coins.units())).sum()
        };
        let members = || self.members.values();
        let cooling =
            units(&mut members().flat_map(|member| &member.cooling).map(|lot| lot.amount));
        let staked: u128 = members().map(|member| member.lots.units()).sum();
        let owed = members().map(|member| {
            let grown =
                self.yields.owed(u64::try_from(member.lots.units()).ok()?, member.settled)?;
            Some(u128::from(grown) + u128::from(member.owed.units()))
        });
        let owed: Option<u128> = owed.sum();
        let rewards = u128::from(self.rewards.units());
        members().all(|member| member.lots.sound() && !member.is_gone())
            && staked == u128::from(self.staked.units())
            && owed.is_some_and(|owed| owed <= rewards)
            && staked + cooling + rewards == u128::from(self.held.units())
    }

    fn owed_to(&self, member: &Member) -> Coins {
        let grown = self.yields.owed(member.lots.total().units(), member.settled);
        sum([member.owed, Coins::from_units(grown.expect("the index shares what was given"))])
    }

    /// The member, owed what it earned so far; a new one if the account is none.
    fn settle(&mut self, account: AccountId) -> &mut Member {
        let (owed, settled) = (self.owed(account), self.yields.mark());
        let member = self.members.entry(account).or_insert_with(|| Member {
            lots: Lots::default(),
            settled,
            owed,
            cooling: Vec::new(),
        });
        (member.owed, member.settled) = (owed, settled);
        member
    }

    fn pay_out(&mut self, amount: Coins) {
        self.held = self.held.checked_sub(amount).expect("what is paid out was held");
    }

    fn forget_if_gone(&mut self, account: AccountId) {
        if self.members.get(&account).is_some_and(Member::is_gone) {
            self.members.remove(&account);
        }
    }
}
