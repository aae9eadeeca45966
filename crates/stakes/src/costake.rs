//! Sharing a device's stake and its rewards: offers made, taken and left.

use serde::{Deserialize, Serialize};
use units::{AccountId, Coins, FullMinute, Hour, OfferId, Timestamp, WorkerId};

use crate::chores::Chore;
use crate::device::{CoStake, Device};
use crate::limits::{COOLING_MAX, OFFERS_KEPT_MAX};
use crate::lots::{Lot, Lots, sum};
use crate::offer::{Claim, Offer, OfferEvent, OfferStands, OfferState, OfferStatus};
use crate::rules::StakeRules;
use crate::stakes::Stakes;
use crate::text::Percent;

/// What an owner offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewOffer {
    /// What the offer is called; whoever makes it answers for its being new.
    pub id: OfferId,
    /// The owner.
    pub owner: AccountId,
    /// The part of the need that is asked for, in ten-thousandths: above zero, at most half.
    pub portion_bp: u16,
    /// The share of block rewards that is given for it, in ten-thousandths: above zero.
    pub share_bp: u16,
}

/// What a leaving co-staker is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leaving {
    /// How many coins leave.
    pub amount: Coins,
    /// Until when they count for the device, and answer for it.
    pub until: Timestamp,
    /// When they can be withdrawn.
    pub withdrawable_at: Timestamp,
}

/// How a payout for a device is shared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PayoutSplit {
    /// The owner's part, with the unit that does not divide.
    pub owner: Coins,
    /// The co-staker's part.
    pub co: Option<(AccountId, Coins)>,
}

/// Why an offer was not made, taken, retracted or left. Checks run in the order of these variants.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OfferRefusal {
    /// Another offer has this id.
    #[error("the offer {0} is known already")]
    IdTaken(OfferId),
    /// No offer has this id, or it is long over.
    #[error("there is no offer {0}")]
    Unknown(OfferId),
    /// The share of the stake is nothing or too much.
    #[error("a co-staker carries more than 0 and at most {} of the stake", Percent(*.max))]
    BadPortion {
        /// The most.
        max: u16,
    },
    /// The share of the rewards is nothing or more than all.
    #[error("a co-staker gets more than 0 and at most 100 % of the rewards")]
    BadShare,
    /// Somebody else has to do this.
    #[error("this is for another account: owners make and retract offers, co-stakers leave them")]
    NotYours,
    /// Owners do not co-stake their own devices.
    #[error("this is your own device: stake on it directly")]
    OwnDevice,
    /// The device has an open offer.
    #[error("the device has an open offer, {0}: retract it first")]
    OfferOpen(OfferId),
    /// The device has a co-staker.
    #[error("the device has a co-staker by the offer {0}")]
    CoStaked(OfferId),
    /// The last co-staker's coins still count.
    #[error("the co-staker before leaves until {}: take the offer then", FullMinute(*.until))]
    CoStakerLeaves {
        /// Until when.
        until: Timestamp,
    },
    /// The owner does not hold the whole need.
    #[error(
        "the owner must hold the whole stake of {need:#} IO to offer a part of it, and holds {own:#}"
    )]
    OwnerBelowNeed {
        /// What the owner holds.
        own: Coins,
        /// What the device needs.
        need: Coins,
    },
    /// The device would not have enough with the co-staker's coins either.
    #[error(
        "the device would lack {short:#} IO even with these coins, so that they would earn nothing"
    )]
    Insufficient {
        /// How much would be missing.
        short: Coins,
    },
    /// Too many former co-stakers have left their coins behind.
    #[error("{COOLING_MAX} former stakes of this device are not withdrawn yet")]
    TooManyCooling,
    /// The co-staker's coins of this device cool down.
    #[error("your coins of this device cool down until {}: withdraw them first", FullMinute(*.withdrawable_at))]
    StillCooling {
        /// When they can be withdrawn.
        withdrawable_at: Timestamp,
    },
    /// The account has as many offers as it may.
    #[error("this account has taken {max} offers, which is the most: leave one first")]
    TooManyClaimed {
        /// How many it may have.
        max: u16,
    },
    /// The offer is past that.
    #[error(transparent)]
    Stands(#[from] OfferStands),
    /// All stakes together would pass what can be written down.
    #[error("more coins than there are")]
    TooMuch,
}

impl Stakes {
    /// The owner offers a part of a device's stake, and a share of its rewards for it. Returns the coins asked for.
    pub fn create_offer(
        &mut self,
        device: &Device,
        new: &NewOffer,
        now: Timestamp,
        rules: &StakeRules,
    ) -> Result<Coins, OfferRefusal> {
        self.may_offer(device, new, rules)?;
        let worker = device.worker;
        let amount = device.need.share_floor(new.portion_bp);
        let offer = Offer {
            worker,
            owner: new.owner,
            portion_bp: new.portion_bp,
            amount,
            share_bp: new.share_bp,
            created_at: now,
            claim: None,
            state: OfferState::Open,
        };
        self.offers.insert(new.id, offer);
        self.devices.change(worker, |holding| holding.offers.push(new.id));
        self.forget_old_offers(worker);
        Ok(amount)
    }

