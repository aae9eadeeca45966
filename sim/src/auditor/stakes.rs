//! What the auditor believes of coins at stake: who put in how much, who may take how much out, and what is burned.

use std::collections::BTreeMap;

use control::{Actor, Body, Command, Control};
use ledger::Holder;
use stakes::votes::Switch;
use units::{AccountId, Amount, Asset, GrantId, SlashId, Timestamp};

use super::Belief;
use crate::broken::{Broken, Invariant, Step, must};

/// What lies in the purses of stakes, of the safety module and of grants.
#[derive(Clone, Debug, Default)]
pub(super) struct AtStake {
    /// Everything on machines.
    total: u64,
    /// What each account has put in and not taken out, on machines; a slash takes of it when it is burned.
    of: BTreeMap<AccountId, u64>,
    /// What each account has in the safety module and has not unstaked.
    pub(super) safe: BTreeMap<AccountId, u64>,
    /// When each account put in how much, anywhere.
    put_in: BTreeMap<AccountId, Vec<(Timestamp, u64)>>,
    /// Rewards that lie locked with the stakes, by slash, and whose they are.
    slashes: BTreeMap<SlashId, Charged>,
    grants: BTreeMap<GrantId, u64>,
}

/// What a slash has locked.
#[derive(Clone, Debug, Default)]
struct Charged {
    stake: u64,
    rewards: u64,
    over: bool,
}

impl AtStake {
    /// Whether anybody stakes in the safety module.
    pub(super) fn anybody_safe(&self) -> bool {
        self.safe.values().any(|units| *units > 0)
    }

    /// What an account had put in by then, taken out again or not.
    pub(super) fn put_in_by(&self, account: AccountId, until: Timestamp) -> u64 {
        let of = self.put_in.get(&account).into_iter().flatten();
        of.filter(|(at, _)| *at <= until).map(|(_, units)| units).sum()
    }

    /// Whether an account ever put anything in.
    pub(super) fn has_put_in(&self, account: AccountId) -> bool {
        self.of.contains_key(&account)
    }
}

