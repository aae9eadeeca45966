//! All stakes: who has what on which device, and the ways in and out.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use units::{AccountId, Coins, FullMinute, OfferId, SlashId, Timestamp, WorkerId};

use crate::chores::Chore;
use crate::device::{CoStake, Cooling, Device, Holding, View};
use crate::holdings::Holdings;
use crate::lots::{Lot, sum};
use crate::offer::{Offer, OfferEvent, OfferState};
use crate::rules::StakeRules;
use crate::safety::Safety;
use crate::slash::Slash;

/// Every stake, offer and slash there is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stakes {
    pub(crate) devices: Holdings,
    pub(crate) offers: BTreeMap<OfferId, Offer>,
    pub(crate) slashes: BTreeMap<SlashId, Slash>,
    /// What is due and when: found again from the offers and slashes by the audit.
    pub(crate) agenda: BTreeSet<(Timestamp, Chore)>,
    /// What came in less what went out.
    pub(crate) held: Coins,
    /// The pool of the safety module, which is a purse of its own.
    pub safety: Safety,
}

impl Default for Stakes {
    fn default() -> Self {
        Self {
            devices: Holdings::default(),
            offers: BTreeMap::new(),
            slashes: BTreeMap::new(),
            agenda: BTreeSet::new(),
            held: Coins::ZERO,
            safety: Safety::default(),
        }
    }
}

/// What to do when more than the overflow is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Beyond {
    /// Say no.
    Refuse,
    /// Unstake everything: the device stops earning, and the coins cool down.
    Unstake,
}

/// Coins that an owner's unstaking sent to cool down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unstaked {
    /// The owner's.
    pub own: Coins,
    /// The co-staker's, who is unstaked with the owner.
    pub co: Option<(AccountId, Coins)>,
    /// When they can be withdrawn.
    pub withdrawable_at: Timestamp,
}

/// Where everything that is held is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sums {
    /// What counts for devices.
    pub counting: Coins,
    /// What cools down, or has and was not withdrawn.
    pub cooling: Coins,
    /// What slashes lock.
    pub locked: Coins,
}

/// What became of a wish to take coins out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// Overflow: to be paid to the owner at once.
    Overflow(Coins),
    /// Everything was unstaked; nothing is to be paid yet.
    Unstaked(Unstaked),
}

/// Why nothing was staked, unstaked or withdrawn. Checks run in the order of these variants.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StakeRefusal {
    /// Zero coins.
    #[error("no coins are named: say how many")]
    Nothing,
    /// Nothing is staked on the device.
    #[error("nothing is staked on this device")]
    NotStaked,
    /// Somebody else staked the device.
    #[error(
        "this device is staked by another account: only its owner stakes, unstakes and takes overflow"
    )]
    NotYours,
    /// The staker's coins of this device cool down.
    #[error("coins of this device cool down until {}: withdraw them, then stake again", FullMinute(*.withdrawable_at))]
    StillCooling {
        /// When they can be withdrawn.
        withdrawable_at: Timestamp,
    },
    /// A renter has the device.
    #[error("the device is hired: unstake when the rental has ended")]
    Hired,
    /// Nobody took the device's offer yet.
    #[error("the co-staking offer {offer} is open: retract it first")]
    OfferOpen {
        /// The offer.
        offer: OfferId,
    },
    /// More than the overflow was asked for.
    #[error(
        "{overflow:#} IO can be withdrawn without unstaking, not {wanted:#}: ask for less, or unstake the whole \
         device, which then stops earning"
    )]
    MoreThanOverflow {
        /// What could be taken.
        overflow: Coins,
        /// What was asked for.
        wanted: Coins,
    },
    /// Nothing of the account's cools down here.
    #[error("this account has no unstaked coins on this device: unstake first")]
    NothingCooling,
    /// The coins cool down.
    #[error("the coins cool down until {}: withdraw them then", FullMinute(*.withdrawable_at))]
    NotYet {
        /// When the first of them can be withdrawn.
        withdrawable_at: Timestamp,
    },
    /// All stakes together would pass what can be written down.
    #[error("more coins than there are")]
    TooMuch,
}