    fn may_offer(
        &self,
        device: &Device,
        new: &NewOffer,
        rules: &StakeRules,
    ) -> Result<(), OfferRefusal> {
        if self.offers.contains_key(&new.id) {
            return Err(OfferRefusal::IdTaken(new.id));
        }
        let max = rules.co_portion_max_bp;
        if new.portion_bp > max || device.need.share_floor(new.portion_bp).is_zero() {
            return Err(OfferRefusal::BadPortion { max });
        }
        if new.share_bp == 0 || new.share_bp > 10_000 {
            return Err(OfferRefusal::BadShare);
        }
        let below = |own| OfferRefusal::OwnerBelowNeed { own, need: device.need };
        let holding = self.devices.get(&device.worker).ok_or_else(|| below(Coins::ZERO))?;
        if holding.owner != new.owner {
            return Err(OfferRefusal::NotYours);
        }
        if let Some(open) = self.open_offer(device.worker) {
            return Err(OfferRefusal::OfferOpen(open));
        }
        match &holding.co {
            Some(co) if self.offers[&co.offer].state == OfferState::Active => {
                return Err(OfferRefusal::CoStaked(co.offer));
            }
            Some(_) | None => {}
        }
        if holding.own.total() < device.need {
            return Err(below(holding.own.total()));
        }
        if holding.cooling.len() >= COOLING_MAX {
            return Err(OfferRefusal::TooManyCooling);
        }
        Ok(())
    }

    /// The owner takes an offer back that nobody took.
    pub fn retract_offer(
        &mut self,
        id: OfferId,
        owner: AccountId,
        now: Timestamp,
    ) -> Result<(), OfferRefusal> {
        let offer = self.offers.get_mut(&id).ok_or(OfferRefusal::Unknown(id))?;
        if offer.owner != owner {
            return Err(OfferRefusal::NotYours);
        }
        offer.state = offer.state.on(OfferEvent::Retracted, now)?;
        Ok(())
    }

    /// Somebody takes an offer. The coins it asks for come in: how many is returned. From the next full hour on its
    /// taker earns the offered share; its terms never change.
    ///
    /// `need` is what the device needs at `now`.
    pub fn accept_offer(
        &mut self,
        id: OfferId,
        account: AccountId,
        need: Coins,
        now: Timestamp,
        rules: &StakeRules,
    ) -> Result<Coins, OfferRefusal> {
        let (next, held) = self.may_accept(id, account, need, now, rules)?;
        let offer = self.offers.get_mut(&id).expect("it was found above");
        offer.state = next;
        offer.claim = Some(Claim { account, since: now, until: None });
        let (worker, amount) = (offer.worker, offer.amount);
        let mut lots = Lots::default();
        lots.put(Lot { since: now, amount });
        let co = Some(CoStake { offer: id, account, lots });
        self.devices.change(worker, |holding| holding.co = co);
        self.held = held;
        Ok(amount)
    }

    fn may_accept(
        &self,
        id: OfferId,
        account: AccountId,
        need: Coins,
        now: Timestamp,
        rules: &StakeRules,
    ) -> Result<(OfferState, Coins), OfferRefusal> {
        let offer = self.offers.get(&id).ok_or(OfferRefusal::Unknown(id))?;
        if offer.owner == account {
            return Err(OfferRefusal::OwnDevice);
        }
        let next = offer.state.on(OfferEvent::Accepted, now)?;
        let holding = self.devices.get(&offer.worker).expect("an offer's device has a stake");
        if let Some(co) = &holding.co {
            // A wait that is over, and not yet swept, is gone with the next wake: a moment's patience.
            let until = self.offers[&co.offer].state.due_at().unwrap_or(now);
            return Err(OfferRefusal::CoStakerLeaves { until });
        }
        let have = holding.own.total().checked_add(offer.amount).ok_or(OfferRefusal::TooMuch)?;
        if let Some(short) = need.checked_sub(have).filter(|short| !short.is_zero()) {
            return Err(OfferRefusal::Insufficient { short });
        }
        if let Some(withdrawable_at) = holding.cools_until(account) {
            return Err(OfferRefusal::StillCooling { withdrawable_at });
        }
        let max = rules.claimed_offers_max;
        if self.claimed_offers(account) >= usize::from(max) {
            return Err(OfferRefusal::TooManyClaimed { max });
        }
        let held = self.held.checked_add(offer.amount).ok_or(OfferRefusal::TooMuch)?;
        Ok((next, held))
    }