impl Belief {
    /// What one entry does to stakes and grants; whether any money moved.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "commands that are not looked at here are looked at elsewhere, or move nothing"
    )]
    pub(super) fn see_stakes(&mut self, control: &Control, body: &Body) -> Result<bool, Broken> {
        use Command as C;
        let stakes = &control.economy().stakes;
        let (before, after) = (self.at_stake.total, stakes.total().units());
        let (came, left) = (after.saturating_sub(before), before.saturating_sub(after));
        self.at_stake.total = after;
        match &body.command {
            C::Stake { worker, coins } => {
                let owner = control.worker(*worker).map(|worker| worker.owner);
                let right = came == coins.units() && owner.is_some();
                must(right, Invariant::Stakes, || format!("{came} came in by {:?}", body.command))?;
                self.put_in(body, owner.unwrap_or(AccountId::from_bits(0)), came)?;
            }
            C::AcceptOffer { account, .. } => self.put_in(body, *account, came)?,
            C::WithdrawStake { account, .. } => self.take_out(body, *account, left)?,
            C::WithdrawOverflow { account, coins, unstake, .. } => {
                let right = left == coins.units() || (*unstake && left == 0);
                must(right, Invariant::Stakes, || format!("{left} left by {:?}", body.command))?;
                self.take_out(body, *account, left)?;
            }
            C::Slash { .. }
            | C::SealProof { .. }
            | C::SealLock { .. }
            | C::Judge { .. }
            | C::Wake {} => {
                self.see_slashes(control, body)?;
            }
            _ => {
                let still = came == 0 && left == 0;
                must(still, Invariant::Stakes, || {
                    format!("{came} came and {left} left by {:?}", body.command)
                })?;
                let safe = self.see_safety(control, body)?;
                return Ok(self.see_grants(control, body)? || safe);
            }
        }
        Ok(true)
    }

    fn put_in(&mut self, body: &Body, account: AccountId, units: u64) -> Step {
        self.only(body, account)?;
        *self.at_stake.of.entry(account).or_default() += units;
        self.at_stake.put_in.entry(account).or_default().push((self.at, units));
        self.money.flow(Asset::Io, Holder::Account(account), Holder::Stakes, units)
    }

    fn take_out(&mut self, body: &Body, account: AccountId, units: u64) -> Step {
        self.only(body, account)?;
        let has = self.at_stake.of.entry(account).or_default();
        must(units <= *has, Invariant::Stakes, || {
            format!("{account} takes {units} out of {has} it has put in")
        })?;
        *has -= units;
        self.money.flow(Asset::Io, Holder::Stakes, Holder::Account(account), units)
    }

    pub(super) fn only(&self, body: &Body, account: AccountId) -> Step {
        let may = body.by == Actor::Operator || body.by == Actor::Account(account);
        must(may, Invariant::Authority, || format!("{:?} did {:?}", body.by, body.command))
    }

    /// Whether this entry has decided a slash.
    pub(super) fn is_any_slash_over(&self, control: &Control) -> bool {
        let mut slashes = control.economy().stakes.slashes();
        slashes.any(|(id, slash)| {
            let open = self.at_stake.slashes.get(&id).is_some_and(|charged| !charged.over);
            open && !slash.stage.holds_coins()
        })
    }

    /// Slashes that are new or decided: rewards come to the stakes and go back, or all of it burns.
    fn see_slashes(&mut self, control: &Control, body: &Body) -> Step {
        let mut moved = false;
        for (id, slash) in control.economy().stakes.slashes() {
            let holds = slash.stage.holds_coins();
            let known = self.at_stake.slashes.get(&id).cloned();
            match known {
                None => {
                    let told =
                        matches!(&body.command, Command::Slash { slash } if slash.slash == id);
                    let by_proof = self.verdicts.charges.contains(&id);
                    let right = holds && (by_proof || told && body.by == Actor::Operator);
                    must(right, Invariant::Stakes, || format!("{id} is there by {body:?}"))?;
                    let stake = slash.stake().units();
                    let rewards = slash.rewards().values().copied().map(Amount::units).sum();
                    self.money.flow(Asset::Io, Holder::Rewards, Holder::Stakes, rewards)?;
                    self.at_stake.slashes.insert(id, Charged { stake, rewards, over: false });
                    moved = true;
                }
                Some(charged) if !charged.over && !holds => {
                    let of_pieces = slash.pieces.iter().map(|piece| (piece.account, piece));
                    let staked = of_pieces.filter(|(_, piece)| piece.home != stakes::Home::Rewards);
                    let staked: Vec<(AccountId, u64)> =
                        staked.map(|(account, piece)| (account, piece.amount.units())).collect();
                    let held = slash.stage.is_burned() && self.is_braked(Switch::Slashing);
                    must(!held, Invariant::Brake, || format!("{id} burned under the brake"))?;
                    self.see_verdict(&charged, slash.stage.is_burned(), &staked)?;
                    self.at_stake.slashes.insert(id, Charged { over: true, ..charged });
                    moved = true;
                }
                Some(_) => {}
            }
        }
        if moved {
            self.take_accruals_as_they_are(control);
        }
        Ok(())
    }

    fn see_verdict(&mut self, charged: &Charged, burned: bool, of: &[(AccountId, u64)]) -> Step {
        let stake: u64 = of.iter().map(|(_, units)| units).sum();
        must(stake == charged.stake, Invariant::Stakes, || {
            format!("{} were locked, {stake} are decided", charged.stake)
        })?;
        if !burned {
            return self.money.flow(Asset::Io, Holder::Stakes, Holder::Rewards, charged.rewards);
        }
        for (account, units) in of {
            let has = self.at_stake.of.entry(*account).or_default();
            must(*units <= *has, Invariant::Stakes, || {
                format!("{account} loses {units} of {has}")
            })?;
            *has -= units;
        }
        let all = charged.stake + charged.rewards;
        self.money.flow(Asset::Io, Holder::Stakes, Holder::Burned, all)
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "commands that are not looked at here are looked at elsewhere, or move nothing"
    )]
    fn see_safety(&mut self, control: &Control, body: &Body) -> Result<bool, Broken> {
        use Command as C;
        let purse = Holder::SafetyModule;
        let before = self.money.has(Asset::Io, purse);
        let left = before.saturating_sub(control.economy().stakes.safety_total().units());
        match &body.command {
            C::SafetyStake { account, coins } => {
                self.only(body, *account)?;
                *self.at_stake.safe.entry(*account).or_default() += coins.units();
                let put_in = self.at_stake.put_in.entry(*account).or_default();
                put_in.push((self.at, coins.units()));
                self.money.flow(Asset::Io, Holder::Account(*account), purse, coins.units())?;
            }
            C::SafetyUnstake { account, coins } => {
                self.only(body, *account)?;
                let has = self.at_stake.safe.entry(*account).or_default();
                must(coins.units() <= *has, Invariant::Stakes, || {
                    format!("{account} unstakes {coins} of {has}")
                })?;
                *has -= coins.units();
            }
            C::SafetyWithdraw { account } | C::SafetyClaim { account } => {
                self.only(body, *account)?;
                must(left > 0, Invariant::Stakes, || format!("{account} took nothing"))?;
                self.money.flow(Asset::Io, purse, Holder::Account(*account), left)?;
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "commands that are not looked at here are looked at elsewhere, or move nothing"
    )]
    fn see_grants(&mut self, control: &Control, body: &Body) -> Result<bool, Broken> {
        match &body.command {
            Command::OpenGrant { grant } => {
                must(body.by == Actor::Operator, Invariant::Authority, || format!("{body:?}"))?;
                let (id, units) = (grant.grant, grant.coins.units());
                self.at_stake.grants.insert(id, units);
                self.money.flow(Asset::Io, Holder::Treasury, Holder::Grant(id), units)?;
            }
            Command::ClaimGrant { grant } => {
                let Some(known) = control.economy().grants.get(grant) else { return Ok(false) };
                self.only(body, known.account)?;
                let left = known.coins.units().saturating_sub(known.claimed.units());
                let before = self.at_stake.grants.insert(*grant, left).unwrap_or(0);
                let (account, took) = (known.account, before.saturating_sub(left));
                must(took > 0, Invariant::Stakes, || format!("{grant} had {before}"))?;
                self.money.flow(
                    Asset::Io,
                    Holder::Grant(*grant),
                    Holder::Account(account),
                    took,
                )?;
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Purses of stakes hold what is accounted for: by the whole, by account, and what is locked.
    pub(super) fn stakes_agree(&self, control: &Control) -> Step {
        let stakes = &control.economy().stakes;
        let (purse, total) = (self.money.has(Asset::Io, Holder::Stakes), stakes.total().units());
        let of_accounts: u64 = self.at_stake.of.values().sum();
        let open = self.at_stake.slashes.values().filter(|charged| !charged.over);
        let locked: u64 = open.map(|charged| charged.rewards).sum();
        let agrees = purse == total && of_accounts + locked == total;
        must(agrees, Invariant::Stakes, || {
            format!("{total} are at stake: {purse} in the purse, {of_accounts} and {locked} locked")
        })?;
        let (purse, safe) =
            (self.money.has(Asset::Io, Holder::SafetyModule), stakes.safety_total());
        let staked: u64 = self.at_stake.safe.values().sum();
        let basis = stakes.audit();
        must(purse == safe.units() && staked <= purse, Invariant::Stakes, || {
            format!("the safety module has {safe}, its purse {purse}, {staked} are staked")
        })?;
        must(basis.is_ok(), Invariant::Stakes, || format!("stakes do not add up: {basis:?}"))
    }
}