impl Stakes {
    /// The owner stakes coins on a device. Returns what the owner then has in it, counting.
    ///
    /// The first to stake on a device is its owner until everything is out again; the caller sees to it that this is
    /// who the device belongs to.
    pub fn stake(
        &mut self,
        worker: WorkerId,
        owner: AccountId,
        amount: Coins,
        now: Timestamp,
    ) -> Result<Coins, StakeRefusal> {
        if amount.is_zero() {
            return Err(StakeRefusal::Nothing);
        }
        if let Some(holding) = self.devices.get(&worker) {
            if holding.owner != owner && !self.is_vacant(worker) {
                return Err(StakeRefusal::NotYours);
            }
            if let Some(withdrawable_at) = holding.cools_until(owner) {
                return Err(StakeRefusal::StillCooling { withdrawable_at });
            }
        }
        self.held = self.held.checked_add(amount).ok_or(StakeRefusal::TooMuch)?;
        self.devices.open(worker, owner);
        let staked = self.devices.change(worker, |holding| {
            holding.owner = owner;
            holding.own.put(Lot { since: now, amount });
            holding.own.total()
        });
        Ok(staked.expect("it was opened just now"))
    }

    /// The owner unstakes everything. It stops counting at once; a co-staker is unstaked too, and all of it cools
    /// down. There is no way back but to withdraw and stake again.
    pub fn unstake(
        &mut self,
        device: &Device,
        account: AccountId,
        now: Timestamp,
        rules: &StakeRules,
    ) -> Result<Unstaked, StakeRefusal> {
        let holding = self.owned(device.worker, account)?;
        if holding.own.is_empty() && !self.locks_own(device.worker) {
            return Err(StakeRefusal::NotStaked);
        }
        if device.hired {
            return Err(StakeRefusal::Hired);
        }
        if let Some(offer) = self.open_offer(device.worker) {
            return Err(StakeRefusal::OfferOpen { offer });
        }
        let withdrawable_at = now.after(rules.cooldown());
        let co =
            self.cool_co_stake(device.worker, OfferEvent::OwnerUnstaked { withdrawable_at }, now);
        let own = self.devices.change(device.worker, |holding| {
            let amount = holding.own.take_all().total();
            let (stood_until, offer) = (now, None);
            holding.cool(Cooling { account, amount, stood_until, withdrawable_at, offer });
            amount
        });
        let own = own.expect("it was found above");
        self.cool_locked(device.worker, None, (now, withdrawable_at));
        Ok(Unstaked { own, co, withdrawable_at })
    }

    /// The owner takes coins out that the device does not need, at any time and without cooldown. For more than that,
    /// `beyond` says what to do.
    pub fn withdraw_overflow(
        &mut self,
        device: &Device,
        account: AccountId,
        (wanted, beyond): (Coins, Beyond),
        now: Timestamp,
        rules: &StakeRules,
    ) -> Result<Taken, StakeRefusal> {
        if wanted.is_zero() {
            return Err(StakeRefusal::Nothing);
        }
        self.owned(device.worker, account)?;
        let overflow = self.overflow(device.worker, device.need, now, rules);
        if wanted > overflow {
            return match beyond {
                Beyond::Refuse => Err(StakeRefusal::MoreThanOverflow { overflow, wanted }),
                Beyond::Unstake => self.unstake(device, account, now, rules).map(Taken::Unstaked),
            };
        }
        let taken = self.devices.change(device.worker, |holding| holding.own.take(wanted));
        taken.expect("it was found above");
        self.pay_out(wanted);
        Ok(Taken::Overflow(wanted))
    }

    /// Pays a staker's coins of a device out whose cooldown is over: how many, all to that account.
    pub fn withdraw(
        &mut self,
        worker: WorkerId,
        account: AccountId,
        now: Timestamp,
    ) -> Result<Coins, StakeRefusal> {
        let holding = self.devices.get(&worker).ok_or(StakeRefusal::NotStaked)?;
        let dates = holding.cooling.iter().filter(|cooling| cooling.account == account);
        let first = dates.map(|cooling| cooling.withdrawable_at).min();
        let withdrawable_at = first.ok_or(StakeRefusal::NothingCooling)?;
        if now < withdrawable_at {
            return Err(StakeRefusal::NotYet { withdrawable_at });
        }
        let ripe =
            |cooling: &mut Cooling| cooling.account == account && cooling.withdrawable_at <= now;
        let take = |holding: &mut Holding| holding.cooling.extract_if(.., ripe).collect();
        let out: Vec<Cooling> = self.devices.change(worker, take).expect("it was found above");
        let amount = sum(out.iter().map(|cooling| cooling.amount));
        self.pay_out(amount);
        for offer in out.iter().filter_map(|cooling| cooling.offer) {
            self.finish_offer(offer, OfferEvent::PaidOut, now);
        }
        Ok(amount)
    }