    /// A co-staker leaves. The coins go on counting for the device through the wait, earn their owner nothing, and
    /// then cool down.
    pub fn leave_offer(
        &mut self,
        id: OfferId,
        account: AccountId,
        now: Timestamp,
        rules: &StakeRules,
    ) -> Result<Leaving, OfferRefusal> {
        let offer = self.offers.get_mut(&id).ok_or(OfferRefusal::Unknown(id))?;
        let until = now.after(rules.wait());
        let withdrawable_at = until.after(rules.cooldown());
        let next = offer.state.on(OfferEvent::Left { until, withdrawable_at }, now)?;
        let claim = offer.claim.as_mut().filter(|claim| claim.account == account);
        claim.ok_or(OfferRefusal::NotYours)?.until = Some(now);
        offer.state = next;
        let amount = self.devices[&offer.worker].co_total();
        self.agenda.insert((until, Chore::WaitOver(id)));
        Ok(Leaving { amount, until, withdrawable_at })
    }

    /// How many offers an account has taken whose coins still count.
    pub fn claimed_offers(&self, account: AccountId) -> usize {
        let of = |offer: &&Offer| offer.claim.is_some_and(|claim| claim.account == account);
        self.offers.values().filter(|offer| offer.state.is_claimed()).filter(of).count()
    }

    /// An offer, while it is remembered.
    pub fn offer(&self, id: OfferId) -> Option<&Offer> {
        self.offers.get(&id)
    }

    /// Every offer that is remembered, by id.
    pub fn offers(&self) -> impl Iterator<Item = (OfferId, &Offer)> {
        self.offers.iter().map(|(id, offer)| (*id, offer))
    }

    /// The offers of a device that are remembered, oldest first.
    pub fn offers_of(&self, worker: WorkerId) -> impl Iterator<Item = (OfferId, &Offer)> {
        let ids = self.devices.get(&worker).map_or(&[][..], |holding| &holding.offers);
        ids.iter().map(|id| (*id, &self.offers[id]))
    }

    /// How many of an offer's coins are counting or cooling down.
    pub fn coins_of_offer(&self, id: OfferId) -> Coins {
        let Some(holding) = self.offers.get(&id).and_then(|of| self.devices.get(&of.worker)) else {
            return Coins::ZERO;
        };
        let counting = holding.co.iter().filter(|co| co.offer == id).map(|co| co.lots.total());
        let cooling = holding.cooling.iter().filter(|cooling| cooling.offer == Some(id));
        sum(counting.chain(cooling.map(|cooling| cooling.amount)))
    }

    /// What the marketplace calls an offer's state, for a device that needs this much.
    pub fn offer_status(&self, offer: &Offer, need: Coins, now: Timestamp) -> OfferStatus {
        let own = self.devices.get(&offer.worker).map_or(Coins::ZERO, |own| own.own.total());
        let have = match offer.state {
            OfferState::Open | OfferState::Active => self.have(offer.worker, now),
            OfferState::Leaving { .. }
            | OfferState::Cooling { .. }
            | OfferState::Withdrawn { .. }
            | OfferState::Closed { .. } => own,
        };
        offer.state.status(have >= need)
    }

    /// Shares what a device earned in `hour` by the terms that held through all of it: the co-staker's part rounded
    /// down, the rest to the owner. A co-staker who came or left within the hour, be it a millisecond before its end,
    /// gets nothing of it.
    pub fn split_payout(&self, worker: WorkerId, hour: Hour, payout: Coins) -> PayoutSplit {
        let offers = self.devices.get(&worker).map_or(&[][..], |holding| &holding.offers);
        let shared = offers.iter().rev().map(|id| &self.offers[id]).find_map(|offer| {
            let claim = offer.claim.filter(|claim| claim.earns(hour))?;
            Some((claim.account, payout.share_floor(offer.share_bp)))
        });
        let part = shared.map_or(Coins::ZERO, |(_, part)| part);
        let owner = payout.checked_sub(part).expect("a share is at most the whole");
        PayoutSplit { owner, co: shared }
    }

    /// Whether any coins staked by an offer are left.
    pub(crate) fn offer_has_coins(&self, id: OfferId) -> bool {
        !self.coins_of_offer(id).is_zero() || self.locks_coins_of(id)
    }

    fn forget_old_offers(&mut self, worker: WorkerId) {
        while let Some(holding) = self.devices.get(&worker) {
            let over = |id: &OfferId| self.offers.get(id).is_some_and(|of| of.state.is_over());
            let oldest = holding.offers.iter().copied().find(over);
            let Some(id) = oldest.filter(|_| holding.offers.len() > OFFERS_KEPT_MAX) else { break };
            self.devices.change(worker, |holding| holding.offers.retain(|known| *known != id));
            self.offers.remove(&id);
        }
    }
}
