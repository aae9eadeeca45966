//! The emergency brake: the operator stops named parts of the network at once and for a short time; holders can lift
//! it.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use units::{AccountId, Coins, FullMinute, HOUR, Timestamp};

use super::proposal::part_of;
use super::rules::VoteRules;
use super::{BRAKES_KEPT, Outcome, Powers, Votes, ballot};

/// The longest reason, in characters.
pub(super) const REASON_CHARS_MAX: usize = 2_000;

/// A part of the network that can be stopped.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Switch {
    /// Nobody takes rewards out.
    Claims,
    /// No rental begins.
    NewRentals,
    /// No proposal changes parameters or the registry.
    ParameterChanges,
    /// Nobody is slashed.
    Slashing,
    /// Nobody takes money out.
    Withdrawals,
}

impl Switch {
    /// Every switch.
    pub const ALL: &'static [Self] = &[
        Self::Claims,
        Self::NewRentals,
        Self::ParameterChanges,
        Self::Slashing,
        Self::Withdrawals,
    ];

    /// How it is written.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Claims => "claims",
            Self::NewRentals => "new-rentals",
            Self::ParameterChanges => "parameter-changes",
            Self::Slashing => "slashing",
            Self::Withdrawals => "withdrawals",
        }
    }
}

/// What the operator asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrakeOrder {
    /// What to stop.
    pub what: BTreeSet<Switch>,
    /// Why, for everybody to read.
    pub reason: String,
    /// Who asks.
    pub by: AccountId,
    /// For how long.
    pub hours: u32,
}

/// A brake, on or lifted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Brake {
    /// What it stops.
    pub what: BTreeSet<Switch>,
    /// Why.
    pub reason: String,
    /// Who pulled it.
    pub by: AccountId,
    /// Since when.
    pub from: Timestamp,
    /// The first moment at which it no longer holds.
    pub until: Timestamp,
    /// How much power lifts it.
    pub veto: Coins,
    /// The power of those who want it lifted.
    pub objected: Coins,
    /// When and why it was lifted, once it was.
    pub lifted: Option<Lifted>,
    /// Who wants it lifted; empty once it is.
    pub(super) objectors: BTreeSet<AccountId>,
    /// What everybody had when it was pulled; empty once it is lifted.
    pub(super) powers: Powers,
}

/// How a brake ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lifted {
    /// When.
    pub at: Timestamp,
    /// Why.
    pub why: Lift,
}

/// Why a brake is off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Lift {
    /// Its time was over.
    Elapsed,
    /// The operator lifted it.
    Operator,
    /// Holders lifted it.
    Holders,
}

/// Why a brake was not pulled, lifted or objected to. Checks run in the order of these variants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BrakeRefusal {
    /// There is one already.
    #[error("a brake is on already; lift it first")]
    AlreadyOn,
    /// There is none.
    #[error("no brake is on")]
    NotOn,
    /// The last one was too short a time ago.
    #[error("the last brake was lately; the next is possible from {} on", FullMinute(*.until))]
    Resting {
        /// When the pause is over.
        until: Timestamp,
    },
    /// It would stop nothing.
    #[error("a brake must name what it stops")]
    NothingNamed,
    /// It says not why, or at too great a length.
    #[error("a brake needs a reason of at most {REASON_CHARS_MAX} characters")]
    Reason,
    /// It would hold for no time or for too long.
    #[error("a brake holds from 1 to {max} hours")]
    Hours {
        /// The most it may.
        max: u32,
    },
    /// The caller counted more power than can be written down.
    #[error("all power together is more than can be written down")]
    TooMuchPower,
    /// The account had no power when the brake was pulled.
    #[error("the account had no voting power when the brake was pulled")]
    NoPower,
    /// The account objects already.
    #[error("the account has objected to this brake already")]
    AlreadyObjects,
}