    /// The coins that count at `now` for every device that was ever staked, in the order of devices.
    pub fn haves(&self, now: Timestamp) -> impl Iterator<Item = (WorkerId, Coins)> {
        let counts = move |co: &&CoStake| self.offers[&co.offer].state.counts(now);
        self.devices.iter().map(move |(worker, holding)| {
            let co = holding.co.as_ref().filter(counts).map(|co| co.lots.total());
            (*worker, sum(co.into_iter().chain([holding.own.total()])))
        })
    }

    /// The coins that count for a device at `now`.
    pub fn have(&self, worker: WorkerId, now: Timestamp) -> Coins {
        let own = self.devices.get(&worker).map_or(Coins::ZERO, |holding| holding.own.total());
        sum([own, self.co_counting(worker, now)])
    }

    /// What a device has beside what it needs; `None` when nothing was ever staked on it.
    pub fn view(
        &self,
        worker: WorkerId,
        need: Coins,
        now: Timestamp,
        rules: &StakeRules,
    ) -> Option<View> {
        let holding = self.devices.get(&worker)?;
        let have = self.have(worker, now);
        let co = holding.co.as_ref().and_then(|co| self.offers.get(&co.offer));
        Some(View {
            have,
            need,
            sufficient: have >= need,
            own: holding.own.total(),
            co: self.co_counting(worker, now),
            co_until: co.and_then(|offer| offer.state.due_at()),
            overflow: self.overflow(worker, need, now, rules),
            locked: self.locked(worker),
            cooling: holding.cooling.clone(),
        })
    }

    /// Who staked a device, while anything is staked on it.
    pub fn owner(&self, worker: WorkerId) -> Option<AccountId> {
        let holding = self.devices.get(&worker)?;
        (!self.is_vacant(worker)).then_some(holding.owner)
    }

    /// Every device that was ever staked, and who staked it last.
    pub fn devices(&self) -> impl Iterator<Item = (WorkerId, AccountId)> {
        self.devices.iter().map(|(worker, holding)| (*worker, holding.owner))
    }

    /// Where all that is held is at `now`, by totals that are kept.
    pub fn sums(&self, now: Timestamp) -> Sums {
        let totals = self.devices.totals();
        let coins = |units: u128| Coins::from_units(u64::try_from(units).expect("it is all held"));
        // A wait that is over counts no longer, swept or not.
        let over = sum(self.over(now).map(|co| co.lots.total()));
        let standing = coins(totals.standing);
        let counting = standing.checked_sub(over).expect("a co-stake stands until it cools down");
        let cooling = sum([coins(totals.cooling), over]);
        let locked = self.held.checked_sub(sum([counting, cooling]));
        Sums { counting, cooling, locked: locked.expect("it is all in one of three places") }
    }

    /// Co-stakes whose wait is over at `now` and that were not swept yet.
    pub(crate) fn over(&self, now: Timestamp) -> impl Iterator<Item = &CoStake> {
        let due = self.agenda.iter().take_while(move |(at, _)| *at <= now);
        due.filter_map(|(_, chore)| match chore {
            Chore::WaitOver(id) => {
                let holding = self.devices.get(&self.offers.get(id)?.worker)?;
                holding.co.as_ref().filter(|co| co.offer == *id)
            }
            Chore::SlashDue(_) => None,
        })
    }

    /// Everything that is held: counting, cooling down or locked.
    pub const fn total(&self) -> Coins {
        self.held
    }

    /// Everything the safety module holds, which is not in [`Stakes::total`].
    pub const fn safety_total(&self) -> Coins {
        self.safety.total()
    }

