//! Where a slash's coins come from, and where they go.

use units::{AccountId, Coins, OfferId, SlashId, Timestamp, WorkerId};

use crate::chores::Effect;
use crate::device::{Cooling, Holding};
use crate::lots::{Lots, sum};
use crate::offer::OfferEvent;
use crate::slash::{Charge, Home, Piece, Slash, SlashRules};
use crate::stakes::Stakes;

/// A place of a device's coins that answers for an offence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// The co-staker's stake.
    CoStake,
    /// The owner's stake.
    Own,
    /// Coins that cool down, by their index.
    Cooling(usize),
}

impl Place {
    /// Whether it answers first: what counts for the device, before what cools down.
    const fn answers_first(self) -> bool {
        match self {
            Self::CoStake | Self::Own => true,
            Self::Cooling(_) => false,
        }
    }
}

/// `demand` in parts proportional to `answers`, each at most what answers and within a unit of its exact share.
/// There must be as much as is demanded.
fn in_proportion(demand: Coins, answers: &[Coins]) -> Vec<Coins> {
    let whole = sum(answers.iter().copied());
    let up_to = |reached: Coins| demand.mul_div_floor(reached.units(), whole.units().max(1));
    let (mut reached, mut taken) = (Coins::ZERO, Coins::ZERO);
    let part = |answer: &Coins| {
        reached = sum([reached, *answer]);
        let all = up_to(reached).expect("a share of the demand is at most the demand");
        let part = all.checked_sub(taken).expect("what is reached only grows");
        taken = all;
        part
    };
    answers.iter().map(part).collect()
}

impl Stakes {
    /// The places that answer for an offence, and with how much. Co-stakers answer if their coins stood when it
    /// happened; coins that may be withdrawn already answer for nothing.
    pub(crate) fn answerable(
        &self,
        charge: &Charge,
        now: Timestamp,
        rules: &SlashRules,
    ) -> Vec<(Place, Coins)> {
        let Some(holding) = self.devices.get(&charge.worker) else { return Vec::new() };
        let liable = |coins: Coins| coins.share_floor(rules.co_staker_liability_bp);
        let stood = |offer: OfferId| {
            let claim = self.offers.get(&offer).and_then(|offer| offer.claim);
            claim.is_some_and(|claim| claim.since <= charge.offended_at)
        };
        let co = holding.co.iter().filter(|co| stood(co.offer));
        let co = co.map(|co| (Place::CoStake, liable(co.lots.total())));
        let own = [(Place::Own, holding.own.total())];
        let cooling = holding.cooling.iter().enumerate().filter_map(|(index, coins)| {
            let amount = match coins.offer {
                _ if coins.withdrawable_at <= now => return None,
                None => coins.amount,
                Some(offer) if stood(offer) && charge.offended_at <= coins.stood_until => {
                    liable(coins.amount)
                }
                Some(_) => return None,
            };
            Some((Place::Cooling(index), amount))
        });
        co.chain(own).chain(cooling).collect()
    }

    /// Takes `stake` from the places that answer for it.
    pub(crate) fn lock(
        &mut self,
        worker: WorkerId,
        answers: &[(Place, Coins)],
        stake: Coins,
    ) -> Vec<Piece> {
        let locked = self.devices.change(worker, |holding| holding.lock(answers, stake));
        locked.expect("a charged device has a stake")
    }

    /// Burns what a slash took.
    pub(crate) fn burn(&mut self, id: SlashId, now: Timestamp) -> Effect {
        let slash = &self.slashes[&id];
        let (worker, stake, rewards) =
            (slash.worker, slash.stake(), sum(slash.rewards().into_values()));
        let offers: Vec<OfferId> = slash.pieces.iter().filter_map(Piece::offer).collect();
        self.pay_out(slash.total());
        for offer in offers {
            self.finish_offer(offer, OfferEvent::Burned, now);
        }
        Effect::Burned { slash: id, worker, stake, rewards }
    }

    /// Puts what a slash took back to where it was taken.
    pub(crate) fn restore(&mut self, id: SlashId) -> Effect {
        let slash = &self.slashes[&id];
        let (worker, stake, rewards) = (slash.worker, slash.stake(), slash.rewards());
        let put_back =
            |holding: &mut Holding| slash.pieces.iter().for_each(|piece| holding.put_back(piece));
        self.devices.change(worker, put_back).expect("a slashed device is remembered");
        self.pay_out(sum(rewards.values().copied()));
        Effect::Restored { slash: id, worker, stake, rewards }
    }

    /// What slashes lock of a device's stakes.
    pub(crate) fn locked(&self, worker: WorkerId) -> Coins {
        sum(self
            .slashes_of(worker)
            .filter(|(_, slash)| slash.stage.holds_coins())
            .map(|(_, slash)| slash.stake()))
    }