impl Votes {
    /// Stops what the order names. Holders can lift it with the power they have at this moment.
    ///
    /// Call [`Votes::on_wake`] before, or nobody is told of the end of a brake that is over.
    ///
    /// # Errors
    /// Why not.
    pub fn pull_brake(
        &mut self,
        order: BrakeOrder,
        powers: &Powers,
        now: Timestamp,
        rules: &VoteRules,
    ) -> Result<(), BrakeRefusal> {
        self.check_brake(&order, now, rules)?;
        let total = ballot::total(powers).ok_or(BrakeRefusal::TooMuchPower)?;
        // Its time may be over without a wake so far: what time does must not depend on when it was asked to.
        self.lift_if_over(now);
        self.brake = Some(Brake {
            what: order.what,
            reason: order.reason,
            by: order.by,
            from: now,
            until: now.after(HOUR * order.hours),
            veto: part_of(total, rules.brake_veto_bp),
            objected: Coins::ZERO,
            lifted: None,
            objectors: BTreeSet::new(),
            powers: powers.clone(),
        });
        Ok(())
    }

    fn check_brake(
        &self,
        order: &BrakeOrder,
        now: Timestamp,
        rules: &VoteRules,
    ) -> Result<(), BrakeRefusal> {
        if self.brake_on(now).is_some() {
            return Err(BrakeRefusal::AlreadyOn);
        }
        let over = self.brake.as_ref().map(|brake| brake.until);
        let last = self.brakes.back().and_then(|brake| brake.lifted).map(|lifted| lifted.at);
        if let Some(until) = over.or(last).map(|at| at.after(HOUR * rules.brake_pause_hours))
            && now < until
        {
            return Err(BrakeRefusal::Resting { until });
        }
        if order.what.is_empty() {
            return Err(BrakeRefusal::NothingNamed);
        }
        let too_long = order.reason.chars().count() > REASON_CHARS_MAX;
        if order.reason.trim().is_empty() || too_long {
            return Err(BrakeRefusal::Reason);
        }
        if order.hours == 0 || order.hours > rules.brake_hours_max {
            return Err(BrakeRefusal::Hours { max: rules.brake_hours_max });
        }
        Ok(())
    }

    /// Takes the brake off before its time. That any operator may is for the caller to know.
    ///
    /// # Errors
    /// When none is on.
    pub fn lift_brake(&mut self, now: Timestamp) -> Result<Outcome, BrakeRefusal> {
        self.brake_on(now).ok_or(BrakeRefusal::NotOn)?;
        Ok(self.lift(now, Lift::Operator).expect("a brake is on"))
    }

    /// Objects to the brake with the power the account had when it was pulled; enough of that lifts it.
    ///
    /// # Errors
    /// Why the objection does not count.
    pub fn veto_brake(
        &mut self,
        account: AccountId,
        now: Timestamp,
    ) -> Result<Option<Outcome>, BrakeRefusal> {
        let brake = self.brake.as_mut().filter(|brake| now < brake.until);
        let brake = brake.ok_or(BrakeRefusal::NotOn)?;
        let power = brake.powers.get(&account).filter(|power| !power.is_zero());
        let power = *power.ok_or(BrakeRefusal::NoPower)?;
        if !brake.objectors.insert(account) {
            return Err(BrakeRefusal::AlreadyObjects);
        }
        brake.objected = brake.objected.checked_add(power).expect("parts of one total");
        if brake.objected < brake.veto {
            return Ok(None);
        }
        Ok(self.lift(now, Lift::Holders))
    }

    /// Whether this part of the network is stopped.
    pub fn is_braked(&self, switch: Switch, now: Timestamp) -> bool {
        self.brake_on(now).is_some_and(|brake| brake.what.contains(&switch))
    }

    /// The brake that is on, if one is.
    pub fn brake_on(&self, now: Timestamp) -> Option<&Brake> {
        self.brake.as_ref().filter(|brake| now < brake.until)
    }

    /// Brakes that were lifted, oldest first, at most [`BRAKES_KEPT`].
    pub fn brakes(&self) -> impl Iterator<Item = &Brake> {
        self.brakes.iter()
    }

    pub(super) fn lift_if_over(&mut self, now: Timestamp) -> Option<Outcome> {
        let until = self.brake.as_ref()?.until;
        if now < until { None } else { self.lift(until, Lift::Elapsed) }
    }

    fn lift(&mut self, at: Timestamp, why: Lift) -> Option<Outcome> {
        let brake = self.brake.take()?;
        let (objectors, powers) = (BTreeSet::new(), Powers::new());
        self.brakes.push_back(Brake {
            lifted: Some(Lifted { at, why }),
            objectors,
            powers,
            ..brake
        });
        while self.brakes.len() > BRAKES_KEPT {
            self.brakes.pop_front();
        }
        Some(Outcome::BrakeLifted { why })
    }
}