    /// What the owner may take out: what counts beyond the need, but never so much that a co-staker carries more than
    /// its largest part.
    fn overflow(&self, worker: WorkerId, need: Coins, now: Timestamp, rules: &StakeRules) -> Coins {
        let own = self.devices.get(&worker).map_or(Coins::ZERO, |holding| holding.own.total());
        let beyond_need = self.have(worker, now).checked_sub(need).unwrap_or(Coins::ZERO);
        let owners_part = need.checked_sub(need.share_floor(rules.co_portion_max_bp));
        let beyond_part = own.checked_sub(owners_part.unwrap_or(need)).unwrap_or(Coins::ZERO);
        beyond_need.min(beyond_part)
    }

    /// The co-staker's coins that count at `now`.
    pub(crate) fn co_counting(&self, worker: WorkerId, now: Timestamp) -> Coins {
        let co = self.devices.get(&worker).and_then(|holding| holding.co.as_ref());
        co.filter(|co| self.offers[&co.offer].state.counts(now))
            .map_or(Coins::ZERO, |co| co.lots.total())
    }

    /// The device's stake, if it is this account's.
    pub(crate) fn owned(
        &self,
        worker: WorkerId,
        account: AccountId,
    ) -> Result<&Holding, StakeRefusal> {
        let holding = self.devices.get(&worker).ok_or(StakeRefusal::NotStaked)?;
        if holding.owner == account { Ok(holding) } else { Err(StakeRefusal::NotYours) }
    }

    /// The offer of a device that nobody took yet.
    pub(crate) fn open_offer(&self, worker: WorkerId) -> Option<OfferId> {
        let offers = &self.devices.get(&worker)?.offers;
        offers.iter().copied().find(|offer| self.offers[offer].state == OfferState::Open)
    }

    /// Whether nothing ties the device to who staked it last.
    fn is_vacant(&self, worker: WorkerId) -> bool {
        self.devices.get(&worker).is_none_or(|holding| {
            holding.own.is_empty()
                && holding.co.is_none()
                && self.open_offer(worker).is_none()
                && !self.locks_own(worker)
        })
    }

    /// The co-staker's coins begin to cool down, because of `why`.
    pub(crate) fn cool_co_stake(
        &mut self,
        worker: WorkerId,
        why: OfferEvent,
        now: Timestamp,
    ) -> Option<(AccountId, Coins)> {
        let CoStake { offer: id, account, lots } =
            self.devices.change(worker, |holding| holding.co.take())??;
        let offer = self.offers.get_mut(&id).expect("a co-stake has its offer");
        if let Some(until) = offer.state.due_at() {
            self.agenda.remove(&(until, Chore::WaitOver(id)));
        }
        let stood_until = offer.state.due_at().map_or(now, |until| until.min(now));
        offer.state = offer.state.on(why, now).expect("a co-stake's offer is active or leaving");
        let OfferState::Cooling { withdrawable_at } = offer.state else {
            unreachable!("both ways out of a co-stake lead to the cooldown")
        };
        let claim = offer.claim.as_mut().expect("a taken offer has its taker");
        claim.until = claim.until.or(Some(stood_until));
        let amount = lots.total();
        let cooling = Cooling { account, amount, stood_until, withdrawable_at, offer: Some(id) };
        self.devices.change(worker, |holding| holding.cool(cooling));
        self.cool_locked(worker, Some(id), (stood_until, withdrawable_at));
        Some((account, amount))
    }

    /// Ends an offer, once none of its coins are left.
    pub(crate) fn finish_offer(&mut self, id: OfferId, why: OfferEvent, now: Timestamp) {
        if self.offer_has_coins(id) {
            return;
        }
        let Some(offer) = self.offers.get_mut(&id) else { return };
        let (due, worker) = (offer.state.due_at(), offer.worker);
        let Ok(next) = offer.state.on(why, now) else { return };
        offer.state = next;
        if let Some(claim) = &mut offer.claim {
            claim.until = claim.until.or(Some(now));
        }
        if let Some(due) = due {
            self.agenda.remove(&(due, Chore::WaitOver(id)));
        }
        self.devices.change(worker, |holding| holding.co.take_if(|co| co.offer == id));
    }

    /// Coins leave.
    pub(crate) fn pay_out(&mut self, amount: Coins) {
        self.held = self.held.checked_sub(amount).expect("what is paid out was held");
    }
}