    /// Whether slashes lock coins that would be the owner's counting stake.
    pub(crate) fn locks_own(&self, worker: WorkerId) -> bool {
        self.locked_pieces(worker).any(|piece| matches!(piece.home, Home::Own { .. }))
    }

    /// Whether slashes lock coins that were staked by an offer.
    pub(crate) fn locks_coins_of(&self, offer: OfferId) -> bool {
        let worker = self.offers.get(&offer).map(|offer| offer.worker);
        worker.is_some_and(|worker| {
            self.locked_pieces(worker).any(|piece| piece.offer() == Some(offer))
        })
    }

    fn locked_pieces(&self, worker: WorkerId) -> impl Iterator<Item = &Piece> {
        let locking = self.slashes_of(worker).filter(|(_, slash)| slash.stage.holds_coins());
        locking.flat_map(|(_, slash)| &slash.pieces)
    }

    /// A stake cools down: what slashes lock of it will cool down to the same date. `offer` is the co-staker's, none
    /// the owner's.
    pub(crate) fn cool_locked(
        &mut self,
        worker: WorkerId,
        offer: Option<OfferId>,
        (stood_until, withdrawable_at): (Timestamp, Timestamp),
    ) {
        let ids = self.devices.get(&worker).map_or(&[][..], |holding| &holding.slashes);
        for id in ids {
            let Some(slash) = self.slashes.get_mut(id) else { continue };
            slash.cool(offer, stood_until, withdrawable_at);
        }
    }
}

impl Slash {
    fn cool(&mut self, of: Option<OfferId>, stood_until: Timestamp, withdrawable_at: Timestamp) {
        if !self.stage.holds_coins() {
            return;
        }
        for piece in &mut self.pieces {
            let cools = match piece.home {
                Home::Own { .. } => of.is_none(),
                Home::CoStake { offer, .. } => of == Some(offer),
                Home::Cooling { .. } | Home::Rewards => false,
            };
            if cools {
                piece.home = Home::Cooling { stood_until, withdrawable_at, offer: of };
            }
        }
    }
}

impl Piece {
    /// The offer its coins were staked by.
    pub(crate) const fn offer(&self) -> Option<OfferId> {
        match self.home {
            Home::CoStake { offer, .. } => Some(offer),
            Home::Cooling { offer, .. } => offer,
            Home::Own { .. } | Home::Rewards => None,
        }
    }
}

impl Holding {
    /// Takes `stake` from the places that answer for it.
    fn lock(&mut self, answers: &[(Place, Coins)], stake: Coins) -> Vec<Piece> {
        let (mut pieces, mut left) = (Vec::new(), stake);
        for first in [true, false] {
            let rank: Vec<(Place, Coins)> = answers
                .iter()
                .copied()
                .filter(|(place, _)| place.answers_first() == first)
                .collect();
            let amounts: Vec<Coins> = rank.iter().map(|(_, amount)| *amount).collect();
            let demand = left.min(sum(amounts.iter().copied()));
            let parts = in_proportion(demand, &amounts);
            let taken = rank.iter().zip(parts).filter(|(_, part)| !part.is_zero());
            pieces.extend(taken.map(|((place, _), part)| self.take(*place, part)));
            left = left.checked_sub(demand).expect("the smaller of the two");
        }
        self.cooling.retain(|coins| !coins.amount.is_zero());
        pieces
    }

    fn take(&mut self, place: Place, amount: Coins) -> Piece {
        match place {
            Place::Own => {
                let home = Home::Own { lots: self.own.take(amount) };
                Piece { account: self.owner, amount, home }
            }
            Place::CoStake => {
                let co = self.co.as_mut().expect("a co-stake that answers is there");
                let home = Home::CoStake { offer: co.offer, lots: co.lots.take(amount) };
                Piece { account: co.account, amount, home }
            }
            Place::Cooling(index) => {
                let coins = &mut self.cooling[index];
                coins.amount = coins.amount.checked_sub(amount).expect("no more than answers");
                let Cooling { account, stood_until, withdrawable_at, offer, .. } = *coins;
                let home = Home::Cooling { stood_until, withdrawable_at, offer };
                Piece { account, amount, home }
            }
        }
    }

    fn put_back(&mut self, piece: &Piece) {
        let Piece { account, amount, home } = piece;
        match home {
            Home::Own { lots } => self.own.put_all(lots.clone()),
            Home::CoStake { lots, .. } => self.co_lots(*account).put_all(lots.clone()),
            Home::Cooling { stood_until, withdrawable_at, offer } => self.cool(Cooling {
                account: *account,
                amount: *amount,
                stood_until: *stood_until,
                withdrawable_at: *withdrawable_at,
                offer: *offer,
            }),
            // The caller returns them.
            Home::Rewards => {}
        }
    }

    fn co_lots(&mut self, account: AccountId) -> &mut Lots {
        let co = self.co.as_mut().filter(|co| co.account == account);
        &mut co.expect("a co-stake stays until its locked coins are decided or cool down").lots
    }
}
